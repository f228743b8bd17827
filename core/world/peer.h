/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's side of one agent: its control and data connections, what it said, and whether it is still there.
 * How it was started is not known here, except that a local process is reaped. Belongs to the thread that runs the
 * event base.
 */
#ifndef NAPM_WORLD_PEER_H
#define NAPM_WORLD_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <event2/event.h>

#include "core/base/error.h"
#include "core/wire/control.h"
#include "core/wire/frame.h"

struct peer;

/* What the owner does with what comes. -1 with an error set: the peer has broken the protocol and is lost. */
struct peer_owner {
    void *context;
    int64_t silence_ns; /* a peer that is not heard for so long is lost; agents give a sign of life every second */
    int (*message)(void *context, struct peer *peer, const Wire__Message *message, struct error *error);
    int (*frame_begin)(void *context, struct peer *peer, const struct frame_header *header, int64_t **layer_ns,
                       void **payload, struct error *error);
    int (*frame_end)(void *context, struct peer *peer, const struct frame_header *header, struct error *error);
    void (*lost)(void *context, struct peer *peer); /* cause is set; called once, never from within the others */
};

/* A frame that the socket has not taken whole yet. Embedded in what it belongs to. */
struct peer_outgoing {
    uint8_t raw[FRAME_HEADER_BYTES];
    const uint8_t *payload; /* padded; the owner keeps it until `sent` */
    size_t payload_bytes, at;
    bool owned; /* freed when sent */
    struct peer_outgoing *next;
};

struct peer {
    uint32_t node;
    const char *name;
    struct event_base *base;
    const struct peer_owner *owner;
    pid_t pid; /* -1: reaped, or no process of ours */
    struct control control;
    struct event *control_event, *data_event, *write_event;
    int data_fd; /* -1: not connected */
    struct frame_reader reader;
    pthread_mutex_t send_lock; /* guards data_fd against closing while a worker sends, and the queue */
    struct peer_outgoing *first_out, **last_out;
    int64_t heard_ns; /* when it last gave a sign of life */
    int64_t broken_ns; /* when a connection was found to be useless; 0: none */
    bool open, lost;
    char *complaint; /* what its last Error message said */
    enum error_kind complaint_kind;
    char cause[640]; /* why it is lost: "node pi1 is gone: ..." */
    uint64_t received_bytes, sent_bytes; /* of tasks' tensors */
};

/* Takes the control connection and the process over. `name` and `owner` stay the caller's. */
void peer_open(struct peer *peer, struct event_base *base, uint32_t node, const char *name, pid_t pid, int control_fd,
               const struct peer_owner *owner);

/* Says Stop where the peer is still there, waits, and frees. Harmless on one that was never opened. */
void peer_stop(struct peer *peer); /* only says it: so that all end at the same time */
void peer_close(struct peer *peer);

/* Ends the process and leaves everything else as it is: another thread may be using it. */
void peer_kill(struct peer *peer);

/* Takes over the connected socket. */
void peer_connect_data(struct peer *peer, int fd);

/* A message; where it cannot be sent, the peer will be lost. */
void peer_tell(struct peer *peer, const Wire__Message *message);

/*
 * From any thread: a frame whose content the peer may keep no pointer to, without waiting. Nothing of it goes where others
 * are queued or the connection has ended: use peer_send. Where only part of it went, the rest waits for peer_go_on.
 */
enum peer_sent { PEER_SENT_NOTHING, PEER_SENT_PART, PEER_SENT_ALL };
enum peer_sent peer_send_now(struct peer *peer, const struct frame_header *header, const void *payload);

/* What other threads have queued goes when the socket takes it. */
void peer_go_on(struct peer *peer);

/* A frame, without waiting: what the socket does not take now goes later. */
void peer_send(struct peer *peer, struct peer_outgoing *out, const struct frame_header *header, const void *payload);

/* Forgets what waits to be sent; nothing may be sent to it afterwards. */
void peer_forget(struct peer *peer);

/* As peer_send, but what the socket does not take now is copied: nothing of the caller's has to stay. */
void peer_send_copy(struct peer *peer, const struct frame_header *header, const void *payload);

/* A frame, waiting until the socket has taken it: for times when nothing else goes on. */
int peer_send_whole(struct peer *peer, struct frame_header *header, const void *const *tensors,
                    const uint64_t *tensor_bytes, uint32_t tensor_count, struct error *error);

/* Ends a peer: finds out how it ended, or kills it, and tells the owner. Once. */
void peer_lose(struct peer *peer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Nobody has listened for a while: what was not heard meanwhile is not held against the peer. */
void peer_resume(struct peer *peer);

/* Now and then: loses a peer that is silent, or whose data connection has gone. */
void peer_check(struct peer *peer, int64_t now_ns);

#endif
