/* SPDX-License-Identifier: Apache-2.0 */
/* Greedy descent over the cuts of all streams. */
#include "greedy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuts.h"

const struct napm_option greedy_changes_option = {
    .size = sizeof(greedy_changes_option),
    .type = NAPM_OPTION_CHOICE,
    .name = "changes",
    .default_text = "auto",
    .help =
        "Which changes of one stream's cut a round evaluates: all, or the most promising ones within a bounded effort; "
        "auto: all where there are no more than 64.",
    .choices = "auto|all|promising",
};

/* A change of one stream's cut, and what it promises. */
struct greedy_change {
    uint32_t stream, cut;
    double guess; /* by promise.h alone */
    double value; /* corrected by what is known of it */
};

/* ---- life */

static int32_t begin_guided(struct greedy *greedy)
{
    const struct napm_problem *problem = greedy->problem;
    greedy->corrections = calloc((size_t)problem->stream_count + 1, sizeof(*greedy->corrections));
    greedy->changes = calloc(greedy->change_count + 1, sizeof(*greedy->changes));
    if (!greedy->corrections || !greedy->changes)
        return NAPM_ERR_MEMORY;
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        greedy->corrections[i] = calloc((size_t)problem->streams[i]->layer_count + 1, sizeof(double));
        if (!greedy->corrections[i])
            return NAPM_ERR_MEMORY;
    }
    return promise_begin(&greedy->promise, problem, greedy->evaluator);
}

int32_t greedy_begin(struct greedy *greedy, const struct napm_host *host, const char *changes,
                     const struct napm_problem *problem, const struct napm_evaluator *evaluator, struct napm_plan *plan)
{
    size_t room = (size_t)problem->stream_count + 1;
    *greedy = (struct greedy){.host = host, .problem = problem, .evaluator = evaluator, .plan = plan};
    greedy->least = (struct greedy_score){INFINITY, INFINITY};
    greedy->promise.problem = problem;
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        greedy->change_count += problem->streams[i]->layer_count;
        greedy->tasks += evaluator->task_count(evaluator, i);
    }
    greedy->guided =
        strcmp(changes, "auto") == 0 ? greedy->change_count > GREEDY_MOST_CHANGES : strcmp(changes, "promising") == 0;
    greedy->cuts = calloc(room, sizeof(*greedy->cuts));
    greedy->least_cuts = calloc(room, sizeof(*greedy->least_cuts));
    greedy->phases = calloc(room, sizeof(*greedy->phases));
    greedy->tried_phases = calloc(room, sizeof(*greedy->phases));
    greedy->best_phases = calloc(room, sizeof(*greedy->phases));
    if (greedy->cuts && greedy->least_cuts && greedy->phases && greedy->tried_phases && greedy->best_phases &&
        (!greedy->guided || begin_guided(greedy) == NAPM_OK))
        return NAPM_OK;
    host->set_error(host, "out of memory");
    return NAPM_ERR_MEMORY;
}

void greedy_end(struct greedy *greedy)
{
    for (uint32_t i = 0; greedy->corrections && i < greedy->problem->stream_count; i++)
        free(greedy->corrections[i]);
    free(greedy->corrections);
    free(greedy->changes);
    promise_end(&greedy->promise);
    free(greedy->cuts);
    free(greedy->least_cuts);
    free(greedy->phases);
    free(greedy->tried_phases);
    free(greedy->best_phases);
}

/* ---- evaluations */

static int32_t take_result(struct greedy *greedy, int32_t status, const struct napm_evaluation *result,
                           struct greedy_score *score)
{
    greedy->tasks_left -= greedy->tasks;
    *score = (struct greedy_score){result->total_ns, result->variance_ns2};
    if (status < 0)
        greedy->host->set_error(greedy->host,
                                status == NAPM_ERR_CANCELLED ? "stopped" : "a plan could not be evaluated");
    return status;
}

static void note_least(struct greedy *greedy, struct greedy_score score, uint32_t stream, uint32_t c)
{
    if (score.total_ns >= greedy->least.total_ns)
        return;
    greedy->least = score;
    memcpy(greedy->least_cuts, greedy->cuts, greedy->problem->stream_count * sizeof(*greedy->cuts));
    greedy->least_cuts[stream] = c;
}

