/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world carries a run out: `local` and `sim` now, `ssh` later, behind the same interface. The run calls, in order: open,
 * profile (each node and model), probe (each link), deploy, drive, close. All calls come from one thread.
 */
#ifndef NAPM_WORLD_WORLD_H
#define NAPM_WORLD_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/model/layer_time.h"
#include "core/model/order.h"
#include "core/plugin/catalogue.h"
#include "core/scenario/scenario.h"

enum { PHASE_LOCAL, PHASE_TRANSMIT, PHASE_QUEUE, PHASE_REMOTE, PHASE_RETURN, PHASE_COUNT };
extern const char *const phase_names[PHASE_COUNT]; /* "local", "transmit", ... */

enum task_status { TASK_OK, TASK_FAILED, TASK_UNFINISHED };

/* What came of a task at a device on its way, behind its own. */
struct task_hop {
    uint32_t node, cut; /* the layers before `cut` ran there or before it */
    int64_t came_ns; /* its tensors were there; -1: they never were, a device before it made the result */
    int64_t began_ns, left_ns; /* it began to compute; it was done and sent: both came_ns where it only passes on */
    int64_t back_ns; /* the result was there on its way back; -1: it never was */
};

/* One task, ended. Times are on the run's clock: 0 is the start of driving. */
struct task_record {
    uint32_t stream;
    uint64_t task; /* number in its stream, from 0 */
    enum task_status status;
    const char *cause; /* why it failed; valid during the call; NULL when ok */
    bool by_event; /* it failed because the scenario made a device leave: as planned */
    uint32_t cut; /* so many layers ran on its device */
    uint32_t plan; /* the run's plan that was in force for the stream at its start; 0: the first */
    bool warmup; /* one of the first tasks that do not count */
    int64_t started_ns; /* when it was due on its device */
    int64_t ended_ns;
    int64_t phase_ns[PHASE_COUNT]; /* add up to ended_ns - started_ns for a task that is ok */
    int64_t device_wait_ns; /* the part of `local` spent waiting for the device */
    int64_t device_compute_ns, station_compute_ns; /* sums of the layers' times */
    uint64_t up_bytes, down_bytes;
    uint32_t slices; /* how often the station's scheduler picked it */
    uint32_t layer_count;
    const int64_t *layer_ns; /* measured time of every layer, wherever it ran; 0 where unknown; valid during the call */
    uint32_t hop_count; /* of a task that is ok, and whose way leads over other devices */
    const struct task_hop *hops; /* from the first of those on; valid during the call */
    double energy_j; /* of all nodes for the task, by their power models; below 0: they have none */
    double sending_j; /* the part of energy_j that sending took */
    uint64_t output_digest; /* XXH3 of the task's outputs: equal digests, equal results; 0 where unknown */
};

/* A node's state at one moment. */
struct node_sample {
    uint32_t node;
    int64_t at_ns;
    double cpu_share; /* processor time of the node's process since the last sample / elapsed, in cores */
    uint64_t resident_bytes; /* of the node's process */
    uint64_t machine_available_bytes;
    double machine_load; /* processor use of the whole machine, 0..1 */
    uint64_t received_bytes, sent_bytes; /* of tensors, since the start */
    double energy_j; /* -1: not measured */
};

/* What a link was asked for and what a probe through it found. rate 0: not shaped, no request. */
struct link_report {
    uint32_t link;
    enum link_direction direction;
    double requested_bytes_per_s, achieved_bytes_per_s;
    int64_t requested_delay_ns, achieved_delay_ns;
    const char *method; /* "user-space shaping", "tc", "none" */
};

/* Facts about a node, known once the world is open. */
struct node_facts {
    const char *host, *machine, *system; /* name, processor, kernel */
    const char *backend; /* "name version" */
    uint32_t processors;
    uint64_t memory_bytes;
    int64_t pid;
};

