/* SPDX-License-Identifier: Apache-2.0 */
/* Output shapes of all operators but those that slide a window (shapes_window.c). */
#include <string.h>

#include "core/model/operators.h"

static int set_like(const struct operator_work *work, const struct graph_value *value)
{
    return operator_set_output(work, 0, value->element_type, value->rank, value->dims);
}

int shape_same(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    return input ? set_like(work, input) : -1;
}

static int broadcast_inputs(const struct operator_work *work, uint32_t first, uint32_t *rank, int64_t *dims)
{
    struct graph_value shape = {0};
    for (uint32_t i = first; i < work->node->input_count; i++) {
        const struct graph_value *input = operator_input(work, i);
        if (!input)
            return -1;
        if (operator_broadcast(&shape, input, &shape.rank, shape.dims))
            return operator_error(work, "the shapes of its inputs cannot be broadcast to each other (at '%.200s')",
                                  input->name);
    }
    *rank = shape.rank;
    memcpy(dims, shape.dims, shape.rank * sizeof(*dims));
    return 0;
}

/* Broadcast of all inputs, which must be of one type; the result's type is `type`, or the inputs' where that is 0. */
static int broadcast_to(const struct operator_work *work, uint32_t first, uint32_t type)
{
    uint32_t rank;
    int64_t dims[GRAPH_MAX_RANK];
    if (broadcast_inputs(work, first, &rank, dims))
        return -1;
    const struct graph_value *head = graph_input(work->graph, work->node, first);
    for (uint32_t i = first + 1; i < work->node->input_count; i++)
        if (graph_input(work->graph, work->node, i)->element_type != head->element_type)
            return operator_error(work, "its inputs have different element types");
    return operator_set_output(work, 0, type ? type : head->element_type, rank, dims);
}

int shape_broadcast(const struct operator_work *work)
{
    return broadcast_to(work, 0, 0);
}

int shape_compare(const struct operator_work *work)
{
    return broadcast_to(work, 0, NAPM_BOOL);
}

int shape_where(const struct operator_work *work)
{
    uint32_t rank;
    int64_t dims[GRAPH_MAX_RANK];
    if (broadcast_to(work, 1, 0) || broadcast_inputs(work, 0, &rank, dims))
        return -1;
    if (operator_input(work, 0)->element_type != NAPM_BOOL)
        return operator_error(work, "its condition is not of type bool");
    return operator_set_output(work, 0, operator_input(work, 1)->element_type, rank, dims);
}

int shape_clip(const struct operator_work *work)
{
    for (uint32_t i = 1; i < work->node->input_count; i++) {
        const struct graph_value *bound = graph_input(work->graph, work->node, i);
        if (!bound)
            continue;
        if (!bound->is_constant)
            return operator_error(work, "its bound '%.200s' must be a constant", bound->name);
        if (graph_elements(bound) != 1)
            return operator_error(work, "its bound '%.200s' must be a single number", bound->name);
    }
    return shape_same(work);
}

int shape_axis(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    int64_t otherwise = work->node->opset >= 13 ? -1 : 1;
    if (!input || operator_axis(work, graph_integer(work->node, "axis", otherwise), input->rank, false) < 0)
        return -1;
    return set_like(work, input);
}

int shape_prelu(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0), *slope = operator_input(work, 1);
    uint32_t rank;
    int64_t dims[GRAPH_MAX_RANK];
    if (!input || !slope)
        return -1;
    if (operator_broadcast(input, slope, &rank, dims) || rank != input->rank ||
        memcmp(dims, input->dims, rank * sizeof(*dims)) != 0)
        return operator_error(work, "its slope '%.200s' does not fit its input", slope->name);
    return set_like(work, input);
}

