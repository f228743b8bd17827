/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference backend: plain C, computed in double, the numerical oracle. This file is the hook: models, segments and
 * executions. What the operators do is in reference_kinds.c and the files that it names.
 *
 * Memory: a segment holds the constants that its operators read, copied once, or packed where a sum of products
 * reads them. An execution is one block: the tensors that the segment computes, placed so that those that are
 * alive at the same time do not overlap, and scratch for the operators.
 */
#include <stdlib.h>
#include <string.h>

#include <napm/backend.h>
#include <napm/plugin.h>

#include "reference.h"

#define ALIGNMENT 64u
#define NOWHERE UINT64_MAX

struct backend {
    const struct napm_host *host;
};

struct prepared {
    const struct napm_host *host;
    const struct napm_model *model;
};

struct segment {
    const struct napm_host *host;
    const struct napm_model *model;
    uint32_t layer_count, step_count, input_count, output_count;
    struct step *steps;
    uint32_t *step_end; /* by layer: the first step behind it */
    uint32_t *inputs, *outputs;
    void **constants; /* by tensor: the copy of its data, or NULL */
    uint64_t *places; /* by tensor: its offset in an execution's block, or NOWHERE */
    uint64_t weight_bytes, scratch_place, block_bytes;
};

struct execution {
    const struct segment *segment;
    void **values; /* by tensor */
    char *block;
    uint32_t layers_done;
};

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void *allocate(uint64_t bytes)
{
    return bytes > SIZE_MAX / 2 ? NULL : aligned_alloc(ALIGNMENT, aligned(bytes ? bytes : 1));
}

static int32_t out_of_memory(const struct napm_host *host)
{
    host->set_error(host, "reference backend: out of memory");
    return NAPM_ERR_MEMORY;
}

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    (void)options;
    struct backend *backend = calloc(1, sizeof(*backend));
    if (!backend)
        return out_of_memory(host);
    backend->host = host;
    *self = backend;
    return NAPM_OK;
}

static void destroy(void *self)
{
    free(self);
}

static int32_t supports(void *self, const struct napm_model *model, uint32_t index)
{
    const struct backend *backend = self;
    struct step step;
    int32_t status = step_plan(&step, backend->host, model, index);
    step_release(&step);
    return status;
}

static int32_t prepare(void *self, const struct napm_model *model, const struct napm_prepare *how, void **result)
{
    const struct backend *backend = self;
    (void)how; /* one thread computes, whatever is allowed */
    struct prepared *prepared = calloc(1, sizeof(*prepared));
    if (!prepared)
        return out_of_memory(backend->host);
    prepared->host = backend->host;
    prepared->model = model;
    *result = prepared;
    return NAPM_OK;
}

static void release_model(void *self, void *prepared)
{
    (void)self;
    free(prepared);
}

/* ---- segments */

static void release_segment(void *self, void *handle)
{
    struct segment *segment = handle;
    (void)self;
    for (uint32_t i = 0; segment->steps && i < segment->step_count; i++)
        step_release(&segment->steps[i]);
    for (uint32_t i = 0; segment->constants && i < segment->model->tensor_count; i++)
        free(segment->constants[i]);
    free(segment->steps);
    free(segment->step_end);
    free(segment->inputs);
    free(segment->outputs);
    free(segment->constants);
    free(segment->places);
    free(segment);
}

static uint32_t *copy_indices(const uint32_t *indices, uint32_t count)
{
    uint32_t *copy = malloc((count ? count : 1) * sizeof(*copy));
    if (copy && count)
        memcpy(copy, indices, count * sizeof(*copy));
    return copy;
}

static struct segment *segment_new(const struct prepared *prepared, const struct napm_segment *what)
{
    const struct napm_model *model = prepared->model;
    struct segment *segment = calloc(1, sizeof(*segment));
    if (!segment)
        return NULL;
    segment->host = prepared->host;
    segment->model = model;
    segment->layer_count = what->layer_count;
    segment->input_count = what->input_count;
    segment->output_count = what->output_count;
    for (uint32_t i = 0; i < what->layer_count; i++)
        segment->step_count += model->layers[what->layers[i]]->operator_count;
    segment->steps = calloc(segment->step_count ? segment->step_count : 1, sizeof(*segment->steps));
    segment->step_end = calloc(what->layer_count ? what->layer_count : 1, sizeof(*segment->step_end));
    segment->inputs = copy_indices(what->inputs, what->input_count);
    segment->outputs = copy_indices(what->outputs, what->output_count);
    segment->constants = calloc(model->tensor_count, sizeof(*segment->constants));
    segment->places = malloc(model->tensor_count * sizeof(*segment->places));
    if (segment->steps && segment->step_end && segment->inputs && segment->outputs && segment->constants &&
        segment->places)
        return segment;
    segment->step_count = 0;
    release_segment(NULL, segment);
    return NULL;
}

