/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scheduler to start from: last come, first served. The newest job runs first, some layers at a time, so that a still
 * newer one can overtake it at the next layer border.
 */
#include <napm/plugin.h>
#include <napm/scheduler.h>
#include <stdlib.h>

/* ---- options: the host parses and checks them by this table, and writes the help from it */

enum { OPTION_SLICE, OPTION_COUNT };

static const struct napm_option option_slice = {
    .size = sizeof(option_slice),
    .type = NAPM_OPTION_INTEGER,
    .name = "slice",
    .default_text = "1",
    .help = "Layers to run before the next decision.",
    .minimum = 1,
    .maximum = 1000000,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {[OPTION_SLICE] = &option_slice};

/* ---- the instance */

struct lifo {
    uint32_t slice;
    struct napm_job *newest; /* head of the list of ready jobs */
};

/* Ready jobs form a list through the one field of a job that is the scheduler's own. */
static struct napm_job *older(const struct napm_job *job)
{
    return job->scheduler_data;
}

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct lifo *lifo = calloc(1, sizeof(*lifo));
    if (!lifo) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    lifo->slice = (uint32_t)options[OPTION_SLICE].integer;
    *self = lifo;
    return NAPM_OK;
}

static void destroy(void *self)
{
    free(self);
}

/* ---- the hook */

/* A job is new, or its slice has ended. Arrival orders them, so that a slice's end does not make a job "new" again. */
static int32_t ready(void *self, struct napm_job *job, int64_t now_ns)
{
    struct lifo *lifo = self;
    struct napm_job *before = NULL, *at = lifo->newest;
    (void)now_ns;
    while (at && at->arrived_ns > job->arrived_ns) {
        before = at;
        at = older(at);
    }
    job->scheduler_data = at;
    if (before)
        before->scheduler_data = job;
    else
        lifo->newest = job;
    return NAPM_OK;
}

/* The host asks only while a job is ready; the picked one is not ready until ready() names it again. */
static int32_t pick(void *self, int64_t now_ns, struct napm_pick *answer)
{
    struct lifo *lifo = self;
    (void)now_ns;
    if (!lifo->newest) {
        answer->wake_ns = INT64_MAX; /* nothing to wait for but the next job */
        return NAPM_WAIT;
    }
    answer->job = lifo->newest->id;
    answer->layer_count = lifo->slice;
    lifo->newest = older(lifo->newest);
    return NAPM_OK;
}

/* Finished jobs were picked before and are in no list; a cancelled one may still be ready. */
static void gone(void *self, struct napm_job *job, uint32_t why, int64_t now_ns)
{
    struct lifo *lifo = self;
    struct napm_job *before = NULL;
    (void)why;
    (void)now_ns;
    for (struct napm_job *at = lifo->newest; at; before = at, at = older(at)) {
        if (at != job)
            continue;
        if (before)
            before->scheduler_data = older(job);
        else
            lifo->newest = older(job);
        return;
    }
}

/* ---- what the platform sees */

static const struct napm_scheduler hook = {
    .size = sizeof(hook),
    .ready = ready,
    .pick = pick,
    .gone = gone,
};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE, /* no state outside the instances */
    .name = "template-scheduler",
    .version = "1.0.0",
    .summary = "Last come, first served, in slices of layers",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(template_scheduler, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "template-scheduler", "1.0.0");
NAPM_EXPORT_PLUGINS(&plugin);
