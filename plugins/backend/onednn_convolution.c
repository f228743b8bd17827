/* SPDX-License-Identifier: Apache-2.0 */
/* Planning convolutions: folding, fusion, and the choice of algorithm and layouts by rules on the shape. */
#include "onednn_build.h"

#include <stdlib.h>
#include <string.h>

/* What a convolution is, before its kernel is chosen. */
struct convolution {
    const struct napm_operator *op;
    const struct napm_tensor *weights;
    struct shim_convolution shape;
    uint32_t weights_rank;
    int64_t weights_dims[6];
    int64_t groups, channels; /* channels: output channels */
    float *scale; /* of a folded normalisation, or NULL */
    float *bias; /* folded, or NULL */
};

/*
 * The choices below are rules on shapes, found by measuring (AVX-512, batch 1), and not timings made on the spot: so
 * every run and every segment chooses the same.
 */

static int64_t pixels(const struct napm_tensor *image)
{
    return tensor_elements_between(image, 2, image->rank);
}

/*
 * Winograd's F(4x4, 3x3) needs a quarter of the multiplications, but its weights are four times as large. It takes 45%
 * less time on images of 20x20 and more, 25% less on 7x7, and more on 4x4, where reading the weights is all there is.
 * Below 20x20 the library shares a kernel with few channels out badly among threads: 192 -> 384 channels of 13x13 take
 * two threads longer than one, and 1.6 times as long as without Winograd.
 */
static int winograd_pays(const struct builder *b, const struct convolution *c, const struct napm_tensor *in,
                         const struct napm_tensor *out)
{
    int64_t fewest_channels = b->plan->how.threads > 1 && pixels(out) < 20 * 20 ? 256 : 64;
    const struct shim_window *w = &c->shape.window;
    if (w->rank != 2 || c->groups != 1)
        return 0;
    for (uint32_t i = 0; i < 2; i++)
        if (w->kernel[i] != 3 || w->stride[i] != 1 || w->dilation[i] != 1)
            return 0;
    return in->dims[1] >= fewest_channels && c->channels >= fewest_channels && pixels(out) >= 7 * 7;
}

/*
 * The library's own first choice is channels last with matrix kernels. Blocked channels with the older kernels take
 * 10% (one thread) to 30% (two threads) less time, but for windows on very small images.
 */
static int blocks_pay(const struct builder *b, const struct convolution *c, const struct napm_tensor *out)
{
    return b->plan->channel_block > 0 &&
           (pixels(out) >= 7 * 7 || tensor_elements_between(c->weights, 2, c->weights->rank) == 1);
}

static void convolution_clear(struct convolution *c)
{
    shim_layout_free(c->shape.source);
    shim_layout_free(c->shape.weights);
    shim_layout_free(c->shape.bias);
    shim_layout_free(c->shape.destination);
    free(c->scale);
    free(c->bias);
}

/*
 * Folds the operator's own bias and a normalisation that follows; moves `b` past it. Returns the tensor that comes
 * out.
 */
static int convolution_fold(struct builder *b, struct convolution *c, uint32_t *output)
{
    const struct napm_tensor *bias = operator_input(b->model, c->op, 2);
    *output = c->op->outputs[0];
    const struct napm_operator *next = build_follower(b, *output);
    int normalised = next && operator_work(next) == WORK_NORMALISATION;
    if (!bias && !normalised)
        return 0;
    c->bias = calloc((size_t)c->channels, sizeof(float));
    if (!c->bias)
        return build_out_of_memory(b);
    if (normalised) {
        c->scale = calloc((size_t)c->channels, sizeof(float));
        if (!c->scale)
            return build_out_of_memory(b);
        build_normalisation_factors(b, next, c->scale, c->bias);
        *output = next->outputs[0];
        b->next++;
    }
    for (int64_t i = 0; bias && i < c->channels; i++)
        c->bias[i] += constant_real(bias, i) * (c->scale ? c->scale[i] : 1.0f);
    return 0;
}

static int convolution_describe(struct builder *b, const struct napm_operator *op, struct convolution *c)
{
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    memset(c, 0, sizeof(*c));
    c->op = op;
    c->weights = operator_input(b->model, op, 1);
    c->groups = attribute_integer(op, "group", 1);
    c->channels = out->dims[1];
    if (operator_window(b->model, op, &c->shape.window, NULL, b->why))
        return -1;
    uint32_t at = 0;
    if (c->groups > 1)
        c->weights_dims[at++] = c->groups;
    c->weights_dims[at++] = c->channels / c->groups;
    for (uint32_t i = 1; i < c->weights->rank; i++)
        c->weights_dims[at++] = c->weights->dims[i];
    c->weights_rank = at;
    c->shape.weights = shim_layout_any(at, c->weights_dims);
    return c->shape.weights ? 0 : build_out_of_memory(b);
}

