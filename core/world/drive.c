/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Driving: a thread of its own runs the event loop until all tasks have ended, while the run's thread hands the
 * records on. This file is the drive's life; the way of a task is in drive_tasks.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/world/drive_private.h"

/* A device is given so many times what its part of a task took in the profile, beside the time of silence. */
#define PATIENCE_TASKS 100
/* All tasks wait while a node takes no message: one whose process runs at all reads them at once. */
#define SEND_LIMIT_NS (500 * NS_PER_MS)
/* The run's clock starts so long after everything is ready: time to tell the first tasks. */
#define BEGIN_AFTER_NS (100 * NS_PER_MS)

void drive_fail(struct drive *drive, const struct error *why)
{
    if (drive->failure.kind == ERROR_NONE)
        drive->failure = *why;
    drive->over = true;
}

/* ---- events */

/* Since when a device has been computing the stream's task that it has now, at the latest; INT64_MAX: it has none. */
static int64_t computing_since_ns(const struct stream_run *stream, uint32_t hop, const struct local_node *node)
{
    for (uint64_t i = stream->first_open; i < stream->next_number; i++) {
        const struct task *task = stream->tasks[i];
        if (task && !task->dead && task->state == TASK_ON_DEVICE && task->hop == hop)
            return task->since_ns > node->computed_ns ? task->since_ns : node->computed_ns;
    }
    return INT64_MAX;
}

/* The agent may be alive, and its backend hang all the same: then it ends no task any more. */
static void check_backend(struct drive *drive, const struct stream_run *stream, uint32_t hop, int64_t now_ns)
{
    struct local_node *node = &drive->world->nodes[stream->now->way.hops[hop].node];
    int64_t limit_ns = drive->scenario->silence_ns +
                       (int64_t)((double)(PATIENCE_TASKS * node->task_ns) / drive_speed(drive, node->peer.node));
    if (node->peer.lost || now_ns - node->computed_ns <= limit_ns)
        return;
    if (node->peer.reader.in_content) { /* it is sending: what it computes next has to wait for that */
        node->computed_ns = now_ns;
        return;
    }
    int64_t since_ns = computing_since_ns(stream, hop, node);
    char limit[UNITS_TEXT_BYTES];
    if (since_ns != INT64_MAX && now_ns - since_ns > limit_ns)
        peer_lose(&node->peer,
                  "its backend has finished no task for %s: it hangs, or is that much slower than profiled",
                  units_format_duration(limit, (double)limit_ns));
}

static void check_backends(struct drive *drive, int64_t now_ns)
{
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++)
        for (uint32_t hop = 0; hop < drive->streams[i].now->way.count; hop++)
            check_backend(drive, &drive->streams[i], hop, now_ns);
}

void drive_tick(struct drive *drive, int64_t now_ns)
{
    struct error error = {0};
    if (local_is_cancelled(drive->world)) {
        error_set(&error, ERROR_CANCELLED, "stopped by the user; the tasks that had finished are kept");
        drive_fail(drive, &error);
    } else if (drive_clock_ns(drive, now_ns) > drive->scenario->time_limit_ns) {
        char limit[UNITS_TEXT_BYTES];
        error_set(&error, ERROR_RUN,
                  "the run took longer than its time limit of %s; the tasks that had finished are kept (time_limit in "
                  "the scenario sets it)",
                  units_format_duration(limit, (double)drive->scenario->time_limit_ns));
        drive_fail(drive, &error);
    }
    if (!drive->over)
        check_backends(drive, now_ns);
    drive_work_done(drive, workers_await(drive->world->workers, false)); /* the device that was to tell may be lost */
    for (uint32_t i = 0; i < drive->scenario->stream_count && !drive->over; i++)
        arrivals_advance(&drive->streams[i], now_ns);
}

static void end_cancelled(void *context, const struct station_end *end)
{
    struct task *task = end->user;
    (void)context;
    task->state = TASK_GOING_DOWN; /* the station does not hold it any more */
    task_fail(task, task->cause);
}