int shape_batch_normalization(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    if (!input)
        return -1;
    if (graph_integer(work->node, "training_mode", 0) != 0 || graph_integer(work->node, "spatial", 1) != 1)
        return operator_error(work, "only inference with statistics per channel is supported; export in eval mode");
    if (input->rank < 2)
        return operator_error(work, "its input needs 2 dimensions or more");
    for (uint32_t i = 1; i < 5; i++) {
        const struct graph_value *parameter = operator_input(work, i);
        if (!parameter)
            return -1;
        if (parameter->rank != 1 || parameter->dims[0] != input->dims[1])
            return operator_error(work, "its parameter '%.200s' does not fit %lld channels", parameter->name,
                                  (long long)input->dims[1]);
    }
    return set_like(work, input);
}

int shape_dropout(const struct operator_work *work)
{
    const struct graph_value *training = graph_input(work->graph, work->node, 2);
    if (training && (!training->is_constant || training->element_type != NAPM_BOOL || graph_elements(training) != 1 ||
                     graph_constant_integer(training, 0) != 0))
        return operator_error(work, "training mode is not supported; export in eval mode");
    return shape_same(work);
}

int shape_gemm(const struct operator_work *work)
{
    const struct graph_value *a = operator_input(work, 0), *b = operator_input(work, 1);
    if (!a || !b)
        return -1;
    if (a->rank != 2 || b->rank != 2)
        return operator_error(work, "its factors must be matrices");
    bool turn_a = graph_integer(work->node, "transA", 0) != 0, turn_b = graph_integer(work->node, "transB", 0) != 0;
    struct graph_value result = {.rank = 2, .dims = {a->dims[turn_a], b->dims[!turn_b]}};
    if (a->dims[!turn_a] != b->dims[turn_b])
        return operator_error(work, "its factors do not fit: %lld columns meet %lld rows", (long long)a->dims[!turn_a],
                              (long long)b->dims[turn_b]);
    const struct graph_value *c = graph_input(work->graph, work->node, 2);
    uint32_t rank;
    int64_t dims[GRAPH_MAX_RANK];
    if (c && (!operator_input(work, 2) || operator_broadcast(&result, c, &rank, dims) || rank != 2 ||
              memcmp(dims, result.dims, 2 * sizeof(*dims)) != 0))
        return operator_error(work, "its addend '%.200s' does not fit the product", c->name);
    return operator_set_output(work, 0, a->element_type, 2, result.dims);
}

int shape_matmul(const struct operator_work *work)
{
    const struct graph_value *a = operator_input(work, 0), *b = operator_input(work, 1);
    if (!a || !b)
        return -1;
    if (a->rank == 0 || b->rank == 0)
        return operator_error(work, "a factor is a scalar");
    /* A vector counts as a row on the left and as a column on the right; that dimension goes away again. */
    bool row = a->rank == 1, column = b->rank == 1;
    int64_t common_a = a->dims[a->rank - 1], common_b = column ? b->dims[0] : b->dims[b->rank - 2];
    if (common_a != common_b)
        return operator_error(work, "its factors do not fit: %lld columns meet %lld rows", (long long)common_a,
                              (long long)common_b);
    struct graph_value batch_a = *a, batch_b = *b;
    batch_a.rank = row ? 0 : a->rank - 2;
    batch_b.rank = column ? 0 : b->rank - 2;
    uint32_t rank;
    int64_t dims[GRAPH_MAX_RANK + 2];
    if (operator_broadcast(&batch_a, &batch_b, &rank, dims))
        return operator_error(work, "the leading dimensions of its factors do not fit each other");
    if (!row)
        dims[rank++] = a->dims[a->rank - 2];
    if (!column)
        dims[rank++] = b->dims[b->rank - 1];
    return operator_set_output(work, 0, a->element_type, rank, dims);
}

