/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks in virtual time: the way of a task, and the events that move it. */
#include "core/flow/flow.h"

#include <stdlib.h>
#include <string.h>

#include "core/flow/flow_private.h"

#define EVENTS_BETWEEN_LOOKS 1024 /* at *cancel */
#define FIRST_CHUNK_TASKS 8 /* each chunk is twice the one before */
#define LATEST_START_NS (INT64_MAX / 4) /* a task due later than that is never made */
#define MOST_IDLE_WAKES 1000000 /* in a row: a scheduler that wakes so often without picking never will */

/* ---- tasks and queues */

static struct task *take_task(struct flow *flow)
{
    if (!flow->pool) {
        size_t count = flow->next_chunk;
        struct task *chunk = memory_new_aligned(count * sizeof(*chunk));
        flow->chunks = memory_resize(flow->chunks, flow->chunk_count + 1, sizeof(*flow->chunks));
        flow->chunks[flow->chunk_count++] = chunk;
        flow->next_chunk = 2 * count;
        struct flow_passage *passages = NEW_ARRAY(struct flow_passage, count * flow->most_relays);
        for (size_t i = 0; i < count; i++) {
            chunk[i].record.passages = passages + i * flow->most_relays;
            chunk[i].next = flow->pool;
            flow->pool = &chunk[i];
        }
    }
    struct task *task = flow->pool;
    flow->pool = task->next;
    return task;
}

/* Puts all tasks back, wherever the last run left them. */
static void refill_pool(struct flow *flow)
{
    flow->pool = NULL;
    size_t count = flow->next_chunk;
    for (size_t c = flow->chunk_count; c-- > 0;) {
        count /= 2;
        for (size_t i = 0; i < count; i++)
            flow_put_back(flow, &flow->chunks[c][i]);
    }
}

static void append(struct queue *queue, struct task *task)
{
    task->next = NULL;
    if (queue->last)
        queue->last->next = task;
    else
        queue->first = task;
    queue->last = task;
}

struct task *flow_take_first(struct queue *queue)
{
    struct task *task = queue->first;
    queue->first = task->next;
    if (!queue->first)
        queue->last = NULL;
    return task;
}

/* The list of the stream's unfinished tasks, in the order of their starts. */
static void note_start(struct stream_state *state, struct task *task)
{
    task->open_next = NULL;
    task->open_before = state->newest;
    if (state->newest)
        state->newest->open_next = task;
    else
        state->oldest = task;
    state->newest = task;
}

static void note_end(struct stream_state *state, struct task *task)
{
    if (task->open_before)
        task->open_before->open_next = task->open_next;
    else
        state->oldest = task->open_next;
    if (task->open_next)
        task->open_next->open_before = task->open_before;
    else
        state->newest = task->open_before;
}

/* The source has no event in the queue yet. */
static void expect(struct flow *flow, uint32_t source, int64_t at_ns)
{
    heap_add(&flow->events, (heap_key)(uint64_t)at_ns << 64 | source);
}

/* The task's stream, its layers in the order that it runs in. */
static const struct flow_stream *stream_of(const struct task *task)
{
    return task->record.order;
}

/* The cut behind which nothing is left to the station, or in front of which its layers begin. */
static uint32_t last_cut(const struct flow_stream *stream, const struct task *task)
{
    return task->record.cuts[stream->hop_count - 1];
}

/* ---- starting and ending */

void flow_set_start(struct flow *flow, uint32_t stream, int64_t at_ns)
{
    at_ns = at_ns > flow->now_ns ? at_ns : flow->now_ns;
    heap_add(&flow->starts, (heap_key)(uint64_t)at_ns << 64 | stream);
}

