/* SPDX-License-Identifier: Apache-2.0 */
/* Planning normalisations: BatchNormalization on its own, LRN, Softmax. */
#include "onednn_build.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A normalisation right after a convolution: y = scale x + shift for each channel. */
void build_normalisation_factors(struct builder *b, const struct napm_operator *op, float *scale, float *shift)
{
    const struct napm_tensor *constant[4];
    double epsilon = attribute_real(op, "epsilon", 1e-5f);
    for (uint32_t i = 0; i < 4; i++)
        constant[i] = operator_input(b->model, op, i + 1);
    for (int64_t c = 0; c < constant[0]->dims[0]; c++) {
        double factor = (double)constant_real(constant[0], c) / sqrt((double)constant_real(constant[3], c) + epsilon);
        scale[c] = (float)factor;
        shift[c] = (float)((double)constant_real(constant[1], c) - (double)constant_real(constant[2], c) * factor);
    }
}

/* A normalisation on its own: times scale, plus shift, both one number a channel. */
int plan_normalisation(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *in = operator_input(b->model, op, 0);
    const struct shim_layout *layout = build_layout_of(b, op->inputs[0]);
    int64_t channels = in->dims[1], dims[SHIM_MAX_RANK];
    for (uint32_t i = 0; i < in->rank; i++)
        dims[i] = i == 1 ? channels : 1;
    struct plan_step *step = build_step(b, STEP_KERNEL);
    if (!step)
        return build_out_of_memory(b);
    struct shim_posts posts = {.count = 1, .at = {{.kind = SHIM_POST_BINARY, .binary = SHIM_ADD}}};
    struct plan_constant *constants[2] = {build_constant(step, SHIM_SOURCE_B, NULL),
                                          build_constant(step, SHIM_POST_OPERAND, NULL)};
    for (uint32_t i = 0; i < 2; i++) {
        constants[i]->owned = calloc((size_t)channels, sizeof(float));
        constants[i]->data = constants[i]->owned;
        constants[i]->from = shim_layout_dense(in->rank, dims);
        constants[i]->to = shim_layout_dense(in->rank, dims);
        if (!constants[i]->owned || !constants[i]->from || !constants[i]->to)
            return build_out_of_memory(b);
    }
    build_normalisation_factors(b, op, constants[0]->owned, constants[1]->owned);
    posts.at[0].operand = constants[1]->from;
    const struct napm_operator *next = build_follower(b, op->outputs[0]);
    step->output = op->outputs[0];
    struct function_chain chain = {0};
    if (next && operator_work(next) == WORK_FUNCTION && operator_function(b->model, next, &chain, b->why) == 0) {
        step->output = next->outputs[0];
        b->next++;
    }
    for (uint32_t i = 0; i < chain.count; i++)
        posts.at[posts.count++] = (struct shim_post){.kind = SHIM_POST_FUNCTION,
                                                     .function = chain.at[i].function,
                                                     .alpha = chain.at[i].alpha,
                                                     .beta = chain.at[i].beta};
    step->kernel = shim_make_binary(b->plan->shim, SHIM_MUL, layout, constants[0]->from, &posts);
    if (!step->kernel)
        return build_no_kernel(b, op);
    struct plan_input *input = build_input(step, op->inputs[0], SHIM_SOURCE);
    if (!input || !(input->wanted = shim_layout_copy(layout)) || !(step->bound_output = shim_layout_copy(layout)))
        return build_out_of_memory(b);
    return build_made(b, step->output, shim_layout_copy(layout));
}

/* Up to opset 12 everything from the axis on is one dimension; since then only the axis itself. */
int plan_softmax(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *in = operator_input(b->model, op, 0);
    uint32_t axis = operator_axis(b->model, op, op->opset < 13 ? 1 : -1), end = op->opset < 13 ? in->rank : axis + 1;
    int64_t dims[3] = {tensor_elements_between(in, 0, axis), tensor_elements_between(in, axis, end),
                       tensor_elements_between(in, end, in->rank)};
    struct shim_layout *source = shim_layout_dense(3, dims), *destination = shim_layout_dense(3, dims);
    struct shim_kernel *kernel =
        source && destination ? shim_make_softmax(b->plan->shim, op->type[0] == 'L', source, 1) : NULL;
    return build_dense_step(b, op, kernel, source, destination);
}

int plan_lrn(struct builder *b, const struct napm_operator *op)
{
    const struct shim_layout *layout = build_layout_of(b, op->inputs[0]);
    struct shim_kernel *kernel =
        shim_make_lrn(b->plan->shim, layout, attribute_integer(op, "size", 1), attribute_real(op, "alpha", 1e-4f),
                      attribute_real(op, "beta", 0.75f), attribute_real(op, "bias", 1.0f));
    struct plan_step *step = kernel ? build_step(b, STEP_KERNEL) : NULL;
    if (!step) {
        shim_kernel_free(kernel);
        return build_no_kernel(b, op);
    }
    step->kernel = kernel;
    step->output = op->outputs[0];
    step->bound_output = shim_layout_copy(layout);
    if (!step->bound_output || build_operand(b, step, op->inputs[0], SHIM_SOURCE, shim_layout_copy(layout), NULL))
        return build_out_of_memory(b);
    return build_made(b, step->output, shim_layout_copy(layout));
}
