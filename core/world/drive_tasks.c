/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a task: start, device, link, perhaps further devices and links, station, links, end; and its record. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/world/drive_private.h"

/* A device on the task's way. */
static const struct local_hop *hop_of(const struct task *task, uint32_t hop)
{
    return &task->placement->way.hops[hop];
}

/* Does it send the task's tensors up when it has done its part? */
static bool sends_up(const struct task *task, uint32_t hop)
{
    return hop_of(task, hop)->cut < task->stream->layer_count || task->stream->spec->result_to_station;
}

/* ---- rooms and tasks, used again and again */

static void free_room(struct task_room *room)
{
    free(room->cut);
    free(room->result);
    free(room->arriving);
    free(room);
}

static struct task_room *new_room(const struct stream_run *stream, const struct placement *placement)
{
    struct task_room *room = NEW(struct task_room);
    room->cut_bytes = placement->room_bytes;
    room->cut = memory_try_aligned((size_t)room->cut_bytes);
    room->result = memory_try_aligned((size_t)stream->down.payload_bytes);
    room->arriving_count = placement->ups[placement->way.count - 1].count;
    room->arriving = NEW_ARRAY(const void *, room->arriving_count);
    if (room->cut && room->result) {
        memset(room->result, 0, (size_t)stream->down.payload_bytes); /* the padding too is sent */
        return room;
    }
    free_room(room);
    return NULL;
}

/* Rooms that were made for smaller tensors are freed. */
static struct task_room *take_room(struct stream_run *stream, const struct placement *placement, struct error *error)
{
    const struct payload_layout *last = &placement->ups[placement->way.count - 1];
    struct task_room *room = stream->free_rooms;
    while (room && (room->cut_bytes < placement->room_bytes || room->arriving_count < last->count)) {
        stream->free_rooms = room->next;
        free_room(room);
        room = stream->free_rooms;
    }
    if (room)
        stream->free_rooms = room->next;
    else if (!(room = new_room(stream, placement)))
        error_set(error, ERROR_RUN, "no memory for %" PRIu64 " bytes of a task", placement->room_bytes);
    for (uint32_t i = 0; room && i < last->count; i++)
        room->arriving[i] = room->cut + last->offsets[i];
    return room;
}

static struct task *take_task(struct stream_run *stream)
{
    struct task *task = stream->free_tasks;
    if (task) {
        stream->free_tasks = task->next_free;
        int64_t *layer_ns = task->layer_ns;
        struct task_hop *hops = task->hops;
        memset(task, 0, offsetof(struct task, item));
        memset(&task->item, 0, offsetof(struct worker_item, error));
        task->layer_ns = layer_ns;
        task->hops = hops;
        task->cause[0] = '\0';
        memset(layer_ns, 0, stream->layer_count * sizeof(*layer_ns));
    } else {
        task = NEW(struct task);
        task->layer_ns = NEW_ARRAY(int64_t, stream->layer_count);
        task->hops = NEW_ARRAY(struct task_hop, stream->now->way.count - 1);
    }
    for (uint32_t i = 0; i + 1 < stream->now->way.count; i++)
        task->hops[i] = (struct task_hop){.came_ns = -1, .began_ns = -1, .left_ns = -1, .back_ns = -1};
    task->stream = stream;
    task->on_link = task->owed_by = DRIVE_NONE;
    return task;
}

static void free_task(struct task *task)
{
    if (task->room)
        free_room(task->room);
    free(task->layer_ns);
    free(task->hops);
    free(task);
}

void tasks_free(struct stream_run *stream)
{
    while (stream->free_tasks) {
        struct task *next = stream->free_tasks->next_free;
        free_task(stream->free_tasks);
        stream->free_tasks = next;
    }
    for (uint64_t i = stream->first_open; i < stream->next_number; i++)
        if (stream->tasks[i])
            free_task(stream->tasks[i]); /* dead, and still held by an agent */
    while (stream->free_rooms) {
        struct task_room *next = stream->free_rooms->next;
        free_room(stream->free_rooms);
        stream->free_rooms = next;
    }
    free(stream->tasks);
}

/* ---- the end of a task */

static int64_t sum_ns(const int64_t *times, uint32_t count)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += times[i];
    return sum;
}

