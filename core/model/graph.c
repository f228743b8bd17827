/* SPDX-License-Identifier: Apache-2.0 */
/* The graph as it is being worked on. */
#include "core/model/graph.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#define CHUNK_BYTES 65536

/* Small things are cut from chunks and freed all at once. */
struct chunk {
    struct chunk *before;
    size_t used, room;
    alignas(max_align_t) uint8_t bytes[];
};

struct name_entry {
    const char *name;
    uint32_t value;
    UT_hash_handle hh;
};

struct graph_private {
    struct chunk *chunks; /* the newest first */
    struct name_entry *by_name;
    ARRAY_OF(void *) blocks;
    ARRAY_OF(struct file_map) maps;
};

struct graph *graph_new(void)
{
    struct graph *graph = NEW(struct graph);
    graph->own = NEW(struct graph_private);
    return graph;
}

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    HASH_CLEAR(hh, graph->own->by_name);
    for (size_t i = 0; i < graph->own->blocks.count; i++)
        free(graph->own->blocks.items[i]);
    for (size_t i = 0; i < graph->own->maps.count; i++)
        file_unmap(&graph->own->maps.items[i]);
    ARRAY_FREE(&graph->own->blocks);
    ARRAY_FREE(&graph->own->maps);
    for (struct chunk *chunk = graph->own->chunks, *before; chunk; chunk = before) {
        before = chunk->before;
        free(chunk);
    }
    ARRAY_FREE(&graph->values);
    ARRAY_FREE(&graph->nodes);
    ARRAY_FREE(&graph->inputs);
    ARRAY_FREE(&graph->outputs);
    free(graph->own);
    free(graph);
}

void *graph_allocate(struct graph *graph, size_t bytes)
{
    struct chunk *chunk = graph->own->chunks;
    size_t unit = alignof(max_align_t), size = bytes < SIZE_MAX - unit ? (bytes + unit - 1) / unit * unit : bytes;
    if (!chunk || chunk->room - chunk->used < size) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        chunk = memory_new(room <= SIZE_MAX - sizeof(*chunk) ? sizeof(*chunk) + room : SIZE_MAX);
        *chunk = (struct chunk){.before = graph->own->chunks, .room = room};
        graph->own->chunks = chunk;
    }
    chunk->used += size;
    return chunk->bytes + chunk->used - size;
}

const char *graph_text(struct graph *graph, const void *bytes, size_t count)
{
    char *text = graph_allocate(graph, count + 1);
    if (count)
        memcpy(text, bytes, count);
    return text;
}

void graph_adopt(struct graph *graph, void *block)
{
    *ARRAY_ADD(&graph->own->blocks) = block;
}

void graph_adopt_map(struct graph *graph, struct file_map map)
{
    *ARRAY_ADD(&graph->own->maps) = map;
}

uint32_t graph_find_value(const struct graph *graph, const char *name)
{
    struct name_entry *entry;
    HASH_FIND_STR(graph->own->by_name, name, entry);
    return entry ? entry->value : NAPM_NONE;
}

uint32_t graph_value_named(struct graph *graph, const char *name)
{
    uint32_t found = graph_find_value(graph, name);
    if (found != NAPM_NONE)
        return found;
    struct name_entry *entry = graph_allocate(graph, sizeof(*entry));
    entry->name = graph_text(graph, name, strlen(name));
    entry->value = (uint32_t)graph->values.count;
    HASH_ADD_KEYPTR(hh, graph->own->by_name, entry->name, strlen(entry->name), entry);
    *ARRAY_ADD(&graph->values) = (struct graph_value){.name = entry->name, .producer = NAPM_NONE, .same_as = NAPM_NONE};
    return entry->value;
}

uint64_t graph_elements(const struct graph_value *value)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < value->rank; i++)
        count *= (uint64_t)value->dims[i];
    return count;
}

static const struct {
    uint32_t type;
    size_t bytes;
    const char *name;
} elements[] = {
    {1, 4, "float32"}, {2, 1, "uint8"},    {3, 1, "int8"},     {4, 0, "uint16"},
    {5, 0, "int16"},   {6, 4, "int32"},    {7, 8, "int64"},    {8, 0, "string"},
    {9, 1, "bool"},    {10, 0, "float16"}, {11, 8, "float64"}, {12, 0, "uint32"},
    {13, 0, "uint64"}, {14, 0, "complex"}, {15, 0, "complex"}, {16, 0, "bfloat16"},
};

size_t graph_element_bytes(uint32_t element_type)
{
    for (size_t i = 0; i < sizeof(elements) / sizeof(*elements); i++)
        if (elements[i].type == element_type)
            return elements[i].bytes;
    return 0;
}

const char *graph_element_name(uint32_t element_type)
{
    for (size_t i = 0; i < sizeof(elements) / sizeof(*elements); i++)
        if (elements[i].type == element_type)
            return elements[i].name;
    return "unknown";
}

