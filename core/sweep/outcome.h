/* SPDX-License-Identifier: Apache-2.0 */
/* What a sweep came to: for each combination of settings, the metrics of its repetitions. */
#ifndef NAPM_SWEEP_OUTCOME_H
#define NAPM_SWEEP_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/ledger/sweeps.h"

enum outcome_metric {
    OUTCOME_MEAN_DELAY,
    OUTCOME_MEDIAN_DELAY,
    OUTCOME_P99_DELAY,
    OUTCOME_MAXIMUM_DELAY,
    OUTCOME_DEVIATION,
    OUTCOME_MISSES,
    OUTCOME_LOST,
    OUTCOME_ENERGY,
    OUTCOME_METRICS
};

struct outcome_metric_kind {
    const char *name; /* as files write it: "mean_delay" */
    const char *key; /* with its unit: "mean_delay_ns" */
    const char *title; /* for people: "mean delay" */
    bool is_share; /* of the tasks, 0..1. Smaller is better throughout */
    bool is_energy; /* J; else ns */
};
extern const struct outcome_metric_kind outcome_metric_kinds[OUTCOME_METRICS];

struct outcome {
    char *label, *scenario_path;
    char *partitioner, *scheduler; /* names; NULL where no run came so far */
    char *cause; /* why the first repetition that failed did; NULL: none */
    uint32_t first_point;
    size_t runs, failed; /* repetitions that are done, that failed */
    uint64_t tasks, lost; /* tasks that count; tasks that failed or did not finish */
    double metrics[OUTCOME_METRICS]; /* means over the runs; NAN without any, or where not known */
    double mean_delay_reach_ns; /* half the 95 % interval of the mean delay; NAN below two runs */
};

/* In the order of the points. End with outcomes_free. */
int outcomes_read(struct ledger *ledger, int64_t sweep, struct outcome **outcomes, size_t *count, struct error *error);
void outcomes_free(struct outcome *outcomes, size_t count);

#endif