/* What came of a task that went well behind its own device, in the run's time. */
static void fill_hops(struct task *task, struct task_record *record)
{
    const struct drive *drive = task->stream->drive;
    record->hop_count = task->placement->way.count - 1;
    record->hops = task->hops;
    for (uint32_t i = 0; i < record->hop_count; i++) {
        struct task_hop *hop = &task->hops[i];
        int64_t *times[] = {&hop->came_ns, &hop->began_ns, &hop->left_ns, &hop->back_ns};
        hop->node = hop_of(task, i + 1)->node;
        hop->cut = hop_of(task, i + 1)->cut;
        for (size_t k = 0; k < sizeof(times) / sizeof(times[0]); k++)
            if (*times[k] >= 0)
                *times[k] = drive_clock_ns(drive, *times[k]);
    }
}

/* The phases of a task that went well. */
static void fill_phases(const struct task *task, struct task_record *record)
{
    int64_t *phase = record->phase_ns;
    phase[PHASE_LOCAL] = task->device_ended_ns - task->due_ns;
    phase[PHASE_TRANSMIT] = task->transmit_ns;
    phase[PHASE_QUEUE] = task->queue_ns;
    phase[PHASE_REMOTE] = task->remote_ns;
    record->device_wait_ns = task->device_began_ns - task->due_ns;
    if (sends_up(task, 0))
        record->up_bytes = task->placement->ups[0].tensor_bytes;
    if (!task->returned)
        return;
    phase[PHASE_RETURN] = task->ended_ns - task->left_ns;
    record->down_bytes = task->stream->down.tensor_bytes;
}

/* The times of the task's layers; valid until the next call. */
static const int64_t *by_layer(const struct task *task)
{
    const uint32_t *order = task->placement->way.order;
    int64_t *times = task->stream->drive->record_layer_ns;
    if (!order)
        return task->layer_ns;
    for (uint32_t place = 0; place < task->stream->layer_count; place++)
        times[order[place]] = task->layer_ns[place];
    return times;
}

static void tell_outbox(struct task *task, enum task_status status, const char *cause, int64_t now_ns)
{
    const struct stream_run *stream = task->stream;
    const uint32_t cut = hop_of(task, 0)->cut, last_cut = task->placement->last_cut;
    const struct drive *drive = stream->drive;
    struct task_record record = {.stream = stream->index,
                                 .task = task->number,
                                 .status = status,
                                 .cause = cause,
                                 .by_event = task->by_event,
                                 .cut = cut,
                                 .plan = task->plan,
                                 .warmup = task->number < drive->scenario->warmup_tasks,
                                 .started_ns = drive_clock_ns(drive, task->due_ns),
                                 .slices = task->slices,
                                 .layer_count = stream->layer_count,
                                 .layer_ns = by_layer(task),
                                 .energy_j = drive->energy ? task->energy_j : -1,
                                 .sending_j = drive->energy ? task->sending_j : -1,
                                 .output_digest = task->digest};
    if (status == TASK_OK) {
        fill_phases(task, &record);
        fill_hops(task, &record);
    }
    int64_t ended_ns = status == TASK_OK ? task->ended_ns : now_ns > task->due_ns ? now_ns : task->due_ns;
    record.ended_ns = drive_clock_ns(drive, ended_ns);
    record.device_compute_ns = sum_ns(task->layer_ns, cut);
    record.station_compute_ns = sum_ns(task->layer_ns + last_cut, stream->layer_count - last_cut);
    outbox_task(drive->outbox, &record);
}

/* The task can be used again. */
static void give_back(struct task *task)
{
    struct stream_run *stream = task->stream;
    stream->tasks[task->number] = NULL;
    while (stream->first_open < stream->next_number && !stream->tasks[stream->first_open])
        stream->first_open++;
    if (task->room) {
        task->room->next = stream->free_rooms;
        stream->free_rooms = task->room;
        task->room = NULL;
    }
    workers_drop(&task->item); /* it was begun at the station, and not ended */
    task->next_free = stream->free_tasks;
    stream->free_tasks = task;
    placement_left(stream, task->placement);
}

void task_let_go(struct task *task)
{
    if (task->dead && task->on_link == DRIVE_NONE && task->owed_by == DRIVE_NONE)
        give_back(task);
}

