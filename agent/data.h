/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's data connection: made by the main thread, written by any, read by the main thread. */
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
    struct frame_reader reader;
    atomic_uint_fast64_t sent_bytes, received_bytes; /* of tasks' tensors */
};

void data_init(struct data_link *data);
void data_close(struct data_link *data);

/* Connects to the controller's listener and shows the run's secret. Takes 5 s at most. */
int data_connect(struct data_link *data, const char *host, uint16_t port, const uint8_t secret[FRAME_SECRET_BYTES],
                 uint32_t node_index, struct error *error);

/* Sends one frame whole. sent_ns is stamped here. */
int data_send(struct data_link *data, struct frame_header *header, const int64_t *layer_ns, const void *const *tensors,
              const uint64_t *tensor_bytes, uint32_t tensor_count, struct error *error);

#endif
