/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduler "batch": first come, first served, but the job whose turn it is takes with it those that are equal to it: the
 * same layers of the same model. They run whole, together.
 */
#include <stdlib.h>
#include <string.h>

#include <napm/plugin.h>
#include <napm/scheduler.h>

#include "queue.h"

enum { OPTION_MAX_BATCH, OPTION_MAX_WAIT, OPTION_COUNT };

static const struct napm_option max_batch_option = {
    .size = sizeof(max_batch_option),
    .type = NAPM_OPTION_INTEGER,
    .name = "max_batch",
    .default_text = "4",
    .help = "Most jobs that run together.",
    .minimum = 1,
    .maximum = 1024,
};
static const struct napm_option max_wait_option = {
    .size = sizeof(max_wait_option),
    .type = NAPM_OPTION_DURATION,
    .name = "max_wait",
    .default_text = "0ms",
    .help = "So long after its arrival the first job waits for a batch to be full; 0: it takes with it those that are "
            "there.",
    .minimum = 0,
    .maximum = 3.6e12,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_MAX_BATCH] = &max_batch_option, [OPTION_MAX_WAIT] = &max_wait_option};

struct batch {
    const struct napm_host *host;
    struct queue queue;
    uint32_t max_batch;
    int64_t max_wait_ns;
    uint64_t further[]; /* max_batch - 1 of them: the batch picked last, without its first */
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    uint32_t max_batch = (uint32_t)options[OPTION_MAX_BATCH].integer;
    struct batch *batch = malloc(sizeof(*batch) + (max_batch - 1) * sizeof(batch->further[0]));
    if (!batch) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    batch->host = host;
    batch->max_batch = max_batch;
    batch->max_wait_ns = options[OPTION_MAX_WAIT].integer;
    queue_init(&batch->queue);
    *self = batch;
    return NAPM_OK;
}

static void destroy(void *self)
{
    struct batch *batch = self;
    queue_free(&batch->queue);
    free(batch);
}

static int32_t ready(void *self, struct napm_job *job, int64_t now_ns)
{
    (void)now_ns;
    struct batch *batch = self;
    int32_t status = queue_add(&batch->queue, job);
    if (status < 0)
        batch->host->set_error(batch->host, "out of memory");
    return status;
}

static int is_equal(const struct napm_job *a, const struct napm_job *b)
{
    return a->model == b->model && a->first_layer == b->first_layer && a->layers_done == b->layers_done;
}

/* Notes the jobs behind the first that are equal to it, oldest first, as many as may go with it; returns how many. */
static uint32_t gather(struct batch *batch)
{
    const struct queue_node *ends = &batch->queue.ends, *first = ends->next;
    uint32_t count = 0;
    for (const struct queue_node *node = first->next; node != ends && count + 1 < batch->max_batch; node = node->next)
        if (is_equal(first->job, node->job))
            batch->further[count++] = node->job->id;
    return count;
}

/* Takes the first job and the next `count` that are equal to it. */
static void take(struct batch *batch, uint32_t count)
{
    const struct napm_job *first = queue_take(&batch->queue);
    for (struct queue_node *node = batch->queue.ends.next, *next; count > 0; node = next) {
        next = node->next;
        if (is_equal(first, node->job)) {
            queue_unlink(node);
            count--;
        }
    }
}

static int32_t pick(void *self, int64_t now_ns, struct napm_pick *pick)
{
    struct batch *batch = self;
    if (batch->queue.ends.next == &batch->queue.ends)
        return NAPM_WAIT;
    const struct napm_job *first = batch->queue.ends.next->job;
    uint32_t count = gather(batch);
    int64_t until_ns = first->arrived_ns + batch->max_wait_ns;
    if (count + 1 < batch->max_batch && now_ns < until_ns) {
        pick->wake_ns = until_ns;
        return NAPM_WAIT;
    }
    pick->job = first->id;
    pick->layer_count = first->layer_count; /* all that are left */
    pick->batch_count = count;
    pick->batch = batch->further;
    take(batch, count);
    return NAPM_OK;
}

static void gone(void *self, struct napm_job *job, uint32_t why, int64_t now_ns)
{
    (void)why;
    (void)now_ns;
    struct batch *batch = self;
    queue_forget(&batch->queue, job);
}

static const struct napm_scheduler hook = {.size = sizeof(hook), .ready = ready, .pick = pick, .gone = gone};

static const struct napm_scheduler_batches batches = {.size = sizeof(batches)};

static const void *get_extension(const char *id)
{
    return strcmp(id, NAPM_SCHEDULER_BATCHES) == 0 ? &batches : NULL;
}

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "batch",
    .version = "1.0",
    .summary = "First come, first served, equal jobs together: dynamic batching.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = destroy,
    .hook = &hook,
    .get_extension = get_extension,
};

NAPM_PLUGIN_NOTE(batch, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "batch", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
