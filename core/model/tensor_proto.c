/* SPDX-License-Identifier: Apache-2.0 */
/* One ONNX TensorProto, read from bytes in memory. */
#include "core/model/tensor_proto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/model/protowire.h"

/* Field numbers of onnx.proto's TensorProto. */
enum {
    FIELD_DIMS = 1,
    FIELD_DATA_TYPE = 2,
    FIELD_FLOAT_DATA = 4,
    FIELD_INT32_DATA = 5,
    FIELD_INT64_DATA = 7,
    FIELD_NAME = 8,
    FIELD_RAW_DATA = 9,
    FIELD_DOUBLE_DATA = 10,
    FIELD_EXTERNAL_DATA = 13,
    FIELD_DATA_LOCATION = 14,
};

/* Where the elements are: one block of little-endian bytes, or fields that have to be decoded one by one. */
struct payload {
    uint32_t field; /* 0: none seen */
    const uint8_t *block;
    size_t block_bytes;
    bool scattered; /* more than one field: decode */
};

static int invalid(const struct tensor_proto *tensor, struct error *error, const char *what)
{
    return error_set(error, ERROR_INPUT, "tensor '%.*s': %s",
                     (int)(tensor->name_bytes < 200 ? tensor->name_bytes : 200),
                     tensor->name ? (const char *)tensor->name : "", what);
}

static int unsupported(const struct tensor_proto *tensor, struct error *error)
{
    char what[128];
    snprintf(what, sizeof(what), "element type %s is not supported; export the model in float32",
             graph_element_name(tensor->element_type));
    return invalid(tensor, error, what);
}

static bool add_dim(struct tensor_proto *tensor, int64_t dim)
{
    if (tensor->rank == GRAPH_MAX_RANK)
        return false;
    tensor->dims[tensor->rank++] = dim;
    return true;
}

static bool read_dims(struct tensor_proto *tensor, const struct protowire_field *field)
{
    if (field->wire == PROTOWIRE_VARINT)
        return add_dim(tensor, (int64_t)field->integer);
    struct protowire packed = {field->bytes, field->bytes + field->size};
    uint64_t dim;
    if (field->wire != PROTOWIRE_BYTES)
        return false;
    while (packed.at < packed.end)
        if (!protowire_varint(&packed, &dim) || !add_dim(tensor, (int64_t)dim))
            return false;
    return true;
}

static bool read_number(const uint8_t *bytes, size_t size, uint64_t *number)
{
    if (size == 0 || size > 19)
        return false;
    *number = 0;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return false;
        *number = *number * 10 + (uint64_t)(bytes[i] - '0');
    }
    return true;
}

/* A StringStringEntryProto of external_data: location, offset, length, checksum. */
static bool read_external(struct tensor_proto *tensor, const struct protowire_field *entry)
{
    struct protowire cursor = {entry->bytes, entry->bytes + entry->size};
    struct protowire_field field, key = {0}, value = {0};
    int more;
    while ((more = protowire_next(&cursor, &field)) == 1)
        if (field.wire == PROTOWIRE_BYTES)
            *(field.number == 1 ? &key : &value) = field;
    if (more < 0)
        return false;
    if (key.size == 8 && memcmp(key.bytes, "location", 8) == 0) {
        if (value.size == 0 || value.size >= sizeof(tensor->location) || memchr(value.bytes, 0, value.size))
            return false;
        memcpy(tensor->location, value.bytes, value.size);
        tensor->location[value.size] = '\0';
    } else if (key.size == 6 && memcmp(key.bytes, "offset", 6) == 0) {
        return read_number(value.bytes, value.size, &tensor->offset_bytes);
    } else if (key.size == 6 && memcmp(key.bytes, "length", 6) == 0) {
        tensor->has_length = true;
        return read_number(value.bytes, value.size, &tensor->length_bytes);
    }
    return true;
}

static bool note_payload(struct payload *payload, const struct protowire_field *field)
{
    if (payload->field != 0 && payload->field != field->number)
        return false;
    payload->scattered = payload->field != 0 || field->wire != PROTOWIRE_BYTES;
    payload->field = field->number;
    payload->block = field->bytes;
    payload->block_bytes = field->size;
    return true;
}

static bool read_field(struct tensor_proto *tensor, struct payload *payload, const struct protowire_field *field)
{
    switch (field->number) {
    case FIELD_DIMS:
        return read_dims(tensor, field);
    case FIELD_DATA_TYPE:
        tensor->element_type = field->integer > 255 ? 0 : (uint32_t)field->integer;
        return field->wire == PROTOWIRE_VARINT;
    case FIELD_NAME:
        tensor->name = field->bytes;
        tensor->name_bytes = field->size;
        return field->wire == PROTOWIRE_BYTES;
    case FIELD_RAW_DATA:
        return field->wire == PROTOWIRE_BYTES && note_payload(payload, field);
    case FIELD_FLOAT_DATA:
    case FIELD_DOUBLE_DATA:
    case FIELD_INT32_DATA:
    case FIELD_INT64_DATA:
        return note_payload(payload, field);
    case FIELD_DATA_LOCATION:
        tensor->is_external = field->integer == 1;
        return field->wire == PROTOWIRE_VARINT;
    case FIELD_EXTERNAL_DATA:
        return field->wire == PROTOWIRE_BYTES && read_external(tensor, field);
    default:
        return true;
    }
}

