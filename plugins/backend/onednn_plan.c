/* SPDX-License-Identifier: Apache-2.0 */
/* Making the plan of a model: operators to steps, fusion inside a layer, the choice of kernels and layouts. */
#include "onednn_plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The state of planning one layer. */
struct builder {
    struct plan *plan;
    const struct napm_model *model;
    const struct napm_layer *layer;
    uint32_t next; /* position in the layer's list of the operator after the one being planned */
    struct reason *why;
};

/* ---- steps under construction */

static struct plan_step *step_new(struct builder *b, enum step_kind kind)
{
    struct plan *plan = b->plan;
    struct plan_step *grown = realloc(plan->steps, (plan->step_count + 1) * sizeof(*grown));
    if (!grown)
        return NULL;
    plan->steps = grown;
    struct plan_step *step = &grown[plan->step_count++];
    memset(step, 0, sizeof(*step));
    step->kind = kind;
    step->output = NAPM_NONE;
    return step;
}

static struct plan_input *step_input(struct plan_step *step, uint32_t tensor, uint32_t slot)
{
    struct plan_input *grown = realloc(step->inputs, (step->input_count + 1) * sizeof(*grown));
    if (!grown)
        return NULL;
    step->inputs = grown;
    struct plan_input *input = &grown[step->input_count++];
    memset(input, 0, sizeof(*input));
    input->tensor = tensor;
    input->slot = slot;
    return input;
}

static struct plan_constant *step_constant(struct plan_step *step, uint32_t slot, const void *data)
{
    struct plan_constant *constant = &step->constants[step->constant_count++];
    memset(constant, 0, sizeof(*constant));
    constant->slot = slot;
    constant->data = data;
    constant->factor = 1.0f;
    return constant;
}

static void step_clear(struct plan_step *step)
{
    shim_kernel_free(step->kernel);
    shim_layout_free(step->bound_output);
    for (uint32_t i = 0; i < step->input_count; i++) {
        shim_layout_free(step->inputs[i].wanted);
        shim_layout_free(step->inputs[i].bound);
    }
    free(step->inputs);
    for (uint32_t i = 0; i < step->constant_count; i++) {
        free(step->constants[i].owned);
        free(step->constants[i].row_factors);
        shim_layout_free(step->constants[i].from);
        shim_layout_free(step->constants[i].to);
    }
}

static int out_of_memory(struct builder *b)
{
    return refuse(b->why, "out of memory while planning model %s", b->model->name);
}

static int no_kernel(struct builder *b, const struct napm_operator *op)
{
    return refuse(b->why, "node %s: oneDNN %s has no kernel for operator %s of opset %u with these parameters",
                  op->name, shim_version(), op->type, op->opset);
}

/* ---- tensors */

static struct shim_layout *dense_of(const struct napm_tensor *tensor)
{
    return shim_layout_dense(tensor->rank, tensor->dims);
}

static const struct shim_layout *layout_of(const struct builder *b, uint32_t tensor)
{
    return b->plan->tensors[tensor].layout;
}

static int is_constant(const struct builder *b, uint32_t tensor)
{
    return b->model->tensors[tensor]->data != NULL;
}

/* Gives the tensor its layout, as its producer makes it; takes the layout over. */
static int tensor_made(struct builder *b, uint32_t tensor, struct shim_layout *layout)
{
    if (!layout)
        return out_of_memory(b);
    shim_layout_free(b->plan->tensors[tensor].layout);
    b->plan->tensors[tensor].layout = layout;
    return 0;
}

static int same_dims(const struct napm_tensor *a, const struct napm_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof(*a->dims)) == 0;
}

/* The tensor's dimensions with ones put in front up to `rank`. */
static void dims_padded(const struct napm_tensor *tensor, uint32_t rank, int64_t *dims)
{
    for (uint32_t i = 0; i < rank; i++)
        dims[i] = i + tensor->rank < rank ? 1 : tensor->dims[i + tensor->rank - rank];
}

/* Is every dimension of `small` one, or that of `large`? */
static int broadcasts_to(const struct napm_tensor *small, const struct napm_tensor *large)
{
    if (small->rank > large->rank)
        return 0;
    for (uint32_t i = 0; i < small->rank; i++)
        if (small->dims[i] != 1 && small->dims[i] != large->dims[i + large->rank - small->rank])
            return 0;
    return 1;
}

/* ---- what follows an operator inside its layer */

/* The next operator of the layer where it is the only reader of `tensor`; else NULL. */
static const struct napm_operator *follower(const struct builder *b, uint32_t tensor)
{
    if (b->next >= b->layer->operator_count || b->plan->tensors[tensor].uses != 1)
        return NULL;
    const struct napm_operator *op = b->model->operators[b->layer->operators[b->next]];
    for (uint32_t i = 0; i < op->input_count; i++)
        if (op->inputs[i] == tensor)
            return op;
    return NULL;
}

/* What is fused into a kernel: the list for the library, and which tensor each operand is (NAPM_NONE: none). */
struct fusion {
    struct shim_posts posts;
    uint32_t operands[SHIM_MAX_POSTS];
    struct shim_layout *layouts[SHIM_MAX_POSTS]; /* of binary operands; owned */
    uint32_t accumulated; /* tensor that the sum adds, or NAPM_NONE */
    uint32_t output; /* tensor that comes out */
    uint32_t next; /* the builder's position behind what is fused */
};

static void fusion_free(struct fusion *fusion)
{
    for (uint32_t i = 0; i < fusion->posts.count; i++)
        shim_layout_free(fusion->layouts[i]);
    memset(fusion, 0, sizeof(*fusion));
}

