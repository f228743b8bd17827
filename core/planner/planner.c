/* SPDX-License-Identifier: Apache-2.0 */
/* Calling the partitioner and checking its plan. */
#include "core/planner/planner.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/units.h"
#include "core/planner/evaluator.h"
#include "core/planner/planner_problem.h"
#include "core/planner/problem.h"

struct planner {
    struct problem *problem;
    struct catalogue *catalogue;
    struct evaluator *evaluator;
};

/* ---- life */

struct planner *planner_new_on(struct problem *problem, struct catalogue *catalogue, const atomic_bool *cancel,
                               struct error *error)
{
    struct planner *planner = NEW(struct planner);
    planner->problem = problem;
    planner->catalogue = catalogue;
    planner->evaluator = evaluator_new(problem, catalogue, cancel, error);
    if (planner->evaluator)
        return planner;
    planner_free(planner);
    return NULL;
}

struct planner *planner_new_seeded(const struct scenario *scenario, struct catalogue *catalogue,
                                   const int64_t *const *const *layer_ns, uint64_t seed, const atomic_bool *cancel,
                                   struct error *error)
{
    struct problem *problem = problem_new(scenario, layer_ns, error);
    if (!problem)
        return NULL;
    problem->seed = seed;
    return planner_new_on(problem, catalogue, cancel, error);
}

struct planner *planner_new(const struct scenario *scenario, struct catalogue *catalogue,
                            const int64_t *const *const *layer_ns, const atomic_bool *cancel, struct error *error)
{
    return planner_new_seeded(scenario, catalogue, layer_ns, scenario->seed, cancel, error);
}

void planner_free(struct planner *planner)
{
    if (!planner)
        return;
    evaluator_free(planner->evaluator);
    problem_free(planner->problem);
    free(planner);
}

const struct napm_problem *planner_problem(const struct planner *planner)
{
    return &planner->problem->view;
}

/* ---- plans */

/* A plan whose placement is still to be written. */
static struct plan *plan_new(const struct planner *planner, const char *name, const char *version)
{
    const struct napm_problem *view = &planner->problem->view;
    struct plan *plan = NEW(struct plan);
    plan->partitioner = version ? text_format("%s %s", name, version) : text_copy(name);
    plan->stream_count = view->stream_count;
    plan->cuts = NEW_ARRAY(uint32_t, view->stream_count);
    plan->way_cuts = NEW_ARRAY(uint32_t, evaluator_cut_count(planner->evaluator));
    plan->cut_bytes = NEW_ARRAY(uint64_t, view->stream_count);
    plan->predicted = NEW_ARRAY(struct napm_phases, view->stream_count);
    return plan;
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    free((char *)(uintptr_t)plan->partitioner);
    free(plan->cuts);
    free(plan->way_cuts);
    for (uint32_t i = 0; plan->orders && i < plan->stream_count; i++)
        free(plan->orders[i]);
    free(plan->orders);
    free(plan->cut_bytes);
    free(plan->predicted);
    free(plan);
}

static uint64_t sent_bytes(const struct napm_problem_stream *stream, const uint32_t *order, uint32_t cut)
{
    uint64_t bytes = stream->cuts[cut]->bytes;
    if (order && cut < stream->layer_count)
        order_cut(stream->model, order, cut, &bytes, NULL);
    return bytes;
}

/* Fills in what follows from the placement. */
static int predict(const struct planner *planner, struct plan *plan, struct error *error)
{
    const struct napm_problem *view = &planner->problem->view;
    const struct placements placements = plan_placements(plan);
    const uint32_t *cuts = plan->way_cuts;
    struct napm_evaluation result = {.size = sizeof(result), .phases = plan->predicted};
    for (uint32_t i = 0; i < view->stream_count; cuts += view->streams[i++]->route_count - 1) {
        plan->cuts[i] = cuts[0];
        plan->cut_bytes[i] = sent_bytes(view->streams[i], placements_order(&placements, i), cuts[0]);
    }
    if (evaluator_predict(planner->evaluator, &placements, &result, error) != 0)
        return -1;
    plan->predicted_total_ns = result.total_ns;
    plan->predicted_mean_ns = result.mean_ns;
    plan->predicted_variance_ns2 = result.variance_ns2;
    plan->predicted_energy_j = result.task_count ? result.energy_j / result.task_count : 0;
    plan->predicted_objective = result.objective;
    return 0;
}

