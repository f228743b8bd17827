/* SPDX-License-Identifier: Apache-2.0 */
/* What engines do beside tasks: loading and profiling models, making parts ready and giving them up; and the answers. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "agent/work_private.h"
#include "core/base/log.h"

#define MODELS_MAX 4096u

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

void work_answer_task_failed(struct work *work, uint32_t stream, uint64_t task, const struct error *why)
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

static void answer_profile(struct work *work, uint32_t model, const struct layer_time *times, uint32_t layers)
{
    Wire__ProfileResult body = WIRE__PROFILE_RESULT__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.model = model;
    body.n_layer_ns = body.n_mean_ns = layers;
    body.layer_ns = NEW_ARRAY(int64_t, layers);
    body.mean_ns = NEW_ARRAY(int64_t, layers);
    for (uint32_t i = 0; i < layers; i++) {
        body.layer_ns[i] = times[i].median_ns;
        body.mean_ns[i] = times[i].mean_ns;
    }
    message.body_case = WIRE__MESSAGE__BODY_PROFILE_RESULT;
    message.profile_result = &body;
    answer(work, &message);
    free(body.layer_ns);
    free(body.mean_ns);
}

static int do_profile(struct engine *engine, const struct job *job, struct error *error)
{
    struct work *work = engine->work;
    struct model *model = model_at(work, job->model, error);
    struct compute_model *prepared = model ? compute_prepare(engine->compute, model, error) : NULL;
    if (!prepared)
        return -1;
    uint32_t layers = model_view(model)->layer_count;
    struct layer_time *times = NEW_ARRAY(struct layer_time, layers);
    int status = compute_profile(prepared, job->warmups, job->repeats, times, NULL, NULL, error);
    /* The whole model's weights are not needed any more: the plan says which part is. */
    compute_release(prepared);
    malloc_trim(0);
    if (status == 0)
        answer_profile(work, job->model, times, layers);
    free(times);
    return status;
}

/* With the lock held. */
struct input *work_find_input(const struct work *work, uint32_t stream)
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
    struct input *input = work_find_input(work, part->stream);
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

void work_free_parts(struct part *parts)
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
            work_free_parts(parts);
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

bool work_misses_input(const struct work *work)
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
    bool missing = work_misses_input(work);
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
        work_free_parts(parts);
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

void work_free_job(struct job *job)
{
    for (size_t i = 0; i < job->source_count; i++) {
        free(job->sources[i].path);
        free(job->sources[i].hash);
    }
    for (size_t i = 0; i < job->plan_count; i++)
        free(job->plans[i].order);
    free(job->sources);
    free(job->plans);
    free(job);
}

void work_do_job(struct engine *engine, struct job *job)
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
    work_free_job(job);
}
