/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioner "genetic": a genetic algorithm over the cuts of all streams, in its textbook form (Goldberg, "Genetic
 * Algorithms in Search, Optimization and Machine Learning", 1989). A genome is the cut of each stream. The first
 * population holds each stream's best cut as if it were alone, all-local, all at the station, and random plans. A
 * generation keeps its `elite` best genomes as they are; every other one is a child: each of two parents is the best of
 * `tournament` genomes taken by chance, the child has each stream's cut from one or the other, and `mutation` of its streams,
 * on average, get a random cut. It answers the best plan that it has seen.
 */
#include <stdlib.h>
#include <string.h>

#include "search.h"

enum {
    OPTION_OBJECTIVE,
    OPTION_EVALUATIONS,
    OPTION_POPULATION,
    OPTION_TOURNAMENT,
    OPTION_CROSSOVER,
    OPTION_MUTATION,
    OPTION_ELITE,
    OPTION_COUNT
};

SEARCH_OBJECTIVE_OPTION(objective_option);
SEARCH_EVALUATIONS_OPTION(evaluations_option, "4000");
static const struct napm_option population_option = {
    .size = sizeof(population_option),
    .type = NAPM_OPTION_INTEGER,
    .name = "population",
    .default_text = "40",
    .help = "Genomes in a generation.",
    .minimum = 4,
    .maximum = 100000,
};
static const struct napm_option tournament_option = {
    .size = sizeof(tournament_option),
    .type = NAPM_OPTION_INTEGER,
    .name = "tournament",
    .default_text = "3",
    .help = "Genomes of which the best becomes a parent.",
    .minimum = 1,
    .maximum = 1000,
};
static const struct napm_option crossover_option = {
    .size = sizeof(crossover_option),
    .type = NAPM_OPTION_REAL,
    .name = "crossover",
    .default_text = "0.9",
    .help = "Share of the children that have two parents; the others are a copy of one before they mutate.",
    .minimum = 0,
    .maximum = 1,
};
static const struct napm_option mutation_option = {
    .size = sizeof(mutation_option),
    .type = NAPM_OPTION_REAL,
    .name = "mutation",
    .default_text = "1",
    .help = "Streams of a child that get a random cut, on average.",
    .minimum = 0,
    .maximum = 1000,
};
static const struct napm_option elite_option = {
    .size = sizeof(elite_option),
    .type = NAPM_OPTION_INTEGER,
    .name = "elite",
    .default_text = "2",
    .help = "Best genomes that go into the next generation as they are; fewer than the population.",
    .minimum = 0,
    .maximum = 1000,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_OBJECTIVE] = &objective_option,   [OPTION_EVALUATIONS] = &evaluations_option,
    [OPTION_POPULATION] = &population_option, [OPTION_TOURNAMENT] = &tournament_option,
    [OPTION_CROSSOVER] = &crossover_option,   [OPTION_MUTATION] = &mutation_option,
    [OPTION_ELITE] = &elite_option,
};

struct genetic {
    struct search_settings search;
    uint32_t population, tournament, elite;
    double crossover, mutation;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct genetic *settings = malloc(sizeof(*settings));
    if (!settings) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    *settings = (struct genetic){
        .search = {.host = host,
                   .objective = options[OPTION_OBJECTIVE].text,
                   .evaluations = options[OPTION_EVALUATIONS].integer},
        .population = (uint32_t)options[OPTION_POPULATION].integer,
        .tournament = (uint32_t)options[OPTION_TOURNAMENT].integer,
        .elite = (uint32_t)options[OPTION_ELITE].integer,
        .crossover = options[OPTION_CROSSOVER].real,
        .mutation = options[OPTION_MUTATION].real,
    };
    *self = settings;
    if (settings->elite < settings->population)
        return NAPM_OK;
    host->set_error(host, "elite must be less than population: or no child is ever born");
    free(settings);
    return NAPM_ERR_INVALID;
}

struct genome {
    double score;
    uint32_t *places; /* by stream */
};

struct breed {
    const struct genetic *settings;
    struct search *search;
    struct genome *parents, *children; /* population of each */
    uint32_t *cells;
};

static int chance(const struct breed *breed, double share)
{
    const struct napm_host *host = breed->settings->search.host;
    return host->random_unit(host) < share;
}

