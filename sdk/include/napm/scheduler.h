/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler hook: orders the work that waits at the base station.
 *
 * A job is the station's part of one task. The station calls ready() when a job's cut tensors have arrived, and again
 * each time a slice of it has run without finishing it. When a worker is free it calls pick(); the scheduler names a
 * ready job and how many of its layers to run before it is asked again: that is how one preempts, at layer borders.
 * gone() ends every job. The same binary serves real and virtual time: the only clock is `now_ns`.
 *
 * All calls on one instance come one at a time, from one thread.
 */
#ifndef NAPM_SCHEDULER_H
#define NAPM_SCHEDULER_H

#include <stdint.h>

#include <napm/host.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NAPM_SCHEDULER_VERSION 1u

/* A job. Owned by the station; stays in place from its first ready() to its gone(). The scheduler only reads it. */
struct napm_job {
    uint32_t size;
    uint32_t stream; /* stream index */
    uint64_t id; /* unique in the run, never 0 */
    uint64_t task; /* number of the task in its stream, from 0 */
    int64_t started_ns; /* when the task started on its device */
    int64_t arrived_ns; /* when its cut tensors had arrived */
    int64_t deadline_ns; /* on the same clock; INT64_MAX: none */
    int32_t priority; /* greater is more urgent */
    uint32_t layer_count; /* layers to run at the station, 1 or more */
    uint32_t layers_done; /* kept up to date by the station */
    uint32_t reserved;
    const int64_t *layer_ns; /* expected time of each of the layer_count layers at the station */
    int64_t remaining_ns; /* expected time of the layers not yet done */
    void *scheduler_data; /* the scheduler's own; NULL to begin with. The only field that it may write */
    double weight; /* the stream's share for fair schedulers, above 0 */
    uint32_t model; /* jobs with the same model and the same first_layer run the same layers */
    /*
     * In the model's order: where this job's layers begin. Above the model's number of layers: they are no end of that
     * order, and the number is only good for comparing.
     */
    uint32_t first_layer;
};

/* The answer of pick(). */
struct napm_pick {
    uint32_t size;
    uint32_t layer_count; /* layers to run before asking again; more than are left means all */
    uint64_t job; /* id of a job that is ready */
    int64_t wake_ns; /* with NAPM_WAIT: ask again at this time even if no job comes; INT64_MAX: never */
    /*
     * A batch: further ready jobs to run together with `job`, for the same layer_count, each named once. Their model,
     * first_layer and layers_done must equal those of `job`. ready() and gone() come for each of them by itself. Jobs
     * that other workers have begun run there, as batches of their own. The array is the scheduler's, and need only be
     * valid until its next call. 0 and NULL to begin with.
     */
    uint32_t batch_count;
    uint32_t reserved;
    const uint64_t *batch;
};

/* Why a job is gone. */
#define NAPM_JOB_FINISHED 0u
#define NAPM_JOB_CANCELLED 1u

struct napm_scheduler {
    uint32_t size;
    uint32_t reserved;

    /* A job may be picked from now on: it is new (layers_done == 0), or its slice has ended. */
    int32_t (*ready)(void *self, struct napm_job *job, int64_t now_ns);

    /*
     * A worker is free and at least one job is ready. Returns NAPM_OK with job and layer_count set (the job then is not
     * ready until ready() is called with it again), or NAPM_WAIT to leave the worker idle for now: until a job comes or
     * a slice ends, and wake_ns at the latest, which must lie after `now_ns` and must be set where no slice is running
     * (or the run could hang). Any other answer is a breach of contract, and the run fails in the plugin's name.
     */
    int32_t (*pick)(void *self, int64_t now_ns, struct napm_pick *pick);

    /* A job has finished or was cancelled (it may then be ready or not): forget it. It is freed after the call. */
    void (*gone)(void *self, struct napm_job *job, uint32_t why, int64_t now_ns);
};

/*
 * Extension of a scheduler whose picks may name batches: napm_plugin.get_extension(NAPM_SCHEDULER_BATCHES). It has no
 * functions: the host measures what batches cost at the station only for schedulers that have it, and without it takes a
 * batch to last as long as its jobs one after the other.
 */
#define NAPM_SCHEDULER_BATCHES "napm.scheduler.batches/1"
struct napm_scheduler_batches {
    uint32_t size;
    uint32_t reserved;
};

#ifdef __cplusplus
}
#endif

#endif /* NAPM_SCHEDULER_H */
