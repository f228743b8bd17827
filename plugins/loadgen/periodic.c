/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load generator "periodic": a task every period, the first after an offset. Jitter delays each start by itself, up to a
 * share of the period, so that it neither adds up nor changes the order.
 */
#include <stdlib.h>

#include "arrivals.h"

enum { OPTION_PERIOD, OPTION_OFFSET, OPTION_JITTER, OPTION_COUNT };

static const struct napm_option period_option = {
    .size = sizeof(period_option),
    .type = NAPM_OPTION_DURATION,
    .flags = NAPM_OPTION_REQUIRED,
    .name = "period",
    .help = "Time between the starts of two tasks.",
    .minimum = 1,
    .maximum = 9.3e18,
};
static const struct napm_option offset_option = {
    .size = sizeof(offset_option),
    .type = NAPM_OPTION_DURATION,
    .name = "offset",
    .default_text = "0",
    .help = "Start of the first task.",
};
static const struct napm_option jitter_option = {
    .size = sizeof(jitter_option),
    .type = NAPM_OPTION_REAL,
    .name = "jitter",
    .default_text = "0",
    .help = "Share of the period by which a start may be late, evenly at random.",
    .minimum = 0,
    .maximum = 1,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_PERIOD] = &period_option,
    [OPTION_OFFSET] = &offset_option,
    [OPTION_JITTER] = &jitter_option,
};

struct periodic {
    const struct napm_host *host;
    int64_t period_ns;
    int64_t greatest_jitter_ns;
    int64_t due_ns; /* of the next task, without jitter */
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct periodic *periodic = malloc(sizeof(*periodic));
    if (!periodic) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    periodic->host = host;
    periodic->period_ns = options[OPTION_PERIOD].integer;
    periodic->greatest_jitter_ns = (int64_t)(options[OPTION_JITTER].real * (double)periodic->period_ns);
    periodic->due_ns = options[OPTION_OFFSET].integer;
    *self = periodic;
    return NAPM_OK;
}

static int32_t next(void *self, int64_t now_ns, int64_t *at_ns)
{
    (void)now_ns;
    struct periodic *periodic = self;
    if (periodic->due_ns > INT64_MAX - periodic->period_ns) /* the clock ends here */
        return NAPM_END;
    *at_ns = periodic->due_ns;
    if (periodic->greatest_jitter_ns > 0)
        *at_ns += (int64_t)(periodic->host->random_unit(periodic->host) * (double)periodic->greatest_jitter_ns);
    periodic->due_ns += periodic->period_ns;
    return NAPM_OK;
}

static int64_t interval_ns(void *self)
{
    const struct periodic *periodic = self;
    return periodic->period_ns;
}

static const struct napm_loadgen_arrivals arrivals = {
    .size = sizeof(arrivals),
    .next = next,
    .completed = arrivals_go_on,
    .interval_ns = interval_ns,
};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_LOADGEN,
    .hook_version = NAPM_LOADGEN_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "periodic",
    .version = "1.0",
    .summary = "A task every period, with an offset and jitter if wanted.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &arrivals_hook,
    .get_extension = arrivals_extension,
};

NAPM_PLUGIN_NOTE(periodic, NAPM_KIND_LOADGEN, NAPM_LOADGEN_VERSION, "periodic", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
