/* SPDX-License-Identifier: Apache-2.0 */
/* Writes ONNX files with random weights. */
#include "models/onnx_write.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/random.h"

#define MAX_RANK 6
#define IR_VERSION 8
#define OPSET 13
#define WEIGHT_ALIGNMENT 64
#define CHUNK_FLOATS 16384

/* Field numbers of onnx.proto that are written here. */
enum {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER_NAME = 2,
    MODEL_GRAPH = 7,
    MODEL_OPSET_IMPORT = 8,
    OPSET_VERSION = 2,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_F = 2,
    ATTRIBUTE_I = 3,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_TYPE = 20,
    TENSOR_DIMS = 1,
    TENSOR_DATA_TYPE = 2,
    TENSOR_INT64_DATA = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW_DATA = 9,
    TENSOR_DOC_STRING = 12,
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_TYPE_ELEMENT = 1,
    TENSOR_TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1,
};
enum { TYPE_FLOAT = 1, TYPE_INT64 = 7, KIND_FLOAT = 1, KIND_INT = 2, KIND_INTS = 7 };
enum { WIRE_VARINT = 0, WIRE_BYTES = 2, WIRE_32 = 5 };

typedef ARRAY_OF(uint8_t) bytes_t;

/* A weight whose numbers are made when the file is written. */
struct weight {
    char *name;
    uint32_t rank;
    int64_t dims[MAX_RANK];
    float low, high;
};

struct onnx_writer {
    char *name;
    bytes_t nodes, node, integers, inputs, outputs; /* encoded fields of GraphProto; `node`: the one being made */
    ARRAY_OF(struct weight) weights;
};

/* ---- encoding */

static void put_bytes(bytes_t *to, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *ARRAY_ADD(to) = ((const uint8_t *)bytes)[i];
}

static void put_varint(bytes_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *ARRAY_ADD(to) = (uint8_t)(value | 0x80);
    *ARRAY_ADD(to) = (uint8_t)value;
}

static size_t varint_bytes(uint64_t value)
{
    size_t count = 1;
    for (; value >= 0x80; value >>= 7)
        count++;
    return count;
}

static void put_integer(bytes_t *to, uint32_t field, int64_t value)
{
    put_varint(to, field << 3 | WIRE_VARINT);
    put_varint(to, (uint64_t)value);
}

static void put_block(bytes_t *to, uint32_t field, const void *bytes, size_t count)
{
    put_varint(to, field << 3 | WIRE_BYTES);
    put_varint(to, count);
    put_bytes(to, bytes, count);
}

static void put_text(bytes_t *to, uint32_t field, const char *text)
{
    put_block(to, field, text, strlen(text));
}

/* Puts a submessage, and frees it. */
static void put_message(bytes_t *to, uint32_t field, bytes_t *message)
{
    put_block(to, field, message->items, message->count);
    ARRAY_FREE(message);
}

/* ---- structure */

struct onnx_writer *onnx_writer_new(const char *graph_name)
{
    struct onnx_writer *writer = NEW(struct onnx_writer);
    writer->name = text_copy(graph_name);
    return writer;
}

void onnx_writer_free(struct onnx_writer *writer)
{
    for (size_t i = 0; i < writer->weights.count; i++)
        free(writer->weights.items[i].name);
    ARRAY_FREE(&writer->weights);
    ARRAY_FREE(&writer->nodes);
    ARRAY_FREE(&writer->node);
    ARRAY_FREE(&writer->integers);
    ARRAY_FREE(&writer->inputs);
    ARRAY_FREE(&writer->outputs);
    free(writer->name);
    free(writer);
}

static void put_value_info(bytes_t *to, uint32_t field, const char *name, uint32_t rank, const int64_t *dims)
{
    bytes_t info = {0}, type = {0}, tensor = {0}, shape = {0};
    for (uint32_t i = 0; i < rank; i++) {
        bytes_t dim = {0};
        put_integer(&dim, DIM_VALUE, dims[i]);
        put_message(&shape, SHAPE_DIM, &dim);
    }
    put_integer(&tensor, TENSOR_TYPE_ELEMENT, TYPE_FLOAT);
    put_message(&tensor, TENSOR_TYPE_SHAPE, &shape);
    put_message(&type, TYPE_TENSOR, &tensor);
    put_text(&info, VALUE_NAME, name);
    put_message(&info, VALUE_TYPE, &type);
    put_message(to, field, &info);
}

void onnx_writer_input(struct onnx_writer *writer, const char *name, uint32_t rank, const int64_t *dims)
{
    put_value_info(&writer->inputs, GRAPH_INPUT, name, rank, dims);
}

