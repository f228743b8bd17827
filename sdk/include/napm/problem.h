/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The partitioning problem: nodes, links, streams with the measured profiles, and the plan that answers it.
 *
 * Words: a stream is one device's tasks for one model. A placement gives each layer of a stream's model a node. A cut c
 * in 0..L of the layer order places layers 0..c-1 on the device and c..L-1 at the station; because the order is
 * topological, that is valid for every graph, and the tensors that cross (skip connections too) are the cut tensors.
 * In a graph with branches there are more placements: any in which no layer needs a tensor that is made farther along the
 * way than where it runs. A set of layers takes the place of the first c then, and all below holds of sets too.
 *
 * Delay model (our reading of Kafetzis and Koutsopoulos 2024), for a task of stream i cut at c:
 *   local    = waiting for the device + sum over k < c of layer_ns[device][k]
 *   transmit = delay + cut bytes / rate, sharing the rate with transfers in flight on the same link or medium
 *   queue    = waiting at the station, which depends on every stream's cut and on the scheduler
 *   remote   = sum over k >= c of layer_ns[station][k]
 *   return   = delay + result bytes / rate back
 *   delay    = local + transmit + queue + remote + return
 * With c = L nothing crosses and the last four are 0, unless the stream says that the station needs the result.
 *
 * Everything here is constant, owned by the host, and valid during partitioner->plan().
 */
#ifndef NAPM_PROBLEM_H
#define NAPM_PROBLEM_H

#include <stdint.h>

#include <napm/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A device or the base station. */
struct napm_problem_node {
    uint32_t size;
    uint32_t is_station; /* 1 for the base station */
    const char *name;
    uint64_t memory_bytes; /* room for weights and activations; 0 means not limited */
    /* Power model: all 0 where the scenario gives none. */
    double idle_w; /* what the node draws at rest */
    double busy_w; /* added to that while it computes */
    double transmit_w; /* added to that while it sends */
    uint32_t workers; /* tasks that it computes at once: more than 1 only at the station */
};

/*
 * A link joins a device to the station, or to another device that is nearer to the station. "up" is towards the
 * station. Every device has one link up, so the links make a tree with the station at its root.
 */
struct napm_problem_link {
    uint32_t size;
    uint32_t device; /* node index of its lower end */
    uint32_t station; /* node index of its upper end: the station, unless tasks pass several devices */
    uint32_t medium; /* links with the same number share their rate; NAPM_NONE: a medium of its own */
    double up_bytes_per_s; /* infinite where the link is not shaped */
    double down_bytes_per_s;
    int64_t up_delay_ns; /* expected, including the mean of jitter and of loss repairs */
    int64_t down_delay_ns;
};

/* What crosses and what fits at one cut. */
struct napm_problem_cut {
    uint32_t size;
    uint32_t tensor_count; /* tensors that cross */
    uint64_t bytes; /* of these tensors as they are sent */
    uint64_t device_memory_bytes; /* weights and greatest live activations of the layers before the cut */
    uint64_t station_memory_bytes; /* the same for the layers behind it */
    uint32_t feasible; /* 1 where the device's part fits its memory and the station's fits alone */
    uint32_t reserved;
};

/* One stream. */
struct napm_problem_stream {
    uint32_t size;
    uint32_t device; /* node index */
    const char *name;
    uint32_t link; /* link index */
    uint32_t layer_count;
    const struct napm_model *model;
    /* By node index: layer_count times, medians of the measured passes (NULL for a node that cannot run this stream). */
    const int64_t *const *layer_ns;
    const struct napm_problem_cut *const *cuts; /* layer_count + 1 of them, by c */
    uint64_t result_bytes;
    uint32_t result_returns; /* 1: the result of remote work goes back to the device */
    uint32_t result_to_station; /* 1: an all-local task still sends its result up */
    int64_t interval_ns; /* mean time between tasks, 0 where a task starts when the last one ends */
    int64_t deadline_ns; /* relative to the start of a task, 0: none */
    int32_t priority; /* greater is more urgent */
    uint32_t task_count; /* tasks the run will make, 0: not known beforehand */
    /*
     * The stream's way: route_nodes[0] is its device, the last one the station, route_links[i] joins nodes i and i + 1.
     * Layers may be placed on any of these nodes, in the way's order: a task never goes back down before its end. So a
     * layer runs where the layers run whose tensors it needs, or farther along; its place in the layer order is free.
     */
    uint32_t route_count; /* nodes on the way, 2 or more */
    double weight; /* the stream's share for fair schedulers, above 0; 1 unless the scenario says otherwise */
    const uint32_t *route_nodes; /* route_count of them */
    const uint32_t *route_links; /* route_count - 1 of them */
    /*
     * By layer: how much longer it takes at the station for each further task of a batch (see napm_pick.batch_count),
     * from the medians of a batch's passes and of one task's; NULL: as long as for a task by itself.
     */
    const int64_t *batch_ns;
};

