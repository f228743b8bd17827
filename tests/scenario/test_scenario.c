/* SPDX-License-Identifier: Apache-2.0 */
/* The scenario room: what a file means, every mistake with its line and remedy, and --set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/model/tensor_file.h"
#include "core/scenario/recorded.h"
#include "core/scenario/scenario.h"
#include "models/zoo.h"

static struct catalogue *catalogue;
static char folder[] = "/tmp/napm-scenario-XXXXXX";

/* The numbers of the lines are part of the tests. */
static const char good[] =
    /* 1 */ "name = \"test\"; seed = 3;\n"
            /* 2 */ "nodes = (\n"
            /* 3 */ "  { name = \"station\"; role = \"station\"; workers = 2; memory = \"64MiB\"; },\n"
            /* 4 */ "  { name = \"pi\"; count = 2; cpu = 0.5; threads = 2; },\n"
            /* 5 */ "  { name = \"fast\"; memory = \"1GiB\"; backend = { plugin = \"replay\"; }; }\n"
            /* 6 */ ");\n"
            /* 7 */ "links = (\n"
            /* 8 */ "  { from = \"pi\"; rate = \"20Mbit\"; delay = \"2ms\"; medium = \"wifi\"; },\n"
            /* 9 */ "  { from = \"fast\"; to = \"station\"; rate = \"50Mbit\"; }\n"
            /* 10 */ ");\n"
            /* 11 */ "streams = (\n"
            /* 12 */ "  { device = \"pi\"; model = \"m.onnx\"; tasks = 5; arrivals = { plugin = \"periodic\"; period = "
            "\"100ms\"; }; },\n"
            /* 13 */ "  { device = \"fast\"; model = \"m.onnx\"; tasks = 6; arrivals = { plugin = \"closed-loop\"; }; "
            "}\n"
            /* 14 */ ");\n"
            /* 15 */ "backend = { plugin = \"reference\"; };\n"
            /* 16 */ "partitioner = { plugin = \"greedy-variance\"; slack = 0.25; };\n"
            /* 17 */ "scheduler = { plugin = \"rr\"; };\n";

/* ---- helpers */

static char *path_of(const char *name);

static void write_beside(const char *name, const char *text)
{
    struct error error;
    char *path = path_of(name);
    assert_int_equal(file_write_atomically(path, text, strlen(text), &error), 0);
    free(path);
}

static char *path_of(const char *name)
{
    return text_format("%s/%s", folder, name);
}

/* `text` with the first `find` replaced. */
static char *with(const char *text, const char *find, const char *replacement)
{
    const char *at = strstr(text, find);
    if (!at)
        fail_msg("the test's text has no '%s'", find);
    return text_format("%.*s%s%s", (int)(at - text), text, replacement, at + strlen(find));
}

static struct scenario *open_text(const char *text, const struct scenario_override *overrides, size_t count,
                                  struct error *error)
{
    char *path = path_of("s.cfg");
    assert_int_equal(file_write_atomically(path, text, strlen(text), error), 0);
    *error = (struct error){0};
    struct scenario *scenario = scenario_open(path, overrides, count, catalogue, error);
    free(path);
    return scenario;
}

static struct scenario *open_good(const char *text, const struct scenario_override *overrides, size_t count)
{
    struct error error;
    struct scenario *scenario = open_text(text, overrides, count, &error);
    if (!scenario)
        fail_msg("%s", error.text);
    return scenario;
}

/* Opening must fail with ERROR_INPUT; the text begins with `begins` (in the folder: "s.cfg:12: ") and has the words. */
static void expect_error(const char *text, const struct scenario_override *overrides, size_t count, const char *begins,
                         const char *const *words)
{
    struct error error;
    struct scenario *scenario = open_text(text, overrides, count, &error);
    char *beginning = begins[0] == 's' ? path_of(begins) : text_copy(begins);
    if (scenario)
        fail_msg("accepted, but expected: %s %s", begins, words[0]);
    if (strncmp(error.text, beginning, strlen(beginning)) != 0)
        fail_msg("expected '%s...', got: %s", beginning, error.text);
    for (; *words; words++)
        if (!strstr(error.text, *words))
            fail_msg("'%s' is not in: %s", *words, error.text);
    assert_int_equal(error.kind, ERROR_INPUT);
    free(beginning);
}

/* ---- what a file means */

static void a_file_is_read_with_counted_groups_and_defaults(void **state)
{
    (void)state;
    struct scenario *s = open_good(good, NULL, 0);
    assert_string_equal(s->name, "test");
    assert_string_equal(s->world, "local");
    assert_int_equal(s->seed, 3);
    assert_int_equal(s->node_count, 4);
    assert_int_equal(s->station, 0);
    assert_string_equal(s->nodes[1].name, "pi1");
    assert_string_equal(s->nodes[2].name, "pi2");
    assert_string_equal(s->nodes[3].name, "fast");
    assert_int_equal(s->nodes[0].workers, 2);
    assert_int_equal(s->nodes[1].threads, 2);
    assert_true(s->nodes[2].cpu_share == 0.5 && s->nodes[3].cpu_share == 1);
    assert_true(s->nodes[0].memory_bytes == 64 << 20 && s->nodes[1].memory_bytes == 0);
    assert_string_equal(s->nodes[1].backend.name, "reference");
    assert_string_equal(s->nodes[3].backend.name, "replay");
    assert_null(s->nodes[1].stress.name);
    assert_int_equal(s->link_count, 3);
    assert_int_equal(s->medium_count, 1);
    assert_string_equal(s->media[0], "wifi");
    assert_int_equal(s->links[1].device, 2);
    assert_int_equal(s->links[1].spec.medium, 0);
    assert_true(s->links[2].spec.medium == LINK_NO_MEDIUM);
    assert_true(s->links[0].spec.conditions[LINK_DOWN].bytes_per_s == 2.5e6);
    assert_int_equal(s->links[0].spec.conditions[LINK_UP].delay_ns, 2000000);
    assert_int_equal(s->stream_count, 3);
    assert_int_equal(s->model_count, 1);
    assert_string_equal(s->streams[1].name, "pi2");
    assert_int_equal(s->streams[2].link, 2);
    assert_int_equal(s->streams[2].task_count, 6);
    assert_true(s->streams[0].result_returns && !s->streams[0].result_to_station);
    assert_null(s->streams[0].inputs[0].path);
    assert_string_equal(s->streams[0].arrivals.settings[0].text, "100ms");
    assert_string_equal(s->partitioner.settings[0].text, "0.25");
    assert_int_equal(s->profile_warmups, 2);
    assert_int_equal(s->profile_repeats, 15);
    assert_int_equal(s->time_limit_ns, INT64_C(600000000000));
    assert_int_equal(s->sample_every_ns, 200000000);
    assert_string_equal(s->text, good);
    scenario_close(s);
}

