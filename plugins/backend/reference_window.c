/* SPDX-License-Identifier: Apache-2.0 */
/* Operators with a sliding window: Conv, MaxPool, AveragePool; in one, two or three spatial dimensions. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

#define SPATIAL 3u
#define LARGEST_NUMBER (INT64_C(1) << 31) /* of any window attribute: keeps every sum below far from overflow */

/* Where windows lie. Fewer than three spatial dimensions are filled up in front with dimensions of 1. */
struct window {
    int64_t in[SPATIAL], out[SPATIAL];
    int64_t kernel[SPATIAL], stride[SPATIAL], dilation[SPATIAL];
    int64_t pad[SPATIAL], pad_end[SPATIAL];
};

struct conv {
    struct window window;
    int64_t groups, in_channels, out_channels; /* channels of one group */
    int64_t depth; /* taps: products in a sum */
    int64_t padded[SPATIAL]; /* input dimensions with padding */
    bool pads; /* whether there is any padding */
    uint64_t image_bytes; /* scratch for one padded image */
};

struct pool {
    struct window window;
    bool count_padding;
};

/* Reads one list of window numbers into the last `spatial` places of `numbers`; the places in front get `otherwise`. */
static int32_t plan_window_list(const struct plan *plan, const char *name, uint32_t spatial, int64_t least,
                                int64_t otherwise, int64_t *numbers)
{
    uint32_t count;
    const int64_t *listed = attribute_integers(plan->step->op, name, &count);
    if (listed && count != spatial)
        return plan_invalid(plan, "%s has %" PRIu32 " numbers for %" PRIu32 " spatial dimensions", name, count,
                            spatial);
    for (uint32_t i = 0; i < SPATIAL; i++) {
        bool given = listed && i >= SPATIAL - spatial;
        numbers[i] = given ? listed[i - (SPATIAL - spatial)] : otherwise;
        if (numbers[i] < least || numbers[i] > LARGEST_NUMBER)
            return plan_invalid(plan, "%s holds %" PRId64, name, numbers[i]);
    }
    return NAPM_OK;
}

static int64_t window_extent(const struct window *window, uint32_t i)
{
    return (window->kernel[i] - 1) * window->dilation[i] + 1;
}

static int32_t plan_explicit_pads(const struct plan *plan, uint32_t spatial, struct window *window)
{
    uint32_t count;
    const int64_t *pads = attribute_integers(plan->step->op, "pads", &count);
    if (pads && count != 2 * spatial)
        return plan_invalid(plan, "pads has %" PRIu32 " numbers for %" PRIu32 " spatial dimensions", count, spatial);
    for (uint32_t i = 0; pads && i < spatial; i++) {
        if (pads[i] < 0 || pads[i] > LARGEST_NUMBER || pads[spatial + i] < 0 || pads[spatial + i] > LARGEST_NUMBER)
            return plan_unsupported(plan, "negative or huge padding");
        window->pad[SPATIAL - spatial + i] = pads[i];
        window->pad_end[SPATIAL - spatial + i] = pads[spatial + i];
    }
    return NAPM_OK;
}

static int32_t plan_pads(const struct plan *plan, uint32_t spatial, struct window *window)
{
    const char *automatic = attribute_text(plan->step->op, "auto_pad", "NOTSET");
    if (strcmp(automatic, "NOTSET") == 0 || automatic[0] == '\0')
        return plan_explicit_pads(plan, spatial, window);
    if (strcmp(automatic, "VALID") == 0)
        return NAPM_OK;
    bool lower = strcmp(automatic, "SAME_LOWER") == 0;
    if (!lower && strcmp(automatic, "SAME_UPPER") != 0)
        return plan_unsupported(plan, "auto_pad '%s'", automatic);
    for (uint32_t i = 0; i < SPATIAL; i++) {
        int64_t out = (window->in[i] + window->stride[i] - 1) / window->stride[i];
        int64_t total = (out - 1) * window->stride[i] + window_extent(window, i) - window->in[i];
        if (total < 0)
            total = 0;
        window->pad[i] = lower ? total - total / 2 : total / 2;
        window->pad_end[i] = total - window->pad[i];
    }
    return NAPM_OK;
}

