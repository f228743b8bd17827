/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products: Gemm, and MatMul with numpy's batching. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

struct gemm {
    int64_t rows, columns, depth;
    int64_t row_stride; /* of A, between neighbouring rows of the result */
    bool transposed_b;
    double alpha, beta;
    struct view c; /* walk over C, broadcast to the result */
};

struct matmul {
    int64_t rows, columns, depth;
    struct view batches_a, batches_b; /* walks over the matrices: strides in matrices */
    int64_t matrices_b;
};

/* Offsets 0, stride, 2 * stride... of the products of a sum. */
static int32_t plan_offsets(struct plan *plan, int64_t depth, int64_t stride)
{
    int64_t *offsets = plan->step->offsets = malloc((uint64_t)depth * sizeof(int64_t));
    if (!offsets)
        return plan_no_memory(plan);
    for (int64_t k = 0; k < depth; k++)
        offsets[k] = k * stride;
    return NAPM_OK;
}

/* Weights that are constant are packed once; others are packed into scratch for each task. */
static void plan_packing(struct step *step, uint64_t floats)
{
    bool constant = step_input(step, 1)->data != NULL;
    step->packed_bytes = floats * sizeof(float);
    step->packed_input = constant ? 1 : NAPM_NONE;
    step->scratch_bytes = constant ? 0 : step->packed_bytes;
}

static const float *packed_weights(const struct step *step, const struct frame *frame,
                                   void (*pack)(const struct step *step, const void *weights, float *packed))
{
    if (step->packed)
        return step->packed;
    pack(step, frame_input(step, frame, 1), frame->scratch);
    return frame->scratch;
}

/* ---- Gemm */

int32_t plan_gemm(struct plan *plan)
{
    struct step *step = plan->step;
    const struct napm_tensor *a = step_input(step, 0), *b = step_input(step, 1), *c = step_input(step, 2);
    bool transposed_a = attribute_integer(step->op, "transA", 0) != 0;
    struct gemm *gemm = plan_parameters(plan, sizeof(*gemm));
    if (!gemm)
        return plan_no_memory(plan);
    if (a->rank != 2 || b->rank != 2)
        return plan_invalid(plan, "A of rank %" PRIu32 " and B of rank %" PRIu32 " are not matrices", a->rank, b->rank);
    gemm->transposed_b = attribute_integer(step->op, "transB", 0) != 0;
    gemm->alpha = attribute_real(step->op, "alpha", 1.0);
    gemm->beta = attribute_real(step->op, "beta", 1.0);
    gemm->rows = a->dims[transposed_a ? 1 : 0];
    gemm->depth = a->dims[transposed_a ? 0 : 1];
    gemm->columns = b->dims[gemm->transposed_b ? 0 : 1];
    gemm->row_stride = transposed_a ? 1 : gemm->depth;
    if (b->dims[gemm->transposed_b ? 1 : 0] != gemm->depth)
        return plan_invalid(plan, "rows of A and columns of B differ in length");
    const int64_t dims[2] = {gemm->rows, gemm->columns};
    if (c && !view_broadcast(&gemm->c, c, 2, dims))
        return plan_invalid(plan, "C '%s' cannot be broadcast to the result", c->name);
    plan_packing(step, panel_floats(gemm->columns, gemm->depth));
    int32_t status = plan_expect_dims(plan, 2, dims);
    return status < 0 ? status : plan_offsets(plan, gemm->depth, transposed_a ? gemm->rows : 1);
}

static void pack_gemm(const struct step *step, const void *weights, float *packed)
{
    const struct gemm *gemm = step->parameters;
    panel_pack(packed, weights, gemm->columns, gemm->depth, gemm->transposed_b ? gemm->depth : 1,
               gemm->transposed_b ? 1 : gemm->columns);
}

int32_t load_gemm(struct step *step)
{
    pack_gemm(step, step_input(step, 1)->data, step->packed);
    return NAPM_OK;
}

/* Takes the sums of a strip of rows and a panel of columns. */
typedef void store_fn(const void *parameters, double sums[STRIP][PANEL], int64_t row, int64_t rows, int64_t column,
                      int64_t columns, const float *c, float *output);

/* One matrix product, panel by panel so that the panel's weights stay in the cache. */
static void multiply(const struct step *step, const float *a, int64_t row_stride, const float *packed, int64_t rows,
                     int64_t columns, int64_t depth, store_fn *store, const float *c, float *output)
{
    for (int64_t column = 0; column < columns; column += PANEL)
        for (int64_t row = 0; row < rows; row += STRIP) {
            const float *strip[STRIP];
            double sums[STRIP][PANEL];
            int64_t in_strip = rows - row < STRIP ? rows - row : STRIP;
            for (int64_t i = 0; i < STRIP; i++) /* a short strip repeats its last row */
                strip[i] = a + (row + (i < in_strip ? i : in_strip - 1)) * row_stride;
            panel_multiply(sums, strip, step->offsets, depth, packed + column * depth);
            store(step->parameters, sums, row, in_strip, column, columns - column < PANEL ? columns - column : PANEL, c,
                  output);
        }
}

static void store_gemm(const void *parameters, double sums[STRIP][PANEL], int64_t row, int64_t rows, int64_t column,
                       int64_t columns, const float *c, float *output)
{
    const struct gemm *gemm = parameters;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            double sum = gemm->alpha * sums[i][j];
            if (c)
                sum += gemm->beta * (double)c[(row + i) * gemm->c.strides[0] + (column + j) * gemm->c.strides[1]];
            output[(row + i) * gemm->columns + column + j] = (float)sum;
        }
}

