/* SPDX-License-Identifier: Apache-2.0 */
/* A run's profiles (measured once, then known) and records, over a world that only counts what it is asked. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/ledger/query.h"
#include "core/run/profiles.h"
#include "core/run/record.h"
#include "models/zoo.h"

/* ---- a world that counts ---- */

static struct {
    uint32_t profiled, fail_at; /* fail_at: the profile, from 1, that fails; 0: none */
    struct node_facts facts;
} counts;

static const struct node_facts *count_facts(struct world *world, uint32_t node)
{
    (void)world, (void)node;
    return &counts.facts;
}

static int count_profile(struct world *world, uint32_t node, uint32_t model, struct layer_time *times,
                         struct error *error)
{
    (void)world, (void)model;
    counts.profiled++;
    if (counts.profiled == counts.fail_at)
        return error_set(error, ERROR_RUN, "the node went away");
    for (int i = 0; i < 5; i++)
        times[i] = (struct layer_time){1000 * (node + 1) + i, 2000 * (node + 1) + i};
    return 0;
}

/* 4 tasks together take as long as 2. */
static int count_batch(struct world *world, uint32_t model, uint32_t batch, struct layer_time *times,
                       struct error *error)
{
    assert_int_equal(batch, 4);
    if (count_profile(world, 0, model, times, error) != 0)
        return -1;
    for (int i = 0; i < 5; i++)
        times[i] = (struct layer_time){2 * times[i].median_ns, 2 * times[i].mean_ns};
    return 0;
}

static const struct world_kind counting = {
    .name = "counting", .facts = count_facts, .profile = count_profile, .profile_batch = count_batch};
static const struct world_kind counting_virtually = {.name = "counting", .is_virtual = true};

/* ---- a scenario written to a file ---- */

struct fixture {
    char folder[64];
    char *db, *model, *scenario_path;
    struct catalogue *catalogue;
    struct scenario *scenario;
    struct ledger *ledger;
    struct run_settings settings;
};

static const char scenario_text[] = "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"a\"; cpu = 0.5; "
                                    "}, { name = \"b\"; cpu = 0.25; } );\n"
                                    "links = ( { from = \"a\"; rate = \"1Mbit\"; delay = \"1ms\"; }, { from = \"b\"; "
                                    "rate = \"1Mbit\"; delay = \"1ms\"; } );\n"
                                    "streams = ( { device = \"a\"; model = \"tiny.onnx\"; tasks = 3; arrivals = { "
                                    "plugin = \"periodic\"; period = \"5ms\"; }; },\n"
                                    "            { device = \"b\"; model = \"tiny.onnx\"; tasks = 3; arrivals = { "
                                    "plugin = \"periodic\"; period = \"5ms\"; }; } );\n"
                                    "backend = { plugin = \"reference\"; };\n"
                                    "partitioner = { plugin = \"station-only\"; };\n"
                                    "scheduler = { plugin = \"fifo\"; };\n";

static void open_scenario(struct fixture *fixture, const char *path, const char *value)
{
    struct scenario_override override = {path, value};
    struct error error = {0};
    if (fixture->scenario)
        scenario_close(fixture->scenario);
    fixture->scenario = scenario_open(fixture->scenario_path, &override, path ? 1 : 0, fixture->catalogue, &error);
    if (!fixture->scenario)
        fail_msg("%s", error.text);
    fixture->settings.scenario = fixture->scenario;
}

static int set_up(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    struct error error = {0};
    strcpy(fixture->folder, "/tmp/napm-run.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->db = text_format("%s/napm.db", fixture->folder);
    fixture->model = text_format("%s/tiny.onnx", fixture->folder);
    fixture->scenario_path = text_format("%s/s.cfg", fixture->folder);
    assert_int_equal(zoo_write("tiny-cnn", 1, fixture->model, &error), 0);
    FILE *file = fopen(fixture->scenario_path, "w");
    assert_non_null(file);
    fputs(scenario_text, file);
    fclose(file);
    fixture->catalogue = catalogue_open(NULL, &error);
    assert_non_null(fixture->catalogue);
    fixture->ledger = ledger_open(fixture->db, &error);
    assert_non_null(fixture->ledger);
    fixture->settings.catalogue = fixture->catalogue;
    fixture->settings.ledger = fixture->ledger;
    open_scenario(fixture, NULL, NULL);
    memset(&counts, 0, sizeof(counts));
    counts.facts =
        (struct node_facts){.host = "h", .machine = "m", .system = "s", .backend = "reference 1", .processors = 2};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"napm.db", "napm.db-wal", "napm.db-shm", "tiny.onnx", "s.cfg"};
    ledger_close(fixture->ledger);
    scenario_close(fixture->scenario);
    catalogue_close(fixture->catalogue);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = text_format("%s/%s", fixture->folder, names[i]);
        unlink(path);
        free(path);
    }
    rmdir(fixture->folder);
    free(fixture->db);
    free(fixture->model);
    free(fixture->scenario_path);
    free(fixture);
    return 0;
}

