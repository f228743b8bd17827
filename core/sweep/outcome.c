/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of a sweep's combinations, read from the runs of its points. */
#include "core/sweep/outcome.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/stats.h"
#include "core/ledger/query.h"

const struct outcome_metric_kind outcome_metric_kinds[OUTCOME_METRICS] = {
    [OUTCOME_MEAN_DELAY] = {"mean_delay", "mean_delay_ns", "mean delay"},
    [OUTCOME_MEDIAN_DELAY] = {"median_delay", "median_delay_ns", "median delay"},
    [OUTCOME_P99_DELAY] = {"p99_delay", "p99_delay_ns", "p99 delay"},
    [OUTCOME_MAXIMUM_DELAY] = {"maximum_delay", "maximum_delay_ns", "greatest delay"},
    [OUTCOME_DEVIATION] = {"deviation", "deviation_ns", "standard deviation"},
    [OUTCOME_MISSES] = {"deadline_misses", "deadline_misses", "deadline misses", .is_share = true},
    [OUTCOME_LOST] = {"lost_tasks", "lost_tasks", "lost tasks", .is_share = true},
    [OUTCOME_ENERGY] = {"energy_per_task", "energy_per_task_j", "energy a task", .is_energy = true},
};

/* One combination's repetitions while they are read. */
struct gathering {
    struct outcome *outcome;
    double *means; /* of each run */
};

static double misses_of(const struct run_summary *run)
{
    uint64_t misses = 0;
    for (size_t i = 0; i < run->stream_count; i++)
        misses += run->streams[i].deadline_misses;
    return (double)misses / (double)run->head.ok;
}

static void add_metrics(struct gathering *it, const struct run_summary *run)
{
    const struct delay_summary *delay = &run->delay;
    uint64_t lost = run->head.failed + run->head.unfinished;
    const double metrics[OUTCOME_METRICS] = {
        [OUTCOME_MEAN_DELAY] = delay->mean_ns,
        [OUTCOME_MEDIAN_DELAY] = delay->median_ns,
        [OUTCOME_P99_DELAY] = delay->p99_ns,
        [OUTCOME_MAXIMUM_DELAY] = delay->maximum_ns,
        [OUTCOME_DEVIATION] = sqrt(delay->variance_ns2),
        [OUTCOME_MISSES] = misses_of(run),
        [OUTCOME_LOST] = (double)lost / (double)(lost + run->head.ok),
        [OUTCOME_ENERGY] = run->energy_j,
    };
    it->means[it->outcome->runs++] = delay->mean_ns;
    for (int i = 0; i < OUTCOME_METRICS; i++)
        it->outcome->metrics[i] += metrics[i];
}

static int add_run(struct gathering *it, struct ledger *ledger, int64_t number, struct error *error)
{
    struct run_summary *run = query_run(ledger, number, error);
    if (!run)
        return -1;
    struct outcome *outcome = it->outcome;
    if (!outcome->partitioner) {
        outcome->partitioner = query_plugin_name(run->head.partitioner);
        outcome->scheduler = query_plugin_name(run->head.scheduler);
    }
    outcome->tasks += run->head.ok;
    outcome->lost += run->head.failed + run->head.unfinished;
    if (run->head.ok > 0)
        add_metrics(it, run);
    query_run_free(run);
    return 0;
}

static int read_combination(struct ledger *ledger, const struct point_row *points, size_t count,
                            struct outcome *outcome, struct error *error)
{
    *outcome = (struct outcome){.label = text_copy(points[0].label),
                                .scenario_path = text_copy(points[0].scenario_path),
                                .first_point = points[0].point};
    struct gathering it = {outcome, NEW_ARRAY(double, count)};
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        outcome->failed += points[i].state == POINT_FAILED;
        if (points[i].state == POINT_FAILED && !outcome->cause)
            outcome->cause = text_copy(points[i].cause ? points[i].cause : "no cause was noted");
        if (points[i].state == POINT_DONE)
            result = add_run(&it, ledger, points[i].run, error);
    }
    for (int i = 0; i < OUTCOME_METRICS; i++)
        outcome->metrics[i] = outcome->runs ? outcome->metrics[i] / (double)outcome->runs : NAN;
    outcome->mean_delay_reach_ns = stats_mean_reach95(it.means, outcome->runs);
    free(it.means);
    return result;
}

/* Where the repetitions of the combination that begins at `first` end. */
static size_t end_of_combination(const struct point_row *points, size_t count, size_t first)
{
    size_t end = first + 1;
    while (end < count && points[end].repetition > points[end - 1].repetition &&
           strcmp(points[end].label, points[first].label) == 0)
        end++;
    return end;
}

int outcomes_read(struct ledger *ledger, int64_t sweep, struct outcome **outcomes, size_t *count, struct error *error)
{
    ARRAY_OF(struct outcome) found = {0};
    struct point_row *points;
    size_t point_count;
    if (sweeps_points(ledger, sweep, &points, &point_count, error) != 0)
        return -1;
    int result = 0;
    for (size_t first = 0, end; first < point_count && result == 0; first = end) {
        end = end_of_combination(points, point_count, first);
        result = read_combination(ledger, points + first, end - first, ARRAY_ADD(&found), error);
    }
    sweeps_points_free(points, point_count);
    *outcomes = found.items;
    *count = found.count;
    if (result != 0)
        outcomes_free(*outcomes, *count);
    return result;
}

void outcomes_free(struct outcome *outcomes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(outcomes[i].label);
        free(outcomes[i].scenario_path);
        free(outcomes[i].partitioner);
        free(outcomes[i].scheduler);
        free(outcomes[i].cause);
    }
    free(outcomes);
}
