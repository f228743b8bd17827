/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of new plans in the local world: real agents; who makes the plans are the tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <assert.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/base/clock.h"
#include "core/world/changes.h"
#include "tests/world/world_trial.h"

#define HEAD(backend)                                                                                                  \
    "name = \"trial\"; seed = 1; backend = { plugin = " backend "; };\n"                                               \
    "partitioner = { plugin = \"device-only\"; }; scheduler = { plugin = \"fifo\"; };\n"
#define ONE_DEVICE                                                                                                     \
    "nodes = ( { name = \"station\"; role = \"station\"; workers = 2; }, { name = \"pi\"; } );\n"                      \
    "links = ( { from = \"pi\"; } );\n"
#define TWO_DEVICES                                                                                                    \
    "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"pi\"; count = 2; } );\n"                        \
    "links = ( { from = \"pi\"; } );\n"
#define CHAIN                                                                                                          \
    "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"phone\"; }, { name = \"watch\"; } );\n"         \
    "links = ( { from = \"watch\"; to = \"phone\"; }, { from = \"phone\"; rate = \"80Mbit\"; delay = \"3ms\"; } );\n"
#define STREAM(device, tasks, period)                                                                                  \
    "streams = ( { device = \"" device "\"; model = \"model.onnx\"; tasks = " #tasks ";\n"                             \
    "              arrivals = { plugin = \"periodic\"; period = \"" period "\"; }; } );\n"
#define REPLAN(every) "replan = { every = \"" every "\"; };\n"

#define MOST_CUTS 4

/* The plans that the test wants, one after the other and then from the beginning; `cuts` for all streams together. */
static uint32_t plans[8][MOST_CUTS], plan_count;
static uint32_t made[256][MOST_CUTS]; /* by the plan's number */
static struct placements placements[256]; /* with these cuts */
static const uint32_t *wanted_orders[8][2]; /* by plan and stream; NULL: the model's own */
static const char *model = "tiny-cnn";
static atomic_uint asked;
static int64_t planning_ns;

static void want(uint32_t count, const uint32_t (*wanted)[MOST_CUTS])
{
    memset(made, 0, sizeof(made));
    memcpy(plans, wanted, count * sizeof(*wanted));
    memset(wanted_orders, 0, sizeof(wanted_orders));
    model = "tiny-cnn";
    plan_count = count;
    planning_ns = 0;
    atomic_store(&asked, 0);
}

static const struct placements *replan(void *context, const struct plan_request *request, struct error *error)
{
    (void)context;
    (void)error;
    assert(request->number > 0 && request->number < 256 && request->cancel);
    if (planning_ns)
        clock_sleep_until_ns(clock_now_ns() + planning_ns);
    uint32_t wanted = (request->number - 1) % plan_count;
    memcpy(made[request->number], plans[wanted], sizeof(made[0]));
    placements[request->number] = (struct placements){made[request->number], wanted_orders[wanted]};
    atomic_store(&asked, request->number);
    return &placements[request->number];
}

static int deploy(struct trial *trial, const uint32_t *cuts, struct error *error)
{
    return trial_deploy(trial, &(struct placements){.cuts = cuts}, error);
}

static void run(struct trial *trial, const char *scenario, const uint32_t *first, struct error *error, int expected)
{
    memcpy(made[0], first, sizeof(made[0]));
    trial_make(trial, model, scenario);
    trial->replan = replan;
    int status = trial_open(trial, error) || deploy(trial, first, error) || trial_drive(trial, error) ? -1 : 0;
    if (status != expected)
        fail_msg("%d: %s", status, error->text);
}

static void assert_no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static size_t count_plan(const struct trial *trial, uint32_t plan)
{
    size_t count = 0;
    for (size_t i = 0; i < trial->tasks.count; i++)
        count += trial->tasks.items[i].record.plan == plan;
    return count;
}

/* Every task went well, by its plan's cut, and to one and the same result. `at`: where its stream's cuts begin. */
static void assert_tasks(const struct trial *trial, size_t count, const uint32_t *at)
{
    uint64_t digest = 0;
    assert_int_equal(trial_count(trial, TASK_OK), count);
    for (size_t i = 0; i < trial->tasks.count; i++) {
        const struct task_record *record = &trial->tasks.items[i].record;
        int64_t sum_ns = 0;
        digest = digest ? digest : record->output_digest;
        assert_int_equal(record->output_digest, digest);
        assert_int_equal(record->cut, made[record->plan][at[record->stream]]);
        for (int k = 0; k < PHASE_COUNT; k++)
            sum_ns += record->phase_ns[k];
        assert_int_equal(sum_ns, record->ended_ns - record->started_ns);
    }
    assert_true(digest != 0);
}

