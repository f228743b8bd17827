/* SPDX-License-Identifier: Apache-2.0 */
/* One point of a sweep: what a worker process does, and what its settings are. */
#ifndef NAPM_CLI_SWEEP_POINT_H
#define NAPM_CLI_SWEEP_POINT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cli/options.h"
#include "core/sweep/definition.h"

/* The settings of a point as the ledger keeps them: one a line. free() it. */
char *sweep_point_settings(const struct sweep_point *point);

/*
 * How many points to run at a time: as many as there are processors where all are simulated; else 1, because runs
 * that measure would disturb each other. Opens each scenario, and so finds its mistakes before anything runs.
 */
int sweep_point_jobs(const struct sweep *sweep, uint32_t *jobs, struct error *error);

/*
 * Carries out the point "SWEEP:POINT" of the ledger: a run, or the cause noted why there is none. Returns the exit code:
 * CLI_DONE whenever the ledger tells how it went.
 */
int sweep_point_work(const char *name, const struct common_options *common);

/* Whether a worker that ended so has told the ledger how its point went. */
bool sweep_point_has_told(int status);

#endif
