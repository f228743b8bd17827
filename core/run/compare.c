/* SPDX-License-Identifier: Apache-2.0 */
/* Planning without running: the scenario's plan beside the baselines'. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/run/guard.h"
#include "core/run/profiles.h"
#include "core/run/rehearsal.h"
#include "core/run/run.h"

static const char *const baselines[] = {"device-only", "station-only", "neurosurgeon"};

typedef ARRAY_OF(struct plan *) plan_list;

/*
 * Stands for a baseline that has no plan here (memory, most often): its cuts where they are plain, and delays that never
 * end.
 */
static struct plan *impossible_plan(const struct napm_problem *problem, const char *name)
{
    struct plan *plan = NEW(struct plan);
    plan->partitioner = text_format("%s (not possible)", name);
    plan->stream_count = problem->stream_count;
    plan->cuts = NEW_ARRAY(uint32_t, problem->stream_count);
    plan->cut_bytes = NEW_ARRAY(uint64_t, problem->stream_count);
    plan->predicted = NEW_ARRAY(struct napm_phases, problem->stream_count);
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        const struct napm_problem_stream *stream = problem->streams[i];
        plan->cuts[i] = strcmp(name, "device-only") == 0 ? stream->layer_count : 0;
        plan->cut_bytes[i] = stream->cuts[plan->cuts[i]]->bytes;
        plan->predicted[i] = (struct napm_phases){NAN, NAN, NAN, NAN, NAN};
    }
    plan->predicted_total_ns = plan->predicted_mean_ns = plan->predicted_variance_ns2 = INFINITY;
    return plan;
}

static int add_plan(plan_list *plans, struct planner *planner, const struct plugin_choice *choice, struct error *error)
{
    struct error own = {0};
    const char *name = choice->name;
    struct plan *plan = planner_plan(planner, choice, &own);
    if (plan) {
        *ARRAY_ADD(plans) = plan;
        return 0;
    }
    if (own.kind == ERROR_CANCELLED) {
        *error = own;
        return -1;
    }
    log_warning("plan", "%s has no plan here: %s", name, own.text);
    *ARRAY_ADD(plans) = impossible_plan(planner_problem(planner), name);
    return 0;
}

static int add_named(plan_list *plans, struct planner *planner, const char *name, struct error *error)
{
    const struct plugin_choice choice = {.name = name, .where = "--partitioner"};
    return add_plan(plans, planner, &choice, error);
}

/* The least mean delay that there is, where so many evaluations find it. */
static int add_optimum(plan_list *plans, struct planner *planner, uint64_t evaluations, struct error *error)
{
    char *most = text_format("%" PRIu64, evaluations);
    const struct option_setting settings[] = {{.name = "max_evaluations", .text = most, .where = "--gap"}};
    const struct plugin_choice choice = {
        .name = "exhaustive", .where = "--gap", .settings = settings, .setting_count = 1};
    int result = add_plan(plans, planner, &choice, error);
    free(most);
    return result;
}

static int compare(const struct run_settings *settings, const struct plan_wishes *wishes, struct planner *planner,
                   plan_list *plans, struct error *error)
{
    const struct plugin_choice *own = &settings->scenario->partitioner;
    struct plan *plan = planner_plan(planner, own, error);
    if (!plan)
        return -1;
    *ARRAY_ADD(plans) = plan;
    for (size_t i = 0; i < sizeof(baselines) / sizeof(baselines[0]); i++) {
        if (own->setting_count == 0 && strcmp(own->name, baselines[i]) == 0)
            continue;
        if (add_named(plans, planner, baselines[i], error) != 0)
            return -1;
    }
    for (size_t i = 0; i < wishes->partitioner_count; i++)
        if (!catalogue_find(settings->catalogue, NAPM_KIND_PARTITIONER, wishes->partitioners[i], error) ||
            add_named(plans, planner, wishes->partitioners[i], error) != 0)
            return -1;
    return wishes->optimum_evaluations ? add_optimum(plans, planner, wishes->optimum_evaluations, error) : 0;
}

static int profile_and_compare(const struct run_settings *settings, const struct plan_wishes *wishes,
                               const struct world_kind *kind, struct world *world, plan_list *plans,
                               struct error *error)
{
    struct profiles profiles = {0};
    if (profiles_gather(&profiles, settings, kind, world, -1, error) != 0)
        return -1;
    if (settings->watcher.step)
        settings->watcher.step(settings->watcher.context, "planning", 0, 0);
    struct guard *guard = guard_begin(settings, -1);
    struct planner *planner = planner_new_seeded(settings->scenario, settings->catalogue, profiles_view(&profiles),
                                                 settings->seed, settings->cancel, error);
    int result = planner ? compare(settings, wishes, planner, plans, error) : -1;
    guard_lift(guard);
    if (planner)
        planner_free(planner);
    profiles_free(&profiles);
    return result;
}

int run_plan_only(const struct run_settings *settings, const struct plan_wishes *wishes, struct plan ***plans,
                  size_t *plan_count, struct error *error)
{
    struct world_setup setup = {
        .scenario = settings->scenario,
        .catalogue = settings->catalogue,
        .plugin_path = settings->plugin_path,
        .seed = settings->seed,
        .cancel = settings->cancel,
    };
    plan_list list = {0};
    const struct world_kind *kind = world_find(settings->scenario->world, error);
    struct world *world = kind && rehearse(settings, error) == 0 ? kind->open(&setup, error) : NULL;
    int result = world ? profile_and_compare(settings, wishes, kind, world, &list, error) : -1;
    if (world)
        kind->close(world);
    if (result != 0 && settings->cancel && atomic_load(settings->cancel))
        error->kind = ERROR_CANCELLED;
    for (size_t i = 0; i < list.count && result != 0; i++)
        plan_free(list.items[i]);
    if (result != 0)
        ARRAY_FREE(&list);
    *plans = list.items;
    *plan_count = list.count;
    return result;
}
