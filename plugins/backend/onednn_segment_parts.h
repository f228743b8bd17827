/* SPDX-License-Identifier: Apache-2.0 */
/* What a segment consists of, for the two files that make (onednn_segment.c) and run (onednn_execution.c) it. */
#ifndef ONEDNN_SEGMENT_PARTS_H
#define ONEDNN_SEGMENT_PARTS_H

#include "onednn_region.h"
#include "onednn_segment.h"

enum place { PLACE_WEIGHTS, PLACE_BUFFER, PLACE_SCRATCH };

/* One argument of an item; `at` is an offset into the weights, or the number of a buffer. */
struct argument {
    uint32_t slot;
    enum place place;
    uint64_t at;
    const struct shim_layout *layout; /* NULL for kernels of our own and for scratch */
};

/* One call: a kernel of the library or one of our own. */
struct item {
    const struct shim_kernel *kernel;
    const struct plain *plain;
    uint32_t first_argument, argument_count;
};

/* A piece of activation memory, alive from item `first` to item `last`; NAPM_NONE as last: until the next task. */
struct buffer {
    uint64_t bytes, offset; /* in the arena */
    uint32_t first, last;
    uint32_t external; /* number of the segment's input whose memory it is, or NAPM_NONE */
};

struct packed {
    const struct plan_constant *constant;
    uint64_t offset; /* in the weights */
};

struct segment {
    const struct plan *plan;
    uint32_t layer_count, input_count, output_count;
    uint32_t item_count, argument_count, buffer_count, packed_count, reorder_count, layout_count;
    uint32_t *first_item; /* layer_count + 1 */
    uint32_t *outputs; /* buffer of each output */
    struct item *items;
    struct argument *arguments;
    struct buffer *buffers;
    struct packed *packed;
    struct shim_kernel **reorders; /* owned */
    struct shim_layout **layouts; /* owned */
    struct region weights;
    uint64_t weight_bytes, arena_bytes, scratch_bytes;
};

#endif