static void power_weight_and_objective_are_read(void **state)
{
    (void)state;
    char *a =
        with(good, "threads = 2;", "threads = 2; power = { idle = \"2.7W\"; busy = \"3.5W\"; transmit = \"800mW\"; };");
    char *b = with(a, "tasks = 6;", "tasks = 6; weight = 2.5;");
    char *c = with(b, "seed = 3;", "seed = 3; objective = { energy = 2; miss = 0.5; };");
    struct scenario *s = open_good(good, NULL, 0);
    assert_true(s->nodes[1].power.idle_w == 0 && s->nodes[1].power.busy_w == 0 && s->nodes[1].power.transmit_w == 0);
    assert_true(s->streams[2].weight == 1);
    assert_true(s->objective.delay_per_s == 1 && s->objective.deviation_per_s == 0 && s->objective.energy_per_j == 0 &&
                s->objective.miss == 0);
    scenario_close(s);
    s = open_good(c, NULL, 0);
    assert_true(s->nodes[2].power.idle_w == 2.7 && s->nodes[2].power.busy_w == 3.5 &&
                s->nodes[2].power.transmit_w == 0.8);
    assert_true(s->nodes[3].power.busy_w == 0);
    assert_true(s->streams[1].weight == 1 && s->streams[2].weight == 2.5);
    assert_true(s->objective.delay_per_s == 0 && s->objective.deviation_per_s == 0 && s->objective.energy_per_j == 2 &&
                s->objective.miss == 0.5);
    scenario_close(s);
    free(a);
    free(b);
    free(c);
}

static void places_are_file_and_line(void **state)
{
    (void)state;
    struct scenario *s = open_good(good, NULL, 0);
    static const char *const ends[] = {"s.cfg:4", "s.cfg:8", "s.cfg:12", "s.cfg:16"};
    const char *places[] = {s->nodes[2].where, s->links[1].where, s->streams[1].where,
                            s->partitioner.settings[0].where};
    for (size_t i = 0; i < 4; i++) {
        char *expected = path_of(ends[i]);
        assert_string_equal(places[i], expected);
        free(expected);
    }
    scenario_close(s);
}

static void a_direction_down_overrides_what_it_names(void **state)
{
    (void)state;
    char *text =
        with(good, "delay = \"2ms\";",
             "delay = \"2ms\"; jitter = \"0.5ms\"; loss = \"1%\"; down = { rate = \"80Mbit\"; delay = \"5ms\"; };");
    struct scenario *s = open_good(text, NULL, 0);
    const struct link_conditions *up = &s->links[0].spec.conditions[LINK_UP],
                                 *down = &s->links[0].spec.conditions[LINK_DOWN];
    assert_true(up->bytes_per_s == 2.5e6 && down->bytes_per_s == 1e7);
    assert_int_equal(up->delay_ns, 2000000);
    assert_int_equal(down->delay_ns, 5000000);
    assert_int_equal(down->jitter_ns, 500000);
    assert_true(up->loss == 0.01 && down->loss == 0.01);
    assert_int_equal(up->repair_ns, 14000000); /* 2 * delay + 10 ms */
    assert_int_equal(down->repair_ns, 20000000);
    scenario_close(s);
    free(text);
}

static void links_may_end_at_devices_nearer_to_the_station(void **state)
{
    (void)state;
    char *text = with(good, "medium = \"wifi\"; }", "to = \"fast\"; }");
    struct scenario *s = open_good(text, NULL, 0);
    assert_int_equal(s->links[0].upper, 3);
    assert_int_equal(s->links[1].upper, 3);
    assert_int_equal(s->links[2].upper, s->station);
    assert_int_equal(scenario_way_length(s, 1), 2);
    assert_int_equal(scenario_way_length(s, 3), 1);
    scenario_close(s);
    free(text);
}

static void where_results_go_is_one_of_three(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        bool returns, to_station;
    } kinds[] = {{"return", true, false}, {"station", false, true}, {"stay", false, false}};
    for (size_t i = 0; i < 3; i++) {
        char *key = text_format("tasks = 5; result = \"%s\";", kinds[i].word), *text = with(good, "tasks = 5;", key);
        struct scenario *s = open_good(text, NULL, 0);
        assert_int_equal(s->streams[0].result_returns, kinds[i].returns);
        assert_int_equal(s->streams[0].result_to_station, kinds[i].to_station);
        scenario_close(s);
        free(text);
        free(key);
    }
}

static void integers_stand_for_reals_and_bare_zero_for_quantities(void **state)
{
    (void)state;
    char *a = with(good, "cpu = 0.5;", "cpu = 1;"), *b = with(a, "delay = \"2ms\";", "delay = 0;");
    char *c = with(b, "slack = 0.25;", "slack = 1;");
    struct scenario *s = open_good(c, NULL, 0);
    assert_true(s->nodes[1].cpu_share == 1);
    assert_int_equal(s->links[0].spec.conditions[LINK_UP].delay_ns, 0);
    assert_string_equal(s->partitioner.settings[0].text, "1");
    scenario_close(s);
    free(a);
    free(b);
    free(c);
}

