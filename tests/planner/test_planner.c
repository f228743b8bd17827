/* SPDX-License-Identifier: Apache-2.0 */
/* The planner room: delays in virtual time against delays computed by hand, bounds, memory, plans that are none. */
#include <math.h>
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

#define MS INT64_C(1000000)

static struct catalogue *catalogue;

/* ---- helpers */

/* Three layers: 4, 6, 10 ms on the device, 1, 2, 3 ms at the station; 40000, 20000, 10000 bytes. */
static const int64_t slow_ns[] = {4 * MS, 6 * MS, 10 * MS}, fast_ns[] = {1 * MS, 2 * MS, 3 * MS};
static const uint64_t bytes_of_cuts[] = {40000, 20000, 10000};

static struct make_stream three_layers(void)
{
    return (struct make_stream){.layers = 3,
                                .device_ns = slow_ns,
                                .station_ns = fast_ns,
                                .cut_bytes = bytes_of_cuts,
                                .result_bytes = 1000,
                                .tasks = 5};
}

static struct napm_evaluation evaluate(const struct make *make, const uint32_t *cuts, struct napm_phases *phases)
{
    struct error error = {0};
    struct problem *problem = make_problem(make);
    struct evaluator *evaluator = evaluator_new(problem, catalogue, NULL, &error);
    struct napm_evaluation result = {.size = sizeof(result), .phases = phases};
    if (!evaluator || evaluator_predict(evaluator, &(struct placements){.cuts = cuts}, &result, &error) != 0)
        fail_msg("%s", error.text);
    evaluator_free(evaluator);
    problem_free(problem);
    return result;
}

static void assert_ns(double got_ns, double expected_ns)
{
    if (got_ns < expected_ns - 2 || got_ns > expected_ns + 2)
        fail_msg("got %.3f ms, expected %.3f ms", got_ns / 1e6, expected_ns / 1e6);
}

/* ---- one stream */

static void one_stream_alone_takes_what_the_formula_says_at_every_cut(void **state)
{
    (void)state;
    struct make_stream stream = three_layers();
    stream.link.conditions[LINK_UP] = (struct link_conditions){.bytes_per_s = 1e6, .delay_ns = 2 * MS};
    stream.link.conditions[LINK_DOWN] = (struct link_conditions){.bytes_per_s = 2e6, .delay_ns = 3 * MS};
    const struct make make = {.streams = &stream, .stream_count = 1};
    /* local + 2 + bytes / 1e6 + remote + 3 + 1000 / 2e6, in ms */
    const double expected_ms[] = {2 + 40 + 6 + 3.5, 4 + 2 + 20 + 5 + 3.5, 10 + 2 + 10 + 3 + 3.5, 20};
    for (uint32_t c = 0; c <= 3; c++) {
        struct napm_phases phases;
        struct napm_evaluation result = evaluate(&make, &c, &phases);
        assert_int_equal(result.task_count, 5);
        assert_ns(result.mean_ns, expected_ms[c] * 1e6);
        assert_ns(result.maximum_ns, expected_ms[c] * 1e6);
        assert_ns(phases.local_ns, (double[]){0, 4e6, 10e6, 20e6}[c]);
        assert_ns(phases.transmit_ns, (double[]){42e6, 22e6, 12e6, 0}[c]);
        assert_ns(phases.queue_ns, 0);
        assert_ns(phases.remote_ns, (double[]){6e6, 5e6, 3e6, 0}[c]);
        assert_ns(phases.return_ns, c < 3 ? 3.5e6 : 0);
    }
}

static void the_isolated_delay_is_the_mean_of_a_stream_alone_also_with_jitter_and_loss(void **state)
{
    (void)state;
    struct make_stream stream = three_layers();
    for (int way = LINK_UP; way <= LINK_DOWN; way++)
        stream.link.conditions[way] = (struct link_conditions){
            .bytes_per_s = 1.25e6, .delay_ns = 2 * MS, .jitter_ns = 5 * MS, .loss = 0.02, .repair_ns = 12 * MS};
    struct error error = {0};
    struct problem *problem = make_problem(&(struct make){.streams = &stream, .stream_count = 1});
    struct evaluator *evaluator = evaluator_new(problem, catalogue, NULL, &error);
    assert_non_null(evaluator);
    for (uint32_t c = 0; c <= 3; c++) {
        struct napm_evaluation result = {.size = sizeof(result)};
        assert_int_equal(evaluator_predict(evaluator, &(struct placements){.cuts = &c}, &result, &error), 0);
        assert_ns(result.mean_ns, evaluator_table(evaluator)->isolated_ns(evaluator_table(evaluator), 0, c));
    }
    evaluator_free(evaluator);
    problem_free(problem);
}

