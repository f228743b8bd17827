/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic work of operators. */
#include "core/model/cost.h"

#include <string.h>

/* Operators that work element by element: operations for each element of the output. */
static const struct {
    const char *type;
    double each;
} elementwise[] = {
    {"Abs", 1},        {"Add", 1},       {"BatchNormalization", 2},
    {"Ceil", 1},       {"Celu", 3},      {"Clip", 2},
    {"Div", 1},        {"Elu", 3},       {"Erf", 10},
    {"Exp", 4},        {"Floor", 1},     {"HardSigmoid", 4},
    {"HardSwish", 5},  {"LeakyRelu", 2}, {"Log", 4},
    {"LogSoftmax", 7}, {"Max", 1},       {"Mean", 1},
    {"Min", 1},        {"Mul", 1},       {"Neg", 1},
    {"PRelu", 2},      {"Pow", 4},       {"Reciprocal", 1},
    {"Relu", 1},       {"Round", 1},     {"Selu", 3},
    {"Sigmoid", 6},    {"Softmax", 7},   {"Softplus", 6},
    {"Softsign", 3},   {"Sqrt", 1},      {"Sub", 1},
    {"Sum", 1},        {"Tanh", 8},      {"ThresholdedRelu", 1},
};

static double product(const struct graph_value *value, uint32_t from)
{
    double result = 1;
    for (uint32_t d = from; d < value->rank; d++)
        result *= (double)value->dims[d];
    return result;
}

/* Multiply-adds that go into one element of a convolution's or matrix product's result. */
static double depth(const struct graph *graph, const struct graph_node *node)
{
    const struct graph_value *a = graph_input(graph, node, 0), *b = graph_input(graph, node, 1);
    if (strcmp(node->type, "Conv") == 0)
        return product(b, 1);
    if (strcmp(node->type, "Gemm") == 0)
        return (double)a->dims[graph_integer(node, "transA", 0) ? 0 : 1];
    return (double)a->dims[a->rank - 1];
}

static double window_size(const struct graph_node *node)
{
    const int64_t *kernel;
    uint32_t axes = graph_integers(node, "kernel_shape", &kernel);
    double size = 1;
    for (uint32_t i = 0; i < axes; i++)
        size *= (double)kernel[i];
    return size;
}

double cost_flops(const struct graph *graph, const struct graph_node *node)
{
    const char *type = node->type;
    const struct graph_value *output = graph_output(graph, node, 0);
    if (!output)
        return 0;
    double results = product(output, 0);
    if (strcmp(type, "Conv") == 0 || strcmp(type, "Gemm") == 0 || strcmp(type, "MatMul") == 0)
        return results * (2 * depth(graph, node) + (graph_input(graph, node, 2) ? 1 : 0));
    if (strcmp(type, "MaxPool") == 0 || strcmp(type, "AveragePool") == 0)
        return results * window_size(node);
    if (strcmp(type, "GlobalAveragePool") == 0 || strcmp(type, "GlobalMaxPool") == 0 ||
        strncmp(type, "Reduce", strlen("Reduce")) == 0)
        return product(graph_input(graph, node, 0), 0);
    if (strcmp(type, "LRN") == 0)
        return results * (2 * (double)graph_integer(node, "size", 1) + 8);
    for (size_t i = 0; i < sizeof(elementwise) / sizeof(*elementwise); i++)
        if (strcmp(type, elementwise[i].type) == 0)
            return results * elementwise[i].each;
    return 0;
}

bool cost_is_parameter(const struct graph *graph, const struct graph_node *node, uint32_t index)
{
    const struct graph_value *value = graph_input(graph, node, index);
    bool is_setting = index > 0 && (strcmp(node->type, "Clip") == 0 || strcmp(node->type, "Pad") == 0);
    return value && value->is_constant && value->element_type == NAPM_F32 && !is_setting;
}
