/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every backend against ONNX's own conformance cases, which carry inputs and expected outputs. A case is tried as it
 * stands and with all inputs but the first frozen into constants; it counts as run where the backend supports one
 * of the two. Why the others were left out is listed with NAPM_TEST_VERBOSE=1.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "tests/backend/backend_trial.h"
#include "tests/backend/onnx_case.h"

#define DATA_FOLDER "/usr/share/libonnx-testdata/data"
#define LEAST_CASES 200 /* of about a thousand: fewer means that the test does nothing */
#define RELATIVE 1e-3 /* the tolerance of ONNX's own runner */
#define ABSOLUTE 1e-5

enum outcome { LEFT_OUT, PASSED, FAILED };

struct tally {
    uint32_t run, passed, failed, left_out;
};

static struct catalogue *catalogue;

static enum outcome check_outputs(const struct onnx_case *onnx_case, const struct trial_values *values,
                                  struct error *error)
{
    const struct napm_model *view = model_view(onnx_case->model);
    for (uint32_t i = 0; i < view->output_count; i++) {
        const struct napm_tensor *tensor = view->tensors[view->outputs[i]];
        void *expected = memory_copy(onnx_case->outputs[i].data, tensor->bytes); /* aligned */
        const void *got = values->blocks[view->outputs[i]];
        double difference = tensor->element_type == NAPM_F32
                                ? trial_difference(got, expected, tensor->bytes / sizeof(float), RELATIVE, ABSOLUTE)
                                : (memcmp(got, expected, tensor->bytes) == 0 ? 0.0 : 2.0);
        free(expected);
        if (!(difference <= 1.0)) {
            error_set(error, ERROR_RUN, "output '%s' is off by %.3g tolerances", tensor->name, difference);
            return FAILED;
        }
    }
    return PASSED;
}

static enum outcome run_case(const struct instance *instance, const struct onnx_case *onnx_case, struct error *error)
{
    const struct napm_model *view = model_view(onnx_case->model);
    if (trial_supports(instance, view, error) < 0)
        return LEFT_OUT;
    struct trial *trial = trial_open(instance, onnx_case->model, 1, error);
    if (!trial)
        return FAILED;
    const void *inputs[ONNX_CASE_TENSORS];
    for (uint32_t i = 0; i < view->input_count; i++)
        inputs[i] = onnx_case->inputs[i].data;
    struct trial_values values;
    enum outcome outcome = FAILED;
    if (trial_run(trial, NULL, 0, 2, inputs, &values, error) == 0) {
        outcome = check_outputs(onnx_case, &values, error);
        trial_values_free(&values);
    }
    if (outcome == PASSED && trial_check_every_cut(trial, inputs, error))
        outcome = FAILED;
    trial_close(trial);
    return outcome;
}

static enum outcome try_case(const struct instance *instance, const char *folder, bool freeze, struct error *error)
{
    struct onnx_case onnx_case;
    if (onnx_case_open(folder, freeze, &onnx_case, error))
        return LEFT_OUT;
    enum outcome outcome = run_case(instance, &onnx_case, error);
    onnx_case_close(&onnx_case);
    return outcome;
}

static void count_case(const struct instance *instance, const char *folder, struct tally *tally)
{
    struct error why[2] = {0};
    enum outcome plain = try_case(instance, folder, false, &why[0]);
    enum outcome frozen = try_case(instance, folder, true, &why[1]);
    const char *case_name = strrchr(folder, '/') + 1;
    if (plain == LEFT_OUT && frozen == LEFT_OUT) {
        tally->left_out++;
        if (getenv("NAPM_TEST_VERBOSE"))
            print_message("# %s left out %s: %s | %s\n", instance->entry->name, case_name, why[0].text, why[1].text);
        return;
    }
    tally->run++;
    if (plain == FAILED || frozen == FAILED) {
        tally->failed++;
        print_message("# %s FAILED %s: %s\n", instance->entry->name, case_name, why[plain == FAILED ? 0 : 1].text);
        return;
    }
    tally->passed++;
}

static int is_case(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void count_cases(const struct instance *instance, const char *group, struct tally *tally)
{
    char *folder = text_format("%s/%s", DATA_FOLDER, group);
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_case, alphasort);
    for (int i = 0; i < count; i++) {
        char *one = text_format("%s/%s", folder, entries[i]->d_name);
        count_case(instance, one, tally);
        free(one);
        free(entries[i]);
    }
    free(entries);
    free(folder);
}

static void every_supported_case_comes_out_as_onnx_says(void **state)
{
    static const char *const groups[] = {"node", "pytorch-operator", "pytorch-converted", "simple"};
    const char *name = *state;
    struct error error = {0};
    struct tally tally = {0};
    struct instance *instance = trial_instance(catalogue, name, &error);
    if (!instance)
        fail_msg("%s", error.text);
    for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
        count_cases(instance, groups[i], &tally);
    print_message("# %s: %u cases run, %u passed, %u failed, %u left out as not supported\n", name, tally.run,
                  tally.passed, tally.failed, tally.left_out);
    instance_close(instance);
    assert_int_equal(tally.failed, 0);
    assert_true(tally.run >= LEAST_CASES);
}

int main(void)
{
    DIR *data = opendir(DATA_FOLDER);
    if (!data) {
        printf("1..0 # SKIP %s is missing: install libonnx-testdata\n", DATA_FOLDER);
        return 0;
    }
    closedir(data);
    catalogue = trial_catalogue();
    struct CMUnitTest tests[16] = {0};
    size_t count = 0;
    for (const char *const *name = trial_backends(catalogue); *name; name++)
        tests[count++] =
            (struct CMUnitTest){text_format("%s: every supported case comes out as ONNX says", *name),
                                every_supported_case_comes_out_as_onnx_says, NULL, NULL, (void *)(uintptr_t)*name};
    int failures = _cmocka_run_group_tests("backends", tests, count, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)tests[i].name);
    catalogue_close(catalogue);
    return failures != 0;
}
