/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduler "srpt": shortest remaining processing time, as in Schrage, "A proof of the optimality of the shortest
 * remaining processing time discipline", Operations Research 16(3), 1968. The job with the least expected time left at
 * the station runs; a shorter one that comes preempts it at the next layer border. No other order has a lower mean delay at
 * one worker, but for what the layers' lengths cost.
 */
#include "ranked.h"

enum { OPTION_QUANTUM, OPTION_COUNT };

RANKED_QUANTUM_OPTION(quantum_option);
static const struct napm_option *const options_table[OPTION_COUNT] = {[OPTION_QUANTUM] = &quantum_option};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    return ranked_new(host, ranked_by_remaining, options[OPTION_QUANTUM].integer, 0, self);
}

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "srpt",
    .version = "1.0",
    .summary = "Shortest remaining time first, preemptive at layer borders.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = ranked_destroy,
    .hook = &ranked_hook,
};

NAPM_PLUGIN_NOTE(srpt, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "srpt", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
