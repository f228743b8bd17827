/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks in virtual time: a discrete-event engine over devices (first come, first served), links, and the station with
 * its scheduler. The evaluator drives it over the mean of what may happen; a simulated world drives it over the
 * conditions themselves.
 *
 * A run is deterministic: events at one moment are taken in a fixed order (ends of slices, ends of device segments,
 * deliveries, starts of tasks), and the station is asked for work once all of that moment are done. An event costs
 * O(log n) for n streams, and after the first run of its kind no memory is allocated for a task.
 */
#ifndef NAPM_FLOW_FLOW_H
#define NAPM_FLOW_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/link/link.h"
#include "core/plugin/catalogue.h"

/* One stream as the engine sees it. The arrays are the caller's and outlive the flow. */
struct flow_stream {
    uint32_t device; /* node index */
    uint32_t link;
    uint32_t layer_count;
    uint32_t task_count; /* at most so many tasks */
    const int64_t *device_until_ns; /* by c in 0..layer_count: time of the layers before c on the device */
    const int64_t *station_layer_ns; /* time of each layer at the station */
    const int64_t *station_until_ns; /* by c: time of the layers before c at the station */
    const uint64_t *cut_bytes; /* by c: what is sent up; at layer_count nothing, unless result_to_station */
    const int64_t *up_extra_ns; /* by c: added to each frame's way; NULL: nothing */
    int64_t down_extra_ns; /* added to the result's way back */
    int64_t result_extra_up_ns; /* added to the way up of the result of an all-local task */
    uint64_t result_bytes;
    int64_t deadline_ns; /* relative, 0: none */
    int32_t priority;
    bool result_returns, result_to_station;
};

struct flow_setup {
    const struct flow_stream *streams;
    const struct link_spec *links;
    uint32_t stream_count, node_count, link_count;
    uint32_t workers; /* of the station */
    uint64_t seed; /* of the links' jitter and loss */
};

/* A task that has ended: valid during the call. Phases add up to ended_ns - started_ns. */
struct flow_task {
    uint32_t stream;
    uint32_t slices; /* how often the station's scheduler picked it */
    uint64_t number; /* in its stream, from 0 */
    int64_t started_ns, ended_ns;
    int64_t local_ns, transmit_ns, queue_ns, remote_ns, return_ns;
    int64_t device_wait_ns; /* the part of local_ns spent waiting for the device */
};

/* Where tasks come from and go to. Times are since the start of the run, which is also that of every stream. */
struct flow_driver {
    void *context;
    /* As napm_loadgen_arrivals.next: NAPM_OK with *at_ns, NAPM_WAIT, NAPM_END, or -1 with the error set. */
    int (*next)(void *context, uint32_t stream, int64_t now_ns, int64_t *at_ns, struct error *error);
    void (*ended)(void *context, const struct flow_task *task);
};

struct flow;

struct flow *flow_new(const struct flow_setup *setup);
void flow_free(struct flow *flow);

/* Virtual time, for the host tables of the instances that take part; `flow` is the context. */
int64_t flow_now_ns(void *flow);

/*
 * Runs all tasks with the cut of each stream, from time 0. `scheduler` is an instance fresh enough to be deterministic.
 * Ends with -1 on an error of a plugin, and with ERROR_CANCELLED soon after *cancel (may be NULL) is set.
 */
int flow_run(struct flow *flow, const uint32_t *cuts, struct instance *scheduler, const struct flow_driver *driver,
             const atomic_bool *cancel, struct error *error);

#endif
