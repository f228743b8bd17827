/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles of a run: measured once, then taken from the ledger. */
#include "core/run/profiles.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/lock.h"
#include "core/base/log.h"
#include "core/base/memory.h"

/* What a batch's further jobs add is measured as the mean of three of them. */
#define BATCH 4

/* What one profile is of. */
struct subject {
    const struct scenario_node *node;
    const struct scenario_model *model;
    uint32_t node_index, model_index;
    uint32_t batch; /* 1: no batch */
};

/* A file that an option names may change under the same name: its contents belong to the conditions too. */
static char *digests_of_option_files(const struct instance *backend)
{
    const struct napm_plugin *plugin = backend->entry->plugin;
    char *digests = text_copy("");
    for (uint32_t i = 0; i < plugin->option_count; i++) {
        const struct napm_option *option = plugin->options[i];
        if (option->type != NAPM_OPTION_FILE)
            continue;
        char *wanted = text_format("%s=", option->name);
        const char *line = instance_options_text(backend);
        while (line && strncmp(line, wanted, strlen(wanted)) != 0) {
            line = strchr(line, '\n');
            line = line ? line + 1 : NULL;
        }
        struct file_map map;
        if (line && line[strlen(wanted)] && line[strlen(wanted)] != '\n') {
            char *path = text_copy(line + strlen(wanted));
            path[strcspn(path, "\n")] = '\0';
            if (file_map(path, &map, NULL) == 0) {
                char digest[FILE_DIGEST_BYTES];
                file_digest(map.bytes, map.size, digest);
                file_unmap(&map);
                char *longer = text_format("%s %s:%s", digests, option->name, digest);
                free(digests);
                digests = longer;
            }
            free(path);
        }
        free(wanted);
    }
    return digests;
}

/* Everything that measured times depend on, for people. free() it. */
static char *describe_conditions(const struct run_settings *settings, const struct subject *subject,
                                 const struct node_facts *facts, struct error *error)
{
    const struct scenario *scenario = settings->scenario;
    struct instance_host host = {.label = "profile", .seed = 0};
    struct instance *backend =
        instance_open(settings->catalogue, NAPM_KIND_BACKEND, &subject->node->backend, &host, error);
    if (!backend)
        return NULL;
    char *options = text_copy(instance_options_text(backend) ? instance_options_text(backend) : "");
    for (char *end; (end = strchr(options, '\n')) != NULL;)
        *end = ' ';
    char *digests = digests_of_option_files(backend);
    const char *file = strrchr(subject->model->path, '/');
    char *batch = subject->batch > 1 ? text_format("; batch %u", subject->batch) : text_copy("");
    char *description = text_format(
        "model %s (%s); backend %s %s (%s%s); threads %u; cpu %g; passes %u+%u, each after "
        "a rest; host %s; machine %s; processors %u%s",
        model_view(subject->model->model)->hash, file ? file + 1 : subject->model->path, backend->entry->name,
        backend->entry->version, options, digests, subject->node->threads, subject->node->cpu_share,
        scenario->profile_warmups, scenario->profile_repeats, facts && facts->host ? facts->host : "?",
        facts && facts->machine ? facts->machine : "?", facts ? facts->processors : 0, batch);
    free(batch);
    free(options);
    free(digests);
    instance_close(backend);
    return description;
}

/* What the times come from, for people; the key is its digest. free() it. */
static char *describe(const struct run_settings *settings, const struct world_kind *kind, struct world *world,
                      const struct subject *subject, struct error *error)
{
    const struct napm_model *model = model_view(subject->model->model);
    if (settings->replay_of)
        return text_format("model %s; run %" PRId64 ", node %" PRIu32 "; cpu %g", model->hash, settings->replay_of,
                           subject->node_index, subject->node->cpu_share);
    char *source = kind->profile_source ? kind->profile_source(world, subject->node_index, subject->model_index) : NULL;
    if (!source)
        return describe_conditions(settings, subject, kind->facts(world, subject->node_index), error);
    const char *file = strrchr(subject->model->path, '/');
    char *description = text_format("model %s (%s); %s", model->hash, file ? file + 1 : subject->model->path, source);
    free(source);
    return description;
}

