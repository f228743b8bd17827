/* SPDX-License-Identifier: Apache-2.0 */
/* napm run SCENARIO */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/experiment.h"
#include "core/cli/options.h"
#include "core/cli/progress.h"
#include "core/cli/report.h"
#include "core/cli/stop.h"
#include "core/cli/table.h"
#include "core/run/replications.h"

#define MOST_REPETITIONS 100000

static const char about[] =
    "Profiles every layer on every node (or takes what the ledger knows), lets the partitioner plan, deploys the "
    "plan,\n"
    "lets the load generators emit tasks, and records every task's delay phase by phase. Ends with a table: each\n"
    "stream's cut, delays, phases (measured and predicted), and whether the links did what was asked of them.\n"
    "\n"
    "Ctrl-C stops in order: what was finished is kept and shown. Exit status: 0 done, 1 the run failed or was "
    "stopped,\n"
    "2 the scenario or an option is wrong.";

static const char examples[] = "  napm run examples/quickstart.cfg\n"
                               "  napm run my.cfg --set nodes.pi1.cpu=0.1 --set scheduler.plugin=rr\n"
                               "  napm run my.cfg --world sim --seed 1 --repeat 10 --format csv >runs.csv";

/* The runs of one command. */
struct series {
    struct experiment experiment;
    struct common_options common;
    struct run_summary **summaries;
    size_t count;
    bool several;
    int result; /* the worst exit code */
};

static void show_run(const struct series *series, const struct run_summary *summary, int result,
                     const struct error *error)
{
    progress_stop();
    if (strcmp(series->common.format, "table") == 0) {
        if (series->count > 0)
            printf("\n");
        report_print(summary, ledger_path(series->experiment.ledger), series->common.db != NULL);
        fflush(stdout);
    }
    if (result == 0)
        return;
    if (error->kind != ERROR_CANCELLED) {
        fprintf(stderr, "napm: error: %s\n", error->text);
        return;
    }
    uint64_t wanted = 0;
    for (size_t i = 0; i < summary->stream_count; i++)
        wanted += summary->streams[i].task_count;
    fprintf(stderr, "napm: stopped by %s; %" PRIu64 " of %" PRIu64 " tasks kept in run %" PRId64 "\n", stop_cause(),
            summary->head.ok + summary->head.failed + summary->head.warmups, wanted, summary->head.id);
}

/* Shows a repetition. Returns whether a further one makes sense. */
static bool hear_replication(void *context, const struct replication *replication)
{
    struct series *series = context;
    const struct error *error = &replication->error;
    struct error reading = {0};
    int code = replication->result == 0 ? CLI_DONE : error->kind == ERROR_INPUT ? CLI_WRONG : CLI_FAILED;
    struct run_summary *summary = NULL;
    progress_stop();
    if (replication->run >= 0)
        summary = query_run(series->experiment.ledger, replication->run, &reading);
    if (summary) {
        show_run(series, summary, replication->result, error);
        series->summaries[series->count++] = summary;
    } else {
        code = cli_fail(replication->result != 0 ? error : &reading);
    }
    series->result = code > series->result ? code : series->result;
    progress_start();
    return summary && (replication->result == 0 || error->kind == ERROR_RUN);
}

static void show_series(const struct series *series)
{
    const struct run_summary *const *summaries = (const struct run_summary *const *)series->summaries;
    const char *path = ledger_path(series->experiment.ledger);
    if (series->count == 0)
        return;
    if (strcmp(series->common.format, "csv") == 0) {
        struct table *streams = report_streams(summaries, series->count);
        table_csv(streams, stdout);
        table_free(streams);
    } else if (strcmp(series->common.format, "table") == 0) {
        if (series->several)
            report_print_spread(summaries, series->count);
    } else if (series->several) {
        json_t *runs = json_array(), *document = json_object();
        for (size_t i = 0; i < series->count; i++)
            json_array_append_new(runs, report_json(summaries[i], path));
        json_object_set_new(document, "runs", runs);
        json_object_set_new(document, "aggregate", report_json_spread(summaries, series->count));
        table_put_json(document);
    } else {
        table_put_json(report_json(summaries[0], path));
    }
}

static int run_series(struct series *series, uint32_t repeat, uint32_t jobs)
{
    struct run_settings settings = experiment_settings(&series->experiment, 0);
    series->summaries = NEW_ARRAY(struct run_summary *, repeat);
    series->several = repeat > 1;
    progress_start();
    replications_execute(&settings, repeat, jobs, hear_replication, series);
    progress_stop();
    show_series(series);
    for (size_t i = 0; i < series->count; i++)
        query_run_free(series->summaries[i]);
    free(series->summaries);
    int written = cli_end_output();
    return series->result ? series->result : written;
}

int cmd_run(int argc, char **argv)
{
    struct series series = {0};
    struct experiment_options options = {.seed = EXPERIMENT_OWN_SEED};
    uint32_t repeat = 1, jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    const struct cli_option table[] = {
        EXPERIMENT_SET(options),
        EXPERIMENT_SEED(options),
        {"repeat", 'n', OPTION_NUMBER, &repeat, "N", "run N times, with seeds S, S+1, ...", 1, MOST_REPETITIONS},
        {"jobs", 'j', OPTION_NUMBER, &jobs, "N",
         "repetitions at once in the simulated world (default: one a processor)", 1, 1024},
        EXPERIMENT_WORLD(options),
        EXPERIMENT_FRESH(options),
        OPTION_DB(series.common),
        OPTION_PLUGIN_PATH(series.common),
        OPTION_FORMAT(series.common),
        OPTION_COLOR(series.common),
        OPTION_VERBOSE(series.common),
    };
    const struct cli_usage usage = {"napm run",
                                    "SCENARIO",
                                    "carry a scenario out, record it, show what came of it",
                                    about,
                                    examples,
                                    table,
                                    OPTIONS_COUNT(table),
                                    1,
                                    1};
    int first, result = options_parse(&usage, argc, argv, &first);
    if (result < 0) {
        common_apply(&series.common);
        result = experiment_open(&series.experiment, argv[first], &options, &series.common);
        if (result == CLI_DONE)
            result = run_series(&series, repeat, jobs);
        experiment_close(&series.experiment);
    }
    free(options.overrides.items);
    common_free(&series.common);
    return result;
}
