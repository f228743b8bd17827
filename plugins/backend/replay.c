/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replay backend: spends each layer's time instead of computing it, so that one machine can stand for many slow
 * devices. Times are recorded ones (option `times`) or an estimate from the layer's arithmetic and weights. Every
 * output is filled with zeros.
 *
 * Time is spent by sleeping until due times that are counted from the start of a call, less what the sleeps before in
 * the same task took too long: a task takes the sum of its layers' times, and one wake-up's lateness, no matter into
 * how many calls it is sliced.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <napm/backend.h>
#include <napm/plugin.h>

#include "replay_times.h"

enum { OPTION_TIMES, OPTION_SCALE, OPTION_GFLOPS, OPTION_MEMORY_RATE, OPTION_COUNT };

struct backend {
    const struct napm_host *host;
    struct replay_times *times; /* NULL: estimate */
    double scale;
    double flops_per_ns, bytes_per_ns; /* 0: not limited */
};

struct prepared {
    const struct backend *backend;
    const struct napm_model *model;
    int64_t layer_ns[];
};

struct segment {
    const struct napm_host *host;
    uint32_t layer_count, output_count;
    int64_t *layer_ns;
    void *block; /* never written, so the system need not provide it */
    void *zeros; /* in the block, aligned, as large as the largest output */
    uint64_t zero_bytes;
};

struct execution {
    const struct segment *segment;
    uint32_t layers_done;
    int64_t late_ns; /* how much too long this task has slept so far */
};

static int32_t fail(const struct napm_host *host, int32_t status, const char *text)
{
    host->set_error(host, text);
    return status;
}

static void destroy(void *self)
{
    struct backend *backend = self;
    replay_times_free(backend->times);
    free(backend);
}

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct backend *backend = calloc(1, sizeof(*backend));
    const char *times = options[OPTION_TIMES].text;
    if (!backend)
        return fail(host, NAPM_ERR_MEMORY, "out of memory");
    backend->host = host;
    backend->scale = options[OPTION_SCALE].real;
    backend->flops_per_ns = options[OPTION_GFLOPS].real;
    backend->bytes_per_ns = options[OPTION_MEMORY_RATE].real / 1e9;
    if (times && times[0]) {
        char text[REPLAY_ERROR_BYTES];
        backend->times = replay_times_read(times, text);
        if (!backend->times) {
            char longer[REPLAY_ERROR_BYTES + 128];
            snprintf(longer, sizeof(longer),
                     "%s; `napm profile MODEL --format csv` writes such a file, and without 'times' they are estimated",
                     text);
            destroy(backend);
            return fail(host, NAPM_ERR_INVALID, longer);
        }
    }
    *self = backend;
    return NAPM_OK;
}

/* Nothing is computed, so everything can be, provided that the recorded times are of this model. */
static int32_t supports(void *self, const struct napm_model *model, uint32_t index)
{
    const struct backend *backend = self;
    if (!backend->times || index > 0) /* once a model is enough */
        return NAPM_OK;
    char text[REPLAY_ERROR_BYTES];
    int64_t *layer_ns = calloc(model->layer_count ? model->layer_count : 1, sizeof(*layer_ns));
    if (!layer_ns)
        return fail(backend->host, NAPM_ERR_MEMORY, "out of memory");
    int failed = replay_times_of_model(backend->times, model, layer_ns, text);
    free(layer_ns);
    return failed ? fail(backend->host, NAPM_ERR_INVALID, text) : NAPM_OK;
}

/* The longer of computing and of reading the weights: what a device of these rates could reach at best. */
static int64_t estimate_ns(const struct backend *backend, const struct napm_layer *layer)
{
    double compute_ns = layer->flops / backend->flops_per_ns;
    double read_ns = backend->bytes_per_ns > 0.0 ? (double)layer->parameter_bytes / backend->bytes_per_ns : 0.0;
    return (int64_t)llround(fmin(fmax(compute_ns, read_ns), 1e15));
}

