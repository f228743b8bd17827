/* SPDX-License-Identifier: Apache-2.0 */
/* napm replay RUN */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/comparison.h"
#include "core/cli/options.h"
#include "core/cli/progress.h"
#include "core/cli/recorded.h"
#include "core/cli/stop.h"
#include "core/evidence/compare.h"
#include "core/run/run.h"

static const char about[] =
    "What if: simulates a recorded run again with other plugins or settings, on the arrivals, the links' achieved\n"
    "rates and delays, and the layer times of that run (scaled where a node's cpu is set anew). Streams whose tasks\n"
    "start when others end keep their generator. The run as it was is replayed first: how near its mean delay comes\n"
    "to the recorded one says how far the answer can be trusted. Then both replays are compared, task by task.\n"
    "Without a change there is only the first. Replays are runs in the ledger (world sim), marked as such.\n"
    "RUN is a number from `napm result list`, or \"last\".";

static const char examples[] = "  napm replay last --scheduler fifo\n"
                               "  napm replay 12 --partitioner exhaustive --set links.pi.rate=20Mbit";

#define CONFIDENCE 0.95
#define LEAST_RELATIVE 0.01

struct replay {
    struct common_options common;
    struct text_list settings; /* of --set */
    const char *partitioner, *scheduler;
    struct catalogue *catalogue;
    struct ledger *ledger;
    struct run_summary *recorded;
    int64_t as_it_was, what_if; /* runs; what_if -1: nothing was to be changed */
    struct group before, after;
};

/* ---- the recorded run as a scenario */

struct starts {
    ARRAY_OF(int64_t) * by_stream;
    size_t stream_count;
};

static int take_start(void *context, const struct task_record *task)
{
    struct starts *starts = context;
    if (task->stream < starts->stream_count)
        *ARRAY_ADD(&starts->by_stream[task->stream]) = task->started_ns;
    return 0;
}

static int check_streams(const struct scenario *scenario, const struct run_summary *run, struct error *error)
{
    bool same = scenario->stream_count == run->stream_count;
    for (uint32_t i = 0; same && i < scenario->stream_count; i++)
        same = strcmp(scenario->streams[i].name, run->streams[i].name) == 0;
    return same ? 0
                : error_set(error, ERROR_INPUT,
                            "run %" PRId64 ": with these settings its streams are others, so their arrivals are not "
                            "known; `napm run --world sim` makes new ones",
                            run->head.id);
}

static int set_starts(struct replay *it, struct scenario *scenario, struct error *error)
{
    struct starts starts = {.stream_count = scenario->stream_count};
    starts.by_stream = memory_new_array(starts.stream_count, sizeof(*starts.by_stream));
    int result = query_tasks(it->ledger, it->recorded->head.id, QUERY_BY_STREAM, take_start, &starts, error);
    for (uint32_t i = 0; i < scenario->stream_count; i++) {
        if (result == 0)
            scenario_set_starts(scenario, i, starts.by_stream[i].items, (uint32_t)starts.by_stream[i].count);
        ARRAY_FREE(&starts.by_stream[i]);
    }
    free(starts.by_stream);
    return result;
}

/*
 * A link that is asked for what the run asked for gets what the run's probe found. Where jitter or loss was in the way
 * the probe's few frames tell of them too, and what was asked for is the better word.
 */
static void set_link(struct scenario *scenario, uint32_t index, const struct link_summary *recorded)
{
    const struct scenario_link *link = &scenario->links[index];
    enum link_direction direction = strcmp(recorded->direction, "up") == 0 ? LINK_UP : LINK_DOWN;
    const struct link_conditions *asked = &link->spec.conditions[direction];
    if (strcmp(link->name, recorded->name) != 0 || asked->delay_ns != recorded->requested_delay_ns ||
        asked->bytes_per_s != recorded->requested_bytes_per_s || asked->jitter_ns > 0 || asked->loss > 0 ||
        recorded->achieved_bytes_per_s <= 0)
        return;
    scenario_set_link(scenario, index, direction, recorded->achieved_bytes_per_s, recorded->achieved_delay_ns);
}

static struct scenario *open_scenario(struct replay *it, const struct scenario_override *overrides, size_t count,
                                      struct error *error)
{
    const struct run_summary *run = it->recorded;
    struct scenario *scenario =
        scenario_open_recorded(run->head.scenario_path, run->scenario_text, overrides, count, it->catalogue, error);
    if (!scenario)
        return NULL;
    for (uint32_t link = 0; link < scenario->link_count; link++)
        for (size_t i = 0; i < run->link_count; i++)
            set_link(scenario, link, &run->links[i]);
    if (check_streams(scenario, run, error) == 0 && set_starts(it, scenario, error) == 0)
        return scenario;
    scenario_close(scenario);
    return NULL;
}

