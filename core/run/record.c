/* SPDX-License-Identifier: Apache-2.0 */
/* What a run writes into the ledger while it goes on. */
#include "core/run/record.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/run/choices.h"

struct plugin_record {
    const struct run_settings *settings;
    int64_t run;
};

static int record_plugin(void *context, const struct chosen *chosen, struct error *error)
{
    const struct plugin_record *record = context;
    char *role = chosen->of ? text_format("%s:%s", chosen->role, chosen->of) : text_copy(chosen->role);
    struct instance_host host = {.label = role, .seed = record->settings->seed};
    struct instance *instance = instance_open(record->settings->catalogue, chosen->kind, chosen->choice, &host, error);
    int result = instance ? ledger_run_plugin(record->settings->ledger, record->run, role, instance, error) : -1;
    instance_close(instance);
    free(role);
    return result;
}

int record_plugins(const struct run_settings *settings, int64_t run, struct error *error)
{
    struct plugin_record record = {settings, run};
    if (ledger_hold(settings->ledger, error) != 0)
        return -1;
    return ledger_release(settings->ledger, choices_each(settings->scenario, record_plugin, &record, error), error);
}

int record_nodes(const struct run_settings *settings, int64_t run, const struct world_kind *kind, struct world *world,
                 struct error *error)
{
    const struct scenario *scenario = settings->scenario;
    int result = 0;
    if (ledger_hold(settings->ledger, error) != 0)
        return -1;
    for (uint32_t i = 0; i < scenario->node_count && result == 0; i++)
        result = ledger_run_node(settings->ledger, run, i, &scenario->nodes[i], kind->facts(world, i), error);
    return ledger_release(settings->ledger, result, error);
}

static void keep_error(struct record *record, const struct error *error)
{
    if (record->error.kind == ERROR_NONE)
        record->error = *error;
}

static void hear_task(void *context, const struct task_record *task)
{
    struct record *record = context;
    struct error error = {0};
    record->failed += task->status == TASK_FAILED && !task->by_event;
    record->unfinished += task->status == TASK_UNFINISHED;
    if (ledger_run_task(record->settings->ledger, record->run, task, &error) != 0)
        keep_error(record, &error);
}

static void hear_sample(void *context, const struct node_sample *sample)
{
    struct record *record = context;
    struct error error = {0};
    if (ledger_run_sample(record->settings->ledger, record->run, sample, &error) != 0)
        keep_error(record, &error);
}

static void hear_node_lost(void *context, uint32_t node, const char *cause)
{
    struct record *record = context;
    struct error error = {0};
    const char *name = record->settings->scenario->nodes[node].name;
    bool named = strstr(cause, name) != NULL;
    char *lost = text_format("%s%s%s%s%s", record->lost ? record->lost : "", record->lost ? "; " : "",
                             named ? "" : name, named ? "" : ": ", cause);
    free(record->lost);
    record->lost = lost;
    log_info("run", "lost: %s", lost);
    if (ledger_run_node_lost(record->settings->ledger, record->run, node, cause, &error) != 0)
        keep_error(record, &error);
}

static void hear_plan_taken(void *context, uint32_t plan, uint32_t stream, int64_t at_ns)
{
    struct record *record = context;
    struct error error = {0};
    if (ledger_run_plan_taken(record->settings->ledger, record->run, plan, stream, at_ns, &error) != 0)
        keep_error(record, &error);
}

static void hear_node_energy(void *context, uint32_t node, int64_t busy_ns, int64_t air_ns)
{
    struct record *record = context;
    struct error error = {0};
    if (ledger_run_node_energy(record->settings->ledger, record->run, node, busy_ns, air_ns, &error) != 0)
        keep_error(record, &error);
}

static void hear_progress(void *context, uint64_t done, uint64_t of)
{
    const struct run_watcher *watcher = &((struct record *)context)->settings->watcher;
    if (watcher->step)
        watcher->step(watcher->context, "running", done, of);
}

struct world_sink record_sink(struct record *record)
{
    return (struct world_sink){.context = record,
                               .task = hear_task,
                               .sample = hear_sample,
                               .node_lost = hear_node_lost,
                               .plan_taken = hear_plan_taken,
                               .node_energy = hear_node_energy,
                               .progress = hear_progress};
}
