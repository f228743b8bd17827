/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedulers that give each ready job a rank and always run the job of the least one, for a quantum: they differ in the
 * rank alone. A job whose turn is over is ranked anew, and so is preempted, at a layer border, where another is before it.
 * Such a scheduler's `create` calls ranked_new; the rest of its descriptor is ranked_hook and ranked_destroy.
 */
#ifndef NAPM_PLUGINS_SCHEDULER_RANKED_H
#define NAPM_PLUGINS_SCHEDULER_RANKED_H

#include "order.h"
#include "turn.h"

struct ranked {
    const struct napm_host *host;
    /* `parameter` is the scheduler's own, as given to ranked_new. */
    int64_t (*rank)(const struct napm_job *job, int64_t parameter);
    int64_t quantum_ns, parameter;
    struct order order;
};

#define RANKED_QUANTUM_OPTION(name_)                                                                                   \
    TURN_OPTION(name_, 0,                                                                                              \
                "A job runs for so much expected time before it may be preempted, and at least one layer; 0: one "     \
                "layer at a time.")

static inline int32_t ranked_new(const struct napm_host *host,
                                 int64_t (*rank)(const struct napm_job *job, int64_t parameter), int64_t quantum_ns,
                                 int64_t parameter, void **self)
{
    struct ranked *ranked = malloc(sizeof(*ranked));
    if (!ranked) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    *ranked = (struct ranked){.host = host, .rank = rank, .quantum_ns = quantum_ns, .parameter = parameter};
    *self = ranked;
    return NAPM_OK;
}

static inline void ranked_destroy(void *self)
{
    struct ranked *ranked = self;
    order_free(&ranked->order);
    free(ranked);
}

static inline int32_t ranked_ready(void *self, struct napm_job *job, int64_t now_ns)
{
    (void)now_ns;
    struct ranked *ranked = self;
    int32_t status = order_add(&ranked->order, job, ranked->rank(job, ranked->parameter));
    if (status < 0)
        ranked->host->set_error(ranked->host, "out of memory");
    return status;
}

static inline int32_t ranked_pick(void *self, int64_t now_ns, struct napm_pick *pick)
{
    (void)now_ns;
    struct ranked *ranked = self;
    const struct napm_job *job = order_take(&ranked->order);
    if (!job)
        return NAPM_WAIT;
    pick->job = job->id;
    pick->layer_count = turn_layers(job, ranked->quantum_ns);
    return NAPM_OK;
}

static inline void ranked_gone(void *self, struct napm_job *job, uint32_t why, int64_t now_ns)
{
    (void)why;
    (void)now_ns;
    struct ranked *ranked = self;
    order_forget(&ranked->order, job);
}

static const struct napm_scheduler ranked_hook = {
    .size = sizeof(ranked_hook), .ready = ranked_ready, .pick = ranked_pick, .gone = ranked_gone};

/* By what is left of it at the station. */
static inline int64_t ranked_by_remaining(const struct napm_job *job, int64_t unused)
{
    (void)unused;
    return job->remaining_ns;
}

#endif
