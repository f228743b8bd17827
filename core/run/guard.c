/* SPDX-License-Identifier: Apache-2.0 */
/* A bound on setting plugins up and on planning. */
#include "core/run/guard.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/thread.h"
#include "core/base/units.h"

#define LOOK_EVERY_NS (100 * NS_PER_MS)

struct guard {
    const struct run_settings *settings;
    int64_t run;
    _Atomic(const struct plugin_choice *) setting_up; /* NULL: planning */
    pthread_t thread;
    pthread_mutex_t lock; /* guards `lifted` */
    pthread_cond_t wake;
    bool lifted;
};

/* The thread that plans is stuck in a plugin, so nobody else uses the ledger now. */
static _Noreturn void end_process(const struct guard *guard, const char *when)
{
    const struct scenario *scenario = guard->settings->scenario;
    const struct plugin_choice *setting_up = atomic_load(&guard->setting_up);
    char *text =
        setting_up
            ? text_format("%s: plugin '%s' misbehaves: setting it up has not ended %s; try napm-plugin-check",
                          setting_up->where, setting_up->name, when)
            : text_format("planning has not ended %s: partitioner '%s', scheduler '%s' or a load generator does not "
                          "return, or has more to search than that; try napm-plugin-check, or a longer run.time_limit",
                          when, scenario->partitioner.name, scenario->scheduler.name);
    struct error ignored;
    if (guard->run >= 0)
        ledger_run_end(guard->settings->ledger, guard->run, "failed", text, &ignored);
    fprintf(stderr, "\nnapm: error: %s\n", text);
    _exit(1);
}

/* Returns whether the guard was lifted within LOOK_EVERY_NS. */
static bool wait_a_little(struct guard *guard)
{
    pthread_mutex_lock(&guard->lock);
    if (!guard->lifted)
        thread_wait_until(&guard->wake, &guard->lock, clock_now_ns() + LOOK_EVERY_NS);
    bool lifted = guard->lifted;
    pthread_mutex_unlock(&guard->lock);
    return lifted;
}

static void *watch(void *argument)
{
    struct guard *guard = argument;
    const struct run_settings *settings = guard->settings;
    int64_t limit_ns = clock_now_ns() + settings->scenario->time_limit_ns, stop_ns = INT64_MAX;
    while (!wait_a_little(guard)) {
        int64_t now_ns = clock_now_ns();
        if (stop_ns == INT64_MAX && settings->cancel && atomic_load(settings->cancel))
            stop_ns = now_ns + GUARD_GRACE_NS;
        if (now_ns > stop_ns)
            end_process(guard, "3 s after the request to stop");
        if (now_ns > limit_ns) {
            char duration[UNITS_TEXT_BYTES], when[UNITS_TEXT_BYTES + 32];
            units_format_duration(duration, (double)settings->scenario->time_limit_ns);
            snprintf(when, sizeof(when), "within %s (run.time_limit)", duration);
            end_process(guard, when);
        }
    }
    return NULL;
}

struct guard *guard_begin(const struct run_settings *settings, int64_t run)
{
    struct guard *guard = NEW(struct guard);
    guard->settings = settings;
    guard->run = run;
    pthread_mutex_init(&guard->lock, NULL);
    thread_condition_init(&guard->wake);
    if (pthread_create(&guard->thread, NULL, watch, guard) != 0) {
        fputs("napm: error: no thread can be started\n", stderr);
        exit(1);
    }
    return guard;
}

void guard_setting_up(struct guard *guard, const struct plugin_choice *choice)
{
    atomic_store(&guard->setting_up, choice);
}

void guard_lift(struct guard *guard)
{
    pthread_mutex_lock(&guard->lock);
    guard->lifted = true;
    pthread_cond_signal(&guard->wake);
    pthread_mutex_unlock(&guard->lock);
    pthread_join(guard->thread, NULL);
    pthread_mutex_destroy(&guard->lock);
    pthread_cond_destroy(&guard->wake);
    free(guard);
}
