/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world's tasks: the scenario as the engine of virtual time sees it, and what it reports. */
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/flow/flow.h"
#include "core/flow/generator.h"
#include "core/scenario/arena.h"
#include "core/world/changes.h"
#include "core/world/energy.h"
#include "core/world/sim_private.h"

#define PROGRESS_EVERY 4096 /* tasks */

/* An order, not the model's own, in which some plan has its layers run; a model has few of them. */
struct known_order {
    const uint32_t *layers; /* by place */
    uint32_t number; /* from 1 */
    const uint64_t *cut_bytes; /* by c */
    struct known_order *next; /* of the model */
};

/* A profile in some order with its running sums, made once for all streams that share it. */
struct sums {
    struct sums_key {
        const int64_t *source; /* the profile as it was given, or its sums in the model's own order */
        const struct known_order *order; /* NULL: the model's own */
    } key;
    int64_t *own_ns, *until_ns;
    UT_hash_handle hh;
};

struct sim {
    struct world *world;
    const struct scenario *scenario;
    const int64_t *const *const *layer_ns; /* while deploying */
    struct flow_plan deployed;
    const struct world_sink *sink;
    struct arena arena;
    struct sums *sums;
    const uint64_t **cut_bytes; /* by model, in its own order */
    struct known_order **orders; /* by model, the newest first */
    struct flow_stream *streams; /* in their models' own orders */
    const struct flow_stream **ordered; /* by stream: in the other order that it had last; NULL: in none */
    struct link_spec *links;
    double *variation;
    struct flow *flow;
    struct generator *generators;
    struct instance *scheduler;
    struct changes *changes;
    struct energy *energy; /* NULL: no power models */
    uint32_t plan; /* the newest that is in force */
    const struct placements *coming; /* asked for, and not in force yet; NULL: none */
    int64_t coming_ns; /* when that will be in force */
    bool wants_plan; /* another one was due meanwhile */
    struct task_record record; /* of the task that ends */
    struct task_hop *hops; /* of that task: room for the longest way */
    uint64_t tasks_done, tasks_of;
    bool abandoning;
};

/* ---- the scenario as the engine sees it */

static struct sums *find_sums(const struct sim *sim, const int64_t *source, const struct known_order *order)
{
    const struct sums_key key = {source, order};
    struct sums *found;
    HASH_FIND(hh, sim->sums, &key, sizeof(key), found);
    return found;
}

/* Keeps the times of layers, by place, under that key. */
static struct sums *add_sums(struct sim *sim, const int64_t *source, const struct known_order *order, int64_t *own_ns,
                             uint32_t layer_count)
{
    struct sums *sums = arena_new(&sim->arena, sizeof(*sums));
    sums->key = (struct sums_key){source, order};
    sums->own_ns = arena_keep(&sim->arena, own_ns);
    sums->until_ns = ARENA_ARRAY(&sim->arena, int64_t, layer_count + 1);
    for (uint32_t i = 0; i < layer_count; i++)
        sums->until_ns[i + 1] = sums->until_ns[i] + own_ns[i];
    HASH_ADD(hh, sim->sums, key, sizeof(sums->key), sums);
    return sums;
}

static const struct sums *sums_of(struct sim *sim, const int64_t *layer_ns, uint32_t layer_count)
{
    const struct sums *found = find_sums(sim, layer_ns, NULL);
    return found ? found
                 : add_sums(sim, layer_ns, NULL, memory_copy(layer_ns, layer_count * sizeof(*layer_ns)), layer_count);
}

/* What has these sums in the model's own order, in another one. */
static const struct sums *reordered(struct sim *sim, const int64_t *until_ns, const struct known_order *order,
                                    uint32_t layer_count)
{
    const struct sums *found = find_sums(sim, until_ns, order);
    if (found)
        return found;
    int64_t *own_ns = NEW_ARRAY(int64_t, layer_count);
    for (uint32_t place = 0; place < layer_count; place++)
        own_ns[place] = until_ns[order->layers[place] + 1] - until_ns[order->layers[place]];
    return add_sums(sim, until_ns, order, own_ns, layer_count);
}

static const uint64_t *cut_bytes_of(struct sim *sim, uint32_t model, const uint32_t *order)
{
    const struct napm_model *view = model_view(sim->scenario->models[model].model);
    uint64_t *bytes = ARENA_ARRAY(&sim->arena, uint64_t, view->layer_count + 1);
    order_cut_bytes(view, order, bytes);
    return bytes;
}