static void a_result_stays_or_goes_up_as_the_stream_says(void **state)
{
    (void)state;
    struct make_stream stream = three_layers();
    stream.link.conditions[LINK_UP] = (struct link_conditions){.bytes_per_s = 1e6, .delay_ns = 2 * MS};
    stream.link.conditions[LINK_DOWN] = stream.link.conditions[LINK_UP];
    const struct make make = {.streams = &stream, .stream_count = 1};
    const uint32_t local = 3, remote = 0;
    stream.to_station = true;
    assert_ns(evaluate(&make, &local, NULL).mean_ns, 20e6 + 2e6 + 1e6);
    assert_ns(evaluate(&make, &remote, NULL).mean_ns, 42e6 + 6e6);
    stream.to_station = false;
    stream.stays = true;
    assert_ns(evaluate(&make, &local, NULL).mean_ns, 20e6);
    assert_ns(evaluate(&make, &remote, NULL).mean_ns, 42e6 + 6e6);
}

static void a_busy_device_makes_its_tasks_wait_in_order(void **state)
{
    (void)state;
    struct make_stream stream = three_layers();
    stream.value = "15ms"; /* 20 ms of work every 15 ms: waits of 0, 5, 10, 15, 20 ms */
    const uint32_t local = 3;
    struct napm_evaluation result = evaluate(&(struct make){.streams = &stream, .stream_count = 1}, &local, NULL);
    assert_ns(result.mean_ns, 30e6);
    assert_ns(result.maximum_ns, 40e6);
    assert_true(result.variance_ns2 > 49.9e12 && result.variance_ns2 < 50.1e12); /* 5^2 * 2 ms^2 */
    assert_ns(result.p99_ns, 40e6 - 0.04 * 5e6);
}

static void two_streams_of_one_device_share_it(void **state)
{
    (void)state;
    struct make_stream streams[] = {three_layers(), three_layers()};
    streams[1].shares_device_with_plus_1 = 1;
    const uint32_t local[] = {3, 3};
    struct napm_evaluation result = evaluate(&(struct make){.streams = streams, .stream_count = 2}, local, NULL);
    assert_ns(result.total_ns, 5 * (20e6 + 40e6));
    const uint32_t mixed[] = {3, 0}; /* the device takes tasks in order, also those that it only sends on */
    struct napm_phases phases[2];
    evaluate(&(struct make){.streams = streams, .stream_count = 2}, mixed, phases);
    assert_ns(phases[1].local_ns, 20e6);
}

static void a_closed_loop_starts_a_task_when_the_last_has_ended(void **state)
{
    (void)state;
    struct make_stream stream = three_layers();
    stream.arrivals = "closed-loop";
    stream.option = "think";
    stream.value = "0";
    stream.tasks = 20;
    const uint32_t local = 3;
    struct napm_evaluation result = evaluate(&(struct make){.streams = &stream, .stream_count = 1}, &local, NULL);
    assert_int_equal(result.task_count, 20);
    assert_ns(result.mean_ns, 20e6);
    stream.option = "outstanding"; /* three at once: each but the first three waits for two others */
    stream.value = "3";
    result = evaluate(&(struct make){.streams = &stream, .stream_count = 1}, &local, NULL);
    assert_ns(result.total_ns, 20e6 + 40e6 + 18 * 60e6);
}

static void warm_up_tasks_run_but_do_not_count(void **state)
{
    (void)state;
    struct make_stream stream = three_layers();
    stream.value = "15ms";
    const uint32_t local = 3;
    struct napm_evaluation result =
        evaluate(&(struct make){.streams = &stream, .stream_count = 1, .warmup_tasks = 3}, &local, NULL);
    assert_int_equal(result.task_count, 2); /* those that wait 15 and 20 ms */
    assert_ns(result.total_ns, 35e6 + 40e6);
}

static void deadline_misses_are_a_share_of_the_tasks(void **state)
{
    (void)state;
    struct make_stream stream = three_layers();
    stream.value = "15ms";
    stream.deadline_ns = 31 * MS; /* delays 20, 25, 30, 35, 40 ms */
    const uint32_t local = 3;
    struct napm_evaluation result = evaluate(&(struct make){.streams = &stream, .stream_count = 1}, &local, NULL);
    assert_true(result.deadline_misses > 0.399 && result.deadline_misses < 0.401);
}

/* ---- contention */

