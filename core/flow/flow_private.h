/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the engine: what flow.c moves and flow_change.c interferes with. */
#ifndef NAPM_FLOW_FLOW_PRIVATE_H
#define NAPM_FLOW_FLOW_PRIVATE_H

#include <stdio.h>

#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/flow/flow.h"
#include "core/link/heap.h"
#include "core/station/station.h"

/* A task on its way. */
struct task {
    struct task *next; /* in a device's or a direction's queue, or in the pool */
    struct task *open_next, *open_before; /* unfinished tasks of its stream */
    struct flow_task record;
    int64_t since_ns; /* start of what it is in */
    int64_t due_ns; /* in a direction's queue: when it arrives */
    uint64_t job; /* in a slice: the station's number of it */
    int64_t slice_began_ns;
    uint16_t hop; /* where it is; on a link: the lower end */
    bool dead; /* it has been reported as failed: to be dropped where it next comes up */
};

struct queue {
    struct task *first, *last;
};

struct stream_state {
    uint64_t started; /* tasks so far */
    struct task *oldest, *newest; /* unfinished ones */
    int64_t last_ns; /* when the last one started or was due */
    int64_t back_ns; /* when its way was last complete again */
    int64_t held_ns; /* the start that it had before it for when that is so, or -1 */
    uint32_t away; /* nodes of its way that are not there */
    bool waiting; /* its driver waits for a task to end */
    bool held; /* will start tasks when its way is complete again */
};

struct node_state {
    struct queue queue; /* the first task is being computed */
    double speed, variation;
    struct random *random; /* NULL: no variation */
    bool away;
};

/* Of a link. */
struct direction_state {
    struct queue queue; /* delivered by the net, and travelling on for their extra time */
    bool instant; /* what is sent is there, the net need not be asked */
    bool has_extra; /* some stream's frames may travel on */
};

/*
 * Sources of events are workers, devices, and directions of links. Each has at most one event in the queue, so that it
 * never grows. The starts of tasks wait in a queue of their own: they are many and far off, what is under way is little and
 * near, and passes through a short queue quickly.
 */
struct flow {
    struct flow_setup setup;
    struct heap events, starts; /* by source; by stream */
    uint32_t first_device, first_direction; /* numbers of sources */
    struct stream_state *streams;
    uint32_t *first_cut; /* by stream: where its cuts begin */
    struct node_state *nodes;
    struct random *randoms; /* the nodes' */
    struct direction_state *directions; /* 2 * link + direction */
    struct queue *workers; /* the tasks of each one's batch, which is seldom more than one task */
    struct link_net *net;
    int64_t net_ns; /* link_next_ns(net), asked after each of its changes */
    struct station *station;
    int64_t wake_ns; /* station_wake_ns(station) */
    bool station_dirty; /* something has come to it or ended in it since it was asked for work */
    int64_t now_ns;
    struct task *pool;
    struct task **chunks;
    size_t chunk_count, next_chunk;
    uint32_t most_relays; /* of any way */
    bool interrupted; /* the last run left tasks lying about */
    uint32_t *passing, *first_passing; /* streams by the nodes of their ways; NULL: not needed yet */
    /* of the run going on */
    struct flow_plan plan;
    uint32_t plan_number; /* how often it has changed */
    const struct flow_driver *driver;
    struct instance *scheduler;
    struct error *error;
    int64_t change_ns; /* when the driver wants to change something */
    uint32_t held; /* streams */
    bool stopped; /* by the driver */
    uint64_t event_count;
};

static inline void flow_put_back(struct flow *flow, struct task *task)
{
    task->next = flow->pool;
    flow->pool = task;
}

struct task *flow_take_first(struct queue *queue);
/* Its next task starts then, or now if that is past; none was set. */
void flow_set_start(struct flow *flow, uint32_t stream, int64_t at_ns);
/* Asks the driver when the stream's next task starts. */
int flow_expect_start(struct flow *flow, uint32_t stream);
/* Tells the driver of a task's end; the task itself stays where it is. */
int flow_report_end(struct flow *flow, struct task *task);
/* Starts what the device's first task has to compute; the device is idle. */
void flow_compute_first(struct flow *flow, uint32_t node);

#endif
