/* SPDX-License-Identifier: Apache-2.0 */
/* napm export */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/options.h"
#include "core/cli/recorded.h"
#include "core/cli/reported.h"
#include "core/report/report.h"

struct export_options {
    struct common_options common;
    const char *format, *output;
};

static int export_trace(const struct reported *runs, const char *output, struct error *error)
{
    bool to_output = strcmp(output, "-") == 0;
    FILE *file = to_output ? stdout : fopen(output, "we");
    uint64_t left_out;
    if (!file)
        return error_set(error, ERROR_INPUT, "%s: cannot be written: %s; name a file in a folder that exists with -o",
                         output, strerror(errno));
    int result = report_export_trace(runs->ledger, runs->entries[0].summary, file, &left_out, error);
    bool lost = ferror(file) != 0;
    if (!to_output && fclose(file) != 0)
        lost = true;
    if (lost && error->kind == ERROR_NONE)
        result = error_set(error, ERROR_RUN, "%s: cannot be written: %s", output, strerror(errno));
    if (result == 0 && left_out > 0)
        fprintf(stderr, "napm: note: %" PRIu64 " phases were left out, beside which too many others were in progress\n",
                left_out);
    return result;
}

/* Where `output` is not given: a name made of the run's number. free() it. */
static char *output_name(const struct export_options *options, int64_t run)
{
    if (options->output)
        return text_copy(options->output);
    bool is_file = strcmp(options->format, "perfetto") == 0;
    return text_format("napm-%" PRId64 "-%s%s", run, options->format, is_file ? ".json" : "");
}

static int export_runs(const struct export_options *options, char **names, int count, struct error *error)
{
    const struct report_limits limits = {.tasks = 0, .runs = count == 1 ? 1 : 0};
    struct reported runs = {0};
    int result = reported_open(&runs, options->common.db, names, count, 1, error);
    char *output = result == 0 ? output_name(options, runs.entries[0].summary->head.id) : NULL;
    bool is_gnuplot = strcmp(options->format, "gnuplot") == 0;
    if (result == 0 && count > 1 && !is_gnuplot)
        result = error_set(error, ERROR_INPUT, "%s holds one run; export each by itself", options->format);
    if (result == 0 && is_gnuplot) {
        json_t *document = report_document(runs.ledger, runs.entries, runs.count, &limits, error);
        result = document ? report_export_gnuplot(document, output, error) : -1;
        json_decref(document);
    } else if (result == 0 && strcmp(options->format, "csv") == 0) {
        result = report_export_csv(runs.ledger, runs.entries[0].summary->head.id, output, error);
    } else if (result == 0) {
        result = export_trace(&runs, output, error);
    }
    if (result == 0 && strcmp(output, "-") != 0)
        printf("%s\n", output);
    free(output);
    reported_close(&runs);
    return result;
}

int cmd_export(int argc, char **argv)
{
    struct export_options options = {.format = "csv"};
    const struct cli_option table[] = {
        {"format", 'f', OPTION_ONE_OF, &options.format, "csv|perfetto|gnuplot", "what for (default: csv)", 0, 0},
        {"output", 'o', OPTION_WORD, &options.output, "FILE",
         "the folder (csv, gnuplot) or file (perfetto; - is standard output) to write (default: napm-RUN-csv and so "
         "on)",
         0, 0},
        OPTION_DB(options.common),
        OPTION_COLOR(options.common),
        OPTION_VERBOSE(options.common),
    };
    const struct cli_usage usage = {
        "napm export",
        "[RUN | sweep:N]...",
        "a whole run for other programs: tables, a trace, or plots",
        "csv       a folder with one file for each kind of rows (`napm result export` writes just one of them)\n"
        "perfetto  a trace that ui.perfetto.dev and chrome://tracing open: what each task did when and where\n"
        "gnuplot   a folder with data and plot.gp, which draws it; of several runs: their points with intervals\n"
        "Several runs are for gnuplot only.\n\n"
        "RUN is a number from `napm result list`, or \"last\"; without it the newest is taken.",
        "  napm export 12 --format perfetto -o run12.json\n  napm export 12 --format gnuplot -o plots && cd plots && "
        "gnuplot plot.gp",
        table,
        OPTIONS_COUNT(table),
        0,
        REPORTED_MOST_OPERANDS};
    int first, result = options_parse(&usage, argc, argv, &first);
    struct error error = {0};
    if (result < 0) {
        common_apply(&options.common);
        result = export_runs(&options, argv + first, argc - first, &error) == 0 ? cli_end_output() : cli_fail(&error);
    }
    return result;
}
