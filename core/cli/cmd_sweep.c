/* SPDX-License-Identifier: Apache-2.0 */
/* napm sweep SWEEP */
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/stats.h"
#include "core/cli/cli.h"
#include "core/cli/options.h"
#include "core/cli/progress.h"
#include "core/cli/recorded.h"
#include "core/cli/stop.h"
#include "core/cli/sweep_point.h"
#include "core/cli/table.h"
#include "core/ledger/sweeps.h"
#include "core/sweep/definition.h"
#include "core/sweep/pool.h"

#define MOST_JOBS 1024

struct sweep_options {
    struct common_options common;
    uint32_t jobs; /* 0: by the world */
    bool list, again, retry;
    const char *point;
};

/* ---- the list of sweeps ---- */

static const struct table_column list_columns[] = {
    {"sweep", "sweep", TABLE_COUNT},   {"name", "name", TABLE_TEXT},  {"state", "state", TABLE_EXACT},
    {"points", "points", TABLE_COUNT}, {"done", "done", TABLE_COUNT}, {"failed", "failed", TABLE_COUNT},
    {"file", "file", TABLE_PATH},
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
        table_text(table, sweeps[i].path);
    }
    table_put(table, format);
    table_free(table);
    sweeps_free(sweeps, count);
    return 0;
}

/* ---- which sweep ---- */

static int64_t add_sweep(struct ledger *ledger, const struct sweep *sweep, struct error *error)
{
    struct point_row *points = NEW_ARRAY(struct point_row, sweep->point_count);
    for (size_t i = 0; i < sweep->point_count; i++) {
        const struct sweep_point *point = &sweep->points[i];
        points[i] = (struct point_row){.point = (uint32_t)i + 1,
                                       .label = sweep_point_label(sweep, point),
                                       .scenario_path = text_copy(point->scenario),
                                       .settings = sweep_point_settings(point),
                                       .seed = point->seed,
                                       .repetition = point->repetition};
    }
    struct sweep_row row = {.name = (char *)sweep->name,
                            .path = (char *)sweep->path,
                            .digest = (char *)sweep->digest,
                            .engine = (char *)"local"};
    int64_t id = sweeps_add(ledger, &row, points, sweep->point_count, error);
    sweeps_points_free(points, sweep->point_count);
    return id;
}

/* The recorded sweep of this file as it stands, or 0. A file that was changed since makes a new sweep. */
static int find_sweep(struct ledger *ledger, const struct sweep *sweep, int64_t *id, struct error *error)
{
    struct sweep_row *sweeps;
    size_t count;
    *id = 0;
    if (sweeps_list(ledger, &sweeps, &count, error) != 0)
        return -1;
    for (size_t i = 0; i < count && *id == 0; i++)
        if (strcmp(sweeps[i].digest, sweep->digest) == 0)
            *id = sweeps[i].id;
    sweeps_free(sweeps, count);
    return 0;
}

/* ---- carrying it out ---- */

struct work {
    struct ledger *ledger;
    int64_t sweep;
    struct point_row *points;
    size_t count;
    ARRAY_OF(size_t) waiting; /* places in points */
    size_t ended;
    const struct sweep_options *options;
    char program[PATH_MAX], point_name[64];
    ARRAY_OF(const char *) command;
};

static const char *const *command_of(void *context, size_t i)
{
    struct work *work = context;
    snprintf(work->point_name, sizeof(work->point_name), "%" PRId64 ":%u", work->sweep,
             work->points[work->waiting.items[i]].point);
    work->command.count = 0;
    const char *const fixed[] = {work->program, "sweep",         "--db", ledger_path(work->ledger),
                                 "--point",     work->point_name};
    for (size_t k = 0; k < sizeof(fixed) / sizeof(fixed[0]); k++)
        *ARRAY_ADD(&work->command) = fixed[k];
    for (size_t k = 0; k < work->options->common.plugin_path.count; k++) {
        *ARRAY_ADD(&work->command) = "--plugin-path";
        *ARRAY_ADD(&work->command) = work->options->common.plugin_path.items[k];
    }
    *ARRAY_ADD(&work->command) = NULL;
    return work->command.items;
}

