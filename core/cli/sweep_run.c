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
#include "core/cli/sweep_slurm.h"
#include "core/ledger/sweeps.h"
#include "core/sweep/pool.h"

/* ---- which sweep ---- */

static int64_t add_sweep(struct ledger *ledger, const struct sweep *sweep, const char *engine, struct error *error)
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
                            .engine = (char *)(engine ? engine : "local")};
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
    sweep_words command;
};

int sweep_program(char *path, struct error *error)
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length <= 0)
        return error_set(error, ERROR_RUN, "finding the running program: /proc is not mounted");
    path[length] = '\0';
    return 0;
}

void sweep_words_add(sweep_words *words, const char *const *more)
{
    for (; *more; more++)
        *ARRAY_ADD(words) = *more;
}

void sweep_words_add_common(sweep_words *words, const struct common_options *common)
{
    for (size_t i = 0; i < common->plugin_path.count; i++) {
        *ARRAY_ADD(words) = "--plugin-path";
        *ARRAY_ADD(words) = common->plugin_path.items[i];
    }
    *ARRAY_ADD(words) = NULL;
}

static const char *const *command_of(void *context, size_t i)
{
    struct work *work = context;
    snprintf(work->point_name, sizeof(work->point_name), "%" PRId64 ":%u", work->sweep,
             work->points[work->waiting.items[i]].point);
    work->command.count = 0;
    const char *const fixed[] = {work->program, "sweep",          "--db", ledger_path(work->ledger),
                                 "--point",     work->point_name, NULL};
    sweep_words_add(&work->command, fixed);
    sweep_words_add_common(&work->command, work->common);
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
    if (sweep_program(work->program, error) != 0)
        return -1;
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

static void work_free(struct work *work)
{
    sweeps_points_free(work->points, work->count);
    ARRAY_FREE(&work->waiting);
    ARRAY_FREE(&work->command);
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

static int run_on_slurm(struct work *work, const struct sweep_site *site, struct error *error)
{
    uint32_t *points = NEW_ARRAY(uint32_t, work->waiting.count + 1);
    for (size_t i = 0; i < work->waiting.count; i++)
        points[i] = work->points[work->waiting.items[i]].point;
    int result = sweep_slurm_run(site, points, work->waiting.count, error);
    free(points);
    return result;
}

static int find_engine(const struct work *work, bool *slurm, struct error *error)
{
    struct sweep_row *sweep = sweeps_find(work->ledger, work->sweep, error);
    if (!sweep)
        return -1;
    *slurm = strcmp(sweep->engine, "slurm") == 0;
    sweeps_free(sweep, 1);
    return 0;
}

/* Carries out what is left of a recorded sweep. */
static int go_on(struct work *work, uint32_t jobs, const struct sweep_run_options *options,
                 struct sweep_progress *progress, struct error *error)
{
    const struct sweep_site site = {work->ledger, work->sweep, options, work->common};
    struct error ending = {0};
    bool slurm;
    if (sweeps_take(work->ledger, work->sweep, options->engine, error) != 0 || find_engine(work, &slurm, error) != 0 ||
        sweep_slurm_gather(&site, error) != 0 || choose_points(work, options->retry, error) != 0)
        return -1;
    if (work->waiting.count < work->count)
        fprintf(stderr, "napm: sweep %" PRId64 " goes on: %zu of %zu points are left\n", work->sweep,
                work->waiting.count, work->count);
    int result = slurm ? run_on_slurm(work, &site, error) : run_points(work, jobs, error);
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
    if (work.sweep == 0 && (work.sweep = add_sweep(ledger, sweep, options->engine, error)) < 0)
        return -1;
    go_on(&work, jobs, options, progress, error);
    work_free(&work);
    return work.sweep;
}

int sweep_run_recorded(struct ledger *ledger, int64_t sweep, const struct common_options *common, struct error *error)
{
    struct work work = {.ledger = ledger, .sweep = sweep, .common = common};
    int result = choose_points(&work, false, error) == 0 ? run_points(&work, 1, error) : -1;
    work_free(&work);
    return result;
}
