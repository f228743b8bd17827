/* SPDX-License-Identifier: Apache-2.0 */
/* Plans run in virtual time. */
#include "core/planner/evaluator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/stats.h"
#include "core/flow/flow.h"
#include "core/flow/generator.h"

/* Where a stream's tasks come from. */
struct source {
    bool reactive; /* depends on the ends of tasks: has an instance of its own in each evaluation */
    int64_t *starts_ns; /* of the others, asked once */
    uint32_t start_count;
    uint32_t next; /* in this evaluation */
    struct generator generator; /* reactive: of this evaluation */
};

/* What the counted tasks of an evaluation add up to. */
struct tally {
    double *delays_ns; /* room for all tasks of a prediction */
    double energy_j;
    double *greatest; /* scratch for the quantile */
    uint32_t count, misses;
    struct napm_phases *phases; /* sums by stream */
    uint32_t *counts; /* by stream */
    /* To give up early: a lower bound of the total, and what it may not exceed (infinite: no such limit). */
    double bound_ns, limit_ns;
};

/* What it costs a task to go over one link of its stream's way, with the link to itself. */
struct crossing {
    double *up_ns; /* by c; at layer_count that of the result, where it goes up */
    double *up_air_s;
    double down_ns, down_air_s; /* of the result */
};

/* A stream with its layers in one order, as the engine sees it, and what sending costs there. */
struct lane {
    struct flow_stream *flow;
    struct flow_hop *hops;
    uint32_t *order; /* NULL: the model's own */
    struct crossing *crossings; /* by hop */
    int64_t **until_ns, **extra_ns; /* by hop and c */
    uint64_t *bytes; /* by c */
    int64_t *station_ns; /* by place */
    int64_t *station_until_ns, *batch_until_ns; /* by c */
};

/* A task that meets no other. */
struct lone_task {
    double ns, joules;
};

struct evaluator {
    struct napm_evaluator table;
    struct problem *problem;
    struct catalogue *catalogue;
    const atomic_bool *cancel;
    struct arena arena;
    struct flow *flow;
    struct flow_stream *streams;
    struct source *sources;
    uint32_t *search_tasks, *predicted_tasks; /* by stream, warm-up included */
    struct lane *lanes; /* by stream: in the model's own order */
    struct lane **others; /* by stream: in the other order last seen; NULL: none was */
    double **isolated_ns; /* by stream and c */
    uint32_t *first_cuts; /* by stream: where its cuts begin among those of a plan */
    /* The plan that was read last: its cuts, and by stream NULL or its row of order_rows. */
    uint32_t *cuts, **order_rows;
    const uint32_t **orders;
    const struct flow_stream **ordered; /* by stream, of the placement being run: see struct flow_plan */
    struct lone_task *lone; /* by stream: with these cuts */
    struct tally tally;
    /* memory */
    uint32_t *before_on_device; /* by stream: an earlier stream of the same device, or NAPM_NONE */
    uint64_t *need_bytes; /* by node */
    uint32_t **stamps; /* by model and c: the last check that counted these weights */
    uint32_t stamp;
    struct error failure;
};

/* ---- tasks of streams */

static int open_source(struct evaluator *evaluator, uint32_t stream, struct error *error)
{
    const struct problem *problem = evaluator->problem;
    return generator_open(&evaluator->sources[stream].generator, evaluator->catalogue,
                          &problem->streams[stream].arrivals, problem->view.streams[stream]->name, problem->seed,
                          flow_now_ns, evaluator->flow, error);
}

/* Asks an open-loop generator for all starts; stops where it turns out to be none. */
static int record_starts(struct source *source, uint32_t count, struct error *error)
{
    int64_t last_ns = 0;
    source->start_count = 0;
    while (source->start_count < count) {
        int64_t at_ns = 0;
        int status = generator_next(&source->generator, 0, &at_ns, error);
        if (status < 0)
            return -1;
        if (status != NAPM_OK) {
            source->reactive = source->reactive || status == NAPM_WAIT;
            return 0;
        }
        last_ns = at_ns > last_ns ? at_ns : last_ns;
        source->starts_ns[source->start_count++] = last_ns;
    }
    return 0;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int find_starts(struct source *source, const struct problem_stream *stream, uint32_t count, struct error *error)
{
    if (!stream->starts_ns)
        return record_starts(source, count, error);
    source->start_count = least(count, stream->start_count);
    memcpy(source->starts_ns, stream->starts_ns, source->start_count * sizeof(*source->starts_ns));
    return 0;
}

static int prepare_source(struct evaluator *evaluator, uint32_t stream, struct error *error)
{
    struct problem *problem = evaluator->problem;
    struct source *source = &evaluator->sources[stream];
    uint32_t streams = problem->view.stream_count, warmup = problem->warmup_tasks;
    uint32_t made = problem->stream_views[stream].task_count;
    uint32_t search = EVALUATOR_TASKS / streams, predicted = EVALUATOR_PREDICTED_TASKS / streams;
    search = warmup + (search > EVALUATOR_LEAST_TASKS ? search : EVALUATOR_LEAST_TASKS);
    predicted = warmup + (predicted > EVALUATOR_LEAST_TASKS ? predicted : EVALUATOR_LEAST_TASKS);
    evaluator->search_tasks[stream] = made ? least(made, search) : search;
    evaluator->predicted_tasks[stream] = made ? least(made, predicted) : predicted;
    source->starts_ns = ARENA_ARRAY(&evaluator->arena, int64_t, evaluator->predicted_tasks[stream]);
    if (open_source(evaluator, stream, error) != 0)
        return -1;
    const struct generator *generator = &source->generator;
    problem->stream_views[stream].interval_ns = generator->hook.interval_ns(generator->instance->self);
    source->reactive = generator->reactive;
    int failed = source->reactive
                     ? 0
                     : find_starts(source, &problem->streams[stream], evaluator->predicted_tasks[stream], error);
    generator_close(&source->generator);
    if (!source->reactive) {
        evaluator->predicted_tasks[stream] = least(evaluator->predicted_tasks[stream], source->start_count);
        evaluator->search_tasks[stream] = least(evaluator->search_tasks[stream], source->start_count);
    }
    return failed;
}

static int next_task(void *context, uint32_t stream, int64_t now_ns, int64_t *at_ns, struct error *error)
{
    struct evaluator *evaluator = context;
    struct source *source = &evaluator->sources[stream];
    if (source->reactive)
        return generator_next(&source->generator, now_ns, at_ns, error);
    if (source->next == source->start_count)
        return NAPM_END;
    *at_ns = source->starts_ns[source->next++];
    return NAPM_OK;
}

static uint32_t counted_tasks(const struct evaluator *evaluator, uint32_t stream)
{
    uint32_t warmup = evaluator->problem->warmup_tasks, tasks = evaluator->search_tasks[stream];
    return tasks > warmup ? tasks - warmup : 0;
}

/* Each task is expected to take its isolated delay; how many tasks a reactive generator makes is not known beforehand. */
static double least_total_ns(const struct evaluator *evaluator)
{
    double total_ns = 0;
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++)
        if (!evaluator->sources[i].reactive)
            total_ns += counted_tasks(evaluator, i) * evaluator->lone[i].ns;
    return total_ns;
}

