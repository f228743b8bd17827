/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the searching partitioners have in common: the feasible cuts of each stream, the present plan, the best one found,
 * and the budget of evaluations. A stream's cut is given by its place in the list of its feasible cuts.
 */
#ifndef NAPM_PLUGINS_PARTITIONER_SEARCH_H
#define NAPM_PLUGINS_PARTITIONER_SEARCH_H

#include "cuts.h"

/* What is to be least. Choices of the option "objective". */
#define SEARCH_OBJECTIVES "delay|variance|scenario"
#define SEARCH_OBJECTIVE_OPTION(name_)                                                                                 \
    static const struct napm_option name_ = {                                                                          \
        .size = sizeof(name_),                                                                                         \
        .type = NAPM_OPTION_CHOICE,                                                                                    \
        .name = "objective",                                                                                           \
        .default_text = "delay",                                                                                       \
        .help = "What is to be least: the total delay, the variance of the delay over all tasks, or the scenario's "   \
                "objective.",                                                                                          \
        .choices = SEARCH_OBJECTIVES,                                                                                  \
    }

#define SEARCH_EVALUATIONS_OPTION(name_, default_)                                                                     \
    static const struct napm_option name_ = {                                                                          \
        .size = sizeof(name_),                                                                                         \
        .type = NAPM_OPTION_INTEGER,                                                                                   \
        .name = "evaluations",                                                                                         \
        .default_text = (default_),                                                                                    \
        .help = "Plans that are evaluated.",                                                                           \
        .minimum = 1,                                                                                                  \
        .maximum = 1e12,                                                                                               \
    }

struct search_settings {
    const struct napm_host *host;
    const char *objective; /* one of SEARCH_OBJECTIVES */
    int64_t evaluations; /* at most so many */
};

struct search {
    const struct search_settings *settings;
    const struct napm_problem *problem;
    const struct napm_evaluator *evaluator;
    struct napm_plan *plan; /* always as `places` say */
    uint32_t **cuts; /* by stream: its feasible cuts, ascending */
    uint32_t *cut_counts;
    uint32_t *places; /* by stream: the present cut's place in cuts[stream] */
    double score; /* of the present plan; infinite where it does not fit the memories */
    uint32_t *best_places;
    double best_score;
    int64_t evaluations;
};

/* The starts that cost no search: each stream's best cut as if it were alone, the greatest cut, the least one. */
enum search_start { SEARCH_ALONE, SEARCH_LOCAL, SEARCH_STATION };

/*
 * Each returns a status: NAPM_OK; NAPM_END where the budget is spent; or a negative one, with the error text set.
 * search_end is called in any case.
 */
int32_t search_begin(struct search *search, const struct search_settings *settings, const struct napm_problem *problem,
                     const struct napm_evaluator *evaluator, struct napm_plan *plan);
void search_end(struct search *search);

/* By chance, evenly: 0..bound-1. */
static inline uint32_t search_below(const struct search *search, uint32_t bound)
{
    const struct napm_host *host = search->settings->host;
    return (uint32_t)(host->random_unit(host) * bound);
}

/* Fills `places`, one for each stream. */
void search_start_places(const struct search *search, enum search_start start, uint32_t *places);

/* Makes this the present plan, and evaluates it. */
int32_t search_go_to(struct search *search, const uint32_t *places);

/*
 * Evaluates the present plan with one stream's cut changed; the present plan stays. A score above `limit` may come
 * out infinite, which can save the host work.
 */
int32_t search_try(struct search *search, uint32_t stream, uint32_t place, double limit, double *score);

/* Makes that change, of that score. */
void search_move(struct search *search, uint32_t stream, uint32_t place, double score);

/* The end of a search, `status` being how it went: the best plan found becomes the answer. Returns plan()'s status. */
int32_t search_finish(struct search *search, int32_t status);

#endif
