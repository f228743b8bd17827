/* SPDX-License-Identifier: Apache-2.0 */
/*
 * napm model verify FILE: runs the model whole, then split at every cut, and in three along sets of layers that are no
 * beginning of the layer order, and compares bit for bit; then compares the backends with each other within a tolerance.
 */
#include "core/cli/model_verify.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/progress.h"
#include "core/cli/table.h"
#include "core/cli/workbench.h"

#define DEFAULT_TOLERANCE 1e-4
#define SETS 12 /* of a model with branches */
#define SET_TRIES 200 /* at random, for them */
#define SET_PARTS 3

static const char *const default_backends[] = {WORKBENCH_BACKEND, "reference"};

struct verify_options {
    struct workbench_options bench;
    struct common_options common;
    struct text_list backends;
    struct text_list inputs;
    const char *tolerance_text;
    double tolerance;
    uint64_t seed;
};

/* What one backend came to. */
struct verdict {
    char *backend; /* "name version" */
    uint32_t cuts, sets, unequal, unequal_sets; /* verified, and those that differ */
    uint32_t first_unequal; /* cut */
    struct tensors whole; /* the unsplit result */
    double difference; /* to the first backend: greatest, relative to its greatest value; NAN for the first itself */
};

static const struct table_column columns[] = {
    {"backend", "backend", TABLE_TEXT},      {"cuts", "cuts verified", TABLE_COUNT},
    {"sets", "sets", TABLE_COUNT},           {"unequal", "unequal", TABLE_COUNT},
    {"first_unequal", "first", TABLE_COUNT}, {"relative_difference", "difference to the first", TABLE_REAL},
    {"verdict", "verdict", TABLE_TEXT},
};

static bool is_good(const struct verdict *verdict, double tolerance)
{
    return verdict->unequal + verdict->unequal_sets == 0 &&
           (isnan(verdict->difference) || verdict->difference <= tolerance);
}

static bool is_same(const struct tensors *a, const struct tensors *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (memcmp(a->data[i], b->data[i], a->bytes[i]) != 0)
            return false;
    return true;
}

/* Greatest difference over all outputs, each relative to the greatest absolute value of that output in `b`. */
static double relative_difference(const struct tensors *a, const struct tensors *b)
{
    double worst = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const float *x = a->data[i], *y = b->data[i];
        double greatest = 0, difference = 0;
        for (uint64_t k = 0; k < a->bytes[i] / sizeof(float); k++) {
            double gap = fabs((double)x[k] - (double)y[k]);
            greatest = fmax(greatest, fabs((double)y[k]));
            difference = isnan(gap) ? INFINITY : fmax(difference, gap);
        }
        worst = fmax(worst, difference / fmax(greatest, 1e-30));
    }
    return worst;
}

/*
 * The model split at cuts of an order, prepared anew each time: no more than one split's weights are held, and preparing
 * must repeat.
 */
static int run_split(struct workbench *bench, struct compute *compute, const uint32_t *order, const uint32_t *cuts,
                     uint32_t cut_count, const struct tensors *inputs, struct tensors *outputs, struct error *error)
{
    struct tensors arrived = {0};
    struct compute_model *model = compute_prepare(compute, bench->model, error);
    int result = model ? 0 : -1;
    for (uint32_t i = 0; i <= cut_count && result == 0; i++) {
        uint32_t first = i ? cuts[i - 1] : 0, last = i < cut_count ? cuts[i] : bench->view->layer_count;
        struct model_part part;
        order_part(bench->view, order, first, last, &part);
        struct tensors left = i < cut_count ? tensors_new(bench->view, part.leaving, part.leaving_count) : *outputs;
        model_part_free(&part);
        result = workbench_part(model, order, first, last, i ? &arrived : inputs, &left, error);
        tensors_free(&arrived);
        if (i < cut_count)
            arrived = left;
    }
    if (result != 0)
        tensors_free(&arrived);
    if (model)
        compute_release(model);
    return result;
}

static int verify_cuts(struct workbench *bench, struct compute *compute, const struct tensors *inputs,
                       struct tensors *split, struct verdict *verdict, struct error *error)
{
    for (uint32_t cut = 0; cut <= bench->view->layer_count; cut++) {
        progress_step("verifying cuts", cut, bench->view->layer_count + 1);
        if (run_split(bench, compute, NULL, &cut, 1, inputs, split, error) != 0)
            return error_prefix(error, "cut %u", cut);
        verdict->cuts++;
        if (!is_same(&verdict->whole, split) && verdict->unequal++ == 0)
            verdict->first_unequal = cut;
    }
    return 0;
}