static void count_task(struct evaluator *evaluator, const struct flow_task *task)
{
    struct tally *tally = &evaluator->tally;
    struct napm_phases *phases = &tally->phases[task->stream];
    int64_t deadline_ns = evaluator->streams[task->stream].deadline_ns, delay_ns = task->ended_ns - task->started_ns;
    tally->delays_ns[tally->count++] = (double)delay_ns;
    tally->counts[task->stream]++;
    tally->misses += deadline_ns && delay_ns > deadline_ns;
    phases->local_ns += (double)task->local_ns;
    phases->transmit_ns += (double)task->transmit_ns;
    phases->queue_ns += (double)task->queue_ns;
    phases->remote_ns += (double)task->remote_ns;
    phases->return_ns += (double)task->return_ns;
    tally->bound_ns += (double)delay_ns;
    if (!evaluator->sources[task->stream].reactive)
        tally->bound_ns -= evaluator->lone[task->stream].ns;
}

static int task_ended(void *context, const struct flow_task *task)
{
    struct evaluator *evaluator = context;
    struct source *source = &evaluator->sources[task->stream];
    if (source->reactive)
        generator_ended(&source->generator, task->ended_ns, task->number, false);
    if (task->number >= evaluator->problem->warmup_tasks)
        count_task(evaluator, task);
    return evaluator->tally.bound_ns > evaluator->tally.limit_ns;
}

/* ---- memory */

static uint32_t hops_of(const struct evaluator *evaluator, uint32_t stream)
{
    return evaluator->streams[stream].hop_count;
}

static const uint32_t *cuts_of(const struct evaluator *evaluator, const struct placements *placements, uint32_t stream)
{
    return placements->cuts + evaluator->first_cuts[stream];
}

/* Has another stream the same layers of the same model at these places? */
static bool has_same_layers(const struct evaluator *evaluator, const struct placements *placements, uint32_t a,
                            uint32_t b, uint32_t first, uint32_t last)
{
    return evaluator->problem->streams[a].model == evaluator->problem->streams[b].model &&
           order_same(placements_order(placements, a), placements_order(placements, b), first, last);
}

/* Do the weights of this stream's device part lie there already, for an earlier stream of the device? */
static bool shares_on_device(const struct evaluator *evaluator, const struct placements *placements, uint32_t stream)
{
    uint32_t cut = cuts_of(evaluator, placements, stream)[0];
    for (uint32_t i = evaluator->before_on_device[stream]; i != NAPM_NONE; i = evaluator->before_on_device[i])
        if (cuts_of(evaluator, placements, i)[0] == cut && has_same_layers(evaluator, placements, stream, i, 0, cut))
            return true;
    return false;
}

/* The same of its part at the station, which begins behind `last`. */
static bool shares_at_station(struct evaluator *evaluator, const struct placements *placements, uint32_t stream,
                              uint32_t last)
{
    uint32_t layers = evaluator->problem->view.streams[stream]->layer_count;
    if (order_same(placements_order(placements, stream), NULL, last, layers)) {
        uint32_t *stamp = &evaluator->stamps[evaluator->problem->streams[stream].model][last];
        bool known = *stamp == evaluator->stamp;
        *stamp = evaluator->stamp;
        return known;
    }
    for (uint32_t i = stream; i-- > 0;) /* most often the next one is like it */
        if (placements_order(placements, i) && cuts_of(evaluator, placements, i)[hops_of(evaluator, i) - 1] == last &&
            has_same_layers(evaluator, placements, stream, i, last, layers))
            return true;
    return false;
}

struct need {
    uint64_t weight_bytes, activation_bytes;
};

/*
 * What the layers at places first..last-1 of an order need. Of a problem without a model file only the two sides of cuts
 * are known: between them that is an upper bound.
 */
