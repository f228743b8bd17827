/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduler "rr": round robin. The ready jobs take turns in order of arrival; a turn is as many of the job's next layers
 * as are expected to fit the quantum, at least one. A job can only be interrupted between two layers, so one long layer
 * may make a turn longer than the quantum.
 */
#include <stdlib.h>

#include "queue.h"
#include "turn.h"

enum { OPTION_QUANTUM, OPTION_COUNT };

TURN_OPTION(quantum_option, 1, "Expected running time that a job may use before the next one has its turn.");
static const struct napm_option *const options_table[OPTION_COUNT] = {[OPTION_QUANTUM] = &quantum_option};

struct rr {
    const struct napm_host *host;
    int64_t quantum_ns;
    struct queue turns;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct rr *rr = malloc(sizeof(*rr));
    if (!rr) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    rr->host = host;
    rr->quantum_ns = options[OPTION_QUANTUM].integer;
    queue_init(&rr->turns);
    *self = rr;
    return NAPM_OK;
}

static void destroy(void *self)
{
    struct rr *rr = self;
    queue_free(&rr->turns);
    free(rr);
}

/* New, or back from its turn: either way the job goes to the end of the queue. */
static int32_t ready(void *self, struct napm_job *job, int64_t now_ns)
{
    (void)now_ns;
    struct rr *rr = self;
    int32_t status = queue_add(&rr->turns, job);
    if (status < 0)
        rr->host->set_error(rr->host, "out of memory");
    return status;
}

static int32_t pick(void *self, int64_t now_ns, struct napm_pick *pick)
{
    (void)now_ns;
    struct rr *rr = self;
    const struct napm_job *job = queue_take(&rr->turns);
    if (!job)
        return NAPM_WAIT;
    pick->job = job->id;
    pick->layer_count = turn_layers(job, rr->quantum_ns);
    return NAPM_OK;
}

static void gone(void *self, struct napm_job *job, uint32_t why, int64_t now_ns)
{
    (void)why;
    (void)now_ns;
    struct rr *rr = self;
    queue_forget(&rr->turns, job);
}

static const struct napm_scheduler hook = {.size = sizeof(hook), .ready = ready, .pick = pick, .gone = gone};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_SCHEDULER,
    .hook_version = NAPM_SCHEDULER_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "rr",
    .version = "1.0",
    .summary = "Round robin: jobs take turns of one quantum, ending at layer borders.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = destroy,
    .hook = &hook,
};

NAPM_PLUGIN_NOTE(rr, NAPM_KIND_SCHEDULER, NAPM_SCHEDULER_VERSION, "rr", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
