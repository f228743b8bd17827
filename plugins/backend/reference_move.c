/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only move elements, of any type: Reshape and its kin, Concat, Split, Transpose, Slice, Pad, Gather. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

/* ---- the same elements in the same order: Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout */

int32_t plan_copy(struct plan *plan)
{
    const struct napm_tensor *input = step_input(plan->step, 0), *output = step_output(plan->step, 0);
    if (input->element_type != output->element_type || tensor_count(input) != tensor_count(output))
        return plan_invalid(plan, "input '%s' and output '%s' do not have the same elements", input->name,
                            output->name);
    return NAPM_OK;
}

int32_t plan_dropout(struct plan *plan)
{
    const struct napm_tensor *training = step_input(plan->step, 2);
    if (training && !training->data)
        return plan_unsupported(plan, "training_mode that is computed");
    if (training && training->element_type == NAPM_BOOL && *(const uint8_t *)training->data)
        return plan_unsupported(plan, "training_mode");
    return plan_copy(plan);
}

int32_t compute_copy(const struct step *step, const struct frame *frame)
{
    const struct napm_tensor *input = step_input(step, 0);
    memcpy(frame_output(step, frame, 0), frame_input(step, frame, 0),
           (uint64_t)tensor_count(input) * element_bytes(input->element_type));
    return NAPM_OK;
}

/* The mask, where it is asked for, says that every element was kept. */
int32_t compute_dropout(const struct step *step, const struct frame *frame)
{
    const struct napm_tensor *mask = step_output(step, 1);
    for (int64_t i = 0; mask && i < tensor_count(mask); i++) {
        if (mask->element_type == NAPM_F32)
            ((float *)frame_output(step, frame, 1))[i] = 1.0f;
        else
            memset((char *)frame_output(step, frame, 1) + i * element_bytes(mask->element_type), 1, 1);
    }
    return compute_copy(step, frame);
}

/* ---- Concat and Split: pieces along an axis */

struct pieces {
    int64_t outer; /* times that each piece contributes a run of bytes */
    uint32_t axis;
    uint32_t element_bytes;
};

/* `whole` and each piece must agree in everything but the axis, along which the pieces must make up the whole. */
static int32_t plan_pieces(struct plan *plan, int64_t axis, const struct napm_tensor *whole, uint32_t count,
                           const struct napm_tensor *(*piece_at)(const struct step *step, uint32_t i))
{
    struct pieces *pieces = plan_parameters(plan, sizeof(*pieces));
    if (!pieces)
        return plan_no_memory(plan);
    int32_t status = plan_axis(plan, axis, whole->rank, &pieces->axis);
    if (status < 0)
        return status;
    int64_t along = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct napm_tensor *piece = piece_at(plan->step, i);
        if (!piece)
            return plan_unsupported(plan, "leaving out part %" PRIu32, i);
        if (piece->rank != whole->rank || piece->element_type != whole->element_type)
            return plan_invalid(plan, "'%s' and '%s' differ in rank or element type", piece->name, whole->name);
        for (uint32_t j = 0; j < whole->rank; j++)
            if (j != pieces->axis && piece->dims[j] != whole->dims[j])
                return plan_invalid(plan, "'%s' and '%s' differ in dimension %" PRIu32, piece->name, whole->name, j);
        along += piece->dims[pieces->axis];
    }
    if (along != whole->dims[pieces->axis])
        return plan_invalid(plan, "the parts make up %" PRId64 " of %" PRId64 " along axis %" PRIu32, along,
                            whole->dims[pieces->axis], pieces->axis);
    pieces->outer = tensor_span(whole, 0, pieces->axis);
    pieces->element_bytes = element_bytes(whole->element_type);
    return NAPM_OK;
}

/* Bytes that a tensor has from the axis on. */
static int64_t run_bytes(const struct pieces *pieces, const struct napm_tensor *tensor)
{
    return tensor_span(tensor, pieces->axis, tensor->rank) * pieces->element_bytes;
}

