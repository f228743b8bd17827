/* SPDX-License-Identifier: Apache-2.0 */
/* Load generators: when the tasks of each stream start, and the artificial load that nodes bear. */
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/world/drive_private.h"

/* Starts are told to agents so far ahead, so that the way of the message is no part of a delay... */
#define TELL_AHEAD_NS (60 * NS_PER_MS)
/* ...and a task that is to start at once starts after so long, for the same reason. */
#define LEAD_NS (500 * NS_PER_US)
#define STRESS_LEVELS_MAX 100000u

static int64_t world_now_ns(void *context)
{
    const struct world *world = context;
    return clock_now_ns() - world->zero_ns;
}

static struct instance *open_generator(struct drive *drive, const struct plugin_choice *choice, const char *what,
                                       const char *name, const char *extension, void *table, size_t table_bytes,
                                       struct error *error)
{
    char *label = text_format("%s:%s", what, name);
    const struct instance_host host = {
        .label = label, .seed = drive->world->setup.seed, .now_ns = world_now_ns, .context = drive->world};
    struct instance *instance = instance_open(drive->world->setup.catalogue, NAPM_KIND_LOADGEN, choice, &host, error);
    free(label);
    if (instance && instance_extension(instance, extension, table, table_bytes)) {
        error_set(error, ERROR_INPUT, "%s: load generator %s does not offer %s", choice->where ? choice->where : name,
                  choice->name, extension);
        instance_close(instance);
        return NULL;
    }
    return instance;
}

int arrivals_open(struct drive *drive, struct error *error)
{
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++) {
        struct stream_run *stream = &drive->streams[i];
        stream->arrivals =
            open_generator(drive, &stream->spec->arrivals, "loadgen", stream->spec->name, NAPM_LOADGEN_ARRIVALS,
                           &stream->arrivals_hook, sizeof(stream->arrivals_hook), error);
        if (!stream->arrivals)
            return -1;
        if (!stream->arrivals_hook.next)
            return instance_misbehaved(stream->arrivals, error, "it has no function next()");
    }
    return 0;
}

void arrivals_close(struct drive *drive)
{
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++) {
        if (drive->streams[i].arrivals)
            instance_close(drive->streams[i].arrivals);
    }
}

/* 1: next_at_ns is known; 0: it is not now; -1: the generator failed. */
static int ask_next(struct stream_run *stream, int64_t now_ns, struct error *error)
{
    int64_t at_ns = stream->next_at_ns, clock_ns = drive_clock_ns(stream->drive, now_ns);
    drive_enter(stream->drive, stream->arrivals);
    instance_lock(stream->arrivals);
    int32_t status = stream->arrivals_hook.next(stream->arrivals->self, clock_ns > 0 ? clock_ns : 0, &at_ns);
    instance_unlock(stream->arrivals);
    drive_leave(stream->drive);
    switch (status) {
    case NAPM_OK:
        if (at_ns < stream->next_at_ns)
            return instance_misbehaved(stream->arrivals, error, "next() went back in time, from %lld ns to %lld ns",
                                       (long long)stream->next_at_ns, (long long)at_ns);
        stream->next_at_ns = at_ns;
        stream->has_next = true;
        return 1;
    case NAPM_WAIT:
        stream->waiting = true;
        if (stream->open_count == 0)
            return instance_misbehaved(stream->arrivals, error,
                                       "next() waits for a completion while no task is unfinished");
        return 0;
    case NAPM_END:
        stream->ended = true;
        stream->drive->tasks_of -= stream->spec->task_count - stream->next_number;
        return 0;
    default:
        return instance_error(stream->arrivals, status, "asking for the next task", error);
    }
}

bool arrivals_react(const struct stream_run *stream)
{
    return !stream->arrivals_hook.interval_ns || stream->arrivals_hook.interval_ns(stream->arrivals->self) <= 0;
}

void arrivals_advance(struct stream_run *stream, int64_t now_ns)
{
    struct error error = {0};
    while (!stream->ended && !stream->waiting && stream->away == 0) {
        if (stream->next_number == stream->spec->task_count) {
            stream->ended = true;
            break;
        }
        int known = stream->has_next ? 1 : ask_next(stream, now_ns, &error);
        if (known < 0) {
            error_prefix(&error, "stream %s", stream->spec->name);
            drive_fail(stream->drive, &error);
            break;
        }
        if (known == 0)
            break;
        int64_t due_ns = stream->next_at_ns > INT64_MAX - stream->drive->world->zero_ns
                             ? INT64_MAX
                             : stream->drive->world->zero_ns + stream->next_at_ns;
        if (due_ns - TELL_AHEAD_NS > now_ns || stream->next_at_ns >= stream->drive->leave_ns)
            break;
        stream->has_next = false;
        if (stream->next_at_ns < stream->back_ns && !arrivals_react(stream))
            continue;
        task_start(stream, due_ns > now_ns + LEAD_NS ? due_ns : now_ns + LEAD_NS);
    }
}

