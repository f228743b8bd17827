/* SPDX-License-Identifier: Apache-2.0 */
/* The operators that the reader knows, and the pass over the graph that uses them. */
#include "core/model/operators.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/nearest.h"

/* Traits of operators. */
enum {
    KEEPS_BYTES = 1, /* of a constant: the result is input 0 under another shape */
    PASSES_THROUGH = 2, /* the result is input 0: the node is left out */
    SHAPE_SUFFICES = 4, /* folding needs the inputs' shapes only */
};

struct operator_rule {
    const char *type;
    operator_function shape;
    fold_function fold; /* NULL: not computed beforehand */
    uint32_t inputs_least, inputs_most;
    uint32_t traits;
};

#define MANY UINT32_MAX

static const struct operator_rule rules[] = {
    {"Abs", shape_same, fold_unary, 1, 1, 0},
    {"Add", shape_broadcast, fold_binary, 2, 2, 0},
    {"AveragePool", shape_pool, NULL, 1, 1, 0},
    {"BatchNormalization", shape_batch_normalization, NULL, 5, 5, 0},
    {"Cast", shape_cast, fold_cast, 1, 1, 0},
    {"Ceil", shape_same, fold_unary, 1, 1, 0},
    {"Celu", shape_same, NULL, 1, 1, 0},
    {"Clip", shape_clip, NULL, 1, 3, 0},
    {"Concat", shape_concat, fold_concat, 1, MANY, 0},
    {"Constant", shape_constant, fold_constant, 0, 0, 0},
    {"ConstantOfShape", shape_constant_of_shape, fold_constant_of_shape, 1, 1, 0},
    {"Conv", shape_conv, NULL, 2, 3, 0},
    {"Div", shape_broadcast, fold_binary, 2, 2, 0},
    {"Dropout", shape_dropout, NULL, 1, 3, KEEPS_BYTES | PASSES_THROUGH},
    {"Elu", shape_same, NULL, 1, 1, 0},
    {"Equal", shape_compare, fold_binary, 2, 2, 0},
    {"Erf", shape_same, NULL, 1, 1, 0},
    {"Exp", shape_same, fold_unary, 1, 1, 0},
    {"Expand", shape_expand, fold_expand, 2, 2, 0},
    {"Flatten", shape_flatten, NULL, 1, 1, KEEPS_BYTES},
    {"Floor", shape_same, fold_unary, 1, 1, 0},
    {"Gather", shape_gather, fold_gather, 2, 2, 0},
    {"Gemm", shape_gemm, NULL, 2, 3, 0},
    {"GlobalAveragePool", shape_global_pool, NULL, 1, 1, 0},
    {"GlobalMaxPool", shape_global_pool, NULL, 1, 1, 0},
    {"Greater", shape_compare, fold_binary, 2, 2, 0},
    {"HardSigmoid", shape_same, NULL, 1, 1, 0},
    {"HardSwish", shape_same, NULL, 1, 1, 0},
    {"Identity", shape_same, NULL, 1, 1, KEEPS_BYTES | PASSES_THROUGH},
    {"LRN", shape_lrn, NULL, 1, 1, 0},
    {"LeakyRelu", shape_same, NULL, 1, 1, 0},
    {"Less", shape_compare, fold_binary, 2, 2, 0},
    {"Log", shape_same, NULL, 1, 1, 0},
    {"LogSoftmax", shape_axis, NULL, 1, 1, 0},
    {"MatMul", shape_matmul, NULL, 2, 2, 0},
    {"Max", shape_broadcast, fold_binary, 1, MANY, 0},
    {"MaxPool", shape_pool, NULL, 1, 1, 0},
    {"Mean", shape_broadcast, NULL, 1, MANY, 0},
    {"Min", shape_broadcast, fold_binary, 1, MANY, 0},
    {"Mul", shape_broadcast, fold_binary, 2, 2, 0},
    {"Neg", shape_same, fold_unary, 1, 1, 0},
    {"Not", shape_same, fold_unary, 1, 1, 0},
    {"PRelu", shape_prelu, NULL, 2, 2, 0},
    {"Pad", shape_pad, NULL, 1, 4, 0},
    {"Pow", shape_broadcast, fold_binary, 2, 2, 0},
    {"Range", shape_range, fold_range, 3, 3, 0},
    {"Reciprocal", shape_same, NULL, 1, 1, 0},
    {"ReduceMax", shape_reduce, NULL, 1, 2, 0},
    {"ReduceMean", shape_reduce, NULL, 1, 2, 0},
    {"ReduceMin", shape_reduce, NULL, 1, 2, 0},
    {"ReduceSum", shape_reduce, NULL, 1, 2, 0},
    {"Relu", shape_same, fold_unary, 1, 1, 0},
    {"Reshape", shape_reshape, NULL, 2, 2, KEEPS_BYTES},
    {"Round", shape_same, NULL, 1, 1, 0},
    {"Selu", shape_same, NULL, 1, 1, 0},
    {"Shape", shape_shape, fold_shape, 1, 1, SHAPE_SUFFICES},
    {"Sigmoid", shape_same, NULL, 1, 1, 0},
    {"Size", shape_size, fold_size, 1, 1, SHAPE_SUFFICES},
    {"Slice", shape_slice, fold_slice, 1, 5, 0},
    {"Softmax", shape_axis, NULL, 1, 1, 0},
    {"Softplus", shape_same, NULL, 1, 1, 0},
    {"Softsign", shape_same, NULL, 1, 1, 0},
    {"Split", shape_split, NULL, 1, 2, 0},
    {"Sqrt", shape_same, fold_unary, 1, 1, 0},
    {"Squeeze", shape_squeeze, NULL, 1, 2, KEEPS_BYTES},
    {"Sub", shape_broadcast, fold_binary, 2, 2, 0},
    {"Sum", shape_broadcast, fold_binary, 1, MANY, 0},
    {"Tanh", shape_same, NULL, 1, 1, 0},
    {"ThresholdedRelu", shape_same, NULL, 1, 1, 0},
    {"Transpose", shape_transpose, fold_transpose, 1, 1, 0},
    {"Unsqueeze", shape_unsqueeze, NULL, 1, 2, KEEPS_BYTES},
    {"Where", shape_where, fold_where, 3, 3, 0},
};
#define RULE_COUNT (sizeof(rules) / sizeof(*rules))