/* How many profiles a gathering measures. */
static uint32_t measured(struct fixture *fixture)
{
    struct profiles profiles = {0};
    struct error error = {0};
    uint32_t before = counts.profiled;
    if (profiles_gather(&profiles, &fixture->settings, &counting, NULL, -1, &error) != 0)
        fail_msg("%s", error.text);
    for (uint32_t node = 0; node < 3; node++) {
        assert_int_equal(profiles_view(&profiles)[node][0][0], 1000 * (node + 1));
        assert_int_equal(profiles_of_world(&profiles, &counting)[node][0][0], 1000 * (node + 1));
        assert_int_equal(profiles_of_world(&profiles, &counting_virtually)[node][0][0], 2000 * (node + 1));
    }
    profiles_free(&profiles);
    return counts.profiled - before;
}

/* ---- profiles ---- */

static void every_node_is_profiled_once_and_then_known(void **state)
{
    assert_int_equal(measured(*state), 3);
    assert_int_equal(measured(*state), 0);
}

static void batches_are_profiled_for_schedulers_that_have_them(void **state)
{
    struct fixture *fixture = *state;
    struct profiles profiles = {0};
    struct error error = {0};
    assert_int_equal(measured(fixture), 3);
    open_scenario(fixture, "scheduler.plugin", "batch");
    assert_int_equal(measured(fixture), 1);
    assert_int_equal(measured(fixture), 0); /* they are in the ledger too, and not taken for the lone task's */
    assert_int_equal(profiles_gather(&profiles, &fixture->settings, &counting, NULL, -1, &error), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(profiles_view(&profiles)[3][0][i], (1000 + i) / 3);
        assert_int_equal(profiles_of_world(&profiles, &counting_virtually)[3][0][i], (2000 + i) / 3);
    }
    profiles_free(&profiles);
    open_scenario(fixture, "scheduler.plugin", "fifo");
    assert_int_equal(profiles_gather(&profiles, &fixture->settings, &counting, NULL, -1, &error), 0);
    assert_null(profiles_view(&profiles)[3]);
    profiles_free(&profiles);
}

static void fresh_profiles_are_measured_again(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(measured(fixture), 3);
    fixture->settings.fresh_profiles = true;
    assert_int_equal(measured(fixture), 3);
}

static void other_conditions_are_another_profile(void **state)
{
    struct fixture *fixture = *state;
    measured(fixture);
    open_scenario(fixture, "nodes.a.cpu", "0.75");
    assert_int_equal(measured(fixture), 1);
    open_scenario(fixture, "nodes.b.threads", "2");
    assert_int_equal(measured(fixture), 1);
    open_scenario(fixture, "profile.repeats", "9");
    assert_int_equal(measured(fixture), 3);
    open_scenario(fixture, NULL, NULL);
    assert_int_equal(measured(fixture), 0);
    counts.facts.machine = "another";
    assert_int_equal(measured(fixture), 3);
}

static void another_model_file_is_another_profile(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    measured(fixture);
    assert_int_equal(zoo_write("tiny-cnn", 2, fixture->model, &error), 0);
    open_scenario(fixture, NULL, NULL);
    assert_int_equal(measured(fixture), 3);
}

static void a_node_that_fails_while_profiled_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct profiles profiles = {0};
    struct error error = {0};
    counts.fail_at = 2;
    assert_int_equal(profiles_gather(&profiles, &fixture->settings, &counting, NULL, -1, &error), -1);
    assert_non_null(strstr(error.text, "the node went away"));
    assert_non_null(strstr(error.text, "tiny.onnx on a"));
    counts.fail_at = 0;
    assert_int_equal(measured(fixture), 2); /* what was measured before is kept */
}

static void profiling_stops_when_asked(void **state)
{
    struct fixture *fixture = *state;
    struct profiles profiles = {0};
    struct error error = {0};
    atomic_bool cancel = true;
    fixture->settings.cancel = &cancel;
    assert_int_equal(profiles_gather(&profiles, &fixture->settings, &counting, NULL, -1, &error), -1);
    assert_int_equal(error.kind, ERROR_CANCELLED);
    assert_int_equal(counts.profiled, 0);
}

/* ---- records ---- */

