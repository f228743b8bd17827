/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of single elements: one input (Relu, Sigmoid...), several with broadcasting (Add...), Clip. */
#include <float.h>
#include <inttypes.h>
#include <string.h>

#include "reference.h"

/* ---- one input */

struct unary {
    double parameters[2];
    int64_t count;
};

int32_t plan_unary(struct plan *plan)
{
    const struct step *step = plan->step;
    struct unary *unary = plan_parameters(plan, sizeof(*unary));
    if (!unary)
        return plan_no_memory(plan);
    unary->count = tensor_count(step_input(step, 0));
    for (uint32_t i = 0; i < 2; i++)
        if (step->kind->reals[i].name)
            unary->parameters[i] = attribute_real(step->op, step->kind->reals[i].name, step->kind->reals[i].value);
    return plan_expect_dims(plan, step_input(step, 0)->rank, step_input(step, 0)->dims);
}

int32_t compute_unary(const struct step *step, const struct frame *frame)
{
    const struct unary *unary = step->parameters;
    const float *x = frame_input(step, frame, 0);
    float *output = frame_output(step, frame, 0);
    for (int64_t i = 0; i < unary->count; i++)
        output[i] = (float)step->kind->unary((double)x[i], unary->parameters);
    return NAPM_OK;
}

/* ---- Clip: limits are attributes before opset 11, inputs since */

struct clip {
    double least, greatest; /* where no input gives them */
    int64_t count;
};

int32_t plan_clip(struct plan *plan)
{
    const struct step *step = plan->step;
    struct clip *clip = plan_parameters(plan, sizeof(*clip));
    if (!clip)
        return plan_no_memory(plan);
    clip->least = attribute_real(step->op, "min", -(double)FLT_MAX);
    clip->greatest = attribute_real(step->op, "max", (double)FLT_MAX);
    clip->count = tensor_count(step_input(step, 0));
    for (uint32_t i = 1; i <= 2; i++)
        if (step_input(step, i) && tensor_count(step_input(step, i)) != 1)
            return plan_invalid(plan, "limit '%s' is not one number", step_input(step, i)->name);
    return plan_expect_dims(plan, step_input(step, 0)->rank, step_input(step, 0)->dims);
}

int32_t compute_clip(const struct step *step, const struct frame *frame)
{
    const struct clip *clip = step->parameters;
    const float *x = frame_input(step, frame, 0);
    const float *least_input = frame_input(step, frame, 1), *greatest_input = frame_input(step, frame, 2);
    float *output = frame_output(step, frame, 0);
    float least = least_input ? *least_input : (float)clip->least;
    float greatest = greatest_input ? *greatest_input : (float)clip->greatest;
    for (int64_t i = 0; i < clip->count; i++) {
        float y = x[i] < least ? least : x[i];
        output[i] = y > greatest ? greatest : y;
    }
    return NAPM_OK;
}

/* ---- several inputs */

struct binary {
    uint32_t input_count;
    struct view views[]; /* walks over the inputs in the order of the output */
};

int32_t plan_binary(struct plan *plan)
{
    struct step *step = plan->step;
    uint32_t inputs = step->op->input_count;
    const struct napm_tensor *output = step_output(step, 0);
    if (step->op->opset < 7 && attribute_integer(step->op, "broadcast", 0) != 0)
        return plan_unsupported(plan, "attribute 'broadcast' of opsets before 7");
    struct binary *binary = plan_parameters(plan, sizeof(*binary) + inputs * sizeof(struct view));
    if (!binary)
        return plan_no_memory(plan);
    binary->input_count = inputs;
    int64_t dims[MAX_RANK] = {0};
    uint32_t rank = output->rank;
    for (uint32_t axis = 0; axis < rank; axis++) {
        dims[axis] = 1;
        for (uint32_t i = 0; i < inputs; i++) {
            const struct napm_tensor *input = step_input(step, i);
            int64_t own = axis + input->rank < rank ? 1 : input->dims[axis + input->rank - rank];
            if (own > dims[axis])
                dims[axis] = own;
        }
    }
    for (uint32_t i = 0; i < inputs; i++)
        if (!view_broadcast(&binary->views[i], step_input(step, i), rank, dims))
            return plan_invalid(plan, "input '%s' cannot be broadcast to the output", step_input(step, i)->name);
    return plan_expect_dims(plan, rank, dims);
}

/* output = function(x, y), both walked in the order of the output; `function` NULL: output = x. */
static void combine(const struct view *view_x, const float *x, const struct view *view_y, const float *y,
                    binary_fn *function, float *output)
{
    uint32_t rank = view_x->rank;
    int64_t index[MAX_RANK] = {0}, offsets[2] = {0, 0};
    const int64_t *strides[2] = {view_x->strides, view_y->strides};
    int64_t last = rank ? view_x->dims[rank - 1] : 1;
    int64_t step_x = rank ? strides[0][rank - 1] : 0, step_y = rank ? strides[1][rank - 1] : 0;
    do {
        for (int64_t i = 0; i < last; i++) {
            double left = (double)x[offsets[0] + i * step_x];
            *output++ = (float)(function ? function(left, (double)y[offsets[1] + i * step_y]) : left);
        }
    } while (view_next_row(rank, view_x->dims, index, 2, strides, offsets));
}

int32_t compute_binary(const struct step *step, const struct frame *frame)
{
    const struct binary *binary = step->parameters;
    float *output = frame_output(step, frame, 0);
    const float *first = frame_input(step, frame, 0);
    if (binary->input_count == 1) {
        combine(&binary->views[0], first, &binary->views[0], first, NULL, output);
        return NAPM_OK;
    }
    combine(&binary->views[0], first, &binary->views[1], frame_input(step, frame, 1), step->kind->binary, output);
    struct view dense = binary->views[0];
    struct napm_tensor whole = *step_output(step, 0);
    view_broadcast(&dense, &whole, whole.rank, dense.dims);
    for (uint32_t i = 2; i < binary->input_count; i++) /* reads each output element before it writes it */
        combine(&dense, output, &binary->views[i], frame_input(step, frame, i), step->kind->binary, output);
    return NAPM_OK;
}

int32_t compute_mean(const struct step *step, const struct frame *frame)
{
    const struct binary *binary = step->parameters;
    int32_t status = compute_binary(step, frame);
    float *output = frame_output(step, frame, 0);
    int64_t count = tensor_count(step_output(step, 0));
    for (int64_t i = 0; i < count; i++)
        output[i] = (float)((double)output[i] / (double)binary->input_count);
    return status;
}
