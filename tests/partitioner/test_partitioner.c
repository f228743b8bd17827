/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in partitioners, against each other and against trying every plan, on random problems. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/planner/evaluator.h"
#include "tests/planner/make_problem.h"

#define TASKS 20

static const char *const schedulers[] = {"fifo", "sjf", "rr"};
static struct catalogue *catalogue;

/* ---- helpers */

static struct planner *open_random(uint64_t seed, uint32_t streams, uint32_t layers)
{
    struct error error = {0};
    struct problem *problem = make_random_problem(seed, streams, layers, TASKS, schedulers[seed % 3]);
    struct planner *planner = planner_new_on(problem, catalogue, NULL, &error);
    if (!planner)
        fail_msg("%s", error.text);
    return planner;
}

static struct plan *plan_with(struct planner *planner, const char *name, const char *option, const char *value)
{
    struct error error = {0};
    const struct option_setting setting = {option, value, "test:1"};
    const struct plugin_choice choice = {name, "test:1", &setting, option != NULL};
    struct plan *plan = planner_plan(planner, &choice, &error);
    if (!plan)
        fail_msg("%s", error.text);
    return plan;
}

static double total_with(struct planner *planner, const char *name)
{
    struct plan *plan = plan_with(planner, name, NULL, NULL);
    double total_ns = plan->predicted_total_ns;
    plan_free(plan);
    return total_ns;
}

/* ---- baselines */

static void the_baselines_put_all_on_one_side(void **state)
{
    (void)state;
    struct planner *planner = open_random(3, 4, 8);
    struct plan *device = plan_with(planner, "device-only", NULL, NULL),
                *station = plan_with(planner, "station-only", NULL, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(device->cuts[i], planner_problem(planner)->streams[i]->layer_count);
        assert_int_equal(station->cuts[i], 0);
    }
    assert_string_equal(device->partitioner, "device-only 1.0");
    plan_free(device);
    plan_free(station);
    planner_free(planner);
}

static void neurosurgeon_takes_the_best_cut_of_each_stream_alone(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct error error = {0};
        struct problem *problem = make_random_problem(seed, 4, 9, TASKS, "fifo");
        struct evaluator *evaluator = evaluator_new(problem, catalogue, NULL, &error);
        const struct napm_evaluator *table = evaluator_table(evaluator);
        struct planner *planner = open_random(seed, 4, 9);
        struct plan *plan = plan_with(planner, "neurosurgeon", NULL, NULL);
        for (uint32_t i = 0; i < 4; i++)
            for (uint32_t c = 0; c <= problem->view.streams[i]->layer_count; c++)
                assert_true(table->isolated_ns(table, i, plan->cuts[i]) <= table->isolated_ns(table, i, c));
        plan_free(plan);
        planner_free(planner);
        evaluator_free(evaluator);
        problem_free(problem);
    }
}

/* ---- greedy */

static void greedy_delay_is_never_worse_than_any_baseline(void **state)
{
    (void)state;
    uint32_t better = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct planner *planner = open_random(seed, 2 + seed % 6, 4 + seed % 8);
        double greedy_ns = total_with(planner, "greedy-delay"), neurosurgeon_ns = total_with(planner, "neurosurgeon");
        assert_true(greedy_ns <= neurosurgeon_ns);
        assert_true(greedy_ns <= total_with(planner, "device-only"));
        assert_true(greedy_ns <= total_with(planner, "station-only"));
        better += greedy_ns < 0.99 * neurosurgeon_ns;
        planner_free(planner);
    }
    assert_true(better >= 10); /* else these problems have no contention worth the name */
}

static void greedy_delay_ends_where_no_single_change_helps(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct planner *planner = open_random(seed, 4, 7);
        struct plan *plan = plan_with(planner, "greedy-delay", NULL, NULL);
        struct error error = {0};
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t kept = plan->cuts[i];
            for (uint32_t c = 0; c <= planner_problem(planner)->streams[i]->layer_count; c++) {
                plan->cuts[i] = c;
                struct plan *other = planner_evaluate(planner, plan->cuts, "other", &error);
                assert_non_null(other);
                assert_true(other->predicted_total_ns >= plan->predicted_total_ns);
                plan_free(other);
            }
            plan->cuts[i] = kept;
        }
        plan_free(plan);
        planner_free(planner);
    }
}

