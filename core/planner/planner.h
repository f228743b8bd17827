/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planning: makes the problem from scenario and profiles, offers the delay evaluator, calls the partitioner, checks
 * its plan.
 */
#ifndef NAPM_PLANNER_PLANNER_H
#define NAPM_PLANNER_PLANNER_H

#include <stdatomic.h>

#include <napm/problem.h>

#include "core/base/error.h"
#include "core/model/order.h"
#include "core/plugin/catalogue.h"
#include "core/scenario/scenario.h"

struct planner;

/*
 * `layer_ns[node][model]` points to that model's measured layer times on that node, or is NULL where not profiled.
 * One row more stands behind the nodes': by model, what each further job of a batch adds at the station; or NULL.
 * Everything given stays valid and unchanged until planner_free. Makes scheduler and arrival instances of its own for
 * the evaluator, in virtual time. `cancel` may be NULL.
 */
struct planner *planner_new(const struct scenario *scenario, struct catalogue *catalogue,
                            const int64_t *const *const *layer_ns, const atomic_bool *cancel, struct error *error);
/* The same for a run whose seed is not the scenario's: what is predicted are that run's arrivals. */
struct planner *planner_new_seeded(const struct scenario *scenario, struct catalogue *catalogue,
                                   const int64_t *const *const *layer_ns, uint64_t seed, const atomic_bool *cancel,
                                   struct error *error);
void planner_free(struct planner *planner);
const struct napm_problem *planner_problem(const struct planner *planner);

/* A checked plan with its prediction. Arrays by stream. */
struct plan {
    const char *partitioner; /* name and version as "name version" */
    uint32_t stream_count;
    uint32_t *cuts; /* 0..layer_count: so many layers run on the stream's device */
    uint32_t *way_cuts, **orders; /* the placement: see plan_placements; no way_cuts where the plan is none */
    uint64_t *cut_bytes;
    struct napm_phases *predicted; /* mean phases */
    double predicted_total_ns, predicted_mean_ns, predicted_variance_ns2;
    double predicted_energy_j; /* mean of a task, by the nodes' power models; 0 where there are none */
    double predicted_objective; /* the scenario's */
    int64_t planning_ns; /* what the partitioner took */
};

/* Calls the partitioner; checks; evaluates. NULL on error (ERROR_PLUGIN where the plugin's plan is none). */
struct plan *planner_plan(struct planner *planner, const struct plugin_choice *partitioner, struct error *error);
/* The prediction for given cuts, by stream: what is behind them runs at the station. */
struct plan *planner_evaluate(struct planner *planner, const uint32_t *cuts, const char *label, struct error *error);
void plan_free(struct plan *plan);

static inline struct placements plan_placements(const struct plan *plan)
{
    return (struct placements){plan->way_cuts, (const uint32_t *const *)plan->orders};
}

#endif
