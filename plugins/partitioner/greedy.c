/* SPDX-License-Identifier: Apache-2.0 */
/* Greedy descent over the cuts of all streams. */
#include "greedy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuts.h"

int32_t greedy_begin(struct greedy *greedy, const struct napm_host *host, const struct napm_problem *problem,
                     const struct napm_evaluator *evaluator, struct napm_plan *plan)
{
    *greedy = (struct greedy){.host = host, .problem = problem, .evaluator = evaluator, .plan = plan};
    greedy->least = (struct greedy_score){INFINITY, INFINITY};
    greedy->cuts = calloc(problem->stream_count + 1, sizeof(*greedy->cuts));
    greedy->least_cuts = calloc(problem->stream_count + 1, sizeof(*greedy->least_cuts));
    if (greedy->cuts && greedy->least_cuts)
        return NAPM_OK;
    host->set_error(host, "out of memory");
    return NAPM_ERR_MEMORY;
}

void greedy_end(struct greedy *greedy)
{
    free(greedy->cuts);
    free(greedy->least_cuts);
}

/* Evaluates the plan as it is, which differs from greedy->cuts in stream `changed`, if at all: there it has cut `c`. */
static int32_t evaluate(struct greedy *greedy, uint32_t changed, uint32_t c, struct greedy_score *score)
{
    struct napm_evaluation result = {.size = sizeof(result)};
    int32_t status = greedy->evaluator->evaluate(greedy->evaluator, greedy->plan, &result);
    if (status < 0) {
        greedy->host->set_error(greedy->host,
                                status == NAPM_ERR_CANCELLED ? "stopped" : "a plan could not be evaluated");
        return status;
    }
    *score = (struct greedy_score){result.total_ns, result.variance_ns2};
    if (score->total_ns < greedy->least.total_ns) {
        greedy->least = *score;
        memcpy(greedy->least_cuts, greedy->cuts, greedy->problem->stream_count * sizeof(*greedy->cuts));
        greedy->least_cuts[changed] = c;
    }
    return NAPM_OK;
}

int32_t greedy_start(struct greedy *greedy, const uint32_t *cuts)
{
    for (uint32_t i = 0; i < greedy->problem->stream_count; i++) {
        greedy->cuts[i] = cuts[i];
        napm_plan_set_cut(greedy->problem, greedy->plan, i, cuts[i]);
    }
    return evaluate(greedy, 0, greedy->cuts[0], &greedy->score);
}

/* The best change of one stream's cut. *stream is NAPM_NONE where none is better than the present plan. */
static int32_t find_best_move(struct greedy *greedy, greedy_better_fn better, const void *goal, uint32_t *stream,
                              uint32_t *cut, struct greedy_score *best)
{
    const struct napm_problem *problem = greedy->problem;
    *stream = NAPM_NONE;
    *best = greedy->score;
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        for (uint32_t c = 0; c <= problem->streams[i]->layer_count; c++) {
            struct greedy_score score;
            if (c == greedy->cuts[i] || greedy->evaluator->isolated_ns(greedy->evaluator, i, c) == INFINITY)
                continue;
            napm_plan_set_cut(problem, greedy->plan, i, c);
            int32_t status = evaluate(greedy, i, c, &score);
            if (status < 0)
                return status;
            if (!better(goal, score, *best))
                continue;
            *best = score;
            *stream = i;
            *cut = c;
        }
        napm_plan_set_cut(problem, greedy->plan, i, greedy->cuts[i]);
    }
    return NAPM_OK;
}

int32_t greedy_descend(struct greedy *greedy, greedy_better_fn better, const void *goal)
{
    for (;;) {
        uint32_t stream, cut = 0;
        struct greedy_score best;
        int32_t status = find_best_move(greedy, better, goal, &stream, &cut, &best);
        if (status < 0 || stream == NAPM_NONE)
            return status;
        greedy->cuts[stream] = cut;
        greedy->score = best;
        napm_plan_set_cut(greedy->problem, greedy->plan, stream, cut);
    }
}

static int less_total(const void *goal, struct greedy_score a, struct greedy_score b)
{
    (void)goal;
    return a.total_ns < b.total_ns;
}

/* The last feasible cut: the whole model where it fits the device. */
static uint32_t most_local(const struct greedy *greedy, uint32_t stream)
{
    uint32_t c = greedy->problem->streams[stream]->layer_count;
    while (c > 0 && greedy->evaluator->isolated_ns(greedy->evaluator, stream, c) == INFINITY)
        c--;
    return c;
}

static int32_t descend_from(struct greedy *greedy, const uint32_t *cuts)
{
    int32_t status = greedy_start(greedy, cuts);
    return status < 0 ? status : greedy_descend(greedy, less_total, NULL);
}

static int32_t try_starts(struct greedy *greedy, uint32_t *start)
{
    uint32_t count = greedy->problem->stream_count;
    for (uint32_t i = 0; i < count; i++) {
        start[i] = cuts_best_isolated(greedy->problem, greedy->evaluator, i);
        if (start[i] == NAPM_NONE)
            return cuts_none_feasible(greedy->host, greedy->problem, i);
    }
    int32_t status = descend_from(greedy, start);
    for (uint32_t i = 0; i < count; i++)
        start[i] = most_local(greedy, i);
    if (status == NAPM_OK)
        status = descend_from(greedy, start);
    if (status < 0)
        return status;
    double ends_ns = greedy->least.total_ns;
    memset(start, 0, count * sizeof(*start));
    status = greedy_start(greedy, start);
    if (status == NAPM_OK && greedy->score.total_ns < ends_ns)
        status = greedy_descend(greedy, less_total, NULL);
    return status < 0 ? status : greedy_start(greedy, greedy->least_cuts);
}

int32_t greedy_least_delay(struct greedy *greedy)
{
    uint32_t *start = calloc(greedy->problem->stream_count + 1, sizeof(*start));
    if (!start) {
        greedy->host->set_error(greedy->host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    int32_t status = try_starts(greedy, start);
    free(start);
    if (status < 0 || greedy->least.total_ns < INFINITY)
        return status;
    greedy->host->set_error(greedy->host, "infeasible: no plan was found whose parts fit all memories together: give "
                                          "the station or the devices more memory");
    return NAPM_ERR_INVALID;
}