void onnx_writer_output(struct onnx_writer *writer, const char *name, uint32_t rank, const int64_t *dims)
{
    put_value_info(&writer->outputs, GRAPH_OUTPUT, name, rank, dims);
}

void onnx_writer_weight(struct onnx_writer *writer, const char *name, uint32_t rank, const int64_t *dims, float low,
                        float high)
{
    struct weight *weight = ARRAY_ADD(&writer->weights);
    *weight = (struct weight){.name = text_copy(name), .rank = rank, .low = low, .high = high};
    if (rank)
        memcpy(weight->dims, dims, rank * sizeof(*dims));
}

void onnx_writer_integers(struct onnx_writer *writer, const char *name, uint32_t count, const int64_t *values)
{
    bytes_t tensor = {0}, packed = {0};
    put_integer(&tensor, TENSOR_DIMS, count);
    put_integer(&tensor, TENSOR_DATA_TYPE, TYPE_INT64);
    for (uint32_t i = 0; i < count; i++)
        put_varint(&packed, (uint64_t)values[i]);
    put_message(&tensor, TENSOR_INT64_DATA, &packed);
    put_text(&tensor, TENSOR_NAME, name);
    put_message(&writer->integers, GRAPH_INITIALIZER, &tensor);
}

void onnx_writer_begin(struct onnx_writer *writer, const char *type, const char *name)
{
    put_text(&writer->node, NODE_NAME, name);
    put_text(&writer->node, NODE_OP_TYPE, type);
}

void onnx_writer_node_input(struct onnx_writer *writer, const char *value)
{
    put_text(&writer->node, NODE_INPUT, value);
}

void onnx_writer_node_output(struct onnx_writer *writer, const char *value)
{
    put_text(&writer->node, NODE_OUTPUT, value);
}

void onnx_writer_node_integer(struct onnx_writer *writer, const char *name, int64_t value)
{
    bytes_t attribute = {0};
    put_text(&attribute, ATTRIBUTE_NAME, name);
    put_integer(&attribute, ATTRIBUTE_I, value);
    put_integer(&attribute, ATTRIBUTE_TYPE, KIND_INT);
    put_message(&writer->node, NODE_ATTRIBUTE, &attribute);
}

void onnx_writer_node_integers(struct onnx_writer *writer, const char *name, uint32_t count, const int64_t *values)
{
    bytes_t attribute = {0};
    put_text(&attribute, ATTRIBUTE_NAME, name);
    for (uint32_t i = 0; i < count; i++)
        put_integer(&attribute, ATTRIBUTE_INTS, values[i]);
    put_integer(&attribute, ATTRIBUTE_TYPE, KIND_INTS);
    put_message(&writer->node, NODE_ATTRIBUTE, &attribute);
}

void onnx_writer_node_real(struct onnx_writer *writer, const char *name, float value)
{
    bytes_t attribute = {0};
    put_text(&attribute, ATTRIBUTE_NAME, name);
    put_varint(&attribute, ATTRIBUTE_F << 3 | WIRE_32);
    put_bytes(&attribute, &value, sizeof(value));
    put_integer(&attribute, ATTRIBUTE_TYPE, KIND_FLOAT);
    put_message(&writer->node, NODE_ATTRIBUTE, &attribute);
}

void onnx_writer_end(struct onnx_writer *writer)
{
    put_message(&writer->nodes, GRAPH_NODE, &writer->node);
}

/* ---- the file */

static uint64_t weight_count(const struct weight *weight)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < weight->rank; i++)
        count *= (uint64_t)weight->dims[i];
    return count;
}

/*
 * Encodes all of a weight's field but the numbers, for a field that begins at `offset` of the file. A doc_string of
 * blanks pads it so that the numbers begin at a multiple of WEIGHT_ALIGNMENT.
 */
static void put_weight_head(bytes_t *to, const struct weight *weight, uint64_t offset)
{
    uint64_t numbers_bytes = weight_count(weight) * sizeof(float);
    bytes_t head = {0}, tail = {0};
    for (uint32_t i = 0; i < weight->rank; i++)
        put_integer(&head, TENSOR_DIMS, weight->dims[i]);
    put_integer(&head, TENSOR_DATA_TYPE, TYPE_FLOAT);
    put_text(&head, TENSOR_NAME, weight->name);
    put_varint(&tail, TENSOR_RAW_DATA << 3 | WIRE_BYTES);
    put_varint(&tail, numbers_bytes);
    uint64_t blanks = 0, size, start;
    for (;; blanks++) { /* fewer than 128, so that the blanks' length is one byte */
        size = head.count + 2 + blanks + tail.count + numbers_bytes;
        start = offset + 1 + varint_bytes(size) + size - numbers_bytes;
        if (start % WEIGHT_ALIGNMENT == 0)
            break;
    }
    put_varint(to, GRAPH_INITIALIZER << 3 | WIRE_BYTES);
    put_varint(to, size);
    put_bytes(to, head.items, head.count);
    put_varint(to, TENSOR_DOC_STRING << 3 | WIRE_BYTES);
    put_varint(to, blanks);
    for (; blanks > 0; blanks--)
        *ARRAY_ADD(to) = ' ';
    put_bytes(to, tail.items, tail.count);
    ARRAY_FREE(&head);
    ARRAY_FREE(&tail);
}