static void big_integers_need_their_mark_and_then_are_whole(void **state)
{
    (void)state;
    char *text = with(good, "seed = 3;", "seed = 5000000000L;");
    struct scenario *s = open_good(text, NULL, 0);
    assert_true(s->seed == UINT64_C(5000000000));
    scenario_close(s);
    free(text);
}

static void texts_and_comments_may_hold_anything(void **state)
{
    (void)state;
    char *text =
        with(good, "name = \"test\";",
             "/* 5000000000 @include\n */ name = \"a \\\" 5000000000 # // @include\"; # 5000000000\n// @include\n");
    struct scenario *s = open_good(text, NULL, 0);
    assert_string_equal(s->name, "a \" 5000000000 # // @include");
    scenario_close(s);
    free(text);
}

static void inputs_are_found_beside_the_file(void **state)
{
    (void)state;
    struct error error = {0};
    struct tensor tensor;
    int64_t dims[] = {1, 3, 16, 16};
    char *npy = path_of("cat.npy");
    assert_int_equal(tensor_random(&tensor, 4, dims, 1, "x", &error), 0);
    assert_int_equal(tensor_write_npy(npy, &tensor, &error), 0);
    tensor_free(&tensor);
    char *text = with(good, "tasks = 5;", "tasks = 5; input = \"cat.npy\";");
    struct scenario *s = open_good(text, NULL, 0);
    assert_string_equal(s->streams[0].inputs[0].path, npy);
    assert_string_equal(s->streams[1].inputs[0].path, npy);
    scenario_close(s);
    free(text);
    text = with(good, "tasks = 5;", "tasks = 5; inputs = (\"cat.npy\");");
    scenario_close(open_good(text, NULL, 0));
    free(text);
    free(npy);
}

static void events_are_in_the_order_of_their_times_and_reach_groups(void **state)
{
    (void)state;
    char *text = text_format("%s%s", good,
                             "events = ( { at = \"3s\"; node = \"fast\"; state = \"leave\"; },\n"
                             "  { at = \"1s\"; link = \"pi\"; rate = \"4Mbit\"; down = { loss = \"1%\"; }; },\n"
                             "  { at = \"3s\"; node = \"pi2\"; cpu = \"10%\"; },\n"
                             "  { at = \"5s\"; node = \"fast\"; state = \"return\"; } );\n"
                             "replan = { every = \"1s\"; on_change = true; takes = \"20ms\"; };\n");
    struct scenario *s = open_good(text, NULL, 0);
    assert_int_equal(s->event_count, 5);
    assert_int_equal(s->events[0].what, SCENARIO_LINK);
    assert_int_equal(s->events[0].index, 0);
    assert_int_equal(s->events[1].index, 1);
    assert_true(s->events[0].conditions[LINK_UP].bytes_per_s == 500000);
    assert_true(s->events[0].conditions[LINK_UP].loss < 0);
    assert_true(s->events[0].conditions[LINK_DOWN].loss == 0.01);
    assert_true(s->events[0].conditions[LINK_DOWN].delay_ns < 0);
    assert_int_equal(s->events[2].what, SCENARIO_LEAVE);
    assert_int_equal(s->events[3].what, SCENARIO_CPU);
    assert_int_equal(s->events[3].index, 2);
    assert_int_equal(s->events[4].what, SCENARIO_RETURN);
    assert_int_equal(s->replan_every_ns, 1000000000);
    assert_true(s->replan_on_change);
    assert_int_equal(s->replan_takes_ns, 20000000);
    scenario_close(s);
    free(text);
}

static void a_rate_trace_gives_the_rate_over_time(void **state)
{
    (void)state;
    write_beside("rates.csv", "seconds,rate\n0.5,4Mbit\n# a comment\n\n1.5, 8Mbit\n");
    char *text = with(good, "rate = \"20Mbit\";", "trace = \"rates.csv\"; down = { rate = \"1Mbit\"; };");
    struct scenario *s = open_good(text, NULL, 0);
    for (int i = 0; i < 2; i++) {
        const struct scenario_trace *trace = &s->links[i].traces[LINK_UP];
        assert_int_equal(trace->count, 2);
        assert_int_equal(trace->points[1].at_ns, 1500000000);
        assert_true(trace->points[1].bytes_per_s == 1e6);
        assert_int_equal(s->links[i].traces[LINK_DOWN].count, 0);
        assert_true(s->links[i].spec.conditions[LINK_UP].bytes_per_s == 5e5);
        assert_true(s->links[i].spec.conditions[LINK_DOWN].bytes_per_s == 1.25e5);
    }
    scenario_close(s);
    free(text);
}

static void a_hundred_thousand_devices_are_read(void **state)
{
    (void)state;
    char *text = with(good, "count = 2;", "count = 100000;");
    struct scenario *s = open_good(text, NULL, 0);
    assert_int_equal(s->node_count, 100002);
    assert_int_equal(s->link_of_node[100000], 99999);
    assert_int_equal(s->streams[99999].link, 99999);
    assert_string_equal(s->streams[99999].name, "pi100000");
    scenario_close(s);
    free(text);
}

