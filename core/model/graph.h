/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph as it is being worked on, between the ONNX file and the SDK's view: values (tensors) and nodes (operators),
 * and the passes over them that need no knowledge of operators: order, aliases, dead nodes, uses.
 *
 * Everything belongs to the graph and is freed with it. Values and nodes are named by index.
 */
#ifndef NAPM_MODEL_GRAPH_H
#define NAPM_MODEL_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <napm/model.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/memory.h"

#define GRAPH_MAX_RANK 12
#define GRAPH_MAX_TENSOR_BYTES (UINT64_C(1) << 40) /* larger is taken for a corrupt file */
#define GRAPH_ATTRIBUTE_TENSOR 4u /* napm_attribute.type: never shown to plugins */

struct graph_value {
    const char *name;
    uint32_t element_type; /* NAPM_F32... ; 0: not known yet */
    uint32_t rank;
    int64_t dims[GRAPH_MAX_RANK];
    bool has_shape;
    bool is_constant; /* data is set (or the tensor is empty) */
    bool is_input, is_output;
    const void *data; /* at any alignment */
    uint32_t producer; /* node, or NAPM_NONE */
    uint32_t same_as; /* value that serves in this one's place (an Identity was left out), or NAPM_NONE */
    uint32_t use_count; /* by graph_link */
    const uint32_t *uses; /* nodes, ascending; one that uses the value twice is there twice */
};

struct graph_attribute {
    struct napm_attribute seen; /* what plugins see, unless its type is 0 or GRAPH_ATTRIBUTE_TENSOR */
    uint32_t tensor; /* value, where type is GRAPH_ATTRIBUTE_TENSOR */
};

struct graph_node {
    const char *name, *type, *domain;
    int64_t opset;
    uint32_t input_count, output_count, attribute_count;
    uint32_t *inputs, *outputs; /* values; NAPM_NONE where left out */
    struct graph_attribute *attributes;
    bool removed;
    uint32_t layer; /* by layers_group */
};

struct graph {
    const char *name;
    char digest[FILE_DIGEST_BYTES];
    ARRAY_OF(struct graph_value) values;
    ARRAY_OF(struct graph_node) nodes; /* after graph_order: in topological order */
    ARRAY_OF(uint32_t) inputs;
    ARRAY_OF(uint32_t) outputs;
    uint64_t fold_room_bytes; /* what constant folding may still allocate: bounds what a small hostile file can cost */
    struct graph_private *own;
};

struct graph *graph_new(void);
void graph_free(struct graph *graph);

void *graph_allocate(struct graph *graph, size_t bytes); /* zeroed, small */
const char *graph_text(struct graph *graph, const void *bytes, size_t count);
void graph_adopt(struct graph *graph, void *block); /* free() it with the graph */
void graph_adopt_map(struct graph *graph, struct file_map map); /* file_unmap it with the graph */

/* The value of that name, made where there is none yet. */
uint32_t graph_value_named(struct graph *graph, const char *name);
/* The value of that name, or NAPM_NONE. */
uint32_t graph_find_value(const struct graph *graph, const char *name);

/* Number of elements of a value with a shape (checked when the shape was set). */
uint64_t graph_elements(const struct graph_value *value);
/* Bytes of one element, 0 for types that are not supported. */
size_t graph_element_bytes(uint32_t element_type);
const char *graph_element_name(uint32_t element_type);
/* Elements of a shape, or -1 where a dimension is negative or the tensor would be absurdly large. */
int64_t graph_shape_elements(uint32_t element_type, uint32_t rank, const int64_t *dims);

/* Puts the nodes into topological order (the file's order where it already is one); an error names a cycle. */
int graph_order(struct graph *graph, struct error *error);
/* Drops nodes that are marked removed or that contribute nothing to the outputs. */
void graph_sweep(struct graph *graph);
/* Fills use_count and uses. */
void graph_link(struct graph *graph);

/* Attributes by name; the default where it is left out or of another type. */
const struct graph_attribute *graph_attribute(const struct graph_node *node, const char *name);
int64_t graph_integer(const struct graph_node *node, const char *name, int64_t otherwise);
double graph_real(const struct graph_node *node, const char *name, double otherwise);
const char *graph_word(const struct graph_node *node, const char *name, const char *otherwise);
/* List of integers: its count (0 where left out), values in *list. */
uint32_t graph_integers(const struct graph_node *node, const char *name, const int64_t **list);

/* The value at an input or output of a node, or NULL where it is left out. */
struct graph_value *graph_input(const struct graph *graph, const struct graph_node *node, uint32_t index);
struct graph_value *graph_output(const struct graph *graph, const struct graph_node *node, uint32_t index);

/* Error about a node: "node 'NAME' (TYPE, opset N): text". Returns -1. */
int graph_node_error(const struct graph_node *node, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Integer element i of a constant of an integer type. */
int64_t graph_constant_integer(const struct graph_value *value, uint64_t i);
/* Real element i of a constant of a floating type. */
double graph_constant_real(const struct graph_value *value, uint64_t i);

#endif
