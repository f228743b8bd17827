/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduler "sjf": shortest job first, without preemption. Of the ready jobs the one with the least expected time at the
 * station runs next, and runs whole; among equals the one that arrived first. The ready jobs form a binary heap, so each
 * event costs O(log n).
 */
#include <stdint.h>
#include <stdlib.h>

#include <napm/plugin.h>
#include <napm/scheduler.h>

/* A ready job and the time it is expected to take; the heap's order looks at nothing outside this entry but ties. */
struct entry {
    int64_t length_ns;
    struct napm_job *job; /* its scheduler_data is its place in the heap + 1, or NULL where it is not in it */
};

struct sjf {
    const struct napm_host *host;
    struct entry *heap;
    size_t count, room;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    (void)options;
    struct sjf *sjf = calloc(1, sizeof(*sjf));
    if (!sjf) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    sjf->host = host;
    *self = sjf;
    return NAPM_OK;
}

static void destroy(void *self)
{
    struct sjf *sjf = self;
    free(sjf->heap);
    free(sjf);
}

static int before(const struct entry *a, const struct entry *b)
{
    if (a->length_ns != b->length_ns)
        return a->length_ns < b->length_ns;
    if (a->job->arrived_ns != b->job->arrived_ns)
        return a->job->arrived_ns < b->job->arrived_ns;
    return a->job->id < b->job->id;
}

static void place(struct sjf *sjf, size_t at, struct entry entry)
{
    sjf->heap[at] = entry;
    entry.job->scheduler_data = (void *)(uintptr_t)(at + 1);
}

/* Moves the hole at `at` up until `entry` may fill it. */
static void rise(struct sjf *sjf, size_t at, struct entry entry)
{
    for (; at > 0 && before(&entry, &sjf->heap[(at - 1) / 2]); at = (at - 1) / 2)
        place(sjf, at, sjf->heap[(at - 1) / 2]);
    place(sjf, at, entry);
}

/* Moves the hole at `at` down until `entry` may fill it. */
static void sink(struct sjf *sjf, size_t at, struct entry entry)
{
    for (size_t child; (child = 2 * at + 1) < sjf->count; at = child) {
        if (child + 1 < sjf->count && before(&sjf->heap[child + 1], &sjf->heap[child]))
            child++;
        if (!before(&sjf->heap[child], &entry))
            break;
        place(sjf, at, sjf->heap[child]);
    }
    place(sjf, at, entry);
}

static void take_out(struct sjf *sjf, struct napm_job *job)
{
    size_t at = (uintptr_t)job->scheduler_data - 1;
    job->scheduler_data = NULL;
    struct entry last = sjf->heap[--sjf->count];
    if (last.job == job)
        return;
    if (at > 0 && before(&last, &sjf->heap[(at - 1) / 2]))
        rise(sjf, at, last);
    else
        sink(sjf, at, last);
}

static int32_t ready(void *self, struct napm_job *job, int64_t now_ns)
{
    (void)now_ns;
    struct sjf *sjf = self;
    if (sjf->count == sjf->room) {
        size_t room = sjf->room ? 2 * sjf->room : 64;
        struct entry *heap = realloc(sjf->heap, room * sizeof(*heap));
        if (!heap) {
            sjf->host->set_error(sjf->host, "out of memory");
            return NAPM_ERR_MEMORY;
        }
        sjf->heap = heap;
        sjf->room = room;
    }
    rise(sjf, sjf->count++, (struct entry){job->remaining_ns, job});
    return NAPM_OK;
}

static int32_t pick(void *self, int64_t now_ns, struct napm_pick *pick)
{
    (void)now_ns;
    struct sjf *sjf = self;
    if (sjf->count == 0)
        return NAPM_WAIT;
    struct napm_job *shortest = sjf->heap[0].job;
    take_out(sjf, shortest);
    pick->job = shortest->id;
    pick->layer_count = shortest->layer_count; /* all that are left: it is not interrupted */
    return NAPM_OK;
}

static void gone(void *self, struct napm_job *job, uint32_t why, int64_t now_ns)
{
    (void)why;
    (void)now_ns;
    if (job->scheduler_data) /* cancelled while it waited */
        take_out(self, job);
}

static const struct napm_scheduler hook = {.size = sizeof(hook), .ready = ready, .pick = pick, .gone = gone};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "sjf",
    .version = "1.0",
    .summary = "Shortest job first: the job with the least expected station time runs whole.",
    .licence = "Apache-2.0",
    .create = create,
    .destroy = destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(sjf, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "sjf", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