static struct need need_of(const struct evaluator *evaluator, uint32_t stream, const uint32_t *order, uint32_t first,
                           uint32_t last)
{
    const struct problem_stream *known = &evaluator->problem->streams[stream];
    const struct napm_problem_stream *view = evaluator->problem->view.streams[stream];
    struct need need = {0};
    if (!known->cuts)
        return need;
    const struct scenario_cut *from = &known->cuts[first], *to = &known->cuts[last];
    if (!order && first == 0)
        return (struct need){to->device_weight_bytes, to->device_activation_bytes};
    if (!order && last == view->layer_count)
        return (struct need){from->station_weight_bytes, from->station_activation_bytes};
    if (order || known->source)
        order_memory(view->model, order, first, last, &need.weight_bytes, &need.activation_bytes);
    else
        need = (struct need){to->device_weight_bytes - from->device_weight_bytes, to->device_activation_bytes};
    return need;
}

static void add_stream_needs(struct evaluator *evaluator, uint32_t stream, const struct placements *placements)
{
    const struct napm_problem_stream *view = evaluator->problem->view.streams[stream];
    const uint32_t *cuts = cuts_of(evaluator, placements, stream), *order = placements_order(placements, stream);
    uint32_t hops = hops_of(evaluator, stream);
    uint64_t *at_device = &evaluator->need_bytes[view->device];
    uint64_t *at_station = &evaluator->need_bytes[evaluator->problem->view.station];
    struct need lower = need_of(evaluator, stream, order, 0, cuts[0]);
    struct need upper = need_of(evaluator, stream, order, cuts[hops - 1], view->layer_count);
    *at_device += lower.activation_bytes + (shares_on_device(evaluator, placements, stream) ? 0 : lower.weight_bytes);
    *at_station += upper.activation_bytes +
                   (shares_at_station(evaluator, placements, stream, cuts[hops - 1]) ? 0 : upper.weight_bytes);
    for (uint32_t h = 1; h < hops; h++) {
        if (cuts[h] == cuts[h - 1])
            continue;
        struct need relay = need_of(evaluator, stream, order, cuts[h - 1], cuts[h]);
        evaluator->need_bytes[view->route_nodes[h]] += relay.weight_bytes + relay.activation_bytes;
    }
}

uint32_t evaluator_find_overfull(struct evaluator *evaluator, const struct placements *placements, uint64_t *need_bytes)
{
    const struct napm_problem *view = &evaluator->problem->view;
    memset(evaluator->need_bytes, 0, view->node_count * sizeof(*evaluator->need_bytes));
    evaluator->stamp++;
    for (uint32_t i = 0; i < view->stream_count; i++)
        if (evaluator->problem->streams[i].cuts)
            add_stream_needs(evaluator, i, placements);
    for (uint32_t node = 0; node < view->node_count; node++)
        if (view->nodes[node]->memory_bytes && evaluator->need_bytes[node] > view->nodes[node]->memory_bytes) {
            *need_bytes = evaluator->need_bytes[node];
            return node;
        }
    return NAPM_NONE;
}

uint32_t evaluator_find_unable(const struct evaluator *evaluator, const struct placements *placements)
{
    const struct napm_problem *view = &evaluator->problem->view;
    for (uint32_t i = 0; i < view->stream_count; i++) {
        const struct flow_stream *flow = &evaluator->streams[i];
        const int64_t *const *layer_ns = view->streams[i]->layer_ns;
        const uint32_t *cuts = cuts_of(evaluator, placements, i);
        uint32_t done = 0;
        for (uint32_t h = 0; h < flow->hop_count; done = cuts[h++])
            if (cuts[h] > done && !layer_ns[flow->hops[h].node])
                return i;
        if (done < flow->layer_count && !layer_ns[view->station])
            return i;
    }
    return NAPM_NONE;
}

static bool is_feasible(struct evaluator *evaluator, const struct placements *placements)
{
    uint64_t need;
    return evaluator_find_unable(evaluator, placements) == NAPM_NONE &&
           evaluator_find_overfull(evaluator, placements, &need) == NAPM_NONE;
}

/* ---- lanes */

/* Time of a frame alone on the link, rounded down. */
static double frame_ns(const struct link_conditions *conditions, uint64_t bytes)
{
    double air_ns = conditions->bytes_per_s > 0 ? floor((double)bytes * 1e9 / conditions->bytes_per_s) : 0;
    return air_ns + (double)link_expected_delay_ns(conditions, bytes);
}

/* Time that the bytes take with the air to themselves, their repeats included. */
static double air_s(const struct link_conditions *conditions, uint64_t bytes)
{
    return conditions->bytes_per_s > 0 ? (double)bytes / conditions->bytes_per_s / (1 - conditions->loss) : 0;
}

static const struct link_conditions *conditions_up(const struct evaluator *evaluator,
                                                   const struct napm_problem_stream *stream, uint32_t hop)
{
    return &evaluator->problem->links[stream->route_links[hop]].conditions[LINK_UP];
}

static void make_hop(struct evaluator *evaluator, const struct napm_problem_stream *stream, uint32_t h,
                     struct lane *lane)
{
    const struct link_conditions *up = conditions_up(evaluator, stream, h), *down = up + 1;
    size_t cuts = (size_t)stream->layer_count + 1;
    struct arena *arena = &evaluator->arena;
    lane->until_ns[h] = ARENA_ARRAY(arena, int64_t, cuts);
    lane->extra_ns[h] = ARENA_ARRAY(arena, int64_t, cuts);
    lane->hops[h] = (struct flow_hop){
        .node = stream->route_nodes[h],
        .link = stream->route_links[h],
        .until_ns = lane->until_ns[h],
        .up_extra_ns = lane->extra_ns[h],
        .down_extra_ns = down->loss > 0 ? link_expected_delay_ns(down, stream->result_bytes) : 0,
        .result_extra_up_ns = up->loss > 0 ? link_expected_delay_ns(up, stream->result_bytes) : 0,
    };
    lane->crossings[h] = (struct crossing){.up_ns = ARENA_ARRAY(arena, double, cuts),
                                           .up_air_s = ARENA_ARRAY(arena, double, cuts),
                                           .down_ns = frame_ns(down, stream->result_bytes),
                                           .down_air_s = air_s(down, stream->result_bytes)};
}