static int compare_rule(const void *type, const void *rule)
{
    return strcmp(type, ((const struct operator_rule *)rule)->type);
}

static int unknown_operator(const struct graph_node *node, struct error *error)
{
    if (node->domain[0])
        return graph_node_error(node, error, "operators of domain '%.100s' are not supported; export plain ONNX",
                                node->domain);
    const char *names[RULE_COUNT];
    for (size_t i = 0; i < RULE_COUNT; i++)
        names[i] = rules[i].type;
    const char *near = nearest_name(node->type, names, RULE_COUNT);
    if (near)
        return graph_node_error(node, error, "this operator is not supported; did you mean %s?", near);
    graph_node_error(node, error, "this operator is not supported; export the model without it. There are");
    for (size_t i = 0; i < RULE_COUNT; i++)
        error_append(error, "%s %s", i ? "," : "", names[i]);
    return -1;
}

static const struct operator_rule *find_rule(const struct graph_node *node, struct error *error)
{
    const struct operator_rule *rule = NULL;
    if (node->domain[0] == '\0')
        rule = bsearch(node->type, rules, RULE_COUNT, sizeof(*rules), compare_rule);
    if (!rule) {
        unknown_operator(node, error);
    } else if (node->input_count < rule->inputs_least || node->input_count > rule->inputs_most) {
        graph_node_error(node, error, "has %u inputs, which ONNX does not define", node->input_count);
        rule = NULL;
    }
    return rule;
}

/* ---- helpers of the shape functions */

const struct graph_value *operator_input(const struct operator_work *work, uint32_t index)
{
    const struct graph_value *value = graph_input(work->graph, work->node, index);
    if (!value)
        operator_error(work, "input %u is missing", index);
    else if (!value->has_shape) {
        operator_error(work, "its input '%.200s' is an output that the operator before does not give", value->name);
        value = NULL;
    }
    return value;
}