/* Writes numbers evenly spread over low..high, two from each 64 random bits. */
static bool write_numbers(const struct weight *weight, uint64_t seed, FILE *file)
{
    static const float unit = 0x1p-24f;
    float *chunk = NEW_ARRAY(float, CHUNK_FLOATS), width = weight->high - weight->low;
    struct random random;
    bool written = true;
    random_seed(&random, seed, weight->name);
    for (uint64_t left = weight_count(weight); left > 0 && written;) {
        size_t count = left < CHUNK_FLOATS ? (size_t)left : CHUNK_FLOATS;
        for (size_t i = 0; i < count; i += 2) {
            uint64_t bits = random_bits(&random);
            chunk[i] = weight->low + width * ((float)(bits >> 40) * unit);
            chunk[i + 1] = weight->low + width * ((float)(bits >> 8 & 0xffffff) * unit);
        }
        written = fwrite(chunk, sizeof(*chunk), count, file) == count;
        left -= count;
    }
    free(chunk);
    return written;
}

/*
 * Puts the weights' fields after `offset`; writes them to `file` unless that is NULL. Returns the offset after them, or
 * 0 where writing failed.
 */
static uint64_t lay_out_weights(const struct onnx_writer *writer, uint64_t seed, uint64_t offset, FILE *file)
{
    for (size_t i = 0; i < writer->weights.count; i++) {
        const struct weight *weight = &writer->weights.items[i];
        bytes_t head = {0};
        put_weight_head(&head, weight, offset);
        offset += head.count + weight_count(weight) * sizeof(float);
        bool written =
            !file || (fwrite(head.items, 1, head.count, file) == head.count && write_numbers(weight, seed, file));
        ARRAY_FREE(&head);
        if (!written)
            return 0;
    }
    return offset;
}

/* All before the weights. The graph's length depends on its own place in the file, so it is tried out. */
static void put_preamble(bytes_t *to, const struct onnx_writer *writer)
{
    bytes_t start = {0}, body = {0}, opset = {0};
    put_integer(&start, MODEL_IR_VERSION, IR_VERSION);
    put_text(&start, MODEL_PRODUCER_NAME, "napm");
    put_integer(&opset, OPSET_VERSION, OPSET);
    put_message(&start, MODEL_OPSET_IMPORT, &opset);
    put_text(&body, GRAPH_NAME, writer->name);
    put_bytes(&body, writer->inputs.items, writer->inputs.count);
    put_bytes(&body, writer->outputs.items, writer->outputs.count);
    put_bytes(&body, writer->nodes.items, writer->nodes.count);
    put_bytes(&body, writer->integers.items, writer->integers.count);
    uint64_t graph_bytes = 0;
    for (size_t guess = 1; guess == 1 || varint_bytes(graph_bytes) != guess - 1; guess++) {
        uint64_t body_start = start.count + 1 + guess;
        graph_bytes = lay_out_weights(writer, 0, body_start + body.count, NULL) - body_start;
    }
    put_bytes(to, start.items, start.count);
    put_varint(to, MODEL_GRAPH << 3 | WIRE_BYTES);
    put_varint(to, graph_bytes);
    put_bytes(to, body.items, body.count);
    ARRAY_FREE(&start);
    ARRAY_FREE(&body);
}

static bool write_file(const struct onnx_writer *writer, uint64_t seed, FILE *file)
{
    bytes_t preamble = {0};
    put_preamble(&preamble, writer);
    bool written = fwrite(preamble.items, 1, preamble.count, file) == preamble.count &&
                   lay_out_weights(writer, seed, preamble.count, file) != 0;
    ARRAY_FREE(&preamble);
    return written && fflush(file) == 0;
}

int onnx_writer_save(const struct onnx_writer *writer, uint64_t seed, const char *path, struct error *error)
{
    struct file_replacement replacement;
    if (file_replace_begin(&replacement, path, error) != 0)
        return -1;
    return file_replace_end(&replacement, write_file(writer, seed, replacement.file), error);
}
