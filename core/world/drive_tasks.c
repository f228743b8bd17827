/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a task: start, device, link, station, link, end; and its record. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/world/drive_private.h"

/* ---- rooms and tasks, used again and again */

static struct task_room *take_room(struct stream_run *stream, struct error *error)
{
    struct task_room *room = stream->free_rooms;
    if (room) {
        stream->free_rooms = room->next;
        return room;
    }
    room = NEW(struct task_room);
    room->cut = memory_try_aligned((size_t)stream->up.payload_bytes);
    room->result = memory_try_aligned((size_t)stream->down.payload_bytes);
    if (!room->cut || !room->result) {
        free(room->cut);
        free(room->result);
        free(room);
        error_set(error, ERROR_RUN, "no memory for %" PRIu64 " bytes of a task", stream->up.payload_bytes);
        return NULL;
    }
    memset(room->result, 0, (size_t)stream->down.payload_bytes); /* the padding too is sent */
    room->arriving = NEW_ARRAY(const void *, stream->up.count);
    for (uint32_t i = 0; i < stream->up.count; i++)
        room->arriving[i] = room->cut + stream->up.offsets[i];
    return room;
}

static void free_room(struct task_room *room)
{
    free(room->cut);
    free(room->result);
    free(room->arriving);
    free(room);
}

static struct task *take_task(struct stream_run *stream)
{
    struct task *task = stream->free_tasks;
    if (task) {
        stream->free_tasks = task->next_free;
        int64_t *layer_ns = task->layer_ns;
        memset(task, 0, offsetof(struct task, item));
        memset(&task->item, 0, offsetof(struct worker_item, error));
        task->layer_ns = layer_ns;
        task->cause[0] = '\0';
        memset(layer_ns, 0, stream->layer_count * sizeof(*layer_ns));
    } else {
        task = NEW(struct task);
        task->layer_ns = NEW_ARRAY(int64_t, stream->layer_count);
    }
    task->stream = stream;
    return task;
}

