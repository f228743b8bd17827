/* SPDX-License-Identifier: Apache-2.0 */
/* The planner room from a scenario's side: what partitioners see of nodes, links, streams and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/file.h"
#include "core/planner/evaluator.h"
#include "models/zoo.h"
#include "tests/planner/make_problem.h"

static struct catalogue *catalogue;
static char folder[] = "/tmp/napm-problem-XXXXXX";
static char *scenario_path, *model_file;

static const char text[] =
    "nodes = ( { name = \"station\"; role = \"station\"; workers = 3; }, { name = \"pi\"; count = 2; } );\n"
    "links = ( { from = \"pi\"; rate = \"8Mbit\"; delay = \"2ms\"; medium = \"wifi\"; down = { rate = 0; }; } );\n"
    "streams = ( { device = \"pi\"; model = \"m.onnx\"; tasks = 7; deadline = \"50ms\"; priority = 2;\n"
    "  arrivals = { plugin = \"poisson\"; interval = \"30ms\"; }; } );\n"
    "backend = { plugin = \"reference\"; }; partitioner = { plugin = \"greedy-delay\"; }; scheduler = { plugin = "
    "\"sjf\"; };\n"
    "seed = 9; run = { warmup_tasks = 2; };\n";

/* ---- helpers */

static struct scenario *open_with(const struct scenario_override *overrides, size_t count)
{
    struct error error = {0};
    struct scenario *scenario = scenario_open(scenario_path, overrides, count, catalogue, &error);
    if (!scenario)
        fail_msg("%s", error.text);
    return scenario;
}

/* Times of the one model: 1 ms a layer at the station, 5 ms on devices. NULL for the nodes in `missing` (bits). */
struct times {
    int64_t station_ns[64], device_ns[64];
    const int64_t *of_node[3][1];
    const int64_t *const *table[4];
};

static const int64_t *const *const *make_times(struct times *times, unsigned missing)
{
    for (size_t l = 0; l < 64; l++) {
        times->station_ns[l] = 1000000;
        times->device_ns[l] = 5000000;
    }
    for (unsigned node = 0; node < 3; node++) {
        times->of_node[node][0] = missing >> node & 1 ? NULL : node ? times->device_ns : times->station_ns;
        times->table[node] = times->of_node[node];
    }
    times->table[3] = NULL; /* no batches */
    return times->table;
}

static struct planner *plan_for(const struct scenario *scenario, struct times *times, unsigned missing)
{
    struct error error = {0};
    struct planner *planner = planner_new(scenario, catalogue, make_times(times, missing), NULL, &error);
    if (!planner)
        fail_msg("%s", error.text);
    return planner;
}

/* ---- tests */

static void partitioners_see_the_scenario(void **state)
{
    (void)state;
    struct times times;
    struct scenario *scenario = open_with(NULL, 0);
    struct planner *planner = plan_for(scenario, &times, 0);
    const struct napm_problem *problem = planner_problem(planner);
    const struct napm_problem_stream *stream = problem->streams[1];
    const struct model *model = scenario->models[0].model;
    uint32_t layers = model_view(model)->layer_count;
    assert_int_equal(problem->node_count, 3);
    assert_int_equal(problem->station, 0);
    assert_int_equal(problem->nodes[0]->is_station, 1);
    assert_string_equal(problem->nodes[2]->name, "pi2");
    assert_int_equal(problem->link_count, 2);
    assert_true(problem->links[1]->up_bytes_per_s == 1e6);
    assert_true(problem->links[1]->down_bytes_per_s > 1e300); /* not shaped */
    assert_int_equal(problem->links[1]->up_delay_ns, 2000000);
    assert_int_equal(problem->links[0]->medium, problem->links[1]->medium);
    assert_int_equal(problem->stream_count, 2);
    assert_string_equal(stream->name, "pi2");
    assert_int_equal(stream->device, 2);
    assert_int_equal(stream->link, 1);
    assert_int_equal(stream->layer_count, layers);
    assert_ptr_equal(stream->layer_ns[0], times.station_ns);
    assert_ptr_equal(stream->layer_ns[2], times.device_ns);
    assert_int_equal(stream->interval_ns, 30000000);
    assert_int_equal(stream->deadline_ns, 50000000);
    assert_int_equal(stream->priority, 2);
    assert_int_equal(stream->task_count, 7);
    assert_int_equal(stream->result_returns, 1);
    for (uint32_t c = 0; c < layers; c++) {
        uint64_t bytes;
        assert_int_equal(stream->cuts[c]->tensor_count, model_cut(model, c, &bytes, NULL));
        assert_true(stream->cuts[c]->bytes == bytes);
        assert_int_equal(stream->cuts[c]->feasible, 1);
    }
    assert_true(stream->cuts[0]->bytes == 3 * 16 * 16 * 4);
    assert_true(stream->cuts[layers]->bytes == 0);
    assert_true(stream->cuts[0]->station_memory_bytes > stream->cuts[layers - 1]->station_memory_bytes);
    assert_true(stream->cuts[layers]->device_memory_bytes == stream->cuts[0]->station_memory_bytes);
    planner_free(planner);
    scenario_close(scenario);
}

