/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the operators of a model: attributes, parameters and what is not supported. */
#include "onednn_operator.h"

#include <float.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int refuse(struct reason *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof(why->text), format, arguments);
    va_end(arguments);
    return -1;
}

/* ---- which operators */

static const struct {
    const char *type;
    enum work work;
} works[] = {
    {"Conv", WORK_CONVOLUTION},
    {"Gemm", WORK_GEMM},
    {"MatMul", WORK_MATMUL},
    {"BatchNormalization", WORK_NORMALISATION},
    {"Relu", WORK_FUNCTION},
    {"Clip", WORK_FUNCTION},
    {"Sigmoid", WORK_FUNCTION},
    {"HardSwish", WORK_FUNCTION},
    {"HardSigmoid", WORK_FUNCTION},
    {"Tanh", WORK_FUNCTION},
    {"LeakyRelu", WORK_FUNCTION},
    {"Elu", WORK_FUNCTION},
    {"Exp", WORK_FUNCTION},
    {"Sqrt", WORK_FUNCTION},
    {"Abs", WORK_FUNCTION},
    {"Neg", WORK_FUNCTION},
    {"Add", WORK_BINARY},
    {"Sub", WORK_BINARY},
    {"Mul", WORK_BINARY},
    {"Div", WORK_BINARY},
    {"MaxPool", WORK_POOLING},
    {"AveragePool", WORK_POOLING},
    {"GlobalAveragePool", WORK_GLOBAL_POOLING},
    {"GlobalMaxPool", WORK_GLOBAL_POOLING},
    {"Identity", WORK_SAME},
    {"Dropout", WORK_SAME},
    {"Reshape", WORK_RESHAPE},
    {"Flatten", WORK_RESHAPE},
    {"Squeeze", WORK_RESHAPE},
    {"Unsqueeze", WORK_RESHAPE},
    {"Concat", WORK_CONCAT},
    {"Softmax", WORK_SOFTMAX},
    {"LogSoftmax", WORK_SOFTMAX},
    {"LRN", WORK_LRN},
    {"Transpose", WORK_TRANSPOSE},
    {"Pad", WORK_PAD},
    {"ReduceMean", WORK_MEAN},
    {"Slice", WORK_WALK},
    {"Split", WORK_WALK},
    {"Gather", WORK_WALK},
    {"Expand", WORK_WALK},
};

enum work operator_work(const struct napm_operator *op)
{
    if (op->domain && op->domain[0] != '\0' && strcmp(op->domain, "ai.onnx") != 0)
        return WORK_NONE;
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
        if (strcmp(works[i].type, op->type) == 0)
            return works[i].work;
    return WORK_NONE;
}

/* ---- tensors */

static const struct napm_tensor *tensor_at(const struct napm_model *model, const uint32_t *list, uint32_t count,
                                           uint32_t i)
{
    return i < count && list[i] != NAPM_NONE ? model->tensors[list[i]] : NULL;
}

const struct napm_tensor *operator_input(const struct napm_model *model, const struct napm_operator *op, uint32_t i)
{
    return tensor_at(model, op->inputs, op->input_count, i);
}

const struct napm_tensor *operator_output(const struct napm_model *model, const struct napm_operator *op, uint32_t i)
{
    return tensor_at(model, op->outputs, op->output_count, i);
}

int64_t tensor_elements_between(const struct napm_tensor *tensor, uint32_t from, uint32_t to)
{
    int64_t elements = 1;
    for (uint32_t i = from; i < to; i++)
        elements *= tensor->dims[i];
    return elements;
}

int64_t tensor_elements(const struct napm_tensor *tensor)
{
    return tensor_elements_between(tensor, 0, tensor->rank);
}

float constant_real(const struct napm_tensor *tensor, int64_t i)
{
    float value;
    memcpy(&value, (const char *)tensor->data + i * (int64_t)sizeof(value), sizeof(value));
    return value;
}

int64_t constant_integer(const struct napm_tensor *tensor, int64_t i)
{
    if (tensor->element_type == NAPM_I32) {
        int32_t value;
        memcpy(&value, (const char *)tensor->data + i * (int64_t)sizeof(value), sizeof(value));
        return value;
    }
    int64_t value;
    memcpy(&value, (const char *)tensor->data + i * (int64_t)sizeof(value), sizeof(value));
    return value;
}

