/* SPDX-License-Identifier: Apache-2.0 */
/* Constant folding: the operators that exporters use to compute shapes and to arrange weights. */
#include <math.h>
#include <string.h>

#include "core/model/operators.h"

static const struct graph_value *input_of(const struct operator_work *work, uint32_t index)
{
    return graph_input(work->graph, work->node, index);
}

static const struct graph_value *output_of(const struct operator_work *work)
{
    return graph_output(work->graph, work->node, 0);
}

static bool is_real(uint32_t type)
{
    return type == NAPM_F32 || type == NAPM_F64;
}

/* Stores a number as element i of a block of that type. */
static void store(uint8_t *into, uint32_t type, uint64_t i, double real, int64_t integer)
{
    float narrow_real = (float)real;
    int32_t narrow = (int32_t)integer;
    uint8_t byte = type == NAPM_BOOL ? integer != 0 : (uint8_t)integer;
    size_t size = graph_element_bytes(type);
    const void *from = type == NAPM_F32   ? (const void *)&narrow_real
                       : type == NAPM_F64 ? (const void *)&real
                       : type == NAPM_I64 ? (const void *)&integer
                       : type == NAPM_I32 ? (const void *)&narrow
                                          : (const void *)&byte;
    memcpy(into + i * size, from, size);
}

/* Real -> integer without undefined behaviour for what does not fit. */
static int64_t to_integer(double real)
{
    return real >= -9.2e18 && real <= 9.2e18 ? (int64_t)real : 0;
}

int fold_constant(const struct operator_work *work, uint8_t *into)
{
    const struct napm_attribute *value = &work->node->attributes[0].seen;
    switch (value->type) {
    case NAPM_ATTRIBUTE_REAL:
        store(into, NAPM_F32, 0, value->real, 0);
        return 0;
    case NAPM_ATTRIBUTE_INTEGER:
        store(into, NAPM_I64, 0, 0, value->integer);
        return 0;
    default:
        for (uint32_t i = 0; i < value->count; i++)
            if (value->type == NAPM_ATTRIBUTE_REALS)
                store(into, NAPM_F32, i, value->reals[i], 0);
            else
                store(into, NAPM_I64, i, 0, value->integers[i]);
        return 0;
    }
}

int fold_constant_of_shape(const struct operator_work *work, uint8_t *into)
{
    const struct graph_value *output = output_of(work);
    const struct graph_attribute *fill = graph_attribute(work->node, "value");
    size_t size = graph_element_bytes(output->element_type);
    uint64_t elements = graph_elements(output);
    if (!fill || fill->seen.type != GRAPH_ATTRIBUTE_TENSOR) {
        memset(into, 0, elements * size);
        return 0;
    }
    const void *data = work->graph->values.items[fill->tensor].data;
    for (uint64_t i = 0; i < elements; i++)
        memcpy(into + i * size, data, size);
    return 0;
}

int fold_range(const struct operator_work *work, uint8_t *into)
{
    const struct graph_value *output = output_of(work);
    int64_t start = graph_constant_integer(input_of(work, 0), 0), step = graph_constant_integer(input_of(work, 2), 0);
    for (uint64_t i = 0; i < graph_elements(output); i++)
        store(into, output->element_type, i, 0, start + (int64_t)i * step);
    return 0;
}

int fold_shape(const struct operator_work *work, uint8_t *into)
{
    const struct graph_value *input = input_of(work, 0), *output = output_of(work);
    int64_t rank = input->rank, start = graph_integer(work->node, "start", 0);
    start = start < -rank ? 0 : start < 0 ? start + rank : start;
    for (int64_t i = 0; i < output->dims[0]; i++)
        store(into, NAPM_I64, (uint64_t)i, 0, input->dims[start + i]);
    return 0;
}

int fold_size(const struct operator_work *work, uint8_t *into)
{
    store(into, NAPM_I64, 0, 0, (int64_t)graph_elements(input_of(work, 0)));
    return 0;
}

int fold_cast(const struct operator_work *work, uint8_t *into)
{
    const struct graph_value *input = input_of(work, 0), *output = output_of(work);
    bool to_bool = output->element_type == NAPM_BOOL;
    for (uint64_t i = 0; i < graph_elements(input); i++) {
        if (is_real(input->element_type)) {
            double value = graph_constant_real(input, i);
            store(into, output->element_type, i, value, to_bool ? value != 0 : to_integer(value));
        } else {
            int64_t value = graph_constant_integer(input, i);
            store(into, output->element_type, i, (double)value, value);
        }
    }
    return 0;
}

/* How many times the axis is run through, and the bytes of one step along it. */
static uint64_t around_axis(const struct graph_value *value, int axis, uint64_t *inner_bytes)
{
    uint64_t outer = 1;
    *inner_bytes = graph_element_bytes(value->element_type);
    for (int d = 0; d < axis; d++)
        outer *= (uint64_t)value->dims[d];
    for (uint32_t d = (uint32_t)axis + 1; d < value->rank; d++)
        *inner_bytes *= (uint64_t)value->dims[d];
    return outer;
}

