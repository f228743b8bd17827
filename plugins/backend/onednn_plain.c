/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels on dense floats for what oneDNN does not have: general broadcasting, padding, means. */
#include "onednn_plain.h"

#include <string.h>

int plain_next_index(uint32_t rank, const int64_t *dims, int64_t *index)
{
    for (uint32_t i = rank; i-- > 0;) {
        if (++index[i] < dims[i])
            return 1;
        index[i] = 0;
    }
    return 0;
}

static float compute_binary(enum shim_binary binary, float a, float b)
{
    switch (binary) {
    case SHIM_ADD:
        return a + b;
    case SHIM_SUB:
        return a - b;
    case SHIM_MUL:
        return a * b;
    default:
        return a / b;
    }
}

/* Walks rows of the last dimension; a scalar is one row of one element. */
void plain_binary_run(const struct plain *plain, const float *const *arguments, float *output, uint32_t threads)
{
    const struct plain_binary *what = &plain->as.binary;
    int64_t index[SHIM_MAX_RANK] = {0};
    uint32_t rank = what->rank, last = rank > 0 ? rank - 1 : 0;
    int64_t row = rank > 0 ? what->dims[last] : 1;
    (void)threads;
    do {
        const float *a = arguments[0], *b = arguments[1];
        for (uint32_t i = 0; i < last; i++) {
            a += index[i] * what->stride_a[i];
            b += index[i] * what->stride_b[i];
        }
        for (int64_t i = 0; i < row; i++)
            *output++ = compute_binary(what->binary, a[rank > 0 ? i * what->stride_a[last] : 0],
                                       b[rank > 0 ? i * what->stride_b[last] : 0]);
    } while (plain_next_index(last, what->dims, index));
}

/* Where a padded position comes from in the input; -1 where it is the constant. */
static int64_t pad_source(enum plain_pad_mode mode, int64_t position, int64_t size)
{
    if (position >= 0 && position < size)
        return position;
    if (mode == PLAIN_PAD_CONSTANT)
        return -1;
    if (mode == PLAIN_PAD_EDGE)
        return position < 0 ? 0 : size - 1;
    return position < 0 ? -position : 2 * (size - 1) - position;
}

void plain_pad_run(const struct plain *plain, const float *const *arguments, float *output, uint32_t threads)
{
    const struct plain_pad *what = &plain->as.pad;
    int64_t index[SHIM_MAX_RANK] = {0};
    (void)threads;
    do {
        int64_t from = 0;
        for (uint32_t i = 0; i < what->rank && from >= 0; i++) {
            int64_t source = pad_source(what->mode, index[i] - what->before[i], what->in_dims[i]);
            from = source < 0 ? -1 : from * what->in_dims[i] + source;
        }
        *output++ = from < 0 ? what->value : arguments[0][from];
    } while (plain_next_index(what->rank, what->out_dims, index));
}

void plain_mean_run(const struct plain *plain, const float *const *arguments, float *output, uint32_t threads)
{
    const struct plain_mean *what = &plain->as.mean;
    const float *input = arguments[0];
    int64_t index[SHIM_MAX_RANK] = {0};
    (void)threads;
    memset(output, 0, (size_t)what->outputs * sizeof(*output));
    do {
        int64_t to = 0;
        for (uint32_t i = 0; i < what->rank; i++)
            to += index[i] * what->out_stride[i];
        output[to] += *input++;
    } while (plain_next_index(what->rank, what->dims, index));
    for (int64_t i = 0; i < what->outputs; i++)
        output[i] /= (float)what->averaged;
}