static void partitioners_see_power_weight_objective_and_the_way(void **state)
{
    (void)state;
    static const struct scenario_override overrides[] = {
        {"nodes.pi2.power.idle", "2.7W"}, {"nodes.pi2.power.busy", "3.5W"}, {"nodes.pi2.power.transmit", "1W"},
        {"streams.pi2.weight", "4.0"},    {"objective.energy", "2.0"},
    };
    struct times times;
    struct scenario *scenario = open_with(overrides, sizeof(overrides) / sizeof(overrides[0]));
    struct planner *planner = plan_for(scenario, &times, 0);
    const struct napm_problem *problem = planner_problem(planner);
    const struct napm_problem_stream *stream = problem->streams[1];
    assert_true(problem->nodes[1]->idle_w == 0 && problem->nodes[1]->busy_w == 0 && problem->nodes[1]->transmit_w == 0);
    assert_true(problem->nodes[2]->idle_w == 2.7 && problem->nodes[2]->busy_w == 3.5);
    assert_true(problem->nodes[2]->transmit_w == 1);
    assert_true(problem->streams[0]->weight == 1 && stream->weight == 4);
    assert_true(problem->objective->delay_per_s == 0 && problem->objective->energy_per_j == 2);
    assert_int_equal(stream->route_count, 2);
    assert_int_equal(stream->route_nodes[0], 2);
    assert_int_equal(stream->route_nodes[1], 0);
    assert_int_equal(stream->route_links[0], stream->link);
    planner_free(planner);
    scenario_close(scenario);
}

/* What the evaluator says of the memory of a part, against the problem's cuts. Returns how many layers need some. */
static uint32_t check_ranges(const struct napm_problem *problem, const struct napm_evaluator *evaluator)
{
    const struct napm_problem_stream *stream = problem->streams[0];
    uint32_t layers = stream->layer_count, needy = 0;
    for (uint32_t c = 0; c <= layers; c++) {
        assert_true(evaluator->range_bytes(evaluator, 0, 0, c) == stream->cuts[c]->device_memory_bytes);
        assert_true(evaluator->range_bytes(evaluator, 0, c, layers) == stream->cuts[c]->station_memory_bytes);
        needy += c && evaluator->range_bytes(evaluator, 0, c - 1, c) > 0;
    }
    assert_true(evaluator->range_bytes(evaluator, 0, 2, 1) == 0);
    assert_true(evaluator->range_bytes(evaluator, 0, 0, layers + 1) == 0);
    assert_true(evaluator->range_bytes(evaluator, problem->stream_count, 0, 1) == 0);
    return needy;
}

static void the_memory_of_any_range_of_layers_is_told(void **state)
{
    (void)state;
    struct times times;
    struct error error = {0};
    struct scenario *scenario = open_with(NULL, 0);
    struct problem *problem = problem_new(scenario, make_times(&times, 0), &error);
    struct evaluator *evaluator = problem ? evaluator_new(problem, catalogue, NULL, &error) : NULL;
    if (!evaluator)
        fail_msg("%s", error.text);
    assert_true(check_ranges(&problem->view, evaluator_table(evaluator)) > 2);
    evaluator_free(evaluator);
    problem_free(problem);
    scenario_close(scenario);
}

static void the_plan_predicts_the_tasks_that_count(void **state)
{
    (void)state;
    struct times times;
    struct error error = {0};
    struct scenario *scenario = open_with(NULL, 0);
    struct planner *planner = plan_for(scenario, &times, 0);
    struct plan *plan = planner_plan(planner, &scenario->partitioner, &error);
    assert_non_null(plan);
    assert_int_equal(plan->stream_count, 2);
    double tasks = plan->predicted_total_ns / plan->predicted_mean_ns; /* 2 streams of 7, the first 2 do not count */
    assert_true(tasks > 9.99 && tasks < 10.01);
    assert_true(plan->planning_ns > 0);
    plan_free(plan);
    planner_free(planner);
    scenario_close(scenario);
}

/* A plan that leaves all on the devices: how long it waits there depends on the random starts alone. */
static double predict_with_seed(const struct scenario *scenario, uint64_t seed)
{
    struct times times;
    struct error error = {0};
    struct planner *planner = planner_new_seeded(scenario, catalogue, make_times(&times, 0), seed, NULL, &error);
    const struct plugin_choice device_only = {.name = "device-only"};
    struct plan *plan = planner ? planner_plan(planner, &device_only, &error) : NULL;
    if (!plan)
        fail_msg("%s", error.text);
    double total_ns = plan->predicted_total_ns;
    plan_free(plan);
    planner_free(planner);
    return total_ns;
}