/* Two streams whose tasks reach the station together: 2 x 5 ms, and 2 x 2 ms. */
static void make_two_jobs(struct make_stream streams[2])
{
    static const int64_t long_ns[] = {5 * MS, 5 * MS}, short_ns[] = {2 * MS, 2 * MS};
    static const uint64_t bytes[] = {1000, 1000};
    for (int i = 0; i < 2; i++)
        streams[i] = (struct make_stream){
            .layers = 2, .device_ns = long_ns, .station_ns = i ? short_ns : long_ns, .cut_bytes = bytes, .tasks = 1};
}

/* ---- relays */

/* A stream whose way leads over the device of another one, which has next to nothing to do itself. */
static struct make over_a_relay(struct make_stream streams[2])
{
    static const int64_t middle_ns[] = {2 * MS, 3 * MS, 5 * MS}, nothing_ns[] = {1};
    static const uint64_t a_byte[] = {1};
    streams[0] = three_layers();
    streams[0].relay_plus_1 = 2;
    streams[0].relay_ns = middle_ns;
    streams[0].busy_w = 1;
    streams[0].transmit_w = 0.5;
    streams[0].link.conditions[LINK_UP] = (struct link_conditions){.bytes_per_s = 1e6, .delay_ns = 2 * MS};
    streams[0].link.conditions[LINK_DOWN] = streams[0].link.conditions[LINK_UP];
    streams[1] = (struct make_stream){
        .layers = 1, .device_ns = nothing_ns, .station_ns = nothing_ns, .cut_bytes = a_byte, .tasks = 5};
    streams[1].busy_w = 10;
    streams[1].transmit_w = 4;
    streams[1].link.conditions[LINK_UP] = (struct link_conditions){.bytes_per_s = 1e7, .delay_ns = 1 * MS};
    streams[1].link.conditions[LINK_DOWN] = streams[1].link.conditions[LINK_UP];
    return (struct make){.streams = streams, .stream_count = 2, .station_busy_w = 100, .station_transmit_w = 20};
}

static void a_task_over_a_relay_takes_what_the_formula_says(void **state)
{
    (void)state;
    struct make_stream streams[2];
    const struct make make = over_a_relay(streams);
    /* Cuts at the device and at the relay; milliseconds: device, link, relay, link, station, and back */
    const struct {
        uint32_t cuts[3];
        double ms, mj;
    } cases[] = {
        {{0, 0, 0}, (2 + 40) + (1 + 4) + 6 + (1 + 0.1) + (2 + 1), 0.5 * 40 + 4 * 4 + 100 * 6 + 20 * 0.1 + 4 * 1},
        {{1, 1, 0},
         4 + (2 + 20) + (1 + 2) + 5 + (1 + 0.1) + (2 + 1),
         4 + 0.5 * 20 + 4 * 2 + 100 * 5 + 20 * 0.1 + 4 * 1},
        {{1, 2, 0},
         4 + (2 + 20) + 3 + (1 + 1) + 3 + (1 + 0.1) + (2 + 1),
         4 + 0.5 * 20 + 10 * 3 + 4 * 1 + 100 * 3 + 20 * 0.1 + 4 * 1},
        {{2, 3, 0}, 10 + (2 + 10) + 5 + (2 + 1), 10 + 0.5 * 10 + 10 * 5 + 4 * 1},
        {{3, 3, 0}, 20, 20},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct napm_phases phases[2];
        struct napm_evaluation result = evaluate(&make, cases[i].cuts, phases);
        assert_ns(phases[0].local_ns + phases[0].transmit_ns + phases[0].queue_ns + phases[0].remote_ns +
                      phases[0].return_ns,
                  cases[i].ms * 1e6);
        double others_mj = 4 * 1e-4 + 100 * 1e-6; /* the other stream's byte and its nanosecond at the station */
        assert_ns(result.energy_j / 5 * 1e9, (cases[i].mj + others_mj) * 1e6);
    }
}

