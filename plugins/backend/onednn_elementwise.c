/* SPDX-License-Identifier: Apache-2.0 */
/* Planning elementwise operators: functions of one tensor, arithmetic on two. */
#include "onednn_build.h"

#include <stdlib.h>
#include <string.h>

/* ---- elementwise */

/* One function of a chain. What is between two of them has no name: the second reads and makes the same tensor. */
static int function_step(struct builder *b, const struct napm_operator *op, const struct function_chain *chain,
                         uint32_t i, uint32_t from, uint32_t to)
{
    const struct shim_layout *layout = build_layout_of(b, from);
    struct plan_step *step = build_step(b, STEP_KERNEL);
    if (!step)
        return build_out_of_memory(b);
    step->kernel =
        shim_make_function(b->plan->shim, chain->at[i].function, chain->at[i].alpha, chain->at[i].beta, layout);
    if (!step->kernel)
        return build_no_kernel(b, op);
    struct plan_input *input = build_input(step, from, SHIM_SOURCE);
    step->output = to;
    if (!input || !(input->wanted = shim_layout_copy(layout)) || !(step->bound_output = shim_layout_copy(layout)))
        return build_out_of_memory(b);
    return build_made(b, to, shim_layout_copy(layout));
}

int plan_function(struct builder *b, const struct napm_operator *op)
{
    struct function_chain chain;
    if (operator_function(b->model, op, &chain, b->why))
        return -1;
    for (uint32_t i = 0; i < chain.count; i++)
        if (function_step(b, op, &chain, i, i == 0 ? op->inputs[0] : op->outputs[0], op->outputs[0]))
            return -1;
    return 0;
}

/* Any broadcasting, in our own kernel. */
static int plan_plain_binary(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    struct plan_step *step = build_step(b, STEP_PLAIN);
    if (!step)
        return build_out_of_memory(b);
    struct plain_binary *what = &step->plain.as.binary;
    step->plain.run = plain_binary_run;
    step->output = op->outputs[0];
    what->binary = operator_binary(op);
    what->rank = out->rank;
    memcpy(what->dims, out->dims, out->rank * sizeof(*out->dims));
    for (uint32_t side = 0; side < 2; side++) {
        int64_t dims[SHIM_MAX_RANK], stride = 1;
        build_dims(operator_input(b->model, op, side), out->rank, dims);
        for (uint32_t i = out->rank; i-- > 0;) {
            (side == 0 ? what->stride_a : what->stride_b)[i] = dims[i] == 1 ? 0 : stride;
            stride *= dims[i];
        }
        if (build_operand(b, step, op->inputs[side], side, build_dense(operator_input(b->model, op, side)), NULL))
            return -1;
    }
    return build_made(b, step->output, build_dense(out));
}

/* The library's kernel: the full operand first (in its own layout), the other one equal or broadcast. */
int plan_binary(struct builder *b, const struct napm_operator *op)
{
    enum shim_binary binary = operator_binary(op);
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    int commutes = binary == SHIM_ADD || binary == SHIM_MUL;
    uint32_t full = 0;
    while (full < 2 &&
           (build_is_constant(b, op->inputs[full]) || !build_same_dims(operator_input(b->model, op, full), out)))
        full++;
    if (full == 2 || (full == 1 && !commutes) || out->rank == 0)
        return plan_plain_binary(b, op);
    uint32_t a = op->inputs[full], other = op->inputs[1 - full];
    const struct napm_tensor *operand = b->model->tensors[other];
    const struct shim_layout *layout = build_layout_of(b, a);
    int64_t dims[SHIM_MAX_RANK];
    build_dims(operand, out->rank, dims);
    int equal = build_same_dims(operand, out) && !build_is_constant(b, other);
    struct shim_layout *bound = equal ? shim_layout_copy(layout) : shim_layout_dense(out->rank, dims);
    struct fusion fusion;
    fusion_collect(b, op->outputs[0], 0, SHIM_MAX_POSTS, &fusion);
    struct shim_kernel *kernel = bound ? shim_make_binary(b->plan->shim, binary, layout, bound, &fusion.posts) : NULL;
    if (!kernel || !shim_kernel_is_fast(kernel)) {
        shim_kernel_free(kernel);
        shim_layout_free(bound);
        fusion_free(&fusion);
        return plan_plain_binary(b, op);
    }
    struct plan_step *step = build_step(b, STEP_KERNEL);
    if (!step) {
        shim_kernel_free(kernel);
        shim_layout_free(bound);
        fusion_free(&fusion);
        return build_out_of_memory(b);
    }
    step->kernel = kernel;
    step->output = fusion.output;
    step->bound_output = shim_layout_copy(layout);
    b->next = fusion.next;
    int failed =
        build_operand(b, step, a, SHIM_SOURCE, shim_layout_copy(layout), NULL) ||
        build_operand(b, step, other, SHIM_SOURCE_B, equal ? shim_layout_copy(layout) : build_dense(operand), bound) ||
        fusion_inputs(b, step, &fusion, layout) || !step->bound_output ||
        build_made(b, step->output, shim_layout_copy(layout));
    fusion_free(&fusion);
    return failed ? -1 : 0;
}