static void end_task(struct task *task, enum task_status status, const char *cause)
{
    struct stream_run *stream = task->stream;
    struct drive *drive = stream->drive;
    uint64_t number = task->number;
    int64_t now_ns = clock_now_ns();
    tell_outbox(task, status, cause, now_ns);
    task->dead = true;
    task_let_go(task);
    stream->open_count--;
    drive->tasks_open--;
    drive->tasks_done++;
    outbox_progress(drive->outbox, drive->tasks_done, drive->tasks_of);
    if (status != TASK_UNFINISHED && !drive->over) {
        arrivals_completed(stream, number, status != TASK_OK, now_ns);
        arrivals_advance(stream, now_ns);
    }
}

/* All went well, and was over at that moment. */
static void end_well(struct task *task, int64_t at_ns)
{
    task->ended_ns = at_ns;
    end_task(task, TASK_OK, NULL);
}

void task_fail(struct task *task, const char *cause)
{
    if (!task->failing)
        snprintf(task->cause, sizeof(task->cause), "%s", cause);
    task->failing = true;
    if (task->state == TASK_AT_STATION || task->in_slice)
        return; /* the station still holds it as a job: it ends with that */
    end_task(task, TASK_FAILED, task->cause);
}

void task_abandon(struct task *task, const char *cause)
{
    end_task(task, task->failing ? TASK_FAILED : TASK_UNFINISHED, task->failing ? task->cause : cause);
}

/* ---- start */

void task_start(struct stream_run *stream, int64_t due_ns)
{
    struct drive *drive = stream->drive;
    struct task *task = take_task(stream);
    task->placement = stream->now;
    task->placement->task_count++;
    task->plan = stream->now->plan;
    task->number = stream->next_number++;
    task->due_ns = task->since_ns = due_ns;
    task->state = TASK_ON_DEVICE;
    task->owed_by = stream->spec->device;
    stream->tasks[task->number] = task;
    stream->open_count++;
    drive->tasks_open++;
    Wire__Start body = WIRE__START__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.stream = stream->index;
    body.task = task->number;
    body.part = hop_of(task, 0)->part;
    body.due_ns = due_ns;
    message.body_case = WIRE__MESSAGE__BODY_START;
    message.start = &body;
    peer_tell(&drive->world->nodes[stream->spec->device].peer, &message);
    watch_start(task);
}

/* ---- the task a peer speaks of, which must be where the peer can speak of it */

static struct task *find_task(struct drive *drive, const struct peer *peer, uint32_t stream_index, uint64_t number,
                              enum task_state state, struct error *error)
{
    struct stream_run *stream = stream_index < drive->scenario->stream_count ? &drive->streams[stream_index] : NULL;
    struct task *task = stream && number < stream->next_number ? stream->tasks[number] : NULL;
    bool speaks = task && (state == TASK_ON_DEVICE ? task->owed_by : stream->spec->device) == peer->node;
    if (!speaks || task->state != state) {
        error_set(error, ERROR_RUN, "it spoke of task %" PRIu64 " of stream %u, which was not its turn", number,
                  stream_index);
        return NULL;
    }
    return task;
}

int drive_message(struct drive *drive, struct peer *peer, const Wire__Message *message, struct error *error)
{
    if (message->body_case == WIRE__MESSAGE__BODY_TASK_FAILED) {
        const Wire__TaskFailed *body = message->task_failed;
        struct task *task = find_task(drive, peer, body->stream, body->task, TASK_ON_DEVICE, error);
        if (!task)
            return -1;
        drive->world->nodes[peer->node].computed_ns = clock_now_ns();
        task->owed_by = DRIVE_NONE;
        char cause[512];
        snprintf(cause, sizeof(cause), "node %s: %s", peer->name, body->text);
        if (task->dead)
            task_let_go(task);
        else
            task_fail(task, cause);
    } else if (message->body_case == WIRE__MESSAGE__BODY_PREPARED) {
        return replan_prepared(drive, peer, message->prepared->number, error);
    } else if (message->body_case == WIRE__MESSAGE__BODY_SAMPLE && !message->sample->only_alive) {
        const Wire__Sample *body = message->sample;
        struct node_sample sample = {.node = peer->node,
                                     .at_ns = drive_clock_ns(drive, body->at_ns),
                                     .cpu_share = body->cpu_share,
                                     .resident_bytes = body->resident_bytes,
                                     .machine_available_bytes = body->machine_available_bytes,
                                     .machine_load = body->machine_load,
                                     .received_bytes = body->received_bytes,
                                     .sent_bytes = body->sent_bytes,
                                     .energy_j = body->energy_j};
        if (sample.at_ns >= 0)
            outbox_sample(drive->outbox, &sample);
    }
    return 0;
}