int fold_gather(const struct operator_work *work, uint8_t *into)
{
    const struct graph_value *data = input_of(work, 0), *indices = input_of(work, 1);
    int axis = operator_axis(work, graph_integer(work->node, "axis", 0), data->rank, false);
    uint64_t inner, outer = around_axis(data, axis, &inner);
    for (uint64_t o = 0; o < outer; o++)
        for (uint64_t i = 0; i < graph_elements(indices) && inner; i++, into += inner) {
            int64_t index = graph_constant_integer(indices, i);
            index += index < 0 ? data->dims[axis] : 0;
            memcpy(into, (const uint8_t *)data->data + (o * (uint64_t)data->dims[axis] + (uint64_t)index) * inner,
                   inner);
        }
    return 0;
}

/* Copies a view: element strides of the source for each axis of the result, starting at element `first`. */
static void copy_view(const struct operator_work *work, const int64_t *strides, int64_t first, uint8_t *into)
{
    const struct graph_value *input = input_of(work, 0), *output = output_of(work);
    size_t size = graph_element_bytes(output->element_type);
    int64_t at[GRAPH_MAX_RANK] = {0}, from = first;
    for (uint64_t left = graph_elements(output); left > 0; left--, into += size) {
        memcpy(into, (const uint8_t *)input->data + (uint64_t)from * size, size);
        for (uint32_t d = output->rank; d-- > 0;) {
            from += strides[d];
            if (++at[d] < output->dims[d])
                break;
            from -= strides[d] * output->dims[d];
            at[d] = 0;
        }
    }
}

static void dense_strides(const struct graph_value *value, int64_t *strides)
{
    int64_t stride = 1;
    for (uint32_t d = value->rank; d-- > 0;) {
        strides[d] = stride;
        stride *= value->dims[d];
    }
}

int fold_slice(const struct operator_work *work, uint8_t *into)
{
    const struct graph_value *input = input_of(work, 0);
    struct slice slice;
    int64_t strides[GRAPH_MAX_RANK], first = 0;
    if (operator_slice(work, &slice))
        return -1;
    dense_strides(input, strides);
    for (uint32_t d = 0; d < input->rank; d++) {
        first += slice.start[d] * strides[d];
        /* A single element needs no step, and an absurd step must not overflow. */
        strides[d] = slice.dims[d] > 1 ? strides[d] * slice.step[d] : 0;
    }
    copy_view(work, strides, first, into);
    return 0;
}

int fold_transpose(const struct operator_work *work, uint8_t *into)
{
    const struct graph_value *input = input_of(work, 0);
    int64_t dense[GRAPH_MAX_RANK], strides[GRAPH_MAX_RANK];
    const int64_t *order;
    uint32_t count = graph_integers(work->node, "perm", &order);
    dense_strides(input, dense);
    for (uint32_t d = 0; d < input->rank; d++)
        strides[d] = dense[count ? (uint32_t)order[d] : input->rank - 1 - d];
    copy_view(work, strides, 0, into);
    return 0;
}

/* Strides with which `value` is read when broadcast to the shape of the output. */
static void broadcast_strides(const struct graph_value *value, const struct graph_value *output, int64_t *strides)
{
    int64_t dense[GRAPH_MAX_RANK];
    dense_strides(value, dense);
    for (uint32_t d = 0; d < output->rank; d++) {
        bool absent = d + value->rank < output->rank;
        uint32_t own = d + value->rank - output->rank;
        strides[d] = absent || value->dims[own] == 1 ? 0 : dense[own];
    }
}

int fold_expand(const struct operator_work *work, uint8_t *into)
{
    int64_t strides[GRAPH_MAX_RANK];
    broadcast_strides(input_of(work, 0), output_of(work), strides);
    copy_view(work, strides, 0, into);
    return 0;
}

int fold_concat(const struct operator_work *work, uint8_t *into)
{
    const struct graph_value *output = output_of(work);
    int axis = operator_axis(work, graph_integer(work->node, "axis", 1), output->rank, false);
    uint64_t inner, outer = around_axis(output, axis, &inner);
    for (uint64_t o = 0; o < outer; o++)
        for (uint32_t i = 0; i < work->node->input_count; i++) {
            const struct graph_value *input = input_of(work, i);
            uint64_t bytes = inner * (uint64_t)input->dims[axis];
            if (bytes)
                memcpy(into, (const uint8_t *)input->data + o * bytes, bytes);
            into += bytes;
        }
    return 0;
}

/* ---- arithmetic */

enum arithmetic { ADD, SUB, MUL, DIV, MIN, MAX, POW, EQUAL, LESS, GREATER, UNKNOWN };

