/* SPDX-License-Identifier: Apache-2.0 */
/* Small models for the checks. */
#include "sdk/check/tiny_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/random.h"

#define MOST_RANK 4
#define MOST_PORTS 8

struct tiny_tensor {
    struct napm_tensor view;
    char name[16];
    int64_t dims[MOST_RANK];
    float *data;
};

struct tiny_operator {
    struct napm_operator view;
    char name[16];
    uint32_t inputs[MOST_PORTS], output;
    struct napm_attribute attributes[MOST_PORTS];
    const struct napm_attribute *attribute_pointers[MOST_PORTS];
    int64_t integers[MOST_PORTS][4];
};

struct tiny_layer {
    struct napm_layer view;
    char name[16];
    uint32_t operators[MOST_PORTS], inputs[MOST_PORTS], outputs[MOST_PORTS];
};

struct tiny_model {
    struct napm_model view;
    struct random random;
    struct tiny_tensor tensors[TINY_MOST];
    struct tiny_operator operators[TINY_MOST];
    struct tiny_layer layers[TINY_MOST];
    const struct napm_tensor *tensor_pointers[TINY_MOST];
    const struct napm_operator *operator_pointers[TINY_MOST];
    const struct napm_layer *layer_pointers[TINY_MOST];
    uint32_t inputs[1], outputs[1];
};

/* ---- building */

static struct tiny_model *new_model(const char *name)
{
    struct tiny_model *tiny = NEW(struct tiny_model);
    random_seed(&tiny->random, 1, name);
    tiny->view = (struct napm_model){.size = sizeof(tiny->view),
                                     .name = name,
                                     .hash = "00000000000000000000000000000000",
                                     .tensors = tiny->tensor_pointers,
                                     .operators = tiny->operator_pointers,
                                     .layers = tiny->layer_pointers,
                                     .inputs = tiny->inputs,
                                     .outputs = tiny->outputs,
                                     .input_count = 1,
                                     .output_count = 1};
    return tiny;
}

uint64_t tiny_tensor_elements(const struct napm_tensor *tensor)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        count *= (uint64_t)tensor->dims[i];
    return count;
}

/* Dimensions end at the first 0. */
static uint32_t add_tensor(struct tiny_model *tiny, const int64_t dims[MOST_RANK])
{
    uint32_t index = tiny->view.tensor_count++;
    struct tiny_tensor *tensor = &tiny->tensors[index];
    snprintf(tensor->name, sizeof(tensor->name), "t%u", index);
    tensor->view = (struct napm_tensor){.size = sizeof(tensor->view),
                                        .element_type = NAPM_F32,
                                        .name = tensor->name,
                                        .producer = NAPM_NONE,
                                        .dims = tensor->dims};
    for (int i = 0; i < MOST_RANK && dims[i]; i++)
        tensor->dims[tensor->view.rank++] = dims[i];
    tensor->view.bytes = tiny_tensor_elements(&tensor->view) * sizeof(float);
    tiny->tensor_pointers[index] = &tensor->view;
    return index;
}

static uint32_t add_constant(struct tiny_model *tiny, const int64_t dims[MOST_RANK])
{
    uint32_t index = add_tensor(tiny, dims);
    struct tiny_tensor *tensor = &tiny->tensors[index];
    uint64_t count = tiny_tensor_elements(&tensor->view);
    tensor->data = NEW_ARRAY(float, count);
    for (uint64_t i = 0; i < count; i++)
        tensor->data[i] = (float)(random_unit(&tiny->random) - 0.5);
    tensor->view.data = tensor->data;
    return index;
}

static void begin_layer(struct tiny_model *tiny)
{
    uint32_t index = tiny->view.layer_count++;
    struct tiny_layer *layer = &tiny->layers[index];
    snprintf(layer->name, sizeof(layer->name), "layer%u", index);
    layer->view = (struct napm_layer){.size = sizeof(layer->view),
                                      .name = layer->name,
                                      .operators = layer->operators,
                                      .inputs = layer->inputs,
                                      .outputs = layer->outputs};
    tiny->layer_pointers[index] = &layer->view;
}