/* The node will not speak of the task any more, nor will anything leave its link. */
static void forget_node(struct task *task, uint32_t node, bool node_speaks)
{
    if (task->owed_by == node && !node_speaks)
        task->owed_by = DRIVE_NONE;
    if (task->on_link == task->stream->drive->scenario->link_of_node[node])
        task->on_link = DRIVE_NONE;
    if (node_speaks && task->state == TASK_GOING_DOWN && task->is_ahead)
        task->owed_by = node; /* its content may still wait to be sent: the task stays until the end */
}

void drive_fail_tasks(struct stream_run *stream, uint32_t node, bool node_speaks, const char *cause)
{
    struct drive *drive = stream->drive;
    for (uint64_t i = stream->first_open; i < stream->next_number; i++) {
        struct task *task = stream->tasks[i];
        if (!task)
            continue;
        forget_node(task, node, node_speaks);
        if (task->dead)
            task_let_go(task);
        else if (task->state != TASK_COMING_IN ||
                 (stream->spec->device == node && !node_speaks)) { /* else it is through */
            task->by_event |= node_speaks && !task->failing;
            task_fail(task, cause);
        }
    }
    drive_enter(drive, drive->scheduler);
    station_cancel_stream(drive->station, stream->index, drive->station_now_ns, end_cancelled, drive);
    drive_leave(drive);
    drive->station_dirty = true;
}

void drive_end_stream(struct stream_run *stream)
{
    if (!stream->ended)
        stream->drive->tasks_of -= stream->spec->task_count - stream->next_number;
    stream->ended = true;
}

static void lose_stream(struct stream_run *stream, uint32_t node, const char *cause)
{
    drive_end_stream(stream);
    drive_fail_tasks(stream, node, false, cause);
}

void drive_lost(struct drive *drive, struct peer *peer)
{
    outbox_node_lost(drive->outbox, peer->node, peer->cause);
    shaper_drop(drive->world->shaper, drive->scenario->link_of_node[peer->node]);
    drive->world->nodes[peer->node].receiving = NULL;
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++) {
        if (local_passes(drive->world, i, peer->node))
            lose_stream(&drive->streams[i], peer->node, peer->cause);
    }
    replan_node_lost(drive, peer->node);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct drive *drive = context;
    uint64_t expirations;
    (void)what;
    if (read(fd, &expirations, sizeof(expirations)) == sizeof(expirations)) {
        drive->timer_ns = INT64_MAX;
        drive->station_dirty = true;
    }
}

/* For what the station, a change, or something to look out for at that time asks for. */
static void arm_timer(struct drive *drive, int64_t watch_ns)
{
    int64_t wake_ns = station_wake_ns(drive->station), change_ns = changes_next_ns(drive->changes);
    wake_ns = change_ns < wake_ns ? change_ns : wake_ns;
    if (watch_ns != INT64_MAX && drive_clock_ns(drive, watch_ns) < wake_ns)
        wake_ns = drive_clock_ns(drive, watch_ns);
    if (wake_ns >= drive->timer_ns)
        return; /* it goes off before that: setting it anew would cost more than a wake-up in vain */
    drive->timer_ns = wake_ns;
    struct itimerspec when = {{0, 0}, {0, 0}};
    if (wake_ns != INT64_MAX) {
        int64_t at_ns = wake_ns + drive->world->zero_ns;
        when.it_value = clock_timespec(at_ns);
    }
    timerfd_settime(drive->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void on_sample(evutil_socket_t fd, short what, void *context)
{
    struct drive *drive = context;
    struct monitor_sample now;
    (void)fd;
    (void)what;
    monitor_sample(&drive->monitor, &now);
    struct node_sample sample = {.node = drive->scenario->station,
                                 .at_ns = drive_clock_ns(drive, now.at_ns),
                                 .cpu_share = now.cpu_share,
                                 .resident_bytes = now.resident_bytes,
                                 .machine_available_bytes = now.machine_available_bytes,
                                 .machine_load = now.machine_load,
                                 .energy_j = -1};
    for (uint32_t i = 0; i < drive->scenario->node_count; i++) {
        sample.received_bytes += drive->world->nodes[i].peer.received_bytes;
        sample.sent_bytes += drive->world->nodes[i].peer.sent_bytes;
    }
    if (sample.at_ns >= 0)
        outbox_sample(drive->outbox, &sample);
}

/* ---- the driving thread */

static bool is_all_done(const struct drive *drive)
{
    if (drive->tasks_open)
        return false;
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++) {
        if (!drive->streams[i].ended)
            return false;
    }
    return true;
}

static void tell_halt(struct drive *drive)
{
    Wire__Halt body = WIRE__HALT__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    message.body_case = WIRE__MESSAGE__BODY_HALT;
    message.halt = &body;
    for (uint32_t i = 0; i < drive->scenario->node_count; i++) {
        if (drive->world->nodes[i].peer.open)
            peer_tell(&drive->world->nodes[i].peer, &message);
    }
}

/* The drive ends before its tasks: what workers still do is awaited (they stop at the next layer), the rest is told. */
static void abandon_tasks(struct drive *drive)
{
    tell_halt(drive);
    if (drive->tasks_open)
        workers_cancel(drive->world->workers);
    replan_stop(drive);
    drive_enter(drive, workers_instance(drive->world->workers));
    while (drive->slices_running) {
        drive_work_done(drive, workers_take_done(drive->world->workers));
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
    }
    drive_leave(drive);
    for (uint32_t i = 0; i < drive->scenario->link_count; i++)
        shaper_drop(drive->world->shaper, i);
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++) {
        struct stream_run *stream = &drive->streams[i];
        for (uint64_t k = stream->first_open; k < stream->next_number; k++) {
            if (stream->tasks[k] && !stream->tasks[k]->dead)
                task_abandon(stream->tasks[k], drive->failure.text);
        }
    }
}

