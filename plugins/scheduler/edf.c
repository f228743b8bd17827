/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduler "edf": earliest deadline first, preemptive at layer borders, as in Liu and Layland, "Scheduling algorithms
 * for multiprogramming in a hard-real-time environment", Journal of the ACM 20(1), 1973. Where one worker can meet all
 * deadlines in any order, it meets them in this one, but for what the layers' lengths cost. Jobs without a deadline come
 * last, in order of arrival.
 */
#include "ranked.h"

enum { OPTION_QUANTUM, OPTION_COUNT };

RANKED_QUANTUM_OPTION(quantum_option);
static const struct napm_option *const options_table[OPTION_COUNT] = {[OPTION_QUANTUM] = &quantum_option};

static int64_t deadline_of(const struct napm_job *job, int64_t unused)
{
    (void)unused;
    return job->deadline_ns;
}

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    return ranked_new(host, deadline_of, options[OPTION_QUANTUM].integer, 0, self);
}

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "edf",
    .version = "1.0",
    .summary = "Earliest deadline first, preemptive at layer borders; jobs without one come last.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = ranked_destroy,
    .hook = &ranked_hook,
};

NAPM_PLUGIN_NOTE(edf, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "edf", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