int64_t graph_shape_elements(uint32_t element_type, uint32_t rank, const int64_t *dims)
{
    size_t element_bytes = graph_element_bytes(element_type);
    uint64_t limit = GRAPH_MAX_TENSOR_BYTES / (element_bytes ? element_bytes : 1);
    /* Zeros must not hide an absurd dimension, so the product of the others is bounded too. */
    uint64_t count = 1, without_zeros = 1;
    for (uint32_t i = 0; i < rank; i++) {
        if (dims[i] < 0 || (uint64_t)dims[i] > limit)
            return -1;
        count *= (uint64_t)dims[i];
        without_zeros *= dims[i] ? (uint64_t)dims[i] : 1;
        if (without_zeros > limit)
            return -1;
    }
    return (int64_t)count;
}

/* ---- topological order */

/* A heap of node numbers, smallest first: of the nodes that are ready, the one that comes first in the file is next. */
struct ready {
    uint32_t *items;
    size_t count;
};

static void ready_push(struct ready *heap, uint32_t node)
{
    size_t i = heap->count++;
    while (i > 0 && heap->items[(i - 1) / 2] > node) {
        heap->items[i] = heap->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap->items[i] = node;
}

static uint32_t ready_pop(struct ready *heap)
{
    uint32_t first = heap->items[0], last = heap->items[--heap->count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < heap->count) {
        if (child + 1 < heap->count && heap->items[child + 1] < heap->items[child])
            child++;
        if (heap->items[child] >= last)
            break;
        heap->items[i] = heap->items[child];
        i = child;
    }
    heap->items[i] = last;
    return first;
}

/* Stores the nodes in topological order; returns how many could be ordered (fewer than all: a cycle). */
static size_t sort_nodes(struct graph *graph, uint32_t *order, uint32_t *missing)
{
    size_t count = graph->nodes.count, sorted = 0;
    struct ready ready = {.items = NEW_ARRAY(uint32_t, count)};
    for (uint32_t n = 0; n < count; n++) {
        struct graph_node *node = &graph->nodes.items[n];
        for (uint32_t i = 0; i < node->input_count; i++) {
            struct graph_value *input = graph_input(graph, node, i);
            missing[n] += input && input->producer != NAPM_NONE;
        }
        if (missing[n] == 0)
            ready_push(&ready, n);
    }
    graph_link(graph);
    while (ready.count) {
        uint32_t n = ready_pop(&ready);
        order[sorted++] = n;
        struct graph_node *node = &graph->nodes.items[n];
        for (uint32_t o = 0; o < node->output_count; o++) {
            struct graph_value *output = graph_output(graph, node, o);
            for (uint32_t u = 0; output && u < output->use_count; u++)
                if (--missing[output->uses[u]] == 0)
                    ready_push(&ready, output->uses[u]);
        }
    }
    free(ready.items);
    return sorted;
}

static void apply_order(struct graph *graph, const uint32_t *order, size_t count)
{
    struct graph_node *nodes = NEW_ARRAY(struct graph_node, count);
    for (size_t v = 0; v < graph->values.count; v++)
        graph->values.items[v].producer = NAPM_NONE;
    for (uint32_t n = 0; n < count; n++) {
        nodes[n] = graph->nodes.items[order[n]];
        for (uint32_t o = 0; o < nodes[n].output_count; o++) {
            struct graph_value *output = graph_output(graph, &nodes[n], o);
            if (output)
                output->producer = n;
        }
    }
    free(graph->nodes.items);
    graph->nodes.items = nodes;
    graph->nodes.count = graph->nodes.room = count;
}

int graph_order(struct graph *graph, struct error *error)
{
    size_t count = graph->nodes.count;
    uint32_t *order = NEW_ARRAY(uint32_t, count), *missing = NEW_ARRAY(uint32_t, count);
    size_t sorted = sort_nodes(graph, order, missing);
    int status = 0;
    if (sorted == count) {
        apply_order(graph, order, count);
    } else {
        size_t n = 0;
        while (missing[n] == 0)
            n++;
        status = graph_node_error(&graph->nodes.items[n], error,
                                  "is part of a cycle, or behind one; the file is no valid ONNX graph");
    }
    free(order);
    free(missing);
    return status;
}

/* ---- rewriting */

static bool is_wanted(const struct graph *graph, const struct graph_node *node, const bool *wanted)
{
    for (uint32_t o = 0; o < node->output_count; o++)
        if (node->outputs[o] != NAPM_NONE && !graph->values.items[node->outputs[o]].is_constant &&
            wanted[node->outputs[o]])
            return true;
    return false;
}

void graph_sweep(struct graph *graph)
{
    bool *wanted = NEW_ARRAY(bool, graph->values.count);
    for (size_t i = 0; i < graph->outputs.count; i++)
        wanted[graph->outputs.items[i]] = true;
    for (size_t n = graph->nodes.count; n-- > 0;) {
        struct graph_node *node = &graph->nodes.items[n];
        node->removed = node->removed || !is_wanted(graph, node, wanted);
        for (uint32_t i = 0; !node->removed && i < node->input_count; i++)
            if (node->inputs[i] != NAPM_NONE)
                wanted[node->inputs[i]] = true;
    }
    free(wanted);
    uint32_t *order = NEW_ARRAY(uint32_t, graph->nodes.count);
    size_t kept = 0;
    for (uint32_t n = 0; n < graph->nodes.count; n++)
        if (!graph->nodes.items[n].removed)
            order[kept++] = n;
    apply_order(graph, order, kept);
    free(order);
}

void graph_link(struct graph *graph)
{
    uint32_t total = 0;
    for (size_t v = 0; v < graph->values.count; v++)
        graph->values.items[v].use_count = 0;
    for (size_t n = 0; n < graph->nodes.count; n++)
        for (uint32_t i = 0; i < graph->nodes.items[n].input_count; i++) {
            struct graph_value *value = graph_input(graph, &graph->nodes.items[n], i);
            if (value) {
                value->use_count++;
                total++;
            }
        }
    uint32_t *uses = graph_allocate(graph, total * sizeof(*uses));
    uint32_t **next = NEW_ARRAY(uint32_t *, graph->values.count);
    for (size_t v = 0; v < graph->values.count; v++) {
        graph->values.items[v].uses = next[v] = uses;
        uses += graph->values.items[v].use_count;
    }
    for (uint32_t n = 0; n < graph->nodes.count; n++)
        for (uint32_t i = 0; i < graph->nodes.items[n].input_count; i++)
            if (graph->nodes.items[n].inputs[i] != NAPM_NONE)
                *next[graph->nodes.items[n].inputs[i]]++ = n;
    free(next);
}

/* ---- nodes */

const struct graph_attribute *graph_attribute(const struct graph_node *node, const char *name)
{
    for (uint32_t i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attributes[i].seen.name, name) == 0)
            return &node->attributes[i];
    return NULL;
}

