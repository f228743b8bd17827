/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a world has to tell while it drives, carried from the driving thread to the run's thread: so what the run does
 * with a record (writing a database) never delays a frame. Items are used again: none is allocated after warm-up.
 */
#ifndef NAPM_WORLD_OUTBOX_H
#define NAPM_WORLD_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/world/world.h"

struct outbox;

/* The most that a record has of each. */
struct outbox *outbox_new(uint32_t layers_max, uint32_t hops_max);
void outbox_free(struct outbox *outbox);

/* From the driving thread. The record and its texts are copied. */
void outbox_task(struct outbox *outbox, const struct task_record *record);
void outbox_sample(struct outbox *outbox, const struct node_sample *sample);
void outbox_node_lost(struct outbox *outbox, uint32_t node, const char *cause);
void outbox_taken(struct outbox *outbox, uint32_t plan, uint32_t stream, int64_t at_ns);
void outbox_progress(struct outbox *outbox, uint64_t done, uint64_t of);
void outbox_end(struct outbox *outbox); /* nothing more will come */

/*
 * From the run's thread: hands everything to the sink as it comes; returns true after outbox_end, or false when `beat`,
 * which the driving thread changes all the time, has not changed for `silence_ns`.
 */
bool outbox_deliver(struct outbox *outbox, const struct world_sink *sink, atomic_uint *beat, int64_t silence_ns);

#endif
