/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model backend to start from: plain loops for Gemm, Add, Mul, Relu, Sigmoid, Flatten and Identity, on one thread.
 *
 * The objects: a prepared model is just the model; a segment owns a copy of the constants (weights) that its layers use;
 * an execution owns one buffer for each tensor that its layers compute. Each value is computed in the same way whatever
 * segment it is in, so a split run gives the same bits as a whole one.
 */
#include <math.h>
#include <napm/backend.h>
#include <napm/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct backend {
    const struct napm_host *host;
};

struct segment {
    const struct napm_model *model;
    uint32_t layer_count, input_count, output_count;
    uint32_t *layers, *inputs, *outputs; /* copies: the host's arrays are only valid during the call */
    float **constants; /* by tensor index; NULL where not used here */
    uint64_t weight_bytes, activation_bytes;
};

struct execution {
    const struct segment *segment;
    float **computed; /* by tensor index: buffers of what the layers compute */
    const float **values; /* by tensor index: where each tensor is, for the task that runs */
    uint32_t next_layer;
};

/* ---- failures */

static int32_t fail(const struct backend *backend, int32_t status, const char *text)
{
    backend->host->set_error(backend->host, text);
    return status;
}

static int32_t unsupported(const struct backend *backend, const struct napm_operator *op, const char *why)
{
    char text[512];
    snprintf(text, sizeof(text), "operator %s (%s, opset %u): %s", op->name, op->type, op->opset, why);
    return fail(backend, NAPM_ERR_UNSUPPORTED, text);
}

/* ---- the model's facts */

static uint64_t element_count(const struct napm_tensor *tensor)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        count *= (uint64_t)tensor->dims[i];
    return count;
}

static const struct napm_attribute *attribute(const struct napm_operator *op, const char *name)
{
    for (uint32_t i = 0; i < op->attribute_count; i++)
        if (strcmp(op->attributes[i]->name, name) == 0)
            return op->attributes[i];
    return NULL;
}

static int64_t integer_attribute(const struct napm_operator *op, const char *name, int64_t otherwise)
{
    const struct napm_attribute *found = attribute(op, name);
    return found ? found->integer : otherwise;
}

static double real_attribute(const struct napm_operator *op, const char *name, double otherwise)
{
    const struct napm_attribute *found = attribute(op, name);
    return found ? found->real : otherwise;
}

static int has_input(const struct napm_operator *op, uint32_t i)
{
    return i < op->input_count && op->inputs[i] != NAPM_NONE;
}

/* ---- operators: each reads values[] and writes its one output */

static void gemm(const struct napm_model *model, const struct napm_operator *op, const float *const *values, float *y)
{
    const struct napm_tensor *a = model->tensors[op->inputs[0]], *y_tensor = model->tensors[op->outputs[0]];
    int64_t rows = y_tensor->dims[0], columns = y_tensor->dims[1], depth = a->dims[1];
    int transposed = integer_attribute(op, "transB", 0) != 0;
    float alpha = (float)real_attribute(op, "alpha", 1), beta = (float)real_attribute(op, "beta", 1);
    const float *x = values[op->inputs[0]], *w = values[op->inputs[1]];
    const float *bias = has_input(op, 2) ? values[op->inputs[2]] : NULL;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            float sum = 0;
            for (int64_t k = 0; k < depth; k++)
                sum += x[i * depth + k] * (transposed ? w[j * depth + k] : w[k * columns + j]);
            y[i * columns + j] = alpha * sum + (bias ? beta * bias[j] : 0);
        }
}

static void elementwise(const struct napm_model *model, const struct napm_operator *op, const float *const *values,
                        float *y)
{
    uint64_t count = element_count(model->tensors[op->outputs[0]]);
    const float *a = values[op->inputs[0]], *b = has_input(op, 1) ? values[op->inputs[1]] : NULL;
    if (strcmp(op->type, "Relu") == 0)
        for (uint64_t i = 0; i < count; i++)
            y[i] = a[i] > 0 ? a[i] : 0;
    else if (strcmp(op->type, "Sigmoid") == 0)
        for (uint64_t i = 0; i < count; i++)
            y[i] = 1 / (1 + expf(-a[i]));
    else if (strcmp(op->type, "Add") == 0)
        for (uint64_t i = 0; i < count; i++)
            y[i] = a[i] + b[i];
    else if (strcmp(op->type, "Mul") == 0)
        for (uint64_t i = 0; i < count; i++)
            y[i] = a[i] * b[i];
    else /* Flatten, Identity: the same numbers */
        memcpy(y, a, count * sizeof(*y));
}

struct known_operator {
    const char *type;
    uint32_t least_inputs;
    void (*compute)(const struct napm_model *model, const struct napm_operator *op, const float *const *values,
                    float *y);
};
static const struct known_operator known_operators[] = {
    {"Gemm", 2, gemm},       {"Relu", 1, elementwise},    {"Sigmoid", 1, elementwise},  {"Add", 2, elementwise},
    {"Mul", 2, elementwise}, {"Flatten", 1, elementwise}, {"Identity", 1, elementwise},
};

