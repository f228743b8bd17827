/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slurm, through its own commands (sbatch, squeue, scancel), each given a bounded time. A job array is known by a name
 * that no other has, so that it is found again also by somebody who never saw its number.
 */
#ifndef NAPM_SWEEP_SLURM_H
#define NAPM_SWEEP_SLURM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

#define SLURM_MOST_TASKS 1000 /* Slurm's own limit, MaxArraySize, is 1001 unless a site says otherwise */

struct slurm_job {
    const char *name;
    uint32_t tasks; /* of the array: 0..tasks-1 */
    const char *const *options; /* further ones of sbatch, NULL-terminated */
    const char *const *script; /* the script's file and its arguments, NULL-terminated: no shell reads them */
};

int slurm_submit(const struct slurm_job *job, struct error *error);

struct slurm_task {
    uint32_t task;
    bool active; /* waits, runs or is about to end */
    char state[24], reason[64]; /* in Slurm's words, such as "TIMEOUT", "TimeLimit" */
};

/* The tasks of that name which Slurm knows; those that ended are forgotten after some minutes. free() *tasks. */
int slurm_look(const char *name, struct slurm_task **tasks, size_t *count, struct error *error);

/* Tasks that wait are cancelled; those that run are asked to end in order, or, with `now`, ended by Slurm. */
int slurm_cancel(const char *name, bool now, struct error *error);

#endif
