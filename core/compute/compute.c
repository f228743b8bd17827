/* SPDX-License-Identifier: Apache-2.0 */
/* A node's compute engine. */
#include "core/compute/compute.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/base/stats.h"
#include "core/compute/pacer.h"

#define LONGEST_LAYER_NS (24 * 3600 * NS_PER_S)

struct compute {
    struct instance *instance;
    struct napm_backend_batch batch; /* its function is NULL where the backend has no such extension */
    void **handles; /* room for those of the largest batch so far */
    uint32_t handle_room;
    uint32_t threads;
    struct pacer pacer;
    _Atomic double cpu_share; /* that the pacer is to have */
    const atomic_bool *stop;
    struct compute_model *models;
};

struct compute_model {
    struct compute *compute;
    const struct model *model;
    void *prepared; /* the backend's */
    struct compute_segment *segments;
    struct compute_model *next;
};

struct compute_segment {
    struct compute_model *model;
    uint32_t *order; /* NULL: the model's own */
    uint32_t first, last, uses;
    struct model_part part;
    void *handle; /* the backend's; NULL for an empty part */
    uint32_t *input_source; /* of each backend input: which arriving tensor */
    uint32_t *leaving_source; /* of each leaving tensor: which output, or output_count + which arriving tensor */
    struct compute_execution *pool;
    struct compute_execution *executions; /* all that were made */
    struct compute_segment *next;
};

struct compute_execution {
    struct compute_segment *segment;
    void *handle; /* the backend's; NULL for an empty part */
    uint32_t layers_done;
    const void **arriving; /* as given, or the copy */
    void **copies; /* of arriving tensors that were not aligned; made when first needed */
    const void **inputs, **outputs; /* the backend's view */
    struct compute_execution *next_free, *next;
};

static const struct napm_backend *hook(const struct compute *compute)
{
    return &compute->instance->hook.backend;
}

/* Calls one function of the backend, alone where the plugin wants that. */
#define CALL(compute, status, call)                                                                                    \
    do {                                                                                                               \
        instance_lock((compute)->instance);                                                                            \
        (status) = hook(compute)->call;                                                                                \
        instance_unlock((compute)->instance);                                                                          \
    } while (0)
#define CALL_VOID(compute, call)                                                                                       \
    do {                                                                                                               \
        instance_lock((compute)->instance);                                                                            \
        hook(compute)->call;                                                                                           \
        instance_unlock((compute)->instance);                                                                          \
    } while (0)

struct compute *compute_open(struct catalogue *catalogue, const struct compute_settings *settings, struct error *error)
{
    struct instance *instance = instance_open(catalogue, NAPM_KIND_BACKEND, &settings->backend, &settings->host, error);
    if (!instance)
        return NULL;
    struct compute *compute = NEW(struct compute);
    compute->instance = instance;
    instance_extension(instance, NAPM_BACKEND_BATCH, &compute->batch, sizeof(compute->batch));
    compute->threads = settings->threads ? settings->threads : 1;
    atomic_init(&compute->cpu_share, settings->cpu_share > 0 ? settings->cpu_share : 1);
    compute->pacer.share = compute->cpu_share;
    compute->stop = settings->stop;
    return compute;
}

static void execution_free(struct compute_execution *execution)
{
    struct compute_segment *segment = execution->segment;
    if (execution->handle)
        CALL_VOID(segment->model->compute,
                  release_execution(segment->model->compute->instance->self, execution->handle));
    for (uint32_t i = 0; i < segment->part.arriving_count; i++)
        free(execution->copies[i]);
    free(execution->copies);
    free(execution->arriving);
    free(execution->inputs);
    free(execution->outputs);
    free(execution);
}

static void segment_free(struct compute_segment *segment)
{
    struct compute *compute = segment->model->compute;
    while (segment->executions) {
        struct compute_execution *next = segment->executions->next;
        execution_free(segment->executions);
        segment->executions = next;
    }
    if (segment->handle)
        CALL_VOID(compute, release_segment(compute->instance->self, segment->handle));
    model_part_free(&segment->part);
    free(segment->order);
    free(segment->input_source);
    free(segment->leaving_source);
    free(segment);
}