static int32_t plan_steps(struct segment *segment, const struct napm_segment *what)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < what->layer_count; i++) {
        const struct napm_layer *layer = segment->model->layers[what->layers[i]];
        for (uint32_t j = 0; j < layer->operator_count; j++) {
            int32_t status = step_plan(&segment->steps[at++], segment->host, segment->model, layer->operators[j]);
            if (status < 0)
                return status;
        }
        segment->step_end[i] = at;
    }
    return NAPM_OK;
}

static int32_t load_constant(struct segment *segment, uint32_t index)
{
    const struct napm_tensor *tensor = segment->model->tensors[index];
    if (!tensor->data || segment->constants[index])
        return NAPM_OK;
    segment->constants[index] = allocate(tensor->bytes);
    if (!segment->constants[index])
        return out_of_memory(segment->host);
    memcpy(segment->constants[index], tensor->data, tensor->bytes);
    segment->weight_bytes += tensor->bytes;
    return NAPM_OK;
}

/* Packs or copies the constants that a step reads. */
static int32_t load_step(struct segment *segment, struct step *step)
{
    if (step->packed_input != NAPM_NONE) {
        step->packed = allocate(step->packed_bytes);
        if (!step->packed)
            return out_of_memory(segment->host);
        segment->weight_bytes += step->packed_bytes;
        int32_t status = step->kind->load(step);
        if (status < 0)
            return status;
    }
    for (uint32_t i = 0; i < step->op->input_count; i++) {
        bool read = i != step->packed_input && step->op->inputs[i] != NAPM_NONE;
        int32_t status = read ? load_constant(segment, step->op->inputs[i]) : NAPM_OK;
        if (status < 0)
            return status;
    }
    return NAPM_OK;
}

/* ---- placing tensors: each lives from the step that computes it to the last one that reads it */

struct life {
    uint32_t tensor, from, to; /* steps */
    uint64_t bytes, place;
};

/* Puts a tensor into the lowest gap between those already placed that live at the same time. */
static void place(struct life *lives, uint32_t count, struct life *life)
{
    life->place = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < count; i++) {
            const struct life *other = &lives[i];
            bool together = other->from <= life->to && life->from <= other->to;
            bool overlap = other->place < life->place + life->bytes && life->place < other->place + other->bytes;
            if (together && overlap) {
                life->place = other->place + other->bytes;
                moved = true;
            }
        }
    }
}

static int compare_size(const void *x, const void *y)
{
    const struct life *a = x, *b = y;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return a->tensor < b->tensor ? -1 : a->tensor > b->tensor;
}

/* Lists the tensors that an execution holds. `slot_of` (by tensor, zeroed) receives one more than the place in `lives`. */
static uint32_t list_lives(const struct segment *segment, struct life *lives, uint32_t *slot_of)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < segment->input_count; i++) { /* only those that are passed through are ever held */
        lives[count] = (struct life){segment->inputs[i], 0, 0, 0, 0};
        slot_of[segment->inputs[i]] = ++count;
    }
    for (uint32_t i = 0; i < segment->step_count; i++) {
        const struct napm_operator *op = segment->steps[i].op;
        for (uint32_t j = 0; j < op->input_count; j++)
            if (op->inputs[j] != NAPM_NONE && slot_of[op->inputs[j]])
                lives[slot_of[op->inputs[j]] - 1].to = i;
        for (uint32_t j = 0; j < op->output_count; j++) {
            if (op->outputs[j] == NAPM_NONE || slot_of[op->outputs[j]])
                continue;
            lives[count] =
                (struct life){op->outputs[j], i, i, aligned(segment->model->tensors[op->outputs[j]]->bytes), 0};
            slot_of[op->outputs[j]] = ++count;
        }
    }
    for (uint32_t i = 0; i < segment->output_count; i++) {
        uint32_t slot = slot_of[segment->outputs[i]];
        if (!slot)
            continue;
        lives[slot - 1].to = segment->step_count;
        lives[slot - 1].bytes = aligned(segment->model->tensors[segment->outputs[i]]->bytes);
    }
    return count;
}

