/* SPDX-License-Identifier: Apache-2.0 */
/* Tools for making the steps of a layer. */
#include "onednn_build.h"

#include <stdlib.h>
#include <string.h>

/* ---- steps under construction */

struct plan_step *build_step(struct builder *b, enum step_kind kind)
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

struct plan_input *build_input(struct plan_step *step, uint32_t tensor, uint32_t slot)
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

struct plan_constant *build_constant(struct plan_step *step, uint32_t slot, const void *data)
{
    struct plan_constant *constant = &step->constants[step->constant_count++];
    memset(constant, 0, sizeof(*constant));
    constant->slot = slot;
    constant->data = data;
    constant->factor = 1.0f;
    return constant;
}

void build_step_clear(struct plan_step *step)
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

int build_out_of_memory(struct builder *b)
{
    return refuse(b->why, "out of memory while planning model %s", b->model->name);
}

int build_no_kernel(struct builder *b, const struct napm_operator *op)
{
    return refuse(b->why, "node %s: oneDNN %s has no kernel for operator %s of opset %u with these parameters",
                  op->name, shim_version(), op->type, op->opset);
}

/* ---- tensors */

struct shim_layout *build_dense(const struct napm_tensor *tensor)
{
    return shim_layout_dense(tensor->rank, tensor->dims);
}

const struct shim_layout *build_layout_of(const struct builder *b, uint32_t tensor)
{
    return b->plan->tensors[tensor].layout;
}

int build_is_constant(const struct builder *b, uint32_t tensor)
{
    return b->model->tensors[tensor]->data != NULL;
}

/* Gives the tensor its layout, as its producer makes it; takes the layout over. */
int build_made(struct builder *b, uint32_t tensor, struct shim_layout *layout)
{
    if (!layout)
        return build_out_of_memory(b);
    shim_layout_free(b->plan->tensors[tensor].layout);
    b->plan->tensors[tensor].layout = layout;
    return 0;
}

int build_same_dims(const struct napm_tensor *a, const struct napm_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof(*a->dims)) == 0;
}

/* The tensor's dimensions with ones put in front up to `rank`. */
void build_dims(const struct napm_tensor *tensor, uint32_t rank, int64_t *dims)
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
const struct napm_operator *build_follower(const struct builder *b, uint32_t tensor)
{
    if (b->next >= b->layer->operator_count || b->plan->tensors[tensor].uses != 1)
        return NULL;
    const struct napm_operator *op = b->model->operators[b->layer->operators[b->next]];
    for (uint32_t i = 0; i < op->input_count; i++)
        if (op->inputs[i] == tensor)
            return op;
    return NULL;
}

void fusion_free(struct fusion *fusion)
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
    if (!build_is_constant(b, other)) {
        if (!may_sum || binary != SHIM_ADD || fusion->accumulated != NAPM_NONE || !build_same_dims(result, operand))
            return 0;
        fusion_post(fusion, SHIM_POST_SUM);
        fusion->accumulated = other;
        return 1;
    }
    int64_t dims[SHIM_MAX_RANK];
    if (!broadcasts_to(operand, result) || tensor_elements(operand) > result->dims[1])
        return 0;
    build_dims(operand, result->rank, dims);
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
void fusion_collect(struct builder *b, uint32_t tensor, int may_sum, uint32_t limit, struct fusion *fusion)
{
    memset(fusion, 0, sizeof(*fusion));
    fusion->accumulated = NAPM_NONE;
    fusion->output = tensor;
    fusion->next = b->next;
    struct builder ahead = *b;
    for (uint32_t i = 0; i < limit; i++) {
        const struct napm_operator *op = build_follower(&ahead, fusion->output);
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
int fusion_inputs(struct builder *b, struct plan_step *step, struct fusion *fusion,
                  const struct shim_layout *destination)
{
    for (uint32_t i = 0; i < fusion->posts.count; i++) {
        if (fusion->operands[i] == NAPM_NONE)
            continue;
        struct plan_constant *constant =
            build_constant(step, SHIM_POST_OPERAND + i, b->model->tensors[fusion->operands[i]]->data);
        constant->from = shim_layout_copy(fusion->layouts[i]);
        constant->to = shim_layout_copy(fusion->layouts[i]);
        if (!constant->from || !constant->to)
            return build_out_of_memory(b);
    }
    if (fusion->accumulated == NAPM_NONE)
        return 0;
    struct plan_input *input = build_input(step, fusion->accumulated, SHIM_DESTINATION);
    if (!input || !(input->wanted = shim_layout_copy(destination)))
        return build_out_of_memory(b);
    step->accumulates = 1;
    return 0;
}

/* Adds operand `tensor` to a step: a constant in its dense layout, or an input. Takes the layouts over. */
int build_operand(struct builder *b, struct plan_step *step, uint32_t tensor, uint32_t slot, struct shim_layout *wanted,
                  struct shim_layout *bound)
{
    if (build_is_constant(b, tensor)) {
        struct plan_constant *constant = build_constant(step, slot, b->model->tensors[tensor]->data);
        constant->from = bound ? bound : wanted;
        constant->to = constant->from ? shim_layout_copy(constant->from) : NULL;
        if (bound)
            shim_layout_free(wanted);
        return constant->to ? 0 : build_out_of_memory(b);
    }
    struct plan_input *input = build_input(step, tensor, slot);
    if (!input || !wanted) {
        shim_layout_free(wanted);
        shim_layout_free(bound);
        return build_out_of_memory(b);
    }
    input->wanted = wanted;
    input->bound = bound;
    return 0;
}

/* A kernel with one dense input and a dense output, seen by it with other dimensions or strides. */
int build_dense_step(struct builder *b, const struct napm_operator *op, struct shim_kernel *kernel,
                     struct shim_layout *source, struct shim_layout *destination)
{
    struct plan_step *step = kernel ? build_step(b, STEP_KERNEL) : NULL;
    if (!step) {
        shim_kernel_free(kernel);
        shim_layout_free(source);
        shim_layout_free(destination);
        return build_no_kernel(b, op);
    }
    step->kernel = kernel;
    step->bound_output = destination;
    step->output = op->outputs[0];
    if (build_operand(b, step, op->inputs[0], SHIM_SOURCE, build_dense(operator_input(b->model, op, 0)), source))
        return -1;
    return build_made(b, step->output, build_dense(operator_output(b->model, op, 0)));
}
