/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in schedulers that preempt at layer borders, by schedules made by hand and by what each promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/builtin_plugins.h"
#include "tests/scheduler/drive.h"

#define ONE_LAYER OPTIONS("quantum", "0ns")
#define ROUNDS 200

/* ---- schedules made by hand */

static void srpt_preempts_for_a_job_with_less_left(void **state)
{
    (void)state;
    struct work works[] = {{.arrives_ns = 0, .layer_count = 4, .layer_ns = {10, 10, 10, 10}},
                           {.arrives_ns = 5, .layer_count = 2, .layer_ns = {5, 5}},
                           {.arrives_ns = 12, .layer_count = 1, .layer_ns = {30}}};
    const struct step expected[] = {
        {0, 0, 1, 0},  {1, 0, 1, 10}, /* 10 are left of it, 30 of the first */
        {1, 1, 1, 15}, {0, 1, 1, 20}, /* 30 against 30: the first came first */
        {0, 2, 1, 30}, {0, 3, 1, 40}, {2, 0, 1, 50},
    };
    run_with("srpt", ONE_LAYER, 1, works, 3);
    assert_steps(expected, 7);
}

static void edf_runs_by_deadline_and_jobs_without_one_last(void **state)
{
    (void)state;
    struct work works[] = {{.arrives_ns = 0, .layer_count = 2, .layer_ns = {10, 10}},
                           {.arrives_ns = 0, .layer_count = 2, .layer_ns = {20, 20}, .deadline_ns = 100},
                           {.arrives_ns = 5, .layer_count = 1, .layer_ns = {10}, .deadline_ns = 40}};
    const struct step expected[] = {{1, 0, 1, 0}, {2, 0, 1, 20}, {1, 1, 1, 30}, {0, 0, 1, 50}, {0, 1, 1, 60}};
    run_with("edf", ONE_LAYER, 1, works, 3);
    assert_steps(expected, 5);
}

static void priority_runs_the_most_urgent_and_among_equals_the_first(void **state)
{
    (void)state;
    struct work works[] = {{.arrives_ns = 0, .layer_count = 2, .layer_ns = {10, 10}},
                           {.arrives_ns = 3, .layer_count = 1, .layer_ns = {10}, .priority = 2},
                           {.arrives_ns = 4, .layer_count = 1, .layer_ns = {10}, .priority = 1},
                           {.arrives_ns = 5, .layer_count = 1, .layer_ns = {10}, .priority = 2},
                           {.arrives_ns = 6, .layer_count = 1, .layer_ns = {10}, .priority = -1}};
    const struct step expected[] = {{0, 0, 1, 0},  {1, 0, 1, 10}, {3, 0, 1, 20},
                                    {2, 0, 1, 30}, {0, 1, 1, 40}, {4, 0, 1, 50}};
    run_with("priority", ONE_LAYER, 1, works, 5);
    assert_steps(expected, 6);
}

/* An idle job among urgent ones that fill the worker from 0 on: when does it end? */
static int64_t end_of_the_patient(const char *aging)
{
    enum { URGENT = 20 };
    struct work works[URGENT + 1];
    for (int i = 0; i < URGENT; i++)
        works[i + (i > 0)] = (struct work){.arrives_ns = 10 * i, .layer_count = 1, .layer_ns = {10}, .priority = 2};
    works[1] = (struct work){.arrives_ns = 1, .layer_count = 1, .layer_ns = {10}};
    run_with("priority", OPTIONS("aging", aging), 1, works, URGENT + 1);
    return works[1].ended_ns;
}

static void priority_lets_nothing_wait_for_ever_where_jobs_age(void **state)
{
    (void)state;
    assert_int_equal(end_of_the_patient("0ns"), 210); /* behind all of them */
    assert_int_equal(end_of_the_patient("25ns"), 70); /* two steps are 50: behind those that came until 50 */
    assert_int_equal(end_of_the_patient("1ns"), 20);
}

static void wfq_divides_the_worker_by_weight(void **state)
{
    (void)state;
    struct work works[2];
    for (uint32_t i = 0; i < 2; i++) {
        works[i] = (struct work){.stream = i, .layer_count = 8, .weight = i ? 3 : 1};
        for (uint32_t k = 0; k < 8; k++)
            works[i].layer_ns[k] = 30;
    }
    /* Start tags 0 30 60 ... against 0 10 20 ...; of equal ones the first job's is first. */
    static const size_t expected[] = {0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0};
    run_with("wfq", ONE_LAYER, 1, works, 2);
    assert_int_equal(step_count, 16);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(steps[i].work, expected[i]);
}