static void placements_on_the_way_are_read_as_cuts_and_others_are_none(void **state)
{
    (void)state;
    struct make_stream streams[2];
    const struct make make = over_a_relay(streams);
    struct problem *problem = make_problem(&make);
    const struct {
        uint32_t row[3]; /* nodes: device 0, relay 1, station 2 */
        int status;
        uint32_t cuts[2];
    } cases[] = {
        {{0, 1, 2}, 0, {1, 2}}, {{0, 0, 0}, 0, {3, 3}}, {{2, 2, 2}, 0, {0, 0}}, {{1, 1, 1}, 0, {0, 3}},
        {{0, 2, 2}, 0, {1, 1}}, {{1, 0, 2}, -1, {0}},   {{2, 2, 1}, -1, {0}},   {{0, 7, 2}, -1, {0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t cuts[2], order[3];
        struct order_fault fault;
        assert_int_equal(evaluator_read_way(&problem->view, 0, cases[i].row, order, cuts, &fault), cases[i].status);
        if (cases[i].status == 0)
            assert_memory_equal(cuts, cases[i].cuts, sizeof(cuts));
    }
    problem_free(problem);
}

/* ---- energy and objective */

static void energy_is_computing_and_sending_at_the_nodes_powers(void **state)
{
    (void)state;
    struct make_stream stream = three_layers();
    stream.busy_w = 3.5;
    stream.transmit_w = 2;
    stream.link.conditions[LINK_UP] = (struct link_conditions){.bytes_per_s = 1e6, .delay_ns = 2 * MS};
    stream.link.conditions[LINK_DOWN] = (struct link_conditions){.bytes_per_s = 2e6, .loss = 0.5, .repair_ns = MS};
    const struct make make = {.streams = &stream, .stream_count = 1, .station_busy_w = 100, .station_transmit_w = 10};
    /* In mJ: device's 3.5 W, 2 W while bytes / 1e6 go up, station's 100 W, 10 W while 2 * 1000 / 2e6 go down. */
    const double expected_mj[] = {80 + 600 + 10, 14 + 40 + 500 + 10, 35 + 20 + 300 + 10, 70};
    for (uint32_t c = 0; c <= 3; c++) {
        double energy_j = evaluate(&make, &c, NULL).energy_j;
        assert_true(energy_j > 5 * expected_mj[c] * 0.999999e-3 && energy_j < 5 * expected_mj[c] * 1.000001e-3);
    }
}

static void the_objective_is_the_weighted_sum_that_the_scenario_asks_for(void **state)
{
    (void)state;
    struct make_stream stream = three_layers();
    stream.busy_w = 3.5;
    stream.deadline_ns = 25 * MS;
    stream.value = "15ms"; /* delays of 20, 25, 30, 35, 40 ms: see a_busy_device_makes_its_tasks_wait_in_order */
    struct make make = {.streams = &stream, .stream_count = 1};
    const uint32_t local = 3;
    assert_ns(evaluate(&make, &local, NULL).objective * 1e9, 30e6); /* unless said otherwise */
    make.objective = (struct napm_objective){
        .size = sizeof(make.objective), .delay_per_s = 2, .deviation_per_s = 3, .energy_per_j = 5, .miss = 7};
    double expected = 2 * 0.030 + 3 * sqrt(50e-6) + 5 * 3.5 * 0.020 + 7 * 0.6;
    assert_ns(evaluate(&make, &local, NULL).objective * 1e9, expected * 1e9);
}

static void the_scheduler_decides_who_waits_at_the_station(void **state)
{
    (void)state;
    struct make_stream streams[2];
    struct napm_phases phases[2];
    make_two_jobs(streams);
    const uint32_t cuts[] = {0, 0};
    struct make make = {.streams = streams, .stream_count = 2, .scheduler = "fifo"};
    assert_ns(evaluate(&make, cuts, phases).total_ns, 10e6 + 14e6);
    assert_ns(phases[0].queue_ns, 0);
    assert_ns(phases[1].queue_ns, 10e6);
    make.scheduler = "sjf";
    assert_ns(evaluate(&make, cuts, phases).total_ns, 4e6 + 14e6);
    assert_ns(phases[0].queue_ns, 4e6);
    assert_ns(phases[1].queue_ns, 0);
    make.scheduler = "rr"; /* 5 | 4 | 5 */
    make.scheduler_option = "quantum";
    make.scheduler_value = "5ms";
    assert_ns(evaluate(&make, cuts, phases).total_ns, 9e6 + 14e6);
    assert_ns(phases[0].remote_ns, 10e6);
    assert_ns(phases[0].queue_ns, 4e6);
}

static void two_workers_serve_two_jobs_at_once(void **state)
{
    (void)state;
    struct make_stream streams[2];
    make_two_jobs(streams);
    const uint32_t cuts[] = {0, 0};
    struct make make = {.streams = streams, .stream_count = 2, .workers = 2};
    assert_ns(evaluate(&make, cuts, NULL).total_ns, 10e6 + 4e6);
}

static void links_of_one_medium_share_its_rate(void **state)
{
    (void)state;
    struct make_stream streams[2];
    make_two_jobs(streams);
    const uint32_t cuts[] = {0, 0};
    for (int i = 0; i < 2; i++) {
        streams[i].stays = true;
        streams[i].link.conditions[LINK_UP].bytes_per_s = 1e6; /* 1 ms alone */
        streams[i].medium_plus_1 = 8;
    }
    struct napm_phases phases[2];
    struct make make = {.streams = streams, .stream_count = 2, .workers = 2};
    evaluate(&make, cuts, phases);
    assert_ns(phases[0].transmit_ns, 2e6);
    assert_ns(phases[1].transmit_ns, 2e6);
    streams[1].medium_plus_1 = 0;
    evaluate(&make, cuts, phases);
    assert_ns(phases[0].transmit_ns, 1e6);
    assert_ns(phases[1].transmit_ns, 1e6);
}

/* ---- on random problems */

static struct evaluator *open_random(uint64_t seed, struct problem **problem)
{
    static const char *const schedulers[] = {"fifo", "sjf", "rr"};
    struct error error = {0};
    *problem = make_random_problem(seed, 1 + seed % 6, 3 + seed % 9, 30, schedulers[seed % 3]);
    struct evaluator *evaluator = evaluator_new(*problem, catalogue, NULL, &error);
    if (!evaluator)
        fail_msg("%s", error.text);
    return evaluator;
}

static void no_stream_is_faster_than_in_isolation(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct problem *problem;
        struct error error = {0};
        struct evaluator *evaluator = open_random(seed, &problem);
        const struct napm_evaluator *table = evaluator_table(evaluator);
        uint32_t cuts[8];
        struct napm_phases phases[8];
        double bound_ns = 0;
        for (uint32_t i = 0; i < problem->view.stream_count; i++)
            cuts[i] = (uint32_t)(seed * 7 + i * 3) % (problem->view.streams[i]->layer_count + 1);
        struct napm_evaluation result = {.size = sizeof(result), .phases = phases};
        assert_int_equal(evaluator_predict(evaluator, &(struct placements){.cuts = cuts}, &result, &error), 0);
        for (uint32_t i = 0; i < problem->view.stream_count; i++) {
            const struct napm_phases *p = &phases[i];
            double mean_ns = p->local_ns + p->transmit_ns + p->queue_ns + p->remote_ns + p->return_ns;
            assert_true(mean_ns >= table->isolated_ns(table, i, cuts[i]) - 0.001);
            assert_true(p->queue_ns >= 0);
            bound_ns += table->isolated_ns(table, i, cuts[i]) * table->task_count(table, i);
        }
        assert_true(result.total_ns >= bound_ns - 0.001);
        evaluator_free(evaluator);
        problem_free(problem);
    }
}

static void the_same_plan_gives_the_same_answer_to_the_last_bit(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct problem *problem;
        struct error error = {0};
        struct evaluator *evaluator = open_random(seed, &problem);
        uint32_t cuts[8] = {0}, others[8] = {0};
        for (uint32_t i = 0; i < problem->view.stream_count; i++)
            others[i] = problem->view.streams[i]->layer_count / 2;
        struct napm_evaluation first = {.size = sizeof(first)}, second = first, between = first;
        assert_int_equal(evaluator_predict(evaluator, &(struct placements){.cuts = cuts}, &first, &error), 0);
        assert_int_equal(evaluator_predict(evaluator, &(struct placements){.cuts = others}, &between, &error), 0);
        assert_int_equal(evaluator_predict(evaluator, &(struct placements){.cuts = cuts}, &second, &error), 0);
        assert_memory_equal(&first, &second, sizeof(first));
        evaluator_free(evaluator);
        problem_free(problem);
    }
}

