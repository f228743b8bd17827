/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load generator "poisson": tasks start at random, independently of each other: the times between starts (and before the
 * first) are exponentially distributed.
 */
#include <math.h>
#include <stdlib.h>

#include "arrivals.h"

enum { OPTION_INTERVAL, OPTION_COUNT };

static const struct napm_option interval_option = {
    .size = sizeof(interval_option),
    .type = NAPM_OPTION_DURATION,
    .flags = NAPM_OPTION_REQUIRED,
    .name = "interval",
    .help = "Mean time between the starts of two tasks.",
    .minimum = 1,
    .maximum = 9.3e18,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {[OPTION_INTERVAL] = &interval_option};

struct poisson {
    const struct napm_host *host;
    int64_t interval_ns;
    double last_ns; /* unrounded, so that rounding does not change the mean */
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct poisson *poisson = malloc(sizeof(*poisson));
    if (!poisson) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    poisson->host = host;
    poisson->interval_ns = options[OPTION_INTERVAL].integer;
    poisson->last_ns = 0;
    *self = poisson;
    return NAPM_OK;
}

static int32_t next(void *self, int64_t now_ns, int64_t *at_ns)
{
    (void)now_ns;
    struct poisson *poisson = self;
    double unit = poisson->host->random_unit(poisson->host); /* below 1, so the logarithm is finite */
    poisson->last_ns += -log(1 - unit) * (double)poisson->interval_ns;
    if (poisson->last_ns > 9e18) /* the clock ends here */
        return NAPM_END;
    *at_ns = (int64_t)poisson->last_ns;
    return NAPM_OK;
}

static int64_t interval_ns(void *self)
{
    const struct poisson *poisson = self;
    return poisson->interval_ns;
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
    .name = "poisson",
    .version = "1.0",
    .summary = "Tasks start at random: a Poisson process with a given mean interval.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &arrivals_hook,
    .get_extension = arrivals_extension,
};

NAPM_PLUGIN_NOTE(poisson, NAPM_KIND_LOADGEN, NAPM_LOADGEN_VERSION, "poisson", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
