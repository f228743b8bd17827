/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bound on planning. Partitioner, scheduler and load generators then compute on the run's own thread, where nothing
 * can make one of them return. When planning outlasts the scenario's time limit, or goes on for GUARD_GRACE_NS after
 * the user asked to stop, the guard records the run as failed, says why, and ends the process (exit 1).
 */
#ifndef NAPM_RUN_GUARD_H
#define NAPM_RUN_GUARD_H

#include <stdint.h>

#include "core/base/clock.h"
#include "core/run/run.h"

#define GUARD_GRACE_NS (3 * NS_PER_S)

struct guard;

/* `run` is the ledger's id, -1 where nothing is recorded. The settings stay valid until guard_lift. */
struct guard *guard_planning(const struct run_settings *settings, int64_t run);
void guard_lift(struct guard *guard);

#endif
