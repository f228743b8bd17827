/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioner "trend-greedy": our reading of the trend-based greedy that the later code of Kafetzis and Koutsopoulos names
 * without details. A stream's cut walks only in the direction in which the objective last fell, one cut at a time, as
 * long as it falls; where it does not, the other direction is tried once. Streams walk in turn until none moves. So a round
 * costs about one evaluation for each step, where greedy-delay evaluates every cut of every stream for one move.
 *
 * Because layers that widen a tensor are often followed by one that narrows it, a walk looks over `patience` cuts that do
 * not help before it gives up. Starts, and what the result is never worse than: each stream's best cut as if it were
 * alone, all-local, all at the station.
 */
#include <stdlib.h>

#include "search.h"

enum { OPTION_OBJECTIVE, OPTION_PATIENCE, OPTION_COUNT };

SEARCH_OBJECTIVE_OPTION(objective_option);
static const struct napm_option patience_option = {
    .size = sizeof(patience_option),
    .type = NAPM_OPTION_INTEGER,
    .name = "patience",
    .default_text = "2",
    .help = "Cuts that do not help and are looked over before a walk ends.",
    .minimum = 0,
    .maximum = 1e6,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_OBJECTIVE] = &objective_option,
    [OPTION_PATIENCE] = &patience_option,
};

struct trend_greedy {
    struct search_settings search;
    int64_t patience;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct trend_greedy *settings = malloc(sizeof(*settings));
    if (!settings) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    *settings = (struct trend_greedy){
        .search = {.host = host, .objective = options[OPTION_OBJECTIVE].text, .evaluations = INT64_MAX},
        .patience = options[OPTION_PATIENCE].integer};
    *self = settings;
    return NAPM_OK;
}

/* Walks one way from the present cut, and stops at the last one that helped. */
static int32_t walk(struct search *search, uint32_t stream, int step, int64_t patience, int *moved)
{
    int64_t misses = 0, place = search->places[stream];
    while ((place += step) >= 0 && place < search->cut_counts[stream] && misses <= patience) {
        double score;
        int32_t status = search_try(search, stream, (uint32_t)place, search->score, &score);
        if (status != NAPM_OK)
            return status;
        if (score >= search->score) {
            misses++;
            continue;
        }
        search_move(search, stream, (uint32_t)place, score);
        *moved = 1;
        misses = 0;
    }
    return NAPM_OK;
}

/* Streams walk in turn until each has found both ways closed since the last move of any. */
static int32_t descend(struct search *search, int64_t patience, int8_t *trend)
{
    uint32_t count = search->problem->stream_count;
    for (uint32_t i = 0, at_rest = 0; at_rest < count; i = (i + 1) % count) {
        int moved = 0;
        int32_t status = walk(search, i, trend[i], patience, &moved);
        if (status == NAPM_OK && !moved) {
            trend[i] = (int8_t)-trend[i];
            status = walk(search, i, trend[i], patience, &moved);
        }
        if (status != NAPM_OK)
            return status;
        at_rest = moved ? 1 : at_rest + 1; /* it walked as far as it helps: it rests until another one moves */
    }
    return NAPM_OK;
}

static int32_t search_from(struct search *search, int64_t patience, enum search_start start, uint32_t *places,
                           int8_t *trend)
{
    double others = search->best_score;
    search_start_places(search, start, places);
    for (uint32_t i = 0; i < search->problem->stream_count; i++)
        trend[i] = start == SEARCH_LOCAL ? -1 : 1; /* alone is blind to contention: more on the device may relieve it */
    int32_t status = search_go_to(search, places);
    if (status != NAPM_OK || (start == SEARCH_STATION && search->score >= others))
        return status;
    return descend(search, patience, trend);
}

static int32_t plan_cuts(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                         struct napm_plan *plan)
{
    static const enum search_start starts[] = {SEARCH_ALONE, SEARCH_LOCAL, SEARCH_STATION};
    const struct trend_greedy *settings = self;
    struct search search;
    int32_t status = search_begin(&search, &settings->search, problem, evaluator, plan);
    uint32_t *places = calloc((size_t)problem->stream_count + 1, sizeof(*places));
    int8_t *trend = calloc((size_t)problem->stream_count + 1, sizeof(*trend));
    if (status == NAPM_OK && (!places || !trend)) {
        settings->search.host->set_error(settings->search.host, "out of memory");
        status = NAPM_ERR_MEMORY;
    }
    for (size_t s = 0; status == NAPM_OK && s < sizeof(starts) / sizeof(starts[0]); s++)
        status = search_from(&search, settings->patience, starts[s], places, trend);
    status = search_finish(&search, status);
    free(places);
    free(trend);
    search_end(&search);
    return status;
}

static const struct napm_partitioner hook = {.size = sizeof(hook), .plan = plan_cuts};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "trend-greedy",
    .version = "1.0",
    .summary = "Walks each stream's cut only the way in which the objective falls: few evaluations.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(trend_greedy, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "trend-greedy", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