int32_t plan_concat(struct plan *plan)
{
    const struct napm_operator *op = plan->step->op;
    return plan_pieces(plan, attribute_integer(op, "axis", 1), step_output(plan->step, 0), op->input_count, step_input);
}

int32_t compute_concat(const struct step *step, const struct frame *frame)
{
    const struct pieces *pieces = step->parameters;
    int64_t row = run_bytes(pieces, step_output(step, 0)), start = 0;
    char *output = frame_output(step, frame, 0);
    for (uint32_t i = 0; i < step->op->input_count; i++) {
        int64_t bytes = run_bytes(pieces, step_input(step, i));
        const char *input = frame_input(step, frame, i);
        for (int64_t outer = 0; outer < pieces->outer; outer++)
            memcpy(output + outer * row + start, input + outer * bytes, (uint64_t)bytes);
        start += bytes;
    }
    return NAPM_OK;
}

/* How long the parts are, the outputs' dimensions already tell. */
int32_t plan_split(struct plan *plan)
{
    const struct napm_operator *op = plan->step->op;
    return plan_pieces(plan, attribute_integer(op, "axis", 0), step_input(plan->step, 0), op->output_count,
                       step_output);
}

int32_t compute_split(const struct step *step, const struct frame *frame)
{
    const struct pieces *pieces = step->parameters;
    int64_t row = run_bytes(pieces, step_input(step, 0)), start = 0;
    const char *input = frame_input(step, frame, 0);
    for (uint32_t i = 0; i < step->op->output_count; i++) {
        int64_t bytes = run_bytes(pieces, step_output(step, i));
        char *output = frame_output(step, frame, i);
        for (int64_t outer = 0; outer < pieces->outer; outer++)
            memcpy(output + outer * bytes, input + outer * row + start, (uint64_t)bytes);
        start += bytes;
    }
    return NAPM_OK;
}

/* ---- the input in another order: Transpose, Slice, Expand */

int32_t plan_transpose(struct plan *plan)
{
    const struct napm_tensor *input = step_input(plan->step, 0);
    struct view *view = plan_parameters(plan, sizeof(*view));
    if (!view)
        return plan_no_memory(plan);
    int64_t dense[MAX_RANK];
    uint32_t count;
    const int64_t *order = attribute_integers(plan->step->op, "perm", &count);
    bool seen[MAX_RANK] = {false};
    view_strides(input, dense);
    view->rank = input->rank;
    if (order && count != input->rank)
        return plan_invalid(plan, "perm has %" PRIu32 " numbers for rank %" PRIu32, count, input->rank);
    for (uint32_t i = 0; i < input->rank; i++) {
        int64_t from = order ? order[i] : (int64_t)(input->rank - 1 - i);
        if (from < 0 || from >= (int64_t)input->rank || seen[from])
            return plan_invalid(plan, "perm is not a permutation");
        seen[from] = true;
        view->dims[i] = input->dims[from];
        view->strides[i] = dense[from];
    }
    return plan_expect_dims(plan, view->rank, view->dims);
}

/* Numbers of a Slice: attributes before opset 10, constant inputs since. */
struct slice_lists {
    int64_t starts[2 * MAX_RANK], ends[2 * MAX_RANK], axes[2 * MAX_RANK], steps[2 * MAX_RANK];
    uint32_t count;
};

static int32_t plan_slice_lists(const struct plan *plan, struct slice_lists *lists)
{
    uint32_t ends, axes, steps;
    int32_t status = plan_list(plan, "starts", 1, lists->starts, &lists->count);
    if (status >= 0)
        status = plan_list(plan, "ends", 2, lists->ends, &ends);
    if (status >= 0)
        status = plan_list(plan, "axes", 3, lists->axes, &axes);
    if (status >= 0)
        status = plan_constant_integers(plan, 4, lists->steps, 2 * MAX_RANK, &steps);
    if (status < 0)
        return status;
    if (ends != lists->count || (axes && axes != lists->count) || (steps && steps != lists->count))
        return plan_invalid(plan, "starts, ends, axes and steps differ in length");
    for (uint32_t i = 0; i < lists->count; i++) {
        lists->axes[i] = axes ? lists->axes[i] : (int64_t)i;
        lists->steps[i] = steps ? lists->steps[i] : 1;
    }
    return NAPM_OK;
}