/* What the run wants to hear of. Called on the run's thread. */
struct world_sink {
    void *context;
    void (*task)(void *context, const struct task_record *record);
    void (*sample)(void *context, const struct node_sample *sample);
    void (*node_lost)(void *context, uint32_t node, const char *cause);
    /* From then on tasks of the stream start by that plan; not told where that is when the plan was asked for. May be NULL. */
    void (*plan_taken)(void *context, uint32_t plan, uint32_t stream, int64_t at_ns);
    /* At the end, where nodes have power models: how long a node computed and sent for tasks. May be NULL. */
    void (*node_energy)(void *context, uint32_t node, int64_t busy_ns, int64_t air_ns);
    void (*progress)(void *context, uint64_t tasks_done, uint64_t tasks_of); /* often: cheap */
};

struct changes;

/* What a plan is wanted for in mid-run. */
struct plan_request {
    uint32_t number; /* among the run's plans; 0 is the one it began with */
    int64_t at_ns; /* the run's clock */
    const struct changes *now; /* the conditions of that moment */
    /*
     * Set when the plan is not wanted any more; the world then does not wait for ever. NULL: the world waits, so the
     * run has to bound the planning.
     */
    const atomic_bool *cancel;
};

struct world_setup {
    const struct scenario *scenario;
    struct catalogue *catalogue;
    const char *const *plugin_path; /* what --plugin-path said, for agents; NULL-terminated or NULL */
    uint64_t seed; /* of this repetition */
    const atomic_bool *cancel; /* set by Ctrl-C: stop soon, in order */
    /*
     * Makes a plan in mid-run: valid until close, or NULL with the error set. Asked for by drive where the scenario wants
     * that, perhaps from a thread of its own, for one plan after the other. NULL: the first plan stays.
     */
    const struct placements *(*replan)(void *context, const struct plan_request *request, struct error *error);
    void *replan_context;
};

struct world;

struct world_kind {
    const char *name;
    const char *summary;
    bool
        is_virtual; /* its time is no real time: runs may go on side by side, and rows come as fast as they are taken */
    /* Before anything is started: what of the scenario's input only this world can find wrong, as ERROR_INPUT. NULL: nothing. */
    int (*check)(const struct scenario *scenario, struct error *error);
    struct world *(*open)(const struct world_setup *setup, struct error *error);
    const struct node_facts *(*facts)(struct world *world, uint32_t node);
    /*
     * Where the layer times of a node come from if they are not measured under its conditions, in words that name
     * everything they depend on ("file pi4.json (DIGEST)"); free() it. NULL: measured. The function may be NULL: always.
     */
    char *(*profile_source)(struct world *world, uint32_t node, uint32_t model);
    /* Layer times of a model on a node (array of the model's layer count). */
    int (*profile)(struct world *world, uint32_t node, uint32_t model, struct layer_time *times, struct error *error);
    /*
     * Times of the layers at the station for a batch of so many at once. NULL: not to be had; nor where the station's times
     * have a profile_source.
     */
    int (*profile_batch)(struct world *world, uint32_t model, uint32_t batch, struct layer_time *times,
                         struct error *error);
    int (*probe)(struct world *world, uint32_t link, struct link_report report[2], struct error *error);
    /*
     * `layer_ns[node][model]` as profiled, with a row for batches as for planner_new, valid until close: station schedulers
     * see these. Medians, or where is_virtual, so that computing takes them, means.
     */
    int (*deploy)(struct world *world, const struct placements *placements, const int64_t *const *const *layer_ns,
                  struct error *error);
    /*
     * Makes the tasks, runs them, and returns when all have ended: 0, or -1 where the run failed as a whole. A lost
     * node is not that: its tasks are reported as failed, and the others finish.
     */
    int (*drive)(struct world *world, const struct world_sink *sink, struct error *error);
    void (*close)(struct world *world);
};

/* NULL with an error naming the worlds there are. */
const struct world_kind *world_find(const char *name, struct error *error);

#endif