/* Parts that are sets of layers, one behind the other; in a chain there are none but cuts. */
static int verify_sets(struct workbench *bench, struct compute *compute, const struct tensors *inputs,
                       struct tensors *split, struct verdict *verdict, struct error *error)
{
    uint32_t *order = NEW_ARRAY(uint32_t, bench->view->layer_count), cuts[SET_PARTS - 1];
    struct random random;
    int result = 0;
    random_seed(&random, 1, "verify");
    for (uint32_t tries = 0; tries < SET_TRIES && verdict->sets < SETS && result == 0; tries++) {
        if (order_random(bench->view, &random, SET_PARTS, order, cuts) == 0)
            continue;
        progress_step("verifying sets", verdict->sets, SETS);
        result = run_split(bench, compute, order, cuts, SET_PARTS - 1, inputs, split, error);
        verdict->sets += result == 0;
        verdict->unequal_sets += result == 0 && !is_same(&verdict->whole, split);
    }
    free(order);
    return result != 0 ? error_prefix(error, "set %u of layers", verdict->sets) : 0;
}

static int verify_splits(struct workbench *bench, struct compute *compute, const struct tensors *inputs,
                         struct verdict *verdict, struct error *error)
{
    struct model_part all;
    order_part(bench->view, NULL, 0, bench->view->layer_count, &all);
    verdict->whole = tensors_new(bench->view, all.leaving, all.leaving_count);
    struct tensors split = tensors_new(bench->view, all.leaving, all.leaving_count);
    model_part_free(&all);
    int result = run_split(bench, compute, NULL, NULL, 0, inputs, &verdict->whole, error);
    if (result == 0)
        result = verify_cuts(bench, compute, inputs, &split, verdict, error);
    if (result == 0)
        result = verify_sets(bench, compute, inputs, &split, verdict, error);
    tensors_free(&split);
    return result;
}

static int verify_backend(struct workbench *bench, const char *backend, const struct tensors *inputs,
                          struct verdict *verdict, struct error *error)
{
    struct compute *compute = workbench_compute(bench, backend, error);
    if (!compute)
        return -1;
    const struct instance *instance = compute_instance(compute);
    verdict->backend = text_format("%s %s", instance->entry->name, instance->entry->version);
    int result = verify_splits(bench, compute, inputs, verdict, error);
    compute_close(compute);
    return result;
}

static struct table *verdict_table(const struct verdict *verdicts, size_t count, double tolerance)
{
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < count; i++) {
        const struct verdict *verdict = &verdicts[i];
        table_row(table);
        table_text(table, verdict->backend);
        table_number(table, verdict->cuts);
        table_number(table, verdict->sets);
        table_number(table, verdict->unequal + verdict->unequal_sets);
        table_number(table, verdict->unequal ? verdict->first_unequal : NAN);
        table_number(table, verdict->difference);
        table_text(table, is_good(verdict, tolerance) ? "good"
                          : verdict->unequal          ? "cuts differ"
                          : verdict->unequal_sets     ? "sets differ"
                                                      : "backends differ");
    }
    return table;
}

/* Shows the verdicts; -1 with an error where one is bad. */
static int conclude(const struct verify_options *options, const struct verdict *verdicts, size_t count,
                    struct error *error)
{
    struct table *table = verdict_table(verdicts, count, options->tolerance);
    table_put(table, options->common.format);
    table_free(table);
    for (size_t i = 0; i < count; i++) {
        if (verdicts[i].unequal)
            return error_set(error, ERROR_RUN,
                             "%s: %u of %u cuts give another result than the whole model, the first is cut %u",
                             verdicts[i].backend, verdicts[i].unequal, verdicts[i].cuts, verdicts[i].first_unequal);
        if (verdicts[i].unequal_sets)
            return error_set(error, ERROR_RUN, "%s: %u of %u sets of layers give another result than the whole model",
                             verdicts[i].backend, verdicts[i].unequal_sets, verdicts[i].sets);
        if (!is_good(&verdicts[i], options->tolerance))
            return error_set(error, ERROR_RUN, "%s differs from %s by %.3g, more than the tolerance of %.3g",
                             verdicts[i].backend, verdicts[0].backend, verdicts[i].difference, options->tolerance);
    }
    return 0;
}

