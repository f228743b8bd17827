/* SPDX-License-Identifier: Apache-2.0 */
/* The reference backend: every operator against numbers worked out by hand, refusals, and the life of its objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "tests/backend/backend_trial.h"
#include "tests/backend/model_maker.h"

#define MOST_VALUES 6

struct value {
    uint32_t type; /* 0: left out */
    uint32_t rank;
    int64_t dims[8];
    const void *data; /* outputs of a refusal have none */
};

struct operator_case {
    const char *what;
    const char *type;
    uint32_t opset;
    struct napm_attribute attributes[6];
    struct value inputs[MOST_VALUES];
    struct value outputs[3];
    const char *refusal; /* part of the expected text */
    const char *domain;
};

#define DIMS(...)                                                                                                      \
    sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                                                                \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define SCALAR                                                                                                         \
    0,                                                                                                                 \
    {                                                                                                                  \
        0                                                                                                              \
    }
#define VALUE(dims, ...)                                                                                               \
    {                                                                                                                  \
        NAPM_F32, dims, (const float[])                                                                                \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }
#define INTEGERS(dims, ...)                                                                                            \
    {                                                                                                                  \
        NAPM_I64, dims, (const int64_t[])                                                                              \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }
#define ANY(dims)                                                                                                      \
    {                                                                                                                  \
        NAPM_F32, dims, NULL                                                                                           \
    }
#define NONE                                                                                                           \
    {                                                                                                                  \
        0, SCALAR, NULL                                                                                                \
    }