int operator_set_output(const struct operator_work *work, uint32_t index, uint32_t element_type, uint32_t rank,
                        const int64_t *dims)
{
    struct graph_value *value = graph_output(work->graph, work->node, index);
    if (rank > GRAPH_MAX_RANK)
        return operator_error(work, "its result has %u dimensions; %d is the limit", rank, GRAPH_MAX_RANK);
    if (graph_shape_elements(element_type, rank, dims) < 0)
        return operator_error(work, "its result would be absurdly large, or have a negative dimension");
    if (!value)
        return 0;
    value->element_type = element_type;
    value->rank = rank;
    if (rank)
        memcpy(value->dims, dims, rank * sizeof(*dims));
    value->has_shape = true;
    return 0;
}

int operator_constant_integers(const struct operator_work *work, uint32_t index, int64_t *numbers, uint32_t room,
                               bool *given)
{
    *given = graph_input(work->graph, work->node, index) != NULL;
    if (!*given)
        return 0;
    const struct graph_value *value = operator_input(work, index);
    if (!value)
        return -1;
    if (!value->is_constant)
        return operator_error(work, "its input '%.200s' is computed from the model's inputs; it must be a constant",
                              value->name);
    if (value->element_type == NAPM_F32 || value->element_type == NAPM_F64 || value->rank > 1 ||
        graph_elements(value) > room)
        return operator_error(work, "its input '%.200s' should be a list of at most %u integers", value->name, room);
    for (uint64_t i = 0; i < graph_elements(value); i++)
        numbers[i] = graph_constant_integer(value, i);
    return (int)graph_elements(value);
}

int operator_axis(const struct operator_work *work, int64_t axis, uint32_t rank, bool past_end)
{
    int64_t end = (int64_t)rank + past_end;
    if (axis < -(int64_t)rank || axis >= end)
        return operator_error(work, "axis %lld is out of range for %u dimensions", (long long)axis, rank);
    return (int)(axis < 0 ? axis + (int64_t)rank : axis);
}

int operator_axes(const struct operator_work *work, int64_t input_since, uint32_t input, uint32_t rank, uint32_t *axes,
                  bool *given)
{
    int64_t numbers[GRAPH_MAX_RANK];
    const int64_t *list = numbers;
    int count;
    if (work->node->opset >= input_since) {
        count = operator_constant_integers(work, input, numbers, GRAPH_MAX_RANK, given);
    } else {
        count = (int)graph_integers(work->node, "axes", &list);
        *given = graph_attribute(work->node, "axes") != NULL;
    }
    *axes = 0;
    for (int i = 0; i < count; i++) {
        int axis = operator_axis(work, list[i], rank, false);
        if (axis < 0)
            return -1;
        if (*axes & 1u << axis)
            return operator_error(work, "axis %d is given twice", axis);
        *axes |= 1u << axis;
    }
    return count < 0 ? -1 : 0;
}

int operator_broadcast(const struct graph_value *a, const struct graph_value *b, uint32_t *rank, int64_t *dims)
{
    /* Worked out apart, because the caller may store the result into one of the inputs. */
    int64_t result[GRAPH_MAX_RANK];
    uint32_t most = a->rank > b->rank ? a->rank : b->rank;
    for (uint32_t i = 0; i < most; i++) {
        int64_t x = i + a->rank >= most ? a->dims[i + a->rank - most] : 1;
        int64_t y = i + b->rank >= most ? b->dims[i + b->rank - most] : 1;
        if (x != y && x != 1 && y != 1)
            return -1;
        result[i] = x == 1 ? y : x;
    }
    *rank = most;
    memcpy(dims, result, most * sizeof(*dims));
    return 0;
}

/* ---- the pass */

/* Inputs whose producers were left out are replaced by what stands for them. */
static void follow_aliases(struct graph *graph, struct graph_node *node)
{
    for (uint32_t i = 0; i < node->input_count; i++) {
        struct graph_value *input = graph_input(graph, node, i);
        if (input && input->same_as != NAPM_NONE)
            node->inputs[i] = input->same_as;
    }
}

