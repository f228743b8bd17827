/* SPDX-License-Identifier: Apache-2.0 */
/* napm plan SCENARIO */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/experiment.h"
#include "core/cli/options.h"
#include "core/cli/progress.h"
#include "core/cli/report_parts.h"
#include "core/cli/table.h"
#include "core/ledger/placed.h"

static const char about[] =
    "Starts the nodes, profiles every layer on each (or takes what the ledger knows), lets the scenario's partitioner\n"
    "plan, and shows the plan and its predicted phases beside those of the baselines. No task is run.";

static const char examples[] = "  napm plan examples/quickstart.cfg\n"
                               "  napm plan my.cfg --partitioner genetic --partitioner trend-greedy --gap 100000\n"
                               "  napm plan my.cfg --set partitioner.plugin=exhaustive --format json";

/* ---- the two tables: one row a plan, and one row a plan and stream ---- */

static const struct table_column plan_columns[] = {
    {"partitioner", "partitioner", TABLE_TEXT},
    {"cuts", "cuts", TABLE_PROSE},
    {"predicted_mean_ns", "mean delay", TABLE_DURATION},
    {"predicted_total_ns", "total", TABLE_DURATION},
    {"predicted_variance_ns2", "variance", TABLE_VARIANCE},
    {"against_own", "against the first", TABLE_SHARE},
    {"gap", "above the best cuts", TABLE_SHARE},
    {"planning_ns", "planned in", TABLE_DURATION},
    {"predicted_energy_j", "energy a task", TABLE_ENERGY}, /* the last: only where nodes have power models */
};

static const struct table_column stream_columns[] = {
    {"partitioner", "partitioner", TABLE_TEXT},
    {"stream", "stream", TABLE_TEXT},
    {"cut", "cut", TABLE_COUNT},
    {"layer_count", "of", TABLE_COUNT},
    {"cut_layer", "after layer", TABLE_TEXT},
    {"cut_bytes", "sends", TABLE_SIZE},
    {"local_ns", "local", TABLE_DURATION},
    {"transmit_ns", "transmit", TABLE_DURATION},
    {"queue_ns", "queue", TABLE_DURATION},
    {"remote_ns", "remote", TABLE_DURATION},
    {"return_ns", "return", TABLE_DURATION},
    {"delay_ns", "delay", TABLE_DURATION},
};

/* A stream's cuts on its way, the first at its device: one, unless links lead over other devices. */
static uint32_t way_length(const struct scenario *scenario, const struct plan *plan, uint32_t stream)
{
    return plan->way_cuts ? scenario_way_length(scenario, scenario->streams[stream].device) : 1;
}

/* NULL where the placement is cuts of the model's own order. */
static const uint32_t *order_of(const struct plan *plan, uint32_t stream)
{
    return plan->orders ? plan->orders[stream] : NULL;
}

static const uint32_t *way_cuts_of(const struct scenario *scenario, const struct plan *plan, uint32_t stream)
{
    const uint32_t *cuts = plan->way_cuts;
    for (uint32_t i = 0; i < stream; i++)
        cuts += way_length(scenario, plan, i);
    return cuts;
}

/* The layers before the station's in words, where they are no beginning of the layer order. */
static char *set_text(const struct scenario *scenario, const struct plan *plan, uint32_t stream)
{
    const struct napm_model *model = model_view(scenario->models[scenario->streams[stream].model].model);
    const uint32_t *cuts = way_cuts_of(scenario, plan, stream), *order = order_of(plan, stream);
    uint32_t length = way_length(scenario, plan, stream), node = scenario->streams[stream].device, place = 0;
    struct placed placed = {0};
    for (uint32_t hop = 0; hop < length; hop++) {
        for (; place < cuts[hop]; place++)
            placed_add(&placed, length > 1 ? scenario->nodes[node].name : NULL, order[place],
                       model->layers[order[place]]->name);
        node = scenario->links[scenario->link_of_node[node]].upper;
    }
    return placed_end(&placed);
}

/* The node of each layer, by layer. */
static json_t *placement_json(const struct scenario *scenario, const struct plan *plan, uint32_t stream)
{
    const uint32_t *cuts = way_cuts_of(scenario, plan, stream), *order = order_of(plan, stream);
    uint32_t layers = model_view(scenario->models[scenario->streams[stream].model].model)->layer_count;
    uint32_t node = scenario->streams[stream].device, hop = 0;
    json_t *names = json_array();
    for (uint32_t layer = 0; layer < layers; layer++)
        json_array_append_new(names, json_null());
    for (uint32_t place = 0; place < layers; place++) {
        for (; hop < way_length(scenario, plan, stream) && place == cuts[hop]; hop++)
            node = scenario->links[scenario->link_of_node[node]].upper;
        json_array_set_new(names, order[place], json_string(scenario->nodes[node].name));
    }
    return names;
}

