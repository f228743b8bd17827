/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the local world, end to end: real agents, real frames, the reference backend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/wire/frame.h"
#include "tests/builtin_plugins.h"
#include "tests/world/world_trial.h"

#define HEAD                                                                                                           \
    "name = \"trial\"; seed = 1; backend = { plugin = \"reference\"; };\n"                                             \
    "partitioner = { plugin = \"device-only\"; }; scheduler = { plugin = \"fifo\"; };\n"
#define ONE_DEVICE                                                                                                     \
    "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"pi\"; } );\n"                                   \
    "links = ( { from = \"pi\"; } );\n"
#define STREAM(tasks, rest)                                                                                            \
    "streams = ( { device = \"pi\"; model = \"model.onnx\"; tasks = " #tasks "; " rest                                 \
    " arrivals = { plugin = \"periodic\"; period = \"4ms\"; }; } );\n"

static uint32_t layers_of(const struct trial *trial)
{
    return model_view(trial->scenario->models[0].model)->layer_count;
}

/* No child is left, neither running nor as a zombie. */
static void assert_no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void assert_phases_add_up(const struct trial *trial)
{
    for (size_t i = 0; i < trial->tasks.count; i++) {
        const struct task_record *record = &trial->tasks.items[i].record;
        int64_t sum_ns = 0;
        if (record->status != TASK_OK)
            continue;
        for (int k = 0; k < PHASE_COUNT; k++) {
            assert_true(record->phase_ns[k] >= 0);
            sum_ns += record->phase_ns[k];
        }
        assert_int_equal(sum_ns, record->ended_ns - record->started_ns);
        assert_true(record->device_wait_ns >= 0 && record->device_wait_ns <= record->phase_ns[PHASE_LOCAL]);
        assert_true(record->station_compute_ns <= record->phase_ns[PHASE_REMOTE]);
        assert_true(record->device_compute_ns <= record->phase_ns[PHASE_LOCAL]);
    }
}

static void test_every_cut_gives_the_same_result(void **state)
{
    uint64_t digest = 0;
    (void)state;
    for (uint32_t cut = 0, layers = 1; cut <= layers; cut++) {
        struct trial trial;
        struct error error = {0};
        trial_make(&trial, "tiny-cnn", HEAD ONE_DEVICE STREAM(3, ""));
        layers = layers_of(&trial);
        if (trial_run(&trial, cut, &error))
            fail_msg("cut %u: %s", cut, error.text);
        assert_int_equal(trial_count(&trial, TASK_OK), 3);
        assert_phases_add_up(&trial);
        for (size_t i = 0; i < 3; i++) {
            const struct task_record *record = &trial.tasks.items[i].record;
            if (digest == 0)
                digest = record->output_digest;
            assert_int_equal(record->output_digest, digest);
            assert_int_equal(record->cut, cut);
            assert_int_equal(record->up_bytes > 0, cut < layers);
            assert_int_equal(record->phase_ns[PHASE_REMOTE] > 0, cut < layers);
            assert_int_equal(record->device_compute_ns > 0, cut > 0);
        }
        trial_end(&trial);
    }
    assert_true(digest != 0);
    assert_no_children();
}

static void test_results_stay_or_go_to_the_station_as_asked(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn", HEAD ONE_DEVICE STREAM(3, "result = \"stay\";"));
    assert_int_equal(trial_run(&trial, 1, &error), 0);
    assert_int_equal(trial_count(&trial, TASK_OK), 3);
    assert_phases_add_up(&trial);
    assert_int_equal(trial.tasks.items[0].record.phase_ns[PHASE_RETURN], 0);
    assert_int_equal(trial.tasks.items[0].record.down_bytes, 0);
    trial_end(&trial);

    trial_make(&trial, "tiny-cnn", HEAD ONE_DEVICE STREAM(3, "result = \"station\";"));
    assert_int_equal(trial_run(&trial, layers_of(&trial), &error), 0);
    assert_int_equal(trial_count(&trial, TASK_OK), 3);
    assert_phases_add_up(&trial);
    assert_true(trial.tasks.items[0].record.phase_ns[PHASE_TRANSMIT] > 0);
    assert_true(trial.tasks.items[0].record.up_bytes > 0);
    assert_int_equal(trial.tasks.items[0].record.phase_ns[PHASE_REMOTE], 0);
    trial_end(&trial);
}

static void test_a_shaped_link_takes_its_time(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn",
               HEAD "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"pi\"; } );\n"
                    "links = ( { from = \"pi\"; rate = \"8Mbit\"; delay = \"20ms\"; } );\n" STREAM(3, ""));
    assert_int_equal(trial_run(&trial, 0, &error), 0);
    assert_int_equal(trial_count(&trial, TASK_OK), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct task_record *record = &trial.tasks.items[i].record;
        int64_t least_ns = 20 * NS_PER_MS + (int64_t)record->up_bytes * 1000; /* 1 us a byte */
        assert_true(record->phase_ns[PHASE_TRANSMIT] >= least_ns);
        assert_true(record->phase_ns[PHASE_RETURN] >= 20 * NS_PER_MS);
    }
    assert_phases_add_up(&trial);
    trial_end(&trial);
}