static enum arithmetic arithmetic_of(const char *type)
{
    static const char *const names[] = {"Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "Equal", "Less", "Greater"};
    for (int i = 0; i < UNKNOWN; i++)
        if (strcmp(type, names[i]) == 0)
            return (enum arithmetic)i;
    return UNKNOWN;
}

static double compute_real(enum arithmetic what, double a, double b)
{
    switch (what) {
    case ADD:
        return a + b;
    case SUB:
        return a - b;
    case MUL:
        return a * b;
    case DIV:
        return a / b;
    case MIN:
        return fmin(a, b);
    case MAX:
        return fmax(a, b);
    case POW:
        return pow(a, b);
    case EQUAL:
        return a == b;
    case LESS:
        return a < b;
    default:
        return a > b;
    }
}

static int64_t compute_integer(enum arithmetic what, int64_t a, int64_t b)
{
    switch (what) {
    case ADD:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case SUB:
        return (int64_t)((uint64_t)a - (uint64_t)b);
    case MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case DIV: /* by 0 is caught before; the other trap is INT64_MIN / -1 */
        return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
    case MIN:
        return a < b ? a : b;
    case MAX:
        return a > b ? a : b;
    case POW:
        return to_integer(pow((double)a, (double)b));
    case EQUAL:
        return a == b;
    case LESS:
        return a < b;
    default:
        return a > b;
    }
}

/* Where broadcast inputs are read for each element of the output in turn. */
struct walk {
    int64_t at[GRAPH_MAX_RANK];
    int64_t strides[3][GRAPH_MAX_RANK];
    uint64_t from[3];
    uint32_t inputs;
};

static void walk_begin(const struct operator_work *work, struct walk *walk)
{
    memset(walk, 0, sizeof(*walk));
    walk->inputs = work->node->input_count;
    for (uint32_t i = 0; i < walk->inputs; i++)
        broadcast_strides(input_of(work, i), output_of(work), walk->strides[i]);
}

static void walk_next(const struct graph_value *output, struct walk *walk)
{
    for (uint32_t d = output->rank; d-- > 0;) {
        bool wraps = ++walk->at[d] == output->dims[d];
        int64_t steps = wraps ? 1 - output->dims[d] : 1;
        for (uint32_t i = 0; i < walk->inputs; i++)
            walk->from[i] += (uint64_t)(walk->strides[i][d] * steps);
        if (!wraps)
            return;
        walk->at[d] = 0;
    }
}

int fold_binary(const struct operator_work *work, uint8_t *into)
{
    enum arithmetic what = arithmetic_of(work->node->type);
    const struct graph_value *output = output_of(work);
    if (what == UNKNOWN || work->node->input_count != 2)
        return 1;
    const struct graph_value *a = input_of(work, 0), *b = input_of(work, 1);
    struct walk walk;
    walk_begin(work, &walk);
    for (uint64_t i = 0; i < graph_elements(output); i++, walk_next(output, &walk)) {
        if (is_real(a->element_type)) {
            double result =
                compute_real(what, graph_constant_real(a, walk.from[0]), graph_constant_real(b, walk.from[1]));
            store(into, output->element_type, i, result, result != 0);
        } else {
            int64_t right = graph_constant_integer(b, walk.from[1]);
            if (what == DIV && right == 0)
                return operator_error(work, "divides constants by zero");
            store(into, output->element_type, i, 0,
                  compute_integer(what, graph_constant_integer(a, walk.from[0]), right));
        }
    }
    return 0;
}

int fold_where(const struct operator_work *work, uint8_t *into)
{
    const struct graph_value *output = output_of(work);
    size_t size = graph_element_bytes(output->element_type);
    struct walk walk;
    walk_begin(work, &walk);
    for (uint64_t i = 0; i < graph_elements(output); i++, walk_next(output, &walk)) {
        uint32_t chosen = graph_constant_integer(input_of(work, 0), walk.from[0]) ? 1 : 2;
        memcpy(into + i * size, (const uint8_t *)input_of(work, chosen)->data + walk.from[chosen] * size, size);
    }
    return 0;
}

static bool compute_unary(const char *type, double *real, int64_t *integer)
{
    if (strcmp(type, "Neg") == 0) {
        *real = -*real;
        *integer = (int64_t)(0 - (uint64_t)*integer);
    } else if (strcmp(type, "Abs") == 0) {
        *real = fabs(*real);
        *integer = *integer < 0 ? (int64_t)(0 - (uint64_t)*integer) : *integer;
    } else if (strcmp(type, "Relu") == 0) {
        *real = *real > 0 ? *real : 0;
        *integer = *integer > 0 ? *integer : 0;
    } else if (strcmp(type, "Floor") == 0) {
        *real = floor(*real);
    } else if (strcmp(type, "Ceil") == 0) {
        *real = ceil(*real);
    } else if (strcmp(type, "Sqrt") == 0) {
        *real = sqrt(*real);
    } else if (strcmp(type, "Exp") == 0) {
        *real = exp(*real);
    } else if (strcmp(type, "Not") == 0) {
        *integer = !*integer;
    } else {
        return false;
    }
    return true;
}

int fold_unary(const struct operator_work *work, uint8_t *into)
{
    const struct graph_value *input = input_of(work, 0);
    for (uint64_t i = 0; i < graph_elements(input); i++) {
        double real = is_real(input->element_type) ? graph_constant_real(input, i) : 0;
        int64_t integer = is_real(input->element_type) ? 0 : graph_constant_integer(input, i);
        if (!compute_unary(work->node->type, &real, &integer))
            return 1;
        store(into, input->element_type, i, real, integer);
    }
    return 0;
}