/* Evaluates the plan of `cuts` with one change, in both ways. */
static void compare_change(const struct napm_problem *problem, const struct napm_evaluator *table,
                           struct napm_plan *plan, const uint32_t *cuts, uint32_t stream, uint32_t c,
                           uint32_t *given_up)
{
    struct napm_evaluation whole = {.size = sizeof(whole)}, change = whole, limited = whole;
    for (uint32_t i = 0; i < problem->stream_count; i++)
        napm_plan_set_cut(problem, plan, i, i == stream ? c : cuts[i]);
    assert_int_equal(table->evaluate(table, plan, &whole), NAPM_OK);
    napm_plan_set_cut(problem, plan, stream, cuts[stream]);
    assert_int_equal(table->evaluate_cut(table, plan, stream, c, INFINITY, &change), NAPM_OK);
    assert_memory_equal(&whole, &change, sizeof(whole));
    assert_int_equal(table->evaluate_cut(table, plan, stream, c, whole.total_ns, &limited), NAPM_OK);
    assert_memory_equal(&whole, &limited, sizeof(whole));
    assert_int_equal(table->evaluate_cut(table, plan, stream, c, whole.total_ns * 0.7, &limited), NAPM_OK);
    assert_true(limited.total_ns == INFINITY || limited.total_ns == whole.total_ns);
    assert_int_equal(limited.feasible, 1);
    *given_up += limited.total_ns == INFINITY;
}

