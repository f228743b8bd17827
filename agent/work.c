/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's engines, and whose turn it is. */
#include "agent/work.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/part.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/memory.h"

/* A sleep may end late by so much: the rest of the wait for a task's start is spent looking at the clock. */
#define WAKE_EARLY_NS (100 * NS_PER_US)
#define STOP_LIMIT_NS (200 * NS_PER_MS)

#define MODELS_MAX 4096u

enum job_kind { JOB_LOAD, JOB_PROFILE, JOB_DEPLOY, JOB_WARM_UP, JOB_PREPARE, JOB_GIVE_UP };

/* A model's file. */
struct source {
    uint32_t model;
    char *path, *hash;
};

struct job {
    enum job_kind kind;
    uint32_t model, warmups, repeats, number;
    struct source *sources;
    size_t source_count;
    Wire__StreamPlan *plans;
    size_t plan_count;
    struct part *part;
    struct job *next;
};

/* The input tensors of a stream of this device's own, padded as in the frame. */
struct input {
    struct input *next;
    uint32_t stream;
    uint64_t payload_bytes;
    uint8_t *tensors;
    bool came;
};

struct pending {
    struct part *part;
    uint64_t task;
    int64_t due_ns;
    uint8_t *room; /* of what it brought along; NULL: it has the stream's input */
};

struct engine {
    struct work *work;
    struct engine *next;
    pthread_t thread;
    struct compute *compute; /* NULL: not opened yet; set with the lock held */
    uint32_t number;
    /* guarded by the work's lock */
    pthread_cond_t wake;
    struct job *first_job, **last_job;
    uint32_t part_count;
    bool has_ended;
};

struct work {
    struct catalogue *catalogue;
    const struct compute_settings *how;
    struct control *control;
    struct data_link *data;
    pthread_mutex_t lock; /* guards what follows */
    bool stop;
    ARRAY_OF(struct model *) models; /* by number; they stay until the end */
    struct engine *engines; /* the newest first; those that have ended until they are joined */
    uint32_t engine_count; /* so far */
    double cpu_share; /* of now */
    struct input *inputs;
    struct part *parts;
    bool is_computing; /* an engine has a task */
    struct pending *pending; /* ring, by due time */
    size_t pending_first, pending_count, pending_room;
};

/* ---- answers */

/* The main thread sees the connection's end and ends the agent. */
static void warn_of_silence(const struct error *error)
{
    log_warning("agent", "%s", error->text);
}

static void answer(struct work *work, const Wire__Message *message)
{
    struct error error;
    if (control_send(work->control, message, &error))
        warn_of_silence(&error);
}

static void answer_error(struct work *work, const struct error *why)
{
    struct error error;
    if (control_send_error(work->control, why, &error))
        warn_of_silence(&error);
}

static void answer_task_failed(struct work *work, uint32_t stream, uint64_t task, const struct error *why)
{
    Wire__TaskFailed body = WIRE__TASK_FAILED__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.stream = stream;
    body.task = task;
    body.text = (char *)(uintptr_t)why->text;
    message.body_case = WIRE__MESSAGE__BODY_TASK_FAILED;
    message.task_failed = &body;
    answer(work, &message);
}

/* ---- models, on an engine's thread */

static struct model *model_at(struct work *work, uint32_t number, struct error *error)
{
    pthread_mutex_lock(&work->lock);
    struct model *model = number < work->models.count ? work->models.items[number] : NULL;
    pthread_mutex_unlock(&work->lock);
    if (!model && error)
        error_set(error, ERROR_RUN, "model %u has not been loaded", number);
    return model;
}

static void keep_model(struct work *work, uint32_t number, struct model *model)
{
    pthread_mutex_lock(&work->lock);
    while (work->models.count <= number)
        *ARRAY_ADD(&work->models) = NULL;
    work->models.items[number] = model;
    pthread_mutex_unlock(&work->lock);
}