void compute_release(struct compute_model *model)
{
    struct compute *compute = model->compute;
    while (model->segments) {
        struct compute_segment *next = model->segments->next;
        segment_free(model->segments);
        model->segments = next;
    }
    if (model->prepared)
        CALL_VOID(compute, release_model(compute->instance->self, model->prepared));
    for (struct compute_model **at = &compute->models; *at; at = &(*at)->next) {
        if (*at == model) {
            *at = model->next;
            break;
        }
    }
    free(model);
}

void compute_close(struct compute *compute)
{
    if (!compute)
        return;
    while (compute->models)
        compute_release(compute->models);
    instance_close(compute->instance);
    free(compute->handles);
    free(compute);
}

const struct instance *compute_instance(const struct compute *compute)
{
    return compute->instance;
}

char *compute_label(const struct instance *backend)
{
    struct napm_backend_origin extension;
    const char *origin = NULL;
    if (instance_extension(backend, NAPM_BACKEND_ORIGIN, &extension, sizeof(extension)) == 0 && extension.origin) {
        instance_lock(backend);
        origin = extension.origin(backend->self);
        instance_unlock(backend);
    }
    return text_format("%s %s%s%s%s", backend->entry->name, backend->entry->version, origin ? " (" : "",
                       origin ? origin : "", origin ? ")" : "");
}

/* ---- preparing */

int compute_supports(struct compute *compute, const struct model *model, struct error *error)
{
    const struct napm_model *view = model_view(model);
    for (uint32_t i = 0; i < view->operator_count; i++) {
        const struct napm_operator *op = view->operators[i];
        int32_t status;
        CALL(compute, status, supports(compute->instance->self, view, i));
        if (status < 0) {
            instance_error(compute->instance, status, "cannot compute the model", error);
            return error_append(error, " [%s: operator %s \"%s\", opset %u]", model_path(model), op->type, op->name,
                                op->opset);
        }
    }
    return 0;
}

struct compute_model *compute_prepare(struct compute *compute, const struct model *model, struct error *error)
{
    for (struct compute_model *known = compute->models; known; known = known->next) {
        if (known->model == model)
            return known;
    }
    if (compute_supports(compute, model, error))
        return NULL;
    struct napm_prepare how = {.size = sizeof(how), .threads = compute->threads};
    void *prepared = NULL;
    int32_t status;
    CALL(compute, status, prepare(compute->instance->self, model_view(model), &how, &prepared));
    if (status < 0) {
        instance_error(compute->instance, status, "preparing the model", error);
        error_prefix(error, "%s", model_path(model));
        return NULL;
    }
    struct compute_model *made = NEW(struct compute_model);
    made->compute = compute;
    made->model = model;
    made->prepared = prepared;
    made->next = compute->models;
    compute->models = made;
    return made;
}

static uint32_t index_of(const uint32_t *list, uint32_t count, uint32_t wanted)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == wanted)
            return i;
    }
    return NAPM_NONE;
}

/* Backend inputs are some of the arriving tensors; leaving tensors are backend outputs or passed through. */
static void map_borders(struct compute_segment *segment)
{
    const struct model_part *part = &segment->part;
    segment->input_source = NEW_ARRAY(uint32_t, part->spec.input_count);
    segment->leaving_source = NEW_ARRAY(uint32_t, part->leaving_count);
    for (uint32_t i = 0; i < part->spec.input_count; i++)
        segment->input_source[i] = index_of(part->arriving, part->arriving_count, part->inputs[i]);
    for (uint32_t i = 0; i < part->leaving_count; i++) {
        uint32_t source = index_of(part->outputs, part->spec.output_count, part->leaving[i]);
        if (source == NAPM_NONE)
            source = part->spec.output_count + index_of(part->arriving, part->arriving_count, part->leaving[i]);
        segment->leaving_source[i] = source;
    }
}

struct compute_segment *compute_segment(struct compute_model *model, const uint32_t *order, uint32_t first,
                                        uint32_t last, struct error *error)
{
    const uint32_t layers = model_view(model->model)->layer_count;
    for (struct compute_segment *known = model->segments; known; known = known->next) {
        if (known->first == first && known->last == last && order_same(known->order, order, 0, layers)) {
            known->uses++;
            return known;
        }
    }
    struct compute *compute = model->compute;
    struct compute_segment *segment = NEW(struct compute_segment);
    segment->uses = 1;
    segment->model = model;
    segment->order = order ? memory_copy(order, layers * sizeof(*order)) : NULL;
    segment->first = first;
    segment->last = last;
    order_part(model_view(model->model), order, first, last, &segment->part);
    map_borders(segment);
    if (first < last) {
        int32_t status;
        CALL(compute, status,
             create_segment(compute->instance->self, model->prepared, &segment->part.spec, &segment->handle));
        if (status < 0) {
            segment->handle = NULL;
            instance_error(compute->instance, status, "packing a segment", error);
            error_prefix(error, "%s, layers %u..%u", model_path(model->model), first, last - 1);
            segment_free(segment);
            return NULL;
        }
    }
    segment->next = model->segments;
    model->segments = segment;
    return segment;
}