static struct shim_post *fusion_post(struct fusion *fusion, enum shim_post_kind kind)
{
    fusion->operands[fusion->posts.count] = NAPM_NONE;
    fusion->layouts[fusion->posts.count] = NULL;
    struct shim_post *post = &fusion->posts.at[fusion->posts.count++];
    memset(post, 0, sizeof(*post));
    post->kind = kind;
    return post;
}

static int fuse_function(const struct builder *b, struct fusion *fusion, const struct napm_operator *op)
{
    struct function_chain chain;
    if (operator_function(b->model, op, &chain, b->why) || fusion->posts.count + chain.count > SHIM_MAX_POSTS)
        return 0;
    for (uint32_t i = 0; i < chain.count; i++) {
        struct shim_post *post = fusion_post(fusion, SHIM_POST_FUNCTION);
        post->function = chain.at[i].function;
        post->alpha = chain.at[i].alpha;
        post->beta = chain.at[i].beta;
    }
    return 1;
}

/* Fuses result (op) other: a sum where both have one shape, a binary post where `other` is a broadcast constant. */
static int fuse_binary(const struct builder *b, struct fusion *fusion, const struct napm_operator *op, int may_sum)
{
    enum shim_binary binary = operator_binary(op);
    int second = op->inputs[1] == fusion->output;
    uint32_t other = op->inputs[second ? 0 : 1];
    const struct napm_tensor *result = b->model->tensors[fusion->output], *operand = b->model->tensors[other];
    if (other == fusion->output || fusion->posts.count >= SHIM_MAX_POSTS)
        return 0;
    if (second && binary != SHIM_ADD && binary != SHIM_MUL)
        return 0;
    if (!is_constant(b, other)) {
        if (!may_sum || binary != SHIM_ADD || fusion->accumulated != NAPM_NONE || !same_dims(result, operand))
            return 0;
        fusion_post(fusion, SHIM_POST_SUM);
        fusion->accumulated = other;
        return 1;
    }
    int64_t dims[SHIM_MAX_RANK];
    if (!broadcasts_to(operand, result) || tensor_elements(operand) > result->dims[1])
        return 0;
    dims_padded(operand, result->rank, dims);
    struct shim_layout *layout = shim_layout_dense(result->rank, dims);
    if (!layout)
        return 0;
    struct shim_post *post = fusion_post(fusion, SHIM_POST_BINARY);
    post->binary = binary;
    post->operand = layout;
    fusion->layouts[fusion->posts.count - 1] = layout;
    fusion->operands[fusion->posts.count - 1] = other;
    return 1;
}

/* Collects at most `limit` operators that follow the one whose output is `tensor` and can be fused into its kernel. */
static void fusion_collect(struct builder *b, uint32_t tensor, int may_sum, uint32_t limit, struct fusion *fusion)
{
    memset(fusion, 0, sizeof(*fusion));
    fusion->accumulated = NAPM_NONE;
    fusion->output = tensor;
    fusion->next = b->next;
    struct builder ahead = *b;
    for (uint32_t i = 0; i < limit; i++) {
        const struct napm_operator *op = follower(&ahead, fusion->output);
        enum work work = op ? operator_work(op) : WORK_NONE;
        int fused = work == WORK_FUNCTION ? fuse_function(b, fusion, op)
                    : work == WORK_BINARY ? fuse_binary(b, fusion, op, may_sum)
                                          : 0;
        if (!fused)
            return;
        fusion->output = op->outputs[0];
        fusion->next = ++ahead.next;
    }
}

/* Adds to a finished step what the fused operators read; `destination` is the kernel's own choice of layout. */
static int fusion_inputs(struct builder *b, struct plan_step *step, struct fusion *fusion,
                         const struct shim_layout *destination)
{
    for (uint32_t i = 0; i < fusion->posts.count; i++) {
        if (fusion->operands[i] == NAPM_NONE)
            continue;
        struct plan_constant *constant =
            step_constant(step, SHIM_POST_OPERAND + i, b->model->tensors[fusion->operands[i]]->data);
        constant->from = shim_layout_copy(fusion->layouts[i]);
        constant->to = shim_layout_copy(fusion->layouts[i]);
        if (!constant->from || !constant->to)
            return out_of_memory(b);
    }
    if (fusion->accumulated == NAPM_NONE)
        return 0;
    struct plan_input *input = step_input(step, fusion->accumulated, SHIM_DESTINATION);
    if (!input || !(input->wanted = shim_layout_copy(destination)))
        return out_of_memory(b);
    step->accumulates = 1;
    return 0;
}

/* ---- convolution */

/* A normalisation right after a convolution: y = scale x + shift for each channel. */
static int normalisation_factors(struct builder *b, const struct napm_operator *op, float *scale, float *shift)
{
    const struct napm_tensor *constant[4];
    double epsilon = operator_real(op, "epsilon", 1e-5f);
    for (uint32_t i = 0; i < 4; i++)
        constant[i] = operator_input(b->model, op, i + 1);
    for (int64_t c = 0; c < constant[0]->dims[0]; c++) {
        double factor = (double)constant_real(constant[0], c) / sqrt((double)constant_real(constant[3], c) + epsilon);
        scale[c] = (float)factor;
        shift[c] = (float)((double)constant_real(constant[1], c) - (double)constant_real(constant[2], c) * factor);
    }
    return 0;
}

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
 * Winograd's F(4x4, 3x3) needs a quarter of the multiplications but moves more data. A rule on the shape and not a
 * timing, so that the choice is the same in every segment and every run.
 */
static int winograd_pays(const struct convolution *c, const struct napm_tensor *in, const struct napm_tensor *out)
{
    const struct shim_window *w = &c->shape.window;
    if (w->rank != 2 || c->groups != 1)
        return 0;
    for (uint32_t i = 0; i < 2; i++)
        if (w->kernel[i] != 3 || w->stride[i] != 1 || w->dilation[i] != 1)
            return 0;
    return in->dims[1] >= 64 && c->channels >= 64 && out->dims[2] * out->dims[3] >= 14 * 14;
}

