/* SPDX-License-Identifier: Apache-2.0 */
/* Models run through backend plugins, for tests. */
#include "tests/backend/backend_trial.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/random.h"

#ifdef __SANITIZE_ADDRESS__
/*
 * oneDNN computes with OpenMP's threads, which live until the process ends, and the leak check of GCC 12 crashes when it
 * looks at the thread-local storage of such threads. So they are ended before it looks, which is after what atexit()
 * calls; the check itself is left whole.
 */
static void end_openmp_threads(void)
{
    union {
        void *symbol;
        int (*function)(int);
    } pause_all = {NULL};
    void *openmp = dlopen("libgomp.so.1", RTLD_LAZY | RTLD_NOLOAD);
    if (openmp)
        pause_all.symbol = dlsym(openmp, "omp_pause_resource_all");
    if (pause_all.symbol)
        pause_all.function(2); /* omp_pause_hard */
}

__attribute__((constructor)) static void plan_their_end(void)
{
    atexit(end_openmp_threads);
}
#endif

struct trial {
    const struct instance *instance;
    const struct model *model;
    const struct napm_model *view;
    void *prepared;
};

char *trial_temporary(void)
{
    const char *folder = getenv("TMPDIR");
    char *path = text_format("%s/napm-test-XXXXXX", folder ? folder : "/tmp");
    int file = mkstemp(path);
    if (file < 0) {
        printf("Bail out! cannot make %s\n", path);
        exit(1);
    }
    close(file);
    return path;
}

struct catalogue *trial_catalogue(void)
{
    const char *build = getenv("top_builddir");
    char *folder = text_format("%s/plugins/.libs", build ? build : ".");
    const char *folders[] = {folder, NULL};
    struct error error = {0};
    unsetenv("NAPM_PLUGIN_PATH");
    setenv("XDG_DATA_HOME", "/nonexistent", 1);
    struct catalogue *catalogue = catalogue_open(folders, &error);
    free(folder);
    if (!catalogue) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    return catalogue;
}

const char *const *trial_backends(struct catalogue *catalogue)
{
    static const char *names[16];
    size_t count = 0;
    for (size_t i = 0; i < catalogue_count(catalogue) && count < 15; i++) {
        const struct catalogue_entry *entry = catalogue_at(catalogue, i);
        bool usable = !entry->refusal && !entry->shadowed_by && entry->kind == NAPM_KIND_BACKEND;
        if (usable && strcmp(entry->name, "replay") != 0)
            names[count++] = entry->name;
    }
    names[count] = NULL;
    return names;
}

struct instance *trial_instance(struct catalogue *catalogue, const char *name, struct error *error)
{
    const struct plugin_choice choice = {.name = name, .where = "test"};
    const struct instance_host host = {.label = "test", .seed = 1};
    return instance_open(catalogue, NAPM_KIND_BACKEND, &choice, &host, error);
}

int32_t trial_supports(const struct instance *instance, const struct napm_model *model, struct error *error)
{
    for (uint32_t i = 0; i < model->operator_count; i++) {
        int32_t status = instance->hook.backend.supports(instance->self, model, i);
        if (status < 0) {
            instance_error(instance, status, "supports", error);
            return status;
        }
    }
    return NAPM_OK;
}

struct trial *trial_open(const struct instance *instance, const struct model *model, uint32_t threads,
                         struct error *error)
{
    const struct napm_prepare how = {.size = sizeof(how), .threads = threads};
    struct trial *trial = NEW(struct trial);
    trial->instance = instance;
    trial->model = model;
    trial->view = model_view(model);
    int32_t status = instance->hook.backend.prepare(instance->self, trial->view, &how, &trial->prepared);
    if (status >= 0)
        return trial;
    instance_error(instance, status, "prepare", error);
    free(trial);
    return NULL;
}

void trial_close(struct trial *trial)
{
    if (!trial)
        return;
    trial->instance->hook.backend.release_model(trial->instance->self, trial->prepared);
    free(trial);
}

void trial_values_free(struct trial_values *values)
{
    for (uint32_t i = 0; i < values->count; i++)
        free(values->blocks[i]);
    free(values->blocks);
    *values = (struct trial_values){0};
}

static void *copy_tensor(const struct napm_tensor *tensor, const void *data)
{
    void *block = memory_try_aligned(tensor->bytes ? tensor->bytes : 1);
    if (block && tensor->bytes)
        memcpy(block, data, tensor->bytes);
    return block;
}

static void set_value(const struct trial *trial, struct trial_values *values, uint32_t tensor, const void *data)
{
    free(values->blocks[tensor]);
    values->blocks[tensor] = copy_tensor(trial->view->tensors[tensor], data);
}

/* Runs one segment from and into the values. */
static int run_execution(const struct trial *trial, const struct napm_segment *what, void *execution, uint32_t passes,
                         struct trial_values *values, struct error *error)
{
    const struct napm_backend *hook = &trial->instance->hook.backend;
    void *self = trial->instance->self;
    const void **inputs = NEW_ARRAY(const void *, what->input_count + 1);
    const void **outputs = NEW_ARRAY(const void *, what->output_count + 1);
    int32_t status = NAPM_OK;
    for (uint32_t i = 0; i < what->input_count; i++)
        inputs[i] = values->blocks[what->inputs[i]];
    for (uint32_t pass = 0; status >= 0 && pass < passes; pass++) {
        status = hook->start(self, execution, inputs);
        for (uint32_t left = what->layer_count; status >= 0 && left > 0;) { /* in slices of different length */
            uint32_t slice = pass == 0 || left < 2 ? left : left / 2;
            status = hook->run(self, execution, slice, NULL);
            left -= slice;
        }
        if (status >= 0)
            status = hook->outputs(self, execution, outputs);
    }
    for (uint32_t i = 0; status >= 0 && i < what->output_count; i++)
        set_value(trial, values, what->outputs[i], outputs[i]);
    free(inputs);
    free(outputs);
    return status < 0 ? instance_error(trial->instance, status, "run", error) : 0;
}