/* Number of windows along a dimension. */
static int64_t window_count(const struct window *window, uint32_t i, bool ceiling)
{
    int64_t room = window->in[i] + window->pad[i] + window->pad_end[i] - window_extent(window, i);
    if (room < 0)
        return 0;
    return (room + (ceiling ? window->stride[i] - 1 : 0)) / window->stride[i] + 1;
}

/*
 * Output dimensions. With ceil_mode the standard left open whether a last window that lies wholly in the padding
 * counts (PyTorch drops it, and newer versions of ONNX too), so the model's shape decides.
 */
static int32_t plan_window_outputs(const struct plan *plan, uint32_t spatial, int64_t channels, bool ceiling,
                                   struct window *window)
{
    const struct napm_tensor *input = step_input(plan->step, 0), *output = step_output(plan->step, 0);
    int64_t dims[MAX_RANK] = {input->dims[0], channels};
    for (uint32_t i = 0; i < SPATIAL; i++) {
        int64_t count = window_count(window, i, ceiling);
        if (count <= 0)
            return plan_invalid(plan, "the window is larger than the padded input");
        bool last_is_padding = (count - 1) * window->stride[i] >= window->in[i] + window->pad[i];
        if (i >= SPATIAL - spatial) {
            uint32_t axis = 2 + i - (SPATIAL - spatial);
            if (ceiling && last_is_padding && axis < output->rank && output->dims[axis] == count - 1)
                count--;
            dims[axis] = count;
        }
        window->out[i] = count;
    }
    return plan_expect_dims(plan, 2 + spatial, dims);
}

/* `kernel` gives the window's dimensions where the attribute kernel_shape does not (convolution weights). */
static int32_t plan_window(const struct plan *plan, const int64_t *kernel, int64_t channels, bool ceiling,
                           struct window *window)
{
    const struct napm_tensor *input = step_input(plan->step, 0);
    if (input->rank < 3 || input->rank > 2 + SPATIAL)
        return plan_unsupported(plan, "an input of rank %" PRIu32, input->rank);
    uint32_t spatial = input->rank - 2, count;
    if (!kernel && !attribute_integers(plan->step->op, "kernel_shape", &count))
        return plan_invalid(plan, "kernel_shape is missing");
    int32_t status = plan_window_list(plan, "kernel_shape", spatial, 1, 1, window->kernel);
    for (uint32_t i = 0; i < SPATIAL; i++)
        window->in[i] = i < SPATIAL - spatial ? 1 : input->dims[2 + i - (SPATIAL - spatial)];
    for (uint32_t i = 0; status >= 0 && kernel && i < spatial; i++)
        window->kernel[SPATIAL - spatial + i] = kernel[i];
    if (status >= 0)
        status = plan_window_list(plan, "strides", spatial, 1, 1, window->stride);
    if (status >= 0)
        status = plan_window_list(plan, "dilations", spatial, 1, 1, window->dilation);
    if (status >= 0)
        status = plan_pads(plan, spatial, window);
    return status < 0 ? status : plan_window_outputs(plan, spatial, channels, ceiling, window);
}

/* ---- Conv */

static int64_t product(const int64_t *numbers)
{
    return numbers[0] * numbers[1] * numbers[2];
}

/* Where each tap of a window lies, from the window's first element of its group's first channel. */
static int32_t plan_taps(struct plan *plan, const struct conv *conv)
{
    const struct window *w = &conv->window;
    int64_t *offset = plan->step->offsets = malloc((uint64_t)conv->depth * sizeof(int64_t));
    if (!offset)
        return plan_no_memory(plan);
    for (int64_t channel = 0; channel < conv->in_channels; channel++)
        for (int64_t d = 0; d < w->kernel[0]; d++)
            for (int64_t h = 0; h < w->kernel[1]; h++)
                for (int64_t i = 0; i < w->kernel[2]; i++)
                    *offset++ =
                        ((channel * conv->padded[0] + d * w->dilation[0]) * conv->padded[1] + h * w->dilation[1]) *
                            conv->padded[2] +
                        i * w->dilation[2];
    return NAPM_OK;
}

