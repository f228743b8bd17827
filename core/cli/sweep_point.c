/* SPDX-License-Identifier: Apache-2.0 */
/* One point of a sweep, in a worker process. */
#include "core/cli/sweep_point.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/experiment.h"
#include "core/ledger/sweeps.h"

char *sweep_point_settings(const struct sweep_point *point)
{
    char *text = text_copy("");
    for (size_t i = 0; i < point->setting_count; i++) {
        char *longer = text_format("%s%s\n", text, point->settings[i]);
        free(text);
        text = longer;
    }
    return text;
}

static void add_setting(struct text_list *list, const char *text)
{
    list->items = memory_resize(list->items, list->count + 2, sizeof(*list->items));
    list->items[list->count++] = text;
    list->items[list->count] = NULL;
}

/* ---- before the sweep ---- */

/* Whether the first point of a scenario is simulated. */
static int look_at(const struct sweep_point *point, bool *simulated, struct error *error)
{
    struct text_list settings = {0};
    for (size_t i = 0; i < point->setting_count; i++)
        add_setting(&settings, point->settings[i]);
    struct scenario *scenario = experiment_scenario(point->scenario, &settings, NULL, error);
    if (scenario)
        *simulated &= strcmp(scenario->world, "sim") == 0;
    scenario_close(scenario);
    free(settings.items);
    return scenario ? 0 : -1;
}

int sweep_point_jobs(const struct sweep *sweep, uint32_t *jobs, struct error *error)
{
    bool simulated = true;
    for (size_t i = 0; i < sweep->point_count; i++)
        if (i == 0 || strcmp(sweep->points[i].scenario, sweep->points[i - 1].scenario) != 0)
            if (look_at(&sweep->points[i], &simulated, error) != 0)
                return -1;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *jobs = simulated && processors > 1 ? (uint32_t)processors : 1;
    return 0;
}

/* ---- in a worker ---- */

static int find_point(struct ledger *ledger, int64_t sweep, uint32_t number, struct point_row *found,
                      struct error *error)
{
    struct point_row *points;
    size_t count, at = 0;
    if (sweeps_points(ledger, sweep, &points, &count, error) != 0)
        return -1;
    while (at < count && points[at].point != number)
        at++;
    int result = at < count ? 0
                            : error_set(error, ERROR_INPUT, "sweep %" PRId64 " has no point %u; it has %u to %u", sweep,
                                        number, points[0].point, points[count - 1].point);
    if (result == 0) {
        *found = points[at];
        points[at] = (struct point_row){0};
    }
    sweeps_points_free(points, count);
    return result;
}

/* Opens what the point asks for; an error in it is the point's, not the worker's. */
static int run_point(struct ledger *ledger, const struct point_row *point, const struct common_options *common,
                     struct error *error)
{
    struct experiment_options options = {.seed = point->seed};
    char *rest = NULL, *lines = text_copy(point->settings);
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        add_setting(&options.overrides, line);
    struct experiment experiment;
    int result = experiment_prepare(&experiment, point->scenario_path, &options, common, error);
    if (result == 0) {
        int64_t run;
        experiment.ledger = ledger;
        struct run_settings settings = experiment_settings(&experiment, 0);
        settings.repetition = point->repetition;
        settings.watcher = (struct run_watcher){0};
        result = run_execute(&settings, &run, error);
        experiment.ledger = NULL;
        if (run >= 0)
            result = 0; /* the run's row says how it went */
    }
    experiment_close(&experiment);
    free(options.overrides.items);
    free(lines);
    return result;
}

static int work(struct ledger *ledger, int64_t sweep, uint32_t number, const struct common_options *common,
                struct error *error)
{
    struct point_row point;
    if (find_point(ledger, sweep, number, &point, error) != 0)
        return -1;
    sweeps_runs_for(ledger, sweep, number);
    int result = run_point(ledger, &point, common, error);
    if (result != 0 && error->kind != ERROR_CANCELLED) {
        struct error failure = *error;
        result = sweeps_point_failed(ledger, sweep, number, failure.text, error);
        fprintf(stderr, "napm: point %u: %s\n", number, failure.text);
    }
    sweeps_points_free(memory_copy(&point, sizeof(point)), 1);
    return result;
}

int sweep_point_work(const char *name, const struct common_options *common)
{
    int64_t sweep;
    uint32_t point;
    int length = 0;
    struct error error = {0};
    if (sscanf(name, "%" SCNd64 ":%" SCNu32 "%n", &sweep, &point, &length) != 2 || name[length]) {
        error_set(&error, ERROR_INPUT, "--point %s: expected SWEEP:POINT, such as 3:17", name);
        return cli_fail(&error);
    }
    struct ledger *ledger = ledger_open(common->db, &error);
    int result = ledger ? work(ledger, sweep, point, common, &error) : -1;
    ledger_close(ledger);
    return result == 0 ? CLI_DONE : cli_fail(&error);
}

bool sweep_point_has_told(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == CLI_DONE;
}
