/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's data connection: made by the main thread, written by any, and read by a thread of its own, which sleeps in
 * the socket: so nothing stands between a frame's arrival and the time at which it is said to have come.
 */
#ifndef NAPM_AGENT_DATA_H
#define NAPM_AGENT_DATA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/wire/frame.h"

struct data_link {
    int fd; /* -1: not connected */
    pthread_mutex_t send_lock;
    struct frame_reader reader; /* the reading thread's, as what follows */
    int64_t look_from_ns, look_until_ns; /* it looks out for what is to come then; until 0: no */
    struct frame_receiver receiver;
    pthread_t thread;
    bool is_read; /* the thread has been started */
    void (*ended)(void *context, const struct error *why);
    atomic_uint_fast64_t sent_bytes, received_bytes; /* of tasks' tensors */
};

void data_init(struct data_link *data);
void data_close(struct data_link *data); /* after data_stop */

/* Connects to the controller's listener and shows the run's secret. Takes 5 s at most. */
int data_connect(struct data_link *data, const char *host, uint16_t port, const uint8_t secret[FRAME_SECRET_BYTES],
                 uint32_t node_index, struct error *error);

/*
 * Starts the thread that hands all frames to the receiver, whose context goes to `ended` too: called once, on that
 * thread, when the connection is of no use any more.
 */
int data_listen(struct data_link *data, const struct frame_receiver *receiver,
                void (*ended)(void *context, const struct error *why), struct error *error);
void data_stop(struct data_link *data); /* ends the thread, and with it the connection; harmless where there is none */

/*
 * Something is likely to come between these times: the thread then looks for it instead of sleeping in the socket, which
 * takes tens of microseconds to wake from. From the receiver only.
 */
void data_expect(struct data_link *data, int64_t from_ns, int64_t until_ns);

/* Sends one frame whole. sent_ns is stamped here. */
int data_send(struct data_link *data, struct frame_header *header, const int64_t *layer_ns, const void *const *tensors,
              const uint64_t *tensor_bytes, uint32_t tensor_count, struct error *error);

#endif
