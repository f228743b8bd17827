/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the operators of a model: attributes, parameters, and whether this backend computes an operator at all.
 *
 * Everything here only looks at the model; functions that can refuse put the reason into `why`.
 */
#ifndef ONEDNN_OPERATOR_H
#define ONEDNN_OPERATOR_H

#include <stddef.h>

#include <napm/model.h>

#include "attributes.h"
#include "onednn_shim.h"

struct reason {
    char text[400];
};

/* Puts formatted text into `why` and returns -1. */
int refuse(struct reason *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What kind of work an operator is: how the plan treats it. */
enum work {
    WORK_NONE, /* not supported */
    WORK_CONVOLUTION,
    WORK_GEMM,
    WORK_MATMUL,
    WORK_NORMALISATION,
    WORK_FUNCTION,
    WORK_BINARY,
    WORK_POOLING,
    WORK_GLOBAL_POOLING,
    WORK_SAME, /* the output is the input */
    WORK_RESHAPE, /* the same bytes under other dimensions */
    WORK_CONCAT,
    WORK_SOFTMAX,
    WORK_LRN,
    WORK_TRANSPOSE,
    WORK_PAD,
    WORK_MEAN,
    WORK_WALK /* the input's elements in another order */
};

enum work operator_work(const struct napm_operator *op);

/* 0, or -1 with the reason (naming node, operator and opset) where operator `index` is not computed by this backend. */
int operator_check(const struct napm_model *model, uint32_t index, struct reason *why);

/* Input or output number `i`, or NULL where it is left out. */
const struct napm_tensor *operator_input(const struct napm_model *model, const struct napm_operator *op, uint32_t i);
const struct napm_tensor *operator_output(const struct napm_model *model, const struct napm_operator *op, uint32_t i);

/* Elements of a tensor, and of its dimensions from..to-1. */
int64_t tensor_elements(const struct napm_tensor *tensor);
int64_t tensor_elements_between(const struct napm_tensor *tensor, uint32_t from, uint32_t to);

/* Element i of a constant float or integer tensor, which may be unaligned. */
float constant_real(const struct napm_tensor *tensor, int64_t i);
int64_t constant_integer(const struct napm_tensor *tensor, int64_t i);

/*
 * A list of integers that is an attribute in old opsets and a constant input in new ones. Returns how many, 0 where it
 * is given in neither place, or -1 where it does not fit into `capacity` or the input is no constant.
 */
int operator_integers(const struct napm_model *model, const struct napm_operator *op, const char *name, uint32_t input,
                      int64_t *values, uint32_t capacity);

/*
 * Windows of Conv, MaxPool and AveragePool; `extended` (may be NULL): the last window reaches beyond the stated pads.
 */
int operator_window(const struct napm_model *model, const struct napm_operator *op, struct shim_window *window,
                    int *extended, struct reason *why);

/* A walk over a dense input, in the order of a dense output: one dimension of the output steps by its stride. */
struct walk {
    uint32_t rank;
    int64_t dims[SHIM_MAX_RANK], strides[SHIM_MAX_RANK];
    int64_t offset;
};

/* The walk that makes output number `output` of a Slice, Split, Gather or Expand. */
int operator_walk(const struct napm_model *model, const struct napm_operator *op, uint32_t output, struct walk *walk,
                  struct reason *why);

/* An elementwise operator as at most two functions in a row. */
struct function_chain {
    uint32_t count;
    struct {
        enum shim_function function;
        float alpha, beta;
    } at[2];
};
int operator_function(const struct napm_model *model, const struct napm_operator *op, struct function_chain *chain,
                      struct reason *why);

enum shim_binary operator_binary(const struct napm_operator *op);

/* Axis of Concat or Softmax, counted from the front. */
uint32_t operator_axis(const struct napm_model *model, const struct napm_operator *op, int64_t fallback);

#endif