void compute_segment_give_up(struct compute_segment *segment)
{
    if (--segment->uses)
        return;
    struct compute_segment **at = &segment->model->segments;
    while (*at != segment)
        at = &(*at)->next;
    *at = segment->next;
    segment_free(segment);
}

const struct model_part *compute_segment_part(const struct compute_segment *segment)
{
    return &segment->part;
}

int compute_segment_memory(struct compute_segment *segment, uint64_t *weight_bytes, uint64_t *activation_bytes,
                           struct error *error)
{
    struct compute *compute = segment->model->compute;
    struct napm_segment_memory memory = {.size = sizeof(memory)};
    if (segment->handle) {
        int32_t status;
        CALL(compute, status, segment_memory(compute->instance->self, segment->handle, &memory));
        if (status < 0)
            return instance_error(compute->instance, status, "asking for a segment's memory", error);
    }
    *weight_bytes = memory.weight_bytes;
    *activation_bytes = memory.activation_bytes;
    return 0;
}

/* ---- executing */

struct compute_execution *compute_execution_take(struct compute_segment *segment, struct error *error)
{
    struct compute_execution *execution = segment->pool;
    if (execution) {
        segment->pool = execution->next_free;
        return execution;
    }
    struct compute *compute = segment->model->compute;
    void *handle = NULL;
    if (segment->handle) {
        int32_t status;
        CALL(compute, status, create_execution(compute->instance->self, segment->handle, &handle));
        if (status < 0) {
            instance_error(compute->instance, status, "making room for a task", error);
            return NULL;
        }
    }
    execution = NEW(struct compute_execution);
    execution->segment = segment;
    execution->handle = handle;
    execution->arriving = NEW_ARRAY(const void *, segment->part.arriving_count);
    execution->copies = NEW_ARRAY(void *, segment->part.arriving_count);
    execution->inputs = NEW_ARRAY(const void *, segment->part.spec.input_count);
    execution->outputs = NEW_ARRAY(const void *, segment->part.spec.output_count);
    execution->next = segment->executions;
    segment->executions = execution;
    return execution;
}

void compute_execution_put(struct compute_execution *execution)
{
    if (!execution)
        return;
    execution->next_free = execution->segment->pool;
    execution->segment->pool = execution;
}

static int copy_aligned(struct compute_execution *execution, uint32_t i, struct error *error)
{
    const struct model_part *part = &execution->segment->part;
    uint64_t bytes = model_view(execution->segment->model->model)->tensors[part->arriving[i]]->bytes;
    if (!execution->copies[i])
        execution->copies[i] = memory_try_aligned((size_t)bytes);
    if (!execution->copies[i])
        return error_set(error, ERROR_RUN, "no memory for an input tensor of %llu bytes", (unsigned long long)bytes);
    memcpy(execution->copies[i], execution->arriving[i], (size_t)bytes);
    execution->arriving[i] = execution->copies[i];
    return 0;
}

int compute_start(struct compute_execution *execution, const void *const *inputs, struct error *error)
{
    struct compute_segment *segment = execution->segment;
    struct compute *compute = segment->model->compute;
    execution->layers_done = 0;
    for (uint32_t i = 0; i < segment->part.arriving_count; i++) {
        execution->arriving[i] = inputs[i];
        if ((uintptr_t)inputs[i] % 64 && copy_aligned(execution, i, error))
            return -1;
    }
    if (!execution->handle)
        return 0;
    for (uint32_t i = 0; i < segment->part.spec.input_count; i++)
        execution->inputs[i] = execution->arriving[segment->input_source[i]];
    int32_t status;
    CALL(compute, status, start(compute->instance->self, execution->handle, execution->inputs));
    return status < 0 ? instance_error(compute->instance, status, "starting a task", error) : 0;
}

