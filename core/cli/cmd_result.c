/* SPDX-License-Identifier: Apache-2.0 */
/* napm result list|show|export */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/options.h"
#include "core/cli/recorded.h"
#include "core/cli/report.h"
#include "core/cli/table.h"
#include "core/ledger/query.h"
#include "core/report/report.h"

/* ---- list ---- */

static const struct table_column list_columns[] = {
    {"run", "run", TABLE_COUNT},
    {"began", "began", TABLE_EXACT},
    {"scenario", "scenario", TABLE_TEXT},
    {"world", "world", TABLE_TEXT},
    {"seed", "seed", TABLE_EXACT},
    {"status", "status", TABLE_EXACT},
    {"tasks_ok", "ok", TABLE_COUNT},
    {"tasks_failed", "failed", TABLE_COUNT},
    {"mean_delay_ns", "mean delay", TABLE_DURATION},
    {"partitioner", "partitioner", TABLE_TEXT},
    {"scheduler", "scheduler", TABLE_TEXT},
};

static void add_run(struct table *table, const struct run_head *run)
{
    char began[32] = "?", seed[24];
    time_t seconds = (time_t)(run->began_ns / NS_PER_S);
    struct tm local;
    if (localtime_r(&seconds, &local))
        strftime(began, sizeof(began), "%Y-%m-%d %H:%M:%S", &local);
    snprintf(seed, sizeof(seed), "%" PRIu64, run->seed);
    table_row(table);
    table_number(table, (double)run->id);
    table_text(table, began);
    table_text(table, *run->scenario_name ? run->scenario_name : run->scenario_path);
    table_text(table, run->world);
    table_text(table, seed);
    table_text(table, run->status);
    table_number(table, (double)run->ok);
    table_number(table, (double)(run->failed + run->unfinished));
    table_number(table, run->mean_delay_ns);
    table_text(table, run->partitioner);
    table_text(table, run->scheduler);
}

static int list_runs(struct ledger *ledger, uint32_t most, const char *format, struct error *error)
{
    struct run_head *runs;
    size_t count;
    if (query_runs(ledger, most, &runs, &count, error) != 0)
        return -1;
    struct table *table = table_new(list_columns, sizeof(list_columns) / sizeof(list_columns[0]));
    table_split(table, 1, "tasks_ok");
    for (size_t i = 0; i < count; i++)
        add_run(table, &runs[i]);
    table_put(table, format);
    table_free(table);
    query_runs_free(runs, count);
    return 0;
}

static int list(int argc, char **argv)
{
    struct common_options common = {0};
    uint32_t most = 20;
    const struct cli_option table[] = {
        {"most", 'n', OPTION_NUMBER, &most, "N", "at most N runs, 0 for all (default: 20)", 0, UINT32_MAX},
        OPTION_DB(common),
        OPTION_FORMAT(common),
        OPTION_COLOR(common),
        OPTION_VERBOSE(common),
    };
    const struct cli_usage usage = {
        "napm result list",
        "",
        "the recorded runs, newest first",
        "A run is running, done, failed, stopped (by its user) or interrupted (its process died).",
        "  napm result list\n  napm result list -n 0 --format csv",
        table,
        OPTIONS_COUNT(table),
        0,
        0};
    int first, result = options_parse(&usage, argc, argv, &first);
    struct error error = {0};
    if (result < 0) {
        common_apply(&common);
        struct ledger *ledger = recorded_open(common.db, &error);
        bool listed = ledger && list_runs(ledger, most, common.format, &error) == 0;
        result = listed ? cli_end_output() : cli_fail(&error);
        ledger_close(ledger);
    }
    return result;
}

/* ---- show ---- */

static int show_run(struct ledger *ledger, const char *named, const struct common_options *common, struct error *error)
{
    int64_t number = recorded_run(ledger, named, error);
    struct run_summary *summary = number >= 0 ? query_run(ledger, number, error) : NULL;
    if (!summary)
        return -1;
    if (strcmp(common->format, "json") == 0) {
        table_put_json(report_json(summary, ledger_path(ledger)));
    } else if (strcmp(common->format, "csv") == 0) {
        const struct run_summary *only[] = {summary};
        struct table *streams = report_streams(only, 1);
        table_csv(streams, stdout);
        table_free(streams);
    } else {
        report_print(summary, ledger_path(ledger), common->db != NULL);
    }
    query_run_free(summary);
    return 0;
}