static char *cuts_text(const struct scenario *scenario, const struct plan *plan)
{
    char *text = text_copy("");
    const uint32_t *cuts = plan->way_cuts ? plan->way_cuts : plan->cuts;
    for (uint32_t i = 0; i < plan->stream_count; i++)
        for (uint32_t hop = 0; hop < way_length(scenario, plan, i); hop++) {
            const char *mark = hop == 0 && order_of(plan, i) ? "set:" : "";
            char *longer = text_format("%s%s%s%u", text, hop ? "/" : i ? " " : "", mark, *cuts++);
            free(text);
            text = longer;
        }
    return text;
}

static struct table *plan_table(const struct scenario *scenario, struct plan *const *plans, size_t count,
                                double optimum_ns)
{
    bool energy = scenario_has_power(scenario);
    struct table *table = table_new(plan_columns, sizeof(plan_columns) / sizeof(plan_columns[0]) - !energy);
    for (size_t i = 0; i < count; i++) {
        char *cuts = cuts_text(scenario, plans[i]);
        table_row(table);
        table_text(table, plans[i]->partitioner);
        table_text(table, cuts);
        table_number(table, plans[i]->predicted_mean_ns);
        table_number(table, plans[i]->predicted_total_ns);
        table_number(table, plans[i]->predicted_variance_ns2);
        table_number(table, i == 0 ? NAN : plans[i]->predicted_mean_ns / plans[0]->predicted_mean_ns - 1);
        table_number(table, plans[i]->predicted_mean_ns / optimum_ns - 1);
        table_number(table, (double)plans[i]->planning_ns);
        if (energy)
            table_number(table, isinf(plans[i]->predicted_mean_ns) ? NAN : plans[i]->predicted_energy_j);
        free(cuts);
    }
    return table;
}

/* `brief`: a set's layers stand below the table. */
static void add_stream(struct table *table, const struct scenario *scenario, const struct plan *plan, uint32_t stream,
                       bool brief)
{
    const struct napm_model *model = model_view(scenario->models[scenario->streams[stream].model].model);
    const struct napm_phases *phases = &plan->predicted[stream];
    uint32_t cut = plan->cuts[stream];
    table_row(table);
    table_text(table, plan->partitioner);
    table_text(table, scenario->streams[stream].name);
    table_number(table, cut);
    table_number(table, model->layer_count);
    char *layers = order_of(plan, stream) ? set_text(scenario, plan, stream) : NULL;
    char *set = layers && !brief ? text_format("set: %s", layers) : layers ? text_copy("(a set)") : NULL;
    table_text(table, set ? set : cut > 0 ? model->layers[cut - 1]->name : NULL);
    free(layers);
    free(set);
    table_number(table, (double)plan->cut_bytes[stream]);
    table_number(table, phases->local_ns);
    table_number(table, phases->transmit_ns);
    table_number(table, phases->queue_ns);
    table_number(table, phases->remote_ns);
    table_number(table, phases->return_ns);
    table_number(table,
                 phases->local_ns + phases->transmit_ns + phases->queue_ns + phases->remote_ns + phases->return_ns);
}

static struct table *stream_table(const struct scenario *scenario, struct plan *const *plans, size_t count, bool brief)
{
    struct table *table = table_new(stream_columns, sizeof(stream_columns) / sizeof(stream_columns[0]));
    table_split(table, 2, "local_ns");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            table_rule(table);
        for (uint32_t stream = 0; stream < plans[i]->stream_count; stream++)
            add_stream(table, scenario, plans[i], stream, brief);
    }
    return table;
}

/* Programs get each stream's cut as a number, people a text. */
static json_t *plans_json(const struct table *overview, const struct scenario *scenario, struct plan *const *plans)
{
    json_t *rows = table_json(overview), *row;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        json_t *cuts = json_array();
        const uint32_t *way_cuts = plans[i]->way_cuts;
        for (uint32_t stream = 0; stream < plans[i]->stream_count; stream++) {
            json_t *cut =
                json_pack("{s:s, s:i}", "stream", scenario->streams[stream].name, "cut", (int)plans[i]->cuts[stream]);
            json_t *way = json_array();
            for (uint32_t hop = 0; way_cuts && hop < way_length(scenario, plans[i], stream); hop++)
                json_array_append_new(way, json_integer(*way_cuts++));
            json_object_set_new(cut, "way", way);
            if (order_of(plans[i], stream))
                json_object_set_new(cut, "placement", placement_json(scenario, plans[i], stream));
            json_array_append_new(cuts, cut);
        }
        json_object_set_new(row, "cuts", cuts);
    }
    return rows;
}