static void a_change_of_one_cut_is_evaluated_as_the_whole_plan_or_given_up_above_the_limit(void **state)
{
    (void)state;
    uint32_t given_up = 0, tried = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct error error = {0};
        struct problem *problem = make_random_problem(seed, 4, 6, 20, seed % 2 ? "sjf" : "rr");
        struct evaluator *evaluator = evaluator_new(problem, catalogue, NULL, &error);
        const struct napm_evaluator *table = evaluator_table(evaluator);
        uint32_t cells[4][6], *rows[] = {cells[0], cells[1], cells[2], cells[3]}, cuts[4] = {0};
        struct napm_plan plan = {sizeof(plan), 4, rows};
        for (uint32_t i = 0; i < 4; i++)
            for (uint32_t c = 0; c <= problem->view.streams[i]->layer_count; c++, tried++)
                compare_change(&problem->view, table, &plan, cuts, i, c, &given_up);
        struct napm_evaluation result = {.size = sizeof(result)};
        assert_int_equal(table->evaluate_cut(table, &plan, 4, 0, INFINITY, &result), NAPM_ERR_INVALID);
        assert_int_equal(table->evaluate_cut(table, &plan, 0, 7, INFINITY, &result), NAPM_ERR_INVALID);
        evaluator_free(evaluator);
        problem_free(problem);
    }
    assert_true(given_up > tried / 2);
}

static void a_caller_of_an_older_size_gets_only_what_it_has_room_for(void **state)
{
    (void)state;
    struct problem *problem;
    struct error error = {0};
    struct evaluator *evaluator = open_random(1, &problem);
    uint32_t cuts[8] = {0};
    struct napm_evaluation result;
    memset(&result, 0x5a, sizeof(result));
    result.size = offsetof(struct napm_evaluation, variance_ns2);
    result.phases = NULL;
    assert_int_equal(evaluator_predict(evaluator, &(struct placements){.cuts = cuts}, &result, &error), 0);
    assert_int_equal(result.size, offsetof(struct napm_evaluation, variance_ns2));
    assert_true(result.mean_ns > 0);
    assert_int_equal(((const unsigned char *)&result.variance_ns2)[0], 0x5a);
    evaluator_free(evaluator);
    problem_free(problem);
}

/* ---- memory */

/* By c: weights 3, 2, 1 MB at the station (0, 1, 2, 3 on the device), 0.5 MB of activations on either side. */
static const struct scenario_cut memory_of_cuts[] = {{0, 0, 3000000, 500000},
                                                     {1000000, 500000, 2000000, 500000},
                                                     {2000000, 500000, 1000000, 500000},
                                                     {3000000, 500000, 0, 0}};

static struct evaluator *open_memory(uint64_t station_bytes, uint64_t device_bytes, uint32_t second_model,
                                     struct problem **problem)
{
    struct error error = {0};
    struct make_stream streams[] = {three_layers(), three_layers()};
    for (uint32_t i = 0; i < 2; i++) {
        streams[i].memory = memory_of_cuts;
        streams[i].device_memory_bytes = device_bytes;
        streams[i].model = i ? second_model : 0;
    }
    *problem =
        make_problem(&(struct make){.streams = streams, .stream_count = 2, .station_memory_bytes = station_bytes});
    struct evaluator *evaluator = evaluator_new(*problem, catalogue, NULL, &error);
    assert_non_null(evaluator);
    return evaluator;
}

static uint32_t overfull(uint64_t station_bytes, uint64_t device_bytes, uint32_t second_model, uint32_t first,
                         uint32_t second)
{
    struct problem *problem;
    uint64_t need;
    struct evaluator *evaluator = open_memory(station_bytes, device_bytes, second_model, &problem);
    uint32_t node =
        evaluator_find_overfull(evaluator, &(struct placements){.cuts = (uint32_t[]){first, second}}, &need);
    evaluator_free(evaluator);
    problem_free(problem);
    return node;
}

static void equal_cuts_of_a_model_hold_their_weights_once(void **state)
{
    (void)state;
    assert_int_equal(overfull(4000000, 0, 0, 0, 0), NAPM_NONE); /* 3 + 2 * 0.5 */
    assert_int_equal(overfull(3999999, 0, 0, 0, 0), 2);
    assert_int_equal(overfull(4000000, 0, 1, 0, 0), 2); /* of different models: 6 + 1 */
    assert_int_equal(overfull(4000000, 0, 0, 0, 2), 2); /* of different cuts: 3 + 1 + 1 */
    assert_int_equal(overfull(0, 2000000, 0, 1, 2), 1); /* the second device needs 2.5 MB */
    assert_int_equal(overfull(0, 2500000, 0, 1, 2), NAPM_NONE);
}