/* Room for a lane, and what no order changes. */
static void lane_make(struct evaluator *evaluator, uint32_t i, struct lane *lane)
{
    const struct napm_problem_stream *stream = evaluator->problem->view.streams[i];
    struct arena *arena = &evaluator->arena;
    uint32_t layers = stream->layer_count, hop_count = stream->route_count - 1;
    lane->hops = ARENA_ARRAY(arena, struct flow_hop, hop_count);
    lane->crossings = ARENA_ARRAY(arena, struct crossing, hop_count);
    lane->until_ns = ARENA_ARRAY(arena, int64_t *, hop_count);
    lane->extra_ns = ARENA_ARRAY(arena, int64_t *, hop_count);
    for (uint32_t h = 0; h < hop_count; h++)
        make_hop(evaluator, stream, h, lane);
    lane->bytes = ARENA_ARRAY(arena, uint64_t, layers + 1);
    lane->station_ns = ARENA_ARRAY(arena, int64_t, layers);
    lane->station_until_ns = ARENA_ARRAY(arena, int64_t, layers + 1);
    lane->batch_until_ns = stream->batch_ns ? ARENA_ARRAY(arena, int64_t, layers + 1) : NULL;
    *lane->flow = (struct flow_stream){
        .hops = lane->hops,
        .hop_count = hop_count,
        .layer_count = layers,
        .station_layer_ns = lane->station_ns,
        .station_until_ns = lane->station_until_ns,
        .batch_until_ns = lane->batch_until_ns,
        .cut_bytes = lane->bytes,
        .result_bytes = stream->result_bytes,
        .deadline_ns = stream->deadline_ns,
        .priority = stream->priority,
        .weight = stream->weight,
        .model = evaluator->problem->streams[i].model,
        .result_returns = stream->result_returns,
        .result_to_station = stream->result_to_station,
    };
}

/* Sums of the times (NULL: zeros) of the layers before each c. */
static void fill_sums(int64_t *until, const int64_t *times, const uint32_t *order, uint32_t count)
{
    until[0] = 0;
    for (uint32_t place = 0; place < count; place++)
        until[place + 1] = until[place] + (times ? times[order_layer(order, place)] : 0);
}

static void fill_hop(struct evaluator *evaluator, const struct napm_problem_stream *stream, uint32_t h,
                     struct lane *lane)
{
    const struct link_conditions *up = conditions_up(evaluator, stream, h);
    fill_sums(lane->until_ns[h], stream->layer_ns[stream->route_nodes[h]], lane->order, stream->layer_count);
    for (uint32_t c = 0; c <= stream->layer_count; c++) {
        lane->extra_ns[h][c] = up->loss > 0 ? link_expected_delay_ns(up, lane->bytes[c]) : 0;
        lane->crossings[h].up_ns[c] = frame_ns(up, lane->bytes[c]);
        lane->crossings[h].up_air_s[c] = air_s(up, lane->bytes[c]);
    }
}

/* What follows from lane->order. */
static void lane_fill(struct evaluator *evaluator, uint32_t i, struct lane *lane)
{
    const struct napm_problem_stream *stream = evaluator->problem->view.streams[i];
    const int64_t *station_ns = stream->layer_ns[evaluator->problem->view.station];
    uint32_t layers = stream->layer_count;
    if (lane->order)
        order_cut_bytes(stream->model, lane->order, lane->bytes);
    for (uint32_t c = lane->order ? layers : 0; c <= layers; c++)
        lane->bytes[c] = stream->cuts[c]->bytes;
    for (uint32_t h = 0; h < stream->route_count - 1; h++)
        fill_hop(evaluator, stream, h, lane);
    for (uint32_t place = 0; station_ns && place < layers; place++)
        lane->station_ns[place] = station_ns[order_layer(lane->order, place)];
    fill_sums(lane->station_until_ns, station_ns, lane->order, layers);
    if (lane->batch_until_ns)
        fill_sums(lane->batch_until_ns, stream->batch_ns, lane->order, layers);
}

/* The stream's lane in an order that is not the model's own. */
static struct lane *other_lane(struct evaluator *evaluator, uint32_t i, const uint32_t *order)
{
    uint32_t layers = evaluator->problem->view.streams[i]->layer_count;
    struct lane *lane = evaluator->others[i];
    if (!lane) {
        lane = evaluator->others[i] = ARENA_ARRAY(&evaluator->arena, struct lane, 1);
        lane->flow = ARENA_ARRAY(&evaluator->arena, struct flow_stream, 1);
        lane_make(evaluator, i, lane);
    } else if (order_same(lane->order, order, 0, layers)) {
        return lane;
    }
    if (!lane->order)
        lane->order = ARENA_ARRAY(&evaluator->arena, uint32_t, layers);
    memcpy(lane->order, order, layers * sizeof(*order));
    lane_fill(evaluator, i, lane);
    return lane;
}

/* Equal for streams of one model whose layers stand in the same order; lanes of the streams before it stand. */
static uint32_t number_of_order(const struct evaluator *evaluator, const struct placements *placements, uint32_t stream)
{
    uint32_t layers = evaluator->problem->view.streams[stream]->layer_count;
    for (uint32_t i = stream; i-- > 0;) /* most often the next one is like it */
        if (placements->orders[i] && has_same_layers(evaluator, placements, stream, i, 0, layers))
            return evaluator->others[i]->flow->order;
    return stream + 1;
}

