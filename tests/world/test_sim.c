/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world: queueing theory, hand calculation, determinism, changes, and where layer times come from. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/world/world_trial.h"

#define MS 1e6

static const char head[] = "backend = { plugin = \"reference\"; };\npartitioner = { plugin = \"station-only\"; };\n";

/* Profile times are 1 ms a layer. */
static struct trial make(const char *scenario)
{
    struct trial trial;
    struct error error = {0};
    char *text = text_format("%s%s", head, scenario);
    trial_make(&trial, "tiny-cnn", text);
    trial.kind = world_find("sim", &error);
    assert_non_null(trial.kind);
    free(text);
    return trial;
}

static uint32_t layers_of(const struct trial *trial)
{
    return model_view(trial->scenario->models[0].model)->layer_count;
}

static void run(struct trial *trial, const uint32_t *cuts)
{
    struct error error = {0};
    if (trial_open(trial, &error) || trial_deploy(trial, &(struct placements){.cuts = cuts}, &error) ||
        trial_drive(trial, &error))
        fail_msg("%s", error.text);
}

static const struct trial_task *task_of(const struct trial *trial, uint32_t stream, uint64_t number)
{
    for (size_t i = 0; i < trial->tasks.count; i++)
        if (trial->tasks.items[i].record.stream == stream && trial->tasks.items[i].record.task == number)
            return &trial->tasks.items[i];
    fail_msg("there is no task %u of stream %u", (unsigned)number, stream);
    return NULL;
}

/* Exponential computing of 1 ms on the device and of the other layers at the station, which is busy half of the time. */
static void a_tandem_of_queues_has_the_sojourn_times_of_theory(void **state)
{
    (void)state;
    struct trial trial =
        make("seed = 5; nodes = ( { name = \"station\"; role = \"station\"; variation = 1; }, { name = \"pi\"; "
             "variation = 1; } );\n"
             "links = ( { from = \"pi\"; } ); scheduler = { plugin = \"fifo\"; }; run = { time_limit = \"100h\"; };\n"
             "streams = ( { device = \"pi\"; model = \"model.onnx\"; tasks = 200000; result = \"stay\";\n"
             "  arrivals = { plugin = \"poisson\"; interval = \"8ms\"; }; } );\n");
    uint32_t cut = 1;
    assert_int_equal(layers_of(&trial), 5);
    run(&trial, &cut);
    double first = 0, second = 0, count = (double)trial.tasks.count;
    for (size_t i = 0; i < trial.tasks.count; i++) {
        const struct task_record *record = &trial.tasks.items[i].record;
        first += (double)record->phase_ns[PHASE_LOCAL] / MS / count;
        second += (double)(record->phase_ns[PHASE_QUEUE] + record->phase_ns[PHASE_REMOTE]) / MS / count;
    }
    assert_int_equal(trial.tasks.count, 200000);
    assert_true(fabs(first / (1 / (1 - 0.125)) - 1) < 0.03);
    assert_true(fabs(second / (4 / (1 - 0.5)) - 1) < 0.03);
    trial_end(&trial);
}

static const char three_jobs[] =
    "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"d\"; count = 3; } );\n"
    "links = ( { from = \"d\"; } );\n"
    "streams = ( { device = \"d\"; model = \"model.onnx\"; tasks = 1; arrivals = { plugin = \"periodic\"; period = "
    "\"1s\"; }; } );\n";

static const char varied[] =
    "seed = 3; nodes = ( { name = \"station\"; role = \"station\"; variation = 0.3; }, { name = \"d\"; count = 5; "
    "variation = 0.2; } );\n"
    "links = ( { from = \"d\"; rate = \"8Mbit\"; delay = \"2ms\"; jitter = \"1ms\"; loss = \"2%\"; medium = \"air\"; } "
    ");\n"
    "streams = ( { device = \"d\"; model = \"model.onnx\"; tasks = 200; arrivals = { plugin = \"poisson\"; interval = "
    "\"40ms\"; }; } );\n"
    "scheduler = { plugin = \"sjf\"; };\n"
    "events = ( { at = \"1s\"; link = \"d2\"; rate = \"1Mbit\"; }, { at = \"2s\"; node = \"d3\"; cpu = 0.3; },\n"
    "  { at = \"3s\"; node = \"d4\"; state = \"leave\"; }, { at = \"4s\"; node = \"d4\"; state = \"return\"; },\n"
    "  { at = \"5s\"; node = \"d5\"; state = \"leave\"; } );\n";

/*
 * Two jobs of all layers come at once, one of the last layer a millisecond before the first of them ends. `second` and
 * `third` are how long the other two wait, in milliseconds.
 */
