/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the reference backend: how one operator is checked, planned and computed.
 *
 * Each operator of a segment becomes a step. A kind (one line of the table in reference_kinds.c) gives the step's
 * functions: plan() checks attributes, shapes and types and computes what does not depend on the data; load() (if any)
 * packs constant weights; compute() computes one task. `supports` is plan() with the result thrown away, so what is
 * promised and what is done cannot differ.
 *
 * Arithmetic: values are fp32 between operators; inside an operator everything is computed in double and rounded once.
 * The product of two fp32 numbers is exact in double, so sums of products come out the same with and without
 * fused multiply-add, on every machine. The order of every sum is fixed. One thread computes, whatever is asked for.
 */
#ifndef NAPM_PLUGINS_REFERENCE_H
#define NAPM_PLUGINS_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include <napm/backend.h>

#include "attributes.h"

#define MAX_RANK 8u
#define MAX_INPUTS 1024u

struct step;

/* Where the values of one task are. */
struct frame {
    const struct napm_host *host;
    void *const *values; /* by tensor index: constants, the segment's inputs, and what has been computed */
    void *scratch; /* as large as the greatest scratch_bytes of the segment's steps, aligned to 64 bytes */
};

struct plan {
    const struct napm_host *host;
    struct step *step;
};

/* A real attribute of a simple function, with ONNX's default. */
struct real_attribute {
    const char *name;
    double value;
};

typedef double unary_fn(double x, const double *parameters);
typedef double binary_fn(double x, double y);

struct kind {
    const char *type; /* ONNX operator */
    int32_t (*plan)(struct plan *plan);
    int32_t (*load)(struct step *step); /* may be NULL */
    int32_t (*compute)(const struct step *step, const struct frame *frame);
    uint32_t least_inputs, most_inputs;
    uint32_t most_outputs;
    uint32_t integer_inputs; /* bit i: input i holds indices, a shape or the like */
    bool any_type; /* moves elements of any type instead of computing with fp32 */
    /* The function of a family of operators. */
    unary_fn *unary;
    binary_fn *binary;
    struct real_attribute reals[2];
};

/* One operator of a segment, checked and planned. */
struct step {
    const struct kind *kind;
    const struct napm_model *model;
    const struct napm_operator *op;
    void *parameters; /* what plan() found out: the kind's own struct, or NULL */
    int64_t *offsets; /* of the taps of a sum of products, or NULL */
    uint64_t scratch_bytes;
    uint32_t packed_input; /* input that load() packs, or NAPM_NONE */
    float *packed;
    uint64_t packed_bytes;
};

/* The kind that computes an operator type, or NULL. */
const struct kind *kind_find(const char *type);

/*
 * Checks and plans operator `index` into *step (filled from zero; ended by step_release also after a failure). Returns
 * a status; the text of a failure names node, operator and opset.
 */
int32_t step_plan(struct step *step, const struct napm_host *host, const struct napm_model *model, uint32_t index);
void step_release(struct step *step);

/* ---- for the kinds' plan() */