static int load_model(struct work *work, const struct source *source, struct error *error)
{
    if (source->model >= MODELS_MAX)
        return error_set(error, ERROR_RUN, "model number %u is out of range", source->model);
    struct model *model = model_open(source->path, error);
    if (!model)
        return -1;
    if (strcmp(model_view(model)->hash, source->hash) != 0) {
        model_close(model);
        return error_set(error, ERROR_RUN, "%s is not the file that the controller has read (it changed?)",
                         source->path);
    }
    keep_model(work, source->model, model);
    return 0;
}

/* ---- jobs, on an engine's thread */

static int do_load(struct work *work, const struct job *job, struct error *error)
{
    const uint32_t number = job->sources[0].model;
    if (model_at(work, number, NULL))
        return error_set(error, ERROR_RUN, "model %u is loaded already", number);
    if (load_model(work, &job->sources[0], error))
        return -1;
    Wire__ModelLoaded body = WIRE__MODEL_LOADED__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.model = number;
    body.layers = model_view(model_at(work, number, NULL))->layer_count;
    message.body_case = WIRE__MESSAGE__BODY_MODEL_LOADED;
    message.model_loaded = &body;
    answer(work, &message);
    return 0;
}

static int do_profile(struct engine *engine, const struct job *job, struct error *error)
{
    struct work *work = engine->work;
    struct model *model = model_at(work, job->model, error);
    struct compute_model *prepared = model ? compute_prepare(engine->compute, model, error) : NULL;
    if (!prepared)
        return -1;
    uint32_t layers = model_view(model)->layer_count;
    int64_t *layer_ns = NEW_ARRAY(int64_t, layers);
    int status = compute_profile(prepared, job->warmups, job->repeats, layer_ns, NULL, NULL, error);
    /* The whole model's weights are not needed any more: the plan says which part is. */
    compute_release(prepared);
    malloc_trim(0);
    if (status == 0) {
        Wire__ProfileResult body = WIRE__PROFILE_RESULT__INIT;
        Wire__Message message = WIRE__MESSAGE__INIT;
        body.model = job->model;
        body.n_layer_ns = layers;
        body.layer_ns = layer_ns;
        message.body_case = WIRE__MESSAGE__BODY_PROFILE_RESULT;
        message.profile_result = &body;
        answer(work, &message);
    }
    free(layer_ns);
    return status;
}

/* With the lock held. */
static struct input *find_input(const struct work *work, uint32_t stream)
{
    struct input *input = work->inputs;
    while (input && input->stream != stream)
        input = input->next;
    return input;
}

static uint8_t *new_payload(uint64_t bytes, struct error *error)
{
    uint8_t *payload = memory_try_aligned((size_t)bytes);
    if (payload)
        memset(payload, 0, (size_t)bytes);
    else
        error_set(error, ERROR_RUN, "no memory for %llu bytes of input tensors", (unsigned long long)bytes);
    return payload;
}

/* The stream's input, which all its parts here share: it starts with the same layer in each of them. */
static struct input *take_input(struct work *work, const struct part *part, struct error *error)
{
    pthread_mutex_lock(&work->lock);
    struct input *input = find_input(work, part->stream);
    pthread_mutex_unlock(&work->lock);
    if (input)
        return input;
    uint8_t *tensors = new_payload(part->arriving_payload_bytes, error);
    if (!tensors)
        return NULL;
    input = NEW(struct input);
    input->stream = part->stream;
    input->payload_bytes = part->arriving_payload_bytes;
    input->tensors = tensors;
    pthread_mutex_lock(&work->lock);
    input->next = work->inputs;
    work->inputs = input;
    pthread_mutex_unlock(&work->lock);
    return input;
}

/* What the part computes on while it is warmed up: a room of its own, or the stream's input. */
static int give_input(struct work *work, struct part *part, struct error *error)
{
    uint8_t *tensors;
    if (part->on_the_way) {
        tensors = new_payload(part->arriving_payload_bytes, error);
        if (tensors)
            *ARRAY_ADD(&part->free_rooms) = tensors;
    } else {
        const struct input *input = take_input(work, part, error);
        tensors = input ? input->tensors : NULL;
    }
    if (tensors)
        part_point_at(part, tensors);
    return tensors ? 0 : -1;
}