/* ---- from device to device, and to the station */

/* Hands the task to the link above task->hop. */
static void pass(struct task *task, enum link_direction direction, uint64_t bytes, int64_t sent_ns,
                 void (*arrived)(struct world *world, struct passage *passage))
{
    const struct stream_run *stream = task->stream;
    struct drive *drive = stream->drive;
    task->passage.arrived = arrived;
    task->on_link = hop_of(task, task->hop)->link;
    double joules = energy_send(drive->energy, task->on_link, direction, bytes, drive_clock_ns(drive, sent_ns));
    task->energy_j += joules;
    task->sending_j += joules;
    local_pass(drive->world, task->on_link, direction, bytes, sent_ns, &task->passage);
}

static void at_station(struct task *task)
{
    struct stream_run *stream = task->stream;
    struct drive *drive = stream->drive;
    struct error error = {0};
    uint64_t job;
    const struct placement *placement = task->placement;
    if (!placement->station_part) {
        end_well(task, task->since_ns); /* the station has the result */
        return;
    }
    int64_t started_ns = drive_clock_ns(drive, task->due_ns), now_ns = drive_clock_ns(drive, task->since_ns);
    drive->station_now_ns = now_ns > drive->station_now_ns ? now_ns : drive->station_now_ns;
    const struct station_job what = {
        .stream = stream->index,
        .task = task->number,
        .started_ns = started_ns,
        .deadline_ns = stream->spec->deadline_ns ? started_ns + stream->spec->deadline_ns : INT64_MAX,
        .priority = stream->spec->priority,
        .weight = stream->spec->weight,
        .model = stream->spec->model,
        .first_layer = placement->way.order_number * (stream->layer_count + 1) + placement->last_cut,
        .layer_count = stream->layer_count - placement->last_cut,
        .layer_ns = placement->station_layer_ns,
        .user = task};
    task->state = TASK_AT_STATION;
    drive->station_dirty = true;
    drive_enter(drive, drive->scheduler);
    int status = station_arrive(drive->station, &what, drive->station_now_ns, &job, &error);
    drive_leave(drive);
    if (status)
        drive_fail(drive, &error);
    else
        tasks_dispatch(drive); /* now, not after whatever else the event loop has to do */
}

static struct frame_header frame_of(const struct task *task, uint32_t kind, const struct payload_layout *layout,
                                    int64_t sent_ns)
{
    return (struct frame_header){.kind = kind,
                                 .stream = task->stream->index,
                                 .task = task->number,
                                 .tensor_count = layout->count,
                                 .tensor_bytes = layout->tensor_bytes,
                                 .payload_bytes = layout->payload_bytes,
                                 .sent_ns = sent_ns};
}

/* A device on the way gets the tensors that its part needs; it computes one task after the other. */
static void at_device(struct task *task)
{
    const struct stream_run *stream = task->stream;
    const struct local_hop *hop = hop_of(task, task->hop);
    struct peer *peer = &stream->drive->world->nodes[hop->node].peer;
    struct frame_header header = frame_of(task, FRAME_TASK, &task->placement->ups[task->hop - 1], task->left_ns);
    header.part = hop->part;
    task->state = TASK_ON_DEVICE;
    task->owed_by = hop->node;
    peer->sent_bytes += header.tensor_bytes;
    peer_send_copy(peer, &header, task->room->cut);
}

static void came_up(struct world *world, struct passage *passage);

/* What left task->hop is above, all of it. */
static void arrive_above(struct task *task)
{
    const struct placement *placement = task->placement;
    task->since_ns = clock_now_ns();
    task->transmit_ns += task->since_ns - task->left_ns;
    if (++task->hop == placement->way.count) {
        at_station(task);
        return;
    }
    struct task_hop *hop = &task->hops[task->hop - 1];
    hop->came_ns = hop->began_ns = hop->left_ns = task->since_ns;
    if (local_has_part(&placement->way, task->hop)) {
        at_device(task);
    } else {
        task->left_ns = task->since_ns;
        pass(task, LINK_UP, placement->ups[task->hop].tensor_bytes, task->left_ns, came_up);
    }
}