int32_t greedy_start(struct greedy *greedy, const uint32_t *cuts)
{
    for (uint32_t i = 0; i < greedy->problem->stream_count; i++) {
        greedy->cuts[i] = cuts[i];
        napm_plan_set_cut(greedy->problem, greedy->plan, i, cuts[i]);
    }
    struct napm_evaluation result = {.size = sizeof(result), .phases = greedy->phases};
    int32_t status = greedy->evaluator->evaluate(greedy->evaluator, greedy->plan, &result);
    status = take_result(greedy, status, &result, &greedy->score);
    if (status == NAPM_OK)
        note_least(greedy, greedy->score, 0, greedy->cuts[0]);
    return status;
}

/* The best change of a round so far. */
struct choice {
    struct greedy_score score;
    uint32_t stream, cut; /* stream NAPM_NONE: none is better than the present plan */
};

/*
 * Evaluates a change, and keeps it where it is the best so far. *score has the limit as its total where the change is
 * not better, or is not even feasible.
 */
static int32_t try_change(struct greedy *greedy, const struct greedy_goal *goal, uint32_t stream, uint32_t c,
                          struct choice *best, struct greedy_score *score)
{
    struct napm_evaluation result = {.size = sizeof(result), .phases = greedy->guided ? greedy->tried_phases : NULL};
    double limit_ns = goal->limit_ns(goal, best->score);
    int32_t status = greedy->evaluator->evaluate_cut(greedy->evaluator, greedy->plan, stream, c, limit_ns, &result);
    status = take_result(greedy, status, &result, score);
    if (status < 0)
        return status;
    note_least(greedy, *score, stream, c);
    if (goal->better(goal, *score, best->score)) {
        *best = (struct choice){*score, stream, c};
        struct napm_phases *phases = greedy->best_phases;
        greedy->best_phases = greedy->tried_phases;
        greedy->tried_phases = phases;
    } else if (score->total_ns == INFINITY && result.feasible) {
        score->total_ns = limit_ns;
    }
    return NAPM_OK;
}

/* ---- rounds */

static int is_change(const struct greedy *greedy, uint32_t stream, uint32_t c)
{
    return c != greedy->cuts[stream] && greedy->evaluator->isolated_ns(greedy->evaluator, stream, c) < INFINITY;
}

static int32_t try_all(struct greedy *greedy, const struct greedy_goal *goal, struct choice *best)
{
    struct greedy_score score;
    int32_t status = NAPM_OK;
    for (uint32_t i = 0; i < greedy->problem->stream_count; i++)
        for (uint32_t c = 0; c <= greedy->problem->streams[i]->layer_count && status == NAPM_OK; c++)
            if (is_change(greedy, i, c))
                status = try_change(greedy, goal, i, c, best, &score);
    return status;
}

static struct greedy_change guess(const struct greedy *greedy, const struct greedy_goal *goal, uint32_t stream,
                                  uint32_t c)
{
    double delay_ns, gain_ns = promise_gain_ns(&greedy->promise, stream, c, &delay_ns);
    double value = goal->promise(goal, greedy, stream, delay_ns, gain_ns);
    return (struct greedy_change){stream, c, value, value + greedy->corrections[stream][c]};
}

static int compare_changes(const void *a, const void *b)
{
    const struct greedy_change *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    if (x->stream != y->stream)
        return x->stream < y->stream ? -1 : 1;
    return x->cut < y->cut ? -1 : x->cut > y->cut;
}

/* Puts a change in its place among the `*count` most promising ones of its stream, or drops it. */
static void keep_promising(struct greedy_change *top, uint32_t *count, uint32_t room, struct greedy_change change)
{
    uint32_t at = *count;
    if (*count < room)
        (*count)++;
    else if (top[--at].value >= change.value)
        return;
    for (; at > 0 && top[at - 1].value < change.value; at--)
        top[at] = top[at - 1];
    top[at] = change;
}