static int32_t check_conv_operands(const struct plan *plan, int64_t groups)
{
    const struct napm_tensor *x = step_input(plan->step, 0), *weights = step_input(plan->step, 1);
    const struct napm_tensor *bias = step_input(plan->step, 2);
    if (x->rank < 3 || weights->rank != x->rank)
        return plan_invalid(plan, "weights of rank %" PRIu32 " do not fit an input of rank %" PRIu32, weights->rank,
                            x->rank);
    if (groups < 1 || weights->dims[0] % groups != 0 || weights->dims[1] * groups != x->dims[1])
        return plan_invalid(plan,
                            "%" PRId64 " input channels, weights for %" PRId64 " of them and %" PRId64
                            " output channels do not make %" PRId64 " groups",
                            x->dims[1], weights->dims[1], weights->dims[0], groups);
    uint32_t count;
    const int64_t *kernel = attribute_integers(plan->step->op, "kernel_shape", &count);
    if (kernel && (count != x->rank - 2 || memcmp(kernel, weights->dims + 2, count * sizeof(*kernel)) != 0))
        return plan_invalid(plan, "kernel_shape is not that of the weights");
    if (bias && (bias->rank != 1 || bias->dims[0] != weights->dims[0]))
        return plan_invalid(plan, "the bias does not have one number for each output channel");
    return NAPM_OK;
}

int32_t plan_conv(struct plan *plan)
{
    struct step *step = plan->step;
    int64_t groups = attribute_integer(step->op, "group", 1);
    int32_t status = check_conv_operands(plan, groups);
    if (status < 0)
        return status;
    const struct napm_tensor *weights = step_input(step, 1);
    struct conv *conv = plan_parameters(plan, sizeof(*conv));
    if (!conv)
        return plan_no_memory(plan);
    status = plan_window(plan, weights->dims + 2, weights->dims[0], false, &conv->window);
    if (status < 0)
        return status;
    conv->groups = groups;
    conv->in_channels = weights->dims[1];
    conv->out_channels = weights->dims[0] / groups;
    conv->depth = conv->in_channels * product(conv->window.kernel);
    for (uint32_t i = 0; i < SPATIAL; i++) {
        conv->padded[i] = conv->window.in[i] + conv->window.pad[i] + conv->window.pad_end[i];
        conv->pads = conv->pads || conv->padded[i] != conv->window.in[i];
    }
    if (conv->pads) {
        uint64_t bytes = (uint64_t)(groups * conv->in_channels * product(conv->padded)) * sizeof(float);
        conv->image_bytes = (bytes + 63) / 64 * 64;
    }
    step->packed_bytes = (uint64_t)groups * panel_floats(conv->out_channels, conv->depth) * sizeof(float);
    step->packed_input = weights->data ? 1 : NAPM_NONE;
    step->scratch_bytes = conv->image_bytes + (weights->data ? 0 : step->packed_bytes);
    return plan_taps(plan, conv);
}

static void pack_conv(const struct conv *conv, const void *weights, float *packed)
{
    for (int64_t group = 0; group < conv->groups; group++) {
        const char *source = (const char *)weights + group * conv->out_channels * conv->depth * 4;
        panel_pack(packed + (uint64_t)group * panel_floats(conv->out_channels, conv->depth), source, conv->out_channels,
                   conv->depth, conv->depth, 1);
    }
}

int32_t load_conv(struct step *step)
{
    pack_conv(step->parameters, step_input(step, 1)->data, step->packed);
    return NAPM_OK;
}