/* true: the passage is over, and nothing else is to come before the task can go on. */
static bool has_come(struct task *task)
{
    task->on_link = DRIVE_NONE;
    if (task->dead)
        task_let_go(task);
    else if (task->owed_by == DRIVE_NONE)
        return true;
    return false;
}

static void came_up(struct world *world, struct passage *passage)
{
    struct task *task = (struct task *)passage;
    (void)world;
    if (has_come(task))
        arrive_above(task);
}

static void go_down(struct task *task, int64_t sent_ns);

/* The times of a part that a device has done. */
static void note_part(struct task *task, const struct frame_header *header)
{
    if (task->hop == 0) {
        task->device_began_ns = header->started_ns;
        task->device_ended_ns = header->ended_ns;
    } else {
        task->queue_ns += header->started_ns - task->since_ns;
        task->remote_ns += header->ended_ns - header->started_ns;
        task->hops[task->hop - 1].began_ns = header->started_ns;
        task->hops[task->hop - 1].left_ns = header->ended_ns;
    }
    task->left_ns = header->ended_ns;
    if (task->hop == 0)
        watch_device_done(task);
    task->digest = header->digest;
    task->energy_j += energy_compute(task->stream->drive->energy, hop_of(task, task->hop)->node,
                                     header->ended_ns - header->started_ns);
}

/* The links' time runs from the moment of sending, while the content is still coming in. */
static int begin_task_frame(struct drive *drive, struct peer *peer, const struct frame_header *header,
                            int64_t **layer_ns, void **payload, struct error *error)
{
    struct task *task = find_task(drive, peer, header->stream, header->task, TASK_ON_DEVICE, error);
    if (!task)
        return -1;
    struct stream_run *stream = task->stream;
    const struct local_hop *hop = hop_of(task, task->hop);
    const struct payload_layout *leaving = &task->placement->ups[task->hop];
    bool up = sends_up(task, task->hop), down = !up && task->hop > 0 && stream->spec->result_returns;
    uint64_t expected = up || down ? leaving->payload_bytes : 0;
    if (header->layer_count != hop->cut - hop->first || header->payload_bytes != expected)
        return error_set(error, ERROR_RUN, "it sent %" PRIu64 " bytes for a task of stream %s (%" PRIu64 " expected)",
                         header->payload_bytes, stream->spec->name, expected);
    drive->world->nodes[peer->node].computed_ns = clock_now_ns();
    drive->world->nodes[peer->node].receiving = task;
    note_part(task, header);
    *layer_ns = task->layer_ns + hop->first;
    task->state = down ? TASK_GOING_DOWN : TASK_GOING_UP;
    task->passage.arrived = NULL;
    if (!up && !down)
        return 0;
    if (!task->room && !(task->room = take_room(stream, task->placement, error)))
        return -1;
    *payload = down ? task->room->result : task->room->cut;
    peer->received_bytes += header->tensor_bytes;
    if (!task->dead && up)
        pass(task, LINK_UP, leaving->tensor_bytes, header->sent_ns, came_up);
    else if (!task->dead)
        go_down(task, header->sent_ns);
    return 0;
}

static void end_task_frame(struct local_node *node)
{
    struct task *task = node->receiving;
    node->receiving = NULL;
    task->owed_by = DRIVE_NONE;
    if (task->dead)
        task_let_go(task);
    else if (task->on_link == DRIVE_NONE)
        task->passage.arrived ? task->passage.arrived(task->stream->drive->world, &task->passage)
                              : end_well(task, task->left_ns);
}

int drive_frame_begin(struct drive *drive, struct peer *peer, const struct frame_header *header, int64_t **layer_ns,
                      void **payload, struct error *error)
{
    if (header->kind == FRAME_TASK)
        return begin_task_frame(drive, peer, header, layer_ns, payload, error);
    if (header->layer_count || header->payload_bytes)
        return error_set(error, ERROR_RUN, "it sent content where there is none");
    return 0;
}

/* The device may have a result, and say so, before the worker that sent it has been heard here. */
static struct task *find_returned(struct drive *drive, const struct peer *peer, const struct frame_header *header,
                                  struct error *error)
{
    struct stream_run *stream = header->stream < drive->scenario->stream_count ? &drive->streams[header->stream] : NULL;
    const struct task *task = stream && header->task < stream->next_number ? stream->tasks[header->task] : NULL;
    bool early = task && task->in_slice && task->finishes_itself && !task->came_early;
    return find_task(drive, peer, header->stream, header->task, early ? TASK_AT_STATION : TASK_COMING_IN, error);
}

