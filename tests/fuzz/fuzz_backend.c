/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the backends with damaged models: what the reader lets pass, a backend must refuse or compute, whole and cut
 * in the middle alike, without touching memory that is not its own (build with --enable-sanitizers to see that). The
 * seeds are small cases of libonnx-testdata, where it is installed, and the zoo's smallest model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "models/zoo.h"
#include "tests/backend/backend_trial.h"
#include "tests/fuzz/fuzz_target.h"

#define DATA_FOLDER "/usr/share/libonnx-testdata/data"
#define MOST_BYTES (1u << 20) /* of all tensors together: larger models would take the test's time */
#define MOST_FLOPS 1e7

static const char *const cases[] = {
    "node/test_basic_conv_with_padding",
    "node/test_conv_with_strides_and_asymmetric_padding",
    "node/test_conv_with_autopad_same",
    "node/test_maxpool_2d_ceil",
    "node/test_maxpool_2d_dilations",
    "node/test_averagepool_2d_pads_count_include_pad",
    "node/test_averagepool_2d_same_lower",
    "node/test_gemm_all_attributes",
    "node/test_matmul_4d",
    "node/test_batchnorm_example",
    "node/test_lrn",
    "node/test_softmax_axis_1",
    "node/test_concat_3d_axis_negative_2",
    "node/test_transpose_all_permutations_3",
    "node/test_split_equal_parts_2d",
    "node/test_prelu_broadcast",
    "node/test_add_bcast",
    "node/test_reduce_mean_negative_axes_keepdims_random",
    "node/test_hardsigmoid",
    "node/test_flatten_axis2",
    "node/test_globalmaxpool",
    "simple/test_single_relu_model",
};
#define CASES (sizeof(cases) / sizeof(*cases))

static uint8_t *read_file(const char *path, size_t *size)
{
    struct file_map map;
    if (file_map(path, &map, NULL))
        return NULL;
    uint8_t *bytes = memory_copy(map.bytes, map.size);
    *size = map.size;
    file_unmap(&map);
    return bytes;
}

static uint8_t *zoo_seed(size_t *size)
{
    char *path = trial_temporary();
    uint8_t *bytes = zoo_write("tiny-cnn", 1, path, NULL) == 0 ? read_file(path, size) : NULL;
    unlink(path);
    free(path);
    return bytes;
}

uint8_t *fuzz_seed(unsigned index, size_t *size)
{
    if (index == 0)
        return zoo_seed(size);
    if (index > CASES)
        return NULL;
    char *path = text_format(DATA_FOLDER "/%s/model.onnx", cases[index - 1]);
    uint8_t *bytes = read_file(path, size);
    free(path);
    return bytes;
}

static bool is_small(const struct napm_model *model)
{
    uint64_t bytes = 0;
    double flops = 0;
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        if (model->tensors[i]->bytes > MOST_BYTES)
            return false;
        bytes += model->tensors[i]->bytes;
    }
    for (uint32_t i = 0; i < model->layer_count; i++)
        flops += model->layers[i]->flops;
    return bytes <= MOST_BYTES && flops <= MOST_FLOPS;
}

/* Runs the model whole and cut in the middle; a failure must have a text, and equal inputs give equal outputs. */
static void run(const struct instance *instance, const struct model *model)
{
    const struct napm_model *view = model_view(model);
    struct error error = {0};
    struct trial *trial = trial_open(instance, model, 1, &error);
    struct trial_values whole, split;
    uint32_t cut = view->layer_count / 2;
    void **inputs = trial_inputs(view, 7);
    int result = trial ? trial_run(trial, NULL, 0, 1, (const void *const *)inputs, &whole, &error) : -1;
    if (result == 0) {
        if (trial_run(trial, &cut, 1, 1, (const void *const *)inputs, &split, &error))
            abort();
        for (uint32_t i = 0; i < view->output_count; i++)
            if (memcmp(whole.blocks[view->outputs[i]], split.blocks[view->outputs[i]],
                       view->tensors[view->outputs[i]]->bytes) != 0)
                abort();
        trial_values_free(&split);
        trial_values_free(&whole);
    } else if (error.text[0] == '\0') {
        abort();
    }
    trial_inputs_free(view, inputs);
    trial_close(trial);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct catalogue *catalogue; /* loading plugins and making instances takes longer than a run */
    static struct instance *instances[16];
    struct error error = {0};
    if (!catalogue) {
        log_set_level(LOG_ERROR_LEVEL);
        catalogue = trial_catalogue();
        const char *const *names = trial_backends(catalogue);
        for (size_t i = 0; i < 16 && names[i]; i++)
            instances[i] = trial_instance(catalogue, names[i], &error);
    }
    struct model *model = model_open(fuzz_file(bytes, size), &error);
    for (size_t i = 0; model && is_small(model_view(model)) && i < 16 && instances[i]; i++) {
        int32_t status = trial_supports(instances[i], model_view(model), &error);
        if (status >= 0)
            run(instances[i], model);
        else if (error.text[0] == '\0')
            abort();
    }
    model_close(model);
    return 0;
}
