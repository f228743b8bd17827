/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioner "min-cut": the placement of each stream's layers that has the least delay as if the stream were alone, over
 * all sets of layers that a device may run first, not only those that are a beginning of the layer order; as in Hu, Bao,
 * Wang and Liu, "Dynamic Adaptive DNN Surgery for Inference Acceleration on the Edge" (DADS), INFOCOM 2019.
 *
 * The placement is a minimum s-t cut of a graph: the source's side is the device, the sink's the station.
 *   source -> layer     time of the layer at the station: paid where it runs there
 *   layer  -> sink      time of the layer on the device
 *   layer  -> tensor    time of sending what the layer makes; tensor -> each layer that uses it: infinite. So a tensor that
 *                       several layers at the station use is sent, and paid, once. A model's input comes from the source;
 *                       what the model gives is used by the sink.
 *   layer  -> producer  infinite: what a layer on the device needs is made there
 * What does not depend on the set, the link's delay and the result's way back, is paid by every set but the whole model. So
 * the cut is sought with at least one layer at the station (with each last layer forced there, in turn), and the best is
 * compared with all-local. Where the best set does not fit the memories, or is no beginning of the layer order and the
 * platform is one that carries out no others, the best cut of the layer order is taken, and the log says what it costs.
 */
#include <stdlib.h>
#include <string.h>

#include "cuts.h"
#include "maxflow.h"
#include "route.h"

#define DOES_NOT_FIT "does not fit the memories"

enum { SOURCE, SINK, FIRST_LAYER };

/* A set of layers for the device, and what a task then takes alone. */
struct side {
    double delay_ns;
    uint8_t *on_device; /* by layer */
};

/* One stream's costs, all in nanoseconds. */
struct costs {
    const struct napm_model *model;
    const int64_t *device_ns, *station_ns;
    double air_ns_per_byte; /* over all links of the way */
    double offload_ns; /* of every set but the whole model */
    double local_ns; /* of the whole model on the device */
};

static struct costs read_costs(const struct napm_problem *problem, uint32_t i)
{
    const struct napm_problem_stream *stream = problem->streams[i];
    uint32_t hops = route_count(stream) - 1;
    struct costs costs = {.model = stream->model,
                          .device_ns = stream->layer_ns[stream->device],
                          .station_ns = stream->layer_ns[problem->station],
                          .offload_ns = route_return_ns(problem, stream, hops),
                          .local_ns = route_report_ns(problem, stream, 0)};
    for (uint32_t h = 0; h < hops; h++) {
        const struct napm_problem_link *link = route_link(problem, stream, h);
        costs.air_ns_per_byte += route_air_ns(link->up_bytes_per_s, 1);
        costs.offload_ns += (double)link->up_delay_ns;
    }
    for (uint32_t l = 0; costs.device_ns && l < stream->layer_count; l++)
        costs.local_ns += (double)costs.device_ns[l];
    if (!costs.device_ns)
        costs.local_ns = INFINITY;
    return costs;
}

static uint32_t tensor_node(const struct napm_model *model, uint32_t tensor)
{
    return FIRST_LAYER + model->layer_count + tensor;
}

/* The tensor's own node, on whose way from its producer sending it is paid; made at its first use. */
static void add_tensor(struct maxflow *graph, const struct costs *costs, uint32_t tensor, uint8_t *known)
{
    const struct napm_tensor *view = costs->model->tensors[tensor];
    if (known[tensor])
        return;
    known[tensor] = 1;
    maxflow_add(graph, view->producer == NAPM_NONE ? SOURCE : FIRST_LAYER + view->producer,
                tensor_node(costs->model, tensor), llround(costs->air_ns_per_byte * (double)view->bytes));
}