/* Adds an operator to the layer begun last. Inputs end at NAPM_NONE. Returns its output. */
static uint32_t add_operator(struct tiny_model *tiny, const char *type, const uint32_t inputs[4],
                             const int64_t dims[MOST_RANK])
{
    uint32_t index = tiny->view.operator_count++, layer_index = tiny->view.layer_count - 1;
    struct tiny_operator *op = &tiny->operators[index];
    struct tiny_layer *layer = &tiny->layers[layer_index];
    snprintf(op->name, sizeof(op->name), "op%u", index);
    op->output = add_tensor(tiny, dims);
    op->view = (struct napm_operator){.size = sizeof(op->view),
                                      .opset = 13,
                                      .name = op->name,
                                      .type = type,
                                      .domain = "",
                                      .inputs = op->inputs,
                                      .outputs = &op->output,
                                      .output_count = 1,
                                      .layer = layer_index,
                                      .attributes = op->attribute_pointers};
    for (int i = 0; i < 4 && inputs[i] != NAPM_NONE; i++)
        op->inputs[op->view.input_count++] = inputs[i];
    tiny->operator_pointers[index] = &op->view;
    layer->operators[layer->view.operator_count++] = index;
    layer->view.flops += (double)tiny_tensor_elements(&tiny->tensors[op->output].view);
    return op->output;
}

/* Adds an attribute of `count` integers (a single one where count is 0) to the operator added last. */
static void add_integers(struct tiny_model *tiny, const char *name, uint32_t count, const int64_t *values)
{
    struct tiny_operator *op = &tiny->operators[tiny->view.operator_count - 1];
    uint32_t index = op->view.attribute_count++;
    struct napm_attribute *attribute = &op->attributes[index];
    *attribute = (struct napm_attribute){.size = sizeof(*attribute),
                                         .type = count ? NAPM_ATTRIBUTE_INTEGERS : NAPM_ATTRIBUTE_INTEGER,
                                         .name = name,
                                         .count = count,
                                         .integer = count ? 0 : values[0]};
    if (count) {
        memcpy(op->integers[index], values, count * sizeof(*values));
        attribute->integers = op->integers[index];
    }
    op->attribute_pointers[index] = attribute;
}

/* ---- finishing: which tensors go in and out of each layer */

static int contains(const uint32_t *list, uint32_t count, uint32_t item)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == item)
            return 1;
    return 0;
}

/* The layer whose operators compute a tensor, or NAPM_NONE. */
static uint32_t computing_layer(const struct tiny_model *tiny, uint32_t tensor)
{
    for (uint32_t i = 0; i < tiny->view.operator_count; i++)
        if (tiny->operators[i].output == tensor)
            return tiny->operators[i].view.layer;
    return NAPM_NONE;
}

static void connect_input(struct tiny_model *tiny, struct tiny_layer *layer, uint32_t layer_index, uint32_t tensor)
{
    uint32_t from = computing_layer(tiny, tensor);
    struct napm_tensor *view = &tiny->tensors[tensor].view;
    if (view->data) {
        layer->view.parameter_bytes += view->bytes;
        layer->view.parameter_count += tiny_tensor_elements(view);
        return;
    }
    if (from == layer_index || contains(layer->inputs, layer->view.input_count, tensor))
        return;
    layer->inputs[layer->view.input_count++] = tensor;
    if (from == NAPM_NONE)
        return; /* the model's input */
    struct tiny_layer *producer = &tiny->layers[from];
    view->producer = from;
    if (!contains(producer->outputs, producer->view.output_count, tensor))
        producer->outputs[producer->view.output_count++] = tensor;
}

static struct tiny_model *finish(struct tiny_model *tiny, uint32_t input, uint32_t output)
{
    for (uint32_t i = 0; i < tiny->view.operator_count; i++) {
        const struct napm_operator *op = &tiny->operators[i].view;
        for (uint32_t k = 0; k < op->input_count; k++)
            connect_input(tiny, &tiny->layers[op->layer], op->layer, op->inputs[k]);
    }
    uint32_t last = computing_layer(tiny, output);
    struct tiny_layer *layer = &tiny->layers[last];
    tiny->tensors[output].view.producer = last;
    if (!contains(layer->outputs, layer->view.output_count, output))
        layer->outputs[layer->view.output_count++] = output;
    tiny->inputs[0] = input;
    tiny->outputs[0] = output;
    return tiny;
}

/* ---- the models */

#define DIMS(...)                                                                                                      \
    (const int64_t[MOST_RANK])                                                                                         \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define PORTS(...)                                                                                                     \
    (const uint32_t[4])                                                                                                \
    {                                                                                                                  \
        __VA_ARGS__, NAPM_NONE                                                                                         \
    }
#define INTEGERS(...) ((const int64_t[]){__VA_ARGS__})