/* "needs 93.3 MiB but has 64.0 MiB" of the first node that is too small, or a cut that cannot run: -1; else 0. */
static int check_room(const struct planner *planner, const struct plan *plan, char *text, size_t text_bytes)
{
    const struct napm_problem *view = &planner->problem->view;
    const struct placements placements = plan_placements(plan);
    char need[UNITS_TEXT_BYTES], has[UNITS_TEXT_BYTES];
    uint64_t need_bytes;
    uint32_t node = evaluator_find_overfull(planner->evaluator, &placements, &need_bytes);
    if (node != NAPM_NONE) {
        snprintf(text, text_bytes, "node '%s' would need %s of memory and has %s", view->nodes[node]->name,
                 units_format_size(need, (double)need_bytes),
                 units_format_size(has, (double)view->nodes[node]->memory_bytes));
        return -1;
    }
    uint32_t stream = evaluator_find_unable(planner->evaluator, &placements);
    if (stream == NAPM_NONE)
        return 0;
    snprintf(text, text_bytes, "stream '%s' has layers on a node that was not profiled for them",
             view->streams[stream]->name);
    return -1;
}

struct plan *planner_evaluate(struct planner *planner, const uint32_t *cuts, const char *label, struct error *error)
{
    const struct napm_problem *view = &planner->problem->view;
    char why[256];
    for (uint32_t i = 0; i < view->stream_count; i++)
        if (cuts[i] > view->streams[i]->layer_count) {
            error_set(error, ERROR_INPUT, "stream '%s' has no cut %" PRIu32 "; allowed is 0 to %" PRIu32,
                      view->streams[i]->name, cuts[i], view->streams[i]->layer_count);
            return NULL;
        }
    struct plan *plan = plan_new(planner, label, NULL);
    int result = 0;
    evaluator_spread(planner->evaluator, cuts, plan->way_cuts);
    if (check_room(planner, plan, why, sizeof(why)) != 0)
        result =
            error_set(error, ERROR_INPUT, "%s cannot run: %s; give it more 'memory' or take other cuts", label, why);
    if (result == 0 && predict(planner, plan, error) == 0)
        return plan;
    plan_free(plan);
    return NULL;
}

/* ---- what a partitioner answers */

/* The placements that a partitioner fills in: rows by stream, all at the station to begin with. */
struct sheet {
    struct napm_plan plan;
    uint32_t **rows;
    uint32_t *cells;
};

static void sheet_new(const struct napm_problem *view, struct sheet *sheet)
{
    size_t cells = 0, at = 0;
    for (uint32_t i = 0; i < view->stream_count; i++)
        cells += view->streams[i]->layer_count;
    sheet->rows = NEW_ARRAY(uint32_t *, view->stream_count);
    sheet->cells = NEW_ARRAY(uint32_t, cells);
    for (uint32_t i = 0; i < view->stream_count; i++) {
        sheet->rows[i] = sheet->cells + at;
        at += view->streams[i]->layer_count;
    }
    for (size_t i = 0; i < cells; i++)
        sheet->cells[i] = view->station;
    sheet->plan = (struct napm_plan){sizeof(sheet->plan), view->stream_count, sheet->rows};
}

static void sheet_free(struct sheet *sheet)
{
    free(sheet->rows);
    free(sheet->cells);
}

static const char *layer_name(const struct napm_problem_stream *stream, uint32_t layer)
{
    return stream->model && stream->model->layers ? stream->model->layers[layer]->name : "?";
}

/* route_count where the node is not on the stream's way. */
static uint32_t place_on_way(const struct napm_problem_stream *stream, uint32_t node)
{
    uint32_t place = 0;
    while (place < stream->route_count && stream->route_nodes[place] != node)
        place++;
    return place;
}

/* Says what is wrong with a placement whose layers are not on the stream's way. */
static int refuse_node(const struct instance *instance, const struct napm_problem *view, uint32_t i, uint32_t layer,
                       uint32_t node, struct error *error)
{
    const struct napm_problem_stream *stream = view->streams[i];
    if (node >= view->node_count)
        return instance_misbehaved(instance, error,
                                   "its plan puts layer %" PRIu32 " ('%s') of stream '%s' on node %" PRIu32
                                   ", but there are %" PRIu32 " nodes",
                                   layer, layer_name(stream, layer), stream->name, node, view->node_count);
    return instance_misbehaved(instance, error,
                               "its plan puts layer %" PRIu32 " ('%s') of stream '%s' on node '%s', which is not "
                               "on the stream's way from its device ('%s') to the station ('%s')",
                               layer, layer_name(stream, layer), stream->name, view->nodes[node]->name,
                               view->nodes[stream->device]->name, view->nodes[view->station]->name);
}