/* Sets the layouts of source and destination: blocked, or left to the library. */
static int convolution_layouts(struct builder *b, struct convolution *c, int blocked)
{
    const struct napm_tensor *in = operator_input(b->model, c->op, 0), *out = operator_output(b->model, c->op, 0);
    uint32_t block = b->plan->channel_block;
    shim_layout_free(c->shape.source);
    shim_layout_free(c->shape.destination);
    if (blocked) {
        int image = c->groups == 1 && (in->dims[1] == 1 || in->dims[1] == 3); /* kernels read these without blocks */
        c->shape.source = image ? build_dense(in) : shim_layout_channels_blocked(in->rank, in->dims, block);
        c->shape.destination = shim_layout_channels_blocked(out->rank, out->dims, block);
    } else {
        c->shape.source = shim_layout_any(in->rank, in->dims);
        c->shape.destination = shim_layout_any(out->rank, out->dims);
    }
    return c->shape.source && c->shape.destination ? 0 : build_out_of_memory(b);
}

/* The first of the forms, in a fixed order, for which the library has a fast kernel (`any`: or at least one). */
static struct shim_kernel *convolution_form(struct builder *b, struct convolution *c, const struct shim_posts *posts,
                                            int any)
{
    const struct napm_tensor *in = operator_input(b->model, c->op, 0), *out = operator_output(b->model, c->op, 0);
    int winograd = b->plan->how.winograd && winograd_pays(b, c, in, out);
    for (int blocked = blocks_pay(b, c, out); blocked >= 0; blocked--) {
        if (convolution_layouts(b, c, blocked))
            return NULL;
        for (c->shape.winograd = winograd; c->shape.winograd >= 0; c->shape.winograd--) {
            struct shim_kernel *kernel = shim_make_convolution(b->plan->shim, &c->shape, posts);
            if (kernel && ((any && !blocked) || shim_kernel_is_fast(kernel)))
                return kernel;
            shim_kernel_free(kernel);
        }
    }
    return NULL;
}

/* Fuses as much as there is a fast kernel for; what is left over becomes steps of its own. */
static struct shim_kernel *convolution_kernel(struct builder *b, struct convolution *c, uint32_t output,
                                              struct fusion *fusion)
{
    for (uint32_t limit = SHIM_MAX_POSTS + 1; limit-- > 0;) {
        fusion_collect(b, output, 1, limit, fusion);
        struct shim_kernel *kernel = convolution_form(b, c, &fusion->posts, limit == 0);
        if (kernel)
            return kernel;
        fusion_free(fusion);
    }
    return NULL;
}

/* Weights and bias as constants of the step; takes scale and bias over from `c`. */
static int convolution_constants(struct builder *b, struct convolution *c, struct plan_step *step)
{
    struct plan_constant *weights = build_constant(step, SHIM_WEIGHTS, c->weights->data);
    weights->from = shim_layout_dense(c->weights_rank, c->weights_dims);
    weights->to = shim_kernel_layout(step->kernel, SHIM_WEIGHTS);
    weights->row_factors = c->scale;
    weights->rows = c->channels;
    weights->row_elements = tensor_elements(c->weights) / c->channels;
    c->scale = NULL;
    if (!weights->from || !weights->to)
        return build_out_of_memory(b);
    if (!c->bias)
        return 0;
    struct plan_constant *bias = build_constant(step, SHIM_BIAS, c->bias);
    bias->owned = c->bias;
    c->bias = NULL;
    bias->from = shim_layout_copy(c->shape.bias);
    bias->to = shim_layout_copy(c->shape.bias);
    return bias->from && bias->to ? 0 : build_out_of_memory(b);
}

static int convolution_step(struct builder *b, struct convolution *c)
{
    struct fusion fusion = {0};
    uint32_t output;
    if (convolution_fold(b, c, &output))
        return -1;
    if (c->bias && !(c->shape.bias = shim_layout_dense(1, &c->channels)))
        return build_out_of_memory(b);
    struct plan_step *step = build_step(b, STEP_KERNEL);
    if (!step)
        return build_out_of_memory(b);
    step->kernel = convolution_kernel(b, c, output, &fusion);
    if (!step->kernel)
        return build_no_kernel(b, c->op);
    b->next = fusion.next;
    step->output = fusion.output;
    step->bound_output = shim_kernel_layout(step->kernel, SHIM_DESTINATION);
    struct plan_input *input = build_input(step, c->op->inputs[0], SHIM_SOURCE);
    int failed = !input || !step->bound_output || !(input->wanted = shim_kernel_layout(step->kernel, SHIM_SOURCE))
                     ? build_out_of_memory(b)
                     : convolution_constants(b, c, step);
    failed = failed || fusion_inputs(b, step, &fusion, step->bound_output) ||
             build_made(b, step->output, shim_layout_copy(step->bound_output));
    fusion_free(&fusion);
    return failed ? -1 : 0;
}

int plan_convolution(struct builder *b, const struct napm_operator *op)
{
    struct convolution c;
    int failed = convolution_describe(b, op, &c) || convolution_step(b, &c);
    convolution_clear(&c);
    return failed ? -1 : 0;
}