/* A plan came into force for each stream once, and only after it was told of. */
static void assert_taken(const struct trial *trial)
{
    uint32_t last[2] = {0};
    for (size_t i = 0; i < trial->taken.count; i++) {
        const struct trial_taken *taken = &trial->taken.items[i];
        assert_true(taken->plan > last[taken->stream]);
        assert_true(taken->at_ns > 0);
        last[taken->stream] = taken->plan;
    }
}

static void test_tasks_change_their_cut_and_not_their_result(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {0}, at[] = {0};
    (void)state;
    want(5, (const uint32_t[][MOST_CUTS]){{5}, {2}, {2}, {0}, {4}});
    run(&trial, HEAD("\"reference\"") ONE_DEVICE STREAM("pi", 250, "5ms") REPLAN("60ms"), first, &error, 0);
    assert_tasks(&trial, 250, at);
    assert_taken(&trial);
    assert_true(trial.taken.count >= 5);
    for (uint32_t plan = 0; plan < 4; plan++)
        assert_true(count_plan(&trial, plan) > 0);
    trial_end(&trial);
    assert_no_children();
}

static void test_streams_change_apart_and_share_parts(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {0, 3}, at[] = {0, 1};
    (void)state;
    want(4, (const uint32_t[][MOST_CUTS]){{3, 0}, {3, 3}, {0, 3}, {5, 0}});
    run(&trial, HEAD("\"reference\"") TWO_DEVICES STREAM("pi", 150, "5ms") REPLAN("80ms"), first, &error, 0);
    assert_tasks(&trial, 300, at);
    assert_taken(&trial);
    assert_true(trial.taken.count >= 8);
    trial_end(&trial);
    assert_no_children();
}

/* From cuts to sets and back, between sets of equally many layers, and the same set again. */
static void test_sets_of_layers_change_and_results_do_not(void **state)
{
    static const uint32_t narrow[] = {0, 1, 2, 4, 6, 7, 3, 5, 8, 9, 10, 11, 12};
    static const uint32_t other[] = {0, 1, 4, 6, 2, 3, 5, 7, 8, 9, 10, 11, 12};
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {4, 6}, at[] = {0, 1};
    (void)state;
    want(5, (const uint32_t[][MOST_CUTS]){{6, 6}, {4, 6}, {4, 4}, {6, 0}, {4, 13}});
    model = "tiny-inception";
    wanted_orders[0][0] = wanted_orders[0][1] = narrow;
    wanted_orders[1][0] = other;
    wanted_orders[2][0] = narrow; /* as many layers as before, and others */
    wanted_orders[2][1] = other;
    wanted_orders[3][0] = narrow;
    run(&trial, HEAD("\"reference\"") TWO_DEVICES STREAM("pi", 150, "6ms") REPLAN("80ms"), first, &error, 0);
    assert_tasks(&trial, 300, at);
    assert_taken(&trial);
    assert_true(trial.taken.count >= 8);
    trial_end(&trial);
    assert_no_children();
}

static void test_every_node_of_a_way_changes(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {0, 0}, at[] = {0};
    (void)state;
    want(5, (const uint32_t[][MOST_CUTS]){{0, 4}, {2, 4}, {2, 2}, {3, 5}, {5, 5}});
    run(&trial, HEAD("\"reference\"") CHAIN STREAM("watch", 250, "5ms") REPLAN("70ms"), first, &error, 0);
    assert_tasks(&trial, 250, at);
    assert_taken(&trial);
    assert_true(trial.taken.count >= 5);
    trial_end(&trial);
    assert_no_children();
}

#define SLOW "\"failing\"; pack = \"400ms\""

static void test_tasks_go_on_while_a_plan_is_made_and_prepared(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {2}, at[] = {0};
    int64_t longest_ns = 0;
    (void)state;
    want(1, (const uint32_t[][MOST_CUTS]){{4}});
    planning_ns = 400 * NS_PER_MS;
    run(&trial, HEAD(SLOW) ONE_DEVICE STREAM("pi", 400, "5ms") REPLAN("100ms"), first, &error, 0);
    assert_tasks(&trial, 400, at);
    for (size_t i = 0; i < trial.tasks.count; i++) {
        const struct task_record *record = &trial.tasks.items[i].record;
        if (record->ended_ns - record->started_ns > longest_ns)
            longest_ns = record->ended_ns - record->started_ns;
    }
    assert_true(longest_ns < 200 * NS_PER_MS); /* none waited for planning or packing, each of which takes longer */
    assert_true(trial.taken.count >= 1);
    assert_true(trial.taken.items[0].at_ns >= 900 * NS_PER_MS);
    assert_true(count_plan(&trial, 0) >= 150 && count_plan(&trial, 0) < 400);
    trial_end(&trial);
    assert_no_children();
}

