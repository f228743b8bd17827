/* SPDX-License-Identifier: Apache-2.0 */
/* Planning Gemm and MatMul. */
#include "onednn_build.h"

#include <stdlib.h>
#include <string.h>

/* ---- products with a constant matrix */

struct product {
    const struct napm_operator *op;
    int64_t rows, inputs, outputs; /* (rows x inputs) times (inputs x outputs) */
    const struct napm_tensor *matrix;
    int64_t stride_n, stride_k; /* in the matrix: elements from one output or input to the next */
    float factor;
    float *bias; /* or NULL */
};

/* Takes a following Add of a constant row into the bias. */
static int product_fold_bias(struct builder *b, struct product *p, uint32_t *output)
{
    const struct napm_operator *next = build_follower(b, *output);
    if (p->bias || !next || operator_work(next) != WORK_BINARY || operator_binary(next) != SHIM_ADD)
        return 0;
    uint32_t other = next->inputs[next->inputs[0] == *output ? 1 : 0];
    const struct napm_tensor *row = b->model->tensors[other];
    if (!row->data || row->element_type != NAPM_F32 || row->rank < 1 || tensor_elements(row) != p->outputs ||
        row->dims[row->rank - 1] != p->outputs || row->rank > b->model->tensors[*output]->rank)
        return 0;
    p->bias = calloc((size_t)p->outputs, sizeof(float));
    if (!p->bias)
        return build_out_of_memory(b);
    memcpy(p->bias, row->data, (size_t)p->outputs * sizeof(float));
    *output = next->outputs[0];
    b->next++;
    return 0;
}

static int product_bias_constant(struct builder *b, struct product *p, struct plan_step *step, uint32_t slot)
{
    struct plan_constant *bias = build_constant(step, slot, p->bias);
    bias->owned = p->bias;
    p->bias = NULL;
    bias->from = shim_layout_dense(1, &p->outputs);
    bias->to = shim_layout_dense(1, &p->outputs);
    return bias->from && bias->to ? 0 : build_out_of_memory(b);
}

/* One vector: our own kernel, which takes functions but no other posts. */
static int product_vector(struct builder *b, struct product *p, uint32_t output)
{
    struct plan_step *step = build_step(b, STEP_PLAIN);
    if (!step)
        return build_out_of_memory(b);
    step->plain.run = plain_vector_matrix_run;
    struct plain_vector_matrix *what = &step->plain.as.vector_matrix;
    what->outputs = p->outputs;
    what->inputs = p->inputs;
    const struct napm_operator *next = build_follower(b, output);
    if (next && operator_work(next) == WORK_FUNCTION) {
        if (operator_function(b->model, next, &what->functions, b->why))
            return -1;
        output = next->outputs[0];
        b->next++;
    }
    step->output = output;
    struct plan_input *input = build_input(step, p->op->inputs[0], 0);
    struct plan_constant *matrix = build_constant(step, 1, p->matrix->data);
    matrix->packing = PACK_MATRIX;
    matrix->factor = p->factor;
    matrix->outputs = p->outputs;
    matrix->inputs = p->inputs;
    matrix->stride_n = p->stride_n;
    matrix->stride_k = p->stride_k;
    if (!input || !(input->wanted = build_dense(operator_input(b->model, p->op, 0))))
        return build_out_of_memory(b);
    if (p->bias && product_bias_constant(b, p, step, 2))
        return -1;
    return build_made(b, output, build_dense(b->model->tensors[output]));
}

/* Several rows: the library's inner product. */
static int product_rows(struct builder *b, struct product *p, uint32_t output)
{
    int64_t in_dims[2] = {p->rows, p->inputs}, weights_dims[2] = {p->outputs, p->inputs},
            out_dims[2] = {p->rows, p->outputs};
    int64_t strides[2] = {p->stride_n, p->stride_k};
    struct fusion fusion;
    struct plan_step *step = build_step(b, STEP_KERNEL);
    if (!step)
        return build_out_of_memory(b);
    struct plan_input *input = build_input(step, p->op->inputs[0], SHIM_SOURCE);
    struct shim_layout *any = shim_layout_any(2, weights_dims),
                       *bias = p->bias ? shim_layout_dense(1, &p->outputs) : NULL;
    step->bound_output = shim_layout_dense(2, out_dims);
    if (!input || !any || !step->bound_output || !(input->bound = shim_layout_dense(2, in_dims)) ||
        !(input->wanted = build_dense(operator_input(b->model, p->op, 0)))) {
        shim_layout_free(any);
        shim_layout_free(bias);
        return build_out_of_memory(b);
    }
    for (uint32_t limit = SHIM_MAX_POSTS + 1; limit-- > 0 && !step->kernel;) {
        fusion_collect(b, output, b->model->tensors[output]->rank == 2, limit, &fusion);
        step->kernel =
            b->model->tensors[output]->rank == 2 || fusion.posts.count == 0 || limit == 0
                ? shim_make_inner_product(b->plan->shim, input->bound, any, bias, step->bound_output, &fusion.posts)
                : NULL;
        if (!step->kernel)
            fusion_free(&fusion);
    }
    shim_layout_free(any);
    shim_layout_free(bias);
    if (!step->kernel)
        return build_no_kernel(b, p->op);
    b->next = fusion.next;
    step->output = fusion.output;
    struct plan_constant *weights = build_constant(step, SHIM_WEIGHTS, p->matrix->data);
    weights->factor = p->factor;
    weights->rows = 1;
    weights->row_elements = p->inputs * p->outputs;
    weights->from = shim_layout_strided(2, weights_dims, strides);
    weights->to = shim_kernel_layout(step->kernel, SHIM_WEIGHTS);
    int failed = !weights->from || !weights->to ? build_out_of_memory(b) : 0;
    if (!failed && p->bias)
        failed = product_bias_constant(b, p, step, SHIM_BIAS);
    failed = failed || fusion_inputs(b, step, &fusion, step->bound_output) ||
             build_made(b, step->output, build_dense(b->model->tensors[step->output]));
    fusion_free(&fusion);
    return failed ? -1 : 0;
}

