/* SPDX-License-Identifier: Apache-2.0 */
/* The station's workers. */
#include "core/world/station_worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/wire/frame.h"

struct worker {
    struct workers *workers;
    pthread_t thread;
    struct compute *compute;
    struct compute_execution **batch; /* room for those of the largest batch so far */
    uint32_t batch_room;
    pthread_mutex_t lock; /* guards the queue */
    pthread_cond_t wake;
    struct worker_item *first, **last;
    bool end;
    /* the thread's own */
    struct compute_segment **segments; /* by stream; NULL: the stream has no part here */
    const struct worker_stream *streams;
    uint32_t stream_count;
    const void **leaving; /* room for the outputs of any of them */
};

struct workers {
    struct worker *items;
    uint32_t count;
    int done_fd;
    pthread_mutex_t done_lock; /* guards what follows */
    struct worker_item *first_done, **last_done;
    bool awaited; /* the next piece of work that ends is to be announced in any case */
    pthread_mutex_t sleep_lock; /* for sleeps that a cancel ends */
    pthread_cond_t sleep_wake;
    atomic_bool cancelled;
};

/* ---- sleeping backends */

static int32_t sleep_until(void *context, int64_t until_ns)
{
    struct workers *workers = context;
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    if (until_ns <= 0)
        return NAPM_OK;
    pthread_mutex_lock(&workers->sleep_lock);
    int waited = 0;
    while (!atomic_load(&workers->cancelled) && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&workers->sleep_wake, &workers->sleep_lock, &until);
    pthread_mutex_unlock(&workers->sleep_lock);
    return waited == ETIMEDOUT ? NAPM_OK : NAPM_ERR_CANCELLED;
}

void workers_cancel(struct workers *workers)
{
    pthread_mutex_lock(&workers->sleep_lock);
    atomic_store(&workers->cancelled, true);
    pthread_cond_broadcast(&workers->sleep_wake);
    pthread_mutex_unlock(&workers->sleep_lock);
}

void workers_set_share(struct workers *workers, double cpu_share)
{
    for (uint32_t i = 0; i < workers->count; i++)
        compute_set_share(workers->items[i].compute, cpu_share);
}

/* ---- work, on the worker's thread */

static int profile(struct worker *worker, struct worker_item *item)
{
    struct compute_model *prepared = compute_prepare(worker->compute, item->model, &item->error);
    if (!prepared)
        return -1;
    int status = compute_profile_batch(prepared, item->batch, item->warmups, item->repeats, item->layer_ns, NULL, NULL,
                                       &item->error);
    compute_release(prepared);
    return status;
}

/* One pass over a segment with zeros, so that the first task is not slow. */
static int warm_up(struct worker *worker, const struct model *model, struct compute_segment *segment,
                   struct error *error)
{
    const struct napm_model *view = model_view(model);
    const struct model_part *part = compute_segment_part(segment);
    void **zeros = NEW_ARRAY(void *, part->arriving_count);
    int status = 0;
    for (uint32_t i = 0; i < part->arriving_count && status == 0; i++) {
        size_t bytes = (size_t)view->tensors[part->arriving[i]]->bytes;
        zeros[i] = memory_try_aligned(bytes);
        if (zeros[i])
            memset(zeros[i], 0, bytes);
        else
            status = error_set(error, ERROR_RUN, "no memory for a tensor of %zu bytes", bytes);
    }
    struct compute_execution *execution = status == 0 ? compute_execution_take(segment, error) : NULL;
    status = execution && compute_start(execution, (const void *const *)zeros, error) == 0 &&
                     compute_run(execution, part->spec.layer_count, NULL, error) == 0 &&
                     compute_outputs(execution, worker->leaving, error) == 0
                 ? 0
                 : -1;
    compute_execution_put(execution);
    for (uint32_t i = 0; i < part->arriving_count; i++)
        free(zeros[i]);
    free(zeros);
    return status;
}

static int deploy(struct worker *worker, struct worker_item *item)
{
    worker->streams = item->streams;
    worker->stream_count = item->stream_count;
    worker->segments = NEW_ARRAY(struct compute_segment *, item->stream_count);
    uint32_t most = 0;
    for (uint32_t i = 0; i < item->stream_count; i++) {
        const struct napm_model *view = model_view(item->streams[i].model);
        most = view->tensor_count > most ? view->tensor_count : most;
    }
    worker->leaving = NEW_ARRAY(const void *, most);
    for (uint32_t i = 0; i < item->stream_count; i++) {
        const struct worker_stream *stream = &item->streams[i];
        uint32_t layers = model_view(stream->model)->layer_count;
        if (stream->cut == layers)
            continue;
        struct compute_model *prepared = compute_prepare(worker->compute, stream->model, &item->error);
        if (!prepared)
            return -1;
        worker->segments[i] = compute_segment(prepared, stream->cut, layers, &item->error);
        if (!worker->segments[i] || warm_up(worker, stream->model, worker->segments[i], &item->error))
            return -1;
    }
    return 0;
}