static bool inputs_are_constant(const struct graph *graph, const struct graph_node *node)
{
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct graph_value *input = graph_input(graph, node, i);
        if (input && !input->is_constant)
            return false;
    }
    return true;
}

/* Computes the result of a node into memory of its own. Returns 0 (done), 1 (left as it is) or -1. */
static int compute(const struct operator_work *work, const struct operator_rule *rule, struct graph_value *output)
{
    uint64_t bytes = graph_elements(output) * graph_element_bytes(output->element_type);
    if (bytes > work->graph->fold_room_bytes)
        return operator_error(work, "its constant result of %llu bytes is more than a model of this size should need",
                              (unsigned long long)bytes);
    uint8_t *block = memory_try_aligned(bytes ? bytes : 1);
    if (!block)
        return error_set(work->error, ERROR_RUN, "no memory for a constant of %llu bytes", (unsigned long long)bytes);
    int status = rule->fold(work, block);
    if (status) {
        free(block);
        return status;
    }
    work->graph->fold_room_bytes -= bytes;
    graph_adopt(work->graph, block);
    output->data = block;
    return 0;
}

/* Makes the result of a node constant where it can be known now. Returns 0 (done), 1 (left as it is) or -1. */
static int fold(const struct operator_work *work, const struct operator_rule *rule)
{
    struct graph_value *output = graph_output(work->graph, work->node, 0);
    int status = 1;
    if (!output)
        return 1;
    if (output->is_constant) /* a Constant's tensor, shared by its shape function */
        status = 0;
    else if (!(rule->traits & SHAPE_SUFFICES) && !inputs_are_constant(work->graph, work->node))
        return 1;
    else if (rule->traits & KEEPS_BYTES) {
        output->data = graph_input(work->graph, work->node, 0)->data;
        status = 0;
    } else if (rule->fold)
        status = compute(work, rule, output);
    if (status == 0)
        output->is_constant = work->node->removed = true;
    return status;
}

/* What is computed at run time must be float32 and not empty. */
static int check_activation(const struct operator_work *work)
{
    for (uint32_t o = 0; o < work->node->output_count; o++) {
        const struct graph_value *output = graph_output(work->graph, work->node, o);
        if (!output || !output->has_shape)
            continue;
        if (output->element_type != NAPM_F32)
            return operator_error(work, "computes '%.200s' in %s; only float32 is computed at run time", output->name,
                                  graph_element_name(output->element_type));
        if (graph_elements(output) == 0)
            return operator_error(work, "its result '%.200s' is empty (a dimension is 0)", output->name);
    }
    return 0;
}

static int resolve_node(struct graph *graph, struct graph_node *node, struct error *error)
{
    const struct operator_rule *rule = find_rule(node, error);
    struct operator_work work = {graph, node, error};
    if (!rule)
        return -1;
    follow_aliases(graph, node);
    if (rule->shape(&work))
        return -1;
    struct graph_value *output = graph_output(graph, node, 0);
    if ((rule->traits & PASSES_THROUGH) && output && !output->is_output) {
        output->same_as = node->inputs[0];
        node->removed = true;
        return 0;
    }
    int status = fold(&work, rule);
    return status > 0 ? check_activation(&work) : status;
}

int operators_resolve(struct graph *graph, struct error *error)
{
    for (size_t n = 0; n < graph->nodes.count; n++)
        if (resolve_node(graph, &graph->nodes.items[n], error))
            return -1;
    for (size_t i = 0; i < graph->outputs.count; i++) {
        const struct graph_value *output = &graph->values.items[graph->outputs.items[i]];
        if (output->is_constant)
            return error_set(error, ERROR_INPUT, "output '%.200s' does not depend on any input of the model",
                             output->name);
        if (!output->has_shape)
            return error_set(error, ERROR_INPUT, "output '%.200s' is an optional result that is not computed here",
                             output->name);
    }
    graph_sweep(graph);
    graph_link(graph);
    return 0;
}
