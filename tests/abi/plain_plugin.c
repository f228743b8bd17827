/* SPDX-License-Identifier: Apache-2.0 */
/* A small scheduler in the common part of C99 and C++: what the SDK's macros must compile in. */
#include <napm/plugin.h>
#include <napm/scheduler.h>
#include <stdlib.h>

#define MOST_READY 1024

struct queue {
    uint64_t ids[MOST_READY];
    uint32_t count;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    (void)host;
    (void)options;
    *self = calloc(1, sizeof(struct queue));
    return *self ? NAPM_OK : NAPM_ERR_MEMORY;
}

static void destroy(void *self)
{
    free(self);
}

static int32_t ready(void *self, struct napm_job *job, int64_t now_ns)
{
    struct queue *queue = (struct queue *)self;
    (void)now_ns;
    if (queue->count == MOST_READY)
        return NAPM_ERR_FAILED;
    queue->ids[queue->count++] = job->id;
    return NAPM_OK;
}

static int32_t pick(void *self, int64_t now_ns, struct napm_pick *answer)
{
    struct queue *queue = (struct queue *)self;
    (void)now_ns;
    answer->job = queue->ids[--queue->count];
    answer->layer_count = 1;
    return NAPM_OK;
}

static void gone(void *self, struct napm_job *job, uint32_t why, int64_t now_ns)
{
    struct queue *queue = (struct queue *)self;
    uint32_t kept = 0;
    (void)why;
    (void)now_ns;
    for (uint32_t i = 0; i < queue->count; i++)
        if (queue->ids[i] != job->id)
            queue->ids[kept++] = queue->ids[i];
    queue->count = kept;
}

static const struct napm_scheduler hook = {(uint32_t)sizeof(struct napm_scheduler), 0, ready, pick, gone};
static const struct napm_plugin plain = {(uint32_t)sizeof(struct napm_plugin),
                                         NAPM_KIND_SCHEDULER,
                                         NAPM_SCHEDULER_VERSION,
                                         NAPM_THREADS_SERIALISED,
                                         "plain",
                                         "1.0",
                                         "Last come, first served",
                                         NULL,
                                         0,
                                         0,
                                         NULL,
                                         create,
                                         destroy,
                                         &hook,
                                         NULL};

NAPM_PLUGIN_NOTE(plain, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "plain", "1.0");
NAPM_EXPORT_PLUGINS(&plain);
