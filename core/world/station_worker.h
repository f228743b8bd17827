/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The station's workers: threads of this process, each with its own compute. Work is handed to one of them and comes
 * back through a file descriptor that becomes readable. Work items belong to the caller and are embedded in what they
 * are for, so that a task's slices cost no allocation.
 */
#ifndef NAPM_WORLD_STATION_WORKER_H
#define NAPM_WORLD_STATION_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/compute/compute.h"
#include "core/scenario/scenario.h"

struct workers;

enum work_kind { WORK_PROFILE, WORK_DEPLOY, WORK_SLICE };

/* A stream's part at the station, as every worker needs it. */
struct worker_stream {
    const struct model *model;
    uint32_t cut;
};

struct worker_item {
    enum work_kind kind;
    void *user; /* the caller's */
    /* WORK_PROFILE */
    const struct model *model;
    uint32_t warmups, repeats, batch;
    /* WORK_DEPLOY: prepares and warms up the parts of all streams that have one */
    const struct worker_stream *streams;
    uint32_t stream_count;
    /* WORK_SLICE */
    uint64_t job; /* the caller's */
    uint32_t stream;
    bool first, last; /* slice of its task */
    uint32_t layers;
    const void *const *arriving; /* tensors; valid until the last slice is done */
    struct compute_execution *execution; /* the worker's, kept here between slices */
    uint8_t *result; /* where the last slice copies the outputs, padded as in a frame; NULL: not wanted */
    /*
     * Called by the last slice, on the worker's thread, once the result and ended_ns stand; NULL: nothing. true: the
     * caller will hear of the end in another way, so that it need not be announced.
     */
    bool (*finished)(struct worker_item *item);
    uint64_t digest; /* filled by the last slice: of the outputs */
    /* results */
    int64_t *layer_ns; /* WORK_PROFILE, WORK_SLICE: filled; of a batch, each gets an equal share */
    int64_t began_ns, ended_ns;
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

/* The share of the processor from the next layer on. */
void workers_set_share(struct workers *workers, double cpu_share);

uint32_t workers_count(const struct workers *workers);
const struct instance *workers_instance(const struct workers *workers);
/* A batch is posted by its first item; its items come back one by one, with equal times. */
void workers_post(struct workers *workers, uint32_t worker, struct worker_item *item);
int workers_done_fd(const struct workers *workers); /* readable when something is done */

/* Takes all that is done, oldest first, linked by `next`; NULL: nothing. */
struct worker_item *workers_take_done(struct workers *workers);

/*
 * The same without the descriptor, for work that may have ended without being announced. With `next`, where there is
 * none, the next piece of work is announced in any case.
 */
struct worker_item *workers_await(struct workers *workers, bool next);

#endif
