/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking out for what an unshaped link is about to bring (watch.h): the driving thread for a device's tensors, and the
 * agent's reading thread, which is told when, for the station's result. Over a shaped link what comes early has to wait
 * anyway.
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

void watch_device(struct task *task, int64_t since_ns)
{
    if (is_direct(task, LINK_UP))
        task->stream->window = watch_foresee(&task->placement->device_took, since_ns);
}

void watch_device_done(struct task *task)
{
    struct stream_run *stream = task->stream;
    const uint64_t next = task->number + 1;
    struct task *follower = next < stream->next_number ? stream->tasks[next] : NULL;
    watch_learn(&task->placement->device_took, task->device_ended_ns - task->device_began_ns);
    stream->window = (struct watch_window){0, 0};
    if (follower && follower->state == TASK_ON_DEVICE)
        watch_device(follower, follower->due_ns > task->device_ended_ns ? follower->due_ns : task->device_ended_ns);
}

int64_t watch_next_ns(const struct drive *drive, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++) {
        const struct watch_window *window = &drive->streams[i].window;
        if (now_ns < window->until_ns && window->from_ns < next_ns)
            next_ns = window->from_ns;
    }
    return next_ns <= now_ns && !has_processor(drive, now_ns) ? INT64_MAX : next_ns;
}

void watch_station_done(struct task *task, const struct worker_item *item)
{
    if (item->status == 0 && item->first && item->last)
        watch_learn(&task->placement->station_took, item->ended_ns - item->began_ns);
}

struct watch_window watch_result(const struct task *task, int64_t now_ns)
{
    const struct worker_item *item = &task->item;
    if (!item->first || !item->last || !item->result || !is_direct(task, LINK_DOWN) ||
        !has_processor(task->stream->drive, now_ns))
        return (struct watch_window){0, 0};
    return watch_foresee(&task->placement->station_took, now_ns);
}

void watch_tell(struct stream_run *stream, const struct watch_window *window)
{
    const struct frame_header header = {
        .kind = FRAME_EXPECT, .stream = stream->index, .started_ns = window->from_ns, .ended_ns = window->until_ns};
    if (window->until_ns)
        peer_send_copy(&stream->drive->world->nodes[stream->spec->device].peer, &header, NULL);
}
