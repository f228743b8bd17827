/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operators that the reference backend computes, and the functions of single elements. */
#include <math.h>
#include <string.h>

#include "reference.h"

static double relu(double x, const double *p)
{
    (void)p;
    return x < 0.0 ? 0.0 : x;
}

static double sigmoid(double x, const double *p)
{
    (void)p;
    return 1.0 / (1.0 + exp(-x));
}

static double hard_sigmoid(double x, const double *p)
{
    return fmax(0.0, fmin(1.0, p[0] * x + p[1]));
}

static double hard_swish(double x, const double *p)
{
    (void)p;
    return x * fmax(0.0, fmin(1.0, x / 6.0 + 0.5));
}

static double leaky_relu(double x, const double *p)
{
    return x < 0.0 ? p[0] * x : x;
}

static double elu(double x, const double *p)
{
    return x < 0.0 ? p[0] * expm1(x) : x;
}

static double selu(double x, const double *p)
{
    return p[1] * (x > 0.0 ? x : p[0] * expm1(x));
}

static double celu(double x, const double *p)
{
    return fmax(0.0, x) + fmin(0.0, p[0] * expm1(x / p[0]));
}

static double thresholded_relu(double x, const double *p)
{
    return x > p[0] ? x : 0.0;
}

static double softplus(double x, const double *p)
{
    (void)p;
    return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double softsign(double x, const double *p)
{
    (void)p;
    return x / (1.0 + fabs(x));
}

static double negative(double x, const double *p)
{
    (void)p;
    return -x;
}

static double reciprocal(double x, const double *p)
{
    (void)p;
    return 1.0 / x;
}

/* A function of the C library as an element function. */
#define LIBRARY(name, function)                                                                                        \
    static double name(double x, const double *p)                                                                      \
    {                                                                                                                  \
        (void)p;                                                                                                       \
        return function(x);                                                                                            \
    }
LIBRARY(hyperbolic_tangent, tanh)
LIBRARY(absolute, fabs)
LIBRARY(exponential, exp)
LIBRARY(logarithm, log)
LIBRARY(square_root, sqrt)
LIBRARY(error_function, erf)
LIBRARY(round_down, floor)
LIBRARY(round_up, ceil)
LIBRARY(round_to_even, nearbyint)

static double add(double x, double y)
{
    return x + y;
}

static double subtract(double x, double y)
{
    return x - y;
}

static double multiply(double x, double y)
{
    return x * y;
}

static double divide(double x, double y)
{
    return x / y;
}

static double greater(double x, double y)
{
    return y > x || isnan(y) ? y : x;
}

static double lesser(double x, double y)
{
    return y < x || isnan(y) ? y : x;
}

static double prelu(double x, double slope)
{
    return x < 0.0 ? slope * x : x;
}

#define UNARY(type_, function, ...)                                                                                    \
    {                                                                                                                  \
        .type = type_, .plan = plan_unary, .compute = compute_unary, .least_inputs = 1, .most_inputs = 1,              \
        .most_outputs = 1, .unary = function, __VA_ARGS__                                                              \
    }
#define BINARY(type_, function, compute_, least, most)                                                                 \
    {                                                                                                                  \
        .type = type_, .plan = plan_binary, .compute = compute_, .least_inputs = least, .most_inputs = most,           \
        .most_outputs = 1, .binary = function                                                                          \
    }
/* Operators that move elements; input 0 holds them, those behind it hold integers. */
#define MOVE(type_, plan_, compute_, most)                                                                             \
    {                                                                                                                  \
        .type = type_, .plan = plan_, .compute = compute_, .least_inputs = 1, .most_inputs = most, .most_outputs = 1,  \
        .integer_inputs = ~1u, .any_type = true                                                                        \
    }
#define REDUCE(type_, compute_)                                                                                        \
    {                                                                                                                  \
        .type = type_, .plan = plan_reduce, .compute = compute_, .least_inputs = 1, .most_inputs = 2,                  \
        .most_outputs = 1, .integer_inputs = 2u                                                                        \
    }
#define OTHER(type_, plan_, load_, compute_, least, most)                                                              \
    {                                                                                                                  \
        .type = type_, .plan = plan_, .load = load_, .compute = compute_, .least_inputs = least, .most_inputs = most,  \
        .most_outputs = 1                                                                                              \
    }

static const struct kind kinds[] = {
    OTHER("Conv", plan_conv, load_conv, compute_conv, 2, 3),
    OTHER("Gemm", plan_gemm, load_gemm, compute_gemm, 2, 3),
    OTHER("MatMul", plan_matmul, load_matmul, compute_matmul, 2, 2),
    OTHER("BatchNormalization", plan_batch_normalization, NULL, compute_batch_normalization, 5, 5),
    OTHER("MaxPool", plan_pool, NULL, compute_max_pool, 1, 1),
    OTHER("AveragePool", plan_pool, NULL, compute_average_pool, 1, 1),
    OTHER("GlobalAveragePool", plan_global_pool, NULL, compute_reduce_mean, 1, 1),
    OTHER("GlobalMaxPool", plan_global_pool, NULL, compute_reduce_max, 1, 1),
    OTHER("LRN", plan_lrn, NULL, compute_lrn, 1, 1),
    OTHER("Softmax", plan_softmax, NULL, compute_softmax, 1, 1),
    OTHER("LogSoftmax", plan_softmax, NULL, compute_log_softmax, 1, 1),
    REDUCE("ReduceMean", compute_reduce_mean),
    REDUCE("ReduceSum", compute_reduce_sum),
    REDUCE("ReduceMax", compute_reduce_max),
    REDUCE("ReduceMin", compute_reduce_min),

    UNARY("Relu", relu),
    UNARY("Sigmoid", sigmoid),
    UNARY("Tanh", hyperbolic_tangent),
    UNARY("HardSigmoid", hard_sigmoid, .reals = {{"alpha", (double)0.2f}, {"beta", 0.5}}),
    UNARY("HardSwish", hard_swish),
    UNARY("LeakyRelu", leaky_relu, .reals = {{"alpha", (double)0.01f}}),
    UNARY("Elu", elu, .reals = {{"alpha", 1.0}}),
    UNARY("Selu", selu,
          .reals = {{"alpha", (double)1.67326319217681884765625f}, {"gamma", (double)1.05070102214813232421875f}}),
    UNARY("Celu", celu, .reals = {{"alpha", 1.0}}),
    UNARY("ThresholdedRelu", thresholded_relu, .reals = {{"alpha", 1.0}}),
    UNARY("Softplus", softplus),
    UNARY("Softsign", softsign),
    UNARY("Abs", absolute),
    UNARY("Neg", negative),
    UNARY("Exp", exponential),
    UNARY("Log", logarithm),
    UNARY("Sqrt", square_root),
    UNARY("Reciprocal", reciprocal),
    UNARY("Erf", error_function),
    UNARY("Floor", round_down),
    UNARY("Ceil", round_up),
    UNARY("Round", round_to_even),
    OTHER("Clip", plan_clip, NULL, compute_clip, 1, 3),

    BINARY("Add", add, compute_binary, 2, 2),
    BINARY("Sub", subtract, compute_binary, 2, 2),
    BINARY("Mul", multiply, compute_binary, 2, 2),
    BINARY("Div", divide, compute_binary, 2, 2),
    BINARY("Pow", pow, compute_binary, 2, 2),
    BINARY("PRelu", prelu, compute_binary, 2, 2),
    BINARY("Sum", add, compute_binary, 1, MAX_INPUTS),
    BINARY("Mean", add, compute_mean, 1, MAX_INPUTS),
    BINARY("Max", greater, compute_binary, 1, MAX_INPUTS),
    BINARY("Min", lesser, compute_binary, 1, MAX_INPUTS),

    MOVE("Identity", plan_copy, compute_copy, 1),
    MOVE("Reshape", plan_copy, compute_copy, 2),
    MOVE("Flatten", plan_copy, compute_copy, 1),
    MOVE("Squeeze", plan_copy, compute_copy, 2),
    MOVE("Unsqueeze", plan_copy, compute_copy, 2),
    MOVE("Transpose", plan_transpose, compute_view, 1),
    MOVE("Slice", plan_slice, compute_view, 5),
    MOVE("Expand", plan_expand, compute_view, 2),
    MOVE("Gather", plan_gather, compute_gather, 2),
    {.type = "Pad",
     .plan = plan_pad,
     .compute = compute_pad,
     .least_inputs = 1,
     .most_inputs = 4,
     .most_outputs = 1,
     .integer_inputs = 2u | 8u,
     .any_type = true},
    {.type = "Dropout",
     .plan = plan_dropout,
     .compute = compute_dropout,
     .least_inputs = 1,
     .most_inputs = 3,
     .most_outputs = 2,
     .any_type = true},
    {.type = "Concat",
     .plan = plan_concat,
     .compute = compute_concat,
     .least_inputs = 1,
     .most_inputs = MAX_INPUTS,
     .most_outputs = 1,
     .any_type = true},
    {.type = "Split",
     .plan = plan_split,
     .compute = compute_split,
     .least_inputs = 1,
     .most_inputs = 2,
     .most_outputs = MAX_INPUTS,
     .integer_inputs = 2u,
     .any_type = true},
};

const struct kind *kind_find(const char *type)
{
    for (uint32_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strcmp(kinds[i].type, type) == 0)
            return &kinds[i];
    return NULL;
}
