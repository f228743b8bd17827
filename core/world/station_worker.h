/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The station's workers. Work is handed to one of them and comes back through a file descriptor that becomes readable.
 * Work items belong to the caller and are embedded in what they are for, so that a task's slices cost no allocation.
 *
 * A worker computes one slice at a time, but may have several engines: threads of this process, each with a compute of
 * its own, since a backend's instance belongs to one thread. So a new plan's parts are packed by new engines while the
 * slices of the old one go on; an engine ends when the last of its parts has been given up.
 */
#ifndef NAPM_WORLD_STATION_WORKER_H
#define NAPM_WORLD_STATION_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/compute/compute.h"
#include "core/scenario/scenario.h"

struct workers;

enum work_kind { WORK_PROFILE, WORK_PREPARE, WORK_SLICE, WORK_DROP, WORK_GIVE_UP };

struct worker_part; /* the layers of a model from a cut of an order on, on every worker */

struct worker_item {
    enum work_kind kind;
    void *user; /* the caller's */
    /* WORK_PROFILE */
    const struct model *model;
    uint32_t warmups, repeats, batch;
    struct layer_time *times; /* filled */
    /* WORK_PREPARE: packs and warms up the worker's own of new parts */
    struct worker_part *const *parts;
    uint32_t part_count;
    /* WORK_SLICE */
    struct worker_part *part; /* WORK_GIVE_UP too */
    uint32_t worker; /* filled: where it was posted */
    uint64_t job; /* the caller's */
    bool first, last; /* slice of its task */
    uint32_t layers;
    const void *const *arriving; /* tensors; valid until the last slice is done */
    struct compute_execution *execution; /* the worker's, kept here between slices; WORK_DROP too */
    uint8_t *result; /* where the last slice copies the outputs, padded as in a frame; NULL: not wanted */
    /*
     * Called by the last slice, on the worker's thread, once the result and ended_ns stand; NULL: nothing. true: the
     * caller will hear of the end in another way, so that it need not be announced.
     */
    bool (*finished)(struct worker_item *item);
    uint64_t digest; /* filled by the last slice: of the outputs */
    /* results */
    int64_t *layer_ns; /* WORK_SLICE: filled; of a batch, each gets an equal share */
    int64_t began_ns, ended_ns;
    uint32_t batch_count; /* of a slice: items that it ran together with, itself included */
    struct worker_item *batch_next; /* WORK_SLICE: another one to run together with this one; NULL: none */
    bool is_quiet; /* done without being announced */
    int status;
    struct error error;
    struct worker_item *next;
};

/* `label` names the backend instances in the log. NULL on error. */
struct workers *workers_open(struct catalogue *catalogue, const struct scenario_node *station, uint64_t seed,
                             struct error *error);

/* Ends the threads (a layer that is running is waited for) and frees everything. NULL: nothing. */
void workers_close(struct workers *workers);

/* From now on work fails with ERROR_CANCELLED instead of going on. */
void workers_cancel(struct workers *workers);

/*
 * The part for a cut of an order (NULL: the model's own), which is one for all that ask for it by the same pointers, and they
 * stay valid until it is given up; *is_new says that it has to be placed, and then prepared by
 * every worker, before its first slice. Given up as often as it was asked for, it is freed once no worker is busy with it.
 */
struct worker_part *workers_part(struct workers *workers, const struct model *model, const uint32_t *order,
                                 uint32_t cut, bool *is_new);
void workers_give_up(struct workers *workers, struct worker_part *part);
/* Where new parts are to be: on engines that have nothing else to do, so that slices go on while they are prepared. */
void workers_place(struct workers *workers, struct worker_part *const *parts, uint32_t count);

/* The share of the processor from the next layer on. */
void workers_set_share(struct workers *workers, double cpu_share);

uint32_t workers_count(const struct workers *workers);
const struct instance *workers_instance(const struct workers *workers);
/* A batch is posted by its first item; its items come back one by one, with equal times. */
void workers_post(struct workers *workers, uint32_t worker, struct worker_item *item);
/* No further slice comes of an item that is not with a worker: what a worker keeps for it is given back to that. */
void workers_drop(struct worker_item *item);
int workers_done_fd(const struct workers *workers); /* readable when something is done */

/* Takes all that is done, oldest first, linked by `next`; NULL: nothing. */
struct worker_item *workers_take_done(struct workers *workers);

/*
 * The same without the descriptor, for work that may have ended without being announced. With `next`, where there is
 * none, the next piece of work is announced in any case.
 */
struct worker_item *workers_await(struct workers *workers, bool next);

#endif