static void the_most_promising_changes_lead_as_far_as_all_of_them(void **state)
{
    (void)state;
    double sum = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct planner *planner = open_random(seed, 4 + seed % 5, 12);
        struct plan *all = plan_with(planner, "greedy-delay", "changes", "all"),
                    *some = plan_with(planner, "greedy-delay", "changes", "promising");
        double ratio = some->predicted_total_ns / all->predicted_total_ns;
        if (ratio > 1.05)
            fail_msg("seed %u: %.3f times the total delay", (unsigned)seed, ratio);
        sum += ratio;
        plan_free(all);
        plan_free(some);
        planner_free(planner);
    }
    assert_true(sum / 12 < 1.01);
}

static void few_changes_are_all_evaluated(void **state)
{
    (void)state;
    static const char *const names[] = {"greedy-delay", "greedy-variance"};
    for (uint64_t seed = 0; seed < 8; seed++)
        for (size_t k = 0; k < 2; k++) {
            struct planner *planner = open_random(seed, 5, 9);
            struct plan *all = plan_with(planner, names[k], "changes", "all"),
                        *usual = plan_with(planner, names[k], NULL, NULL);
            assert_memory_equal(all->cuts, usual->cuts, 5 * sizeof(*all->cuts));
            plan_free(all);
            plan_free(usual);
            planner_free(planner);
        }
}

static void greedy_variance_keeps_the_slack_with_many_streams_too(void **state)
{
    (void)state;
    struct planner *planner = open_random(2, 24, 12);
    double station_ns = total_with(planner, "station-only"), device_ns = total_with(planner, "device-only");
    struct plan *delay = plan_with(planner, "greedy-delay", NULL, NULL),
                *even = plan_with(planner, "greedy-variance", "slack", "0.1");
    assert_true(delay->predicted_total_ns <= station_ns && delay->predicted_total_ns <= device_ns);
    assert_true(even->predicted_total_ns <= 1.1 * delay->predicted_total_ns + 1);
    assert_true(even->predicted_variance_ns2 < delay->predicted_variance_ns2);
    plan_free(delay);
    plan_free(even);
    planner_free(planner);
}

static void greedy_variance_evens_out_within_the_slack(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double slack;
    } slacks[] = {{"0", 0}, {"0.1", 0.1}, {"0.5", 0.5}};
    uint32_t lower = 0;
    for (uint64_t seed = 0; seed < 24; seed++) {
        struct planner *planner = open_random(seed, 2 + seed % 4, 4 + seed % 6);
        struct plan *delay = plan_with(planner, "greedy-delay", NULL, NULL);
        for (size_t k = 0; k < 3; k++) {
            struct plan *even = plan_with(planner, "greedy-variance", "slack", slacks[k].text);
            assert_true(even->predicted_total_ns <= (1 + slacks[k].slack) * delay->predicted_total_ns + 1);
            if (even->predicted_total_ns >= delay->predicted_total_ns)
                assert_true(even->predicted_variance_ns2 <= delay->predicted_variance_ns2);
            lower += even->predicted_variance_ns2 < 0.9 * delay->predicted_variance_ns2;
            plan_free(even);
        }
        plan_free(delay);
        planner_free(planner);
    }
    assert_true(lower >= 10);
}

static void the_slack_is_a_tenth_unless_said_otherwise(void **state)
{
    (void)state;
    for (uint64_t seed = 30; seed < 36; seed++) {
        struct planner *planner = open_random(seed, 3, 6);
        struct plan *plain = plan_with(planner, "greedy-variance", NULL, NULL),
                    *tenth = plan_with(planner, "greedy-variance", "slack", "0.10");
        assert_memory_equal(plain->cuts, tenth->cuts, 3 * sizeof(*plain->cuts));
        plan_free(plain);
        plan_free(tenth);
        planner_free(planner);
    }
}

/* ---- exhaustive */