int shape_concat(const struct operator_work *work)
{
    const struct graph_value *head = operator_input(work, 0);
    if (!head)
        return -1;
    int axis = operator_axis(work, graph_integer(work->node, "axis", 1), head->rank, false);
    if (axis < 0)
        return -1;
    struct graph_value result = *head;
    for (uint32_t i = 1; i < work->node->input_count; i++) {
        const struct graph_value *next = operator_input(work, i);
        if (!next)
            return -1;
        bool fits = next->rank == head->rank && next->element_type == head->element_type;
        for (uint32_t d = 0; fits && d < head->rank; d++)
            fits = d == (uint32_t)axis || next->dims[d] == head->dims[d];
        if (!fits)
            return operator_error(work, "its input '%.200s' does not fit the others", next->name);
        result.dims[axis] += next->dims[axis];
        if (graph_shape_elements(result.element_type, result.rank, result.dims) < 0)
            return operator_error(work, "its result would be absurdly large");
    }
    return set_like(work, &result);
}

int shape_flatten(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    if (!input)
        return -1;
    int axis = operator_axis(work, graph_integer(work->node, "axis", 1), input->rank, true);
    if (axis < 0)
        return -1;
    int64_t dims[2] = {1, 1};
    for (uint32_t d = 0; d < input->rank; d++)
        dims[d >= (uint32_t)axis] *= input->dims[d];
    return operator_set_output(work, 0, input->element_type, 2, dims);
}

int shape_reshape(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    int64_t dims[GRAPH_MAX_RANK];
    bool given, zero_is_zero = graph_integer(work->node, "allowzero", 0) != 0;
    int rank = operator_constant_integers(work, 1, dims, GRAPH_MAX_RANK, &given);
    if (!input || rank < 0)
        return -1;
    int open = -1;
    int64_t known = 1, elements = (int64_t)graph_elements(input);
    for (int d = 0; d < rank; d++) {
        if (dims[d] == 0 && !zero_is_zero && d >= (int)input->rank)
            return operator_error(work, "copies dimension %d, which its input does not have", d);
        if (dims[d] == 0 && !zero_is_zero)
            dims[d] = input->dims[d];
        if (dims[d] < -1 || (dims[d] == -1 && open >= 0))
            return operator_error(work, "its target shape is invalid");
        if (dims[d] == -1)
            open = d;
        else if (__builtin_mul_overflow(known, dims[d], &known))
            return operator_error(work, "its target shape is absurd");
    }
    if (open >= 0)
        dims[open] = known > 0 ? elements / known : 0;
    if (open >= 0 ? known == 0 || elements % known != 0 : known != elements)
        return operator_error(work, "its target shape does not hold the %lld elements of its input",
                              (long long)elements);
    return operator_set_output(work, 0, input->element_type, (uint32_t)rank, dims);
}

int shape_transpose(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    const int64_t *order;
    if (!input)
        return -1;
    uint32_t count = graph_integers(work->node, "perm", &order), seen = 0;
    int64_t dims[GRAPH_MAX_RANK];
    if (count != 0 && count != input->rank)
        return operator_error(work, "perm has %u numbers for %u dimensions", count, input->rank);
    for (uint32_t d = 0; d < input->rank; d++) {
        int64_t from = count ? order[d] : (int64_t)(input->rank - 1 - d);
        if (from < 0 || from >= (int64_t)input->rank || (seen & 1u << from))
            return operator_error(work, "perm is no permutation of its dimensions");
        seen |= 1u << from;
        dims[d] = input->dims[from];
    }
    return operator_set_output(work, 0, input->element_type, input->rank, dims);
}

int shape_squeeze(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    uint32_t axes, rank = 0;
    bool given;
    int64_t dims[GRAPH_MAX_RANK];
    if (!input || operator_axes(work, 13, 1, input->rank, &axes, &given))
        return -1;
    for (uint32_t d = 0; d < input->rank; d++) {
        bool drop = given ? axes & 1u << d : input->dims[d] == 1;
        if (drop && input->dims[d] != 1)
            return operator_error(work, "axis %u is %lld, not 1", d, (long long)input->dims[d]);
        if (!drop)
            dims[rank++] = input->dims[d];
    }
    return operator_set_output(work, 0, input->element_type, rank, dims);
}

