/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduler "fifo": first come, first served. A job runs whole, in the order in which the cut tensors arrived. */
#include <stdlib.h>

#include <napm/plugin.h>
#include <napm/scheduler.h>

#include "queue.h"

struct fifo {
    const struct napm_host *host;
    struct queue queue;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    (void)options;
    struct fifo *fifo = malloc(sizeof(*fifo));
    if (!fifo) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    fifo->host = host;
    queue_init(&fifo->queue);
    *self = fifo;
    return NAPM_OK;
}

static void destroy(void *self)
{
    struct fifo *fifo = self;
    queue_free(&fifo->queue);
    free(fifo);
}

static int32_t ready(void *self, struct napm_job *job, int64_t now_ns)
{
    (void)now_ns;
    struct fifo *fifo = self;
    int32_t status = queue_add(&fifo->queue, job);
    if (status < 0)
        fifo->host->set_error(fifo->host, "out of memory");
    return status;
}

static int32_t pick(void *self, int64_t now_ns, struct napm_pick *pick)
{
    (void)now_ns;
    struct fifo *fifo = self;
    const struct napm_job *job = queue_take(&fifo->queue);
    if (!job)
        return NAPM_WAIT;
    pick->job = job->id;
    pick->layer_count = job->layer_count; /* all that are left */
    return NAPM_OK;
}

static void gone(void *self, struct napm_job *job, uint32_t why, int64_t now_ns)
{
    (void)why;
    (void)now_ns;
    struct fifo *fifo = self;
    queue_forget(&fifo->queue, job);
}

static const struct napm_scheduler hook = {.size = sizeof(hook), .ready = ready, .pick = pick, .gone = gone};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "fifo",
    .version = "1.0",
    .summary = "First come, first served: jobs run whole, in order of arrival.",
    .licence = "Apache-2.0",
    .create = create,
    .destroy = destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(fifo, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "fifo", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
