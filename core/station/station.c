/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The base station's queue: jobs from arrival to end, the scheduler asked, its answers checked.
 *
 * A job is READY from its first scheduler->ready() until it is picked, RUNNING while a worker has a slice of it, and
 * so on until it is gone. Only the scheduler knows an order among jobs; the station has a table of them by id.
 *
 * A job stays with the worker that began it, which has its activations. One that is picked while that worker is busy is
 * HELD: it is that worker's next, and the scheduler is asked again for the worker that is idle.
 *
 * The jobs of one pick that go to one worker are a batch: they stand in its queue one behind the other, become RUNNING
 * together, and are handed out as one slice each.
 */
#include "core/station/station.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Ids count up from 1, so their low bits are the best hash there is. */
#define HASH_FUNCTION(key, length, hash) ((hash) = (unsigned)*(const uint64_t *)(key))
#include <uthash.h>

#include "core/base/memory.h"

#define FIRST_CHUNK_JOBS 8
#define LATEST_WAKE_NS (INT64_MAX / 4) /* decades beyond any run: later is never, and would overflow sums of times */
#define MOST_IDLE_WAITS 1000000 /* in a row, with jobs ready and nothing happening: such a scheduler will never pick */

enum job_state {
    JOB_REFUSED, /* not, or not again, taken by ready(): the run is over */
    JOB_READY,
    JOB_HELD, /* picked, but its worker is busy */
    JOB_RUNNING,
};

/* One job: what the scheduler sees of it, and what is the station's own. */
struct job {
    struct napm_job seen;
    enum job_state state;
    bool cancelled; /* while it runs: it ends with its slice */
    uint32_t worker; /* that runs all its slices, once there is one */
    uint32_t slice_layers;
    uint32_t slices;
    uint64_t pick; /* number of the pick that named it last: jobs of one pick on one worker are a batch */
    int64_t dispatched_ns; /* when the running slice began */
    int64_t first_run_ns;
    int64_t running_ns;
    void *user;
    union {
        struct job *next_free;
        struct job *next_queued;
    };
    UT_hash_handle hh;
};

/* Jobs are allocated in chunks, each twice the one before, and never given back before the station ends. */
struct chunk {
    struct chunk *next;
    struct job jobs[];
};

struct worker {
    uint32_t running; /* jobs: 0, 1 or a batch */
    uint32_t jobs; /* that it has begun and that are not over */
    struct job *queue; /* first those RUNNING whose slices have not been handed out, then those HELD, oldest first */
};

struct station {
    struct instance *scheduler;
    bool serialised; /* the scheduler's calls take its plugin's lock */
    struct worker *workers;
    uint32_t worker_count, ready_count;
    uint32_t busy_count; /* workers */
    uint32_t starting_count; /* jobs RUNNING whose slices have not been handed out */
    uint64_t picks;
    uint32_t idle_waits; /* since the last arrival, pick or end of a slice, with no slice running */
    int64_t wake_ns;
    int64_t now_ns; /* of the last call */
    uint64_t last_id;
    struct job *jobs; /* by id */
    struct job *pool;
    struct chunk *chunks;
    size_t next_chunk_jobs;
    struct error failure; /* the first one; from then on every call repeats it */
    /* uthash frees its table when the last entry goes: this one (id 0, no job's) stays in it. */
    struct job keeper;
};

/* ---- jobs */

static struct job *new_job(struct station *station)
{
    if (!station->pool) {
        size_t count = station->next_chunk_jobs;
        struct chunk *chunk = memory_new(sizeof(*chunk) + count * sizeof(struct job));
        chunk->next = station->chunks;
        station->chunks = chunk;
        station->next_chunk_jobs = count * 2;
        for (size_t i = count; i-- > 0;) {
            chunk->jobs[i].next_free = station->pool;
            station->pool = &chunk->jobs[i];
        }
    }
    struct job *job = station->pool;
    station->pool = job->next_free;
    return job;
}

static void free_job(struct station *station, struct job *job)
{
    HASH_DEL(station->jobs, job);
    job->next_free = station->pool;
    station->pool = job;
}