static const struct napm_attribute *typed_attribute(const struct graph_node *node, const char *name, uint32_t type)
{
    const struct graph_attribute *attribute = graph_attribute(node, name);
    return attribute && attribute->seen.type == type ? &attribute->seen : NULL;
}

int64_t graph_integer(const struct graph_node *node, const char *name, int64_t otherwise)
{
    const struct napm_attribute *attribute = typed_attribute(node, name, NAPM_ATTRIBUTE_INTEGER);
    return attribute ? attribute->integer : otherwise;
}

double graph_real(const struct graph_node *node, const char *name, double otherwise)
{
    const struct napm_attribute *attribute = typed_attribute(node, name, NAPM_ATTRIBUTE_REAL);
    return attribute ? attribute->real : otherwise;
}

const char *graph_word(const struct graph_node *node, const char *name, const char *otherwise)
{
    const struct napm_attribute *attribute = typed_attribute(node, name, NAPM_ATTRIBUTE_TEXT);
    return attribute ? attribute->text : otherwise;
}

uint32_t graph_integers(const struct graph_node *node, const char *name, const int64_t **list)
{
    const struct napm_attribute *attribute = typed_attribute(node, name, NAPM_ATTRIBUTE_INTEGERS);
    *list = attribute ? attribute->integers : NULL;
    return attribute ? attribute->count : 0;
}

struct graph_value *graph_input(const struct graph *graph, const struct graph_node *node, uint32_t index)
{
    if (index >= node->input_count || node->inputs[index] == NAPM_NONE)
        return NULL;
    return &graph->values.items[node->inputs[index]];
}

struct graph_value *graph_output(const struct graph *graph, const struct graph_node *node, uint32_t index)
{
    if (index >= node->output_count || node->outputs[index] == NAPM_NONE)
        return NULL;
    return &graph->values.items[node->outputs[index]];
}

int graph_node_error(const struct graph_node *node, struct error *error, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return error_set(error, ERROR_INPUT, "node '%.200s' (%.100s, opset %lld): %s", node->name, node->type,
                     (long long)node->opset, text);
}

/* ---- constants */

int64_t graph_constant_integer(const struct graph_value *value, uint64_t i)
{
    const uint8_t *at = (const uint8_t *)value->data + i * graph_element_bytes(value->element_type);
    int64_t wide;
    int32_t narrow;
    switch (value->element_type) {
    case NAPM_I64:
        memcpy(&wide, at, sizeof(wide));
        return wide;
    case NAPM_I32:
        memcpy(&narrow, at, sizeof(narrow));
        return narrow;
    case NAPM_I8:
        return (int8_t)*at;
    default: /* NAPM_U8, NAPM_BOOL */
        return *at;
    }
}

double graph_constant_real(const struct graph_value *value, uint64_t i)
{
    const uint8_t *at = (const uint8_t *)value->data + i * graph_element_bytes(value->element_type);
    double wide;
    float narrow;
    if (value->element_type == NAPM_F64) {
        memcpy(&wide, at, sizeof(wide));
        return wide;
    }
    memcpy(&narrow, at, sizeof(narrow));
    return narrow;
}
