/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of runs against each other: pairing, units, verdicts. */
#include "core/evidence/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/evidence/difference.h"

/* Fewer units give intervals that mean little; more than that are not needed from one group. */
#define LEAST_UNITS 10
#define WANTED_UNITS 15
#define LEAST_TASKS_A_UNIT 2
#define LEAST_TASKS_FOR_P99 500
#define LEAST_UNITS_WITH_TAIL 3

const struct metric_kind metric_kinds[METRIC_COUNT] = {
    [METRIC_MEAN] = {"mean delay", "mean_delay_ns"},
    [METRIC_DEVIATION] = {"standard deviation", "deviation_ns"},
    [METRIC_P99] = {"p99 delay", "p99_delay_ns"},
    [METRIC_MISSES] = {"deadline misses", "deadline_misses", .is_share = true},
    [METRIC_LOST] = {"lost tasks", "lost_tasks", .is_share = true},
    [METRIC_ENERGY] = {"energy a task", "energy_per_task_j", .is_energy = true},
};

/* ---- groups ---- */

struct reading {
    const struct run_summary *summary;
    struct group *group;
    struct group_run *run;
    ARRAY_OF(struct group_task) tasks;
};

static int read_task(void *context, const struct task_record *task)
{
    struct reading *reading = context;
    if (task->warmup)
        return 0;
    if (task->status != TASK_OK) {
        reading->group->lost++;
        *ARRAY_ADD(&reading->tasks) = (struct group_task){
            .stream = task->stream, .task = task->task, .started_ns = task->started_ns, .lost = true};
        return 0;
    }
    reading->group->task_count++;
    int64_t delay_ns = task->ended_ns - task->started_ns;
    int64_t deadline_ns = reading->summary->streams[task->stream].deadline_ns;
    reading->run->energies &= task->energy_j >= 0;
    *ARRAY_ADD(&reading->tasks) = (struct group_task){.stream = task->stream,
                                                      .task = task->task,
                                                      .started_ns = task->started_ns,
                                                      .delay_ns = (double)delay_ns,
                                                      .energy_j = task->energy_j,
                                                      .missed = deadline_ns > 0 && delay_ns > deadline_ns};
    return 0;
}

int group_add(struct group *group, struct ledger *ledger, const struct run_summary *run, struct error *error)
{
    group->runs = memory_resize(group->runs, group->run_count + 1, sizeof(*group->runs));
    struct group_run *added = &group->runs[group->run_count++];
    *added = (struct group_run){.run = run->head.id, .seed = run->head.seed, .energies = true};
    for (size_t i = 0; i < run->stream_count; i++)
        added->deadlines |= run->streams[i].deadline_ns > 0;
    struct reading reading = {.summary = run, .group = group, .run = added};
    int result = query_tasks(ledger, run->head.id, QUERY_BY_STREAM, read_task, &reading, error);
    added->tasks = reading.tasks.items;
    added->task_count = reading.tasks.count;
    return result;
}

void group_free(struct group *group)
{
    for (size_t i = 0; i < group->run_count; i++)
        free(group->runs[i].tasks);
    free(group->runs);
    free(group->label);
}

/* ---- pairing ---- */

/* The run of the group with that seed that is the nth of its kind, or NULL. */
static const struct group_run *run_of_seed(const struct group *group, uint64_t seed, size_t nth)
{
    for (size_t i = 0; i < group->run_count; i++)
        if (group->runs[i].seed == seed && nth-- == 0)
            return &group->runs[i];
    return NULL;
}

/* How many runs before run i have its seed. */
static size_t rank_of(const struct group *group, size_t i)
{
    size_t rank = 0;
    for (size_t k = 0; k < i; k++)
        rank += group->runs[k].seed == group->runs[i].seed;
    return rank;
}

/* b's runs in the order of a's, or NULL where they do not answer each other one by one. */
static const struct group_run **partners(const struct group *a, const struct group *b)
{
    if (a->run_count != b->run_count)
        return NULL;
    const struct group_run **found = NEW_ARRAY(const struct group_run *, a->run_count);
    for (size_t i = 0; i < a->run_count; i++) {
        found[i] = run_of_seed(b, a->runs[i].seed, rank_of(a, i));
        if (!found[i]) {
            free(found);
            return NULL;
        }
    }
    return found;
}