/* The example that has every key. Its one CIFAR-10 input is left out: the test's model takes smaller pictures. */
static void the_documentations_example_is_a_scenario(void **state)
{
    (void)state;
    struct error error = {0};
    struct file_map map;
    char *page = text_format("%s/docs/scenario.md", getenv("top_srcdir") ? getenv("top_srcdir") : ".");
    if (file_map(page, &map, &error) != 0)
        fail_msg("%s", error.text);
    char *all = text_format("%.*s", (int)map.size, (const char *)map.bytes);
    char *block = strstr(strstr(all, "## Every key once"), "```\n") + 4;
    *strstr(block, "```") = '\0';
    char *a = with(block, "input = \"data_batch_1.bin\"; record = 3;", ""), *b = with(a, "tiny-cnn.onnx", "m.onnx");
    char *c = with(b, "tiny-cnn.onnx", "m.onnx");
    write_beside("pi.json", "{}");
    write_beside("rates.csv", "0,4Mbit\n");
    struct scenario *s = open_good(c, NULL, 0);
    assert_int_equal(s->event_count, 5);
    assert_int_equal(s->stream_count, 3);
    assert_string_equal(s->streams[1].name, "cats2");
    assert_string_equal(s->links[1].name, "air2");
    scenario_close(s);
    file_unmap(&map);
    free(page);
    free(all);
    free(a);
    free(b);
    free(c);
}

/* ---- mistakes */

struct mistake {
    const char *find, *replacement; /* in the good text */
    const char *begins;
    const char *words[4];
};

