/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduler "rr": round robin. The ready jobs take turns in order of arrival; a turn is as many of the job's next layers
 * as are expected to fit the quantum, at least one. A job can only be interrupted between two layers, so one long layer
 * may make a turn longer than the quantum.
 */
#include "queued.h"

enum { OPTION_QUANTUM, OPTION_COUNT };

TURN_OPTION(quantum_option, 1, "Expected running time that a job may use before the next one has its turn.");
static const struct napm_option *const options_table[OPTION_COUNT] = {[OPTION_QUANTUM] = &quantum_option};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    return queued_new(host, options[OPTION_QUANTUM].integer, self);
}

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "rr",
    .version = "1.0",
    .summary = "Round robin: jobs take turns of one quantum, ending at layer borders.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = queued_destroy,
    .hook = &queued_hook,
};

NAPM_PLUGIN_NOTE(rr, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "rr", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
