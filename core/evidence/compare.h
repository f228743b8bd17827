/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing groups of recorded runs: what differs, by how much, and whether more than noise.
 *
 * A group is what stands on one side: one run, or all runs (replications) with the same label, such as the same
 * partitioner. Where both groups have runs of the same seeds and streams, the same tasks were made in both, and the
 * comparison is paired: only tasks that count on both sides are looked at. Where a side lost tasks (they failed or did not
 * finish), the shares that were lost are compared too, over all tasks. How intervals are made: difference.h.
 */
#ifndef NAPM_EVIDENCE_COMPARE_H
#define NAPM_EVIDENCE_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/ledger/query.h"

enum metric { METRIC_MEAN, METRIC_DEVIATION, METRIC_P99, METRIC_MISSES, METRIC_LOST, METRIC_ENERGY, METRIC_COUNT };
struct metric_kind {
    const char *name; /* "mean delay" */
    const char *key; /* "mean_delay_ns" */
    bool is_share, is_energy; /* J; else ns */
};
extern const struct metric_kind metric_kinds[METRIC_COUNT];

/* One run, with its tasks, but for warm-ups, in the order of stream and number. */
struct group_run {
    int64_t run;
    uint64_t seed;
    struct group_task {
        uint32_t stream;
        uint32_t missed; /* 1: its deadline */
        bool lost; /* failed or unfinished: it has no delay */
        uint64_t task;
        int64_t started_ns;
        double delay_ns, energy_j;
    } * tasks;
    size_t task_count;
    bool deadlines; /* some stream has one */
    bool energies; /* the tasks have them */
};

struct group {
    char *label;
    struct group_run *runs;
    size_t run_count;
    uint64_t task_count, lost; /* tasks that count, and those that were lost */
};

/* Reads a run into a group. */
int group_add(struct group *group, struct ledger *ledger, const struct run_summary *run, struct error *error);
void group_free(struct group *group);

enum verdict {
    VERDICT_TOO_LITTLE, /* data to tell */
    VERDICT_NOISE, /* the interval holds 0 */
    VERDICT_SLIGHT, /* a difference, but below what matters */
    VERDICT_BETTER, /* b is smaller */
    VERDICT_WORSE
};

struct comparison_row {
    enum metric metric;
    double a, b, difference, low, high; /* ns, or a share; the interval is NAN where there is too little data */
    enum verdict verdict;
};

struct comparison {
    const struct group *a, *b;
    bool paired;
    uint32_t units; /* drawn again by the bootstrap, on the side that has fewer */
    size_t a_tasks, b_tasks; /* looked at */
    double effect; /* Cliff's delta of the delays; below 0: b's are smaller */
    double confidence; /* of each interval */
    struct comparison_row rows[METRIC_COUNT];
    size_t
        row_count; /* energy only where it is known, misses where a stream has a deadline, lost tasks where there are some, p99 only where there are tasks enough for one */
};

struct comparison_settings {
    double confidence; /* of all intervals together, e.g. 0.95 */
    double least_relative; /* smaller differences do not matter, e.g. 0.01 */
    size_t comparisons; /* made together: each interval is widened for their number (Bonferroni) */
};

void compare(const struct group *a, const struct group *b, const struct comparison_settings *settings,
             struct comparison *result);

/* One sentence in plain words; free() it. */
char *comparison_sentence(const struct comparison *comparison, const struct comparison_row *row);

#endif
