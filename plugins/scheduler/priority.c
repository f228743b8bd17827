/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduler "priority": the most urgent job first, preemptive at layer borders; among equals the one that arrived first.
 *
 * With aging a job counts as one step more urgent for each `aging` of time since it arrived, so that nothing waits for
 * ever. All ready jobs age alike, so which of two is before the other never changes: job j is before k exactly where
 * arrived(j) - aging * priority(j) is less.
 */
#include "ranked.h"

enum { OPTION_QUANTUM, OPTION_AGING, OPTION_COUNT };

RANKED_QUANTUM_OPTION(quantum_option);
static const struct napm_option aging_option = {
    .size = sizeof(aging_option),
    .type = NAPM_OPTION_DURATION,
    .name = "aging",
    .default_text = "0ms",
    .help = "A job counts as one step of priority more urgent for each such time since it arrived; 0: never.",
    .minimum = 0,
    .maximum = 3.6e12,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_QUANTUM] = &quantum_option,
    [OPTION_AGING] = &aging_option,
};

static int64_t rank_of(const struct napm_job *job, int64_t aging_ns)
{
    int64_t rank_ns;
    if (aging_ns == 0)
        return -(int64_t)job->priority;
    if (__builtin_mul_overflow(-(int64_t)job->priority, aging_ns, &rank_ns) ||
        __builtin_add_overflow(rank_ns, job->arrived_ns, &rank_ns))
        return job->priority > 0 ? INT64_MIN : INT64_MAX;
    return rank_ns;
}

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    return ranked_new(host, rank_of, options[OPTION_QUANTUM].integer, options[OPTION_AGING].integer, self);
}

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "priority",
    .version = "1.0",
    .summary = "Most urgent stream first, preemptive at layer borders, with optional aging.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = ranked_destroy,
    .hook = &ranked_hook,
};

NAPM_PLUGIN_NOTE(priority, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "priority", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
