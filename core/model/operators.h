/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reader knows of each operator: how its output shapes follow from its inputs (shapes.c, shapes_window.c),
 * and how it is computed when all it needs is constant (fold.c). operators.c holds the table.
 */
#ifndef NAPM_MODEL_OPERATORS_H
#define NAPM_MODEL_OPERATORS_H

#include "core/model/graph.h"

/* One node while its outputs are being worked out. */
struct operator_work {
    struct graph *graph;
    struct graph_node *node;
    struct error *error;
};

/* Infers shapes, folds constants and leaves out Identity and Dropout, node by node in topological order. */
int operators_resolve(struct graph *graph, struct error *error);

/* ---- for shapes*.c and fold.c */

/* Fails with a text about the node. */
#define operator_error(work, ...) graph_node_error((work)->node, (work)->error, __VA_ARGS__)

/* An input that must be there and have a shape: NULL with an error otherwise. */
const struct graph_value *operator_input(const struct operator_work *work, uint32_t index);

/* Sets type and shape of an output (nothing where it is left out). */
int operator_set_output(const struct operator_work *work, uint32_t index, uint32_t element_type, uint32_t rank,
                        const int64_t *dims);

/*
 * The integers of an input that must be a constant: their number, stored in numbers (room for `room`), or -1 with an
 * error. A left-out input gives 0 numbers and *given false.
 */
int operator_constant_integers(const struct operator_work *work, uint32_t index, int64_t *numbers, uint32_t room,
                               bool *given);

/* `axis` counted from the end where negative; checked to be in 0..rank-1 (0..rank with `past_end`). -1 with an error. */
int operator_axis(const struct operator_work *work, int64_t axis, uint32_t rank, bool past_end);

/* Axes given as attribute before `input_since`, as input `input` from then on; a set of bits. */
int operator_axes(const struct operator_work *work, int64_t input_since, uint32_t input, uint32_t rank, uint32_t *axes,
                  bool *given);

/* Result shape of numpy's broadcasting. -1 where the shapes do not agree (no error is set). */
int operator_broadcast(const struct graph_value *a, const struct graph_value *b, uint32_t *rank, int64_t *dims);

/* What a Slice takes of each axis. */
struct slice {
    int64_t start[GRAPH_MAX_RANK], step[GRAPH_MAX_RANK], dims[GRAPH_MAX_RANK];
};
int operator_slice(const struct operator_work *work, struct slice *slice);

typedef int (*operator_function)(const struct operator_work *work);

/* Shape functions, by operator. */
int shape_same(const struct operator_work *work); /* output 0 like input 0 */
int shape_broadcast(const struct operator_work *work); /* all inputs */
int shape_compare(const struct operator_work *work);
int shape_where(const struct operator_work *work);
int shape_clip(const struct operator_work *work);
int shape_axis(const struct operator_work *work); /* like input 0; attribute axis is checked */
int shape_prelu(const struct operator_work *work);
int shape_batch_normalization(const struct operator_work *work);
int shape_dropout(const struct operator_work *work);
int shape_gemm(const struct operator_work *work);
int shape_matmul(const struct operator_work *work);
int shape_concat(const struct operator_work *work);
int shape_flatten(const struct operator_work *work);
int shape_reshape(const struct operator_work *work);
int shape_transpose(const struct operator_work *work);
int shape_squeeze(const struct operator_work *work);
int shape_unsqueeze(const struct operator_work *work);
int shape_pad(const struct operator_work *work);
int shape_reduce(const struct operator_work *work);
int shape_shape(const struct operator_work *work);
int shape_size(const struct operator_work *work);
int shape_gather(const struct operator_work *work);
int shape_slice(const struct operator_work *work);
int shape_split(const struct operator_work *work);
int shape_expand(const struct operator_work *work);
int shape_cast(const struct operator_work *work);
int shape_constant(const struct operator_work *work);
int shape_constant_of_shape(const struct operator_work *work);
int shape_range(const struct operator_work *work);
int shape_conv(const struct operator_work *work);
int shape_pool(const struct operator_work *work);
int shape_global_pool(const struct operator_work *work);
int shape_lrn(const struct operator_work *work);

/*
 * Fold functions: called with the output's shape inferred and a block of its size; they write the elements. Return 0,
 * 1 where this case is not folded, -1 with an error.
 */
typedef int (*fold_function)(const struct operator_work *work, uint8_t *into);
int fold_constant(const struct operator_work *work, uint8_t *into); /* of numbers; tensors are shared by the shape */
int fold_constant_of_shape(const struct operator_work *work, uint8_t *into);
int fold_range(const struct operator_work *work, uint8_t *into);
int fold_shape(const struct operator_work *work, uint8_t *into);
int fold_size(const struct operator_work *work, uint8_t *into);
int fold_cast(const struct operator_work *work, uint8_t *into);
int fold_gather(const struct operator_work *work, uint8_t *into);
int fold_slice(const struct operator_work *work, uint8_t *into);
int fold_transpose(const struct operator_work *work, uint8_t *into);
int fold_expand(const struct operator_work *work, uint8_t *into);
int fold_concat(const struct operator_work *work, uint8_t *into);
int fold_binary(const struct operator_work *work, uint8_t *into); /* Add Sub Mul Div Min Max Pow Equal Less Greater */
int fold_unary(const struct operator_work *work, uint8_t *into); /* Neg Abs Floor Ceil Sqrt Not ... */
int fold_where(const struct operator_work *work, uint8_t *into);

#endif
