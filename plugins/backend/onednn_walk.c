/* SPDX-License-Identifier: Apache-2.0 */
/* Slice, Split, Expand and Gather by constants: the input's elements in another order, as one walk over it. */
#include "onednn_plain.h"

#include <stdio.h>
#include <string.h>

#define MOST_NUMBERS 16u

/* The whole input, in its own order. */
static void walk_begin(const struct napm_tensor *in, struct walk *walk)
{
    memset(walk, 0, sizeof(*walk));
    walk->rank = in->rank;
    for (uint32_t i = 0; i < in->rank; i++) {
        walk->dims[i] = in->dims[i];
        walk->strides[i] = tensor_elements_between(in, i + 1, in->rank);
    }
}

static int64_t limited(int64_t x, int64_t least, int64_t most)
{
    return x < least ? least : x > most ? most : x;
}

/* Axis `axis` of the walk, or -1 with a reason where there is none. */
static int axis_of(const struct walk *walk, int64_t axis, struct reason *why)
{
    int64_t from_start = axis < 0 ? axis + walk->rank : axis;
    if (from_start < 0 || from_start >= (int64_t)walk->rank)
        return refuse(why, "axis %lld does not exist", (long long)axis);
    return (int)from_start;
}

static int narrow(struct walk *walk, int axis, int64_t start, int64_t end, int64_t step, struct reason *why)
{
    int64_t size = walk->dims[axis], count;
    step = limited(step, -size - 1, size + 1); /* a longer one takes the same single element */
    start = start < 0 && start >= -size ? start + size : start;
    end = end < 0 && end >= -size ? end + size : end;
    start = step > 0 ? limited(start, 0, size) : limited(start, -1, size - 1);
    end = step > 0 ? limited(end, 0, size) : limited(end, -1, size - 1);
    count = step > 0 ? (end - start + step - 1) / step : step < 0 ? (start - end - step - 1) / -step : 0;
    if (count < 1)
        return refuse(why, "nothing is taken of axis %d", axis);
    walk->offset += start * walk->strides[axis];
    walk->strides[axis] *= step;
    walk->dims[axis] = count;
    return 0;
}

static int walk_slice(const struct napm_model *model, const struct napm_operator *op, struct walk *walk,
                      struct reason *why)
{
    int64_t starts[MOST_NUMBERS], ends[MOST_NUMBERS], axes[MOST_NUMBERS], steps[MOST_NUMBERS];
    int new_form = op->opset >= 10;
    int count = operator_integers(model, op, "starts", new_form ? 1 : NAPM_NONE, starts, MOST_NUMBERS);
    int end_count = operator_integers(model, op, "ends", new_form ? 2 : NAPM_NONE, ends, MOST_NUMBERS);
    int axis_count = operator_integers(model, op, "axes", new_form ? 3 : NAPM_NONE, axes, MOST_NUMBERS);
    int step_count = new_form ? operator_integers(model, op, "steps", 4, steps, MOST_NUMBERS) : 0;
    if (count < 1 || end_count != count || (axis_count != 0 && axis_count != count) ||
        (step_count != 0 && step_count != count))
        return refuse(why, "starts, ends, axes and steps must be constants of one length");
    for (int i = 0; i < count; i++) {
        int axis = axis_of(walk, axis_count ? axes[i] : i, why);
        if (axis < 0 || narrow(walk, axis, starts[i], ends[i], step_count ? steps[i] : 1, why))
            return -1;
    }
    return 0;
}

static int walk_split(const struct napm_model *model, const struct napm_operator *op, uint32_t output,
                      struct walk *walk, struct reason *why)
{
    int axis = axis_of(walk, attribute_integer(op, "axis", 0), why);
    int64_t before = 0;
    for (uint32_t i = 0; axis >= 0 && i <= output; i++) {
        const struct napm_tensor *part = operator_output(model, op, i);
        if (!part || part->rank != walk->rank)
            return refuse(why, "output %u is left out", i);
        if (i == output)
            return narrow(walk, axis, before, before + part->dims[axis], 1, why);
        before += part->dims[axis];
    }
    return -1;
}