/* Copies one image into the middle of a larger one of zeros. */
static void pad_image(const struct conv *conv, const float *image, float *padded)
{
    const struct window *w = &conv->window;
    int64_t channels = conv->groups * conv->in_channels;
    memset(padded, 0, (uint64_t)(channels * product(conv->padded)) * sizeof(float));
    for (int64_t channel = 0; channel < channels; channel++)
        for (int64_t d = 0; d < w->in[0]; d++)
            for (int64_t h = 0; h < w->in[1]; h++) {
                int64_t row = (channel * conv->padded[0] + d + w->pad[0]) * conv->padded[1] + h + w->pad[1];
                memcpy(padded + row * conv->padded[2] + w->pad[2],
                       image + ((channel * w->in[0] + d) * w->in[1] + h) * w->in[2],
                       (uint64_t)w->in[2] * sizeof(float));
            }
}

/* First element of the window that belongs to an output pixel. */
static int64_t pixel_offset(const struct conv *conv, int64_t pixel)
{
    const struct window *w = &conv->window;
    int64_t column = pixel % w->out[2], row = pixel / w->out[2] % w->out[1], plane = pixel / w->out[2] / w->out[1];
    return (plane * w->stride[0] * conv->padded[1] + row * w->stride[1]) * conv->padded[2] + column * w->stride[2];
}

/* All pixels of up to eight output channels. `bias` and `output` are those of the first of them. */
static void conv_panel(const struct step *step, const float *group_input, const float *panel, int64_t channels,
                       const float *bias, float *output)
{
    const struct conv *conv = step->parameters;
    int64_t pixels = product(conv->window.out);
    for (int64_t first = 0; first < pixels; first += STRIP) {
        const float *rows[STRIP];
        double sums[STRIP][PANEL];
        int64_t strip = pixels - first < STRIP ? pixels - first : STRIP;
        for (int64_t i = 0; i < STRIP; i++) /* a short strip repeats its last pixel */
            rows[i] = group_input + pixel_offset(conv, first + (i < strip ? i : strip - 1));
        panel_multiply(sums, rows, step->offsets, conv->depth, panel);
        for (int64_t c = 0; c < channels; c++)
            for (int64_t i = 0; i < strip; i++)
                output[c * pixels + first + i] = (float)(sums[i][c] + (bias ? (double)bias[c] : 0.0));
    }
}

int32_t compute_conv(const struct step *step, const struct frame *frame)
{
    const struct conv *conv = step->parameters;
    const float *x = frame_input(step, frame, 0), *bias = frame_input(step, frame, 2);
    const float *packed = step->packed;
    float *output = frame_output(step, frame, 0);
    if (!packed) { /* weights that are computed, or given with the task */
        float *scratch = (float *)((char *)frame->scratch + conv->image_bytes);
        pack_conv(conv, frame_input(step, frame, 1), scratch);
        packed = scratch;
    }
    int64_t image = conv->groups * conv->in_channels * product(conv->window.in), pixels = product(conv->window.out);
    int64_t group_input = conv->in_channels * product(conv->padded);
    for (int64_t n = 0; n < step_input(step, 0)->dims[0]; n++) {
        const float *input = x + n * image;
        if (conv->pads) {
            pad_image(conv, input, frame->scratch);
            input = frame->scratch;
        }
        for (int64_t group = 0; group < conv->groups; group++) {
            const float *panels = packed + (uint64_t)group * panel_floats(conv->out_channels, conv->depth);
            for (int64_t c = 0; c < conv->out_channels; c += PANEL) {
                int64_t channel = group * conv->out_channels + c;
                int64_t channels = conv->out_channels - c < PANEL ? conv->out_channels - c : PANEL;
                conv_panel(step, input + group * group_input, panels + c * conv->depth, channels,
                           bias ? bias + channel : NULL,
                           output + (n * conv->groups * conv->out_channels + channel) * pixels);
            }
        }
    }
    return NAPM_OK;
}

/* ---- pooling */

int32_t plan_pool(struct plan *plan)
{
    const struct napm_operator *op = plan->step->op;
    struct pool *pool = plan_parameters(plan, sizeof(*pool));
    if (!pool)
        return plan_no_memory(plan);
    pool->count_padding = attribute_integer(op, "count_include_pad", 0) != 0;
    bool ceiling = attribute_integer(op, "ceil_mode", 0) != 0;
    const struct napm_tensor *input = step_input(plan->step, 0);
    return plan_window(plan, NULL, input->rank > 1 ? input->dims[1] : 0, ceiling, &pool->window);
}

