/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a scenario: file, overrides, sections, and what holds for the whole run. */
#include "core/scenario/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/scenario/override.h"
#include "core/scenario/reader.h"
#include "core/scenario/recorded.h"

#define LARGEST_FILE_BYTES (16u << 20)

struct scenario_private {
    struct arena arena;
};

static char *read_text(struct arena *arena, const char *path, struct error *error)
{
    struct file_map map;
    if (file_map(path, &map, error) != 0)
        return NULL;
    char *text = NULL;
    if (map.size > LARGEST_FILE_BYTES)
        error_set(error, ERROR_INPUT, "%s: this is no scenario file: it has more than 16 MiB", path);
    else if (map.size && memchr(map.bytes, 0, map.size))
        error_set(error, ERROR_INPUT, "%s: this is no scenario file: it has bytes of value 0, so it is no text", path);
    else {
        text = arena_new(arena, map.size + 1);
        if (map.size)
            memcpy(text, map.bytes, map.size);
    }
    file_unmap(&map);
    return text;
}

/* ---- sections that are no lists */

static int read_head(const struct reader *reader, const struct value *root, const char *path)
{
    static const char *const keys[] = {"name",    "seed",        "world",     "nodes",   "links",
                                       "streams", "partitioner", "scheduler", "backend", "profile",
                                       "run",     "objective",   "events",    "replan",  NULL};
    struct scenario *scenario = reader->scenario;
    const char *slash = strrchr(path, '/');
    int64_t seed = 1;
    scenario->name = slash ? slash + 1 : path;
    scenario->world = "local";
    if (reader_check_keys(reader, root, "a scenario", keys) != 0 ||
        reader_get_text(reader, root, "name", &scenario->name) < 0 ||
        reader_get_integer(reader, root, "seed", 0, INT64_MAX, &seed) < 0 ||
        reader_get_text(reader, root, "world", &scenario->world) < 0)
        return -1;
    scenario->world_where = tree_member(root, "world") ? tree_member(root, "world")->where : scenario->path;
    scenario->seed = (uint64_t)seed;
    return 0;
}

/* Keys left out weigh nothing; without the group it is the mean delay. */
static int read_objective(const struct reader *reader, const struct value *root)
{
    static const char *const keys[] = {"delay", "deviation", "energy", "miss", NULL};
    struct napm_objective *objective = &reader->scenario->objective;
    struct value *group;
    *objective = (struct napm_objective){.size = sizeof(*objective), .delay_per_s = 1};
    int got = reader_get_group(reader, root, "objective", &group);
    if (got <= 0)
        return got;
    objective->delay_per_s = 0;
    if (reader_check_keys(reader, group, "'objective'", keys) != 0 ||
        reader_get_real(reader, group, "delay", 0, 1e12, &objective->delay_per_s) < 0 ||
        reader_get_real(reader, group, "deviation", 0, 1e12, &objective->deviation_per_s) < 0 ||
        reader_get_real(reader, group, "energy", 0, 1e12, &objective->energy_per_j) < 0 ||
        reader_get_real(reader, group, "miss", 0, 1e12, &objective->miss) < 0)
        return -1;
    if (objective->delay_per_s + objective->deviation_per_s + objective->energy_per_j + objective->miss > 0)
        return 0;
    return reader_fail(reader, group->where,
                       "'objective' weighs nothing; give at least one of delay, deviation, energy and miss a weight "
                       "above 0, or leave it out for the mean delay");
}

static int read_profile(const struct reader *reader, const struct value *root)
{
    static const char *const keys[] = {"warmups", "repeats", NULL};
    struct scenario *scenario = reader->scenario;
    struct value *group;
    scenario->profile_warmups = 2;
    scenario->profile_repeats = 15;
    int got = reader_get_group(reader, root, "profile", &group);
    if (got <= 0)
        return got;
    return reader_check_keys(reader, group, "'profile'", keys) != 0 ||
                   reader_get_count(reader, group, "warmups", 0, 1000, &scenario->profile_warmups) < 0 ||
                   reader_get_count(reader, group, "repeats", 1, 1000, &scenario->profile_repeats) < 0
               ? -1
               : 0;
}

static int read_run(const struct reader *reader, const struct value *root)
{
    static const char *const keys[] = {"warmup_tasks", "time_limit", "silence", "sample_every", NULL};
    struct scenario *scenario = reader->scenario;
    struct value *group;
    scenario->time_limit_ns = INT64_C(600) * 1000000000;
    scenario->silence_ns = INT64_C(10) * 1000000000;
    scenario->sample_every_ns = INT64_C(200) * 1000000;
    int got = reader_get_group(reader, root, "run", &group);
    if (got <= 0)
        return got;
    if (reader_check_keys(reader, group, "'run'", keys) != 0 ||
        reader_get_count(reader, group, "warmup_tasks", 0, 1000000, &scenario->warmup_tasks) < 0 ||
        reader_get_duration(reader, group, "time_limit", &scenario->time_limit_ns) < 0 ||
        reader_get_duration(reader, group, "silence", &scenario->silence_ns) < 0 ||
        reader_get_duration(reader, group, "sample_every", &scenario->sample_every_ns) < 0)
        return -1;
    if (scenario->time_limit_ns == 0)
        return reader_fail(reader, tree_member(group, "time_limit")->where,
                           "'time_limit' is 0; a run needs some time: \"10min\"");
    if (scenario->silence_ns < INT64_C(2) * 1000000000)
        return reader_fail(reader, tree_member(group, "silence")->where,
                           "'silence' is less than 2s; a node gives a sign of life every second, so write 2s or more");
    if (scenario->sample_every_ns > 0 && scenario->sample_every_ns < 1000000)
        return reader_fail(reader, tree_member(group, "sample_every")->where,
                           "'sample_every' is less than 1ms; write 1ms or more, or 0 for no samples");
    return 0;
}