static int64_t clamp(int64_t x, int64_t least, int64_t greatest)
{
    return x < least ? least : x > greatest ? greatest : x;
}

/* Narrows one axis of the view. */
static int32_t plan_slice_axis(const struct plan *plan, struct view *view, int64_t start, int64_t end, int64_t axis,
                               int64_t stride)
{
    uint32_t i;
    int32_t status = plan_axis(plan, axis, view->rank, &i);
    if (status < 0)
        return status;
    int64_t length = view->dims[i];
    stride = clamp(stride, -length - 1, length + 1); /* a longer step takes the same single element */
    start = start < 0 && start >= -length ? start + length : start;
    end = end < 0 && end >= -length ? end + length : end;
    int64_t count = 0;
    if (stride > 0) {
        start = clamp(start, 0, length);
        end = clamp(end, 0, length);
        count = end > start ? (end - start + stride - 1) / stride : 0;
    } else if (stride < 0) {
        start = clamp(start, -1, length - 1);
        end = clamp(end, -1, length - 1);
        count = start > end ? (start - end - stride - 1) / -stride : 0;
    }
    if (count < 1)
        return plan_unsupported(plan, "taking nothing of axis %" PRIu32, i);
    view->dims[i] = count;
    view->offset += start * view->strides[i];
    view->strides[i] *= stride;
    return NAPM_OK;
}

int32_t plan_slice(struct plan *plan)
{
    const struct napm_tensor *input = step_input(plan->step, 0);
    struct view *view = plan_parameters(plan, sizeof(*view));
    if (!view)
        return plan_no_memory(plan);
    struct slice_lists lists;
    int32_t status = plan_slice_lists(plan, &lists);
    view->rank = input->rank;
    memcpy(view->dims, input->dims, input->rank * sizeof(int64_t));
    view_strides(input, view->strides);
    for (uint32_t i = 0; status >= 0 && i < lists.count; i++)
        status = plan_slice_axis(plan, view, lists.starts[i], lists.ends[i], lists.axes[i], lists.steps[i]);
    return status < 0 ? status : plan_expect_dims(plan, view->rank, view->dims);
}

int32_t plan_expand(struct plan *plan)
{
    const struct napm_tensor *output = step_output(plan->step, 0);
    struct view *view = plan_parameters(plan, sizeof(*view));
    if (!view)
        return plan_no_memory(plan);
    if (!view_broadcast(view, step_input(plan->step, 0), output->rank, output->dims))
        return plan_invalid(plan, "the input cannot be broadcast to the output");
    return NAPM_OK;
}

int32_t compute_view(const struct step *step, const struct frame *frame)
{
    const struct view *view = step->parameters;
    uint32_t bytes = element_bytes(step_input(step, 0)->element_type);
    const char *input = frame_input(step, frame, 0);
    char *output = frame_output(step, frame, 0);
    int64_t index[MAX_RANK] = {0}, offset = view->offset;
    const int64_t *strides[1] = {view->strides};
    int64_t last = view->rank ? view->dims[view->rank - 1] : 1;
    int64_t stride = view->rank ? view->strides[view->rank - 1] : 0;
    do {
        if (stride == 1) {
            memcpy(output, input + offset * bytes, (uint64_t)(last * bytes));
            output += last * bytes;
            continue;
        }
        for (int64_t i = 0; i < last; i++, output += bytes)
            memcpy(output, input + (offset + i * stride) * bytes, bytes);
    } while (view_next_row(view->rank, view->dims, index, 1, strides, &offset));
    return NAPM_OK;
}

/* ---- Pad */

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