static const struct mistake mistakes[] = {
    /* events, speeds */
    {"partitioner = {",
     "events = ( { link = \"pi\"; rate = 0; } ); partitioner = {",
     "s.cfg:16: ",
     {"no time", "at = \"2s\""}},
    {"partitioner = {", "events = ( { at = \"1s\"; } ); partitioner = {", "s.cfg:16: ", {"of a link or of a node"}},
    {"partitioner = {",
     "events = ( { at = \"1s\"; link = \"pi3\"; rate = 0; } ); partitioner = {",
     "s.cfg:16: ",
     {"'pi3', which is no link", "did you mean 'pi1'?"}},
    {"partitioner = {",
     "events = ( { at = \"1s\"; link = \"pi1\"; } ); partitioner = {",
     "s.cfg:16: ",
     {"changes nothing"}},
    {"partitioner = {",
     "events = ( { at = \"1s\"; node = \"fast\"; state = \"gone\"; } ); partitioner = {",
     "s.cfg:16: ",
     {"no state 'gone'"}},
    {"partitioner = {",
     "events = ( { at = \"1s\"; node = \"fast\"; state = \"return\"; } ); partitioner = {",
     "s.cfg:16: ",
     {"cannot return then", "let it leave first"}},
    {"partitioner = {",
     "events = ( { at = \"1s\"; node = \"station\"; state = \"leave\"; } ); partitioner = {",
     "s.cfg:16: ",
     {"the station cannot leave"}},
    {"memory = \"1GiB\";", "profile = \"no.json\";", "s.cfg:5: ", {"there is no profile", "napm profile"}},
    {"memory = \"1GiB\";", "memory_bandwidth = \"4GB/s\";", "s.cfg:5: ", {"gflops = 8.0"}},
    {"rate = \"50Mbit\";", "trace = \"wrong.npy\";", "s.cfg:9: ", {"wrong.npy"}},
    /* keys */
    {"seed = 3;", "sede = 3;", "s.cfg:1: ", {"'sede'", "did you mean 'seed'?"}},
    {"cpu = 0.5;", "cpus = 0.5;", "s.cfg:4: ", {"a node has no key 'cpus'", "did you mean 'cpu'?"}},
    {"rate = \"50Mbit\"",
     "bandwidth = \"50Mbit\"",
     "s.cfg:9: ",
     {"a link has no key 'bandwidth'", "known are", "rate"}},
    {"tasks = 6;", "task = 6;", "s.cfg:13: ", {"a stream has no key 'task'", "did you mean 'tasks'?"}},
    {"medium = \"wifi\";", "down = { rat = \"1Mbit\"; };", "s.cfg:8: ", {"'rat'", "did you mean 'rate'?"}},
    {"seed = 3;", "seed = 3; run = { warmup = 1; };", "s.cfg:1: ", {"'warmup'", "known are", "warmup_tasks"}},
    {"seed = 3;", "seed = 3; profile = { repeat = 1; };", "s.cfg:1: ", {"'repeat'", "did you mean 'repeats'?"}},
    /* units and types */
    {"\"2ms\"", "\"2\"", "s.cfg:8: ", {"'delay'", "has no unit", "ms"}},
    {"\"2ms\"", "2", "s.cfg:8: ", {"'delay' has no unit", "\"5ms\""}},
    {"\"2ms\"", "2.5", "s.cfg:8: ", {"'delay' has no unit"}},
    {"\"20Mbit\"", "\"20Mb\"", "s.cfg:8: ", {"'rate'", "no unit that is known", "Mbit"}},
    {"\"64MiB\"", "64", "s.cfg:3: ", {"'memory' has no unit", "\"4GiB\""}},
    {"\"64MiB\"", "\"-4GiB\"", "s.cfg:3: ", {"'memory'", "negative"}},
    {"tasks = 5;", "tasks = \"5\";", "s.cfg:12: ", {"'tasks' is a text", "expected an integer"}},
    {"tasks = 5;", "tasks = 5.5;", "s.cfg:12: ", {"'tasks' is a number", "expected an integer"}},
    {"name = \"fast\"", "name = 7", "s.cfg:5: ", {"'name' is an integer", "\"quotes\""}},
    {"cpu = 0.5;", "cpu = true;", "s.cfg:4: ", {"'cpu' is true or false", "share"}},
    {"{ plugin = \"rr\"; }", "\"rr\"", "s.cfg:17: ", {"scheduler = { plugin = \"rr\"; };"}},
    {"{ plugin = \"rr\"; }", "{ quantum = \"1ms\"; }", "s.cfg:17: ", {"names no plugin", "napm plugin list"}},
    {"slack = 0.25;", "slack = (1, 2);", "s.cfg:16: ", {"'slack' is a list", "one value"}},
    {"nodes = (", "nodes = ( 5, ", "s.cfg:2: ", {"an integer", "expected a group"}},
    /* ranges */
    {"cpu = 0.5;", "cpu = 1.5;", "s.cfg:4: ", {"'cpu' is 1.5", "0.001 to 1"}},
    {"cpu = 0.5;", "cpu = 0.0;", "s.cfg:4: ", {"'cpu' is 0"}},
    {"threads = 2;", "threads = 0;", "s.cfg:4: ", {"'threads' is 0", "1 to 1024"}},
    {"count = 2;", "count = 0;", "s.cfg:4: ", {"'count'", "1 to 1000"}},
    {"tasks = 5;", "tasks = 0;", "s.cfg:12: ", {"'tasks' is 0", "1 to"}},
    {"\"20Mbit\"", "\"20bit\"", "s.cfg:8: ", {"'rate' is 20bit", "1kbit"}},
    {"delay = \"2ms\";", "loss = \"70%\";", "s.cfg:8: ", {"'loss' is 70%", "0% to 50%"}},
    {"seed = 3;", "seed = -3;", "s.cfg:1: ", {"'seed' is -3"}},
    {"seed = 3;", "seed = 5000000000;", "s.cfg:1: ", {"does not fit 32 bits", "5000000000L"}},
    {"seed = 3;", "seed = 0xFFFFFFFF;", "s.cfg:1: ", {"does not fit 32 bits", "0xFFFFFFFFL"}},
    {"seed = 3;", "seed = 99999999999999999999L;", "s.cfg:1: ", {"does not fit 64 bits"}},
    {"cpu = 0.5;", "cpu = 1e999;", "s.cfg:4: ", {"no finite number"}},
    {"seed = 3;", "run = { time_limit = 0; };", "s.cfg:1: ", {"'time_limit' is 0"}},
    {"seed = 3;", "run = { sample_every = \"1us\"; };", "s.cfg:1: ", {"'sample_every'", "1ms or more"}},
    {"seed = 3;", "run = { warmup_tasks = 5; };", "s.cfg:12: ", {"all 5 tasks are warm-up", "more tasks"}},
    {"cpu = 0.5;", "power = { busy = 3.5; };", "s.cfg:4: ", {"'busy' has no unit", "\"2.7W\""}},
    {"cpu = 0.5;", "power = { busy = \"1MW\"; };", "s.cfg:4: ", {"'busy'", "no unit that is known", "mW W kW"}},
    {"cpu = 0.5;", "power = { bussy = \"1W\"; };", "s.cfg:4: ", {"'power'", "did you mean 'busy'?"}},
    {"tasks = 5;", "tasks = 5; weight = 0;", "s.cfg:12: ", {"'weight' is 0", "1e-06 to 1e+06"}},
    {"tasks = 5;", "tasks = 5; weight = \"2\";", "s.cfg:12: ", {"'weight' is a text", "expected a number"}},
    {"seed = 3;", "objective = { delay = 0; };", "s.cfg:1: ", {"weighs nothing", "delay, deviation, energy and miss"}},
    {"seed = 3;", "objective = { variance = 1; };", "s.cfg:1: ", {"'variance'", "known are", "deviation"}},
    {"seed = 3;", "objective = { energy = -1; };", "s.cfg:1: ", {"'energy' is -1", "0 to"}},
    /* names and ends */
    {"name = \"fast\"", "name = \"pi1\"", "s.cfg:5: ", {"already a node 'pi1'", "s.cfg:4", "name of its own"}},
    {"name = \"fast\"", "name = \"pi\"", "s.cfg:5: ", {"'pi' is also the name of a counted group"}},
    {"name = \"fast\"", "name = \"fa st\"", "s.cfg:5: ", {"cannot be a name", "letters"}},
    {"name = \"fast\";", "", "s.cfg:5: ", {"has no name", "name = \"pi1\";"}},
    {"role = \"station\";", "", "s.cfg:2: ", {"no node is the station", "role = \"station\""}},
    {"name = \"fast\";", "name = \"fast\"; workers = 2;", "s.cfg:5: ", {"only the station has workers"}},
    {"role = \"station\"; workers = 2;", "", "s.cfg:2: ", {"no node is the station", "role = \"station\""}},
    {"name = \"fast\";", "name = \"fast\"; role = \"station\";", "s.cfg:5: ", {"second station", "s.cfg:3"}},
    {"role = \"station\";", "role = \"satellite\";", "s.cfg:3: ", {"no role 'satellite'", "station"}},
    {"from = \"fast\"", "from = \"fats\"", "s.cfg:9: ", {"'fats', which is no node", "did you mean 'fast'?"}},
    {"to = \"station\"", "to = \"statoin\"", "s.cfg:9: ", {"'statoin', which is no node", "did you mean 'station'?"}},
    {"to = \"station\"", "to = \"fast\"", "s.cfg:9: ", {"ends where it begins", "'fast'", "leave it out"}},
    {"from = \"pi\"; rate = \"20Mbit\"; delay = \"2ms\"; medium = \"wifi\"; },\n  { from = \"fast\"; to = \"station\"",
     "from = \"pi\"; to = \"fast\"; },\n  { from = \"fast\"; to = \"pi2\"",
     "s.cfg:9: ",
     {"from 'fast' comes back", "never leads to the station"}},
    {"from = \"fast\"", "from = \"station\"", "s.cfg:9: ", {"'station' is the station"}},
    {"from = \"fast\"; ", "", "s.cfg:9: ", {"begins nowhere", "from = "}},
    {"from = \"fast\"", "from = \"pi1\"", "s.cfg:9: ", {"'pi1' already has a link", "s.cfg:8"}},
    {"medium = \"wifi\"; },\n  { from = \"fast\"; to = \"station\"; rate = \"50Mbit\"; }",
     "}",
     "s.cfg:5: ",
     {"'fast' has no link", "{ from = \"fast\";"}},
    {"device = \"fast\"", "device = \"fasst\"", "s.cfg:13: ", {"'fasst', which is no node", "did you mean 'fast'?"}},
    {"device = \"fast\"", "device = \"station\"", "s.cfg:13: ", {"begins at a device"}},
    {"device = \"fast\"", "device = \"pi1\"", "s.cfg:13: ", {"already a stream 'pi1'", "name = \"pi1-b\";"}},
    {"device = \"fast\"; ", "", "s.cfg:13: ", {"has no device"}},
    {"backend = { plugin = \"reference\"; };\n", "", "s.cfg:3: ", {"'station' has no backend", "napm plugin list"}},
    /* what must be there */
    {"tasks = 5; ", "", "s.cfg:12: ", {"how many tasks", "tasks = 20;"}},
    {"model = \"m.onnx\"; ", "", "s.cfg:12: ", {"has no model", "model = \"FILE.onnx\";"}},
    {"arrivals = { plugin = \"closed-loop\"; };", "", "s.cfg:13: ", {"has no arrivals"}},
    {"scheduler = { plugin = \"rr\"; };\n", "", "s.cfg: ", {"no scheduler is chosen", "scheduler = {"}},
    {"nodes = (", "nodes = (); other = (", "s.cfg:2: ", {"'other'"}},
    {"links = (", "links = (); x = (", "s.cfg:7: ", {"'x'"}},
    /* plugins */
    {"\"rr\"", "\"fiffo\"", "s.cfg:17: ", {"no scheduler plugin 'fiffo'", "did you mean 'fifo'?"}},
    {"\"replay\"", "\"repaly\"", "s.cfg:5: ", {"'repaly'", "did you mean 'replay'?"}},
    {"slack = 0.25;", "slak = 0.25;", "s.cfg:16: ", {"no option 'slak'", "did you mean 'slack'?"}},
    {"slack = 0.25;", "slack = -1;", "s.cfg:16: ", {"'slack'", "out of range"}},
    {"period = \"100ms\"", "period = \"100\"", "s.cfg:12: ", {"'period'", "no unit"}},
    {"period = \"100ms\";", "", "s.cfg:12: ", {"'period'", "needs"}},
    {"\"closed-loop\"", "\"stress\"", "s.cfg:13: ", {"'stress' cannot make tasks", "napm plugin list"}},
    {"cpu = 0.5;",
     "stress = { plugin = \"poisson\"; interval = \"1s\"; };",
     "s.cfg:4: ",
     {"'poisson' cannot put load on a node"}},
    /* models, inputs, memory */
    {"m.onnx", "n.onnx", "s.cfg:12: ", {"no model file", "napm model new NAME -o "}},
    {"m.onnx", "s.cfg", "s.cfg:12: ", {"s.cfg"}},
    {"tasks = 5;", "tasks = 5; input = \"dog.npy\";", "s.cfg:12: ", {"no input file", "dog.npy", "leave 'input' out"}},
    {"tasks = 5;", "tasks = 5; input = \"s.cfg\";", "s.cfg:12: ", {".npy", ".pb", ".bin"}},
    {"tasks = 5;", "tasks = 5; inputs = (\"a.npy\", \"b.npy\");", "s.cfg:12: ", {"2 input files are given", "takes 1"}},
    {"tasks = 5;", "tasks = 5; inputs = ();", "s.cfg:12: ", {"0 input files are given"}},
    {"tasks = 5;", "tasks = 5; input = \"wrong.npy\";", "s.cfg:12: ", {"wrong.npy"}},
    {"tasks = 5;", "tasks = 5; record = 3;", "s.cfg:12: ", {"'record'", "input = \"FILE.bin\";"}},
    {"result", "result", NULL, {NULL}}, /* the end */
};