/* A worker that died without a word leaves its point noted as failed, so that the next try is a decision. */
static void note_death(struct work *work, const struct point_row *point, int status)
{
    char how[128], *cause;
    struct error error = {0};
    pool_describe(status, how, sizeof(how));
    cause = text_format("the process that carried it out %s", how);
    if (sweeps_point_failed(work->ledger, work->sweep, point->point, cause, &error) != 0)
        fprintf(stderr, "napm: warning: %s\n", error.text);
    free(cause);
}

static void hear_end(void *context, size_t i, int status)
{
    struct work *work = context;
    if (!sweep_point_has_told(status) && !atomic_load(stop_watch()))
        note_death(work, &work->points[work->waiting.items[i]], status);
    progress_step("points", ++work->ended, work->waiting.count);
}

static int choose_points(struct work *work, bool retry, struct error *error)
{
    if (sweeps_points(work->ledger, work->sweep, &work->points, &work->count, error) != 0)
        return -1;
    for (size_t i = 0; i < work->count; i++) {
        struct point_row *point = &work->points[i];
        bool again = retry && point->state == POINT_FAILED;
        if (again && sweeps_point_failed(work->ledger, work->sweep, point->point, NULL, error) != 0)
            return -1;
        if (point->state == POINT_WAITING || again)
            *ARRAY_ADD(&work->waiting) = i;
    }
    return 0;
}