/* The same of one in which a task would have to go back down. */
static int refuse_placement(const struct instance *instance, const struct napm_problem *view, uint32_t i,
                            const uint32_t *row, const struct order_fault *fault, struct error *error)
{
    const struct napm_problem_stream *stream = view->streams[i];
    uint32_t layer = fault->layer, needs = fault->needs;
    for (uint32_t l = 0; l < stream->layer_count; l++)
        if (place_on_way(stream, row[l]) == stream->route_count)
            return refuse_node(instance, view, i, l, row[l], error);
    /* Without a graph each layer is taken to need the one before it. */
    for (uint32_t l = 1; layer == NAPM_NONE && l < stream->layer_count; l++)
        if (place_on_way(stream, row[l]) < place_on_way(stream, row[l - 1])) {
            layer = l;
            needs = l - 1;
        }
    return instance_misbehaved(instance, error,
                               "its plan puts layer %" PRIu32 " ('%s') of stream '%s' on '%s' but layer %" PRIu32
                               " ('%s'), whose result it needs, on '%s'; a task never goes back down its way: no layer "
                               "may run farther from the station than one that it needs",
                               layer, layer_name(stream, layer), stream->name, view->nodes[row[layer]]->name, needs,
                               layer_name(stream, needs), view->nodes[row[needs]]->name);
}

static int read_plan(const struct planner *planner, const struct instance *instance, const struct sheet *sheet,
                     struct plan *plan, struct error *error)
{
    const struct napm_problem *view = &planner->problem->view;
    char why[256];
    uint32_t *cuts = plan->way_cuts;
    struct order_fault fault;
    for (uint32_t i = 0; i < view->stream_count; cuts += view->streams[i++]->route_count - 1) {
        uint32_t *order = NEW_ARRAY(uint32_t, view->streams[i]->layer_count);
        int answer = evaluator_read_way(view, i, sheet->rows[i], order, cuts, &fault);
        if (answer > 0 && !plan->orders)
            plan->orders = NEW_ARRAY(uint32_t *, view->stream_count);
        if (answer > 0)
            plan->orders[i] = order;
        else
            free(order);
        if (answer < 0)
            return refuse_placement(instance, view, i, sheet->rows[i], &fault, error);
    }
    if (check_room(planner, plan, why, sizeof(why)) != 0)
        return instance_misbehaved(instance, error, "its plan cannot run: %s", why);
    return 0;
}

static int call(const struct planner *planner, struct instance *instance, struct sheet *sheet, struct error *error)
{
    evaluator_take_failure(planner->evaluator, NULL);
    int32_t status = instance->hook.partitioner.plan(instance->self, &planner->problem->view,
                                                     evaluator_table(planner->evaluator), &sheet->plan);
    if (status < 0) { /* where the evaluator failed, its reason is the better one */
        struct error plugins = {0};
        instance_error(instance, status, "planning", &plugins);
        if (evaluator_take_failure(planner->evaluator, error) != 0)
            return -1;
        return error_set(error, plugins.kind, "%s", plugins.text);
    }
    if (status != NAPM_OK)
        return instance_misbehaved(instance, error, "plan() returned %" PRId32 ", which is no answer to it", status);
    return 0;
}

static struct plan *plan_with(struct planner *planner, struct instance *instance, struct error *error)
{
    struct sheet sheet;
    struct plan *plan = plan_new(planner, instance->entry->name, instance->entry->version);
    sheet_new(&planner->problem->view, &sheet);
    int64_t began_ns = clock_now_ns();
    int failed = call(planner, instance, &sheet, error);
    plan->planning_ns = clock_now_ns() - began_ns;
    failed = failed || read_plan(planner, instance, &sheet, plan, error) != 0 || predict(planner, plan, error) != 0;
    sheet_free(&sheet);
    if (!failed)
        return plan;
    plan_free(plan);
    return NULL;
}

struct plan *planner_plan(struct planner *planner, const struct plugin_choice *partitioner, struct error *error)
{
    const struct instance_host host = {.label = "partitioner", .seed = planner->problem->seed};
    struct instance *instance = instance_open(planner->catalogue, NAPM_KIND_PARTITIONER, partitioner, &host, error);
    struct plan *plan = instance ? plan_with(planner, instance, error) : NULL;
    instance_close(instance);
    return plan;
}
