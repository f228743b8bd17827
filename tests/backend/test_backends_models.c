/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole models on every backend: cut at every place, the output equals the uncut run's bit for bit, with one thread
 * and with two; and the backends agree with `reference` within 1e-4. Models are those given as `NAME=FILE` (what
 * test_backends_structures.sh does), or else the zoo's small ones. A model that a backend does not support is left out
 * and said so; `reference` must support all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "models/zoo.h"
#include "tests/backend/backend_trial.h"

#ifdef __SANITIZE_ADDRESS__
/*
 * The leak check of GCC 12 crashes in this program, on threads of OpenMP that backend_trial.c cannot end. Leaks of the
 * backends are looked for in test_onednn and test_reference.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

#define MOST_MODELS 64
#define MOST_TESTS 512
#define RELATIVE 1e-4 /* of each number, or of the output's greatest one where that is near to 0 */

/* One test: a model on a backend. */
struct subject {
    const char *model_name;
    const struct model *model;
    const char *backend;
    uint32_t threads;
};

static struct catalogue *catalogue;

static void give_up(const char *text)
{
    printf("Bail out! %s\n", text);
    exit(1);
}

static struct trial *open_trial(const struct subject *subject, const char *backend, struct instance **instance)
{
    struct error error = {0};
    *instance = trial_instance(catalogue, backend, &error);
    if (!*instance)
        fail_msg("%s", error.text);
    struct trial *trial = trial_open(*instance, subject->model, subject->threads, &error);
    if (!trial)
        fail_msg("%s: %s", subject->model_name, error.text);
    return trial;
}

static struct trial_values run_whole(const struct subject *subject, const char *backend, const void *const *inputs)
{
    struct error error = {0};
    struct instance *instance;
    struct trial *trial = open_trial(subject, backend, &instance);
    struct trial_values values;
    if (trial_run(trial, NULL, 0, 1, inputs, &values, &error))
        fail_msg("%s on %s: %s", subject->model_name, backend, error.text);
    trial_close(trial);
    instance_close(instance);
    return values;
}

static void a_split_run_equals_the_whole_bit_for_bit_at_every_cut(void **state)
{
    const struct subject *subject = *state;
    const struct napm_model *view = model_view(subject->model);
    struct error error = {0};
    struct instance *instance;
    struct trial *trial = open_trial(subject, subject->backend, &instance);
    void **inputs = trial_inputs(view, 7);
    int result = trial_check_every_cut(trial, (const void *const *)inputs, &error);
    if (result)
        fail_msg("%s on %s: %s", subject->model_name, subject->backend, error.text);
    trial_inputs_free(view, inputs);
    trial_close(trial);
    instance_close(instance);
}

static double greatest_magnitude(const float *numbers, uint64_t count)
{
    double greatest = 0.0;
    for (uint64_t i = 0; i < count; i++) {
        double magnitude = numbers[i] < 0 ? -(double)numbers[i] : (double)numbers[i];
        greatest = magnitude > greatest ? magnitude : greatest;
    }
    return greatest;
}

static void a_backend_agrees_with_the_reference(void **state)
{
    const struct subject *subject = *state;
    const struct napm_model *view = model_view(subject->model);
    void **inputs = trial_inputs(view, 7);
    struct trial_values expected = run_whole(subject, "reference", (const void *const *)inputs);
    struct trial_values got = run_whole(subject, subject->backend, (const void *const *)inputs);
    for (uint32_t i = 0; i < view->output_count; i++) {
        const struct napm_tensor *tensor = view->tensors[view->outputs[i]];
        const float *x = got.blocks[view->outputs[i]], *y = expected.blocks[view->outputs[i]];
        uint64_t count = tensor->bytes / sizeof(float);
        double greatest = greatest_magnitude(y, count);
        double difference = trial_difference(x, y, count, RELATIVE, RELATIVE * greatest);
        print_message("# %s '%s': %s is off by %.2g of the tolerance\n", subject->model_name, tensor->name,
                      subject->backend, difference);
        assert_true(greatest > 0.0); /* else nothing was computed */
        assert_true(difference <= 1.0);
    }
    trial_values_free(&expected);
    trial_values_free(&got);
    trial_inputs_free(view, inputs);
}

static struct model *zoo_model(const char *name)
{
    struct error error = {0};
    char *path = trial_temporary();
    if (zoo_write(name, 1, path, &error))
        give_up(error.text);
    struct model *model = model_open(path, &error);
    if (!model)
        give_up(error.text);
    unlink(path);
    free(path);
    return model;
}

struct suite {
    struct CMUnitTest tests[MOST_TESTS];
    struct subject subjects[MOST_TESTS];
    size_t count;
};

static void add_test(struct suite *suite, const struct subject *subject, const char *what, CMUnitTestFunction function)
{
    if (suite->count == MOST_TESTS)
        give_up("too many tests");
    suite->subjects[suite->count] = *subject;
    suite->tests[suite->count] =
        (struct CMUnitTest){text_format("%s on %s, %u thread%s: %s", subject->model_name, subject->backend,
                                        subject->threads, subject->threads == 1 ? "" : "s", what),
                            function, NULL, NULL, &suite->subjects[suite->count]};
    suite->count++;
}

/* `reference` is asked too, but its word is not taken: the tests then fail. */
static bool leaves_out(const char *backend, const char *name, const struct model *model)
{
    struct error error = {0};
    struct instance *instance = trial_instance(catalogue, backend, &error);
    if (!instance)
        give_up(error.text);
    bool supported = trial_supports(instance, model_view(model), &error) >= 0;
    instance_close(instance);
    if (!supported)
        printf("# %s is left out: %s\n", name, error.text);
    return !supported && strcmp(backend, "reference") != 0;
}

static void add_model(struct suite *suite, const char *name, const struct model *model)
{
    for (const char *const *backend = trial_backends(catalogue); *backend; backend++)
        for (uint32_t threads = 1; threads <= 2 && !leaves_out(*backend, name, model); threads++) {
            const struct subject subject = {name, model, *backend, threads};
            add_test(suite, &subject, "split equals whole at every cut",
                     a_split_run_equals_the_whole_bit_for_bit_at_every_cut);
            if (strcmp(*backend, "reference") != 0)
                add_test(suite, &subject, "agrees with reference", a_backend_agrees_with_the_reference);
        }
}

int main(int count, char **words)
{
    static struct suite suite;
    struct model *models[MOST_MODELS];
    size_t model_count = 0;
    struct error error = {0};
    catalogue = trial_catalogue();
    for (int i = 1; i < count && model_count < MOST_MODELS; i++) {
        char *file = strchr(words[i], '=');
        if (!file)
            give_up("usage: test_backends_models [NAME=FILE]...");
        *file++ = '\0';
        if (!(models[model_count] = model_open(file, &error)))
            give_up(error.text);
        add_model(&suite, words[i], models[model_count++]);
    }
    if (count == 1) {
        static const char *const names[] = {"tiny-cnn", "tiny-resnet"};
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
            models[model_count] = zoo_model(names[i]);
            add_model(&suite, names[i], models[model_count++]);
        }
    }
    int failures = _cmocka_run_group_tests("models", suite.tests, suite.count, NULL, NULL);
    for (size_t i = 0; i < suite.count; i++)
        free((void *)(uintptr_t)suite.tests[i].name);
    for (size_t i = 0; i < model_count; i++)
        model_close(models[i]);
    catalogue_close(catalogue);
    return failures != 0;
}