static void wfq_gives_no_credit_for_time_without_work(void **state)
{
    (void)state;
    struct work works[] = {
        {.arrives_ns = 0, .stream = 0, .layer_count = 8, .layer_ns = {10, 10, 10, 10, 10, 10, 10, 10}},
        {.arrives_ns = 40, .stream = 1, .layer_count = 4, .layer_ns = {10, 10, 10, 10}}};
    /* At 40 the virtual time is 30: one turn more for the one that comes, then they alternate. */
    static const size_t expected[] = {0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0};
    run_with("wfq", ONE_LAYER, 1, works, 2);
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(steps[i].work, expected[i]);
}

static void wfq_forgets_who_worked_in_an_earlier_busy_period(void **state)
{
    (void)state;
    struct work works[] = {{.arrives_ns = 0, .stream = 0, .layer_count = 2, .layer_ns = {100, 100}},
                           {.arrives_ns = 500, .stream = 1, .layer_count = 2, .layer_ns = {10, 10}},
                           {.arrives_ns = 500, .stream = 0, .layer_count = 2, .layer_ns = {10, 10}}};
    static const size_t expected[] = {0, 0, 1, 2, 1, 2};
    run_with("wfq", ONE_LAYER, 1, works, 3);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(steps[i].work, expected[i]);
}

static void wfq_runs_the_jobs_of_one_stream_in_order(void **state)
{
    (void)state;
    struct work works[] = {{.arrives_ns = 0, .layer_count = 3, .layer_ns = {10, 10, 10}},
                           {.arrives_ns = 1, .layer_count = 1, .layer_ns = {1}},
                           {.arrives_ns = 2, .layer_count = 2, .layer_ns = {1, 1}}};
    static const size_t expected[] = {0, 0, 0, 1, 2, 2};
    run_with("wfq", ONE_LAYER, 1, works, 3);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(steps[i].work, expected[i]);
}

static void a_quantum_keeps_layers_together(void **state)
{
    (void)state;
    static const char *const names[] = {"srpt", "edf", "priority", "wfq"};
    for (size_t s = 0; s < sizeof(names) / sizeof(names[0]); s++) {
        struct work works[] = {{.layer_count = 5, .layer_ns = {40, 60, 1, 250, 30}}};
        const struct step expected[] = {{0, 0, 2, 0}, {0, 2, 1, 100}, {0, 3, 1, 101}, {0, 4, 1, 351}};
        run_with(names[s], OPTIONS("quantum", "100ns"), 1, works, 1);
        assert_steps(expected, 4);
    }
}

/* ---- against a plain model */

static int64_t left_ns(const struct work *work, uint32_t done)
{
    int64_t left = 0;
    for (uint32_t k = done; k < work->layer_count; k++)
        left += work->layer_ns[k];
    return left;
}

static int64_t deadline_rank(const struct work *work, uint32_t done)
{
    (void)done;
    return work->deadline_ns ? work->deadline_ns : INT64_MAX;
}

static int64_t priority_rank(const struct work *work, uint32_t done)
{
    (void)done;
    return -work->priority;
}

static int64_t aged_rank(const struct work *work, uint32_t done)
{
    (void)done;
    return work->arrives_ns - (int64_t)work->priority * 70;
}

/* One worker, layer by layer; of those that have arrived the one of least rank, then arrival, then number. */
static void plain_ranks(struct work *works, size_t count, int64_t (*rank)(const struct work *work, uint32_t done))
{
    uint32_t done[MOST_JOBS] = {0};
    int64_t now_ns = 0;
    for (size_t ended = 0; ended < count;) {
        size_t chosen = count;
        for (size_t i = 0; i < count; i++) {
            if (done[i] == works[i].layer_count)
                continue;
            if (chosen == count && works[i].arrives_ns > now_ns)
                now_ns = works[i].arrives_ns;
            if (works[i].arrives_ns <= now_ns &&
                (chosen == count || rank(&works[i], done[i]) < rank(&works[chosen], done[chosen])))
                chosen = i;
        }
        now_ns += works[chosen].layer_ns[done[chosen]++];
        if (done[chosen] == works[chosen].layer_count) {
            works[chosen].ended_ns = now_ns;
            ended++;
        }
    }
}

