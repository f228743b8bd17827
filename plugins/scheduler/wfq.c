/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduler "wfq": weighted fair queueing over the streams. The variant is start-time fair queueing: Goyal, Vin and Cheng,
 * "Start-time Fair Queuing: A Scheduling Algorithm for Integrated Services Packet Switching Networks", SIGCOMM 1996.
 *
 * A packet is one turn of a job; all turns of a job come when it does. A packet of expected time l, of a stream of weight w,
 * has the start tag S = max(v, finish tag of the stream's packet before it) and the finish tag S + l / w. The packet with
 * the least start tag runs; v, the virtual time, is the greatest start tag of those that have run, and the greatest
 * finish tag once nothing is left to do. While two streams both have jobs waiting, what they have got of one worker,
 * divided by their weights, differs by no more than the sum of one turn of each divided by its weight. Jobs of one
 * stream run in order of arrival. With equal weights it is fair among streams, whatever the number and length of jobs.
 */
#include <string.h>

#include "order.h"
#include "turn.h"

#define GREATEST_SPAN 1e15 /* of one job in virtual time: eleven days, so that tags never overflow */

enum { OPTION_QUANTUM, OPTION_COUNT };

TURN_OPTION(
    quantum_option, 0,
    "A job runs for so much expected time before another stream may have its turn, and at least one layer; 0: one "
    "layer at a time.");
static const struct napm_option *const options_table[OPTION_COUNT] = {[OPTION_QUANTUM] = &quantum_option};

struct wfq {
    const struct napm_host *host;
    int64_t quantum_ns;
    struct order order; /* keys are start tags of the jobs' next turns */
    uint64_t job_count; /* that have come and are not gone */
    int64_t virtual_time;
    int64_t greatest_finish; /* of the turns that have run */
    int64_t *finish; /* by stream: the finish tag of its last job's last turn */
    uint32_t stream_room;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct wfq *wfq = malloc(sizeof(*wfq));
    if (!wfq) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    *wfq = (struct wfq){.host = host, .quantum_ns = options[OPTION_QUANTUM].integer};
    *self = wfq;
    return NAPM_OK;
}

static void destroy(void *self)
{
    struct wfq *wfq = self;
    order_free(&wfq->order);
    free(wfq->finish);
    free(wfq);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Virtual time that so much expected time of the job takes. */
static int64_t span(const struct napm_job *job, int64_t work_ns)
{
    double length = (double)work_ns / (job->weight > 0 ? job->weight : 1);
    return (int64_t)(length < GREATEST_SPAN ? length : GREATEST_SPAN);
}

static int32_t make_room(struct wfq *wfq, uint32_t stream)
{
    if (stream < wfq->stream_room)
        return NAPM_OK;
    uint32_t room = 2 * stream + 16;
    int64_t *finish = realloc(wfq->finish, room * sizeof(*finish));
    if (!finish)
        return NAPM_ERR_MEMORY;
    memset(finish + wfq->stream_room, 0, (room - wfq->stream_room) * sizeof(*finish));
    wfq->finish = finish;
    wfq->stream_room = room;
    return NAPM_OK;
}

/* The start tag of a job that is new. */
static int64_t begin_job(struct wfq *wfq, const struct napm_job *job)
{
    if (wfq->job_count++ == 0)
        wfq->virtual_time = wfq->greatest_finish;
    int64_t start = later(wfq->virtual_time, wfq->finish[job->stream]);
    wfq->finish[job->stream] = start + span(job, job->remaining_ns);
    return start;
}

static int32_t ready(void *self, struct napm_job *job, int64_t now_ns)
{
    (void)now_ns;
    struct wfq *wfq = self;
    if (!NAPM_HAS(job, struct napm_job, weight)) {
        wfq->host->set_error(wfq->host,
                             "this platform is too old for wfq: its jobs have no weight; take rr, or update it");
        return NAPM_ERR_UNSUPPORTED;
    }
    int32_t status = make_room(wfq, job->stream);
    if (status == NAPM_OK)
        status = order_add(&wfq->order, job, job->layers_done == 0 ? begin_job(wfq, job) : order_key(job));
    if (status < 0)
        wfq->host->set_error(wfq->host, "out of memory");
    return status;
}

static int32_t pick(void *self, int64_t now_ns, struct napm_pick *pick)
{
    (void)now_ns;
    struct wfq *wfq = self;
    const struct napm_job *job = order_take(&wfq->order);
    if (!job)
        return NAPM_WAIT;
    int64_t start = order_key(job), work_ns = 0;
    pick->job = job->id;
    pick->layer_count = turn_layers(job, wfq->quantum_ns);
    for (uint32_t i = 0; i < pick->layer_count; i++)
        work_ns += job->layer_ns[job->layers_done + i];
    int64_t finish = start + span(job, work_ns);
    order_set_key(job, finish); /* where its next turn starts */
    wfq->virtual_time = later(wfq->virtual_time, start);
    wfq->greatest_finish = later(wfq->greatest_finish, finish);
    return NAPM_OK;
}

static void gone(void *self, struct napm_job *job, uint32_t why, int64_t now_ns)
{
    (void)now_ns;
    struct wfq *wfq = self;
    if (why == NAPM_JOB_CANCELLED) /* the stream gets back what it has not used */
        wfq->finish[job->stream] -= span(job, job->remaining_ns);
    wfq->job_count--;
    order_forget(&wfq->order, job);
}

static const struct napm_scheduler hook = {.size = sizeof(hook), .ready = ready, .pick = pick, .gone = gone};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "wfq",
    .version = "1.0",
    .summary = "Weighted fair queueing over the streams (start-time fair queueing), by their weights.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(wfq, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "wfq", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