static void test_a_probe_finds_what_was_asked_for(void **state)
{
    struct trial trial;
    struct error error = {0};
    struct link_report report[2];
    (void)state;
    trial_make(&trial, "tiny-cnn",
               HEAD "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"pi\"; } );\n"
                    "links = ( { from = \"pi\"; rate = \"16Mbit\"; delay = \"5ms\";\n"
                    "            down = { rate = \"8Mbit\"; delay = \"10ms\"; }; } );\n" STREAM(1, ""));
    assert_int_equal(trial_open(&trial, &error), 0);
    assert_int_equal(trial.kind->probe(trial.world, 0, report, &error), 0);
    for (int direction = LINK_UP; direction <= LINK_DOWN; direction++) {
        const struct link_report *found = &report[direction];
        assert_int_equal(found->direction, direction);
        assert_string_equal(found->method, "user-space shaping");
        assert_int_equal(found->requested_delay_ns, (direction ? 10 : 5) * NS_PER_MS);
        assert_true(found->achieved_delay_ns >= found->requested_delay_ns);
        assert_true(found->achieved_bytes_per_s > found->requested_bytes_per_s / 3);
        assert_true(found->achieved_bytes_per_s < found->requested_bytes_per_s * 1.2);
    }
    trial_end(&trial);
}

static void test_several_devices_and_workers_share_the_station(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn",
               "name = \"trial\"; backend = { plugin = \"reference\"; };\n"
               "partitioner = { plugin = \"device-only\"; }; scheduler = { plugin = \"rr\"; };\n"
               "nodes = ( { name = \"station\"; role = \"station\"; workers = 2; }, { name = \"pi\"; count = 3; } );\n"
               "links = ( { from = \"pi\"; rate = \"100Mbit\"; delay = \"1ms\"; medium = \"wifi\"; } );\n"
               "streams = ( { device = \"pi\"; model = \"model.onnx\"; tasks = 10; "
               "arrivals = { plugin = \"closed-loop\"; }; } );\n"
               "run = { sample_every = \"50ms\"; warmup_tasks = 2; };\n");
    assert_int_equal(trial.scenario->stream_count, 3);
    if (trial_run(&trial, 1, &error))
        fail_msg("%s", error.text);
    assert_int_equal(trial_count(&trial, TASK_OK), 30);
    assert_phases_add_up(&trial);
    for (size_t i = 0; i < trial.tasks.count; i++) {
        const struct task_record *record = &trial.tasks.items[i].record;
        assert_int_equal(record->output_digest, trial.tasks.items[0].record.output_digest);
        assert_int_equal(record->warmup, record->task < 2);
    }
    trial_end(&trial);
    assert_no_children();
}

static void test_a_profile_has_a_time_for_every_layer(void **state)
{
    struct trial trial;
    struct error error = {0};
    struct layer_time times[64];
    (void)state;
    trial_make(&trial, "tiny-cnn", HEAD ONE_DEVICE STREAM(1, ""));
    assert_int_equal(trial_open(&trial, &error), 0);
    for (uint32_t node = 0; node < 2; node++) {
        memset(times, 0, sizeof(times));
        assert_int_equal(trial.kind->profile(trial.world, node, 0, times, &error), 0);
        for (uint32_t i = 0; i < layers_of(&trial); i++)
            assert_true(times[i].median_ns > 0 && times[i].mean_ns > 0);
        assert_true(trial.kind->facts(trial.world, node)->memory_bytes > 0);
        assert_non_null(strstr(trial.kind->facts(trial.world, node)->backend, "reference "));
    }
    trial_end(&trial);
}

/* ---- faults */

static void kill_agent_of_node_1(struct trial *trial, const struct task_record *record)
{
    if (record->stream == 0 && record->task == 4)
        kill((pid_t)trial->kind->facts(trial->world, 1)->pid, SIGKILL);
}

static void test_a_killed_agent_fails_its_tasks_and_the_others_finish(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn",
               HEAD "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"pi\"; count = 2; } );\n"
                    "links = ( { from = \"pi\"; rate = \"20Mbit\"; delay = \"10ms\"; } );\n"
                    "streams = ( { device = \"pi\"; model = \"model.onnx\"; tasks = 60;\n"
                    "arrivals = { plugin = \"periodic\"; period = \"5ms\"; }; } );\n");
    trial.on_task = kill_agent_of_node_1;
    assert_int_equal(trial_run(&trial, 2, &error), 0);
    size_t good[2] = {0}, failed[2] = {0};
    for (size_t i = 0; i < trial.tasks.count; i++) {
        const struct trial_task *task = &trial.tasks.items[i];
        good[task->record.stream] += task->record.status == TASK_OK;
        failed[task->record.stream] += task->record.status == TASK_FAILED;
        if (task->record.status == TASK_FAILED)
            assert_string_equal(task->cause, "node pi1 is gone: killed by signal 9 (Killed)");
    }
    assert_true(good[0] >= 5 && failed[0] >= 1);
    assert_int_equal(good[1], 60);
    assert_int_equal(failed[1], 0);
    assert_int_equal(trial.nodes_lost, 1);
    assert_phases_add_up(&trial);
    trial_end(&trial);
    assert_no_children();
}

/* ---- several nodes in a row */

#define CHAIN                                                                                                          \
    "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"phone\"; }, { name = \"watch\"; } );\n"         \
    "links = ( { from = \"watch\"; to = \"phone\"; rate = \"50Mbit\"; delay = \"2ms\"; },\n"                           \
    "          { from = \"phone\"; rate = \"50Mbit\"; delay = \"3ms\"; } );\n"
