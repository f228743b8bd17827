/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The partitioner hook: decides where each stream's model is cut.
 */
#ifndef NAPM_PARTITIONER_H
#define NAPM_PARTITIONER_H

#include <stdint.h>

#include <napm/problem.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NAPM_PARTITIONER_VERSION 1u

struct napm_partitioner {
    uint32_t size;
    uint32_t reserved;

    /*
     * Writes a placement of every stream into *plan (see struct napm_plan: all at the station to begin with).
     * Returns NAPM_OK, or a negative status after host->set_error. Called on one thread; may take long, and should
     * then return NAPM_ERR_CANCELLED soon after the evaluator has returned that.
     * The host checks the plan: node indices that exist, layers that need nothing from farther along their stream's
     * way, memory that suffices. A plan that fails is reported as a fault of the plugin.
     */
    int32_t (*plan)(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                    struct napm_plan *plan);
};

#ifdef __cplusplus
}
#endif

#endif /* NAPM_PARTITIONER_H */