static int product_step(struct builder *b, struct product *p)
{
    uint32_t output = p->op->outputs[0];
    if (product_fold_bias(b, p, &output))
        return -1;
    return p->rows == 1 ? product_vector(b, p, output) : product_rows(b, p, output);
}

/* ---- matrix products */

/* Both operands computed at run time, or a constant on the left or with leading dimensions. */
static int plan_general_matmul(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    uint32_t rank = out->rank;
    struct plan_step *step = build_step(b, STEP_KERNEL);
    struct shim_layout *bound[2] = {NULL, NULL};
    if (!step)
        return build_out_of_memory(b);
    for (uint32_t i = 0; i < 2; i++) {
        int64_t dims[SHIM_MAX_RANK];
        build_dims(operator_input(b->model, op, i), rank, dims);
        bound[i] = shim_layout_dense(rank, dims);
    }
    step->bound_output = build_dense(out);
    step->output = op->outputs[0];
    if (bound[0] && bound[1] && step->bound_output)
        step->kernel = shim_make_matmul(b->plan->shim, bound[0], bound[1], step->bound_output, NULL);
    int failed = step->kernel ? 0 : build_no_kernel(b, op);
    for (uint32_t i = 0; i < 2 && !failed; i++) {
        uint32_t slot = i == 0 ? SHIM_SOURCE : SHIM_WEIGHTS;
        if (build_is_constant(b, op->inputs[i])) {
            struct plan_constant *constant = build_constant(step, slot, b->model->tensors[op->inputs[i]]->data);
            constant->from = shim_layout_copy(bound[i]);
            constant->to = shim_layout_copy(bound[i]);
            failed = constant->from && constant->to ? 0 : build_out_of_memory(b);
            continue;
        }
        struct plan_input *input = build_input(step, op->inputs[i], slot);
        failed = !input || !(input->bound = shim_layout_copy(bound[i])) ||
                         !(input->wanted = build_dense(b->model->tensors[op->inputs[i]]))
                     ? build_out_of_memory(b)
                     : 0;
    }
    shim_layout_free(bound[0]);
    shim_layout_free(bound[1]);
    return failed ? -1 : build_made(b, step->output, build_dense(out));
}

int plan_matmul(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *left = operator_input(b->model, op, 0), *right = operator_input(b->model, op, 1);
    if (!right->data || right->rank != 2 || left->data)
        return plan_general_matmul(b, op);
    struct product p = {.op = op, .matrix = right, .inputs = right->dims[0], .outputs = right->dims[1]};
    p.rows = tensor_elements(left) / p.inputs;
    p.stride_n = 1;
    p.stride_k = p.outputs;
    p.factor = 1.0f;
    int failed = product_step(b, &p);
    free(p.bias);
    return failed;
}

int plan_gemm(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *c = operator_input(b->model, op, 2), *out = operator_output(b->model, op, 0);
    struct product p = {
        .op = op, .matrix = operator_input(b->model, op, 1), .rows = out->dims[0], .outputs = out->dims[1]};
    if (!p.matrix->data)
        return plan_general_matmul(b, op);
    int transposed = attribute_integer(op, "transB", 0) != 0;
    p.inputs = p.matrix->dims[transposed ? 1 : 0];
    p.stride_n = transposed ? p.inputs : 1;
    p.stride_k = transposed ? 1 : p.outputs;
    p.factor = attribute_real(op, "alpha", 1.0f);
    if (c) {
        p.bias = calloc((size_t)p.outputs, sizeof(float));
        if (!p.bias)
            return build_out_of_memory(b);
        for (int64_t i = 0; i < p.outputs; i++)
            p.bias[i] = attribute_real(op, "beta", 1.0f) * constant_real(c, tensor_elements(c) == 1 ? 0 : i);
    }
    int failed = product_step(b, &p);
    free(p.bias);
    return failed;
}