/* ---- simulating it */

static void hear_step(void *unused, const char *what, uint64_t done, uint64_t of)
{
    (void)unused;
    progress_step(what, done, of);
}

static int simulate(struct replay *it, const struct scenario_override *overrides, size_t count, struct group *group,
                    int64_t *run, struct error *error)
{
    struct scenario *scenario = open_scenario(it, overrides, count, error);
    if (!scenario)
        return -1;
    struct run_settings settings = {.scenario = scenario,
                                    .catalogue = it->catalogue,
                                    .ledger = it->ledger,
                                    .plugin_path = it->common.plugin_path.items,
                                    .seed = it->recorded->head.seed,
                                    .repetition = it->recorded->head.repetition,
                                    .replay_of = it->recorded->head.id,
                                    .cancel = stop_watch(),
                                    .watcher = {.step = hear_step}};
    ledger_runs_replay(it->ledger, it->recorded->head.id);
    progress_start();
    int result = run_execute(&settings, run, error);
    progress_stop();
    struct run_summary *summary = result == 0 ? query_run(it->ledger, *run, error) : NULL;
    if (summary)
        result = group_add(group, it->ledger, summary, error);
    else
        result = -1;
    query_run_free(summary);
    scenario_close(scenario);
    return result;
}

/* What is to be changed, as overrides; `texts` are to be freed with the list. */
struct changes {
    ARRAY_OF(struct scenario_override) all;
    ARRAY_OF(char *) texts;
};

static int add_setting(struct changes *changes, const char *text, struct error *error)
{
    char *copy = text_copy(text), *equals = strchr(copy, '=');
    *ARRAY_ADD(&changes->texts) = copy;
    if (!equals || equals == copy)
        return error_set(error, ERROR_INPUT, "--set %s: expected PATH=VALUE, such as nodes.pi1.cpu=0.5", text);
    *equals = '\0';
    *ARRAY_ADD(&changes->all) = (struct scenario_override){copy, equals + 1};
    return 0;
}

static int gather_changes(const struct replay *it, struct changes *changes, struct error *error)
{
    if (it->partitioner)
        *ARRAY_ADD(&changes->all) = (struct scenario_override){"partitioner.plugin", it->partitioner};
    if (it->scheduler)
        *ARRAY_ADD(&changes->all) = (struct scenario_override){"scheduler.plugin", it->scheduler};
    for (size_t i = 0; i < it->settings.count; i++)
        if (add_setting(changes, it->settings.items[i], error) != 0)
            return -1;
    return 0;
}

/* The world is always the simulated one: the last override. */
static int simulate_both(struct replay *it, struct changes *changes, struct error *error)
{
    const struct scenario_override world = {"world", "sim"};
    size_t count = changes->all.count;
    it->what_if = -1;
    if (simulate(it, &world, 1, &it->before, &it->as_it_was, error) != 0)
        return -1;
    if (count == 0)
        return 0;
    *ARRAY_ADD(&changes->all) = world;
    return simulate(it, changes->all.items, count + 1, &it->after, &it->what_if, error);
}

/* The ledger, which has to be there already, and is written to. */
static struct ledger *open_ledger(const char *path, struct error *error)
{
    struct ledger *there = ledger_open_readonly(path, error);
    ledger_close(there);
    return there ? ledger_open(path, error) : NULL;
}

static int carry_out(struct replay *it, const char *name, struct error *error)
{
    struct changes changes = {0};
    int64_t run = -1;
    it->ledger = open_ledger(it->common.db, error);
    if (it->ledger)
        run = recorded_run(it->ledger, name, error);
    it->recorded = run >= 0 ? query_run(it->ledger, run, error) : NULL;
    int result = it->recorded ? gather_changes(it, &changes, error) : -1;
    if (result == 0 && it->recorded->head.ok == 0)
        result =
            error_set(error, ERROR_INPUT, "run %" PRId64 ": no task of it counts, so there is nothing to replay", run);
    if (result == 0)
        result = (it->catalogue = catalogue_open(it->common.plugin_path.items, error)) ? 0 : -1;
    if (result == 0)
        result = simulate_both(it, &changes, error);
    for (size_t i = 0; i < changes.texts.count; i++)
        free(changes.texts.items[i]);
    ARRAY_FREE(&changes.texts);
    ARRAY_FREE(&changes.all);
    return result;
}