/* Three streams; nodes with powers, deadlines that some plans meet, and an objective of everything. */
static struct problem *make_wish(uint64_t seed, uint32_t layers)
{
    struct problem *problem = make_random_problem(seed, 3, layers, TASKS, schedulers[seed % 3]);
    *(struct napm_objective *)(uintptr_t)problem->view.objective = (struct napm_objective){
        .size = sizeof(struct napm_objective),
        .delay_per_s = seed % 4,
        .deviation_per_s = 0.5,
        .energy_per_j = 2,
        .miss = 0.3,
    };
    for (uint32_t n = 0; n < problem->view.node_count; n++) {
        struct napm_problem_node *node = (struct napm_problem_node *)(uintptr_t)problem->view.nodes[n];
        node->busy_w = node->is_station ? 40 : 3.5;
        node->transmit_w = node->is_station ? 2 : 1;
    }
    for (uint32_t i = 0; i < 3; i++)
        problem->stream_views[i].deadline_ns = 60000000;
    return problem;
}

struct best {
    double total_ns, variance_ns2, objective;
};

/* Tries every plan of make_wish(). */
static struct best try_all(uint64_t seed, uint32_t layers)
{
    struct error error = {0};
    struct problem *problem = make_wish(seed, layers);
    struct evaluator *evaluator = evaluator_new(problem, catalogue, NULL, &error);
    struct best best = {1e300, 1e300, 1e300};
    uint32_t most[3], c[3];
    for (uint32_t i = 0; i < 3; i++)
        most[i] = problem->view.streams[i]->layer_count;
    for (c[0] = 0; c[0] <= most[0]; c[0]++)
        for (c[1] = 0; c[1] <= most[1]; c[1]++)
            for (c[2] = 0; c[2] <= most[2]; c[2]++) {
                struct napm_evaluation result = {.size = sizeof(result)};
                assert_int_equal(evaluator_predict(evaluator, &(struct placements){.cuts = c}, &result, &error), 0);
                if (result.total_ns < best.total_ns)
                    best.total_ns = result.total_ns;
                if (result.variance_ns2 < best.variance_ns2)
                    best.variance_ns2 = result.variance_ns2;
                if (result.objective < best.objective)
                    best.objective = result.objective;
            }
    evaluator_free(evaluator);
    problem_free(problem);
    return best;
}

static void exhaustive_finds_what_trying_every_plan_finds(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct best best = try_all(seed, 6);
        struct error error = {0};
        struct planner *planner = planner_new_on(make_wish(seed, 6), catalogue, NULL, &error);
        assert_non_null(planner);
        struct plan *plan = plan_with(planner, "exhaustive", NULL, NULL);
        assert_true(plan->predicted_total_ns == best.total_ns);
        plan_free(plan);
        plan = plan_with(planner, "exhaustive", "objective", "variance");
        assert_true(plan->predicted_variance_ns2 == best.variance_ns2);
        plan_free(plan);
        plan = plan_with(planner, "exhaustive", "objective", "scenario");
        assert_true(plan->predicted_objective == best.objective);
        plan_free(plan);
        planner_free(planner);
    }
}

static void no_partitioner_beats_exhaustive(void **state)
{
    (void)state;
    static const char *const others[] = {"device-only", "station-only", "neurosurgeon", "greedy-delay",
                                         "greedy-variance"};
    for (uint64_t seed = 100; seed < 120; seed++) {
        struct planner *planner = open_random(seed, 1 + seed % 4, 5);
        double least_ns = total_with(planner, "exhaustive");
        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
            assert_true(least_ns <= total_with(planner, others[k]));
        planner_free(planner);
    }
}

