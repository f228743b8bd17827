/* SPDX-License-Identifier: Apache-2.0 */
/* napm model new|info|run (verify: model_verify.c) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/cli/cli.h"
#include "core/cli/model_verify.h"
#include "core/cli/progress.h"
#include "core/cli/table.h"
#include "core/cli/workbench.h"
#include "core/model/describe.h"
#include "core/model/tensor_file.h"
#include "models/zoo.h"

/* ---- new ---- */

static char *zoo_text(void)
{
    size_t count;
    const struct zoo_model *models = zoo_models(&count);
    char *text = text_copy("Writes a well-known network as an ONNX file with seeded random weights:\n");
    for (size_t i = 0; i < count; i++) {
        char *longer = text_format("%s%s  %-18s %s", text, "\n", models[i].name, models[i].summary);
        free(text);
        text = longer;
    }
    return text;
}

static int write_model(const char *name, uint64_t seed, const char *path, struct error *error)
{
    char *own = path ? text_copy(path) : text_format("%s.onnx", name);
    char size[UNITS_TEXT_BYTES];
    struct stat facts;
    progress_start();
    progress_step("writing the model", 0, 0);
    int result = zoo_write(name, seed, own, error);
    progress_stop();
    if (result == 0 && stat(own, &facts) == 0)
        printf("%s (%s)\n", own, units_format_size(size, (double)facts.st_size));
    free(own);
    return result;
}

static int new (int argc, char **argv)
{
    const char *path = NULL;
    uint64_t seed = 1;
    const struct cli_option table[] = {
        {"output", 'o', OPTION_WORD, &path, "FILE", "where to write it (default: NAME.onnx)", 0, 0},
        {"seed", 0, OPTION_BIG_NUMBER, &seed, "N", "seed of the weights (default: 1)", 0, INT64_MAX},
    };
    char *about = zoo_text();
    const struct cli_usage usage = {"napm model new",
                                    "NAME",
                                    "write a model of the zoo as an ONNX file",
                                    about,
                                    "  napm model new alexnet-cifar10 -o alexnet.onnx",
                                    table,
                                    OPTIONS_COUNT(table),
                                    1,
                                    1};
    struct error error = {0};
    int first, result = options_parse(&usage, argc, argv, &first);
    if (result < 0)
        result = write_model(argv[first], seed, path, &error) == 0 ? cli_end_output() : cli_fail(&error);
    free(about);
    return result;
}

/* ---- info ---- */

static const struct table_column info_columns[] = {
    {"layer", "#", TABLE_COUNT},
    {"name", "layer", TABLE_TEXT},
    {"operators", "operators", TABLE_TEXT},
    {"output_shape", "output", TABLE_EXACT},
    {"flops", "FLOPs", TABLE_FLOPS},
    {"parameter_count", "parameters", TABLE_FLOPS},
    {"parameter_bytes", "weights", TABLE_SIZE},
    {"output_bytes", "output size", TABLE_SIZE},
    {"cut_bytes", "cut after it", TABLE_SIZE},
    {"cut_tensors", "tensors", TABLE_COUNT},
};

static struct table *info_table(const struct describe *description)
{
    struct table *table = table_new(info_columns, sizeof(info_columns) / sizeof(info_columns[0]));
    table_split(table, 2, "parameter_count");
    for (uint32_t i = 0; i < description->row_count; i++) {
        const struct describe_row *row = &description->rows[i];
        table_row(table);
        table_number(table, row->layer);
        table_text(table, row->name);
        table_text(table, row->operators);
        table_text(table, row->output_shape);
        table_number(table, row->flops);
        table_number(table, (double)row->parameter_count);
        table_number(table, (double)row->parameter_bytes);
        table_number(table, (double)row->output_bytes);
        table_number(table, (double)row->cut_bytes);
        table_number(table, row->cut_tensor_count);
    }
    return table;
}

static void print_info(const struct model *model, const struct describe *description, const struct table *table)
{
    const struct napm_model *view = model_view(model);
    char flops[TABLE_CELL_BYTES], parameters[TABLE_CELL_BYTES], weights[TABLE_CELL_BYTES], live[TABLE_CELL_BYTES];
    printf("%s%s%s  %s\n", table_style(STYLE_BOLD), view->name, table_style(STYLE_PLAIN), model_path(model));
    printf("  inputs   %s\n  outputs  %s\n", description->inputs, description->outputs);
    printf("  %u layers, %s FLOPs, %s parameters, %s of weights, %s of activations at once\n  hash     %s\n\n",
           view->layer_count, table_format_number(flops, TABLE_FLOPS, description->flops),
           table_format_number(parameters, TABLE_FLOPS, (double)description->parameter_count),
           table_format_number(weights, TABLE_SIZE, (double)description->parameter_bytes),
           table_format_number(live, TABLE_SIZE, (double)description->activation_bytes), view->hash);
    table_print(table, stdout, 0);
    printf("\nA cut before layer 0 sends the input (%s).\n",
           table_format_number(live, TABLE_SIZE, (double)description->input_bytes));
}