static const struct known_operator *find_known(const struct napm_operator *op)
{
    for (size_t i = 0; i < sizeof(known_operators) / sizeof(known_operators[0]); i++)
        if (op->domain[0] == '\0' && strcmp(op->type, known_operators[i].type) == 0)
            return &known_operators[i];
    return NULL;
}

/* Gemm: no transposed A, and a bias that is a row. */
static int32_t supports_gemm(const struct backend *backend, const struct napm_model *model,
                             const struct napm_operator *op)
{
    const struct napm_tensor *y = model->tensors[op->outputs[0]];
    if (integer_attribute(op, "transA", 0))
        return unsupported(backend, op, "transA is not supported");
    if (has_input(op, 2) && element_count(model->tensors[op->inputs[2]]) != (uint64_t)y->dims[1])
        return unsupported(backend, op, "only a bias of one row is supported");
    return NAPM_OK;
}

static int32_t supports(void *self, const struct napm_model *model, uint32_t index)
{
    const struct backend *backend = self;
    const struct napm_operator *op = model->operators[index];
    const struct known_operator *known = find_known(op);
    if (!known)
        return unsupported(backend, op,
                           "this operator is not supported; known are Gemm, Add, Mul, Relu, Sigmoid, "
                           "Flatten and Identity");
    for (uint32_t i = 0; i < known->least_inputs; i++)
        if (!has_input(op, i) || model->tensors[op->inputs[i]]->element_type != NAPM_F32)
            return unsupported(backend, op, "an input is missing or is not of 32-bit floats");
    if (known->compute == gemm)
        return supports_gemm(backend, model, op);
    for (uint32_t i = 0; i < known->least_inputs; i++)
        if (element_count(model->tensors[op->inputs[i]]) != element_count(model->tensors[op->outputs[0]]))
            return unsupported(backend, op, "broadcasting is not supported");
    return NAPM_OK;
}

/* ---- prepared models */

static int32_t prepare(void *self, const struct napm_model *model, const struct napm_prepare *how, void **prepared)
{
    (void)how; /* one thread, whatever is allowed */
    for (uint32_t i = 0; i < model->operator_count; i++) {
        int32_t status = supports(self, model, i);
        if (status < 0)
            return status;
    }
    *prepared = (void *)(uintptr_t)model;
    return NAPM_OK;
}

static void release_model(void *self, void *prepared)
{
    (void)self;
    (void)prepared; /* it is the host's model */
}

/* ---- segments */

static void release_segment(void *self, void *handle)
{
    struct segment *segment = handle;
    (void)self;
    for (uint32_t i = 0; segment->constants && i < segment->model->tensor_count; i++)
        free(segment->constants[i]);
    free(segment->constants);
    free(segment->layers);
    free(segment->inputs);
    free(segment->outputs);
    free(segment);
}

static uint32_t *copy_indices(const uint32_t *indices, uint32_t count)
{
    uint32_t *copy = malloc(((size_t)count + 1) * sizeof(*copy));
    if (copy && count)
        memcpy(copy, indices, count * sizeof(*copy));
    return copy;
}

/* Copies a constant out of the model, where it may lie at any alignment in a mapped file. */
static int take_constant(struct segment *segment, uint32_t index)
{
    const struct napm_tensor *tensor = segment->model->tensors[index];
    if (!tensor->data || segment->constants[index])
        return 0;
    segment->constants[index] = malloc(tensor->bytes ? tensor->bytes : 1);
    if (!segment->constants[index])
        return -1;
    memcpy(segment->constants[index], tensor->data, tensor->bytes);
    segment->weight_bytes += tensor->bytes;
    return 0;
}

/* Copies the constants of all operators, and counts what they compute. */
static int take_operators(struct segment *segment)
{
    for (uint32_t i = 0; i < segment->layer_count; i++) {
        const struct napm_layer *layer = segment->model->layers[segment->layers[i]];
        for (uint32_t j = 0; j < layer->operator_count; j++) {
            const struct napm_operator *op = segment->model->operators[layer->operators[j]];
            segment->activation_bytes += segment->model->tensors[op->outputs[0]]->bytes;
            for (uint32_t k = 0; k < op->input_count; k++)
                if (op->inputs[k] != NAPM_NONE && take_constant(segment, op->inputs[k]))
                    return -1;
        }
    }
    return 0;
}

static int32_t create_segment(void *self, void *prepared, const struct napm_segment *what, void **handle)
{
    struct segment *segment = calloc(1, sizeof(*segment));
    if (!segment)
        return fail(self, NAPM_ERR_MEMORY, "out of memory");
    segment->model = prepared;
    segment->layer_count = what->layer_count;
    segment->input_count = what->input_count;
    segment->output_count = what->output_count;
    segment->layers = copy_indices(what->layers, what->layer_count);
    segment->inputs = copy_indices(what->inputs, what->input_count);
    segment->outputs = copy_indices(what->outputs, what->output_count);
    segment->constants = calloc(segment->model->tensor_count, sizeof(*segment->constants));
    if (!segment->layers || !segment->inputs || !segment->outputs || !segment->constants || take_operators(segment)) {
        release_segment(self, segment);
        return fail(self, NAPM_ERR_MEMORY, "out of memory for a segment's weights");
    }
    *handle = segment;
    return NAPM_OK;
}