struct pad {
    enum pad_mode mode;
    int64_t before[MAX_RANK];
    float value; /* where no input gives it */
};

static int32_t plan_pad_mode(const struct plan *plan, struct pad *pad)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *name = attribute_text(plan->step->op, "mode", "constant");
    for (uint32_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(name, names[i]) == 0) {
            pad->mode = (enum pad_mode)i;
            return NAPM_OK;
        }
    return plan_unsupported(plan, "mode '%s'", name);
}

/* Lists begin and end padding for each axis. */
static int32_t plan_pad_amounts(const struct plan *plan, int64_t *before, int64_t *after)
{
    const struct napm_tensor *input = step_input(plan->step, 0);
    int64_t pads[2 * MAX_RANK], axes[2 * MAX_RANK];
    uint32_t count, axis_count;
    int32_t status = plan_list(plan, plan->step->op->opset < 2 ? "paddings" : "pads", 1, pads, &count);
    if (status >= 0)
        status = plan_constant_integers(plan, 3, axes, 2 * MAX_RANK, &axis_count);
    if (status < 0)
        return status;
    uint32_t padded = axis_count ? axis_count : input->rank;
    if (count != 2 * padded)
        return plan_invalid(plan, "pads has %" PRIu32 " numbers for %" PRIu32 " axes", count, padded);
    for (uint32_t i = 0; i < padded; i++) {
        uint32_t axis;
        status = plan_axis(plan, axis_count ? axes[i] : (int64_t)i, input->rank, &axis);
        if (status < 0)
            return status;
        before[axis] = pads[i];
        after[axis] = pads[padded + i];
    }
    return NAPM_OK;
}

int32_t plan_pad(struct plan *plan)
{
    const struct step *step = plan->step;
    const struct napm_tensor *input = step_input(step, 0), *value = step_input(step, 2);
    struct pad *pad = plan_parameters(plan, sizeof(*pad));
    if (!pad)
        return plan_no_memory(plan);
    int64_t after[MAX_RANK] = {0}, dims[MAX_RANK];
    int32_t status = plan_pad_mode(plan, pad);
    if (status >= 0)
        status = plan_pad_amounts(plan, pad->before, after);
    if (status < 0)
        return status;
    if (value && (tensor_count(value) != 1 || value->element_type != input->element_type))
        return plan_invalid(plan, "constant_value '%s' is not one number of the input's type", value->name);
    pad->value = (float)attribute_real(step->op, "value", 0.0);
    for (uint32_t i = 0; i < input->rank; i++) {
        int64_t reach = input->dims[i] - (pad->mode == PAD_REFLECT ? 1 : 0);
        bool bounded = pad->mode == PAD_REFLECT || pad->mode == PAD_WRAP;
        if (bounded && (pad->before[i] > reach || after[i] > reach))
            return plan_unsupported(plan, "padding wider than the input");
        if (pad->before[i] < -input->dims[i] || after[i] < -input->dims[i])
            return plan_invalid(plan, "pads takes away more than there is");
        dims[i] = input->dims[i] + pad->before[i] + after[i];
    }
    return plan_expect_dims(plan, input->rank, dims);
}

/* The element along an axis of `length` that place i (negative or too large: in the padding) shows; -1 for none. */
static int64_t pad_source(enum pad_mode mode, int64_t i, int64_t length)
{
    if (i >= 0 && i < length)
        return i;
    switch (mode) {
    case PAD_REFLECT:
        return i < 0 ? -i : 2 * (length - 1) - i;
    case PAD_EDGE:
        return i < 0 ? 0 : length - 1;
    case PAD_WRAP:
        return i < 0 ? i + length : i - length;
    case PAD_CONSTANT:
        break;
    }
    return -1;
}

