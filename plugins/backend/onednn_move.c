/* SPDX-License-Identifier: Apache-2.0 */
/* Planning what only moves data: views, Concat, Transpose, Pad, walks. */
#include "onednn_build.h"

#include <stdlib.h>
#include <string.h>

/* ---- views, copies and the rest */

int plan_view(struct builder *b, const struct napm_operator *op, int same)
{
    struct plan_step *step = build_step(b, STEP_VIEW);
    const struct napm_tensor *in = operator_input(b->model, op, 0), *out = operator_output(b->model, op, 0);
    if (!step)
        return build_out_of_memory(b);
    struct plan_input *input = build_input(step, op->inputs[0], SHIM_SOURCE);
    step->output = op->outputs[0];
    if (!input || !(input->wanted = same ? shim_layout_copy(build_layout_of(b, op->inputs[0])) : build_dense(in)))
        return build_out_of_memory(b);
    return build_made(b, step->output, same ? shim_layout_copy(input->wanted) : build_dense(out));
}

/* Blocked layouts where the library has a fast kernel for them, dense otherwise. */
int plan_concat(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    uint32_t axis = operator_axis(b->model, op, 0);
    struct shim_layout *sources[SHIM_MAX_SOURCES] = {NULL}, *any = shim_layout_any(out->rank, out->dims), *made = NULL;
    struct shim_kernel *kernel = NULL;
    for (int dense = 0; dense < 2 && !kernel && any; dense++) {
        int complete = 1;
        for (uint32_t i = 0; i < op->input_count; i++) {
            shim_layout_free(sources[i]);
            sources[i] = dense || build_is_constant(b, op->inputs[i])
                             ? build_dense(operator_input(b->model, op, i))
                             : shim_layout_copy(build_layout_of(b, op->inputs[i]));
            complete = complete && sources[i];
        }
        if (!complete)
            break;
        made = dense ? build_dense(out) : NULL;
        kernel = shim_make_concat(b->plan->shim, op->input_count, (const struct shim_layout *const *)sources,
                                  dense ? made : any, axis);
        if (kernel && !dense && !shim_kernel_is_fast(kernel)) {
            shim_kernel_free(kernel);
            kernel = NULL;
        }
    }
    shim_layout_free(any);
    shim_layout_free(made);
    struct plan_step *step = kernel ? build_step(b, STEP_KERNEL) : NULL;
    int failed = step ? 0 : build_no_kernel(b, op);
    if (failed)
        shim_kernel_free(kernel);
    else
        step->kernel = kernel;
    for (uint32_t i = 0; i < op->input_count; i++) {
        if (!failed && build_is_constant(b, op->inputs[i]) && step->constant_count >= STEP_MAX_CONSTANTS)
            failed = refuse(b->why, "node %s: Concat of more than %u constants", op->name, STEP_MAX_CONSTANTS);
        if (failed)
            shim_layout_free(sources[i]);
        else
            failed = build_operand(b, step, op->inputs[i], SHIM_MANY + i, sources[i], NULL);
    }
    if (failed)
        return -1;
    step->output = op->outputs[0];
    step->bound_output = shim_kernel_layout(kernel, SHIM_DESTINATION);
    return !step->bound_output ? build_out_of_memory(b)
                               : build_made(b, step->output, shim_layout_copy(step->bound_output));
}

int plan_transpose(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *in = operator_input(b->model, op, 0), *out = operator_output(b->model, op, 0);
    int64_t order[SHIM_MAX_RANK], strides[SHIM_MAX_RANK];
    int count = operator_integers(b->model, op, "perm", NAPM_NONE, order, SHIM_MAX_RANK);
    for (uint32_t i = 0; i < in->rank; i++) {
        int64_t from = count > 0 ? order[i] : (int64_t)in->rank - 1 - i;
        strides[i] = tensor_elements_between(in, (uint32_t)from + 1, in->rank);
    }
    struct shim_layout *source = shim_layout_strided(out->rank, out->dims, strides), *destination = build_dense(out);
    struct shim_kernel *kernel = source && destination ? shim_make_reorder(b->plan->shim, source, destination) : NULL;
    return build_dense_step(b, op, kernel, source, destination);
}

/* One step an output: Split has several. */
int plan_walk(struct builder *b, const struct napm_operator *op)
{
    for (uint32_t i = 0; i < op->output_count; i++) {
        struct plan_step *step = build_step(b, STEP_PLAIN);
        if (!step)
            return build_out_of_memory(b);
        step->plain.run = plain_walk_run;
        step->output = op->outputs[i];
        if (operator_walk(b->model, op, i, &step->plain.as.walk, b->why) ||
            build_operand(b, step, op->inputs[0], 0, build_dense(operator_input(b->model, op, 0)), NULL) ||
            build_made(b, step->output, build_dense(operator_output(b->model, op, i))))
            return -1;
    }
    return 0;
}

int plan_pad(struct builder *b, const struct napm_operator *op)
{
    const struct napm_tensor *in = operator_input(b->model, op, 0), *out = operator_output(b->model, op, 0);
    const struct napm_tensor *value = operator_input(b->model, op, 2);
    const char *mode = attribute_text(op, "mode", "constant");
    int64_t pads[12], axes[6];
    struct plan_step *step = build_step(b, STEP_PLAIN);
    if (!step)
        return build_out_of_memory(b);
    struct plain_pad *what = &step->plain.as.pad;
    step->plain.run = plain_pad_run;
    step->output = op->outputs[0];
    what->mode = mode[0] == 'r' ? PLAIN_PAD_REFLECT : mode[0] == 'e' ? PLAIN_PAD_EDGE : PLAIN_PAD_CONSTANT;
    what->value = value ? constant_real(value, 0) : attribute_real(op, "value", 0.0f);
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
    if (build_operand(b, step, op->inputs[0], 0, build_dense(in), NULL))
        return -1;
    return build_made(b, step->output, build_dense(out));
}
