/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking out for what an unshaped link is about to bring (watch.h): the driving thread for a device's tensors, and the
 * agent's reading thread for the station's result. The device is told when before its tensors are there, as telling
 * takes as long as waking it. Over a shaped link what comes early has to wait anyway.
 */
#include "core/world/drive_private.h"

/* Tasks of the stream that are due and not over: each may be keeping a processor busy. Not more than so many are counted. */
static uint32_t under_way(const struct stream_run *stream, int64_t now_ns, uint32_t most)
{
    uint32_t count = 0;
    for (uint64_t i = stream->first_open; i < stream->next_number && count < most; i++)
        count += stream->tasks[i] && !stream->tasks[i]->dead && stream->tasks[i]->due_ns <= now_ns;
    return count;
}

/* Looking keeps a processor busy too: so it is done only while one is left over. */
static bool has_processor(const struct drive *drive, int64_t now_ns)
{
    const uint32_t processors = drive->world->nodes[drive->scenario->station].facts.processors;
    uint32_t busy = 0;
    for (uint32_t i = 0; i < drive->scenario->stream_count && busy < processors; i++)
        busy += under_way(&drive->streams[i], now_ns, processors - busy);
    return busy < processors;
}

static bool is_direct(const struct task *task, enum link_direction direction)
{
    const struct stream_run *stream = task->stream;
    return task->placement->way.count == 1 &&
           shaper_is_direct(stream->drive->world->shaper, stream->spec->link, direction);
}

/* The device begins with it at that time. */
static void watch_device(struct task *task, int64_t since_ns)
{
    struct stream_run *stream = task->stream;
    if (!is_direct(task, LINK_UP))
        return;
    stream->tensors = watch_foresee(&task->placement->device_took, since_ns);
    if (is_direct(task, LINK_DOWN) && stream->spec->result_returns)
        stream->result = watch_foresee(&task->placement->result_took, since_ns);
}

static struct task *neighbour(const struct task *task, int64_t distance)
{
    const uint64_t number = task->number + (uint64_t)distance;
    return number < task->stream->next_number ? task->stream->tasks[number] : NULL;
}

void watch_start(struct task *task)
{
    const struct task *before = neighbour(task, -1);
    if (!before || before->state != TASK_ON_DEVICE)
        watch_device(task, task->due_ns);
}

void watch_device_done(struct task *task)
{
    struct stream_run *stream = task->stream;
    struct task *follower = neighbour(task, 1);
    watch_learn(&task->placement->device_took, task->device_ended_ns - task->device_began_ns);
    stream->tensors = stream->result = (struct watch_window){0, 0};
    if (follower && follower->state == TASK_ON_DEVICE)
        watch_device(follower, follower->due_ns > task->device_ended_ns ? follower->due_ns : task->device_ended_ns);
}

void watch_result_came(struct task *task)
{
    watch_learn(&task->placement->result_took, task->ended_ns - task->device_began_ns);
}

static void tell_of_result(struct stream_run *stream)
{
    const struct frame_header header = {.kind = FRAME_EXPECT,
                                        .stream = stream->index,
                                        .started_ns = stream->result.from_ns,
                                        .ended_ns = stream->result.until_ns};
    peer_send_copy(&stream->drive->world->nodes[stream->spec->device].peer, &header, NULL);
    stream->result = (struct watch_window){0, 0};
}

int64_t watch_next_ns(struct drive *drive, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++) {
        const struct watch_window *window = &drive->streams[i].tensors;
        if (now_ns < window->until_ns && window->from_ns < next_ns)
            next_ns = window->from_ns;
    }
    if (next_ns > now_ns)
        return next_ns;
    if (!has_processor(drive, now_ns))
        return INT64_MAX;
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++)
        if (drive->streams[i].result.from_ns && drive->streams[i].tensors.from_ns <= now_ns)
            tell_of_result(&drive->streams[i]);
    return next_ns;
}
