/* SPDX-License-Identifier: Apache-2.0 */
/* New plans in mid-run, for the conditions of that moment. */
#ifndef NAPM_RUN_REPLAN_H
#define NAPM_RUN_REPLAN_H

#include "core/run/profiles.h"
#include "core/run/run.h"
#include "core/world/changes.h"

struct replan {
    const struct run_settings *settings;
    const struct profiles *profiles;
    int64_t run;
    bool is_virtual; /* the world's time is: a plan is in force from the moment for which it was asked */
    atomic_bool is_busy; /* a plan is being made */
    struct arena arena; /* keeps the placements of all plans: tasks under way go on with theirs */
};

/* world_setup.replan; `context` is a struct replan. The plan is recorded as soon as it is made. */
const struct placements *replan(void *context, const struct plan_request *request, struct error *error);
/* false: a thread is in a plugin that does not return, and nothing of what it may touch was freed. */
bool replan_free(struct replan *replan);

#endif