int flow_expect_start(struct flow *flow, uint32_t stream)
{
    const struct flow_stream *spec = &flow->setup.streams[stream];
    struct stream_state *state = &flow->streams[stream];
    int64_t at_ns = 0;
    int answer;
    state->waiting = false;
    if (state->started >= spec->task_count)
        return 0;
    do {
        answer = flow->driver->next(flow->driver->context, stream, flow->now_ns, &at_ns, flow->error);
    } while (answer == NAPM_OK && at_ns < state->back_ns && !spec->reactive);
    if (answer < 0)
        return -1;
    if (answer == NAPM_WAIT)
        state->waiting = true;
    if (answer != NAPM_OK || at_ns > LATEST_START_NS)
        return 0;
    state->last_ns = at_ns > state->last_ns ? at_ns : state->last_ns;
    flow_set_start(flow, stream, state->last_ns);
    return 0;
}

int flow_report_end(struct flow *flow, struct task *task)
{
    struct stream_state *state = &flow->streams[task->record.stream];
    task->record.ended_ns = flow->now_ns;
    note_end(state, task);
    if (flow->driver->ended(flow->driver->context, &task->record) != 0)
        flow->stopped = true;
    return state->waiting && state->away == 0 ? flow_expect_start(flow, task->record.stream) : 0;
}

static int end_task(struct flow *flow, struct task *task)
{
    flow_put_back(flow, task);
    return flow_report_end(flow, task); /* the task is taken again by a start, which is an event of its own */
}

/* ---- computing */

static int64_t computing_ns(struct node_state *node, int64_t given_ns)
{
    if (node->speed == 1 && node->variation == 0)
        return given_ns;
    double ns = node->speed == 1 ? (double)given_ns : (double)given_ns / node->speed;
    if (node->variation > 0)
        ns *= random_gamma(node->random, node->variation);
    return ns < (double)LATEST_START_NS ? (int64_t)(ns + 0.5) : LATEST_START_NS;
}

void flow_compute_first(struct flow *flow, uint32_t number)
{
    struct node_state *node = &flow->nodes[number];
    struct task *task;
    while ((task = node->queue.first) && task->dead)
        flow_put_back(flow, flow_take_first(&node->queue));
    if (!task)
        return;
    const int64_t *until_ns = stream_of(task)->hops[task->hop].until_ns;
    uint32_t first = task->hop > 0 ? task->record.cuts[task->hop - 1] : 0;
    if (task->hop > 0) {
        task->record.queue_ns += flow->now_ns - task->since_ns;
        task->record.passages[task->hop - 1].began_ns = flow->now_ns;
    } else {
        task->record.device_wait_ns = flow->now_ns - task->since_ns;
    }
    task->since_ns = flow->now_ns;
    expect(flow, flow->first_device + number,
           flow->now_ns + computing_ns(node, until_ns[task->record.cuts[task->hop]] - until_ns[first]));
}

/* ---- on the way */

static int arrive(struct flow *flow, struct task *task, enum link_direction direction);

static int64_t extra_ns(const struct task *task, enum link_direction direction)
{
    const struct flow_hop *hop = &stream_of(task)->hops[task->hop];
    uint32_t cut = task->record.cuts[task->hop];
    if (direction == LINK_DOWN)
        return hop->down_extra_ns;
    if (cut == stream_of(task)->layer_count)
        return hop->result_extra_up_ns;
    return hop->up_extra_ns ? hop->up_extra_ns[cut] : 0;
}

/* Over the link above task->hop. */
static int send(struct flow *flow, struct task *task, enum link_direction direction)
{
    const struct flow_stream *stream = stream_of(task);
    const struct flow_hop *hop = &stream->hops[task->hop];
    uint32_t cut = task->record.cuts[task->hop], number = 2 * hop->link + (uint32_t)direction;
    bool result = direction == LINK_DOWN || cut == stream->layer_count;
    uint64_t bytes = result ? stream->result_bytes : stream->cut_bytes[cut];
    task->since_ns = flow->now_ns;
    if (flow->driver->sends)
        flow->driver->sends(flow->driver->context, &task->record, hop->link, direction, bytes, flow->now_ns);
    const struct direction_state *state = &flow->directions[number];
    if (state->instant && !state->queue.first && (!state->has_extra || extra_ns(task, direction) == 0))
        return arrive(flow, task, direction);
    link_send(flow->net, hop->link, direction, bytes, flow->now_ns, task);
    flow->net_ns = link_next_ns(flow->net);
    return 0;
}