static struct part *set_up_part(struct engine *engine, const Wire__StreamPlan *plan, struct error *error)
{
    const struct model *model = model_at(engine->work, plan->model, error);
    struct part *part = model ? part_new(engine->compute, model, plan, error) : NULL;
    if (!part)
        return NULL;
    part->engine = engine;
    if (give_input(engine->work, part, error) == 0)
        return part;
    part_free(part);
    return NULL;
}

static void free_parts(struct part *parts)
{
    while (parts) {
        struct part *next = parts->next;
        part_free(parts);
        parts = next;
    }
}

/* NULL on error. */
static struct part *set_up_parts(struct engine *engine, const struct job *job, struct error *error)
{
    struct part *parts = NULL;
    for (size_t i = 0; i < job->plan_count; i++) {
        struct part *part = set_up_part(engine, &job->plans[i], error);
        if (!part) {
            free_parts(parts);
            return NULL;
        }
        part->next = parts;
        parts = part;
    }
    return parts;
}

/* From now on tasks may come for them. */
static void publish(struct work *work, struct engine *engine, struct part *parts)
{
    pthread_mutex_lock(&work->lock);
    for (struct part *next; parts; parts = next) {
        next = parts->next;
        parts->next = work->parts;
        work->parts = parts;
        engine->part_count++;
    }
    pthread_mutex_unlock(&work->lock);
}

static int warm_up(struct part *parts, struct error *error)
{
    for (; parts; parts = parts->next)
        if (part_compute(parts, error))
            return -1;
    return 0;
}

/* Of all that has been deployed: no part comes or goes yet. */
static int do_warm_up(struct work *work, struct error *error)
{
    if (warm_up(work->parts, error))
        return -1;
    Wire__Deployed body = WIRE__DEPLOYED__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    message.body_case = WIRE__MESSAGE__BODY_DEPLOYED;
    message.deployed = &body;
    answer(work, &message);
    return 0;
}

static bool is_input_missing(const struct work *work)
{
    for (const struct input *input = work->inputs; input; input = input->next)
        if (!input->came)
            return true;
    return false;
}

static int do_deploy(struct engine *engine, const struct job *job, struct error *error)
{
    struct work *work = engine->work;
    if (work->parts)
        return error_set(error, ERROR_RUN, "something has been deployed here already");
    struct part *parts = set_up_parts(engine, job, error);
    if (!parts)
        return job->plan_count ? -1 : error_set(error, ERROR_RUN, "there is nothing to deploy");
    publish(work, engine, parts);
    pthread_mutex_lock(&work->lock);
    bool missing = is_input_missing(work);
    pthread_mutex_unlock(&work->lock);
    Wire__DeployReady body = WIRE__DEPLOY_READY__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    message.body_case = WIRE__MESSAGE__BODY_DEPLOY_READY;
    message.deploy_ready = &body;
    answer(work, &message);
    return missing ? 0 : do_warm_up(work, error);
}

static int open_engine(struct engine *engine, struct error *error)
{
    struct work *work = engine->work;
    struct compute_settings how = *work->how;
    char *label = text_format("%s:%u", how.host.label, engine->number);
    how.host.label = label;
    struct compute *compute = compute_open(work->catalogue, &how, error);
    free(label);
    if (!compute)
        return -1;
    pthread_mutex_lock(&work->lock);
    compute_set_share(compute, work->cpu_share);
    engine->compute = compute;
    pthread_mutex_unlock(&work->lock);
    return 0;
}

