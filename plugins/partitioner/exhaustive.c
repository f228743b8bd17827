/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioner "exhaustive": every combination of cuts, the oracle for few streams. Where a stream's way passes several
 * nodes, it has a cut at each border: every sharing out of its layers over the nodes of the way, in their order, is tried.
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
#include "route.h"

#define MOST_WAYS 20000000.0 /* sharings out of one stream's layers that are listed */

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

/* Where a stream may be cut, and what its tasks then add to the score at least. */
struct choice {
    uint32_t cut; /* layers on the device */
    uint32_t way; /* where the way passes several nodes: number of its cuts in the stream's list of them */
    double bound;
};

/* The choices of one stream. Numbers count from that of the least bound: see choice_at. */
struct choices {
    struct choice *items; /* first the `waiting`, a heap with the least in front; behind it the others, number 0 last */
    uint32_t waiting;
    uint32_t *ways; /* borders of the way each: layers before it, not descending; NULL where there is one border only */
    uint32_t count, borders;
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
    struct choices *choices; /* by stream */
    double *waits_ns; /* by cut: of the stream being listed, waiting for its device */
    double *rest; /* by stream: least bounds of it and all behind it */
    double tasks;
    uint32_t *chosen, *best_chosen; /* by stream: number of the choice */
    struct score best;
    double combinations;
    int64_t evaluations;
};

/* ---- order */

static int is_before(const struct choice *x, const struct choice *y)
{
    if (x->bound != y->bound)
        return x->bound < y->bound;
    return x->cut != y->cut ? x->cut < y->cut : x->way < y->way;
}

/* Puts `choice` into the place at `at`, or further down where it belongs. */
static void sink(struct choices *choices, uint32_t at, struct choice choice)
{
    struct choice *items = choices->items;
    for (uint32_t child; (child = 2 * at + 1) < choices->waiting; at = child) {
        child += child + 1 < choices->waiting && is_before(&items[child + 1], &items[child]);
        if (!is_before(&items[child], &choice))
            break;
        items[at] = items[child];
    }
    items[at] = choice;
}

static void begin_order(struct choices *choices)
{
    choices->waiting = choices->count;
    for (uint32_t at = choices->count / 2; at-- > 0;)
        sink(choices, at, choices->items[at]);
}

/* The choice with this number. Of many choices few are looked at, so they are put in order only as far as they are. */
static const struct choice *choice_at(struct choices *choices, uint32_t number)
{
    while (choices->count - choices->waiting <= number) {
        struct choice least = choices->items[0], last = choices->items[--choices->waiting];
        sink(choices, 0, last);
        choices->items[choices->waiting] = least;
    }
    return &choices->items[choices->count - 1 - number];
}

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

/* A plan that shares layers out over several nodes is evaluated as it stands. */
static int32_t evaluate_plan(struct search *search, struct napm_evaluation *result)
{
    const struct napm_host *host = search->settings->host;
    if (search->evaluations++ == search->settings->max_evaluations)
        return too_many(search);
    int32_t status = search->evaluator->evaluate(search->evaluator, search->plan, result);
    if (status < 0)
        host->set_error(host, status == NAPM_ERR_CANCELLED ? "stopped" : "a plan could not be evaluated");
    return status;
}

static void write_choice(struct search *search, uint32_t stream, uint32_t number)
{
    struct choices *choices = &search->choices[stream];
    const struct choice *choice = choice_at(choices, number);
    const struct napm_problem_stream *view = search->problem->streams[stream];
    napm_plan_set_cut(search->problem, search->plan, stream, choice->cut);
    if (!choices->ways)
        return;
    const uint32_t *way = choices->ways + (size_t)choice->way * choices->borders;
    for (uint32_t place = 1; place < choices->borders; place++)
        for (uint32_t layer = way[place - 1]; layer < way[place]; layer++)
            search->plan->node_of_layer[stream][layer] = route_node(search->problem, view, place);
}

static void choose(struct search *search, uint32_t stream, uint32_t number)
{
    search->chosen[stream] = number;
    write_choice(search, stream, number);
}

/* Whether the plan with this choice is the best one itself. */
static int is_best(const struct search *search, uint32_t stream, uint32_t number)
{
    for (uint32_t i = 0; i < search->problem->stream_count; i++)
        if ((i == stream ? number : search->chosen[i]) != search->best_chosen[i])
            return 0;
    return search->best.value < INFINITY;
}