int32_t compute_pad(const struct step *step, const struct frame *frame)
{
    const struct pad *pad = step->parameters;
    const struct napm_tensor *input = step_input(step, 0), *shape = step_output(step, 0);
    const char *x = frame_input(step, frame, 0);
    const void *given = frame_input(step, frame, 2);
    char *output = frame_output(step, frame, 0);
    uint32_t bytes = element_bytes(input->element_type), rank = input->rank;
    char value[8] = {0};
    int64_t index[MAX_RANK] = {0}, dense[MAX_RANK];
    view_strides(input, dense);
    if (given)
        memcpy(value, given, bytes);
    else if (input->element_type == NAPM_F32)
        memcpy(value, &pad->value, sizeof(pad->value));
    do {
        int64_t row = 0;
        for (uint32_t i = 0; i + 1 < rank && row >= 0; i++) {
            int64_t from = pad_source(pad->mode, index[i] - pad->before[i], input->dims[i]);
            row = from < 0 ? -1 : row + from * dense[i];
        }
        for (int64_t i = 0; i < (rank ? shape->dims[rank - 1] : 1); i++, output += bytes) {
            int64_t from = rank ? pad_source(pad->mode, i - pad->before[rank - 1], input->dims[rank - 1]) : 0;
            memcpy(output, row < 0 || from < 0 ? value : x + (row + from) * bytes, bytes);
        }
    } while (view_next_row(rank, shape->dims, index, 0, NULL, NULL));
    return NAPM_OK;
}

/* ---- Gather */

struct gather {
    int64_t outer, length, indices;
    int64_t run_bytes; /* moved for each index */
};

int32_t plan_gather(struct plan *plan)
{
    const struct step *step = plan->step;
    const struct napm_tensor *data = step_input(step, 0), *indices = step_input(step, 1);
    struct gather *gather = plan_parameters(plan, sizeof(*gather));
    if (!gather)
        return plan_no_memory(plan);
    if (indices->element_type != NAPM_I64 && indices->element_type != NAPM_I32)
        return plan_unsupported(plan, "element type %" PRIu32 " of indices", indices->element_type);
    uint32_t axis;
    int32_t status = plan_axis(plan, attribute_integer(step->op, "axis", 0), data->rank, &axis);
    if (status < 0)
        return status;
    if (data->rank + indices->rank - 1 > MAX_RANK)
        return plan_unsupported(plan, "a result of rank %" PRIu32, data->rank + indices->rank - 1);
    gather->outer = tensor_span(data, 0, axis);
    gather->length = data->dims[axis];
    gather->indices = tensor_count(indices);
    gather->run_bytes = tensor_span(data, axis + 1, data->rank) * element_bytes(data->element_type);
    int64_t dims[MAX_RANK];
    uint32_t rank = 0;
    for (uint32_t i = 0; i < data->rank; i++) {
        if (i != axis)
            dims[rank++] = data->dims[i];
        for (uint32_t j = 0; i == axis && j < indices->rank; j++)
            dims[rank++] = indices->dims[j];
    }
    return plan_expect_dims(plan, rank, dims);
}

int32_t compute_gather(const struct step *step, const struct frame *frame)
{
    const struct gather *gather = step->parameters;
    const char *data = frame_input(step, frame, 0);
    const void *indices = frame_input(step, frame, 1);
    char *output = frame_output(step, frame, 0);
    bool wide = step_input(step, 1)->element_type == NAPM_I64;
    for (int64_t outer = 0; outer < gather->outer; outer++)
        for (int64_t i = 0; i < gather->indices; i++, output += gather->run_bytes) {
            int64_t index = wide ? ((const int64_t *)indices)[i] : ((const int32_t *)indices)[i];
            if (index < -gather->length || index >= gather->length) {
                char text[256];
                snprintf(text, sizeof(text), "node '%s' (Gather): index %" PRId64 " is outside of 0..%" PRId64,
                         step->op->name, index, gather->length - 1);
                frame->host->set_error(frame->host, text);
                return NAPM_ERR_FAILED;
            }
            int64_t row = outer * gather->length + (index < 0 ? index + gather->length : index);
            memcpy(output, data + row * gather->run_bytes, (uint64_t)gather->run_bytes);
        }
    return NAPM_OK;
}
