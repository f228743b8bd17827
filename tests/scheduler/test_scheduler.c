/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in schedulers, driven through the station: who runs when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/builtin_plugins.h"
#include "tests/scheduler/drive.h"

/* ---- cases made by hand */

static void fifo_runs_whole_jobs_in_order_of_arrival(void **state)
{
    (void)state;
    struct work works[] = {{.arrives_ns = 0, .layer_count = 2, .layer_ns = {50, 50}},
                           {.arrives_ns = 10, .layer_count = 1, .layer_ns = {30}},
                           {.arrives_ns = 20, .layer_count = 3, .layer_ns = {1, 1, 1}},
                           {.arrives_ns = 500, .layer_count = 1, .layer_ns = {7}}};
    const struct step expected[] = {{0, 0, 2, 0}, {1, 0, 1, 100}, {2, 0, 3, 130}, {3, 0, 1, 500}};
    run_with("fifo", NULL, 1, works, 4);
    assert_steps(expected, 4);
}

static void fifo_serves_two_workers(void **state)
{
    (void)state;
    struct work works[] = {{.arrives_ns = 0, .layer_count = 1, .layer_ns = {100}},
                           {.arrives_ns = 0, .layer_count = 1, .layer_ns = {10}},
                           {.arrives_ns = 0, .layer_count = 1, .layer_ns = {10}},
                           {.arrives_ns = 0, .layer_count = 1, .layer_ns = {100}}};
    const struct step expected[] = {{0, 0, 1, 0}, {1, 0, 1, 0}, {2, 0, 1, 10}, {3, 0, 1, 20}};
    run_with("fifo", NULL, 2, works, 4);
    assert_steps(expected, 4);
}

static void sjf_runs_the_shortest_that_has_arrived_and_does_not_interrupt(void **state)
{
    (void)state;
    struct work works[] = {{.arrives_ns = 0, .layer_count = 2, .layer_ns = {50, 50}},
                           {.arrives_ns = 10, .layer_count = 1, .layer_ns = {40}},
                           {.arrives_ns = 20, .layer_count = 3, .layer_ns = {10, 10, 10}},
                           {.arrives_ns = 105, .layer_count = 1, .layer_ns = {5}}};
    /* The first runs to 100 although shorter ones come; then 30 before 5 (not there yet at 100), 5, 40. */
    const struct step expected[] = {{0, 0, 2, 0}, {2, 0, 3, 100}, {3, 0, 1, 130}, {1, 0, 1, 135}};
    run_with("sjf", NULL, 1, works, 4);
    assert_steps(expected, 4);
}

