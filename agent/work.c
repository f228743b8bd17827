/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's compute thread. */
#include "agent/work.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/memory.h"

/* A sleep may end late by so much: the rest of the wait for a task's start is spent looking at the clock. */
#define WAKE_EARLY_NS (100 * NS_PER_US)
#define STOP_LIMIT_NS (200 * NS_PER_MS)

#define MODELS_MAX 4096u

enum job_kind { JOB_LOAD, JOB_PROFILE, JOB_DEPLOY, JOB_WARM_UP };

struct job {
    enum job_kind kind;
    uint32_t model, warmups, repeats;
    char *path, *hash;
    Wire__StreamPlan *plans;
    size_t plan_count;
    struct job *next;
};

/* A stream as deployed here: its segment, and all that a task of it needs. */
struct work_stream {
    uint32_t stream, layer_count;
    bool ends_here, sends_result; /* the segment ends with the last layer */
    struct compute_segment *segment;
    struct compute_execution *execution;
    const struct napm_model *model;
    uint8_t *input; /* tensors, padded as in the frame; those of a task on its way are in a room of its own */
    uint8_t *incoming; /* the room that is being filled */
    ARRAY_OF(uint8_t *) free_rooms;
    uint64_t input_payload_bytes, result_payload_bytes;
    bool input_came;
    const void **arriving, **leaving;
    uint64_t *leaving_bytes;
    uint32_t leaving_count;
    int64_t *layer_ns;
};

struct pending {
    uint32_t index; /* of the stream's entry */
    uint64_t task;
    int64_t due_ns;
    uint8_t *room; /* of what it brought along; NULL: it has the stream's input */
};

struct work {
    pthread_t thread;
    struct compute *compute;
    struct control *control;
    struct data_link *data;
    ARRAY_OF(struct model *) models; /* by number; the thread's own */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    bool stop;
    struct job *first_job, **last_job;
    struct work_stream *streams; /* fixed once it stands */
    size_t stream_count;
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

/* ---- jobs, on the thread */

static struct model *model_at(struct work *work, uint32_t number, struct error *error)
{
    if (number < work->models.count && work->models.items[number])
        return work->models.items[number];
    error_set(error, ERROR_RUN, "model %u has not been loaded", number);
    return NULL;
}

static int do_load(struct work *work, const struct job *job, struct error *error)
{
    if (job->model >= MODELS_MAX)
        return error_set(error, ERROR_RUN, "model number %u is out of range", job->model);
    struct model *model = model_open(job->path, error);
    if (!model)
        return -1;
    if (strcmp(model_view(model)->hash, job->hash) != 0) {
        model_close(model);
        return error_set(error, ERROR_RUN, "%s is not the file that the controller has read (it changed?)", job->path);
    }
    while (work->models.count <= job->model)
        *ARRAY_ADD(&work->models) = NULL;
    if (work->models.items[job->model]) {
        model_close(model);
        return error_set(error, ERROR_RUN, "model %u is loaded already", job->model);
    }
    work->models.items[job->model] = model;
    Wire__ModelLoaded body = WIRE__MODEL_LOADED__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.model = job->model;
    body.layers = model_view(model)->layer_count;
    message.body_case = WIRE__MESSAGE__BODY_MODEL_LOADED;
    message.model_loaded = &body;
    answer(work, &message);
    return 0;
}

static int do_profile(struct work *work, const struct job *job, struct error *error)
{
    struct model *model = model_at(work, job->model, error);
    struct compute_model *prepared = model ? compute_prepare(work->compute, model, error) : NULL;
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

/* Places of the tensors in a payload: one after the other, each padded. Returns the payload's size. */
static uint64_t place_tensors(const struct napm_model *view, const uint32_t *tensors, uint32_t count, uint8_t *payload,
                              const void **places)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (places)
            places[i] = payload + at;
        at += frame_padded(view->tensors[tensors[i]]->bytes);
    }
    return at;
}

static uint64_t result_payload_bytes(const struct model *model)
{
    const struct napm_model *view = model_view(model);
    uint64_t bytes;
    uint32_t *tensors = NEW_ARRAY(uint32_t, view->tensor_count);
    uint32_t count = model_cut(model, view->layer_count, &bytes, tensors);
    uint64_t payload = place_tensors(view, tensors, count, NULL, NULL);
    free(tensors);
    return payload;
}

/* Where the tensors of the next task are. */
static void point_at(struct work_stream *stream, uint8_t *payload)
{
    const struct model_part *part = compute_segment_part(stream->segment);
    place_tensors(stream->model, part->arriving, part->arriving_count, payload, stream->arriving);
}

