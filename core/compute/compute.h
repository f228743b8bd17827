/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's compute engine: a backend instance that prepares models, holds segments, runs layers at the node's speed,
 * and profiles. The agent, the station's workers and `napm model` all compute through it. One thread.
 */
#ifndef NAPM_COMPUTE_COMPUTE_H
#define NAPM_COMPUTE_COMPUTE_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/model/layer_time.h"
#include "core/model/model.h"
#include "core/model/order.h"
#include "core/plugin/catalogue.h"

struct compute; /* one backend instance */
struct compute_model; /* a model prepared on it */
struct compute_segment; /* layers at places first..last-1 of an order, packed */
struct compute_execution; /* one task's activations */

struct compute_settings {
    struct plugin_choice backend;
    uint32_t threads;
    double cpu_share; /* 1: as fast as it goes; 0.25: each layer takes 4 times its processor time */
    struct instance_host host;
    const atomic_bool *stop; /* NULL, or asked before each layer: true ends the run with ERROR_CANCELLED */
};

struct compute *compute_open(struct catalogue *catalogue, const struct compute_settings *settings, struct error *error);
void compute_close(struct compute *compute);
/* A new share, from the next layer on; from any thread. */
void compute_set_share(struct compute *compute, double cpu_share);
const struct instance *compute_instance(const struct compute *compute);

/* "NAME VERSION" of a backend, and in brackets where its times come from if it does not compute: "replay 1.0.0 (estimated)".
 * free() it. */
char *compute_label(const struct instance *backend);

/* Whether the backend can compute every operator of a model, without preparing it. -1: the error names the first. */
int compute_supports(struct compute *compute, const struct model *model, struct error *error);
/* Checks that every operator is supported first (the error names node, operator, opset). The same model is prepared once. */
struct compute_model *compute_prepare(struct compute *compute, const struct model *model, struct error *error);
/* Frees a prepared model with its segments and executions (all put back) before the compute is closed. */
void compute_release(struct compute_model *model);

/*
 * Segments are shared: asking again for the same places of the same order (see core/model/order.h; NULL: the model's own)
 * returns the same one. Freed with the compute. An empty one (first == last) only passes its inputs through.
 */
struct compute_segment *compute_segment(struct compute_model *model, const uint32_t *order, uint32_t first,
                                        uint32_t last, struct error *error);
/* Said as often as the segment was asked for, it is freed; its executions have been put back. */
void compute_segment_give_up(struct compute_segment *segment);
const struct model_part *compute_segment_part(const struct compute_segment *segment);
int compute_segment_memory(struct compute_segment *segment, uint64_t *weight_bytes, uint64_t *activation_bytes,
                           struct error *error);

/* Executions come from the segment's pool and go back to it: none is made after warm-up. */
struct compute_execution *compute_execution_take(struct compute_segment *segment, struct error *error);
void compute_execution_put(struct compute_execution *execution);
/*
 * One pointer for each tensor that arrives at the segment's first layer (model_part.arriving), dense row-major, valid
 * until the outputs have been used. Best aligned to 64 bytes: others are copied.
 */
int compute_start(struct compute_execution *execution, const void *const *inputs, struct error *error);
/* Runs the next `layers` layers, paced; layer_ns (may be NULL) receives the paced time of each. */
int compute_run(struct compute_execution *execution, uint32_t layers, int64_t *layer_ns, struct error *error);
/*
 * The same for several executions of one segment that have run equally many layers: together where the backend can, else
 * in turn, layer by layer. layer_ns receives the time of each layer for all of them.
 */
int compute_run_batch(struct compute_execution *const *batch, uint32_t count, uint32_t layers, int64_t *layer_ns,
                      struct error *error);
/* After the last layer: one pointer for each tensor that leaves (model_part.leaving), valid until the next start. */
int compute_outputs(struct compute_execution *execution, const void **outputs, struct error *error);

/* Paced times of every layer over `repeats` passes after `warmups`; calls `progress` (may be NULL) after each pass. */
int compute_profile(struct compute_model *model, uint32_t warmups, uint32_t repeats, struct layer_time *times,
                    void (*progress)(void *context, uint32_t done, uint32_t of), void *context, struct error *error);
/* The same for batches of so many. */
int compute_profile_batch(struct compute_model *model, uint32_t batch, uint32_t warmups, uint32_t repeats,
                          struct layer_time *times, void (*progress)(void *context, uint32_t done, uint32_t of),
                          void *context, struct error *error);

#endif
