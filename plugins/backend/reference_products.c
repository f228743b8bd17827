/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of products, in double: the inner loop of Conv, Gemm and MatMul.
 *
 * Weights are packed into panels of eight neighbouring outputs, so that one loaded value of a row meets eight weights
 * that lie together, and each loaded weight meets four rows. Nothing is shared between outputs but the loading, so
 * the value of an output does not depend on its neighbours.
 */
#include <string.h>

#include "reference.h"

uint64_t panel_floats(int64_t columns, int64_t depth)
{
    return ((uint64_t)columns + PANEL - 1) / PANEL * PANEL * (uint64_t)depth;
}

void panel_pack(float *packed, const void *source, int64_t columns, int64_t depth, int64_t column_stride,
                int64_t depth_stride)
{
    const char *bytes = source; /* a mapped file gives no alignment */
    for (int64_t first = 0; first < columns; first += PANEL)
        for (int64_t k = 0; k < depth; k++, packed += PANEL)
            for (int64_t n = first; n < first + PANEL; n++) {
                packed[n - first] = 0.0f;
                if (n < columns)
                    memcpy(&packed[n - first], bytes + (k * depth_stride + n * column_stride) * (int64_t)sizeof(float),
                           sizeof(float));
            }
}

/* Pairs of doubles: every machine that this runs on has registers for them, so no build option changes the result. */
typedef float float_pair __attribute__((vector_size(8), aligned(4), may_alias));
typedef double double_pair __attribute__((vector_size(16)));
#define PAIRS (PANEL / 2)

void panel_multiply(double sums[STRIP][PANEL], const float *const rows[STRIP], const int64_t *offsets, int64_t depth,
                    const float *panel)
{
    double_pair sum[STRIP][PAIRS] = {0};
    const float *row0 = rows[0], *row1 = rows[1], *row2 = rows[2], *row3 = rows[3];
    for (int64_t k = 0; k < depth; k++) {
        const int64_t at = offsets[k];
        const double x[STRIP] = {row0[at], row1[at], row2[at], row3[at]};
#pragma GCC unroll 4
        for (uint32_t c = 0; c < PAIRS; c++) {
            double_pair weights =
                __builtin_convertvector(*(const float_pair *)(panel + (uint64_t)k * PANEL + 2 * c), double_pair);
#pragma GCC unroll 4
            for (uint32_t r = 0; r < STRIP; r++)
                sum[r][c] += weights * x[r];
        }
    }
    for (uint32_t r = 0; r < STRIP; r++)
        for (uint32_t c = 0; c < PANEL; c++)
            sums[r][c] = sum[r][c / 2][c % 2];
}
