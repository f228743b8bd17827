/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying a sweep out with a pool of worker processes. */
#include "core/cli/sweep_run.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/cli/progress.h"
#include "core/cli/stop.h"
#include "core/cli/sweep_point.h"
#include "core/ledger/sweeps.h"
#include "core/sweep/pool.h"

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
    const struct common_options *common;
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
    for (size_t k = 0; k < work->common->plugin_path.count; k++) {
        *ARRAY_ADD(&work->command) = "--plugin-path";
        *ARRAY_ADD(&work->command) = work->common->plugin_path.items[k];
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
                                           .quiet = work->common->verbose == 0,
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

/* ---- the whole ---- */

static int count_progress(struct ledger *ledger, int64_t sweep, struct sweep_progress *progress, struct error *error)
{
    struct point_row *points;
    if (sweeps_points(ledger, sweep, &points, &progress->points, error) != 0)
        return -1;
    for (size_t i = 0; i < progress->points; i++) {
        progress->done += points[i].state == POINT_DONE;
        progress->failed += points[i].state == POINT_FAILED;
    }
    sweeps_points_free(points, progress->points);
    return 0;
}

/* Carries out what is left of a recorded sweep. */
static int go_on(struct work *work, uint32_t jobs, bool retry, struct sweep_progress *progress, struct error *error)
{
    struct error ending = {0};
    if (sweeps_take(work->ledger, work->sweep, error) != 0 || choose_points(work, retry, error) != 0)
        return -1;
    if (work->waiting.count < work->count)
        fprintf(stderr, "napm: sweep %" PRId64 " goes on: %zu of %zu points are left\n", work->sweep,
                work->waiting.count, work->count);
    int result = run_points(work, jobs, error);
    if (sweeps_end(work->ledger, work->sweep, &ending) == 0 &&
        count_progress(work->ledger, work->sweep, progress, &ending) == 0)
        return result;
    if (result == 0)
        *error = ending;
    return -1;
}

int64_t sweep_run(struct ledger *ledger, const struct sweep *sweep, const struct sweep_run_options *options,
                  const struct common_options *common, struct sweep_progress *progress, struct error *error)
{
    struct work work = {.ledger = ledger, .common = common};
    uint32_t jobs = options->jobs;
    stop_watch();
    if (jobs == 0 && sweep_point_jobs(sweep, &jobs, error) != 0)
        return -1;
    if (!options->again && find_sweep(ledger, sweep, &work.sweep, error) != 0)
        return -1;
    if (work.sweep == 0 && (work.sweep = add_sweep(ledger, sweep, error)) < 0)
        return -1;
    go_on(&work, jobs, options->retry, progress, error);
    sweeps_points_free(work.points, work.count);
    ARRAY_FREE(&work.waiting);
    ARRAY_FREE(&work.command);
    return work.sweep;
}
