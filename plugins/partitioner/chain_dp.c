/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioner "chain-dp": where each layer of a stream runs on the way from its device to the station, over any number of
 * nodes, each with its own times, memory and link; by dynamic programming, exact for one stream alone. A node may be
 * passed without computing anything.
 *
 * Let best[j][k] be the least cost of having k layers done when the node at place j of the way is through with its share.
 * Then best[j][k] is the least, over all a <= k, of best[j - 1][a], joined with sending cut a over link j - 1, and with
 * layers a..k-1 on node j. Costs are joined
 *   - for the latency: by addition, of what one task alone takes;
 *   - for the bottleneck: by the maximum, of how long each node and each link is busy with one task; its inverse is the
 *     throughput. Of all plans with the least bottleneck the one with the least latency is wanted: so a second pass
 *     for the latency leaves out whatever is busy for longer than that.
 * O(N L^2) for N nodes and L layers.
 */
#include <stdlib.h>
#include <string.h>

#include "cuts.h"
#include "route.h"

enum { OPTION_OBJECTIVE, OPTION_COUNT };

static const struct napm_option objective_option = {
    .size = sizeof(objective_option),
    .type = NAPM_OPTION_CHOICE,
    .name = "objective",
    .default_text = "latency",
    .help =
        "What is to be least: the latency of a task alone, or the time for which the busiest node or link is busy with "
        "a task.",
    .choices = "latency|bottleneck",
};
static const struct napm_option *const options_table[OPTION_COUNT] = {[OPTION_OBJECTIVE] = &objective_option};

struct chain_dp {
    const struct napm_host *host;
    int by_bottleneck;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct chain_dp *settings = malloc(sizeof(*settings));
    if (!settings) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    *settings = (struct chain_dp){host, strcmp(options[OPTION_OBJECTIVE].text, "bottleneck") == 0};
    *self = settings;
    return NAPM_OK;
}

/* One step of a task, on a node or over links: what it adds to the task's latency, and what it keeps busy for longest. */
struct step {
    double latency_ns, busy_ns;
};

/* One stream's table. Rows by place on the way, L + 1 cells each, by layers done. */
struct table {
    const struct napm_problem *problem;
    const struct napm_evaluator *evaluator;
    uint32_t stream;
    const struct napm_problem_stream *view;
    uint32_t places, layers;
    int by_bottleneck; /* how costs are joined */
    double most_busy_ns; /* steps that keep something busy for longer are left out */
    double *best;
    uint32_t *from; /* by cell: layers done before this node's share */
    double *until_ns; /* by cell: time of the layers before it on the node; infinite where it cannot run them */
};

static size_t cell(const struct table *table, uint32_t place, uint32_t done)
{
    return (size_t)place * (table->layers + 1) + done;
}

static double join(const struct table *table, double cost, struct step step)
{
    if (step.busy_ns > table->most_busy_ns)
        return INFINITY;
    return table->by_bottleneck ? fmax(cost, step.busy_ns) : cost + step.latency_ns;
}

static struct step compute(const struct table *table, uint32_t place, uint32_t first, uint32_t end)
{
    double ns = first == end ? 0 : table->until_ns[cell(table, place, end)];
    if (ns > 0 && ns < INFINITY)
        ns -= table->until_ns[cell(table, place, first)];
    return (struct step){ns, ns};
}

static struct step send_up(const struct table *table, uint32_t place, uint32_t done)
{
    uint64_t bytes = table->view->cuts[done]->bytes;
    const struct napm_problem_link *link = route_link(table->problem, table->view, place);
    return (struct step){route_up_ns(table->problem, table->view, place, bytes),
                         route_air_ns(link->up_bytes_per_s, bytes)};
}

/* The result's way, from the node that made it to where it is wanted. */
static struct step give_result(const struct table *table, uint32_t place)
{
    const struct napm_problem_stream *view = table->view;
    struct step step = {.latency_ns = route_return_ns(table->problem, view, place) +
                                      route_report_ns(table->problem, view, place)};
    for (uint32_t i = 0; i + 1 < table->places; i++) {
        const struct napm_problem_link *link = route_link(table->problem, view, i);
        double rate = i < place ? (view->result_returns ? link->down_bytes_per_s : 0)
                                : (view->result_to_station ? link->up_bytes_per_s : 0);
        step.busy_ns = fmax(step.busy_ns, route_air_ns(rate, view->result_bytes));
    }
    return step;
}