int shape_unsqueeze(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    int64_t numbers[GRAPH_MAX_RANK], dims[GRAPH_MAX_RANK];
    const int64_t *list = numbers;
    bool given;
    if (!input)
        return -1;
    int count = work->node->opset >= 13 ? operator_constant_integers(work, 1, numbers, GRAPH_MAX_RANK, &given)
                                        : (int)graph_integers(work->node, "axes", &list);
    if (count < 0)
        return -1;
    uint32_t rank = input->rank + (uint32_t)count, added = 0;
    if (count > GRAPH_MAX_RANK || rank > GRAPH_MAX_RANK)
        return operator_error(work, "its result has more than %d dimensions", GRAPH_MAX_RANK);
    for (int i = 0; i < count; i++) {
        int axis = operator_axis(work, list[i], rank, false);
        if (axis < 0)
            return -1;
        if (added & 1u << axis)
            return operator_error(work, "axis %d is given twice", axis);
        added |= 1u << axis;
    }
    for (uint32_t d = 0, from = 0; d < rank; d++)
        dims[d] = added & 1u << d ? 1 : input->dims[from++];
    return operator_set_output(work, 0, input->element_type, rank, dims);
}

/* Pads of each axis (all begins, then all ends) of a Pad, whichever way the opset gives them. */
static int read_pads(const struct operator_work *work, uint32_t rank, int64_t pads[2 * GRAPH_MAX_RANK])
{
    int64_t numbers[2 * GRAPH_MAX_RANK], axes[GRAPH_MAX_RANK];
    const int64_t *list = numbers;
    bool given, axes_given = false;
    int count = work->node->opset >= 11 ? operator_constant_integers(work, 1, numbers, 2 * GRAPH_MAX_RANK, &given)
                                        : (int)graph_integers(work->node, "pads", &list);
    int axis_count = operator_constant_integers(work, 3, axes, GRAPH_MAX_RANK, &axes_given);
    if (count < 0 || axis_count < 0)
        return -1;
    uint32_t padded = axes_given ? (uint32_t)axis_count : rank;
    if ((uint32_t)count != 2 * padded)
        return operator_error(work, "%d pads are given for %u dimensions", count, padded);
    memset(pads, 0, 2 * GRAPH_MAX_RANK * sizeof(*pads));
    for (uint32_t i = 0; i < padded; i++) {
        int axis = operator_axis(work, axes_given ? axes[i] : i, rank, false);
        if (axis < 0)
            return -1;
        pads[axis] = list[i];
        pads[rank + (uint32_t)axis] = list[padded + i];
    }
    return 0;
}

int shape_pad(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    int64_t pads[2 * GRAPH_MAX_RANK], dims[GRAPH_MAX_RANK];
    if (!input || read_pads(work, input->rank, pads))
        return -1;
    const struct graph_value *fill = graph_input(work->graph, work->node, 2);
    if (fill && !fill->is_constant)
        return operator_error(work, "its fill value '%.200s' must be a constant", fill->name);
    for (uint32_t d = 0; d < input->rank; d++) {
        int64_t limit = INT64_C(1) << 40;
        if (pads[d] > limit || pads[d] < -limit || pads[input->rank + d] > limit || pads[input->rank + d] < -limit)
            return operator_error(work, "its pads are absurd");
        dims[d] = input->dims[d] + pads[d] + pads[input->rank + d];
    }
    return operator_set_output(work, 0, input->element_type, input->rank, dims);
}

