/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load generator "stress": artificial load on a node, so that a plan can be tried on a device that has other things to
 * do. It only says how much from when on; the platform carries it out. Constant, or switched on and off.
 */
#include <stdlib.h>
#include <string.h>

#include <napm/loadgen.h>
#include <napm/plugin.h>

enum { OPTION_CPU, OPTION_MEMORY, OPTION_PERIOD, OPTION_DUTY, OPTION_COUNT };

static const struct napm_option cpu_option = {
    .size = sizeof(cpu_option),
    .type = NAPM_OPTION_REAL,
    .name = "cpu",
    .default_text = "0",
    .help = "Processor cores kept busy; 0.5 is half of one core.",
    .minimum = 0,
    .maximum = 1024,
};
static const struct napm_option memory_option = {
    .size = sizeof(memory_option),
    .type = NAPM_OPTION_SIZE,
    .name = "memory",
    .default_text = "0",
    .help = "Memory held and touched.",
};
static const struct napm_option period_option = {
    .size = sizeof(period_option),
    .type = NAPM_OPTION_DURATION,
    .name = "period",
    .default_text = "0",
    .help = "The load is switched on at the start of every period; 0 keeps it on.",
};
static const struct napm_option duty_option = {
    .size = sizeof(duty_option),
    .type = NAPM_OPTION_REAL,
    .name = "duty",
    .default_text = "0.5",
    .help = "Share of each period in which the load is on.",
    .minimum = 0,
    .maximum = 1,
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_CPU] = &cpu_option,
    [OPTION_MEMORY] = &memory_option,
    [OPTION_PERIOD] = &period_option,
    [OPTION_DUTY] = &duty_option,
};

#define SHORTEST_PERIOD_NS 1000000

struct stress {
    double cpu_share;
    uint64_t memory_bytes;
    int64_t on_ns, off_ns; /* both 0: the first level stays */
    int64_t change_ns; /* the next change... */
    int turns_on; /* ...and what it does */
    int ended;
};

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    int64_t period_ns = options[OPTION_PERIOD].integer;
    int64_t on_ns = (int64_t)(options[OPTION_DUTY].real * (double)period_ns);
    if (options[OPTION_CPU].real <= 0 && options[OPTION_MEMORY].integer == 0) {
        host->set_error(host, "there is no load to make: set cpu, memory, or both");
        return NAPM_ERR_INVALID;
    }
    if (period_ns != 0 && period_ns < SHORTEST_PERIOD_NS) {
        host->set_error(host, "the period is too short: set 1ms or more, or 0 for a constant load");
        return NAPM_ERR_INVALID;
    }
    struct stress *stress = calloc(1, sizeof(*stress));
    if (!stress) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    stress->cpu_share = options[OPTION_CPU].real;
    stress->memory_bytes = (uint64_t)options[OPTION_MEMORY].integer;
    stress->turns_on = period_ns == 0 || on_ns > 0;
    if (on_ns > 0 && on_ns < period_ns) {
        stress->on_ns = on_ns;
        stress->off_ns = period_ns - on_ns;
    }
    *self = stress;
    return NAPM_OK;
}

static int32_t next(void *self, struct napm_stress_level *level)
{
    struct stress *stress = self;
    if (stress->ended)
        return NAPM_END;
    level->from_ns = stress->change_ns;
    level->cpu_share = stress->turns_on ? stress->cpu_share : 0;
    level->memory_bytes = stress->turns_on ? stress->memory_bytes : 0;
    int64_t lasts_ns = stress->turns_on ? stress->on_ns : stress->off_ns;
    if (lasts_ns == 0 || stress->change_ns > INT64_MAX - lasts_ns) /* it stays, or the clock ends here */
        stress->ended = 1;
    else
        stress->change_ns += lasts_ns;
    stress->turns_on = !stress->turns_on;
    return NAPM_OK;
}

static const struct napm_loadgen hook = {.size = sizeof(hook)};
static const struct napm_loadgen_stress levels = {.size = sizeof(levels), .next = next};

static const void *get_extension(const char *id)
{
    return strcmp(id, NAPM_LOADGEN_STRESS) == 0 ? &levels : NULL;
}

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_LOADGEN,
    .hook_version = NAPM_LOADGEN_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "stress",
    .version = "1.0",
    .summary = "Keeps processor cores busy and memory held on a node, all the time or on and off.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = free,
    .hook = &hook,
    .get_extension = get_extension,
};

NAPM_PLUGIN_NOTE(stress, NAPM_KIND_LOADGEN, NAPM_LOADGEN_VERSION, "stress", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
