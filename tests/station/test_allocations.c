/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links, station and the built-in schedulers allocate nothing for a task once as many have been under way as ever will
 * be. The functions below stand in for the C library's in the whole process, plugins included.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/link/link.h"
#include "core/station/station.h"
#include "tests/builtin_plugins.h"

static unsigned long allocations;

#if !defined(NAPM_SANITIZED) && defined(__GLIBC__)
#define COUNTS_ALLOCATIONS 1
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *block, size_t bytes);

void *malloc(size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocations++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *block, size_t bytes)
{
    allocations++;
    return __libc_realloc(block, bytes);
}
#else
#define COUNTS_ALLOCATIONS 0
#endif

#define DEVICES 40
#define LAYERS 3
static const int64_t layer_ns[LAYERS] = {20000, 10000, 5000};

/* Devices that send, and a station that answers; each device sends again when its answer has come. */
struct play {
    struct link_net *net;
    struct station *station;
    uint64_t job; /* that the one worker runs; 0: none */
    int64_t job_ends_ns;
};

static void run_next(struct play *play, int64_t now_ns)
{
    struct station_slice slice;
    struct error error;
    int status = station_dispatch(play->station, now_ns, &slice, &error);
    assert_true(status >= 0);
    play->job = status ? slice.job : 0;
    play->job_ends_ns = INT64_MAX;
    if (status)
        play->job_ends_ns = now_ns + (int64_t)slice.layer_count * 10000;
}

static void end_slice(struct play *play)
{
    struct station_end end;
    struct error error;
    int64_t now_ns = play->job_ends_ns;
    int status = station_slice_done(play->station, play->job, now_ns, &end, &error);
    assert_true(status >= 0);
    if (status == 1)
        link_send(play->net, end.stream, LINK_DOWN, 100, now_ns, NULL);
    run_next(play, now_ns);
}

static void receive(struct play *play, const struct link_delivery *delivery)
{
    struct station_job job = {
        .stream = delivery->link, .deadline_ns = INT64_MAX, .layer_count = LAYERS, .layer_ns = layer_ns};
    struct error error;
    uint64_t id;
    if (delivery->direction == LINK_DOWN) {
        link_send(play->net, delivery->link, LINK_UP, 5000, delivery->delivered_ns, NULL);
        return;
    }
    assert_int_equal(station_arrive(play->station, &job, delivery->delivered_ns, &id, &error), 0);
    if (!play->job)
        run_next(play, delivery->delivered_ns);
}

static void run(struct play *play, int events)
{
    while (events > 0) {
        struct link_delivery delivery;
        int64_t next_ns = link_next_ns(play->net);
        if (play->job_ends_ns <= next_ns) {
            end_slice(play);
            events--;
        } else if (link_take(play->net, next_ns, &delivery)) {
            receive(play, &delivery);
            events--;
        }
    }
}

static void start(struct play *play)
{
    play->job = 0;
    play->job_ends_ns = INT64_MAX;
    for (uint32_t i = 0; i < DEVICES; i++)
        link_send(play->net, i, LINK_UP, 5000, 0, NULL);
}

static struct link_net *make_net(void)
{
    struct link_spec specs[DEVICES];
    struct link_conditions conditions = {
        .bytes_per_s = 1e7, .delay_ns = 300000, .jitter_ns = 200000, .loss = 0.05, .repair_ns = 1000000};
    for (uint32_t i = 0; i < DEVICES; i++)
        specs[i] = (struct link_spec){i % 2 ? LINK_NO_MEDIUM : i % 4, {conditions, conditions}};
    return link_net_new(specs, DEVICES, 1);
}

static void nothing_is_allocated_per_task(void **state)
{
    (void)state;
    static const char *const schedulers[] = {"fifo", "sjf", "rr", "srpt", "edf", "priority", "wfq", "batch"};
    struct catalogue *catalogue = builtin_catalogue();
    assert_non_null(catalogue);
    for (size_t i = 0; i < sizeof(schedulers) / sizeof(*schedulers); i++) {
        const char *const quantum[] = {"quantum", "25us", NULL};
        struct error error = {0};
        struct instance *scheduler =
            builtin_instance(catalogue, NAPM_KIND_SCHEDULER, schedulers[i], i == 2 ? quantum : NULL, 1, &error);
        if (!scheduler)
            fail_msg("%s", error.text);
        struct play play = {.net = make_net(), .station = station_new(scheduler, 1)};
        start(&play);
        run(&play, 20000);
        unsigned long before = allocations;
        assert_true(before > 0); /* else they are not counted at all */
        run(&play, 200000);
        for (int plan = 0; plan < 10; plan++) { /* nor for evaluating plan after plan */
            link_net_reset(play.net);
            station_reset(play.station, 0);
            start(&play);
            run(&play, 5000);
        }
        assert_int_equal(allocations - before, 0);
        station_free(play.station);
        link_net_free(play.net);
        instance_close(scheduler);
    }
    catalogue_close(catalogue);
}

int main(void)
{
    if (!COUNTS_ALLOCATIONS) { /* CMocka's own skip() counts as a failure where TAP is read */
        puts("1..0 # SKIP allocations cannot be counted under the sanitizers");
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_allocated_per_task)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
