/* SPDX-License-Identifier: Apache-2.0 */
/* Planning poolings and means. */
#include "onednn_build.h"

#include <stdlib.h>
#include <string.h>

/* ---- windows */

/* `dims` of the result as the kernel sees it: the operator's output, or the same with kept dimensions. */
static int pooling_step(struct builder *b, const struct napm_operator *op, enum shim_pooling pooling,
                        const struct shim_window *window, const int64_t *dims)
{
    const struct shim_layout *layout = build_layout_of(b, op->inputs[0]);
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    struct plan_step *step = build_step(b, STEP_KERNEL);
    struct shim_layout *any = shim_layout_any(window->rank + 2, dims);
    if (!step || !any) {
        shim_layout_free(any);
        return build_out_of_memory(b);
    }
    step->kernel = shim_make_pooling(b->plan->shim, pooling, layout, any, window);
    shim_layout_free(any);
    if (!step->kernel)
        return build_no_kernel(b, op);
    struct plan_input *input = build_input(step, op->inputs[0], SHIM_SOURCE);
    step->output = op->outputs[0];
    step->bound_output = shim_kernel_layout(step->kernel, SHIM_DESTINATION);
    if (!input || !(input->wanted = shim_layout_copy(layout)) || !step->bound_output)
        return build_out_of_memory(b);
    return build_made(b, step->output,
                      out->rank == window->rank + 2 ? shim_layout_copy(step->bound_output) : build_dense(out));
}

int plan_pooling(struct builder *b, const struct napm_operator *op)
{
    struct shim_window window;
    const struct napm_tensor *out = operator_output(b->model, op, 0);
    if (operator_window(b->model, op, &window, NULL, b->why))
        return -1;
    enum shim_pooling pooling = op->type[0] == 'M'                              ? SHIM_POOL_MAX
                                : attribute_integer(op, "count_include_pad", 0) ? SHIM_POOL_AVERAGE_WITH_PADDING
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

int plan_global_pooling(struct builder *b, const struct napm_operator *op)
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
    int all = count <= 0 && !attribute_integer(op, "noop_with_empty_axes", 0);
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

int plan_mean(struct builder *b, const struct napm_operator *op)
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
    struct plan_step *step = build_step(b, STEP_PLAIN);
    if (!step)
        return build_out_of_memory(b);
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
    if (build_operand(b, step, op->inputs[0], 0, build_dense(in), NULL))
        return -1;
    return build_made(b, step->output, build_dense(operator_output(b->model, op, 0)));
}