int32_t compute_gemm(const struct step *step, const struct frame *frame)
{
    const struct gemm *gemm = step->parameters;
    multiply(step, frame_input(step, frame, 0), gemm->row_stride, packed_weights(step, frame, pack_gemm), gemm->rows,
             gemm->columns, gemm->depth, store_gemm, frame_input(step, frame, 2), frame_output(step, frame, 0));
    return NAPM_OK;
}

/* ---- MatMul */

/* The walk over the matrices of an operand in the order of the result's. `own` counts the operand's batch dims. */
static bool view_batches(struct view *view, const struct napm_tensor *tensor, uint32_t own, uint32_t rank,
                         const int64_t *dims)
{
    struct napm_tensor matrices = {.rank = own, .dims = tensor->dims};
    return view_broadcast(view, &matrices, rank, dims);
}

int32_t plan_matmul(struct plan *plan)
{
    struct step *step = plan->step;
    const struct napm_tensor *a = step_input(step, 0), *b = step_input(step, 1);
    struct matmul *matmul = plan_parameters(plan, sizeof(*matmul));
    if (!matmul)
        return plan_no_memory(plan);
    if (a->rank == 0 || b->rank == 0)
        return plan_invalid(plan, "an operand is a scalar");
    uint32_t batch_a = a->rank > 2 ? a->rank - 2 : 0, batch_b = b->rank > 2 ? b->rank - 2 : 0;
    uint32_t batch = batch_a > batch_b ? batch_a : batch_b, rank = batch;
    int64_t dims[MAX_RANK + 2];
    for (uint32_t i = 0; i < batch; i++) {
        int64_t of_a = i + batch_a < batch ? 1 : a->dims[i + batch_a - batch];
        int64_t of_b = i + batch_b < batch ? 1 : b->dims[i + batch_b - batch];
        dims[i] = of_a > of_b ? of_a : of_b;
    }
    matmul->rows = a->rank == 1 ? 1 : a->dims[a->rank - 2];
    matmul->depth = a->dims[a->rank - 1];
    matmul->columns = b->rank == 1 ? 1 : b->dims[b->rank - 1];
    matmul->matrices_b = tensor_span(b, 0, batch_b);
    if (b->dims[b->rank == 1 ? 0 : b->rank - 2] != matmul->depth)
        return plan_invalid(plan, "rows of A and columns of B differ in length");
    if (!view_batches(&matmul->batches_a, a, batch_a, batch, dims) ||
        !view_batches(&matmul->batches_b, b, batch_b, batch, dims))
        return plan_invalid(plan, "the operands' leading dimensions cannot be broadcast");
    if (a->rank > 1)
        dims[rank++] = matmul->rows;
    if (b->rank > 1)
        dims[rank++] = matmul->columns;
    plan_packing(step, (uint64_t)matmul->matrices_b * panel_floats(matmul->columns, matmul->depth));
    int32_t status = plan_expect_dims(plan, rank, dims);
    return status < 0 ? status : plan_offsets(plan, matmul->depth, 1);
}

static void pack_matmul(const struct step *step, const void *weights, float *packed)
{
    const struct matmul *matmul = step->parameters;
    for (int64_t i = 0; i < matmul->matrices_b; i++)
        panel_pack(packed + (uint64_t)i * panel_floats(matmul->columns, matmul->depth),
                   (const char *)weights + i * matmul->columns * matmul->depth * 4, matmul->columns, matmul->depth, 1,
                   matmul->columns);
}

int32_t load_matmul(struct step *step)
{
    pack_matmul(step, step_input(step, 1)->data, step->packed);
    return NAPM_OK;
}

static void store_matmul(const void *parameters, double sums[STRIP][PANEL], int64_t row, int64_t rows, int64_t column,
                         int64_t columns, const float *c, float *output)
{
    const struct matmul *matmul = parameters;
    (void)c;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            output[(row + i) * matmul->columns + column + j] = (float)sums[i][j];
}

int32_t compute_matmul(const struct step *step, const struct frame *frame)
{
    const struct matmul *matmul = step->parameters;
    const float *a = frame_input(step, frame, 0), *packed = packed_weights(step, frame, pack_matmul);
    float *output = frame_output(step, frame, 0);
    uint32_t rank = matmul->batches_a.rank;
    int64_t index[MAX_RANK] = {0}, offsets[2] = {0, 0};
    const int64_t *strides[2] = {matmul->batches_a.strides, matmul->batches_b.strides};
    bool more = true;
    while (more) {
        int64_t last = rank ? matmul->batches_a.dims[rank - 1] : 1;
        for (int64_t i = 0; i < last; i++) {
            int64_t matrix_a = offsets[0] + (rank ? i * strides[0][rank - 1] : 0);
            int64_t matrix_b = offsets[1] + (rank ? i * strides[1][rank - 1] : 0);
            multiply(step, a + matrix_a * matmul->rows * matmul->depth, matmul->depth,
                     packed + (uint64_t)matrix_b * panel_floats(matmul->columns, matmul->depth), matmul->rows,
                     matmul->columns, matmul->depth, store_matmul, NULL, output);
            output += matmul->rows * matmul->columns;
        }
        more = view_next_row(rank, matmul->batches_a.dims, index, 2, strides, offsets);
    }
    return NAPM_OK;
}