static int32_t prepare(void *self, const struct napm_model *model, const struct napm_prepare *how, void **result)
{
    const struct backend *backend = self;
    (void)how;
    struct prepared *prepared = calloc(1, sizeof(*prepared) + model->layer_count * sizeof(int64_t));
    char text[REPLAY_ERROR_BYTES];
    if (!prepared)
        return fail(backend->host, NAPM_ERR_MEMORY, "out of memory");
    prepared->backend = backend;
    prepared->model = model;
    if (backend->times && replay_times_of_model(backend->times, model, prepared->layer_ns, text)) {
        free(prepared);
        return fail(backend->host, NAPM_ERR_INVALID, text);
    }
    for (uint32_t i = 0; i < model->layer_count; i++) {
        int64_t ns = backend->times ? prepared->layer_ns[i] : estimate_ns(backend, model->layers[i]);
        prepared->layer_ns[i] = (int64_t)llround(fmin((double)ns * backend->scale, 1e15));
    }
    *result = prepared;
    return NAPM_OK;
}

static void release_model(void *self, void *prepared)
{
    (void)self;
    free(prepared);
}

static void release_segment(void *self, void *handle)
{
    struct segment *segment = handle;
    (void)self;
    free(segment->layer_ns);
    free(segment->block);
    free(segment);
}

static int32_t create_segment(void *self, void *handle, const struct napm_segment *what, void **result)
{
    const struct backend *backend = self;
    const struct prepared *prepared = handle;
    struct segment *segment = calloc(1, sizeof(*segment));
    if (!segment)
        return fail(backend->host, NAPM_ERR_MEMORY, "out of memory");
    segment->host = backend->host;
    segment->layer_count = what->layer_count;
    segment->output_count = what->output_count;
    segment->zero_bytes = 64;
    for (uint32_t i = 0; i < what->output_count; i++) {
        uint64_t bytes = prepared->model->tensors[what->outputs[i]]->bytes;
        segment->zero_bytes = bytes > segment->zero_bytes ? bytes : segment->zero_bytes;
    }
    segment->zero_bytes = (segment->zero_bytes + 63) / 64 * 64;
    segment->layer_ns = calloc(what->layer_count ? what->layer_count : 1, sizeof(int64_t));
    segment->block = calloc(1, segment->zero_bytes + 64);
    if (!segment->layer_ns || !segment->block) {
        release_segment(self, segment);
        return fail(backend->host, NAPM_ERR_MEMORY, "out of memory");
    }
    segment->zeros = (char *)segment->block + (64 - (uintptr_t)segment->block % 64) % 64;
    for (uint32_t i = 0; i < what->layer_count; i++)
        segment->layer_ns[i] = prepared->layer_ns[what->layers[i]];
    *result = segment;
    return NAPM_OK;
}

/* What is really held; what the emulated device would need, the platform works out from the model. */
static int32_t segment_memory(void *self, void *handle, struct napm_segment_memory *memory)
{
    const struct segment *segment = handle;
    (void)self;
    memory->weight_bytes = 0;
    memory->activation_bytes = segment->zero_bytes;
    return NAPM_OK;
}

static int32_t create_execution(void *self, void *handle, void **result)
{
    const struct segment *segment = handle;
    (void)self;
    struct execution *execution = calloc(1, sizeof(*execution));
    if (!execution)
        return fail(segment->host, NAPM_ERR_MEMORY, "out of memory");
    execution->segment = segment;
    *result = execution;
    return NAPM_OK;
}

static void release_execution(void *self, void *execution)
{
    (void)self;
    free(execution);
}

static int32_t start(void *self, void *handle, const void *const *inputs)
{
    struct execution *execution = handle;
    (void)self;
    (void)inputs;
    execution->layers_done = 0;
    execution->late_ns = 0;
    return NAPM_OK;
}

