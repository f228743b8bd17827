/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one procedure of a run, the same for every world: profile -> plan -> deploy -> drive -> record.
 */
#ifndef NAPM_RUN_RUN_H
#define NAPM_RUN_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"
#include "core/ledger/ledger.h"
#include "core/planner/planner.h"
#include "core/scenario/scenario.h"

/* What the caller wants to hear while it goes on (progress bars). All may be NULL. */
struct run_watcher {
    void *context;
    void (*step)(void *context, const char *what, uint64_t done,
                 uint64_t of); /* "profiling", "running"; of 0: unknown */
};

struct run_settings {
    const struct scenario *scenario;
    struct catalogue *catalogue;
    struct ledger *ledger;
    const char *const *plugin_path;
    uint64_t seed;
    uint32_t repetition;
    bool fresh_profiles; /* ignore cached profiles */
    int64_t replay_of; /* a run in the ledger, whose layer times are taken; 0: none */
    const atomic_bool *cancel;
    struct run_watcher watcher;
};

/*
 * Carries a run out and records it. *run receives the ledger's id as soon as there is one (else -1). Returns 0, or -1
 * where the run failed or was stopped (also recorded, with what was finished). A mistake in the input that a plugin finds
 * as it is set up is ERROR_INPUT and no run: nothing is recorded, *run is -1.
 */
int run_execute(const struct run_settings *settings, int64_t *run, struct error *error);

/*
 * Profiles only, then plans with the scenario's partitioner and the baselines; nothing is executed. `plans` receives an
 * array, the scenario's own first; free each with plan_free and the array with free. A baseline that is not possible
 * here (memory) is there with infinite delays, and the log says why.
 */
struct plan_wishes {
    const char *const *partitioners; /* plan with these too */
    size_t partitioner_count;
    uint64_t
        optimum_evaluations; /* look for the least mean delay by so many evaluations, as the last plan; 0: do not */
};
int run_plan_only(const struct run_settings *settings, const struct plan_wishes *wishes, struct plan ***plans,
                  size_t *plan_count, struct error *error);

#endif