static void sjf_breaks_ties_by_arrival(void **state)
{
    (void)state;
    struct work works[] = {{.arrives_ns = 0, .layer_count = 1, .layer_ns = {100}},
                           {.arrives_ns = 1, .layer_count = 1, .layer_ns = {9}},
                           {.arrives_ns = 2, .layer_count = 1, .layer_ns = {9}},
                           {.arrives_ns = 2, .layer_count = 1, .layer_ns = {9}},
                           {.arrives_ns = 3, .layer_count = 1, .layer_ns = {9}}};
    run_with("sjf", NULL, 1, works, 5);
    assert_int_equal(step_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(steps[i].work, i);
}

static void rr_takes_as_many_layers_as_fit_the_quantum_and_at_least_one(void **state)
{
    (void)state;
    struct work works[] = {{.arrives_ns = 0, .layer_count = 6, .layer_ns = {40, 60, 1, 250, 30, 30}},
                           {.arrives_ns = 0, .layer_count = 2, .layer_ns = {99, 2}},
                           {.arrives_ns = 50, .layer_count = 1, .layer_ns = {5}}};
    const struct step expected[] = {
        {0, 0, 2, 0}, /* 40 + 60 fill the quantum exactly */
        {1, 0, 1, 100}, /* 99; 2 more would not fit */
        {2, 0, 1, 199}, /* came at 50, before the first's return at 100, but after the second */
        {0, 2, 1, 204}, /* 1; 250 does not fit */
        {1, 1, 1, 205}, /* ends at 207 */
        {0, 3, 1, 207}, /* 250 is more than the quantum, and has its turn all the same */
        {0, 4, 2, 457},
    };
    run_with("rr", OPTIONS("quantum", "100ns"), 1, works, 3);
    assert_steps(expected, 7);
    assert_int_equal(works[0].slices, 4);
    assert_int_equal(works[1].ended_ns, 207);
}

static void rr_lets_equal_jobs_advance_side_by_side(void **state)
{
    (void)state;
    enum { JOBS = 5 };
    struct work works[JOBS];
    for (int i = 0; i < JOBS; i++) {
        works[i] = (struct work){.arrives_ns = 0, .layer_count = 8};
        for (int k = 0; k < 8; k++)
            works[i].layer_ns[k] = 1000;
    }
    run_with("rr", OPTIONS("quantum", "2us"), 1, works, JOBS);
    assert_int_equal(step_count, JOBS * 4);
    for (size_t i = 0; i < step_count; i++) {
        assert_int_equal(steps[i].work, i % JOBS);
        assert_int_equal(steps[i].layer_count, 2);
    }
}

static void rr_has_a_quantum_of_a_millisecond_unless_told_otherwise(void **state)
{
    (void)state;
    struct work works[] = {{.arrives_ns = 0, .layer_count = 4, .layer_ns = {500000, 500000, 500000, 500000}}};
    run_with("rr", NULL, 1, works, 1);
    assert_int_equal(step_count, 2);
    assert_int_equal(steps[0].layer_count, 2);
}

static void rr_refuses_a_quantum_of_nothing(void **state)
{
    (void)state;
    struct error error = {0};
    const char *const options[] = {"quantum", "0", NULL};
    assert_null(builtin_instance(plugins, NAPM_KIND_SCHEDULER, "rr", options, 1, &error));
    assert_non_null(strstr(error.text, "quantum"));
}

/* ---- random cases against plain models */

static double mean_waiting_of_order(const struct work *works, const size_t *order, size_t count)
{
    double waited = 0, now = 0;
    for (size_t i = 0; i < count; i++) {
        waited += now;
        now += (double)total_ns(&works[order[i]]);
    }
    return waited / (double)count;
}

/* The least mean waiting over all orders of order[from..count). */
static double best_mean_waiting(const struct work *works, size_t *order, size_t from, size_t count)
{
    if (from == count)
        return mean_waiting_of_order(works, order, count);
    double best = 1e300;
    for (size_t i = from; i < count; i++) {
        size_t swapped = order[from];
        order[from] = order[i];
        order[i] = swapped;
        double mean = best_mean_waiting(works, order, from + 1, count);
        best = mean < best ? mean : best;
        order[i] = order[from];
        order[from] = swapped;
    }
    return best;
}

static void sjf_has_the_least_mean_waiting_of_all_orders(void **state)
{
    (void)state;
    struct random random;
    struct instance *scheduler = open_scheduler("sjf", NULL);
    random_seed(&random, 3, "sjf");
    for (int round = 0; round < 100; round++) {
        struct work works[7];
        size_t order[] = {0, 1, 2, 3, 4, 5, 6};
        size_t count = random_works(&random, works, 7, 0);
        run(scheduler, 1, works, count);
        double waited = 0;
        for (size_t i = 0; i < count; i++)
            waited += (double)(works[i].ended_ns - total_ns(&works[i]));
        double best = best_mean_waiting(works, order, 0, count);
        assert_true(waited / (double)count - best < 1e-9);
    }
    instance_close(scheduler);
}

/* One worker, whole jobs; of those that have arrived the first by length (or not), then arrival, then number. */
static void plain_whole_jobs(struct work *works, size_t count, bool by_length)
{
    int64_t now_ns = 0;
    for (size_t i = 0; i < count; i++)
        works[i].ended_ns = -1;
    for (size_t done = 0; done < count; done++) {
        size_t chosen = count;
        for (size_t i = 0; i < count; i++) {
            if (works[i].ended_ns >= 0)
                continue;
            if (chosen == count && works[i].arrives_ns > now_ns) /* nobody is there: wait for this one */
                now_ns = works[i].arrives_ns;
            if (works[i].arrives_ns > now_ns)
                break;
            if (chosen == count || (by_length && total_ns(&works[i]) < total_ns(&works[chosen])))
                chosen = i;
        }
        now_ns += total_ns(&works[chosen]);
        works[chosen].ended_ns = now_ns;
    }
}

/* One worker, turns; a list of jobs in order, its head is served. */
static void plain_turns(struct work *works, size_t count, int64_t quantum_ns)
{
    size_t list[MOST_JOBS * MOST_LAYERS + MOST_JOBS], head = 0, tail = 0, arrived = 0;
    uint32_t done[MOST_JOBS] = {0};
    int64_t now_ns = 0;
    for (size_t ended = 0; ended < count;) {
        if (head == tail && now_ns < works[arrived].arrives_ns)
            now_ns = works[arrived].arrives_ns;
        for (; arrived < count && works[arrived].arrives_ns <= now_ns; arrived++)
            list[tail++] = arrived;
        size_t job = list[head++];
        int64_t used_ns = 0;
        do
            used_ns += works[job].layer_ns[done[job]++];
        while (done[job] < works[job].layer_count && used_ns + works[job].layer_ns[done[job]] <= quantum_ns);
        now_ns += used_ns;
        /* Those that came during the turn are ahead of it; the station tells of an end before an arrival at that time. */
        for (; arrived < count && works[arrived].arrives_ns < now_ns; arrived++)
            list[tail++] = arrived;
        if (done[job] < works[job].layer_count) {
            list[tail++] = job;
        } else {
            works[job].ended_ns = now_ns;
            ended++;
        }
    }
}

static void assert_same_ends(const struct work *works, const struct work *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(works[i].ended_ns, expected[i].ended_ns);
}

static void each_agrees_with_a_plain_model_on_random_arrivals(void **state)
{
    (void)state;
    struct random random;
    struct instance *fifo = open_scheduler("fifo", NULL), *sjf = open_scheduler("sjf", NULL);
    struct instance *rr = open_with_quantum("rr", "120ns");
    random_seed(&random, 4, "plain");
    for (int round = 0; round < 300; round++) {
        struct work works[MOST_JOBS], expected[MOST_JOBS];
        size_t count = random_works(&random, works, MOST_JOBS, below(&random, 400));
        memcpy(expected, works, sizeof(works));
        run(fifo, 1, works, count);
        plain_whole_jobs(expected, count, false);
        assert_same_ends(works, expected, count);
        run(sjf, 1, works, count);
        plain_whole_jobs(expected, count, true);
        assert_same_ends(works, expected, count);
        run(rr, 1, works, count);
        plain_turns(expected, count, 120);
        assert_same_ends(works, expected, count);
    }
    instance_close(fifo);
    instance_close(sjf);
    instance_close(rr);
}

static const struct {
    const char *name, *quantum;
} all_schedulers[] = {{"fifo", NULL},   {"sjf", NULL},       {"rr", "150ns"}, {"srpt", NULL}, {"srpt", "0ns"},
                      {"edf", "100ns"}, {"priority", "0ns"}, {"wfq", NULL},   {"wfq", "50ns"}};
#define SCHEDULERS (sizeof(all_schedulers) / sizeof(all_schedulers[0]))

static void all_jobs_finish_whatever_the_number_of_workers(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 6, "workers");
    for (size_t s = 0; s < SCHEDULERS; s++) {
        struct instance *scheduler = open_with_quantum(all_schedulers[s].name, all_schedulers[s].quantum);
        for (int round = 0; round < 100; round++) {
            struct work works[MOST_JOBS];
            size_t count = random_works(&random, works, MOST_JOBS, 100);
            run(scheduler, 1 + (uint32_t)below(&random, MOST_WORKERS), works, count); /* run() checks the ends */
            uint32_t layers = 0;
            for (size_t i = 0; i < count; i++)
                layers += works[i].layer_count;
            for (size_t i = 0; i < step_count; i++)
                layers -= steps[i].layer_count;
            assert_int_equal(layers, 0); /* each layer ran once */
        }
        instance_close(scheduler);
    }
}

