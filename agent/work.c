/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's engines, and whose turn it is. */
#include "agent/work.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#include "agent/work_private.h"
#include "core/base/clock.h"
#include "core/base/thread.h"

/* A sleep may end late by so much: the rest of the wait for a task's start is spent looking at the clock. */
#define WAKE_EARLY_NS (100 * NS_PER_US)
#define STOP_LIMIT_NS (200 * NS_PER_MS)

/* ---- tasks, on an engine's thread */

/* With the lock held. */
static void free_room(const struct pending *task)
{
    if (task->room)
        *ARRAY_ADD(&task->part->free_rooms) = task->room;
}

static void do_task(struct work *work, const struct pending *task)
{
    struct part *part = task->part;
    struct error error = {0};
    if (task->room)
        part_point_at(part, task->room);
    while (clock_now_ns() < task->due_ns)
        ;
    struct frame_header header = {.kind = FRAME_TASK,
                                  .stream = part->stream,
                                  .task = task->task,
                                  .layer_count = part->layer_count,
                                  .due_ns = task->due_ns,
                                  .started_ns = clock_now_ns()};
    int status = part_compute(part, &error);
    header.ended_ns = clock_now_ns();
    if (status) {
        work_answer_task_failed(work, part->stream, task->task, &error);
        return;
    }
    if (part->ends_here)
        header.digest = part_digest(part);
    bool sends = !part->ends_here || part->sends_result;
    if (data_send(work->data, &header, part->layer_ns, part->leaving, part->leaving_bytes,
                  sends ? part->leaving_count : 0, &error))
        work_answer_task_failed(work, part->stream, task->task, &error);
}

/* ---- the threads; all of these with the lock held */

static struct job *pop_job(struct engine *engine)
{
    struct job *job = engine->first_job;
    engine->first_job = job->next;
    if (!engine->first_job)
        engine->last_job = &engine->first_job;
    return job;
}

static struct pending pop_pending(struct work *work)
{
    struct pending task = work->pending[work->pending_first];
    work->pending_first = (work->pending_first + 1) % work->pending_room;
    work->pending_count--;
    return task;
}

static void forget_pending(struct work *work)
{
    while (work->pending_count) {
        struct pending task = pop_pending(work);
        free_room(&task);
    }
}

/* The engine that has the next task, if that can begin. */
static struct engine *next_engine(const struct work *work)
{
    return work->pending_count && !work->is_computing ? work->pending[work->pending_first].part->engine : NULL;
}

static void wake_next(const struct work *work)
{
    struct engine *engine = next_engine(work);
    if (engine)
        pthread_cond_signal(&engine->wake);
}

static void run_job(struct engine *engine)
{
    struct job *job = pop_job(engine);
    pthread_mutex_unlock(&engine->work->lock);
    work_do_job(engine, job);
    pthread_mutex_lock(&engine->work->lock);
}

static void run_task(struct work *work)
{
    struct pending task = pop_pending(work);
    work->is_computing = true;
    pthread_mutex_unlock(&work->lock);
    do_task(work, &task);
    pthread_mutex_lock(&work->lock);
    work->is_computing = false;
    free_room(&task);
    wake_next(work);
}

/* Frees what only this thread may free, or nobody needs any more. */
static void end_engine(struct engine *engine)
{
    struct work *work = engine->work;
    struct part *own = NULL;
    for (struct part **at = &work->parts; *at;) {
        struct part *part = *at;
        if (part->engine != engine) {
            at = &part->next;
            continue;
        }
        *at = part->next;
        part->next = own;
        own = part;
    }
    pthread_mutex_unlock(&work->lock);
    work_free_parts(own);
    compute_close(engine->compute);
    malloc_trim(0);
    pthread_mutex_lock(&work->lock);
    engine->compute = NULL;
    engine->has_ended = true;
}

static void *run_engine(void *argument)
{
    struct engine *engine = argument;
    struct work *work = engine->work;
    pthread_mutex_lock(&work->lock);
    while (!work->stop) {
        if (engine->first_job)
            run_job(engine);
        else if (engine->part_count == 0 && engine != work->engines)
            break;
        else if (next_engine(work) != engine)
            pthread_cond_wait(&engine->wake, &work->lock);
        else if (work->pending[work->pending_first].due_ns - WAKE_EARLY_NS > clock_now_ns())
            thread_wait_until(&engine->wake, &work->lock, work->pending[work->pending_first].due_ns - WAKE_EARLY_NS);
        else
            run_task(work);
    }
    end_engine(engine);
    pthread_mutex_unlock(&work->lock);
    return NULL;
}

static struct engine *start_engine(struct work *work, struct compute *compute)
{
    struct engine *engine = NEW(struct engine);
    thread_condition_init(&engine->wake);
    engine->work = work;
    engine->compute = compute;
    engine->number = work->engine_count++;
    engine->last_job = &engine->first_job;
    engine->next = work->engines;
    work->engines = engine;
    thread_start(&engine->thread, run_engine, engine);
    return engine;
}