static int32_t make_room(struct breed *breed)
{
    uint32_t size = breed->settings->population, streams = breed->search->problem->stream_count;
    breed->parents = calloc(size, sizeof(*breed->parents));
    breed->children = calloc(size, sizeof(*breed->children));
    breed->cells = calloc((size_t)2 * size * streams + 1, sizeof(*breed->cells));
    if (!breed->parents || !breed->children || !breed->cells) {
        breed->settings->search.host->set_error(breed->settings->search.host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    for (uint32_t g = 0; g < size; g++) {
        breed->parents[g].places = breed->cells + (size_t)g * streams;
        breed->children[g].places = breed->cells + (size_t)(size + g) * streams;
    }
    return NAPM_OK;
}

static int32_t grow_up(struct breed *breed, struct genome *genome)
{
    int32_t status = search_go_to(breed->search, genome->places);
    genome->score = breed->search->score;
    return status;
}

static int32_t first_generation(struct breed *breed)
{
    int32_t status = NAPM_OK;
    for (uint32_t g = 0; g < breed->settings->population && status == NAPM_OK; g++) {
        struct genome *genome = &breed->parents[g];
        if (g <= SEARCH_STATION)
            search_start_places(breed->search, (enum search_start)g, genome->places);
        for (uint32_t i = 0; g > SEARCH_STATION && i < breed->search->problem->stream_count; i++)
            genome->places[i] = search_below(breed->search, breed->search->cut_counts[i]);
        status = grow_up(breed, genome);
    }
    return status;
}

static const struct genome *choose_parent(const struct breed *breed)
{
    const struct genome *best = NULL;
    for (uint32_t k = 0; k < breed->settings->tournament; k++) {
        const struct genome *one = &breed->parents[search_below(breed->search, breed->settings->population)];
        if (!best || one->score < best->score)
            best = one;
    }
    return best;
}

static void conceive(const struct breed *breed, struct genome *child)
{
    uint32_t streams = breed->search->problem->stream_count;
    const struct genome *mother = choose_parent(breed);
    const struct genome *father = chance(breed, breed->settings->crossover) ? choose_parent(breed) : mother;
    for (uint32_t i = 0; i < streams; i++) {
        child->places[i] = chance(breed, 0.5) ? mother->places[i] : father->places[i];
        if (chance(breed, breed->settings->mutation / streams))
            child->places[i] = search_below(breed->search, breed->search->cut_counts[i]);
    }
}

static int compare_genomes(const void *a, const void *b)
{
    const struct genome *x = a, *y = b;
    return (x->score > y->score) - (x->score < y->score);
}

/* The children become the parents. */
static int32_t next_generation(struct breed *breed)
{
    uint32_t size = breed->settings->population, streams = breed->search->problem->stream_count;
    int32_t status = NAPM_OK;
    qsort(breed->parents, size, sizeof(*breed->parents), compare_genomes);
    for (uint32_t g = 0; g < size && status == NAPM_OK; g++) {
        struct genome *child = &breed->children[g];
        if (g < breed->settings->elite) {
            memcpy(child->places, breed->parents[g].places, streams * sizeof(*child->places));
            child->score = breed->parents[g].score;
        } else {
            conceive(breed, child);
            status = grow_up(breed, child);
        }
    }
    struct genome *parents = breed->parents;
    breed->parents = breed->children;
    breed->children = parents;
    return status;
}

static int32_t plan_cuts(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                         struct napm_plan *plan)
{
    const struct genetic *settings = self;
    struct search search;
    struct breed breed = {.settings = settings, .search = &search};
    int32_t status = search_begin(&search, &settings->search, problem, evaluator, plan);
    if (status == NAPM_OK)
        status = make_room(&breed);
    if (status == NAPM_OK)
        status = first_generation(&breed);
    while (status == NAPM_OK)
        status = next_generation(&breed);
    status = search_finish(&search, status);
    free(breed.parents);
    free(breed.children);
    free(breed.cells);
    search_end(&search);
    return status;
}

static const struct napm_partitioner hook = {.size = sizeof(hook), .plan = plan_cuts};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "genetic",
    .version = "1.0",
    .summary = "A genetic algorithm over the cuts of all streams.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(genetic, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "genetic", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