/* The result is at task->hop and belongs to the device. */
static int go_down(struct flow *flow, struct task *task)
{
    if (task->hop == 0)
        return end_task(flow, task);
    task->hop--;
    return send(flow, task, LINK_DOWN);
}

/* What task->hop has to do is done. */
static int leave_hop(struct flow *flow, struct task *task)
{
    const struct flow_stream *stream = stream_of(task);
    if (task->record.cuts[task->hop] < stream->layer_count || stream->result_to_station)
        return send(flow, task, LINK_UP);
    return stream->result_returns ? go_down(flow, task) : end_task(flow, task);
}

static int enter_station(struct flow *flow, struct task *task)
{
    const struct flow_stream *stream = stream_of(task);
    uint32_t cut = last_cut(stream, task);
    if (cut == stream->layer_count)
        return end_task(flow, task);
    uint64_t id;
    struct station_job job = {
        .stream = task->record.stream,
        .task = task->record.number,
        .started_ns = task->record.started_ns,
        .deadline_ns = stream->deadline_ns ? task->record.started_ns + stream->deadline_ns : INT64_MAX,
        .priority = stream->priority,
        .weight = stream->weight,
        .model = stream->model,
        .first_layer = stream->order * (stream->layer_count + 1) + cut,
        .layer_count = stream->layer_count - cut,
        .layer_ns = stream->station_layer_ns + cut,
        .user = task,
    };
    flow->station_dirty = true;
    return station_arrive(flow->station, &job, flow->now_ns, &id, flow->error);
}

/* task->hop has just got the task's tensors: computes its share, behind those that wait there. */
static int enter_hop(struct flow *flow, struct task *task)
{
    uint32_t node = stream_of(task)->hops[task->hop].node;
    bool idle = !flow->nodes[node].queue.first;
    append(&flow->nodes[node].queue, task);
    if (idle)
        flow_compute_first(flow, node);
    return 0;
}

static int arrive_above(struct flow *flow, struct task *task)
{
    const struct flow_stream *stream = stream_of(task);
    task->record.transmit_ns += flow->now_ns - task->since_ns;
    task->since_ns = flow->now_ns;
    if (++task->hop == stream->hop_count)
        return enter_station(flow, task);
    struct flow_passage *passage = &task->record.passages[task->hop - 1];
    passage->came_ns = passage->began_ns = passage->left_ns = flow->now_ns;
    bool forwards = task->record.cuts[task->hop] == task->record.cuts[task->hop - 1];
    return forwards ? leave_hop(flow, task) : enter_hop(flow, task);
}

static int arrive_below(struct flow *flow, struct task *task)
{
    task->record.return_ns += flow->now_ns - task->since_ns;
    if (task->hop > 0)
        task->record.passages[task->hop - 1].back_ns = flow->now_ns;
    return go_down(flow, task);
}

static int arrive(struct flow *flow, struct task *task, enum link_direction direction)
{
    if (task->dead) {
        flow_put_back(flow, task);
        return 0;
    }
    return direction == LINK_UP ? arrive_above(flow, task) : arrive_below(flow, task);
}

/* The net has delivered a frame: it arrives, or travels on for its extra time behind those before it. */
static int take_delivery(struct flow *flow, const struct link_delivery *delivery)
{
    struct task *task = delivery->frame;
    uint32_t number = 2 * delivery->link + (uint32_t)delivery->direction;
    struct direction_state *state = &flow->directions[number];
    struct queue *queue = &state->queue;
    int64_t extra = state->has_extra ? extra_ns(task, delivery->direction) : 0;
    flow->event_count++;
    if (extra == 0 && !queue->first)
        return arrive(flow, task, delivery->direction);
    task->due_ns = delivery->delivered_ns + extra;
    if (queue->last && queue->last->due_ns > task->due_ns)
        task->due_ns = queue->last->due_ns;
    if (!queue->first)
        expect(flow, flow->first_direction + number, task->due_ns);
    append(queue, task);
    return 0;
}

