/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks in virtual time: a discrete-event engine over devices (first come, first served), links, and the station with
 * its scheduler. The evaluator drives it over the mean of what may happen; the simulated world drives it over the
 * conditions themselves.
 *
 * A stream's way leads from its device over any number of relays (devices nearer to the station) to the station. A task
 * goes up: each node of the way computes its share of the layers, if any, and sends the cut tensors on; a relay that has
 * nothing to compute forwards at once. Then the result goes back down, without stopping.
 *
 * A run is deterministic: events at one moment are taken in a fixed order (changes of the conditions, ends of slices,
 * ends of device segments, deliveries, starts of tasks), and the station is asked for work once all of that moment are
 * done. An event costs O(log n) for n streams, and after the first run of its kind no memory is allocated for a task.
 */
#ifndef NAPM_FLOW_FLOW_H
#define NAPM_FLOW_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/link/link.h"
#include "core/plugin/catalogue.h"

/* A device on a stream's way. The arrays are by c in 0..layer_count, the caller's, and outlive the flow. */
struct flow_hop {
    uint32_t node; /* node index */
    uint32_t link; /* up from it */
    const int64_t *until_ns; /* time of the layers before c on it */
    const int64_t *up_extra_ns; /* added to the way up of what is sent at c; NULL: nothing */
    int64_t result_extra_up_ns; /* added to the result's way up */
    int64_t down_extra_ns; /* added to the result's way back over that link */
};

/*
 * One stream as the engine sees it, its layers in one order: c in 0..layer_count stands for the first c of them. The arrays
 * are the caller's and outlive the flow.
 */
struct flow_stream {
    const struct flow_hop *hops; /* the stream's device first; the station stands behind the last */
    uint32_t hop_count; /* 1 or more */
    uint32_t layer_count;
    uint32_t task_count; /* at most so many tasks */
    uint32_t model; /* for schedulers: jobs of equal models may be alike */
    uint32_t order; /* streams of equal models and orders have their layers in the same order; 0: the model's own */
    const int64_t *station_layer_ns; /* time of each layer at the station */
    const int64_t *station_until_ns; /* by c: time of the layers before c at the station */
    const int64_t *batch_until_ns; /* the same of what each further task of a batch adds; NULL: as much as by itself */
    const uint64_t *cut_bytes; /* by c: what is sent up; at layer_count nothing, unless result_to_station */
    uint64_t result_bytes;
    int64_t deadline_ns; /* relative, 0: none */
    double weight; /* for fair schedulers, above 0 */
    int32_t priority;
    bool result_returns, result_to_station;
    bool reactive; /* tasks start when others end: after its device was away no start is skipped */
};

/* A plan. What it points to is the caller's, and stays until the run is over. */
struct flow_plan {
    /*
     * hop_count numbers for each stream, one stream behind the other, never decreasing within one: layers cuts[h - 1] (0
     * for h = 0) .. cuts[h] - 1 run on hop h, those behind the last cut at the station. So with ways of one hop they are
     * simply the streams' cuts.
     */
    const uint32_t *cuts;
    /* By stream: the same stream with its layers in another order; NULL: as set up. The whole may be NULL too. */
    const struct flow_stream *const *ordered;
};

struct flow_setup {
    const struct flow_stream *streams;
    const struct link_spec *links;
    uint32_t stream_count, node_count, link_count;
    uint32_t station; /* node index */
    uint32_t workers; /* of the station */
    uint64_t seed; /* of all that is random */
    /*
     * By node: coefficient of variation of computing times, which are drawn from the gamma distribution around those
     * given (0: always as given; 1: exponential). NULL: 0 throughout.
     */
    const double *variation;
};

/* What came of a task at a relay. */
struct flow_passage {
    int64_t came_ns; /* its tensors were there; -1: never, a node before it made the result */
    int64_t began_ns, left_ns; /* it began to compute; it was done and sent: both came_ns where it only forwards */
    int64_t back_ns; /* the result was there on its way back; -1: never */
};