/* A device that is only passed and that was not profiled gets no layers: any times will do. */
static const struct flow_hop *hops_of(struct sim *sim, const struct scenario_stream *stream, uint32_t count,
                                      uint32_t layers)
{
    const struct scenario *scenario = sim->scenario;
    struct flow_hop *hops = ARENA_ARRAY(&sim->arena, struct flow_hop, count);
    const int64_t *station_ns = sim->layer_ns[scenario->station][stream->model];
    uint32_t node = stream->device;
    for (uint32_t i = 0; i < count; i++) {
        const int64_t *layer_ns = sim->layer_ns[node][stream->model];
        hops[i].node = node;
        hops[i].link = scenario->link_of_node[node];
        hops[i].until_ns = sums_of(sim, layer_ns ? layer_ns : station_ns, layers)->until_ns;
        node = scenario->links[hops[i].link].upper;
    }
    return hops;
}

static void make_stream(struct sim *sim, uint32_t index)
{
    const struct scenario_stream *stream = &sim->scenario->streams[index];
    uint32_t layers = model_view(sim->scenario->models[stream->model].model)->layer_count;
    const struct sums *station = sums_of(sim, sim->layer_ns[sim->scenario->station][stream->model], layers);
    const int64_t *const *batch_ns = sim->layer_ns[sim->scenario->node_count];
    uint32_t hops = scenario_way_length(sim->scenario, stream->device);
    if (!sim->cut_bytes[stream->model])
        sim->cut_bytes[stream->model] = cut_bytes_of(sim, stream->model, NULL);
    sim->streams[index] = (struct flow_stream){
        .hops = hops_of(sim, stream, hops, layers),
        .hop_count = hops,
        .layer_count = layers,
        .task_count = stream->task_count,
        .model = stream->model,
        .station_layer_ns = station->own_ns,
        .station_until_ns = station->until_ns,
        .batch_until_ns = batch_ns ? sums_of(sim, batch_ns[stream->model], layers)->until_ns : NULL,
        .cut_bytes = sim->cut_bytes[stream->model],
        .result_bytes = sim->cut_bytes[stream->model][layers],
        .deadline_ns = stream->deadline_ns,
        .weight = stream->weight,
        .priority = stream->priority,
        .result_returns = stream->result_returns,
        .result_to_station = stream->result_to_station,
    };
    sim->tasks_of += stream->task_count;
}

static void make_setup(struct sim *sim)
{
    const struct scenario *scenario = sim->scenario;
    sim->streams = ARENA_ARRAY(&sim->arena, struct flow_stream, scenario->stream_count);
    sim->cut_bytes = ARENA_ARRAY(&sim->arena, const uint64_t *, scenario->model_count);
    sim->orders = ARENA_ARRAY(&sim->arena, struct known_order *, scenario->model_count);
    sim->ordered = ARENA_ARRAY(&sim->arena, const struct flow_stream *, scenario->stream_count);
    for (uint32_t i = 0; i < scenario->stream_count; i++)
        make_stream(sim, i);
    sim->hops = ARENA_ARRAY(&sim->arena, struct task_hop, scenario->node_count); /* no way passes a node twice */
    sim->links = ARENA_ARRAY(&sim->arena, struct link_spec, scenario->link_count);
    for (uint32_t i = 0; i < scenario->link_count; i++)
        sim->links[i] = scenario->links[i].spec;
    sim->variation = ARENA_ARRAY(&sim->arena, double, scenario->node_count);
    for (uint32_t i = 0; i < scenario->node_count; i++)
        sim->variation[i] = scenario->nodes[i].speed.variation;
    sim->flow = flow_new(&(struct flow_setup){.streams = sim->streams,
                                              .links = sim->links,
                                              .stream_count = scenario->stream_count,
                                              .node_count = scenario->node_count,
                                              .link_count = scenario->link_count,
                                              .station = scenario->station,
                                              .workers = scenario->nodes[scenario->station].workers,
                                              .seed = sim->world->setup.seed,
                                              .variation = sim->variation});
}

/* ---- plans as the engine sees them */

static const struct known_order *know_order(struct sim *sim, uint32_t model, const uint32_t *layers)
{
    uint32_t count = model_view(sim->scenario->models[model].model)->layer_count;
    struct known_order *known = sim->orders[model];
    while (known && !order_same(known->layers, layers, 0, count))
        known = known->next;
    if (known)
        return known;
    known = ARENA_ARRAY(&sim->arena, struct known_order, 1);
    known->layers = arena_keep(&sim->arena, memory_copy(layers, count * sizeof(*layers)));
    known->number = sim->orders[model] ? sim->orders[model]->number + 1 : 1;
    known->cut_bytes = cut_bytes_of(sim, model, layers);
    known->next = sim->orders[model];
    sim->orders[model] = known;
    return known;
}

