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
    int64_t run; /* for the guard; -1: not recorded */
    struct arena arena; /* keeps the cuts of all plans: tasks under way go on with theirs */
};

/* world_setup.replan; `context` is a struct replan. */
const uint32_t *replan(void *context, const struct changes *now, struct error *error);
void replan_free(struct replan *replan);

#endif
