/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions against what was measured: pairing tasks, errors by phase, intervals. */
#include "core/evidence/accuracy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/evidence/difference.h"

#define WANTED_UNITS 30
#define LEAST_TASKS_A_UNIT 2

/* One task of one side. */
struct timed {
    uint32_t stream;
    uint64_t task;
    int64_t started_ns;
    double ns[ACCURACY_ROWS];
};

struct timed_list {
    ARRAY_OF(struct timed) all;
};

/* A task on both sides. */
struct pair {
    int64_t started_ns; /* as measured */
    uint32_t unit;
    double predicted_ns[ACCURACY_ROWS], measured_ns[ACCURACY_ROWS];
};

struct pairs {
    ARRAY_OF(struct pair) all;
    uint32_t units;
    size_t lost;
};

static int read_task(void *context, const struct task_record *task)
{
    struct timed_list *list = context;
    if (task->warmup || task->status != TASK_OK)
        return 0;
    struct timed *timed = ARRAY_ADD(&list->all);
    *timed = (struct timed){.stream = task->stream, .task = task->task, .started_ns = task->started_ns};
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        timed->ns[phase] = (double)task->phase_ns[phase];
    timed->ns[ACCURACY_TOTAL] = (double)(task->ended_ns - task->started_ns);
    return 0;
}

static int order(const struct timed *x, const struct timed *y)
{
    if (x->stream != y->stream)
        return x->stream < y->stream ? -1 : 1;
    return (x->task > y->task) - (x->task < y->task);
}

static int by_start(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return (x->started_ns > y->started_ns) - (x->started_ns < y->started_ns);
}

/* The tasks that both runs have. */
static void add_common(struct pairs *pairs, const struct timed_list *predicted, const struct timed_list *measured)
{
    size_t i = 0, k = 0, common = 0;
    while (i < predicted->all.count && k < measured->all.count) {
        const struct timed *guess = &predicted->all.items[i], *fact = &measured->all.items[k];
        int which = order(guess, fact);
        if (which == 0) {
            struct pair *pair = ARRAY_ADD(&pairs->all);
            *pair = (struct pair){.started_ns = fact->started_ns};
            memcpy(pair->predicted_ns, guess->ns, sizeof(guess->ns));
            memcpy(pair->measured_ns, fact->ns, sizeof(fact->ns));
            common++;
        }
        i += which <= 0;
        k += which >= 0;
    }
    pairs->lost += predicted->all.count + measured->all.count - 2 * common;
}

/* Cuts the run's pairs, which stand last, into stretches of about one length. */
static void add_units(struct pairs *pairs, size_t first, size_t run_count)
{
    size_t count = pairs->all.count - first, stretches = (WANTED_UNITS + run_count - 1) / run_count;
    if (stretches > count / LEAST_TASKS_A_UNIT)
        stretches = count / LEAST_TASKS_A_UNIT;
    if (stretches == 0)
        stretches = count > 0;
    if (count > 0)
        qsort(pairs->all.items + first, count, sizeof(*pairs->all.items), by_start);
    for (size_t i = 0; i < count; i++)
        pairs->all.items[first + i].unit = pairs->units + (uint32_t)(i * stretches / count);
    pairs->units += (uint32_t)stretches;
}

static int add_runs(struct pairs *pairs, struct ledger *ledger, int64_t predicted, int64_t measured, size_t run_count,
                    struct error *error)
{
    struct timed_list guesses = {0}, facts = {0};
    size_t first = pairs->all.count;
    int result = query_tasks(ledger, predicted, QUERY_BY_STREAM, read_task, &guesses, error);
    if (result == 0)
        result = query_tasks(ledger, measured, QUERY_BY_STREAM, read_task, &facts, error);
    if (result == 0) {
        add_common(pairs, &guesses, &facts);
        add_units(pairs, first, run_count);
    }
    ARRAY_FREE(&guesses.all);
    ARRAY_FREE(&facts.all);
    return result;
}

/* ---- errors */

static struct difference difference_in(const struct pairs *pairs, struct observation *a, struct observation *b,
                                       enum statistic statistic, double confidence)
{
    struct observations before = {a, pairs->all.count, pairs->units}, after = {b, pairs->all.count, pairs->units};
    return difference_of(&before, &after, true, statistic, confidence);
}

static struct accuracy_row row_of(const struct pairs *pairs, int row, double confidence)
{
    size_t count = pairs->all.count;
    struct observation *a = NEW_ARRAY(struct observation, count), *b = NEW_ARRAY(struct observation, count);
    for (size_t i = 0; i < count; i++) {
        const struct pair *pair = &pairs->all.items[i];
        a[i] = (struct observation){pair->measured_ns[row], pair->unit};
        b[i] = (struct observation){pair->predicted_ns[row], pair->unit};
    }
    struct difference means = difference_in(pairs, a, b, STATISTIC_MEAN, confidence);
    for (size_t i = 0; i < count; i++) { /* how far off each task is, against no error at all */
        const struct pair *pair = &pairs->all.items[i];
        a[i] = (struct observation){0, pair->unit};
        b[i] = (struct observation){fabs(pair->predicted_ns[row] - pair->measured_ns[row]), pair->unit};
    }
    struct difference tail = difference_in(pairs, a, b, STATISTIC_P95, confidence);
    free(a);
    free(b);
    return (struct accuracy_row){.predicted_ns = means.b,
                                 .measured_ns = means.a,
                                 .error_ns = means.value,
                                 .error_low_ns = means.low,
                                 .error_high_ns = means.high,
                                 .p95_ns = tail.value,
                                 .p95_low_ns = tail.low,
                                 .p95_high_ns = tail.high};
}

double accuracy_relative(const struct accuracy *accuracy)
{
    const struct accuracy_row *total = &accuracy->rows[ACCURACY_TOTAL];
    return accuracy->tasks > 0 && total->measured_ns > 0 ? total->error_ns / total->measured_ns : NAN;
}

int accuracy_of_runs(struct ledger *ledger, const int64_t *predicted, const int64_t *measured, size_t count,
                     double confidence, struct accuracy *result, struct error *error)
{
    struct pairs pairs = {0};
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++)
        status = add_runs(&pairs, ledger, predicted[i], measured[i], count, error);
    *result =
        (struct accuracy){.tasks = pairs.all.count, .lost = pairs.lost, .units = pairs.units, .confidence = confidence};
    for (int row = 0; row < ACCURACY_ROWS && status == 0 && pairs.all.count > 0; row++)
        result->rows[row] = row_of(&pairs, row, confidence);
    ARRAY_FREE(&pairs.all);
    if (status == 0 && result->tasks == 0)
        status = error_set(error, ERROR_RUN, "no task counts in both runs: there is nothing to compare");
    return status;
}