static uint32_t count_held(const struct segment *segment)
{
    uint32_t count = segment->input_count;
    for (uint32_t i = 0; i < segment->step_count; i++)
        count += segment->steps[i].op->output_count;
    return count;
}

static int32_t place_tensors(struct segment *segment)
{
    struct life *lives = calloc(count_held(segment) + 1u, sizeof(*lives));
    uint32_t *slot_of = calloc(segment->model->tensor_count, sizeof(*slot_of));
    if (!lives || !slot_of) {
        free(lives);
        free(slot_of);
        return out_of_memory(segment->host);
    }
    uint32_t count = list_lives(segment, lives, slot_of);
    qsort(lives, count, sizeof(*lives), compare_size);
    for (uint32_t i = 0; i < segment->model->tensor_count; i++)
        segment->places[i] = NOWHERE;
    for (uint32_t i = 0; i < count && lives[i].bytes > 0; i++) {
        place(lives, i, &lives[i]);
        segment->places[lives[i].tensor] = lives[i].place;
        if (lives[i].place + lives[i].bytes > segment->block_bytes)
            segment->block_bytes = lives[i].place + lives[i].bytes;
    }
    free(lives);
    free(slot_of);
    return NAPM_OK;
}

static void place_scratch(struct segment *segment)
{
    uint64_t greatest = 0;
    for (uint32_t i = 0; i < segment->step_count; i++)
        greatest = segment->steps[i].scratch_bytes > greatest ? segment->steps[i].scratch_bytes : greatest;
    segment->scratch_place = segment->block_bytes;
    segment->block_bytes += aligned(greatest);
}

/* Everything that a step reads must be a constant, an input, or computed before. */
static int32_t check_sources(struct segment *segment)
{
    bool *known = calloc(segment->model->tensor_count, sizeof(*known));
    if (!known)
        return out_of_memory(segment->host);
    int32_t status = NAPM_OK;
    for (uint32_t i = 0; i < segment->input_count; i++)
        known[segment->inputs[i]] = true;
    for (uint32_t i = 0; status >= 0 && i < segment->step_count; i++) {
        const struct napm_operator *op = segment->steps[i].op;
        for (uint32_t j = 0; j < op->input_count; j++) {
            uint32_t input = op->inputs[j];
            if (input != NAPM_NONE && !known[input] && !segment->model->tensors[input]->data)
                status = plan_invalid(&(struct plan){segment->host, &segment->steps[i]},
                                      "input '%s' is neither given to the segment nor computed in it",
                                      segment->model->tensors[input]->name);
        }
        for (uint32_t j = 0; j < op->output_count; j++)
            if (op->outputs[j] != NAPM_NONE)
                known[op->outputs[j]] = true;
    }
    free(known);
    return status;
}

static int32_t create_segment(void *self, void *handle, const struct napm_segment *what, void **result)
{
    const struct backend *backend = self;
    struct segment *segment = segment_new(handle, what);
    if (!segment)
        return out_of_memory(backend->host);
    int32_t status = plan_steps(segment, what);
    if (status >= 0)
        status = check_sources(segment);
    for (uint32_t i = 0; status >= 0 && i < segment->step_count; i++)
        status = load_step(segment, &segment->steps[i]);
    for (uint32_t i = 0; status >= 0 && i < segment->output_count; i++)
        status = load_constant(segment, segment->outputs[i]);
    if (status >= 0)
        status = place_tensors(segment);
    if (status < 0) {
        release_segment(self, segment);
        return status;
    }
    place_scratch(segment);
    *result = segment;
    return NAPM_OK;
}

static int32_t segment_memory(void *self, void *handle, struct napm_segment_memory *memory)
{
    const struct segment *segment = handle;
    (void)self;
    memory->weight_bytes = segment->weight_bytes;
    memory->activation_bytes = segment->block_bytes;
    return NAPM_OK;
}