int shape_reduce(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    uint32_t axes, rank = 0;
    bool given, keep = graph_integer(work->node, "keepdims", 1) != 0;
    int64_t dims[GRAPH_MAX_RANK];
    int64_t since = strcmp(work->node->type, "ReduceSum") == 0 ? 13 : 18; /* opset that made an input of the axes */
    if (!input || operator_axes(work, since, 1, input->rank, &axes, &given))
        return -1;
    if (axes == 0 && graph_integer(work->node, "noop_with_empty_axes", 0) == 0)
        axes = (1u << input->rank) - 1;
    for (uint32_t d = 0; d < input->rank; d++)
        if (!(axes & 1u << d))
            dims[rank++] = input->dims[d];
        else if (keep)
            dims[rank++] = 1;
    return operator_set_output(work, 0, input->element_type, rank, dims);
}

int shape_shape(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    if (!input)
        return -1;
    int64_t rank = input->rank, start = graph_integer(work->node, "start", 0),
            end = graph_integer(work->node, "end", rank);
    start = start < -rank ? 0 : start < 0 ? start + rank : start > rank ? rank : start;
    end = end < -rank ? 0 : end < 0 ? end + rank : end > rank ? rank : end;
    int64_t count = end > start ? end - start : 0;
    return operator_set_output(work, 0, NAPM_I64, 1, &count);
}

int shape_size(const struct operator_work *work)
{
    return operator_input(work, 0) ? operator_set_output(work, 0, NAPM_I64, 0, NULL) : -1;
}

int shape_gather(const struct operator_work *work)
{
    const struct graph_value *data = operator_input(work, 0), *indices = operator_input(work, 1);
    if (!data || !indices)
        return -1;
    int axis = operator_axis(work, graph_integer(work->node, "axis", 0), data->rank, false);
    if (axis < 0)
        return -1;
    if (!indices->is_constant || (indices->element_type != NAPM_I64 && indices->element_type != NAPM_I32))
        return operator_error(work, "its indices '%.200s' must be constant integers", indices->name);
    for (uint64_t i = 0; i < graph_elements(indices); i++) {
        int64_t index = graph_constant_integer(indices, i);
        if (index < -data->dims[axis] || index >= data->dims[axis])
            return operator_error(work, "index %lld is out of range", (long long)index);
    }
    int64_t dims[2 * GRAPH_MAX_RANK];
    uint32_t rank = 0;
    for (uint32_t d = 0; d < data->rank; d++) {
        if (d != (uint32_t)axis)
            dims[rank++] = data->dims[d];
        for (uint32_t k = 0; d == (uint32_t)axis && k < indices->rank; k++)
            dims[rank++] = indices->dims[k];
    }
    return operator_set_output(work, 0, data->element_type, rank, dims);
}