static const struct flow_stream *make_ordered(struct sim *sim, uint32_t index, const struct known_order *order)
{
    const struct flow_stream *own = &sim->streams[index];
    struct flow_stream *stream = ARENA_ARRAY(&sim->arena, struct flow_stream, 1);
    struct flow_hop *hops = ARENA_ARRAY(&sim->arena, struct flow_hop, own->hop_count);
    const struct sums *station = reordered(sim, own->station_until_ns, order, own->layer_count);
    for (uint32_t h = 0; h < own->hop_count; h++) {
        hops[h] = own->hops[h];
        hops[h].until_ns = reordered(sim, own->hops[h].until_ns, order, own->layer_count)->until_ns;
    }
    *stream = *own;
    stream->hops = hops;
    stream->order = order->number;
    stream->station_layer_ns = station->own_ns;
    stream->station_until_ns = station->until_ns;
    if (own->batch_until_ns)
        stream->batch_until_ns = reordered(sim, own->batch_until_ns, order, own->layer_count)->until_ns;
    stream->cut_bytes = order->cut_bytes;
    return stream;
}

/* The placement stays valid until the run is over. */
static struct flow_plan make_plan(struct sim *sim, const struct placements *placements)
{
    struct flow_plan plan = {.cuts = placements->cuts};
    const struct flow_stream **ordered =
        placements->orders ? ARENA_ARRAY(&sim->arena, const struct flow_stream *, sim->scenario->stream_count) : NULL;
    for (uint32_t i = 0; ordered && i < sim->scenario->stream_count; i++) {
        if (!placements->orders[i])
            continue;
        const struct known_order *order = know_order(sim, sim->scenario->streams[i].model, placements->orders[i]);
        if (!sim->ordered[i] || sim->ordered[i]->order != order->number)
            sim->ordered[i] = make_ordered(sim, i, order);
        ordered[i] = sim->ordered[i];
    }
    plan.ordered = ordered;
    return plan;
}

static int open_plugins(struct sim *sim, struct error *error)
{
    const struct world_setup *setup = &sim->world->setup;
    const struct instance_host host = {
        .label = "scheduler", .seed = setup->seed, .now_ns = flow_now_ns, .context = sim->flow};
    sim->scheduler = instance_open(setup->catalogue, NAPM_KIND_SCHEDULER, &sim->scenario->scheduler, &host, error);
    if (!sim->scheduler)
        return -1;
    sim->generators = ARENA_ARRAY(&sim->arena, struct generator, sim->scenario->stream_count);
    for (uint32_t i = 0; i < sim->scenario->stream_count; i++) {
        const struct scenario_stream *stream = &sim->scenario->streams[i];
        if (generator_open(&sim->generators[i], setup->catalogue, &stream->arrivals, stream->name, setup->seed,
                           flow_now_ns, sim->flow, error) != 0)
            return -1;
        sim->streams[i].reactive = sim->generators[i].reactive;
        sim->generators[i].starts_ns = stream->starts_ns;
        sim->generators[i].start_count = stream->start_count;
    }
    return 0;
}

/* ---- tasks */

static int next_task(void *context, uint32_t stream, int64_t now_ns, int64_t *at_ns, struct error *error)
{
    struct sim *sim = context;
    return generator_next(&sim->generators[stream], now_ns, at_ns, error);
}

static void count_bytes(const struct flow_task *task, struct task_record *record)
{
    const struct flow_stream *stream = task->order;
    uint32_t first = task->cuts[0];
    if (first < stream->layer_count)
        record->up_bytes = stream->cut_bytes[first];
    else if (stream->result_to_station)
        record->up_bytes = stream->result_bytes;
    if (first < stream->layer_count && stream->result_returns)
        record->down_bytes = stream->result_bytes;
}