static int do_prepare(struct engine *engine, const struct job *job, struct error *error)
{
    struct work *work = engine->work;
    if (!engine->compute && open_engine(engine, error))
        return -1;
    for (size_t i = 0; i < job->source_count; i++)
        if (!model_at(work, job->sources[i].model, NULL) && load_model(work, &job->sources[i], error))
            return -1;
    struct part *parts = set_up_parts(engine, job, error);
    if (!parts || warm_up(parts, error)) {
        free_parts(parts);
        return -1;
    }
    publish(work, engine, parts);
    Wire__Prepared body = WIRE__PREPARED__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.number = job->number;
    message.body_case = WIRE__MESSAGE__BODY_PREPARED;
    message.prepared = &body;
    answer(work, &message);
    return 0;
}

static int do_give_up(struct engine *engine, struct part *part)
{
    struct work *work = engine->work;
    pthread_mutex_lock(&work->lock);
    engine->part_count--;
    pthread_mutex_unlock(&work->lock);
    part_free(part);
    return 0;
}

static void free_job(struct job *job)
{
    for (size_t i = 0; i < job->source_count; i++) {
        free(job->sources[i].path);
        free(job->sources[i].hash);
    }
    free(job->sources);
    free(job->plans);
    free(job);
}

static void do_job(struct engine *engine, struct job *job)
{
    struct error error = {0};
    int status = -1;
    switch (job->kind) {
    case JOB_LOAD:
        status = do_load(engine->work, job, &error);
        break;
    case JOB_PROFILE:
        status = do_profile(engine, job, &error);
        break;
    case JOB_DEPLOY:
        status = do_deploy(engine, job, &error);
        break;
    case JOB_WARM_UP:
        status = do_warm_up(engine->work, &error);
        break;
    case JOB_PREPARE:
        status = do_prepare(engine, job, &error);
        break;
    case JOB_GIVE_UP:
        status = do_give_up(engine, job->part);
        break;
    }
    if (status)
        answer_error(engine->work, &error);
    free_job(job);
}

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
        answer_task_failed(work, part->stream, task->task, &error);
        return;
    }
    if (part->ends_here)
        header.digest = part_digest(part);
    bool sends = !part->ends_here || part->sends_result;
    if (data_send(work->data, &header, part->layer_ns, part->leaving, part->leaving_bytes,
                  sends ? part->leaving_count : 0, &error))
        answer_task_failed(work, part->stream, task->task, &error);
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

static void wait_until(struct engine *engine, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    pthread_cond_timedwait(&engine->wake, &engine->work->lock, &until);
}

static void run_job(struct engine *engine)
{
    struct job *job = pop_job(engine);
    pthread_mutex_unlock(&engine->work->lock);
    do_job(engine, job);
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
    free_parts(own);
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
            wait_until(engine, work->pending[work->pending_first].due_ns - WAKE_EARLY_NS);
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
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    engine->work = work;
    engine->compute = compute;
    engine->number = work->engine_count++;
    engine->last_job = &engine->first_job;
    engine->next = work->engines;
    work->engines = engine;
    pthread_create(&engine->thread, NULL, run_engine, engine);
    return engine;
}

/* The thread has been joined. */
static void free_engine(struct engine *engine)
{
    while (engine->first_job)
        free_job(pop_job(engine));
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
    int64_t until_ns = clock_wall_ns() + STOP_LIMIT_NS;
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    for (struct engine *engine = work->engines; engine; engine = engine->next)
        if (pthread_timedjoin_np(engine->thread, NULL, &until))
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
        job->plans[i] = *deploy->streams[i]; /* numbers only */
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
        job->plans[i] = *prepare->streams[i];
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
    struct input *found = find_input(work, stream);
    void *room = found && !found->came && found->payload_bytes == payload_bytes ? found->tensors : NULL;
    pthread_mutex_unlock(&work->lock);
    return room;
}

void work_input_came(struct work *work, uint32_t stream)
{
    pthread_mutex_lock(&work->lock);
    struct input *found = find_input(work, stream);
    if (found)
        found->came = true;
    if (found && !is_input_missing(work))
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
        answer_task_failed(work, task.part->stream, task.task, &why);
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