/* Evaluates the plan with this choice, to learn whether it is the best so far. */
static int32_t try_choice(struct search *search, uint32_t stream, uint32_t number)
{
    if (is_best(search, stream, number))
        return NAPM_OK;
    struct choices *choices = &search->choices[stream];
    struct napm_evaluation result = {.size = sizeof(result)};
    int32_t status;
    if (choices->ways) {
        write_choice(search, stream, number);
        status = evaluate_plan(search, &result);
    } else {
        status = evaluate(search, stream, choice_at(choices, number)->cut, limit_ns(search), &result);
    }
    if (status < 0)
        return status;
    const double values[] = {result.total_ns, result.variance_ns2, result.objective};
    struct score score = {values[search->settings->objective], result.total_ns};
    if (!result.feasible || score.total_ns == INFINITY || score.value > search->best.value ||
        (score.value == search->best.value && score.total_ns >= search->best.total_ns))
        return NAPM_OK;
    search->best = score;
    memcpy(search->best_chosen, search->chosen, search->problem->stream_count * sizeof(*search->chosen));
    search->best_chosen[stream] = number;
    return NAPM_OK;
}

/* ---- bounds */

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

/*
 * How long the stream's tasks wait for their own device, by cut: 0 where that depends on other streams' cuts, or the way
 * passes several nodes.
 */
