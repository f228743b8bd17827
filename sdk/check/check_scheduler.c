/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedulers: random jobs go through a station in virtual time. Only ready jobs may be picked, every job must finish,
 * and a job's fields are only read.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "sdk/check/check.h"

#define JOBS 60
#define MOST_WORKERS 3
#define MOST_LAYERS 12
#define MOST_CALLS 100000

enum job_state { JOB_COMING, JOB_READY, JOB_RUNNING, JOB_GONE };

/* A job, and what the station knows of it. */
struct ticket {
    struct napm_job *job; /* on the heap, so that a use after gone() can be seen */
    struct napm_job before; /* as it was given to the scheduler */
    int64_t layer_ns[MOST_LAYERS];
    int64_t arrives_ns, slice_ends_ns;
    uint32_t slice;
    enum job_state state;
    int cancel; /* cancelled at the end of its first slice, or (2) while it is ready */
};

struct station {
    struct instance *instance;
    struct ticket tickets[JOBS];
    struct random random;
    int64_t clock_ns, wake_ns;
    uint32_t workers, busy;
    uint64_t picks, pick_hash; /* what was picked in which order */
};

static const struct napm_scheduler *hook_of(const struct station *station)
{
    return &station->instance->hook.scheduler;
}

static void make_jobs(struct station *station)
{
    static const int32_t priorities[] = {0, 0, 1, -1};
    int64_t arrives_ns = 0;
    for (uint32_t i = 0; i < JOBS; i++) {
        struct ticket *ticket = &station->tickets[i];
        struct napm_job *job = ticket->job = NEW(struct napm_job);
        arrives_ns += (int64_t)(random_bits(&station->random) % 8) * NS_PER_MS;
        uint32_t layers = 1 + (uint32_t)(random_bits(&station->random) % MOST_LAYERS);
        *job = (struct napm_job){.size = sizeof(*job),
                                 .stream = i % 5,
                                 .id = 1000 + i * 7,
                                 .task = i / 5,
                                 .started_ns = arrives_ns - 3 * NS_PER_MS,
                                 .arrived_ns = arrives_ns,
                                 .deadline_ns = i % 3 ? arrives_ns + 20 * NS_PER_MS : INT64_MAX,
                                 .priority = priorities[i % 4],
                                 .weight = 1 + i % 3,
                                 .layer_count = layers,
                                 .layer_ns = ticket->layer_ns};
        for (uint32_t k = 0; k < layers; k++) {
            ticket->layer_ns[k] = (int64_t)(random_bits(&station->random) % (3 * NS_PER_MS)); /* 0 is allowed */
            job->remaining_ns += ticket->layer_ns[k];
        }
        ticket->arrives_ns = arrives_ns;
        ticket->cancel = random_bits(&station->random) % 10 == 0 ? 1 + (int)(random_bits(&station->random) % 2) : 0;
    }
}

/* ---- calls, each followed by a look at what it must not have touched */

static enum verdict check_untouched(struct ticket *ticket, const char *callback, struct error *why)
{
    ticket->before.scheduler_data = ticket->job->scheduler_data;
    if (memcmp(&ticket->before, ticket->job, sizeof(ticket->before)) == 0)
        return VERDICT_PASS;
    return fail(why, "%s() wrote to a field of a job: only scheduler_data is the scheduler's", callback);
}

static enum verdict call_ready(struct station *station, struct ticket *ticket, struct error *why)
{
    ticket->before = *ticket->job;
    ticket->state = JOB_READY;
    said_reset(station->instance);
    int32_t status = hook_of(station)->ready(station->instance->self, ticket->job, station->clock_ns);
    if (status < 0 || is_unknown_status(status))
        return fail(why, "ready() returned %d: %s", status, said()[0] ? said() : "without a text");
    return check_untouched(ticket, "ready", why);
}

static enum verdict call_gone(struct station *station, struct ticket *ticket, uint32_t reason, struct error *why)
{
    ticket->before = *ticket->job;
    ticket->state = JOB_GONE;
    hook_of(station)->gone(station->instance->self, ticket->job, reason, station->clock_ns);
    enum verdict verdict = check_untouched(ticket, "gone", why);
    memset(ticket->job, 0xdd, sizeof(*ticket->job)); /* whoever still follows a pointer to it shall fall */
    free(ticket->job);
    ticket->job = NULL;
    return verdict;
}

/* ---- events */

