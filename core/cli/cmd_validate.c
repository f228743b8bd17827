/* SPDX-License-Identifier: Apache-2.0 */
/* napm validate SCENARIO */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/cli/cli.h"
#include "core/cli/experiment.h"
#include "core/cli/options.h"
#include "core/cli/progress.h"
#include "core/cli/table.h"
#include "core/evidence/accuracy.h"

#define MOST_REPETITIONS 1000
#define DEFAULT_TOLERANCE 0.10
#define CONFIDENCE 0.95

static const char about[] =
    "Carries a scenario out in the local world, simulates it with the layer times that were measured, under the\n"
    "same seeds, and compares the two task by task: for each phase and for the whole delay, by how much the mean is\n"
    "predicted wrong, and how far off 95 of 100 tasks are at most, both with 95 % confidence intervals. All runs are\n"
    "in the ledger.\n"
    "\n"
    "Exit status: 0 the error of the mean delay is within the tolerance, 1 it is not, or a run failed, 2 the scenario\n"
    "or an option is wrong.";

static const char examples[] = "  napm validate examples/quickstart.cfg\n"
                               "  napm validate my.cfg --repeat 5 --tolerance 5% --fresh-profiles --format json";

struct validation {
    struct experiment experiment;
    struct experiment_options options;
    struct common_options common;
    struct scenario *simulated; /* the same scenario in the simulated world */
    const char *tolerance_text;
    double tolerance;
    uint32_t repeat;
    int64_t *measured, *predicted; /* runs */
    struct accuracy accuracy;
};

/* ---- the runs */

/* The world is chosen here and not by the file. */
static int open_both(struct validation *it, const char *path, struct error *error)
{
    struct experiment_options simulated = it->options;
    it->options.world = "local";
    simulated.world = "sim";
    if (experiment_prepare(&it->experiment, path, &it->options, &it->common, error) != 0)
        return -1;
    it->simulated = experiment_scenario_in(path, &simulated, it->experiment.catalogue, error);
    return it->simulated && (it->experiment.ledger = ledger_open(it->common.db, error)) ? 0 : -1;
}

/* The local run first: it measures the layer times, where the ledger does not have them, and the other takes them. */
static int run_pair(struct validation *it, uint32_t i, struct error *error)
{
    struct run_settings settings = experiment_settings(&it->experiment, i);
    if (run_execute(&settings, &it->measured[i], error) != 0)
        return error_prefix(error, "in the local world");
    settings.scenario = it->simulated;
    settings.fresh_profiles = false;
    return run_execute(&settings, &it->predicted[i], error) == 0 ? 0 : error_prefix(error, "in the simulated world");
}

static int run_all(struct validation *it, struct error *error)
{
    int result = 0;
    it->measured = NEW_ARRAY(int64_t, it->repeat);
    it->predicted = NEW_ARRAY(int64_t, it->repeat);
    progress_start();
    for (uint32_t i = 0; i < it->repeat && result == 0; i++)
        result = run_pair(it, i, error);
    progress_stop();
    return result ? result
                  : accuracy_of_runs(it->experiment.ledger, it->predicted, it->measured, it->repeat, CONFIDENCE,
                                     &it->accuracy, error);
}

/* ---- output */

static const struct table_column columns[] = {
    {"phase", "phase", TABLE_EXACT},
    {"predicted_ns", "predicted", TABLE_DURATION},
    {"measured_ns", "measured", TABLE_DURATION},
    {"error_ns", "error", TABLE_DURATION},
    {"error_low_ns", "from", TABLE_DURATION},
    {"error_high_ns", "to", TABLE_DURATION},
    {"error_of_delay", "of the delay", TABLE_SHARE},
    {"p95_ns", "p95 of tasks", TABLE_DURATION},
    {"p95_low_ns", "from", TABLE_DURATION},
    {"p95_high_ns", "to", TABLE_DURATION},
};

static struct table *make_table(const struct accuracy *accuracy)
{
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (int i = 0; i < ACCURACY_ROWS; i++) {
        const struct accuracy_row *row = &accuracy->rows[i];
        if (i == ACCURACY_TOTAL)
            table_rule(table);
        table_row(table);
        table_text(table, i == ACCURACY_TOTAL ? "delay" : phase_names[i]);
        table_number(table, row->predicted_ns);
        table_number(table, row->measured_ns);
        table_number(table, row->error_ns);
        table_number(table, row->error_low_ns);
        table_number(table, row->error_high_ns);
        table_number(table, row->error_ns / accuracy->rows[ACCURACY_TOTAL].measured_ns);
        table_number(table, row->p95_ns);
        table_number(table, row->p95_low_ns);
        table_number(table, row->p95_high_ns);
    }
    return table;
}

static bool is_within(const struct validation *it)
{
    return fabs(accuracy_relative(&it->accuracy)) <= it->tolerance;
}

/* Nodes that this machine is not: what the local world measures is not what is predicted of them. */
static uint32_t count_stated(const struct scenario *scenario)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < scenario->node_count; i++)
        count += !scenario_is_measured(&scenario->nodes[i]);
    return count;
}