static json_t *info_json(const struct model *model, const struct describe *description, const struct table *table)
{
    const struct napm_model *view = model_view(model);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:f, s:I, s:I, s:I, s:I, s:I, s:o}", "model", view->name, "file",
                     model_path(model), "hash", view->hash, "inputs", description->inputs, "outputs",
                     description->outputs, "layer_count", (int)view->layer_count, "flops", description->flops,
                     "parameter_count", (json_int_t)description->parameter_count, "parameter_bytes",
                     (json_int_t)description->parameter_bytes, "activation_bytes",
                     (json_int_t)description->activation_bytes, "input_bytes", (json_int_t)description->input_bytes,
                     "output_bytes", (json_int_t)description->output_bytes, "layers", table_json(table));
}

static int show_info(const char *path, const char *format, struct error *error)
{
    struct model *model = model_open(path, error);
    if (!model)
        return -1;
    struct describe description;
    describe_model(model, &description);
    struct table *table = info_table(&description);
    if (strcmp(format, "json") == 0)
        table_put_json(info_json(model, &description, table));
    else if (strcmp(format, "csv") == 0)
        table_csv(table, stdout);
    else
        print_info(model, &description, table);
    table_free(table);
    describe_free(&description);
    model_close(model);
    return 0;
}

static int info(int argc, char **argv)
{
    struct common_options common = {0};
    const struct cli_option table[] = {OPTION_FORMAT(common), OPTION_COLOR(common), OPTION_VERBOSE(common)};
    const struct cli_usage usage = {
        "napm model info",
        "FILE",
        "a model's layers: FLOPs, parameters, sizes, cuts",
        "\"cut after it\" is what crosses the link when this layer is the last on the device.",
        "  napm model info alexnet.onnx\n  napm model info alexnet.onnx --format csv",
        table,
        OPTIONS_COUNT(table),
        1,
        1};
    struct error error = {0};
    int first, result = options_parse(&usage, argc, argv, &first);
    if (result < 0) {
        common_apply(&common);
        result = show_info(argv[first], common.format, &error) == 0 ? cli_end_output() : cli_fail(&error);
    }
    return result;
}

/* ---- run ---- */

struct model_run {
    struct workbench_options bench;
    struct common_options common;
    struct text_list inputs, outputs;
    uint64_t seed;
};

static const struct table_column output_columns[] = {
    {"output", "output", TABLE_TEXT},   {"shape", "shape", TABLE_EXACT}, {"least", "least", TABLE_REAL},
    {"most", "most", TABLE_REAL},       {"mean", "mean", TABLE_REAL},    {"most_at", "most at", TABLE_COUNT},
    {"file", "written to", TABLE_PATH},
};

static void add_output(struct table *table, const struct napm_tensor *tensor, const float *values, const char *file)
{
    uint64_t count = tensor->bytes / sizeof(float), most_at = 0;
    double least = INFINITY, most = -INFINITY, sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += (double)values[i];
        least = fmin(least, (double)values[i]);
        if ((double)values[i] > most) {
            most = (double)values[i];
            most_at = i;
        }
    }
    char *shape = describe_shape(tensor);
    table_row(table);
    table_text(table, tensor->name);
    table_text(table, shape);
    table_number(table, least);
    table_number(table, most);
    table_number(table, count ? sum / (double)count : NAN);
    table_number(table, (double)most_at);
    table_text(table, file);
    free(shape);
}

/* Told before anything is computed, so that no one waits for a file that is then not what its name says. */
static int check_output_names(const struct text_list *outputs, struct error *error)
{
    static const char known[] = ".npy";
    for (size_t i = 0; i < outputs->count; i++) {
        size_t length = strlen(outputs->items[i]);
        if (length <= strlen(known) || strcmp(outputs->items[i] + length - strlen(known), known) != 0)
            return error_set(error, ERROR_INPUT,
                             "--output %s: outputs are written as NumPy files; name a file that ends in %s",
                             outputs->items[i], known);
    }
    return 0;
}

static int write_output(const struct napm_tensor *shape, float *values, const char *path, struct error *error)
{
    struct tensor tensor = {.rank = shape->rank, .count = shape->bytes / sizeof(float), .data = values};
    if (shape->rank > TENSOR_MAX_RANK)
        return error_set(error, ERROR_INPUT, "output %s has more than %d dimensions", shape->name, TENSOR_MAX_RANK);
    memcpy(tensor.dims, shape->dims, shape->rank * sizeof(*shape->dims));
    return tensor_write_npy(path, &tensor, error);
}