static int32_t measure_waits(struct search *search, uint32_t stream, struct napm_phases *phases)
{
    const struct napm_problem_stream *view = search->problem->streams[stream];
    memset(search->waits_ns, 0, ((size_t)view->layer_count + 1) * sizeof(*search->waits_ns));
    if (search->settings->objective == VARIANCE || view->interval_ns <= 0 || route_count(view) > 2 ||
        !has_device_alone(search->problem, stream))
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

static int32_t list_cuts(struct search *search, uint32_t stream)
{
    struct choices *choices = &search->choices[stream];
    uint32_t layers = search->problem->streams[stream]->layer_count;
    choices->items = calloc((size_t)layers + 1, sizeof(*choices->items));
    if (!choices->items)
        return NAPM_ERR_MEMORY;
    for (uint32_t c = 0; c <= layers; c++)
        if (search->evaluator->isolated_ns(search->evaluator, stream, c) < INFINITY)
            choices->items[choices->count++] = (struct choice){
                .cut = c, .bound = search->settings->objective == VARIANCE ? 0 : bound_of(search, stream, c)};
    return NAPM_OK;
}

/* ---- ways over several nodes */

/* One stream's way, with sums over its layers, so that what one sharing out takes is told in steps of its nodes. */
struct way {
    const struct search *search;
    uint32_t stream, places, layers;
    const struct napm_problem_stream *view;
    double tasks;
    /* By place and layers before: their time there, infinite where the node cannot run them, and the way up to there. */
    double *until_ns, *up_ns;
    double *result_ns; /* by the last place that is reached: the result's way */
};

static double share_ns(const struct way *way, uint32_t place, uint32_t first, uint32_t end)
{
    const double *until_ns = way->until_ns + (size_t)place * (way->layers + 1);
    if (first == end)
        return 0;
    return until_ns[end] == INFINITY ? INFINITY : until_ns[end] - until_ns[first];
}

static int share_fits(const struct way *way, uint32_t place, uint32_t first, uint32_t end)
{
    const struct napm_problem *problem = way->search->problem;
    uint64_t room = problem->nodes[route_node(problem, way->view, place)]->memory_bytes;
    return first == end || room == 0 ||
           way->search->evaluator->range_bytes(way->search->evaluator, way->stream, first, end) <= room;
}

/* The layers of place i are cuts[i - 1] .. cuts[i] - 1. */
static uint32_t share_first(const uint32_t *cuts, uint32_t place)
{
    return place ? cuts[place - 1] : 0;
}

static uint32_t share_end(const struct way *way, const uint32_t *cuts, uint32_t place)
{
    return place + 1 < way->places ? cuts[place] : way->layers;
}

/* What one task alone takes; infinite where it cannot be. */
static double way_alone_ns(const struct way *way, const uint32_t *cuts)
{
    double alone_ns = 0;
    uint32_t last = 0;
    for (uint32_t place = 0; place < way->places; place++) {
        uint32_t first = share_first(cuts, place), end = share_end(way, cuts, place);
        if (!share_fits(way, place, first, end))
            return INFINITY;
        if (place && first < way->layers) {
            alone_ns += way->up_ns[(size_t)place * (way->layers + 1) + first];
            last = place;
        }
        alone_ns += share_ns(way, place, first, end);
    }
    return alone_ns + way->result_ns[last];
}

/* Energy of one task, without what results and the repair of loss add. */
static double way_energy_j(const struct way *way, const uint32_t *cuts)
{
    const struct napm_problem *problem = way->search->problem;
    double joules = 0;
    for (uint32_t place = 0; place < way->places; place++) {
        uint32_t first = share_first(cuts, place), end = share_end(way, cuts, place);
        joules +=
            problem->nodes[route_node(problem, way->view, place)]->busy_w * share_ns(way, place, first, end) / 1e9;
        if (place && first < way->layers)
            joules += problem->nodes[route_node(problem, way->view, place - 1)]->transmit_w *
                      (double)way->view->cuts[first]->bytes / route_link(problem, way->view, place - 1)->up_bytes_per_s;
    }
    return joules;
}

static double bound_of_way(const struct way *way, const uint32_t *cuts)
{
    const struct search *search = way->search;
    const struct napm_objective *wish = search->problem->objective;
    double alone_ns = way_alone_ns(way, cuts);
    int64_t deadline_ns = way->view->deadline_ns;
    if (alone_ns == INFINITY || search->settings->objective == DELAY)
        return alone_ns * way->tasks;
    if (search->settings->objective == VARIANCE)
        return 0;
    return way->tasks / search->tasks *
           (wish->delay_per_s * alone_ns / 1e9 + wish->energy_per_j * way_energy_j(way, cuts) +
            (deadline_ns && alone_ns > (double)deadline_ns ? wish->miss : 0));
}

/* The next cuts in lexical order; 0 behind the last. */
static int next_way(uint32_t *cuts, uint32_t borders, uint32_t layers)
{
    for (uint32_t i = borders; i-- > 0;)
        if (cuts[i] < layers) {
            uint32_t value = cuts[i] + 1;
            for (; i < borders; i++)
                cuts[i] = value;
            return 1;
        }
    return 0;
}

/* What the ways have in common: the times of the parts that they are made of. */
static void time_parts(struct way *way)
{
    const struct napm_problem *problem = way->search->problem;
    for (uint32_t place = 0; place < way->places; place++) {
        const int64_t *layer_ns = way->view->layer_ns[route_node(problem, way->view, place)];
        double *until_ns = way->until_ns + (size_t)place * (way->layers + 1);
        double *up_ns = way->up_ns + (size_t)place * (way->layers + 1);
        for (uint32_t layer = 0; layer < way->layers; layer++) {
            until_ns[layer + 1] = layer_ns ? until_ns[layer] + (double)layer_ns[layer] : INFINITY;
            up_ns[layer] = place ? route_up_ns(problem, way->view, place - 1, way->view->cuts[layer]->bytes) : 0;
        }
        way->result_ns[place] = route_return_ns(problem, way->view, place) + route_report_ns(problem, way->view, place);
    }
}

/* Lists every sharing out that is possible. `ways` has room for one more, in which the next one is made. */
static void fill_ways(const struct way *way, struct choices *choices)
{
    uint32_t *cuts = choices->ways;
    do {
        double bound = bound_of_way(way, cuts);
        if (bound == INFINITY)
            continue;
        choices->items[choices->count] = (struct choice){.cut = cuts[0], .way = choices->count, .bound = bound};
        choices->count++;
        memcpy(cuts + choices->borders, cuts, choices->borders * sizeof(*cuts));
        cuts += choices->borders;
    } while (next_way(cuts, choices->borders, way->layers));
}

static double count_ways(uint32_t borders, uint32_t layers)
{
    double count = 1;
    for (uint32_t i = 1; i <= borders; i++)
        count = count * (layers + i) / i;
    return count;
}

static int32_t list_ways(struct search *search, uint32_t stream)
{
    const struct napm_problem_stream *view = search->problem->streams[stream];
    struct choices *choices = &search->choices[stream];
    struct way way = {.search = search,
                      .stream = stream,
                      .places = route_count(view),
                      .layers = view->layer_count,
                      .view = view,
                      .tasks = search->evaluator->task_count(search->evaluator, stream)};
    choices->borders = way.places - 1;
    double count = count_ways(choices->borders, way.layers);
    if (count > MOST_WAYS) {
        char text[256];
        snprintf(text, sizeof(text),
                 "stream '%s' has %.3g ways to share its layers out over %" PRIu32
                 " nodes: too many to try; chain-dp finds the best for one stream",
                 view->name, count, way.places);
        search->settings->host->set_error(search->settings->host, text);
        return NAPM_ERR_INVALID;
    }
    choices->items = calloc((size_t)count, sizeof(*choices->items));
    choices->ways = calloc(((size_t)count + 1) * choices->borders, sizeof(*choices->ways));
    way.until_ns = calloc((size_t)way.places * (way.layers + 1), sizeof(*way.until_ns));
    way.up_ns = calloc((size_t)way.places * (way.layers + 1), sizeof(*way.up_ns));
    way.result_ns = calloc(way.places, sizeof(*way.result_ns));
    int fine = choices->items && choices->ways && way.until_ns && way.up_ns && way.result_ns;
    if (fine) {
        time_parts(&way);
        fill_ways(&way, choices);
    }
    free(way.until_ns);
    free(way.up_ns);
    free(way.result_ns);
    return fine ? NAPM_OK : NAPM_ERR_MEMORY;
}

static int32_t list_choices(struct search *search, uint32_t stream)
{
    struct choices *choices = &search->choices[stream];
    int32_t status =
        route_count(search->problem->streams[stream]) > 2 ? list_ways(search, stream) : list_cuts(search, stream);
    if (status < 0)
        return status;
    if (choices->count == 0)
        return cuts_none_feasible(search->settings->host, search->problem, stream);
    begin_order(choices);
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
        search->combinations *= count_ways(route_count(problem->streams[i]) - 1, layers);
    }
    search->choices = calloc(room, sizeof(*search->choices));
    search->waits_ns = calloc(most_layers + 1, sizeof(*search->waits_ns));
    search->rest = calloc(room, sizeof(*search->rest));
    search->chosen = calloc(room, sizeof(*search->chosen));
    search->best_chosen = calloc(room, sizeof(*search->best_chosen));
    return search->choices && search->waits_ns && search->rest && search->chosen && search->best_chosen
               ? NAPM_OK
               : NAPM_ERR_MEMORY;
}