static uint32_t count_state(const struct station *station, enum job_state state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < JOBS; i++)
        count += station->tickets[i].state == state;
    return count;
}

static enum verdict end_slice(struct station *station, struct ticket *ticket, struct error *why)
{
    struct napm_job *job = ticket->job;
    station->busy--;
    for (uint32_t k = 0; k < ticket->slice; k++)
        job->remaining_ns -= ticket->layer_ns[job->layers_done++];
    if (job->layers_done == job->layer_count)
        return call_gone(station, ticket, NAPM_JOB_FINISHED, why);
    if (ticket->cancel == 1)
        return call_gone(station, ticket, NAPM_JOB_CANCELLED, why);
    return call_ready(station, ticket, why);
}

/* Everything that happens at this moment of the clock. */
static enum verdict handle_events(struct station *station, struct error *why)
{
    enum verdict verdict = VERDICT_PASS;
    for (uint32_t i = 0; i < JOBS && verdict == VERDICT_PASS; i++) {
        struct ticket *ticket = &station->tickets[i];
        if (ticket->state == JOB_RUNNING && ticket->slice_ends_ns <= station->clock_ns)
            verdict = end_slice(station, ticket, why);
        else if (ticket->state == JOB_COMING && ticket->arrives_ns <= station->clock_ns)
            verdict = call_ready(station, ticket, why);
        if (verdict == VERDICT_PASS && ticket->state == JOB_READY && ticket->cancel == 2 &&
            random_unit(&station->random) < 0.2)
            verdict = call_gone(station, ticket, NAPM_JOB_CANCELLED, why);
    }
    return verdict;
}

static struct ticket *find_ticket(struct station *station, uint64_t id)
{
    for (uint32_t i = 0; i < JOBS; i++)
        if (id == 1000 + i * 7)
            return &station->tickets[i];
    return NULL;
}

static enum verdict begin_slice(struct station *station, uint64_t job, uint32_t layers, struct error *why)
{
    static const char *const states[] = {"has not arrived yet", "is ready", "is running", "is gone"};
    struct ticket *ticket = find_ticket(station, job);
    if (!ticket)
        return fail(why, "pick() named job %llu, which does not exist", (unsigned long long)job);
    if (ticket->state != JOB_READY)
        return fail(why, "pick() named job %llu, which %s", (unsigned long long)job, states[ticket->state]);
    if (layers == 0)
        return fail(why, "pick() asked for 0 layers of job %llu", (unsigned long long)job);
    uint32_t left = ticket->job->layer_count - ticket->job->layers_done;
    ticket->slice = layers < left ? layers : left;
    ticket->slice_ends_ns = station->clock_ns;
    for (uint32_t k = 0; k < ticket->slice; k++)
        ticket->slice_ends_ns += ticket->layer_ns[ticket->job->layers_done + k];
    ticket->state = JOB_RUNNING;
    station->busy++;
    station->pick_hash = (station->pick_hash ^ job ^ (uint64_t)ticket->slice << 32) * UINT64_C(0x100000001b3);
    return VERDICT_PASS;
}

/* The job that is picked, and those that run together with it. */
static enum verdict begin_batch(struct station *station, const struct napm_pick *pick, struct error *why)
{
    const struct ticket *first = find_ticket(station, pick->job);
    enum verdict verdict = begin_slice(station, pick->job, pick->layer_count, why);
    if (verdict == VERDICT_PASS && pick->batch_count > 0 && !pick->batch)
        return fail(why, "pick() named a batch of %u more jobs without saying which", pick->batch_count);
    for (uint32_t i = 0; i < pick->batch_count && verdict == VERDICT_PASS; i++) {
        const struct ticket *ticket = find_ticket(station, pick->batch[i]);
        verdict = begin_slice(station, pick->batch[i], pick->layer_count, why);
        if (verdict == VERDICT_PASS &&
            (ticket->job->model != first->job->model || ticket->job->first_layer != first->job->first_layer ||
             ticket->job->layers_done != first->job->layers_done))
            return fail(why, "pick() named job %llu in one batch with job %llu, which runs other layers",
                        (unsigned long long)pick->batch[i], (unsigned long long)pick->job);
    }
    return verdict;
}

/* Waiting must end: at a time to come, or with the end of a slice. */
static enum verdict check_wait(const struct station *station, struct error *why)
{
    if (station->wake_ns <= station->clock_ns)
        return fail(why, "pick() returned NAPM_WAIT with a time to wake that is past");
    if (station->wake_ns == INT64_MAX && station->busy == 0)
        return fail(why,
                    "pick() returned NAPM_WAIT without a time to wake while %u jobs are ready and no slice is running",
                    count_state(station, JOB_READY));
    return VERDICT_PASS;
}