static struct job *find_job(const struct station *station, uint64_t id)
{
    struct job *job;
    HASH_FIND(hh, station->jobs, &id, sizeof(id), job);
    return job == &station->keeper ? NULL : job;
}

static struct job *add_job(struct station *station, const struct station_job *given, int64_t now_ns)
{
    struct job *job = new_job(station);
    /* Field by field: as one assignment it would be a `rep stos`, which costs as much as all the rest of an arrival. */
    struct napm_job *seen = &job->seen;
    seen->size = sizeof(*seen);
    seen->stream = given->stream;
    seen->id = ++station->last_id;
    seen->task = given->task;
    seen->started_ns = given->started_ns;
    seen->arrived_ns = now_ns;
    seen->deadline_ns = given->deadline_ns;
    seen->priority = given->priority;
    seen->layer_count = given->layer_count;
    seen->layers_done = seen->reserved = 0;
    seen->layer_ns = given->layer_ns;
    seen->remaining_ns = 0;
    seen->scheduler_data = NULL;
    seen->weight = given->weight > 0 ? given->weight : 1;
    seen->model = given->model;
    seen->first_layer = given->first_layer;
    job->cancelled = false;
    job->slices = 0;
    job->first_run_ns = -1;
    job->running_ns = 0;
    job->user = given->user;
    for (uint32_t i = 0; i < given->layer_count; i++)
        seen->remaining_ns += given->layer_ns[i];
    HASH_ADD(hh, station->jobs, seen.id, sizeof(job->seen.id), job);
    return job;
}

/* ---- calls to the scheduler, and what they may answer */

static void enter(const struct station *station)
{
    if (station->serialised)
        instance_lock(station->scheduler);
}

static void leave(const struct station *station)
{
    if (station->serialised)
        instance_unlock(station->scheduler);
}

static int repeat_failure(const struct station *station, struct error *error)
{
    if (error)
        *error = station->failure;
    return -1;
}

/* Sets the failure for a status that `call` must not return, or that says why it failed. */
static void refuse_status(struct station *station, const char *call, int32_t status)
{
    if (status < 0)
        instance_error(station->scheduler, status, call, &station->failure);
    else
        instance_misbehaved(station->scheduler, &station->failure, "%s returned %" PRId32 ", which is no answer to it",
                            call, status);
}

static int call_ready(struct station *station, struct job *job, int64_t now_ns, struct error *error)
{
    enter(station);
    int32_t status = station->scheduler->hook.scheduler.ready(station->scheduler->self, &job->seen, now_ns);
    leave(station);
    if (status != NAPM_OK) {
        job->state = JOB_REFUSED;
        refuse_status(station, "ready()", status);
        return repeat_failure(station, error);
    }
    job->state = JOB_READY;
    station->ready_count++;
    station->idle_waits = 0;
    return 0;
}

static int32_t call_pick(struct station *station, int64_t now_ns, struct napm_pick *pick)
{
    enter(station);
    int32_t status = station->scheduler->hook.scheduler.pick(station->scheduler->self, now_ns, pick);
    leave(station);
    return status;
}

static void unqueue(struct station *station, const struct job *job)
{
    struct job **at = &station->workers[job->worker].queue;
    while (*at && *at != job)
        at = &(*at)->next_queued;
    if (*at)
        *at = job->next_queued;
}

/* Ends a job: the scheduler hears of it, if it ever took it, and the job's place is free again. */
static void end_job(struct station *station, struct job *job, uint32_t why, int64_t now_ns)
{
    if (job->state == JOB_READY)
        station->ready_count--;
    else if (job->state == JOB_HELD)
        unqueue(station, job);
    if (job->slices > 0)
        station->workers[job->worker].jobs--;
    if (job->state == JOB_READY || job->slices > 0) {
        enter(station);
        station->scheduler->hook.scheduler.gone(station->scheduler->self, &job->seen, why, now_ns);
        leave(station);
    }
    free_job(station, job);
}