/* The thread has been joined. */
static void free_engine(struct engine *engine)
{
    while (engine->first_job)
        work_free_job(pop_job(engine));
    pthread_cond_destroy(&engine->wake);
    free(engine);
}

static void join_ended(struct work *work)
{
    for (struct engine **at = &work->engines; *at;) {
        struct engine *engine = *at;
        if (!engine->has_ended) {
            at = &engine->next;
            continue;
        }
        *at = engine->next;
        pthread_mutex_unlock(&work->lock);
        pthread_join(engine->thread, NULL);
        pthread_mutex_lock(&work->lock);
        free_engine(engine);
    }
}

/* ---- from the main thread */

struct work *work_start(struct compute *compute, struct catalogue *catalogue, const struct compute_settings *how,
                        struct control *control, struct data_link *data)
{
    struct work *work = NEW(struct work);
    pthread_mutex_init(&work->lock, NULL);
    work->catalogue = catalogue;
    work->how = how;
    work->cpu_share = how->cpu_share;
    work->control = control;
    work->data = data;
    work->pending_room = 64;
    work->pending = NEW_ARRAY(struct pending, work->pending_room);
    pthread_mutex_lock(&work->lock);
    start_engine(work, compute);
    pthread_mutex_unlock(&work->lock);
    return work;
}

static void free_work(struct work *work)
{
    while (work->engines) {
        struct engine *next = work->engines->next;
        free_engine(work->engines);
        work->engines = next;
    }
    while (work->inputs) {
        struct input *next = work->inputs->next;
        free(work->inputs->tensors);
        free(work->inputs);
        work->inputs = next;
    }
    for (size_t i = 0; i < work->models.count; i++)
        model_close(work->models.items[i]);
    ARRAY_FREE(&work->models);
    free(work->pending);
    pthread_mutex_destroy(&work->lock);
    free(work);
}

bool work_stop(struct work *work)
{
    pthread_mutex_lock(&work->lock);
    work->stop = true;
    forget_pending(work);
    for (struct engine *engine = work->engines; engine; engine = engine->next)
        pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&work->lock);
    const struct timespec until = clock_timespec(clock_now_ns() + STOP_LIMIT_NS);
    for (struct engine *engine = work->engines; engine; engine = engine->next)
        if (pthread_clockjoin_np(engine->thread, NULL, CLOCK_MONOTONIC, &until))
            return false;
    free_work(work);
    return true;
}

static void post(struct engine *engine, struct job *job)
{
    *engine->last_job = job;
    engine->last_job = &job->next;
    pthread_cond_signal(&engine->wake);
}

static void post_to_newest(struct work *work, struct job *job)
{
    pthread_mutex_lock(&work->lock);
    post(work->engines, job);
    pthread_mutex_unlock(&work->lock);
}

static struct job *new_job(enum job_kind kind, size_t source_count, size_t plan_count)
{
    struct job *job = NEW(struct job);
    job->kind = kind;
    job->source_count = source_count;
    job->sources = NEW_ARRAY(struct source, source_count);
    job->plan_count = plan_count;
    job->plans = NEW_ARRAY(Wire__StreamPlan, plan_count);
    return job;
}

/* The message goes before the job is done. */
static Wire__StreamPlan copied_plan(const Wire__StreamPlan *plan)
{
    Wire__StreamPlan copy = *plan;
    copy.order = plan->n_order ? memory_copy(plan->order, plan->n_order * sizeof(*plan->order)) : NULL;
    return copy;
}

void work_load_model(struct work *work, uint32_t model, const char *path, const char *hash)
{
    struct job *job = new_job(JOB_LOAD, 1, 0);
    job->sources[0] = (struct source){model, text_copy(path), text_copy(hash)};
    post_to_newest(work, job);
}

void work_profile(struct work *work, uint32_t model, uint32_t warmups, uint32_t repeats)
{
    struct job *job = new_job(JOB_PROFILE, 0, 0);
    job->model = model;
    job->warmups = warmups;
    job->repeats = repeats;
    post_to_newest(work, job);
}

void work_deploy(struct work *work, const Wire__Deploy *deploy)
{
    struct job *job = new_job(JOB_DEPLOY, 0, deploy->n_streams);
    for (size_t i = 0; i < deploy->n_streams; i++)
        job->plans[i] = copied_plan(deploy->streams[i]);
    post_to_newest(work, job);
}

void work_prepare(struct work *work, const Wire__Prepare *prepare)
{
    struct job *job = new_job(JOB_PREPARE, prepare->n_models, prepare->n_streams);
    job->number = prepare->number;
    for (size_t i = 0; i < prepare->n_models; i++)
        job->sources[i] = (struct source){prepare->models[i]->model, text_copy(prepare->models[i]->path),
                                          text_copy(prepare->models[i]->hash)};
    for (size_t i = 0; i < prepare->n_streams; i++)
        job->plans[i] = copied_plan(prepare->streams[i]);
    pthread_mutex_lock(&work->lock);
    join_ended(work);
    post(work->engines->part_count ? start_engine(work, NULL) : work->engines, job);
    pthread_mutex_unlock(&work->lock);
}

