/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load generator to start from: bursts. Several tasks start together, again and again; a burst may come late by a random
 * share of the period.
 */
#include <napm/loadgen.h>
#include <napm/plugin.h>
#include <stdlib.h>
#include <string.h>

/* ---- options: the host parses and checks them by this table, and writes the help from it */

enum { OPTION_PERIOD, OPTION_BURST, OPTION_LATENESS, OPTION_COUNT };

static const struct napm_option option_period = {
    .size = sizeof(option_period),
    .type = NAPM_OPTION_DURATION,
    .name = "period",
    .default_text = "100ms",
    .help = "Time from one burst to the next.",
    .minimum = 1000, /* nanoseconds: limits are in base units */
    .maximum = 3.6e12,
};
static const struct napm_option option_burst = {
    .size = sizeof(option_burst),
    .type = NAPM_OPTION_INTEGER,
    .name = "burst",
    .default_text = "3",
    .help = "Tasks in a burst.",
    .minimum = 1,
    .maximum = 1000,
};
static const struct napm_option option_lateness = {
    .size = sizeof(option_lateness),
    .type = NAPM_OPTION_REAL,
    .name = "lateness",
    .default_text = "0.1",
    .help = "Greatest lateness of a burst, as a share of the period.",
    .minimum = 0,
    .maximum = 1,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_PERIOD] = &option_period,
    [OPTION_BURST] = &option_burst,
    [OPTION_LATENESS] = &option_lateness,
};

/* ---- the instance */

struct bursts {
    const struct napm_host *host;
    int64_t period_ns;
    int64_t burst;
    double lateness;
    int64_t number; /* of the burst that is being given out */
    int64_t left; /* tasks of it that are still to come */
    int64_t at_ns;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct bursts *bursts = calloc(1, sizeof(*bursts));
    if (!bursts) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    bursts->host = host;
    bursts->period_ns = options[OPTION_PERIOD].integer;
    bursts->burst = options[OPTION_BURST].integer;
    bursts->lateness = options[OPTION_LATENESS].real;
    *self = bursts;
    return NAPM_OK;
}

static void destroy(void *self)
{
    free(self);
}

/* ---- the hook: arrivals. Times are relative to the start of the stream and never decrease. */

static int32_t next(void *self, int64_t now_ns, int64_t *at_ns)
{
    struct bursts *bursts = self;
    (void)now_ns;
    if (bursts->left == 0) {
        double late_ns = bursts->lateness * (double)bursts->period_ns * bursts->host->random_unit(bursts->host);
        bursts->at_ns = bursts->number * bursts->period_ns + (int64_t)late_ns;
        bursts->number++;
        bursts->left = bursts->burst;
    }
    bursts->left--;
    *at_ns = bursts->at_ns;
    return NAPM_OK;
}

/* A generator that waits for results (a closed loop) would take note here. */
static void completed(void *self, int64_t now_ns, uint64_t task, uint32_t failed)
{
    (void)self;
    (void)now_ns;
    (void)task;
    (void)failed;
}

static int64_t interval_ns(void *self)
{
    const struct bursts *bursts = self;
    return bursts->period_ns / bursts->burst;
}

static const struct napm_loadgen_arrivals arrivals = {
    .size = sizeof(arrivals),
    .next = next,
    .completed = completed,
    .interval_ns = interval_ns,
};

/* ---- what the platform sees */

static const void *get_extension(const char *id)
{
    return strcmp(id, NAPM_LOADGEN_ARRIVALS) == 0 ? &arrivals : NULL;
}

static const struct napm_loadgen hook = {.size = sizeof(hook)};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_LOADGEN,
    .hook_version = NAPM_LOADGEN_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "template-loadgen",
    .version = "1.0.0",
    .summary = "Bursts of tasks",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = destroy,
    .hook = &hook,
    .get_extension = get_extension,
};

NAPM_PLUGIN_NOTE(template_loadgen, NAPM_KIND_LOADGEN, NAPM_LOADGEN_VERSION, "template-loadgen", "1.0.0");
NAPM_EXPORT_PLUGINS(&plugin);
