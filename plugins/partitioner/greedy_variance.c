/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioner "greedy-variance": the moves of greedy-delay, lowest variance of the delay over all tasks first, total
 * delay as tie-break, and never more than (1 + slack) times the least total delay found: low variance alone is met by
 * making everyone equally slow.
 *
 * It descends in variance from greedy-delay's plan and from its two starts where they keep within the slack. A
 * move may turn out to have a lower total than all before, which narrows what the slack allows; a plan that is then
 * outside is given up for the one of least total, from where the descent goes on.
 */
#include <stdlib.h>
#include <string.h>

#include "cuts.h"
#include "greedy.h"

enum { OPTION_SLACK, OPTION_CHANGES, OPTION_COUNT };

static const struct napm_option slack_option = {
    .size = sizeof(slack_option),
    .type = NAPM_OPTION_REAL,
    .name = "slack",
    .default_text = "0.10",
    .help = "How much more total delay than the least one found is accepted, as a share of it.",
    .minimum = 0,
    .maximum = 10,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_SLACK] = &slack_option, [OPTION_CHANGES] = &greedy_changes_option};

struct variance {
    const struct napm_host *host;
    double slack;
    const char *changes;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct variance *variance = malloc(sizeof(*variance));
    if (!variance) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    *variance = (struct variance){host, options[OPTION_SLACK].real, options[OPTION_CHANGES].text};
    *self = variance;
    return NAPM_OK;
}

/* The goal of the descent. `least` is greedy's: it moves while the descent goes on. */
struct goal {
    struct greedy_goal descent;
    double slack;
    const struct greedy_score *least;
};

static double most_total(const struct goal *goal)
{
    return (1 + goal->slack) * goal->least->total_ns;
}

static int within_slack(const struct goal *goal, struct greedy_score score)
{
    return score.total_ns <= most_total(goal);
}

static int less_variance(const struct greedy_goal *descent, struct greedy_score a, struct greedy_score b)
{
    const struct goal *goal = (const struct goal *)descent;
    if (!within_slack(goal, a))
        return 0;
    if (!within_slack(goal, b) || a.variance_ns2 < b.variance_ns2)
        return 1;
    return a.variance_ns2 == b.variance_ns2 && a.total_ns < b.total_ns;
}

static double slack_limit(const struct greedy_goal *descent, struct greedy_score best)
{
    (void)best;
    return most_total((const struct goal *)descent);
}

static double fall_of_variance(const struct greedy_goal *descent, struct greedy_score from, struct greedy_score to)
{
    return to.total_ns < most_total((const struct goal *)descent) ? from.variance_ns2 - to.variance_ns2 : -INFINITY;
}

/* The stream's own tasks move towards the mean, or away from it. */
static double promised_fall(const struct greedy_goal *descent, const struct greedy *greedy, uint32_t stream,
                            double delay_ns, double gain_ns)
{
    if (greedy->score.total_ns - gain_ns > 1.05 * most_total((const struct goal *)descent))
        return -INFINITY;
    double mean_ns = greedy->score.total_ns / greedy->tasks, now_ns = promise_present_ns(&greedy->promise, stream);
    double share = greedy->evaluator->task_count(greedy->evaluator, stream) / greedy->tasks;
    return share * ((now_ns - mean_ns) * (now_ns - mean_ns) - (delay_ns - mean_ns) * (delay_ns - mean_ns));
}

/* Descends from the present plan; ends within the slack of the least total that is known then. */
static int32_t descend(struct greedy *greedy, const struct goal *goal)
{
    for (;;) {
        int32_t status = greedy_descend(greedy, &goal->descent);
        if (status < 0 || within_slack(goal, greedy->score))
            return status;
        status = greedy_start(greedy, greedy->least_cuts);
        if (status < 0)
            return status;
    }
}

/* Also tries the descent from `start`, and keeps the better end in greedy's plan. */
static int32_t try_start(struct greedy *greedy, const struct goal *goal, const uint32_t *start, uint32_t *kept)
{
    struct greedy_score kept_score = greedy->score;
    size_t bytes = greedy->problem->stream_count * sizeof(*kept);
    memcpy(kept, greedy->cuts, bytes);
    int32_t status = greedy_start(greedy, start);
    if (status == NAPM_OK && within_slack(goal, greedy->score))
        status = descend(greedy, goal);
    if (status < 0)
        return status;
    if (less_variance(&goal->descent, greedy->score, kept_score))
        return NAPM_OK;
    status = greedy_start(greedy, kept);
    return status < 0 ? status : descend(greedy, goal); /* the least total may have moved */
}

static int32_t lower_variance(struct greedy *greedy, const struct goal *goal, uint32_t *start, uint32_t *kept)
{
    const struct napm_problem *problem = greedy->problem;
    greedy->tasks_left = GREEDY_MOST_TASKS;
    int32_t status = descend(greedy, goal);
    for (uint32_t i = 0; i < problem->stream_count; i++)
        start[i] = cuts_best_isolated(problem, greedy->evaluator, i);
    if (status == NAPM_OK)
        status = try_start(greedy, goal, start, kept);
    for (uint32_t i = 0; i < problem->stream_count; i++)
        start[i] = problem->streams[i]->layer_count;
    if (status == NAPM_OK)
        status = try_start(greedy, goal, start, kept);
    return status;
}

static int32_t plan_cuts(void *self, const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                         struct napm_plan *plan)
{
    const struct variance *variance = self;
    struct greedy greedy;
    uint32_t *scratch = calloc(2 * (size_t)problem->stream_count + 1, sizeof(*scratch));
    int32_t status = greedy_begin(&greedy, variance->host, variance->changes, problem, evaluator, plan);
    const struct goal goal = {
        {less_variance, slack_limit, fall_of_variance, promised_fall}, variance->slack, &greedy.least};
    if (status == NAPM_OK && !scratch) {
        variance->host->set_error(variance->host, "out of memory");
        status = NAPM_ERR_MEMORY;
    }
    if (status == NAPM_OK)
        status = greedy_least_delay(&greedy);
    if (status == NAPM_OK)
        status = lower_variance(&greedy, &goal, scratch, scratch + problem->stream_count);
    greedy_end(&greedy);
    free(scratch);
    return status;
}

static const struct napm_partitioner hook = {.size = sizeof(hook), .plan = plan_cuts};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_PARTITIONER,
    .hook_version = NAPM_PARTITIONER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "greedy-variance",
    .version = "1.0",
    .summary = "Greedy single-stream changes that even out the delays, within a slack of the least total.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(greedy_variance, NAPM_KIND_PARTITIONER, NAPM_PARTITIONER_VERSION, "greedy-variance", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
