/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that each carry one point out, so many at a time. A point has a process of its own so that a plugin that
 * crashes or hangs in it takes no other point along.
 */
#ifndef NAPM_SWEEP_POOL_H
#define NAPM_SWEEP_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"

struct pool_settings {
    size_t task_count;
    size_t jobs; /* processes at a time */
    bool quiet; /* what they say on standard error is thrown away; on standard output it always is */
    const atomic_bool *cancel; /* once set, no further process is started, and those that run are asked to end */
    void *context;
    /* The program of task `i` and its arguments, NULL-terminated; valid until the next call. */
    const char *const *(*command)(void *context, size_t i);
    /* Task `i` has ended: `status` as waitpid tells it. */
    void (*ended)(void *context, size_t i, int status);
};

/* Returns when all have ended: 0, also where some failed; -1 where a process could not be started, or *cancel was set. */
int pool_run(const struct pool_settings *settings, struct error *error);

/* How a process ended, in words: "ended with status 3", "was killed by signal 11 (Segmentation fault)". */
void pool_describe(int status, char *text, size_t text_bytes);

#endif