/* To be called stream after stream. */
static const struct lane *choose_lane(struct evaluator *evaluator, const struct placements *placements, uint32_t stream)
{
    const uint32_t *order = placements_order(placements, stream);
    struct lane *lane = order ? other_lane(evaluator, stream, order) : &evaluator->lanes[stream];
    if (order)
        lane->flow->order = number_of_order(evaluator, placements, stream);
    evaluator->ordered[stream] = order ? lane->flow : NULL;
    return lane;
}

/* ---- lone tasks */

static struct lone_task lone_task(const struct evaluator *evaluator, const struct lane *lane, const uint32_t *cuts)
{
    const struct napm_problem *view = &evaluator->problem->view;
    const struct flow_stream *flow = lane->flow;
    const struct crossing *crossings = lane->crossings;
    struct lone_task task = {0};
    uint32_t done = 0, links = 0; /* layers done; links gone up */
    while (links < flow->hop_count) {
        const struct napm_problem_node *node = view->nodes[flow->hops[links].node];
        double ns = (double)(flow->hops[links].until_ns[cuts[links]] - flow->hops[links].until_ns[done]);
        done = cuts[links];
        task.ns += ns;
        task.joules += node->busy_w * ns / 1e9;
        if (done == flow->layer_count && !flow->result_to_station)
            break;
        task.ns += crossings[links].up_ns[done];
        task.joules += node->transmit_w * crossings[links].up_air_s[done];
        links++;
    }
    if (done < flow->layer_count) {
        double ns = (double)(flow->station_until_ns[flow->layer_count] - flow->station_until_ns[done]);
        task.ns += ns;
        task.joules += view->nodes[view->station]->busy_w * ns / 1e9;
    }
    while (flow->result_returns && links-- > 0) {
        uint32_t sender = links + 1 < flow->hop_count ? flow->hops[links + 1].node : view->station;
        task.ns += crossings[links].down_ns;
        task.joules += view->nodes[sender]->transmit_w * crossings[links].down_air_s;
    }
    return task;
}

/* ---- results */

/* The 0.99 quantile as stats_quantile_sorted has it, from the few greatest delays. */
static double quantile99(const struct tally *tally)
{
    uint32_t keep = (tally->count - 1) / 100 + 2, kept = 0;
    double *greatest = tally->greatest; /* ascending */
    keep = least(keep, tally->count);
    for (uint32_t i = 0; i < tally->count; i++) {
        double delay = tally->delays_ns[i];
        if (kept == keep && delay <= greatest[0])
            continue;
        uint32_t at;
        if (kept == keep) { /* the least of them goes */
            for (at = 0; at + 1 < kept && greatest[at + 1] < delay; at++)
                greatest[at] = greatest[at + 1];
        } else {
            for (at = kept++; at > 0 && greatest[at - 1] > delay; at--)
                greatest[at] = greatest[at - 1];
        }
        greatest[at] = delay;
    }
    double place = 0.99 * (tally->count - 1);
    uint32_t below = (uint32_t)place, first = tally->count - kept;
    double low = greatest[below - first];
    double high = below + 1 < tally->count ? greatest[below + 1 - first] : low;
    return low + (high - low) * (place - below);
}

static double objective_of(const struct napm_objective *wish, const struct napm_evaluation *result)
{
    return wish->delay_per_s * result->mean_ns / 1e9 + wish->deviation_per_s * sqrt(result->variance_ns2) / 1e9 +
           wish->energy_per_j * result->energy_j / result->task_count + wish->miss * result->deadline_misses;
}

static void summarise(const struct evaluator *evaluator, struct napm_evaluation *result)
{
    const struct tally *tally = &evaluator->tally;
    double total = 0, squares = 0, greatest = 0;
    result->task_count = tally->count;
    for (uint32_t i = 0; i < tally->count; i++) {
        total += tally->delays_ns[i];
        greatest = tally->delays_ns[i] > greatest ? tally->delays_ns[i] : greatest;
    }
    if (tally->count == 0)
        return;
    result->total_ns = total;
    result->mean_ns = total / tally->count;
    for (uint32_t i = 0; i < tally->count; i++)
        squares += (tally->delays_ns[i] - result->mean_ns) * (tally->delays_ns[i] - result->mean_ns);
    result->variance_ns2 = squares / tally->count;
    result->maximum_ns = greatest;
    result->p99_ns = quantile99(tally);
    result->deadline_misses = (double)tally->misses / tally->count;
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++)
        result->energy_j += tally->counts[i] * evaluator->lone[i].joules;
    result->objective = objective_of(evaluator->problem->view.objective, result);
}

static void summarise_phases(const struct evaluator *evaluator, struct napm_phases *phases)
{
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++) {
        double count = evaluator->tally.counts[i] ? evaluator->tally.counts[i] : 1;
        const struct napm_phases *sum = &evaluator->tally.phases[i];
        phases[i] = (struct napm_phases){sum->local_ns / count, sum->transmit_ns / count, sum->queue_ns / count,
                                         sum->remote_ns / count, sum->return_ns / count};
    }
}

static void say_infinite(const struct evaluator *evaluator, struct napm_evaluation *result)
{
    result->total_ns = result->mean_ns = result->variance_ns2 = INFINITY;
    result->maximum_ns = result->p99_ns = result->energy_j = result->objective = INFINITY;
    result->deadline_misses = 1;
    for (uint32_t i = 0; result->phases && i < evaluator->problem->view.stream_count; i++)
        result->phases[i] = (struct napm_phases){INFINITY, INFINITY, INFINITY, INFINITY, INFINITY};
}