static int take_from_net(struct flow *flow)
{
    struct link_delivery delivery;
    bool taken = link_take(flow->net, flow->now_ns, &delivery);
    flow->net_ns = link_next_ns(flow->net);
    return taken ? take_delivery(flow, &delivery) : 0; /* or a frame has only left */
}

/* ---- events */

/* Field by field: as one assignment it would be a `rep stos`, which costs as much as all the rest of a start. */
static void begin_record(struct flow_task *record, uint32_t stream, uint64_t number, int64_t now_ns)
{
    record->stream = stream;
    record->slices = 0;
    record->number = number;
    record->started_ns = record->ended_ns = now_ns;
    record->local_ns = record->transmit_ns = record->queue_ns = record->remote_ns = record->return_ns = 0;
    record->device_wait_ns = record->station_ns = record->station_work_ns = 0;
    record->energy_j = record->sending_j = 0;
    record->failure = NULL;
}

static int start_task(struct flow *flow)
{
    uint32_t stream = heap_thing(heap_first(&flow->starts));
    struct stream_state *state = &flow->streams[stream];
    struct task *task = take_task(flow);
    heap_remove_first(&flow->starts);
    flow->event_count++;
    begin_record(&task->record, stream, state->started++, flow->now_ns);
    task->record.order = flow->plan.ordered ? flow->plan.ordered[stream] : NULL;
    if (!task->record.order)
        task->record.order = &flow->setup.streams[stream];
    task->record.cuts = flow->plan.cuts + flow->first_cut[stream];
    task->record.plan = flow->plan_number;
    for (uint32_t i = 0; i + 1 < flow->setup.streams[stream].hop_count; i++)
        task->record.passages[i] = (struct flow_passage){-1, -1, -1, -1};
    task->since_ns = flow->now_ns;
    task->hop = 0;
    task->dead = false;
    note_start(state, task);
    bool idle = !flow->nodes[stream_of(task)->hops[0].node].queue.first;
    int failed = idle && task->record.cuts[0] == 0 ? leave_hop(flow, task) : enter_hop(flow, task);
    return failed ? -1 : flow_expect_start(flow, stream);
}

static void tell_computed(struct flow *flow, struct task *task, uint32_t node, int64_t ns)
{
    if (flow->driver->computed)
        flow->driver->computed(flow->driver->context, &task->record, node, ns);
}

static int end_device_segment(struct flow *flow, uint32_t node)
{
    struct task *task = flow_take_first(&flow->nodes[node].queue);
    flow->event_count++;
    tell_computed(flow, task, node, flow->now_ns - task->since_ns);
    flow_compute_first(flow, node);
    if (task->dead) {
        flow_put_back(flow, task);
        return 0;
    }
    if (task->hop == 0) {
        task->record.local_ns = flow->now_ns - task->record.started_ns;
    } else {
        task->record.remote_ns += flow->now_ns - task->since_ns;
        task->record.passages[task->hop - 1].left_ns = flow->now_ns;
    }
    return leave_hop(flow, task);
}

static int end_extra_way(struct flow *flow, uint32_t number)
{
    struct queue *queue = &flow->directions[number].queue;
    struct task *task = flow_take_first(queue);
    if (queue->first)
        expect(flow, flow->first_direction + number, queue->first->due_ns);
    return arrive(flow, task, (enum link_direction)(number % 2));
}

static int end_slice_of(struct flow *flow, struct task *task, uint32_t batch)
{
    struct station_end end;
    int64_t took_ns = flow->now_ns - task->slice_began_ns;
    task->record.station_work_ns += batch > 1 ? took_ns / batch : took_ns;
    flow->event_count++;
    int done = station_slice_done(flow->station, task->job, flow->now_ns, &end, flow->error);
    if (done <= 0)
        return done;
    tell_computed(flow, task, flow->setup.station, task->record.station_work_ns);
    if (task->dead) {
        flow_put_back(flow, task);
        return 0;
    }
    task->record.station_ns = end.running_ns;
    task->record.remote_ns += end.running_ns;
    task->record.queue_ns += flow->now_ns - task->since_ns - end.running_ns;
    task->record.slices = end.slices;
    return stream_of(task)->result_returns ? go_down(flow, task) : end_task(flow, task);
}

