/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioner "exhaustive": every combination of cuts, the oracle for few streams.
 *
 * It branches and bounds. What a stream adds to the total delay, or to the scenario's objective, is at least
 *   - for each task its delay in isolation; and the waiting for its own device too, where no other stream has to do with
 *     it: then it does not depend on the other streams' cuts, and any evaluation with this cut tells it;
 *   - for the scenario's objective also the energy, which does not depend on the others either, and the deadlines
 *     that even a task in isolation misses.
 * Each stream's cuts are tried in the order of that bound: when, with the least that the streams to come add, one is too
 * much, so are all behind it. What is too much is the best plan found so far; a descent by single changes finds a good one to
 * begin with. The variance has no such bound: there every combination is evaluated.
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
    .help =
        "What is to be least: the total delay, the variance of the delay over all tasks, or the scenario's objective.",
    .choices = "delay|variance|scenario",
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

enum objective { DELAY, VARIANCE, SCENARIO };

struct exhaustive {
    const struct napm_host *host;
    int64_t max_evaluations;
    enum objective objective;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct exhaustive *exhaustive = malloc(sizeof(*exhaustive));
    if (!exhaustive) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    exhaustive->host = host;
    const char *objective = options[OPTION_OBJECTIVE].text;
    exhaustive->objective = strcmp(objective, "delay") == 0      ? DELAY
                            : strcmp(objective, "variance") == 0 ? VARIANCE
                                                                 : SCENARIO;
    exhaustive->max_evaluations = options[OPTION_MAX_EVALUATIONS].integer;
    *self = exhaustive;
    return NAPM_OK;
}

/* A cut that a stream may have, and what its tasks then add to the score at least. */
struct choice {
    uint32_t cut;
    double bound;
};

/* Scores are nanoseconds of all tasks, their variance, or the scenario's objective; of equal ones the lower total wins. */
struct score {
    double value, total_ns;
};

struct search {
    const struct exhaustive *settings;
    const struct napm_problem *problem;
    const struct napm_evaluator *evaluator;
    struct napm_plan *plan;
    struct choice **choices; /* by stream, least bound first */
    uint32_t *choice_counts;
    double *waits_ns; /* by cut: of the stream being listed, waiting for its device */
    double *rest; /* by stream: least bounds of it and all behind it */
    double tasks;
    uint32_t *cuts, *best_cuts;
    struct score best;
    double combinations;
    int64_t evaluations;
};

/* ---- evaluations */

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

/* A total beyond which no plan is better than the best one. */
static double limit_ns(const struct search *search)
{
    if (search->settings->objective == DELAY)
        return search->best.total_ns;
    double per_s = search->settings->objective == SCENARIO ? search->problem->objective->delay_per_s : 0;
    return per_s > 0 ? search->best.value * search->tasks * 1e9 / per_s : INFINITY;
}

/* Evaluates the present plan with stream `stream` at cut `c`. */
static int32_t evaluate(struct search *search, uint32_t stream, uint32_t c, double limit,
                        struct napm_evaluation *result)
{
    const struct napm_host *host = search->settings->host;
    if (search->evaluations++ == search->settings->max_evaluations)
        return too_many(search);
    int32_t status = search->evaluator->evaluate_cut(search->evaluator, search->plan, stream, c, limit, result);
    if (status < 0)
        host->set_error(host, status == NAPM_ERR_CANCELLED ? "stopped" : "a plan could not be evaluated");
    return status;
}

/* The same, to learn whether this is the best plan so far. */
static int32_t try_cut(struct search *search, uint32_t stream, uint32_t c)
{
    struct napm_evaluation result = {.size = sizeof(result)};
    int32_t status = evaluate(search, stream, c, limit_ns(search), &result);
    if (status < 0)
        return status;
    const double values[] = {result.total_ns, result.variance_ns2, result.objective};
    struct score score = {values[search->settings->objective], result.total_ns};
    if (score.total_ns == INFINITY || score.value > search->best.value ||
        (score.value == search->best.value && score.total_ns >= search->best.total_ns))
        return NAPM_OK;
    search->best = score;
    memcpy(search->best_cuts, search->cuts, search->problem->stream_count * sizeof(*search->cuts));
    search->best_cuts[stream] = c;
    return NAPM_OK;
}

static void set_cut(struct search *search, uint32_t stream, uint32_t c)
{
    search->cuts[stream] = c;
    napm_plan_set_cut(search->problem, search->plan, stream, c);
}

/* ---- bounds */

