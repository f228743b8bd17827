/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks in virtual time. */
#include "core/flow/flow.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/link/heap.h"
#include "core/station/station.h"

#define EVENTS_BETWEEN_LOOKS 1024 /* at *cancel */
#define LATEST_START_NS (INT64_MAX / 4) /* a task due later than that is never made */
#define MOST_IDLE_WAKES 1000000 /* in a row: a scheduler that wakes so often without picking never will */

/* A task on its way. */
struct task {
    struct task *next; /* in a device's or a direction's queue, or in the pool */
    struct flow_task record;
    int64_t since_ns; /* start of the phase that it is in */
    int64_t due_ns; /* in a direction's queue: when it arrives */
    uint32_t cut;
};

struct queue {
    struct task *first, *last;
};

struct stream_state {
    uint64_t started; /* tasks so far */
    uint64_t unfinished;
    int64_t last_ns; /* when the last one started or was due */
    bool waiting; /* its driver waits for a task to end */
};

struct worker {
    uint64_t job;
    struct task *task;
};

/*
 * Sources of events. Each has at most one event in the heap, so that the heap never grows: workers, devices,
 * directions of links (frames that the net has delivered and that travel on for their extra time), streams.
 */
struct flow {
    struct flow_setup setup;
    struct heap events;
    uint32_t first_device, first_direction, first_stream; /* numbers of sources */
    struct stream_state *streams;
    struct queue *devices; /* by node; the first task is being computed */
    struct queue *directions; /* 2 * link + direction */
    struct worker *workers;
    struct link_net *net;
    struct station *station;
    int64_t now_ns;
    struct task *pool;
    struct task **chunks;
    size_t chunk_count, next_chunk;
    bool interrupted; /* the last run left tasks lying about */
    /* of the run going on */
    const uint32_t *cuts;
    const struct flow_driver *driver;
    struct instance *scheduler;
    struct error *error;
};

/* ---- tasks and queues */

