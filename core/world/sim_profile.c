/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a simulated node's layer times come from: a file, an estimate from what the layers compute and move, or else
 * measuring them here as the local world does.
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/compute/compute.h"
#include "core/scenario/names.h"
#include "core/world/sim_private.h"

#define LONGEST_NS 9e15 /* a hundred days */

/* ---- from a file: what `napm profile --format json` prints, or a list of such */

static char *file_source(const char *path)
{
    struct file_map map;
    char digest[FILE_DIGEST_BYTES] = "not readable";
    if (file_map(path, &map, NULL) == 0) {
        file_digest(map.bytes, map.size, digest);
        file_unmap(&map);
    }
    return text_format("file %s (%s)", path, digest);
}

static bool is_of_model(const json_t *profile, const struct napm_model *model)
{
    const char *hash = json_string_value(json_object_get(profile, "hash"));
    return hash && strcmp(hash, model->hash) == 0;
}

static const json_t *find_model(const json_t *document, const struct napm_model *model)
{
    size_t i;
    const json_t *one;
    if (json_is_object(document))
        return is_of_model(document, model) ? document : NULL;
    json_array_foreach(document, i, one) if (is_of_model(one, model)) return one;
    return NULL;
}

static bool is_time(const json_t *number)
{
    return json_is_number(number) && json_number_value(number) >= 0 && json_number_value(number) < LONGEST_NS;
}

/* Files may have no means: who writes one by hand has one time for a layer. */
static int take_layers(const json_t *profile, const char *path, const struct napm_model *model,
                       struct layer_time *times, struct error *error)
{
    const json_t *layers = json_object_get(profile, "layers");
    if (json_array_size(layers) != model->layer_count)
        return error_set(error, ERROR_INPUT,
                         "%s: has the times of %zu layers, but the model %s has %u; make it anew with `napm profile`",
                         path, json_array_size(layers), model->name, model->layer_count);
    for (uint32_t i = 0; i < model->layer_count; i++) {
        const json_t *layer = json_array_get(layers, i), *median = json_object_get(layer, "time_ns"),
                     *mean = json_object_get(layer, "mean_ns");
        if (!is_time(median) || (mean && !is_time(mean)))
            return error_set(error, ERROR_INPUT, "%s: layer %u has no '%s' that is a time in nanoseconds", path, i,
                             is_time(median) ? "mean_ns" : "time_ns");
        times[i].median_ns = llround(json_number_value(median));
        times[i].mean_ns = mean ? llround(json_number_value(mean)) : times[i].median_ns;
    }
    return 0;
}

static int read_file(const char *path, const struct napm_model *model, struct layer_time *times, struct error *error)
{
    json_error_t why;
    json_t *document = json_load_file(path, 0, &why);
    if (!document)
        return error_set(error, ERROR_INPUT, "%s:%d: %s; a profile is what `napm profile MODEL --format json` prints",
                         path, why.line, why.text);
    const json_t *profile = find_model(document, model);
    int result = profile ? take_layers(profile, path, model, times, error)
                         : error_set(error, ERROR_INPUT,
                                     "%s: has no profile of the model %s (hash %s); make one with `napm profile MODEL "
                                     "--format json`; several stand in one list: [ { ... }, { ... } ]",
                                     path, model->name, model->hash);
    json_decref(document);
    return result;
}

/* Files and models that have been looked at. */
struct checked {
    struct arena arena;
    struct names files;
};

static int check_once(struct checked *checked, const struct scenario_node *node, const struct model *model,
                      struct error *error)
{
    const struct napm_model *view = model_view(model);
    const char *name = arena_text(&checked->arena, "%s %s", view->hash, node->speed.profile);
    if (names_find(&checked->files, name) != NAMES_NONE)
        return 0;
    names_add(&checked->files, &checked->arena, name, 0);
    struct layer_time *times = ARENA_ARRAY(&checked->arena, struct layer_time, view->layer_count);
    return read_file(node->speed.profile, view, times, error) == 0 ? 0 : error_prefix(error, "%s", node->where);
}

int sim_check_profiles(const struct scenario *scenario, struct error *error)
{
    struct checked checked = {0};
    int result = 0;
    for (uint32_t i = 0; i < scenario->stream_count && result == 0; i++) {
        const struct scenario_stream *stream = &scenario->streams[i];
        const struct model *model = scenario->models[stream->model].model;
        for (uint32_t node = stream->device; node != NAMES_NONE && result == 0;) {
            if (scenario->nodes[node].speed.profile)
                result = check_once(&checked, &scenario->nodes[node], model, error);
            node = node == scenario->station ? NAMES_NONE : scenario->links[scenario->link_of_node[node]].upper;
        }
    }
    names_free(&checked.files);
    arena_free(&checked.arena);
    return result;
}