static void exhaustive_gives_up_with_a_remedy(void **state)
{
    (void)state;
    struct error error = {0};
    struct planner *planner = open_random(4, 5, 9);
    const struct option_setting settings[] = {{"max_evaluations", "50", "test:1"}, {"objective", "variance", "test:2"}};
    const struct plugin_choice choice = {"exhaustive", "test:1", settings, 2};
    assert_null(planner_plan(planner, &choice, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_non_null(strstr(error.text, "exhaustive"));
    assert_non_null(strstr(error.text, "max_evaluations = 50"));
    assert_non_null(strstr(error.text, "greedy-delay"));
    planner_free(planner);
}

/* ---- memory */

/* Two streams of different models. By c: weights of 3, 2, 0 MB are left at the station, none of activations. */
static struct planner *open_small_station(uint64_t station_bytes, uint64_t device_bytes)
{
    static const int64_t device_ns[] = {10000000, 10000000}, station_ns[] = {1000000, 1000000};
    static const uint64_t bytes[] = {1000, 1000};
    static const struct scenario_cut memory[] = {{0, 0, 3000000, 0}, {1000000, 0, 2000000, 0}, {3000000, 0, 0, 0}};
    struct error error = {0};
    struct make_stream streams[2];
    for (uint32_t i = 0; i < 2; i++)
        streams[i] = (struct make_stream){.layers = 2,
                                          .device_ns = device_ns,
                                          .station_ns = station_ns,
                                          .cut_bytes = bytes,
                                          .memory = memory,
                                          .model = i,
                                          .device_memory_bytes = device_bytes,
                                          .tasks = 4};
    struct problem *problem =
        make_problem(&(struct make){.streams = streams, .stream_count = 2, .station_memory_bytes = station_bytes});
    struct planner *planner = planner_new_on(problem, catalogue, NULL, &error);
    assert_non_null(planner);
    return planner;
}

static void search_finds_plans_that_fit_where_the_best_cuts_alone_do_not(void **state)
{
    (void)state;
    static const char *const searching[] = {"greedy-delay", "greedy-variance", "exhaustive",
                                            "trend-greedy", "annealing",       "genetic"};
    struct error error = {0};
    struct planner *planner = open_small_station(5000000, 0);
    const struct plugin_choice neurosurgeon = {.name = "neurosurgeon"};
    assert_null(planner_plan(planner, &neurosurgeon, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_non_null(strstr(error.text, "infeasible"));
    for (size_t k = 0; k < sizeof(searching) / sizeof(searching[0]); k++) {
        struct plan *plan = plan_with(planner, searching[k], NULL, NULL);
        assert_true(plan->cuts[0] + plan->cuts[1] >= 1); /* 3 + 2 MB fit, 3 + 3 do not */
        if (k != 1)
            assert_int_equal(plan->cuts[0] + plan->cuts[1], 1);
        plan_free(plan);
    }
    planner_free(planner);
}

static void an_infeasible_problem_is_said_to_be_one(void **state)
{
    (void)state;
    static const char *const all[] = {"device-only", "station-only", "neurosurgeon", "greedy-delay", "greedy-variance",
                                      "exhaustive",  "trend-greedy", "annealing",    "genetic",      "chain-dp"};
    struct planner *planner = open_small_station(3000000, 1000000); /* any one stream fits, two never */
    for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
        struct error error = {0};
        const struct plugin_choice choice = {.name = all[k]};
        assert_null(planner_plan(planner, &choice, &error));
        assert_int_equal(error.kind, ERROR_INPUT);
        assert_non_null(strstr(error.text, all[k]));
        assert_non_null(strstr(error.text, "infeasible"));
    }
    planner_free(planner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_baselines_put_all_on_one_side),
        cmocka_unit_test(neurosurgeon_takes_the_best_cut_of_each_stream_alone),
        cmocka_unit_test(greedy_delay_is_never_worse_than_any_baseline),
        cmocka_unit_test(greedy_delay_ends_where_no_single_change_helps),
        cmocka_unit_test(the_most_promising_changes_lead_as_far_as_all_of_them),
        cmocka_unit_test(few_changes_are_all_evaluated),
        cmocka_unit_test(greedy_variance_keeps_the_slack_with_many_streams_too),
        cmocka_unit_test(greedy_variance_evens_out_within_the_slack),
        cmocka_unit_test(the_slack_is_a_tenth_unless_said_otherwise),
        cmocka_unit_test(exhaustive_finds_what_trying_every_plan_finds),
        cmocka_unit_test(no_partitioner_beats_exhaustive),
        cmocka_unit_test(exhaustive_gives_up_with_a_remedy),
        cmocka_unit_test(search_finds_plans_that_fit_where_the_best_cuts_alone_do_not),
        cmocka_unit_test(an_infeasible_problem_is_said_to_be_one),
    };
    catalogue = make_catalogue();
    int failed = cmocka_run_group_tests(tests, NULL, NULL) != 0;
    catalogue_close(catalogue);
    return failed;
}
