/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bound on setting plugins up and on planning. Plugins then compute on the run's own thread, where nothing can make
 * one of them return. When that outlasts the scenario's time limit, or goes on for GUARD_GRACE_NS after the user asked
 * to stop, the guard records the run as failed, says why, and ends the process (exit 1).
 */
#ifndef NAPM_RUN_GUARD_H
#define NAPM_RUN_GUARD_H

#include <stdint.h>

#include "core/base/clock.h"
#include "core/run/run.h"

#define GUARD_GRACE_NS (3 * NS_PER_S)

struct guard;

/* `run` is the ledger's id, -1 where nothing is recorded. The settings stay valid until guard_lift. */
struct guard *guard_begin(const struct run_settings *settings, int64_t run);
/* What goes on under the guard is the setting up of that plugin, and no planning. The choice outlives the guard. */
void guard_setting_up(struct guard *guard, const struct plugin_choice *choice);
void guard_lift(struct guard *guard);

#endif