static int take_recorded(const struct run_settings *settings, const struct subject *subject, struct layer_time *times,
                         struct error *error)
{
    const struct napm_model *model = model_view(subject->model->model);
    int found = ledger_run_profile_get(settings->ledger, settings->replay_of, subject->node_index, model->hash,
                                       subject->node->cpu_share, model->layer_count, times, error);
    return found == 0 ? error_set(error, ERROR_INPUT, "run %" PRId64 " has no layer times of %s on %s to replay",
                                  settings->replay_of, subject->model->path, subject->node->name)
                      : found - 1;
}

static int measure(const struct run_settings *settings, const struct world_kind *kind, struct world *world,
                   const struct subject *subject, const char *key, const char *description, struct layer_time *times,
                   struct error *error)
{
    uint32_t layers = model_view(subject->model->model)->layer_count;
    log_info("run", "profiling %s on %s", subject->model->path, subject->node->name);
    int failed = settings->replay_of  ? take_recorded(settings, subject, times, error)
                 : subject->batch > 1 ? kind->profile_batch(world, subject->model_index, subject->batch, times, error)
                                      : kind->profile(world, subject->node_index, subject->model_index, times, error);
    if (failed)
        return error_prefix(error, "profiling %s on %s", subject->model->path, subject->node->name);
    return settings->ledger ? ledger_profile_put(settings->ledger, key, description, layers, times, error) : 0;
}

#define PROFILED_WITHIN_NS (30 * 60 * NS_PER_S)

/*
 * One process at a time measures for a ledger, as each would measure the load of the others too. What another one has
 * measured meanwhile is taken.
 */
static int measure_alone(const struct run_settings *settings, const struct world_kind *kind, struct world *world,
                         const struct subject *subject, const char *key, const char *description,
                         struct layer_time *times, struct error *error)
{
    if (!settings->ledger)
        return measure(settings, kind, world, subject, key, description, times, error);
    char *path = text_format("%s.profiling", ledger_path(settings->ledger));
    int lock = lock_take(path, PROFILED_WITHIN_NS, settings->cancel, error), found = 0;
    free(path);
    if (lock < 0)
        return -1;
    if (!settings->fresh_profiles)
        found = ledger_profile_get(settings->ledger, key, model_view(subject->model->model)->layer_count, times, error);
    if (found == 0 && measure(settings, kind, world, subject, key, description, times, error) != 0)
        found = -1;
    lock_release(lock);
    return found < 0 ? -1 : 0;
}

static struct known_times keep_times(struct profiles *profiles, const struct layer_time *times, uint32_t layers)
{
    struct known_times kept = {ARENA_ARRAY(&profiles->arena, int64_t, layers),
                               ARENA_ARRAY(&profiles->arena, int64_t, layers)};
    for (uint32_t i = 0; i < layers; i++) {
        kept.median_ns[i] = times[i].median_ns;
        kept.mean_ns[i] = times[i].mean_ns;
    }
    return kept;
}

static int get_or_measure(const struct run_settings *settings, const struct world_kind *kind, struct world *world,
                          const struct subject *subject, const char *key, const char *description,
                          struct layer_time *times, struct error *error)
{
    int found = 0;
    if (settings->ledger && !settings->fresh_profiles)
        found = ledger_profile_get(settings->ledger, key, model_view(subject->model->model)->layer_count, times, error);
    return found < 0 || (!found && measure_alone(settings, kind, world, subject, key, description, times, error) != 0)
               ? -1
               : 0;
}

/* Layer times from the ledger, or measured now. Times with one description are the same times: asked for once. */
static int know_times(struct profiles *profiles, const struct run_settings *settings, const struct world_kind *kind,
                      struct world *world, const struct subject *subject, const char *description, uint32_t *number,
                      struct error *error)
{
    uint32_t layers = model_view(subject->model->model)->layer_count;
    char key[FILE_DIGEST_BYTES];
    *number = names_find(&profiles->numbers, description);
    if (*number != NAMES_NONE)
        return 0;
    file_digest(description, strlen(description), key);
    struct layer_time *times = NEW_ARRAY(struct layer_time, layers);
    int result = get_or_measure(settings, kind, world, subject, key, description, times, error);
    if (result == 0) {
        *number = (uint32_t)profiles->known.count;
        names_add(&profiles->numbers, &profiles->arena, arena_copy(&profiles->arena, description), *number);
        *ARRAY_ADD(&profiles->known) = keep_times(profiles, times, layers);
        *ARRAY_ADD(&profiles->keys) = arena_copy(&profiles->arena, key);
    }
    free(times);
    return result;
}