static void test_a_plan_that_changes_nothing_is_in_force_at_once(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {2}, at[] = {0};
    (void)state;
    want(1, (const uint32_t[][MOST_CUTS]){{2}});
    run(&trial, HEAD(SLOW) ONE_DEVICE STREAM("pi", 60, "5ms") REPLAN("100ms"), first, &error, 0);
    assert_tasks(&trial, 60, at);
    assert_true(trial.taken.count >= 2);
    assert_true(trial.taken.items[0].at_ns < 300 * NS_PER_MS);
    trial_end(&trial);
}

/* ---- faults */

static const struct placements *replan_and_kill(void *context, const struct plan_request *request, struct error *error)
{
    const struct trial *trial = context;
    const struct placements *planned = replan(context, request, error);
    if (request->number == 1)
        kill((pid_t)trial->kind->facts(trial->world, 1)->pid, SIGKILL);
    return planned;
}

static void test_a_node_that_dies_meanwhile_holds_no_other_up(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {2, 2};
    size_t good[2] = {0}, by_new_plans = 0;
    (void)state;
    want(2, (const uint32_t[][MOST_CUTS]){{4, 4}, {3, 3}});
    memcpy(made[0], first, sizeof(first));
    trial_make(&trial, "tiny-cnn",
               HEAD("\"failing\"; pack = \"100ms\"") TWO_DEVICES STREAM("pi", 200, "5ms") REPLAN("150ms"));
    trial.replan = replan_and_kill;
    if (trial_open(&trial, &error) || deploy(&trial, first, &error) || trial_drive(&trial, &error))
        fail_msg("%s", error.text);
    for (size_t i = 0; i < trial.tasks.count; i++) {
        const struct task_record *record = &trial.tasks.items[i].record;
        good[record->stream] += record->status == TASK_OK;
        by_new_plans += record->stream == 1 && record->plan > 0;
    }
    assert_int_equal(trial.nodes_lost, 1);
    assert_true(good[0] < 200);
    assert_int_equal(good[1], 200);
    assert_true(by_new_plans > 0);
    for (size_t i = 0; i < trial.taken.count; i++)
        assert_int_equal(trial.taken.items[i].stream, 1);
    trial_end(&trial);
    assert_no_children();
}

static const struct placements *fail_to_plan(void *context, const struct plan_request *request, struct error *error)
{
    (void)context;
    (void)request;
    error_set(error, ERROR_PLUGIN, "no idea");
    return NULL;
}

static void test_a_plan_that_fails_ends_the_run(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {2};
    (void)state;
    trial_make(&trial, "tiny-cnn", HEAD("\"reference\"") ONE_DEVICE STREAM("pi", 400, "5ms") REPLAN("50ms"));
    trial.replan = fail_to_plan;
    assert_int_equal(trial_open(&trial, &error) || deploy(&trial, first, &error), 0);
    assert_int_equal(trial_drive(&trial, &error), -1);
    assert_string_equal(error.text, "no idea");
    assert_true(trial_count(&trial, TASK_OK) < 400);
    trial_end(&trial);
    assert_no_children();
}

static void test_cuts_that_are_none_end_the_run(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {2};
    (void)state;
    want(1, (const uint32_t[][MOST_CUTS]){{1000}});
    run(&trial, HEAD("\"reference\"") ONE_DEVICE STREAM("pi", 400, "5ms") REPLAN("50ms"), first, &error, -1);
    assert_non_null(strstr(error.text, "cut 1000"));
    trial_end(&trial);
    assert_no_children();
}

static void test_a_part_that_cannot_be_prepared_ends_the_run(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {2};
    (void)state;
    /* The device's second segment: its stream is over, and the station has nothing else to do. */
    want(1, (const uint32_t[][MOST_CUTS]){{4}});
    run(&trial,
        "name = \"trial\"; seed = 1; partitioner = { plugin = \"device-only\"; }; scheduler = { plugin = \"fifo\"; };\n"
        "nodes = ( { name = \"station\"; role = \"station\"; backend = { plugin = \"failing\"; }; },\n"
        "          { name = \"pi\"; backend = { plugin = \"failing\"; refuse = 2; }; } );\n"
        "links = ( { from = \"pi\"; } );\n" STREAM("pi", 100, "5ms") REPLAN("50ms"),
        first, &error, 0);
    assert_int_equal(trial.nodes_lost, 1);
    assert_non_null(strstr(trial.lost_cause, "node pi"));
    assert_non_null(strstr(trial.lost_cause, "refused as it was told to"));
    trial_end(&trial);
    assert_no_children();
}