/* The devices on its way, behind its own. */
static void fill_hops(const struct sim *sim, const struct flow_task *task, struct task_record *record)
{
    const struct flow_stream *stream = &sim->streams[task->stream];
    record->hop_count = task->failure ? 0 : stream->hop_count - 1;
    record->hops = sim->hops;
    for (uint32_t i = 0; i < record->hop_count; i++) {
        const struct flow_passage *passage = &task->passages[i];
        sim->hops[i] = (struct task_hop){.node = stream->hops[i + 1].node,
                                         .cut = task->cuts[i + 1],
                                         .came_ns = passage->came_ns,
                                         .began_ns = passage->began_ns,
                                         .left_ns = passage->left_ns,
                                         .back_ns = passage->back_ns};
    }
}

static int task_ended(void *context, const struct flow_task *task)
{
    struct sim *sim = context;
    struct task_record *record = &sim->record;
    int64_t computed_ns = task->local_ns - task->device_wait_ns;
    if (computed_ns < 0) /* it ended before its device was done with it */
        computed_ns = 0;
    *record = (struct task_record){
        .stream = task->stream,
        .task = task->number,
        .status = !task->failure    ? TASK_OK
                  : sim->abandoning ? TASK_UNFINISHED
                                    : TASK_FAILED,
        .cause = task->failure,
        .by_event = task->failure && !sim->abandoning, /* nothing else fails here */
        .cut = task->cuts[0],
        .plan = task->plan,
        .warmup = task->number < sim->scenario->warmup_tasks,
        .started_ns = task->started_ns,
        .ended_ns = task->ended_ns,
        .phase_ns = {task->local_ns, task->transmit_ns, task->queue_ns, task->remote_ns, task->return_ns},
        .device_wait_ns = task->device_wait_ns,
        .device_compute_ns = computed_ns,
        .station_compute_ns = task->station_work_ns,
        .slices = task->slices,
        .energy_j = sim->energy ? task->energy_j : -1,
        .sending_j = sim->energy ? task->sending_j : -1,
    };
    fill_hops(sim, task, record);
    if (!task->failure)
        count_bytes(task, record);
    sim->sink->task(sim->sink->context, record);
    if (sim->sink->progress && ++sim->tasks_done % PROGRESS_EVERY == 0)
        sim->sink->progress(sim->sink->context, sim->tasks_done, sim->tasks_of);
    if (!sim->abandoning)
        generator_ended(&sim->generators[task->stream], task->ended_ns, task->number, task->failure != NULL);
    return 0;
}

static void computed(void *context, struct flow_task *task, uint32_t node, int64_t ns)
{
    task->energy_j += energy_compute(((struct sim *)context)->energy, node, ns);
}

static void sends(void *context, struct flow_task *task, uint32_t link, enum link_direction direction, uint64_t bytes,
                  int64_t now_ns)
{
    double joules = energy_send(((struct sim *)context)->energy, link, direction, bytes, now_ns);
    task->energy_j += joules;
    task->sending_j += joules;
}

/* ---- changes */

static int64_t change_ns(void *context)
{
    const struct sim *sim = context;
    int64_t next_ns = changes_next_ns(sim->changes), limit_ns = sim->scenario->time_limit_ns;
    next_ns = sim->coming && sim->coming_ns < next_ns ? sim->coming_ns : next_ns;
    return next_ns < limit_ns ? next_ns : limit_ns;
}

static const char *leave_cause(struct sim *sim, const struct change *change)
{
    char at[UNITS_TEXT_BYTES];
    units_format_duration(at, (double)change->at_ns);
    return arena_text(&sim->arena, "%s left by the scenario at %s", sim->scenario->nodes[change->index].name, at);
}

static void put_in_force(struct sim *sim, struct flow *flow, const struct placements *placements)
{
    const struct flow_plan plan = make_plan(sim, placements);
    flow_change_plan(flow, &plan);
    sim->plan++;
}

/* As in the local world, the next plan is asked for when this one is in force, with the conditions of then. */
static int replan(struct sim *sim, struct flow *flow, int64_t now_ns, struct error *error)
{
    const struct world_setup *setup = &sim->world->setup;
    const struct plan_request request = {.number = sim->plan + 1, .at_ns = now_ns, .now = sim->changes};
    if (!setup->replan)
        return 0;
    sim->wants_plan = sim->coming != NULL;
    if (sim->coming)
        return 0;
    const struct placements *placements = setup->replan(setup->replan_context, &request, error);
    if (!placements)
        return -1;
    if (sim->scenario->replan_takes_ns == 0) {
        put_in_force(sim, flow, placements);
        return 0;
    }
    sim->coming = placements;
    sim->coming_ns = now_ns + sim->scenario->replan_takes_ns;
    return 0;
}