static void each_agrees_with_a_plain_model_on_random_arrivals(void **state)
{
    (void)state;
    static const struct {
        const char *name, *aging;
        int64_t (*rank)(const struct work *work, uint32_t done);
    } cases[] = {{"srpt", NULL, left_ns},
                 {"edf", NULL, deadline_rank},
                 {"priority", NULL, priority_rank},
                 {"priority", "70ns", aged_rank}};
    struct random random;
    random_seed(&random, 4, "plain");
    for (size_t s = 0; s < sizeof(cases) / sizeof(cases[0]); s++) {
        const char *const options[] = {"quantum", "0ns", cases[s].aging ? "aging" : NULL, cases[s].aging, NULL};
        struct instance *scheduler = open_scheduler(cases[s].name, options);
        for (int round = 0; round < ROUNDS; round++) {
            struct work works[MOST_JOBS], expected[MOST_JOBS];
            size_t count = random_works(&random, works, MOST_JOBS, below(&random, 400));
            for (size_t i = 0; i < count; i++) {
                works[i].deadline_ns = below(&random, 3) ? works[i].arrives_ns + (int64_t)below(&random, 5000) : 0;
                works[i].priority = (int32_t)below(&random, 5) - 2;
            }
            memcpy(expected, works, sizeof(works));
            run(scheduler, 1, works, count);
            plain_ranks(expected, count, cases[s].rank);
            for (size_t i = 0; i < count; i++)
                assert_int_equal(works[i].ended_ns, expected[i].ended_ns);
        }
        instance_close(scheduler);
    }
}

/* ---- promises */

/* Layers and arrivals on a grid, where preemption at layer borders is preemption at any time that matters. */
static size_t grid_works(struct random *random, struct work *works)
{
    size_t count = random_works(random, works, MOST_JOBS, 0);
    int64_t at_ns = 0;
    for (size_t i = 0; i < count; i++) {
        works[i].arrives_ns = at_ns += 10 * (int64_t)below(random, 10);
        works[i].weight = 1 + (double)below(random, 4);
        works[i].priority = (int32_t)below(random, 3);
        for (uint32_t k = 0; k < works[i].layer_count; k++)
            works[i].layer_ns[k] = 10;
    }
    return count;
}

static int64_t sum_of_delays(struct instance *scheduler, const struct work *works, size_t count)
{
    struct work mine[MOST_JOBS];
    int64_t sum = 0;
    memcpy(mine, works, sizeof(mine));
    run(scheduler, 1, mine, count);
    for (size_t i = 0; i < count; i++)
        sum += mine[i].ended_ns - mine[i].arrives_ns;
    return sum;
}

static void no_scheduler_has_a_lower_mean_delay_than_srpt(void **state)
{
    (void)state;
    static const char *const names[] = {"fifo", "sjf", "rr", "edf", "priority", "wfq"};
    enum { OTHERS = sizeof(names) / sizeof(names[0]) };
    struct instance *srpt = open_scheduler("srpt", ONE_LAYER), *others[OTHERS];
    struct random random;
    int64_t sums[OTHERS] = {0}, least = 0;
    random_seed(&random, 8, "srpt");
    for (size_t s = 0; s < OTHERS; s++)
        others[s] = open_scheduler(names[s], s < 2 ? NULL : OPTIONS("quantum", "1ns"));
    for (int round = 0; round < ROUNDS; round++) {
        struct work works[MOST_JOBS];
        size_t count = grid_works(&random, works);
        int64_t sum = sum_of_delays(srpt, works, count);
        least += sum;
        for (size_t s = 0; s < OTHERS; s++) {
            int64_t other = sum_of_delays(others[s], works, count);
            assert_true(sum <= other);
            sums[s] += other;
        }
    }
    for (size_t s = 0; s < OTHERS; s++) {
        assert_true(least < sums[s]); /* else the cases are too easy to tell anything */
        instance_close(others[s]);
    }
    instance_close(srpt);
}