/* Plans, predictions and records are sums of such times. */
static int check_times(const struct compute *compute, uint32_t layers, const int64_t *layer_ns, struct error *error)
{
    for (uint32_t i = 0; i < layers; i++) {
        if (layer_ns[i] < 0 || layer_ns[i] > LONGEST_LAYER_NS)
            return instance_misbehaved(compute->instance, error, "run() says that a layer took %" PRId64 " ns",
                                       layer_ns[i]);
    }
    return 0;
}

void compute_set_share(struct compute *compute, double cpu_share)
{
    atomic_store_explicit(&compute->cpu_share, cpu_share, memory_order_relaxed);
}

/* Takes over what compute_set_share said. */
static bool is_paced(struct compute *compute)
{
    compute->pacer.share = atomic_load_explicit(&compute->cpu_share, memory_order_relaxed);
    return pacer_is_on(&compute->pacer);
}

/* Each by itself, layer by layer: the next one finds the layer's weights where this one has left them. */
static int32_t run_in_turn(struct compute *compute, struct compute_execution *const *batch, uint32_t count,
                           uint32_t layers, int64_t *layer_ns)
{
    int32_t status = NAPM_OK;
    for (uint32_t layer = 0; layer < layers && status >= 0; layer++) {
        int64_t began_ns = clock_now_ns();
        for (uint32_t i = 0; i < count && status >= 0; i++)
            CALL(compute, status, run(compute->instance->self, batch[i]->handle, 1, NULL));
        if (layer_ns)
            layer_ns[layer] = clock_now_ns() - began_ns;
    }
    return status;
}

static int32_t run_together(struct compute *compute, struct compute_execution *const *batch, uint32_t count,
                            uint32_t layers, int64_t *layer_ns)
{
    if (count > compute->handle_room) {
        compute->handles = memory_resize(compute->handles, count, sizeof(*compute->handles));
        compute->handle_room = count;
    }
    for (uint32_t i = 0; i < count; i++)
        compute->handles[i] = batch[i]->handle;
    instance_lock(compute->instance);
    int32_t status = compute->batch.run(compute->instance->self, compute->handles, count, layers, layer_ns);
    instance_unlock(compute->instance);
    return status;
}

static int run_some(struct compute_execution *const *batch, uint32_t count, uint32_t layers, int64_t *layer_ns,
                    struct error *error)
{
    const struct compute_execution *first = batch[0];
    struct compute *compute = first->segment->model->compute;
    int32_t status;
    if (compute->stop && atomic_load_explicit(compute->stop, memory_order_relaxed))
        return error_set(error, ERROR_CANCELLED, "cancelled");
    if (count == 1)
        CALL(compute, status, run(compute->instance->self, first->handle, layers, layer_ns));
    else if (compute->batch.run)
        status = run_together(compute, batch, count, layers, layer_ns);
    else
        status = run_in_turn(compute, batch, count, layers, layer_ns);
    for (uint32_t i = 0; i < count && status >= 0; i++)
        batch[i]->layers_done += layers;
    if (status >= 0)
        return layer_ns ? check_times(compute, layers, layer_ns, error) : 0;
    instance_error(compute->instance, status, "running a task", error);
    return error_prefix(error, "%s, from layer %u on", model_path(first->segment->model->model),
                        first->segment->first + first->layers_done);
}

static int run_paced(struct compute_execution *const *batch, uint32_t count, uint32_t layers, int64_t *layer_ns,
                     struct error *error)
{
    struct compute *compute = batch[0]->segment->model->compute;
    struct pacer *pacer = &compute->pacer;
    pacer_begin(pacer, clock_now_ns());
    for (uint32_t i = 0; i < layers; i++) {
        int64_t began_ns = clock_now_ns(), used_ns = clock_thread_cpu_ns();
        if (run_some(batch, count, 1, NULL, error))
            return -1;
        used_ns = clock_thread_cpu_ns() - used_ns;
        is_paced(compute);
        int64_t cost_ns = pacer_layer(pacer, clock_now_ns() - began_ns, used_ns, i + 1 == layers);
        if (layer_ns)
            layer_ns[i] = cost_ns;
    }
    return 0;
}