static void convolution_clear(struct convolution *c)
{
    shim_layout_free((struct shim_layout *)c->shape.source);
    shim_layout_free((struct shim_layout *)c->shape.weights);
    shim_layout_free((struct shim_layout *)c->shape.bias);
    shim_layout_free((struct shim_layout *)c->shape.destination);
    free(c->scale);
    free(c->bias);
}

/* Folds the operator's own bias and a normalisation that follows; moves `b` past it. Returns the tensor that comes out. */
static int convolution_fold(struct builder *b, struct convolution *c, uint32_t *output)
{
    const struct napm_tensor *bias = operator_input(b->model, c->op, 2);
    *output = c->op->outputs[0];
    const struct napm_operator *next = follower(b, *output);
    int normalised = next && operator_work(next) == WORK_NORMALISATION;
    if (!bias && !normalised)
        return 0;
    c->bias = calloc((size_t)c->channels, sizeof(float));
    if (!c->bias)
        return out_of_memory(b);
    if (normalised) {
        c->scale = calloc((size_t)c->channels, sizeof(float));
        if (!c->scale)
            return out_of_memory(b);
        normalisation_factors(b, next, c->scale, c->bias);
        *output = next->outputs[0];
        b->next++;
    }
    for (int64_t i = 0; bias && i < c->channels; i++)
        c->bias[i] += constant_real(bias, i) * (c->scale ? c->scale[i] : 1.0f);
    return 0;
}

static int convolution_describe(struct builder *b, const struct napm_operator *op, struct convolution *c)
{
    const struct napm_tensor *in = operator_input(b->model, op, 0), *out = operator_output(b->model, op, 0);
    memset(c, 0, sizeof(*c));
    c->op = op;
    c->weights = operator_input(b->model, op, 1);
    c->groups = operator_integer(op, "group", 1);
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
    c->shape.source = shim_layout_any(in->rank, in->dims);
    c->shape.weights = shim_layout_any(at, c->weights_dims);
    c->shape.destination = shim_layout_any(out->rank, out->dims);
    return c->shape.source && c->shape.weights && c->shape.destination ? 0 : out_of_memory(b);
}

/* Tries the kernel forms in a fixed order; what cannot be fused is left to steps of its own. */
static struct shim_kernel *convolution_kernel(struct builder *b, struct convolution *c, uint32_t output,
                                              struct fusion *fusion)
{
    const struct napm_tensor *in = operator_input(b->model, c->op, 0);
    int winograd = winograd_pays(c, in, operator_output(b->model, c->op, 0));
    for (uint32_t limit = SHIM_MAX_POSTS + 1; limit-- > 0;) {
        fusion_collect(b, output, 1, limit, fusion);
        for (c->shape.winograd = winograd; c->shape.winograd >= 0; c->shape.winograd--) {
            struct shim_kernel *kernel = shim_make_convolution(b->plan->shim, &c->shape, &fusion->posts);
            if (kernel && (limit == 0 || strncmp(shim_kernel_name(kernel), "ref", 3) != 0))
                return kernel;
            shim_kernel_free(kernel);
        }
        fusion_free(fusion);
    }
    return NULL;
}

/* Weights and bias as constants of the step; takes scale and bias over from `c`. */
static int convolution_constants(struct builder *b, struct convolution *c, struct plan_step *step)
{
    struct plan_constant *weights = step_constant(step, SHIM_WEIGHTS, c->weights->data);
    weights->from = shim_layout_dense(c->weights_rank, c->weights_dims);
    weights->to = shim_kernel_layout(step->kernel, SHIM_WEIGHTS);
    weights->row_factors = c->scale;
    weights->rows = c->channels;
    weights->row_elements = tensor_elements(c->weights) / c->channels;
    c->scale = NULL;
    if (!weights->from || !weights->to)
        return out_of_memory(b);
    if (!c->bias)
        return 0;
    struct plan_constant *bias = step_constant(step, SHIM_BIAS, c->bias);
    bias->owned = c->bias;
    c->bias = NULL;
    bias->from = shim_layout_copy(c->shape.bias);
    bias->to = shim_layout_copy(c->shape.bias);
    return bias->from && bias->to ? 0 : out_of_memory(b);
}

static int convolution_step(struct builder *b, struct convolution *c)
{
    struct fusion fusion = {0};
    uint32_t output;
    if (convolution_fold(b, c, &output))
        return -1;
    if (c->bias && !(c->shape.bias = shim_layout_dense(1, &c->channels)))
        return out_of_memory(b);
    struct plan_step *step = step_new(b, STEP_KERNEL);
    if (!step)
        return out_of_memory(b);
    step->kernel = convolution_kernel(b, c, output, &fusion);
    if (!step->kernel)
        return no_kernel(b, c->op);
    b->next = fusion.next;
    step->output = fusion.output;
    step->bound_output = shim_kernel_layout(step->kernel, SHIM_DESTINATION);
    struct plan_input *input = step_input(step, c->op->inputs[0], SHIM_SOURCE);
    int failed = !input || !step->bound_output || !(input->wanted = shim_kernel_layout(step->kernel, SHIM_SOURCE))
                     ? out_of_memory(b)
                     : convolution_constants(b, c, step);
    failed = failed || fusion_inputs(b, step, &fusion, step->bound_output) ||
             tensor_made(b, step->output, shim_layout_copy(step->bound_output));
    fusion_free(&fusion);
    return failed ? -1 : 0;
}

