/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times whole models through one of the platform's backends, on request.
 *
 *   bench_model_napm MODEL.onnx BACKEND THREADS [LAYERS.csv]
 *
 * Prints "ready", then for every line "N" on standard input one line with N times in milliseconds: so that a script can
 * take turns between this program and a peer without either loading its model again. A line "output FILE" writes the
 * first output's floats. The first input is sin(0), sin(1), ... With LAYERS.csv the median time of every layer over 50
 * runs is written there first.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/stats.h"
#include "core/model/model.h"
#include "core/plugin/catalogue.h"

#define LAYER_RUNS 50

struct bench {
    struct catalogue *catalogue;
    struct instance *instance;
    struct model *model;
    struct model_part part;
    void *prepared, *segment, *execution;
    const void **inputs;
};

static int give_up(const struct error *error)
{
    fprintf(stderr, "bench_model_napm: %s\n", error->text);
    return -1;
}

static int check(struct bench *bench, int32_t status, const char *what)
{
    struct error error = {0};
    if (status >= 0)
        return 0;
    instance_error(bench->instance, status, what, &error);
    return give_up(&error);
}

static int make_inputs(struct bench *bench)
{
    bench->inputs = NEW_ARRAY(const void *, bench->part.spec.input_count + 1);
    for (uint32_t i = 0; i < bench->part.spec.input_count; i++) {
        const struct napm_tensor *tensor = model_view(bench->model)->tensors[bench->part.spec.inputs[i]];
        float *values = memory_try_aligned(tensor->bytes);
        if (!values)
            return -1;
        for (uint64_t k = 0; k < tensor->bytes / sizeof(float); k++)
            values[k] = (float)sin((double)k);
        bench->inputs[i] = values;
    }
    return 0;
}

static int bench_open(struct bench *bench, const char *path, const char *backend, uint32_t threads)
{
    struct error error = {0};
    struct plugin_choice choice = {.name = backend, .where = "command line"};
    struct instance_host host = {.label = "bench"};
    struct napm_prepare how = {.size = sizeof(how), .threads = threads};
    bench->catalogue = catalogue_open(NULL, &error);
    bench->instance =
        bench->catalogue ? instance_open(bench->catalogue, NAPM_KIND_BACKEND, &choice, &host, &error) : NULL;
    bench->model = bench->instance ? model_open(path, &error) : NULL;
    if (!bench->model)
        return give_up(&error);
    const struct napm_backend *hook = &bench->instance->hook.backend;
    void *self = bench->instance->self;
    model_part_range(bench->model, 0, model_view(bench->model)->layer_count, &bench->part);
    if (check(bench, hook->prepare(self, model_view(bench->model), &how, &bench->prepared), "prepare") ||
        check(bench, hook->create_segment(self, bench->prepared, &bench->part.spec, &bench->segment), "segment") ||
        check(bench, hook->create_execution(self, bench->segment, &bench->execution), "execution"))
        return -1;
    return make_inputs(bench);
}

static void bench_close(struct bench *bench)
{
    const struct napm_backend *hook = bench->instance ? &bench->instance->hook.backend : NULL;
    if (bench->execution)
        hook->release_execution(bench->instance->self, bench->execution);
    if (bench->segment)
        hook->release_segment(bench->instance->self, bench->segment);
    if (bench->prepared)
        hook->release_model(bench->instance->self, bench->prepared);
    for (uint32_t i = 0; bench->inputs && i < bench->part.spec.input_count; i++)
        free((void *)(uintptr_t)bench->inputs[i]);
    free(bench->inputs);
    if (bench->model) {
        model_part_free(&bench->part);
        model_close(bench->model);
    }
    if (bench->instance)
        instance_close(bench->instance);
    if (bench->catalogue)
        catalogue_close(bench->catalogue);
}

static int run_once(struct bench *bench, int64_t *layer_ns, const void **outputs)
{
    const struct napm_backend *hook = &bench->instance->hook.backend;
    void *self = bench->instance->self;
    return check(bench, hook->start(self, bench->execution, bench->inputs), "start") ||
           check(bench, hook->run(self, bench->execution, bench->part.spec.layer_count, layer_ns), "run") ||
           check(bench, hook->outputs(self, bench->execution, outputs), "outputs");
}

static int write_layers(struct bench *bench, const char *path, const void **outputs)
{
    const struct napm_model *view = model_view(bench->model);
    int64_t *times = NEW_ARRAY(int64_t, (size_t)LAYER_RUNS * view->layer_count);
    int64_t *column = NEW_ARRAY(int64_t, LAYER_RUNS);
    FILE *file = fopen(path, "w");
    int failed = !file;
    for (int i = 0; !failed && i < LAYER_RUNS; i++)
        failed = run_once(bench, times + (size_t)i * view->layer_count, outputs);
    for (uint32_t l = 0; !failed && l < view->layer_count; l++) {
        for (int i = 0; i < LAYER_RUNS; i++)
            column[i] = times[(size_t)i * view->layer_count + l];
        int64_t median_ns = stats_median_ns(column, LAYER_RUNS);
        fprintf(file, "%u,%s,%.1f us,%.1f GFLOP/s,%.1f GB/s of weights\n", l, view->layers[l]->name,
                (double)median_ns / 1e3, view->layers[l]->flops / (double)median_ns,
                (double)view->layers[l]->parameter_bytes / (double)median_ns);
    }
    if (file)
        fclose(file);
    free(times);
    free(column);
    return failed;
}

static int write_output(const struct bench *bench, const char *path, const void *const *outputs)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return -1;
    uint64_t bytes = model_view(bench->model)->tensors[bench->part.spec.outputs[0]]->bytes;
    int failed = fwrite(outputs[0], 1, bytes, file) != bytes;
    return fclose(file) != 0 || failed;
}

static int serve(struct bench *bench, const char *layers_path)
{
    char line[4096];
    const void **outputs = NEW_ARRAY(const void *, bench->part.spec.output_count + 1);
    int failed = run_once(bench, NULL, outputs) || (layers_path && write_layers(bench, layers_path, outputs));
    if (!failed)
        printf("ready\n");
    fflush(stdout);
    while (!failed && fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "output ", 7) == 0)
            failed = write_output(bench, line + 7, outputs);
        for (long i = strtol(line, NULL, 10); i > 0 && !failed; i--) {
            int64_t start_ns = clock_now_ns();
            failed = run_once(bench, NULL, outputs);
            printf("%.4f ", (double)(clock_now_ns() - start_ns) / 1e6);
        }
        printf("\n");
        fflush(stdout);
    }
    free(outputs);
    return failed;
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    if (argc < 4) {
        fprintf(stderr, "usage: bench_model_napm MODEL.onnx BACKEND THREADS [LAYERS.csv]\n");
        return 2;
    }
    int failed = bench_open(&bench, argv[1], argv[2], (uint32_t)strtoul(argv[3], NULL, 10)) ||
                 serve(&bench, argc > 4 ? argv[4] : NULL);
    bench_close(&bench);
    return failed ? 1 : 0;
}