static int show_outputs(const struct workbench *bench, const struct model_run *options, const uint32_t *indices,
                        struct tensors *outputs, struct error *error)
{
    struct table *table = table_new(output_columns, sizeof(output_columns) / sizeof(output_columns[0]));
    int result = 0;
    for (uint32_t i = 0; i < outputs->count && result == 0; i++) {
        const struct napm_tensor *tensor = bench->view->tensors[indices[i]];
        const char *file = i < options->outputs.count ? options->outputs.items[i] : NULL;
        if (file)
            result = write_output(tensor, outputs->data[i], file, error);
        add_output(table, tensor, outputs->data[i], file);
    }
    if (result == 0)
        table_put(table, options->common.format);
    table_free(table);
    return result;
}

static int run_model(struct workbench *bench, const struct model_run *options, struct compute *compute,
                     struct error *error)
{
    const struct napm_model *view = bench->view;
    struct tensors inputs;
    if (check_output_names(&options->outputs, error) != 0)
        return -1;
    if (options->outputs.count > view->output_count)
        return error_set(error, ERROR_INPUT, "--output %s: one output too many: the model has %u",
                         options->outputs.items[view->output_count], view->output_count);
    if (tensors_read(&inputs, view, &options->inputs, options->seed, error) != 0)
        return -1;
    struct model_part part;
    model_part_range(bench->model, 0, view->layer_count, &part);
    struct tensors outputs = tensors_new(view, part.leaving, part.leaving_count);
    progress_start();
    progress_step("computing", 0, 0);
    struct compute_model *model = compute_prepare(compute, bench->model, error);
    int result = model ? workbench_part(model, NULL, 0, view->layer_count, &inputs, &outputs, error) : -1;
    progress_stop();
    if (result == 0)
        result = show_outputs(bench, options, part.leaving, &outputs, error);
    tensors_free(&outputs);
    tensors_free(&inputs);
    model_part_free(&part);
    return result;
}

static int open_and_run(const char *path, const struct model_run *options, struct error *error)
{
    struct workbench bench;
    struct compute *compute = NULL;
    int result = workbench_open(&bench, path, &options->bench, &options->common, error);
    if (result == 0)
        compute = workbench_compute(&bench, options->bench.backend ? options->bench.backend : WORKBENCH_BACKEND, error);
    result = compute ? run_model(&bench, options, compute, error) : -1;
    if (compute)
        compute_close(compute);
    workbench_close(&bench);
    return result;
}

static int run(int argc, char **argv)
{
    struct model_run options = {.seed = 1};
    const struct cli_option table[] = {
        {"input", 'i', OPTION_WORDS, &options.inputs, "T",
         "FILE.npy, FILE.pb, FILE.bin[:RECORD] (CIFAR-10) or random; once for each input", 0, 0},
        {"output", 'o', OPTION_WORDS, &options.outputs, "FILE.npy", "write an output there; once for each output", 0,
         0},
        {"seed", 0, OPTION_BIG_NUMBER, &options.seed, "N", "seed of random inputs (default: 1)", 0, INT64_MAX},
        WORKBENCH_BACKEND_OPTION(options.bench),
        WORKBENCH_SETTINGS_OPTION(options.bench),
        WORKBENCH_THREADS_OPTION(options.bench),
        OPTION_PLUGIN_PATH(options.common),
        OPTION_FORMAT(options.common),
        OPTION_COLOR(options.common),
        OPTION_VERBOSE(options.common),
    };
    const struct cli_usage usage = {"napm model run",
                                    "FILE",
                                    "compute a model once",
                                    "Inputs are taken in the model's order; those not named are random.",
                                    "  napm model run alexnet.onnx --input data_batch_1.bin:17 --output logits.npy\n"
                                    "  napm model run net.onnx --input x.npy --output y.npy --backend reference",
                                    table,
                                    OPTIONS_COUNT(table),
                                    1,
                                    1};
    struct error error = {0};
    int first, result = options_parse(&usage, argc, argv, &first);
    if (result < 0) {
        common_apply(&options.common);
        result = open_and_run(argv[first], &options, &error) == 0 ? cli_end_output() : cli_fail(&error);
    }
    free(options.inputs.items);
    free(options.outputs.items);
    free(options.bench.settings.items);
    common_free(&options.common);
    return result;
}

int cmd_model(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"new", "write a model of the zoo as an ONNX file", new},
        {"info", "a model's layers: FLOPs, parameters, sizes, cuts", info},
        {"run", "compute a model once", run},
        {"verify", "prove that every cut gives the same result, bit for bit", model_verify_main},
    };
    return cli_dispatch("napm model", NULL, commands, sizeof(commands) / sizeof(commands[0]), argc, argv);
}