int operator_integers(const struct napm_model *model, const struct napm_operator *op, const char *name, uint32_t input,
                      int64_t *values, uint32_t capacity)
{
    const struct napm_attribute *given = attribute_find(op, name, NAPM_ATTRIBUTE_INTEGERS);
    const struct napm_tensor *tensor = operator_input(model, op, input);
    if (given) {
        if (given->count > capacity)
            return -1;
        for (uint32_t i = 0; i < given->count; i++)
            values[i] = given->integers[i];
        return (int)given->count;
    }
    if (input == NAPM_NONE || !tensor)
        return 0;
    int64_t count = tensor_elements(tensor);
    if (!tensor->data || count > (int64_t)capacity ||
        (tensor->element_type != NAPM_I64 && tensor->element_type != NAPM_I32))
        return -1;
    for (int64_t i = 0; i < count; i++)
        values[i] = constant_integer(tensor, i);
    return (int)count;
}

/* ---- windows */

/* Reads a list attribute with one number for each spatial dimension; absent: all `fallback`. */
static int window_numbers(const struct napm_operator *op, const char *name, uint32_t count, int64_t fallback,
                          int64_t *values, struct reason *why)
{
    const struct napm_attribute *given = attribute_find(op, name, NAPM_ATTRIBUTE_INTEGERS);
    for (uint32_t i = 0; i < count; i++)
        values[i] = fallback;
    if (!given)
        return 0;
    if (given->count != count)
        return refuse(why, "attribute %s has %u numbers where %u are needed", name, given->count, count);
    for (uint32_t i = 0; i < count; i++)
        values[i] = given->integers[i];
    return 0;
}

static int64_t window_reach(const struct shim_window *window, uint32_t i)
{
    return (window->kernel[i] - 1) * window->dilation[i] + 1;
}

/* Pads as the operator states them, before auto_pad "SAME" splits the total that the output's size asks for. */
static int window_pads(const struct napm_operator *op, const struct napm_tensor *in, const struct napm_tensor *out,
                       struct shim_window *window, struct reason *why)
{
    int64_t pads[6];
    const char *automatic = attribute_text(op, "auto_pad", "NOTSET");
    if (window_numbers(op, "pads", 2 * window->rank, 0, pads, why))
        return -1;
    int same = strncmp(automatic, "SAME", 4) == 0;
    int lower = strcmp(automatic, "SAME_LOWER") == 0;
    for (uint32_t i = 0; i < window->rank; i++) {
        int64_t total = (out->dims[i + 2] - 1) * window->stride[i] + window_reach(window, i) - in->dims[i + 2];
        if (total < 0)
            total = 0;
        window->pad_before[i] = same ? (total + lower) / 2 : pads[i];
        window->pad_after[i] = same ? total - window->pad_before[i] : pads[window->rank + i];
        if (window->pad_before[i] < 0 || window->pad_after[i] < 0)
            return refuse(why, "negative pads");
    }
    return 0;
}

/*
 * The library wants output = (input - reach + pads) / stride + 1 exactly, without a ceiling: where ceil_mode gave a
 * larger output, the pad at the end grows until it fits.
 */
static int window_fit_output(const struct napm_tensor *in, const struct napm_tensor *out, struct shim_window *window)
{
    int extended = 0;
    for (uint32_t i = 0; i < window->rank; i++) {
        int64_t needed = (out->dims[i + 2] - 1) * window->stride[i] + window_reach(window, i) - in->dims[i + 2] -
                         window->pad_before[i];
        if (window->pad_after[i] < needed) {
            window->pad_after[i] = needed;
            extended = 1;
        }
    }
    return extended;
}

