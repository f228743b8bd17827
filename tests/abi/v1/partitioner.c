/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partitioner to start from: hill climbing. Every stream begins at the cut that would be best if it were alone; then
 * one stream after the other moves its cut by a layer, as long as the host's evaluator says that this helps.
 */
#include <math.h>
#include <napm/partitioner.h>
#include <napm/plugin.h>
#include <stdlib.h>
#include <string.h>

/* ---- options: the host parses and checks them by this table, and writes the help from it */

enum { OPTION_ROUNDS, OPTION_OBJECTIVE, OPTION_COUNT };

static const struct napm_option option_rounds = {
    .size = sizeof(option_rounds),
    .type = NAPM_OPTION_INTEGER,
    .name = "rounds",
    .default_text = "50",
    .help = "Most rounds over all streams.",
    .minimum = 1,
    .maximum = 10000,
};
static const struct napm_option option_objective = {
    .size = sizeof(option_objective),
    .type = NAPM_OPTION_CHOICE,
    .name = "objective",
    .default_text = "total",
    .help = "What to make small: the sum of the delays, or the greatest one.",
    .choices = "total|maximum",
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_ROUNDS] = &option_rounds,
    [OPTION_OBJECTIVE] = &option_objective,
};

/* ---- the instance */

struct climber {
    const struct napm_host *host;
    int64_t rounds;
    int by_maximum;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct climber *climber = calloc(1, sizeof(*climber));
    if (!climber) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    climber->host = host;
    climber->rounds = options[OPTION_ROUNDS].integer;
    climber->by_maximum = strcmp(options[OPTION_OBJECTIVE].text, "maximum") == 0;
    *self = climber;
    return NAPM_OK;
}

static void destroy(void *self)
{
    free(self);
}

/* ---- the search */

/* One call of plan(): what it works on, and the cuts that it holds at the moment. */
struct search {
    const struct climber *climber;
    const struct napm_problem *problem;
    const struct napm_evaluator *evaluator;
    struct napm_plan *plan;
    uint32_t *cuts;
    double best; /* value of `cuts` */
};

/* The value of the plan as it stands. Infinite where it is not feasible. */
static int32_t evaluate(const struct search *search, double *value)
{
    struct napm_evaluation evaluation = {.size = sizeof(evaluation)};
    int32_t status = search->evaluator->evaluate(search->evaluator, search->plan, &evaluation);
    if (status < 0)
        return status;
    *value = search->climber->by_maximum ? evaluation.maximum_ns : evaluation.total_ns;
    return NAPM_OK;
}

/* The cut with the least delay when nothing else runs. */
static uint32_t best_alone(const struct search *search, uint32_t stream)
{
    uint32_t best = 0;
    double best_ns = INFINITY;
    for (uint32_t c = 0; c <= search->problem->streams[stream]->layer_count; c++) {
        double ns = search->evaluator->isolated_ns(search->evaluator, stream, c);
        if (ns < best_ns) {
            best_ns = ns;
            best = c;
        }
    }
    return best;
}

/* Tries another cut of one stream and keeps it if it is better. */
static int32_t try_cut(struct search *search, uint32_t stream, uint32_t cut, int *improved)
{
    double value;
    napm_plan_set_cut(search->problem, search->plan, stream, cut);
    int32_t status = evaluate(search, &value);
    if (status < 0)
        return status;
    if (value < search->best) {
        search->best = value;
        search->cuts[stream] = cut;
        *improved = 1;
    } else {
        napm_plan_set_cut(search->problem, search->plan, stream, search->cuts[stream]);
    }
    return NAPM_OK;
}

/* Goes once over all streams. */
static int32_t climb_once(struct search *search, int *improved)
{
    int32_t status = NAPM_OK;
    *improved = 0;
    for (uint32_t i = 0; i < search->problem->stream_count && status >= 0; i++) {
        uint32_t cut = search->cuts[i];
        if (cut > 0)
            status = try_cut(search, i, cut - 1, improved);
        if (status >= 0 && cut < search->problem->streams[i]->layer_count)
            status = try_cut(search, i, cut + 1, improved);
    }
    return status;
}

/* ---- the hook */

static int32_t plan(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                    struct napm_plan *answer)
{
    struct climber *climber = self;
    struct search search = {.climber = climber, .problem = problem, .evaluator = evaluator, .plan = answer};
    search.cuts = calloc(problem->stream_count ? problem->stream_count : 1, sizeof(*search.cuts));
    if (!search.cuts) {
        climber->host->set_error(climber->host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        search.cuts[i] = best_alone(&search, i);
        napm_plan_set_cut(problem, answer, i, search.cuts[i]);
    }
    int improved = 1;
    int32_t status = evaluate(&search, &search.best);
    for (int64_t round = 0; round < climber->rounds && improved && status >= 0; round++)
        status = climb_once(&search, &improved);
    free(search.cuts);
    if (status < 0 && status != NAPM_ERR_CANCELLED)
        climber->host->set_error(climber->host, "the evaluator refused the plan");
    return status;
}

/* ---- what the platform sees */

static const struct napm_partitioner hook = {
    .size = sizeof(hook),
    .plan = plan,
};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "template-partitioner",
    .version = "1.0.0",
    .summary = "Hill climbing over the cuts, one layer at a time",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(template_partitioner, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "template-partitioner",
                 "1.0.0");
NAPM_EXPORT_PLUGINS(&plugin);
