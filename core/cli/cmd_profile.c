/* SPDX-License-Identifier: Apache-2.0 */
/* napm profile MODEL */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/cli/cli.h"
#include "core/cli/progress.h"
#include "core/cli/table.h"
#include "core/cli/workbench.h"

#define NS_PER_SECOND 1e9

static const struct table_column columns[] = {
    {"layer", "#", TABLE_COUNT},
    {"name", "layer", TABLE_TEXT},
    {"time_ns", "time", TABLE_DURATION},
    {"mean_ns", "mean", TABLE_DURATION},
    {"share", "share", TABLE_SHARE},
    {"flops", "FLOPs", TABLE_FLOPS},
    {"flops_per_s", "FLOP/s", TABLE_FLOPS},
    {"parameter_bytes", "weights", TABLE_SIZE},
    {"cut_bytes", "cut after it", TABLE_SIZE},
};

struct profile_options {
    struct workbench_options bench;
    struct common_options common;
    uint32_t runs, warmups;
};

static struct table *layer_table(const struct workbench *bench, const struct layer_time *times)
{
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    table_split(table, 2, "flops");
    double total_ns = 0;
    for (uint32_t i = 0; i < bench->view->layer_count; i++)
        total_ns += (double)times[i].median_ns;
    for (uint32_t i = 0; i < bench->view->layer_count; i++) {
        const struct napm_layer *layer = bench->view->layers[i];
        uint64_t cut_bytes;
        model_cut(bench->model, i + 1, &cut_bytes, NULL);
        table_row(table);
        table_number(table, i);
        table_text(table, layer->name);
        table_number(table, (double)times[i].median_ns);
        table_number(table, (double)times[i].mean_ns);
        table_number(table, total_ns > 0 ? (double)times[i].median_ns / total_ns : NAN);
        table_number(table, layer->flops);
        table_number(table, times[i].median_ns > 0 ? layer->flops / ((double)times[i].median_ns / NS_PER_SECOND) : NAN);
        table_number(table, (double)layer->parameter_bytes);
        table_number(table, (double)cut_bytes);
    }
    return table;
}

static void show(const struct workbench *bench, const struct profile_options *options, const struct instance *backend,
                 const struct layer_time *times)
{
    struct table *table = layer_table(bench, times);
    double total_ns = 0;
    char total[UNITS_TEXT_BYTES];
    for (uint32_t i = 0; i < bench->view->layer_count; i++)
        total_ns += (double)times[i].median_ns;
    char *name = compute_label(backend);
    if (strcmp(options->common.format, "json") == 0) {
        table_put_json(json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:o}", "model", bench->view->name, "hash",
                                 bench->view->hash, "backend", name, "threads", (int)bench->threads, "runs",
                                 (int)options->runs, "total_ns", total_ns, "layers", table_json(table)));
    } else {
        table_put(table, options->common.format);
        if (strcmp(options->common.format, "table") == 0)
            printf("\n%s on %s, %u thread%s: %s a pass (sum of the layers' medians over %u passes)\n",
                   bench->view->name, name, bench->threads, bench->threads == 1 ? "" : "s",
                   units_format_duration(total, total_ns), options->runs);
    }
    free(name);
    table_free(table);
}

static void hear_progress(void *unused, uint32_t done, uint32_t of)
{
    (void)unused;
    progress_step("profiling", done, of);
}

static int profile(struct workbench *bench, const struct profile_options *options, struct error *error)
{
    const char *backend = options->bench.backend ? options->bench.backend : WORKBENCH_BACKEND;
    struct compute *compute = workbench_compute(bench, backend, error);
    struct compute_model *model = compute ? compute_prepare(compute, bench->model, error) : NULL;
    struct layer_time *times = NEW_ARRAY(struct layer_time, bench->view->layer_count + 1);
    progress_start();
    progress_step("profiling", 0, options->warmups + options->runs);
    int result =
        model ? compute_profile(model, options->warmups, options->runs, times, hear_progress, NULL, error) : -1;
    progress_stop();
    if (result == 0)
        show(bench, options, compute_instance(compute), times);
    free(times);
    if (compute)
        compute_close(compute);
    return result;
}

int cmd_profile(int argc, char **argv)
{
    struct profile_options options = {.runs = 20, .warmups = 5};
    const struct cli_option table[] = {
        WORKBENCH_BACKEND_OPTION(options.bench),
        WORKBENCH_SETTINGS_OPTION(options.bench),
        WORKBENCH_THREADS_OPTION(options.bench),
        {"runs", 'n', OPTION_NUMBER, &options.runs, "N", "passes over the model (default: 20)", 1, 1000000},
        {"warmups", 'w', OPTION_NUMBER, &options.warmups, "N", "passes before those (default: 5)", 0, 1000000},
        OPTION_PLUGIN_PATH(options.common),
        OPTION_FORMAT(options.common),
        OPTION_COLOR(options.common),
        OPTION_VERBOSE(options.common),
    };
    const struct cli_usage usage = {
        "napm profile",
        "MODEL",
        "measure every layer of a model",
        "Prints the median and the mean time of each layer, what it computes, and how many bytes would\n"
        "cross if the model were cut after it.",
        "  napm profile alexnet.onnx\n  napm profile alexnet.onnx --threads 2 --runs 50 --format json",
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
                    profile(&bench, &options, &error) == 0;
        result = fine ? cli_end_output() : cli_fail(&error);
        workbench_close(&bench);
    }
    free(options.bench.settings.items);
    common_free(&options.common);
    return result;
}
