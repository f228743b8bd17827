/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels of this backend's own, on dense row-major floats: those that oneDNN does not have, and the product of one
 * vector with a matrix, where oneDNN 2.6 reaches little more than half of the memory's bandwidth.
 *
 * A kernel is a function and its parameters; it computes each output element in one fixed order whatever the number of
 * threads, so results do not depend on it.
 */
#ifndef ONEDNN_PLAIN_H
#define ONEDNN_PLAIN_H

#include "onednn_operator.h"

#define PLAIN_MAX_ARGUMENTS 3u

struct plain;
typedef void (*plain_run)(const struct plain *plain, const float *const *arguments, float *output, uint32_t threads);

struct plain_vector_matrix { /* arguments: vector (K), packed matrix, bias (N) or NULL */
    int64_t outputs, inputs;
    struct function_chain functions;
};

struct plain_binary { /* arguments: a, b; stride 0 where a dimension is broadcast */
    enum shim_binary binary;
    uint32_t rank;
    int64_t dims[SHIM_MAX_RANK], stride_a[SHIM_MAX_RANK], stride_b[SHIM_MAX_RANK];
};

enum plain_pad_mode { PLAIN_PAD_CONSTANT, PLAIN_PAD_REFLECT, PLAIN_PAD_EDGE };
struct plain_pad { /* arguments: input */
    enum plain_pad_mode mode;
    float value;
    uint32_t rank;
    int64_t in_dims[SHIM_MAX_RANK], out_dims[SHIM_MAX_RANK], before[SHIM_MAX_RANK];
};

struct plain_mean { /* arguments: input; out_stride 0 where a dimension is averaged away */
    uint32_t rank;
    int64_t dims[SHIM_MAX_RANK], out_stride[SHIM_MAX_RANK];
    int64_t outputs, averaged;
};

struct plain {
    plain_run run;
    union {
        struct plain_vector_matrix vector_matrix;
        struct plain_binary binary;
        struct plain_pad pad;
        struct plain_mean mean;
        struct walk walk; /* arguments: input */
    } as;
};

void plain_binary_run(const struct plain *plain, const float *const *arguments, float *output, uint32_t threads);
void plain_pad_run(const struct plain *plain, const float *const *arguments, float *output, uint32_t threads);
/* Steps an index through `dims` in row-major order; returns 0 after the last. */
int plain_next_index(uint32_t rank, const int64_t *dims, int64_t *index);

void plain_mean_run(const struct plain *plain, const float *const *arguments, float *output, uint32_t threads);

/* onednn_walk.c */
void plain_walk_run(const struct plain *plain, const float *const *arguments, float *output, uint32_t threads);

/* onednn_vector.c */
void plain_vector_matrix_run(const struct plain *plain, const float *const *arguments, float *output, uint32_t threads);
/* The same for several vectors: the matrix comes from memory only once. arguments[1] and [2] are those of the first. */
void plain_vector_matrix_run_batch(const struct plain *plain, const float *const *const *arguments,
                                   float *const *outputs, uint32_t count, uint32_t threads);

/*
 * Bytes of a packed matrix, and the packing: element (output n, input k) is source[n * stride_n + k * stride_k] *
 * factor. `source` may be unaligned.
 */
uint64_t plain_matrix_bytes(int64_t outputs, int64_t inputs);
void plain_matrix_pack(int64_t outputs, int64_t inputs, const void *source, int64_t stride_n, int64_t stride_k,
                       float factor, float *packed);

#endif
