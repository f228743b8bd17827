/* SPDX-License-Identifier: Apache-2.0 */
/* A model on a backend in this very process. */
#include "core/cli/workbench.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/model/tensor_file.h"

static int read_settings(struct workbench *bench, const struct text_list *texts, struct error *error)
{
    bench->settings = NEW_ARRAY(struct option_setting, texts->count + 1);
    bench->texts = NEW_ARRAY(char *, texts->count + 1);
    for (size_t i = 0; i < texts->count; i++) {
        char *text = bench->texts[i] = text_copy(texts->items[i]);
        char *equals = strchr(text, '=');
        bench->setting_count = i + 1;
        if (!equals || equals == text)
            return error_set(error, ERROR_INPUT, "--backend-option %s: expected NAME=VALUE", text);
        *equals = '\0';
        bench->settings[i] = (struct option_setting){text, equals + 1, "--backend-option"};
    }
    return 0;
}

int workbench_open(struct workbench *bench, const char *model, const struct workbench_options *options,
                   const struct common_options *common, struct error *error)
{
    memset(bench, 0, sizeof(*bench));
    bench->threads = options->threads ? options->threads : 1;
    if (read_settings(bench, &options->settings, error) != 0)
        return -1;
    bench->catalogue = catalogue_open(common->plugin_path.items, error);
    bench->model = bench->catalogue ? model_open(model, error) : NULL;
    bench->view = bench->model ? model_view(bench->model) : NULL;
    return bench->model ? 0 : -1;
}

void workbench_close(struct workbench *bench)
{
    if (bench->model)
        model_close(bench->model);
    if (bench->catalogue)
        catalogue_close(bench->catalogue);
    for (size_t i = 0; i < bench->setting_count; i++)
        free(bench->texts[i]);
    free(bench->texts);
    free(bench->settings);
}

struct compute *workbench_compute(struct workbench *bench, const char *backend, struct error *error)
{
    struct compute_settings settings = {
        .backend = {.name = backend,
                    .where = "--backend",
                    .settings = bench->settings,
                    .setting_count = bench->setting_count},
        .threads = bench->threads,
        .cpu_share = 1,
        .host = {.label = "backend"},
    };
    return compute_open(bench->catalogue, &settings, error);
}

struct tensors tensors_new(const struct napm_model *model, const uint32_t *indices, uint32_t count)
{
    struct tensors tensors = {count, NEW_ARRAY(void *, count + 1), NEW_ARRAY(uint64_t, count + 1)};
    for (uint32_t i = 0; i < count; i++) {
        tensors.bytes[i] = model->tensors[indices[i]]->bytes;
        tensors.data[i] = memory_try_aligned(tensors.bytes[i] ? tensors.bytes[i] : 1);
        if (!tensors.data[i])
            tensors.data[i] = memory_new(tensors.bytes[i]); /* ends the process with a message */
        memset(tensors.data[i], 0, tensors.bytes[i]);
    }
    return tensors;
}

void tensors_free(struct tensors *tensors)
{
    for (uint32_t i = 0; i < tensors->count; i++)
        free(tensors->data[i]);
    free(tensors->data);
    free(tensors->bytes);
    memset(tensors, 0, sizeof(*tensors));
}

int tensors_read(struct tensors *tensors, const struct napm_model *model, const struct text_list *sources,
                 uint64_t seed, struct error *error)
{
    if (sources->count > model->input_count)
        return error_set(error, ERROR_INPUT, "--input %s: one input too many: the model has %u",
                         sources->items[model->input_count], model->input_count);
    *tensors =
        (struct tensors){0, NEW_ARRAY(void *, model->input_count + 1), NEW_ARRAY(uint64_t, model->input_count + 1)};
    for (uint32_t i = 0; i < model->input_count; i++) {
        struct tensor tensor;
        const char *source = i < sources->count ? sources->items[i] : "random";
        if (tensor_read(source, model->tensors[model->inputs[i]], seed, &tensor, error) != 0) {
            tensors_free(tensors);
            return -1;
        }
        tensors->data[i] = tensor.data; /* ours now, ended by free() */
        tensors->bytes[i] = tensor.count * sizeof(float);
        tensors->count = i + 1;
    }
    return 0;
}

static int run_part(struct compute_execution *execution, uint32_t layers, const struct tensors *inputs,
                    struct tensors *outputs, struct error *error)
{
    const void **results = NEW_ARRAY(const void *, outputs->count + 1);
    int result = compute_start(execution, (const void *const *)inputs->data, error);
    if (result == 0 && layers > 0)
        result = compute_run(execution, layers, NULL, error);
    if (result == 0)
        result = compute_outputs(execution, results, error);
    for (uint32_t i = 0; i < outputs->count && result == 0; i++)
        memcpy(outputs->data[i], results[i], outputs->bytes[i]);
    free(results);
    return result;
}

int workbench_part(struct compute_model *model, const uint32_t *order, uint32_t first, uint32_t last,
                   const struct tensors *inputs, struct tensors *outputs, struct error *error)
{
    struct compute_segment *segment = compute_segment(model, order, first, last, error);
    struct compute_execution *execution = segment ? compute_execution_take(segment, error) : NULL;
    if (!execution)
        return -1;
    int result = run_part(execution, last - first, inputs, outputs, error);
    compute_execution_put(execution);
    return result;
}
