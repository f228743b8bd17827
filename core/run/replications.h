/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run several times over, each time with the next seed. In a world of virtual time replications go on side by side; what
 * each does, and the order of their runs in the ledger, does not depend on how many do.
 */
#ifndef NAPM_RUN_REPLICATIONS_H
#define NAPM_RUN_REPLICATIONS_H

#include "core/run/run.h"

struct replication {
    int64_t run; /* -1: there is none */
    int result; /* of run_execute */
    struct error error;
};

/* How many may go on at once: `jobs`, or 1 where the world or a plugin of the scenario does not allow more. */
uint32_t replications_at_once(const struct run_settings *settings, uint32_t jobs);

/*
 * Carries `count` out, replication i with seed + i. `done` hears of each in order, on this thread, and says whether to go
 * on: after false no further one is begun, and those under way are awaited but not told.
 */
void replications_execute(const struct run_settings *settings, uint32_t count, uint32_t jobs,
                          bool (*done)(void *context, const struct replication *replication), void *context);

#endif