static int take_coming(struct sim *sim, struct flow *flow, int64_t now_ns, struct error *error)
{
    put_in_force(sim, flow, sim->coming);
    for (uint32_t i = 0; sim->sink->plan_taken && i < sim->scenario->stream_count; i++)
        sim->sink->plan_taken(sim->sink->context, sim->plan, i, now_ns);
    sim->coming = NULL;
    return sim->wants_plan ? replan(sim, flow, now_ns, error) : 0;
}

static int carry_out(struct sim *sim, struct flow *flow, const struct change *change, struct error *error)
{
    switch (change->what) {
    case CHANGE_LINK:
        for (int direction = LINK_UP; direction <= LINK_DOWN; direction++)
            flow_change_link(flow, change->index, (enum link_direction)direction,
                             &changes_link(sim->changes, change->index)[direction]);
        return 0;
    case CHANGE_SPEED:
        flow_change_speed(flow, change->index, changes_speed(sim->changes, change->index));
        return 0;
    case CHANGE_LEAVE:
        return flow_leave(flow, change->index, leave_cause(sim, change), change->for_good);
    case CHANGE_RETURN:
        return flow_return(flow, change->index);
    case CHANGE_PLAN:
        return replan(sim, flow, change->at_ns, error);
    }
    return 0;
}

static int change(void *context, struct flow *flow, int64_t now_ns, struct error *error)
{
    struct sim *sim = context;
    struct change due;
    while (sim->changes && changes_take(sim->changes, now_ns, &due))
        if (carry_out(sim, flow, &due, error) != 0)
            return -1;
    if (sim->coming && sim->coming_ns <= now_ns && take_coming(sim, flow, now_ns, error) != 0)
        return -1;
    if (now_ns < sim->scenario->time_limit_ns)
        return 0;
    char limit[UNITS_TEXT_BYTES];
    return error_set(
        error, ERROR_RUN,
        "the run took longer than its time limit of %s; the tasks that had finished are kept (time_limit in "
        "the scenario sets it)",
        units_format_duration(limit, (double)sim->scenario->time_limit_ns));
}

/* ---- a drive */

static void close_plugins(struct sim *sim)
{
    for (uint32_t i = 0; sim->generators && i < sim->scenario->stream_count; i++)
        generator_close(&sim->generators[i]);
    instance_close(sim->scheduler);
    changes_free(sim->changes);
    sim->generators = NULL;
    sim->scheduler = NULL;
    sim->changes = NULL;
}

int sim_deploy(struct world *world, const struct placements *placements, const int64_t *const *const *layer_ns,
               struct error *error)
{
    size_t count = 0;
    (void)error;
    sim_end(world->sim);
    struct sim *sim = world->sim = NEW(struct sim);
    sim->world = world;
    sim->scenario = world->scenario;
    for (uint32_t i = 0; i < sim->scenario->stream_count; i++)
        count += scenario_way_length(sim->scenario, sim->scenario->streams[i].device);
    sim->layer_ns = layer_ns;
    make_setup(sim);
    sim->layer_ns = NULL;
    sim->deployed = make_plan(sim, placements);
    sim->deployed.cuts = arena_keep(&sim->arena, memory_copy(placements->cuts, count * sizeof(*placements->cuts)));
    return 0;
}

void sim_end(struct sim *sim)
{
    if (!sim)
        return;
    flow_free(sim->flow);
    HASH_CLEAR(hh, sim->sums);
    arena_free(&sim->arena);
    free(sim);
}

int sim_drive(struct world *world, const struct world_sink *sink, struct error *error)
{
    struct sim *sim = world->sim;
    struct flow_driver driver = {sim, next_task, task_ended, change_ns, change, NULL, NULL};
    struct error own = {0};
    sim->energy = energy_new(sim->scenario);
    if (sim->energy) {
        driver.computed = computed;
        driver.sends = sends;
    }
    sim->sink = sink;
    sim->changes = changes_new(sim->scenario);
    int result = open_plugins(sim, &own);
    if (result == 0) {
        result = flow_run(sim->flow, &sim->deployed, sim->scheduler, &driver, world->setup.cancel, &own);
        sim->abandoning = true;
        if (result != 0)
            flow_abandon(sim->flow, own.text);
    }
    close_plugins(sim);
    energy_tell(sim->energy, sink);
    energy_free(sim->energy);
    if (result == 0)
        return 0;
    if (own.kind == ERROR_CANCELLED)
        return error_set(error, ERROR_CANCELLED, "stopped by the user; the tasks that had finished are kept");
    *error = own;
    return -1;
}
