/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How well runs predict others: phase by phase, a simulated run against a run of the same scenario and seed that was
 * carried out. Tasks are paired by stream and number; only those that count on both sides are looked at. How intervals
 * are made: difference.h; units are stretches of consecutive tasks.
 */
#ifndef NAPM_EVIDENCE_ACCURACY_H
#define NAPM_EVIDENCE_ACCURACY_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/ledger/query.h"

enum { ACCURACY_TOTAL = PHASE_COUNT, ACCURACY_ROWS };

struct accuracy_row {
    double predicted_ns, measured_ns; /* means */
    double error_ns, error_low_ns, error_high_ns; /* predicted less measured, with its interval */
    double p95_ns, p95_low_ns, p95_high_ns; /* 95 of 100 tasks are predicted closer than this, with its interval */
};

struct accuracy {
    struct accuracy_row rows[ACCURACY_ROWS]; /* by phase, then the delay as a whole */
    size_t tasks, lost; /* looked at; counted on one side only */
    uint32_t units; /* drawn again by the bootstrap; intervals are NAN below 2 */
    double confidence; /* of each interval */
};

/* What the error of the mean delay is of the measured one; below 0: the prediction is too low. NAN without tasks. */
double accuracy_relative(const struct accuracy *accuracy);

/* `predicted[i]` and `measured[i]` are runs of one seed. */
int accuracy_of_runs(struct ledger *ledger, const int64_t *predicted, const int64_t *measured, size_t count,
                     double confidence, struct accuracy *result, struct error *error);

#endif
