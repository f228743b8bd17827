/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX's own conformance cases (Debian's libonnx-testdata; NAPM_ONNX_TESTDATA names another folder): a model that
 * opens has outputs of the shapes that the reference has computed, and a model made of supported operators opens.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/model/model.h"
#include "core/model/tensor_file.h"

/* Operators that must not be refused, unless for one of the reasons below. */
static const char *const supported[] = {
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Clip",
    "Concat",
    "Conv",
    "Div",
    "Dropout",
    "Flatten",
    "Gemm",
    "Identity",
    "LRN",
    "LeakyRelu",
    "GlobalAveragePool",
    "MatMul",
    "MaxPool",
    "GlobalMaxPool",
    "Mul",
    "HardSwish",
    "Pad",
    "HardSigmoid",
    "Relu",
    "ReduceMean",
    "Reshape",
    "Sigmoid",
    "LogSoftmax",
    "Softmax",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Unsqueeze",
};
static const char *const reasons[] = {
    "must be a constant", "training mode", "eval mode", "only float32", "float16", "storage_order", "optional result",
};

struct tally {
    unsigned opened, refused, wrong, shapes;
};

static bool names_one(const char *text, const char *const *parts, size_t count, const char *format)
{
    for (size_t i = 0; i < count; i++) {
        char part[64];
        snprintf(part, sizeof(part), format, parts[i]);
        if (strstr(text, part))
            return true;
    }
    return false;
}

static bool may_be_refused(const char *text)
{
    return !names_one(text, supported, sizeof(supported) / sizeof(*supported), "(%s, opset") ||
           names_one(text, reasons, sizeof(reasons) / sizeof(*reasons), "%s");
}

static void compare_output(const char *folder, const struct model *model, uint32_t number, struct tally *tally)
{
    struct error error = {0};
    struct tensor expected;
    const struct napm_tensor *output = model_view(model)->tensors[model_view(model)->outputs[number]];
    char *path = text_format("%s/test_data_set_0/output_%u.pb", folder, number);
    if (tensor_read_pb(path, &expected, &error) == 0) {
        bool equal = expected.rank == output->rank &&
                     (output->rank == 0 || memcmp(expected.dims, output->dims, output->rank * sizeof(int64_t)) == 0);
        if (!equal)
            print_message("# %s: output %u has another shape than the reference\n", folder, number);
        tally->wrong += !equal;
        tally->shapes++;
        tensor_free(&expected);
    }
    free(path);
}

static void try_case(const char *folder, struct tally *tally)
{
    struct error error = {0};
    char *path = text_format("%s/model.onnx", folder);
    if (access(path, R_OK) == 0) {
        struct model *model = model_open(path, &error);
        if (model) {
            tally->opened++;
            for (uint32_t i = 0; i < model_view(model)->output_count; i++)
                compare_output(folder, model, i, tally);
            model_close(model);
        } else {
            tally->refused++;
            if (!may_be_refused(error.text)) {
                print_message("# %s\n", error.text);
                tally->wrong++;
            }
        }
    }
    free(path);
}

/* Where the conformance cases are; free() it. */
static char *node_cases_folder(void)
{
    const char *root = getenv("NAPM_ONNX_TESTDATA");
    return text_format("%s/node", root ? root : "/usr/share/libonnx-testdata/data");
}

static void operators_have_the_shapes_of_the_reference(void **state)
{
    (void)state;
    char *folder = node_cases_folder();
    DIR *cases = opendir(folder);
    struct tally tally = {0};
    assert_non_null(cases);
    for (struct dirent *entry; (entry = readdir(cases));)
        if (entry->d_name[0] != '.') {
            char *one = text_format("%s/%s", folder, entry->d_name);
            try_case(one, &tally);
            free(one);
        }
    closedir(cases);
    free(folder);
    print_message("# %u opened, %u refused, %u output shapes compared\n", tally.opened, tally.refused, tally.shapes);
    assert_int_equal(tally.wrong, 0);
    assert_true(tally.opened >= 150 && tally.shapes >= 150);
}

int main(void)
{
    char *folder = node_cases_folder();
    bool missing = access(folder, R_OK) != 0;
    free(folder);
    if (missing) { /* CMocka's own skip() counts as a failure where TAP is read */
        puts("1..0 # SKIP ONNX's conformance cases are not there: install libonnx-testdata");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_have_the_shapes_of_the_reference),
    };
    return cmocka_run_group_tests_name("conformance_shapes", tests, NULL, NULL) != 0;
}