/* Copies what the caller's structure has room for; its size and phases stay. */
static void give_result(struct napm_evaluation *result, struct napm_evaluation *mine)
{
    uint32_t size = result->size;
    mine->size = size;
    memcpy(result, mine, size < sizeof(*mine) ? size : sizeof(*mine));
}

/* ---- an evaluation */

static int open_reactive(struct evaluator *evaluator, struct error *error)
{
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++) {
        struct source *source = &evaluator->sources[i];
        source->next = 0;
        if (source->reactive && open_source(evaluator, i, error) != 0)
            return -1;
    }
    return 0;
}

static void close_reactive(struct evaluator *evaluator)
{
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++)
        generator_close(&evaluator->sources[i].generator);
}

static int drive(struct evaluator *evaluator, const struct placements *placements, struct error *error)
{
    const struct flow_plan plan = {.cuts = placements->cuts, .ordered = placements->orders ? evaluator->ordered : NULL};
    struct instance_host host = {
        .label = "scheduler", .seed = evaluator->problem->seed, .now_ns = flow_now_ns, .context = evaluator->flow};
    const struct flow_driver driver = {.context = evaluator, .next = next_task, .ended = task_ended};
    struct instance *scheduler =
        instance_open(evaluator->catalogue, NAPM_KIND_SCHEDULER, &evaluator->problem->scheduler, &host, error);
    if (!scheduler)
        return -1;
    int failed = open_reactive(evaluator, error);
    if (!failed)
        failed = flow_run(evaluator->flow, &plan, scheduler, &driver, evaluator->cancel, error);
    close_reactive(evaluator);
    instance_close(scheduler);
    return failed;
}

/* Gives up, with infinite delays, where the total must come out above `limit_ns`. */
static int run(struct evaluator *evaluator, const struct placements *placements, const uint32_t *task_counts,
               double limit_ns, struct napm_evaluation *result, struct error *error)
{
    uint32_t count = evaluator->problem->view.stream_count;
    struct napm_evaluation mine = {.phases = result->phases};
    struct tally *tally = &evaluator->tally;
    if (evaluator->cancel && atomic_load(evaluator->cancel))
        return error_set(error, ERROR_CANCELLED, "stopped while planning");
    mine.feasible = is_feasible(evaluator, placements);
    for (uint32_t i = 0; i < count; i++)
        evaluator->lone[i] =
            lone_task(evaluator, choose_lane(evaluator, placements, i), cuts_of(evaluator, placements, i));
    tally->limit_ns = limit_ns * (1 + 1e-12); /* sums of rounded numbers */
    tally->bound_ns = limit_ns < INFINITY ? least_total_ns(evaluator) : 0;
    if (!mine.feasible || tally->bound_ns > tally->limit_ns) {
        say_infinite(evaluator, &mine);
        give_result(result, &mine);
        return 0;
    }
    for (uint32_t i = 0; i < count; i++)
        evaluator->streams[i].task_count = task_counts[i];
    tally->count = tally->misses = 0;
    memset(tally->phases, 0, count * sizeof(*tally->phases));
    memset(tally->counts, 0, count * sizeof(*tally->counts));
    int outcome = drive(evaluator, placements, error);
    if (outcome < 0)
        return -1;
    if (outcome > 0) {
        say_infinite(evaluator, &mine);
    } else {
        summarise(evaluator, &mine);
        if (mine.phases)
            summarise_phases(evaluator, mine.phases);
    }
    give_result(result, &mine);
    return 0;
}

/* The cuts of a placement that is one of the layer order; -1: it is not. */
static int read_own_order(const struct napm_problem_stream *view, const uint32_t *node_of_layer, uint32_t *cuts)
{
    uint32_t place = 0, hops = view->route_count - 1;
    for (uint32_t layer = 0; layer < view->layer_count; layer++)
        while (view->route_nodes[place] != node_of_layer[layer]) {
            if (place == hops)
                return -1;
            cuts[place++] = layer;
        }
    while (place < hops)
        cuts[place++] = view->layer_count;
    return 0;
}

int evaluator_read_way(const struct napm_problem *problem, uint32_t stream, const uint32_t *node_of_layer,
                       uint32_t *order, uint32_t *cuts, struct order_fault *fault)
{
    const struct napm_problem_stream *view = problem->streams[stream];
    *fault = (struct order_fault){NAPM_NONE, NAPM_NONE};
    if (read_own_order(view, node_of_layer, cuts) == 0)
        return 0;
    if (!view->model)
        return -1;
    uint32_t *places = NEW_ARRAY(uint32_t, view->layer_count);
    int answer = 0;
    for (uint32_t layer = 0; answer == 0 && layer < view->layer_count; layer++) {
        while (places[layer] < view->route_count && view->route_nodes[places[layer]] != node_of_layer[layer])
            places[layer]++;
        if (places[layer] == view->route_count)
            answer = -1;
    }
    if (answer == 0)
        answer = order_make(view->model, places, view->route_count, order, cuts, fault);
    free(places);
    return answer;
}

static uint32_t *order_row(struct evaluator *evaluator, uint32_t stream)
{
    uint32_t **row = &evaluator->order_rows[stream];
    if (!*row)
        *row = ARENA_ARRAY(&evaluator->arena, uint32_t, evaluator->problem->view.streams[stream]->layer_count);
    return *row;
}