/* ---- cancelling */

static void ignore_end(void *context, const struct station_end *end)
{
    (void)end;
    ++*(int *)context;
}

static void cancelled_jobs_are_never_picked_again(void **state)
{
    (void)state;
    static const int64_t layer_ns[] = {100, 100};
    for (size_t s = 0; s < SCHEDULERS; s++) {
        struct instance *scheduler = open_with_quantum(all_schedulers[s].name, all_schedulers[s].quantum);
        struct station *station = station_new(scheduler, 1);
        struct station_slice slice;
        struct station_end end;
        struct error error;
        int cancelled = 0, finished = 0;
        for (int round = 0; round < 3; round++) { /* nodes and places of cancelled jobs are used again */
            for (uint64_t task = 0; task < 30; task++) {
                uint64_t id;
                struct station_job job = {.stream = (uint32_t)(task % 3),
                                          .task = task,
                                          .deadline_ns = INT64_MAX,
                                          .layer_count = 2,
                                          .layer_ns = layer_ns};
                assert_int_equal(station_arrive(station, &job, round, &id, &error), 0);
            }
            assert_int_equal(station_dispatch(station, round, &slice, &error), 1); /* of stream 0: it runs on */
            station_cancel_stream(station, 0, round, ignore_end, &cancelled);
            station_cancel_stream(station, 2, round, ignore_end, &cancelled);
            do {
                int status = station_slice_done(station, slice.job, round, &end, &error);
                assert_true(status >= 0);
                if (status == 1 && !end.cancelled) {
                    assert_int_equal(end.stream, 1);
                    finished++;
                }
            } while (station_dispatch(station, round, &slice, &error) == 1);
            assert_int_equal(station_jobs(station), 0);
        }
        assert_int_equal(cancelled, 3 * 19);
        assert_int_equal(finished, 3 * 10);
        station_free(station);
        instance_close(scheduler);
    }
}

