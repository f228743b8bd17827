/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of a stream on this device: its segment, and all that a task of it needs. One thread: that of the compute; but
 * the rooms, and what links and names it, are guarded by the work's lock.
 */
#ifndef NAPM_AGENT_PART_H
#define NAPM_AGENT_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/memory.h"
#include "core/compute/compute.h"
#include "core/wire/control.h"

struct engine;

struct part {
    struct part *next;
    struct engine *engine;
    uint32_t stream, number, layer_count;
    bool on_the_way; /* its tensors come with each task */
    bool ends_here, sends_result; /* the segment ends with the last layer */
    struct compute_segment *segment;
    struct compute_execution *execution;
    const struct napm_model *model;
    uint8_t *incoming; /* the room that is being filled with the tensors of a task on its way */
    ARRAY_OF(uint8_t *) free_rooms;
    uint64_t arriving_payload_bytes, result_payload_bytes;
    const void **arriving, **leaving;
    uint64_t *leaving_bytes;
    uint32_t leaving_count;
    int64_t *layer_ns;
};

/* Packs the layers; what it computes on is to be said by part_point_at. NULL on error. */
struct part *part_new(struct compute *compute, const struct model *model, const Wire__StreamPlan *plan,
                      struct error *error);
void part_free(struct part *part);

/* Where the tensors of the next task are, padded as in a frame. */
void part_point_at(struct part *part, uint8_t *payload);
int part_compute(struct part *part, struct error *error);
uint64_t part_digest(const struct part *part); /* of what the last task came to */

#endif