/* The backends to verify, each once: without oneDNN the default backend is the reference itself. */
static size_t pick_backends(const struct verify_options *options, const char **names)
{
    bool own = options->backends.count > 0;
    size_t given = own ? options->backends.count : sizeof(default_backends) / sizeof(default_backends[0]), count = 0;
    for (size_t i = 0; i < given; i++) {
        const char *name = own ? options->backends.items[i] : default_backends[i];
        bool known = false;
        for (size_t k = 0; k < count && !known; k++)
            known = strcmp(names[k], name) == 0;
        if (!known)
            names[count++] = name;
    }
    return count;
}

static int verify_all(struct workbench *bench, const struct verify_options *options, const struct tensors *inputs,
                      struct error *error)
{
    const char **names = NEW_ARRAY(const char *, options->backends.count + sizeof(default_backends));
    size_t count = pick_backends(options, names);
    struct verdict *verdicts = NEW_ARRAY(struct verdict, count);
    int result = 0;
    progress_start();
    for (size_t i = 0; i < count && result == 0; i++) {
        result = verify_backend(bench, names[i], inputs, &verdicts[i], error);
        verdicts[i].difference =
            result == 0 && i > 0 ? relative_difference(&verdicts[i].whole, &verdicts[0].whole) : NAN;
    }
    progress_stop();
    if (result == 0)
        result = conclude(options, verdicts, count, error);
    for (size_t i = 0; i < count; i++) {
        free(verdicts[i].backend);
        if (verdicts[i].whole.data)
            tensors_free(&verdicts[i].whole);
    }
    free(verdicts);
    free(names);
    return result;
}

static int open_and_verify(const char *path, struct verify_options *options, struct error *error)
{
    struct workbench bench = {0};
    struct tensors inputs;
    char *end = NULL;
    options->tolerance = options->tolerance_text ? strtod(options->tolerance_text, &end) : DEFAULT_TOLERANCE;
    if (options->tolerance_text && (end == options->tolerance_text || *end || !(options->tolerance >= 0)))
        return error_set(error, ERROR_INPUT, "--tolerance %s: expected a number, 0 or more", options->tolerance_text);
    int result = workbench_open(&bench, path, &options->bench, &options->common, error);
    if (result == 0)
        result = tensors_read(&inputs, bench.view, &options->inputs, options->seed, error);
    if (result == 0) {
        result = verify_all(&bench, options, &inputs, error);
        tensors_free(&inputs);
    }
    workbench_close(&bench);
    return result;
}

int model_verify_main(int argc, char **argv)
{
    struct verify_options options = {.seed = 1};
    const struct cli_option table[] = {
        {"backend", 'b', OPTION_WORDS, &options.backends, "NAME",
         "a backend to verify; may be repeated (default: " WORKBENCH_BACKEND " and reference)", 0, 0},
        WORKBENCH_SETTINGS_OPTION(options.bench),
        WORKBENCH_THREADS_OPTION(options.bench),
        {"tolerance", 0, OPTION_WORD, &options.tolerance_text, "X",
         "greatest relative difference between backends (default: 1e-4)", 0, 0},
        {"input", 'i', OPTION_WORDS, &options.inputs, "T", "as for `napm model run` (default: random)", 0, 0},
        {"seed", 0, OPTION_BIG_NUMBER, &options.seed, "N", "seed of random inputs (default: 1)", 0, INT64_MAX},
        OPTION_PLUGIN_PATH(options.common),
        OPTION_FORMAT(options.common),
        OPTION_COLOR(options.common),
        OPTION_VERBOSE(options.common),
    };
    const struct cli_usage usage = {
        "napm model verify",
        "FILE",
        "prove that every cut gives the same result, bit for bit",
        "Runs the model whole, then split in two at every cut, and, where it has branches, in three along sets of "
        "layers\n"
        "that no cut of the layer order gives, on each backend, and compares bit for bit; then compares the backends "
        "with\n"
        "the first one. Exit status 1 where anything differs.",
        "  napm model verify alexnet.onnx\n  napm model verify alexnet.onnx --backend onednn --threads 2",
        table,
        OPTIONS_COUNT(table),
        1,
        1};
    struct error error = {0};
    int first, result = options_parse(&usage, argc, argv, &first);
    if (result < 0) {
        common_apply(&options.common);
        result = open_and_verify(argv[first], &options, &error) == 0 ? cli_end_output() : cli_fail(&error);
    }
    free(options.backends.items);
    free(options.inputs.items);
    free(options.bench.settings.items);
    common_free(&options.common);
    return result;
}
