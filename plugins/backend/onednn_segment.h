/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments and executions: the steps of some layers with their packed weights, and the memory of one task.
 *
 * A segment turns the plan's steps into a list of items with every address settled as an offset: weights in one
 * region, activations in an arena in which tensors that are never alive together share bytes. An execution is that
 * arena with the items' calls tied to it, so that running a task allocates nothing.
 */
#ifndef ONEDNN_SEGMENT_H
#define ONEDNN_SEGMENT_H

#include "onednn_plan.h"

struct segment;
struct execution;

struct segment *segment_new(const struct plan *plan, const struct napm_segment *what, struct reason *why);
void segment_free(struct segment *segment);
uint64_t segment_weight_bytes(const struct segment *segment);
uint64_t segment_activation_bytes(const struct segment *segment);

struct execution *execution_new(const struct segment *segment, struct reason *why);
void execution_free(struct execution *execution);
void execution_start(struct execution *execution, const void *const *inputs);

/* Sets this thread to the number of threads that the model was prepared for, and gathers them. */
void execution_use_threads(const struct execution *execution);

/*
 * Runs the next layer of each of `count` executions of one segment that have run equally many: each gets what it gets by
 * itself, bit for bit. 0, -1 with the reason, or 1 where no layer is left.
 */
int execution_run_layer(struct execution *const *executions, uint32_t count, struct reason *why);
void execution_outputs(const struct execution *execution, const void **outputs);

#endif