#define CHAIN_STREAMS(tasks, result)                                                                                   \
    "streams = ( { device = \"watch\"; model = \"model.onnx\"; tasks = " #tasks "; result = \"" result "\";\n"         \
    "              arrivals = { plugin = \"periodic\"; period = \"5ms\"; }; },\n"                                      \
    "            { device = \"phone\"; model = \"model.onnx\"; tasks = " #tasks "; result = \"" result "\";\n"         \
    "              arrivals = { plugin = \"periodic\"; period = \"5ms\"; }; } );\n"

static void run_chain(struct trial *trial, const char *scenario, uint32_t first, uint32_t second)
{
    struct error error = {0};
    const uint32_t cuts[] = {first, second, second}; /* the watch's two hops, the phone's one */
    trial_make(trial, "tiny-cnn", scenario);
    if (trial_open(trial, &error) || trial_deploy(trial, &(struct placements){.cuts = cuts}, &error) ||
        trial_drive(trial, &error))
        fail_msg("cuts %u, %u: %s", first, second, error.text);
}

/* What the phone says of a task of the watch, beside the task's phases. */
static void assert_hop(const struct trial_task *task, uint32_t layers, uint32_t first, uint32_t second)
{
    const struct task_record *record = &task->record;
    const struct task_hop *hop = &task->hop;
    assert_int_equal(record->hop_count, 1);
    assert_int_equal(hop->node, 1);
    assert_int_equal(hop->cut, second);
    if (first == layers) { /* the watch does it all */
        assert_int_equal(hop->came_ns, -1);
        return;
    }
    assert_true(hop->came_ns >= record->started_ns + record->phase_ns[PHASE_LOCAL] + 2000000);
    assert_true(hop->began_ns >= hop->came_ns && hop->left_ns >= hop->began_ns);
    assert_int_equal(hop->left_ns > hop->began_ns, second > first);
    assert_true(hop->left_ns - hop->began_ns <= record->phase_ns[PHASE_REMOTE]);
    assert_true(hop->began_ns - hop->came_ns <= record->phase_ns[PHASE_QUEUE]);
    if (second == layers)
        assert_int_equal(hop->back_ns, -1);
    else
        assert_true(hop->back_ns > hop->left_ns && hop->back_ns <= record->ended_ns - 2000000);
}

static void test_every_pair_of_cuts_gives_the_same_result(void **state)
{
    uint64_t digest = 0;
    (void)state;
    for (uint32_t first = 0, layers = 1; first <= layers; first++) {
        for (uint32_t second = first; second <= layers; second++) {
            struct trial trial;
            run_chain(&trial, HEAD CHAIN CHAIN_STREAMS(2, "return"), first, second);
            layers = layers_of(&trial);
            assert_int_equal(trial_count(&trial, TASK_OK), 4);
            assert_phases_add_up(&trial);
            for (size_t i = 0; i < trial.tasks.count; i++) {
                const struct task_record *record = &trial.tasks.items[i].record;
                digest = digest ? digest : record->output_digest;
                assert_int_equal(record->output_digest, digest);
                if (record->stream == 1) {
                    assert_int_equal(record->hop_count, 0);
                    continue;
                }
                assert_hop(&trial.tasks.items[i], layers, first, second);
                const int64_t *phase_ns = record->phase_ns;
                const int64_t up_ns = first == layers ? 0 : second == layers ? 2000000 : 5000000;
                assert_int_equal(record->cut, first);
                assert_true(phase_ns[PHASE_TRANSMIT] >= up_ns && (up_ns > 0 || phase_ns[PHASE_TRANSMIT] == 0));
                assert_true(phase_ns[PHASE_RETURN] >= up_ns && (up_ns > 0 || phase_ns[PHASE_RETURN] == 0));
                assert_int_equal(phase_ns[PHASE_REMOTE] > 0, first < layers);
            }
            trial_end(&trial);
        }
    }
    assert_true(digest != 0);
    assert_no_children();
}

/* Every layer has its own time, wherever it ran. */
static void note_layer_times(struct trial *trial, const struct task_record *record)
{
    (void)trial;
    for (uint32_t layer = 0; layer < record->layer_count; layer++)
        assert_true(record->layer_ns[layer] > 0);
}

/* Sets of layers on the watch and the phone that no cut of the layer order gives, and the whole at one place. */
static void test_sets_of_layers_give_the_same_result(void **state)
{
    static const uint32_t order[] = {0, 1, 2, 4, 6, 7, 3, 5, 8, 9, 10, 11, 12};
    static const uint32_t other[] = {0, 1, 4, 6, 2, 3, 5, 7, 8, 9, 10, 11, 12};
    static const struct {
        const uint32_t *watch, *phone;
        uint32_t cuts[3];
    } placements[] = {
        {NULL, NULL, {0, 0, 0}},   {order, NULL, {4, 6, 13}},  {order, other, {6, 6, 4}},
        {other, order, {0, 4, 4}}, {other, other, {4, 13, 4}},
    };
    uint64_t digest = 0;
    (void)state;
    for (size_t k = 0; k < sizeof(placements) / sizeof(placements[0]); k++) {
        struct trial trial;
        struct error error = {0};
        const uint32_t *const orders[] = {placements[k].watch, placements[k].phone};
        trial_make(&trial, "tiny-inception", HEAD CHAIN CHAIN_STREAMS(3, "return"));
        trial.on_task = note_layer_times;
        if (trial_open(&trial, &error) ||
            trial_deploy(&trial, &(struct placements){.cuts = placements[k].cuts, .orders = orders}, &error) ||
            trial_drive(&trial, &error))
            fail_msg("placement %zu: %s", k, error.text);
        assert_int_equal(trial_count(&trial, TASK_OK), 6);
        assert_phases_add_up(&trial);
        for (size_t i = 0; i < trial.tasks.count; i++) {
            const struct task_record *record = &trial.tasks.items[i].record;
            digest = digest ? digest : record->output_digest;
            assert_int_equal(record->output_digest, digest);
            assert_int_equal(record->cut, placements[k].cuts[record->stream == 0 ? 0 : 2]);
        }
        trial_end(&trial);
    }
    assert_true(digest != 0);
    assert_no_children();
}