/* With the lock held. */
static struct part *find_part(const struct work *work, uint32_t stream, uint32_t number)
{
    struct part *part = work->parts;
    while (part && (part->stream != stream || part->number != number))
        part = part->next;
    return part;
}

int work_give_up(struct work *work, uint32_t stream, uint32_t number)
{
    pthread_mutex_lock(&work->lock);
    struct part *part = find_part(work, stream, number);
    if (part) {
        struct part **at = &work->parts;
        while (*at != part)
            at = &(*at)->next;
        *at = part->next;
        struct job *job = new_job(JOB_GIVE_UP, 0, 0);
        job->part = part;
        post(part->engine, job);
    }
    pthread_mutex_unlock(&work->lock);
    return part ? 0 : -1;
}

void *work_input_room(struct work *work, uint32_t stream, uint64_t payload_bytes)
{
    pthread_mutex_lock(&work->lock);
    struct input *found = work_find_input(work, stream);
    void *room = found && !found->came && found->payload_bytes == payload_bytes ? found->tensors : NULL;
    pthread_mutex_unlock(&work->lock);
    return room;
}

void work_input_came(struct work *work, uint32_t stream)
{
    pthread_mutex_lock(&work->lock);
    struct input *found = work_find_input(work, stream);
    if (found)
        found->came = true;
    if (found && !work_misses_input(work))
        post(work->engines, new_job(JOB_WARM_UP, 0, 0));
    pthread_mutex_unlock(&work->lock);
}

bool work_result_fits(struct work *work, uint32_t stream, uint64_t payload_bytes)
{
    pthread_mutex_lock(&work->lock);
    const struct part *found = work->parts;
    while (found && found->stream != stream)
        found = found->next;
    bool fits = found && found->result_payload_bytes == payload_bytes;
    pthread_mutex_unlock(&work->lock);
    return fits;
}

static void grow_pending(struct work *work)
{
    struct pending *bigger = NEW_ARRAY(struct pending, work->pending_room * 2);
    for (size_t i = 0; i < work->pending_count; i++)
        bigger[i] = work->pending[(work->pending_first + i) % work->pending_room];
    free(work->pending);
    work->pending = bigger;
    work->pending_first = 0;
    work->pending_room *= 2;
}

/* Behind all that are due before or at the same time. With the lock held. */
static void insert_pending(struct work *work, struct pending task)
{
    if (work->pending_count == work->pending_room)
        grow_pending(work);
    size_t at = work->pending_count++;
    for (; at > 0; at--) {
        struct pending *before = &work->pending[(work->pending_first + at - 1) % work->pending_room];
        if (before->due_ns <= task.due_ns)
            break;
        work->pending[(work->pending_first + at) % work->pending_room] = *before;
    }
    work->pending[(work->pending_first + at) % work->pending_room] = task;
    wake_next(work);
}

int work_start_task(struct work *work, uint32_t stream, uint32_t part, uint64_t task, int64_t due_ns)
{
    pthread_mutex_lock(&work->lock);
    struct part *found = find_part(work, stream, part);
    if (found)
        insert_pending(work, (struct pending){found, task, due_ns, NULL});
    pthread_mutex_unlock(&work->lock);
    return found ? 0 : -1;
}

void work_halt(struct work *work)
{
    pthread_mutex_lock(&work->lock);
    forget_pending(work);
    pthread_mutex_unlock(&work->lock);
}

void work_drop(struct work *work)
{
    struct error why = {0};
    error_set(&why, ERROR_CANCELLED, "it was dropped before it started");
    pthread_mutex_lock(&work->lock);
    while (work->pending_count) {
        struct pending task = pop_pending(work);
        free_room(&task);
        work_answer_task_failed(work, task.part->stream, task.task, &why);
    }
    pthread_mutex_unlock(&work->lock);
}

void work_set_share(struct work *work, double cpu_share)
{
    pthread_mutex_lock(&work->lock);
    work->cpu_share = cpu_share;
    for (struct engine *engine = work->engines; engine; engine = engine->next)
        if (engine->compute)
            compute_set_share(engine->compute, cpu_share);
    pthread_mutex_unlock(&work->lock);
}

void *work_task_room(struct work *work, uint32_t stream, uint32_t part, uint64_t payload_bytes)
{
    pthread_mutex_lock(&work->lock);
    struct part *found = find_part(work, stream, part);
    bool fits = found && found->on_the_way && found->arriving_payload_bytes == payload_bytes;
    if (fits && !found->incoming)
        found->incoming = found->free_rooms.count ? found->free_rooms.items[--found->free_rooms.count]
                                                  : memory_try_aligned((size_t)payload_bytes);
    void *room = fits ? found->incoming : NULL;
    pthread_mutex_unlock(&work->lock);
    return room;
}

void work_task_came(struct work *work, uint32_t stream, uint32_t part, uint64_t task)
{
    pthread_mutex_lock(&work->lock);
    struct part *found = find_part(work, stream, part);
    if (found && found->incoming) {
        insert_pending(work, (struct pending){found, task, clock_now_ns(), found->incoming});
        found->incoming = NULL;
    }
    pthread_mutex_unlock(&work->lock);
}