int operator_window(const struct napm_model *model, const struct napm_operator *op, struct shim_window *window,
                    int *extended, struct reason *why)
{
    const struct napm_tensor *in = operator_input(model, op, 0), *out = operator_output(model, op, 0);
    if (!in || !out || in->rank < 3 || in->rank > 5 || out->rank != in->rank)
        return refuse(why, "only inputs of 3 to 5 dimensions (batch, channels, spatial)");
    memset(window, 0, sizeof(*window));
    window->rank = in->rank - 2;
    const struct napm_tensor *weights = operator_input(model, op, 1);
    for (uint32_t i = 0; i < window->rank && weights && i + 2 < weights->rank; i++)
        window->kernel[i] = weights->dims[i + 2];
    if (!weights && window_numbers(op, "kernel_shape", window->rank, 0, window->kernel, why))
        return -1;
    if (window_numbers(op, "strides", window->rank, 1, window->stride, why) ||
        window_numbers(op, "dilations", window->rank, 1, window->dilation, why))
        return -1;
    for (uint32_t i = 0; i < window->rank; i++)
        if (window->kernel[i] < 1 || window->stride[i] < 1 || window->dilation[i] < 1)
            return refuse(why, "kernel_shape, strides and dilations must be 1 or more");
    if (window_pads(op, in, out, window, why))
        return -1;
    int reaches = window_fit_output(in, out, window);
    if (extended)
        *extended = reaches;
    return 0;
}

/* ---- elementwise */

/* A limit of Clip: an attribute up to opset 10, a constant input since. */
static int clip_limit(const struct napm_model *model, const struct napm_operator *op, const char *name, uint32_t input,
                      float fallback, float *limit, struct reason *why)
{
    const struct napm_tensor *tensor = operator_input(model, op, input);
    *limit = attribute_real(op, name, fallback);
    if (!tensor)
        return 0;
    if (!tensor->data || tensor->element_type != NAPM_F32)
        return refuse(why, "%s must be a constant float", name);
    *limit = constant_real(tensor, 0);
    return 0;
}

static void chain_add(struct function_chain *chain, enum shim_function function, float alpha, float beta)
{
    chain->at[chain->count].function = function;
    chain->at[chain->count].alpha = alpha;
    chain->at[chain->count++].beta = beta;
}

int operator_function(const struct napm_model *model, const struct napm_operator *op, struct function_chain *chain,
                      struct reason *why)
{
    static const struct {
        const char *type;
        enum shim_function function;
    } simple[] = {{"Relu", SHIM_RELU}, {"Sigmoid", SHIM_SIGMOID}, {"HardSwish", SHIM_HARDSWISH},
                  {"Tanh", SHIM_TANH}, {"Exp", SHIM_EXP},         {"Sqrt", SHIM_SQRT},
                  {"Abs", SHIM_ABS}};
    chain->count = 0;
    for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++)
        if (strcmp(op->type, simple[i].type) == 0)
            chain_add(chain, simple[i].function, 0.0f, 0.0f);
    if (chain->count > 0)
        return 0;
    if (strcmp(op->type, "LeakyRelu") == 0) {
        chain_add(chain, SHIM_RELU, attribute_real(op, "alpha", 0.01f), 0.0f);
    } else if (strcmp(op->type, "Elu") == 0) {
        chain_add(chain, SHIM_ELU, attribute_real(op, "alpha", 1.0f), 0.0f);
    } else if (strcmp(op->type, "Neg") == 0) {
        chain_add(chain, SHIM_LINEAR, -1.0f, 0.0f);
    } else if (strcmp(op->type, "HardSigmoid") == 0) {
        chain_add(chain, SHIM_LINEAR, attribute_real(op, "alpha", 0.2f), attribute_real(op, "beta", 0.5f));
        chain_add(chain, SHIM_CLIP, 0.0f, 1.0f);
    } else { /* Clip */
        float low, high;
        if (clip_limit(model, op, "min", 1, -FLT_MAX, &low, why) ||
            clip_limit(model, op, "max", 2, FLT_MAX, &high, why))
            return -1;
        chain_add(chain, SHIM_CLIP, low, high);
    }
    return 0;
}

enum shim_binary operator_binary(const struct napm_operator *op)
{
    return op->type[0] == 'A' ? SHIM_ADD : op->type[0] == 'S' ? SHIM_SUB : op->type[0] == 'M' ? SHIM_MUL : SHIM_DIV;
}

uint32_t operator_axis(const struct napm_model *model, const struct napm_operator *op, int64_t fallback)
{
    const struct napm_tensor *out = operator_output(model, op, 0);
    int64_t axis = attribute_integer(op, "axis", fallback);
    return (uint32_t)(axis < 0 ? axis + out->rank : axis);
}

/* ---- what is not supported, one function a kind of work; each text completes "is not supported: ..." */

static int check_convolution(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    struct shim_window window;
    const struct napm_tensor *weights = operator_input(model, op, 1), *bias = operator_input(model, op, 2);
    if (!weights || !weights->data || (bias && !bias->data))
        return refuse(why, "weights and bias must be constants");
    return operator_window(model, op, &window, NULL, why);
}