/* ---- estimated */

static double moved_bytes(const struct napm_model *model, const struct napm_layer *layer)
{
    double bytes = (double)layer->parameter_bytes;
    for (uint32_t i = 0; i < layer->input_count; i++)
        bytes += (double)model->tensors[layer->inputs[i]]->bytes;
    for (uint32_t i = 0; i < layer->output_count; i++)
        bytes += (double)model->tensors[layer->outputs[i]]->bytes;
    return bytes;
}

/* The roofline: whichever takes longer, computing or moving weights and activations. */
static void estimate(const struct scenario_speed *speed, const struct napm_model *model, struct layer_time *times)
{
    for (uint32_t i = 0; i < model->layer_count; i++) {
        double computing_s = model->layers[i]->flops / speed->flop_per_s, moving_s = 0;
        if (speed->memory_bytes_per_s > 0)
            moving_s = moved_bytes(model, model->layers[i]) / speed->memory_bytes_per_s;
        times[i].median_ns = times[i].mean_ns = llround(fmin(1e9 * fmax(computing_s, moving_s), LONGEST_NS));
    }
}

/* ---- measured */

static int measure(struct world *world, const struct scenario_node *node, const struct model *model, uint32_t batch,
                   struct layer_time *times, struct error *error)
{
    char *label = text_format("backend:%s", node->name);
    const struct compute_settings settings = {.backend = node->backend,
                                              .threads = node->threads,
                                              .cpu_share = node->cpu_share,
                                              .host = {.label = label, .seed = world->setup.seed},
                                              .stop = world->setup.cancel};
    struct compute *compute = compute_open(world->setup.catalogue, &settings, error);
    struct compute_model *prepared = compute ? compute_prepare(compute, model, error) : NULL;
    int result = prepared ? compute_profile_batch(prepared, batch, world->scenario->profile_warmups,
                                                  world->scenario->profile_repeats, times, NULL, NULL, error)
                          : -1;
    if (compute)
        compute_close(compute);
    free(label);
    return result;
}

/* ---- for the run */

static char *stated_source(const struct scenario_speed *speed)
{
    if (speed->profile)
        return file_source(speed->profile);
    if (speed->flop_per_s <= 0)
        return NULL;
    return speed->memory_bytes_per_s > 0 ? text_format("estimate from FLOPs and bytes: %g GFLOP/s, %g GB/s",
                                                       speed->flop_per_s / 1e9, speed->memory_bytes_per_s / 1e9)
                                         : text_format("estimate from FLOPs: %g GFLOP/s", speed->flop_per_s / 1e9);
}

char *sim_profile_source(struct world *world, uint32_t index, uint32_t model)
{
    const struct scenario_node *node = &world->scenario->nodes[index];
    char *source = stated_source(&node->speed);
    (void)model;
    if (!source || node->cpu_share == 1)
        return source;
    char *shared = text_format("%s; cpu %g", source, node->cpu_share);
    free(source);
    return shared;
}

/* What is measured here is paced while it is measured; what is stated is of the whole processor. */
static void share_processor(double cpu_share, uint32_t count, struct layer_time *times)
{
    for (uint32_t i = 0; i < count; i++) {
        times[i].median_ns = llround(fmin((double)times[i].median_ns / cpu_share, LONGEST_NS));
        times[i].mean_ns = llround(fmin((double)times[i].mean_ns / cpu_share, LONGEST_NS));
    }
}

int sim_profile(struct world *world, uint32_t index, uint32_t model_index, struct layer_time *times,
                struct error *error)
{
    const struct scenario_node *node = &world->scenario->nodes[index];
    const struct model *model = world->scenario->models[model_index].model;
    if (!node->speed.profile && node->speed.flop_per_s <= 0)
        return measure(world, node, model, 1, times, error);
    if (!node->speed.profile)
        estimate(&node->speed, model_view(model), times);
    else if (read_file(node->speed.profile, model_view(model), times, error) != 0)
        return -1;
    share_processor(node->cpu_share, model_view(model)->layer_count, times);
    return 0;
}

int sim_profile_batch(struct world *world, uint32_t model, uint32_t batch, struct layer_time *times,
                      struct error *error)
{
    return measure(world, &world->scenario->nodes[world->scenario->station], world->scenario->models[model].model,
                   batch, times, error);
}