static void add_layer(struct maxflow *graph, const struct costs *costs, uint32_t l, uint8_t *known)
{
    const struct napm_model *model = costs->model;
    uint32_t node = FIRST_LAYER + l;
    maxflow_add(graph, SOURCE, node, costs->station_ns[l]);
    maxflow_add(graph, node, SINK, costs->device_ns ? costs->device_ns[l] : MAXFLOW_INFINITE);
    for (uint32_t i = 0; i < model->layers[l]->input_count; i++) {
        uint32_t tensor = model->layers[l]->inputs[i], producer = model->tensors[tensor]->producer;
        add_tensor(graph, costs, tensor, known);
        maxflow_add(graph, tensor_node(model, tensor), node, MAXFLOW_INFINITE);
        if (producer != NAPM_NONE)
            maxflow_add(graph, node, FIRST_LAYER + producer, MAXFLOW_INFINITE);
    }
}

/* The graph with `last` forced to the station; NULL where memory is out. `known` is room for a mark by tensor. */
static struct maxflow *make_graph(const struct costs *costs, uint32_t last, uint8_t *known)
{
    const struct napm_model *model = costs->model;
    uint32_t edges = 2 * model->layer_count + model->tensor_count + model->output_count + 1;
    for (uint32_t l = 0; l < model->layer_count; l++)
        edges += 2 * model->layers[l]->input_count;
    struct maxflow *graph = maxflow_new(FIRST_LAYER + model->layer_count + model->tensor_count, edges);
    if (!graph)
        return NULL;
    memset(known, 0, model->tensor_count);
    for (uint32_t l = 0; l < model->layer_count; l++)
        add_layer(graph, costs, l, known);
    for (uint32_t i = 0; i < model->output_count; i++) {
        add_tensor(graph, costs, model->outputs[i], known);
        maxflow_add(graph, tensor_node(model, model->outputs[i]), SINK, MAXFLOW_INFINITE);
    }
    maxflow_add(graph, FIRST_LAYER + last, SINK, MAXFLOW_INFINITE);
    return graph;
}

/* Tries the cut with layer `last` at the station: keeps it where it is the best so far. */
static int32_t try_cut(const struct costs *costs, uint32_t last, uint8_t *known, struct side *best)
{
    struct maxflow *graph = make_graph(costs, last, known);
    if (!graph)
        return NAPM_ERR_MEMORY;
    double delay_ns = (double)maxflow_run(graph, SOURCE, SINK) + costs->offload_ns;
    if (delay_ns < best->delay_ns) {
        best->delay_ns = delay_ns;
        for (uint32_t l = 0; l < costs->model->layer_count; l++)
            best->on_device[l] = (uint8_t)maxflow_on_source_side(graph, FIRST_LAYER + l);
    }
    maxflow_free(graph);
    return NAPM_OK;
}

static int32_t find_best(const struct costs *costs, struct side *best)
{
    const struct napm_model *model = costs->model;
    uint8_t *is_last = malloc((size_t)model->layer_count + 1), *known = malloc((size_t)model->tensor_count + 1);
    int32_t status = is_last && known ? NAPM_OK : NAPM_ERR_MEMORY;
    best->delay_ns = costs->local_ns;
    memset(best->on_device, 1, model->layer_count);
    for (uint32_t l = 0; status == NAPM_OK && l < model->layer_count; l++) {
        is_last[l] = 1;
        for (uint32_t i = 0; i < model->layers[l]->input_count; i++) {
            uint32_t producer = model->tensors[model->layers[l]->inputs[i]]->producer;
            if (producer != NAPM_NONE)
                is_last[producer] = 0; /* producers come before l */
        }
    }
    for (uint32_t l = 0; status == NAPM_OK && costs->station_ns && l < model->layer_count; l++)
        if (is_last[l])
            status = try_cut(costs, l, known, best);
    free(is_last);
    free(known);
    return status;
}

/* The cut that the set is, or NAPM_NONE where it is no beginning of the layer order. */
static uint32_t cut_of(const struct side *side, uint32_t layers)
{
    uint32_t c = 0;
    while (c < layers && side->on_device[c])
        c++;
    for (uint32_t l = c; l < layers; l++)
        if (side->on_device[l])
            return NAPM_NONE;
    return c;
}