/* ---- samples ---- */

/* The tasks of one side that are looked at, run after run. */
struct sample {
    ARRAY_OF(struct sampled) tasks;
};
struct sampled {
    const struct group_task *task;
    uint32_t run; /* its number in group a's order */
};

static int task_order(const struct group_task *x, const struct group_task *y)
{
    if (x->stream != y->stream)
        return x->stream < y->stream ? -1 : 1;
    return (x->task > y->task) - (x->task < y->task);
}

/* The tasks that are in both runs and, unless `with_lost`, count in both. */
static void add_common(struct sample *a, struct sample *b, const struct group_run *x, const struct group_run *y,
                       uint32_t run, bool with_lost)
{
    for (size_t i = 0, k = 0; i < x->task_count && k < y->task_count;) {
        int order = task_order(&x->tasks[i], &y->tasks[k]);
        if (order == 0 && (with_lost || !(x->tasks[i].lost || y->tasks[k].lost))) {
            *ARRAY_ADD(&a->tasks) = (struct sampled){&x->tasks[i], run};
            *ARRAY_ADD(&b->tasks) = (struct sampled){&y->tasks[k], run};
        }
        i += order <= 0;
        k += order >= 0;
    }
}

static void add_all(struct sample *sample, const struct group *group, bool with_lost)
{
    for (uint32_t i = 0; i < group->run_count; i++)
        for (size_t k = 0; k < group->runs[i].task_count; k++)
            if (with_lost || !group->runs[i].tasks[k].lost)
                *ARRAY_ADD(&sample->tasks) = (struct sampled){&group->runs[i].tasks[k], i};
}

static int start_order(const void *a, const void *b)
{
    const struct sampled *const *x = a, *const *y = b;
    if ((*x)->run != (*y)->run)
        return (*x)->run < (*y)->run ? -1 : 1;
    if ((*x)->task->started_ns != (*y)->task->started_ns)
        return (*x)->task->started_ns < (*y)->task->started_ns ? -1 : 1;
    return task_order((*x)->task, (*y)->task);
}

/*
 * The unit of each task: each run is cut into as many stretches of consecutive tasks as together make WANTED_UNITS;
 * with that many runs, each is a unit of its own.
 */
static uint32_t *units_of(const struct sample *sample, size_t run_count, uint32_t *unit_count)
{
    size_t count = sample->tasks.count, stretches = (WANTED_UNITS + run_count - 1) / run_count;
    const struct sampled **sorted = NEW_ARRAY(const struct sampled *, count + 1);
    uint32_t *units = NEW_ARRAY(uint32_t, count + 1);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &sample->tasks.items[i];
    qsort(sorted, count, sizeof(sorted[0]), start_order);
    *unit_count = 0;
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && sorted[end]->run == sorted[first]->run;)
            end++;
        size_t tasks = end - first, pieces = tasks / LEAST_TASKS_A_UNIT;
        pieces = pieces > stretches ? stretches : pieces < 1 ? 1 : pieces;
        for (size_t i = first; i < end; i++)
            units[sorted[i] - sample->tasks.items] = *unit_count + (uint32_t)((i - first) * pieces / tasks);
        *unit_count += (uint32_t)pieces;
    }
    free(sorted);
    return units;
}

static double value_of(const struct group_task *task, enum metric metric)
{
    switch (metric) {
    case METRIC_MISSES:
        return task->missed;
    case METRIC_LOST:
        return task->lost;
    case METRIC_ENERGY:
        return task->energy_j;
    default:
        return task->delay_ns;
    }
}

static struct observations observe(const struct sample *sample, const uint32_t *units, uint32_t unit_count,
                                   enum metric metric)
{
    struct observations result = {.items = NEW_ARRAY(struct observation, sample->tasks.count + 1),
                                  .count = sample->tasks.count,
                                  .unit_count = unit_count};
    for (size_t i = 0; i < result.count; i++) {
        result.items[i] = (struct observation){value_of(sample->tasks.items[i].task, metric), units[i]};
    }
    return result;
}

