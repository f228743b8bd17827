/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model backend "onednn": Intel's oneDNN library, with kernels of our own where it has none.
 *
 * This file is the plugin's face: the hook's functions, turned into plan (onednn_plan.h), segments and executions
 * (onednn_segment.h). The library itself is behind onednn_shim.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <napm/backend.h>
#include <napm/plugin.h>

#include "onednn_segment.h"

#define PLUGIN_VERSION "1.0.0"

struct backend {
    const struct napm_host *host;
    struct shim *shim;
    int winograd;
};

enum option_index { OPTION_WINOGRAD, OPTION_COUNT };

static const struct napm_option option_winograd = {
    .size = sizeof(struct napm_option),
    .type = NAPM_OPTION_CHOICE,
    .name = "winograd",
    .default_text = "auto",
    .choices = "auto|never",
    .help = "Winograd's algorithm for 3x3 convolutions: up to twice as fast, with four times the weights in memory",
};

static const struct napm_option *const options_table[OPTION_COUNT] = {[OPTION_WINOGRAD] = &option_winograd};

static int32_t fail(const struct backend *backend, int32_t status, const struct reason *why)
{
    backend->host->set_error(backend->host, why->text);
    return status;
}

static int32_t backend_create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct backend *backend = calloc(1, sizeof(*backend));
    if (!backend) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    backend->host = host;
    backend->winograd = strcmp(options[OPTION_WINOGRAD].text, "auto") == 0;
    backend->shim = shim_open();
    if (!backend->shim) {
        free(backend);
        host->set_error(host, "oneDNN cannot use this machine's processor");
        return NAPM_ERR_FAILED;
    }
    *self = backend;
    return NAPM_OK;
}

static void backend_destroy(void *self)
{
    struct backend *backend = self;
    shim_close(backend->shim);
    free(backend);
}

static int32_t backend_supports(void *self, const struct napm_model *model, uint32_t index)
{
    struct reason why;
    if (operator_check(model, index, &why))
        return fail(self, NAPM_ERR_UNSUPPORTED, &why);
    return NAPM_OK;
}

static void log_plan(const struct backend *backend, const struct plan *plan)
{
    char line[256];
    for (uint32_t i = 0; i < plan->step_count; i++) {
        plan_describe(plan, i, line, sizeof(line));
        backend->host->log(backend->host, NAPM_LOG_DEBUG, line);
    }
}

static int32_t backend_prepare(void *self, const struct napm_model *model, const struct napm_prepare *how,
                               void **prepared)
{
    struct backend *backend = self;
    struct reason why;
    struct plan_how plan_how = {.threads = how->threads, .winograd = backend->winograd};
    shim_set_threads(how->threads);
    struct plan *plan = plan_new(backend->shim, model, &plan_how, &why);
    if (!plan)
        return fail(backend, NAPM_ERR_FAILED, &why);
    log_plan(backend, plan);
    *prepared = plan;
    return NAPM_OK;
}

static void backend_release_model(void *self, void *prepared)
{
    (void)self;
    plan_free(prepared);
}

static int32_t backend_create_segment(void *self, void *prepared, const struct napm_segment *what, void **segment)
{
    const struct plan *plan = prepared;
    struct reason why;
    shim_set_threads(plan->how.threads);
    *segment = segment_new(plan, what, &why);
    return *segment ? NAPM_OK : fail(self, NAPM_ERR_FAILED, &why);
}

static void backend_release_segment(void *self, void *segment)
{
    (void)self;
    segment_free(segment);
}

static int32_t backend_segment_memory(void *self, void *segment, struct napm_segment_memory *memory)
{
    (void)self;
    memory->weight_bytes = segment_weight_bytes(segment);
    memory->activation_bytes = segment_activation_bytes(segment);
    return NAPM_OK;
}

static int32_t backend_create_execution(void *self, void *segment, void **execution)
{
    struct reason why;
    *execution = execution_new(segment, &why);
    return *execution ? NAPM_OK : fail(self, NAPM_ERR_MEMORY, &why);
}

static void backend_release_execution(void *self, void *execution)
{
    (void)self;
    execution_free(execution);
}

static int32_t backend_start(void *self, void *execution, const void *const *inputs)
{
    (void)self;
    execution_start(execution, inputs);
    return NAPM_OK;
}

static int32_t backend_run_batch(void *self, void *const *executions, uint32_t count, uint32_t layer_count,
                                 int64_t *layer_ns)
{
    struct backend *backend = self;
    const struct napm_host *host = backend->host;
    struct execution *const *batch = (struct execution *const *)executions;
    struct reason why;
    execution_use_threads(batch[0]);
    int64_t before_ns = layer_ns ? host->now_ns(host) : 0;
    for (uint32_t i = 0; i < layer_count; i++) {
        int result = execution_run_layer(batch, count, &why);
        if (result > 0)
            refuse(&why, "more layers asked for than the segment has left");
        if (result != 0)
            return fail(backend, result > 0 ? NAPM_ERR_INVALID : NAPM_ERR_FAILED, &why);
        if (layer_ns) {
            int64_t now_ns = host->now_ns(host);
            layer_ns[i] = now_ns - before_ns;
            before_ns = now_ns;
        }
    }
    return NAPM_OK;
}

static int32_t backend_run(void *self, void *execution, uint32_t layer_count, int64_t *layer_ns)
{
    return backend_run_batch(self, &execution, 1, layer_count, layer_ns);
}

static int32_t backend_outputs(void *self, void *execution, const void **outputs)
{
    (void)self;
    execution_outputs(execution, outputs);
    return NAPM_OK;
}

static const struct napm_backend hook = {
    .size = sizeof(struct napm_backend),
    .supports = backend_supports,
    .prepare = backend_prepare,
    .release_model = backend_release_model,
    .create_segment = backend_create_segment,
    .release_segment = backend_release_segment,
    .segment_memory = backend_segment_memory,
    .create_execution = backend_create_execution,
    .release_execution = backend_release_execution,
    .start = backend_start,
    .run = backend_run,
    .outputs = backend_outputs,
};

static const struct napm_backend_batch batch = {.size = sizeof(batch), .run = backend_run_batch};

static const void *get_extension(const char *id)
{
    return strcmp(id, NAPM_BACKEND_BATCH) == 0 ? &batch : NULL;
}

static const struct napm_plugin plugin = {
    .size = sizeof(struct napm_plugin),
    .kind = NAPM_KIND_BACKEND,
    .hook_version = NAPM_BACKEND_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "onednn",
    .version = PLUGIN_VERSION,
    .summary = "computes layers with Intel's oneDNN library",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = backend_create,
    .destroy = backend_destroy,
    .hook = &hook,
    .get_extension = get_extension,
};

NAPM_PLUGIN_NOTE(onednn, NAPM_KIND_BACKEND, NAPM_BACKEND_VERSION, "onednn", PLUGIN_VERSION);
NAPM_EXPORT_PLUGINS(&plugin);
