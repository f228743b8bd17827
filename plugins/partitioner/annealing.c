/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioner "annealing": simulated annealing, as in Kirkpatrick, Gelatt and Vecchi, "Optimization by Simulated Annealing",
 * Science 220, 1983. A move changes one stream's cut, half of the time to a neighbouring one, else to any. A move that makes
 * the objective worse by d is made with probability exp(-d / T); the temperature T begins at `start_temperature` times the
 * first plan's objective and is multiplied by `cooling` a hundred times, evenly over the budget. It starts from each
 * stream's best cut as if it were alone, and answers the best plan that it has seen.
 */
#include <stdlib.h>

#include "search.h"

#define COOLINGS 100

enum { OPTION_OBJECTIVE, OPTION_EVALUATIONS, OPTION_START_TEMPERATURE, OPTION_COOLING, OPTION_COUNT };

SEARCH_OBJECTIVE_OPTION(objective_option);
SEARCH_EVALUATIONS_OPTION(evaluations_option, "3000");
static const struct napm_option start_temperature_option = {
    .size = sizeof(start_temperature_option),
    .type = NAPM_OPTION_REAL,
    .name = "start_temperature",
    .default_text = "0.05",
    .help = "The temperature to begin with, as a share of the first plan's objective.",
    .minimum = 0,
    .maximum = 1000,
};
static const struct napm_option cooling_option = {
    .size = sizeof(cooling_option),
    .type = NAPM_OPTION_REAL,
    .name = "cooling",
    .default_text = "0.93",
    .help = "What the temperature is multiplied by, a hundred times over the search.",
    .minimum = 0.01,
    .maximum = 1,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_OBJECTIVE] = &objective_option,
    [OPTION_EVALUATIONS] = &evaluations_option,
    [OPTION_START_TEMPERATURE] = &start_temperature_option,
    [OPTION_COOLING] = &cooling_option,
};

struct annealing {
    struct search_settings search;
    double start_temperature, cooling;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct annealing *settings = malloc(sizeof(*settings));
    if (!settings) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    *settings = (struct annealing){
        .search = {.host = host,
                   .objective = options[OPTION_OBJECTIVE].text,
                   .evaluations = options[OPTION_EVALUATIONS].integer},
        .start_temperature = options[OPTION_START_TEMPERATURE].real,
        .cooling = options[OPTION_COOLING].real,
    };
    *self = settings;
    return NAPM_OK;
}

/* A place other than the present one, for a stream that has two or more. */
static uint32_t other_place(const struct search *search, uint32_t stream)
{
    const struct napm_host *host = search->settings->host;
    uint32_t count = search->cut_counts[stream], place = search->places[stream];
    if (host->random_bits(host) & 1) {
        uint32_t other = search_below(search, count - 1);
        return other + (other >= place);
    }
    int up = place == 0 || (place + 1 < count && (host->random_bits(host) & 1));
    return up ? place + 1 : place - 1;
}

/* `movable` are the streams that have a choice. */
static int32_t anneal(struct search *search, const struct annealing *settings, const uint32_t *movable, uint32_t count)
{
    const struct napm_host *host = settings->search.host;
    double scale = INFINITY;
    int32_t status = NAPM_OK;
    while (status == NAPM_OK) {
        if (scale == INFINITY && search->score < INFINITY)
            scale = settings->start_temperature * search->score;
        double spent = (double)search->evaluations / (double)settings->search.evaluations, score;
        double temperature = scale * pow(settings->cooling, COOLINGS * spent);
        uint32_t stream = movable[search_below(search, count)], place = other_place(search, stream);
        double climb = -temperature * log(1 - host->random_unit(host));
        double limit = search->score < INFINITY ? search->score + climb : INFINITY;
        status = search_try(search, stream, place, limit, &score);
        if (status == NAPM_OK && !(score > limit))
            search_move(search, stream, place, score);
    }
    return status;
}

static int32_t search_all(struct search *search, const struct annealing *settings, uint32_t *scratch)
{
    uint32_t movable = 0;
    search_start_places(search, SEARCH_ALONE, scratch);
    int32_t status = search_go_to(search, scratch);
    for (uint32_t i = 0; i < search->problem->stream_count; i++)
        if (search->cut_counts[i] > 1)
            scratch[movable++] = i;
    return status != NAPM_OK || movable == 0 ? status : anneal(search, settings, scratch, movable);
}

static int32_t plan_cuts(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                         struct napm_plan *plan)
{
    const struct annealing *settings = self;
    struct search search;
    int32_t status = search_begin(&search, &settings->search, problem, evaluator, plan);
    uint32_t *scratch = calloc((size_t)problem->stream_count + 1, sizeof(*scratch));
    if (status == NAPM_OK && !scratch) {
        settings->search.host->set_error(settings->search.host, "out of memory");
        status = NAPM_ERR_MEMORY;
    }
    if (status == NAPM_OK)
        status = search_all(&search, settings, scratch);
    status = search_finish(&search, status);
    free(scratch);
    search_end(&search);
    return status;
}

static const struct napm_partitioner hook = {.size = sizeof(hook), .plan = plan_cuts};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "annealing",
    .version = "1.0",
    .summary = "Simulated annealing over single-stream changes of cut.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(annealing, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "annealing", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
