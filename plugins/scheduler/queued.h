/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedulers that run the ready jobs in turn, each for a quantum: they differ in the quantum alone. A job whose turn is
 * over goes to the end of the queue. Such a scheduler's `create` calls queued_new; the rest of its descriptor is
 * queued_hook and queued_destroy.
 */
#ifndef NAPM_PLUGINS_SCHEDULER_QUEUED_H
#define NAPM_PLUGINS_SCHEDULER_QUEUED_H

#include "queue.h"
#include "turn.h"

struct queued {
    const struct napm_host *host;
    int64_t quantum_ns;
    struct queue queue;
};

static inline int32_t queued_new(const struct napm_host *host, int64_t quantum_ns, void **self)
{
    struct queued *queued = malloc(sizeof(*queued));
    if (!queued) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    queued->host = host;
    queued->quantum_ns = quantum_ns;
    queue_init(&queued->queue);
    *self = queued;
    return NAPM_OK;
}

static inline void queued_destroy(void *self)
{
    struct queued *queued = self;
    queue_free(&queued->queue);
    free(queued);
}

/* New, or back from its turn: either way the job goes to the end of the queue. */
static inline int32_t queued_ready(void *self, struct napm_job *job, int64_t now_ns)
{
    (void)now_ns;
    struct queued *queued = self;
    int32_t status = queue_add(&queued->queue, job);
    if (status < 0)
        queued->host->set_error(queued->host, "out of memory");
    return status;
}

static inline int32_t queued_pick(void *self, int64_t now_ns, struct napm_pick *pick)
{
    (void)now_ns;
    struct queued *queued = self;
    const struct napm_job *job = queue_take(&queued->queue);
    if (!job)
        return NAPM_WAIT;
    pick->job = job->id;
    pick->layer_count = turn_layers(job, queued->quantum_ns);
    return NAPM_OK;
}

static inline void queued_gone(void *self, struct napm_job *job, uint32_t why, int64_t now_ns)
{
    (void)why;
    (void)now_ns;
    struct queued *queued = self;
    queue_forget(&queued->queue, job);
}

static const struct napm_scheduler queued_hook = {
    .size = sizeof(queued_hook), .ready = queued_ready, .pick = queued_pick, .gone = queued_gone};

#endif