static int set_up_stream(struct work *work, struct work_stream *stream, const Wire__StreamPlan *plan,
                         struct error *error)
{
    struct model *model = model_at(work, plan->model, error);
    struct compute_model *prepared = model ? compute_prepare(work->compute, model, error) : NULL;
    if (!prepared)
        return -1;
    const struct napm_model *view = model_view(model);
    if (plan->cut > view->layer_count || plan->first > plan->cut)
        return error_set(error, ERROR_RUN, "layers from %u to cut %u of a model with %u layers", plan->first, plan->cut,
                         view->layer_count);
    stream->segment = compute_segment(prepared, plan->first, plan->cut, error);
    stream->execution = stream->segment ? compute_execution_take(stream->segment, error) : NULL;
    if (!stream->execution)
        return -1;
    const struct model_part *part = compute_segment_part(stream->segment);
    stream->stream = plan->stream;
    stream->model = view;
    stream->layer_count = plan->cut - plan->first;
    stream->ends_here = plan->cut == view->layer_count;
    stream->sends_result = plan->result_to_station || (plan->on_the_way && plan->result_returns);
    stream->layer_ns = NEW_ARRAY(int64_t, stream->layer_count);
    stream->arriving = NEW_ARRAY(const void *, part->arriving_count);
    stream->leaving = NEW_ARRAY(const void *, part->leaving_count);
    stream->leaving_bytes = NEW_ARRAY(uint64_t, part->leaving_count);
    stream->leaving_count = part->leaving_count;
    for (uint32_t i = 0; i < part->leaving_count; i++)
        stream->leaving_bytes[i] = view->tensors[part->leaving[i]]->bytes;
    stream->input_payload_bytes = place_tensors(view, part->arriving, part->arriving_count, NULL, NULL);
    stream->result_payload_bytes = result_payload_bytes(model);
    stream->input = memory_try_aligned((size_t)stream->input_payload_bytes);
    if (!stream->input)
        return error_set(error, ERROR_RUN, "no memory for %llu bytes of input tensors",
                         (unsigned long long)stream->input_payload_bytes);
    if (plan->on_the_way)
        memset(stream->input, 0, (size_t)stream->input_payload_bytes); /* for the warm-up */
    stream->input_came = plan->on_the_way;
    point_at(stream, stream->input);
    return 0;
}

static void free_streams(struct work_stream *streams, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        compute_execution_put(streams[i].execution);
        free(streams[i].layer_ns);
        free(streams[i].arriving);
        free(streams[i].leaving);
        free(streams[i].leaving_bytes);
        free(streams[i].input);
        free(streams[i].incoming);
        for (size_t k = 0; k < streams[i].free_rooms.count; k++)
            free(streams[i].free_rooms.items[k]);
        ARRAY_FREE(&streams[i].free_rooms);
    }
    free(streams);
}

static int compute_task(struct work_stream *stream, struct error *error)
{
    if (compute_start(stream->execution, stream->arriving, error) ||
        compute_run(stream->execution, stream->layer_count, stream->layer_ns, error) ||
        compute_outputs(stream->execution, stream->leaving, error))
        return -1;
    return 0;
}

static int do_warm_up(struct work *work, struct error *error)
{
    for (size_t i = 0; i < work->stream_count; i++) {
        if (compute_task(&work->streams[i], error))
            return -1;
    }
    Wire__Deployed body = WIRE__DEPLOYED__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    message.body_case = WIRE__MESSAGE__BODY_DEPLOYED;
    message.deployed = &body;
    answer(work, &message);
    return 0;
}

static size_t missing_inputs(const struct work_stream *streams, size_t count)
{
    size_t missing = 0;
    for (size_t i = 0; i < count; i++)
        missing += !streams[i].input_came;
    return missing;
}

static int do_deploy(struct work *work, const struct job *job, struct error *error)
{
    if (work->streams)
        return error_set(error, ERROR_RUN, "something has been deployed here already");
    struct work_stream *streams = NEW_ARRAY(struct work_stream, job->plan_count);
    for (size_t i = 0; i < job->plan_count; i++) {
        if (set_up_stream(work, &streams[i], &job->plans[i], error)) {
            free_streams(streams, job->plan_count);
            return -1;
        }
    }
    size_t missing = missing_inputs(streams, job->plan_count);
    pthread_mutex_lock(&work->lock);
    work->streams = streams;
    work->stream_count = job->plan_count;
    pthread_mutex_unlock(&work->lock);
    Wire__DeployReady body = WIRE__DEPLOY_READY__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    message.body_case = WIRE__MESSAGE__BODY_DEPLOY_READY;
    message.deploy_ready = &body;
    answer(work, &message);
    return missing ? 0 : do_warm_up(work, error);
}

static void free_job(struct job *job)
{
    free(job->plans);
    free(job->path);
    free(job->hash);
    free(job);
}

