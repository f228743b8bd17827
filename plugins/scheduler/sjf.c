/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduler "sjf": shortest job first, without preemption. Of the ready jobs the one with the least expected time at the
 * station runs next, and runs whole; among equals the one that arrived first.
 */
#include "ranked.h"

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    (void)options;
    return ranked_new(host, ranked_by_remaining, TURN_WHOLE, 0, self);
}

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "sjf",
    .version = "1.0",
    .summary = "Shortest job first: the job with the least expected station time runs whole.",
    .licence = "Apache-2.0",
    .create = create,
    .destroy = ranked_destroy,
    .hook = &ranked_hook,
};

NAPM_PLUGIN_NOTE(sjf, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "sjf", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