static int compare_choices(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;
    if (x->bound != y->bound)
        return x->bound < y->bound ? -1 : 1;
    return x->cut < y->cut ? -1 : 1;
}

static double sum_ns(const int64_t *layer_ns, uint32_t first, uint32_t end)
{
    double ns = 0;
    for (uint32_t k = first; layer_ns && k < end; k++)
        ns += (double)layer_ns[k];
    return ns;
}

/* Energy of a task, without what the repair of loss adds. */
static double energy_j(const struct napm_problem *problem, uint32_t stream, uint32_t c)
{
    const struct napm_problem_stream *view = problem->streams[stream];
    const struct napm_problem_node *device = problem->nodes[view->device], *station = problem->nodes[problem->station];
    const struct napm_problem_link *link = problem->links[view->link];
    double joules = device->busy_w * sum_ns(view->layer_ns[view->device], 0, c) / 1e9 +
                    station->busy_w * sum_ns(view->layer_ns[problem->station], c, view->layer_count) / 1e9 +
                    device->transmit_w * (double)view->cuts[c]->bytes / link->up_bytes_per_s;
    if (c < view->layer_count && view->result_returns)
        joules += station->transmit_w * (double)view->result_bytes / link->down_bytes_per_s;
    return joules;
}

static double bound_of(const struct search *search, uint32_t stream, uint32_t c)
{
    const struct napm_objective *wish = search->problem->objective;
    double alone_ns = search->evaluator->isolated_ns(search->evaluator, stream, c);
    double tasks = search->evaluator->task_count(search->evaluator, stream);
    int64_t deadline_ns = search->problem->streams[stream]->deadline_ns;
    double delay_ns = alone_ns + search->waits_ns[c];
    if (search->settings->objective == DELAY)
        return tasks * delay_ns;
    return tasks / search->tasks *
           (wish->delay_per_s * delay_ns / 1e9 + wish->energy_per_j * energy_j(search->problem, stream, c) +
            (deadline_ns && alone_ns > (double)deadline_ns ? wish->miss : 0));
}

static int has_device_alone(const struct napm_problem *problem, uint32_t stream)
{
    for (uint32_t i = 0; i < problem->stream_count; i++)
        for (uint32_t k = 0; i != stream && k + 1 < problem->streams[i]->route_count; k++)
            if (problem->streams[i]->route_nodes[k] == problem->streams[stream]->device)
                return 0;
    return 1;
}

/* How long the stream's tasks wait for their own device, by cut: 0 where that depends on other streams' cuts. */
static int32_t measure_waits(struct search *search, uint32_t stream, struct napm_phases *phases)
{
    const struct napm_problem_stream *view = search->problem->streams[stream];
    memset(search->waits_ns, 0, ((size_t)view->layer_count + 1) * sizeof(*search->waits_ns));
    if (search->settings->objective == VARIANCE || view->interval_ns <= 0 || !has_device_alone(search->problem, stream))
        return NAPM_OK;
    for (uint32_t c = 1; c <= view->layer_count; c++) {
        double local_ns = sum_ns(view->layer_ns[view->device], 0, c);
        if (local_ns <= (double)view->interval_ns ||
            search->evaluator->isolated_ns(search->evaluator, stream, c) == INFINITY)
            continue;
        struct napm_evaluation result = {.size = sizeof(result), .phases = phases};
        int32_t status = evaluate(search, stream, c, INFINITY, &result);
        if (status < 0)
            return status;
        if (result.feasible)
            search->waits_ns[c] = fmax(0, phases[stream].local_ns - local_ns);
    }
    return NAPM_OK;
}

static int32_t list_choices(struct search *search, uint32_t stream)
{
    uint32_t layers = search->problem->streams[stream]->layer_count, count = 0;
    struct choice *choices = calloc((size_t)layers + 1, sizeof(*choices));
    search->choices[stream] = choices;
    if (!choices)
        return NAPM_ERR_MEMORY;
    for (uint32_t c = 0; c <= layers; c++)
        if (search->evaluator->isolated_ns(search->evaluator, stream, c) < INFINITY)
            choices[count++] =
                (struct choice){c, search->settings->objective == VARIANCE ? 0 : bound_of(search, stream, c)};
    if (count == 0)
        return cuts_none_feasible(search->settings->host, search->problem, stream);
    qsort(choices, count, sizeof(*choices), compare_choices);
    search->choice_counts[stream] = count;
    return NAPM_OK;
}

/* ---- search */