static void do_job(struct work *work, struct job *job)
{
    struct error error = {0};
    int status = -1;
    switch (job->kind) {
    case JOB_LOAD:
        status = do_load(work, job, &error);
        break;
    case JOB_PROFILE:
        status = do_profile(work, job, &error);
        break;
    case JOB_DEPLOY:
        status = do_deploy(work, job, &error);
        break;
    case JOB_WARM_UP:
        status = do_warm_up(work, &error);
        break;
    }
    if (status)
        answer_error(work, &error);
    free_job(job);
}

/* ---- tasks, on the thread */

static uint64_t digest_of(const struct work_stream *stream)
{
    uint64_t digest = 0;
    for (uint32_t i = 0; i < stream->leaving_count; i++)
        digest = XXH3_64bits_withSeed(stream->leaving[i], (size_t)stream->leaving_bytes[i], digest);
    return digest;
}

/* With the lock held. */
static void free_room(struct work *work, const struct pending *task)
{
    if (task->room)
        *ARRAY_ADD(&work->streams[task->index].free_rooms) = task->room;
}

static void do_task(struct work *work, struct work_stream *stream, const struct pending *task)
{
    struct error error = {0};
    if (task->room)
        point_at(stream, task->room);
    while (clock_now_ns() < task->due_ns)
        ;
    struct frame_header header = {.kind = FRAME_TASK,
                                  .stream = stream->stream,
                                  .task = task->task,
                                  .layer_count = stream->layer_count,
                                  .due_ns = task->due_ns,
                                  .started_ns = clock_now_ns()};
    int status = compute_task(stream, &error);
    header.ended_ns = clock_now_ns();
    if (status) {
        answer_task_failed(work, stream->stream, task->task, &error);
        return;
    }
    if (stream->ends_here)
        header.digest = digest_of(stream);
    bool sends = !stream->ends_here || stream->sends_result;
    if (data_send(work->data, &header, stream->layer_ns, stream->leaving, stream->leaving_bytes,
                  sends ? stream->leaving_count : 0, &error))
        answer_task_failed(work, stream->stream, task->task, &error);
}

/* ---- the thread */

static struct job *pop_job(struct work *work)
{
    struct job *job = work->first_job;
    work->first_job = job->next;
    if (!work->first_job)
        work->last_job = &work->first_job;
    return job;
}

static struct pending pop_pending(struct work *work)
{
    struct pending task = work->pending[work->pending_first];
    work->pending_first = (work->pending_first + 1) % work->pending_room;
    work->pending_count--;
    return task;
}

/* With the lock held. */
static void forget_pending(struct work *work)
{
    while (work->pending_count) {
        struct pending task = pop_pending(work);
        free_room(work, &task);
    }
}

static void wait_until(struct work *work, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    pthread_cond_timedwait(&work->wake, &work->lock, &until);
}

static void *run_work(void *argument)
{
    struct work *work = argument;
    pthread_mutex_lock(&work->lock);
    while (!work->stop) {
        if (work->first_job) {
            struct job *job = pop_job(work);
            pthread_mutex_unlock(&work->lock);
            do_job(work, job);
            pthread_mutex_lock(&work->lock);
        } else if (work->pending_count == 0) {
            pthread_cond_wait(&work->wake, &work->lock);
        } else if (work->pending[work->pending_first].due_ns - WAKE_EARLY_NS > clock_now_ns()) {
            wait_until(work, work->pending[work->pending_first].due_ns - WAKE_EARLY_NS);
        } else {
            struct pending task = pop_pending(work);
            pthread_mutex_unlock(&work->lock);
            do_task(work, &work->streams[task.index], &task);
            pthread_mutex_lock(&work->lock);
            free_room(work, &task);
        }
    }
    forget_pending(work);
    pthread_mutex_unlock(&work->lock);
    free_streams(work->streams, work->stream_count);
    compute_close(work->compute);
    for (size_t i = 0; i < work->models.count; i++)
        model_close(work->models.items[i]);
    ARRAY_FREE(&work->models);
    return NULL;
}

struct work *work_start(struct compute *compute, struct control *control, struct data_link *data)
{
    struct work *work = NEW(struct work);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&work->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&work->lock, NULL);
    work->compute = compute;
    work->control = control;
    work->data = data;
    work->last_job = &work->first_job;
    work->pending_room = 64;
    work->pending = NEW_ARRAY(struct pending, work->pending_room);
    pthread_create(&work->thread, NULL, run_work, work);
    return work;
}

