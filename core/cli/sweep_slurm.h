/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carrying a sweep out as job arrays of Slurm. Each array is a round: a folder in which every array task writes a part
 * ledger of its own (core/ledger/parts.h). Folders outlive the command, so that it can be killed at any moment: given
 * again, it waits for the tasks that are left, merges their parts and submits the rest.
 */
#ifndef NAPM_CLI_SWEEP_SLURM_H
#define NAPM_CLI_SWEEP_SLURM_H

#include <stddef.h>
#include <stdint.h>

#include "core/cli/sweep_run.h"

struct sweep_site {
    struct ledger *ledger;
    int64_t sweep;
    const struct sweep_run_options *options;
    const struct common_options *common;
};

/* Waits for the array tasks of commands before this one, and merges their parts. Nothing where there are none. */
int sweep_slurm_gather(const struct sweep_site *site, struct error *error);

/* Submits these points, waits for their end and merges; points whose array task was lost are noted as failed. */
int sweep_slurm_run(const struct sweep_site *site, const uint32_t *points, size_t count, struct error *error);

/* What an array task does, with the folder of its round. Returns the exit code. */
int sweep_slurm_part(const char *folder, const struct common_options *common);

#endif