static void edf_meets_all_deadlines_that_any_order_meets(void **state)
{
    (void)state;
    struct instance *edf = open_scheduler("edf", ONE_LAYER), *fifo = open_scheduler("fifo", NULL);
    struct instance *orders[] = {open_scheduler("rr", OPTIONS("quantum", "10ns")),
                                 open_scheduler("priority", ONE_LAYER), open_scheduler("wfq", ONE_LAYER)};
    struct random random;
    int missed_by_fifo = 0;
    random_seed(&random, 9, "edf");
    for (int round = 0; round < ROUNDS; round++) {
        struct work works[MOST_JOBS];
        size_t count = grid_works(&random, works);
        run(orders[round % 3], 1, works, count);
        for (size_t i = 0; i < count; i++)
            works[i].deadline_ns = works[i].ended_ns + 10 * (int64_t)below(&random, 3);
        run(edf, 1, works, count);
        for (size_t i = 0; i < count; i++)
            assert_true(works[i].ended_ns <= works[i].deadline_ns);
        run(fifo, 1, works, count);
        for (size_t i = 0; i < count; i++)
            missed_by_fifo += works[i].ended_ns > works[i].deadline_ns;
    }
    assert_true(missed_by_fifo > ROUNDS);
    for (size_t s = 0; s < 3; s++)
        instance_close(orders[s]);
    instance_close(edf);
    instance_close(fifo);
}

/* How far two streams' shares, divided by their weights, drift apart while both have work. All jobs came at 0. */
static double drift(const struct work *works, const double *weights, uint32_t a, uint32_t b, int64_t until_ns)
{
    double lead = 0, least = 0, most = 0;
    for (size_t i = 0; i < step_count && steps[i].start_ns < until_ns; i++) {
        const struct work *work = &works[steps[i].work];
        double got = 0;
        for (uint32_t k = 0; k < steps[i].layer_count; k++)
            got += (double)work->layer_ns[steps[i].first_layer + k];
        lead += work->stream == a ? got / weights[a] : work->stream == b ? -got / weights[b] : 0;
        least = lead < least ? lead : least;
        most = lead > most ? lead : most;
    }
    return most - least;
}

static void wfq_keeps_shares_within_its_bound(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 10, "wfq");
    for (int round = 0; round < ROUNDS; round++) {
        static const char *const quanta[] = {"0ns", "50us", "150us"};
        static const double greatest_turn_ns[] = {100000, 100000, 150000}; /* layers have 100 us at most */
        double weights[5];
        int64_t ends_ns[5] = {0};
        struct work works[MOST_JOBS];
        size_t count = random_works(&random, works, MOST_JOBS, 0);
        for (size_t s = 0; s < 5; s++)
            weights[s] = 0.25 + (double)below(&random, 40) / 8;
        for (size_t i = 0; i < count; i++) {
            works[i].weight = weights[works[i].stream];
            for (uint32_t k = 0; k < works[i].layer_count; k++)
                works[i].layer_ns[k] *= 1000; /* tags are whole nanoseconds */
        }
        run_with("wfq", OPTIONS("quantum", quanta[round % 3]), 1, works, count);
        for (size_t i = 0; i < count; i++)
            if (works[i].ended_ns > ends_ns[works[i].stream])
                ends_ns[works[i].stream] = works[i].ended_ns;
        for (uint32_t a = 0; a < 5; a++)
            for (uint32_t b = 0; b < a; b++) {
                double bound = greatest_turn_ns[round % 3] * (1 / weights[a] + 1 / weights[b]);
                int64_t both_ns = ends_ns[a] < ends_ns[b] ? ends_ns[a] : ends_ns[b];
                assert_true(drift(works, weights, a, b, both_ns) <= bound + (double)step_count);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(srpt_preempts_for_a_job_with_less_left),
        cmocka_unit_test(edf_runs_by_deadline_and_jobs_without_one_last),
        cmocka_unit_test(priority_runs_the_most_urgent_and_among_equals_the_first),
        cmocka_unit_test(priority_lets_nothing_wait_for_ever_where_jobs_age),
        cmocka_unit_test(wfq_divides_the_worker_by_weight),
        cmocka_unit_test(wfq_gives_no_credit_for_time_without_work),
        cmocka_unit_test(wfq_forgets_who_worked_in_an_earlier_busy_period),
        cmocka_unit_test(wfq_runs_the_jobs_of_one_stream_in_order),
        cmocka_unit_test(a_quantum_keeps_layers_together),
        cmocka_unit_test(each_agrees_with_a_plain_model_on_random_arrivals),
        cmocka_unit_test(no_scheduler_has_a_lower_mean_delay_than_srpt),
        cmocka_unit_test(edf_meets_all_deadlines_that_any_order_meets),
        cmocka_unit_test(wfq_keeps_shares_within_its_bound),
    };
    return cmocka_run_group_tests(tests, open_catalogue, close_catalogue) != 0;
}