bool work_stop(struct work *work)
{
    pthread_mutex_lock(&work->lock);
    work->stop = true;
    pthread_cond_signal(&work->wake);
    pthread_mutex_unlock(&work->lock);
    int64_t until_ns = clock_wall_ns() + STOP_LIMIT_NS;
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    if (pthread_timedjoin_np(work->thread, NULL, &until))
        return false;
    while (work->first_job)
        free_job(pop_job(work));
    free(work->pending);
    pthread_cond_destroy(&work->wake);
    pthread_mutex_destroy(&work->lock);
    free(work);
    return true;
}

/* ---- from the main thread */

static void post(struct work *work, struct job *job)
{
    pthread_mutex_lock(&work->lock);
    *work->last_job = job;
    work->last_job = &job->next;
    pthread_mutex_unlock(&work->lock);
    pthread_cond_signal(&work->wake);
}

void work_load_model(struct work *work, uint32_t model, const char *path, const char *hash)
{
    struct job *job = NEW(struct job);
    job->kind = JOB_LOAD;
    job->model = model;
    job->path = text_copy(path);
    job->hash = text_copy(hash);
    post(work, job);
}

void work_profile(struct work *work, uint32_t model, uint32_t warmups, uint32_t repeats)
{
    struct job *job = NEW(struct job);
    job->kind = JOB_PROFILE;
    job->model = model;
    job->warmups = warmups;
    job->repeats = repeats;
    post(work, job);
}

void work_deploy(struct work *work, const Wire__Deploy *deploy)
{
    struct job *job = NEW(struct job);
    job->kind = JOB_DEPLOY;
    job->plan_count = deploy->n_streams;
    job->plans = NEW_ARRAY(Wire__StreamPlan, deploy->n_streams);
    for (size_t i = 0; i < deploy->n_streams; i++)
        job->plans[i] = *deploy->streams[i]; /* numbers only */
    post(work, job);
}

/* With the lock held. */
static struct work_stream *find_stream(struct work *work, uint32_t stream)
{
    for (size_t i = 0; i < work->stream_count; i++) {
        if (work->streams[i].stream == stream)
            return &work->streams[i];
    }
    return NULL;
}

void *work_input_room(struct work *work, uint32_t stream, uint64_t payload_bytes)
{
    pthread_mutex_lock(&work->lock);
    struct work_stream *found = find_stream(work, stream);
    void *room = found && !found->input_came && found->input_payload_bytes == payload_bytes ? found->input : NULL;
    pthread_mutex_unlock(&work->lock);
    return room;
}

void work_input_came(struct work *work, uint32_t stream)
{
    pthread_mutex_lock(&work->lock);
    struct work_stream *found = find_stream(work, stream);
    if (found)
        found->input_came = true;
    size_t missing = missing_inputs(work->streams, work->stream_count);
    pthread_mutex_unlock(&work->lock);
    if (found && missing == 0) {
        struct job *job = NEW(struct job);
        job->kind = JOB_WARM_UP;
        post(work, job);
    }
}

bool work_result_fits(struct work *work, uint32_t stream, uint64_t payload_bytes)
{
    pthread_mutex_lock(&work->lock);
    struct work_stream *found = find_stream(work, stream);
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

/* Behind all that are due before or at the same time. */
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
}

int work_start_task(struct work *work, uint32_t stream, uint64_t task, int64_t due_ns)
{
    pthread_mutex_lock(&work->lock);
    struct work_stream *found = find_stream(work, stream);
    if (found)
        insert_pending(work, (struct pending){(uint32_t)(found - work->streams), task, due_ns, NULL});
    pthread_mutex_unlock(&work->lock);
    if (found)
        pthread_cond_signal(&work->wake);
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
        free_room(work, &task);
        answer_task_failed(work, work->streams[task.index].stream, task.task, &why);
    }
    pthread_mutex_unlock(&work->lock);
}

void work_set_share(struct work *work, double cpu_share)
{
    compute_set_share(work->compute, cpu_share);
}

void *work_task_room(struct work *work, uint32_t stream, uint64_t payload_bytes)
{
    pthread_mutex_lock(&work->lock);
    struct work_stream *found = find_stream(work, stream);
    bool fits = found && found->input_payload_bytes == payload_bytes;
    if (fits && !found->incoming)
        found->incoming = found->free_rooms.count ? found->free_rooms.items[--found->free_rooms.count]
                                                  : memory_try_aligned((size_t)payload_bytes);
    void *room = fits ? found->incoming : NULL;
    pthread_mutex_unlock(&work->lock);
    return room;
}

void work_task_came(struct work *work, uint32_t stream, uint64_t task)
{
    pthread_mutex_lock(&work->lock);
    struct work_stream *found = find_stream(work, stream);
    insert_pending(work, (struct pending){(uint32_t)(found - work->streams), task, clock_now_ns(), found->incoming});
    found->incoming = NULL;
    pthread_mutex_unlock(&work->lock);
    pthread_cond_signal(&work->wake);
}
