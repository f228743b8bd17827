/* SPDX-License-Identifier: Apache-2.0 */
/* Output shapes of the operators that slide a window over an image: convolution and pooling. */
#include <string.h>

#include "core/model/operators.h"

#define ABSURD (INT64_C(1) << 24) /* a stride, dilation or pad above this is taken for a corrupt file */

/* The window's parameters, one number for each spatial axis (pads: all begins, then all ends). */
struct window {
    uint32_t axes;
    int64_t kernel[GRAPH_MAX_RANK], stride[GRAPH_MAX_RANK], dilation[GRAPH_MAX_RANK], pad[2 * GRAPH_MAX_RANK];
    const char *auto_pad;
    bool round_up;
};

static int read_list(const struct operator_work *work, const char *name, uint32_t count, int64_t least,
                     int64_t otherwise, int64_t *into)
{
    const int64_t *list;
    uint32_t given = graph_integers(work->node, name, &list);
    if (given != 0 && given != count)
        return operator_error(work, "attribute %s has %u numbers; %u are expected", name, given, count);
    for (uint32_t i = 0; i < count; i++) {
        into[i] = given ? list[i] : otherwise;
        if (into[i] < least || into[i] > ABSURD)
            return operator_error(work, "attribute %s is out of range (%lld)", name, (long long)into[i]);
    }
    return 0;
}

static int read_window(const struct operator_work *work, uint32_t axes, struct window *window)
{
    window->axes = axes;
    window->auto_pad = graph_word(work->node, "auto_pad", "NOTSET");
    window->round_up = graph_integer(work->node, "ceil_mode", 0) != 0;
    if (read_list(work, "strides", axes, 1, 1, window->stride) ||
        read_list(work, "dilations", axes, 1, 1, window->dilation) ||
        read_list(work, "pads", 2 * axes, 0, 0, window->pad))
        return -1;
    static const char *const known[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", ""};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (strcmp(window->auto_pad, known[i]) == 0)
            return 0;
    return operator_error(work, "auto_pad '%.40s' is not defined by ONNX", window->auto_pad);
}

/* Length of the output along one axis. */
static int64_t slide(const struct window *window, uint32_t axis, int64_t length)
{
    int64_t stride = window->stride[axis];
    int64_t reach = window->dilation[axis] * (window->kernel[axis] - 1) + 1;
    if (strncmp(window->auto_pad, "SAME", 4) == 0)
        return (length + stride - 1) / stride;
    bool padded = strcmp(window->auto_pad, "VALID") != 0;
    int64_t before = padded ? window->pad[axis] : 0, after = padded ? window->pad[window->axes + axis] : 0;
    int64_t room = length + before + after - reach;
    if (room < 0)
        return 0;
    int64_t steps = window->round_up ? (room + stride - 1) / stride : room / stride;
    /* A window that would start behind the image and its left padding is left out, as all runtimes do. */
    if (window->round_up && steps * stride >= length + before)
        steps--;
    return steps + 1;
}

/* Sets the output shape: batch and channels as in dims, then what the window leaves of the input's other axes. */
static int set_slid(const struct operator_work *work, const struct window *window, const struct graph_value *input,
                    int64_t channels)
{
    int64_t dims[GRAPH_MAX_RANK] = {input->dims[0], channels};
    for (uint32_t i = 0; i < window->axes; i++) {
        dims[2 + i] = slide(window, i, input->dims[2 + i]);
        if (dims[2 + i] < 1)
            return operator_error(work, "its window of %lld is larger than its padded input of %lld",
                                  (long long)window->kernel[i], (long long)input->dims[2 + i]);
    }
    return operator_set_output(work, 0, input->element_type, input->rank, dims);
}

static const struct graph_value *image_input(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    if (input && input->rank < 3) {
        operator_error(work, "its input has %u dimensions; 3 or more are needed", input->rank);
        return NULL;
    }
    return input;
}

int shape_conv(const struct operator_work *work)
{
    const struct graph_value *input = image_input(work), *weights = operator_input(work, 1);
    if (!input || !weights)
        return -1;
    struct window window;
    if (weights->rank != input->rank)
        return operator_error(work, "its weights have %u dimensions, its input %u", weights->rank, input->rank);
    if (read_window(work, input->rank - 2, &window))
        return -1;
    const int64_t *stated;
    uint32_t stated_count = graph_integers(work->node, "kernel_shape", &stated);
    if (stated_count != 0 &&
        (stated_count != window.axes || memcmp(stated, weights->dims + 2, stated_count * sizeof(*stated)) != 0))
        return operator_error(work, "kernel_shape does not fit its weights");
    memcpy(window.kernel, weights->dims + 2, window.axes * sizeof(*window.kernel));
    int64_t groups = graph_integer(work->node, "group", 1), outputs = weights->dims[0];
    if (groups < 1 || outputs % groups != 0 || input->dims[1] % groups != 0 ||
        weights->dims[1] != input->dims[1] / groups)
        return operator_error(work, "%lld input channels, %lld groups and weights for %lld channels do not fit",
                              (long long)input->dims[1], (long long)groups, (long long)weights->dims[1]);
    const struct graph_value *bias = graph_input(work->graph, work->node, 2);
    if (bias && (!operator_input(work, 2) || bias->rank != 1 || bias->dims[0] != outputs))
        return operator_error(work, "its bias '%.200s' does not fit %lld channels", bias->name, (long long)outputs);
    return set_slid(work, &window, input, outputs);
}

int shape_pool(const struct operator_work *work)
{
    const struct graph_value *input = image_input(work);
    struct window window;
    if (!input || read_window(work, input->rank - 2, &window) ||
        read_list(work, "kernel_shape", window.axes, 1, 0, window.kernel))
        return -1;
    if (graph_integer(work->node, "storage_order", 0) != 0)
        return operator_error(work, "storage_order 1 is not supported");
    return set_slid(work, &window, input, input->dims[1]);
}

int shape_global_pool(const struct operator_work *work)
{
    const struct graph_value *input = image_input(work);
    if (!input)
        return -1;
    int64_t dims[GRAPH_MAX_RANK] = {input->dims[0], input->dims[1]};
    for (uint32_t d = 2; d < input->rank; d++)
        dims[d] = 1;
    return operator_set_output(work, 0, input->element_type, input->rank, dims);
}

int shape_lrn(const struct operator_work *work)
{
    const struct graph_value *input = image_input(work);
    if (!input)
        return -1;
    int64_t size = graph_integer(work->node, "size", 0);
    if (size < 1 || size > ABSURD)
        return operator_error(work, "attribute size is missing or out of range");
    return operator_set_output(work, 0, input->element_type, input->rank, input->dims);
}
