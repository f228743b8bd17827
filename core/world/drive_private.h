/* SPDX-License-Identifier: Apache-2.0 */
/* Driving: the tasks of a run in the local world. Everything here belongs to the driving thread. */
#ifndef NAPM_WORLD_DRIVE_PRIVATE_H
#define NAPM_WORLD_DRIVE_PRIVATE_H

#include "core/compute/stress.h"
#include "core/station/station.h"
#include "core/world/changes.h"
#include "core/world/energy.h"
#include "core/world/local_private.h"
#include "core/world/outbox.h"
#include "core/world/watch.h"

/* Where a task is. */
enum task_state {
    TASK_ON_DEVICE, /* its start, or what a device on its way needs, has been sent */
    TASK_GOING_UP, /* its frame is arriving, or is on a link up */
    TASK_AT_STATION, /* a job of the station */
    TASK_GOING_DOWN, /* its result is arriving, or is on a link down */
    TASK_COMING_IN, /* its result has been sent to the device, which will say when it came in */
};

/* Room for the tensors of one task, from its frame's arrival to the task's end. */
struct task_room {
    struct task_room *next;
    uint64_t cut_bytes;
    uint32_t arriving_count;
    uint8_t *cut, *result; /* padded as in frames */
    const void **arriving; /* the tensors in `cut` */
};

/* A stream's layers on the nodes of its way, by one plan or more: tasks go by the one that was in force at their start. */
struct placement {
    struct placement *next; /* another one of the stream's */
    struct local_way way;
    uint32_t plan; /* the newest that asks for it */
    uint32_t last_cut; /* the station's layers are behind it */
    struct payload_layout *ups; /* by hop: at its cut */
    uint64_t room_bytes; /* of the greatest of what leaves the hops */
    struct worker_part *station_part; /* NULL: no layers there */
    int64_t *station_layer_ns; /* of the layers behind the last cut */
    uint64_t task_count; /* that go by it, and have not been given back */
    uint32_t awaited; /* so many nodes are preparing parts of it */
    /* from when the device began a task: until it was done with it, and until it had the result */
    struct watch_estimate device_took, result_took;
};

struct stream_run;

struct task {
    struct passage passage; /* first: the passage is the task */
    struct stream_run *stream;
    struct placement *placement;
    uint32_t plan; /* the one in force at its start */
    struct task *next_free;
    uint64_t number;
    enum task_state state;
    uint32_t hop; /* of its way: where it is; on a link: the lower end */
    uint32_t on_link; /* the shaper has its passage; DRIVE_NONE: no */
    uint32_t owed_by; /* this node is to send what came of its part, or is sending it; DRIVE_NONE: none is */
    bool dead; /* it has been told as ended, and is kept until shaper and agents let go of it */
    bool in_slice; /* a worker has it: it must not be touched */
    bool finishes_itself; /* its last slice sends the result */
    bool sent_down; /* the worker has sent the result by itself; written by it before the item is handed back */
    bool came_early; /* the device has the result, and said so before the worker was heard */
    bool failing; /* ends as failed as soon as nobody uses it */
    bool by_event; /* because its device left as the scenario says */
    /* monotonic clock; since: it came to where it waits; left: its last part so far was done; ended: the task was */
    int64_t due_ns, device_began_ns, device_ended_ns, since_ns, left_ns, ended_ns;
    int64_t transmit_ns, queue_ns, remote_ns, station_ns;
    bool returned;
    double energy_j, sending_j;
    uint32_t slices;
    uint64_t digest;
    struct task_room *room;
    struct worker_item item;
    struct peer_outgoing out, ahead;
    bool is_ahead; /* the result's content has gone ahead */
    char cause[512]; /* why it fails */
    int64_t *layer_ns; /* of all of the model's layers, by their places in the order that it goes by */
    struct task_hop *hops; /* what came of it behind its own device; times of the monotonic clock, -1: none */
};

#define DRIVE_NONE UINT32_MAX

/* A stream while it is driven. */
struct stream_run {
    struct drive *drive;
    const struct scenario_stream *spec;
    uint32_t index, layer_count;
    struct placement *placements; /* all that there are */
    struct placement *now; /* by which tasks start */
    struct placement *coming; /* of the plan that is being prepared; NULL: that changes nothing here */
    struct payload_layout down;
    struct watch_window tensors; /* when the device is likely to send what it computes; from 0: not to be foreseen */
    struct watch_window result; /* when it is likely to get the result; from 0: it need not be told */
    struct instance *arrivals;
    struct napm_loadgen_arrivals arrivals_hook;
    bool waiting; /* for a completion, before it can say when the next task comes */
    bool has_next, ended;
    uint32_t away; /* so many nodes of its way have left: it starts nothing */
    int64_t back_ns; /* when the last of them returned: what was due before is skipped */
    int64_t next_at_ns;
    uint64_t next_number, first_open, open_count; /* tasks made; oldest that may be unfinished; unfinished */
    struct task **tasks; /* by number; NULL: not made yet, or over */
    struct task *free_tasks;
    struct task_room *free_rooms;
};

