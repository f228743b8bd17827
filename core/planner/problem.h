/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The partitioning problem: what partitioners see of it (struct napm_problem), and what only the evaluator needs.
 */
#ifndef NAPM_PLANNER_PROBLEM_H
#define NAPM_PLANNER_PROBLEM_H

#include <napm/problem.h>

#include "core/base/error.h"
#include "core/link/link.h"
#include "core/scenario/arena.h"
#include "core/scenario/scenario.h"

/* Beside view.streams[i]. */
struct problem_stream {
    const struct scenario_cut *cuts; /* memory by c; NULL: not looked at */
    const struct model *source; /* the model file; NULL: `cuts` is all that is known of memory */
    uint32_t model; /* equal numbers share the weights of equal cuts */
    struct plugin_choice arrivals;
    const int64_t *starts_ns; /* as scenario_stream has them */
    uint32_t start_count;
};

/* Constant while a planner uses it. */
struct problem {
    struct napm_problem view;
    const struct link_spec *links; /* by link */
    const struct problem_stream *streams;
    struct napm_problem_stream *stream_views; /* view.streams point here: the evaluator fills interval_ns in */
    struct plugin_choice scheduler;
    uint32_t model_count;
    uint32_t workers; /* of the station */
    uint32_t warmup_tasks; /* first tasks of each stream that do not count */
    uint64_t seed;
    struct arena arena;
};

/*
 * Makes the problem of a scenario. `layer_ns` as for planner_new. A part that its node was not profiled for is not
 * feasible there. NULL where a stream has no feasible cut.
 */
struct problem *problem_new(const struct scenario *scenario, const int64_t *const *const *layer_ns,
                            struct error *error);
void problem_free(struct problem *problem);

#endif