static int32_t segment_memory(void *self, void *handle, struct napm_segment_memory *memory)
{
    const struct segment *segment = handle;
    (void)self;
    memory->weight_bytes = segment->weight_bytes;
    memory->activation_bytes = segment->activation_bytes;
    return NAPM_OK;
}

/* ---- executions */

static void release_execution(void *self, void *handle)
{
    struct execution *execution = handle;
    (void)self;
    for (uint32_t i = 0; execution->computed && i < execution->segment->model->tensor_count; i++)
        free(execution->computed[i]);
    free(execution->computed);
    free(execution->values);
    free(execution);
}

/* A buffer for what each operator of the segment computes: run() then allocates nothing. */
static int make_buffers(struct execution *execution)
{
    const struct segment *segment = execution->segment;
    for (uint32_t i = 0; i < segment->layer_count; i++) {
        const struct napm_layer *layer = segment->model->layers[segment->layers[i]];
        for (uint32_t j = 0; j < layer->operator_count; j++) {
            uint32_t output = segment->model->operators[layer->operators[j]]->outputs[0];
            uint64_t bytes = (segment->model->tensors[output]->bytes + 63) / 64 * 64;
            execution->computed[output] = aligned_alloc(64, bytes ? bytes : 64);
            if (!execution->computed[output])
                return -1;
        }
    }
    return 0;
}

static int32_t create_execution(void *self, void *handle, void **result)
{
    const struct segment *segment = handle;
    struct execution *execution = calloc(1, sizeof(*execution));
    if (!execution)
        return fail(self, NAPM_ERR_MEMORY, "out of memory");
    execution->segment = segment;
    execution->computed = calloc(segment->model->tensor_count, sizeof(*execution->computed));
    execution->values = calloc(segment->model->tensor_count, sizeof(*execution->values));
    if (!execution->computed || !execution->values || make_buffers(execution)) {
        release_execution(self, execution);
        return fail(self, NAPM_ERR_MEMORY, "out of memory for a task's activations");
    }
    *result = execution;
    return NAPM_OK;
}

static int32_t start(void *self, void *handle, const void *const *inputs)
{
    struct execution *execution = handle;
    const struct segment *segment = execution->segment;
    (void)self;
    for (uint32_t i = 0; i < segment->model->tensor_count; i++)
        execution->values[i] = execution->computed[i] ? execution->computed[i] : segment->constants[i];
    for (uint32_t i = 0; i < segment->input_count; i++)
        execution->values[segment->inputs[i]] = inputs[i];
    execution->next_layer = 0;
    return NAPM_OK;
}

static void run_layer(const struct execution *execution, uint32_t index)
{
    const struct napm_model *model = execution->segment->model;
    const struct napm_layer *layer = model->layers[execution->segment->layers[index]];
    for (uint32_t i = 0; i < layer->operator_count; i++) {
        const struct napm_operator *op = model->operators[layer->operators[i]];
        find_known(op)->compute(model, op, execution->values, execution->computed[op->outputs[0]]);
    }
}

static int32_t run(void *self, void *handle, uint32_t layer_count, int64_t *layer_ns)
{
    const struct napm_host *host = ((struct backend *)self)->host;
    struct execution *execution = handle;
    int64_t before_ns = layer_ns ? host->now_ns(host) : 0;
    for (uint32_t i = 0; i < layer_count; i++) {
        run_layer(execution, execution->next_layer++);
        if (!layer_ns)
            continue;
        int64_t now_ns = host->now_ns(host);
        layer_ns[i] = now_ns - before_ns;
        before_ns = now_ns;
    }
    return NAPM_OK;
}

static int32_t outputs(void *self, void *handle, const void **result)
{
    const struct execution *execution = handle;
    (void)self;
    for (uint32_t i = 0; i < execution->segment->output_count; i++)
        result[i] = execution->values[execution->segment->outputs[i]];
    return NAPM_OK;
}

/* ---- the instance */

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct backend *backend = calloc(1, sizeof(*backend));
    (void)options; /* it takes none */
    if (!backend) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    backend->host = host;
    *self = backend;
    return NAPM_OK;
}

static void destroy(void *self)
{
    free(self);
}

/* ---- what the platform sees */

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
    .name = "template-backend",
    .version = "1.0.0",
    .summary = "Plain loops for a handful of operators",
    .licence = "Apache-2.0",
    .create = create,
    .destroy = destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(template_backend, NAPM_KIND_BACKEND, NAPM_BACKEND_VERSION, "template-backend", "1.0.0");
NAPM_EXPORT_PLUGINS(&plugin);
