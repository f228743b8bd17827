/* SPDX-License-Identifier: Apache-2.0 */
/* A run several times over. */
#include "core/run/replications.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/base/memory.h"
#include "core/run/choices.h"
#include "core/world/world.h"

struct pool {
    const struct run_settings *settings;
    uint32_t count;
    pthread_mutex_t turn; /* held from taking a number until that run is in the ledger: runs begin in order */
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t ended;
    uint32_t next;
    bool stop;
    struct replication *replications;
    bool *over; /* by replication */
};

static struct run_settings settings_of(const struct run_settings *settings, uint32_t number)
{
    struct run_settings own = *settings;
    own.seed += number;
    own.repetition = number;
    return own;
}

/* ---- one after the other */

static bool execute_one(const struct run_settings *settings, uint32_t number,
                        bool (*done)(void *context, const struct replication *replication), void *context)
{
    struct run_settings own = settings_of(settings, number);
    struct replication replication = {.run = -1};
    replication.result = run_execute(&own, &replication.run, &replication.error);
    return done(context, &replication);
}

/* ---- side by side */

/* The first step that a run tells of comes when it is in the ledger. */
struct turn {
    pthread_mutex_t *held; /* NULL: given back */
};

static void give_turn_back(void *context, const char *what, uint64_t done, uint64_t of)
{
    struct turn *turn = context;
    (void)what;
    (void)done;
    (void)of;
    if (turn->held)
        pthread_mutex_unlock(turn->held);
    turn->held = NULL;
}

/* Takes a number, with the turn; false: there is none. */
static bool take_number(struct pool *pool, uint32_t *number)
{
    pthread_mutex_lock(&pool->turn);
    pthread_mutex_lock(&pool->lock);
    bool taken = !pool->stop && pool->next < pool->count;
    *number = pool->next;
    pool->next += taken;
    pthread_mutex_unlock(&pool->lock);
    if (!taken)
        pthread_mutex_unlock(&pool->turn);
    return taken;
}

static void *work(void *argument)
{
    struct pool *pool = argument;
    uint32_t number;
    while (take_number(pool, &number)) {
        struct turn turn = {&pool->turn};
        struct run_settings own = settings_of(pool->settings, number);
        struct replication replication = {.run = -1};
        own.watcher = (struct run_watcher){&turn, give_turn_back};
        replication.result = run_execute(&own, &replication.run, &replication.error);
        give_turn_back(&turn, NULL, 0, 0);
        pthread_mutex_lock(&pool->lock);
        pool->replications[number] = replication;
        pool->over[number] = true;
        pthread_cond_signal(&pool->ended);
        pthread_mutex_unlock(&pool->lock);
    }
    return NULL;
}

static void await(struct pool *pool, uint32_t number)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->over[number])
        pthread_cond_wait(&pool->ended, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

/* Replications 1..count-1; the first has been carried out. */
static void execute_side_by_side(const struct run_settings *settings, uint32_t count, uint32_t jobs,
                                 bool (*done)(void *context, const struct replication *replication), void *context)
{
    struct pool pool = {.settings = settings,
                        .count = count,
                        .turn = PTHREAD_MUTEX_INITIALIZER,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .ended = PTHREAD_COND_INITIALIZER,
                        .next = 1,
                        .replications = NEW_ARRAY(struct replication, count),
                        .over = NEW_ARRAY(bool, count)};
    pthread_t *threads = NEW_ARRAY(pthread_t, jobs);
    uint32_t started = 0;
    while (started < jobs && pthread_create(&threads[started], NULL, work, &pool) == 0)
        started++;
    if (started == 0)
        work(&pool); /* no thread can be had: this one does it */
    for (uint32_t i = 1; i < count && !pool.stop; i++) {
        const struct run_watcher *watcher = &settings->watcher;
        if (watcher->step)
            watcher->step(watcher->context, "replications", i, count);
        await(&pool, i);
        if (!done(context, &pool.replications[i])) {
            pthread_mutex_lock(&pool.lock);
            pool.stop = true;
            pthread_mutex_unlock(&pool.lock);
        }
    }
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    free(pool.replications);
    free(pool.over);
}

/* ---- both */

struct question {
    struct catalogue *catalogue;
    bool serialised;
};

static int ask_threading(void *context, const struct chosen *chosen, struct error *error)
{
    struct question *question = context;
    const struct catalogue_entry *entry =
        catalogue_find(question->catalogue, chosen->kind, chosen->choice->name, error);
    if (entry && entry->plugin->threading == NAPM_THREADS_SERIALISED)
        question->serialised = true;
    return 0;
}

uint32_t replications_at_once(const struct run_settings *settings, uint32_t jobs)
{
    struct error ignored = {0};
    struct question question = {.catalogue = settings->catalogue};
    const struct world_kind *kind = world_find(settings->scenario->world, &ignored);
    if (!kind || !kind->is_virtual)
        return 1;
    choices_each(settings->scenario, ask_threading, &question, &ignored);
    return question.serialised ? 1 : jobs;
}

void replications_execute(const struct run_settings *settings, uint32_t count, uint32_t jobs,
                          bool (*done)(void *context, const struct replication *replication), void *context)
{
    uint32_t at_once = count > 1 ? replications_at_once(settings, jobs) : 1;
    bool go_on = execute_one(settings, 0, done, context);
    if (at_once == 1) {
        for (uint32_t i = 1; i < count && go_on; i++)
            go_on = execute_one(settings, i, done, context);
    } else if (go_on) { /* the first has measured what there is to measure: the others only take it */
        struct run_settings others = *settings;
        others.fresh_profiles = false;
        execute_side_by_side(&others, count, at_once < count ? at_once : count, done, context);
    }
}