static const struct operator_case cases[] = {
    /* Conv */
    {"Conv sums each window and adds the bias",
     "Conv",
     13,
     {{0}},
     {VALUE(DIMS(1, 1, 3, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9), VALUE(DIMS(1, 1, 2, 2), 1, 1, 1, 1), VALUE(DIMS(1), 1)},
     {VALUE(DIMS(1, 1, 2, 2), 13, 17, 25, 29)},
     NULL,
     ""},
    {"Conv pads with zeros and strides",
     "Conv",
     13,
     {MAKER_INTEGERS("pads", 1, 1, 1, 1), MAKER_INTEGERS("strides", 2, 2), MAKER_INTEGERS("kernel_shape", 3, 3)},
     {VALUE(DIMS(1, 1, 3, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9), VALUE(DIMS(1, 1, 3, 3), 1, 1, 1, 1, 1, 1, 1, 1, 1)},
     {VALUE(DIMS(1, 1, 2, 2), 12, 16, 24, 28)},
     NULL,
     ""},
    {"Conv pads at the beginning alone",
     "Conv",
     13,
     {MAKER_INTEGERS("pads", 1, 1, 0, 0)},
     {VALUE(DIMS(1, 1, 3, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9), VALUE(DIMS(1, 1, 2, 2), 1, 1, 1, 1)},
     {VALUE(DIMS(1, 1, 3, 3), 1, 3, 5, 5, 12, 16, 11, 24, 28)},
     NULL,
     ""},
    {"Conv dilates",
     "Conv",
     13,
     {MAKER_INTEGERS("dilations", 2, 2)},
     {VALUE(DIMS(1, 1, 3, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9), VALUE(DIMS(1, 1, 2, 2), 1, 2, 3, 4)},
     {VALUE(DIMS(1, 1, 1, 1), 64)},
     NULL,
     ""},
    {"Conv keeps groups apart",
     "Conv",
     13,
     {MAKER_INTEGER("group", 2)},
     {VALUE(DIMS(1, 2, 1, 2), 1, 2, 3, 4), VALUE(DIMS(2, 1, 1, 1), 10, 100)},
     {VALUE(DIMS(1, 2, 1, 2), 10, 20, 300, 400)},
     NULL,
     ""},
    {"Conv SAME_UPPER pads at the end",
     "Conv",
     13,
     {MAKER_TEXT("auto_pad", "SAME_UPPER")},
     {VALUE(DIMS(1, 1, 4), 1, 2, 3, 4), VALUE(DIMS(1, 1, 2), 1, 10)},
     {VALUE(DIMS(1, 1, 4), 21, 32, 43, 4)},
     NULL,
     ""},
    {"Conv SAME_LOWER pads at the beginning",
     "Conv",
     13,
     {MAKER_TEXT("auto_pad", "SAME_LOWER")},
     {VALUE(DIMS(1, 1, 4), 1, 2, 3, 4), VALUE(DIMS(1, 1, 2), 1, 10)},
     {VALUE(DIMS(1, 1, 4), 10, 21, 32, 43)},
     NULL,
     ""},
    {"Conv takes batches and more channels than a panel",
     "Conv",
     13,
     {{0}},
     {VALUE(DIMS(2, 1, 1, 1), 1, 2), VALUE(DIMS(9, 1, 1, 1), 1, 2, 3, 4, 5, 6, 7, 8, 9)},
     {VALUE(DIMS(2, 9, 1, 1), 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 4, 6, 8, 10, 12, 14, 16, 18)},
     NULL,
     ""},
    {"Conv in three dimensions",
     "Conv",
     13,
     {{0}},
     {VALUE(DIMS(1, 1, 2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8), VALUE(DIMS(1, 1, 2, 2, 2), 1, 1, 1, 1, 1, 1, 1, 1)},
     {VALUE(DIMS(1, 1, 1, 1, 1), 36)},
     NULL,
     ""},
    /* Gemm, MatMul */
    {"Gemm transposes, scales and broadcasts a row",
     "Gemm",
     13,
     {MAKER_INTEGER("transA", 1), MAKER_INTEGER("transB", 1), MAKER_REAL("alpha", 0.5), MAKER_REAL("beta", 2.0)},
     {VALUE(DIMS(2, 3), 1, 2, 3, 4, 5, 6), VALUE(DIMS(2, 2), 1, 0, 1, 1), VALUE(DIMS(2), 10, 20)},
     {VALUE(DIMS(3, 2), 20.5, 42.5, 21, 43.5, 21.5, 44.5)},
     NULL,
     ""},
    {"Gemm broadcasts a column",
     "Gemm",
     13,
     {{0}},
     {VALUE(DIMS(2, 1), 1, 2), VALUE(DIMS(1, 2), 3, 4), VALUE(DIMS(2, 1), 100, 200)},
     {VALUE(DIMS(2, 2), 103, 104, 206, 208)},
     NULL,
     ""},
    {"MatMul broadcasts batches",
     "MatMul",
     13,
     {{0}},
     {VALUE(DIMS(2, 1, 1, 2), 1, 2, 3, 4), VALUE(DIMS(1, 2, 2, 1), 5, 6, 7, 8)},
     {VALUE(DIMS(2, 2, 1, 1), 17, 23, 39, 53)},
     NULL,
     ""},
    {"MatMul of two vectors is a number",
     "MatMul",
     13,
     {{0}},
     {VALUE(DIMS(3), 1, 2, 3), VALUE(DIMS(3), 4, 5, 6)},
     {VALUE(SCALAR, 32)},
     NULL,
     ""},
    {"MatMul of a matrix and a vector is a vector",
     "MatMul",
     13,
     {{0}},
     {VALUE(DIMS(2, 2), 1, 2, 3, 4), VALUE(DIMS(2), 5, 6)},
     {VALUE(DIMS(2), 17, 39)},
     NULL,
     ""},
    /* normalisation */
    {"BatchNormalization uses the statistics given",
     "BatchNormalization",
     15,
     {MAKER_REAL("epsilon", 1.0)},
     {VALUE(DIMS(1, 2, 1, 1), 1, 2), VALUE(DIMS(2), 2, 3), VALUE(DIMS(2), 10, 20), VALUE(DIMS(2), 0, 1),
      VALUE(DIMS(2), 3, 0)},
     {VALUE(DIMS(1, 2, 1, 1), 11, 23)},
     NULL,
     ""},
    {"LRN of odd size",
     "LRN",
     13,
     {MAKER_INTEGER("size", 3), MAKER_REAL("alpha", 3.0), MAKER_REAL("beta", 1.0), MAKER_REAL("bias", 1.0)},
     {VALUE(DIMS(1, 3, 1, 1), 1, 2, 3)},
     {VALUE(DIMS(1, 3, 1, 1), 1 / 6.0f, 2 / 15.0f, 3 / 14.0f)},
     NULL,
     ""},
    {"LRN of even size reaches further up",
     "LRN",
     13,
     {MAKER_INTEGER("size", 2), MAKER_REAL("alpha", 2.0), MAKER_REAL("beta", 1.0), MAKER_REAL("bias", 1.0)},
     {VALUE(DIMS(1, 2, 1, 1), 1, 2)},
     {VALUE(DIMS(1, 2, 1, 1), 1 / 6.0f, 2 / 5.0f)},
     NULL,
     ""},
    {"Softmax before opset 13 takes all axes from one on",
     "Softmax",
     11,
     {{0}},
     {VALUE(DIMS(1, 2, 2), 7, 7, 7, 7)},
     {VALUE(DIMS(1, 2, 2), 0.25, 0.25, 0.25, 0.25)},
     NULL,
     ""},
    {"Softmax since opset 13 takes the last axis",
     "Softmax",
     13,
     {{0}},
     {VALUE(DIMS(1, 2, 2), 1000, 1000, 3, 3)},
     {VALUE(DIMS(1, 2, 2), 0.5, 0.5, 0.5, 0.5)},
     NULL,
     ""},
    {"Softmax along an axis in the middle",
     "Softmax",
     13,
     {MAKER_INTEGER("axis", 1)},
     {VALUE(DIMS(1, 2, 2), 0, 0, 0, 100)},
     {VALUE(DIMS(1, 2, 2), 0.5, 0, 0.5, 1)},
     NULL,
     ""},
    {"LogSoftmax",
     "LogSoftmax",
     13,
     {{0}},
     {VALUE(DIMS(2), 5, 5)},
     {VALUE(DIMS(2), -0.69314718f, -0.69314718f)},
     NULL,
     ""},
    /* pooling */
    {"MaxPool drops an incomplete window",
     "MaxPool",
     12,
     {MAKER_INTEGERS("kernel_shape", 2), MAKER_INTEGERS("strides", 2)},
     {VALUE(DIMS(1, 1, 5), 1, 2, 3, 4, 5)},
     {VALUE(DIMS(1, 1, 2), 2, 4)},
     NULL,
     ""},
    {"MaxPool with ceil_mode keeps it",
     "MaxPool",
     12,
     {MAKER_INTEGERS("kernel_shape", 2), MAKER_INTEGERS("strides", 2), MAKER_INTEGER("ceil_mode", 1)},
     {VALUE(DIMS(1, 1, 5), 1, 2, 3, 4, 5)},
     {VALUE(DIMS(1, 1, 3), 2, 4, 5)},
     NULL,
     ""},
    {"MaxPool with ceil_mode may drop a window of padding",
     "MaxPool",
     12,
     {MAKER_INTEGERS("kernel_shape", 1), MAKER_INTEGERS("strides", 2), MAKER_INTEGERS("pads", 0, 1),
      MAKER_INTEGER("ceil_mode", 1)},
     {VALUE(DIMS(1, 1, 2), 5, 6)},
     {VALUE(DIMS(1, 1, 1), 5)},
     NULL,
     ""},
    {"MaxPool dilates",
     "MaxPool",
     12,
     {MAKER_INTEGERS("kernel_shape", 2), MAKER_INTEGERS("dilations", 2)},
     {VALUE(DIMS(1, 1, 5), 1, 2, 3, 4, 5)},
     {VALUE(DIMS(1, 1, 3), 3, 4, 5)},
     NULL,
     ""},
    {"MaxPool never takes the padding for a value",
     "MaxPool",
     12,
     {MAKER_INTEGERS("kernel_shape", 2), MAKER_INTEGERS("pads", 1, 1)},
     {VALUE(DIMS(1, 1, 2), -1, -2)},
     {VALUE(DIMS(1, 1, 3), -1, -1, -2)},
     NULL,
     ""},
    {"AveragePool leaves padding out of the count",
     "AveragePool",
     11,
     {MAKER_INTEGERS("kernel_shape", 2), MAKER_INTEGERS("pads", 1, 1)},
     {VALUE(DIMS(1, 1, 2), 2, 4)},
     {VALUE(DIMS(1, 1, 3), 2, 3, 4)},
     NULL,
     ""},
    {"AveragePool counts padding where asked to",
     "AveragePool",
     11,
     {MAKER_INTEGERS("kernel_shape", 2), MAKER_INTEGERS("pads", 1, 1), MAKER_INTEGER("count_include_pad", 1)},
     {VALUE(DIMS(1, 1, 2), 2, 4)},
     {VALUE(DIMS(1, 1, 3), 1, 3, 2)},
     NULL,
     ""},
    {"AveragePool never counts what ceil_mode adds",
     "AveragePool",
     11,
     {MAKER_INTEGERS("kernel_shape", 2), MAKER_INTEGERS("strides", 2), MAKER_INTEGER("ceil_mode", 1),
      MAKER_INTEGER("count_include_pad", 1)},
     {VALUE(DIMS(1, 1, 3), 1, 2, 3)},
     {VALUE(DIMS(1, 1, 2), 1.5, 3)},
     NULL,
     ""},
    {"AveragePool dilates",
     "AveragePool",
     19,
     {MAKER_INTEGERS("kernel_shape", 2), MAKER_INTEGERS("dilations", 2)},
     {VALUE(DIMS(1, 1, 4), 1, 2, 3, 4)},
     {VALUE(DIMS(1, 1, 2), 2, 3)},
     NULL,
     ""},
    {"GlobalAveragePool",
     "GlobalAveragePool",
     13,
     {{0}},
     {VALUE(DIMS(1, 2, 1, 2), 1, 3, -1, -5)},
     {VALUE(DIMS(1, 2, 1, 1), 2, -3)},
     NULL,
     ""},
    {"GlobalMaxPool",
     "GlobalMaxPool",
     13,
     {{0}},
     {VALUE(DIMS(1, 2, 1, 2), 1, 3, -1, -5)},
     {VALUE(DIMS(1, 2, 1, 1), 3, -1)},
     NULL,
     ""},
    {"ReduceMean by attribute keeps dimensions",
     "ReduceMean",
     13,
     {MAKER_INTEGERS("axes", -1)},
     {VALUE(DIMS(2, 2), 1, 3, 5, 9)},
     {VALUE(DIMS(2, 1), 2, 7)},
     NULL,
     ""},
    {"ReduceMean by input drops dimensions",
     "ReduceMean",
     18,
     {MAKER_INTEGER("keepdims", 0)},
     {VALUE(DIMS(2, 2), 1, 3, 5, 9), INTEGERS(DIMS(1), 0)},
     {VALUE(DIMS(2), 3, 6)},
     NULL,
     ""},
    {"ReduceMean of everything",
     "ReduceMean",
     13,
     {MAKER_INTEGER("keepdims", 0)},
     {VALUE(DIMS(2, 2), 1, 3, 5, 9)},
     {VALUE(SCALAR, 4.5)},
     NULL,
     ""},
    {"ReduceMean of nothing",
     "ReduceMean",
     18,
     {MAKER_INTEGER("noop_with_empty_axes", 1)},
     {VALUE(DIMS(2), 1, 3)},
     {VALUE(DIMS(2), 1, 3)},
     NULL,
     ""},
    {"ReduceSum",
     "ReduceSum",
     13,
     {{0}},
     {VALUE(DIMS(2, 2), 1, 3, 5, 9), INTEGERS(DIMS(1), 1)},
     {VALUE(DIMS(2, 1), 4, 14)},
     NULL,
     ""},
    {"ReduceMax",
     "ReduceMax",
     13,
     {MAKER_INTEGERS("axes", 0)},
     {VALUE(DIMS(2, 2), 1, 9, 5, 3)},
     {VALUE(DIMS(1, 2), 5, 9)},
     NULL,
     ""},
    {"ReduceMin",
     "ReduceMin",
     13,
     {MAKER_INTEGERS("axes", 0)},
     {VALUE(DIMS(2, 2), 1, 9, 5, 3)},
     {VALUE(DIMS(1, 2), 1, 3)},
     NULL,
     ""},
    /* single elements */
    {"Relu", "Relu", 13, {{0}}, {VALUE(DIMS(3), -1, 0, 2)}, {VALUE(DIMS(3), 0, 0, 2)}, NULL, ""},
    {"Clip by attributes",
     "Clip",
     6,
     {MAKER_REAL("min", -1.0), MAKER_REAL("max", 6.0)},
     {VALUE(DIMS(3), -2, 3, 9)},
     {VALUE(DIMS(3), -1, 3, 6)},
     NULL,
     ""},
    {"Clip by inputs, one left out",
     "Clip",
     13,
     {{0}},
     {VALUE(DIMS(3), -2, 3, 9), NONE, VALUE(SCALAR, 6)},
     {VALUE(DIMS(3), -2, 3, 6)},
     NULL,
     ""},
    {"Sigmoid", "Sigmoid", 13, {{0}}, {VALUE(DIMS(3), 0, 200, -200)}, {VALUE(DIMS(3), 0.5, 1, 0)}, NULL, ""},
    {"HardSigmoid by default",
     "HardSigmoid",
     6,
     {{0}},
     {VALUE(DIMS(4), -3, 0, 1, 3)},
     {VALUE(DIMS(4), 0, 0.5, 0.7f, 1)},
     NULL,
     ""},
    {"HardSigmoid as PyTorch has it",
     "HardSigmoid",
     6,
     {MAKER_REAL("alpha", 1 / 6.0)},
     {VALUE(DIMS(2), 1.5, 3)},
     {VALUE(DIMS(2), 0.75, 1)},
     NULL,
     ""},
    {"HardSwish", "HardSwish", 14, {{0}}, {VALUE(DIMS(4), -4, 0, 1.5, 6)}, {VALUE(DIMS(4), 0, 0, 1.125, 6)}, NULL, ""},
    {"LeakyRelu",
     "LeakyRelu",
     13,
     {MAKER_REAL("alpha", 0.5)},
     {VALUE(DIMS(2), -4, 4)},
     {VALUE(DIMS(2), -2, 4)},
     NULL,
     ""},
    {"Tanh", "Tanh", 13, {{0}}, {VALUE(DIMS(3), 0, 50, -50)}, {VALUE(DIMS(3), 0, 1, -1)}, NULL, ""},
    {"Elu", "Elu", 13, {MAKER_REAL("alpha", 2.0)}, {VALUE(DIMS(2), 3, -100)}, {VALUE(DIMS(2), 3, -2)}, NULL, ""},
    {"Softplus", "Softplus", 13, {{0}}, {VALUE(DIMS(2), 0, 500)}, {VALUE(DIMS(2), 0.69314718f, 500)}, NULL, ""},
    {"Round goes to the even number",
     "Round",
     13,
     {{0}},
     {VALUE(DIMS(3), 0.5, 1.5, -2.5)},
     {VALUE(DIMS(3), 0, 2, -2)},
     NULL,
     ""},
    {"Add broadcasts both ways",
     "Add",
     13,
     {{0}},
     {VALUE(DIMS(2, 1), 1, 2), VALUE(DIMS(3), 10, 20, 30)},
     {VALUE(DIMS(2, 3), 11, 21, 31, 12, 22, 32)},
     NULL,
     ""},
    {"Sub of a number",
     "Sub",
     13,
     {{0}},
     {VALUE(DIMS(2, 2), 1, 2, 3, 4), VALUE(SCALAR, 1)},
     {VALUE(DIMS(2, 2), 0, 1, 2, 3)},
     NULL,
     ""},
    {"Mul gates channels",
     "Mul",
     13,
     {{0}},
     {VALUE(DIMS(1, 2, 1, 2), 1, 2, 3, 4), VALUE(DIMS(1, 2, 1, 1), 10, 100)},
     {VALUE(DIMS(1, 2, 1, 2), 10, 20, 300, 400)},
     NULL,
     ""},
    {"Div", "Div", 13, {{0}}, {VALUE(DIMS(2), 1, 9), VALUE(DIMS(2), 2, 3)}, {VALUE(DIMS(2), 0.5, 3)}, NULL, ""},
    {"Pow", "Pow", 13, {{0}}, {VALUE(DIMS(2), 3, 4), VALUE(SCALAR, 2)}, {VALUE(DIMS(2), 9, 16)}, NULL, ""},
    {"PRelu slopes each channel",
     "PRelu",
     13,
     {{0}},
     {VALUE(DIMS(1, 2, 2), -1, 1, -2, 2), VALUE(DIMS(2, 1), 10, 100)},
     {VALUE(DIMS(1, 2, 2), -10, 1, -200, 2)},
     NULL,
     ""},
    {"Sum of three, one broadcast",
     "Sum",
     13,
     {{0}},
     {VALUE(DIMS(1), 1), VALUE(DIMS(2), 10, 20), VALUE(DIMS(2, 1), 100, 200)},
     {VALUE(DIMS(2, 2), 111, 121, 211, 221)},
     NULL,
     ""},
    {"Mean of two", "Mean", 13, {{0}}, {VALUE(DIMS(2), 1, 2), VALUE(DIMS(2), 3, 6)}, {VALUE(DIMS(2), 2, 4)}, NULL, ""},
    {"Max of one is itself", "Max", 13, {{0}}, {VALUE(DIMS(2), 1, 2)}, {VALUE(DIMS(2), 1, 2)}, NULL, ""},
    {"Min of three",
     "Min",
     13,
     {{0}},
     {VALUE(DIMS(2), 1, 2), VALUE(DIMS(2), 0, 3), VALUE(DIMS(2), 4, 1)},
     {VALUE(DIMS(2), 0, 1)},
     NULL,
     ""},
    /* moving */
    {"Concat along the last axis",
     "Concat",
     13,
     {MAKER_INTEGER("axis", -1)},
     {VALUE(DIMS(2, 1), 1, 2), VALUE(DIMS(2, 2), 3, 4, 5, 6)},
     {VALUE(DIMS(2, 3), 1, 3, 4, 2, 5, 6)},
     NULL,
     ""},
    {"Concat along the first axis",
     "Concat",
     13,
     {MAKER_INTEGER("axis", 0)},
     {VALUE(DIMS(1, 2), 1, 2), VALUE(DIMS(1, 2), 3, 4)},
     {VALUE(DIMS(2, 2), 1, 2, 3, 4)},
     NULL,
     ""},
    {"Split into unequal parts",
     "Split",
     13,
     {MAKER_INTEGER("axis", 1)},
     {VALUE(DIMS(2, 3), 1, 2, 3, 4, 5, 6), INTEGERS(DIMS(2), 1, 2)},
     {VALUE(DIMS(2, 1), 1, 4), VALUE(DIMS(2, 2), 2, 3, 5, 6)},
     NULL,
     ""},
    {"Flatten",
     "Flatten",
     13,
     {MAKER_INTEGER("axis", 2)},
     {VALUE(DIMS(1, 2, 2), 1, 2, 3, 4)},
     {VALUE(DIMS(2, 2), 1, 2, 3, 4)},
     NULL,
     ""},
    {"Reshape",
     "Reshape",
     13,
     {{0}},
     {VALUE(DIMS(2, 2), 1, 2, 3, 4), INTEGERS(DIMS(1), -1)},
     {VALUE(DIMS(4), 1, 2, 3, 4)},
     NULL,
     ""},
    {"Squeeze",
     "Squeeze",
     13,
     {{0}},
     {VALUE(DIMS(1, 2), 1, 2), INTEGERS(DIMS(1), 0)},
     {VALUE(DIMS(2), 1, 2)},
     NULL,
     ""},
    {"Unsqueeze",
     "Unsqueeze",
     11,
     {MAKER_INTEGERS("axes", 0)},
     {VALUE(DIMS(2), 1, 2)},
     {VALUE(DIMS(1, 2), 1, 2)},
     NULL,
     ""},
    {"Identity", "Identity", 13, {{0}}, {VALUE(DIMS(2), 1, 2)}, {VALUE(DIMS(2), 1, 2)}, NULL, ""},
    {"Dropout changes nothing",
     "Dropout",
     13,
     {{0}},
     {VALUE(DIMS(2), 1, 2), VALUE(SCALAR, 0.5)},
     {VALUE(DIMS(2), 1, 2)},
     NULL,
     ""},
    {"Dropout's mask keeps all",
     "Dropout",
     7,
     {{0}},
     {VALUE(DIMS(2), 1, 2)},
     {VALUE(DIMS(2), 1, 2), VALUE(DIMS(2), 1, 1)},
     NULL,
     ""},
    {"Transpose reverses by default",
     "Transpose",
     13,
     {{0}},
     {VALUE(DIMS(2, 3), 1, 2, 3, 4, 5, 6)},
     {VALUE(DIMS(3, 2), 1, 4, 2, 5, 3, 6)},
     NULL,
     ""},
    {"Transpose shuffles channels",
     "Transpose",
     13,
     {MAKER_INTEGERS("perm", 0, 2, 1, 3)},
     {VALUE(DIMS(1, 2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8)},
     {VALUE(DIMS(1, 2, 2, 2), 1, 2, 5, 6, 3, 4, 7, 8)},
     NULL,
     ""},
    {"Slice by attributes",
     "Slice",
     9,
     {MAKER_INTEGERS("starts", 1), MAKER_INTEGERS("ends", 1000), MAKER_INTEGERS("axes", 1)},
     {VALUE(DIMS(2, 3), 1, 2, 3, 4, 5, 6)},
     {VALUE(DIMS(2, 2), 2, 3, 5, 6)},
     NULL,
     ""},
    {"Slice backwards",
     "Slice",
     13,
     {{0}},
     {VALUE(DIMS(2, 3), 1, 2, 3, 4, 5, 6), INTEGERS(DIMS(1), -1), INTEGERS(DIMS(1), INT64_MIN), INTEGERS(DIMS(1), -1),
      INTEGERS(DIMS(1), -2)},
     {VALUE(DIMS(2, 2), 3, 1, 6, 4)},
     NULL,
     ""},
    {"Expand",
     "Expand",
     13,
     {{0}},
     {VALUE(DIMS(2, 1), 1, 2), INTEGERS(DIMS(2), 2, 2)},
     {VALUE(DIMS(2, 2), 1, 1, 2, 2)},
     NULL,
     ""},
    {"Gather along axis 1, from the end too",
     "Gather",
     13,
     {MAKER_INTEGER("axis", 1)},
     {VALUE(DIMS(2, 3), 1, 2, 3, 4, 5, 6), INTEGERS(DIMS(2), -1, 0)},
     {VALUE(DIMS(2, 2), 3, 1, 6, 4)},
     NULL,
     ""},
    {"Gather by a number drops the axis",
     "Gather",
     13,
     {{0}},
     {VALUE(DIMS(2, 2), 1, 2, 3, 4), INTEGERS(SCALAR, 1)},
     {VALUE(DIMS(2), 3, 4)},
     NULL,
     ""},
    {"Pad with a number",
     "Pad",
     13,
     {{0}},
     {VALUE(DIMS(1, 2), 1, 2), INTEGERS(DIMS(4), 1, 0, 0, 1), VALUE(SCALAR, 9)},
     {VALUE(DIMS(2, 3), 9, 9, 9, 1, 2, 9)},
     NULL,
     ""},
    {"Pad by attributes",
     "Pad",
     10,
     {MAKER_INTEGERS("pads", 1, 1), MAKER_REAL("value", 7.0)},
     {VALUE(DIMS(1), 1)},
     {VALUE(DIMS(3), 7, 1, 7)},
     NULL,
     ""},
    {"Pad with the reflection",
     "Pad",
     13,
     {MAKER_TEXT("mode", "reflect")},
     {VALUE(DIMS(3), 1, 2, 3), INTEGERS(DIMS(2), 2, 1)},
     {VALUE(DIMS(6), 3, 2, 1, 2, 3, 2)},
     NULL,
     ""},
    {"Pad with the edge",
     "Pad",
     13,
     {MAKER_TEXT("mode", "edge")},
     {VALUE(DIMS(2), 1, 2), INTEGERS(DIMS(2), 2, 1)},
     {VALUE(DIMS(5), 1, 1, 1, 2, 2)},
     NULL,
     ""},
    {"Pad of named axes",
     "Pad",
     18,
     {{0}},
     {VALUE(DIMS(1, 2), 1, 2), INTEGERS(DIMS(2), 0, 1), NONE, INTEGERS(DIMS(1), -1)},
     {VALUE(DIMS(1, 3), 1, 2, 0)},
     NULL,
     ""},
    {"Pad of negative width cuts off",
     "Pad",
     13,
     {{0}},
     {VALUE(DIMS(3), 1, 2, 3), INTEGERS(DIMS(2), -1, 1)},
     {VALUE(DIMS(3), 2, 3, 0)},
     NULL,
     ""},
    /* refusals */
    {"an unknown operator is named with its opset",
     "Det",
     11,
     {{0}},
     {ANY(DIMS(2, 2))},
     {ANY(SCALAR)},
     "node 'layer00' (Det, opset 11): this operator is not supported",
     ""},
    {"another domain is named",
     "Relu",
     1,
     {{0}},
     {ANY(DIMS(2))},
     {ANY(DIMS(2))},
     "(com.example.Relu, opset 1)",
     "com.example"},
    {"integers are not computed with",
     "Add",
     13,
     {{0}},
     {INTEGERS(DIMS(1), 1), INTEGERS(DIMS(1), 1)},
     {{NAPM_I64, DIMS(1), NULL}},
     "element type 7",
     ""},
    {"training mode is refused",
     "BatchNormalization",
     15,
     {MAKER_INTEGER("training_mode", 1)},
     {ANY(DIMS(1, 1)), ANY(DIMS(1)), ANY(DIMS(1)), ANY(DIMS(1)), ANY(DIMS(1))},
     {ANY(DIMS(1, 1))},
     "training_mode",
     ""},
    {"indices of a MaxPool are refused",
     "MaxPool",
     12,
     {MAKER_INTEGERS("kernel_shape", 1)},
     {ANY(DIMS(1, 1, 1))},
     {ANY(DIMS(1, 1, 1)), {NAPM_I64, DIMS(1, 1, 1), NULL}},
     "output 1",
     ""},
    {"groups that do not divide are refused",
     "Conv",
     13,
     {MAKER_INTEGER("group", 2)},
     {ANY(DIMS(1, 3, 1)), ANY(DIMS(2, 1, 1))},
     {ANY(DIMS(1, 2, 1))},
     "2 groups",
     ""},
    {"a shape that does not follow is refused",
     "Conv",
     13,
     {{0}},
     {ANY(DIMS(1, 1, 4)), ANY(DIMS(1, 1, 2))},
     {ANY(DIMS(1, 1, 4))},
     "said to be [1x1x4] but follows as [1x1x3]",
     ""},
    {"a stride of 0 is refused",
     "MaxPool",
     12,
     {MAKER_INTEGERS("kernel_shape", 1), MAKER_INTEGERS("strides", 0)},
     {ANY(DIMS(1, 1, 4))},
     {ANY(DIMS(1, 1, 4))},
     "strides holds 0",
     ""},
    {"an unknown auto_pad is refused",
     "Conv",
     13,
     {MAKER_TEXT("auto_pad", "SOMEHOW")},
     {ANY(DIMS(1, 1, 4)), ANY(DIMS(1, 1, 1))},
     {ANY(DIMS(1, 1, 4))},
     "auto_pad 'SOMEHOW'",
     ""},
    {"an axis that does not exist is refused",
     "Softmax",
     13,
     {MAKER_INTEGER("axis", 2)},
     {ANY(DIMS(2, 2))},
     {ANY(DIMS(2, 2))},
     "axis 2 does not exist",
     ""},
    {"shapes that do not broadcast are refused",
     "Add",
     13,
     {{0}},
     {ANY(DIMS(2)), ANY(DIMS(3))},
     {ANY(DIMS(3))},
     "cannot be broadcast",
     ""},
    {"a rank beyond eight is refused",
     "Relu",
     13,
     {{0}},
     {ANY(DIMS(1, 1, 1, 1, 1, 1, 1, 1))},
     {{NAPM_F32, 9, {1, 1, 1, 1, 1, 1, 1, 1}, NULL}},
     "rank 9",
     ""},
    {"a permutation that is none is refused",
     "Transpose",
     13,
     {MAKER_INTEGERS("perm", 0, 0)},
     {ANY(DIMS(2, 2))},
     {ANY(DIMS(2, 2))},
     "not a permutation",
     ""},
    {"a missing input is refused", "Add", 13, {{0}}, {ANY(DIMS(2))}, {ANY(DIMS(2))}, "1 inputs", ""},
};

static struct catalogue *catalogue;
static struct instance *instance;

/* ---- one operator as a model, run */

struct made {
    struct maker *maker;
    const struct napm_model *model;
    uint32_t inputs[MOST_VALUES], outputs[3];
    uint32_t output_count;
    const void *given[MOST_VALUES]; /* data of the model's inputs */
};

static struct made make(const struct operator_case *c, bool frozen)
{
    struct made made = {.maker = maker_new(c->opset)};
    uint32_t input_count = 0, attribute_count = 0, given = 0;
    for (uint32_t i = 0; i < MOST_VALUES; i++) {
        const struct value *value = &c->inputs[i];
        bool constant = value->type == NAPM_I64 || (frozen && i > 0);
        if (value->type == 0) {
            made.inputs[i] = NAPM_NONE;
        } else if (constant && value->data) {
            made.inputs[i] = maker_constant(made.maker, value->type, value->rank, value->dims, value->data);
        } else {
            made.inputs[i] = maker_input(made.maker, value->type, value->rank, value->dims);
            made.given[given++] = value->data;
        }
        input_count = value->type ? i + 1 : input_count;
    }
    for (uint32_t i = 0; i < 3 && c->outputs[i].type; i++) {
        int64_t dims[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
        memcpy(dims, c->outputs[i].dims, sizeof(c->outputs[i].dims));
        made.outputs[i] = maker_result(made.maker, c->outputs[i].type, c->outputs[i].rank, dims);
        maker_output(made.maker, made.outputs[i]);
        made.output_count++;
    }
    while (attribute_count < 6 && c->attributes[attribute_count].name)
        attribute_count++;
    maker_operator(made.maker, c->type, c->domain, input_count, made.inputs, made.output_count, made.outputs,
                   attribute_count, c->attributes);
    made.model = maker_model(made.maker);
    return made;
}

/* The whole model as one segment. */
static struct napm_segment whole(const struct napm_model *model, uint32_t *layers)
{
    for (uint32_t i = 0; i < model->layer_count; i++)
        layers[i] = i;
    return (struct napm_segment){.size = sizeof(struct napm_segment),
                                 .layer_count = model->layer_count,
                                 .layers = layers,
                                 .input_count = model->input_count,
                                 .output_count = model->output_count,
                                 .inputs = model->inputs,
                                 .outputs = model->outputs};
}

static void *prepared_model(const struct napm_model *model)
{
    const struct napm_prepare how = {.size = sizeof(how), .threads = 1};
    void *prepared = NULL;
    assert_int_equal(instance->hook.backend.prepare(instance->self, model, &how, &prepared), NAPM_OK);
    return prepared;
}

static void must(int32_t status)
{
    struct error error = {0};
    if (status < 0)
        instance_error(instance, status, "test", &error);
    if (status < 0)
        fail_msg("%s", error.text);
}

static void check_output(const struct value *expected, const struct napm_tensor *tensor, const void *got)
{
    double difference = trial_difference(got, expected->data, tensor->bytes / sizeof(float), 1e-6, 1e-7);
    if (difference > 1.0)
        for (uint64_t i = 0; i < tensor->bytes / sizeof(float); i++)
            print_message("# %g, expected %g\n", (double)((const float *)got)[i],
                          (double)((const float *)expected->data)[i]);
    assert_true(difference <= 1.0);
}

static void run_case(const struct operator_case *c, bool frozen)
{
    const struct napm_backend *hook = &instance->hook.backend;
    struct made made = make(c, frozen);
    uint32_t layers[1];
    struct napm_segment what = whole(made.model, layers);
    void *prepared = prepared_model(made.model), *segment = NULL, *execution = NULL;
    const void *outputs[3];
    must(hook->supports(instance->self, made.model, 0));
    must(hook->create_segment(instance->self, prepared, &what, &segment));
    must(hook->create_execution(instance->self, segment, &execution));
    for (int pass = 0; pass < 2; pass++) { /* the second finds what the first left behind */
        must(hook->start(instance->self, execution, made.given));
        must(hook->run(instance->self, execution, 1, NULL));
        must(hook->outputs(instance->self, execution, outputs));
        for (uint32_t i = 0; i < made.output_count; i++) {
            assert_int_equal((uintptr_t)outputs[i] % 64, 0);
            check_output(&c->outputs[i], made.model->tensors[made.outputs[i]], outputs[i]);
        }
    }
    hook->release_execution(instance->self, execution);
    hook->release_segment(instance->self, segment);
    hook->release_model(instance->self, prepared);
    maker_free(made.maker);
}

static void refuse_case(const struct operator_case *c)
{
    const struct napm_backend *hook = &instance->hook.backend;
    struct made made = make(c, false);
    struct error error = {0};
    int32_t status = hook->supports(instance->self, made.model, 0);
    assert_true(status < 0);
    instance_error(instance, status, "supports", &error);
    if (!strstr(error.text, c->refusal))
        fail_msg("'%s' does not say '%s'", error.text, c->refusal);
    uint32_t layers[1];
    struct napm_segment what = whole(made.model, layers);
    void *prepared = prepared_model(made.model), *segment = NULL;
    assert_true(hook->create_segment(instance->self, prepared, &what, &segment) < 0);
    hook->release_model(instance->self, prepared);
    maker_free(made.maker);
}

static void an_operator_computes_what_its_definition_says(void **state)
{
    const struct operator_case *c = *state;
    if (c->refusal) {
        refuse_case(c);
        return;
    }
    run_case(c, false);
    run_case(c, true);
}

/* ---- life of the objects */

/* A chain of `count` Relu layers over 1024 numbers. */
static struct maker *relu_chain(uint32_t count)
{
    const int64_t dims[] = {1024};
    struct maker *maker = maker_new(13);
    uint32_t tensor = maker_input(maker, NAPM_F32, 1, dims);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t next = maker_result(maker, NAPM_F32, 1, dims);
        maker_operator(maker, "Relu", "", 1, &tensor, 1, &next, 0, NULL);
        tensor = next;
    }
    maker_output(maker, tensor);
    return maker;
}

static void tensors_that_are_dead_give_their_room_to_others(void **state)
{
    (void)state;
    const struct napm_backend *hook = &instance->hook.backend;
    struct maker *maker = relu_chain(20);
    uint32_t layers[20];
    struct napm_segment what = whole(maker_model(maker), layers);
    struct napm_segment_memory memory = {.size = sizeof(memory)};
    void *prepared = prepared_model(maker_model(maker)), *segment = NULL;
    must(hook->create_segment(instance->self, prepared, &what, &segment));
    must(hook->segment_memory(instance->self, segment, &memory));
    assert_int_equal(memory.weight_bytes, 0);
    assert_int_equal(memory.activation_bytes, 2 * 4096);
    hook->release_segment(instance->self, segment);
    hook->release_model(instance->self, prepared);
    maker_free(maker);
}

static void layers_run_in_slices_and_each_is_timed(void **state)
{
    (void)state;
    const struct napm_backend *hook = &instance->hook.backend;
    struct maker *maker = relu_chain(5);
    uint32_t layers[5];
    struct napm_segment what = whole(maker_model(maker), layers);
    void *prepared = prepared_model(maker_model(maker)), *segment = NULL, *execution = NULL;
    float *input = memory_try_aligned(4096);
    const void *inputs[] = {input}, *outputs[1];
    int64_t layer_ns[5] = {-1, -1, -1, -1, -1};
    for (uint32_t i = 0; i < 1024; i++)
        input[i] = i % 2 ? 1.0f : -1.0f;
    must(hook->create_segment(instance->self, prepared, &what, &segment));
    must(hook->create_execution(instance->self, segment, &execution));
    must(hook->start(instance->self, execution, inputs));
    must(hook->run(instance->self, execution, 2, layer_ns));
    assert_true(hook->outputs(instance->self, execution, outputs) < 0);
    must(hook->run(instance->self, execution, 3, layer_ns + 2));
    assert_true(hook->run(instance->self, execution, 1, NULL) < 0);
    must(hook->outputs(instance->self, execution, outputs));
    for (uint32_t i = 0; i < 5; i++)
        assert_true(layer_ns[i] >= 0);
    for (uint32_t i = 0; i < 1024; i++)
        assert_true(((const float *)outputs[0])[i] == (i % 2 ? 1.0f : 0.0f));
    hook->release_execution(instance->self, execution);
    hook->release_segment(instance->self, segment);
    hook->release_model(instance->self, prepared);
    free(input);
    maker_free(maker);
}

static void a_segment_that_lacks_an_input_is_refused(void **state)
{
    (void)state;
    const struct napm_backend *hook = &instance->hook.backend;
    struct maker *maker = relu_chain(3);
    const uint32_t layer = 1;
    const struct napm_segment what = {.size = sizeof(what), .layer_count = 1, .layers = &layer};
    void *prepared = prepared_model(maker_model(maker)), *segment = NULL;
    struct error error = {0};
    int32_t status = hook->create_segment(instance->self, prepared, &what, &segment);
    assert_int_equal(status, NAPM_ERR_INVALID);
    instance_error(instance, status, "create_segment", &error);
    assert_non_null(strstr(error.text, "neither given to the segment nor computed"));
    hook->release_model(instance->self, prepared);
    maker_free(maker);
}

static void an_index_outside_of_its_axis_fails_the_task_only(void **state)
{
    (void)state;
    const struct napm_backend *hook = &instance->hook.backend;
    const int64_t two[] = {2}, one[] = {1};
    struct maker *maker = maker_new(13);
    uint32_t data = maker_input(maker, NAPM_F32, 1, two), index = maker_input(maker, NAPM_I64, 1, one);
    uint32_t result = maker_result(maker, NAPM_F32, 1, one);
    maker_operator(maker, "Gather", "", 2, (const uint32_t[]){data, index}, 1, &result, 0, NULL);
    maker_output(maker, result);
    uint32_t layers[1];
    struct napm_segment what = whole(maker_model(maker), layers);
    void *prepared = prepared_model(maker_model(maker)), *segment = NULL, *execution = NULL;
    const float numbers[] = {3, 4};
    int64_t wanted = 2;
    const void *inputs[] = {numbers, &wanted}, *outputs[1];
    must(hook->create_segment(instance->self, prepared, &what, &segment));
    must(hook->create_execution(instance->self, segment, &execution));
    must(hook->start(instance->self, execution, inputs));
    assert_int_equal(hook->run(instance->self, execution, 1, NULL), NAPM_ERR_FAILED);
    wanted = 1;
    must(hook->start(instance->self, execution, inputs));
    must(hook->run(instance->self, execution, 1, NULL));
    must(hook->outputs(instance->self, execution, outputs));
    assert_true(*(const float *)outputs[0] == 4.0f);
    hook->release_execution(instance->self, execution);
    hook->release_segment(instance->self, segment);
    hook->release_model(instance->self, prepared);
    maker_free(maker);
}

int main(void)
{
    enum { CASES = sizeof(cases) / sizeof(*cases) };
    static struct CMUnitTest tests[CASES + 4];
    size_t count = 0;
    struct error error = {0};
    catalogue = trial_catalogue();
    instance = trial_instance(catalogue, "reference", &error);
    if (!instance) {
        printf("Bail out! %s\n", error.text);
        return 1;
    }
    for (size_t i = 0; i < CASES; i++)
        tests[count++] = (struct CMUnitTest){cases[i].what, an_operator_computes_what_its_definition_says, NULL, NULL,
                                             (void *)(uintptr_t)&cases[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(tensors_that_are_dead_give_their_room_to_others);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(layers_run_in_slices_and_each_is_timed);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(a_segment_that_lacks_an_input_is_refused);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(an_index_outside_of_its_axis_fails_the_task_only);
    int failures = _cmocka_run_group_tests("reference", tests, count, NULL, NULL);
    instance_close(instance);
    catalogue_close(catalogue);
    return failures != 0;
}