static void test_a_result_made_on_the_way_stays_or_goes_up_as_asked(void **state)
{
    struct trial trial;
    (void)state;
    run_chain(&trial, HEAD CHAIN CHAIN_STREAMS(2, "stay"), 1, 5);
    assert_int_equal(trial_count(&trial, TASK_OK), 4);
    assert_phases_add_up(&trial);
    for (size_t i = 0; i < trial.tasks.count; i++)
        assert_int_equal(trial.tasks.items[i].record.phase_ns[PHASE_RETURN], 0);
    trial_end(&trial);
    run_chain(&trial, HEAD CHAIN CHAIN_STREAMS(2, "station"), 1, 5);
    assert_int_equal(trial_count(&trial, TASK_OK), 4);
    assert_phases_add_up(&trial);
    for (size_t i = 0; i < trial.tasks.count; i++) {
        const struct task_record *record = &trial.tasks.items[i].record;
        assert_true(record->phase_ns[PHASE_TRANSMIT] >= (record->stream == 0 ? 5000000 : 3000000));
        assert_int_equal(record->phase_ns[PHASE_RETURN], 0);
    }
    trial_end(&trial);
    assert_no_children();
}

static void test_a_killed_node_on_the_way_fails_what_passes_it(void **state)
{
    struct trial trial;
    (void)state;
    trial_make(&trial, "tiny-cnn",
               HEAD
               "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"phone\"; }, { name = \"watch\"; },\n"
               "          { name = \"camera\"; } );\n"
               "links = ( { from = \"watch\"; to = \"phone\"; rate = \"20Mbit\"; delay = \"5ms\"; },\n"
               "          { from = \"phone\"; rate = \"20Mbit\"; delay = \"5ms\"; }, { from = \"camera\"; } );\n"
               "streams = ( { device = \"watch\"; model = \"model.onnx\"; tasks = 60;\n"
               "              arrivals = { plugin = \"periodic\"; period = \"5ms\"; }; },\n"
               "            { device = \"camera\"; model = \"model.onnx\"; tasks = 60;\n"
               "              arrivals = { plugin = \"periodic\"; period = \"5ms\"; }; } );\n");
    struct error error = {0};
    const uint32_t cuts[] = {1, 3, 2};
    trial.on_task = kill_agent_of_node_1;
    assert_int_equal(trial_open(&trial, &error), 0);
    assert_int_equal(trial_deploy(&trial, &(struct placements){.cuts = cuts}, &error), 0);
    assert_int_equal(trial_drive(&trial, &error), 0);
    size_t good[2] = {0}, failed[2] = {0};
    for (size_t i = 0; i < trial.tasks.count; i++) {
        const struct trial_task *task = &trial.tasks.items[i];
        good[task->record.stream] += task->record.status == TASK_OK;
        failed[task->record.stream] += task->record.status == TASK_FAILED;
        assert_false(task->record.by_event); /* nobody planned it */
        if (task->record.status == TASK_FAILED)
            assert_string_equal(task->cause, "node phone is gone: killed by signal 9 (Killed)");
    }
    assert_true(good[0] >= 5 && failed[0] >= 1);
    assert_int_equal(good[1], 60);
    assert_int_equal(trial.nodes_lost, 1); /* the watch is still there */
    assert_phases_add_up(&trial);
    trial_end(&trial);
    assert_no_children();
}

#define TWO_BACKENDS(station, device)                                                                                  \
    "name = \"trial\"; seed = 1; partitioner = { plugin = \"device-only\"; }; scheduler = { plugin = \"rr\"; };\n"     \
    "nodes = ( { name = \"station\"; role = \"station\"; backend = { plugin = \"failing\"; at = " #station             \
    "; }; },\n { name = \"pi\"; backend = { plugin = \"failing\"; at = " #device "; }; } );\n"                         \
    "links = ( { from = \"pi\"; } );\n"

/* Of ten tasks one fails, with the backend's own words and the node's name. */
static void expect_one_failure(const char *scenario, const char *node)
{
    struct trial trial;
    struct error error = {0};
    trial_make(&trial, "tiny-cnn", scenario);
    if (trial_run(&trial, 1, &error))
        fail_msg("%s", error.text);
    assert_int_equal(trial_count(&trial, TASK_OK), 9);
    assert_int_equal(trial_count(&trial, TASK_FAILED), 1);
    for (size_t i = 0; i < trial.tasks.count; i++) {
        if (trial.tasks.items[i].record.status != TASK_FAILED)
            continue;
        assert_non_null(strstr(trial.tasks.items[i].cause, node));
        assert_non_null(strstr(trial.tasks.items[i].cause, "plugin failing"));
        assert_non_null(strstr(trial.tasks.items[i].cause, "as it was told to"));
        assert_false(trial.tasks.items[i].record.by_event);
    }
    assert_int_equal(trial.nodes_lost, 0);
    trial_end(&trial);
}

static void test_a_failing_backend_fails_its_task_only(void **state)
{
    (void)state;
    expect_one_failure(TWO_BACKENDS(0, 4) STREAM(10, ""), "node pi: ");
    expect_one_failure(TWO_BACKENDS(12, 0) STREAM(10, ""), "node station: ");
}

