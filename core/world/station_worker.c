/* SPDX-License-Identifier: Apache-2.0 */
/* The station's workers. */
#include "core/world/station_worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/thread.h"
#include "core/wire/frame.h"

struct worker;

/* A thread with a compute of its own. */
struct engine {
    struct worker *worker;
    struct engine *next;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the queue, and `compute` where another thread looks at it */
    pthread_cond_t wake;
    struct worker_item *first, **last;
    bool end; /* when nothing is left to do */
    uint32_t part_count; /* the controller's: that have not been given up */
    uint32_t number; /* of the worker's engines so far */
    /* the thread's own */
    struct compute *compute; /* NULL: not opened yet */
    struct compute_execution **batch; /* room for those of the largest batch so far */
    uint32_t batch_room;
    const void **leaving; /* room for the outputs of any part */
    uint32_t leaving_room;
};

struct worker {
    struct workers *workers;
    uint32_t number;
    pthread_mutex_t turn; /* held by the engine that computes a slice */
    struct engine *engines; /* the newest first */
    uint32_t engine_count; /* so far */
};

/* Of one worker: which of its engines has the part, and that engine's segment. */
struct place {
    struct engine *engine;
    struct compute_segment *segment; /* the engine's thread's */
};

struct worker_part {
    struct worker_part *next;
    const struct model *model;
    const uint32_t *order;
    uint32_t cut, uses;
    atomic_uint engines_left; /* that have not heard yet that it was given up */
    struct place places[]; /* by worker */
};

struct workers {
    struct worker *items;
    uint32_t count;
    struct catalogue *catalogue;
    const struct scenario_node *station;
    uint64_t seed;
    _Atomic double cpu_share; /* of now */
    struct worker_part *parts; /* in use */
    struct engine *ending; /* to be joined */
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
    if (until_ns <= 0)
        return NAPM_OK;
    pthread_mutex_lock(&workers->sleep_lock);
    bool early = true;
    while (!atomic_load(&workers->cancelled) && early)
        early = thread_wait_until(&workers->sleep_wake, &workers->sleep_lock, until_ns);
    pthread_mutex_unlock(&workers->sleep_lock);
    return early ? NAPM_ERR_CANCELLED : NAPM_OK;
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
    atomic_store(&workers->cpu_share, cpu_share);
    for (uint32_t i = 0; i < workers->count; i++)
        for (struct engine *engine = workers->items[i].engines; engine; engine = engine->next) {
            pthread_mutex_lock(&engine->lock);
            if (engine->compute)
                compute_set_share(engine->compute, cpu_share);
            pthread_mutex_unlock(&engine->lock);
        }
}

/* ---- work, on an engine's thread */

/* In the thread that is to use it; the first engine's before that thread starts. */
static int open_compute(struct engine *engine, struct error *error)
{
    struct workers *workers = engine->worker->workers;
    const struct scenario_node *station = workers->station;
    char *label = engine->number
                      ? text_format("backend:%s:%u:%u", station->name, engine->worker->number, engine->number)
                      : text_format("backend:%s:%u", station->name, engine->worker->number);
    struct compute_settings settings = {
        .backend = station->backend,
        .threads = station->threads,
        .cpu_share = station->cpu_share,
        .host = {.label = label, .seed = workers->seed, .sleep_until_ns = sleep_until, .context = workers},
        .stop = &workers->cancelled};
    struct compute *compute = compute_open(workers->catalogue, &settings, error);
    free(label);
    if (!compute)
        return -1;
    pthread_mutex_lock(&engine->lock);
    compute_set_share(compute, atomic_load(&workers->cpu_share));
    engine->compute = compute;
    pthread_mutex_unlock(&engine->lock);
    return 0;
}

static int profile(struct engine *engine, struct worker_item *item)
{
    struct compute_model *prepared = compute_prepare(engine->compute, item->model, &item->error);
    if (!prepared)
        return -1;
    int status = compute_profile_batch(prepared, item->batch, item->warmups, item->repeats, item->times, NULL, NULL,
                                       &item->error);
    compute_release(prepared);
    return status;
}

/* One pass over a segment with zeros, so that the first task is not slow. */
static int warm_up(struct engine *engine, const struct model *model, struct compute_segment *segment,
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
                     compute_outputs(execution, engine->leaving, error) == 0
                 ? 0
                 : -1;
    compute_execution_put(execution);
    for (uint32_t i = 0; i < part->arriving_count; i++)
        free(zeros[i]);
    free(zeros);
    return status;
}

