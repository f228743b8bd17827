/* SPDX-License-Identifier: Apache-2.0 */
/* Partitioner "device-only": nothing is sent. The baseline of a device that helps itself. */
#include "cuts.h"

static int32_t plan_cuts(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                         struct napm_plan *plan)
{
    int32_t status = cuts_set_whole(self, problem, evaluator, 1, plan);
    return status == NAPM_OK ? cuts_check_fit(self, evaluator, plan) : status;
}

static const struct napm_partitioner hook = {.size = sizeof(hook), .plan = plan_cuts};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "device-only",
    .version = "1.0",
    .summary = "Baseline: every layer on the stream's own device.",
    .licence = "Apache-2.0",
    .create = cuts_create,
    .destroy = cuts_destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(device_only, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "device-only", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