/* Do layers first..end-1 fit the node's memory? */
static int fits(const struct table *table, uint32_t place, uint32_t first, uint32_t end)
{
    const struct napm_problem_stream *view = table->view;
    uint64_t room = table->problem->nodes[route_node(table->problem, view, place)]->memory_bytes;
    if (first == end || room == 0)
        return 1;
    if (place == 0)
        return view->cuts[end]->device_memory_bytes <= room;
    if (end == table->layers)
        return view->cuts[first]->station_memory_bytes <= room; /* the same layers, whichever node it is */
    return table->evaluator->range_bytes(table->evaluator, table->stream, first, end) <= room;
}

/* The least cost of `done` layers when node `place` is through; it begins where the one before it left off. */
static void fill_cell(struct table *table, uint32_t place, uint32_t done)
{
    size_t at = cell(table, place, done);
    table->best[at] = INFINITY;
    for (uint32_t first = 0; first <= (place ? done : 0); first++) {
        double cost = place ? table->best[cell(table, place - 1, first)] : 0;
        if (place && first == table->layers) /* all is done: nothing more is sent on */
            break;
        if (place)
            cost = join(table, cost, send_up(table, place - 1, first));
        if (cost < table->best[at])
            cost = join(table, cost, compute(table, place, first, done));
        if (cost < table->best[at] && fits(table, place, first, done)) {
            table->best[at] = cost;
            table->from[at] = first;
        }
    }
}

/* Fills the table. Returns the least cost, and the place of the node that ends the model. */
static double fill(struct table *table, uint32_t *end)
{
    double least = INFINITY;
    for (uint32_t place = 0; place < table->places; place++) {
        for (uint32_t done = 0; done <= table->layers; done++)
            fill_cell(table, place, done);
        double cost = join(table, table->best[cell(table, place, table->layers)], give_result(table, place));
        if (cost < least) {
            least = cost;
            *end = place;
        }
    }
    return least;
}

static void write_plan(const struct table *table, uint32_t end, struct napm_plan *plan)
{
    uint32_t done = table->layers;
    for (uint32_t place = end + 1; place-- > 0;) {
        uint32_t first = table->from[cell(table, place, done)];
        for (uint32_t layer = first; layer < done; layer++)
            plan->node_of_layer[table->stream][layer] = route_node(table->problem, table->view, place);
        done = first;
    }
}

static void sum_times(struct table *table)
{
    for (uint32_t place = 0; place < table->places; place++) {
        const int64_t *layer_ns = table->view->layer_ns[route_node(table->problem, table->view, place)];
        table->until_ns[cell(table, place, 0)] = 0;
        for (uint32_t layer = 0; layer < table->layers; layer++)
            table->until_ns[cell(table, place, layer + 1)] =
                layer_ns ? table->until_ns[cell(table, place, layer)] + (double)layer_ns[layer] : INFINITY;
    }
}

static int32_t fill_plan(const struct chain_dp *settings, struct table *table, struct napm_plan *plan)
{
    uint32_t end = 0;
    sum_times(table);
    table->most_busy_ns = INFINITY;
    if (settings->by_bottleneck) {
        table->by_bottleneck = 1;
        table->most_busy_ns = fill(table, &end);
        table->by_bottleneck = 0;
    }
    if (fill(table, &end) == INFINITY)
        return cuts_none_feasible(settings->host, table->problem, table->stream);
    write_plan(table, end, plan);
    return NAPM_OK;
}

static int32_t plan_stream(const struct chain_dp *settings, const struct napm_problem *problem,
                           const struct napm_evaluator *evaluator, uint32_t i, struct napm_plan *plan)
{
    const struct napm_problem_stream *view = problem->streams[i];
    struct table table = {.problem = problem,
                          .evaluator = evaluator,
                          .stream = i,
                          .view = view,
                          .places = route_count(view),
                          .layers = view->layer_count};
    size_t cells = cell(&table, table.places, 0);
    table.best = calloc(cells, sizeof(*table.best));
    table.until_ns = calloc(cells, sizeof(*table.until_ns));
    table.from = calloc(cells, sizeof(*table.from));
    int32_t status = NAPM_ERR_MEMORY;
    if (table.best && table.until_ns && table.from)
        status = fill_plan(settings, &table, plan);
    else
        settings->host->set_error(settings->host, "out of memory");
    free(table.best);
    free(table.until_ns);
    free(table.from);
    return status;
}

static int32_t plan_cuts(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                         struct napm_plan *plan)
{
    const struct chain_dp *settings = self;
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        int32_t status = plan_stream(settings, problem, evaluator, i, plan);
        if (status < 0)
            return status;
    }
    return cuts_check_fit(settings->host, evaluator, plan);
}

static const struct napm_partitioner hook = {.size = sizeof(hook), .plan = plan_cuts};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "chain-dp",
    .version = "1.0",
    .summary = "Dynamic programming over several nodes in a row, for latency or throughput; blind to contention.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(chain_dp, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "chain-dp", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
