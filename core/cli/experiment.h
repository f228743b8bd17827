/* SPDX-License-Identifier: Apache-2.0 */
/* What `napm run` and `napm plan` open before they start: ledger, plugins, scenario. */
#ifndef NAPM_CLI_EXPERIMENT_H
#define NAPM_CLI_EXPERIMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cli/options.h"
#include "core/run/run.h"

#define EXPERIMENT_OWN_SEED UINT64_MAX /* the scenario's */

struct experiment_options {
    struct text_list overrides;
    uint64_t seed;
    const char *world; /* NULL: the scenario's */
    bool fresh;
};

#define EXPERIMENT_SET(options)                                                                                        \
    {                                                                                                                  \
        "set", 's', OPTION_WORDS, &(options).overrides, "PATH=VALUE",                                                  \
            "change a setting of the scenario, such as nodes.pi1.cpu=0.5; may be repeated", 0, 0                       \
    }
#define EXPERIMENT_SEED(options)                                                                                       \
    {                                                                                                                  \
        "seed", 0, OPTION_BIG_NUMBER, &(options).seed, "N", "seed of all that is random (default: the scenario's)", 0, \
            INT64_MAX                                                                                                  \
    }
#define EXPERIMENT_WORLD(options)                                                                                      \
    {                                                                                                                  \
        "world", 'w', OPTION_WORD, &(options).world, "WORLD",                                                          \
            "local: agent processes on this machine; sim: virtual time (default: the scenario's)", 0, 0                \
    }
#define EXPERIMENT_FRESH(options)                                                                                      \
    {                                                                                                                  \
        "fresh-profiles", 0, OPTION_FLAG, &(options).fresh, NULL,                                                      \
            "measure all layers anew instead of taking known profiles from the ledger", 0, 0                           \
    }

struct experiment {
    struct ledger *ledger;
    struct catalogue *catalogue;
    struct scenario *scenario;
    const char *const *plugin_path;
    const atomic_bool *cancel;
    uint64_t seed;
    bool fresh;
};

/* A scenario with overrides as `--set` takes them. `catalogue` NULL: plugins are not looked at. */
struct scenario *experiment_scenario(const char *path, const struct text_list *overrides, struct catalogue *catalogue,
                                     struct error *error);

/* The same in the world that the options name, if any. */
struct scenario *experiment_scenario_in(const char *path, const struct experiment_options *options,
                                        struct catalogue *catalogue, struct error *error);

/* Opens all but the ledger, which the caller may put in afterwards. experiment_close is due in either case. */
int experiment_prepare(struct experiment *experiment, const char *scenario, const struct experiment_options *options,
                       const struct common_options *common, struct error *error);

/* Returns CLI_DONE, or the exit code after telling what is wrong (experiment_close is due in either case). */
int experiment_open(struct experiment *experiment, const char *scenario, const struct experiment_options *options,
                    const struct common_options *common);
void experiment_close(struct experiment *experiment);

struct run_settings experiment_settings(const struct experiment *experiment, uint32_t repetition);

#endif