/* The task's outputs are there: a digest always, a copy where the result goes back. */
static void keep_outputs(struct worker *worker, struct worker_item *item)
{
    const struct napm_model *view = model_view(worker->streams[item->stream].model);
    const struct model_part *part = compute_segment_part(worker->segments[item->stream]);
    uint64_t at = 0;
    item->digest = 0;
    for (uint32_t i = 0; i < part->leaving_count; i++) {
        uint64_t bytes = view->tensors[part->leaving[i]]->bytes;
        item->digest = XXH3_64bits_withSeed(worker->leaving[i], (size_t)bytes, item->digest);
        if (item->result)
            memcpy(item->result + at, worker->leaving[i], (size_t)bytes);
        at += frame_padded(bytes);
    }
}

static int begin_slice(struct worker *worker, struct worker_item *item, struct error *error)
{
    if (!item->first)
        return 0;
    item->execution = compute_execution_take(worker->segments[item->stream], error);
    return item->execution ? compute_start(item->execution, item->arriving, error) : -1;
}

/* Computes the layers of all items together. */
static int run_layers(struct worker *worker, struct worker_item *items, struct error *error)
{
    uint32_t count = 0;
    for (struct worker_item *item = items; item; item = item->batch_next) {
        if (count == worker->batch_room) {
            worker->batch_room = 2 * worker->batch_room + 1;
            worker->batch = memory_resize(worker->batch, worker->batch_room, sizeof(*worker->batch));
        }
        worker->batch[count++] = item->execution;
    }
    if (compute_run_batch(worker->batch, count, items->layers, items->layer_ns, error))
        return -1;
    for (uint32_t i = 0; i < items->layers && count > 1; i++) {
        items->layer_ns[i] /= count;
        for (struct worker_item *item = items->batch_next; item; item = item->batch_next)
            item->layer_ns[i] = items->layer_ns[i];
    }
    return 0;
}

static int end_slice(struct worker *worker, struct worker_item *item, struct error *error)
{
    if (!item->last)
        return 0;
    if (compute_outputs(item->execution, worker->leaving, error))
        return -1;
    keep_outputs(worker, item);
    return 0;
}

/* The slice of an item, or of all in its batch: then an error is all of theirs. */
static void run_slices(struct worker *worker, struct worker_item *items)
{
    struct error error; /* set where status is not 0 */
    int status = 0;
    int64_t began_ns = clock_now_ns();
    for (struct worker_item *item = items; item && status == 0; item = item->batch_next)
        status = begin_slice(worker, item, &error);
    if (status == 0)
        status = run_layers(worker, items, &error);
    for (struct worker_item *item = items; item && status == 0; item = item->batch_next)
        status = end_slice(worker, item, &error);
    int64_t ended_ns = clock_now_ns();
    for (struct worker_item *item = items; item; item = item->batch_next) {
        item->began_ns = began_ns;
        item->ended_ns = ended_ns;
        item->status = status;
        if (status)
            item->error = error;
        item->is_quiet = status == 0 && item->last && item->finished && item->finished(item);
        if (item->execution && (item->last || status)) {
            compute_execution_put(item->execution);
            item->execution = NULL;
        }
    }
}

static void do_item(struct worker *worker, struct worker_item *item)
{
    switch (item->kind) {
    case WORK_PROFILE:
        item->status = profile(worker, item);
        break;
    case WORK_DEPLOY:
        item->status = deploy(worker, item);
        break;
    case WORK_SLICE:
        run_slices(worker, item);
        break;
    }
}