static void every_mistake_is_named_with_its_line_and_remedy(void **state)
{
    (void)state;
    struct error error = {0};
    struct tensor tensor;
    int64_t dims[] = {1, 3, 15, 16};
    char *npy = path_of("wrong.npy");
    assert_int_equal(tensor_random(&tensor, 4, dims, 1, "x", &error), 0);
    assert_int_equal(tensor_write_npy(npy, &tensor, &error), 0);
    tensor_free(&tensor);
    free(npy);
    for (const struct mistake *mistake = mistakes; mistake->begins; mistake++) {
        char *text = with(good, mistake->find, mistake->replacement);
        expect_error(text, NULL, 0, mistake->begins, mistake->words);
        free(text);
    }
}

static void empty_and_missing_lists_are_named(void **state)
{
    (void)state;
    static const char *const lists[] = {"nodes", "links", "streams"};
    for (size_t i = 0; i < 3; i++) {
        char *key = text_format("%s = (", lists[i]), *end = strstr(good, key);
        const char *rest = strstr(end, ");\n") + 3;
        char *empty = text_format("%.*s%s = ();\n%s", (int)(end - good), good, lists[i], rest);
        char *missing = text_format("%.*s%s", (int)(end - good), good, rest);
        expect_error(empty, NULL, 0, "s.cfg:", (const char *const[]){"is empty", lists[i], NULL});
        expect_error(missing, NULL, 0, "s.cfg: ", (const char *const[]){"there is no list", lists[i], NULL});
        free(key);
        free(empty);
        free(missing);
    }
}

static void a_model_that_fits_no_side_is_refused_with_both_memories(void **state)
{
    (void)state;
    char *a = with(good, "\"64MiB\"", "\"10KiB\""), *b = with(a, "\"1GiB\"", "\"20KiB\"");
    expect_error(
        b, NULL, 0, "s.cfg:13: ",
        (const char *const[]){"'fast' fits nowhere", "10.0 KiB", "20.0 KiB", "more 'memory'", "s.cfg:3", NULL});
    free(a);
    free(b);
}

