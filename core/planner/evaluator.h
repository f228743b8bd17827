/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delay evaluator: a problem's plan run in virtual time, with the scenario's arrivals and scheduler.
 *
 * What is evaluated: of each stream its first tasks, as the run will make them, without the warm-up tasks. A search
 * (struct napm_evaluator) looks at min(tasks, EVALUATOR_TASKS / streams) of them, but no fewer than
 * EVALUATOR_LEAST_TASKS a stream, so that an evaluation stays cheap; a prediction looks at EVALUATOR_PREDICTED_TASKS
 * in all. Links have the mean of their delay (jitter and repairs included) instead of chance. Arrivals have the
 * problem's seed: they are those of the run. A load generator that waits for tasks to end, or says that it has no
 * interval, is made anew for each evaluation; all others are asked once. The scheduler is made anew for each
 * evaluation, so that equal plans give equal answers whatever it remembers.
 *
 * Memory: a node holds the weights of each distinct (model, set of layers) once, and the activations of every stream; on a device
 * that is passed on the way (a relay) each stream has weights of its own.
 */
#ifndef NAPM_PLANNER_EVALUATOR_H
#define NAPM_PLANNER_EVALUATOR_H

#include <stdatomic.h>

#include "core/model/order.h"
#include "core/planner/problem.h"

#define EVALUATOR_TASKS 512
#define EVALUATOR_LEAST_TASKS 16
#define EVALUATOR_PREDICTED_TASKS 20000

struct evaluator;

/* `problem` gets its streams' interval_ns; it outlives the evaluator. `cancel` may be NULL. One thread. */
struct evaluator *evaluator_new(struct problem *problem, struct catalogue *catalogue, const atomic_bool *cancel,
                                struct error *error);
void evaluator_free(struct evaluator *evaluator);

/* What a partitioner gets. */
const struct napm_evaluator *evaluator_table(const struct evaluator *evaluator);

/* Cuts of a placement: one for each device on each stream's way. */
uint32_t evaluator_cut_count(const struct evaluator *evaluator);

/* Fills `cuts` where the layers before a stream's cut run on its device and all others at the station. */
void evaluator_spread(const struct evaluator *evaluator, const uint32_t *cut_of_stream, uint32_t *cuts);

/* Runs a prediction. *result's size and phases are set by the caller. An infeasible plan is no error. */
int evaluator_predict(struct evaluator *evaluator, const struct placements *placements, struct napm_evaluation *result,
                      struct error *error);

/*
 * Reads where a plan has one stream's layers run: fills its cuts, and returns 0 where they are cuts of the model's own
 * order, 1 where they are of `order`, which is filled too (room for all layers), and -1 where a node is not on the
 * stream's way, or a layer needs what is made farther up: *fault says which, or has NAPM_NONE for both.
 */
int evaluator_read_way(const struct napm_problem *problem, uint32_t stream, const uint32_t *node_of_layer,
                       uint32_t *order, uint32_t *cuts, struct order_fault *fault);

/* A node whose memory does not suffice for the placement, with what it needs; or NAPM_NONE. */
uint32_t evaluator_find_overfull(struct evaluator *evaluator, const struct placements *placements,
                                 uint64_t *need_bytes);

/* A stream with layers on a node that was not profiled for them; or NAPM_NONE. */
uint32_t evaluator_find_unable(const struct evaluator *evaluator, const struct placements *placements);

/* Why an evaluation failed since the last call: moves it to *error and returns -1; 0 where none did. */
int evaluator_take_failure(struct evaluator *evaluator, struct error *error);

#endif
