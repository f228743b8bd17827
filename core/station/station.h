/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The base station's queue: a pure state machine driven by time and events. It holds the jobs, asks the scheduler,
 * and checks its answers. It does not know which world it is in: the caller runs the slices.
 *
 * Order of calls: station_arrive when a job's cut tensors are there; station_dispatch until it returns 0; when a
 * slice has run, station_slice_done, then station_dispatch again; also at station_wake_ns. Times never decrease.
 */
#ifndef NAPM_STATION_STATION_H
#define NAPM_STATION_STATION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/plugin/catalogue.h"

struct station;

/* What arrives. layer_ns (expected times of the layers at the station) stays valid until the job is gone. */
struct station_job {
    uint32_t stream;
    uint64_t task;
    int64_t started_ns;
    int64_t deadline_ns; /* INT64_MAX: none */
    int32_t priority;
    double weight; /* the stream's; 0 counts as 1 */
    uint32_t model, first_layer; /* jobs with both equal run the same layers */
    uint32_t layer_count; /* 1 or more */
    const int64_t *layer_ns;
    void *user; /* the caller's */
};

/* Work for one worker. */
struct station_slice {
    uint64_t job; /* id */
    void *user;
    uint32_t worker; /* which worker is to run it: for all slices of a job the same */
    uint32_t first_layer; /* of the job's own layers, 0.. */
    uint32_t layer_count; /* 1 or more, never more than are left */
    /* The next slice that station_dispatch gives is to run together with this one: same worker, same layers. */
    bool more;
};

/* What is known of a job when it ends. */
struct station_end {
    void *user;
    uint32_t stream;
    uint64_t task;
    int64_t arrived_ns;
    int64_t first_run_ns; /* when its first slice was dispatched; -1: never */
    int64_t ended_ns;
    int64_t running_ns; /* time in slices (dispatch to done); in a batch: the whole batch's */
    uint32_t slices;
    bool cancelled; /* by station_cancel_stream */
};

/*
 * `scheduler` is an instance of kind scheduler, kept by the caller; it outlives the station, which gives it all jobs
 * back before it ends. `workers`: slices that may run at once, 1 or more. A station belongs to one thread.
 */
struct station *station_new(struct instance *scheduler, uint32_t workers);
void station_free(struct station *station);

/*
 * Forgets everything, a failure too, telling the scheduler that its jobs are gone: for evaluating plan after plan. Ids
 * and times may begin anew.
 */
void station_reset(struct station *station, int64_t now_ns);

/* Another scheduler from now on, for a station that has just been made or reset. The one before may be closed. */
void station_serve(struct station *station, struct instance *scheduler);

/*
 * A job has come; *id is its id. The scheduler's failures and breaches of contract (ERROR_PLUGIN, by its name) are final:
 * from then on this and the next two calls repeat the error.
 */
int station_arrive(struct station *station, const struct station_job *job, int64_t now_ns, uint64_t *id,
                   struct error *error);

/*
 * 1: *slice is to be run (one of several of a batch, where `more` is set: call again at once); 0: nothing to run now;
 * -1: error (the scheduler failed or misbehaved: the run is over).
 */
int station_dispatch(struct station *station, int64_t now_ns, struct station_slice *slice, struct error *error);

/* 1: the job is gone and *end is filled; 0: it goes on; -1: error. Each job of a batch ends by itself. */
int station_slice_done(struct station *station, uint64_t job, int64_t now_ns, struct station_end *end,
                       struct error *error);

/*
 * Cancels all jobs of a stream (its device has gone). Each that is not running ends at once through `ended`; one whose
 * slice runs ends in station_slice_done.
 */
void station_cancel_stream(struct station *station, uint32_t stream, int64_t now_ns,
                           void (*ended)(void *context, const struct station_end *end), void *context);

int64_t station_wake_ns(const struct station *station); /* when to dispatch again; INT64_MAX: only on events */
uint32_t station_jobs(const struct station *station); /* jobs present: ready, running */

#endif