/* Says "node 'x' (Conv, opset 13): TEXT is not supported by the reference backend"; returns NAPM_ERR_UNSUPPORTED. */
int32_t plan_unsupported(const struct plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says that the model contradicts itself; returns NAPM_ERR_INVALID. */
int32_t plan_invalid(const struct plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for the kind's parameters, zeroed; NULL (and the status must be NAPM_ERR_MEMORY) where there is none. */
void *plan_parameters(struct plan *plan, uint64_t bytes);
int32_t plan_no_memory(const struct plan *plan);

/* An axis that may count from the end, made 0..rank-1; a status otherwise. */
int32_t plan_axis(const struct plan *plan, int64_t axis, uint32_t rank, uint32_t *result);

/* Reads a constant input of int64 or int32 numbers, at most `room` of them. */
int32_t plan_constant_integers(const struct plan *plan, uint32_t input, int64_t *numbers, uint32_t room,
                               uint32_t *count);
/* Reads a list that is an attribute in old opsets and constant input `input` in new ones; *count 0 where neither is. */
int32_t plan_list(const struct plan *plan, const char *attribute, uint32_t input, int64_t *numbers, uint32_t *count);

/* Fails unless output 0 has these dimensions. */
int32_t plan_expect_dims(const struct plan *plan, uint32_t rank, const int64_t *dims);

/* ---- for everything */

/* Tensor of input or output i, NULL where it is left out. */
const struct napm_tensor *step_input(const struct step *step, uint32_t i);
const struct napm_tensor *step_output(const struct step *step, uint32_t i);
const void *frame_input(const struct step *step, const struct frame *frame, uint32_t i);
void *frame_output(const struct step *step, const struct frame *frame, uint32_t i);

int64_t tensor_count(const struct napm_tensor *tensor); /* elements */
/* Elements of dimensions first..last-1. */
int64_t tensor_span(const struct napm_tensor *tensor, uint32_t first, uint32_t last);
uint32_t element_bytes(uint32_t element_type); /* 0 where the type is not known */

/*
 * A way to walk over a tensor in the order of other dimensions: transposed, sliced, broadcast. dims are those of the
 * walk, strides (in elements) those of the tensor walked over.
 */
struct view {
    uint32_t rank;
    int64_t dims[MAX_RANK];
    int64_t strides[MAX_RANK];
    int64_t offset;
};

/* Walks over `tensor` as if it were broadcast to `dims` (numpy's rule); false where it cannot be. */
bool view_broadcast(struct view *view, const struct napm_tensor *tensor, uint32_t rank, const int64_t *dims);
/* Dense row-major strides of a tensor. */
void view_strides(const struct napm_tensor *tensor, int64_t *strides);
/*
 * Steps an index over all dimensions but the last: returns false after the last one. `offsets[i]` follows the index by
 * strides[i]; begin with an index of zeros.
 */
bool view_next_row(uint32_t rank, const int64_t *dims, int64_t *index, uint32_t count, const int64_t *const *strides,
                   int64_t *offsets);

/* ---- sums of products (reference_products.c), which Conv, Gemm and MatMul share */

#define PANEL 8u /* outputs computed side by side: weights are packed so that these lie together */
#define STRIP 4u /* rows (pixels of a convolution) computed side by side */

/* Floats that `columns` columns of `depth` weights take when packed. */
uint64_t panel_floats(int64_t columns, int64_t depth);
/* Packs weights(k, n) = source[k * depth_stride + n * column_stride], padding the last panel with zeros. */
void panel_pack(float *packed, const void *source, int64_t columns, int64_t depth, int64_t column_stride,
                int64_t depth_stride);
/* sums[r][c] = sum over k of rows[r][offsets[k]] * panel(k, c), in the order of k. */
void panel_multiply(double sums[STRIP][PANEL], const float *const rows[STRIP], const int64_t *offsets, int64_t depth,
                    const float *panel);

/* ---- families; the table in reference_kinds.c names them */

int32_t plan_conv(struct plan *plan);
int32_t load_conv(struct step *step);
int32_t compute_conv(const struct step *step, const struct frame *frame);
int32_t plan_pool(struct plan *plan);
int32_t compute_max_pool(const struct step *step, const struct frame *frame);
int32_t compute_average_pool(const struct step *step, const struct frame *frame);
int32_t plan_gemm(struct plan *plan);
int32_t load_gemm(struct step *step);
int32_t compute_gemm(const struct step *step, const struct frame *frame);
int32_t plan_matmul(struct plan *plan);
int32_t load_matmul(struct step *step);
int32_t compute_matmul(const struct step *step, const struct frame *frame);
int32_t plan_unary(struct plan *plan);
int32_t compute_unary(const struct step *step, const struct frame *frame);
int32_t plan_clip(struct plan *plan);
int32_t compute_clip(const struct step *step, const struct frame *frame);
int32_t plan_binary(struct plan *plan);
int32_t compute_binary(const struct step *step, const struct frame *frame);
int32_t compute_mean(const struct step *step, const struct frame *frame);
int32_t plan_batch_normalization(struct plan *plan);
int32_t compute_batch_normalization(const struct step *step, const struct frame *frame);
int32_t plan_lrn(struct plan *plan);
int32_t compute_lrn(const struct step *step, const struct frame *frame);
int32_t plan_softmax(struct plan *plan);
int32_t compute_softmax(const struct step *step, const struct frame *frame);
int32_t compute_log_softmax(const struct step *step, const struct frame *frame);
int32_t plan_reduce(struct plan *plan);
int32_t plan_global_pool(struct plan *plan);
int32_t compute_reduce_mean(const struct step *step, const struct frame *frame);
int32_t compute_reduce_sum(const struct step *step, const struct frame *frame);
int32_t compute_reduce_max(const struct step *step, const struct frame *frame);
int32_t compute_reduce_min(const struct step *step, const struct frame *frame);
int32_t plan_copy(struct plan *plan);
int32_t plan_dropout(struct plan *plan);
int32_t compute_copy(const struct step *step, const struct frame *frame);
int32_t compute_dropout(const struct step *step, const struct frame *frame);
int32_t plan_concat(struct plan *plan);
int32_t compute_concat(const struct step *step, const struct frame *frame);
int32_t plan_split(struct plan *plan);
int32_t compute_split(const struct step *step, const struct frame *frame);
int32_t plan_transpose(struct plan *plan);
int32_t plan_slice(struct plan *plan);
int32_t plan_expand(struct plan *plan);
int32_t compute_view(const struct step *step, const struct frame *frame);
int32_t plan_pad(struct plan *plan);
int32_t compute_pad(const struct step *step, const struct frame *frame);
int32_t plan_gather(struct plan *plan);
int32_t compute_gather(const struct step *step, const struct frame *frame);

#endif
