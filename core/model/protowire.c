/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol buffers' wire format, read in place. */
#include "core/model/protowire.h"

bool protowire_varint(struct protowire *cursor, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && cursor->at < cursor->end; shift += 7) {
        uint8_t byte = *cursor->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static uint64_t little_endian(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

int protowire_next(struct protowire *cursor, struct protowire_field *field)
{
    if (cursor->at == cursor->end)
        return 0;
    uint64_t tag;
    if (!protowire_varint(cursor, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return -1;
    *field = (struct protowire_field){.number = (uint32_t)(tag >> 3), .wire = tag & 7, .bytes = cursor->at};
    uint64_t length;
    switch (field->wire) {
    case PROTOWIRE_VARINT:
        if (!protowire_varint(cursor, &field->integer))
            return -1;
        field->size = (size_t)(cursor->at - field->bytes);
        return 1;
    case PROTOWIRE_64:
    case PROTOWIRE_32:
        length = field->wire == PROTOWIRE_64 ? 8 : 4;
        break;
    case PROTOWIRE_BYTES:
        if (!protowire_varint(cursor, &length))
            return -1;
        field->bytes = cursor->at;
        break;
    default:
        return -1;
    }
    if (length > (uint64_t)(cursor->end - cursor->at))
        return -1;
    field->size = (size_t)length;
    if (field->wire != PROTOWIRE_BYTES)
        field->integer = little_endian(field->bytes, field->size);
    cursor->at += length;
    return 1;
}

bool protowire_depth_ok(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, unsigned depth)
{
    struct protowire cursor = {bytes, bytes + size};
    struct protowire_field field;
    int more;
    while ((more = protowire_next(&cursor, &field)) == 1) {
        const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(type, field.number);
        if (!known || known->type != PROTOBUF_C_TYPE_MESSAGE || field.wire != PROTOWIRE_BYTES)
            continue;
        if (depth == 0 || !protowire_depth_ok(known->descriptor, field.bytes, field.size, depth - 1))
            return false;
    }
    return more == 0;
}
