/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast plans are evaluated and found: evaluations a second of the delay evaluator, and the partitioners' time, for
 * several numbers of devices and layers. `bench_planner [SECONDS]`: the longest that one search may take; a longer one
 * is stopped and said to be.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/planner/evaluator.h"
#include "tests/planner/make_problem.h"

#define EVALUATING_NS (300 * NS_PER_MS)
#define TASKS 40

static const struct {
    uint32_t devices, layers;
} sizes[] = {{3, 11}, {12, 11}, {12, 50}, {30, 30}, {100, 11}, {100, 50}};

static struct catalogue *catalogue;

static void give_up(const struct error *error)
{
    fprintf(stderr, "bench_planner: %s\n", error->text);
    exit(1);
}

/* ---- evaluations */

static void time_evaluations(uint32_t devices, uint32_t layers, const char *scheduler)
{
    struct error error = {0};
    struct problem *problem = make_random_problem(1, devices, layers, TASKS, scheduler);
    struct evaluator *evaluator = evaluator_new(problem, catalogue, NULL, &error);
    if (!evaluator)
        give_up(&error);
    const struct napm_evaluator *table = evaluator_table(evaluator);
    uint32_t **rows = NEW_ARRAY(uint32_t *, devices), count = 0;
    for (uint32_t i = 0; i < devices; i++)
        rows[i] = NEW_ARRAY(uint32_t, layers);
    struct napm_plan plan = {sizeof(plan), devices, rows};
    struct napm_evaluation result = {.size = sizeof(result)};
    for (uint32_t i = 0; i < devices; i++)
        napm_plan_set_cut(&problem->view, &plan, i, i % 3);
    int64_t began_ns = clock_now_ns(), took_ns = 0;
    for (; took_ns < EVALUATING_NS; count++, took_ns = clock_now_ns() - began_ns) {
        napm_plan_set_cut(&problem->view, &plan, count % devices, count % 4);
        table->evaluate(table, &plan, &result);
    }
    printf("%7u  %6u  %-9s  %5u  %13.0f  %8.1f\n", devices, layers, scheduler, result.task_count,
           count * 1e9 / (double)took_ns, (double)took_ns / count / result.task_count);
    for (uint32_t i = 0; i < devices; i++)
        free(rows[i]);
    free(rows);
    evaluator_free(evaluator);
    problem_free(problem);
}

/* ---- partitioners */

struct alarm {
    atomic_bool cancel, done;
    int64_t at_ns;
};

static void *ring(void *argument)
{
    struct alarm *alarm = argument;
    while (!atomic_load(&alarm->done) && clock_now_ns() < alarm->at_ns)
        clock_sleep_until_ns(clock_now_ns() + 5 * NS_PER_MS);
    atomic_store(&alarm->cancel, true);
    return NULL;
}

static void time_partitioner(uint32_t devices, uint32_t layers, const char *name, double most_s)
{
    struct error error = {0};
    struct alarm alarm = {.at_ns = clock_now_ns() + (int64_t)(most_s * 1e9)};
    struct problem *problem = make_random_problem(1, devices, layers, TASKS, "sjf");
    struct planner *planner = planner_new_on(problem, catalogue, &alarm.cancel, &error);
    if (!planner)
        give_up(&error);
    pthread_t thread;
    if (pthread_create(&thread, NULL, ring, &alarm) != 0)
        exit(1);
    const struct plugin_choice choice = {.name = name};
    struct plan *plan = planner_plan(planner, &choice, &error);
    atomic_store(&alarm.done, true);
    pthread_join(thread, NULL);
    if (plan)
        printf("%7u  %6u  %-16s  %10.3f  %12.3f\n", devices, layers, name, (double)plan->planning_ns / 1e6,
               plan->predicted_mean_ns / 1e6);
    else if (error.kind == ERROR_CANCELLED)
        printf("%7u  %6u  %-16s  %10s\n", devices, layers, name, "stopped");
    else
        give_up(&error);
    fflush(stdout);
    plan_free(plan);
    planner_free(planner);
}

int main(int count, char **words)
{
    static const char *const schedulers[] = {"fifo", "sjf", "rr"};
    static const char *const partitioners[] = {"neurosurgeon", "greedy-delay", "greedy-variance"};
    double most_s = count > 1 ? atof(words[1]) : 3;
    catalogue = make_catalogue();
    printf("devices  layers  scheduler  tasks  evaluations/s  ns/task\n");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (size_t k = 0; k < 3; k++)
            time_evaluations(sizes[i].devices, sizes[i].layers, schedulers[k]);
    printf("\ndevices  layers  partitioner       planning/ms  mean delay/ms\n");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (size_t k = 0; k < 3; k++)
            time_partitioner(sizes[i].devices, sizes[i].layers, partitioners[k], most_s);
    catalogue_close(catalogue);
    return 0;
}