/* ---- executions */

static void release_execution(void *self, void *handle)
{
    struct execution *execution = handle;
    (void)self;
    free(execution->values);
    free(execution->block);
    free(execution);
}

static int32_t create_execution(void *self, void *handle, void **result)
{
    const struct segment *segment = handle;
    struct execution *execution = calloc(1, sizeof(*execution));
    if (!execution)
        return out_of_memory(segment->host);
    execution->segment = segment;
    execution->values = calloc(segment->model->tensor_count, sizeof(*execution->values));
    execution->block = allocate(segment->block_bytes);
    if (!execution->values || !execution->block) {
        release_execution(self, execution);
        return out_of_memory(segment->host);
    }
    memset(execution->block, 0, segment->block_bytes); /* the system provides the pages now, not in the first task */
    for (uint32_t i = 0; i < segment->model->tensor_count; i++) {
        if (segment->constants[i])
            execution->values[i] = segment->constants[i];
        else if (segment->places[i] != NOWHERE)
            execution->values[i] = execution->block + segment->places[i];
    }
    *result = execution;
    return NAPM_OK;
}

static int32_t start(void *self, void *handle, const void *const *inputs)
{
    struct execution *execution = handle;
    const struct segment *segment = execution->segment;
    (void)self;
    for (uint32_t i = 0; i < segment->input_count; i++) {
        uint32_t tensor = segment->inputs[i];
        if (segment->places[tensor] != NOWHERE) /* also an output: must outlive what the caller gave */
            memcpy(execution->values[tensor], inputs[i], segment->model->tensors[tensor]->bytes);
        else
            execution->values[tensor] = (void *)(uintptr_t)inputs[i];
    }
    execution->layers_done = 0;
    return NAPM_OK;
}

static int32_t run(void *self, void *handle, uint32_t layer_count, int64_t *layer_ns)
{
    struct execution *execution = handle;
    const struct segment *segment = execution->segment;
    const struct napm_host *host = segment->host;
    (void)self;
    if (layer_count > segment->layer_count - execution->layers_done) {
        host->set_error(host, "reference backend: more layers asked for than are left");
        return NAPM_ERR_INVALID;
    }
    const struct frame frame = {host, execution->values, execution->block + segment->scratch_place};
    int64_t before_ns = layer_ns ? host->now_ns(host) : 0;
    for (uint32_t i = 0; i < layer_count; i++) {
        uint32_t layer = execution->layers_done;
        for (uint32_t at = layer ? segment->step_end[layer - 1] : 0; at < segment->step_end[layer]; at++) {
            const struct step *step = &segment->steps[at];
            int32_t status = step->kind->compute(step, &frame);
            if (status < 0)
                return status;
        }
        execution->layers_done++;
        if (layer_ns) {
            int64_t now_ns = host->now_ns(host);
            layer_ns[i] = now_ns - before_ns;
            before_ns = now_ns;
        }
    }
    return NAPM_OK;
}

static int32_t outputs(void *self, void *handle, const void **result)
{
    const struct execution *execution = handle;
    const struct segment *segment = execution->segment;
    (void)self;
    if (execution->layers_done < segment->layer_count) {
        segment->host->set_error(segment->host, "reference backend: outputs asked for before the last layer has run");
        return NAPM_ERR_INVALID;
    }
    for (uint32_t i = 0; i < segment->output_count; i++)
        result[i] = execution->values[segment->outputs[i]];
    return NAPM_OK;
}

static const struct napm_backend hook = {
    .size = sizeof(hook),
    .supports = supports,
    .prepare = prepare,
    .release_model = release_model,
    .create_segment = create_segment,
    .release_segment = release_segment,
    .segment_memory = segment_memory,
    .create_execution = create_execution,
    .release_execution = release_execution,
    .start = start,
    .run = run,
    .outputs = outputs,
};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_BACKEND,
    .hook_version = NAPM_BACKEND_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "reference",
    .version = "1.0.0",
    .summary = "plain C, computed in double: slow, and right; one thread",
    .licence = "Apache-2.0",
    .create = create,
    .destroy = destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(reference, NAPM_KIND_BACKEND, NAPM_BACKEND_VERSION, "reference", "1.0.0");
NAPM_EXPORT_PLUGINS(&plugin);