static const struct placements *cancel_and_wait(void *context, const struct plan_request *request, struct error *error)
{
    struct trial *trial = context;
    atomic_store(&trial->cancel, true);
    while (!atomic_load(request->cancel))
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
    error_set(error, ERROR_CANCELLED, "planning was stopped");
    return NULL;
}

static void test_a_run_can_be_stopped_while_a_plan_is_made(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {2};
    (void)state;
    trial_make(&trial, "tiny-cnn", HEAD("\"reference\"") ONE_DEVICE STREAM("pi", 2000, "5ms") REPLAN("50ms"));
    trial.replan = cancel_and_wait;
    assert_int_equal(trial_open(&trial, &error) || deploy(&trial, first, &error), 0);
    assert_int_equal(trial_drive(&trial, &error), -1);
    assert_int_equal(error.kind, ERROR_CANCELLED);
    assert_non_null(strstr(error.text, "stopped by the user"));
    trial_end(&trial);
    assert_no_children();
}

/* The run is over in the midst of packing: that is waited for, and is no failure. */
static void test_a_run_may_end_while_a_plan_is_prepared(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {2}, at[] = {0};
    (void)state;
    want(1, (const uint32_t[][MOST_CUTS]){{4}});
    run(&trial, HEAD(SLOW) ONE_DEVICE STREAM("pi", 20, "5ms") REPLAN("50ms"), first, &error, 0);
    assert_tasks(&trial, 20, at);
    assert_int_equal(trial.taken.count, 0);
    trial_end(&trial);
    assert_no_children();
}

static const struct placements *keep_conditions(void *context, const struct plan_request *request, struct error *error)
{
    (void)context;
    (void)error;
    assert(request->at_ns >= 100 * NS_PER_MS);
    assert(changes_link(request->now, 0)[LINK_UP].bytes_per_s == 125000); /* 1 Mbit/s */
    assert(changes_speed(request->now, 1) == 1);
    atomic_fetch_add(&asked, 1);
    placements[0] = (struct placements){.cuts = made[0]};
    return &placements[0];
}

static void test_a_plan_is_made_for_the_conditions_of_its_moment(void **state)
{
    struct trial trial;
    struct error error = {0};
    const uint32_t first[MOST_CUTS] = {5};
    (void)state;
    want(1, (const uint32_t[][MOST_CUTS]){{5}});
    memcpy(made[0], first, sizeof(first));
    trial_make(&trial, "tiny-cnn",
               HEAD("\"reference\"") "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"pi\"; } );\n"
                                     "links = ( { from = \"pi\"; rate = \"8Mbit\"; } );\n" STREAM(
                                         "pi", 60,
                                         "5ms") "events = ( { at = \"100ms\"; link = \"pi\"; rate = \"1Mbit\"; } );\n"
                                                "replan = { on_change = true; };\n");
    trial.replan = keep_conditions;
    if (trial_open(&trial, &error) || deploy(&trial, first, &error) || trial_drive(&trial, &error))
        fail_msg("%s", error.text);
    assert_int_equal(atomic_load(&asked), 1);
    assert_int_equal(trial.taken.count, 1);
    trial_end(&trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks_change_their_cut_and_not_their_result),
        cmocka_unit_test(test_streams_change_apart_and_share_parts),
        cmocka_unit_test(test_sets_of_layers_change_and_results_do_not),
        cmocka_unit_test(test_every_node_of_a_way_changes),
        cmocka_unit_test(test_tasks_go_on_while_a_plan_is_made_and_prepared),
        cmocka_unit_test(test_a_plan_that_changes_nothing_is_in_force_at_once),
        cmocka_unit_test(test_a_node_that_dies_meanwhile_holds_no_other_up),
        cmocka_unit_test(test_a_plan_that_fails_ends_the_run),
        cmocka_unit_test(test_cuts_that_are_none_end_the_run),
        cmocka_unit_test(test_a_part_that_cannot_be_prepared_ends_the_run),
        cmocka_unit_test(test_a_run_can_be_stopped_while_a_plan_is_made),
        cmocka_unit_test(test_a_run_may_end_while_a_plan_is_prepared),
        cmocka_unit_test(test_a_plan_is_made_for_the_conditions_of_its_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