static void the_starts_predicted_are_those_of_the_seed(void **state)
{
    (void)state;
    struct scenario *scenario = open_with(NULL, 0);
    assert_true(predict_with_seed(scenario, 4) == predict_with_seed(scenario, 4));
    assert_true(predict_with_seed(scenario, 4) != predict_with_seed(scenario, 5));
    scenario_close(scenario);
}

static void a_result_for_the_station_makes_the_last_cut_send_it(void **state)
{
    (void)state;
    struct times times;
    struct scenario *scenario = open_with(&(struct scenario_override){"streams.pi2.result", "station"}, 1);
    struct planner *planner = plan_for(scenario, &times, 0);
    const struct napm_problem *problem = planner_problem(planner);
    uint32_t layers = problem->streams[0]->layer_count;
    assert_true(problem->streams[0]->cuts[layers]->bytes == 0);
    assert_true(problem->streams[1]->cuts[layers]->bytes == problem->streams[1]->result_bytes);
    assert_int_equal(problem->streams[1]->result_to_station, 1);
    assert_int_equal(problem->streams[1]->result_returns, 0);
    planner_free(planner);
    scenario_close(scenario);
}

static void memory_limits_make_cuts_infeasible(void **state)
{
    (void)state;
    struct times times;
    struct scenario *whole = open_with(NULL, 0);
    struct planner *planner = plan_for(whole, &times, 0);
    uint32_t layers = planner_problem(planner)->streams[0]->layer_count;
    uint64_t half = planner_problem(planner)->streams[0]->cuts[layers]->device_memory_bytes / 2;
    planner_free(planner);
    scenario_close(whole);
    char *bytes = text_format("%lluB", (unsigned long long)half);
    struct scenario *scenario = open_with(&(struct scenario_override){"nodes.pi1.memory", bytes}, 1);
    planner = plan_for(scenario, &times, 0);
    const struct napm_problem *problem = planner_problem(planner);
    uint32_t feasible = 0;
    for (uint32_t c = 0; c <= layers; c++) {
        assert_int_equal(problem->streams[0]->cuts[c]->feasible,
                         problem->streams[0]->cuts[c]->device_memory_bytes <= half);
        assert_int_equal(problem->streams[1]->cuts[c]->feasible, 1);
        feasible += problem->streams[0]->cuts[c]->feasible;
    }
    assert_true(feasible > 0 && feasible <= layers);
    planner_free(planner);
    scenario_close(scenario);
    free(bytes);
}

static void a_node_that_was_not_profiled_gets_no_layers(void **state)
{
    (void)state;
    struct times times;
    struct error error = {0};
    struct scenario *scenario = open_with(NULL, 0);
    struct planner *planner = plan_for(scenario, &times, 1u << 2); /* pi2 */
    const struct plugin_choice device_only = {.name = "device-only"};
    struct plan *plan = planner_plan(planner, &scenario->partitioner, &error);
    assert_non_null(plan);
    assert_int_equal(plan->cuts[1], 0);
    assert_null(planner_plan(planner, &device_only, &error));
    assert_non_null(strstr(error.text, "'pi2' cannot run the whole model"));
    plan_free(plan);
    planner_free(planner);
    assert_null(planner_new(scenario, catalogue, make_times(&times, 5), NULL, &error)); /* nor the station */
    assert_non_null(strstr(error.text, "s.cfg:3"));
    assert_non_null(strstr(error.text, "'pi2' has no cut"));
    scenario_close(scenario);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitioners_see_the_scenario),
        cmocka_unit_test(partitioners_see_power_weight_objective_and_the_way),
        cmocka_unit_test(the_memory_of_any_range_of_layers_is_told),
        cmocka_unit_test(the_plan_predicts_the_tasks_that_count),
        cmocka_unit_test(the_starts_predicted_are_those_of_the_seed),
        cmocka_unit_test(a_result_for_the_station_makes_the_last_cut_send_it),
        cmocka_unit_test(memory_limits_make_cuts_infeasible),
        cmocka_unit_test(a_node_that_was_not_profiled_gets_no_layers),
    };
    struct error error = {0};
    if (!mkdtemp(folder))
        return 1;
    scenario_path = text_format("%s/s.cfg", folder);
    model_file = text_format("%s/m.onnx", folder);
    catalogue = make_catalogue();
    if (zoo_write("tiny-cnn", 1, model_file, &error) != 0 ||
        file_write_atomically(scenario_path, text, strlen(text), &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL) != 0;
    unlink(scenario_path);
    unlink(model_file);
    rmdir(folder);
    free(scenario_path);
    free(model_file);
    catalogue_close(catalogue);
    return failed;
}
