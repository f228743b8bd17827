/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Greedy descent over the cuts of all streams, as in Kafetzis and Koutsopoulos, "Demo: An Experimental Platform for AI
 * Model Partitioning on Resource-constrained Devices", MobiHoc 2024, and their earlier work that it builds on (our
 * reading): in each round every change of one stream's cut is evaluated under contention, and the best one is made;
 * the descent ends when none is better.
 */
#ifndef NAPM_PLUGINS_PARTITIONER_GREEDY_H
#define NAPM_PLUGINS_PARTITIONER_GREEDY_H

#include <napm/partitioner.h>

struct greedy_score {
    double total_ns;
    double variance_ns2;
};

/* 1 where `a` is to be preferred to `b`. `goal` is the caller's. */
typedef int (*greedy_better_fn)(const void *goal, struct greedy_score a, struct greedy_score b);

struct greedy {
    const struct napm_host *host;
    const struct napm_problem *problem;
    const struct napm_evaluator *evaluator;
    struct napm_plan *plan; /* always holds `cuts` between calls */
    uint32_t *cuts;
    struct greedy_score score; /* of `cuts` */
    /* The least total delay that any evaluation has found, and its cuts. */
    struct greedy_score least;
    uint32_t *least_cuts;
};

/* Each returns a status, with the host's error text set. greedy_end is called in any case. */
int32_t greedy_begin(struct greedy *greedy, const struct napm_host *host, const struct napm_problem *problem,
                     const struct napm_evaluator *evaluator, struct napm_plan *plan);
void greedy_end(struct greedy *greedy);

/* Starts anew from the given cuts (which may be greedy->least_cuts). */
int32_t greedy_start(struct greedy *greedy, const uint32_t *cuts);

/* Descends from the present cuts until no change of one stream's cut is better. */
int32_t greedy_descend(struct greedy *greedy, greedy_better_fn better, const void *goal);

/*
 * The two starts, each stream's best cut in isolation and all-local (or the last feasible cut), each followed by a
 * descent in total delay; then the least total found is the present plan. A plan that leaves all to the station is
 * descended from too where it beats both ends, so that the result is never worse than any of the baselines.
 */
int32_t greedy_least_delay(struct greedy *greedy);

#endif
