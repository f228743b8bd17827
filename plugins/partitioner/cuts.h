/* SPDX-License-Identifier: Apache-2.0 */
/* What the partitioners have in common: cuts of streams in isolation, and plans that do not fit. */
#ifndef NAPM_PLUGINS_PARTITIONER_CUTS_H
#define NAPM_PLUGINS_PARTITIONER_CUTS_H

#include <math.h>
#include <stdio.h>

#include <napm/partitioner.h>
#include <napm/plugin.h>

/* The cut with the least isolated delay; NAPM_NONE where none is feasible. Of equal cuts the earlier one. */
static inline uint32_t cuts_best_isolated(const struct napm_problem *problem, const struct napm_evaluator *evaluator,
                                          uint32_t stream)
{
    uint32_t best = NAPM_NONE;
    double best_ns = INFINITY;
    for (uint32_t c = 0; c <= problem->streams[stream]->layer_count; c++) {
        double delay_ns = evaluator->isolated_ns(evaluator, stream, c);
        if (delay_ns < best_ns) {
            best_ns = delay_ns;
            best = c;
        }
    }
    return best;
}

/* Says that a stream can run nowhere. Returns a status. */
static inline int32_t cuts_none_feasible(const struct napm_host *host, const struct napm_problem *problem,
                                         uint32_t stream)
{
    char text[256];
    snprintf(text, sizeof(text), "stream '%s' has no feasible cut: give '%s' or '%s' more memory",
             problem->streams[stream]->name, problem->nodes[problem->streams[stream]->device]->name,
             problem->nodes[problem->station]->name);
    host->set_error(host, text);
    return NAPM_ERR_INVALID;
}

/* Puts one cut into the plan: `whole` 1 all-local, 0 all at the station. Fails where a stream does not fit so. */
static inline int32_t cuts_set_whole(const struct napm_host *host, const struct napm_problem *problem,
                                     const struct napm_evaluator *evaluator, int whole, struct napm_plan *plan)
{
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        const struct napm_problem_stream *stream = problem->streams[i];
        uint32_t c = whole ? stream->layer_count : 0;
        const struct napm_problem_node *node = problem->nodes[whole ? stream->device : problem->station];
        napm_plan_set_cut(problem, plan, i, c);
        if (evaluator->isolated_ns(evaluator, i, c) < INFINITY)
            continue;
        uint64_t need = whole ? stream->cuts[c]->device_memory_bytes : stream->cuts[c]->station_memory_bytes;
        char text[320];
        if (node->memory_bytes && need > node->memory_bytes)
            snprintf(text, sizeof(text),
                     "infeasible: the whole model of stream '%s' needs %.1f MiB and '%s' has %.1f MiB: give it more "
                     "memory, or take a partitioner that cuts models",
                     stream->name, (double)need / 1048576.0, node->name, (double)node->memory_bytes / 1048576.0);
        else
            snprintf(text, sizeof(text), "infeasible: '%s' cannot run the whole model of stream '%s'", node->name,
                     stream->name);
        host->set_error(host, text);
        return NAPM_ERR_INVALID;
    }
    return NAPM_OK;
}

/* Evaluates the plan, only to learn whether all its parts fit the memories together. Returns a status. */
static inline int32_t cuts_check_fit(const struct napm_host *host, const struct napm_evaluator *evaluator,
                                     const struct napm_plan *plan)
{
    struct napm_evaluation result = {.size = sizeof(result)};
    int32_t status = evaluator->evaluate(evaluator, plan, &result);
    if (status == NAPM_ERR_CANCELLED)
        host->set_error(host, "stopped");
    else if (status < 0)
        host->set_error(host, "the plan could not be evaluated");
    if (status < 0 || result.feasible)
        return status;
    host->set_error(host, "infeasible: each stream's part fits, but all together they exceed a node's memory: give it "
                          "more, or take a partitioner that looks at all streams together, such as greedy-delay");
    return NAPM_ERR_INVALID;
}

/* An instance without options of its own is its host. */
static inline int32_t cuts_create(const struct napm_host *host, const union napm_value *options, void **self)
{
    (void)options;
    *self = (void *)(uintptr_t)host;
    return NAPM_OK;
}

static inline void cuts_destroy(void *self)
{
    (void)self;
}

#endif