static void make_room(struct engine *engine, const struct model *model)
{
    const uint32_t most = model_view(model)->tensor_count;
    if (most <= engine->leaving_room)
        return;
    engine->leaving = memory_resize(engine->leaving, most, sizeof(*engine->leaving));
    engine->leaving_room = most;
}

static int prepare_part(struct engine *engine, struct worker_part *part, struct error *error)
{
    struct compute_model *prepared = compute_prepare(engine->compute, part->model, error);
    struct place *place = &part->places[engine->worker->number];
    make_room(engine, part->model);
    if (prepared)
        place->segment = compute_segment(prepared, part->order, part->cut, model_view(part->model)->layer_count, error);
    return place->segment ? warm_up(engine, part->model, place->segment, error) : -1;
}

static int prepare(struct engine *engine, struct worker_item *item)
{
    if (!engine->compute && open_compute(engine, &item->error))
        return -1;
    for (uint32_t i = 0; i < item->part_count; i++)
        if (prepare_part(engine, item->parts[i], &item->error))
            return -1;
    return 0;
}

static void give_up(struct engine *engine, struct worker_part *part)
{
    struct place *place = &part->places[engine->worker->number];
    if (place->segment)
        compute_segment_give_up(place->segment);
    if (atomic_fetch_sub(&part->engines_left, 1) == 1)
        free(part);
}

static struct compute_segment *segment_of(const struct engine *engine, const struct worker_item *item)
{
    return item->part->places[engine->worker->number].segment;
}

/* The task's outputs are there: a digest always, a copy where the result goes back. */
static void keep_outputs(struct engine *engine, struct worker_item *item)
{
    const struct napm_model *view = model_view(item->part->model);
    const struct model_part *part = compute_segment_part(segment_of(engine, item));
    uint64_t at = 0;
    item->digest = 0;
    for (uint32_t i = 0; i < part->leaving_count; i++) {
        uint64_t bytes = view->tensors[part->leaving[i]]->bytes;
        item->digest = XXH3_64bits_withSeed(engine->leaving[i], (size_t)bytes, item->digest);
        if (item->result)
            memcpy(item->result + at, engine->leaving[i], (size_t)bytes);
        at += frame_padded(bytes);
    }
}

static int begin_slice(struct engine *engine, struct worker_item *item, struct error *error)
{
    if (!item->first)
        return 0;
    item->execution = compute_execution_take(segment_of(engine, item), error);
    return item->execution ? compute_start(item->execution, item->arriving, error) : -1;
}

/* Computes the layers of all items together. */
static int run_layers(struct engine *engine, struct worker_item *items, struct error *error)
{
    uint32_t count = 0;
    for (struct worker_item *item = items; item; item = item->batch_next) {
        if (count == engine->batch_room) {
            engine->batch_room = 2 * engine->batch_room + 1;
            engine->batch = memory_resize(engine->batch, engine->batch_room, sizeof(*engine->batch));
        }
        engine->batch[count++] = item->execution;
    }
    if (compute_run_batch(engine->batch, count, items->layers, items->layer_ns, error))
        return -1;
    for (uint32_t i = 0; i < items->layers && count > 1; i++) {
        items->layer_ns[i] /= count;
        for (struct worker_item *item = items->batch_next; item; item = item->batch_next)
            item->layer_ns[i] = items->layer_ns[i];
    }
    return 0;
}

static int end_slice(struct engine *engine, struct worker_item *item, struct error *error)
{
    if (!item->last)
        return 0;
    if (compute_outputs(item->execution, engine->leaving, error))
        return -1;
    keep_outputs(engine, item);
    return 0;
}

