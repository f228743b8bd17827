/* SPDX-License-Identifier: Apache-2.0 */
/* napm sweep SWEEP */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli/cli.h"
#include "core/cli/options.h"
#include "core/cli/recorded.h"
#include "core/cli/sweep_point.h"
#include "core/cli/sweep_run.h"
#include "core/cli/sweep_slurm.h"
#include "core/cli/table.h"
#include "core/ledger/sweeps.h"
#include "core/sweep/definition.h"
#include "core/sweep/outcome.h"

struct sweep_options {
    struct common_options common;
    struct sweep_run_options run;
    bool list;
    const char *point, *part;
};

/* ---- the list of sweeps ---- */

static const struct table_column list_columns[] = {
    {"sweep", "sweep", TABLE_COUNT},   {"name", "name", TABLE_TEXT},  {"state", "state", TABLE_EXACT},
    {"points", "points", TABLE_COUNT}, {"done", "done", TABLE_COUNT}, {"failed", "failed", TABLE_COUNT},
    {"engine", "engine", TABLE_TEXT},  {"file", "file", TABLE_PATH},
};

static uint64_t points_of(const struct sweep_row *sweep)
{
    uint64_t points = 0;
    for (int state = 0; state <= POINT_FAILED; state++)
        points += sweep->states[state];
    return points;
}

static int list(struct ledger *ledger, const char *format, struct error *error)
{
    struct sweep_row *sweeps;
    size_t count;
    if (sweeps_list(ledger, &sweeps, &count, error) != 0)
        return -1;
    struct table *table = table_new(list_columns, sizeof(list_columns) / sizeof(list_columns[0]));
    for (size_t i = 0; i < count; i++) {
        table_row(table);
        table_number(table, (double)sweeps[i].id);
        table_text(table, sweeps[i].name);
        table_text(table, sweeps[i].running ? "running" : sweeps[i].ended_ns ? "ended" : "unfinished");
        table_number(table, (double)points_of(&sweeps[i]));
        table_number(table, (double)sweeps[i].states[POINT_DONE]);
        table_number(table, (double)sweeps[i].states[POINT_FAILED]);
        table_text(table, sweeps[i].engine);
        table_text(table, sweeps[i].path);
    }
    table_put(table, format);
    table_free(table);
    sweeps_free(sweeps, count);
    return 0;
}

/* ---- what came of it ---- */

static const struct table_column columns[] = {
    {"point", "point", TABLE_TEXT},
    {"runs", "runs", TABLE_COUNT},
    {"failed_runs", "failed", TABLE_COUNT},
    {"mean_delay_ns", "mean delay", TABLE_DURATION},
    {"mean_delay_reach_ns", "+- (95 %)", TABLE_DURATION},
    {"p99_delay_ns", "p99", TABLE_DURATION},
    {"deviation_ns", "deviation", TABLE_DURATION},
    {"tasks", "tasks", TABLE_COUNT},
    {"lost_tasks", "lost", TABLE_COUNT},
};

static void put_outcome(struct table *table, const struct outcome *outcome)
{
    table_row(table);
    table_text(table, outcome->label);
    table_number(table, (double)outcome->runs);
    table_number(table, (double)outcome->failed);
    table_number(table, outcome->metrics[OUTCOME_MEAN_DELAY]);
    table_number(table, outcome->mean_delay_reach_ns);
    table_number(table, outcome->metrics[OUTCOME_P99_DELAY]);
    table_number(table, outcome->metrics[OUTCOME_DEVIATION]);
    table_number(table, (double)outcome->tasks);
    table_number(table, (double)outcome->lost);
}

static void print_end(int64_t sweep, const struct sweep_progress *progress, const struct outcome *outcomes,
                      size_t count)
{
    printf("\nsweep %" PRId64 ": %zu of %zu points done, %zu failed, %zu left\n", sweep, progress->done,
           progress->points, progress->failed, progress->points - progress->done - progress->failed);
    for (size_t i = 0; i < count; i++)
        if (outcomes[i].cause)
            printf("point %u (%s) failed: %s\n", outcomes[i].first_point, outcomes[i].label, outcomes[i].cause);
}

static int show(struct ledger *ledger, int64_t sweep, const struct sweep_progress *progress, const char *format,
                struct error *error)
{
    struct outcome *outcomes;
    size_t count;
    if (outcomes_read(ledger, sweep, &outcomes, &count, error) != 0)
        return -1;
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    table_split(table, 1, "p99_delay_ns");
    for (size_t i = 0; i < count; i++)
        put_outcome(table, &outcomes[i]);
    table_put(table, format);
    if (strcmp(format, "table") == 0)
        print_end(sweep, progress, outcomes, count);
    table_free(table);
    outcomes_free(outcomes, count);
    return 0;
}

