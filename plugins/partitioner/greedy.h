/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Greedy descent over the cuts of all streams, as in Kafetzis and Koutsopoulos, "Demo: An Experimental Platform for AI
 * Model Partitioning on Resource-constrained Devices", MobiHoc 2024, and their earlier work that it builds on (our
 * reading): in each round every change of one stream's cut is evaluated under contention, and the best one is made;
 * the descent ends when none is better.
 *
 * Where there are more than GREEDY_MOST_CHANGES such changes, a round evaluates the most promising ones only, by the
 * guesses of promise.h, corrected by what each change turned out to be worth when it was last evaluated: of each
 * stream the GREEDY_PER_STREAM best, and of these GREEDY_BATCH at a time until one is better; all others too where none
 * of them is. A descent then also ends when it has evaluated GREEDY_MOST_TASKS tasks.
 */
#ifndef NAPM_PLUGINS_PARTITIONER_GREEDY_H
#define NAPM_PLUGINS_PARTITIONER_GREEDY_H

#include <stddef.h>

#include <napm/partitioner.h>
#include <napm/plugin.h>

#include "promise.h"

#define GREEDY_MOST_CHANGES 64
#define GREEDY_PER_STREAM 2
#define GREEDY_BATCH 8
#define GREEDY_MOST_TASKS 5e5

struct greedy_score {
    double total_ns;
    double variance_ns2;
};

struct greedy;

/* What a descent is for. Its functions get the goal itself. */
struct greedy_goal {
    /* 1 where `a` is to be preferred to `b`. */
    int (*better)(const struct greedy_goal *goal, struct greedy_score a, struct greedy_score b);
    /* A plan with a greater total is never better than `best`. */
    double (*limit_ns)(const struct greedy_goal *goal, struct greedy_score best);
    /* What a change is worth that leads from one score to the other; -INFINITY: never to be looked at again. */
    double (*worth)(const struct greedy_goal *goal, struct greedy_score from, struct greedy_score to);
    /* The same by guess: the stream's own mean delay becomes `delay_ns`, and the total falls by `gain_ns`. */
    double (*promise)(const struct greedy_goal *goal, const struct greedy *greedy, uint32_t stream, double delay_ns,
                      double gain_ns);
};

struct greedy {
    const struct napm_host *host;
    const struct napm_problem *problem;
    const struct napm_evaluator *evaluator;
    struct napm_plan *plan; /* always holds `cuts` between calls */
    uint32_t *cuts;
    struct greedy_score score; /* of `cuts` */
    struct napm_phases *phases; /* of `cuts` */
    /* The least total delay that any evaluation has found, and its cuts. */
    struct greedy_score least;
    uint32_t *least_cuts;
    /* of the rounds */
    struct napm_phases *tried_phases, *best_phases;
    size_t change_count; /* that there are */
    int guided; /* too many changes for evaluating all of them */
    struct promise promise;
    double **corrections; /* by stream and cut: what a change was worth beyond its promise */
    struct greedy_change *changes; /* the promising ones of a round */
    double tasks; /* in an evaluation */
    double tasks_left; /* that may be evaluated yet, where guided */
};

/* The option that says which changes a round evaluates. */
extern const struct napm_option greedy_changes_option;

/*
 * Each returns a status, with the host's error text set. greedy_end is called in any case. `changes` is the value of the
 * option.
 */
int32_t greedy_begin(struct greedy *greedy, const struct napm_host *host, const char *changes,
                     const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                     struct napm_plan *plan);
void greedy_end(struct greedy *greedy);

/* Starts anew from the given cuts (which may be greedy->least_cuts). */
int32_t greedy_start(struct greedy *greedy, const uint32_t *cuts);

/* Descends from the present cuts until no change of one stream's cut is better. */
int32_t greedy_descend(struct greedy *greedy, const struct greedy_goal *goal);

/*
 * The two starts, each stream's best cut in isolation and all-local (or the last feasible cut), each followed by a
 * descent in total delay; then the least total found is the present plan. A plan that leaves all to the station is
 * descended from too where it beats both ends, so that the result is never worse than any of the baselines.
 */
int32_t greedy_least_delay(struct greedy *greedy);

#endif
