/* SPDX-License-Identifier: Apache-2.0 */
/* Making the plan of a model, layer by layer, and packing its constants. */
#include "onednn_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the whole */

static int plan_operator(struct builder *b, const struct napm_operator *op)
{
    switch (operator_work(op)) {
    case WORK_CONVOLUTION:
        return plan_convolution(b, op);
    case WORK_GEMM:
        return plan_gemm(b, op);
    case WORK_MATMUL:
        return plan_matmul(b, op);
    case WORK_NORMALISATION:
        return plan_normalisation(b, op);
    case WORK_FUNCTION:
        return plan_function(b, op);
    case WORK_BINARY:
        return plan_binary(b, op);
    case WORK_POOLING:
        return plan_pooling(b, op);
    case WORK_GLOBAL_POOLING:
        return plan_global_pooling(b, op);
    case WORK_SAME:
        return plan_view(b, op, 1);
    case WORK_RESHAPE:
        return plan_view(b, op, 0);
    case WORK_CONCAT:
        return plan_concat(b, op);
    case WORK_SOFTMAX:
        return plan_softmax(b, op);
    case WORK_LRN:
        return plan_lrn(b, op);
    case WORK_TRANSPOSE:
        return plan_transpose(b, op);
    case WORK_PAD:
        return plan_pad(b, op);
    case WORK_MEAN:
        return plan_mean(b, op);
    case WORK_WALK:
        return plan_walk(b, op);
    default:
        return refuse(b->why, "node %s: operator %s is not supported", op->name, op->type);
    }
}

static int plan_layer(struct plan *plan, uint32_t layer, struct reason *why)
{
    struct builder b = {.plan = plan, .model = plan->model, .layer = plan->model->layers[layer], .why = why};
    while (b.next < b.layer->operator_count) {
        uint32_t index = b.layer->operators[b.next++];
        const struct napm_operator *op = plan->model->operators[index];
        const struct napm_tensor *out = operator_output(plan->model, op, 0);
        if (out && out->data)
            continue;
        if (operator_check(plan->model, index, why) || plan_operator(&b, op))
            return -1;
    }
    return 0;
}

/* How often each tensor is read; model inputs are dense. */
static int plan_tensors(struct plan *plan, struct reason *why)
{
    const struct napm_model *model = plan->model;
    plan->tensors = calloc(model->tensor_count, sizeof(*plan->tensors));
    if (!plan->tensors)
        return refuse(why, "out of memory while planning model %s", model->name);
    for (uint32_t i = 0; i < model->operator_count; i++)
        for (uint32_t k = 0; k < model->operators[i]->input_count; k++)
            if (model->operators[i]->inputs[k] != NAPM_NONE)
                plan->tensors[model->operators[i]->inputs[k]].uses++;
    for (uint32_t i = 0; i < model->output_count; i++)
        plan->tensors[model->outputs[i]].uses++;
    for (uint32_t i = 0; i < model->input_count; i++) {
        const struct napm_tensor *tensor = model->tensors[model->inputs[i]];
        if (tensor->element_type != NAPM_F32)
            return refuse(why, "model input %s is not float", tensor->name);
        plan->tensors[model->inputs[i]].layout = build_dense(tensor);
        if (!plan->tensors[model->inputs[i]].layout)
            return refuse(why, "out of memory while planning model %s", model->name);
    }
    return 0;
}

struct plan *plan_new(struct shim *shim, const struct napm_model *model, const struct plan_how *how, struct reason *why)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    if (!plan) {
        refuse(why, "out of memory while planning model %s", model->name);
        return NULL;
    }
    plan->shim = shim;
    plan->model = model;
    plan->how = *how;
    plan->channel_block = shim_channel_block();
    plan->first_step = calloc((size_t)model->layer_count + 1, sizeof(*plan->first_step));
    int failed =
        plan->first_step ? plan_tensors(plan, why) : refuse(why, "out of memory while planning model %s", model->name);
    for (uint32_t layer = 0; layer < model->layer_count && !failed; layer++) {
        failed = plan_layer(plan, layer, why);
        plan->first_step[layer + 1] = plan->step_count;
    }
    if (failed) {
        plan_free(plan);
        return NULL;
    }
    return plan;
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (uint32_t i = 0; i < plan->step_count; i++)
        build_step_clear(&plan->steps[i]);
    for (uint32_t i = 0; plan->tensors && i < plan->model->tensor_count; i++)
        shim_layout_free(plan->tensors[i].layout);
    free(plan->tensors);
    free(plan->steps);
    free(plan->first_step);
    free(plan);
}

/* ---- constants */

uint64_t plan_constant_bytes(const struct plan_constant *constant)
{
    return constant->packing == PACK_MATRIX ? plain_matrix_bytes(constant->outputs, constant->inputs)
                                            : shim_layout_bytes(constant->to);
}

/* The data as aligned floats with the factors applied; the caller frees. */
static float *constant_scaled(const struct plan_constant *constant)
{
    uint64_t bytes = shim_layout_bytes(constant->from);
    float *copy = aligned_alloc(64, (bytes + 63) & ~(uint64_t)63);
    if (!copy)
        return NULL;
    memcpy(copy, constant->data, bytes);
    for (int64_t row = 0; row < constant->rows; row++) {
        float factor = constant->factor * (constant->row_factors ? constant->row_factors[row] : 1.0f);
        for (int64_t i = 0; factor != 1.0f && i < constant->row_elements; i++)
            copy[row * constant->row_elements + i] *= factor;
    }
    return copy;
}

int plan_constant_pack(struct shim *shim, const struct plan_constant *constant, void *place)
{
    if (constant->packing == PACK_MATRIX) {
        plain_matrix_pack(constant->outputs, constant->inputs, constant->data, constant->stride_n, constant->stride_k,
                          constant->factor, place);
        return 0;
    }
    float *scaled = constant_scaled(constant);
    struct shim_kernel *kernel = scaled ? shim_make_reorder(shim, constant->from, constant->to) : NULL;
    struct shim_call *call = kernel ? shim_call_new(shim, kernel) : NULL;
    uint64_t scratch_bytes = kernel ? shim_kernel_scratch_bytes(kernel) : 0;
    void *scratch = scratch_bytes > 0 ? aligned_alloc(64, (scratch_bytes + 63) & ~(uint64_t)63) : NULL;
    int failed = !call || shim_call_bind(call, SHIM_SOURCE, constant->from, scaled) ||
                 shim_call_bind(call, SHIM_DESTINATION, constant->to, place) ||
                 (scratch_bytes > 0 && (!scratch || shim_call_bind(call, SHIM_SCRATCH, NULL, scratch))) ||
                 shim_call_run(call);
    shim_call_free(call);
    shim_kernel_free(kernel);
    free(scratch);
    free(scaled);
    return failed ? -1 : 0;
}

void plan_describe(const struct plan *plan, uint32_t step, char *text, size_t text_bytes)
{
    const struct plan_step *s = &plan->steps[step];
    const char *how = s->kind == STEP_KERNEL ? shim_kernel_name(s->kernel) : s->kind == STEP_PLAIN ? "own" : "view";
    snprintf(text, text_bytes, "step %u makes %s with %s", step, plan->model->tensors[s->output]->name, how);
}
