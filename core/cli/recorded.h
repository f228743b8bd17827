/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded runs as the user names them on the command line. */
#ifndef NAPM_CLI_RECORDED_H
#define NAPM_CLI_RECORDED_H

#include <stdint.h>

#include "core/base/memory.h"
#include "core/ledger/query.h"

/*
 * Opens the ledger at `path` (NULL: the default): writable where that is possible, so that runs whose process has died
 * are marked and older files migrated; a file that cannot be written is read all the same. NULL on error.
 */
struct ledger *recorded_open(const char *path, struct error *error);

/* The run that the user names: a number, or "last" or nothing (NULL) for the newest. -1 with an error. */
int64_t recorded_run(struct ledger *ledger, const char *text, struct error *error);

/* The sweep that "sweep:N" or "sweep:last" names; 0 where the operand names no sweep, -1 with an error. */
int64_t recorded_sweep(struct ledger *ledger, const char *operand, struct error *error);

/*
 * All the runs that operands name, in their order: each as above, or a range "4-9", of which those are taken that
 * exist, or "sweep:N", the runs that are done of that sweep's points. End with ARRAY_FREE also on error.
 */
struct recorded_runs {
    ARRAY_OF(int64_t) all;
};
int recorded_runs(struct ledger *ledger, char **operands, int count, struct recorded_runs *runs, struct error *error);

#endif