static void text_that_is_no_scenario_is_refused(void **state)
{
    (void)state;
    struct error error;
    char *include = with(good, "seed = 3;", "seed = 3;\n@include \"other.cfg\"\n");
    expect_error(include, NULL, 0, "s.cfg:2: ", (const char *const[]){"@include", "one file", NULL});
    free(include);
    char *broken = with(good, "links = (", "links = ((");
    expect_error(broken, NULL, 0, "s.cfg:", (const char *const[]){"syntax error", "name = value;", NULL});
    free(broken);
    char *twice = with(good, "seed = 3;", "seed = 3;\nseed = 4;");
    expect_error(twice, NULL, 0, "s.cfg:2: ", (const char *const[]){"'seed' is already set in line 1", NULL});
    free(twice);
    /* Not the same group, nor the same word in a text or comment: only the last one is there twice. */
    twice = with(good, "seed = 3;",
                 "seed = 3; # name = 1\nprofile = { warmups = 1; };\nrun = { time_limit = \"1s\";\n"
                 "warmup_tasks = 0; time_limit : \"time_limit = 2s\"; };");
    expect_error(twice, NULL, 0, "s.cfg:4: ", (const char *const[]){"'time_limit' is already set in line 3", NULL});
    free(twice);
    expect_error("a = 1;\nb = \"x;\nc = 2;\n", NULL, 0, "s.cfg:2: ", (const char *const[]){"has no end", "'\"'", NULL});
    expect_error("a = 1;\nb = \"x;\nc = \"y\";\nd = \"z\";\n", NULL, 0,
                 "s.cfg:2: ", (const char *const[]){"goes on over the end of its line", "'\"'", NULL});
    expect_error("a = 1;\n\n/* b", NULL, 0, "s.cfg:3: ", (const char *const[]){"has no end", "'*/'", NULL});
    expect_error("", NULL, 0, "s.cfg: ", (const char *const[]){"no partitioner is chosen", NULL});
    char *path = path_of("s.cfg"), *none = path_of("none.cfg");
    assert_int_equal(file_write_atomically(path, "a = 1;\0b", 8, &error), 0);
    assert_null(scenario_open(path, NULL, 0, catalogue, &error));
    assert_non_null(strstr(error.text, "no text"));
    assert_null(scenario_open(none, NULL, 0, catalogue, &error));
    assert_non_null(strstr(error.text, "none.cfg"));
    assert_int_equal(error.kind, ERROR_INPUT);
    free(path);
    free(none);
}

/* ---- --set */

#define SET(...) ((const struct scenario_override[]){__VA_ARGS__})

static void overrides_reach_members_groups_and_numbers(void **state)
{
    (void)state;
    const struct scenario_override *set =
        SET({"nodes.pi.cpu", "0.25"}, {"nodes.pi2.cpu", "75%"}, {"nodes.2.memory", "2GiB"}, {"links.pi2.delay", "9ms"},
            {"streams.pi.tasks", "11"}, {"streams.1.priority", "-4"}, {"seed", "5000000000"},
            {"links.fast.down.rate", "8Mbit"}, {"run.warmup_tasks", "1"}, {"scheduler.quantum", "3ms"});
    struct scenario *s = open_good(good, set, 10);
    assert_true(s->nodes[1].cpu_share == 0.25 && s->nodes[2].cpu_share == 0.75);
    assert_true(s->nodes[3].memory_bytes == UINT64_C(2) << 30);
    assert_int_equal(s->links[0].spec.conditions[LINK_UP].delay_ns, 2000000);
    assert_int_equal(s->links[1].spec.conditions[LINK_UP].delay_ns, 9000000);
    assert_int_equal(s->streams[0].task_count, 11);
    assert_int_equal(s->streams[1].task_count, 11);
    assert_int_equal(s->streams[2].priority, -4);
    assert_true(s->seed == UINT64_C(5000000000));
    assert_true(s->links[2].spec.conditions[LINK_DOWN].bytes_per_s == 1e6);
    assert_true(s->links[2].spec.conditions[LINK_UP].bytes_per_s == 6.25e6);
    assert_int_equal(s->warmup_tasks, 1);
    assert_string_equal(s->scheduler.settings[0].text, "3ms");
    assert_string_equal(s->scheduler.settings[0].where, "--set scheduler.quantum");
    scenario_close(s);
}

static void the_size_of_a_group_is_set_before_its_members(void **state)
{
    (void)state;
    struct scenario *s = open_good(good, SET({"nodes.pi4.cpu", "0.125"}, {"nodes.pi.count", "4"}), 2);
    assert_int_equal(s->node_count, 6);
    assert_int_equal(s->link_count, 5);
    assert_int_equal(s->stream_count, 5);
    assert_string_equal(s->nodes[4].name, "pi4");
    assert_true(s->nodes[4].cpu_share == 0.125);
    scenario_close(s);
}

static void another_plugin_drops_the_options_of_the_files_one(void **state)
{
    (void)state;
    struct scenario *s = open_good(good, SET({"partitioner.plugin", "neurosurgeon"}), 1);
    assert_string_equal(s->partitioner.name, "neurosurgeon");
    assert_int_equal(s->partitioner.setting_count, 0);
    scenario_close(s);
    s = open_good(good, SET({"partitioner.max_evaluations", "10"}, {"partitioner.plugin", "\"exhaustive\""}), 2);
    assert_int_equal(s->partitioner.setting_count, 1);
    assert_string_equal(s->partitioner.settings[0].name, "max_evaluations");
    scenario_close(s);
    s = open_good(good, SET({"partitioner.plugin", "greedy-variance"}), 1);
    assert_string_equal(s->partitioner.settings[0].text, "0.25");
    scenario_close(s);
}

static void the_text_kept_says_what_was_overridden(void **state)
{
    (void)state;
    struct scenario *s = open_good(good, SET({"seed", "4"}, {"name", "a\nb"}), 2);
    char *expected = text_format("%s# --set seed=4\n# --set name=a b\n", good);
    assert_string_equal(s->text, expected);
    assert_string_equal(s->name, "a\nb");
    scenario_close(s);
    free(expected);
}