static int32_t run(void *self, void *handle, uint32_t layer_count, int64_t *layer_ns)
{
    struct execution *execution = handle;
    const struct segment *segment = execution->segment;
    const struct napm_host *host = segment->host;
    (void)self;
    if (layer_count > segment->layer_count - execution->layers_done)
        return fail(host, NAPM_ERR_INVALID, "more layers asked for than are left");
    int64_t now_ns = host->now_ns(host), due_ns = now_ns - execution->late_ns;
    for (uint32_t i = 0; i < layer_count; i++) {
        int64_t before_ns = now_ns;
        due_ns += segment->layer_ns[execution->layers_done];
        int32_t status = due_ns > now_ns ? host->sleep_until_ns(host, due_ns) : NAPM_OK;
        if (status < 0)
            return status;
        now_ns = host->now_ns(host);
        execution->layers_done++;
        execution->late_ns = now_ns > due_ns ? now_ns - due_ns : 0;
        if (layer_ns)
            layer_ns[i] = now_ns - before_ns;
    }
    return NAPM_OK;
}

static int32_t outputs(void *self, void *handle, const void **result)
{
    const struct execution *execution = handle;
    const struct segment *segment = execution->segment;
    (void)self;
    if (execution->layers_done < segment->layer_count)
        return fail(segment->host, NAPM_ERR_INVALID, "outputs asked for before the last layer has run");
    for (uint32_t i = 0; i < segment->output_count; i++)
        result[i] = segment->zeros;
    return NAPM_OK;
}

static const struct napm_option option_times = {
    .size = sizeof(option_times),
    .type = NAPM_OPTION_FILE,
    .name = "times",
    .default_text = "",
    .help = "file of layer times (CSV of `napm profile --format csv`, or JSON); without it times are estimated",
};
static const struct napm_option option_scale = {
    .size = sizeof(option_scale),
    .type = NAPM_OPTION_REAL,
    .name = "scale",
    .default_text = "1",
    .help = "factor on every time",
    .minimum = 0.0,
    .maximum = 1e6,
};
static const struct napm_option option_gflops = {
    .size = sizeof(option_gflops),
    .type = NAPM_OPTION_REAL,
    .name = "gflops",
    .default_text = "10",
    .help = "for the estimate: arithmetic rate of the device in GFLOP/s",
    .minimum = 1e-6,
    .maximum = 1e9,
};
static const struct napm_option option_memory_rate = {
    .size = sizeof(option_memory_rate),
    .type = NAPM_OPTION_RATE,
    .name = "memory_rate",
    .default_text = "4GB/s",
    .help = "for the estimate: rate at which the device reads weights; 0 means without limit",
};
static const struct napm_option *const options[OPTION_COUNT] = {
    [OPTION_TIMES] = &option_times,
    [OPTION_SCALE] = &option_scale,
    [OPTION_GFLOPS] = &option_gflops,
    [OPTION_MEMORY_RATE] = &option_memory_rate,
};

static const struct napm_backend hook = {
    .size = sizeof(hook),
    .supports = supports,
    .prepare = prepare,
    .release_model = release_model,
    .create_segment = create_segment,
    .release_segment = release_segment,
    .segment_memory = segment_memory,
    .create_execution = create_execution,
    .release_execution = release_execution,
    .start = start,
    .run = run,
    .outputs = outputs,
};

static const char *origin(void *self)
{
    const struct backend *backend = self;
    return backend->times ? "recorded" : "estimated";
}

static const struct napm_backend_origin origin_table = {.size = sizeof(origin_table), .origin = origin};

static const void *get_extension(const char *id)
{
    return strcmp(id, NAPM_BACKEND_ORIGIN) == 0 ? &origin_table : NULL;
}

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_BACKEND,
    .hook_version = NAPM_BACKEND_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "replay",
    .version = "1.0.0",
    .summary = "spends recorded or estimated layer times instead of computing; outputs are zeros",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options,
    .create = create,
    .destroy = destroy,
    .hook = &hook,
    .get_extension = get_extension,
};

NAPM_PLUGIN_NOTE(replay, NAPM_KIND_BACKEND, NAPM_BACKEND_VERSION, "replay", "1.0.0");
NAPM_EXPORT_PLUGINS(&plugin);