static int end_slice(struct flow *flow, uint32_t worker)
{
    uint32_t batch = 0;
    flow->station_dirty = true;
    for (const struct task *task = flow->workers[worker].first; task; task = task->next)
        batch++;
    while (flow->workers[worker].first)
        if (end_slice_of(flow, flow_take_first(&flow->workers[worker]), batch) != 0)
            return -1;
    return 0;
}

static int take_event(struct flow *flow)
{
    uint32_t source = heap_thing(heap_first(&flow->events));
    heap_remove_first(&flow->events);
    if (source < flow->first_device)
        return end_slice(flow, source);
    if (source < flow->first_direction)
        return end_device_segment(flow, source - flow->first_device);
    return end_extra_way(flow, source - flow->first_direction);
}

/* Time of a slice that `further` other tasks run together with. */
static int64_t slice_ns(const struct flow_stream *stream, uint32_t first, uint32_t last, uint32_t further)
{
    const int64_t *until_ns = stream->station_until_ns;
    const int64_t *more_ns = stream->batch_until_ns ? stream->batch_until_ns : until_ns;
    return until_ns[last] - until_ns[first] + (int64_t)further * (more_ns[last] - more_ns[first]);
}

/* Gives the station's free workers what its scheduler picks. Returns the number of slices begun, or -1. */
static int give_work(struct flow *flow)
{
    struct station_slice slice;
    struct node_state *node = &flow->nodes[flow->setup.station];
    int answer, begun = 0;
    uint32_t further = 0;
    while ((answer = station_dispatch(flow->station, flow->now_ns, &slice, flow->error)) > 0) {
        struct task *task = slice.user;
        const struct flow_stream *stream = stream_of(task);
        uint32_t first = last_cut(stream, task) + slice.first_layer;
        task->job = slice.job;
        task->slice_began_ns = flow->now_ns;
        append(&flow->workers[slice.worker], task);
        begun++;
        if (slice.more) {
            further++;
            continue;
        }
        int64_t ns = slice_ns(stream, first, first + slice.layer_count, further);
        expect(flow, slice.worker, flow->now_ns + computing_ns(node, ns));
        further = 0;
    }
    return answer < 0 ? -1 : begun;
}

/* As give_work, where the station may have something to give: a job has come or a slice has ended, or it is time. */
static int dispatch(struct flow *flow)
{
    if (!flow->station_dirty && flow->wake_ns > flow->now_ns)
        return 0;
    flow->station_dirty = false;
    int begun = give_work(flow);
    flow->wake_ns = station_wake_ns(flow->station);
    return begun;
}

/* ---- a run */

/* Everything that happens at the present moment but for the station's picks. Returns the number of events, or -1. */
static int take_moment(struct flow *flow)
{
    int taken = 0, failed = 0;
    for (; !failed; taken++) {
        /* Deliveries come behind ends of computing, and starts of tasks behind all. */
        heap_key first = heap_first(&flow->events);
        bool event = heap_is_by(first, flow->now_ns), computed = event && heap_thing(first) < flow->first_direction;
        if (!computed && flow->net_ns <= flow->now_ns)
            failed = take_from_net(flow);
        else if (event)
            failed = take_event(flow);
        else if (heap_is_by(heap_first(&flow->starts), flow->now_ns))
            failed = start_task(flow);
        else
            return taken;
    }
    return -1;
}

static int take_changes(struct flow *flow)
{
    const struct flow_driver *driver = flow->driver;
    if (flow->change_ns > flow->now_ns)
        return 0;
    if (driver->change(driver->context, flow, flow->now_ns, flow->error) != 0)
        return -1;
    flow->change_ns = driver->change_ns(driver->context);
    return 0;
}