static struct task *take_task(struct flow *flow)
{
    if (!flow->pool) {
        size_t count = flow->next_chunk;
        struct task *chunk = NEW_ARRAY(struct task, count);
        flow->chunks = memory_resize(flow->chunks, flow->chunk_count + 1, sizeof(*flow->chunks));
        flow->chunks[flow->chunk_count++] = chunk;
        flow->next_chunk = 2 * count;
        for (size_t i = 0; i < count; i++) {
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
        for (size_t i = 0; i < count; i++) {
            flow->chunks[c][i].next = flow->pool;
            flow->pool = &flow->chunks[c][i];
        }
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

static struct task *take_first(struct queue *queue)
{
    struct task *task = queue->first;
    queue->first = task->next;
    if (!queue->first)
        queue->last = NULL;
    return task;
}

/* The source has no event in the heap yet. */
static void expect(struct flow *flow, uint32_t source, int64_t at_ns)
{
    heap_add(&flow->events, (heap_key)(uint64_t)at_ns << 64 | source);
}

static const struct flow_stream *stream_of(const struct flow *flow, const struct task *task)
{
    return &flow->setup.streams[task->record.stream];
}

/* ---- starting and ending */

/* Asks the driver when the stream's next task starts. */
static int expect_next_task(struct flow *flow, uint32_t stream)
{
    struct stream_state *state = &flow->streams[stream];
    int64_t at_ns = 0;
    state->waiting = false;
    if (state->started >= flow->setup.streams[stream].task_count)
        return 0;
    int answer = flow->driver->next(flow->driver->context, stream, flow->now_ns, &at_ns, flow->error);
    if (answer < 0)
        return -1;
    if (answer == NAPM_WAIT)
        state->waiting = true;
    if (answer != NAPM_OK || at_ns > LATEST_START_NS)
        return 0;
    state->last_ns = at_ns > state->last_ns ? at_ns : state->last_ns;
    expect(flow, flow->first_stream + stream, state->last_ns > flow->now_ns ? state->last_ns : flow->now_ns);
    return 0;
}

static int end_task(struct flow *flow, struct task *task)
{
    uint32_t stream = task->record.stream;
    task->record.ended_ns = flow->now_ns;
    flow->streams[stream].unfinished--;
    flow->driver->ended(flow->driver->context, &task->record);
    task->next = flow->pool;
    flow->pool = task;
    return flow->streams[stream].waiting ? expect_next_task(flow, stream) : 0;
}

/* ---- on the way */

static void send(struct flow *flow, struct task *task, enum link_direction direction, uint64_t bytes)
{
    task->since_ns = flow->now_ns;
    link_send(flow->net, stream_of(flow, task)->link, direction, bytes, flow->now_ns, task);
}

/* The device's part is done. */
static int leave_device(struct flow *flow, struct task *task)
{
    const struct flow_stream *stream = stream_of(flow, task);
    task->record.local_ns = flow->now_ns - task->record.started_ns;
    if (task->cut == stream->layer_count && !stream->result_to_station)
        return end_task(flow, task);
    send(flow, task, LINK_UP, task->cut == stream->layer_count ? stream->result_bytes : stream->cut_bytes[task->cut]);
    return 0;
}

static int arrive_at_station(struct flow *flow, struct task *task)
{
    const struct flow_stream *stream = stream_of(flow, task);
    task->record.transmit_ns = flow->now_ns - task->since_ns;
    task->since_ns = flow->now_ns;
    if (task->cut == stream->layer_count)
        return end_task(flow, task);
    uint64_t id;
    struct station_job job = {
        .stream = task->record.stream,
        .task = task->record.number,
        .started_ns = task->record.started_ns,
        .deadline_ns = stream->deadline_ns ? task->record.started_ns + stream->deadline_ns : INT64_MAX,
        .priority = stream->priority,
        .layer_count = stream->layer_count - task->cut,
        .layer_ns = stream->station_layer_ns + task->cut,
        .user = task,
    };
    return station_arrive(flow->station, &job, flow->now_ns, &id, flow->error);
}

static int arrive_back(struct flow *flow, struct task *task)
{
    task->record.return_ns = flow->now_ns - task->since_ns;
    return end_task(flow, task);
}

static int arrive(struct flow *flow, struct task *task, enum link_direction direction)
{
    return direction == LINK_UP ? arrive_at_station(flow, task) : arrive_back(flow, task);
}

static int64_t extra_ns(const struct flow_stream *stream, const struct task *task, enum link_direction direction)
{
    if (direction == LINK_DOWN)
        return stream->down_extra_ns;
    if (task->cut == stream->layer_count)
        return stream->result_extra_up_ns;
    return stream->up_extra_ns ? stream->up_extra_ns[task->cut] : 0;
}

/* The net has delivered a frame: it arrives, or travels on for its extra time behind those before it. */
static int take_delivery(struct flow *flow, const struct link_delivery *delivery)
{
    struct task *task = delivery->frame;
    int64_t extra = extra_ns(stream_of(flow, task), task, delivery->direction);
    uint32_t number = 2 * delivery->link + (uint32_t)delivery->direction;
    struct queue *queue = &flow->directions[number];
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

/* ---- events */

static void compute_first(struct flow *flow, uint32_t device)
{
    struct task *task = flow->devices[device].first;
    if (!task)
        return;
    task->record.device_wait_ns = flow->now_ns - task->record.started_ns;
    expect(flow, flow->first_device + device, flow->now_ns + stream_of(flow, task)->device_until_ns[task->cut]);
}

static int start_task(struct flow *flow, uint32_t stream)
{
    struct stream_state *state = &flow->streams[stream];
    uint32_t device = flow->setup.streams[stream].device;
    struct task *task = take_task(flow);
    *task = (struct task){.cut = flow->cuts[stream]};
    task->record = (struct flow_task){.stream = stream, .number = state->started++, .started_ns = flow->now_ns};
    state->unfinished++;
    bool idle = !flow->devices[device].first;
    if (idle && task->cut == 0) { /* nothing to compute, nothing to wait for */
        if (leave_device(flow, task) != 0)
            return -1;
        return expect_next_task(flow, stream);
    }
    append(&flow->devices[device], task);
    if (idle)
        compute_first(flow, device);
    return expect_next_task(flow, stream);
}

static int end_device_segment(struct flow *flow, uint32_t device)
{
    struct task *task = take_first(&flow->devices[device]);
    compute_first(flow, device);
    return leave_device(flow, task);
}

static int end_extra_way(struct flow *flow, uint32_t number)
{
    struct queue *queue = &flow->directions[number];
    struct task *task = take_first(queue);
    if (queue->first)
        expect(flow, flow->first_direction + number, queue->first->due_ns);
    return arrive(flow, task, (enum link_direction)(number % 2));
}

static int end_slice(struct flow *flow, uint32_t worker)
{
    struct station_end end;
    struct task *task = flow->workers[worker].task;
    int done = station_slice_done(flow->station, flow->workers[worker].job, flow->now_ns, &end, flow->error);
    if (done <= 0)
        return done;
    const struct flow_stream *stream = stream_of(flow, task);
    task->record.remote_ns = end.running_ns;
    task->record.queue_ns = flow->now_ns - task->since_ns - end.running_ns;
    task->record.slices = end.slices;
    if (!stream->result_returns)
        return end_task(flow, task);
    send(flow, task, LINK_DOWN, stream->result_bytes);
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
    if (source < flow->first_stream)
        return end_extra_way(flow, source - flow->first_direction);
    return start_task(flow, source - flow->first_stream);
}

/* Gives the station's free workers what its scheduler picks. Returns the number of slices begun, or -1. */
static int dispatch(struct flow *flow)
{
    struct station_slice slice;
    int answer, begun = 0;
    while ((answer = station_dispatch(flow->station, flow->now_ns, &slice, flow->error)) > 0) {
        struct task *task = slice.user;
        const int64_t *until_ns = stream_of(flow, task)->station_until_ns + task->cut + slice.first_layer;
        flow->workers[slice.worker] = (struct worker){slice.job, task};
        expect(flow, slice.worker, flow->now_ns + until_ns[slice.layer_count] - until_ns[0]);
        begun++;
    }
    return answer < 0 ? -1 : begun;
}

/* ---- a run */

static int64_t event_ns(const struct flow *flow)
{
    return flow->events.count ? (int64_t)(uint64_t)(heap_first(&flow->events) >> 64) : INT64_MAX;
}

/* Everything that happens at the present moment but for the station's picks. Returns the number of events, or -1. */
static int take_moment(struct flow *flow)
{
    struct link_delivery delivery;
    int taken = 0;
    while (event_ns(flow) <= flow->now_ns || link_next_ns(flow->net) <= flow->now_ns) {
        /* Deliveries come behind ends of computing and before starts of tasks. */
        bool event = event_ns(flow) <= flow->now_ns;
        if (event && heap_thing(heap_first(&flow->events)) < flow->first_direction) {
            if (take_event(flow) != 0)
                return -1;
        } else if (link_take(flow->net, flow->now_ns, &delivery)) {
            if (take_delivery(flow, &delivery) != 0)
                return -1;
        } else if (event && take_event(flow) != 0) {
            return -1;
        }
        taken++;
    }
    return taken;
}

static uint64_t unfinished(const struct flow *flow)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < flow->setup.stream_count; i++)
        count += flow->streams[i].unfinished;
    return count;
}

static int64_t next_moment_ns(const struct flow *flow)
{
    int64_t next_ns = event_ns(flow), net_ns = link_next_ns(flow->net), wake_ns = station_wake_ns(flow->station);
    next_ns = net_ns < next_ns ? net_ns : next_ns;
    return wake_ns < next_ns ? wake_ns : next_ns;
}

/* Nothing will happen any more. */
static int check_finished(struct flow *flow)
{
    if (unfinished(flow))
        return instance_misbehaved(
            flow->scheduler, flow->error,
            "as scheduler it leaves %u jobs waiting for ever: it answered NAPM_WAIT, and nothing "
            "else will happen",
            station_jobs(flow->station));
    for (uint32_t i = 0; i < flow->setup.stream_count; i++)
        if (flow->streams[i].waiting)
            return error_set(flow->error, ERROR_PLUGIN,
                             "the load generator of stream %u waits for a task to end while none is unfinished", i);
    return 0;
}

static int run(struct flow *flow, const atomic_bool *cancel)
{
    uint32_t moments = 0, idle_wakes = 0;
    for (uint32_t i = 0; i < flow->setup.stream_count; i++)
        if (expect_next_task(flow, i) != 0)
            return -1;
    for (;;) {
        int64_t next_ns = next_moment_ns(flow);
        if (next_ns == INT64_MAX)
            return check_finished(flow);
        if (cancel && ++moments % EVENTS_BETWEEN_LOOKS == 0 && atomic_load_explicit(cancel, memory_order_relaxed))
            return error_set(flow->error, ERROR_CANCELLED, "stopped");
        flow->now_ns = next_ns > flow->now_ns ? next_ns : flow->now_ns;
        int taken = take_moment(flow), begun = taken < 0 ? -1 : dispatch(flow);
        if (begun < 0)
            return -1;
        idle_wakes = taken || begun ? 0 : idle_wakes + 1;
        if (idle_wakes > MOST_IDLE_WAKES)
            return instance_misbehaved(flow->scheduler, flow->error,
                                       "as scheduler it asked %d times in a row to be woken without picking a job",
                                       MOST_IDLE_WAKES);
    }
}

static void reset(struct flow *flow)
{
    const struct flow_setup *setup = &flow->setup;
    if (flow->interrupted)
        refill_pool(flow);
    flow->interrupted = true; /* until it has ended well */
    heap_clear(&flow->events);
    link_net_reset(flow->net);
    memset(flow->streams, 0, setup->stream_count * sizeof(*flow->streams));
    memset(flow->devices, 0, setup->node_count * sizeof(*flow->devices));
    memset(flow->directions, 0, 2 * (size_t)setup->link_count * sizeof(*flow->directions));
    flow->now_ns = 0;
}

int flow_run(struct flow *flow, const uint32_t *cuts, struct instance *scheduler, const struct flow_driver *driver,
             const atomic_bool *cancel, struct error *error)
{
    reset(flow);
    flow->cuts = cuts;
    flow->driver = driver;
    flow->scheduler = scheduler;
    flow->error = error;
    flow->station = station_new(scheduler, flow->setup.workers);
    int failed = run(flow, cancel);
    flow->interrupted = failed != 0;
    station_free(flow->station);
    flow->station = NULL;
    return failed;
}

/* ---- life */

struct flow *flow_new(const struct flow_setup *setup)
{
    struct flow *flow = NEW(struct flow);
    flow->setup = *setup;
    flow->first_device = setup->workers;
    flow->first_direction = flow->first_device + setup->node_count;
    flow->first_stream = flow->first_direction + 2 * setup->link_count;
    flow->next_chunk = 64;
    uint32_t sources = flow->first_stream + setup->stream_count;
    heap_init(&flow->events, sources, false);
    flow->streams = NEW_ARRAY(struct stream_state, setup->stream_count);
    flow->devices = NEW_ARRAY(struct queue, setup->node_count);
    flow->directions = NEW_ARRAY(struct queue, 2 * (size_t)setup->link_count);
    flow->workers = NEW_ARRAY(struct worker, setup->workers);
    flow->net = link_net_new(setup->links, setup->link_count, setup->seed);
    return flow;
}

void flow_free(struct flow *flow)
{
    if (!flow)
        return;
    for (size_t i = 0; i < flow->chunk_count; i++)
        free(flow->chunks[i]);
    free(flow->chunks);
    heap_free(&flow->events);
    link_net_free(flow->net);
    free(flow->streams);
    free(flow->devices);
    free(flow->directions);
    free(flow->workers);
    free(flow);
}

int64_t flow_now_ns(void *flow)
{
    return ((const struct flow *)flow)->now_ns;
}