int drive_frame_end(struct drive *drive, struct peer *peer, const struct frame_header *header, struct error *error)
{
    if (header->kind == FRAME_TASK) {
        end_task_frame(&drive->world->nodes[peer->node]);
        return 0;
    }
    struct task *task = find_returned(drive, peer, header, error);
    if (!task)
        return -1;
    if (task->in_slice)
        drive_work_done(drive, workers_await(drive->world->workers, true));
    if (drive->streams[header->stream].tasks[header->task] != task)
        return 0; /* it had failed, and was only waited for */
    if (task->dead) {
        task->owed_by = DRIVE_NONE;
        task_let_go(task);
        return 0;
    }
    task->returned = true;
    task->ended_ns = header->ended_ns;
    watch_result_came(task);
    if (task->state == TASK_AT_STATION)
        task->came_early = true;
    else
        end_task(task, TASK_OK, NULL);
    return 0;
}

/* ---- the station */

/*
 * On the worker's thread: where the link is not shaped, the result need not wait for the event loop, which will hear of
 * it from the device. So the worker's end is not announced, except where a job waits for the worker, or the rest of the
 * result for the event loop.
 */
static bool send_result(struct worker_item *item)
{
    struct task *task = item->user;
    const struct frame_header header = frame_of(task, FRAME_RESULT, &task->stream->down, item->ended_ns);
    struct world *world = task->stream->drive->world;
    enum peer_sent sent = peer_send_now(&world->nodes[task->stream->spec->device].peer, &header, task->room->result);
    task->sent_down = sent != PEER_SENT_NOTHING;
    return sent == PEER_SENT_ALL;
}

/* ---- the result's way down: it stops nowhere */

static void came_down(struct world *world, struct passage *passage)
{
    struct task *task = (struct task *)passage;
    if (!has_come(task))
        return;
    if (task->hop > 0) {
        int64_t now_ns = clock_now_ns();
        task->hops[task->hop - 1].back_ns = now_ns;
        go_down(task, now_ns);
        return;
    }
    struct frame_header header = frame_of(task, FRAME_RESULT, &task->stream->down, task->left_ns);
    if (task->is_ahead)
        header.payload_bytes = header.tensor_bytes = header.tensor_count = 0;
    task->state = TASK_COMING_IN;
    peer_send(&world->nodes[task->stream->spec->device].peer, &task->out, &header, task->room->result);
}

/* From above the link below. */
static void go_down(struct task *task, int64_t sent_ns)
{
    task->hop--;
    task->state = TASK_GOING_DOWN;
    pass(task, LINK_DOWN, task->stream->down.tensor_bytes, sent_ns, came_down);
}

/* On the only, shaped link the content travels while the link's time runs, so that its own time does not come on top. */
static void send_down(struct task *task)
{
    const struct stream_run *stream = task->stream;
    struct world *world = stream->drive->world;
    task->is_ahead = task->placement->way.count == 1 && stream->down.payload_bytes >= LOCAL_AHEAD_BYTES &&
                     !shaper_is_direct(world->shaper, stream->spec->link, LINK_DOWN);
    if (task->is_ahead) {
        const struct frame_header header = frame_of(task, FRAME_AHEAD, &stream->down, task->left_ns);
        peer_send(&world->nodes[stream->spec->device].peer, &task->ahead, &header, task->room->result);
    }
    go_down(task, task->left_ns);
}

/* The station has done its part. */
static void leave_station(struct task *task)
{
    struct stream_run *stream = task->stream;
    if (task->failing) {
        if (task->sent_down && !task->came_early) { /* the device will say that it has the result */
            task->state = TASK_COMING_IN;
            task->owed_by = stream->spec->device;
        }
        end_task(task, TASK_FAILED, task->cause);
        return;
    }
    task->remote_ns += task->station_ns;
    task->queue_ns += task->left_ns - task->since_ns - task->station_ns;
    if (stream->spec->result_returns)
        stream->drive->world->nodes[stream->spec->device].peer.sent_bytes += stream->down.tensor_bytes;
    if (!stream->spec->result_returns)
        end_well(task, task->left_ns);
    else if (task->came_early)
        end_task(task, TASK_OK, NULL);
    else if (task->sent_down)
        task->state = TASK_COMING_IN;
    else
        send_down(task);
}

