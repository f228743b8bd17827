/* SPDX-License-Identifier: Apache-2.0 */
/* What `napm run` and `napm plan` open before they start. */
#include "core/cli/experiment.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/progress.h"
#include "core/cli/stop.h"
#include "core/world/world.h"

struct scenario *experiment_scenario(const char *path, const struct text_list *texts, struct catalogue *catalogue,
                                     struct error *error)
{
    struct scenario_override *overrides = NEW_ARRAY(struct scenario_override, texts->count + 1);
    char **copies = NEW_ARRAY(char *, texts->count + 1);
    struct scenario *scenario = NULL;
    bool fine = true;
    for (size_t i = 0; i < texts->count && fine; i++) {
        copies[i] = text_copy(texts->items[i]);
        char *equals = strchr(copies[i], '=');
        fine = equals && equals != copies[i];
        if (fine) {
            *equals = '\0';
            overrides[i] = (struct scenario_override){copies[i], equals + 1};
        } else {
            error_set(error, ERROR_INPUT, "--set %s: expected PATH=VALUE, such as nodes.pi1.cpu=0.5", texts->items[i]);
        }
    }
    if (fine)
        scenario = scenario_open(path, overrides, texts->count, catalogue, error);
    for (size_t i = 0; i < texts->count; i++)
        free(copies[i]);
    free(copies);
    free(overrides);
    return scenario;
}

/* --world is the last --set. */
struct scenario *experiment_scenario_in(const char *path, const struct experiment_options *options,
                                        struct catalogue *catalogue, struct error *error)
{
    struct text_list overrides = {.count = options->overrides.count};
    char *world = options->world ? text_format("world=%s", options->world) : NULL;
    overrides.items = NEW_ARRAY(const char *, overrides.count + 2);
    for (size_t i = 0; i < overrides.count; i++)
        overrides.items[i] = options->overrides.items[i];
    if (world)
        overrides.items[overrides.count++] = world;
    struct scenario *scenario = experiment_scenario(path, &overrides, catalogue, error);
    free(overrides.items);
    free(world);
    return scenario;
}

int experiment_prepare(struct experiment *experiment, const char *scenario, const struct experiment_options *options,
                       const struct common_options *common, struct error *error)
{
    *experiment =
        (struct experiment){.plugin_path = common->plugin_path.items, .fresh = options->fresh, .cancel = stop_watch()};
    experiment->catalogue = catalogue_open(experiment->plugin_path, error);
    if (experiment->catalogue)
        experiment->scenario = experiment_scenario_in(scenario, options, experiment->catalogue, error);
    if (!experiment->scenario)
        return -1;
    if (!world_find(experiment->scenario->world, error))
        return error_prefix(error, "%s", experiment->scenario->world_where);
    experiment->seed = options->seed == EXPERIMENT_OWN_SEED ? experiment->scenario->seed : options->seed;
    return 0;
}

int experiment_open(struct experiment *experiment, const char *scenario, const struct experiment_options *options,
                    const struct common_options *common)
{
    struct error error = {0};
    if (experiment_prepare(experiment, scenario, options, common, &error) == 0)
        experiment->ledger = ledger_open(common->db, &error);
    return experiment->ledger ? CLI_DONE : cli_fail(&error);
}

void experiment_close(struct experiment *experiment)
{
    ledger_close(experiment->ledger);
    if (experiment->scenario)
        scenario_close(experiment->scenario);
    if (experiment->catalogue)
        catalogue_close(experiment->catalogue);
}

static void hear_step(void *unused, const char *what, uint64_t done, uint64_t of)
{
    (void)unused;
    progress_step(what, done, of);
}

struct run_settings experiment_settings(const struct experiment *experiment, uint32_t repetition)
{
    return (struct run_settings){
        .scenario = experiment->scenario,
        .catalogue = experiment->catalogue,
        .ledger = experiment->ledger,
        .plugin_path = experiment->plugin_path,
        .seed = experiment->seed + repetition,
        .repetition = repetition,
        .fresh_profiles = experiment->fresh,
        .cancel = experiment->cancel,
        .watcher = {.step = hear_step},
    };
}
