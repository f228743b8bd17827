/* SPDX-License-Identifier: Apache-2.0 */
/* Scenario and profiles -> the problem that partitioners see. */
#include "core/planner/problem.h"

#include <math.h>
#include <stdlib.h>

/* ---- nodes */

static void add_nodes(struct problem *problem, const struct scenario *scenario)
{
    struct arena *arena = &problem->arena;
    struct napm_problem_node *nodes = ARENA_ARRAY(arena, struct napm_problem_node, scenario->node_count);
    const struct napm_problem_node **table = ARENA_ARRAY(arena, const struct napm_problem_node *, scenario->node_count);
    for (uint32_t i = 0; i < scenario->node_count; i++) {
        nodes[i] = (struct napm_problem_node){
            .size = sizeof(nodes[i]),
            .is_station = i == scenario->station,
            .name = scenario->nodes[i].name,
            .memory_bytes = scenario->nodes[i].memory_bytes,
            .idle_w = scenario->nodes[i].power.idle_w,
            .busy_w = scenario->nodes[i].power.busy_w,
            .transmit_w = scenario->nodes[i].power.transmit_w,
            .workers = scenario->nodes[i].workers,
        };
        table[i] = &nodes[i];
    }
    problem->view.nodes = table;
    problem->view.node_count = scenario->node_count;
    problem->view.station = scenario->station;
    problem->workers = scenario->nodes[scenario->station].workers;
}

/* ---- streams */

static uint64_t result_bytes(const struct napm_model *model)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < model->output_count; i++)
        bytes += model->tensors[model->outputs[i]]->bytes;
    return bytes;
}

/* By node: the model's times there. One table for all streams of a model. */
static const int64_t *const *times_of_model(struct arena *arena, const struct scenario *scenario,
                                            const int64_t *const *const *layer_ns, uint32_t model)
{
    const int64_t **times = ARENA_ARRAY(arena, const int64_t *, scenario->node_count);
    for (uint32_t node = 0; node < scenario->node_count; node++)
        times[node] = layer_ns[node] ? layer_ns[node][model] : NULL;
    return times;
}

static bool fits(const struct scenario *scenario, uint32_t node, uint64_t bytes)
{
    return !scenario->nodes[node].memory_bytes || bytes <= scenario->nodes[node].memory_bytes;
}

static void fill_cut(const struct scenario *scenario, const struct scenario_stream *stream,
                     const struct napm_problem_stream *view, uint32_t c, struct napm_problem_cut *cut)
{
    const struct scenario_model *model = &scenario->models[stream->model];
    const struct scenario_cut *memory = &model->cuts[c];
    uint32_t last = view->layer_count;
    cut->size = sizeof(*cut);
    cut->device_memory_bytes = memory->device_weight_bytes + memory->device_activation_bytes;
    cut->station_memory_bytes = memory->station_weight_bytes + memory->station_activation_bytes;
    cut->feasible = fits(scenario, stream->device, cut->device_memory_bytes) &&
                    fits(scenario, scenario->station, cut->station_memory_bytes) &&
                    (c == 0 || view->layer_ns[stream->device]) && (c == last || view->layer_ns[scenario->station]);
    if (c < last) {
        cut->tensor_count = model_cut(model->model, c, &cut->bytes, NULL);
    } else if (stream->result_to_station) {
        cut->tensor_count = view->model->output_count;
        cut->bytes = view->result_bytes;
    }
}

static int fill_cuts(struct arena *arena, const struct scenario *scenario, const struct scenario_stream *stream,
                     struct napm_problem_stream *view, struct error *error)
{
    bool any = false;
    struct napm_problem_cut *cuts = ARENA_ARRAY(arena, struct napm_problem_cut, view->layer_count + 1);
    const struct napm_problem_cut **table = ARENA_ARRAY(arena, const struct napm_problem_cut *, view->layer_count + 1);
    for (uint32_t c = 0; c <= view->layer_count; c++) {
        fill_cut(scenario, stream, view, c, &cuts[c]);
        table[c] = &cuts[c];
        any = any || cuts[c].feasible;
    }
    view->cuts = table;
    return any ? 0
               : error_set(
                     error, ERROR_INPUT,
                     "%s: the stream '%s' has no cut at which both parts can run: a node's memory is too small, or "
                     "was not profiled",
                     stream->where, stream->name);
}

/* The stream's way up the tree of links. */
static void fill_route(struct arena *arena, const struct scenario *scenario, struct napm_problem_stream *view)
{
    uint32_t hops = scenario_way_length(scenario, view->device);
    uint32_t *nodes = ARENA_ARRAY(arena, uint32_t, hops + 1), *links = ARENA_ARRAY(arena, uint32_t, hops);
    nodes[0] = view->device;
    for (uint32_t i = 0; i < hops; i++) {
        links[i] = scenario->link_of_node[nodes[i]];
        nodes[i + 1] = scenario->links[links[i]].upper;
    }
    view->route_count = hops + 1;
    view->route_nodes = nodes;
    view->route_links = links;
}