/* A task that has ended: valid during the call. Phases add up to ended_ns - started_ns, unless it failed. */
struct flow_task {
    uint32_t stream;
    uint32_t slices; /* how often the station's scheduler picked it */
    uint64_t number; /* in its stream, from 0 */
    int64_t started_ns, ended_ns;
    int64_t local_ns, transmit_ns, queue_ns, remote_ns, return_ns; /* relays: computing in remote, waiting in queue */
    int64_t device_wait_ns; /* the part of local_ns spent waiting for the device */
    int64_t station_ns; /* the part of remote_ns at the station */
    int64_t station_work_ns; /* its share of that: less where it ran in a batch */
    const struct flow_stream *order; /* the stream as it ran: its layers in that order */
    const uint32_t *cuts; /* those that it ran with, by hop: see flow_plan */
    uint32_t plan; /* how often the plan had changed at its start */
    struct flow_passage *passages; /* by hop, from the first relay on */
    double energy_j, sending_j; /* the driver's to add up; 0 at the start */
    const char *failure; /* NULL: it has a result */
};

struct flow;

/* Where tasks come from and go to. Times are since the start of the run, which is also that of every stream. */
struct flow_driver {
    void *context;
    /* As napm_loadgen_arrivals.next: NAPM_OK with *at_ns, NAPM_WAIT, NAPM_END, or -1 with the error set. */
    int (*next)(void *context, uint32_t stream, int64_t now_ns, int64_t *at_ns, struct error *error);
    /* 0, or 1 to end the run here. */
    int (*ended)(void *context, const struct flow_task *task);
    /*
     * Changes of the conditions: when the next is due (INT64_MAX: none), and what carries out those due by `now_ns` with
     * the functions below: 0, or -1 with the error set. Both NULL: nothing changes. A run does not wait for changes once
     * all tasks have ended and none can start.
     */
    int64_t (*change_ns)(void *context);
    int (*change)(void *context, struct flow *flow, int64_t now_ns, struct error *error);
    /* A node has computed for a task; a link gets something to carry for one. Both may be NULL. */
    void (*computed)(void *context, struct flow_task *task, uint32_t node, int64_t ns);
    void (*sends)(void *context, struct flow_task *task, uint32_t link, enum link_direction direction, uint64_t bytes,
                  int64_t now_ns);
};

struct flow *flow_new(const struct flow_setup *setup);
void flow_free(struct flow *flow);

/* Virtual time, for the host tables of the instances that take part; `flow` is the context. */
int64_t flow_now_ns(void *flow);

/* How many events there were in the last run: starts, ends of device segments and of slices, and arrivals over links. */
uint64_t flow_events(const struct flow *flow);

/*
 * Runs all tasks from time 0. `scheduler` is an instance fresh enough to be deterministic. Returns 0; 1 where the driver ended it; -1 on an error of a plugin, and with ERROR_CANCELLED soon after
 * *cancel (may be NULL) is set.
 */
int flow_run(struct flow *flow, const struct flow_plan *plan, struct instance *scheduler,
             const struct flow_driver *driver, const atomic_bool *cancel, struct error *error);

/* After a run that did not return 0: tells its driver of the tasks that were under way, as failed with `cause`. */
void flow_abandon(struct flow *flow, const char *cause);

/* ---- for the driver's change(); all of it is undone when the next run begins */

void flow_change_link(struct flow *flow, uint32_t link, enum link_direction direction,
                      const struct link_conditions *conditions);
/* Computing takes 1 / speed of the times given, from now on and for what is being computed. speed > 0. */
void flow_change_speed(struct flow *flow, uint32_t node, double speed);
/* The plan of the tasks that start from now on. */
void flow_change_plan(struct flow *flow, const struct flow_plan *plan);
/*
 * A device goes: the unfinished tasks of every stream whose way it is on fail with `cause` (valid until the run is over),
 * and these streams start no tasks before flow_return, or never again where `for_good`. Starts that fall due meanwhile
 * are skipped. Returns 0, or -1 with the error set where that made a plugin fail.
 */
int flow_leave(struct flow *flow, uint32_t node, const char *cause, bool for_good);
int flow_return(struct flow *flow, uint32_t node);

#endif