/* ---- output */

static double mean_of(const struct group *group)
{
    const struct group_run *run = &group->runs[0];
    double sum = 0;
    for (size_t i = 0; i < run->task_count; i++)
        sum += run->tasks[i].delay_ns; /* 0 where it was lost */
    return group->task_count ? sum / (double)group->task_count : NAN;
}

static json_t *document_of(const struct replay *it, double fidelity, const struct table *table)
{
    json_t *document =
        json_pack("{s:I, s:I, s:f, s:f, s:f}", "replay_of", (json_int_t)it->recorded->head.id, "as_it_was",
                  (json_int_t)it->as_it_was, "recorded_mean_delay_ns", it->recorded->head.mean_delay_ns,
                  "replayed_mean_delay_ns", mean_of(&it->before), "fidelity_error", fidelity);
    if (it->what_if >= 0)
        json_object_set_new(document, "what_if", json_integer(it->what_if));
    json_object_set_new(document, "comparison", table_json(table));
    return document;
}

static void print_fidelity(const struct replay *it, double fidelity)
{
    char recorded[TABLE_CELL_BYTES], replayed[TABLE_CELL_BYTES];
    printf("Run %" PRId64 " (%s) replayed as it was, in run %" PRId64 ": mean delay %s, recorded %s: %+.1f %%.\n",
           it->recorded->head.id, it->recorded->head.scenario_name, it->as_it_was,
           table_format_number(replayed, TABLE_DURATION, mean_of(&it->before)),
           table_format_number(recorded, TABLE_DURATION, it->recorded->head.mean_delay_ns), 100 * fidelity);
    if (it->what_if >= 0)
        printf("With the changes, in run %" PRId64 ":\n\n", it->what_if);
}

static void show(struct replay *it)
{
    double fidelity = mean_of(&it->before) / it->recorded->head.mean_delay_ns - 1;
    bool plain = strcmp(it->common.format, "table") == 0;
    struct table *table = comparison_table();
    if (plain)
        print_fidelity(it, fidelity);
    if (it->what_if >= 0) {
        const struct comparison_settings settings = {CONFIDENCE, LEAST_RELATIVE, 1};
        struct comparison comparison;
        compare(&it->before, &it->after, &settings, &comparison);
        if (plain)
            comparison_print(&comparison);
        comparison_add(table, &comparison);
    }
    if (strcmp(it->common.format, "json") == 0)
        table_put_json(document_of(it, fidelity, table));
    else if (!plain)
        table_csv(table, stdout);
    table_free(table);
}

static void end(struct replay *it)
{
    group_free(&it->before);
    group_free(&it->after);
    if (it->recorded)
        query_run_free(it->recorded);
    if (it->ledger)
        ledger_close(it->ledger);
    if (it->catalogue)
        catalogue_close(it->catalogue);
    free(it->settings.items);
    common_free(&it->common);
}

int cmd_replay(int argc, char **argv)
{
    struct replay it = {.before.label = text_copy("as it was"), .after.label = text_copy("with the changes")};
    const struct cli_option table[] = {
        {"partitioner", 0, OPTION_WORD, &it.partitioner, "NAME", "plan with this one", 0, 0},
        {"scheduler", 0, OPTION_WORD, &it.scheduler, "NAME", "order the station's work with this one", 0, 0},
        {"set", 's', OPTION_WORDS, &it.settings, "PATH=VALUE",
         "change a setting of the run's scenario, such as scheduler.quantum=2ms; may be repeated", 0, 0},
        OPTION_DB(it.common),
        OPTION_PLUGIN_PATH(it.common),
        OPTION_FORMAT(it.common),
        OPTION_COLOR(it.common),
        OPTION_VERBOSE(it.common),
    };
    const struct cli_usage usage = {"napm replay",
                                    "RUN",
                                    "what if: a recorded run again, with other plugins or settings",
                                    about,
                                    examples,
                                    table,
                                    OPTIONS_COUNT(table),
                                    1,
                                    1};
    struct error error = {0};
    int first, result = options_parse(&usage, argc, argv, &first);
    if (result < 0) {
        common_apply(&it.common);
        bool fine = carry_out(&it, argv[first], &error) == 0;
        if (fine)
            show(&it);
        result = fine ? cli_end_output() : cli_fail(&error);
    }
    end(&it);
    return result;
}