void tasks_free(struct stream_run *stream)
{
    while (stream->free_tasks) {
        struct task *next = stream->free_tasks->next_free;
        free(stream->free_tasks->layer_ns);
        free(stream->free_tasks);
        stream->free_tasks = next;
    }
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

/* The phases of a task that went well. */
static int64_t fill_phases(const struct task *task, struct task_record *record)
{
    const struct stream_run *stream = task->stream;
    int64_t *phase = record->phase_ns;
    phase[PHASE_LOCAL] = task->device_ended_ns - task->due_ns;
    record->device_wait_ns = task->device_began_ns - task->due_ns;
    if (!stream->goes_up)
        return task->device_ended_ns;
    phase[PHASE_TRANSMIT] = task->arrived_ns - task->device_ended_ns;
    record->up_bytes = stream->up.tensor_bytes;
    if (stream->cut == stream->layer_count)
        return task->arrived_ns;
    phase[PHASE_REMOTE] = task->remote_ns;
    phase[PHASE_QUEUE] = task->station_ended_ns - task->arrived_ns - task->remote_ns;
    if (!stream->spec->result_returns)
        return task->station_ended_ns;
    phase[PHASE_RETURN] = task->returned_ns - task->station_ended_ns;
    record->down_bytes = stream->down.tensor_bytes;
    return task->returned_ns;
}

static void tell_outbox(const struct task *task, enum task_status status, const char *cause, int64_t now_ns)
{
    const struct stream_run *stream = task->stream;
    const struct drive *drive = stream->drive;
    struct task_record record = {.stream = stream->index,
                                 .task = task->number,
                                 .status = status,
                                 .cause = cause,
                                 .cut = stream->cut,
                                 .warmup = task->number < drive->scenario->warmup_tasks,
                                 .started_ns = drive_clock_ns(drive, task->due_ns),
                                 .slices = task->slices,
                                 .layer_count = stream->layer_count,
                                 .layer_ns = task->layer_ns,
                                 .output_digest = task->digest};
    int64_t ended_ns = status == TASK_OK ? fill_phases(task, &record) : now_ns > task->due_ns ? now_ns : task->due_ns;
    record.ended_ns = drive_clock_ns(drive, ended_ns);
    record.device_compute_ns = sum_ns(task->layer_ns, stream->cut);
    record.station_compute_ns = sum_ns(task->layer_ns + stream->cut, stream->layer_count - stream->cut);
    outbox_task(drive->outbox, &record);
}

static void give_back(struct task *task)
{
    struct stream_run *stream = task->stream;
    if (task->room) {
        task->room->next = stream->free_rooms;
        stream->free_rooms = task->room;
        task->room = NULL;
    }
    task->next_free = stream->free_tasks;
    stream->free_tasks = task;
}

static void end_task(struct task *task, enum task_status status, const char *cause)
{
    struct stream_run *stream = task->stream;
    struct drive *drive = stream->drive;
    uint64_t number = task->number;
    int64_t now_ns = clock_now_ns();
    tell_outbox(task, status, cause, now_ns);
    give_back(task);
    stream->tasks[number] = NULL;
    stream->open_count--;
    drive->tasks_open--;
    drive->tasks_done++;
    while (stream->first_open < stream->next_number && !stream->tasks[stream->first_open])
        stream->first_open++;
    outbox_progress(drive->outbox, drive->tasks_done, drive->tasks_of);
    if (status != TASK_UNFINISHED && !drive->over) {
        arrivals_completed(stream, number, status != TASK_OK, now_ns);
        arrivals_advance(stream, now_ns);
    }
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
    task->number = stream->next_number++;
    task->due_ns = due_ns;
    task->state = TASK_ON_DEVICE;
    stream->tasks[task->number] = task;
    stream->open_count++;
    drive->tasks_open++;
    Wire__Start body = WIRE__START__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.stream = stream->index;
    body.task = task->number;
    body.due_ns = due_ns;
    message.body_case = WIRE__MESSAGE__BODY_START;
    message.start = &body;
    peer_tell(&drive->world->nodes[stream->spec->device].peer, &message);
}

/* ---- the task a peer speaks of, which must be where the peer can speak of it */

static struct task *find_task(struct drive *drive, const struct peer *peer, uint32_t stream_index, uint64_t number,
                              enum task_state state, struct error *error)
{
    struct stream_run *stream = stream_index < drive->scenario->stream_count ? &drive->streams[stream_index] : NULL;
    struct task *task =
        stream && stream->spec->device == peer->node && number < stream->next_number ? stream->tasks[number] : NULL;
    if (!task || task->state != state) {
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
        char cause[512];
        snprintf(cause, sizeof(cause), "node %s: %s", peer->name, body->text);
        task_fail(task, cause);
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

/* ---- from the device to the station */

static void at_station(struct task *task)
{
    struct stream_run *stream = task->stream;
    struct drive *drive = stream->drive;
    struct error error = {0};
    uint64_t job;
    task->arrived_ns = clock_now_ns();
    if (stream->cut == stream->layer_count) {
        end_task(task, TASK_OK, NULL); /* the station has the result */
        return;
    }
    int64_t started_ns = drive_clock_ns(drive, task->due_ns), now_ns = drive_clock_ns(drive, task->arrived_ns);
    drive->station_now_ns = now_ns > drive->station_now_ns ? now_ns : drive->station_now_ns;
    const struct station_job what = {.stream = stream->index,
                                     .task = task->number,
                                     .started_ns = started_ns,
                                     .deadline_ns =
                                         stream->spec->deadline_ns ? started_ns + stream->spec->deadline_ns : INT64_MAX,
                                     .priority = stream->spec->priority,
                                     .weight = stream->spec->weight,
                                     .model = stream->spec->model,
                                     .first_layer = stream->cut,
                                     .layer_count = stream->layer_count - stream->cut,
                                     .layer_ns = stream->station_layer_ns,
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

static void came_up(struct world *world, struct passage *passage)
{
    struct task *task = (struct task *)passage;
    (void)world;
    task->link_done = true;
    if (task->content_done)
        at_station(task);
}

static int begin_task_frame(struct drive *drive, struct peer *peer, const struct frame_header *header,
                            int64_t **layer_ns, void **payload, struct error *error)
{
    struct task *task = find_task(drive, peer, header->stream, header->task, TASK_ON_DEVICE, error);
    if (!task)
        return -1;
    struct stream_run *stream = task->stream;
    if (header->layer_count != stream->cut || header->payload_bytes != (stream->goes_up ? stream->up.payload_bytes : 0))
        return error_set(error, ERROR_RUN, "it sent %" PRIu64 " bytes for a task of stream %s (%" PRIu64 " expected)",
                         header->payload_bytes, stream->spec->name, stream->up.payload_bytes);
    drive->world->nodes[peer->node].computed_ns = clock_now_ns();
    task->device_began_ns = header->started_ns;
    task->device_ended_ns = header->ended_ns;
    task->digest = header->digest;
    *layer_ns = task->layer_ns;
    task->state = TASK_GOING_UP;
    if (!stream->goes_up)
        return 0;
    task->room = take_room(stream, error);
    if (!task->room)
        return -1;
    *payload = task->room->cut;
    peer->received_bytes += header->tensor_bytes;
    /* The link's time runs from the moment of sending, while the content is still coming in. */
    task->passage.arrived = came_up;
    local_pass(drive->world, stream->spec->link, LINK_UP, stream->up.tensor_bytes, header->sent_ns, &task->passage);
    return 0;
}

static void end_task_frame(struct task *task)
{
    task->content_done = true;
    if (!task->stream->goes_up)
        end_task(task, TASK_OK, NULL);
    else if (task->link_done)
        at_station(task);
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
    struct task *task = header->kind == FRAME_TASK
                            ? find_task(drive, peer, header->stream, header->task, TASK_GOING_UP, error)
                            : find_returned(drive, peer, header, error);
    if (!task)
        return -1;
    if (header->kind == FRAME_TASK) {
        end_task_frame(task);
        return 0;
    }
    if (task->in_slice)
        drive_work_done(drive, workers_await(drive->world->workers, true));
    if (drive->streams[header->stream].tasks[header->task] != task)
        return 0; /* it had failed, and was only waited for */
    task->returned_ns = header->ended_ns;
    if (task->state == TASK_AT_STATION)
        task->came_early = true;
    else
        end_task(task, TASK_OK, NULL);
    return 0;
}

/* ---- the station */

static struct frame_header result_header(const struct task *task, uint32_t kind)
{
    const struct stream_run *stream = task->stream;
    return (struct frame_header){.kind = kind,
                                 .stream = stream->index,
                                 .task = task->number,
                                 .tensor_count = stream->down.count,
                                 .tensor_bytes = stream->down.tensor_bytes,
                                 .payload_bytes = stream->down.payload_bytes,
                                 .sent_ns = task->item.ended_ns};
}

static void came_down(struct world *world, struct passage *passage)
{
    struct task *task = (struct task *)passage;
    struct frame_header header = result_header(task, FRAME_RESULT);
    if (task->is_ahead)
        header.payload_bytes = header.tensor_bytes = header.tensor_count = 0;
    task->state = TASK_COMING_IN;
    peer_send(&world->nodes[task->stream->spec->device].peer, &task->out, &header, task->room->result);
}

/*
 * On the worker's thread: where the link is not shaped, the result need not wait for the event loop, which will hear of
 * it from the device. So the worker's end is not announced, except where a job waits for the worker.
 */
static bool send_result(struct worker_item *item)
{
    struct task *task = item->user;
    const struct frame_header header = result_header(task, FRAME_RESULT);
    struct world *world = task->stream->drive->world;
    task->sent_down = peer_send_now(&world->nodes[task->stream->spec->device].peer, &header, task->room->result);
    return task->sent_down;
}

/* On a shaped link the content travels while the link's time runs, so that its own time does not come on top. */
static void send_down(struct task *task)
{
    struct stream_run *stream = task->stream;
    struct world *world = stream->drive->world;
    struct peer *peer = &world->nodes[stream->spec->device].peer;
    task->state = TASK_GOING_DOWN;
    task->passage.arrived = came_down;
    task->is_ahead = stream->down.payload_bytes >= LOCAL_AHEAD_BYTES &&
                     !shaper_is_direct(world->shaper, stream->spec->link, LINK_DOWN);
    if (task->is_ahead) {
        const struct frame_header header = result_header(task, FRAME_AHEAD);
        peer_send(peer, &task->ahead, &header, task->room->result);
    }
    local_pass(world, stream->spec->link, LINK_DOWN, stream->down.tensor_bytes, task->station_ended_ns, &task->passage);
}

/* The station has done its part. */
static void leave_station(struct task *task)
{
    struct stream_run *stream = task->stream;
    if (task->failing) {
        end_task(task, TASK_FAILED, task->cause);
        return;
    }
    if (stream->spec->result_returns)
        stream->drive->world->nodes[stream->spec->device].peer.sent_bytes += stream->down.tensor_bytes;
    if (!stream->spec->result_returns || task->came_early)
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

void drive_work_done(struct drive *drive, struct worker_item *items)
{
    while (items) {
        struct worker_item *next = items->next;
        struct task *task = items->user;
        task->in_slice = false;
        drive->slices_running--;
        task->remote_ns += items->ended_ns - items->began_ns;
        task->station_ended_ns = items->ended_ns;
        task->digest = items->digest;
        bool cancelled = drive->over && items->error.kind == ERROR_CANCELLED; /* it is only unfinished */
        if (items->status && !task->failing && !cancelled) {
            task->failing = true;
            snprintf(task->cause, sizeof(task->cause), "node %s: %.400s",
                     drive->scenario->nodes[drive->scenario->station].name, items->error.text);
        }
        if (!drive->over)
            slice_done(drive, task, items->job);
        items = next;
    }
}

static void post_slice(struct drive *drive, const struct station_slice *slice)
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
    item->stream = stream->index;
    item->first = slice->first_layer == 0;
    item->last = slice->first_layer + slice->layer_count == stream->layer_count - stream->cut;
    item->layers = slice->layer_count;
    item->arriving = task->room->arriving;
    item->result = stream->spec->result_returns ? task->room->result : NULL;
    item->layer_ns = task->layer_ns + stream->cut + slice->first_layer;
    task->finishes_itself =
        item->last && item->result && shaper_is_direct(drive->world->shaper, stream->spec->link, LINK_DOWN);
    item->finished = task->finishes_itself ? send_result : NULL;
    workers_post(drive->world->workers, slice->worker, item);
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
    int status = 0;
    drive->station_dirty = false;
    while (!drive->over && (status = ask_station(drive, &slice, &error)) > 0) {
        struct task *task = slice.user;
        if (task->failing)
            slice_done(drive, task, slice.job); /* nothing is computed any more for a task that has failed */
        else
            post_slice(drive, &slice);
    }
    if (status < 0)
        drive_fail(drive, &error);
    else if (station_jobs(drive->station) > drive->slices_running)
        drive_work_done(drive, workers_await(drive->world->workers, true));
}