/* y = (relu(x) + sigmoid(relu(x))) * sigmoid(relu(x)): at each cut but the first, two tensors cross. */
static struct tiny_model *elementwise(void)
{
    struct tiny_model *tiny = new_model("tiny-elementwise");
    uint32_t x = add_tensor(tiny, DIMS(1, 37));
    begin_layer(tiny);
    uint32_t a = add_operator(tiny, "Relu", PORTS(x), DIMS(1, 37));
    begin_layer(tiny);
    uint32_t b = add_operator(tiny, "Sigmoid", PORTS(a), DIMS(1, 37));
    begin_layer(tiny);
    uint32_t c = add_operator(tiny, "Add", PORTS(a, b), DIMS(1, 37));
    begin_layer(tiny);
    uint32_t y = add_operator(tiny, "Mul", PORTS(c, b), DIMS(1, 37));
    return finish(tiny, x, y);
}

static uint32_t add_gemm(struct tiny_model *tiny, uint32_t x, int64_t from, int64_t to)
{
    uint32_t w = add_constant(tiny, DIMS(to, from)), bias = add_constant(tiny, DIMS(to));
    begin_layer(tiny);
    uint32_t y = add_operator(tiny, "Gemm", PORTS(x, w, bias), DIMS(1, to));
    add_integers(tiny, "transB", 0, INTEGERS(1));
    return y;
}

static struct tiny_model *perceptron(void)
{
    struct tiny_model *tiny = new_model("tiny-perceptron");
    uint32_t x = add_tensor(tiny, DIMS(1, 19));
    uint32_t a = add_operator(tiny, "Relu", PORTS(add_gemm(tiny, x, 19, 33)), DIMS(1, 33));
    uint32_t b = add_operator(tiny, "Relu", PORTS(add_gemm(tiny, a, 33, 21)), DIMS(1, 21));
    return finish(tiny, x, add_gemm(tiny, b, 21, 10));
}

/* Convolution 3x3, padded by 1, with Relu in the same layer. */
static uint32_t add_conv(struct tiny_model *tiny, uint32_t x, int64_t from, int64_t to, int64_t side)
{
    uint32_t w = add_constant(tiny, DIMS(to, from, 3, 3)), bias = add_constant(tiny, DIMS(to));
    begin_layer(tiny);
    uint32_t y = add_operator(tiny, "Conv", PORTS(x, w, bias), DIMS(1, to, side, side));
    add_integers(tiny, "kernel_shape", 2, INTEGERS(3, 3));
    add_integers(tiny, "pads", 4, INTEGERS(1, 1, 1, 1));
    add_integers(tiny, "strides", 2, INTEGERS(1, 1));
    return add_operator(tiny, "Relu", PORTS(y), DIMS(1, to, side, side));
}

static struct tiny_model *cnn(void)
{
    struct tiny_model *tiny = new_model("tiny-cnn");
    uint32_t x = add_tensor(tiny, DIMS(1, 3, 8, 8)), a = add_conv(tiny, x, 3, 5, 8);
    begin_layer(tiny);
    uint32_t pooled = add_operator(tiny, "MaxPool", PORTS(a), DIMS(1, 5, 4, 4));
    add_integers(tiny, "kernel_shape", 2, INTEGERS(2, 2));
    add_integers(tiny, "strides", 2, INTEGERS(2, 2));
    uint32_t b = add_conv(tiny, pooled, 5, 5, 4);
    begin_layer(tiny);
    uint32_t sum = add_operator(tiny, "Add", PORTS(b, pooled), DIMS(1, 5, 4, 4));
    begin_layer(tiny);
    uint32_t flat = add_operator(tiny, "Flatten", PORTS(sum), DIMS(1, 80));
    add_integers(tiny, "axis", 0, INTEGERS(1));
    return finish(tiny, x, add_gemm(tiny, flat, 80, 10));
}

struct tiny_model *tiny_model_new(unsigned which)
{
    return which == 0 ? elementwise() : which == 1 ? perceptron() : cnn();
}

struct tiny_model *tiny_model_chain(uint32_t layer_count)
{
    struct tiny_model *tiny = new_model("tiny-chain");
    uint32_t x = add_tensor(tiny, DIMS(1, 64)), at = x;
    for (uint32_t i = 0; i < layer_count; i++) {
        begin_layer(tiny);
        at = add_operator(tiny, "Relu", PORTS(at), DIMS(1, 64));
    }
    return finish(tiny, x, at);
}

void tiny_model_free(struct tiny_model *tiny)
{
    for (uint32_t i = 0; i < tiny->view.tensor_count; i++)
        free(tiny->tensors[i].data);
    free(tiny);
}