static void test_a_backend_that_fails_at_once_ends_the_deploying(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn", TWO_BACKENDS(0, 1) STREAM(1, ""));
    assert_int_equal(trial_run(&trial, 1, &error), -1);
    assert_non_null(strstr(error.text, "node pi: "));
    assert_non_null(strstr(error.text, "as it was told to"));
    trial_end(&trial);
    assert_no_children();
}

static void test_artificial_load_is_borne_by_its_node(void **state)
{
    struct trial trial;
    struct error error = {0};
    double share = 0;
    uint64_t resident_bytes = 0;
    (void)state;
    trial_make(&trial, "tiny-cnn",
               HEAD "nodes = ( { name = \"station\"; role = \"station\"; },\n"
                    "{ name = \"pi\"; stress = { plugin = \"stress\"; cpu = 0.5; memory = \"200MiB\"; }; } );\n"
                    "links = ( { from = \"pi\"; } );\n" STREAM(750, "") "run = { sample_every = \"100ms\"; };\n");
    if (trial_run(&trial, 1, &error))
        fail_msg("%s", error.text);
    for (size_t i = 0; i < trial.samples.count; i++) {
        const struct node_sample *sample = &trial.samples.items[i];
        if (sample->node == 1 && sample->cpu_share > share)
            share = sample->cpu_share;
        if (sample->node == 1 && sample->resident_bytes > resident_bytes)
            resident_bytes = sample->resident_bytes;
    }
    assert_true(share > 0.15); /* 0.5 and more by rights */
    assert_true(resident_bytes > 200u << 20);
    trial_end(&trial);
}

static void test_load_that_goes_on_and_off_for_ever_lasts_as_long_as_the_run(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn",
               HEAD "nodes = ( { name = \"station\"; role = \"station\"; },\n"
                    "{ name = \"pi\"; stress = { plugin = \"stress\"; cpu = 0.1; period = \"20ms\"; }; } );\n"
                    "links = ( { from = \"pi\"; } );\n" STREAM(3, ""));
    if (trial_run(&trial, 1, &error))
        fail_msg("%s", error.text);
    trial_end(&trial);
}

static void cancel_after_three(struct trial *trial, const struct task_record *record)
{
    if (record->task == 2)
        atomic_store(&trial->cancel, true);
}

static void test_a_cancelled_run_keeps_what_was_finished(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn", HEAD ONE_DEVICE STREAM(10000, ""));
    trial.on_task = cancel_after_three;
    assert_int_equal(trial_run(&trial, 1, &error), -1);
    assert_int_equal(error.kind, ERROR_CANCELLED);
    assert_true(trial_count(&trial, TASK_OK) >= 3);
    assert_true(trial.tasks.count < 10000);
    for (size_t i = 0; i < trial.tasks.count; i++)
        assert_int_not_equal(trial.tasks.items[i].record.status, TASK_FAILED);
    trial_end(&trial);
    assert_no_children();
}

static void test_a_run_ends_at_its_time_limit(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn", HEAD ONE_DEVICE STREAM(10000, "") "run = { time_limit = \"300ms\"; };\n");
    int64_t began_ns = clock_now_ns();
    assert_int_equal(trial_run(&trial, 1, &error), -1);
    assert_int_equal(error.kind, ERROR_RUN);
    assert_non_null(strstr(error.text, "time limit"));
    assert_true(clock_now_ns() - began_ns < 20 * NS_PER_S);
    assert_true(trial_count(&trial, TASK_OK) > 0);
    trial_end(&trial);
}

/* The port on which this process listens. */
static uint16_t find_own_listener(void)
{
    for (int fd = 0; fd < 256; fd++) {
        struct sockaddr_in address;
        socklen_t bytes = sizeof(address), flag_bytes = sizeof(int);
        int listens = 0;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &flag_bytes) == 0 && listens &&
            getsockname(fd, (struct sockaddr *)&address, &bytes) == 0 && address.sin_family == AF_INET) {
            assert_int_equal(address.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
            return ntohs(address.sin_port);
        }
    }
    return 0;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* A stranger's connection is ended by the other side within the time. */
static void *await_refusal(void *argument)
{
    int fd = *(int *)argument;
    char byte;
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    return poll(&readable, 1, 5000) == 1 && recv(fd, &byte, 1, 0) <= 0 ? argument : NULL;
}

static void test_strangers_are_refused_and_the_run_goes_on(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn", HEAD ONE_DEVICE STREAM(50, ""));
    const uint32_t cuts[] = {1};
    assert_int_equal(trial_open(&trial, &error), 0);
    assert_int_equal(trial_deploy(&trial, &(struct placements){.cuts = cuts}, &error), 0);
    int liar = connect_to(find_own_listener()), talker = connect_to(find_own_listener());
    uint8_t wrong[FRAME_SECRET_BYTES] = {1, 2, 3};
    const void *content = wrong;
    const uint64_t bytes = sizeof(wrong);
    struct frame_header hello = {.kind = FRAME_HELLO, .stream = 1};
    assert_int_equal(frame_send(liar, &hello, NULL, &content, &bytes, 1, &error), 0);
    char nonsense[256];
    memset(nonsense, 'x', sizeof(nonsense));
    assert_int_equal(send(talker, nonsense, sizeof(nonsense), MSG_NOSIGNAL), (ssize_t)sizeof(nonsense));
    pthread_t threads[2];
    void *refused[2];
    pthread_create(&threads[0], NULL, await_refusal, &liar);
    pthread_create(&threads[1], NULL, await_refusal, &talker);
    assert_int_equal(trial_drive(&trial, &error), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &refused[i]);
        assert_non_null(refused[i]);
    }
    close(liar);
    close(talker);
    assert_int_equal(trial_count(&trial, TASK_OK), 50);
    trial_end(&trial);
}