static void jobs_left_at_the_end_are_given_back(void **state)
{
    (void)state;
    static const int64_t layer_ns[] = {100};
    for (size_t s = 0; s < SCHEDULERS; s++) {
        struct instance *scheduler = open_with_quantum(all_schedulers[s].name, all_schedulers[s].quantum);
        struct station *station = station_new(scheduler, 1);
        struct station_slice slice;
        struct error error;
        for (int plan = 0; plan < 3; plan++) {
            uint64_t id;
            struct station_job job = {.layer_count = 1, .layer_ns = layer_ns, .deadline_ns = INT64_MAX};
            for (int i = 0; i < 100; i++)
                assert_int_equal(station_arrive(station, &job, 0, &id, &error), 0);
            assert_int_equal(station_dispatch(station, 0, &slice, &error), 1);
            assert_int_equal(slice.job, 1);
            if (plan < 2)
                station_reset(station, 0);
        }
        station_free(station);
        instance_close(scheduler);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifo_runs_whole_jobs_in_order_of_arrival),
        cmocka_unit_test(fifo_serves_two_workers),
        cmocka_unit_test(sjf_runs_the_shortest_that_has_arrived_and_does_not_interrupt),
        cmocka_unit_test(sjf_breaks_ties_by_arrival),
        cmocka_unit_test(rr_takes_as_many_layers_as_fit_the_quantum_and_at_least_one),
        cmocka_unit_test(rr_lets_equal_jobs_advance_side_by_side),
        cmocka_unit_test(rr_has_a_quantum_of_a_millisecond_unless_told_otherwise),
        cmocka_unit_test(rr_refuses_a_quantum_of_nothing),
        cmocka_unit_test(sjf_has_the_least_mean_waiting_of_all_orders),
        cmocka_unit_test(each_agrees_with_a_plain_model_on_random_arrivals),
        cmocka_unit_test(all_jobs_finish_whatever_the_number_of_workers),
        cmocka_unit_test(cancelled_jobs_are_never_picked_again),
        cmocka_unit_test(jobs_left_at_the_end_are_given_back),
    };
    return cmocka_run_group_tests(tests, open_catalogue, close_catalogue) != 0;
}