const struct napm_model *tiny_model_view(const struct tiny_model *tiny)
{
    return &tiny->view;
}

/* ---- computing, in double precision */

/* Element i of a tensor: a constant's or a computed one. */
static double element(const struct napm_model *model, double *const *values, uint32_t tensor, uint64_t i)
{
    const float *constant = model->tensors[tensor]->data;
    return constant ? (double)constant[i] : values[tensor][i];
}

static void compute_gemm(const struct napm_model *model, const struct napm_operator *op, double *const *values)
{
    uint64_t depth = tiny_tensor_elements(model->tensors[op->inputs[0]]);
    uint64_t columns = tiny_tensor_elements(model->tensors[op->outputs[0]]);
    for (uint64_t j = 0; j < columns; j++) {
        double sum = element(model, values, op->inputs[2], j);
        for (uint64_t k = 0; k < depth; k++)
            sum += element(model, values, op->inputs[0], k) * element(model, values, op->inputs[1], j * depth + k);
        values[op->outputs[0]][j] = sum;
    }
}

/* One output of a 3x3 convolution, padded by 1. */
static double convolve(const struct napm_model *model, const struct napm_operator *op, double *const *values, int64_t o,
                       int64_t y, int64_t x)
{
    const int64_t *dims = model->tensors[op->inputs[0]]->dims, channels = dims[1], side = dims[2];
    double sum = element(model, values, op->inputs[2], (uint64_t)o);
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < 9; i++) {
            int64_t from_y = y + i / 3 - 1, from_x = x + i % 3 - 1;
            if (from_y < 0 || from_x < 0 || from_y >= side || from_x >= side)
                continue;
            sum += element(model, values, op->inputs[0], (uint64_t)((c * side + from_y) * side + from_x)) *
                   element(model, values, op->inputs[1], (uint64_t)((o * channels + c) * 9 + i));
        }
    return sum;
}

/* One output of a 2x2 pooling with stride 2. */
static double pool(const struct napm_model *model, const struct napm_operator *op, double *const *values, int64_t c,
                   int64_t y, int64_t x)
{
    int64_t side = model->tensors[op->inputs[0]]->dims[2];
    double most = -INFINITY;
    for (int64_t i = 0; i < 4; i++)
        most = fmax(
            most, element(model, values, op->inputs[0], (uint64_t)((c * side + 2 * y + i / 2) * side + 2 * x + i % 2)));
    return most;
}

static void compute_window(const struct napm_model *model, const struct napm_operator *op, double *const *values,
                           double (*window)(const struct napm_model *, const struct napm_operator *, double *const *,
                                            int64_t, int64_t, int64_t))
{
    const int64_t *dims = model->tensors[op->outputs[0]]->dims;
    for (int64_t c = 0; c < dims[1]; c++)
        for (int64_t y = 0; y < dims[2]; y++)
            for (int64_t x = 0; x < dims[3]; x++)
                values[op->outputs[0]][(c * dims[2] + y) * dims[3] + x] = window(model, op, values, c, y, x);
}

static void compute_element(const struct napm_model *model, const struct napm_operator *op, double *const *values,
                            uint64_t i)
{
    double a = element(model, values, op->inputs[0], i), y = a;
    if (strcmp(op->type, "Relu") == 0)
        y = a > 0 ? a : 0;
    else if (strcmp(op->type, "Sigmoid") == 0)
        y = 1 / (1 + exp(-a));
    else if (strcmp(op->type, "Add") == 0)
        y = a + element(model, values, op->inputs[1], i);
    else if (strcmp(op->type, "Mul") == 0)
        y = a * element(model, values, op->inputs[1], i);
    values[op->outputs[0]][i] = y; /* Flatten: the same */
}

void tiny_model_compute(const struct napm_model *model, double *const *values)
{
    for (uint32_t i = 0; i < model->operator_count; i++) {
        const struct napm_operator *op = model->operators[i];
        uint64_t count = tiny_tensor_elements(model->tensors[op->outputs[0]]);
        if (strcmp(op->type, "Gemm") == 0)
            compute_gemm(model, op, values);
        else if (strcmp(op->type, "Conv") == 0)
            compute_window(model, op, values, convolve);
        else if (strcmp(op->type, "MaxPool") == 0)
            compute_window(model, op, values, pool);
        else
            for (uint64_t k = 0; k < count; k++)
                compute_element(model, op, values, k);
    }
}