void arrivals_completed(struct stream_run *stream, uint64_t number, bool failed, int64_t now_ns)
{
    if (!stream->arrivals_hook.completed)
        return;
    int64_t clock_ns = drive_clock_ns(stream->drive, now_ns);
    drive_enter(stream->drive, stream->arrivals);
    instance_lock(stream->arrivals);
    stream->arrivals_hook.completed(stream->arrivals->self, clock_ns > 0 ? clock_ns : 0, number, failed);
    instance_unlock(stream->arrivals);
    drive_leave(stream->drive);
    stream->waiting = false;
}

/* ---- stress */

static void free_levels(Wire__Stress *levels)
{
    for (size_t i = 0; levels && i < levels->n_levels; i++)
        free(levels->levels[i]);
    if (levels)
        free(levels->levels);
    free(levels);
}

/* Asks until the load stays as it is, or the run will have ended. from_ns is the run's clock. */
static int ask_levels(struct instance *instance, const struct napm_loadgen_stress *hook, int64_t until_ns,
                      Wire__Stress *levels, struct error *error)
{
    int64_t last_ns = INT64_MIN;
    ARRAY_OF(Wire__StressLevel *) list = {0};
    int status = 0;
    for (;;) {
        struct napm_stress_level level = {.size = sizeof(level)};
        int32_t said = hook->next(instance->self, &level);
        if (said == NAPM_END)
            break;
        if (said < 0)
            status = instance_error(instance, said, "asking for the next level of load", error);
        else if (said != NAPM_OK || level.from_ns < last_ns || !(level.cpu_share >= 0))
            status = instance_misbehaved(instance, error, "level %zu of its load is not possible", list.count);
        else if (level.from_ns <= until_ns && list.count == STRESS_LEVELS_MAX)
            status =
                error_set(error, ERROR_INPUT,
                          "load generator %s changes its load more than %u times within the run's time limit; give "
                          "it a longer period, or run.time_limit less",
                          instance->entry->name, STRESS_LEVELS_MAX);
        if (status || level.from_ns > until_ns)
            break;
        last_ns = level.from_ns;
        Wire__StressLevel *kept = NEW(Wire__StressLevel);
        wire__stress_level__init(kept);
        kept->from_ns = level.from_ns;
        kept->cpu_share = level.cpu_share;
        kept->memory_bytes = level.memory_bytes;
        *ARRAY_ADD(&list) = kept;
    }
    levels->levels = list.items;
    levels->n_levels = list.count;
    return status;
}

int stress_open(struct drive *drive, struct error *error)
{
    drive->stress_levels = NEW_ARRAY(Wire__Stress *, drive->scenario->node_count);
    for (uint32_t i = 0; i < drive->scenario->node_count; i++) {
        const struct scenario_node *node = &drive->scenario->nodes[i];
        struct napm_loadgen_stress hook;
        if (!node->stress.name)
            continue;
        struct instance *instance =
            open_generator(drive, &node->stress, "stress", node->name, NAPM_LOADGEN_STRESS, &hook, sizeof(hook), error);
        if (!instance)
            return -1;
        drive->stress_levels[i] = NEW(Wire__Stress);
        wire__stress__init(drive->stress_levels[i]);
        int64_t until_ns =
            drive->scenario->time_limit_ns < INT64_MAX / 2 ? drive->scenario->time_limit_ns : INT64_MAX / 2;
        int status = hook.next ? ask_levels(instance, &hook, until_ns, drive->stress_levels[i], error)
                               : instance_misbehaved(instance, error, "its load has no function next()");
        instance_close(instance);
        if (status)
            return -1;
    }
    return 0;
}

static struct stress *start_here(const Wire__Stress *asked)
{
    struct stress_level *levels = NEW_ARRAY(struct stress_level, asked->n_levels);
    for (size_t i = 0; i < asked->n_levels; i++)
        levels[i] = (struct stress_level){asked->levels[i]->from_ns, asked->levels[i]->cpu_share,
                                          asked->levels[i]->memory_bytes};
    struct stress *stress = stress_start(levels, asked->n_levels);
    free(levels);
    return stress;
}

void stress_begin(struct drive *drive)
{
    for (uint32_t i = 0; i < drive->scenario->node_count; i++) {
        Wire__Stress *asked = drive->stress_levels[i];
        if (!asked || asked->n_levels == 0)
            continue;
        for (size_t k = 0; k < asked->n_levels; k++)
            asked->levels[k]->from_ns += drive->world->zero_ns;
        if (drive->scenario->nodes[i].is_station) {
            drive->stress = start_here(asked);
            continue;
        }
        Wire__Message message = WIRE__MESSAGE__INIT;
        message.body_case = WIRE__MESSAGE__BODY_STRESS;
        message.stress = asked;
        peer_tell(&drive->world->nodes[i].peer, &message);
    }
}

void stress_close(struct drive *drive)
{
    stress_stop(drive->stress);
    for (uint32_t i = 0; drive->stress_levels && i < drive->scenario->node_count; i++)
        free_levels(drive->stress_levels[i]);
    free(drive->stress_levels);
}