/* Keeps the plan in `cuts` and `orders`. */
static int32_t read_plan(struct evaluator *evaluator, const struct napm_plan *plan, struct placements *placements)
{
    const struct napm_problem *view = &evaluator->problem->view;
    struct order_fault fault;
    *placements = (struct placements){.cuts = evaluator->cuts};
    for (uint32_t i = 0; i < view->stream_count; i++) {
        uint32_t *cuts = evaluator->cuts + evaluator->first_cuts[i];
        evaluator->orders[i] = NULL;
        if (read_own_order(view->streams[i], plan->node_of_layer[i], cuts) == 0)
            continue;
        if (evaluator_read_way(view, i, plan->node_of_layer[i], order_row(evaluator, i), cuts, &fault) < 0)
            return NAPM_ERR_INVALID;
        evaluator->orders[i] = evaluator->order_rows[i];
        placements->orders = evaluator->orders;
    }
    return NAPM_OK;
}

static void fill_way(const struct evaluator *evaluator, uint32_t stream, uint32_t c, uint32_t *cuts)
{
    for (uint32_t h = 0; h < hops_of(evaluator, stream); h++)
        cuts[h] = c;
}

void evaluator_spread(const struct evaluator *evaluator, const uint32_t *cut_of_stream, uint32_t *cuts)
{
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++)
        fill_way(evaluator, i, cut_of_stream[i], cuts + evaluator->first_cuts[i]);
}

uint32_t evaluator_cut_count(const struct evaluator *evaluator)
{
    return evaluator->first_cuts[evaluator->problem->view.stream_count];
}

static int32_t search(struct evaluator *evaluator, const struct placements *placements, double limit_ns,
                      struct napm_evaluation *result)
{
    struct error error = {0};
    if (run(evaluator, placements, evaluator->search_tasks, limit_ns, result, &error) == 0)
        return NAPM_OK;
    if (evaluator->failure.kind == ERROR_NONE)
        evaluator->failure = error;
    return error.kind == ERROR_CANCELLED ? NAPM_ERR_CANCELLED : NAPM_ERR_FAILED;
}

static int32_t evaluate(const struct napm_evaluator *table, const struct napm_plan *plan,
                        struct napm_evaluation *result)
{
    struct evaluator *evaluator = table->context;
    struct placements placements;
    int32_t status = read_plan(evaluator, plan, &placements);
    return status < 0 ? status : search(evaluator, &placements, INFINITY, result);
}

static int32_t evaluate_cut(const struct napm_evaluator *table, const struct napm_plan *plan, uint32_t stream,
                            uint32_t c, double total_limit_ns, struct napm_evaluation *result)
{
    struct evaluator *evaluator = table->context;
    const struct napm_problem *view = &evaluator->problem->view;
    struct placements placements;
    if (stream >= view->stream_count || c > view->streams[stream]->layer_count)
        return NAPM_ERR_INVALID;
    int32_t status = read_plan(evaluator, plan, &placements);
    fill_way(evaluator, stream, c, evaluator->cuts + evaluator->first_cuts[stream]);
    evaluator->orders[stream] = NULL;
    return status < 0 ? status : search(evaluator, &placements, total_limit_ns, result);
}

static double isolated(const struct napm_evaluator *table, uint32_t stream, uint32_t c)
{
    const struct evaluator *evaluator = table->context;
    const struct napm_problem *view = &evaluator->problem->view;
    return stream < view->stream_count && c <= view->streams[stream]->layer_count ? evaluator->isolated_ns[stream][c]
                                                                                  : INFINITY;
}

static uint32_t task_count(const struct napm_evaluator *table, uint32_t stream)
{
    const struct evaluator *evaluator = table->context;
    return stream < evaluator->problem->view.stream_count ? counted_tasks(evaluator, stream) : 0;
}

static uint64_t range_bytes(const struct napm_evaluator *table, uint32_t stream, uint32_t first, uint32_t end)
{
    const struct evaluator *evaluator = table->context;
    const struct napm_problem *view = &evaluator->problem->view;
    if (stream >= view->stream_count || end > view->streams[stream]->layer_count || first >= end)
        return 0;
    struct need need = need_of(evaluator, stream, NULL, first, end);
    return need.weight_bytes + need.activation_bytes;
}

const struct napm_evaluator *evaluator_table(const struct evaluator *evaluator)
{
    return &evaluator->table;
}

int evaluator_predict(struct evaluator *evaluator, const struct placements *placements, struct napm_evaluation *result,
                      struct error *error)
{
    return run(evaluator, placements, evaluator->predicted_tasks, INFINITY, result, error);
}

int evaluator_take_failure(struct evaluator *evaluator, struct error *error)
{
    if (evaluator->failure.kind == ERROR_NONE)
        return 0;
    if (error)
        *error = evaluator->failure;
    evaluator->failure.kind = ERROR_NONE;
    return -1;
}

/* ---- preparation */

static void prepare_lane(struct evaluator *evaluator, uint32_t i)
{
    struct lane *lane = &evaluator->lanes[i];
    evaluator->first_cuts[i + 1] = evaluator->first_cuts[i] + evaluator->problem->view.streams[i]->route_count - 1;
    lane->flow = &evaluator->streams[i];
    lane_make(evaluator, i, lane);
    lane_fill(evaluator, i, lane);
}

static void prepare_isolated(struct evaluator *evaluator, uint32_t i)
{
    const struct napm_problem_stream *stream = evaluator->problem->view.streams[i];
    uint32_t *cuts = evaluator->cuts + evaluator->first_cuts[i];
    double *isolated_ns = ARENA_ARRAY(&evaluator->arena, double, stream->layer_count + 1);
    for (uint32_t c = 0; c <= stream->layer_count; c++) {
        fill_way(evaluator, i, c, cuts);
        isolated_ns[c] = stream->cuts[c]->feasible ? lone_task(evaluator, &evaluator->lanes[i], cuts).ns : INFINITY;
    }
    evaluator->isolated_ns[i] = isolated_ns;
}

