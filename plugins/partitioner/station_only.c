/* SPDX-License-Identifier: Apache-2.0 */
/* Partitioner "station-only": inputs are sent, nothing is computed on the device. The baseline of full offloading. */
#include "cuts.h"

static int32_t plan_cuts(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                         struct napm_plan *plan)
{
    int32_t status = cuts_set_whole(self, problem, evaluator, 0, plan);
    return status == NAPM_OK ? cuts_check_fit(self, evaluator, plan) : status;
}

static const struct napm_partitioner hook = {.size = sizeof(hook), .plan = plan_cuts};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "station-only",
    .version = "1.0",
    .summary = "Baseline: every layer at the base station.",
    .licence = "Apache-2.0",
    .create = cuts_create,
    .destroy = cuts_destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(station_only, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "station-only", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