static int plan_convolution(struct builder *b, const struct napm_operator *op)
{
    struct convolution c;
    int failed = convolution_describe(b, op, &c) || convolution_step(b, &c);
    convolution_clear(&c);
    return failed ? -1 : 0;
}

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
    const struct napm_operator *next = follower(b, *output);
    if (p->bias || !next || operator_work(next) != WORK_BINARY || operator_binary(next) != SHIM_ADD)
        return 0;
    uint32_t other = next->inputs[next->inputs[0] == *output ? 1 : 0];
    const struct napm_tensor *row = b->model->tensors[other];
    if (!row->data || row->element_type != NAPM_F32 || row->rank < 1 || tensor_elements(row) != p->outputs ||
        row->dims[row->rank - 1] != p->outputs || row->rank > b->model->tensors[*output]->rank)
        return 0;
    p->bias = calloc((size_t)p->outputs, sizeof(float));
    if (!p->bias)
        return out_of_memory(b);
    memcpy(p->bias, row->data, (size_t)p->outputs * sizeof(float));
    *output = next->outputs[0];
    b->next++;
    return 0;
}

static int product_bias_constant(struct builder *b, struct product *p, struct plan_step *step, uint32_t slot)
{
    struct plan_constant *bias = step_constant(step, slot, p->bias);
    bias->owned = p->bias;
    p->bias = NULL;
    bias->from = shim_layout_dense(1, &p->outputs);
    bias->to = shim_layout_dense(1, &p->outputs);
    return bias->from && bias->to ? 0 : out_of_memory(b);
}

/* One vector: our own kernel, which takes functions but no other posts. */
static int product_vector(struct builder *b, struct product *p, uint32_t output)
{
    struct plan_step *step = step_new(b, STEP_PLAIN);
    if (!step)
        return out_of_memory(b);
    step->plain.run = plain_vector_matrix_run;
    struct plain_vector_matrix *what = &step->plain.as.vector_matrix;
    what->outputs = p->outputs;
    what->inputs = p->inputs;
    const struct napm_operator *next = follower(b, output);
    if (next && operator_work(next) == WORK_FUNCTION) {
        if (operator_function(b->model, next, &what->functions, b->why))
            return -1;
        output = next->outputs[0];
        b->next++;
    }
    step->output = output;
    struct plan_input *input = step_input(step, p->op->inputs[0], 0);
    struct plan_constant *matrix = step_constant(step, 1, p->matrix->data);
    matrix->packing = PACK_MATRIX;
    matrix->factor = p->factor;
    matrix->outputs = p->outputs;
    matrix->inputs = p->inputs;
    matrix->stride_n = p->stride_n;
    matrix->stride_k = p->stride_k;
    if (!input || !(input->wanted = dense_of(operator_input(b->model, p->op, 0))))
        return out_of_memory(b);
    if (p->bias && product_bias_constant(b, p, step, 2))
        return -1;
    return tensor_made(b, output, dense_of(b->model->tensors[output]));
}