static void plugins_nodes_and_losses_are_recorded(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    int64_t run = ledger_run_begin(fixture->ledger, fixture->scenario, 7, 0, &error);
    assert_int_equal(record_plugins(&fixture->settings, run, &error), 0);
    assert_int_equal(record_nodes(&fixture->settings, run, &counting, NULL, &error), 0);
    struct record record = {.settings = &fixture->settings, .run = run};
    struct world_sink sink = record_sink(&record);
    sink.node_lost(sink.context, 1, "killed");
    sink.node_lost(sink.context, 2, "node b is gone");
    struct task_record task = {.stream = 0, .status = TASK_FAILED, .cause = "killed"};
    sink.task(sink.context, &task);
    struct task_record planned = {
        .stream = 1, .status = TASK_FAILED, .cause = "left by the scenario", .by_event = true};
    sink.task(sink.context, &planned);
    sink.progress(sink.context, 1, 6);
    assert_string_equal(record.lost, "a: killed; node b is gone"); /* named once */
    assert_int_equal(record.failed, 1); /* what the scenario's events take is no failure of the run */
    assert_int_equal(ledger_run_end(fixture->ledger, run, "failed", "x", &error), 0);

    struct run_summary *summary = query_run(fixture->ledger, run, &error);
    assert_non_null(summary);
    assert_int_equal(summary->plugin_count, 7); /* partitioner, scheduler, 3 backends, 2 arrivals */
    assert_int_equal(summary->node_count, 3);
    assert_string_equal(summary->nodes[1].lost_cause, "killed");
    assert_string_equal(summary->head.partitioner, "station-only 1.0");
    query_run_free(summary);
    free(record.lost);
}

static void a_task_that_cannot_be_recorded_is_kept_as_the_runs_error(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    int64_t run = ledger_run_begin(fixture->ledger, fixture->scenario, 7, 0, &error);
    struct record record = {.settings = &fixture->settings, .run = run};
    struct world_sink sink = record_sink(&record);
    struct task_record task = {.stream = 0, .task = 1, .status = TASK_OK};
    sink.task(sink.context, &task);
    sink.task(sink.context, &task); /* the same task again */
    assert_int_equal(ledger_flush(fixture->ledger, &error), -1);
    sink.task(sink.context, &task);
    assert_int_equal(record.error.kind, ERROR_RUN);
}

/* ---- the whole procedure ---- */

static void a_world_that_does_not_exist_is_no_run(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    int64_t run = 5;
    struct scenario broken = *fixture->scenario;
    broken.world = "moon";
    fixture->settings.scenario = &broken;
    assert_int_equal(run_execute(&fixture->settings, &run, &error), -1);
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_non_null(strstr(error.text, "moon"));
    assert_int_equal(run, -1);
}

static void what_a_plugin_finds_wrong_is_no_run(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    int64_t run = 5;
    char *times = text_format("%s/times.csv", fixture->folder);
    FILE *file = fopen(times, "w");
    assert_non_null(file);
    fputs("layer,median_ns\n0,never\n", file);
    fclose(file);
    struct option_setting setting = {"times", times, "s.cfg:9"};
    struct scenario_node nodes[3];
    memcpy(nodes, fixture->scenario->nodes, sizeof(nodes));
    nodes[2].backend =
        (struct plugin_choice){.name = "replay", .where = "s.cfg:8", .settings = &setting, .setting_count = 1};
    struct scenario wrong = *fixture->scenario;
    wrong.nodes = nodes;
    fixture->settings.scenario = &wrong;
    assert_int_equal(run_execute(&fixture->settings, &run, &error), -1);
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_int_equal(run, -1);
    assert_int_equal(strncmp(error.text, "s.cfg:8: ", 9), 0);
    assert_non_null(strstr(error.text, "times.csv:2: "));
    struct run_head *runs = NULL;
    size_t count = 7;
    assert_int_equal(query_runs(fixture->ledger, 0, &runs, &count, &error), 0);
    assert_int_equal(count, 0);
    query_runs_free(runs, count);
    unlink(times);
    free(times);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_node_is_profiled_once_and_then_known),
        CASE(batches_are_profiled_for_schedulers_that_have_them),
        CASE(fresh_profiles_are_measured_again),
        CASE(other_conditions_are_another_profile),
        CASE(another_model_file_is_another_profile),
        CASE(a_node_that_fails_while_profiled_is_named),
        CASE(profiling_stops_when_asked),
        CASE(plugins_nodes_and_losses_are_recorded),
        CASE(a_task_that_cannot_be_recorded_is_kept_as_the_runs_error),
        CASE(a_world_that_does_not_exist_is_no_run),
        CASE(what_a_plugin_finds_wrong_is_no_run),
    };
    const char *build = getenv("top_builddir");
    char *plugins = text_format("%s/plugins/.libs", build ? build : ".");
    setenv("NAPM_PLUGIN_PATH", plugins, 1);
    free(plugins);
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