/* The scheduler wants to wait: then there must be something to wait for. */
static int accept_wait(struct station *station, int64_t wake_ns, int64_t now_ns)
{
    if (wake_ns <= now_ns)
        return instance_misbehaved(station->scheduler, &station->failure,
                                   "pick() wants to be asked again at %" PRId64 " ns, but it is %" PRId64 " ns already",
                                   wake_ns, now_ns);
    if (wake_ns > LATEST_WAKE_NS)
        wake_ns = INT64_MAX;
    if (wake_ns == INT64_MAX && station->busy_count == 0)
        return instance_misbehaved(station->scheduler, &station->failure,
                                   "pick() waits for ever with %" PRIu32
                                   " jobs ready and none running: it must pick one or set wake_ns",
                                   station->ready_count);
    if (station->busy_count == 0 && ++station->idle_waits > MOST_IDLE_WAITS)
        return instance_misbehaved(station->scheduler, &station->failure,
                                   "pick() asked to wait %d times in a row with %" PRIu32
                                   " jobs ready and none running: it must pick one",
                                   MOST_IDLE_WAITS, station->ready_count);
    station->wake_ns = wake_ns;
    return 0;
}

/* A ready job that pick() named, or NULL with the failure set. */
static struct job *find_ready(struct station *station, uint64_t id)
{
    struct job *job = find_job(station, id);
    if (!job) {
        instance_misbehaved(station->scheduler, &station->failure, "pick() named job %" PRIu64 ", which does not exist",
                            id);
        return NULL;
    }
    if (job->state != JOB_READY) {
        instance_misbehaved(station->scheduler, &station->failure,
                            "pick() named job %" PRIu64 ", which is not ready: it has been picked already", id);
        return NULL;
    }
    return job;
}

/* ---- life */

struct station *station_new(struct instance *scheduler, uint32_t workers)
{
    struct station *station = NEW(struct station);
    station_serve(station, scheduler);
    station->worker_count = workers;
    station->workers = NEW_ARRAY(struct worker, workers);
    station->wake_ns = INT64_MAX;
    station->next_chunk_jobs = FIRST_CHUNK_JOBS;
    HASH_ADD(hh, station->jobs, seen.id, sizeof(station->keeper.seen.id), (&station->keeper));
    return station;
}

void station_reset(struct station *station, int64_t now_ns)
{
    struct job *job, *next;
    for (uint32_t i = 0; i < station->worker_count; i++)
        station->workers[i].queue = NULL;
    HASH_ITER (hh, station->jobs, job, next) {
        if (job != &station->keeper)
            end_job(station, job, NAPM_JOB_CANCELLED, now_ns);
    }
    memset(station->workers, 0, station->worker_count * sizeof(*station->workers));
    station->busy_count = station->starting_count = 0;
    station->idle_waits = 0;
    station->wake_ns = INT64_MAX;
    station->now_ns = 0;
    station->last_id = 0;
    station->failure.kind = ERROR_NONE;
}

void station_serve(struct station *station, struct instance *scheduler)
{
    station->scheduler = scheduler;
    station->serialised = scheduler->entry->plugin->threading == NAPM_THREADS_SERIALISED;
}