static void overrides_are_read_from_the_end_of_the_text_kept(void **state)
{
    (void)state;
    const char *file = "# --set seed=1\nname = \"x\";";
    char *text = recorded_text(file, SET({"seed", "2"}, {"nodes.pi.cpu", "0.5"}, {"seed", "a=b"}), 3);
    struct recorded_overrides overrides;
    recorded_overrides_read(&overrides, text);
    assert_int_equal(overrides.file_bytes, strlen(file) + 1); /* the last line of the file was given its end */
    assert_int_equal(overrides.all.count, 3);
    assert_string_equal(overrides.all.items[0].value, "2");
    recorded_overrides_keep_last(&overrides);
    assert_int_equal(overrides.all.count, 2);
    assert_string_equal(overrides.all.items[0].path, "nodes.pi.cpu");
    assert_string_equal(overrides.all.items[1].path, "seed");
    assert_string_equal(overrides.all.items[1].value, "a=b");
    recorded_overrides_free(&overrides);
    free(text);

    recorded_overrides_read(&overrides, file); /* a comment of the user's own, in the middle */
    assert_int_equal(overrides.all.count, 0);
    assert_int_equal(overrides.file_bytes, strlen(file));
    recorded_overrides_free(&overrides);
    recorded_overrides_read(&overrides, NULL);
    assert_int_equal(overrides.all.count, 0);
    recorded_overrides_free(&overrides);
}

static void wrong_overrides_are_named_by_their_path(void **state)
{
    (void)state;
    static const struct {
        const char *path, *value, *words[3];
    } cases[] = {
        {"nodes.pj.cpu", "0.5", {"'nodes' has no element 'pj'", "did you mean 'pi'?"}},
        {"nodes.pi1.cpi", "0.5", {"no key 'cpi'", "did you mean 'cpu'?"}},
        {"shceduler.plugin", "rr", {"no key 'shceduler'", "did you mean 'scheduler'?"}},
        {"scheduler.plugin", "sfj", {"'sfj'", "did you mean 'sjf'?"}},
        {"partitioner.slak", "0.2", {"no option 'slak'", "did you mean 'slack'?"}},
        {"nodes.pi1.cpu", "2", {"'cpu' is 2", "0.001 to 1"}},
        {"nodes.pi1.memory", "4", {"'memory' has no unit"}},
        {"nodes.pi1.cpu.x", "1", {"'cpu' is a number", "no 'x'"}},
        {"nodes.pi1", "1", {"'pi1' is a group", ".KEY"}},
        {"nodes.9.cpu", "1", {"no element '9'", "0 to 2"}},
        {"nodes..cpu", "1", {"empty word"}},
        {"", "1", {"empty word"}},
        {"seed", "99999999999999999999", {"does not fit 64 bits"}},
        {"scheduler", "rr", {"--set scheduler.plugin=rr"}},
        {"nodes", "5", {"'nodes' is an integer", "list of groups"}},
        {"nodes.pi.count", "many", {"'count'", "1 to 1000"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *begins = text_format("--set %s: ", cases[i].path);
        expect_error(good, SET({cases[i].path, cases[i].value}), 1, begins, cases[i].words);
        free(begins);
    }
}

/* ---- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_with_counted_groups_and_defaults),
        cmocka_unit_test(power_weight_and_objective_are_read),
        cmocka_unit_test(places_are_file_and_line),
        cmocka_unit_test(a_direction_down_overrides_what_it_names),
        cmocka_unit_test(links_may_end_at_devices_nearer_to_the_station),
        cmocka_unit_test(where_results_go_is_one_of_three),
        cmocka_unit_test(integers_stand_for_reals_and_bare_zero_for_quantities),
        cmocka_unit_test(big_integers_need_their_mark_and_then_are_whole),
        cmocka_unit_test(texts_and_comments_may_hold_anything),
        cmocka_unit_test(inputs_are_found_beside_the_file),
        cmocka_unit_test(events_are_in_the_order_of_their_times_and_reach_groups),
        cmocka_unit_test(a_rate_trace_gives_the_rate_over_time),
        cmocka_unit_test(a_hundred_thousand_devices_are_read),
        cmocka_unit_test(the_documentations_example_is_a_scenario),
        cmocka_unit_test(every_mistake_is_named_with_its_line_and_remedy),
        cmocka_unit_test(empty_and_missing_lists_are_named),
        cmocka_unit_test(a_model_that_fits_no_side_is_refused_with_both_memories),
        cmocka_unit_test(text_that_is_no_scenario_is_refused),
        cmocka_unit_test(overrides_reach_members_groups_and_numbers),
        cmocka_unit_test(the_size_of_a_group_is_set_before_its_members),
        cmocka_unit_test(another_plugin_drops_the_options_of_the_files_one),
        cmocka_unit_test(the_text_kept_says_what_was_overridden),
        cmocka_unit_test(overrides_are_read_from_the_end_of_the_text_kept),
        cmocka_unit_test(wrong_overrides_are_named_by_their_path),
    };
    struct error error = {0};
    char *plugins = text_format("%s/plugins/.libs", getenv("top_builddir") ? getenv("top_builddir") : ".");
    catalogue = catalogue_open((const char *const[]){plugins, NULL}, &error);
    if (!catalogue || !mkdtemp(folder)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    char *model = path_of("m.onnx");
    if (zoo_write("tiny-cnn", 1, model, &error) != 0)
        fprintf(stderr, "%s\n", error.text);
    int failed = cmocka_run_group_tests(tests, NULL, NULL) != 0;
    static const char *const files[] = {"m.onnx", "s.cfg", "cat.npy", "wrong.npy", "pi.json", "rates.csv"};
    for (size_t i = 0; i < 4; i++) {
        char *path = path_of(files[i]);
        unlink(path);
        free(path);
    }
    rmdir(folder);
    free(model);
    free(plugins);
    catalogue_close(catalogue);
    return failed;
}