/* Several rows: the library's inner product. */
static int product_rows(struct builder *b, struct product *p, uint32_t output)
{
    int64_t in_dims[2] = {p->rows, p->inputs}, weights_dims[2] = {p->outputs, p->inputs},
            out_dims[2] = {p->rows, p->outputs};
    int64_t strides[2] = {p->stride_n, p->stride_k};
    struct fusion fusion;
    struct plan_step *step = step_new(b, STEP_KERNEL);
    if (!step)
        return out_of_memory(b);
    struct plan_input *input = step_input(step, p->op->inputs[0], SHIM_SOURCE);
    struct shim_layout *any = shim_layout_any(2, weights_dims),
                       *bias = p->bias ? shim_layout_dense(1, &p->outputs) : NULL;
    step->bound_output = shim_layout_dense(2, out_dims);
    if (!input || !any || !step->bound_output || !(input->bound = shim_layout_dense(2, in_dims)) ||
        !(input->wanted = dense_of(operator_input(b->model, p->op, 0)))) {
        shim_layout_free(any);
        shim_layout_free(bias);
        return out_of_memory(b);
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
        return no_kernel(b, p->op);
    b->next = fusion.next;
    step->output = fusion.output;
    struct plan_constant *weights = step_constant(step, SHIM_WEIGHTS, p->matrix->data);
    weights->factor = p->factor;
    weights->rows = 1;
    weights->row_elements = p->inputs * p->outputs;
    weights->from = shim_layout_strided(2, weights_dims, strides);
    weights->to = shim_kernel_layout(step->kernel, SHIM_WEIGHTS);
    int failed = !weights->from || !weights->to ? out_of_memory(b) : 0;
    if (!failed && p->bias)
        failed = product_bias_constant(b, p, step, SHIM_BIAS);
    failed = failed || fusion_inputs(b, step, &fusion, step->bound_output) ||
             tensor_made(b, step->output, dense_of(b->model->tensors[step->output]));
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
    struct plan_step *step = step_new(b, STEP_KERNEL);
    struct shim_layout *bound[2] = {NULL, NULL};
    if (!step)
        return out_of_memory(b);
    for (uint32_t i = 0; i < 2; i++) {
        int64_t dims[SHIM_MAX_RANK];
        dims_padded(operator_input(b->model, op, i), rank, dims);
        bound[i] = shim_layout_dense(rank, dims);
    }
    step->bound_output = dense_of(out);
    step->output = op->outputs[0];
    if (bound[0] && bound[1] && step->bound_output)
        step->kernel = shim_make_matmul(b->plan->shim, bound[0], bound[1], step->bound_output, NULL);
    int failed = step->kernel ? 0 : no_kernel(b, op);
    for (uint32_t i = 0; i < 2 && !failed; i++) {
        uint32_t slot = i == 0 ? SHIM_SOURCE : SHIM_WEIGHTS;
        if (is_constant(b, op->inputs[i])) {
            struct plan_constant *constant = step_constant(step, slot, b->model->tensors[op->inputs[i]]->data);
            constant->from = shim_layout_copy(bound[i]);
            constant->to = shim_layout_copy(bound[i]);
            failed = constant->from && constant->to ? 0 : out_of_memory(b);
            continue;
        }
        struct plan_input *input = step_input(step, op->inputs[i], slot);
        failed = !input || !(input->bound = shim_layout_copy(bound[i])) ||
                         !(input->wanted = dense_of(b->model->tensors[op->inputs[i]]))
                     ? out_of_memory(b)
                     : 0;
    }
    shim_layout_free(bound[0]);
    shim_layout_free(bound[1]);
    return failed ? -1 : tensor_made(b, step->output, dense_of(out));
}

static int plan_matmul(struct builder *b, const struct napm_operator *op)
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

static int plan_gemm(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *c = operator_input(b->model, op, 2), *out = operator_output(b->model, op, 0);
    struct product p = {
        .op = op, .matrix = operator_input(b->model, op, 1), .rows = out->dims[0], .outputs = out->dims[1]};
    if (!p.matrix->data)
        return plan_general_matmul(b, op);
    int transposed = operator_integer(op, "transB", 0) != 0;
    p.inputs = p.matrix->dims[transposed ? 1 : 0];
    p.stride_n = transposed ? p.inputs : 1;
    p.stride_k = transposed ? 1 : p.outputs;
    p.factor = operator_real(op, "alpha", 1.0f);
    if (c) {
        p.bias = calloc((size_t)p.outputs, sizeof(float));
        if (!p.bias)
            return out_of_memory(b);
        for (int64_t i = 0; i < p.outputs; i++)
            p.bias[i] = operator_real(op, "beta", 1.0f) * constant_real(c, tensor_elements(c) == 1 ? 0 : i);
    }
    int failed = product_step(b, &p);
    free(p.bias);
    return failed;
}

/* ---- elementwise */

/* One function of a chain. What is between two of them has no name: the second reads and makes the same tensor. */
static int function_step(struct builder *b, const struct napm_operator *op, const struct function_chain *chain,
                         uint32_t i, uint32_t from, uint32_t to)
{
    const struct shim_layout *layout = layout_of(b, from);
    struct plan_step *step = step_new(b, STEP_KERNEL);
    if (!step)
        return out_of_memory(b);
    step->kernel =
        shim_make_function(b->plan->shim, chain->at[i].function, chain->at[i].alpha, chain->at[i].beta, layout);
    if (!step->kernel)
        return no_kernel(b, op);
    struct plan_input *input = step_input(step, from, SHIM_SOURCE);
    step->output = to;
    if (!input || !(input->wanted = shim_layout_copy(layout)) || !(step->bound_output = shim_layout_copy(layout)))
        return out_of_memory(b);
    return tensor_made(b, to, shim_layout_copy(layout));
}

static int plan_function(struct builder *b, const struct napm_operator *op)
{
    struct function_chain chain;
    if (operator_function(b->model, op, &chain, b->why))
        return -1;
    for (uint32_t i = 0; i < chain.count; i++)
        if (function_step(b, op, &chain, i, i == 0 ? op->inputs[0] : op->outputs[0], op->outputs[0]))
            return -1;
    return 0;
}

/* Adds operand `tensor` to a step: a constant in its dense layout, or an input. Takes the layouts over. */
static int operand_add(struct builder *b, struct plan_step *step, uint32_t tensor, uint32_t slot,
                       struct shim_layout *wanted, struct shim_layout *bound)
{
    if (is_constant(b, tensor)) {
        struct plan_constant *constant = step_constant(step, slot, b->model->tensors[tensor]->data);
        constant->from = bound ? bound : wanted;
        constant->to = constant->from ? shim_layout_copy(constant->from) : NULL;
        if (bound)
            shim_layout_free(wanted);
        return constant->to ? 0 : out_of_memory(b);
    }
    struct plan_input *input = step_input(step, tensor, slot);
    if (!input || !wanted) {
        shim_layout_free(wanted);
        shim_layout_free(bound);
        return out_of_memory(b);
    }
    input->wanted = wanted;
    input->bound = bound;
    return 0;
}

/* Any broadcasting, in our own kernel. */
static int plan_plain_binary(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    struct plan_step *step = step_new(b, STEP_PLAIN);
    if (!step)
        return out_of_memory(b);
    struct plain_binary *what = &step->plain.as.binary;
    step->plain.run = plain_binary_run;
    step->output = op->outputs[0];
    what->binary = operator_binary(op);
    what->rank = out->rank;
    memcpy(what->dims, out->dims, out->rank * sizeof(*out->dims));
    for (uint32_t side = 0; side < 2; side++) {
        int64_t dims[SHIM_MAX_RANK], stride = 1;
        dims_padded(operator_input(b->model, op, side), out->rank, dims);
        for (uint32_t i = out->rank; i-- > 0;) {
            (side == 0 ? what->stride_a : what->stride_b)[i] = dims[i] == 1 ? 0 : stride;
            stride *= dims[i];
        }
        if (operand_add(b, step, op->inputs[side], side, dense_of(operator_input(b->model, op, side)), NULL))
            return -1;
    }
    return tensor_made(b, step->output, dense_of(out));
}

/* The library's kernel: the full operand first (in its own layout), the other one equal or broadcast. */
static int plan_binary(struct builder *b, const struct napm_operator *op)
{
    enum shim_binary binary = operator_binary(op);
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    int commutes = binary == SHIM_ADD || binary == SHIM_MUL;
    uint32_t full = 0;
    while (full < 2 && (is_constant(b, op->inputs[full]) || !same_dims(operator_input(b->model, op, full), out)))
        full++;
    if (full == 2 || (full == 1 && !commutes) || out->rank == 0)
        return plan_plain_binary(b, op);
    uint32_t a = op->inputs[full], other = op->inputs[1 - full];
    const struct napm_tensor *operand = b->model->tensors[other];
    const struct shim_layout *layout = layout_of(b, a);
    int64_t dims[SHIM_MAX_RANK];
    dims_padded(operand, out->rank, dims);
    int equal = same_dims(operand, out) && !is_constant(b, other);
    struct shim_layout *bound = equal ? shim_layout_copy(layout) : shim_layout_dense(out->rank, dims);
    struct fusion fusion;
    fusion_collect(b, op->outputs[0], 0, SHIM_MAX_POSTS, &fusion);
    struct shim_kernel *kernel = bound ? shim_make_binary(b->plan->shim, binary, layout, bound, &fusion.posts) : NULL;
    if (!kernel || strncmp(shim_kernel_name(kernel), "ref", 3) == 0) {
        shim_kernel_free(kernel);
        shim_layout_free(bound);
        fusion_free(&fusion);
        return plan_plain_binary(b, op);
    }
    struct plan_step *step = step_new(b, STEP_KERNEL);
    if (!step) {
        shim_kernel_free(kernel);
        shim_layout_free(bound);
        fusion_free(&fusion);
        return out_of_memory(b);
    }
    step->kernel = kernel;
    step->output = fusion.output;
    step->bound_output = shim_layout_copy(layout);
    b->next = fusion.next;
    int failed =
        operand_add(b, step, a, SHIM_SOURCE, shim_layout_copy(layout), NULL) ||
        operand_add(b, step, other, SHIM_SOURCE_B, equal ? shim_layout_copy(layout) : dense_of(operand), bound) ||
        fusion_inputs(b, step, &fusion, layout) || !step->bound_output ||
        tensor_made(b, step->output, shim_layout_copy(layout));
    fusion_free(&fusion);
    return failed ? -1 : 0;
}

/* A normalisation on its own: times scale, plus shift, both one number a channel. */
static int plan_normalisation(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *in = operator_input(b->model, op, 0);
    const struct shim_layout *layout = layout_of(b, op->inputs[0]);
    int64_t channels = in->dims[1], dims[SHIM_MAX_RANK];
    for (uint32_t i = 0; i < in->rank; i++)
        dims[i] = i == 1 ? channels : 1;
    struct plan_step *step = step_new(b, STEP_KERNEL);
    if (!step)
        return out_of_memory(b);
    struct shim_posts posts = {.count = 1, .at = {{.kind = SHIM_POST_BINARY, .binary = SHIM_ADD}}};
    struct plan_constant *constants[2] = {step_constant(step, SHIM_SOURCE_B, NULL),
                                          step_constant(step, SHIM_POST_OPERAND, NULL)};
    for (uint32_t i = 0; i < 2; i++) {
        constants[i]->owned = calloc((size_t)channels, sizeof(float));
        constants[i]->data = constants[i]->owned;
        constants[i]->from = shim_layout_dense(in->rank, dims);
        constants[i]->to = shim_layout_dense(in->rank, dims);
        if (!constants[i]->owned || !constants[i]->from || !constants[i]->to)
            return out_of_memory(b);
    }
    normalisation_factors(b, op, constants[0]->owned, constants[1]->owned);
    posts.at[0].operand = constants[1]->from;
    const struct napm_operator *next = follower(b, op->outputs[0]);
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
        return no_kernel(b, op);
    struct plan_input *input = step_input(step, op->inputs[0], SHIM_SOURCE);
    if (!input || !(input->wanted = shim_layout_copy(layout)) || !(step->bound_output = shim_layout_copy(layout)))
        return out_of_memory(b);
    return tensor_made(b, step->output, shim_layout_copy(layout));
}

/* ---- windows */

/* `dims` of the result as the kernel sees it: the operator's output, or the same with kept dimensions. */
static int pooling_step(struct builder *b, const struct napm_operator *op, enum shim_pooling pooling,
                        const struct shim_window *window, const int64_t *dims)
{
    const struct shim_layout *layout = layout_of(b, op->inputs[0]);
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    struct plan_step *step = step_new(b, STEP_KERNEL);
    struct shim_layout *any = shim_layout_any(window->rank + 2, dims);
    if (!step || !any) {
        shim_layout_free(any);
        return out_of_memory(b);
    }
    step->kernel = shim_make_pooling(b->plan->shim, pooling, layout, any, window);
    shim_layout_free(any);
    if (!step->kernel)
        return no_kernel(b, op);
    struct plan_input *input = step_input(step, op->inputs[0], SHIM_SOURCE);
    step->output = op->outputs[0];
    step->bound_output = shim_kernel_layout(step->kernel, SHIM_DESTINATION);
    if (!input || !(input->wanted = shim_layout_copy(layout)) || !step->bound_output)
        return out_of_memory(b);
    return tensor_made(b, step->output,
                       out->rank == window->rank + 2 ? shim_layout_copy(step->bound_output) : dense_of(out));
}

static int plan_pooling(struct builder *b, const struct napm_operator *op)
{
    struct shim_window window;
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    if (operator_window(b->model, op, &window, NULL, b->why))
        return -1;
    enum shim_pooling pooling = op->type[0] == 'M'                             ? SHIM_POOL_MAX
                                : operator_integer(op, "count_include_pad", 0) ? SHIM_POOL_AVERAGE_WITH_PADDING
                                                                               : SHIM_POOL_AVERAGE;
    return pooling_step(b, op, pooling, &window, out->dims);
}

static void whole_window(const struct napm_tensor *in, struct shim_window *window)
{
    memset(window, 0, sizeof(*window));
    window->rank = in->rank - 2;
    for (uint32_t i = 0; i < window->rank; i++) {
        window->kernel[i] = in->dims[i + 2];
        window->stride[i] = window->dilation[i] = 1;
    }
}

static int plan_global_pooling(struct builder *b, const struct napm_operator *op)
{
    struct shim_window window;
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    whole_window(operator_input(b->model, op, 0), &window);
    return pooling_step(b, op, op->type[6] == 'M' ? SHIM_POOL_MAX : SHIM_POOL_AVERAGE, &window, out->dims);
}

/* ---- ReduceMean */

static void mean_axes(const struct napm_model *model, const struct napm_operator *op, int *averaged)
{
    int64_t axes[6];
    uint32_t rank = operator_input(model, op, 0)->rank;
    int count = operator_integers(model, op, "axes", op->opset >= 18 ? 1 : NAPM_NONE, axes, 6);
    int all = count <= 0 && !operator_integer(op, "noop_with_empty_axes", 0);
    for (uint32_t i = 0; i < rank; i++)
        averaged[i] = all;
    for (int i = 0; i < count; i++)
        averaged[axes[i] < 0 ? axes[i] + rank : axes[i]] = 1;
}

/*
 * The mean over all spatial dimensions is a pooling. Where it does not keep them, the pooling's result must be the same
 * bytes, that is, no channel may be padding: 16 is the widest block.
 */
static int mean_is_pooling(const struct napm_tensor *in, const struct napm_tensor *out, const int *averaged)
{
    if (in->rank < 3 || in->rank > 5 || averaged[0] || averaged[1])
        return 0;
    for (uint32_t i = 2; i < in->rank; i++)
        if (!averaged[i])
            return 0;
    return out->rank == in->rank || in->dims[1] % 16 == 0;
}

static int plan_mean(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *in = operator_input(b->model, op, 0);
    int averaged[SHIM_MAX_RANK] = {0};
    mean_axes(b->model, op, averaged);
    if (mean_is_pooling(in, operator_output(b->model, op, 0), averaged)) {
        struct shim_window window;
        int64_t dims[5] = {in->dims[0], in->dims[1], 1, 1, 1};
        whole_window(in, &window);
        return pooling_step(b, op, SHIM_POOL_AVERAGE, &window, dims);
    }
    struct plan_step *step = step_new(b, STEP_PLAIN);
    if (!step)
        return out_of_memory(b);
    struct plain_mean *what = &step->plain.as.mean;
    step->plain.run = plain_mean_run;
    step->output = op->outputs[0];
    what->rank = in->rank;
    what->outputs = what->averaged = 1;
    for (uint32_t i = in->rank; i-- > 0;) {
        what->dims[i] = in->dims[i];
        what->out_stride[i] = averaged[i] ? 0 : what->outputs;
        *(averaged[i] ? &what->averaged : &what->outputs) *= in->dims[i];
    }
    if (operand_add(b, step, op->inputs[0], 0, dense_of(in), NULL))
        return -1;
    return tensor_made(b, step->output, dense_of(operator_output(b->model, op, 0)));
}

/* ---- views, copies and the rest */

static int plan_view(struct builder *b, const struct napm_operator *op, int same)
{
    struct plan_step *step = step_new(b, STEP_VIEW);
    const struct napm_tensor *in = operator_input(b->model, op, 0), *out = operator_output(b->model, op, 0);
    if (!step)
        return out_of_memory(b);
    struct plan_input *input = step_input(step, op->inputs[0], SHIM_SOURCE);
    step->output = op->outputs[0];
    if (!input || !(input->wanted = same ? shim_layout_copy(layout_of(b, op->inputs[0])) : dense_of(in)))
        return out_of_memory(b);
    return tensor_made(b, step->output, same ? shim_layout_copy(input->wanted) : dense_of(out));
}

/* Blocked layouts where the library has a fast kernel for them, dense otherwise. */
static int plan_concat(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    uint32_t axis = operator_axis(b->model, op, 0);
    struct shim_layout *sources[SHIM_MAX_SOURCES] = {NULL}, *any = shim_layout_any(out->rank, out->dims), *made = NULL;
    struct shim_kernel *kernel = NULL;
    for (int dense = 0; dense < 2 && !kernel && any; dense++) {
        int complete = 1;
        for (uint32_t i = 0; i < op->input_count; i++) {
            shim_layout_free(sources[i]);
            sources[i] = dense || is_constant(b, op->inputs[i]) ? dense_of(operator_input(b->model, op, i))
                                                                : shim_layout_copy(layout_of(b, op->inputs[i]));
            complete = complete && sources[i];
        }
        if (!complete)
            break;
        made = dense ? dense_of(out) : NULL;
        kernel = shim_make_concat(b->plan->shim, op->input_count, (const struct shim_layout *const *)sources,
                                  dense ? made : any, axis);
        if (kernel && !dense && strncmp(shim_kernel_name(kernel), "ref", 3) == 0) {
            shim_kernel_free(kernel);
            kernel = NULL;
        }
    }
    shim_layout_free(any);
    shim_layout_free(made);
    struct plan_step *step = kernel ? step_new(b, STEP_KERNEL) : NULL;
    int failed = step ? 0 : no_kernel(b, op);
    if (failed)
        shim_kernel_free(kernel);
    else
        step->kernel = kernel;
    for (uint32_t i = 0; i < op->input_count; i++) {
        if (!failed && is_constant(b, op->inputs[i]) && step->constant_count >= STEP_MAX_CONSTANTS)
            failed = refuse(b->why, "node %s: Concat of more than %u constants", op->name, STEP_MAX_CONSTANTS);
        if (failed)
            shim_layout_free(sources[i]);
        else
            failed = operand_add(b, step, op->inputs[i], SHIM_MANY + i, sources[i], NULL);
    }
    if (failed)
        return -1;
    step->output = op->outputs[0];
    step->bound_output = shim_kernel_layout(kernel, SHIM_DESTINATION);
    return !step->bound_output ? out_of_memory(b) : tensor_made(b, step->output, shim_layout_copy(step->bound_output));
}

/* A kernel with one dense input and a dense output, seen by it with other dimensions or strides. */
static int dense_step(struct builder *b, const struct napm_operator *op, struct shim_kernel *kernel,
                      struct shim_layout *source, struct shim_layout *destination)
{
    struct plan_step *step = kernel ? step_new(b, STEP_KERNEL) : NULL;
    if (!step) {
        shim_kernel_free(kernel);
        shim_layout_free(source);
        shim_layout_free(destination);
        return no_kernel(b, op);
    }
    step->kernel = kernel;
    step->bound_output = destination;
    step->output = op->outputs[0];
    if (operand_add(b, step, op->inputs[0], SHIM_SOURCE, dense_of(operator_input(b->model, op, 0)), source))
        return -1;
    return tensor_made(b, step->output, dense_of(operator_output(b->model, op, 0)));
}

/* Up to opset 12 everything from the axis on is one dimension; since then only the axis itself. */
static int plan_softmax(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *in = operator_input(b->model, op, 0);
    uint32_t axis = operator_axis(b->model, op, op->opset < 13 ? 1 : -1), end = op->opset < 13 ? in->rank : axis + 1;
    int64_t dims[3] = {tensor_elements_between(in, 0, axis), tensor_elements_between(in, axis, end),
                       tensor_elements_between(in, end, in->rank)};
    struct shim_layout *source = shim_layout_dense(3, dims), *destination = shim_layout_dense(3, dims);
    struct shim_kernel *kernel =
        source && destination ? shim_make_softmax(b->plan->shim, op->type[0] == 'L', source, 1) : NULL;
    return dense_step(b, op, kernel, source, destination);
}

static int plan_transpose(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *in = operator_input(b->model, op, 0), *out = operator_output(b->model, op, 0);
    int64_t order[SHIM_MAX_RANK], strides[SHIM_MAX_RANK];
    int count = operator_integers(b->model, op, "perm", NAPM_NONE, order, SHIM_MAX_RANK);
    for (uint32_t i = 0; i < in->rank; i++) {
        int64_t from = count > 0 ? order[i] : (int64_t)in->rank - 1 - i;
        strides[i] = tensor_elements_between(in, (uint32_t)from + 1, in->rank);
    }
    struct shim_layout *source = shim_layout_strided(out->rank, out->dims, strides), *destination = dense_of(out);
    struct shim_kernel *kernel = source && destination ? shim_make_reorder(b->plan->shim, source, destination) : NULL;
    return dense_step(b, op, kernel, source, destination);
}

static int plan_lrn(struct builder *b, const struct napm_operator *op)
{
    const struct shim_layout *layout = layout_of(b, op->inputs[0]);
    struct shim_kernel *kernel =
        shim_make_lrn(b->plan->shim, layout, operator_integer(op, "size", 1), operator_real(op, "alpha", 1e-4f),
                      operator_real(op, "beta", 0.75f), operator_real(op, "bias", 1.0f));
    struct plan_step *step = kernel ? step_new(b, STEP_KERNEL) : NULL;
    if (!step) {
        shim_kernel_free(kernel);
        return no_kernel(b, op);
    }
    step->kernel = kernel;
    step->output = op->outputs[0];
    step->bound_output = shim_layout_copy(layout);
    if (!step->bound_output || operand_add(b, step, op->inputs[0], SHIM_SOURCE, shim_layout_copy(layout), NULL))
        return out_of_memory(b);
    return tensor_made(b, step->output, shim_layout_copy(layout));
}

static int plan_pad(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *in = operator_input(b->model, op, 0), *out = operator_output(b->model, op, 0);
    const struct napm_tensor *value = operator_input(b->model, op, 2);
    const char *mode = operator_text(op, "mode", "constant");
    int64_t pads[12], axes[6];
    struct plan_step *step = step_new(b, STEP_PLAIN);
    if (!step)
        return out_of_memory(b);
    struct plain_pad *what = &step->plain.as.pad;
    step->plain.run = plain_pad_run;
    step->output = op->outputs[0];
    what->mode = mode[0] == 'r' ? PLAIN_PAD_REFLECT : mode[0] == 'e' ? PLAIN_PAD_EDGE : PLAIN_PAD_CONSTANT;
    what->value = value ? constant_real(value, 0) : operator_real(op, "value", 0.0f);
    what->rank = in->rank;
    int named = op->opset >= 18 ? operator_integers(b->model, op, "axes", 3, axes, 6) : 0;
    operator_integers(b->model, op, "pads", 1, pads, 12);
    for (uint32_t i = 0; i < in->rank; i++) {
        what->in_dims[i] = in->dims[i];
        what->out_dims[i] = out->dims[i];
        if (named == 0)
            what->before[i] = pads[i];
    }
    for (int i = 0; i < named; i++)
        what->before[axes[i] < 0 ? axes[i] + in->rank : axes[i]] = pads[i];
    if (operand_add(b, step, op->inputs[0], 0, dense_of(in), NULL))
        return -1;
    return tensor_made(b, step->output, dense_of(out));
}

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
        plan->tensors[model->inputs[i]].layout = dense_of(tensor);
        if (!plan->tensors[model->inputs[i]].layout)
            return refuse(why, "out of memory while planning model %s", model->name);
    }
    return 0;
}

struct plan *plan_new(struct shim *shim, const struct napm_model *model, uint32_t threads, struct reason *why)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    if (!plan) {
        refuse(why, "out of memory while planning model %s", model->name);
        return NULL;
    }
    plan->shim = shim;
    plan->model = model;
    plan->threads = threads;
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
        step_clear(&plan->steps[i]);
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