/* Start, end, axes, step of a Slice: attributes before opset 10, inputs since. Returns their count or -1. */
static int read_slice(const struct operator_work *work, const int64_t *lists[4], int64_t numbers[4][GRAPH_MAX_RANK],
                      bool given[4])
{
    static const char *const names[4] = {"starts", "ends", "axes", "steps"};
    int counts[4];
    for (uint32_t i = 0; i < 4; i++) {
        if (work->node->opset >= 10) {
            counts[i] = operator_constant_integers(work, i + 1, numbers[i], GRAPH_MAX_RANK, &given[i]);
            lists[i] = numbers[i];
        } else {
            counts[i] = (int)graph_integers(work->node, names[i], &lists[i]);
            given[i] = counts[i] > 0;
        }
        if (counts[i] < 0)
            return -1;
        if (i > 0 && (given[i] || i == 1) && counts[i] != counts[0])
            return operator_error(work, "%s has %d numbers for %d starts", names[i], counts[i], counts[0]);
    }
    return counts[0];
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

int operator_slice(const struct operator_work *work, struct slice *slice)
{
    const struct graph_value *input = operator_input(work, 0);
    int64_t numbers[4][GRAPH_MAX_RANK];
    const int64_t *lists[4];
    bool given[4];
    int count = input ? read_slice(work, lists, numbers, given) : -1;
    if (count < 0)
        return -1;
    for (uint32_t d = 0; d < input->rank; d++) {
        slice->start[d] = 0;
        slice->step[d] = 1;
        slice->dims[d] = input->dims[d];
    }
    for (int i = 0; i < count; i++) {
        int axis = operator_axis(work, given[2] ? lists[2][i] : i, input->rank, false);
        if (axis < 0)
            return -1;
        int64_t size = input->dims[axis], step = given[3] ? lists[3][i] : 1;
        int64_t start = lists[0][i], end = lists[1][i];
        if (step == 0 || step == INT64_MIN)
            return operator_error(work, "a step of %lld is not possible", (long long)step);
        start = clamp(start < 0 && start >= -size ? start + size : start, 0, step > 0 ? size : size - 1);
        end = clamp(end < 0 && end >= -size ? end + size : end, step > 0 ? 0 : -1, size);
        int64_t length = step > 0 ? end - start : start - end, stride = step > 0 ? step : -step;
        slice->start[axis] = start;
        slice->step[axis] = step;
        slice->dims[axis] = length > 0 ? (length - 1) / stride + 1 : 0;
    }
    return 0;
}

int shape_slice(const struct operator_work *work)
{
    struct slice slice;
    if (operator_slice(work, &slice))
        return -1;
    const struct graph_value *input = operator_input(work, 0);
    return operator_set_output(work, 0, input->element_type, input->rank, slice.dims);
}

/* Sizes of the pieces of a Split: as given, or equal (the last one smaller). */
static int split_sizes(const struct operator_work *work, int64_t whole, int64_t *sizes)
{
    uint32_t pieces = work->node->output_count;
    const int64_t *list = sizes;
    bool given;
    int count = work->node->opset >= 13 ? operator_constant_integers(work, 1, sizes, pieces, &given)
                                        : (int)graph_integers(work->node, "split", &list);
    if (count < 0)
        return -1;
    if (count == 0) {
        int64_t each = whole / pieces + (whole % pieces != 0);
        for (uint32_t i = 0; i < pieces; i++, whole -= each)
            sizes[i] = whole > each ? each : whole;
        return 0;
    }
    if ((uint32_t)count != pieces)
        return operator_error(work, "%d sizes are given for %u outputs", count, pieces);
    for (uint32_t i = 0; i < pieces; i++) {
        sizes[i] = list[i];
        if (sizes[i] < 0 || sizes[i] > whole)
            return operator_error(work, "the sizes of its outputs do not add up to its input");
        whole -= sizes[i];
    }
    return whole == 0 ? 0 : operator_error(work, "the sizes of its outputs do not add up to its input");
}

int shape_split(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    if (!input || work->node->output_count == 0)
        return -1;
    int axis = operator_axis(work, graph_integer(work->node, "axis", 0), input->rank, false);
    if (axis < 0)
        return -1;
    int64_t dims[GRAPH_MAX_RANK];
    int64_t *sizes = graph_allocate(work->graph, work->node->output_count * sizeof(*sizes));
    if (split_sizes(work, input->dims[axis], sizes))
        return -1;
    memcpy(dims, input->dims, sizeof(dims));
    for (uint32_t o = 0; o < work->node->output_count; o++) {
        dims[axis] = sizes[o];
        if (operator_set_output(work, o, input->element_type, input->rank, dims))
            return -1;
    }
    return 0;
}

int shape_expand(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    struct graph_value target = {0};
    uint32_t rank;
    int64_t dims[GRAPH_MAX_RANK];
    bool given;
    int count = operator_constant_integers(work, 1, target.dims, GRAPH_MAX_RANK, &given);
    if (!input || count < 0)
        return -1;
    target.rank = (uint32_t)count;
    if (operator_broadcast(input, &target, &rank, dims))
        return operator_error(work, "its input cannot be expanded to the shape asked for");
    return operator_set_output(work, 0, input->element_type, rank, dims);
}

int shape_cast(const struct operator_work *work)
{
    const struct graph_value *input = operator_input(work, 0);
    int64_t to = graph_integer(work->node, "to", 0);
    if (!input)
        return -1;
    if (to <= 0 || to > 255 || graph_element_bytes((uint32_t)to) == 0)
        return operator_error(work, "casts to %s, which is not supported",
                              to > 0 && to < 255 ? graph_element_name((uint32_t)to) : "an unknown type");
    if (!input->is_constant && input->element_type != to)
        return operator_error(work, "casts a tensor that is computed at run time; only float32 is computed there");
    return operator_set_output(work, 0, (uint32_t)to, input->rank, input->dims);
}

/* Takes over the tensor of a Constant where it has one. */
static void share_tensor(const struct operator_work *work, const struct graph_value *tensor)
{
    struct graph_value *output = graph_output(work->graph, work->node, 0);
    if (!output)
        return;
    output->element_type = tensor->element_type;
    output->rank = tensor->rank;
    memcpy(output->dims, tensor->dims, sizeof(output->dims));
    output->data = tensor->data;
    output->has_shape = output->is_constant = true;
}

int shape_constant(const struct operator_work *work)
{
    const struct graph_node *node = work->node;
    const struct napm_attribute *value = node->attribute_count ? &node->attributes[0].seen : NULL;
    if (!value)
        return operator_error(work, "has no value");
    int64_t count = value->count;
    switch (value->type) {
    case GRAPH_ATTRIBUTE_TENSOR:
        share_tensor(work, &work->graph->values.items[node->attributes[0].tensor]);
        return 0;
    case NAPM_ATTRIBUTE_REAL:
        return operator_set_output(work, 0, NAPM_F32, 0, NULL);
    case NAPM_ATTRIBUTE_INTEGER:
        return operator_set_output(work, 0, NAPM_I64, 0, NULL);
    case NAPM_ATTRIBUTE_REALS:
        return operator_set_output(work, 0, NAPM_F32, 1, &count);
    case NAPM_ATTRIBUTE_INTEGERS:
        return operator_set_output(work, 0, NAPM_I64, 1, &count);
    default:
        return operator_error(work, "its value is of a kind that is not supported (text or sparse)");
    }
}

int shape_constant_of_shape(const struct operator_work *work)
{
    int64_t dims[GRAPH_MAX_RANK];
    bool given;
    int rank = operator_constant_integers(work, 0, dims, GRAPH_MAX_RANK, &given);
    if (rank < 0)
        return -1;
    const struct graph_attribute *fill = graph_attribute(work->node, "value");
    uint32_t type = NAPM_F32;
    if (fill && fill->seen.type == GRAPH_ATTRIBUTE_TENSOR) {
        const struct graph_value *tensor = &work->graph->values.items[fill->tensor];
        if (graph_elements(tensor) != 1)
            return operator_error(work, "its value must be a single number");
        type = tensor->element_type;
    }
    return operator_set_output(work, 0, type, (uint32_t)rank, dims);
}

int shape_range(const struct operator_work *work)
{
    int64_t bounds[3];
    for (uint32_t i = 0; i < 3; i++) {
        bool given;
        int count = operator_constant_integers(work, i, &bounds[i], 1, &given);
        if (count < 0)
            return -1;
        if (count != 1)
            return operator_error(work, "start, limit and delta must each be a constant number");
    }
    int64_t count, limit = INT64_C(1) << 40;
    if (bounds[2] == 0 || bounds[0] > limit || bounds[0] < -limit || bounds[1] > limit || bounds[1] < -limit ||
        bounds[2] > limit || bounds[2] < -limit)
        return operator_error(work, "its bounds are not possible");
    int64_t way = bounds[2] > 0 ? bounds[1] - bounds[0] : bounds[0] - bounds[1];
    int64_t step = bounds[2] > 0 ? bounds[2] : -bounds[2];
    count = way > 0 ? (way - 1) / step + 1 : 0;
    return operator_set_output(work, 0, operator_input(work, 0)->element_type, 1, &count);
}