int compute_run_batch(struct compute_execution *const *batch, uint32_t count, uint32_t layers, int64_t *layer_ns,
                      struct error *error)
{
    const struct compute_execution *first = batch[0];
    struct compute *compute = first->segment->model->compute;
    uint32_t left = first->segment->last - first->segment->first - first->layers_done;
    layers = layers < left ? layers : left;
    if (layers == 0)
        return 0;
    if (is_paced(compute))
        return run_paced(batch, count, layers, layer_ns, error);
    uint32_t at_once = compute->stop ? 1 : layers; /* layer by layer where somebody may stop it */
    for (uint32_t i = 0; i < layers; i += at_once)
        if (run_some(batch, count, at_once, layer_ns ? layer_ns + i : NULL, error))
            return -1;
    return 0;
}

int compute_run(struct compute_execution *execution, uint32_t layers, int64_t *layer_ns, struct error *error)
{
    return compute_run_batch(&execution, 1, layers, layer_ns, error);
}

int compute_outputs(struct compute_execution *execution, const void **outputs, struct error *error)
{
    struct compute_segment *segment = execution->segment;
    struct compute *compute = segment->model->compute;
    if (execution->handle) {
        const struct napm_segment *spec = &segment->part.spec;
        int32_t status;
        memset(execution->outputs, 0, spec->output_count * sizeof(*execution->outputs));
        CALL(compute, status, outputs(compute->instance->self, execution->handle, execution->outputs));
        if (status < 0)
            return instance_error(compute->instance, status, "taking a task's outputs", error);
        for (uint32_t i = 0; i < spec->output_count; i++) {
            if (!execution->outputs[i])
                return instance_misbehaved(compute->instance, error, "outputs() gave no address of output %" PRIu32, i);
        }
    }
    for (uint32_t i = 0; i < segment->part.leaving_count; i++) {
        uint32_t source = segment->leaving_source[i], computed = segment->part.spec.output_count;
        outputs[i] = source < computed ? execution->outputs[source] : execution->arriving[source - computed];
    }
    return 0;
}

/* ---- profiling */

/* Longer than a processor stays half awake; more than the caches that a core has for itself. */
#define REST_NS (20 * NS_PER_MS)
#define REST_BYTES ((size_t)16 << 20)
#define REST_STRIDE_BYTES 64

/* Inputs for timing: numbers like a normalised picture's; indices (integers) are zeros, which every table has. */
static void **make_inputs(const struct model *model, struct error *error)
{
    const struct napm_model *view = model_view(model);
    void **inputs = NEW_ARRAY(void *, view->input_count + 1);
    struct random random;
    random_seed(&random, 1, "profile");
    for (uint32_t i = 0; i < view->input_count; i++) {
        const struct napm_tensor *tensor = view->tensors[view->inputs[i]];
        inputs[i] = memory_try_aligned((size_t)tensor->bytes);
        if (!inputs[i]) {
            error_set(error, ERROR_RUN, "no memory for an input tensor of %llu bytes",
                      (unsigned long long)tensor->bytes);
            for (uint32_t k = 0; k < i; k++)
                free(inputs[k]);
            free(inputs);
            return NULL;
        }
        memset(inputs[i], 0, (size_t)tensor->bytes);
        if (tensor->element_type == NAPM_F32) {
            float *numbers = inputs[i];
            for (uint64_t k = 0; k < tensor->bytes / sizeof(float); k++)
                numbers[k] = (float)(2 * random_unit(&random) - 1);
        }
    }
    return inputs;
}

static int start_pass(struct compute_execution *execution, void *const *by_model_input, struct error *error)
{
    const struct model_part *part = &execution->segment->part;
    const struct napm_model *view = model_view(execution->segment->model->model);
    const void **arriving = NEW_ARRAY(const void *, part->arriving_count);
    for (uint32_t i = 0; i < part->arriving_count; i++)
        arriving[i] = by_model_input[index_of(view->inputs, view->input_count, part->arriving[i])];
    int status = compute_start(execution, arriving, error);
    free(arriving);
    return status;
}

static int pass(struct compute_execution *const *batch, uint32_t count, void *const *by_model_input, int64_t *layer_ns,
                struct error *error)
{
    const struct model_part *part = &batch[0]->segment->part;
    const void **leaving = NEW_ARRAY(const void *, part->leaving_count);
    int status = 0;
    for (uint32_t i = 0; i < count && status == 0; i++)
        status = start_pass(batch[i], by_model_input, error);
    if (status == 0)
        status = compute_run_batch(batch, count, part->spec.layer_count, layer_ns, error);
    for (uint32_t i = 0; i < count && status == 0; i++)
        status = compute_outputs(batch[i], leaving, error);
    free(leaving);
    return status;
}