/* A controller that is killed while its agents work: a child process of the test plays it, and tells the agent's pid. */
static void play_controller(struct trial *trial, int tell_fd)
{
    struct error error = {0};
    const uint32_t cuts[] = {1};
    if (trial_open(trial, &error) || trial_deploy(trial, &(struct placements){.cuts = cuts}, &error))
        _exit(1);
    pid_t agent = (pid_t)trial->kind->facts(trial->world, 1)->pid;
    if (write(tell_fd, &agent, sizeof(agent)) != sizeof(agent))
        _exit(1);
    trial_drive(trial, &error);
    _exit(1);
}

static void test_agents_end_when_the_controller_is_killed(void **state)
{
    int pipe_fds[2];
    pid_t agent;
    struct trial trial;
    (void)state;
    trial_make(&trial, "tiny-cnn", HEAD ONE_DEVICE STREAM(100000, ""));
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t controller = fork();
    if (controller == 0)
        play_controller(&trial, pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &agent, sizeof(agent)), sizeof(agent));
    assert_int_equal(kill(agent, 0), 0);
    kill(controller, SIGKILL);
    assert_int_equal(waitpid(controller, NULL, 0), controller);
    int64_t until_ns = clock_now_ns() + 5 * NS_PER_S;
    char stat[64], letter = 'R';
    snprintf(stat, sizeof(stat), "/proc/%d/stat", (int)agent);
    while (clock_now_ns() < until_ns) {
        FILE *file = fopen(stat, "r");
        if (!file || fscanf(file, "%*d %*s %c", &letter) != 1)
            letter = 'Z';
        if (file)
            fclose(file);
        if (letter == 'Z') /* gone, or dead and waiting for whoever inherits it */
            break;
        clock_sleep_until_ns(clock_now_ns() + 10 * NS_PER_MS);
    }
    assert_int_equal(letter, 'Z');
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    trial_end(&trial);
}

static void test_an_agent_that_cannot_be_set_up_is_named(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn", HEAD ONE_DEVICE STREAM(1, ""));
    setenv("NAPM_AGENT", "/nowhere/napm-agent", 1);
    assert_int_equal(trial_open(&trial, &error), -1);
    assert_non_null(strstr(error.text, "NAPM_AGENT=/nowhere/napm-agent"));
    setenv("NAPM_AGENT", "/bin/true", 1);
    assert_int_equal(trial_open(&trial, &error), -1);
    assert_non_null(strstr(error.text, "node pi is gone: it ended with status 0"));
    trial_end(&trial);
    assert_no_children();
}

/* ---- changes in mid-run */

/* The mean of something over the tasks that started in a span of the run's clock. */
static double mean_between(const struct trial *trial, int64_t (*of)(const struct task_record *record), int64_t from_ns,
                           int64_t until_ns)
{
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < trial->tasks.count; i++) {
        const struct task_record *record = &trial->tasks.items[i].record;
        if (record->status != TASK_OK || record->started_ns < from_ns || record->started_ns >= until_ns)
            continue;
        sum += (double)of(record);
        count++;
    }
    assert_true(count > 0);
    return sum / (double)count;
}

static int64_t transmit_of(const struct task_record *record)
{
    return record->phase_ns[PHASE_TRANSMIT];
}

static int64_t device_compute_of(const struct task_record *record)
{
    return record->device_compute_ns;
}

static void test_a_link_changes_when_the_scenario_says_so(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn",
               HEAD ONE_DEVICE STREAM(80, "") "events = ( { at = \"100ms\"; link = \"pi\"; delay = \"30ms\"; },\n"
                                              "  { at = \"200ms\"; link = \"pi\"; delay = \"1ms\"; } );\n");
    assert_int_equal(trial_run(&trial, 0, &error), 0);
    assert_int_equal(trial_count(&trial, TASK_OK), 80);
    assert_phases_add_up(&trial);
    assert_true(mean_between(&trial, transmit_of, 0, 90 * NS_PER_MS) < 15e6);
    assert_true(mean_between(&trial, transmit_of, 102 * NS_PER_MS, 195 * NS_PER_MS) >= 30e6);
    assert_true(mean_between(&trial, transmit_of, 240 * NS_PER_MS, INT64_MAX) < 15e6);
    trial_end(&trial);
}

static void test_a_node_slows_when_the_scenario_says_so(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(&trial, "tiny-cnn",
               HEAD ONE_DEVICE STREAM(100, "") "events = ( { at = \"200ms\"; node = \"pi\"; cpu = 0.05; } );\n");
    if (trial_run(&trial, layers_of(&trial), &error))
        fail_msg("%s", error.text);
    assert_int_equal(trial_count(&trial, TASK_OK), 100);
    assert_true(mean_between(&trial, device_compute_of, 210 * NS_PER_MS, INT64_MAX) >
                5 * mean_between(&trial, device_compute_of, 0, 190 * NS_PER_MS));
    trial_end(&trial);
}