static int32_t begin(struct search *search)
{
    const struct napm_problem *problem = search->problem;
    size_t room = (size_t)problem->stream_count + 1, most_layers = 0;
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        uint32_t layers = problem->streams[i]->layer_count;
        most_layers = layers > most_layers ? layers : most_layers;
        search->tasks += search->evaluator->task_count(search->evaluator, i);
        search->combinations *= layers + 1.0;
    }
    search->choices = calloc(room, sizeof(struct choice *));
    search->choice_counts = calloc(room, sizeof(*search->choice_counts));
    search->waits_ns = calloc(most_layers + 1, sizeof(*search->waits_ns));
    search->rest = calloc(room, sizeof(*search->rest));
    search->cuts = calloc(room, sizeof(*search->cuts));
    search->best_cuts = calloc(room, sizeof(*search->best_cuts));
    return search->choices && search->choice_counts && search->waits_ns && search->rest && search->cuts &&
                   search->best_cuts
               ? NAPM_OK
               : NAPM_ERR_MEMORY;
}

static void end(struct search *search)
{
    for (uint32_t i = 0; search->choices && i < search->problem->stream_count; i++)
        free(search->choices[i]);
    free(search->choices);
    free(search->choice_counts);
    free(search->waits_ns);
    free(search->rest);
    free(search->cuts);
    free(search->best_cuts);
}

static int32_t bound_all(struct search *search)
{
    uint32_t count = search->problem->stream_count;
    struct napm_phases *phases = calloc((size_t)count + 1, sizeof(*phases));
    int32_t status = phases ? NAPM_OK : NAPM_ERR_MEMORY;
    for (uint32_t i = 0; i < count && status == NAPM_OK; i++) {
        status = measure_waits(search, i, phases);
        if (status == NAPM_OK)
            status = list_choices(search, i);
    }
    for (uint32_t i = count; i-- > 0 && status == NAPM_OK;)
        search->rest[i] = search->rest[i + 1] + search->choices[i][0].bound;
    free(phases);
    return status;
}

/* From the least bounds, changes of one stream's cut as long as they help. */
static int32_t descend(struct search *search)
{
    for (uint32_t i = 0; i < search->problem->stream_count; i++)
        set_cut(search, i, search->choices[i][0].cut);
    for (double before = -1; before != search->best.value;) {
        before = search->best.value;
        for (uint32_t i = 0; i < search->problem->stream_count; i++) {
            for (uint32_t k = 0; k < search->choice_counts[i]; k++) {
                int32_t status = try_cut(search, i, search->choices[i][k].cut);
                if (status < 0)
                    return status;
            }
            if (search->best.value < INFINITY)
                set_cut(search, i, search->best_cuts[i]);
        }
    }
    return NAPM_OK;
}

/* Places stream `stream` and all behind it; `bound` is that of those before it. */
static int32_t place(struct search *search, uint32_t stream, double bound)
{
    int last = stream + 1 == search->problem->stream_count;
    for (uint32_t k = 0; k < search->choice_counts[stream]; k++) {
        struct choice choice = search->choices[stream][k];
        double least = (bound + choice.bound + search->rest[stream + 1]) * (1 - 1e-12); /* sums of rounded numbers */
        if (search->settings->objective != VARIANCE && least >= search->best.value)
            return NAPM_OK;
        set_cut(search, stream, choice.cut);
        int32_t status = last ? try_cut(search, stream, choice.cut) : place(search, stream + 1, bound + choice.bound);
        if (status < 0)
            return status;
    }
    return NAPM_OK;
}

static int32_t search_all(struct search *search)
{
    int32_t status = begin(search);
    if (status == NAPM_OK)
        status = bound_all(search);
    if (status == NAPM_OK && search->settings->objective != VARIANCE)
        status = descend(search);
    if (status == NAPM_OK)
        status = place(search, 0, 0);
    if (status < 0)
        return status;
    if (search->best.value == INFINITY) {
        search->settings->host->set_error(search->settings->host,
                                          "infeasible: no combination of cuts fits all memories together: give the "
                                          "station or the devices more memory");
        return NAPM_ERR_INVALID;
    }
    for (uint32_t i = 0; i < search->problem->stream_count; i++)
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
        .best = {INFINITY, INFINITY},
        .combinations = 1,
    };
    int32_t status = search_all(&search);
    if (status == NAPM_ERR_MEMORY)
        exhaustive->host->set_error(exhaustive->host, "out of memory");
    end(&search);
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
