/* SPDX-License-Identifier: Apache-2.0 */
/* New plans in mid-run. */
#include "core/run/replan.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/run/guard.h"

/* The scenario with its links as they are now. What it points to is the arena's, or the scenario's own. */
static struct scenario scenario_now(const struct scenario *scenario, const struct changes *now, struct arena *arena)
{
    struct scenario changed = *scenario;
    struct scenario_link *links = ARENA_ARRAY(arena, struct scenario_link, scenario->link_count);
    for (uint32_t i = 0; i < scenario->link_count; i++) {
        links[i] = scenario->links[i];
        links[i].spec.conditions[LINK_UP] = changes_link(now, i)[LINK_UP];
        links[i].spec.conditions[LINK_DOWN] = changes_link(now, i)[LINK_DOWN];
    }
    changed.links = links;
    return changed;
}

static const int64_t *slowed(struct arena *arena, const int64_t *layer_ns, uint32_t layers, double speed)
{
    int64_t *times = ARENA_ARRAY(arena, int64_t, layers);
    for (uint32_t i = 0; i < layers; i++)
        times[i] = llround((double)layer_ns[i] / speed);
    return times;
}

/* The layer times of nodes whose speed has changed, and those of the others as they were. */
static const int64_t *const *const *times_now(const struct scenario *scenario, const int64_t *const *const *layer_ns,
                                              const struct changes *now, struct arena *arena)
{
    const int64_t *const **nodes = ARENA_ARRAY(arena, const int64_t *const *, scenario->node_count + 1);
    for (uint32_t node = 0; node <= scenario->node_count; node++) {
        double speed = changes_speed(now, node < scenario->node_count ? node : scenario->station);
        nodes[node] = layer_ns[node];
        if (speed == 1 || !layer_ns[node])
            continue;
        const int64_t **models = ARENA_ARRAY(arena, const int64_t *, scenario->model_count);
        for (uint32_t model = 0; model < scenario->model_count; model++)
            if (layer_ns[node][model])
                models[model] =
                    slowed(arena, layer_ns[node][model], model_view(scenario->models[model].model)->layer_count, speed);
        nodes[node] = models;
    }
    return nodes;
}

static const struct placements *keep_placements(struct arena *arena, const struct scenario *scenario,
                                                const struct plan *plan)
{
    struct placements *kept = ARENA_ARRAY(arena, struct placements, 1);
    const uint32_t **orders = ARENA_ARRAY(arena, const uint32_t *, plan->stream_count);
    size_t count = 0;
    for (uint32_t i = 0; i < plan->stream_count; i++) {
        const struct scenario_stream *stream = &scenario->streams[i];
        uint32_t layers = model_view(scenario->models[stream->model].model)->layer_count;
        count += scenario_way_length(scenario, stream->device);
        if (plan->orders && plan->orders[i])
            orders[i] = arena_keep(arena, memory_copy(plan->orders[i], layers * sizeof(*orders[i])));
    }
    kept->cuts = arena_keep(arena, memory_copy(plan->way_cuts, count * sizeof(*kept->cuts)));
    kept->orders = plan->orders ? orders : NULL;
    return kept;
}

/* What the world does not bound is guarded. */
static struct plan *make_plan(const struct replan *replan, const struct plan_request *request,
                              const struct scenario *scenario, struct arena *arena, struct error *error)
{
    const struct run_settings *settings = replan->settings;
    const int64_t *const *const *layer_ns = times_now(scenario, profiles_view(replan->profiles), request->now, arena);
    struct guard *guard = request->cancel ? NULL : guard_begin(settings, replan->run);
    struct planner *planner = planner_new_seeded(scenario, settings->catalogue, layer_ns, settings->seed,
                                                 request->cancel ? request->cancel : settings->cancel, error);
    struct plan *plan = planner ? planner_plan(planner, &scenario->partitioner, error) : NULL;
    planner_free(planner);
    if (guard)
        guard_lift(guard);
    return plan;
}

static const struct placements *keep_plan(struct replan *replan, const struct plan_request *request,
                                          const struct scenario *scenario, const struct plan *plan, struct error *error)
{
    const bool at_once = replan->is_virtual && scenario->replan_takes_ns == 0;
    const struct ledger_plan facts = {
        .number = request->number, .asked_ns = request->at_ns, .taken_ns = at_once ? request->at_ns : -1};
    if (ledger_run_plan(replan->settings->ledger, replan->run, plan, &facts, error) != 0)
        return NULL;
    log_info("run", "planned anew: predicted mean delay %.3f ms", plan->predicted_mean_ns / 1e6);
    return keep_placements(&replan->arena, scenario, plan);
}

const struct placements *replan(void *context, const struct plan_request *request, struct error *error)
{
    struct replan *replan = context;
    struct arena arena = {0};
    atomic_store(&replan->is_busy, true);
    struct scenario scenario = scenario_now(replan->settings->scenario, request->now, &arena);
    struct plan *plan = make_plan(replan, request, &scenario, &arena, error);
    const struct placements *placements = plan ? keep_plan(replan, request, &scenario, plan, error) : NULL;
    if (!placements)
        error_prefix(error, "planning anew");
    plan_free(plan);
    arena_free(&arena);
    atomic_store(&replan->is_busy, false);
    return placements;
}

bool replan_free(struct replan *replan)
{
    if (atomic_load(&replan->is_busy))
        return false;
    arena_free(&replan->arena);
    return true;
}