static int run_part(const struct trial *trial, uint32_t first, uint32_t last, uint32_t passes,
                    struct trial_values *values, struct error *error)
{
    const struct napm_backend *hook = &trial->instance->hook.backend;
    void *self = trial->instance->self, *segment = NULL, *execution = NULL;
    if (first == last)
        return 0;
    struct model_part part;
    model_part_range(trial->model, first, last, &part);
    int result;
    int32_t status = hook->create_segment(self, trial->prepared, &part.spec, &segment);
    if (status >= 0)
        status = hook->create_execution(self, segment, &execution);
    if (status < 0)
        result = instance_error(trial->instance, status, "create_segment", error);
    else
        result = run_execution(trial, &part.spec, execution, passes, values, error);
    if (execution)
        hook->release_execution(self, execution);
    if (segment)
        hook->release_segment(self, segment);
    model_part_free(&part);
    return result;
}

int trial_run(struct trial *trial, const uint32_t *cuts, uint32_t cut_count, uint32_t passes, const void *const *inputs,
              struct trial_values *values, struct error *error)
{
    const struct napm_model *view = trial->view;
    *values = (struct trial_values){NEW_ARRAY(void *, view->tensor_count + 1), view->tensor_count};
    for (uint32_t i = 0; i < view->input_count; i++)
        set_value(trial, values, view->inputs[i], inputs[i]);
    uint32_t first = 0;
    int result = 0;
    for (uint32_t i = 0; result == 0 && i <= cut_count; i++) {
        uint32_t last = i < cut_count ? cuts[i] : view->layer_count;
        result = run_part(trial, first, last, passes, values, error);
        first = last;
    }
    for (uint32_t i = 0; result == 0 && i < view->output_count; i++) { /* outputs that are constants of the model */
        const struct napm_tensor *tensor = view->tensors[view->outputs[i]];
        if (!values->blocks[view->outputs[i]] && tensor->data)
            set_value(trial, values, view->outputs[i], tensor->data);
        else if (!values->blocks[view->outputs[i]])
            result = error_set(error, ERROR_RUN, "output '%s' was not computed", tensor->name);
    }
    if (result)
        trial_values_free(values);
    return result;
}

void **trial_inputs(const struct napm_model *model, uint64_t seed)
{
    void **inputs = NEW_ARRAY(void *, model->input_count + 1);
    struct random random;
    random_seed(&random, seed, "inputs");
    for (uint32_t i = 0; i < model->input_count; i++) {
        const struct napm_tensor *tensor = model->tensors[model->inputs[i]];
        inputs[i] = memory_try_aligned(tensor->bytes);
        memset(inputs[i], 0, tensor->bytes);
        for (uint64_t j = 0; tensor->element_type == NAPM_F32 && j < tensor->bytes / sizeof(float); j++)
            ((float *)inputs[i])[j] = (float)(2.0 * random_unit(&random) - 1.0);
    }
    return inputs;
}

void trial_inputs_free(const struct napm_model *model, void **inputs)
{
    for (uint32_t i = 0; i < model->input_count; i++)
        free(inputs[i]);
    free(inputs);
}

double trial_difference(const float *x, const float *y, uint64_t count, double relative, double absolute)
{
    double greatest = 0.0;
    for (uint64_t i = 0; i < count; i++) {
        if ((isnan(x[i]) && isnan(y[i])) || x[i] == y[i])
            continue;
        double difference = fabs((double)x[i] - (double)y[i]) / (absolute + relative * fabs((double)y[i]));
        if (!(difference <= greatest)) /* also where it is NaN */
            greatest = isnan(difference) ? INFINITY : difference;
    }
    return greatest;
}

static int compare_outputs(const struct napm_model *view, const struct trial_values *whole,
                           const struct trial_values *split, uint32_t cut, struct error *error)
{
    for (uint32_t i = 0; i < view->output_count; i++) {
        const struct napm_tensor *tensor = view->tensors[view->outputs[i]];
        if (memcmp(whole->blocks[view->outputs[i]], split->blocks[view->outputs[i]], tensor->bytes) != 0)
            return error_set(error, ERROR_PLUGIN, "output '%s' differs from the uncut run's when cut at %u",
                             tensor->name, cut);
    }
    return 0;
}

int trial_check_every_cut(struct trial *trial, const void *const *inputs, struct error *error)
{
    struct trial_values whole;
    if (trial_run(trial, NULL, 0, 2, inputs, &whole, error))
        return -1;
    int result = 0;
    for (uint32_t cut = 0; result == 0 && cut <= trial->view->layer_count; cut++) {
        struct trial_values split;
        result = trial_run(trial, &cut, 1, 2, inputs, &split, error);
        if (result) {
            error_prefix(error, "cut %u", cut);
            break;
        }
        result = compare_outputs(trial->view, &whole, &split, cut, error);
        trial_values_free(&split);
    }
    trial_values_free(&whole);
    return result;
}
