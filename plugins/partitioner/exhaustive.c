/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioner "exhaustive": every combination of cuts, the oracle for few streams.
 *
 * For the total delay it branches and bounds: a stream's delay under contention is never less than its delay in
 * isolation, so the sum of those over the streams placed, plus the least of those of the streams to come, times their
 * tasks, is a lower bound of the total. Each stream's cuts are tried in the order of that delay: when one is too much,
 * so are all behind it. The variance has no such bound: there every combination is evaluated.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cuts.h"

enum { OPTION_OBJECTIVE, OPTION_MAX_EVALUATIONS, OPTION_COUNT };

static const struct napm_option objective_option = {
    .size = sizeof(objective_option),
    .type = NAPM_OPTION_CHOICE,
    .name = "objective",
    .default_text = "delay",
    .help = "What is to be least: the total delay, or the variance of the delay over all tasks.",
    .choices = "delay|variance",
};
static const struct napm_option max_evaluations_option = {
    .size = sizeof(max_evaluations_option),
    .type = NAPM_OPTION_INTEGER,
    .name = "max_evaluations",
    .default_text = "200000",
    .help = "Give up with an error after so many evaluations.",
    .minimum = 1,
    .maximum = 1e15,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_OBJECTIVE] = &objective_option,
    [OPTION_MAX_EVALUATIONS] = &max_evaluations_option,
};

struct exhaustive {
    const struct napm_host *host;
    int64_t max_evaluations;
    int by_variance;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct exhaustive *exhaustive = malloc(sizeof(*exhaustive));
    if (!exhaustive) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    exhaustive->host = host;
    exhaustive->by_variance = strcmp(options[OPTION_OBJECTIVE].text, "variance") == 0;
    exhaustive->max_evaluations = options[OPTION_MAX_EVALUATIONS].integer;
    *self = exhaustive;
    return NAPM_OK;
}

/* A cut that a stream may have, and what its tasks then take at least. */
struct choice {
    uint32_t cut;
    double bound_ns;
};

struct search {
    const struct exhaustive *settings;
    const struct napm_problem *problem;
    const struct napm_evaluator *evaluator;
    struct napm_plan *plan;
    struct choice **choices; /* by stream, least bound first */
    uint32_t *choice_counts;
    double *rest_ns; /* by stream: least bounds of it and all behind it */
    uint32_t *cuts, *best_cuts;
    double best_ns, best_variance_ns2;
    double combinations;
    int64_t evaluations;
};

static int compare_choices(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;
    if (x->bound_ns != y->bound_ns)
        return x->bound_ns < y->bound_ns ? -1 : 1;
    return x->cut < y->cut ? -1 : 1;
}

static int32_t list_choices(struct search *search, uint32_t stream)
{
    const struct napm_evaluator *evaluator = search->evaluator;
    uint32_t layers = search->problem->streams[stream]->layer_count, count = 0;
    struct choice *choices = calloc((size_t)layers + 1, sizeof(*choices));
    search->choices[stream] = choices;
    if (!choices)
        return NAPM_ERR_MEMORY;
    double tasks = evaluator->task_count(evaluator, stream);
    for (uint32_t c = 0; c <= layers; c++) {
        double isolated_ns = evaluator->isolated_ns(evaluator, stream, c);
        if (isolated_ns < INFINITY)
            choices[count++] = (struct choice){c, tasks * isolated_ns};
    }
    if (count == 0)
        return cuts_none_feasible(search->settings->host, search->problem, stream);
    qsort(choices, count, sizeof(*choices), compare_choices);
    search->choice_counts[stream] = count;
    search->combinations *= count;
    return NAPM_OK;
}

static int32_t too_many(const struct search *search)
{
    char text[320];
    snprintf(text, sizeof(text),
             "not finished after max_evaluations = %" PRId64 " of up to %.3g combinations of cuts (%" PRIu32
             " streams): raise max_evaluations, or take greedy-delay, which needs far fewer",
             search->settings->max_evaluations, search->combinations, search->problem->stream_count);
    search->settings->host->set_error(search->settings->host, text);
    return NAPM_ERR_INVALID;
}