/*
 * What the scenario wants to be small: the sum of these weights times the quantities named. Without such a wish in the
 * scenario it is the mean delay alone.
 */
struct napm_objective {
    uint32_t size;
    uint32_t reserved;
    double delay_per_s; /* times the mean delay in seconds */
    double deviation_per_s; /* times the standard deviation of the delay in seconds */
    double energy_per_j; /* times the mean energy of a task in joules */
    double miss; /* times the share of tasks that miss their deadlines */
};

struct napm_problem {
    uint32_t size;
    uint32_t station; /* node index of the base station */
    uint32_t node_count;
    uint32_t link_count;
    uint32_t stream_count;
    uint32_t reserved;
    const struct napm_problem_node *const *nodes;
    const struct napm_problem_link *const *links;
    const struct napm_problem_stream *const *streams;
    const struct napm_objective *objective;
};

/*
 * The answer: for each stream, the node of each layer. The host owns the memory and has placed everything at the
 * station; the partitioner writes node_of_layer[stream][layer].
 */
struct napm_plan {
    uint32_t size;
    uint32_t stream_count;
    uint32_t *const *node_of_layer;
};

/* Predicted mean phases of one stream's tasks, in nanoseconds. */
struct napm_phases {
    double local_ns;
    double transmit_ns;
    double queue_ns;
    double remote_ns;
    double return_ns;
};

/* What the evaluator says of a plan. `size` and `phases` are set by the caller, the rest by the evaluator. */
struct napm_evaluation {
    uint32_t size;
    uint32_t feasible; /* 0: some node's memory is exceeded, or a stream cannot run so; the delays are then infinite */
    double total_ns; /* sum of the delays of the tasks evaluated */
    double mean_ns;
    double variance_ns2; /* population variance of the delay over the tasks evaluated */
    double maximum_ns;
    double p99_ns;
    double deadline_misses; /* share of the tasks, 0..1 */
    uint32_t task_count; /* tasks evaluated */
    uint32_t reserved;
    struct napm_phases *phases; /* NULL, or room for stream_count means */
    /*
     * What the tasks evaluated cost all nodes by their power models: computing (busy_w) and sending (transmit_w, for the
     * time that the bytes take with the air to themselves). What nodes draw at rest does not depend on the plan and is
     * left out.
     */
    double energy_j;
    double objective; /* the scenario's objective (struct napm_objective): smaller is better */
};

/*
 * The host's delay evaluator: runs the plan in virtual time, with the scenario's arrivals, links and scheduler, and so
 * accounts for contention at devices, media and the station. The same plan gives the same answer every time.
 * Callable from plan()'s thread only.
 */
struct napm_evaluator {
    uint32_t size;
    uint32_t reserved;
    void *context;
    /* Returns NAPM_OK also for an infeasible plan; NAPM_ERR_INVALID for a plan that is none; NAPM_ERR_CANCELLED. */
    int32_t (*evaluate)(const struct napm_evaluator *evaluator, const struct napm_plan *plan,
                        struct napm_evaluation *result);
    /*
     * Delay of one task of `stream` at cut `c` when nothing else runs: the stream's isolated delay, and a lower bound
     * of its delay under contention. Infinite where the cut is not feasible.
     */
    double (*isolated_ns)(const struct napm_evaluator *evaluator, uint32_t stream, uint32_t c);
    /*
     * How many tasks of `stream` an evaluation counts: so isolated_ns() times this, summed over the streams, is a lower
     * bound of total_ns.
     */
    uint32_t (*task_count)(const struct napm_evaluator *evaluator, uint32_t stream);
    /*
     * Memory that layers first..end-1 of a stream need on one node: their weights and their greatest live activations. 0
     * for an empty range.
     */
    uint64_t (*range_bytes)(const struct napm_evaluator *evaluator, uint32_t stream, uint32_t first, uint32_t end);
    /*
     * As evaluate() of the plan in which only `stream` is changed to cut `c`, but may give up early: where total_ns must
     * come out above `total_limit_ns`, total_ns is then infinite and the other figures mean nothing.
     */
    int32_t (*evaluate_cut)(const struct napm_evaluator *evaluator, const struct napm_plan *plan, uint32_t stream,
                            uint32_t c, double total_limit_ns, struct napm_evaluation *result);
};

/* Writes cut `c` of a stream into the plan. */
static inline void napm_plan_set_cut(const struct napm_problem *problem, struct napm_plan *plan, uint32_t stream,
                                     uint32_t c)
{
    const struct napm_problem_stream *s = problem->streams[stream];
    for (uint32_t layer = 0; layer < s->layer_count; layer++)
        plan->node_of_layer[stream][layer] = layer < c ? s->device : problem->station;
}

#ifdef __cplusplus
}
#endif

#endif /* NAPM_PROBLEM_H */
