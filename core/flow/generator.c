/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's load generator in virtual time. */
#include "core/flow/generator.h"

#include <stdlib.h>

#include "core/base/memory.h"

int generator_open(struct generator *generator, struct catalogue *catalogue, const struct plugin_choice *choice,
                   const char *stream, uint64_t seed, int64_t (*now_ns)(void *context), void *context,
                   struct error *error)
{
    char *label = text_format("loadgen:%s", stream);
    const struct instance_host host = {.label = label, .seed = seed, .now_ns = now_ns, .context = context};
    *generator = (struct generator){.stream = stream};
    generator->instance = instance_open(catalogue, NAPM_KIND_LOADGEN, choice, &host, error);
    free(label);
    if (!generator->instance)
        return -1;
    generator->self = generator->instance->self;
    struct napm_loadgen_arrivals *hook = &generator->hook;
    if (instance_extension(generator->instance, NAPM_LOADGEN_ARRIVALS, hook, sizeof(*hook)) != 0)
        error_set(error, ERROR_INPUT, "%s: the load generator '%s' makes no tasks",
                  choice->where ? choice->where : "arrivals", choice->name);
    else if (!hook->next || !hook->completed || !hook->interval_ns)
        instance_misbehaved(generator->instance, error, "its table " NAPM_LOADGEN_ARRIVALS " lacks a function");
    else {
        generator->serialised = generator->instance->entry->plugin->threading == NAPM_THREADS_SERIALISED;
        generator->reactive = hook->interval_ns(generator->self) <= 0;
        return 0;
    }
    generator_close(generator);
    return -1;
}

void generator_close(struct generator *generator)
{
    instance_close(generator->instance);
    generator->instance = NULL;
}

static void enter(const struct generator *generator)
{
    if (generator->serialised)
        instance_lock(generator->instance);
}

static void leave(const struct generator *generator)
{
    if (generator->serialised)
        instance_unlock(generator->instance);
}

static int refuse(const struct generator *generator, int32_t status, struct error *error)
{
    if (status < 0)
        instance_error(generator->instance, status, "next()", error);
    else if (status == NAPM_WAIT)
        instance_misbehaved(generator->instance, error, "next() waits for a task to end while none is unfinished");
    else
        instance_misbehaved(generator->instance, error, "next() returned %d, which is no answer to it", status);
    return error_prefix(error, "stream '%s'", generator->stream);
}

static int next_given(struct generator *generator, int64_t *at_ns)
{
    if (generator->next == generator->start_count)
        return NAPM_END;
    *at_ns = generator->starts_ns[generator->next++];
    generator->unfinished++;
    return NAPM_OK;
}

int generator_next(struct generator *generator, int64_t now_ns, int64_t *at_ns, struct error *error)
{
    if (generator->starts_ns && !generator->reactive)
        return next_given(generator, at_ns);
    enter(generator);
    int32_t status = generator->hook.next(generator->self, now_ns, at_ns);
    leave(generator);
    if (status < 0 || status > NAPM_END || (status == NAPM_WAIT && generator->unfinished == 0))
        return refuse(generator, status, error);
    generator->unfinished += status == NAPM_OK;
    return status;
}

void generator_ended(struct generator *generator, int64_t now_ns, uint64_t task, bool failed)
{
    generator->unfinished--;
    enter(generator);
    generator->hook.completed(generator->self, now_ns, task, failed);
    leave(generator);
}
