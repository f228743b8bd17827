/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of the data connection: a fixed header, layer times, tensors. Tensors go as they lie in memory (dense row-major,
 * in the byte order that all machines of today's scenarios share, little-endian), each padded to FRAME_ALIGN bytes, so
 * that a receiver can compute on them where they arrived. What arrives is not trusted: everything is bounded, and the
 * receiver says for each header where, and whether, its content is to go.
 */
#ifndef NAPM_WIRE_FRAME_H
#define NAPM_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/base/error.h"

#define FRAME_HEADER_BYTES 96
#define FRAME_ALIGN 64u
#define FRAME_LAYERS_MAX (1u << 16)
#define FRAME_PAYLOAD_BYTES_MAX (UINT64_C(1) << 31)
#define FRAME_SECRET_BYTES 32
#define FRAME_AHEAD_BYTES 4096 /* read together with a header: small frames cost one system call */
#define FRAME_EXPECT_NS_MAX (INT64_C(2000000)) /* so long is looked out for what is expected, at most */
#define FRAME_SEND_LIMIT_NS (INT64_C(10000000000)) /* a peer that takes nothing for so long has gone */

enum frame_kind {
    FRAME_HELLO = 1, /* agent's first: payload is the secret, `stream` the node's index */
    FRAME_INPUT, /* to the agent: input tensors of a stream */
    FRAME_TASK, /* from the agent: its part of a task is done; payload what leaves, or none. To it: what its part needs */
    FRAME_RESULT, /* to the agent: a task's result */
    FRAME_RETURNED, /* from the agent: the result of a task came in at ended_ns */
    FRAME_PROBE, /* either way: filler, of link `stream` */
    FRAME_PROBED, /* from the agent: a probe, sent at sent_ns, came in at ended_ns */
    FRAME_AHEAD, /* to the agent: the content of a RESULT or PROBE frame that follows without it */
    FRAME_EXPECT, /* to the agent: a result is likely to come between started_ns and ended_ns of its clock */
    FRAME_KIND_COUNT
};

struct frame_header {
    uint32_t kind;
    uint32_t stream;
    uint64_t task;
    uint64_t payload_bytes; /* with padding */
    uint32_t layer_count; /* of layer times */
    uint32_t tensor_count;
    uint32_t part; /* of a TASK to the agent: by which of the stream's parts there */
    int64_t sent_ns;
    int64_t due_ns, started_ns, ended_ns; /* of the device's part; sender's monotonic clock */
    uint64_t digest; /* of the task's output, where it ends on the device */
    uint64_t tensor_bytes; /* without padding */
};

static inline uint64_t frame_padded(uint64_t bytes)
{
    return (bytes + FRAME_ALIGN - 1) / FRAME_ALIGN * FRAME_ALIGN;
}

void frame_encode(const struct frame_header *header, uint8_t bytes[FRAME_HEADER_BYTES]);
int frame_decode(const uint8_t bytes[FRAME_HEADER_BYTES], struct frame_header *header, struct error *error);

/*
 * A receiver. `begin` is called when a header has arrived, and stores where its layer times and payload are to go (room
 * for layer_count numbers and payload_bytes; not asked for where the count is 0); -1 refuses the frame and so the
 * connection. `end` is called when all has arrived.
 */
struct frame_receiver {
    void *context;
    int (*begin)(void *context, const struct frame_header *header, int64_t **layer_ns, void **payload,
                 struct error *error);
    int (*end)(void *context, const struct frame_header *header, struct error *error);
};

struct frame_reader {
    uint8_t raw[FRAME_HEADER_BYTES];
    size_t raw_got;
    bool in_content;
    struct frame_header header;
    uint8_t *layers, *payload;
    size_t layers_got, layers_bytes, payload_got, payload_bytes;
    uint8_t ahead[FRAME_AHEAD_BYTES];
    bool waits; /* reading waits for bytes: the socket's reader has nothing else to do */
    uint64_t received_bytes; /* in all */
};

void frame_reader_init(struct frame_reader *reader);

/* The state machine by itself: where the next bytes go (never more than this frame's), and that so many have come. */
int frame_reader_room(struct frame_reader *reader, struct iovec pieces[2]); /* how many pieces */
int frame_reader_advance(struct frame_reader *reader, size_t count, const struct frame_receiver *receiver,
                         struct error *error);

/*
 * Reads what is there from a socket; waits only where the reader was told to, and nothing is there. 1: go on; 0: the peer
 * has closed between frames; -1: error.
 */
int frame_read(struct frame_reader *reader, int fd, const struct frame_receiver *receiver, struct error *error);

/*
 * Sends a frame whole; waits where the peer is slow. payload_bytes, tensor_count and tensor_bytes are filled from the
 * tensors. One thread at a time.
 */
int frame_send(int fd, struct frame_header *header, const int64_t *layer_ns, const void *const *tensors,
               const uint64_t *tensor_bytes, uint32_t tensor_count, struct error *error);

/* Compares in a time that does not depend on the content. */
bool frame_secret_equal(const uint8_t *a, const uint8_t *b);

#endif
