/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioner "neurosurgeon": each stream gets the cut with the least delay as if it were alone, as in Kang et al.,
 * "Neurosurgeon: Collaborative Intelligence Between the Cloud and Mobile Edge", ASPLOS 2017, with measured instead of
 * regressed layer times. It does not see that streams wait for one another at the station.
 */
#include "cuts.h"

static int32_t plan_cuts(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                         struct napm_plan *plan)
{
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        uint32_t c = cuts_best_isolated(problem, evaluator, i);
        if (c == NAPM_NONE)
            return cuts_none_feasible(self, problem, i);
        napm_plan_set_cut(problem, plan, i, c);
    }
    return cuts_check_fit(self, evaluator, plan);
}

static const struct napm_partitioner hook = {.size = sizeof(hook), .plan = plan_cuts};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "neurosurgeon",
    .version = "1.0",
    .summary = "Each stream's best cut as if it were alone; blind to contention.",
    .licence = "Apache-2.0",
    .create = cuts_create,
    .destroy = cuts_destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(neurosurgeon, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "neurosurgeon", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