void station_free(struct station *station)
{
    if (!station)
        return;
    station_reset(station, station->now_ns);
    HASH_CLEAR(hh, station->jobs);
    for (struct chunk *chunk = station->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(station->workers);
    free(station);
}

/* ---- events */

int station_arrive(struct station *station, const struct station_job *given, int64_t now_ns, uint64_t *id,
                   struct error *error)
{
    if (station->failure.kind != ERROR_NONE)
        return repeat_failure(station, error);
    station->now_ns = now_ns;
    struct job *job = add_job(station, given, now_ns);
    *id = job->seen.id;
    return call_ready(station, job, now_ns, error);
}

/* Of the idle ones, that with the fewest jobs that only it can go on with. There is one. */
static uint32_t idle_worker(const struct station *station)
{
    uint32_t best = station->worker_count;
    for (uint32_t i = 0; i < station->worker_count; i++) {
        const struct worker *worker = &station->workers[i];
        if (worker->running == 0 && (best == station->worker_count || worker->jobs < station->workers[best].jobs))
            best = i;
    }
    return best;
}

static bool same_batch(const struct job *a, const struct job *b)
{
    return b && a->pick == b->pick;
}

/* Starts the first batch in the queue of a worker that is idle. */
static void start_batch(struct station *station, struct worker *worker, int64_t now_ns)
{
    const struct job *first = worker->queue;
    for (struct job *job = worker->queue; same_batch(first, job); job = job->next_queued) {
        job->state = JOB_RUNNING;
        job->dispatched_ns = now_ns;
        if (job->slices++ == 0) {
            job->first_run_ns = now_ns;
            worker->jobs++;
        }
        worker->running++;
        station->starting_count++;
    }
    station->busy_count++;
    station->idle_waits = 0;
}

/* Hands out a slice that stands in a queue and that its worker can run now; false: there is none. */
static bool start_queued(struct station *station, int64_t now_ns, struct station_slice *slice)
{
    for (uint32_t i = 0; i < station->worker_count; i++) {
        struct worker *worker = &station->workers[i];
        struct job *job = worker->queue;
        if (!job || (worker->running > 0 && job->state == JOB_HELD))
            continue;
        if (job->state == JOB_HELD)
            start_batch(station, worker, now_ns);
        station->starting_count--;
        worker->queue = job->next_queued;
        *slice = (struct station_slice){job->seen.id,          job->user,         job->worker,
                                        job->seen.layers_done, job->slice_layers, same_batch(job, job->next_queued)};
        return true;
    }
    return false;
}

static void hold(struct station *station, struct job *job)
{
    struct job **at = &station->workers[job->worker].queue;
    while (*at)
        at = &(*at)->next_queued;
    job->state = JOB_HELD;
    job->pick = station->picks;
    job->next_queued = NULL;
    *at = job;
    station->ready_count--;
}

static int take_batch(struct station *station, const struct napm_pick *pick, const struct job *first)
{
    const struct napm_job *like = &first->seen;
    if (pick->batch_count > 0 && !pick->batch)
        return instance_misbehaved(station->scheduler, &station->failure,
                                   "pick() said that %" PRIu32 " more jobs go with job %" PRIu64
                                   ", but not which: batch is NULL",
                                   pick->batch_count, like->id);
    for (uint32_t i = 0; i < pick->batch_count; i++) {
        struct job *job = find_ready(station, pick->batch[i]);
        if (!job)
            return -1;
        if (job->seen.model != like->model || job->seen.first_layer != like->first_layer ||
            job->seen.layers_done != like->layers_done)
            return instance_misbehaved(station->scheduler, &station->failure,
                                       "pick() named job %" PRIu64 " (model %" PRIu32 ", layer %" PRIu32
                                       ") in one batch with job %" PRIu64 " (model %" PRIu32 ", layer %" PRIu32
                                       "): they do not run the same layers",
                                       job->seen.id, job->seen.model, job->seen.first_layer + job->seen.layers_done,
                                       like->id, like->model, like->first_layer + like->layers_done);
        job->slice_layers = first->slice_layers;
        if (job->slices == 0)
            job->worker = first->worker;
        hold(station, job);
    }
    return 0;
}

/* The jobs that pick() named are held for their workers; -1: the failure is set. */
static int take_pick(struct station *station, const struct napm_pick *pick)
{
    struct job *job = find_ready(station, pick->job);
    if (!job)
        return -1;
    if (pick->layer_count == 0)
        return instance_misbehaved(station->scheduler, &station->failure,
                                   "pick() named job %" PRIu64 " with 0 layers to run", pick->job);
    uint32_t left = job->seen.layer_count - job->seen.layers_done;
    job->slice_layers = pick->layer_count < left ? pick->layer_count : left;
    if (job->slices == 0)
        job->worker = idle_worker(station);
    station->picks++;
    hold(station, job);
    return take_batch(station, pick, job);
}

/* Asks the scheduler until there is a job that an idle worker can run. Returns as station_dispatch. */
static int start_picked(struct station *station, int64_t now_ns, struct station_slice *slice, struct error *error)
{
    while (station->ready_count > 0) {
        struct napm_pick pick = {.size = sizeof(pick), .wake_ns = INT64_MAX};
        int32_t status = call_pick(station, now_ns, &pick);
        if (status == NAPM_WAIT)
            return accept_wait(station, pick.wake_ns, now_ns) ? repeat_failure(station, error) : 0;
        if (status != NAPM_OK)
            refuse_status(station, "pick()", status);
        if (status != NAPM_OK || take_pick(station, &pick) != 0)
            return repeat_failure(station, error);
        if (start_queued(station, now_ns, slice))
            return 1;
    }
    return 0;
}

/* Apart from station_dispatch, which mostly has nothing to give, and then does not need this one's frame. */
static __attribute__((noinline)) int start_some(struct station *station, int64_t now_ns, struct station_slice *slice,
                                                struct error *error)
{
    if (start_queued(station, now_ns, slice))
        return 1;
    return station->busy_count == station->worker_count ? 0 : start_picked(station, now_ns, slice, error);
}

int station_dispatch(struct station *station, int64_t now_ns, struct station_slice *slice, struct error *error)
{
    if (station->failure.kind != ERROR_NONE)
        return repeat_failure(station, error);
    station->now_ns = now_ns;
    station->wake_ns = INT64_MAX;
    if (station->busy_count == station->worker_count && station->starting_count == 0)
        return 0;
    return start_some(station, now_ns, slice, error);
}

static struct station_end end_of(const struct job *job, int64_t now_ns, bool cancelled)
{
    return (struct station_end){
        .user = job->user,
        .stream = job->seen.stream,
        .task = job->seen.task,
        .arrived_ns = job->seen.arrived_ns,
        .first_run_ns = job->first_run_ns,
        .ended_ns = now_ns,
        .running_ns = job->running_ns,
        .slices = job->slices,
        .cancelled = cancelled,
    };
}

/* The slice's layers are done; its worker is free where no other job of its batch runs on. */
static void end_slice(struct station *station, struct job *job, int64_t now_ns)
{
    for (uint32_t i = 0; i < job->slice_layers; i++)
        job->seen.remaining_ns -= job->seen.layer_ns[job->seen.layers_done++];
    job->running_ns += now_ns - job->dispatched_ns;
    if (--station->workers[job->worker].running == 0)
        station->busy_count--;
}

int station_slice_done(struct station *station, uint64_t id, int64_t now_ns, struct station_end *end,
                       struct error *error)
{
    if (station->failure.kind != ERROR_NONE)
        return repeat_failure(station, error);
    struct job *job = find_job(station, id);
    if (!job || job->state != JOB_RUNNING)
        return error_set(error, ERROR_RUN, "station: a slice of job %" PRIu64 " has ended that was not running", id);
    station->now_ns = now_ns;
    end_slice(station, job, now_ns);
    bool finished = job->seen.layers_done == job->seen.layer_count;
    if (!finished && !job->cancelled)
        return call_ready(station, job, now_ns, error);
    *end = end_of(job, now_ns, job->cancelled);
    end_job(station, job, finished ? NAPM_JOB_FINISHED : NAPM_JOB_CANCELLED, now_ns);
    return 1;
}

void station_cancel_stream(struct station *station, uint32_t stream, int64_t now_ns,
                           void (*ended)(void *context, const struct station_end *end), void *context)
{
    struct job *job, *next;
    station->now_ns = now_ns;
    HASH_ITER (hh, station->jobs, job, next) {
        if (job == &station->keeper || job->seen.stream != stream)
            continue;
        if (job->state == JOB_RUNNING) {
            job->cancelled = true;
            continue;
        }
        struct station_end end = end_of(job, now_ns, true);
        end_job(station, job, NAPM_JOB_CANCELLED, now_ns);
        ended(context, &end);
    }
}

/* ---- questions */

int64_t station_wake_ns(const struct station *station)
{
    return station->wake_ns;
}

uint32_t station_jobs(const struct station *station)
{
    return (uint32_t)HASH_COUNT(station->jobs) - 1; /* without the keeper */
}