static int profile_one(struct profiles *profiles, const struct run_settings *settings, const struct world_kind *kind,
                       struct world *world, const struct subject *subject, struct known_times *times,
                       struct error *error)
{
    uint32_t number;
    char *description = describe(settings, kind, world, subject, error);
    if (!description)
        return -1;
    int result = know_times(profiles, settings, kind, world, subject, description, &number, error);
    free(description);
    if (result)
        return -1;
    *times = profiles->known.items[number];
    if (subject->batch == 1)
        *ARRAY_ADD(&profiles->uses) = (struct profile_use){subject->node_index, subject->model_index, number};
    return 0;
}

static int record_uses(const struct profiles *profiles, const struct run_settings *settings, int64_t run,
                       struct error *error)
{
    int result = 0;
    if (!settings->ledger || run < 0)
        return 0;
    if (ledger_hold(settings->ledger, error) != 0)
        return -1;
    for (size_t i = 0; i < profiles->uses.count && result == 0; i++) {
        const struct profile_use *use = &profiles->uses.items[i];
        const char *hash = model_view(settings->scenario->models[use->model].model)->hash;
        result = ledger_run_profile(settings->ledger, run, use->node, hash, profiles->keys.items[use->number], error);
    }
    return ledger_release(settings->ledger, result, error);
}

/* Which node may have to run which model: the station any, a device those of the streams whose way leads over it. */
static bool *find_needed(const struct scenario *scenario, uint32_t *count)
{
    bool *needed = NEW_ARRAY(bool, (size_t)scenario->node_count * scenario->model_count);
    for (uint32_t i = 0; i < scenario->stream_count; i++) {
        uint32_t node = scenario->streams[i].device, model = scenario->streams[i].model;
        for (; node != scenario->station; node = scenario->links[scenario->link_of_node[node]].upper)
            needed[(size_t)node * scenario->model_count + model] = true;
        needed[(size_t)node * scenario->model_count + model] = true;
    }
    *count = 0;
    for (size_t i = 0; i < (size_t)scenario->node_count * scenario->model_count; i++)
        *count += needed[i];
    return needed;
}

static int gather_needed(struct profiles *profiles, const struct run_settings *settings, const struct world_kind *kind,
                         struct world *world, const bool *needed, uint32_t of, struct error *error)
{
    const struct scenario *scenario = settings->scenario;
    uint32_t done = 0;
    for (uint32_t node = 0; node < scenario->node_count; node++) {
        for (uint32_t model = 0; model < scenario->model_count; model++) {
            if (!needed[(size_t)node * scenario->model_count + model])
                continue;
            if (settings->watcher.step)
                settings->watcher.step(settings->watcher.context, "profiling", done, of);
            if (settings->cancel && atomic_load(settings->cancel))
                return error_set(error, ERROR_CANCELLED, "stopped while profiling");
            struct subject subject = {&scenario->nodes[node], &scenario->models[model], node, model, 1};
            struct known_times times;
            if (profile_one(profiles, settings, kind, world, &subject, &times, error) != 0)
                return -1;
            profiles->median_ns[node][model] = times.median_ns;
            profiles->mean_ns[node][model] = times.mean_ns;
            done++;
        }
    }
    if (settings->watcher.step)
        settings->watcher.step(settings->watcher.context, "profiling", done, of);
    return 0;
}

/* Whether there is a use and a way of measuring batches at the station. */
static bool wants_batches(const struct run_settings *settings, const struct world_kind *kind, struct world *world)
{
    const struct scenario *scenario = settings->scenario;
    const struct catalogue_entry *scheduler =
        catalogue_find(settings->catalogue, NAPM_KIND_SCHEDULER, scenario->scheduler.name, NULL);
    if (settings->replay_of || !kind->profile_batch || !scheduler || !scheduler->plugin->get_extension ||
        !scheduler->plugin->get_extension(NAPM_SCHEDULER_BATCHES))
        return false;
    char *source = kind->profile_source ? kind->profile_source(world, scenario->station, 0) : NULL;
    free(source);
    return !source;
}

