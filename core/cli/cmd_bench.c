/* SPDX-License-Identifier: Apache-2.0 */
/* napm bench MODEL */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/stats.h"
#include "core/cli/cli.h"
#include "core/cli/progress.h"
#include "core/cli/table.h"
#include "core/cli/workbench.h"

static const struct table_column columns[] = {
    {"model", "model", TABLE_TEXT},
    {"backend", "backend", TABLE_TEXT},
    {"threads", "threads", TABLE_COUNT},
    {"runs", "runs", TABLE_COUNT},
    {"min_ns", "min", TABLE_DURATION},
    {"median_ns", "median", TABLE_DURATION},
    {"p90_ns", "p90", TABLE_DURATION},
    {"max_ns", "max", TABLE_DURATION},
    {"mean_ns", "mean", TABLE_DURATION},
    {"flops", "FLOPs", TABLE_FLOPS},
    {"flops_per_s", "FLOP/s", TABLE_FLOPS},
    {"weight_bytes", "weights", TABLE_SIZE},
    {"activation_bytes", "activations", TABLE_SIZE},
};

struct bench_options {
    struct workbench_options bench;
    struct common_options common;
    uint32_t runs, warmups;
};

/* One whole pass: what a task without any cut costs. */
static int one_pass(struct compute_execution *execution, uint32_t layers, const struct tensors *inputs,
                    const void **outputs, struct error *error)
{
    return compute_start(execution, (const void *const *)inputs->data, error) != 0 ||
                   compute_run(execution, layers, NULL, error) != 0 || compute_outputs(execution, outputs, error) != 0
               ? -1
               : 0;
}

static int time_passes(struct workbench *bench, struct compute_segment *segment, const struct bench_options *options,
                       double *times_ns, struct error *error)
{
    static const struct text_list random_inputs;
    struct tensors inputs;
    struct compute_execution *execution = compute_execution_take(segment, error);
    if (!execution)
        return -1;
    if (tensors_read(&inputs, bench->view, &random_inputs, 1, error) != 0) {
        compute_execution_put(execution);
        return -1;
    }
    const void **outputs = NEW_ARRAY(const void *, compute_segment_part(segment)->leaving_count + 1);
    int result = 0;
    for (uint32_t i = 0; i < options->warmups + options->runs && result == 0; i++) {
        int64_t began_ns = clock_now_ns();
        result = one_pass(execution, bench->view->layer_count, &inputs, outputs, error);
        if (i >= options->warmups)
            times_ns[i - options->warmups] = (double)(clock_now_ns() - began_ns);
        progress_step("measuring", i + 1, options->warmups + options->runs);
    }
    free(outputs);
    tensors_free(&inputs);
    compute_execution_put(execution);
    return result;
}

static struct table *result_table(const struct workbench *bench, const struct instance *backend,
                                  struct compute_segment *segment, double *times_ns, uint32_t runs)
{
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    table_split(table, 1, "mean_ns");
    char *name = compute_label(backend);
    uint64_t weights = 0, activations = 0;
    bool known = compute_segment_memory(segment, &weights, &activations, NULL) == 0;
    double flops = 0;
    for (uint32_t i = 0; i < bench->view->layer_count; i++)
        flops += bench->view->layers[i]->flops;
    stats_sort(times_ns, runs);
    double median_ns = stats_quantile_sorted(times_ns, runs, 0.5);
    table_row(table);
    table_text(table, bench->view->name);
    table_text(table, name);
    table_number(table, bench->threads);
    table_number(table, runs);
    table_number(table, times_ns[0]);
    table_number(table, median_ns);
    table_number(table, stats_quantile_sorted(times_ns, runs, 0.9));
    table_number(table, times_ns[runs - 1]);
    table_number(table, stats_mean(times_ns, runs));
    table_number(table, flops);
    table_number(table, median_ns > 0 ? flops / (median_ns / (double)NS_PER_S) : NAN);
    table_number(table, known ? (double)weights : NAN);
    table_number(table, known ? (double)activations : NAN);
    free(name);
    return table;
}

static int measure(struct workbench *bench, const struct bench_options *options, struct error *error)
{
    const char *backend = options->bench.backend ? options->bench.backend : WORKBENCH_BACKEND;
    struct compute *compute = workbench_compute(bench, backend, error);
    progress_start();
    progress_step("preparing", 0, 0);
    struct compute_model *model = compute ? compute_prepare(compute, bench->model, error) : NULL;
    struct compute_segment *segment = model ? compute_segment(model, NULL, 0, bench->view->layer_count, error) : NULL;
    double *times_ns = NEW_ARRAY(double, options->runs);
    int result = segment ? time_passes(bench, segment, options, times_ns, error) : -1;
    progress_stop();
    if (result == 0) {
        struct table *table = result_table(bench, compute_instance(compute), segment, times_ns, options->runs);
        json_t *rows = table_json(table);
        if (strcmp(options->common.format, "json") == 0)
            table_put_json(json_incref(json_array_get(rows, 0)));
        else
            table_put(table, options->common.format);
        json_decref(rows);
        table_free(table);
    }
    free(times_ns);
    if (compute)
        compute_close(compute);
    return result;
}

int cmd_bench(int argc, char **argv)
{
    struct bench_options options = {.runs = 50, .warmups = 10};
    const struct cli_option table[] = {
        WORKBENCH_BACKEND_OPTION(options.bench),
        WORKBENCH_SETTINGS_OPTION(options.bench),
        WORKBENCH_THREADS_OPTION(options.bench),
        {"runs", 'n', OPTION_NUMBER, &options.runs, "N", "passes that are measured (default: 50)", 1, 10000000},
        {"warmups", 'w', OPTION_NUMBER, &options.warmups, "N", "passes before those (default: 10)", 0, 10000000},
        OPTION_PLUGIN_PATH(options.common),
        OPTION_FORMAT(options.common),
        OPTION_COLOR(options.common),
        OPTION_VERBOSE(options.common),
    };
    const struct cli_usage usage = {
        "napm bench",
        "MODEL",
        "measure a whole model",
        "Times whole passes, batch 1, in this process: from the input to the output in memory.",
        "  napm bench alexnet.onnx\n  napm bench alexnet.onnx --backend reference --runs 5\n"
        "  napm bench vgg16.onnx --threads 2 --format json",
        table,
        OPTIONS_COUNT(table),
        1,
        1};
    int first, result = options_parse(&usage, argc, argv, &first);
    struct error error = {0};
    struct workbench bench = {0};
    if (result < 0) {
        common_apply(&options.common);
        bool fine = workbench_open(&bench, argv[first], &options.bench, &options.common, &error) == 0 &&
                    measure(&bench, &options, &error) == 0;
        result = fine ? cli_end_output() : cli_fail(&error);
        workbench_close(&bench);
    }
    free(options.bench.settings.items);
    common_free(&options.common);
    return result;
}
