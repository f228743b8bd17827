/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools for making the steps of a layer, shared by the files that plan one kind of operator each.
 *
 * Functions return 0, or -1 with the builder's reason set. Steps under construction belong to the plan, so that
 * whatever fails half-way is freed with it. Layouts that are handed over are freed by whoever takes them, on failure
 * too.
 */
#ifndef ONEDNN_BUILD_H
#define ONEDNN_BUILD_H

#include "onednn_plan.h"

/* The state of planning one layer. */
struct builder {
    struct plan *plan;
    const struct napm_model *model;
    const struct napm_layer *layer;
    uint32_t next; /* position in the layer's list of the operator after the one being planned */
    struct reason *why;
};

/* ---- steps; a pointer to a step is valid until the next build_step */
struct plan_step *build_step(struct builder *b, enum step_kind kind);
struct plan_input *build_input(struct plan_step *step, uint32_t tensor, uint32_t slot);
struct plan_constant *build_constant(struct plan_step *step, uint32_t slot, const void *data);
void build_step_clear(struct plan_step *step);

/* Adds an operand that may be a constant (dense) or computed; takes `wanted` and `bound` (may be NULL) over. */
int build_operand(struct builder *b, struct plan_step *step, uint32_t tensor, uint32_t slot, struct shim_layout *wanted,
                  struct shim_layout *bound);

/*
 * A step with one dense input and a dense output, which its kernel sees as `source` and `destination`; takes all over.
 */
int build_dense_step(struct builder *b, const struct napm_operator *op, struct shim_kernel *kernel,
                     struct shim_layout *source, struct shim_layout *destination);

/* Both return -1. */
int build_out_of_memory(struct builder *b);
int build_no_kernel(struct builder *b, const struct napm_operator *op);

/* ---- tensors */
struct shim_layout *build_dense(const struct napm_tensor *tensor);
const struct shim_layout *build_layout_of(const struct builder *b, uint32_t tensor);
int build_is_constant(const struct builder *b, uint32_t tensor);
/* Gives the tensor its layout, as its producer makes it; takes the layout over. */
int build_made(struct builder *b, uint32_t tensor, struct shim_layout *layout);
int build_same_dims(const struct napm_tensor *a, const struct napm_tensor *b);
/* The tensor's dimensions with ones put in front up to `rank`. */
void build_dims(const struct napm_tensor *tensor, uint32_t rank, int64_t *dims);

/* ---- fusion: what follows an operator inside its layer */

/* The next operator of the layer where it is the only reader of `tensor`; else NULL. */
const struct napm_operator *build_follower(const struct builder *b, uint32_t tensor);

/* What is fused into a kernel: the list for the library, and which tensor each operand is (NAPM_NONE: none). */
struct fusion {
    struct shim_posts posts;
    uint32_t operands[SHIM_MAX_POSTS];
    struct shim_layout *layouts[SHIM_MAX_POSTS]; /* of binary operands; owned */
    uint32_t accumulated; /* tensor that the sum adds, or NAPM_NONE */
    uint32_t output; /* tensor that comes out */
    uint32_t next; /* the builder's position behind what is fused */
};

/* Collects at most `limit` operators that follow the one whose output is `tensor` and can be fused into its kernel. */
void fusion_collect(struct builder *b, uint32_t tensor, int may_sum, uint32_t limit, struct fusion *fusion);
/* Adds to a step what the fused operators read; `destination` is the layout that the kernel writes. */
int fusion_inputs(struct builder *b, struct plan_step *step, struct fusion *fusion,
                  const struct shim_layout *destination);
void fusion_free(struct fusion *fusion);

/* A normalisation as y = scale x + shift for each channel. */
void build_normalisation_factors(struct builder *b, const struct napm_operator *op, float *scale, float *shift);

/* ---- one function a kind of operator */
int plan_convolution(struct builder *b, const struct napm_operator *op);
int plan_gemm(struct builder *b, const struct napm_operator *op);
int plan_matmul(struct builder *b, const struct napm_operator *op);
int plan_normalisation(struct builder *b, const struct napm_operator *op);
int plan_function(struct builder *b, const struct napm_operator *op);
int plan_binary(struct builder *b, const struct napm_operator *op);
int plan_pooling(struct builder *b, const struct napm_operator *op);
int plan_global_pooling(struct builder *b, const struct napm_operator *op);
int plan_view(struct builder *b, const struct napm_operator *op, int same);
int plan_concat(struct builder *b, const struct napm_operator *op);
int plan_softmax(struct builder *b, const struct napm_operator *op);
int plan_lrn(struct builder *b, const struct napm_operator *op);
int plan_transpose(struct builder *b, const struct napm_operator *op);
int plan_pad(struct builder *b, const struct napm_operator *op);
int plan_mean(struct builder *b, const struct napm_operator *op);
int plan_walk(struct builder *b, const struct napm_operator *op);

#endif