/* Lists the `room` most promising changes of each stream, the most promising of all first. Returns how many. */
static uint32_t list_changes(struct greedy *greedy, const struct greedy_goal *goal, uint32_t room)
{
    uint32_t count = 0;
    promise_look(&greedy->promise, greedy->cuts, greedy->phases);
    for (uint32_t i = 0; i < greedy->problem->stream_count; i++) {
        uint32_t kept = 0;
        for (uint32_t c = 0; c <= greedy->problem->streams[i]->layer_count; c++) {
            if (!is_change(greedy, i, c))
                continue;
            struct greedy_change change = guess(greedy, goal, i, c);
            if (change.value > -INFINITY)
                keep_promising(greedy->changes + count, &kept, room, change);
        }
        count += kept;
    }
    qsort(greedy->changes, count, sizeof(*greedy->changes), compare_changes);
    return count;
}

static int32_t try_promising(struct greedy *greedy, const struct greedy_goal *goal, uint32_t room, struct choice *best)
{
    uint32_t count = list_changes(greedy, goal, room);
    for (uint32_t k = 0; k < count && greedy->tasks_left > 0; k++) {
        const struct greedy_change *change = &greedy->changes[k];
        struct greedy_score score;
        if (k % GREEDY_BATCH == 0 && best->stream != NAPM_NONE)
            break;
        int32_t status = try_change(greedy, goal, change->stream, change->cut, best, &score);
        if (status < 0)
            return status;
        double worth = score.total_ns < INFINITY ? goal->worth(goal, greedy->score, score) : -INFINITY;
        greedy->corrections[change->stream][change->cut] = worth - change->guess;
    }
    return NAPM_OK;
}

static int32_t try_some(struct greedy *greedy, const struct greedy_goal *goal, struct choice *best)
{
    int32_t status = try_promising(greedy, goal, GREEDY_PER_STREAM, best);
    return status < 0 || best->stream != NAPM_NONE ? status : try_promising(greedy, goal, UINT32_MAX, best);
}

static void forget_corrections(struct greedy *greedy)
{
    for (uint32_t i = 0; i < greedy->problem->stream_count; i++)
        memset(greedy->corrections[i], 0, (greedy->problem->streams[i]->layer_count + 1) * sizeof(double));
}

int32_t greedy_descend(struct greedy *greedy, const struct greedy_goal *goal)
{
    if (greedy->guided)
        forget_corrections(greedy);
    for (;;) {
        struct choice best = {greedy->score, NAPM_NONE, 0};
        int32_t status = greedy->guided ? try_some(greedy, goal, &best) : try_all(greedy, goal, &best);
        if (status < 0 || best.stream == NAPM_NONE)
            return status;
        struct napm_phases *phases = greedy->phases;
        greedy->phases = greedy->best_phases;
        greedy->best_phases = phases;
        greedy->cuts[best.stream] = best.cut;
        greedy->score = best.score;
        napm_plan_set_cut(greedy->problem, greedy->plan, best.stream, best.cut);
    }
}

/* ---- the least total delay */

static int less_total(const struct greedy_goal *goal, struct greedy_score a, struct greedy_score b)
{
    (void)goal;
    return a.total_ns < b.total_ns;
}

static double best_total(const struct greedy_goal *goal, struct greedy_score best)
{
    (void)goal;
    return best.total_ns;
}

static double fall_of_total(const struct greedy_goal *goal, struct greedy_score from, struct greedy_score to)
{
    (void)goal;
    return from.total_ns - to.total_ns;
}

static double promised_fall(const struct greedy_goal *goal, const struct greedy *greedy, uint32_t stream,
                            double delay_ns, double gain_ns)
{
    (void)goal;
    (void)greedy;
    (void)stream;
    (void)delay_ns;
    return gain_ns;
}

static const struct greedy_goal least_total = {less_total, best_total, fall_of_total, promised_fall};

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
    greedy->tasks_left = GREEDY_MOST_TASKS;
    int32_t status = greedy_start(greedy, cuts);
    return status < 0 ? status : greedy_descend(greedy, &least_total);
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
        status = greedy_descend(greedy, &least_total);
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