/*
 * How many units hold values above the limit. The slowest tasks come in bursts: where one or two bursts are all there
 * is of the slowest 1 %, another run would have others, and no drawing of these tells by how much.
 */
static uint32_t units_above(const struct observations *sample, double limit)
{
    bool *seen = NEW_ARRAY(bool, sample->unit_count);
    uint32_t count = 0;
    for (size_t i = 0; i < sample->count && sample->items[i].value > limit; i++) {
        count += !seen[sample->items[i].unit];
        seen[sample->items[i].unit] = true;
    }
    free(seen);
    return count;
}

/* ---- verdicts ---- */

static enum verdict verdict_of(const struct comparison_row *row, double least_relative)
{
    if (isnan(row->low))
        return VERDICT_TOO_LITTLE;
    if (row->low <= 0 && row->high >= 0)
        return VERDICT_NOISE;
    if (fabs(row->difference) < least_relative * (metric_kinds[row->metric].is_share ? 1 : row->a))
        return VERDICT_SLIGHT;
    return row->difference < 0 ? VERDICT_BETTER : VERDICT_WORSE;
}

static bool has_deadlines(const struct group *group)
{
    for (size_t i = 0; i < group->run_count; i++)
        if (group->runs[i].deadlines)
            return true;
    return false;
}

static bool has_energies(const struct group *group)
{
    for (size_t i = 0; i < group->run_count; i++)
        if (!group->runs[i].energies)
            return false;
    return group->run_count > 0;
}

/* The two sides, ready to be looked at. */
struct sides {
    struct sample a, b;
    uint32_t *a_units, *b_units, a_unit_count, b_unit_count;
    bool paired;
};

static void find_sides(const struct group *a, const struct group *b, bool with_lost, struct sides *sides)
{
    *sides = (struct sides){0};
    const struct group_run **partner = partners(a, b);
    for (uint32_t i = 0; partner && i < a->run_count; i++)
        add_common(&sides->a, &sides->b, &a->runs[i], partner[i], i, with_lost);
    free(partner);
    sides->paired = sides->a.tasks.count > 0;
    if (!sides->paired) {
        add_all(&sides->a, a, with_lost);
        add_all(&sides->b, b, with_lost);
    }
    sides->a_units = units_of(&sides->a, a->run_count, &sides->a_unit_count);
    if (sides->paired) {
        sides->b_units = sides->a_units;
        sides->b_unit_count = sides->a_unit_count;
    } else {
        sides->b_units = units_of(&sides->b, b->run_count, &sides->b_unit_count);
    }
}

static void free_sides(struct sides *sides)
{
    if (!sides->paired)
        free(sides->b_units);
    free(sides->a_units);
    ARRAY_FREE(&sides->a.tasks);
    ARRAY_FREE(&sides->b.tasks);
}

static uint32_t fewer_units(const struct sides *sides)
{
    return sides->a_unit_count < sides->b_unit_count ? sides->a_unit_count : sides->b_unit_count;
}

static bool metric_applies(const struct comparison *it, enum metric metric)
{
    if (metric == METRIC_LOST)
        return it->a->lost + it->b->lost > 0 && it->a->task_count + it->a->lost > 0 &&
               it->b->task_count + it->b->lost > 0;
    if (it->a_tasks == 0 || it->b_tasks == 0)
        return false;
    if (metric == METRIC_P99)
        return it->a_tasks >= LEAST_TASKS_FOR_P99 && it->b_tasks >= LEAST_TASKS_FOR_P99;
    if (metric == METRIC_ENERGY)
        return has_energies(it->a) && has_energies(it->b);
    return metric != METRIC_MISSES || (has_deadlines(it->a) && has_deadlines(it->b));
}

/* Whether what a metric counts is spread over units enough for an interval. */
static bool is_spread(const struct observations *a, const struct observations *b, const struct difference *found,
                      enum metric metric)
{
    if (found->value == 0)
        return true;
    if (metric == METRIC_P99)
        return units_above(a, found->a) >= LEAST_UNITS_WITH_TAIL && units_above(b, found->b) >= LEAST_UNITS_WITH_TAIL;
    if (metric == METRIC_LOST) /* they come in bursts as well: all that were under way when a device left */
        return units_above(found->value < 0 ? a : b, 0) >= LEAST_UNITS_WITH_TAIL;
    return true;
}