/*
 * What lies between two tasks of a run: the node sleeps, and its processor does other things. Passes that follow each
 * other at once find their weights in the caches, the code known and the processor awake, as hardly a task does: tasks
 * then take a fifth longer than was profiled, small models several times as long. `others` may be NULL.
 */
static void rest(uint8_t *others)
{
    clock_sleep_until_ns(clock_now_ns() + REST_NS);
    for (size_t i = 0; others && i < REST_BYTES; i += REST_STRIDE_BYTES)
        others[i]++;
}

static int run_passes(struct compute_execution *const *batch, uint32_t count, void *const *inputs, uint32_t warmups,
                      uint32_t repeats, int64_t *times, void (*progress)(void *context, uint32_t done, uint32_t of),
                      void *context, struct error *error)
{
    uint32_t layers = batch[0]->segment->part.spec.layer_count;
    uint8_t *others = memory_try_aligned(REST_BYTES);
    int status = 0;
    if (others)
        memset(others, 0, REST_BYTES);
    for (uint32_t i = 0; i < warmups + repeats && status == 0; i++) {
        int64_t *here = i < warmups ? times : times + (size_t)(i - warmups) * layers;
        if (i >= warmups)
            rest(others);
        status = pass(batch, count, inputs, here, error);
        if (status == 0 && progress)
            progress(context, i + 1, warmups + repeats);
    }
    free(others);
    return status;
}

/* Takes as many as there is room for: less than `count` on an error. */
static uint32_t take_executions(struct compute_segment *segment, struct compute_execution **batch, uint32_t count,
                                struct error *error)
{
    uint32_t taken = 0;
    while (taken < count && (batch[taken] = compute_execution_take(segment, error)) != NULL)
        taken++;
    return taken;
}

/* Of passes one behind the other. `one`: room for a layer's times. */
static void sum_up(const int64_t *passes, uint32_t repeats, uint32_t layers, int64_t *one, struct layer_time *times)
{
    for (uint32_t layer = 0; layer < layers; layer++) {
        int64_t sum_ns = 0;
        for (uint32_t i = 0; i < repeats; i++)
            sum_ns += one[i] = passes[(size_t)i * layers + layer];
        times[layer] = (struct layer_time){stats_median_ns(one, repeats), sum_ns / repeats};
    }
}

int compute_profile_batch(struct compute_model *model, uint32_t batch, uint32_t warmups, uint32_t repeats,
                          struct layer_time *times, void (*progress)(void *context, uint32_t done, uint32_t of),
                          void *context, struct error *error)
{
    uint32_t layers = model_view(model->model)->layer_count;
    if (repeats == 0)
        return error_set(error, ERROR_INPUT, "a profile needs at least one pass");
    struct compute_segment *segment = compute_segment(model, NULL, 0, layers, error);
    struct compute_execution **executions = NEW_ARRAY(struct compute_execution *, batch);
    uint32_t taken = segment ? take_executions(segment, executions, batch, error) : 0;
    void **inputs = taken == batch ? make_inputs(model->model, error) : NULL;
    int status = -1;
    if (inputs) {
        int64_t *passes = NEW_ARRAY(int64_t, (size_t)repeats * layers);
        int64_t *one = NEW_ARRAY(int64_t, repeats);
        status = run_passes(executions, batch, inputs, warmups, repeats, passes, progress, context, error);
        if (status == 0)
            sum_up(passes, repeats, layers, one, times);
        for (uint32_t i = 0; i < model_view(model->model)->input_count; i++)
            free(inputs[i]);
        free(inputs);
        free(passes);
        free(one);
    }
    for (uint32_t i = 0; i < taken; i++)
        compute_execution_put(executions[i]);
    free(executions);
    return status;
}

int compute_profile(struct compute_model *model, uint32_t warmups, uint32_t repeats, struct layer_time *times,
                    void (*progress)(void *context, uint32_t done, uint32_t of), void *context, struct error *error)
{
    return compute_profile_batch(model, 1, warmups, repeats, times, progress, context, error);
}
