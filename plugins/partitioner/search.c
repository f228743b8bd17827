/* SPDX-License-Identifier: Apache-2.0 */
/* What the searching partitioners have in common. */
#include "search.h"

#include <stdlib.h>
#include <string.h>

static int32_t out_of_memory(const struct search *search)
{
    search->settings->host->set_error(search->settings->host, "out of memory");
    return NAPM_ERR_MEMORY;
}

static int minimises(const struct search *search, const char *objective)
{
    return strcmp(search->settings->objective, objective) == 0;
}

static int32_t list_cuts(struct search *search, uint32_t stream)
{
    uint32_t layers = search->problem->streams[stream]->layer_count, count = 0;
    uint32_t *cuts = search->cuts[stream] = calloc((size_t)layers + 1, sizeof(*cuts));
    if (!cuts)
        return out_of_memory(search);
    for (uint32_t c = 0; c <= layers; c++)
        if (search->evaluator->isolated_ns(search->evaluator, stream, c) < INFINITY)
            cuts[count++] = c;
    search->cut_counts[stream] = count;
    return count ? NAPM_OK : cuts_none_feasible(search->settings->host, search->problem, stream);
}

int32_t search_begin(struct search *search, const struct search_settings *settings, const struct napm_problem *problem,
                     const struct napm_evaluator *evaluator, struct napm_plan *plan)
{
    size_t count = (size_t)problem->stream_count + 1;
    *search = (struct search){.settings = settings,
                              .problem = problem,
                              .evaluator = evaluator,
                              .plan = plan,
                              .cuts = calloc(count, sizeof(uint32_t *)),
                              .cut_counts = calloc(count, sizeof(uint32_t)),
                              .places = calloc(count, sizeof(uint32_t)),
                              .best_places = calloc(count, sizeof(uint32_t)),
                              .score = INFINITY,
                              .best_score = INFINITY};
    if (!search->cuts || !search->cut_counts || !search->places || !search->best_places)
        return out_of_memory(search);
    if (minimises(search, "scenario") && !(NAPM_HAS(problem, struct napm_problem, objective) && problem->objective)) {
        settings->host->set_error(settings->host,
                                  "this platform is too old for objective = \"scenario\": take \"delay\" "
                                  "or \"variance\", or update it");
        return NAPM_ERR_UNSUPPORTED;
    }
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        int32_t status = list_cuts(search, i);
        if (status < 0)
            return status;
    }
    return NAPM_OK;
}

void search_end(struct search *search)
{
    for (uint32_t i = 0; search->cuts && i < search->problem->stream_count; i++)
        free(search->cuts[i]);
    free(search->cuts);
    free(search->cut_counts);
    free(search->places);
    free(search->best_places);
}

void search_start_places(const struct search *search, enum search_start start, uint32_t *places)
{
    for (uint32_t i = 0; i < search->problem->stream_count; i++) {
        places[i] = start == SEARCH_LOCAL ? search->cut_counts[i] - 1 : 0;
        uint32_t best = start == SEARCH_ALONE ? cuts_best_isolated(search->problem, search->evaluator, i) : NAPM_NONE;
        while (best != NAPM_NONE && search->cuts[i][places[i]] != best)
            places[i]++;
    }
}

static double score_of(const struct search *search, const struct napm_evaluation *result)
{
    if (!result->feasible)
        return INFINITY;
    if (minimises(search, "delay"))
        return result->total_ns;
    return minimises(search, "variance") ? result->variance_ns2 : result->objective;
}

/* Reads an evaluation's status and result; where the plan is the best so far, *is_best is 1. */
static int32_t judge(struct search *search, int32_t status, const struct napm_evaluation *result, double *score,
                     int *is_best)
{
    const struct napm_host *host = search->settings->host;
    if (status < 0) {
        host->set_error(host, status == NAPM_ERR_CANCELLED ? "stopped" : "a plan could not be evaluated");
        return status;
    }
    *score = score_of(search, result);
    *is_best = *score < search->best_score;
    if (*is_best)
        search->best_score = *score;
    return NAPM_OK;
}

static void keep_best(struct search *search)
{
    memcpy(search->best_places, search->places, search->problem->stream_count * sizeof(*search->places));
}

static void set_place(struct search *search, uint32_t stream, uint32_t place)
{
    search->places[stream] = place;
    napm_plan_set_cut(search->problem, search->plan, stream, search->cuts[stream][place]);
}

int32_t search_go_to(struct search *search, const uint32_t *places)
{
    struct napm_evaluation result = {.size = sizeof(result)};
    int is_best = 0;
    if (search->evaluations++ >= search->settings->evaluations)
        return NAPM_END;
    for (uint32_t i = 0; i < search->problem->stream_count; i++)
        set_place(search, i, places[i]);
    int32_t status = search->evaluator->evaluate(search->evaluator, search->plan, &result);
    status = judge(search, status, &result, &search->score, &is_best);
    if (is_best)
        keep_best(search);
    return status;
}

/* Evaluates one change, by the host's own function for it where there is one. */
static int32_t evaluate_change(struct search *search, uint32_t stream, uint32_t cut, double limit,
                               struct napm_evaluation *result)
{
    const struct napm_evaluator *evaluator = search->evaluator;
    if (NAPM_HAS(evaluator, struct napm_evaluator, evaluate_cut) && evaluator->evaluate_cut)
        return evaluator->evaluate_cut(evaluator, search->plan, stream, cut,
                                       minimises(search, "delay") ? limit : INFINITY, result);
    napm_plan_set_cut(search->problem, search->plan, stream, cut);
    int32_t status = evaluator->evaluate(evaluator, search->plan, result);
    set_place(search, stream, search->places[stream]);
    return status;
}

int32_t search_try(struct search *search, uint32_t stream, uint32_t place, double limit, double *score)
{
    struct napm_evaluation result = {.size = sizeof(result)};
    int is_best = 0;
    if (search->evaluations++ >= search->settings->evaluations)
        return NAPM_END;
    int32_t status = evaluate_change(search, stream, search->cuts[stream][place], limit, &result);
    status = judge(search, status, &result, score, &is_best);
    if (is_best) {
        keep_best(search);
        search->best_places[stream] = place;
    }
    return status;
}

void search_move(struct search *search, uint32_t stream, uint32_t place, double score)
{
    set_place(search, stream, place);
    search->score = score;
}

int32_t search_finish(struct search *search, int32_t status)
{
    if (status < 0)
        return status;
    if (search->best_score == INFINITY) {
        search->settings->host->set_error(
            search->settings->host, "infeasible: no plan was found whose parts fit all memories together: give the "
                                    "station or the devices more memory");
        return NAPM_ERR_INVALID;
    }
    for (uint32_t i = 0; i < search->problem->stream_count; i++)
        set_place(search, i, search->best_places[i]);
    return NAPM_OK;
}
