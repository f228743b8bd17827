/* SPDX-License-Identifier: Apache-2.0 */
/* The one procedure of a run: profile -> plan -> deploy -> drive -> record. */
#include "core/run/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/run/guard.h"
#include "core/run/profiles.h"
#include "core/run/record.h"
#include "core/run/rehearsal.h"
#include "core/run/replan.h"

/* A run under way. */
struct procedure {
    const struct run_settings *settings;
    const struct world_kind *kind;
    struct world *world;
    struct profiles profiles;
    struct planner *planner;
    struct plan *plan;
    struct replan replan;
    struct record record;
};

static void tell(const struct run_settings *settings, const char *what, uint64_t done, uint64_t of)
{
    if (settings->watcher.step)
        settings->watcher.step(settings->watcher.context, what, done, of);
}

static bool is_cancelled(const struct run_settings *settings)
{
    return settings->cancel && atomic_load(settings->cancel);
}

static int open_world(struct procedure *run, struct error *error)
{
    const struct run_settings *settings = run->settings;
    struct world_setup setup = {
        .scenario = settings->scenario,
        .catalogue = settings->catalogue,
        .plugin_path = settings->plugin_path,
        .seed = settings->seed,
        .cancel = settings->cancel,
        .replan = replan,
        .replan_context = &run->replan,
    };
    tell(settings, "starting the nodes", 0, 0);
    run->kind = world_find(settings->scenario->world, error);
    run->replan.settings = settings;
    run->replan.profiles = &run->profiles;
    run->replan.run = run->record.run;
    run->replan.is_virtual = run->kind && run->kind->is_virtual;
    run->world = run->kind ? run->kind->open(&setup, error) : NULL;
    return run->world ? 0 : -1;
}

static int make_plan(struct procedure *run, struct error *error)
{
    const struct run_settings *settings = run->settings;
    tell(settings, "planning", 0, 0);
    struct guard *guard = guard_begin(settings, run->record.run);
    run->planner = planner_new_seeded(settings->scenario, settings->catalogue, profiles_view(&run->profiles),
                                      settings->seed, settings->cancel, error);
    run->plan = run->planner ? planner_plan(run->planner, &settings->scenario->partitioner, error) : NULL;
    guard_lift(guard);
    return run->plan ? ledger_run_plan(settings->ledger, run->record.run, run->plan, &(struct ledger_plan){0}, error)
                     : -1;
}

static int probe_all(struct procedure *run, struct link_report (*reports)[2], struct error *error)
{
    const struct scenario *scenario = run->settings->scenario;
    for (uint32_t link = 0; link < scenario->link_count; link++) {
        tell(run->settings, "probing links", link, scenario->link_count);
        if (is_cancelled(run->settings))
            return error_set(error, ERROR_CANCELLED, "stopped while probing links");
        if (run->kind->probe(run->world, link, reports[link], error) != 0)
            return error_prefix(error, "probing link %s", scenario->links[link].name);
    }
    return 0;
}

static int record_links(const struct procedure *run, struct link_report (*reports)[2], struct error *error)
{
    struct ledger *ledger = run->settings->ledger;
    if (ledger_hold(ledger, error) != 0)
        return -1;
    int result = 0;
    for (uint32_t link = 0; link < run->settings->scenario->link_count && result == 0; link++)
        for (int direction = LINK_UP; direction <= LINK_DOWN && result == 0; direction++)
            result = ledger_run_link(ledger, run->record.run, &reports[link][direction], error);
    return ledger_release(ledger, result, error);
}

static int probe_links(struct procedure *run, struct error *error)
{
    struct link_report(*reports)[2] = memory_new_array(run->settings->scenario->link_count, sizeof(*reports));
    int result = probe_all(run, reports, error) == 0 ? record_links(run, reports, error) : -1;
    free(reports);
    return result;
}

static int deploy(struct procedure *run, struct error *error)
{
    tell(run->settings, "deploying", 0, 0);
    if (is_cancelled(run->settings))
        return error_set(error, ERROR_CANCELLED, "stopped before the first task");
    const struct placements placements = plan_placements(run->plan);
    return run->kind->deploy(run->world, &placements, profiles_of_world(&run->profiles, run->kind), error);
}

static int drive(struct procedure *run, struct error *error)
{
    struct world_sink sink = record_sink(&run->record);
    tell(run->settings, "running", 0, 0);
    ledger_gather_more(run->settings->ledger, run->kind->is_virtual);
    int result = run->kind->drive(run->world, &sink, error);
    struct record *record = &run->record;
    if (result == 0 && record->error.kind != ERROR_NONE) {
        *error = record->error;
        result = -1;
    }
    if (result == 0 && is_cancelled(run->settings))
        result = error_set(error, ERROR_CANCELLED, "stopped before all tasks had ended");
    if (result == 0 && record->lost)
        result = error_set(error, ERROR_RUN, "lost in mid-run: %s", record->lost);
    if (result == 0 && record->failed + record->unfinished > 0)
        result = error_set(error, ERROR_RUN, "%" PRIu64 " tasks failed and %" PRIu64 " did not finish", record->failed,
                           record->unfinished);
    return result;
}

static int carry_out(struct procedure *run, struct error *error)
{
    int64_t id = run->record.run;
    return record_plugins(run->settings, id, error) != 0 || open_world(run, error) != 0 ||
                   record_nodes(run->settings, id, run->kind, run->world, error) != 0 ||
                   profiles_gather(&run->profiles, run->settings, run->kind, run->world, id, error) != 0 ||
                   make_plan(run, error) != 0 || probe_links(run, error) != 0 || deploy(run, error) != 0 ||
                   drive(run, error) != 0
               ? -1
               : 0;
}

static void end_procedure(struct procedure *run)
{
    if (run->plan)
        plan_free(run->plan);
    if (run->planner)
        planner_free(run->planner);
    if (run->world)
        run->kind->close(run->world);
    if (replan_free(&run->replan))
        profiles_free(&run->profiles);
    free(run->record.lost);
}

/* Writes how the run ended. A failure to write that does not hide an earlier one. */
static int conclude(struct ledger *ledger, int64_t id, int result, struct error *error)
{
    const char *status = result == 0 ? "done" : error->kind == ERROR_CANCELLED ? "stopped" : "failed";
    struct error writing = {0};
    if (ledger_run_end(ledger, id, status, result == 0 ? NULL : error->text, &writing) == 0)
        return result;
    if (result != 0) {
        log_error("run", "%s", writing.text);
        return result;
    }
    *error = writing;
    return -1;
}

int run_execute(const struct run_settings *settings, int64_t *id, struct error *error)
{
    struct error own = {0};
    *id = -1;
    int result = rehearse(settings, &own);
    /* A mistake in the input is no run; a plugin that misbehaves makes one that failed. */
    if (result == 0 || own.kind != ERROR_INPUT)
        *id = ledger_run_begin(settings->ledger, settings->scenario, settings->seed, settings->repetition,
                               result == 0 ? &own : NULL);
    if (*id < 0)
        result = -1;
    else {
        struct procedure run = {.settings = settings, .record = {.settings = settings, .run = *id}};
        if (result == 0)
            result = carry_out(&run, &own);
        /* Whatever broke after the user's Ctrl-C broke because of it. */
        if (result != 0 && is_cancelled(settings))
            own.kind = ERROR_CANCELLED;
        end_procedure(&run);
        result = conclude(settings->ledger, *id, result, &own);
    }
    if (result != 0 && error)
        *error = own;
    return result;
}