static int run_points(struct work *work, uint32_t jobs, struct error *error)
{
    ssize_t length = readlink("/proc/self/exe", work->program, sizeof(work->program) - 1);
    if (length <= 0)
        return error_set(error, ERROR_RUN, "finding the running program: /proc is not mounted");
    work->program[length] = '\0';
    const struct pool_settings settings = {.task_count = work->waiting.count,
                                           .jobs = jobs,
                                           .quiet = work->options->common.verbose == 0,
                                           .cancel = stop_watch(),
                                           .context = work,
                                           .command = command_of,
                                           .ended = hear_end};
    progress_start();
    progress_step("points", 0, work->waiting.count);
    int result = pool_run(&settings, error);
    progress_stop();
    return result;
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

/* The repetitions of one combination of settings. */
struct combination {
    const char *label;
    double *means;
    double p99_ns, deviation_ns;
    uint64_t runs, failed, tasks, lost;
};

static int add_run(struct combination *it, struct ledger *ledger, int64_t run, struct error *error)
{
    struct run_summary *summary = query_run(ledger, run, error);
    if (!summary)
        return -1;
    if (summary->head.ok > 0) {
        it->means[it->runs++] = summary->delay.mean_ns;
        it->p99_ns += summary->delay.p99_ns;
        it->deviation_ns += sqrt(summary->delay.variance_ns2);
    }
    it->tasks += summary->head.ok;
    it->lost += summary->head.failed + summary->head.unfinished;
    query_run_free(summary);
    return 0;
}

static void put_combination(struct table *table, const struct combination *it)
{
    double runs = (double)it->runs;
    table_row(table);
    table_text(table, it->label);
    table_number(table, runs);
    table_number(table, (double)it->failed);
    table_number(table, it->runs ? stats_mean(it->means, it->runs) : NAN);
    table_number(table, stats_mean_reach95(it->means, it->runs));
    table_number(table, it->runs ? it->p99_ns / runs : NAN);
    table_number(table, it->runs ? it->deviation_ns / runs : NAN);
    table_number(table, (double)it->tasks);
    table_number(table, (double)it->lost);
}

/* One row a combination: its points follow each other. */
static int fill_table(struct table *table, struct ledger *ledger, const struct point_row *points, size_t count,
                      struct error *error)
{
    int result = 0;
    for (size_t first = 0, end; first < count && result == 0; first = end) {
        for (end = first + 1; end < count && points[end].repetition > points[end - 1].repetition &&
                              strcmp(points[end].label, points[first].label) == 0;)
            end++;
        struct combination it = {.label = points[first].label, .means = NEW_ARRAY(double, end - first)};
        for (size_t i = first; i < end && result == 0; i++) {
            it.failed += points[i].state == POINT_FAILED;
            if (points[i].state == POINT_DONE)
                result = add_run(&it, ledger, points[i].run, error);
        }
        if (result == 0)
            put_combination(table, &it);
        free(it.means);
    }
    return result;
}

static void print_causes(const struct point_row *points, size_t count)
{
    const char *last = "";
    for (size_t i = 0; i < count; i++)
        if (points[i].state == POINT_FAILED && points[i].cause && strcmp(points[i].cause, last) != 0) {
            printf("point %u (%s) failed: %s\n", points[i].point, points[i].label, points[i].cause);
            last = points[i].cause;
        }
}

/* *failed: points that failed. */
static int show(struct ledger *ledger, int64_t sweep, const char *format, uint64_t *failed, struct error *error)
{
    struct point_row *points;
    size_t count;
    uint64_t states[POINT_FAILED + 1] = {0};
    if (sweeps_points(ledger, sweep, &points, &count, error) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        states[points[i].state]++;
    *failed = states[POINT_FAILED];
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    table_split(table, 1, "p99_delay_ns");
    int result = fill_table(table, ledger, points, count, error);
    if (result == 0) {
        table_put(table, format);
        if (strcmp(format, "table") == 0) {
            printf("\nsweep %" PRId64 ": %" PRIu64 " of %zu points done, %" PRIu64 " failed, %" PRIu64 " left\n", sweep,
                   states[POINT_DONE], count, states[POINT_FAILED], states[POINT_WAITING] + states[POINT_RUNNING]);
            print_causes(points, count);
        }
    }
    table_free(table);
    sweeps_points_free(points, count);
    return result;
}

/* ---- the command ---- */

/* Carries out what is left of a sweep. Shows what there is also where it was stopped. */
static int go_on(struct ledger *ledger, int64_t sweep, const struct sweep_options *options, uint32_t jobs,
                 uint64_t *failed, struct error *error)
{
    struct work work = {.ledger = ledger, .sweep = sweep, .options = options};
    struct error showing = {0};
    int result = sweeps_take(ledger, sweep, error);
    if (result == 0)
        result = choose_points(&work, options->retry, error);
    if (result == 0 && work.waiting.count < work.count)
        fprintf(stderr, "napm: sweep %" PRId64 " goes on: %zu of %zu points are left\n", sweep, work.waiting.count,
                work.count);
    bool begun = result == 0;
    if (result == 0)
        result = run_points(&work, jobs, error);
    if (begun && sweeps_end(ledger, sweep, result == 0 ? error : &showing) != 0)
        result = -1;
    if (begun && show(ledger, sweep, options->common.format, failed, &showing) != 0 && result == 0) {
        *error = showing;
        result = -1;
    }
    sweeps_points_free(work.points, work.count);
    ARRAY_FREE(&work.waiting);
    ARRAY_FREE(&work.command);
    return result;
}

static int sweep_file(const char *path, const struct sweep_options *options, uint64_t *failed, struct error *error)
{
    struct sweep *sweep = sweep_open(path, error);
    struct ledger *ledger = sweep ? ledger_open(options->common.db, error) : NULL;
    uint32_t jobs = options->jobs;
    int64_t id = 0;
    int result = ledger ? 0 : -1;
    stop_watch();
    if (result == 0 && jobs == 0)
        result = sweep_point_jobs(sweep, &jobs, error);
    if (result == 0 && !options->again)
        result = find_sweep(ledger, sweep, &id, error);
    if (result == 0 && id == 0)
        result = (id = add_sweep(ledger, sweep, error)) > 0 ? 0 : -1;
    if (result == 0)
        result = go_on(ledger, id, options, jobs, failed, error);
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
    uint64_t failed = 0;
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
        {"jobs", 'j', OPTION_NUMBER, &options.jobs, "N",
         "points at a time (default: all processors in the sim world, else 1, so that runs do not disturb each other)",
         1, MOST_JOBS},
        {"retry-failed", 0, OPTION_FLAG, &options.retry, NULL, "try the points again that failed", 0, 0},
        {"again", 0, OPTION_FLAG, &options.again, NULL, "begin anew where this sweep is there already", 0, 0},
        {"list", 0, OPTION_FLAG, &options.list, NULL, "list the recorded sweeps", 0, 0},
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
        result = options.point ? sweep_point_work(options.point, &options.common)
                               : carry_out(&options, first < argc ? argv[first] : NULL, &error);
    }
    common_free(&options.common);
    return result;
}
