/* SPDX-License-Identifier: Apache-2.0 */
/* Load generators: times never decrease, waiting ends, and the same seed gives the same arrivals. */
#include <math.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "sdk/check/check.h"

#define TASKS 300
#define CALLS (TASKS * 20)

/* A stream in virtual time: tasks that have started and not ended, in a ring of their ends. */
struct stream {
    struct napm_loadgen_arrivals hook;
    struct instance *instance;
    int64_t clock_ns;
    int64_t times_ns[TASKS]; /* when each task started */
    uint64_t started, ended;
    int ahead; /* ask for the next task before the last has started */
};

/* The oldest unfinished task ends, 1..20 ms after its start or after the one before. */
static void end_task(struct stream *stream, struct random *random)
{
    int64_t start_ns = stream->times_ns[stream->ended];
    if (stream->clock_ns < start_ns)
        stream->clock_ns = start_ns;
    stream->clock_ns += (int64_t)(1 + random_bits(random) % 20) * NS_PER_MS;
    stream->hook.completed(stream->instance->self, stream->clock_ns, stream->ended, random_unit(random) < 0.1);
    stream->ended++;
}

static enum verdict take_time(struct stream *stream, int64_t at_ns, struct error *why)
{
    int64_t last_ns = stream->started ? stream->times_ns[stream->started - 1] : 0;
    if (at_ns < 0)
        return fail(why, "next(): task %llu starts at %lld ns, before the stream does",
                    (unsigned long long)stream->started, (long long)at_ns);
    if (at_ns < last_ns)
        return fail(why, "next(): task %llu starts at %lld ns, earlier than the one before it (%lld ns)",
                    (unsigned long long)stream->started, (long long)at_ns, (long long)last_ns);
    stream->times_ns[stream->started++] = at_ns;
    return VERDICT_PASS;
}

/* Asks for tasks until there are enough, or no more. */
static enum verdict drive(struct stream *stream, struct error *why)
{
    struct random random;
    random_seed(&random, 1, "check");
    for (int calls = 0; stream->started < TASKS; calls++) {
        if (calls == CALLS)
            return fail(why, "next() was asked %d times for %d tasks", CALLS, TASKS);
        int64_t at_ns = INT64_MIN;
        said_reset(stream->instance);
        int32_t status = stream->hook.next(stream->instance->self, stream->clock_ns, &at_ns);
        if (status == NAPM_END)
            break;
        if (status < 0 || is_unknown_status(status))
            return fail(why, "next() returned %d: %s", status, said()[0] ? said() : "without a text");
        if (status == NAPM_WAIT && stream->started == stream->ended)
            return fail(why, "next() returned NAPM_WAIT although no task is unfinished: it would wait forever");
        if (status == NAPM_OK && take_time(stream, at_ns, why) != VERDICT_PASS)
            return VERDICT_FAIL;
        if (stream->started > stream->ended && (status == NAPM_WAIT || !stream->ahead || random_unit(&random) < 0.3))
            end_task(stream, &random);
    }
    while (stream->ended < stream->started)
        end_task(stream, &random);
    return VERDICT_PASS;
}

static enum verdict run_stream(const struct subject *subject, struct stream *stream, uint64_t seed, struct error *why)
{
    enum verdict verdict;
    stream->instance = subject_open(subject, seed, &stream->clock_ns, &verdict, why);
    if (!stream->instance)
        return verdict;
    if (instance_extension(stream->instance, NAPM_LOADGEN_ARRIVALS, &stream->hook, sizeof(stream->hook))) {
        instance_close(stream->instance);
        return skip(why, "it has no %s", NAPM_LOADGEN_ARRIVALS);
    }
    verdict = drive(stream, why);
    if (verdict == VERDICT_PASS && stream->hook.interval_ns(stream->instance->self) < 0)
        verdict = fail(why, "interval_ns() is negative");
    instance_close(stream->instance);
    return verdict;
}

enum verdict check_arrivals(const struct subject *subject, struct error *why)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        for (int ahead = 0; ahead <= 1; ahead++) {
            static struct stream stream;
            stream = (struct stream){.ahead = ahead};
            enum verdict verdict = run_stream(subject, &stream, seed, why);
            if (verdict != VERDICT_PASS)
                return verdict;
        }
    return VERDICT_PASS;
}

enum verdict check_arrivals_repeat(const struct subject *subject, struct error *why)
{
    static struct stream first, second;
    enum verdict verdict = run_stream(subject, &first, 7, why);
    if (verdict == VERDICT_PASS)
        verdict = run_stream(subject, &second, 7, why);
    if (verdict != VERDICT_PASS)
        return verdict;
    if (first.started != second.started || memcmp(first.times_ns, second.times_ns, sizeof(first.times_ns)) != 0)
        return fail(why, "two instances with the same seed gave different times: take random numbers and time from the "
                         "host alone");
    return VERDICT_PASS;
}

enum verdict check_stress(const struct subject *subject, struct error *why)
{
    int64_t clock_ns = 0, last_ns = 0;
    struct napm_loadgen_stress hook;
    enum verdict verdict;
    struct instance *instance = subject_open(subject, 1, &clock_ns, &verdict, why);
    if (!instance)
        return verdict;
    if (instance_extension(instance, NAPM_LOADGEN_STRESS, &hook, sizeof(hook)))
        verdict = skip(why, "it has no %s", NAPM_LOADGEN_STRESS);
    for (int i = 0; i < TASKS && verdict == VERDICT_PASS; i++) {
        struct napm_stress_level level = {.size = sizeof(level)};
        said_reset(instance);
        int32_t status = hook.next(instance->self, &level);
        if (status == NAPM_END)
            break;
        if (status != NAPM_OK)
            verdict = fail(why, "next() returned %d: %s", status, said());
        else if (level.from_ns < last_ns)
            verdict =
                fail(why, "next(): level %d begins at %lld ns, before the one before it", i, (long long)level.from_ns);
        else if (!isfinite(level.cpu_share) || level.cpu_share < 0)
            verdict = fail(why, "next(): level %d asks for a cpu_share of %g", i, level.cpu_share);
        last_ns = level.from_ns;
    }
    instance_close(instance);
    return verdict;
}
