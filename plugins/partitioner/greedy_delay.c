/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioner "greedy-delay": greedy descent in total delay (see greedy.h), from two starts. The least total that any
 * evaluation found is kept, which is the better of the two ends.
 */
#include <stdlib.h>

#include "greedy.h"

enum { OPTION_CHANGES, OPTION_COUNT };

static const struct napm_option *const options_table[OPTION_COUNT] = {[OPTION_CHANGES] = &greedy_changes_option};

struct delay {
    const struct napm_host *host;
    const char *changes;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct delay *delay = malloc(sizeof(*delay));
    if (!delay) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    *delay = (struct delay){host, options[OPTION_CHANGES].text};
    *self = delay;
    return NAPM_OK;
}

static int32_t plan_cuts(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                         struct napm_plan *plan)
{
    const struct delay *delay = self;
    struct greedy greedy;
    int32_t status = greedy_begin(&greedy, delay->host, delay->changes, problem, evaluator, plan);
    if (status == NAPM_OK)
        status = greedy_least_delay(&greedy);
    greedy_end(&greedy);
    return status;
}

static const struct napm_partitioner hook = {.size = sizeof(hook), .plan = plan_cuts};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "greedy-delay",
    .version = "1.0",
    .summary = "Greedy single-stream changes under contention that lower the total delay most.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(greedy_delay, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "greedy-delay", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
