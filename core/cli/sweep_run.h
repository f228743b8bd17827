/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying a sweep out with a pool of worker processes, each of which is `napm sweep --point`. */
#ifndef NAPM_CLI_SWEEP_RUN_H
#define NAPM_CLI_SWEEP_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/memory.h"
#include "core/cli/options.h"
#include "core/ledger/ledger.h"
#include "core/sweep/definition.h"

#define SWEEP_MOST_JOBS 1024

struct sweep_run_options {
    const char *engine; /* "local", "slurm", or NULL: what carried it out before, else local */
    const char *parts; /* where parts of a sweep are kept that other hosts carry out; NULL: beside the ledger */
    struct text_list slurm_options; /* of sbatch */
    uint32_t
        jobs; /* points at a time; 0: by the world (sweep_point_jobs). Of Slurm: array tasks, 0: as many as can be */
    bool again; /* begin anew where the ledger has this sweep already */
    bool retry; /* try points again that failed */
};

struct sweep_progress {
    size_t points, done, failed;
};

/*
 * Carries out the sweep, or what the ledger says is left of it. Returns its number in the ledger, also where it was
 * stopped or something failed on the way (then the error is set), or -1 where it was not even begun. Points that
 * failed are no error.
 */
int64_t sweep_run(struct ledger *ledger, const struct sweep *sweep, const struct sweep_run_options *options,
                  const struct common_options *common, struct sweep_progress *progress, struct error *error);

/* Carries out on this machine, one at a time, what waits of a sweep that is in the ledger. */
int sweep_run_recorded(struct ledger *ledger, int64_t sweep, const struct common_options *common, struct error *error);

/* ---- the command line of a worker ---- */

typedef ARRAY_OF(const char *) sweep_words;

/* The file of this program; `path` has PATH_MAX bytes. */
int sweep_program(char *path, struct error *error);

void sweep_words_add(sweep_words *words, const char *const *more);

/* The options that workers have from us, and the NULL at the end. */
void sweep_words_add_common(sweep_words *words, const struct common_options *common);

#endif
