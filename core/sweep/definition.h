/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sweep file: scenarios, and what is set in them. Its points are every scenario x every named variant x every
 * combination of the grid's values x every replication. Format: docs/sweep.md.
 */
#ifndef NAPM_SWEEP_DEFINITION_H
#define NAPM_SWEEP_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/file.h"

/* One run that the sweep asks for. */
struct sweep_point {
    const char *scenario; /* path of the file */
    const char *variant; /* the variant's name; NULL where the sweep has none */
    const char *const *settings; /* "PATH=VALUE", as for --set, in the order they are applied */
    size_t setting_count;
    size_t varied_from; /* settings from here on differ between points; those before are the same in all */
    uint64_t seed;
    uint32_t repetition;
};

/* What a regression suite asks of a metric. */
struct sweep_tolerance {
    const char *metric; /* one of `outcome_metric_kinds` */
    double share; /* worse by more than this share of the old value is a regression; of shares: by so many points */
};

struct sweep {
    const char *name;
    const char *path;
    char digest[FILE_DIGEST_BYTES]; /* of this file and of all scenario files: what makes a sweep the same */
    struct sweep_point *points; /* replications of one combination follow each other */
    size_t point_count;
    size_t scenario_count;
    const struct sweep_tolerance *tolerances; /* of a suite */
    size_t tolerance_count;
    struct sweep_private *private_part;
};

#define SWEEP_MOST_POINTS 1000000

/*
 * Reads and checks; everything belongs to the sweep. `suite`: a regression suite, which is a sweep with metrics. NULL on
 * error, which begins with "file:line".
 */
struct sweep *sweep_open(const char *path, bool suite, struct error *error);
void sweep_close(struct sweep *sweep);

/* What is particular about a point: its scenario, variant and varied settings, in one line. free() it. */
char *sweep_point_label(const struct sweep *sweep, const struct sweep_point *point);

#endif