/* ---- the command ---- */

/* Shows what there is also where it was stopped. */
static int sweep_file(const char *path, const struct sweep_options *options, size_t *failed, struct error *error)
{
    struct sweep *sweep = sweep_open(path, false, error);
    struct ledger *ledger = sweep ? ledger_open(options->common.db, error) : NULL;
    struct sweep_progress progress = {0};
    struct error showing = {0};
    int64_t id = ledger ? sweep_run(ledger, sweep, &options->run, &options->common, &progress, error) : -1;
    int result = error->kind == ERROR_NONE ? 0 : -1;
    if (id > 0 && show(ledger, id, &progress, options->common.format, &showing) != 0 && result == 0) {
        *error = showing;
        result = -1;
    }
    *failed = progress.failed;
    ledger_close(ledger);
    sweep_close(sweep);
    return result;
}

static int list_sweeps(const struct sweep_options *options, struct error *error)
{
    struct ledger *ledger = recorded_open(options->common.db, error);
    int result = ledger ? list(ledger, options->common.format, error) : -1;
    ledger_close(ledger);
    return result;
}

static int carry_out(const struct sweep_options *options, const char *path, struct error *error)
{
    size_t failed = 0;
    int result;
    if (options->list)
        result = list_sweeps(options, error);
    else if (!path)
        result = error_set(error, ERROR_INPUT, "which sweep file? (napm sweep --help)");
    else
        result = sweep_file(path, options, &failed, error);
    if (result != 0)
        return cli_fail(error);
    int written = cli_end_output();
    return failed ? CLI_FAILED : written;
}

int cmd_sweep(int argc, char **argv)
{
    struct sweep_options options = {0};
    const struct cli_option table[] = {
        {"jobs", 'j', OPTION_NUMBER, &options.run.jobs, "N",
         "points at a time (default: all processors in the sim world, else 1, so that runs do not disturb each other); "
         "of Slurm: array tasks (default: one a point, at most 1000)",
         1, SWEEP_MOST_JOBS},
        {"retry-failed", 0, OPTION_FLAG, &options.run.retry, NULL, "try the points again that failed", 0, 0},
        {"again", 0, OPTION_FLAG, &options.run.again, NULL, "begin anew where this sweep is there already", 0, 0},
        {"list", 0, OPTION_FLAG, &options.list, NULL, "list the recorded sweeps", 0, 0},
        {"engine", 0, OPTION_ONE_OF, &options.run.engine, "local|slurm",
         "what carries the points out: this machine, or job arrays of Slurm (default: as before, at first this "
         "machine)",
         0, 0},
        {"slurm-option", 0, OPTION_WORDS, &options.run.slurm_options, "OPTION",
         "an option for sbatch, such as --slurm-option=--partition=long; may be repeated", 0, 0},
        {"parts", 0, OPTION_WORD, &options.run.parts, "FOLDER",
         "where array tasks leave their parts: a file system that all nodes share (default: beside the ledger)", 0, 0},
        {"part", 0, OPTION_WORD, &options.part, "FOLDER", "what an array task of --engine slurm does", 0, 0},
        {"point", 0, OPTION_WORD, &options.point, "SWEEP:POINT",
         "carry out only that point of a recorded sweep, and print nothing: what the workers of a sweep do", 0, 0},
        OPTION_DB(options.common),
        OPTION_PLUGIN_PATH(options.common),
        OPTION_FORMAT(options.common),
        OPTION_COLOR(options.common),
        OPTION_VERBOSE(options.common),
    };
    const struct cli_usage usage = {
        "napm sweep",
        "[SWEEP]",
        "run scenarios over a grid of settings",
        "Runs every combination of the sweep file's scenarios, variants, grid values and repetitions, each in a\n"
        "process of its own, and records each as a run. A sweep that was stopped or killed goes on where it was\n"
        "when the same command is given again; a point that fails is recorded with its cause, and the rest goes\n"
        "on. Exit status: 0 all points done, 1 some failed or it was stopped, 2 the file or an option is wrong.",
        "  napm sweep examples/sweeps/link-rates.cfg\n  napm sweep my.cfg --jobs 2 --format csv >points.csv\n"
        "  napm sweep --list",
        table,
        OPTIONS_COUNT(table),
        0,
        1};
    int first, result = options_parse(&usage, argc, argv, &first);
    struct error error = {0};
    if (result < 0) {
        common_apply(&options.common);
        result = options.point  ? sweep_point_work(options.point, &options.common)
                 : options.part ? sweep_slurm_part(options.part, &options.common)
                                : carry_out(&options, first < argc ? argv[first] : NULL, &error);
    }
    free(options.run.slurm_options.items);
    common_free(&options.common);
    return result;
}