static int check_gemm(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    const struct napm_tensor *a = operator_input(model, op, 0), *b = operator_input(model, op, 1);
    const struct napm_tensor *c = operator_input(model, op, 2);
    if (!a || !b || a->rank != 2 || b->rank != 2)
        return refuse(why, "A and B must be matrices");
    if (a->data)
        return refuse(why, "A is a constant");
    if (!b->data && (attribute_integer(op, "transA", 0) || attribute_integer(op, "transB", 0) || c ||
                     attribute_real(op, "alpha", 1.0f) != 1.0f))
        return refuse(why, "B is computed at run time and transA, transB, alpha or C is used");
    if (b->data && attribute_integer(op, "transA", 0) && a->dims[0] != 1 && a->dims[1] != 1)
        return refuse(why, "transA of a matrix");
    const struct napm_tensor *out = operator_output(model, op, 0);
    if (c && (!c->data || (tensor_elements(c) != 1 && tensor_elements(c) != out->dims[1]) ||
              (c->rank > 0 && tensor_elements(c) != 1 && c->dims[c->rank - 1] != out->dims[1])))
        return refuse(why, "C must be a constant with one number for each column");
    return 0;
}

static int check_matmul(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    const struct napm_tensor *a = operator_input(model, op, 0), *b = operator_input(model, op, 1);
    if (!a || !b || a->rank < 2 || b->rank < 2 || a->rank > 6 || b->rank > 6)
        return refuse(why, "A and B must have 2 to 6 dimensions");
    return 0;
}

static int check_normalisation(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    const struct napm_tensor *in = operator_input(model, op, 0);
    if (attribute_integer(op, "training_mode", 0))
        return refuse(why, "training_mode is set; export the model for inference");
    if (!in || in->rank < 2 || in->rank > 5)
        return refuse(why, "only inputs of 2 to 5 dimensions");
    for (uint32_t i = 1; i < 5; i++) {
        const struct napm_tensor *constant = operator_input(model, op, i);
        if (!constant || !constant->data || constant->element_type != NAPM_F32)
            return refuse(why, "scale, bias, mean and variance must be float constants");
    }
    return 0;
}

static int check_function(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    struct function_chain chain;
    return operator_function(model, op, &chain, why);
}

static int check_pooling(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    struct shim_window window;
    int extended;
    if (op->output_count > 1 && op->outputs[1] != NAPM_NONE)
        return refuse(why, "the Indices output");
    if (operator_window(model, op, &window, &extended, why))
        return -1;
    if (extended && op->type[0] == 'A' && attribute_integer(op, "count_include_pad", 0))
        return refuse(why, "ceil_mode together with count_include_pad");
    for (uint32_t i = 0; i < window.rank; i++)
        if (window.pad_before[i] >= window_reach(&window, i))
            return refuse(why, "pads as large as the window");
    return 0;
}

static int check_rank(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    const struct napm_tensor *in = operator_input(model, op, 0);
    if (!in || in->rank < 1 || in->rank > 6)
        return refuse(why, "only inputs of 1 to 6 dimensions");
    return 0;
}

static int check_global_pooling(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    const struct napm_tensor *in = operator_input(model, op, 0);
    if (!in || in->rank < 3 || in->rank > 5)
        return refuse(why, "only inputs of 3 to 5 dimensions");
    return 0;
}

static int check_concat(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    if (op->input_count > SHIM_MAX_SOURCES)
        return refuse(why, "more than %u inputs", SHIM_MAX_SOURCES);
    return check_rank(model, op, why);
}

static int check_lrn(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    const struct napm_tensor *in = operator_input(model, op, 0);
    if (!in || in->rank != 4)
        return refuse(why, "only inputs of 4 dimensions");
    if (attribute_integer(op, "size", 0) < 1 || attribute_integer(op, "size", 0) % 2 == 0)
        return refuse(why, "size must be odd");
    return 0;
}