static int64_t station_now(struct drive *drive)
{
    int64_t now_ns = drive_clock_ns(drive, clock_now_ns());
    if (now_ns > drive->station_now_ns)
        drive->station_now_ns = now_ns;
    return drive->station_now_ns;
}

static void slice_done(struct drive *drive, struct task *task, uint64_t job)
{
    struct station_end end;
    struct error error = {0};
    drive_enter(drive, drive->scheduler);
    int status = station_slice_done(drive->station, job, station_now(drive), &end, &error);
    drive_leave(drive);
    drive->station_dirty = true;
    if (status < 0) {
        drive_fail(drive, &error);
    } else if (status > 0) {
        task->state = TASK_GOING_DOWN;
        leave_station(task);
    }
}

static void slice_came_back(struct drive *drive, struct worker_item *item)
{
    struct task *task = item->user;
    task->in_slice = false;
    drive->slices_running--;
    task->station_ns += item->ended_ns - item->began_ns;
    task->left_ns = item->ended_ns;
    task->energy_j +=
        energy_compute(drive->energy, drive->scenario->station, (item->ended_ns - item->began_ns) / item->batch_count);
    task->digest = item->digest;
    if (task->sent_down)
        peer_go_on(&drive->world->nodes[task->stream->spec->device].peer);
    bool cancelled = drive->over && item->error.kind == ERROR_CANCELLED; /* it is only unfinished */
    if (item->status && !task->failing && !cancelled) {
        task->failing = true;
        snprintf(task->cause, sizeof(task->cause), "node %s: %.400s",
                 drive->scenario->nodes[drive->scenario->station].name, item->error.text);
    }
    if (!drive->over)
        slice_done(drive, task, item->job);
}

void drive_work_done(struct drive *drive, struct worker_item *items)
{
    while (items) {
        struct worker_item *next = items->next;
        if (items->kind == WORK_PREPARE)
            replan_work_done(drive, items);
        else
            slice_came_back(drive, items);
        items = next;
    }
}

/* What the worker has to do for a slice. */
static struct worker_item *prepare_slice(struct drive *drive, const struct station_slice *slice)
{
    struct task *task = slice->user;
    struct stream_run *stream = task->stream;
    task->slices++;
    task->in_slice = true;
    drive->slices_running++;
    struct worker_item *item = &task->item;
    item->kind = WORK_SLICE;
    item->user = task;
    item->job = slice->job;
    item->part = task->placement->station_part;
    item->first = slice->first_layer == 0;
    item->last = slice->first_layer + slice->layer_count == stream->layer_count - task->placement->last_cut;
    item->layers = slice->layer_count;
    item->arriving = task->room->arriving;
    item->result = stream->spec->result_returns ? task->room->result : NULL;
    item->layer_ns = task->layer_ns + task->placement->last_cut + slice->first_layer;
    task->finishes_itself = item->last && item->result && task->placement->way.count == 1 &&
                            shaper_is_direct(drive->world->shaper, stream->spec->link, LINK_DOWN);
    item->finished = task->finishes_itself ? send_result : NULL;
    item->batch_next = NULL;
    return item;
}

static int ask_station(struct drive *drive, struct station_slice *slice, struct error *error)
{
    drive_enter(drive, drive->scheduler);
    int status = station_dispatch(drive->station, station_now(drive), slice, error);
    drive_leave(drive);
    return status;
}

void tasks_dispatch(struct drive *drive)
{
    struct station_slice slice;
    struct error error = {0};
    struct worker_item *first = NULL, **last = &first; /* of the batch, or the lone slice */
    int status = 0;
    drive->station_dirty = false;
    while (!drive->over && (status = ask_station(drive, &slice, &error)) > 0) {
        struct task *task = slice.user;
        if (task->failing) {
            slice_done(drive, task, slice.job); /* nothing is computed any more for a task that has failed */
        } else {
            *last = prepare_slice(drive, &slice);
            last = &(*last)->batch_next;
        }
        if (slice.more || !first)
            continue;
        workers_post(drive->world->workers, slice.worker, first);
        first = NULL;
        last = &first;
    }
    if (first) /* the run ended amid a batch */
        workers_post(drive->world->workers, slice.worker, first);
    if (status < 0)
        drive_fail(drive, &error);
    else if (station_jobs(drive->station) > drive->slices_running)
        drive_work_done(drive, workers_await(drive->world->workers, true));
}
