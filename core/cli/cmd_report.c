/* SPDX-License-Identifier: Apache-2.0 */
/* napm report */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/cli/cli.h"
#include "core/cli/options.h"
#include "core/cli/reported.h"
#include "core/cli/table.h"
#include "core/report/report.h"

struct report_options {
    struct common_options common;
    const char *output, *from;
    uint32_t tasks, charts;
};

/* Where --output is not given: a name made of the first run's number. free() it. */
static char *output_name(const struct report_options *options, const struct reported *runs)
{
    bool is_json = strcmp(options->common.format, "json") == 0;
    if (options->output)
        return text_copy(options->output);
    return is_json ? text_copy("-")
                   : text_format("napm-%" PRId64 "%s.html", runs->entries[0].summary->head.id,
                                 runs->count > 1 ? "-and-more" : "");
}

static int write_document(const struct report_options *options, const json_t *document, const char *output,
                          struct error *error)
{
    return strcmp(options->common.format, "json") == 0 ? report_write_json(document, output, error)
                                                       : report_write_page(document, output, error);
}

static int make_report(const struct report_options *options, char **names, int count, struct error *error)
{
    struct report_limits limits = {.tasks = options->tasks, .runs = options->charts};
    if (options->from && units_parse_duration_ns(options->from, &limits.from_ns, error) != 0)
        return error_prefix(error, "--from");
    struct reported runs = {0};
    int result = reported_open(&runs, options->common.db, names, count, limits.runs, error);
    json_t *document = result == 0 ? report_document(runs.ledger, runs.entries, runs.count, &limits, error) : NULL;
    if (document) {
        json_object_set(document, "failed_points", runs.failed_points);
        char *output = output_name(options, &runs);
        result = write_document(options, document, output, error);
        if (result == 0 && strcmp(output, "-") != 0)
            printf("%s\n", output);
        free(output);
    }
    json_decref(document);
    reported_close(&runs);
    return document ? result : -1;
}

int cmd_report(int argc, char **argv)
{
    struct report_options options = {.tasks = 2000, .charts = 12, .common.format = "html"};
    const struct cli_option table[] = {
        {"output", 'o', OPTION_WORD, &options.output, "FILE", "where to write it; - is standard output", 0, 0},
        {"format", 'f', OPTION_ONE_OF, &options.common.format, "html|json",
         "the page, or what it is made of (default: html)", 0, 0},
        {"tasks", 0, OPTION_NUMBER, &options.tasks, "N", "tasks on a run's timeline (default: 2000)", 0, 1000000},
        {"from", 0, OPTION_WORD, &options.from, "TIME", "where the timelines begin, such as 10s (default: 0s)", 0, 0},
        {"charts", 0, OPTION_NUMBER, &options.charts, "N",
         "runs that get charts of their own; all are in the curves and tables (default: 12)", 1, 10000},
        OPTION_DB(options.common),
        OPTION_COLOR(options.common),
        OPTION_VERBOSE(options.common),
    };
    const struct cli_usage usage = {
        "napm report",
        "[RUN | sweep:N]...",
        "a page of charts about one run or many, in one file without network",
        "RUN is a number from `napm result list`, \"last\", or a range (12-20); sweep:N (or sweep:last) stands for "
        "the\n"
        "runs of a sweep. Without either the newest run is shown.\n"
        "Of several runs, the settings in which they differ (--set, plugins, devices) become the axes of curves; runs\n"
        "that differ in the seed only are repetitions, from which the curves' 95 % bands come.",
        "  napm report 12 -o run12.html\n  napm report sweep:last -o rates.html",
        table,
        OPTIONS_COUNT(table),
        0,
        REPORTED_MOST_OPERANDS};
    int first, result = options_parse(&usage, argc, argv, &first);
    struct error error = {0};
    if (result < 0) {
        const char *format = options.common.format;
        common_apply(&options.common);
        options.common.format = format;
        result = make_report(&options, argv + first, argc - first, &error) == 0 ? cli_end_output() : cli_fail(&error);
    }
    return result;
}