static int is_better(const struct search *search, const struct napm_evaluation *result)
{
    if (search->settings->by_variance && result->variance_ns2 != search->best_variance_ns2)
        return result->variance_ns2 < search->best_variance_ns2;
    return result->total_ns < search->best_ns;
}

static int32_t evaluate(struct search *search)
{
    const struct napm_host *host = search->settings->host;
    struct napm_evaluation result = {.size = sizeof(result)};
    if (search->evaluations++ == search->settings->max_evaluations)
        return too_many(search);
    int32_t status = search->evaluator->evaluate(search->evaluator, search->plan, &result);
    if (status < 0) {
        host->set_error(host, status == NAPM_ERR_CANCELLED ? "stopped" : "a plan could not be evaluated");
        return status;
    }
    if (!is_better(search, &result))
        return NAPM_OK;
    search->best_ns = result.total_ns;
    search->best_variance_ns2 = result.variance_ns2;
    memcpy(search->best_cuts, search->cuts, search->problem->stream_count * sizeof(*search->cuts));
    return NAPM_OK;
}

/* Places stream `stream` and all behind it; `bound_ns` is that of those before it. */
static int32_t place(struct search *search, uint32_t stream, double bound_ns)
{
    if (stream == search->problem->stream_count)
        return evaluate(search);
    for (uint32_t k = 0; k < search->choice_counts[stream]; k++) {
        struct choice choice = search->choices[stream][k];
        if (!search->settings->by_variance &&
            bound_ns + choice.bound_ns + search->rest_ns[stream + 1] >= search->best_ns)
            return NAPM_OK;
        search->cuts[stream] = choice.cut;
        napm_plan_set_cut(search->problem, search->plan, stream, choice.cut);
        int32_t status = place(search, stream + 1, bound_ns + choice.bound_ns);
        if (status < 0)
            return status;
    }
    return NAPM_OK;
}

static int32_t search_all(struct search *search)
{
    uint32_t count = search->problem->stream_count;
    search->choices = calloc(count + 1, sizeof(struct choice *));
    search->choice_counts = calloc(count + 1, sizeof(*search->choice_counts));
    search->rest_ns = calloc(count + 1, sizeof(*search->rest_ns));
    search->cuts = calloc(count + 1, sizeof(*search->cuts));
    search->best_cuts = calloc(count + 1, sizeof(*search->best_cuts));
    if (!search->choices || !search->choice_counts || !search->rest_ns || !search->cuts || !search->best_cuts)
        return NAPM_ERR_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        int32_t status = list_choices(search, i);
        if (status < 0)
            return status;
    }
    for (uint32_t i = count; i-- > 0;)
        search->rest_ns[i] = search->rest_ns[i + 1] + search->choices[i][0].bound_ns;
    int32_t status = place(search, 0, 0);
    if (status < 0)
        return status;
    if (search->best_ns == INFINITY) {
        search->settings->host->set_error(search->settings->host,
                                          "infeasible: no combination of cuts fits all memories together: give the "
                                          "station or the devices more memory");
        return NAPM_ERR_INVALID;
    }
    for (uint32_t i = 0; i < count; i++)
        napm_plan_set_cut(search->problem, search->plan, i, search->best_cuts[i]);
    return NAPM_OK;
}

static int32_t plan_cuts(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                         struct napm_plan *plan)
{
    const struct exhaustive *exhaustive = self;
    struct search search = {
        .settings = exhaustive,
        .problem = problem,
        .evaluator = evaluator,
        .plan = plan,
        .best_ns = INFINITY,
        .best_variance_ns2 = INFINITY,
        .combinations = 1,
    };
    int32_t status = search_all(&search);
    if (status == NAPM_ERR_MEMORY)
        exhaustive->host->set_error(exhaustive->host, "out of memory");
    for (uint32_t i = 0; search.choices && i < problem->stream_count; i++)
        free(search.choices[i]);
    free(search.choices);
    free(search.choice_counts);
    free(search.rest_ns);
    free(search.cuts);
    free(search.best_cuts);
    return status;
}

static const struct napm_partitioner hook = {.size = sizeof(hook), .plan = plan_cuts};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "exhaustive",
    .version = "1.0",
    .summary = "Every combination of cuts by branch and bound: the oracle for few streams.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(exhaustive, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "exhaustive", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
