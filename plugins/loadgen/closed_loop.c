/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load generator "closed-loop": a fixed number of tasks is always in flight. When one ends, the next starts after the
 * think time, as a user does who waits for an answer before asking again.
 */
#include <stdlib.h>

#include "arrivals.h"

#define MOST_OUTSTANDING 1000000

enum { OPTION_THINK, OPTION_OUTSTANDING, OPTION_COUNT };

static const struct napm_option think_option = {
    .size = sizeof(think_option),
    .type = NAPM_OPTION_DURATION,
    .name = "think",
    .default_text = "0",
    .help = "Pause between the end of a task and the start of the next.",
};
static const struct napm_option outstanding_option = {
    .size = sizeof(outstanding_option),
    .type = NAPM_OPTION_INTEGER,
    .name = "outstanding",
    .default_text = "1",
    .help = "Tasks in flight at once.",
    .minimum = 1,
    .maximum = MOST_OUTSTANDING,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_THINK] = &think_option,
    [OPTION_OUTSTANDING] = &outstanding_option,
};

/* Starts that are allowed but have not been asked for: a ring, in ascending order because tasks end in order. */
struct closed_loop {
    int64_t think_ns;
    size_t outstanding; /* entries of the ring: there can never be more allowed starts */
    size_t first, count;
    int64_t starts_ns[];
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    size_t outstanding = (size_t)options[OPTION_OUTSTANDING].integer;
    struct closed_loop *loop = calloc(1, sizeof(*loop) + outstanding * sizeof(loop->starts_ns[0]));
    if (!loop) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    loop->think_ns = options[OPTION_THINK].integer;
    loop->outstanding = outstanding;
    loop->count = outstanding; /* all at time 0, which calloc wrote */
    *self = loop;
    return NAPM_OK;
}

static int32_t next(void *self, int64_t now_ns, int64_t *at_ns)
{
    (void)now_ns;
    struct closed_loop *loop = self;
    if (loop->count == 0)
        return NAPM_WAIT;
    *at_ns = loop->starts_ns[loop->first];
    loop->first = (loop->first + 1) % loop->outstanding;
    loop->count--;
    return NAPM_OK;
}

static void completed(void *self, int64_t now_ns, uint64_t task, uint32_t failed)
{
    (void)task;
    (void)failed; /* a task that failed is replaced like any other */
    struct closed_loop *loop = self;
    if (loop->count == loop->outstanding)
        return;
    size_t last = (loop->first + loop->count++) % loop->outstanding;
    loop->starts_ns[last] = now_ns < INT64_MAX - loop->think_ns ? now_ns + loop->think_ns : INT64_MAX;
}

static int64_t interval_ns(void *self)
{
    (void)self;
    return 0; /* a task starts when another ends */
}

static const struct napm_loadgen_arrivals arrivals = {
    .size = sizeof(arrivals),
    .next = next,
    .completed = completed,
    .interval_ns = interval_ns,
};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_LOADGEN,
    .hook_version = NAPM_LOADGEN_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "closed-loop",
    .version = "1.0",
    .summary = "A fixed number of tasks in flight: the next starts when one has ended.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &arrivals_hook,
    .get_extension = arrivals_extension,
};

NAPM_PLUGIN_NOTE(closed_loop, NAPM_KIND_LOADGEN, NAPM_LOADGEN_VERSION, "closed-loop", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