static void check_waiting(const char *scheduler, uint32_t cut, double second_ms, double third_ms)
{
    char *text = text_format("%sscheduler = { plugin = \"%s\"; };\n", three_jobs, scheduler);
    struct trial trial = make(text);
    run(&trial, (const uint32_t[]){0, 0, cut});
    assert_true((double)task_of(&trial, 0, 0)->record.phase_ns[PHASE_QUEUE] == 0);
    assert_true((double)task_of(&trial, 1, 0)->record.phase_ns[PHASE_QUEUE] == second_ms * MS);
    assert_true((double)task_of(&trial, 2, 0)->record.phase_ns[PHASE_QUEUE] == third_ms * MS);
    trial_end(&trial);
    free(text);
}

static void schedulers_make_jobs_wait_as_by_hand(void **state)
{
    (void)state;
    struct trial trial = make(varied);
    uint32_t layers = layers_of(&trial);
    trial_end(&trial);
    check_waiting("fifo", layers - 1, layers, layers + 1);
    check_waiting("sjf", layers - 1, layers + 1, 1);
}

/* The stem and the beginnings of both branches on the device; the relay has the pool branch; the rest at the station. */
static const uint32_t set_order[] = {0, 1, 2, 4, 6, 7, 3, 5, 8, 9, 10, 11, 12};

static void a_set_of_layers_takes_its_tensors_over_the_way_as_by_hand(void **state)
{
    (void)state;
    struct trial trial;
    struct error error = {0};
    const uint32_t cuts[] = {4, 6, 0}, *const orders[] = {set_order, NULL};
    char *text = text_format(
        "%snodes = ( { name = \"station\"; role = \"station\"; }, { name = \"cam\"; }, { name = \"hub\"; } );\n"
        "links = ( { from = \"cam\"; to = \"hub\"; rate = \"8Mbit\"; }, { from = \"hub\"; rate = \"8Mbit\"; } );\n"
        "streams = ( { device = \"cam\"; model = \"model.onnx\"; tasks = 2; arrivals = { plugin = \"periodic\"; period "
        "= \"1s\"; }; result = \"stay\"; },\n"
        "  { device = \"hub\"; model = \"model.onnx\"; tasks = 1; arrivals = { plugin = \"periodic\"; period = \"1s\"; "
        "offset = \"500ms\"; }; result = \"stay\"; } );\n"
        "scheduler = { plugin = \"fifo\"; };\n",
        head);
    trial_make(&trial, "tiny-inception", text);
    trial.kind = world_find("sim", &error);
    if (trial_open(&trial, &error) ||
        trial_deploy(&trial, &(struct placements){.cuts = cuts, .orders = orders}, &error) ||
        trial_drive(&trial, &error))
        fail_msg("%s", error.text);
    /* Up from the cam: the pool's 16 KiB and 1 KiB of each narrowed branch; from the hub: 1 KiB of each branch. */
    const int64_t up_bytes = 18 << 10, on_bytes = 3 << 10;
    for (uint64_t number = 0; number < 2; number++) {
        const struct task_record *record = &task_of(&trial, 0, number)->record;
        assert_int_equal(record->cut, 4);
        assert_int_equal(record->up_bytes, up_bytes);
        assert_int_equal(record->phase_ns[PHASE_LOCAL], 4 * (int64_t)MS);
        assert_int_equal(record->phase_ns[PHASE_TRANSMIT], (up_bytes + on_bytes) * 1000);
        assert_int_equal(record->phase_ns[PHASE_REMOTE], 9 * (int64_t)MS);
        assert_int_equal(record->phase_ns[PHASE_QUEUE], 0);
    }
    assert_int_equal(task_of(&trial, 1, 0)->record.up_bytes, 12 << 10); /* the other stream has its model's own order */
    trial_end(&trial);
    free(text);
}

static void assert_same(const struct trial_task *a, const struct trial_task *b)
{
    const struct task_record *x = &a->record, *y = &b->record;
    assert_int_equal(x->stream, y->stream);
    assert_int_equal(x->task, y->task);
    assert_int_equal(x->status, y->status);
    assert_int_equal(x->started_ns, y->started_ns);
    assert_int_equal(x->ended_ns, y->ended_ns);
    assert_memory_equal(x->phase_ns, y->phase_ns, sizeof(x->phase_ns));
    assert_int_equal(x->device_wait_ns, y->device_wait_ns);
    assert_int_equal(x->slices, y->slices);
    assert_string_equal(a->cause, b->cause);
}