static int check_pad(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    int64_t pads[12], axes[6];
    const char *mode = attribute_text(op, "mode", "constant");
    const struct napm_tensor *in = operator_input(model, op, 0), *value = operator_input(model, op, 2);
    if (check_rank(model, op, why))
        return -1;
    if (strcmp(mode, "constant") != 0 && strcmp(mode, "reflect") != 0 && strcmp(mode, "edge") != 0)
        return refuse(why, "mode %s", mode);
    int named = op->opset >= 18 ? operator_integers(model, op, "axes", 3, axes, 6) : 0;
    int count = operator_integers(model, op, "pads", 1, pads, 12);
    if (named < 0 || count != 2 * (named > 0 ? named : (int)in->rank))
        return refuse(why, "pads must be a constant with two numbers for each dimension");
    if (value && (!value->data || value->element_type != NAPM_F32))
        return refuse(why, "constant_value must be a float constant");
    return 0;
}

static int check_mean(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    int64_t axes[6];
    if (check_rank(model, op, why))
        return -1;
    if (operator_integers(model, op, "axes", op->opset >= 18 ? 1 : NAPM_NONE, axes, 6) < 0)
        return refuse(why, "axes must be constant");
    return 0;
}

static int check_walk(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    struct walk walk;
    for (uint32_t i = 0; i < op->output_count; i++) {
        const struct napm_tensor *out = operator_output(model, op, i);
        if (!out)
            return refuse(why, "output %u is left out", i);
        if (out->element_type != NAPM_F32 || out->rank > SHIM_MAX_RANK)
            return refuse(why, "output %u is not of floats, or of more than %u dimensions", i, SHIM_MAX_RANK);
        if (operator_walk(model, op, i, &walk, why))
            return -1;
    }
    return 0;
}

static int check_same(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    (void)model;
    if (op->output_count > 1 && op->outputs[1] != NAPM_NONE)
        return refuse(why, "the mask output");
    return 0;
}

typedef int (*check_function_type)(const struct napm_model *, const struct napm_operator *, struct reason *);

static const check_function_type checks[] = {
    [WORK_CONVOLUTION] = check_convolution,
    [WORK_GEMM] = check_gemm,
    [WORK_MATMUL] = check_matmul,
    [WORK_NORMALISATION] = check_normalisation,
    [WORK_FUNCTION] = check_function,
    [WORK_BINARY] = NULL,
    [WORK_POOLING] = check_pooling,
    [WORK_GLOBAL_POOLING] = check_global_pooling,
    [WORK_SAME] = check_same,
    [WORK_RESHAPE] = NULL,
    [WORK_CONCAT] = check_concat,
    [WORK_SOFTMAX] = check_rank,
    [WORK_LRN] = check_lrn,
    [WORK_TRANSPOSE] = check_rank,
    [WORK_PAD] = check_pad,
    [WORK_MEAN] = check_mean,
    [WORK_WALK] = check_walk,
};

/* Only floats flow, and no tensor has more dimensions than the library's layouts here. */
static int check_tensors(const struct napm_model *model, const struct napm_operator *op, struct reason *why)
{
    const struct napm_tensor *in = operator_input(model, op, 0), *out = operator_output(model, op, 0);
    if (!in || !out)
        return refuse(why, "an input or output is left out");
    if ((in->element_type != NAPM_F32 && !in->data) || out->element_type != NAPM_F32)
        return refuse(why, "tensor %s is not float", in->element_type != NAPM_F32 ? in->name : out->name);
    if (in->rank > SHIM_MAX_RANK || out->rank > SHIM_MAX_RANK)
        return refuse(why, "more than %u dimensions", SHIM_MAX_RANK);
    return 0;
}

int operator_check(const struct napm_model *model, uint32_t index, struct reason *why)
{
    const struct napm_operator *op = model->operators[index];
    const struct napm_tensor *out = operator_output(model, op, 0);
    struct reason detail;
    if (out && out->data)
        return 0; /* folded into a constant: nothing to compute */
    enum work work = operator_work(op);
    if (work == WORK_NONE)
        return refuse(why, "node %s: operator %s%s%s of opset %u is not supported by the onednn backend", op->name,
                      op->domain && op->domain[0] ? op->domain : "", op->domain && op->domain[0] ? "." : "", op->type,
                      op->opset);
    int failed = check_tensors(model, op, &detail);
    if (!failed && checks[work])
        failed = checks[work](model, op, &detail);
    if (failed)
        return refuse(why, "node %s: operator %s of opset %u is not supported by the onednn backend: %s", op->name,
                      op->type, op->opset, detail.text);
    return 0;
}