/* The slice of an item, or of all in its batch: then an error is all of theirs. */
static void run_slices(struct engine *engine, struct worker_item *items)
{
    struct error error; /* set where status is not 0 */
    uint32_t count = 0;
    int status = 0;
    int64_t began_ns = clock_now_ns();
    for (struct worker_item *item = items; item; item = item->batch_next)
        count++;
    for (struct worker_item *item = items; item && status == 0; item = item->batch_next)
        status = begin_slice(engine, item, &error);
    if (status == 0)
        status = run_layers(engine, items, &error);
    for (struct worker_item *item = items; item && status == 0; item = item->batch_next)
        status = end_slice(engine, item, &error);
    int64_t ended_ns = clock_now_ns();
    for (struct worker_item *item = items; item; item = item->batch_next) {
        item->began_ns = began_ns;
        item->ended_ns = ended_ns;
        item->batch_count = count;
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

static void do_item(struct engine *engine, struct worker_item *item)
{
    switch (item->kind) {
    case WORK_PROFILE:
        item->status = profile(engine, item);
        break;
    case WORK_PREPARE:
        item->status = prepare(engine, item);
        break;
    case WORK_SLICE:
        pthread_mutex_lock(&engine->worker->turn);
        run_slices(engine, item);
        pthread_mutex_unlock(&engine->worker->turn);
        break;
    case WORK_DROP:
        compute_execution_put(item->execution);
        break;
    case WORK_GIVE_UP:
        give_up(engine, item->part);
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

static void finish_item(struct engine *engine, struct worker_item *item)
{
    if (item->kind == WORK_DROP || item->kind == WORK_GIVE_UP) { /* nobody waits for it */
        free(item);
        return;
    }
    for (struct worker_item *next; item; item = next) {
        next = item->batch_next; /* handed back, it is the caller's again */
        hand_back(engine->worker->workers, item);
    }
}

static void *run_engine(void *argument)
{
    struct engine *engine = argument;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    pthread_mutex_lock(&engine->lock);
    for (;;) {
        while (!engine->first && !engine->end)
            pthread_cond_wait(&engine->wake, &engine->lock);
        struct worker_item *item = engine->first;
        if (!item)
            break;
        engine->first = item->next;
        if (!engine->first)
            engine->last = &engine->first;
        pthread_mutex_unlock(&engine->lock);
        do_item(engine, item);
        finish_item(engine, item);
        pthread_mutex_lock(&engine->lock);
    }
    pthread_mutex_unlock(&engine->lock);
    compute_close(engine->compute);
    free(engine->leaving);
    free(engine->batch);
    return NULL;
}

/* ---- from the controller's thread */

static void init_waiting(pthread_mutex_t *lock, pthread_cond_t *wake)
{
    thread_condition_init(wake);
    pthread_mutex_init(lock, NULL);
}

static void post(struct engine *engine, struct worker_item *item)
{
    item->next = NULL;
    item->status = 0;
    pthread_mutex_lock(&engine->lock);
    *engine->last = item;
    engine->last = &item->next;
    pthread_mutex_unlock(&engine->lock);
    pthread_cond_signal(&engine->wake); /* not before: it would wake up only to wait for the lock */
}

static struct engine *new_engine(struct worker *worker)
{
    struct engine *engine = NEW(struct engine);
    engine->worker = worker;
    engine->number = worker->engine_count++;
    engine->last = &engine->first;
    init_waiting(&engine->lock, &engine->wake);
    return engine;
}

static void start_engine(struct engine *engine)
{
    engine->next = engine->worker->engines;
    engine->worker->engines = engine;
    thread_start(&engine->thread, run_engine, engine);
}

static void free_engine(struct engine *engine)
{
    pthread_cond_destroy(&engine->wake);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

/* Tells the thread to end when it has nothing left to do. */
static void end_engine(struct workers *workers, struct engine *engine)
{
    struct engine **at = &engine->worker->engines;
    while (*at != engine)
        at = &(*at)->next;
    *at = engine->next;
    engine->next = workers->ending;
    workers->ending = engine;
    pthread_mutex_lock(&engine->lock);
    engine->end = true;
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
}

/* Those that have ended; with `wait`, all that are to. */
static void join_ending(struct workers *workers, bool wait)
{
    for (struct engine **at = &workers->ending; *at;) {
        struct engine *engine = *at;
        if ((wait ? pthread_join(engine->thread, NULL) : pthread_tryjoin_np(engine->thread, NULL)) != 0) {
            at = &engine->next;
            continue;
        }
        *at = engine->next;
        free_engine(engine);
    }
}

/* Its first engine. */
static int open_worker(struct workers *workers, struct worker *worker, struct error *error)
{
    worker->workers = workers;
    worker->number = (uint32_t)(worker - workers->items);
    pthread_mutex_init(&worker->turn, NULL);
    struct engine *engine = new_engine(worker);
    if (open_compute(engine, error)) {
        free_engine(engine);
        return -1;
    }
    start_engine(engine);
    return 0;
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
    workers->catalogue = catalogue;
    workers->station = station;
    workers->seed = seed;
    atomic_init(&workers->cpu_share, station->cpu_share);
    workers->done_fd = done_fd;
    workers->last_done = &workers->first_done;
    pthread_mutex_init(&workers->done_lock, NULL);
    init_waiting(&workers->sleep_lock, &workers->sleep_wake);
    uint32_t wanted = station->workers ? station->workers : 1;
    workers->items = NEW_ARRAY(struct worker, wanted);
    while (workers->count < wanted)
        if (open_worker(workers, &workers->items[workers->count++], error)) {
            workers_close(workers);
            return NULL;
        }
    return workers;
}

void workers_close(struct workers *workers)
{
    if (!workers)
        return;
    workers_cancel(workers);
    while (workers->parts) {
        workers->parts->uses = 1;
        workers_give_up(workers, workers->parts);
    }
    for (uint32_t i = 0; i < workers->count; i++)
        while (workers->items[i].engines)
            end_engine(workers, workers->items[i].engines);
    join_ending(workers, true);
    for (uint32_t i = 0; i < workers->count; i++)
        pthread_mutex_destroy(&workers->items[i].turn);
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

/* The newest engine may not have opened its own yet, but then there is an older one. */
const struct instance *workers_instance(const struct workers *workers)
{
    const struct instance *instance = NULL;
    for (struct engine *engine = workers->items[0].engines; engine && !instance; engine = engine->next) {
        pthread_mutex_lock(&engine->lock);
        instance = engine->compute ? compute_instance(engine->compute) : NULL;
        pthread_mutex_unlock(&engine->lock);
    }
    return instance;
}

void workers_post(struct workers *workers, uint32_t number, struct worker_item *item)
{
    for (struct worker_item *each = item; each; each = each->batch_next)
        each->worker = number;
    post(item->kind == WORK_SLICE ? item->part->places[number].engine : workers->items[number].engines, item);
}

void workers_drop(struct worker_item *item)
{
    if (!item->execution)
        return;
    struct worker_item *drop = NEW(struct worker_item);
    drop->kind = WORK_DROP;
    drop->execution = item->execution;
    item->execution = NULL;
    post(item->part->places[item->worker].engine, drop);
}

/* ---- parts */

struct worker_part *workers_part(struct workers *workers, const struct model *model, const uint32_t *order,
                                 uint32_t cut, bool *is_new)
{
    *is_new = false;
    for (struct worker_part *known = workers->parts; known; known = known->next)
        if (known->model == model && known->order == order && known->cut == cut) {
            known->uses++;
            return known;
        }
    struct worker_part *part = memory_new(sizeof(*part) + workers->count * sizeof(part->places[0]));
    *is_new = true;
    part->model = model;
    part->order = order;
    part->cut = cut;
    part->uses = 1;
    atomic_init(&part->engines_left, workers->count);
    part->next = workers->parts;
    workers->parts = part;
    return part;
}

void workers_give_up(struct workers *workers, struct worker_part *part)
{
    if (--part->uses)
        return;
    struct worker_part **at = &workers->parts;
    while (*at != part)
        at = &(*at)->next;
    *at = part->next;
    if (!part->places[0].engine) {
        free(part); /* it was never placed */
        return;
    }
    for (uint32_t i = 0; i < workers->count; i++) { /* the last engine that hears of it frees the part */
        struct engine *engine = part->places[i].engine;
        struct worker_item *item = NEW(struct worker_item);
        item->kind = WORK_GIVE_UP;
        item->part = part;
        post(engine, item);
        if (--engine->part_count == 0 && engine != workers->items[i].engines)
            end_engine(workers, engine);
    }
}

void workers_place(struct workers *workers, struct worker_part *const *parts, uint32_t count)
{
    join_ending(workers, false);
    for (uint32_t i = 0; i < workers->count; i++) {
        struct worker *worker = &workers->items[i];
        if (worker->engines->part_count)
            start_engine(new_engine(worker));
        for (uint32_t k = 0; k < count; k++)
            parts[k]->places[i].engine = worker->engines;
        worker->engines->part_count += count;
    }
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
