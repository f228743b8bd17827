/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler "batch": which jobs it runs together, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/builtin_plugins.h"
#include "tests/scheduler/drive.h"

#include "core/station/station.h"

struct stage {
    struct instance *scheduler;
    struct station *station;
};

static void stage_open(struct stage *stage, uint32_t workers, const char *const *options)
{
    stage->scheduler = open_scheduler("batch", options);
    stage->station = station_new(stage->scheduler, workers);
}

static void stage_close(struct stage *stage)
{
    station_free(stage->station);
    instance_close(stage->scheduler);
}

/* Jobs of one letter are equal. Ids count from 1. */
static void arrive(struct stage *stage, const char *letters, int64_t now_ns)
{
    static const int64_t layer_ns[] = {10, 20};
    for (; *letters; letters++) {
        struct error error;
        uint64_t id;
        const struct station_job job = {.stream = (uint32_t)*letters,
                                        .deadline_ns = INT64_MAX,
                                        .model = (uint32_t)(*letters - 'a') / 2,
                                        .first_layer = (uint32_t)(*letters - 'a') % 2,
                                        .layer_count = 2,
                                        .layer_ns = layer_ns};
        assert_int_equal(station_arrive(stage->station, &job, now_ns, &id, &error), 0);
    }
}

/* The next batch is of these ids, in this order, with all their layers; they end at once. None: nothing is picked. */
static void expect_batch(struct stage *stage, int64_t now_ns, const uint64_t *ids, uint32_t count)
{
    struct station_slice slice;
    struct station_end end;
    struct error error;
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(station_dispatch(stage->station, now_ns, &slice, &error), 1);
        assert_int_equal(slice.job, ids[i]);
        assert_int_equal(slice.layer_count, 2);
        assert_int_equal(slice.more, i + 1 < count);
    }
    if (count == 0)
        assert_int_equal(station_dispatch(stage->station, now_ns, &slice, &error), 0);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(station_slice_done(stage->station, ids[i], now_ns, &end, &error), 1);
}

#define EXPECT_BATCH(stage, now_ns, ...)                                                                               \
    expect_batch(stage, now_ns, (const uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
#define EXPECT_NOTHING(stage, now_ns) expect_batch(stage, now_ns, NULL, 0)

static void the_first_job_takes_its_equals_with_it(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, 1, NULL);
    arrive(&stage, "abacabacaa", 0); /* equal but for the layer they begin with, and of another model */
    EXPECT_BATCH(&stage, 0, 1, 3, 5, 7); /* four at most, unless told otherwise */
    EXPECT_BATCH(&stage, 1, 2, 6);
    EXPECT_BATCH(&stage, 2, 4, 8);
    EXPECT_BATCH(&stage, 3, 9, 10);
    EXPECT_NOTHING(&stage, 4);
    stage_close(&stage);
}

static void batches_of_one_are_first_come_first_served(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, 1, OPTIONS("max_batch", "1"));
    arrive(&stage, "aab", 0);
    EXPECT_BATCH(&stage, 0, 1);
    EXPECT_BATCH(&stage, 0, 2);
    EXPECT_BATCH(&stage, 0, 3);
    stage_close(&stage);
}

static void the_first_job_waits_so_long_for_a_full_batch(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, 1, OPTIONS("max_batch", "3", "max_wait", "100ns"));
    arrive(&stage, "aa", 10);
    EXPECT_NOTHING(&stage, 10);
    assert_int_equal(station_wake_ns(stage.station), 110);
    arrive(&stage, "b", 20);
    EXPECT_NOTHING(&stage, 20); /* it is not before its turn */
    arrive(&stage, "a", 50);
    EXPECT_BATCH(&stage, 50, 1, 2, 4); /* full */
    EXPECT_NOTHING(&stage, 50);
    assert_int_equal(station_wake_ns(stage.station), 120);
    EXPECT_BATCH(&stage, 120, 3); /* waited enough */
    stage_close(&stage);
}

static void count_end(void *context, const struct station_end *end)
{
    (void)end;
    ++*(int *)context;
}

static void cancelled_jobs_are_in_no_batch(void **state)
{
    (void)state;
    struct stage stage;
    int cancelled = 0;
    stage_open(&stage, 1, NULL);
    arrive(&stage, "aabba", 0);
    station_cancel_stream(stage.station, 'a', 0, count_end, &cancelled);
    assert_int_equal(cancelled, 3);
    arrive(&stage, "ba", 1);
    EXPECT_BATCH(&stage, 1, 3, 4, 6);
    EXPECT_BATCH(&stage, 1, 7);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_job_takes_its_equals_with_it),
        cmocka_unit_test(batches_of_one_are_first_come_first_served),
        cmocka_unit_test(the_first_job_waits_so_long_for_a_full_batch),
        cmocka_unit_test(cancelled_jobs_are_in_no_batch),
    };
    return cmocka_run_group_tests(tests, open_catalogue, close_catalogue) != 0;
}