/* Which typed field carries the elements of a type, by onnx.proto. */
static uint32_t typed_field(uint32_t element_type)
{
    switch (element_type) {
    case NAPM_F32:
        return FIELD_FLOAT_DATA;
    case NAPM_F64:
        return FIELD_DOUBLE_DATA;
    case NAPM_I64:
        return FIELD_INT64_DATA;
    default:
        return FIELD_INT32_DATA;
    }
}

/* Stores one varint-coded element at position i. */
static void store_integer(const struct tensor_proto *tensor, uint64_t i, uint64_t value)
{
    size_t element_bytes = graph_element_bytes(tensor->element_type);
    uint64_t wide = value;
    uint32_t narrow = (uint32_t)value;
    uint8_t byte = (uint8_t)value;
    const void *from = element_bytes == 8 ? (const void *)&wide : element_bytes == 4 ? (const void *)&narrow : &byte;
    memcpy((uint8_t *)tensor->owned + i * element_bytes, from, element_bytes);
}

/* Decodes the elements of one field; adds their number to *count, which must not pass `limit`. */
static bool decode_field(const struct tensor_proto *tensor, const struct protowire_field *field, uint64_t *count,
                         uint64_t limit)
{
    size_t element_bytes = graph_element_bytes(tensor->element_type);
    bool is_real = tensor->element_type == NAPM_F32 || tensor->element_type == NAPM_F64;
    if (is_real) {
        uint64_t elements = field->size / element_bytes;
        if (field->wire == PROTOWIRE_VARINT || field->size % element_bytes || elements > limit - *count)
            return false;
        memcpy((uint8_t *)tensor->owned + *count * element_bytes, field->bytes, field->size);
        *count += elements;
        return true;
    }
    struct protowire packed = {field->bytes, field->bytes + field->size};
    if (field->wire != PROTOWIRE_BYTES && field->wire != PROTOWIRE_VARINT)
        return false;
    while (packed.at < packed.end) {
        uint64_t value;
        if (*count == limit || !protowire_varint(&packed, &value))
            return false;
        store_integer(tensor, (*count)++, value);
    }
    return true;
}

static bool decode(const uint8_t *bytes, size_t size, const struct tensor_proto *tensor, uint32_t number,
                   uint64_t elements)
{
    struct protowire cursor = {bytes, bytes + size};
    struct protowire_field field;
    uint64_t count = 0;
    while (protowire_next(&cursor, &field) == 1)
        if (field.number == number && !decode_field(tensor, &field, &count, elements))
            return false;
    return count == elements;
}

/* Finds the data of a tensor whose type and shape are known and which is not external. */
static int locate_data(const uint8_t *bytes, size_t size, const struct payload *payload, uint64_t elements,
                       struct tensor_proto *tensor, struct error *error)
{
    bool in_place =
        payload->field == FIELD_RAW_DATA || tensor->element_type == NAPM_F32 || tensor->element_type == NAPM_F64;
    if (payload->field != 0 && payload->field != FIELD_RAW_DATA && payload->field != typed_field(tensor->element_type))
        return invalid(tensor, error, "its data is in a field that does not belong to its element type");
    if (payload->field == 0 && elements == 0)
        return 0;
    if (payload->field != 0 && in_place && !payload->scattered) {
        tensor->data = payload->block;
        return payload->block_bytes == tensor->bytes ? 0 : invalid(tensor, error, "its data does not fit its shape");
    }
    /* Each element takes at least one byte of the file, so a small file cannot ask for much. */
    if (payload->field == 0 || payload->field == FIELD_RAW_DATA || elements > size)
        return invalid(tensor, error, "its data does not fit its shape");
    tensor->owned = memory_try_aligned(tensor->bytes ? tensor->bytes : 1);
    if (!tensor->owned)
        return error_set(error, ERROR_RUN, "no memory for a tensor of %llu bytes", (unsigned long long)tensor->bytes);
    tensor->data = tensor->owned;
    if (decode(bytes, size, tensor, payload->field, elements))
        return 0;
    free(tensor->owned);
    tensor->owned = NULL;
    return invalid(tensor, error, "its data does not fit its shape");
}

int tensor_proto_read(const uint8_t *bytes, size_t size, struct tensor_proto *tensor, struct error *error)
{
    struct protowire cursor = {bytes, bytes + size};
    struct protowire_field field;
    struct payload payload = {0};
    int more;
    memset(tensor, 0, sizeof(*tensor));
    while ((more = protowire_next(&cursor, &field)) == 1)
        if (!read_field(tensor, &payload, &field))
            return invalid(tensor, error, "a field is malformed; the file is corrupt");
    if (more < 0)
        return invalid(tensor, error, "the tensor is truncated or corrupt");
    if (graph_element_bytes(tensor->element_type) == 0)
        return unsupported(tensor, error);
    int64_t elements = graph_shape_elements(tensor->element_type, tensor->rank, tensor->dims);
    if (elements < 0)
        return invalid(tensor, error, "its shape is absurd (a negative or enormous dimension)");
    tensor->bytes = (uint64_t)elements * graph_element_bytes(tensor->element_type);
    if (!tensor->is_external)
        return locate_data(bytes, size, &payload, (uint64_t)elements, tensor, error);
    if (tensor->location[0] == '\0')
        return invalid(tensor, error, "is external data without a location");
    return 0;
}