/* Two devices, of which one is away from 100 to 200 ms; a link whose delay keeps tasks under way at any time. */
static void leave_and_return(const char *link, uint32_t cut, size_t least_failed)
{
    struct trial trial;
    struct error error = {0};
    char *text = text_format(
        HEAD "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"pi\"; }, { name = \"pj\"; } );\n"
             "links = ( { from = \"pi\"; %s }, { from = \"pj\"; } );\n"
             "events = ( { at = \"100ms\"; node = \"pi\"; state = \"leave\"; },\n"
             "  { at = \"200ms\"; node = \"pi\"; state = \"return\"; } );\n"
             "streams = ( { device = \"pi\"; model = \"model.onnx\"; tasks = 60; arrivals = { plugin = \"periodic\"; "
             "period = \"3ms\"; }; }, { device = \"pj\"; model = \"model.onnx\"; tasks = 60; arrivals = { plugin = "
             "\"periodic\"; period = \"5ms\"; }; } );\n",
        link);
    trial_make(&trial, "tiny-cnn", text);
    free(text);
    if (trial_run(&trial, cut < layers_of(&trial) ? cut : layers_of(&trial), &error))
        fail_msg("%s", error.text);
    assert_int_equal(trial.tasks.count, 120);
    assert_int_equal(trial.nodes_lost, 0);
    assert_phases_add_up(&trial);
    uint32_t after = 0;
    for (size_t i = 0; i < trial.tasks.count; i++) {
        const struct task_record *record = &trial.tasks.items[i].record;
        if (record->stream == 1 || record->started_ns >= 200 * NS_PER_MS)
            assert_int_equal(record->status, TASK_OK);
        if (record->stream == 1)
            continue;
        assert_false(record->started_ns >= 101 * NS_PER_MS && record->started_ns < 200 * NS_PER_MS);
        after += record->started_ns >= 200 * NS_PER_MS;
        assert_int_equal(record->by_event, record->status == TASK_FAILED);
        if (record->status == TASK_FAILED)
            assert_string_equal(trial.tasks.items[i].cause, "pi left by the scenario at 100 ms");
    }
    assert_true(after >= 20);
    assert_true(trial_count(&trial, TASK_FAILED) >= least_failed);
    trial_end(&trial);
    assert_no_children();
}

static void test_a_device_leaves_and_returns(void **state)
{
    (void)state;
    leave_and_return("delay = \"20ms\";", 0, 3);
    leave_and_return("delay = \"20ms\";", UINT32_MAX, 0);
    leave_and_return("", 0, 0);
    leave_and_return("down = { delay = \"20ms\"; };", 1, 3);
}

static void test_a_device_that_leaves_for_good_ends_its_streams(void **state)
{
    struct trial trial;
    struct error error = {0};
    (void)state;
    trial_make(
        &trial, "tiny-cnn",
        HEAD ONE_DEVICE STREAM(60000, "") "events = ( { at = \"100ms\"; node = \"pi\"; state = \"leave\"; } );\n");
    assert_int_equal(trial_run(&trial, 0, &error), 0);
    assert_true(trial_count(&trial, TASK_OK) > 10);
    assert_true(trial.tasks.count <= 26);
    assert_int_equal(trial.nodes_lost, 0);
    trial_end(&trial);
}

/* ---- batches: four equal streams, all at the station */

#define EQUAL_STREAMS 4
#define EQUAL_TASKS 25
#define EQUAL(backend, scheduler, rest)                                                                                \
    "name = \"trial\"; seed = 1; backend = { plugin = \"" backend                                                      \
    "\"; }; partitioner = { plugin = \"station-only\"; };\n"                                                           \
    "scheduler = { plugin = " scheduler "; };\n" rest                                                                  \
    "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"pi\"; count = 4; } );\n"                        \
    "links = ( { from = \"pi\"; } );\n"                                                                                \
    "streams = ( { device = \"pi\"; model = \"model.onnx\"; tasks = 25; arrivals = { plugin = \"periodic\"; period = " \
    "\"8ms\"; }; } );\n"
#define BATCHES "\"batch\"; max_batch = 4; max_wait = \"40ms\""

static void run_equal(struct trial *trial, const char *scenario)
{
    struct error error = {0};
    trial_make(trial, "tiny-cnn", scenario);
    if (trial_run(trial, 0, &error))
        fail_msg("%s", error.text);
    assert_int_equal(trial->nodes_lost, 0);
    assert_phases_add_up(trial);
}

static void keep_digests(const struct trial *trial, uint64_t digests[EQUAL_STREAMS][EQUAL_TASKS])
{
    assert_int_equal(trial_count(trial, TASK_OK), EQUAL_STREAMS * EQUAL_TASKS);
    for (size_t i = 0; i < trial->tasks.count; i++) {
        const struct task_record *record = &trial->tasks.items[i].record;
        assert_int_not_equal(record->output_digest, 0);
        digests[record->stream][record->task] = record->output_digest;
    }
}

/* Every task that is ok has the result that it has by itself. */
static void assert_digests(const struct trial *trial, uint64_t digests[EQUAL_STREAMS][EQUAL_TASKS])
{
    for (size_t i = 0; i < trial->tasks.count; i++) {
        const struct task_record *record = &trial->tasks.items[i].record;
        if (record->status == TASK_OK)
            assert_true(record->output_digest == digests[record->stream][record->task]);
    }
}