static void end(struct search *search)
{
    for (uint32_t i = 0; search->choices && i < search->problem->stream_count; i++) {
        free(search->choices[i].items);
        free(search->choices[i].ways);
    }
    free(search->choices);
    free(search->waits_ns);
    free(search->rest);
    free(search->chosen);
    free(search->best_chosen);
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
        search->rest[i] = search->rest[i + 1] + choice_at(&search->choices[i], 0)->bound;
    free(phases);
    return status;
}

/* Whether nothing with this bound, and the least of the streams not in it, can be better than the best plan. */
static int is_hopeless(const struct search *search, double bound, double others)
{
    /* Sums of rounded numbers, and of nanoseconds that the evaluator rounds: a little room for both. */
    return search->settings->objective != VARIANCE && (bound + others) * (1 - 1e-9) >= search->best.value;
}

/* Takes the change of one stream's choice that is best. */
static int32_t improve(struct search *search, uint32_t stream)
{
    struct choices *choices = &search->choices[stream];
    double others = search->rest[0] - choice_at(choices, 0)->bound;
    for (uint32_t k = 0; k < choices->count && !is_hopeless(search, choice_at(choices, k)->bound, others); k++) {
        int32_t status = try_choice(search, stream, k);
        if (status < 0)
            return status;
    }
    choose(search, stream, search->best.value < INFINITY ? search->best_chosen[stream] : search->chosen[stream]);
    return NAPM_OK;
}

/* From the least bounds, changes of one stream's choice as long as they help. */
static int32_t descend(struct search *search)
{
    for (uint32_t i = 0; i < search->problem->stream_count; i++)
        choose(search, i, 0);
    for (double before = -1; before != search->best.value;) {
        before = search->best.value;
        for (uint32_t i = 0; i < search->problem->stream_count; i++) {
            int32_t status = improve(search, i);
            if (status < 0)
                return status;
        }
    }
    return NAPM_OK;
}

/* Places stream `stream` and all behind it; `bound` is that of those before it. */
static int32_t place(struct search *search, uint32_t stream, double bound)
{
    int last = stream + 1 == search->problem->stream_count;
    struct choices *choices = &search->choices[stream];
    for (uint32_t k = 0; k < choices->count; k++) {
        double with = bound + choice_at(choices, k)->bound;
        if (is_hopeless(search, with, search->rest[stream + 1]))
            return NAPM_OK;
        choose(search, stream, k);
        int32_t status = last ? try_choice(search, stream, k) : place(search, stream + 1, with);
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
        write_choice(search, i, search->best_chosen[i]);
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
    .version = "1.1",
    .summary = "Every combination of cuts by branch and bound: the oracle for few streams.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(exhaustive, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "exhaustive", "1.1");
NAPM_EXPORT_PLUGINS(&plugin);