static void *run_drive(void *argument)
{
    struct drive *drive = argument;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    drive->world->zero_ns = clock_now_ns() + BEGIN_AFTER_NS;
    stress_begin(drive);
    for (uint32_t i = 0; i < drive->scenario->node_count; i++) {
        peer_resume(&drive->world->nodes[i].peer);
        drive->world->nodes[i].peer.control.send_limit_ns = SEND_LIMIT_NS;
        if (drive->world->nodes[i].peer.lost)
            drive_lost(drive, &drive->world->nodes[i].peer); /* it went between deploying and driving */
    }
    drive_tick(drive, clock_now_ns());
    while (!drive->over && !is_all_done(drive)) {
        int64_t now_ns = clock_now_ns(), watch_ns = watch_next_ns(drive, now_ns);
        bool looks = watch_ns <= now_ns;
        arm_timer(drive, looks ? INT64_MAX : watch_ns);
        if (looks)
            clock_linger();
        event_base_loop(drive->world->base, looks ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE);
        atomic_fetch_add_explicit(&drive->beat, 1, memory_order_relaxed);
        drive_change(drive, clock_now_ns());
        if (drive->station_dirty && !drive->over)
            tasks_dispatch(drive);
    }
    drive->over = true;
    abandon_tasks(drive);
    outbox_end(drive->outbox);
    return NULL;
}

/* ---- life */

static uint32_t most_layers(const struct scenario *scenario)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < scenario->model_count; i++) {
        uint32_t layers = model_view(scenario->models[i].model)->layer_count;
        most = layers > most ? layers : most;
    }
    return most;
}

static void open_streams(struct drive *drive)
{
    drive->streams = NEW_ARRAY(struct stream_run, drive->scenario->stream_count);
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++) {
        struct stream_run *stream = &drive->streams[i];
        stream->drive = drive;
        stream->spec = &drive->scenario->streams[i];
        const struct model *model = drive->scenario->models[stream->spec->model].model;
        stream->index = i;
        stream->layer_count = model_view(model)->layer_count;
        payload_layout_make(&stream->down, model, NULL, stream->layer_count);
        stream->now = placement_first(stream);
        stream->tasks = NEW_ARRAY(struct task *, stream->spec->task_count);
        drive->tasks_of += stream->spec->task_count;
    }
}

static int64_t scheduler_now_ns(void *context)
{
    const struct world *world = context;
    return clock_now_ns() - world->zero_ns;
}

static int open_station(struct drive *drive, struct error *error)
{
    struct world *world = drive->world;
    const struct instance_host host = {
        .label = "scheduler", .seed = world->setup.seed, .now_ns = scheduler_now_ns, .context = world};
    drive->scheduler =
        instance_open(world->setup.catalogue, NAPM_KIND_SCHEDULER, &drive->scenario->scheduler, &host, error);
    if (!drive->scheduler)
        return -1;
    drive->station = station_new(drive->scheduler, workers_count(world->workers));
    return 0;
}