static int show(int argc, char **argv)
{
    struct common_options common = {0};
    const struct cli_option table[] = {OPTION_DB(common), OPTION_FORMAT(common), OPTION_COLOR(common),
                                       OPTION_VERBOSE(common)};
    const struct cli_usage usage = {
        "napm result show",
        "[RUN]",
        "one run: cuts, delays, phases, links, warnings",
        "RUN is a number from `napm result list`, or \"last\"; without it the newest is shown.",
        "  napm result show\n  napm result show 12 --format json",
        table,
        OPTIONS_COUNT(table),
        0,
        1};
    int first, result = options_parse(&usage, argc, argv, &first);
    struct error error = {0};
    if (result < 0) {
        common_apply(&common);
        struct ledger *ledger = recorded_open(common.db, &error);
        bool shown = ledger && show_run(ledger, first < argc ? argv[first] : NULL, &common, &error) == 0;
        result = shown ? cli_end_output() : cli_fail(&error);
        ledger_close(ledger);
    }
    return result;
}

/* ---- export ---- */

#define DEFAULT_ROWS "tasks"

struct export_options {
    struct common_options common;
    const char *rows, *path;
};

static int export_rows(struct ledger *ledger, int64_t run, const struct export_options *options, FILE *file,
                       struct error *error)
{
    struct run_summary *summary = query_run(ledger, run, error); /* also says where there is no such run */
    if (!summary)
        return -1;
    query_run_free(summary);
    enum report_rows_format format = strcmp(options->common.format, "json") == 0 ? REPORT_JSON : REPORT_CSV;
    int result = report_write_rows(ledger, run, options->rows ? options->rows : DEFAULT_ROWS, format, file, error);
    if (result != 0 && error->kind == ERROR_NONE)
        error_set(error, ERROR_RUN, "%s: cannot be written: %s", options->path ? options->path : "standard output",
                  strerror(errno));
    return result;
}

static int export_run(const struct export_options *options, const char *named, struct error *error)
{
    struct ledger *ledger = recorded_open(options->common.db, error);
    int64_t run = ledger ? recorded_run(ledger, named, error) : -1;
    int result = run >= 0 ? 0 : -1;
    FILE *file = stdout;
    if (result == 0 && options->path && !(file = fopen(options->path, "we")))
        result = error_set(
            error, ERROR_INPUT,
            "%s: cannot be written: %s; name a file in a folder that exists and that you may write to with -o",
            options->path, strerror(errno));
    if (result == 0)
        result = export_rows(ledger, run, options, file, error);
    if (file && file != stdout && fclose(file) != 0 && result == 0)
        result = error_set(error, ERROR_RUN, "%s: cannot be written: %s", options->path, strerror(errno));
    ledger_close(ledger);
    return result;
}

/* "tasks|layers|...", and what each is, for the help. */
static void describe_rows(char **kinds, char **about)
{
    *kinds = text_copy("");
    *about = text_copy("Times are nanoseconds, sizes bytes, rates bytes per second. docs/ledger.md explains the "
                       "columns.\nRows:");
    for (size_t i = 0; i < query_row_kind_count; i++) {
        char *longer = text_format("%s%s%s", *kinds, i ? "|" : "", query_row_kinds[i].name);
        free(*kinds);
        *kinds = longer;
        longer = text_format("%s\n  %-8s %s", *about, query_row_kinds[i].name, query_row_kinds[i].summary);
        free(*about);
        *about = longer;
    }
}

static int export(int argc, char **argv)
{
    struct export_options options = {0};
    char *kinds, *about;
    describe_rows(&kinds, &about);
    const struct cli_option table[] = {
        {"rows", 'r', OPTION_ONE_OF, &options.rows, kinds, "what to export (default: " DEFAULT_ROWS ")", 0, 0},
        {"output", 'o', OPTION_WORD, &options.path, "FILE", "write there instead of to standard output", 0, 0},
        {"format", 'f', OPTION_ONE_OF, &options.common.format, "csv|json", "how to write them (default: csv)", 0, 0},
        OPTION_DB(options.common),
        OPTION_COLOR(options.common),
        OPTION_VERBOSE(options.common),
    };
    const struct cli_usage usage = {
        "napm result export",
        "[RUN]",
        "a run's rows for other programs",
        about,
        "  napm result export 12 >tasks.csv\n  napm result export --rows layers --format json -o layers.json",
        table,
        OPTIONS_COUNT(table),
        0,
        1};
    int first, result = options_parse(&usage, argc, argv, &first);
    struct error error = {0};
    if (result < 0) {
        bool as_json = options.common.format && strcmp(options.common.format, "json") == 0;
        common_apply(&options.common);
        options.common.format = as_json ? "json" : "csv";
        result =
            export_run(&options, first < argc ? argv[first] : NULL, &error) == 0 ? cli_end_output() : cli_fail(&error);
    }
    free(kinds);
    free(about);
    return result;
}

int cmd_result(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"list", "the recorded runs, newest first", list},
        {"show", "one run: cuts, delays, phases, links, warnings", show},
        {"export", "a run's rows as CSV or JSON", export},
    };
    return cli_dispatch("napm result", NULL, commands, sizeof(commands) / sizeof(commands[0]), argc, argv);
}
