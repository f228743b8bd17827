/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduler "fifo": first come, first served. A job runs whole, in the order in which the cut tensors arrived. */
#include "queued.h"

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    (void)options;
    return queued_new(host, TURN_WHOLE, self);
}

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "fifo",
    .version = "1.0",
    .summary = "First come, first served: jobs run whole, in order of arrival.",
    .licence = "Apache-2.0",
    .create = create,
    .destroy = queued_destroy,
    .hook = &queued_hook,
};

NAPM_PLUGIN_NOTE(fifo, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "fifo", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
