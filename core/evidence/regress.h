/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regression of plugin sets: what a suite came to against a baseline file, metric by metric. A metric is worse when it
 * exceeds the baseline's value by more than its tolerance: a share of that value, or, where the metric is itself a share
 * of the tasks, so many points. Smaller is better throughout.
 */
#ifndef NAPM_EVIDENCE_REGRESS_H
#define NAPM_EVIDENCE_REGRESS_H

#include <stddef.h>

#include "core/base/error.h"
#include "core/sweep/definition.h"
#include "core/sweep/outcome.h"

enum judgement {
    JUDGEMENT_SAME, /* within the tolerance */
    JUDGEMENT_BETTER, /* better by more than that */
    JUDGEMENT_WORSE,
    JUDGEMENT_NEW, /* the baseline has no such value */
    JUDGEMENT_FAILED /* there is no value: a run failed */
};

struct judged {
    const struct outcome *outcome;
    enum outcome_metric metric;
    double old, now; /* NAN: none */
    double tolerance;
    enum judgement judgement;
};

struct baseline;

/* Reads a baseline file; ERROR_INPUT names file and place. NULL on error. */
struct baseline *baseline_read(const char *path, struct error *error);
void baseline_free(struct baseline *baseline);

/* Writes what the suite came to as the baseline, atomically. Refuses where some run failed. */
int baseline_write(const char *path, const struct sweep *suite, const struct outcome *outcomes, size_t count,
                   struct error *error);

/* Whether the baseline was made of the suite and scenarios as they stand. */
bool baseline_is_of(const struct baseline *baseline, const struct sweep *suite);

/* One for each outcome and metric of the suite, in that order; free() it. */
struct judged *regress_judge(const struct baseline *baseline, const struct sweep *suite, const struct outcome *outcomes,
                             size_t outcome_count, size_t *count);

/* Whether it makes the suite fail: worse, failed or new. */
bool judgement_is_bad(enum judgement judgement);

/* One line: plugins, scenario, metric, old and new value, tolerance. free() it. */
char *judged_text(const struct judged *judged);

/* Test results for other programs. `path` "-": standard output (TAP only). */
int regress_write_tap(const char *path, const struct judged *judged, size_t count, struct error *error);
int regress_write_junit(const char *path, const char *suite, const struct judged *judged, size_t count,
                        struct error *error);

#endif