static int64_t next_moment_ns(const struct flow *flow)
{
    heap_key event = heap_first(&flow->events), start = heap_first(&flow->starts);
    int64_t next_ns = heap_time_ns(event < start ? event : start);
    next_ns = flow->net_ns < next_ns ? flow->net_ns : next_ns;
    next_ns = flow->wake_ns < next_ns ? flow->wake_ns : next_ns;
    if (next_ns == INT64_MAX && flow->held == 0)
        return INT64_MAX; /* nobody is there for whom anything could change */
    return flow->change_ns < next_ns ? flow->change_ns : next_ns;
}

/* Nothing will happen any more. */
static int check_finished(struct flow *flow)
{
    for (uint32_t i = 0; i < flow->setup.stream_count; i++) {
        const struct stream_state *state = &flow->streams[i];
        if (state->oldest)
            return instance_misbehaved(
                flow->scheduler, flow->error,
                "as scheduler it leaves %u jobs waiting for ever: it answered NAPM_WAIT, and nothing "
                "else will happen",
                station_jobs(flow->station));
        if (state->waiting && state->away == 0)
            return error_set(flow->error, ERROR_PLUGIN,
                             "the load generator of stream %u waits for a task to end while none is unfinished", i);
    }
    return 0;
}

static int run(struct flow *flow, const atomic_bool *cancel)
{
    uint32_t moments = 0, idle_wakes = 0;
    for (uint32_t i = 0; i < flow->setup.stream_count; i++)
        if (flow_expect_start(flow, i) != 0)
            return -1;
    while (!flow->stopped) {
        int64_t next_ns = next_moment_ns(flow);
        if (next_ns == INT64_MAX)
            return check_finished(flow);
        if (cancel && ++moments % EVENTS_BETWEEN_LOOKS == 0 && atomic_load_explicit(cancel, memory_order_relaxed))
            return error_set(flow->error, ERROR_CANCELLED, "stopped");
        flow->now_ns = next_ns > flow->now_ns ? next_ns : flow->now_ns;
        int taken = take_changes(flow) != 0 ? -1 : take_moment(flow), begun = taken < 0 ? -1 : dispatch(flow);
        if (begun < 0)
            return -1;
        idle_wakes = taken || begun ? 0 : idle_wakes + 1;
        if (idle_wakes > MOST_IDLE_WAKES)
            return instance_misbehaved(flow->scheduler, flow->error,
                                       "as scheduler it asked %d times in a row to be woken without picking a job",
                                       MOST_IDLE_WAKES);
    }
    return 1;
}

static void reset_nodes(struct flow *flow)
{
    for (uint32_t i = 0; i < flow->setup.node_count; i++) {
        struct node_state *node = &flow->nodes[i];
        node->queue = (struct queue){0};
        node->speed = 1;
        node->away = false;
        if (node->variation > 0) {
            char name[32];
            snprintf(name, sizeof(name), "computing:%u", i);
            random_seed(node->random, flow->setup.seed, name);
        }
    }
}

static bool is_instant(const struct link_conditions *conditions)
{
    return conditions->bytes_per_s <= 0 && conditions->delay_ns <= 0 && conditions->jitter_ns <= 0 &&
           conditions->loss <= 0;
}

static void reset_directions(struct flow *flow)
{
    const struct flow_setup *setup = &flow->setup;
    for (uint32_t i = 0; i < 2 * setup->link_count; i++)
        flow->directions[i] = (struct direction_state){.instant = is_instant(&setup->links[i / 2].conditions[i % 2])};
    for (uint32_t i = 0; i < setup->stream_count; i++)
        for (uint32_t h = 0; h < setup->streams[i].hop_count; h++) {
            const struct flow_hop *hop = &setup->streams[i].hops[h];
            flow->directions[2 * hop->link + LINK_UP].has_extra |= hop->up_extra_ns || hop->result_extra_up_ns != 0;
            flow->directions[2 * hop->link + LINK_DOWN].has_extra |= hop->down_extra_ns != 0;
        }
}