static int add_streams(struct problem *problem, const struct scenario *scenario, const int64_t *const *const *layer_ns,
                       struct error *error)
{
    struct arena *arena = &problem->arena;
    uint32_t count = scenario->stream_count;
    struct napm_problem_stream *views = ARENA_ARRAY(arena, struct napm_problem_stream, count);
    const struct napm_problem_stream **table = ARENA_ARRAY(arena, const struct napm_problem_stream *, count);
    struct problem_stream *streams = ARENA_ARRAY(arena, struct problem_stream, count);
    const int64_t *const **times = ARENA_ARRAY(arena, const int64_t *const *, scenario->model_count);
    for (uint32_t m = 0; m < scenario->model_count; m++)
        times[m] = times_of_model(arena, scenario, layer_ns, m);
    for (uint32_t i = 0; i < count; i++) {
        const struct scenario_stream *stream = &scenario->streams[i];
        const struct napm_model *model = model_view(scenario->models[stream->model].model);
        views[i] = (struct napm_problem_stream){
            .size = sizeof(views[i]),
            .device = stream->device,
            .name = stream->name,
            .link = stream->link,
            .layer_count = model->layer_count,
            .model = model,
            .layer_ns = times[stream->model],
            .batch_ns = layer_ns[scenario->node_count] ? layer_ns[scenario->node_count][stream->model] : NULL,
            .result_bytes = result_bytes(model),
            .result_returns = stream->result_returns,
            .result_to_station = stream->result_to_station,
            .deadline_ns = stream->deadline_ns,
            .priority = stream->priority,
            .task_count = stream->task_count,
            .weight = stream->weight,
        };
        fill_route(arena, scenario, &views[i]);
        if (fill_cuts(arena, scenario, stream, &views[i], error) != 0)
            return -1;
        streams[i] = (struct problem_stream){.cuts = scenario->models[stream->model].cuts,
                                             .source = scenario->models[stream->model].model,
                                             .model = stream->model,
                                             .arrivals = stream->arrivals,
                                             .starts_ns = stream->starts_ns,
                                             .start_count = stream->start_count};
        table[i] = &views[i];
    }
    problem->view.streams = table;
    problem->view.stream_count = count;
    problem->streams = streams;
    problem->stream_views = views;
    problem->model_count = scenario->model_count;
    return 0;
}

/* ---- links */

/* Our 0 (not shaped) would be a division by zero to a partitioner. */
static double shown_rate(const struct link_conditions *conditions)
{
    return conditions->bytes_per_s > 0 ? conditions->bytes_per_s : INFINITY;
}

/*
 * Mean expected delay over the frames that streams may send on each link: it depends on a frame's size only where there
 * is loss, because a bigger frame has more packets to lose.
 */
static void add_expected_delays(struct problem *problem, struct napm_problem_link *views)
{
    const struct napm_problem *view = &problem->view;
    size_t directions = 2 * (size_t)view->link_count;
    double *sums_ns = ARENA_ARRAY(&problem->arena, double, directions);
    uint64_t *counts = ARENA_ARRAY(&problem->arena, uint64_t, directions);
    for (uint32_t i = 0; i < view->stream_count; i++) {
        const struct napm_problem_stream *stream = view->streams[i];
        for (uint32_t hop = 0; hop + 1 < stream->route_count; hop++) {
            size_t up = 2 * (size_t)stream->route_links[hop] + LINK_UP, down = up - LINK_UP + LINK_DOWN;
            const struct link_conditions *conditions = problem->links[up / 2].conditions;
            for (uint32_t c = 0; c < stream->layer_count; c++)
                sums_ns[up] += (double)link_expected_delay_ns(&conditions[LINK_UP], stream->cuts[c]->bytes);
            sums_ns[down] += (double)link_expected_delay_ns(&conditions[LINK_DOWN], stream->result_bytes);
            counts[up] += stream->layer_count;
            counts[down]++;
        }
    }
    for (size_t i = 0; i < directions; i++) {
        int64_t *delay_ns = i % 2 == LINK_UP ? &views[i / 2].up_delay_ns : &views[i / 2].down_delay_ns;
        *delay_ns = counts[i] ? (int64_t)(sums_ns[i] / (double)counts[i])
                              : link_expected_delay_ns(&problem->links[i / 2].conditions[i % 2], LINK_PACKET_BYTES);
    }
}

static void add_links(struct problem *problem, const struct scenario *scenario)
{
    struct arena *arena = &problem->arena;
    struct napm_problem_link *views = ARENA_ARRAY(arena, struct napm_problem_link, scenario->link_count);
    const struct napm_problem_link **table = ARENA_ARRAY(arena, const struct napm_problem_link *, scenario->link_count);
    struct link_spec *links = ARENA_ARRAY(arena, struct link_spec, scenario->link_count);
    for (uint32_t i = 0; i < scenario->link_count; i++) {
        const struct link_spec *spec = &scenario->links[i].spec;
        links[i] = *spec;
        views[i] = (struct napm_problem_link){
            .size = sizeof(views[i]),
            .device = scenario->links[i].device,
            .station = scenario->links[i].upper,
            .medium = spec->medium == LINK_NO_MEDIUM ? NAPM_NONE : spec->medium,
            .up_bytes_per_s = shown_rate(&spec->conditions[LINK_UP]),
            .down_bytes_per_s = shown_rate(&spec->conditions[LINK_DOWN]),
        };
        table[i] = &views[i];
    }
    problem->view.links = table;
    problem->view.link_count = scenario->link_count;
    problem->links = links;
    add_expected_delays(problem, views);
}

/* ---- life */

struct problem *problem_new(const struct scenario *scenario, const int64_t *const *const *layer_ns, struct error *error)
{
    struct problem *problem = NEW(struct problem);
    problem->view.size = sizeof(problem->view);
    problem->view.objective = &scenario->objective;
    problem->scheduler = scenario->scheduler;
    problem->warmup_tasks = scenario->warmup_tasks;
    problem->seed = scenario->seed;
    add_nodes(problem, scenario);
    if (add_streams(problem, scenario, layer_ns, error) != 0) {
        problem_free(problem);
        return NULL;
    }
    add_links(problem, scenario);
    return problem;
}

void problem_free(struct problem *problem)
{
    if (!problem)
        return;
    arena_free(&problem->arena);
    free(problem);
}