/* Indices that lie evenly (a single one does) are a walk; any others are not supported. */
static int walk_gather(const struct napm_model *model, const struct napm_operator *op, struct walk *walk,
                       struct reason *why)
{
    const struct napm_tensor *indices = operator_input(model, op, 1), *out = operator_output(model, op, 0);
    int axis = axis_of(walk, attribute_integer(op, "axis", 0), why);
    if (axis < 0)
        return -1;
    if (!indices || !indices->data || (indices->element_type != NAPM_I64 && indices->element_type != NAPM_I32))
        return refuse(why, "indices must be constant integers");
    int64_t count = tensor_elements(indices), size = walk->dims[axis], first = 0, step = 0, last = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t index = constant_integer(indices, i);
        index = index < 0 ? index + size : index;
        if (index < 0 || index >= size)
            return refuse(why, "index %lld is outside of axis %d", (long long)constant_integer(indices, i), axis);
        if (i > 1 && index - last != step)
            return refuse(why, "indices that do not lie evenly");
        first = i == 0 ? index : first;
        step = i == 1 ? index - last : step;
        last = index;
    }
    if (count < 1 || (count > 1 && indices->rank != 1))
        return refuse(why, "a table of indices");
    struct walk taken = *walk;
    walk->rank = out->rank;
    walk->offset = first * taken.strides[axis];
    for (uint32_t i = 0, from = 0; i < out->rank; i++) { /* the indices' dimensions stand where the axis stood */
        int is_index = (int)i >= axis && i < (uint32_t)axis + indices->rank;
        from = i == (uint32_t)axis + indices->rank ? (uint32_t)axis + 1 : from;
        walk->dims[i] = is_index ? out->dims[i] : taken.dims[from];
        walk->strides[i] = is_index ? step * taken.strides[axis] : taken.strides[from];
        from += is_index ? 0 : 1;
    }
    return 0;
}

static int walk_expand(const struct napm_model *model, const struct napm_operator *op, struct walk *walk,
                       struct reason *why)
{
    const struct napm_tensor *in = operator_input(model, op, 0), *out = operator_output(model, op, 0);
    if (in->rank > out->rank)
        return refuse(why, "a shape of fewer dimensions than the input");
    memset(walk, 0, sizeof(*walk));
    walk->rank = out->rank;
    for (uint32_t i = 0; i < out->rank; i++) {
        uint32_t own = i + in->rank - out->rank; /* wraps where the input has no such dimension */
        int repeats = i + in->rank < out->rank || in->dims[own] == 1;
        walk->dims[i] = out->dims[i];
        walk->strides[i] = repeats ? 0 : tensor_elements_between(in, own + 1, in->rank);
    }
    return 0;
}

int operator_walk(const struct napm_model *model, const struct napm_operator *op, uint32_t output, struct walk *walk,
                  struct reason *why)
{
    const struct napm_tensor *out = operator_output(model, op, output);
    walk_begin(operator_input(model, op, 0), walk);
    int failed = strcmp(op->type, "Slice") == 0    ? walk_slice(model, op, walk, why)
                 : strcmp(op->type, "Split") == 0  ? walk_split(model, op, output, walk, why)
                 : strcmp(op->type, "Gather") == 0 ? walk_gather(model, op, walk, why)
                                                   : walk_expand(model, op, walk, why);
    if (failed)
        return -1;
    if (walk->rank != out->rank || memcmp(walk->dims, out->dims, out->rank * sizeof(*out->dims)) != 0)
        return refuse(why, "the shape of '%.100s' does not follow", out->name);
    return 0;
}

/* Copies rows of the last dimension; a scalar is one row of one element. */
void plain_walk_run(const struct plain *plain, const float *const *arguments, float *output, uint32_t threads)
{
    const struct walk *walk = &plain->as.walk;
    int64_t index[SHIM_MAX_RANK] = {0};
    uint32_t last = walk->rank > 0 ? walk->rank - 1 : 0;
    int64_t row = walk->rank > 0 ? walk->dims[last] : 1, stride = walk->rank > 0 ? walk->strides[last] : 0;
    (void)threads;
    do {
        const float *from = arguments[0] + walk->offset;
        for (uint32_t i = 0; i < last; i++)
            from += index[i] * walk->strides[i];
        if (stride == 1)
            memcpy(output, from, (size_t)row * sizeof(*output));
        for (int64_t i = 0; stride != 1 && i < row; i++)
            output[i] = from[i * stride];
        output += row;
    } while (plain_next_index(last, walk->dims, index));
}