struct drive {
    struct world *world;
    const struct scenario *scenario;
    struct outbox *outbox;
    struct stream_run *streams;
    struct instance *scheduler;
    struct station *station;
    bool station_dirty; /* something happened: a slice may be dispatched */
    int64_t station_now_ns; /* last time given to it */
    int timer_fd; /* for station_wake_ns */
    struct event *timer, *sample_timer;
    int64_t timer_ns;
    struct changes *changes; /* NULL: nothing changes */
    struct replanning *replanning;
    bool *left; /* by node */
    int64_t leave_ns; /* when the next node leaves: no task is told before that is due later; INT64_MAX: none does */
    struct energy *energy; /* NULL: no power models */
    struct monitor monitor;
    struct stress *stress; /* of the station */
    Wire__Stress **stress_levels; /* by node; NULL: none */
    int64_t *record_layer_ns; /* of the task being recorded, by layer */
    uint64_t tasks_done, tasks_of, tasks_open;
    uint32_t slices_running;
    bool over; /* stop driving: all is done, or failure says why not */
    atomic_uint beat; /* changes while the driving thread goes on */
    _Atomic(const struct instance *) inside; /* the plugin that the driving thread is calling, or waits for */
    struct error failure;
};

static inline int64_t drive_clock_ns(const struct drive *drive, int64_t at_ns)
{
    return at_ns - drive->world->zero_ns;
}

/* Around calls that end up in a plugin: so that one that does not return can be named. */
static inline void drive_enter(struct drive *drive, const struct instance *instance)
{
    atomic_store_explicit(&drive->inside, instance, memory_order_relaxed);
}

static inline void drive_leave(struct drive *drive)
{
    atomic_store_explicit(&drive->inside, NULL, memory_order_relaxed);
}

/* The stream starts no more tasks. */
void drive_end_stream(struct stream_run *stream);

/* Fails what a stream has under way: the node has gone; `node_speaks` if it only left, and tells what it drops. */
void drive_fail_tasks(struct stream_run *stream, uint32_t node, bool node_speaks, const char *cause);

/* Ends the drive as failed. */
void drive_fail(struct drive *drive, const struct error *why);

/* ---- drive_arrivals.c: when tasks start, and artificial load */
int arrivals_open(struct drive *drive, struct error *error);
void arrivals_close(struct drive *drive);
void arrivals_advance(struct stream_run *stream, int64_t now_ns); /* starts tasks that are due soon */
void arrivals_completed(struct stream_run *stream, uint64_t number, bool failed, int64_t now_ns);
bool arrivals_react(const struct stream_run *stream); /* the next start follows an end, not the clock */
int stress_open(struct drive *drive, struct error *error); /* asks the generators for their levels */
void stress_begin(struct drive *drive); /* once the run's clock is known */
void stress_close(struct drive *drive);

/* ---- local_changes.c: the scenario's events and traces */
void drive_changes_open(struct drive *drive);
void drive_changes_close(struct drive *drive);
void drive_change(struct drive *drive, int64_t now_ns); /* carries out what is due */
double drive_speed(const struct drive *drive, uint32_t node); /* beside what it was profiled with */

/* ---- local_placement.c: by which parts a stream's tasks go */
/* As deployed. */
struct placement *placement_first(struct stream_run *stream);
/*
 * By a new plan's cuts, one for each hop, of an order (NULL: the model's own). A part that the stream has already keeps its number; the others have the
 * plan's. NULL: they are no cuts.
 */
struct placement *placement_new(struct stream_run *stream, const uint32_t *order, const uint32_t *cuts, uint32_t plan,
                                struct error *error);
/* One of those there are with these cuts of that order; NULL: none. */
struct placement *placement_find(const struct stream_run *stream, const uint32_t *order, const uint32_t *cuts);
/* The placement is in force from now on. */
void placement_take(struct stream_run *stream, struct placement *placement, uint32_t plan);
/* A task that went by it was given back. */
void placement_left(struct stream_run *stream, struct placement *placement);
void placements_free(struct stream_run *stream);

/* ---- local_replan.c: new plans */
int replan_open(struct drive *drive, struct error *error);
void replan_due(struct drive *drive);
int replan_prepared(struct drive *drive, struct peer *peer, uint32_t number, struct error *error); /* by a device */
void replan_work_done(struct drive *drive, struct worker_item *item); /* by a worker of the station */
void replan_node_lost(struct drive *drive, uint32_t node);
void replan_stop(struct drive *drive); /* no more; waits, but not for ever */
void replan_close(struct drive *drive);

/* ---- drive_watch.c: looking out for what is expected */
void watch_start(struct task *task); /* its device has been told of it */
void watch_device_done(struct task *task); /* its device does the stream's next, if it has been told of that */
void watch_result_came(struct task *task); /* to its device */
/* Since, or from when, to look; INT64_MAX: not. Devices whose tensors are looked for are told when to look for the result. */
int64_t watch_next_ns(struct drive *drive, int64_t now_ns);

/* ---- drive_tasks.c: the way of a task */
void task_let_go(struct task *task); /* of a dead one: it goes once nobody holds it */
void task_start(struct stream_run *stream, int64_t due_ns);
void task_fail(struct task *task, const char *cause); /* told at once, or as soon as no worker uses it */
void task_abandon(struct task *task, const char *cause); /* the drive is over before the task */
void tasks_dispatch(struct drive *drive); /* gives the station's workers what they can do */
void tasks_free(struct stream_run *stream);

#endif