static void add_row(struct comparison *it, const struct sides *sides, enum metric metric,
                    const struct comparison_settings *settings)
{
    static const enum statistic statistics[METRIC_COUNT] = {
        [METRIC_MEAN] = STATISTIC_MEAN,   [METRIC_DEVIATION] = STATISTIC_DEVIATION, [METRIC_P99] = STATISTIC_P99,
        [METRIC_MISSES] = STATISTIC_MEAN, [METRIC_LOST] = STATISTIC_MEAN,           [METRIC_ENERGY] = STATISTIC_MEAN,
    };
    struct observations a = observe(&sides->a, sides->a_units, sides->a_unit_count, metric);
    struct observations b = observe(&sides->b, sides->b_units, sides->b_unit_count, metric);
    struct difference found = difference_of(&a, &b, sides->paired, statistics[metric], it->confidence);
    bool enough = fewer_units(sides) >= LEAST_UNITS && is_spread(&a, &b, &found, metric);
    struct comparison_row *row = &it->rows[it->row_count++];
    *row = (struct comparison_row){.metric = metric,
                                   .a = found.a,
                                   .b = found.b,
                                   .difference = found.value,
                                   .low = enough ? found.low : NAN,
                                   .high = enough ? found.high : NAN};
    row->verdict = verdict_of(row, settings->least_relative);
    if (metric == METRIC_MEAN)
        it->effect = difference_effect(&a, &b);
    free(a.items);
    free(b.items);
}

void compare(const struct group *a, const struct group *b, const struct comparison_settings *settings,
             struct comparison *result)
{
    struct sides counting, all;
    find_sides(a, b, false, &counting);
    find_sides(a, b, true, &all);
    *result = (struct comparison){.a = a,
                                  .b = b,
                                  .paired = counting.paired,
                                  .units = fewer_units(&counting),
                                  .a_tasks = counting.a.tasks.count,
                                  .b_tasks = counting.b.tasks.count};
    size_t metrics = 0;
    for (int metric = 0; metric < METRIC_COUNT; metric++)
        metrics += metric_applies(result, (enum metric)metric);
    size_t intervals = metrics * (settings->comparisons ? settings->comparisons : 1);
    result->confidence = intervals ? 1 - (1 - settings->confidence) / (double)intervals : settings->confidence;
    for (int metric = 0; metric < METRIC_COUNT; metric++)
        if (metric_applies(result, (enum metric)metric))
            add_row(result, metric == METRIC_LOST ? &all : &counting, (enum metric)metric, settings);
    free_sides(&counting);
    free_sides(&all);
}

char *comparison_sentence(const struct comparison *it, const struct comparison_row *row)
{
    const char *a = it->a->label, *b = it->b->label, *metric = metric_kinds[row->metric].name;
    bool share = metric_kinds[row->metric].is_share;
    double scale = share ? 1 : row->a;
    char by[64];
    if (scale > 0)
        snprintf(by, sizeof(by), "%.1f %s (%.1f..%.1f)", 100 * fabs(row->difference) / scale, share ? "points" : "%",
                 100 * fmin(fabs(row->low), fabs(row->high)) / scale,
                 100 * fmax(fabs(row->low), fabs(row->high)) / scale);
    else
        snprintf(by, sizeof(by), "from nothing");
    switch (row->verdict) {
    case VERDICT_TOO_LITTLE:
        return text_format("%s: too few tasks to tell %s from %s; run longer, or with --repeat", metric, b, a);
    case VERDICT_NOISE:
        return text_format("%s: no difference beyond noise between %s and %s", metric, b, a);
    case VERDICT_SLIGHT:
        return text_format("%s: %s differs from %s, but too little to matter", metric, b, a);
    case VERDICT_BETTER:
        return text_format("%s: %s is lower than %s, by %s", metric, b, a, by);
    case VERDICT_WORSE:
        break;
    }
    return text_format("%s: %s is higher than %s, by %s", metric, b, a, by);
}