static int open_timers(struct drive *drive, struct error *error)
{
    struct event_base *base = drive->world->base;
    drive->timer_ns = INT64_MAX;
    drive->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (drive->timer_fd < 0)
        return error_set(error, ERROR_RUN, "making a timer: %s", strerror(errno));
    drive->timer = event_new(base, drive->timer_fd, EV_READ | EV_PERSIST, on_timer, drive);
    event_add(drive->timer, NULL);
    int64_t every_ns = drive->scenario->sample_every_ns;
    if (every_ns > 0) {
        const struct timeval period = {.tv_sec = every_ns / NS_PER_S, .tv_usec = every_ns % NS_PER_S / NS_PER_US};
        drive->sample_timer = event_new(base, -1, EV_PERSIST, on_sample, drive);
        event_add(drive->sample_timer, &period);
    }
    return 0;
}

static void close_drive(struct drive *drive)
{
    drive->world->drive = NULL;
    stress_close(drive);
    replan_close(drive);
    if (drive->timer)
        event_free(drive->timer);
    if (drive->sample_timer)
        event_free(drive->sample_timer);
    if (drive->timer_fd >= 0)
        close(drive->timer_fd);
    if (drive->station)
        station_free(drive->station);
    if (drive->scheduler)
        instance_close(drive->scheduler);
    arrivals_close(drive);
    for (uint32_t i = 0; i < drive->scenario->node_count; i++)
        peer_forget(&drive->world->nodes[i].peer); /* what waits to be sent is of the tasks */
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++) {
        tasks_free(&drive->streams[i]);
        placements_free(&drive->streams[i]);
        payload_layout_free(&drive->streams[i].down);
    }
    free(drive->streams);
    drive_changes_close(drive);
    monitor_close(&drive->monitor);
    outbox_free(drive->outbox);
    free(drive->record_layer_ns);
    energy_free(drive->energy);
    free(drive);
}

/* The driving thread does not come back. It keeps all that it may still touch: nothing of it is freed. */
static int give_up(struct drive *drive, struct error *error)
{
    const struct instance *instance = atomic_load(&drive->inside);
    char silence[UNITS_TEXT_BYTES];
    units_format_duration(silence, (double)drive->scenario->silence_ns);
    drive->world->stuck = true;
    if (instance)
        return instance_misbehaved(instance, error, "a call has not returned for %s (run.silence in the scenario)",
                                   silence);
    return error_set(error, ERROR_RUN, "the run has not moved for %s (run.silence in the scenario)", silence);
}

static int run_thread(struct drive *drive, const struct world_sink *sink, struct error *error)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_drive, drive))
        return error_set(error, ERROR_RUN, "the driving thread cannot be started");
    if (!outbox_deliver(drive->outbox, sink, &drive->beat, drive->scenario->silence_ns)) {
        pthread_detach(thread);
        return give_up(drive, error);
    }
    pthread_join(thread, NULL);
    energy_tell(drive->energy, sink);
    if (drive->failure.kind == ERROR_NONE)
        return 0;
    *error = drive->failure;
    return -1;
}

int drive_run(struct world *world, const struct world_sink *sink, struct error *error)
{
    struct drive *drive = NEW(struct drive);
    drive->world = world;
    drive->scenario = world->scenario;
    drive->timer_fd = -1;
    drive->energy = energy_new(drive->scenario);
    monitor_open(&drive->monitor);
    drive->outbox = outbox_new(most_layers(drive->scenario), drive->scenario->node_count);
    drive->record_layer_ns = NEW_ARRAY(int64_t, most_layers(drive->scenario));
    open_streams(drive);
    drive_changes_open(drive);
    world->zero_ns = clock_now_ns();
    int status = -1;
    if (open_station(drive, error) == 0 && arrivals_open(drive, error) == 0 && stress_open(drive, error) == 0 &&
        open_timers(drive, error) == 0 && replan_open(drive, error) == 0) {
        world->drive = drive;
        status = run_thread(drive, sink, error);
    }
    if (!world->stuck)
        close_drive(drive);
    return status;
}
