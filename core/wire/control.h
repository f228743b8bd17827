/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control connection: protobuf messages over one byte stream (a socket pair, or the two pipes of an SSH channel),
 * each after its length in 4 bytes, little-endian. What arrives is not trusted: lengths are bounded, and a message that
 * does not decode ends the connection.
 */
#ifndef NAPM_WIRE_CONTROL_H
#define NAPM_WIRE_CONTROL_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/wire/agent.pb-c.h"

#define WIRE_PROTOCOL 3u
#define CONTROL_MESSAGE_BYTES_MAX (4u << 20)
#define CONTROL_SEND_LIMIT_NS (INT64_C(5000000000)) /* a peer that takes nothing for so long has gone; at first */

/* Called for each message, which is only valid during the call. -1 (with the error set) ends the reading. */
typedef int (*control_handler)(void *context, const Wire__Message *message, struct error *error);

/* Turns bytes into messages. No allocation for messages of ordinary size once the first has been seen. */
struct control_parser {
    uint8_t *bytes;
    size_t used, room;
    uint8_t *arena; /* messages are unpacked into it */
    size_t arena_used;
};

void control_parser_init(struct control_parser *parser);
void control_parser_free(struct control_parser *parser);
/* Takes bytes as they come, in any portions. -1: the handler's error, or malformed input; nothing may be fed after it. */
int control_parser_feed(struct control_parser *parser, const void *bytes, size_t count, control_handler handler,
                        void *context, struct error *error);

struct control {
    int read_fd, write_fd; /* may be the same; closed by control_close; -1: none */
    pthread_mutex_t send_lock;
    int64_t send_limit_ns; /* how long sending may wait for the peer to take some of it */
    struct control_parser parser;
};

void control_open(struct control *control, int read_fd, int write_fd);
void control_close(struct control *control);

/* Reads what is there (waits where nothing is) and hands the messages on. 1: go on; 0: the peer has closed; -1: error. */
int control_read(struct control *control, control_handler handler, void *context, struct error *error);

/* Sends one message, whole. From any thread. */
int control_send(struct control *control, const Wire__Message *message, struct error *error);
/* The message that says what went wrong. */
int control_send_error(struct control *control, const struct error *why, struct error *error);

#endif