/* The links with the mean of their delay instead of chance. Where there is loss, the mean depends on the frame. */
static struct link_spec *mean_links(struct evaluator *evaluator)
{
    const struct problem *problem = evaluator->problem;
    struct link_spec *links = ARENA_ARRAY(&evaluator->arena, struct link_spec, problem->view.link_count);
    for (uint32_t i = 0; i < problem->view.link_count; i++) {
        links[i] = problem->links[i];
        for (int way = LINK_UP; way <= LINK_DOWN; way++) {
            struct link_conditions *conditions = &links[i].conditions[way];
            int64_t delay_ns = conditions->loss > 0 ? 0 : link_expected_delay_ns(conditions, LINK_PACKET_BYTES);
            *conditions = (struct link_conditions){.bytes_per_s = conditions->bytes_per_s, .delay_ns = delay_ns};
        }
    }
    return links;
}

static void prepare_memory(struct evaluator *evaluator)
{
    const struct problem *problem = evaluator->problem;
    struct arena *arena = &evaluator->arena;
    uint32_t count = problem->view.stream_count, *last = ARENA_ARRAY(arena, uint32_t, problem->view.node_count);
    evaluator->need_bytes = ARENA_ARRAY(arena, uint64_t, problem->view.node_count);
    evaluator->before_on_device = ARENA_ARRAY(arena, uint32_t, count);
    evaluator->stamps = ARENA_ARRAY(arena, uint32_t *, problem->model_count);
    for (uint32_t node = 0; node < problem->view.node_count; node++)
        last[node] = NAPM_NONE;
    for (uint32_t i = 0; i < count; i++) {
        const struct napm_problem_stream *stream = problem->view.streams[i];
        evaluator->before_on_device[i] = last[stream->device];
        last[stream->device] = i;
        if (problem->streams[i].cuts && !evaluator->stamps[problem->streams[i].model])
            evaluator->stamps[problem->streams[i].model] = ARENA_ARRAY(arena, uint32_t, stream->layer_count + 1);
    }
}

static int prepare_tasks(struct evaluator *evaluator, struct error *error)
{
    struct arena *arena = &evaluator->arena;
    uint32_t count = evaluator->problem->view.stream_count;
    size_t tasks = 0;
    evaluator->sources = ARENA_ARRAY(arena, struct source, count);
    evaluator->search_tasks = ARENA_ARRAY(arena, uint32_t, count);
    evaluator->predicted_tasks = ARENA_ARRAY(arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        if (prepare_source(evaluator, i, error) != 0)
            return error_prefix(error, "stream '%s'", evaluator->problem->view.streams[i]->name);
        tasks += evaluator->predicted_tasks[i];
    }
    evaluator->tally.delays_ns = ARENA_ARRAY(arena, double, tasks);
    evaluator->tally.greatest = ARENA_ARRAY(arena, double, tasks / 100 + 3);
    evaluator->tally.phases = ARENA_ARRAY(arena, struct napm_phases, count);
    evaluator->tally.counts = ARENA_ARRAY(arena, uint32_t, count);
    return 0;
}

struct evaluator *evaluator_new(struct problem *problem, struct catalogue *catalogue, const atomic_bool *cancel,
                                struct error *error)
{
    uint32_t count = problem->view.stream_count;
    struct evaluator *evaluator = NEW(struct evaluator);
    evaluator->problem = problem;
    evaluator->catalogue = catalogue;
    evaluator->cancel = cancel;
    evaluator->table = (struct napm_evaluator){.size = sizeof(evaluator->table),
                                               .context = evaluator,
                                               .evaluate = evaluate,
                                               .isolated_ns = isolated,
                                               .task_count = task_count,
                                               .range_bytes = range_bytes,
                                               .evaluate_cut = evaluate_cut};
    evaluator->streams = ARENA_ARRAY(&evaluator->arena, struct flow_stream, count);
    evaluator->isolated_ns = ARENA_ARRAY(&evaluator->arena, double *, count);
    evaluator->lanes = ARENA_ARRAY(&evaluator->arena, struct lane, count);
    evaluator->others = ARENA_ARRAY(&evaluator->arena, struct lane *, count);
    evaluator->order_rows = ARENA_ARRAY(&evaluator->arena, uint32_t *, count);
    evaluator->orders = ARENA_ARRAY(&evaluator->arena, const uint32_t *, count);
    evaluator->ordered = ARENA_ARRAY(&evaluator->arena, const struct flow_stream *, count);
    evaluator->first_cuts = ARENA_ARRAY(&evaluator->arena, uint32_t, count + 1);
    evaluator->lone = ARENA_ARRAY(&evaluator->arena, struct lone_task, count);
    for (uint32_t i = 0; i < count; i++)
        prepare_lane(evaluator, i);
    evaluator->cuts = ARENA_ARRAY(&evaluator->arena, uint32_t, evaluator->first_cuts[count]);
    for (uint32_t i = 0; i < count; i++)
        prepare_isolated(evaluator, i);
    prepare_memory(evaluator);
    evaluator->flow = flow_new(&(struct flow_setup){.streams = evaluator->streams,
                                                    .links = mean_links(evaluator),
                                                    .stream_count = count,
                                                    .node_count = problem->view.node_count,
                                                    .link_count = problem->view.link_count,
                                                    .station = problem->view.station,
                                                    .workers = problem->workers,
                                                    .seed = problem->seed});
    if (prepare_tasks(evaluator, error) != 0) {
        evaluator_free(evaluator);
        return NULL;
    }
    return evaluator;
}

void evaluator_free(struct evaluator *evaluator)
{
    if (!evaluator)
        return;
    flow_free(evaluator->flow);
    arena_free(&evaluator->arena);
    free(evaluator);
}