/* The taps of one window along one dimension that lie in 0..room-1: first..last-1. */
struct taps {
    int64_t start, first, last;
};

static struct taps window_taps(const struct window *window, uint32_t i, int64_t start, int64_t room)
{
    struct taps taps = {start, 0, window->kernel[i]};
    int64_t dilation = window->dilation[i];
    if (start < 0)
        taps.first = (-start + dilation - 1) / dilation;
    if (start + (taps.last - 1) * dilation >= room)
        taps.last = room > start ? (room - start + dilation - 1) / dilation : 0;
    if (taps.last < taps.first)
        taps.last = taps.first;
    return taps;
}

/* What a pool makes of one window of one channel. `divisor` is the number of elements that an average counts. */
typedef float window_fn(const struct window *window, const float *channel, const struct taps taps[SPATIAL],
                        int64_t divisor);

static float window_max(const struct window *w, const float *channel, const struct taps taps[SPATIAL], int64_t divisor)
{
    (void)divisor;
    float greatest = -INFINITY;
    for (int64_t d = taps[0].first; d < taps[0].last; d++)
        for (int64_t h = taps[1].first; h < taps[1].last; h++) {
            const float *row =
                channel +
                ((taps[0].start + d * w->dilation[0]) * w->in[1] + taps[1].start + h * w->dilation[1]) * w->in[2];
            for (int64_t i = taps[2].first; i < taps[2].last; i++) {
                float x = row[taps[2].start + i * w->dilation[2]];
                greatest = x > greatest || isnan(x) ? x : greatest;
            }
        }
    return greatest;
}

static float window_average(const struct window *w, const float *channel, const struct taps taps[SPATIAL],
                            int64_t divisor)
{
    double sum = 0.0;
    for (int64_t d = taps[0].first; d < taps[0].last; d++)
        for (int64_t h = taps[1].first; h < taps[1].last; h++) {
            const float *row =
                channel +
                ((taps[0].start + d * w->dilation[0]) * w->in[1] + taps[1].start + h * w->dilation[1]) * w->in[2];
            for (int64_t i = taps[2].first; i < taps[2].last; i++)
                sum += (double)row[taps[2].start + i * w->dilation[2]];
        }
    return divisor > 0 ? (float)(sum / (double)divisor) : 0.0f;
}

static int32_t compute_pool(const struct step *step, const struct frame *frame, window_fn *function)
{
    const struct pool *pool = step->parameters;
    const struct window *w = &pool->window;
    const struct napm_tensor *input = step_input(step, 0);
    const float *channel = frame_input(step, frame, 0);
    float *output = frame_output(step, frame, 0);
    int64_t channels = input->dims[0] * input->dims[1];
    for (int64_t c = 0; c < channels; c++, channel += product(w->in))
        for (int64_t d = 0; d < w->out[0]; d++)
            for (int64_t h = 0; h < w->out[1]; h++)
                for (int64_t i = 0; i < w->out[2]; i++) {
                    const int64_t at[SPATIAL] = {d, h, i};
                    struct taps taps[SPATIAL];
                    int64_t divisor = 1;
                    for (uint32_t axis = 0; axis < SPATIAL; axis++) {
                        int64_t start = at[axis] * w->stride[axis]; /* counted from the padding's first element */
                        int64_t room = w->in[axis] + w->pad[axis] + w->pad_end[axis];
                        taps[axis] = window_taps(w, axis, start - w->pad[axis], w->in[axis]);
                        struct taps counted = pool->count_padding ? window_taps(w, axis, start, room) : taps[axis];
                        divisor *= counted.last - counted.first;
                    }
                    *output++ = function(w, channel, taps, divisor);
                }
    return NAPM_OK;
}

int32_t compute_max_pool(const struct step *step, const struct frame *frame)
{
    return compute_pool(step, frame, window_max);
}

int32_t compute_average_pool(const struct step *step, const struct frame *frame)
{
    return compute_pool(step, frame, window_average);
}