static void equal_seeds_give_equal_rows(void **state)
{
    (void)state;
    struct trial first = make(varied), second = make(varied);
    run(&first, (const uint32_t[]){1, 2, 3, 1, 2});
    run(&second, (const uint32_t[]){1, 2, 3, 1, 2});
    assert_int_equal(first.tasks.count, second.tasks.count);
    for (size_t i = 0; i < first.tasks.count; i++)
        assert_same(&first.tasks.items[i], &second.tasks.items[i]);
    trial_end(&first);
    trial_end(&second);
}

static void what_the_scenario_changes_is_seen_in_the_tasks(void **state)
{
    (void)state;
    struct trial trial = make(varied);
    run(&trial, (const uint32_t[]){1, 2, 3, 1, 2});
    double slow = 0, fast = 0;
    uint32_t slow_count = 0, fast_count = 0, of_4 = 0;
    for (size_t i = 0; i < trial.tasks.count; i++) {
        const struct trial_task *task = &trial.tasks.items[i];
        const struct task_record *record = &task->record;
        bool before = record->started_ns < 2000 * MS;
        if (record->stream == 2) {
            *(before ? &fast : &slow) += (double)record->device_compute_ns;
            (*(before ? &fast_count : &slow_count))++;
        }
        if (record->stream == 3) {
            of_4++;
            assert_false(record->started_ns > 3000 * MS && record->started_ns < 4000 * MS);
        }
        assert_int_equal(record->by_event, record->status == TASK_FAILED);
        if (record->status == TASK_FAILED) {
            assert_non_null(strstr(task->cause, "left by the scenario at"));
            assert_true(record->stream == 3 || record->stream == 4);
        }
        if (record->stream == 4)
            assert_true(record->ended_ns <= 5000 * MS);
    }
    assert_true(fabs(slow / slow_count / (fast / fast_count) * 0.3 - 1) < 0.1);
    assert_int_equal(of_4, 200);
    trial_end(&trial);
}

static void the_time_limit_is_virtual_and_tells_of_what_was_under_way(void **state)
{
    (void)state;
    struct error error = {0};
    char *text = text_format("%sscheduler = { plugin = \"fifo\"; }; run = { time_limit = \"2500us\"; };\n", three_jobs);
    struct trial trial = make(text);
    assert_int_equal(trial_run(&trial, 0, &error), -1);
    assert_non_null(strstr(error.text, "time limit"));
    assert_int_equal(trial_count(&trial, TASK_UNFINISHED), 3);
    for (size_t i = 0; i < trial.tasks.count; i++)
        assert_false(trial.tasks.items[i].record.by_event);
    trial_end(&trial);
    free(text);
}

static void layer_times_are_estimated_or_read(void **state)
{
    (void)state;
    struct error error = {0};
    struct trial trial = make("nodes = ( { name = \"station\"; role = \"station\"; gflops = 0.5; }, { name = \"pi\"; "
                              "gflops = 1000.0; memory_bandwidth = \"1MB/s\"; } );\n"
                              "links = ( { from = \"pi\"; } ); scheduler = { plugin = \"fifo\"; };\n"
                              "streams = ( { device = \"pi\"; model = \"model.onnx\"; tasks = 1; arrivals = { plugin = "
                              "\"closed-loop\"; }; } );\n");
    const struct napm_model *model = model_view(trial.scenario->models[0].model);
    struct layer_time *times = NEW_ARRAY(struct layer_time, model->layer_count);
    assert_int_equal(trial_open(&trial, &error), 0);
    assert_int_equal(trial.kind->profile(trial.world, 0, 0, times, &error), 0);
    for (uint32_t i = 0; i < model->layer_count; i++) {
        assert_int_equal(times[i].median_ns, llround(model->layers[i]->flops * 2));
        assert_int_equal(times[i].mean_ns, times[i].median_ns);
    }
    assert_int_equal(trial.kind->profile(trial.world, 1, 0, times, &error), 0);
    for (uint32_t i = 0; i < model->layer_count; i++)
        assert_true(times[i].median_ns >= (int64_t)model->layers[i]->parameter_bytes * 1000);
    char *source = trial.kind->profile_source(trial.world, 1, 0);
    assert_string_equal(source, "estimate from FLOPs and bytes: 1000 GFLOP/s, 0.001 GB/s");
    free(source);
    free(times);
    trial_end(&trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tandem_of_queues_has_the_sojourn_times_of_theory),
        cmocka_unit_test(a_set_of_layers_takes_its_tensors_over_the_way_as_by_hand),
        cmocka_unit_test(schedulers_make_jobs_wait_as_by_hand),
        cmocka_unit_test(equal_seeds_give_equal_rows),
        cmocka_unit_test(what_the_scenario_changes_is_seen_in_the_tasks),
        cmocka_unit_test(the_time_limit_is_virtual_and_tells_of_what_was_under_way),
        cmocka_unit_test(layer_times_are_estimated_or_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
