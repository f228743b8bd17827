/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocol buffers' wire format, read in place: one field after the other, without copying. This is what lets weights
 * stay in the mapped file; small messages are left to protobuf-c, after protowire_depth_ok has looked at them.
 */
#ifndef NAPM_MODEL_PROTOWIRE_H
#define NAPM_MODEL_PROTOWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

struct protowire {
    const uint8_t *at, *end;
};

/* Wire types of a field. */
enum { PROTOWIRE_VARINT = 0, PROTOWIRE_64 = 1, PROTOWIRE_BYTES = 2, PROTOWIRE_32 = 5 };

struct protowire_field {
    uint32_t number;
    uint32_t wire;
    uint64_t integer; /* of the varint and fixed-width types */
    const uint8_t *bytes; /* the payload: in the buffer, at any alignment */
    size_t size;
};

/* Reads the next field: 1, or 0 at the end, or -1 where the bytes are no valid field. */
int protowire_next(struct protowire *cursor, struct protowire_field *field);

/* Reads one varint; false at the end or where it is malformed. */
bool protowire_varint(struct protowire *cursor, uint64_t *value);

/*
 * Whether submessages nest no deeper than `depth` in a message of this type. protobuf-c recurses without a limit, so
 * untrusted bytes that may hold recursive messages pass here first.
 */
bool protowire_depth_ok(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, unsigned depth);

#endif
