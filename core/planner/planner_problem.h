/* SPDX-License-Identifier: Apache-2.0 */
/* Planning for a problem that was not made from a scenario: measurements and tests. */
#ifndef NAPM_PLANNER_PLANNER_PROBLEM_H
#define NAPM_PLANNER_PLANNER_PROBLEM_H

#include "core/planner/planner.h"
#include "core/planner/problem.h"

/* Takes the problem over: it ends with the planner, or at once on error. */
struct planner *planner_new_on(struct problem *problem, struct catalogue *catalogue, const atomic_bool *cancel,
                               struct error *error);

#endif