/* What each further job of a batch adds to the layers: from a batch and the job by itself. */
static int64_t *further_ns(struct profiles *profiles, const int64_t *batch_ns, const int64_t *one_ns, uint32_t layers)
{
    int64_t *more_ns = ARENA_ARRAY(&profiles->arena, int64_t, layers);
    for (uint32_t i = 0; i < layers; i++)
        more_ns[i] = batch_ns[i] > one_ns[i] ? (batch_ns[i] - one_ns[i]) / (BATCH - 1) : 0;
    return more_ns;
}

static int gather_batches(struct profiles *profiles, const struct run_settings *settings, const struct world_kind *kind,
                          struct world *world, struct error *error)
{
    const struct scenario *scenario = settings->scenario;
    const uint32_t station = scenario->station, row = scenario->node_count;
    profiles->median_ns[row] = NEW_ARRAY(int64_t *, scenario->model_count);
    profiles->mean_ns[row] = NEW_ARRAY(int64_t *, scenario->model_count);
    for (uint32_t model = 0; model < scenario->model_count; model++) {
        uint32_t layers = model_view(scenario->models[model].model)->layer_count;
        struct subject subject = {&scenario->nodes[station], &scenario->models[model], station, model, BATCH};
        struct known_times batch;
        if (!profiles->median_ns[station][model]) { /* no stream has this model: any times will do */
            profiles->median_ns[row][model] = profiles->mean_ns[row][model] =
                ARENA_ARRAY(&profiles->arena, int64_t, layers);
            continue;
        }
        if (profile_one(profiles, settings, kind, world, &subject, &batch, error) != 0)
            return -1;
        profiles->median_ns[row][model] =
            further_ns(profiles, batch.median_ns, profiles->median_ns[station][model], layers);
        profiles->mean_ns[row][model] = further_ns(profiles, batch.mean_ns, profiles->mean_ns[station][model], layers);
    }
    return 0;
}

static int gather_all(struct profiles *profiles, const struct run_settings *settings, const struct world_kind *kind,
                      struct world *world, int64_t run, struct error *error)
{
    uint32_t of;
    bool *needed = find_needed(settings->scenario, &of);
    int result = gather_needed(profiles, settings, kind, world, needed, of, error);
    free(needed);
    if (result == 0 && wants_batches(settings, kind, world))
        result = gather_batches(profiles, settings, kind, world, error);
    return result == 0 ? record_uses(profiles, settings, run, error) : -1;
}

static int64_t ***new_rows(const struct profiles *profiles)
{
    int64_t ***rows = NEW_ARRAY(int64_t **, profiles->node_count + 1);
    for (uint32_t node = 0; node < profiles->node_count; node++)
        rows[node] = NEW_ARRAY(int64_t *, profiles->model_count);
    return rows;
}

static void free_rows(const struct profiles *profiles, int64_t ***rows)
{
    for (uint32_t node = 0; rows && node <= profiles->node_count; node++)
        free(rows[node]);
    free(rows);
}

int profiles_gather(struct profiles *profiles, const struct run_settings *settings, const struct world_kind *kind,
                    struct world *world, int64_t run, struct error *error)
{
    profiles->node_count = settings->scenario->node_count;
    profiles->model_count = settings->scenario->model_count;
    profiles->median_ns = new_rows(profiles);
    profiles->mean_ns = new_rows(profiles);
    if (gather_all(profiles, settings, kind, world, run, error) == 0)
        return 0;
    profiles_free(profiles);
    return -1;
}

void profiles_free(struct profiles *profiles)
{
    free_rows(profiles, profiles->median_ns);
    free_rows(profiles, profiles->mean_ns);
    ARRAY_FREE(&profiles->known);
    ARRAY_FREE(&profiles->keys);
    ARRAY_FREE(&profiles->uses);
    names_free(&profiles->numbers);
    arena_free(&profiles->arena);
    memset(profiles, 0, sizeof(*profiles));
}

const int64_t *const *const *profiles_view(const struct profiles *profiles)
{
    return (const int64_t *const *const *)profiles->median_ns;
}

const int64_t *const *const *profiles_of_world(const struct profiles *profiles, const struct world_kind *kind)
{
    return (const int64_t *const *const *)(kind->is_virtual ? profiles->mean_ns : profiles->median_ns);
}