/* Tasks that took the station as long, to the nanosecond, as one of another stream: a batch's time is shared out evenly. */
static size_t count_together(const struct trial *trial)
{
    size_t together = 0;
    for (size_t i = 0; i < trial->tasks.count; i++) {
        const struct task_record *one = &trial->tasks.items[i].record;
        bool shared = false;
        for (size_t k = 0; k < trial->tasks.count && !shared; k++) {
            const struct task_record *other = &trial->tasks.items[k].record;
            shared = other->stream != one->stream && other->status == TASK_OK &&
                     other->station_compute_ns == one->station_compute_ns;
        }
        together += shared && one->status == TASK_OK;
    }
    return together;
}

static void expect_batches(const char *alone, const char *together)
{
    static uint64_t digests[EQUAL_STREAMS][EQUAL_TASKS];
    struct trial trial;
    run_equal(&trial, alone);
    keep_digests(&trial, digests);
    assert_true(count_together(&trial) < EQUAL_STREAMS * EQUAL_TASKS / 4); /* by chance only */
    trial_end(&trial);
    run_equal(&trial, together);
    assert_int_equal(trial_count(&trial, TASK_OK), EQUAL_STREAMS * EQUAL_TASKS);
    assert_digests(&trial, digests);
    assert_true(count_together(&trial) > EQUAL_STREAMS * EQUAL_TASKS / 2);
    trial_end(&trial);
    assert_no_children();
}

static void test_batches_give_the_results_of_lone_tasks(void **state)
{
    struct error error = {0};
    (void)state;
    expect_batches(EQUAL("reference", "\"fifo\"", ""), EQUAL("reference", BATCHES, ""));
    struct catalogue *catalogue = builtin_catalogue();
    bool has_onednn = catalogue_find(catalogue, NAPM_KIND_BACKEND, "onednn", &error) != NULL;
    catalogue_close(catalogue);
    if (has_onednn) /* which computes them together, where reference does so in turn */
        expect_batches(EQUAL("onednn", "\"fifo\"", ""), EQUAL("onednn", BATCHES, ""));
}

/* One of the devices leaves while its tasks wait for a batch or are in one. */
static void test_batches_go_on_without_a_device_that_leaves(void **state)
{
    static uint64_t digests[EQUAL_STREAMS][EQUAL_TASKS];
    struct trial trial;
    (void)state;
    run_equal(&trial, EQUAL("reference", "\"fifo\"", ""));
    keep_digests(&trial, digests);
    trial_end(&trial);
    run_equal(&trial, EQUAL("reference", BATCHES,
                            "events = ( { at = \"50ms\"; node = \"pi2\"; state = \"leave\"; },\n"
                            "  { at = \"90ms\"; node = \"pi2\"; state = \"return\"; } );\n"));
    for (size_t i = 0; i < trial.tasks.count; i++) {
        const struct task_record *record = &trial.tasks.items[i].record;
        assert_true(record->status == TASK_OK || (record->stream == 1 && record->by_event));
    }
    assert_true(trial_count(&trial, TASK_OK) >= (EQUAL_STREAMS - 1) * EQUAL_TASKS);
    assert_digests(&trial, digests);
    assert_true(count_together(&trial) > EQUAL_STREAMS * EQUAL_TASKS / 2);
    trial_end(&trial);
    assert_no_children();
}

static void test_unknown_worlds_are_named_with_the_nearest(void **state)
{
    struct error error = {0};
    (void)state;
    assert_null(world_find("lokal", &error));
    assert_non_null(strstr(error.text, "did you mean \"local\""));
    assert_int_equal(error.kind, ERROR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut_gives_the_same_result),
        cmocka_unit_test(test_results_stay_or_go_to_the_station_as_asked),
        cmocka_unit_test(test_a_shaped_link_takes_its_time),
        cmocka_unit_test(test_a_probe_finds_what_was_asked_for),
        cmocka_unit_test(test_several_devices_and_workers_share_the_station),
        cmocka_unit_test(test_a_profile_has_a_time_for_every_layer),
        cmocka_unit_test(test_a_killed_agent_fails_its_tasks_and_the_others_finish),
        cmocka_unit_test(test_every_pair_of_cuts_gives_the_same_result),
        cmocka_unit_test(test_sets_of_layers_give_the_same_result),
        cmocka_unit_test(test_a_result_made_on_the_way_stays_or_goes_up_as_asked),
        cmocka_unit_test(test_a_killed_node_on_the_way_fails_what_passes_it),
        cmocka_unit_test(test_a_failing_backend_fails_its_task_only),
        cmocka_unit_test(test_a_backend_that_fails_at_once_ends_the_deploying),
        cmocka_unit_test(test_artificial_load_is_borne_by_its_node),
        cmocka_unit_test(test_load_that_goes_on_and_off_for_ever_lasts_as_long_as_the_run),
        cmocka_unit_test(test_a_cancelled_run_keeps_what_was_finished),
        cmocka_unit_test(test_a_run_ends_at_its_time_limit),
        cmocka_unit_test(test_strangers_are_refused_and_the_run_goes_on),
        cmocka_unit_test(test_agents_end_when_the_controller_is_killed),
        cmocka_unit_test(test_an_agent_that_cannot_be_set_up_is_named),
        cmocka_unit_test(test_a_link_changes_when_the_scenario_says_so),
        cmocka_unit_test(test_a_node_slows_when_the_scenario_says_so),
        cmocka_unit_test(test_a_device_leaves_and_returns),
        cmocka_unit_test(test_a_device_that_leaves_for_good_ends_its_streams),
        cmocka_unit_test(test_batches_give_the_results_of_lone_tasks),
        cmocka_unit_test(test_batches_go_on_without_a_device_that_leaves),
        cmocka_unit_test(test_unknown_worlds_are_named_with_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