static void reset(struct flow *flow)
{
    const struct flow_setup *setup = &flow->setup;
    if (flow->interrupted)
        refill_pool(flow);
    flow->interrupted = true; /* until it has ended well */
    flow->stopped = false;
    flow->held = 0;
    flow->event_count = 0;
    heap_clear(&flow->events);
    heap_clear(&flow->starts);
    link_net_reset(flow->net);
    flow->net_ns = link_next_ns(flow->net);
    reset_nodes(flow);
    memset(flow->streams, 0, setup->stream_count * sizeof(*flow->streams));
    memset(flow->workers, 0, setup->workers * sizeof(*flow->workers));
    reset_directions(flow);
    flow->now_ns = 0;
}

int flow_run(struct flow *flow, const struct flow_plan *plan, struct instance *scheduler,
             const struct flow_driver *driver, const atomic_bool *cancel, struct error *error)
{
    reset(flow);
    flow->plan = *plan;
    flow->plan_number = 0;
    flow->driver = driver;
    flow->scheduler = scheduler;
    flow->error = error;
    if (flow->station)
        station_serve(flow->station, scheduler);
    else
        flow->station = station_new(scheduler, flow->setup.workers);
    flow->station_dirty = false;
    flow->wake_ns = INT64_MAX;
    flow->change_ns = driver->change_ns ? driver->change_ns(driver->context) : INT64_MAX;
    int result = run(flow, cancel);
    flow->interrupted = result != 0;
    station_reset(flow->station, flow->now_ns); /* the scheduler may go */
    return result;
}

void flow_abandon(struct flow *flow, const char *cause)
{
    for (uint32_t i = 0; i < flow->setup.stream_count; i++)
        for (struct task *task = flow->streams[i].oldest; task; task = task->open_next) {
            task->record.failure = cause;
            task->record.ended_ns = flow->now_ns;
            flow->driver->ended(flow->driver->context, &task->record);
        }
}

/* ---- life */

struct flow *flow_new(const struct flow_setup *setup)
{
    struct flow *flow = NEW(struct flow);
    flow->setup = *setup;
    flow->first_device = setup->workers;
    flow->first_direction = flow->first_device + setup->node_count;
    flow->next_chunk = FIRST_CHUNK_TASKS;
    heap_init(&flow->events, flow->first_direction + 2 * setup->link_count, false);
    heap_init(&flow->starts, setup->stream_count, false);
    flow->streams = memory_new_aligned(setup->stream_count * sizeof(*flow->streams));
    flow->first_cut = NEW_ARRAY(uint32_t, setup->stream_count + 1);
    for (uint32_t i = 0; i < setup->stream_count; i++) {
        uint32_t hops = setup->streams[i].hop_count;
        flow->first_cut[i + 1] = flow->first_cut[i] + hops;
        flow->most_relays = hops - 1 > flow->most_relays ? hops - 1 : flow->most_relays;
    }
    flow->nodes = NEW_ARRAY(struct node_state, setup->node_count);
    if (setup->variation)
        flow->randoms = NEW_ARRAY(struct random, setup->node_count);
    for (uint32_t i = 0; setup->variation && i < setup->node_count; i++) {
        flow->nodes[i].variation = setup->variation[i];
        flow->nodes[i].random = &flow->randoms[i];
    }
    flow->directions = NEW_ARRAY(struct direction_state, 2 * (size_t)setup->link_count);
    flow->workers = NEW_ARRAY(struct queue, setup->workers);
    flow->net = link_net_new(setup->links, setup->link_count, setup->seed);
    return flow;
}

void flow_free(struct flow *flow)
{
    if (!flow)
        return;
    for (size_t i = 0; i < flow->chunk_count; i++) {
        free(flow->chunks[i][0].record.passages);
        free(flow->chunks[i]);
    }
    free(flow->chunks);
    heap_free(&flow->events);
    heap_free(&flow->starts);
    station_free(flow->station);
    link_net_free(flow->net);
    free(flow->streams);
    free(flow->first_cut);
    free(flow->nodes);
    free(flow->randoms);
    free(flow->directions);
    free(flow->workers);
    free(flow->passing);
    free(flow->first_passing);
    free(flow);
}

int64_t flow_now_ns(void *flow)
{
    return ((const struct flow *)flow)->now_ns;
}

uint64_t flow_events(const struct flow *flow)
{
    return flow->event_count;
}