/* Puts a set that is no cut of the layer order into the plan; *why: what the platform has against it, or NULL. */
static int32_t offer_set(const struct napm_problem *problem, const struct napm_evaluator *evaluator, uint32_t i,
                         const struct side *side, struct napm_plan *plan, const char **why)
{
    struct napm_evaluation result = {.size = sizeof(result)};
    const struct napm_problem_stream *stream = problem->streams[i];
    for (uint32_t l = 0; l < stream->layer_count; l++)
        plan->node_of_layer[i][l] = side->on_device[l] ? stream->device : problem->station;
    int32_t status = evaluator->evaluate(evaluator, plan, &result);
    *why = status == NAPM_ERR_INVALID ? "is no cut of the layer order, which alone this platform carries out"
           : status == NAPM_OK && !result.feasible ? DOES_NOT_FIT
                                                   : NULL;
    return status == NAPM_ERR_INVALID ? NAPM_OK : status;
}

/* The set is not to be had: takes the best cut that is. */
static int32_t settle_for_cut(const struct napm_host *host, const struct napm_problem *problem,
                              const struct napm_evaluator *evaluator, uint32_t i, double set_ns, const char *why,
                              struct napm_plan *plan)
{
    char text[320];
    uint32_t c = cuts_best_isolated(problem, evaluator, i);
    if (c == NAPM_NONE)
        return cuts_none_feasible(host, problem, i);
    napm_plan_set_cut(problem, plan, i, c);
    snprintf(text, sizeof(text),
             "the best set of layers for the device of stream '%s' (%.3f ms) %s; cut %u takes %.3f ms",
             problem->streams[i]->name, set_ns / 1e6, why, c, evaluator->isolated_ns(evaluator, i, c) / 1e6);
    host->log(host, NAPM_LOG_INFO, text);
    return NAPM_OK;
}

static int32_t place(const struct napm_host *host, const struct napm_problem *problem,
                     const struct napm_evaluator *evaluator, uint32_t i, const struct side *best,
                     struct napm_plan *plan)
{
    uint32_t c = cut_of(best, problem->streams[i]->layer_count);
    const char *why = NULL;
    if (c == NAPM_NONE) {
        int32_t status = offer_set(problem, evaluator, i, best, plan, &why);
        if (status < 0)
            host->set_error(host, status == NAPM_ERR_CANCELLED ? "stopped" : "a plan could not be evaluated");
        if (status < 0 || !why)
            return status;
        return settle_for_cut(host, problem, evaluator, i, best->delay_ns, why, plan);
    }
    if (evaluator->isolated_ns(evaluator, i, c) == INFINITY)
        return settle_for_cut(host, problem, evaluator, i, best->delay_ns, DOES_NOT_FIT, plan);
    napm_plan_set_cut(problem, plan, i, c);
    return NAPM_OK;
}

static int32_t plan_stream(const struct napm_host *host, const struct napm_problem *problem,
                           const struct napm_evaluator *evaluator, uint32_t i, struct napm_plan *plan)
{
    const struct costs costs = read_costs(problem, i);
    struct side best = {.on_device = malloc((size_t)problem->streams[i]->layer_count + 1)};
    int32_t status = best.on_device ? find_best(&costs, &best) : NAPM_ERR_MEMORY;
    if (status < 0)
        host->set_error(host, "out of memory");
    else if (best.delay_ns == INFINITY)
        status = cuts_none_feasible(host, problem, i);
    else
        status = place(host, problem, evaluator, i, &best, plan);
    free(best.on_device);
    return status;
}

static int32_t plan_cuts(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                         struct napm_plan *plan)
{
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        int32_t status = plan_stream(self, problem, evaluator, i, plan);
        if (status < 0)
            return status;
    }
    return cuts_check_fit(self, evaluator, plan);
}

static const struct napm_partitioner hook = {.size = sizeof(hook), .plan = plan_cuts};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "min-cut",
    .version = "1.0",
    .summary = "Each stream's best split of its layer graph, as a minimum cut (DADS); blind to contention.",
    .licence = "Apache-2.0",
    .create = cuts_create,
    .destroy = cuts_destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(min_cut, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "min-cut", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
