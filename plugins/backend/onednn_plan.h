/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: how a model is computed, chosen once for the whole model.
 *
 * Every layer becomes steps: a oneDNN kernel with whatever follows fused in, a kernel of our own, or a view (the same
 * bytes under another name). Every tensor gets one layout: the one that its producer makes. A step states the layout
 * that it wants of each input; a segment adds a reorder, which copies exactly, where the two differ and where a
 * tensor crosses its border (always dense). So what a step computes on never depends on the segment that it runs in.
 */
#ifndef ONEDNN_PLAN_H
#define ONEDNN_PLAN_H

#include <napm/backend.h>

#include "onednn_plain.h"

/* An input that is computed at run time. */
struct plan_input {
    uint32_t tensor;
    uint32_t slot; /* of the kernel; for a kernel of our own the number of its argument */
    struct shim_layout *wanted; /* of the tensor as the model states it */
    struct shim_layout *bound; /* the same bytes as the kernel sees them, where it sees other dimensions; else NULL */
};

enum packing { PACK_REORDER, PACK_MATRIX };

/* A constant input, read from the model file and packed for each segment. */
struct plan_constant {
    uint32_t slot;
    enum packing packing;
    const void *data; /* in the model's file, or `owned` */
    float *owned; /* computed while planning (a folded bias); NULL otherwise */
    float factor; /* every element is multiplied by it ... */
    float *row_factors; /* ... and row i by number i (NULL: 1): a folded normalisation */
    int64_t rows, row_elements;
    struct shim_layout *from, *to; /* PACK_REORDER: layout of the data, layout of the kernel */
    int64_t outputs, inputs, stride_n, stride_k; /* PACK_MATRIX */
};

enum step_kind { STEP_KERNEL, STEP_PLAIN, STEP_VIEW };

#define STEP_MAX_CONSTANTS (SHIM_MAX_POSTS + 4u)

struct plan_step {
    enum step_kind kind;
    struct shim_kernel *kernel;
    struct plain plain;
    uint32_t input_count, constant_count;
    struct plan_input *inputs;
    struct plan_constant constants[STEP_MAX_CONSTANTS];
    uint32_t output;
    struct shim_layout *bound_output; /* as the kernel sees it */
    int accumulates; /* the last input is what the destination holds beforehand: its buffer becomes the output */
};

/* A tensor of the model. */
struct plan_tensor {
    struct shim_layout *layout; /* NULL: not computed at run time */
    uint32_t uses; /* operators and model outputs that read it */
};

/* How a model is to be planned. */
struct plan_how {
    uint32_t threads;
    int winograd; /* may Winograd's algorithm be used? */
};

struct plan {
    struct shim *shim;
    const struct napm_model *model;
    struct plan_how how;
    uint32_t channel_block; /* see shim_channel_block */
    struct plan_tensor *tensors; /* one for each of the model's */
    struct plan_step *steps;
    uint32_t step_count;
    uint32_t *first_step; /* layer_count + 1: the steps of layer l are first_step[l]..first_step[l + 1] - 1 */
};

/* Plans a model; NULL with the reason. The model outlives the plan. */
struct plan *plan_new(struct shim *shim, const struct napm_model *model, const struct plan_how *how,
                      struct reason *why);
void plan_free(struct plan *plan);

uint64_t plan_constant_bytes(const struct plan_constant *constant);

/* Packs a constant to `place` (aligned to 64 bytes, plan_constant_bytes long). 0, or -1 where memory runs out. */
int plan_constant_pack(struct shim *shim, const struct plan_constant *constant, void *place);

/* One line a step, for the log: what runs with which implementation. */
void plan_describe(const struct plan *plan, uint32_t step, char *text, size_t text_bytes);

#endif