/* Fills the free workers. */
static enum verdict call_picks(struct station *station, struct error *why)
{
    station->wake_ns = INT64_MAX;
    while (station->busy < station->workers && count_state(station, JOB_READY)) {
        struct napm_pick pick = {.size = sizeof(pick), .wake_ns = INT64_MAX};
        if (++station->picks > MOST_CALLS)
            return fail(why, "pick() was called %d times for %d jobs and they are not done", MOST_CALLS, JOBS);
        said_reset(station->instance);
        int32_t status = hook_of(station)->pick(station->instance->self, station->clock_ns, &pick);
        if (status == NAPM_WAIT) {
            station->wake_ns = pick.wake_ns;
            return check_wait(station, why);
        }
        if (status != NAPM_OK)
            return fail(why, "pick() returned %d: %s", status, said()[0] ? said() : "without a text");
        if (begin_batch(station, &pick, why) != VERDICT_PASS)
            return VERDICT_FAIL;
    }
    return VERDICT_PASS;
}

/* The clock moves to the next event. -1 where there is none. */
static int advance(struct station *station)
{
    int64_t next_ns = station->wake_ns;
    for (uint32_t i = 0; i < JOBS; i++) {
        const struct ticket *ticket = &station->tickets[i];
        if (ticket->state == JOB_RUNNING && ticket->slice_ends_ns < next_ns)
            next_ns = ticket->slice_ends_ns;
        if (ticket->state == JOB_COMING && ticket->arrives_ns < next_ns)
            next_ns = ticket->arrives_ns;
    }
    if (next_ns == INT64_MAX)
        return -1;
    station->clock_ns = next_ns;
    return 0;
}

static enum verdict drive(struct station *station, struct error *why)
{
    make_jobs(station);
    while (count_state(station, JOB_GONE) < JOBS) {
        if (advance(station))
            return fail(why, "%u jobs were never finished", JOBS - count_state(station, JOB_GONE));
        if (handle_events(station, why) != VERDICT_PASS || call_picks(station, why) != VERDICT_PASS)
            return VERDICT_FAIL;
    }
    return VERDICT_PASS;
}

static enum verdict run_station(const struct subject *subject, uint64_t seed, uint64_t *pick_hash, struct error *why)
{
    static struct station station;
    enum verdict verdict;
    memset(&station, 0, sizeof(station));
    random_seed(&station.random, seed, "check");
    station.wake_ns = INT64_MAX;
    station.workers = 1 + (uint32_t)(seed % MOST_WORKERS);
    station.instance = subject_open(subject, seed, &station.clock_ns, &verdict, why);
    if (!station.instance)
        return verdict;
    verdict = drive(&station, why);
    for (uint32_t i = 0; i < JOBS; i++)
        free(station.tickets[i].job);
    if (verdict == VERDICT_PASS) /* after a failure its state cannot be trusted to be destroyed well */
        instance_close(station.instance);
    *pick_hash = station.pick_hash;
    return verdict;
}

enum verdict check_scheduler_random(const struct subject *subject, struct error *why)
{
    uint64_t pick_hash;
    enum verdict verdict = VERDICT_PASS;
    for (uint64_t seed = 1; seed <= 30 && verdict == VERDICT_PASS; seed++)
        verdict = run_station(subject, seed, &pick_hash, why);
    if (verdict != VERDICT_PASS)
        return verdict;
    size_t before = heap_bytes();
    for (uint64_t seed = 1; seed <= 30; seed++)
        run_station(subject, seed, &pick_hash, why);
    size_t after = heap_bytes();
    if (after > before + 30 * 64)
        return fail(why, "it leaks: %zu bytes for each run of %d jobs", (after - before) / 30, JOBS);
    return VERDICT_PASS;
}

enum verdict check_scheduler_repeats(const struct subject *subject, struct error *why)
{
    uint64_t first, second;
    enum verdict verdict = run_station(subject, 4, &first, why);
    if (verdict == VERDICT_PASS)
        verdict = run_station(subject, 4, &second, why);
    if (verdict == VERDICT_PASS && first != second)
        return fail(why,
                    "the same jobs and seed were scheduled in two ways: take random numbers and time from the host "
                    "alone");
    return verdict;
}