static int need_plugin(const struct reader *reader, const struct value *root, const char *key, uint32_t kind,
                       struct plugin_choice *choice)
{
    int got = reader_get_plugin(reader, root, key, kind, choice);
    if (got == 0)
        return reader_fail(reader, reader->scenario->path,
                           "no %s is chosen; write %s = { plugin = \"NAME\"; }; (napm plugin list tells the names)",
                           key, key);
    return got < 0 ? -1 : 0;
}

static int read_root(struct reader *reader, const struct value *root, const char *path)
{
    struct scenario *scenario = reader->scenario;
    return read_head(reader, root, path) != 0 || read_profile(reader, root) != 0 || read_run(reader, root) != 0 ||
                   read_objective(reader, root) != 0 ||
                   need_plugin(reader, root, "partitioner", NAPM_KIND_PARTITIONER, &scenario->partitioner) != 0 ||
                   need_plugin(reader, root, "scheduler", NAPM_KIND_SCHEDULER, &scenario->scheduler) != 0 ||
                   reader_nodes(reader, root) != 0 || reader_links(reader, root) != 0 ||
                   reader_streams(reader, root) != 0 || reader_events(reader, root) != 0
               ? -1
               : 0;
}

/* ---- life */

static int fill(struct scenario *scenario, const char *path, const char *given,
                const struct scenario_override *overrides, size_t count, struct catalogue *catalogue,
                struct error *error)
{
    struct arena *arena = &scenario->private_part->arena;
    scenario->path = arena_copy(arena, path);
    const char *text = given ? arena_copy(arena, given) : read_text(arena, path, error);
    struct value *root = text ? tree_parse(arena, text, path, error) : NULL;
    if (!root || override_and_expand(arena, root, overrides, count, error) != 0)
        return -1;
    scenario->text = arena_keep(arena, recorded_text(text, overrides, count));
    struct reader reader = {.arena = arena, .error = error, .catalogue = catalogue, .scenario = scenario};
    int result = read_root(&reader, root, scenario->path);
    names_free(&reader.nodes);
    return result;
}

static struct scenario *open_text(const char *path, const char *text, const struct scenario_override *overrides,
                                  size_t override_count, struct catalogue *catalogue, struct error *error)
{
    struct error local; /* the readers append to what they have said, so they need a place to say it */
    struct scenario *scenario = NEW(struct scenario);
    scenario->private_part = NEW(struct scenario_private);
    if (fill(scenario, path, text, overrides, override_count, catalogue, error ? error : &local) != 0) {
        scenario_close(scenario);
        return NULL;
    }
    return scenario;
}

struct scenario *scenario_open(const char *path, const struct scenario_override *overrides, size_t override_count,
                               struct catalogue *catalogue, struct error *error)
{
    return open_text(path, NULL, overrides, override_count, catalogue, error);
}

struct scenario *scenario_open_recorded(const char *path, const char *text, const struct scenario_override *overrides,
                                        size_t override_count, struct catalogue *catalogue, struct error *error)
{
    struct recorded_overrides recorded;
    recorded_overrides_read(&recorded, text);
    char *file_text = text_format("%.*s", (int)recorded.file_bytes, text);
    for (size_t i = 0; i < override_count; i++)
        *ARRAY_ADD(&recorded.all) = overrides[i];
    struct scenario *scenario = open_text(path, file_text, recorded.all.items, recorded.all.count, catalogue, error);
    free(file_text);
    recorded_overrides_free(&recorded);
    return scenario;
}

void scenario_set_starts(struct scenario *scenario, uint32_t stream, const int64_t *starts_ns, uint32_t count)
{
    struct arena *arena = &scenario->private_part->arena;
    struct scenario_stream *changed = (struct scenario_stream *)&scenario->streams[stream];
    int64_t *copy = ARENA_ARRAY(arena, int64_t, count + 1); /* not NULL where there are none */
    for (uint32_t i = 0; i < count; i++)
        copy[i] = starts_ns[i];
    changed->starts_ns = copy;
    changed->start_count = count;
}

void scenario_set_link(struct scenario *scenario, uint32_t link, enum link_direction direction, double bytes_per_s,
                       int64_t delay_ns)
{
    struct scenario_link *changed = (struct scenario_link *)&scenario->links[link];
    changed->spec.conditions[direction].bytes_per_s = bytes_per_s;
    changed->spec.conditions[direction].delay_ns = delay_ns;
}

void scenario_close(struct scenario *scenario)
{
    if (!scenario)
        return;
    for (uint32_t i = 0; i < scenario->model_count; i++)
        model_close(scenario->models[i].model);
    arena_free(&scenario->private_part->arena);
    free(scenario->private_part);
    free(scenario);
}

/* ---- questions */

bool scenario_is_measured(const struct scenario_node *node)
{
    return !node->speed.profile && node->speed.flop_per_s <= 0;
}

bool scenario_has_power(const struct scenario *scenario)
{
    for (uint32_t i = 0; i < scenario->node_count; i++)
        if (scenario->nodes[i].power.busy_w > 0 || scenario->nodes[i].power.transmit_w > 0)
            return true;
    return false;
}

uint32_t scenario_way_length(const struct scenario *scenario, uint32_t device)
{
    uint32_t length = 0;
    for (; device != scenario->station; device = scenario->links[scenario->link_of_node[device]].upper)
        length++;
    return length;
}