static void hand_back(struct workers *workers, struct worker_item *item)
{
    const uint64_t one = 1;
    item->next = NULL;
    pthread_mutex_lock(&workers->done_lock);
    *workers->last_done = item;
    workers->last_done = &item->next;
    bool announce = workers->awaited || !item->is_quiet;
    pthread_mutex_unlock(&workers->done_lock);
    while (announce && write(workers->done_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static void *run_worker(void *argument)
{
    struct worker *worker = argument;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    pthread_mutex_lock(&worker->lock);
    for (;;) {
        while (!worker->first && !worker->end)
            pthread_cond_wait(&worker->wake, &worker->lock);
        if (worker->end)
            break;
        struct worker_item *item = worker->first;
        worker->first = item->next;
        if (!worker->first)
            worker->last = &worker->first;
        pthread_mutex_unlock(&worker->lock);
        do_item(worker, item);
        for (struct worker_item *next; item; item = next) {
            next = item->batch_next; /* handed back, it is the caller's again */
            hand_back(worker->workers, item);
        }
        pthread_mutex_lock(&worker->lock);
    }
    pthread_mutex_unlock(&worker->lock);
    compute_close(worker->compute);
    free(worker->segments);
    free(worker->leaving);
    free(worker->batch);
    return NULL;
}

/* ---- from the controller's thread */

static void init_waiting(pthread_mutex_t *lock, pthread_cond_t *wake)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(lock, NULL);
}

static struct compute *open_compute(struct workers *workers, struct catalogue *catalogue,
                                    const struct scenario_node *station, uint64_t seed, uint32_t number,
                                    struct error *error)
{
    char *label = text_format("backend:%s:%u", station->name, number);
    struct compute_settings settings = {
        .backend = station->backend,
        .threads = station->threads,
        .cpu_share = station->cpu_share,
        .host = {.label = label, .seed = seed, .sleep_until_ns = sleep_until, .context = workers},
        .stop = &workers->cancelled};
    struct compute *compute = compute_open(catalogue, &settings, error);
    free(label);
    return compute;
}

struct workers *workers_open(struct catalogue *catalogue, const struct scenario_node *station, uint64_t seed,
                             struct error *error)
{
    int done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (done_fd < 0) {
        error_set(error, ERROR_RUN, "making an event descriptor: %s", strerror(errno));
        return NULL;
    }
    struct workers *workers = NEW(struct workers);
    workers->done_fd = done_fd;
    workers->last_done = &workers->first_done;
    pthread_mutex_init(&workers->done_lock, NULL);
    init_waiting(&workers->sleep_lock, &workers->sleep_wake);
    uint32_t wanted = station->workers ? station->workers : 1;
    workers->items = NEW_ARRAY(struct worker, wanted);
    for (; workers->count < wanted; workers->count++) {
        struct worker *worker = &workers->items[workers->count];
        worker->compute = open_compute(workers, catalogue, station, seed, workers->count, error);
        if (!worker->compute) {
            workers_close(workers);
            return NULL;
        }
        worker->workers = workers;
        worker->last = &worker->first;
        init_waiting(&worker->lock, &worker->wake);
        pthread_create(&worker->thread, NULL, run_worker, worker);
    }
    return workers;
}

void workers_close(struct workers *workers)
{
    if (!workers)
        return;
    workers_cancel(workers);
    for (uint32_t i = 0; i < workers->count; i++) {
        struct worker *worker = &workers->items[i];
        pthread_mutex_lock(&worker->lock);
        worker->end = true;
        pthread_cond_signal(&worker->wake);
        pthread_mutex_unlock(&worker->lock);
    }
    for (uint32_t i = 0; i < workers->count; i++) {
        pthread_join(workers->items[i].thread, NULL);
        pthread_cond_destroy(&workers->items[i].wake);
        pthread_mutex_destroy(&workers->items[i].lock);
    }
    close(workers->done_fd);
    pthread_cond_destroy(&workers->sleep_wake);
    pthread_mutex_destroy(&workers->sleep_lock);
    pthread_mutex_destroy(&workers->done_lock);
    free(workers->items);
    free(workers);
}

uint32_t workers_count(const struct workers *workers)
{
    return workers->count;
}

const struct instance *workers_instance(const struct workers *workers)
{
    return compute_instance(workers->items[0].compute);
}

void workers_post(struct workers *workers, uint32_t number, struct worker_item *item)
{
    struct worker *worker = &workers->items[number];
    item->next = NULL;
    item->status = 0;
    pthread_mutex_lock(&worker->lock);
    *worker->last = item;
    worker->last = &item->next;
    pthread_mutex_unlock(&worker->lock);
    pthread_cond_signal(&worker->wake); /* not before: it would wake up only to wait for the lock */
}

int workers_done_fd(const struct workers *workers)
{
    return workers->done_fd;
}

struct worker_item *workers_await(struct workers *workers, bool next)
{
    pthread_mutex_lock(&workers->done_lock);
    struct worker_item *items = workers->first_done;
    workers->first_done = NULL;
    workers->last_done = &workers->first_done;
    workers->awaited = (workers->awaited || next) && !items;
    pthread_mutex_unlock(&workers->done_lock);
    return items;
}

struct worker_item *workers_take_done(struct workers *workers)
{
    uint64_t count;
    while (read(workers->done_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
    return workers_await(workers, false);
}