static json_t *document_of(const struct validation *it, const struct table *table)
{
    json_t *measured = json_array(), *predicted = json_array();
    for (uint32_t i = 0; i < it->repeat; i++) {
        json_array_append_new(measured, json_integer(it->measured[i]));
        json_array_append_new(predicted, json_integer(it->predicted[i]));
    }
    return json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:f, s:f, s:f, s:b, s:o}", "scenario", it->simulated->name,
                     "measured_runs", measured, "predicted_runs", predicted, "tasks", (json_int_t)it->accuracy.tasks,
                     "units", (json_int_t)it->accuracy.units, "stated_nodes", (json_int_t)count_stated(it->simulated),
                     "confidence", it->accuracy.confidence, "error", accuracy_relative(&it->accuracy), "tolerance",
                     it->tolerance, "within", is_within(it), "phases", table_json(table));
}

static void print_end(const struct validation *it)
{
    const struct accuracy_row *total = &it->accuracy.rows[ACCURACY_TOTAL];
    bool within = is_within(it);
    printf("\n%sThe mean delay is predicted %.1f %% too %s%s", table_style(within ? STYLE_GOOD : STYLE_BAD),
           100 * fabs(accuracy_relative(&it->accuracy)), total->error_ns < 0 ? "low" : "high",
           table_style(STYLE_PLAIN));
    if (!isnan(total->error_low_ns))
        printf(" (%+.1f .. %+.1f %%)", 100 * total->error_low_ns / total->measured_ns,
               100 * total->error_high_ns / total->measured_ns);
    printf(": %s the tolerance of %.3g %%.\n", within ? "within" : "beyond", 100 * it->tolerance);
    printf("%zu tasks of %" PRIu32 " run%s a side, paired, in %" PRIu32 " stretches; measured in run %" PRId64
           ", predicted in run %" PRId64 "%s.\n",
           it->accuracy.tasks, it->repeat, it->repeat == 1 ? "" : "s", it->accuracy.units, it->measured[0],
           it->predicted[0], it->repeat == 1 ? "" : ", and so on");
    if (count_stated(it->simulated) > 0)
        printf("The layer times of %" PRIu32 " of %" PRIu32
               " nodes are stated (gflops, profile), and this machine stood in "
               "for them: the error is that of the statement too.\n",
               count_stated(it->simulated), it->simulated->node_count);
    if (it->accuracy.lost > 0)
        printf("%zu tasks count on one side only, and are not in these numbers.\n", it->accuracy.lost);
}

static int show(const struct validation *it)
{
    struct table *table = make_table(&it->accuracy);
    if (strcmp(it->common.format, "json") == 0) {
        table_put_json(document_of(it, table));
    } else if (strcmp(it->common.format, "csv") == 0) {
        table_csv(table, stdout);
    } else {
        table_print(table, stdout, 0);
        print_end(it);
    }
    table_free(table);
    int written = cli_end_output();
    return written ? written : is_within(it) ? CLI_DONE : CLI_FAILED;
}

static int carry_out(struct validation *it, const char *path)
{
    struct error error = {0};
    if (options_read_share("--tolerance", it->tolerance_text, 10, &it->tolerance, &error) != 0 ||
        open_both(it, path, &error) != 0 || run_all(it, &error) != 0)
        return cli_fail(&error);
    return show(it);
}

int cmd_validate(int argc, char **argv)
{
    struct validation it = {.options = {.seed = EXPERIMENT_OWN_SEED}, .repeat = 1, .tolerance = DEFAULT_TOLERANCE};
    const struct cli_option table[] = {
        {"repeat", 'n', OPTION_NUMBER, &it.repeat, "N", "so many runs in each world, with seeds S, S+1, ...", 1,
         MOST_REPETITIONS},
        {"tolerance", 0, OPTION_WORD, &it.tolerance_text, "SHARE",
         "the error of the mean delay that is accepted (default: 10%)", 0, 0},
        EXPERIMENT_SET(it.options),
        EXPERIMENT_SEED(it.options),
        EXPERIMENT_FRESH(it.options),
        OPTION_DB(it.common),
        OPTION_PLUGIN_PATH(it.common),
        OPTION_FORMAT(it.common),
        OPTION_COLOR(it.common),
        OPTION_VERBOSE(it.common),
    };
    const struct cli_usage usage = {"napm validate",
                                    "SCENARIO",
                                    "hold predictions against a run: the simulated world's error, phase by phase",
                                    about,
                                    examples,
                                    table,
                                    OPTIONS_COUNT(table),
                                    1,
                                    1};
    int first, result = options_parse(&usage, argc, argv, &first);
    if (result < 0) {
        common_apply(&it.common);
        result = carry_out(&it, argv[first]);
        experiment_close(&it.experiment);
        scenario_close(it.simulated);
    }
    free(it.measured);
    free(it.predicted);
    free(it.options.overrides.items);
    common_free(&it.common);
    return result;
}