static void a_plan_that_does_not_fit_has_infinite_delays_and_is_no_error(void **state)
{
    (void)state;
    struct problem *problem;
    struct evaluator *evaluator = open_memory(3600000, 0, 1, &problem);
    const struct napm_evaluator *table = evaluator_table(evaluator);
    uint32_t rows[2][3] = {{2, 2, 2}, {2, 2, 2}}, *pointers[] = {rows[0], rows[1]};
    const struct napm_plan plan = {sizeof(plan), 2, pointers};
    struct napm_evaluation result = {.size = sizeof(result)};
    assert_int_equal(table->evaluate(table, &plan, &result), NAPM_OK);
    assert_int_equal(result.feasible, 0);
    assert_true(result.total_ns > 1e300);
    rows[0][0] = rows[0][1] = rows[0][2] = 0;
    assert_int_equal(table->evaluate(table, &plan, &result), NAPM_OK);
    assert_int_equal(result.feasible, 1);
    rows[0][0] = 2; /* no prefix */
    assert_int_equal(table->evaluate(table, &plan, &result), NAPM_ERR_INVALID);
    evaluator_free(evaluator);
    problem_free(problem);
}

/* ---- partitioners that break their contract */

static void plan_and_expect(const char *partitioner, const char *scheduler, enum error_kind kind,
                            const char *const *words)
{
    struct error error = {0};
    struct make_stream streams[] = {three_layers(), three_layers()};
    for (int i = 0; i < 2; i++) {
        streams[i].memory = memory_of_cuts;
        streams[i].device_memory_bytes = 2600000;
    }
    struct problem *problem =
        make_problem(&(struct make){.streams = streams, .stream_count = 2, .scheduler = scheduler});
    struct planner *planner = planner_new_on(problem, catalogue, NULL, &error);
    assert_non_null(planner);
    const struct plugin_choice choice = {.name = partitioner, .where = "test:1"};
    assert_null(planner_plan(planner, &choice, &error));
    assert_int_equal(error.kind, kind);
    for (; *words; words++)
        if (!strstr(error.text, *words))
            fail_msg("'%s' is not in: %s", *words, error.text);
    planner_free(planner);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void a_plan_that_is_none_is_reported_with_plugin_stream_and_layer(void **state)
{
    (void)state;
    plan_and_expect("node-out-of-range", NULL, ERROR_PLUGIN,
                    WORDS("node-out-of-range", "misbehaves", "layer 1", "stream 's1'", "node 3", "3 nodes"));
    plan_and_expect("foreign-device", NULL, ERROR_PLUGIN,
                    WORDS("foreign-device", "misbehaves", "layer 0", "stream 's0'", "'d1'", "'d0'", "'station'"));
    plan_and_expect("no-prefix", NULL, ERROR_PLUGIN,
                    WORDS("no-prefix", "misbehaves", "layer 1", "stream 's0'", "layer 0"));
    plan_and_expect("all-local", NULL, ERROR_PLUGIN, WORDS("all-local", "misbehaves", "'d0'", "3.34 MiB", "2.48 MiB"));
    plan_and_expect("odd-status", NULL, ERROR_PLUGIN, WORDS("odd-status", "misbehaves", "77"));
}

static void a_partitioner_that_fails_is_quoted(void **state)
{
    (void)state;
    plan_and_expect("refuses", NULL, ERROR_RUN, WORDS("refuses", "the moon is in the wrong place"));
    plan_and_expect("device-only", NULL, ERROR_INPUT,
                    WORDS("device-only", "infeasible", "'s0'", "'d0'", "3.3 MiB", "2.5 MiB", "more memory"));
    plan_and_expect("there-is-none", NULL, ERROR_INPUT, WORDS("test:1", "there-is-none"));
}

static void a_scheduler_that_breaks_its_contract_is_named_not_the_partitioner(void **state)
{
    (void)state;
    plan_and_expect("greedy-delay", "liar", ERROR_PLUGIN, WORDS("plugin liar", "misbehaves", "123456"));
}

static void a_load_generator_that_waits_for_nothing_is_named_with_its_stream(void **state)
{
    (void)state;
    struct error error = {0};
    struct make_stream streams[] = {three_layers(), three_layers()};
    streams[1].arrivals = "sulks";
    struct problem *problem = make_problem(&(struct make){.streams = streams, .stream_count = 2});
    struct planner *planner = planner_new_on(problem, catalogue, NULL, &error);
    assert_non_null(planner);
    const struct plugin_choice choice = {.name = "neurosurgeon"};
    assert_null(planner_plan(planner, &choice, &error));
    assert_int_equal(error.kind, ERROR_PLUGIN);
    assert_non_null(strstr(error.text, "stream 's1'"));
    assert_non_null(strstr(error.text, "plugin sulks"));
    planner_free(planner);
}

static void cancelling_ends_the_planning(void **state)
{
    (void)state;
    struct error error = {0};
    atomic_bool cancel = true;
    struct make_stream stream = three_layers();
    struct problem *problem = make_problem(&(struct make){.streams = &stream, .stream_count = 1});
    struct planner *planner = planner_new_on(problem, catalogue, &cancel, &error);
    const struct plugin_choice choice = {.name = "never-ends"};
    assert_null(planner_plan(planner, &choice, &error));
    assert_int_equal(error.kind, ERROR_CANCELLED);
    planner_free(planner);
}

static void given_cuts_are_predicted_and_checked(void **state)
{
    (void)state;
    struct error error = {0};
    struct make_stream stream = three_layers();
    struct problem *problem = make_problem(&(struct make){.streams = &stream, .stream_count = 1});
    struct planner *planner = planner_new_on(problem, catalogue, NULL, &error);
    assert_non_null(planner);
    assert_null(planner_evaluate(planner, (uint32_t[]){4}, "mine", &error));
    assert_non_null(strstr(error.text, "allowed is 0 to 3"));
    struct plan *plan = planner_evaluate(planner, (uint32_t[]){1}, "mine", &error);
    assert_non_null(plan);
    assert_string_equal(plan->partitioner, "mine");
    assert_int_equal(plan->cuts[0], 1);
    assert_int_equal(plan->cut_bytes[0], 20000);
    assert_ns(plan->predicted_mean_ns, 4e6 + 5e6);
    assert_ns(plan->predicted[0].remote_ns, 5e6);
    plan_free(plan);
    assert_true(planner_problem(planner)->streams[0]->interval_ns == 1000 * MS);
    planner_free(planner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_stream_alone_takes_what_the_formula_says_at_every_cut),
        cmocka_unit_test(the_isolated_delay_is_the_mean_of_a_stream_alone_also_with_jitter_and_loss),
        cmocka_unit_test(a_result_stays_or_goes_up_as_the_stream_says),
        cmocka_unit_test(a_busy_device_makes_its_tasks_wait_in_order),
        cmocka_unit_test(two_streams_of_one_device_share_it),
        cmocka_unit_test(a_closed_loop_starts_a_task_when_the_last_has_ended),
        cmocka_unit_test(warm_up_tasks_run_but_do_not_count),
        cmocka_unit_test(deadline_misses_are_a_share_of_the_tasks),
        cmocka_unit_test(a_task_over_a_relay_takes_what_the_formula_says),
        cmocka_unit_test(placements_on_the_way_are_read_as_cuts_and_others_are_none),
        cmocka_unit_test(energy_is_computing_and_sending_at_the_nodes_powers),
        cmocka_unit_test(the_objective_is_the_weighted_sum_that_the_scenario_asks_for),
        cmocka_unit_test(the_scheduler_decides_who_waits_at_the_station),
        cmocka_unit_test(two_workers_serve_two_jobs_at_once),
        cmocka_unit_test(links_of_one_medium_share_its_rate),
        cmocka_unit_test(no_stream_is_faster_than_in_isolation),
        cmocka_unit_test(the_same_plan_gives_the_same_answer_to_the_last_bit),
        cmocka_unit_test(a_change_of_one_cut_is_evaluated_as_the_whole_plan_or_given_up_above_the_limit),
        cmocka_unit_test(a_caller_of_an_older_size_gets_only_what_it_has_room_for),
        cmocka_unit_test(equal_cuts_of_a_model_hold_their_weights_once),
        cmocka_unit_test(a_plan_that_does_not_fit_has_infinite_delays_and_is_no_error),
        cmocka_unit_test(a_plan_that_is_none_is_reported_with_plugin_stream_and_layer),
        cmocka_unit_test(a_partitioner_that_fails_is_quoted),
        cmocka_unit_test(a_scheduler_that_breaks_its_contract_is_named_not_the_partitioner),
        cmocka_unit_test(a_load_generator_that_waits_for_nothing_is_named_with_its_stream),
        cmocka_unit_test(cancelling_ends_the_planning),
        cmocka_unit_test(given_cuts_are_predicted_and_checked),
    };
    catalogue = make_catalogue();
    int failed = cmocka_run_group_tests(tests, NULL, NULL) != 0;
    catalogue_close(catalogue);
    return failed;
}