/* The optimum is the last plan where it was asked for: NAN where it was not, or was not found. */
static double optimum_of(struct plan *const *plans, size_t count, uint64_t evaluations)
{
    double mean_ns = evaluations ? plans[count - 1]->predicted_mean_ns : NAN;
    return isinf(mean_ns) ? NAN : mean_ns;
}

static void print_sets(const struct scenario *scenario, const struct plan *plan)
{
    struct report_set *sets = NEW_ARRAY(struct report_set, plan->stream_count);
    char **texts = NEW_ARRAY(char *, plan->stream_count);
    for (uint32_t i = 0; i < plan->stream_count; i++) {
        texts[i] = order_of(plan, i) ? set_text(scenario, plan, i) : NULL;
        sets[i] = (struct report_set){scenario->streams[i].name, texts[i]};
    }
    report_print_sets(sets, plan->stream_count);
    for (uint32_t i = 0; i < plan->stream_count; i++)
        free(texts[i]);
    free(texts);
    free(sets);
}

static void show_plans(const struct scenario *scenario, struct plan *const *plans, size_t count, uint64_t evaluations,
                       const char *format)
{
    double optimum_ns = optimum_of(plans, count, evaluations);
    struct table *overview = plan_table(scenario, plans, count, optimum_ns);
    struct table *streams = stream_table(scenario, plans, count, strcmp(format, "table") == 0);
    if (strcmp(format, "json") == 0) {
        json_t *document = json_object();
        json_object_set_new(document, "scenario", json_string(scenario->name ? scenario->name : scenario->path));
        json_object_set_new(document, "plans", plans_json(overview, scenario, plans));
        json_object_set_new(document, "streams", table_json(streams));
        if (evaluations)
            json_object_set_new(document, "optimum_found", json_boolean(!isnan(optimum_ns)));
        table_put_json(document);
    } else if (strcmp(format, "csv") == 0) {
        table_csv(streams, stdout);
    } else {
        table_print(overview, stdout, 0);
        if (evaluations && isnan(optimum_ns))
            printf("The optimum is not known: exhaustive was not finished in %" PRIu64 " evaluations.\n", evaluations);
        printf("\n");
        table_print(streams, stdout, 0);
        for (size_t i = 0; i < count; i++)
            print_sets(scenario, plans[i]);
    }
    table_free(overview);
    table_free(streams);
}

static int plan_and_show(const struct experiment *experiment, const struct plan_wishes *wishes, const char *format)
{
    struct error error = {0};
    struct plan **plans;
    size_t count;
    struct run_settings settings = experiment_settings(experiment, 0);
    progress_start();
    int result = run_plan_only(&settings, wishes, &plans, &count, &error);
    progress_stop();
    if (result != 0)
        return cli_fail(&error);
    show_plans(experiment->scenario, plans, count, wishes->optimum_evaluations, format);
    for (size_t i = 0; i < count; i++)
        plan_free(plans[i]);
    free(plans);
    return cli_end_output();
}

int cmd_plan(int argc, char **argv)
{
    struct experiment experiment = {0};
    struct common_options common = {0};
    struct experiment_options options = {.seed = EXPERIMENT_OWN_SEED};
    struct text_list partitioners = {0};
    struct plan_wishes wishes = {0};
    const struct cli_option table[] = {
        {"partitioner", 'p', OPTION_WORDS, &partitioners, "NAME", "plan with this one too; may be repeated", 0, 0},
        {"gap", 0, OPTION_BIG_NUMBER, &wishes.optimum_evaluations, "N",
         "look for the best cuts by at most N evaluations, and show how far above them each plan is", 1, INT64_MAX},
        EXPERIMENT_SET(options),
        EXPERIMENT_SEED(options),
        EXPERIMENT_WORLD(options),
        EXPERIMENT_FRESH(options),
        OPTION_DB(common),
        OPTION_PLUGIN_PATH(common),
        OPTION_FORMAT(common),
        OPTION_COLOR(common),
        OPTION_VERBOSE(common),
    };
    const struct cli_usage usage = {"napm plan",
                                    "SCENARIO",
                                    "profile and plan a scenario beside the baselines, without running it",
                                    about,
                                    examples,
                                    table,
                                    OPTIONS_COUNT(table),
                                    1,
                                    1};
    int first, result = options_parse(&usage, argc, argv, &first);
    if (result < 0) {
        common_apply(&common);
        wishes.partitioners = partitioners.items;
        wishes.partitioner_count = partitioners.count;
        result = experiment_open(&experiment, argv[first], &options, &common);
        if (result == CLI_DONE)
            result = plan_and_show(&experiment, &wishes, common.format);
        experiment_close(&experiment);
    }
    free(partitioners.items);
    free(options.overrides.items);
    common_free(&common);
    return result;
}
