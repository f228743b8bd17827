/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the compute engine, pacing, the monitor and artificial load. Bounds on times are wide on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/compute/compute.h"
#include "core/compute/monitor.h"
#include "core/compute/pacer.h"
#include "core/compute/stress.h"
#include "core/model/tensor_file.h"
#include "models/zoo.h"
#include "tests/builtin_plugins.h"

/* ---- pacing */

static void burn(int64_t cpu_ns)
{
    int64_t until_ns = clock_thread_cpu_ns() + cpu_ns;
    while (clock_thread_cpu_ns() < until_ns)
        ;
}

/* Runs so many layers of so much processor time each; stores their paced times' sum and returns the wall time. */
static int64_t run_layers(double share, int layers, int64_t cpu_ns, int64_t *paced_ns)
{
    struct pacer pacer = {.share = share};
    int64_t began_ns = clock_now_ns();
    *paced_ns = 0;
    pacer_begin(&pacer, began_ns);
    for (int i = 0; i < layers; i++) {
        int64_t wall_ns = clock_now_ns(), used_ns = clock_thread_cpu_ns();
        burn(cpu_ns);
        used_ns = clock_thread_cpu_ns() - used_ns;
        *paced_ns += pacer_layer(&pacer, clock_now_ns() - wall_ns, used_ns, i + 1 == layers);
    }
    return clock_now_ns() - began_ns;
}

static void test_a_quarter_of_a_processor_takes_four_times_as_long(void **state)
{
    int64_t paced_ns, wall_ns = run_layers(0.25, 20, 2 * NS_PER_MS, &paced_ns);
    (void)state;
    assert_true(paced_ns >= 160 * NS_PER_MS);
    assert_true(wall_ns >= 159 * NS_PER_MS);
    assert_true(wall_ns < 400 * NS_PER_MS);
}

static void test_many_short_layers_do_not_add_up_errors(void **state)
{
    int64_t paced_ns, wall_ns = run_layers(0.5, 1000, 20 * NS_PER_US, &paced_ns);
    (void)state;
    assert_true(paced_ns >= 40 * NS_PER_MS);
    /* Each sleep by itself overshoots by a quarter of a layer and more. */
    assert_true(wall_ns >= paced_ns - NS_PER_MS);
    assert_true(wall_ns < paced_ns + paced_ns / 4 + 20 * NS_PER_MS);
}

static void test_work_that_sleeps_is_not_lengthened(void **state)
{
    struct pacer pacer = {.share = 0.1};
    int64_t began_ns = clock_now_ns();
    (void)state;
    pacer_begin(&pacer, began_ns);
    for (int i = 0; i < 10; i++) {
        int64_t wall_ns = clock_now_ns(), used_ns = clock_thread_cpu_ns();
        clock_sleep_until_ns(wall_ns + 10 * NS_PER_MS);
        used_ns = clock_thread_cpu_ns() - used_ns;
        pacer_layer(&pacer, clock_now_ns() - wall_ns, used_ns, i == 9);
    }
    assert_true(clock_now_ns() - began_ns < 300 * NS_PER_MS);
}

/* ---- computing */

struct bench {
    char path[64];
    struct catalogue *catalogue;
    struct model *model;
    uint32_t layers;
};

static int set_up(void **state)
{
    static struct bench bench;
    struct error error;
    strcpy(bench.path, "/tmp/napm-compute-XXXXXX");
    int fd = mkstemp(bench.path);
    if (fd < 0 || close(fd) || zoo_write("tiny-cnn", 1, bench.path, &error))
        return -1;
    bench.catalogue = builtin_catalogue();
    bench.model = model_open(bench.path, &error);
    if (!bench.catalogue || !bench.model)
        return -1;
    bench.layers = model_view(bench.model)->layer_count;
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    model_close(bench->model);
    catalogue_close(bench->catalogue);
    return unlink(bench->path);
}

static struct compute *open_backend(struct bench *bench, const char *name, double share, const atomic_bool *stop)
{
    struct error error = {0};
    const struct compute_settings settings = {.backend = {.name = name, .where = "test:1"},
                                              .threads = 1,
                                              .cpu_share = share,
                                              .host = {.label = "backend:test", .seed = 1},
                                              .stop = stop};
    struct compute *compute = compute_open(bench->catalogue, &settings, &error);
    if (!compute)
        fail_msg("%s", error.text);
    return compute;
}

static struct compute *open_reference(struct bench *bench, double share, const atomic_bool *stop)
{
    return open_backend(bench, "reference", share, stop);
}

static void read_input(struct bench *bench, struct tensor *tensor)
{
    struct error error;
    const struct napm_model *view = model_view(bench->model);
    assert_int_equal(tensor_read("random", view->tensors[view->inputs[0]], 1, tensor, &error), 0);
}

static void run_segment(struct compute_model *prepared, uint32_t first, uint32_t last, const void *const *inputs,
                        const void **outputs, struct compute_execution **used)
{
    struct error error = {0};
    struct compute_segment *segment = compute_segment(prepared, NULL, first, last, &error);
    if (!segment)
        fail_msg("%s", error.text);
    *used = compute_execution_take(segment, &error);
    assert_non_null(*used);
    assert_int_equal(compute_start(*used, inputs, &error), 0);
    assert_int_equal(compute_run(*used, last - first, NULL, &error), 0);
    assert_int_equal(compute_outputs(*used, outputs, &error), 0);
}

static void test_split_runs_equal_the_whole_run_bit_for_bit(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    struct tensor input;
    struct compute_execution *whole, *front, *back;
    const void *want[8], *crossing[64], *got[8];
    read_input(bench, &input);
    struct compute *compute = open_reference(bench, 1, NULL);
    struct compute_model *prepared = compute_prepare(compute, bench->model, &error);
    assert_non_null(prepared);
    assert_ptr_equal(compute_prepare(compute, bench->model, &error), prepared);
    const void *const inputs[] = {input.data};
    run_segment(prepared, 0, bench->layers, inputs, want, &whole);
    const struct napm_model *view = model_view(bench->model);
    for (uint32_t cut = 0; cut <= bench->layers; cut++) {
        run_segment(prepared, 0, cut, inputs, crossing, &front);
        run_segment(prepared, cut, bench->layers, crossing, got, &back);
        for (uint32_t i = 0; i < view->output_count; i++)
            assert_memory_equal(got[i], want[i], view->tensors[view->outputs[i]]->bytes);
        if (front != whole)
            compute_execution_put(front);
        compute_execution_put(back);
    }
    compute_execution_put(whole);
    compute_close(compute);
    tensor_free(&input);
}

static void test_segments_are_shared_and_executions_come_back(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    struct compute *compute = open_reference(bench, 1, NULL);
    struct compute_model *prepared = compute_prepare(compute, bench->model, &error);
    struct compute_segment *one = compute_segment(prepared, NULL, 1, bench->layers, &error);
    assert_ptr_equal(compute_segment(prepared, NULL, 1, bench->layers, &error), one);
    assert_ptr_not_equal(compute_segment(prepared, NULL, 2, bench->layers, &error), one);
    struct compute_execution *first = compute_execution_take(one, &error);
    struct compute_execution *second = compute_execution_take(one, &error);
    assert_ptr_not_equal(first, second);
    compute_execution_put(first);
    assert_ptr_equal(compute_execution_take(one, &error), first);
    uint64_t weights, activations;
    assert_int_equal(compute_segment_memory(one, &weights, &activations, &error), 0);
    assert_true(weights > 0);
    compute_close(compute);
}

static void test_a_segment_goes_when_all_have_given_it_up(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    struct compute *compute = open_reference(bench, 1, NULL);
    struct compute_model *prepared = compute_prepare(compute, bench->model, &error);
    struct compute_segment *one = compute_segment(prepared, NULL, 1, bench->layers, &error);
    struct compute_segment *other = compute_segment(prepared, NULL, 2, bench->layers, &error);
    compute_execution_put(compute_execution_take(one, &error));
    assert_ptr_equal(compute_segment(prepared, NULL, 1, bench->layers, &error), one);
    compute_segment_give_up(one);
    assert_ptr_equal(compute_segment(prepared, NULL, 1, bench->layers, &error), one); /* it was asked for twice */
    compute_segment_give_up(one);
    compute_segment_give_up(one); /* the sanitizers see that it is freed, and only once */
    assert_ptr_equal(compute_segment(prepared, NULL, 2, bench->layers, &error), other);
    assert_non_null(compute_segment(prepared, NULL, 1, bench->layers, &error));
    compute_close(compute);
}

static void test_inputs_at_any_address_will_do(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    struct tensor input;
    struct compute_execution *one, *other;
    const void *want[8], *got[8];
    read_input(bench, &input);
    uint8_t *shifted = memory_try_aligned(input.count * sizeof(float) + 4);
    memcpy(shifted + 4, input.data, input.count * sizeof(float));
    struct compute *compute = open_reference(bench, 1, NULL);
    struct compute_model *prepared = compute_prepare(compute, bench->model, &error);
    const void *const straight[] = {input.data}, *const crooked[] = {shifted + 4};
    run_segment(prepared, 0, bench->layers, straight, want, &one);
    run_segment(prepared, 0, bench->layers, crooked, got, &other);
    const struct napm_model *view = model_view(bench->model);
    assert_memory_equal(got[0], want[0], view->tensors[view->outputs[0]]->bytes);
    compute_close(compute);
    free(shifted);
    tensor_free(&input);
}

/* Batches of different inputs, a few layers at a time, on a backend that has batches and on one that has not. */
static void test_a_batch_gives_what_each_task_gives_alone_bit_for_bit(void **state)
{
    static const char *const backends[] = {"onednn", "reference"};
    enum { BATCH = 5 };
    struct bench *bench = *state;
    const struct napm_model *view = model_view(bench->model);
    for (size_t b = 0; b < sizeof(backends) / sizeof(backends[0]); b++) {
        struct error error = {0};
        struct tensor inputs[BATCH];
        struct compute_execution *alone[BATCH], *batch[BATCH];
        const void *want[BATCH][8], *got[8];
        int64_t layer_ns[64];
        if (!catalogue_find(bench->catalogue, NAPM_KIND_BACKEND, backends[b], NULL))
            continue; /* a build without oneDNN */
        struct compute *compute = open_backend(bench, backends[b], 1, NULL);
        struct compute_model *prepared = compute_prepare(compute, bench->model, &error);
        struct compute_segment *segment = compute_segment(prepared, NULL, 0, bench->layers, &error);
        for (uint32_t i = 0; i < BATCH; i++) {
            assert_int_equal(tensor_read("random", view->tensors[view->inputs[0]], i + 1, &inputs[i], &error), 0);
            const void *const input[] = {inputs[i].data};
            run_segment(prepared, 0, bench->layers, input, want[i], &alone[i]);
            batch[i] = compute_execution_take(segment, &error);
            assert_int_equal(compute_start(batch[i], input, &error), 0);
        }
        assert_int_equal(compute_run_batch(batch, BATCH, 2, layer_ns, &error), 0);
        assert_int_equal(compute_run_batch(batch, BATCH, 99, layer_ns + 2, &error), 0);
        for (uint32_t i = 0; i < bench->layers; i++)
            assert_true(layer_ns[i] > 0);
        uint64_t bytes = view->tensors[view->outputs[0]]->bytes;
        for (uint32_t i = 0; i < BATCH; i++) {
            assert_int_equal(compute_outputs(batch[i], got, &error), 0);
            assert_memory_equal(got[0], want[i][0], bytes);
            assert_true(i == 0 || memcmp(want[i][0], want[i - 1][0], (size_t)bytes) != 0);
        }
        compute_close(compute);
        for (uint32_t i = 0; i < BATCH; i++)
            tensor_free(&inputs[i]);
    }
}

static uint32_t passes_seen;

static void see_pass(void *context, uint32_t done, uint32_t of)
{
    (void)context;
    assert_int_equal(done, ++passes_seen);
    assert_int_equal(of, 5);
}

static void test_a_profile_at_an_eighth_of_the_speed_takes_longer(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    struct layer_time times[2][64];
    int64_t sums[2] = {0};
    for (int slow = 0; slow < 2; slow++) {
        struct compute *compute = open_reference(bench, slow ? 0.125 : 1, NULL);
        struct compute_model *prepared = compute_prepare(compute, bench->model, &error);
        passes_seen = 0;
        assert_int_equal(compute_profile(prepared, 2, 3, times[slow], see_pass, NULL, &error), 0);
        assert_int_equal(passes_seen, 5);
        for (uint32_t i = 0; i < bench->layers; i++) {
            assert_true(times[slow][i].median_ns > 0 && times[slow][i].mean_ns > 0);
            sums[slow] += times[slow][i].median_ns;
        }
        compute_release(prepared);
        compute_close(compute);
    }
    assert_true(sums[1] > sums[0] * 3); /* 8 by rights */
}

static void test_a_stop_ends_a_run_between_layers(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    atomic_bool stop = false;
    struct compute *compute = open_reference(bench, 1, &stop);
    struct compute_model *prepared = compute_prepare(compute, bench->model, &error);
    struct layer_time times[64];
    assert_int_equal(compute_profile(prepared, 0, 1, times, NULL, NULL, &error), 0);
    atomic_store(&stop, true);
    assert_int_equal(compute_profile(prepared, 0, 1, times, NULL, NULL, &error), -1);
    assert_int_equal(error.kind, ERROR_CANCELLED);
    compute_close(compute);
}

static int32_t forget_outputs(void *self, void *execution, const void **outputs)
{
    (void)self;
    (void)execution;
    (void)outputs;
    return NAPM_OK;
}

static void test_a_backend_that_gives_no_outputs_misbehaves(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    struct tensor input;
    const void *outputs[8];
    read_input(bench, &input);
    struct compute *compute = open_reference(bench, 1, NULL);
    ((struct instance *)(uintptr_t)compute_instance(compute))->hook.backend.outputs = forget_outputs;
    struct compute_model *prepared = compute_prepare(compute, bench->model, &error);
    assert_non_null(prepared);
    struct compute_execution *execution =
        compute_execution_take(compute_segment(prepared, NULL, 0, bench->layers, &error), &error);
    const void *const inputs[] = {input.data};
    assert_int_equal(compute_start(execution, inputs, &error), 0);
    assert_int_equal(compute_run(execution, bench->layers, NULL, &error), 0);
    assert_int_equal(compute_outputs(execution, outputs, &error), -1);
    assert_int_equal(error.kind, ERROR_PLUGIN);
    assert_non_null(strstr(error.text, "outputs() gave no address of output 0"));
    compute_close(compute);
    tensor_free(&input);
}

static int32_t run_backwards(void *self, void *execution, uint32_t layer_count, int64_t *layer_ns)
{
    (void)self;
    (void)execution;
    for (uint32_t i = 0; layer_ns && i < layer_count; i++)
        layer_ns[i] = -5;
    return NAPM_OK;
}

static void test_a_backend_whose_layers_take_less_than_no_time_misbehaves(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    struct compute *compute = open_reference(bench, 1, NULL);
    ((struct instance *)(uintptr_t)compute_instance(compute))->hook.backend.run = run_backwards;
    struct compute_model *prepared = compute_prepare(compute, bench->model, &error);
    assert_non_null(prepared);
    struct layer_time *times = NEW_ARRAY(struct layer_time, bench->layers);
    assert_int_equal(compute_profile(prepared, 0, 1, times, NULL, NULL, &error), -1);
    assert_int_equal(error.kind, ERROR_PLUGIN);
    assert_non_null(strstr(error.text, "run() says that a layer took -5 ns"));
    free(times);
    compute_close(compute);
}

static void test_an_unknown_backend_is_the_users_mistake(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    const struct compute_settings settings = {
        .backend = {.name = "referense", .where = "a.cfg:3"}, .threads = 1, .cpu_share = 1, .host = {.label = "x"}};
    assert_null(compute_open(bench->catalogue, &settings, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_non_null(strstr(error.text, "a.cfg:3"));
    assert_non_null(strstr(error.text, "reference"));
}

/* ---- monitor, stress */

static void test_the_monitor_sees_work_and_memory(void **state)
{
    struct monitor monitor;
    struct monitor_sample sample;
    struct machine_facts facts;
    (void)state;
    monitor_open(&monitor);
    burn(100 * NS_PER_MS);
    monitor_sample(&monitor, &sample);
    assert_true(sample.cpu_share > 0.05 && sample.cpu_share < 8);
    assert_true(sample.resident_bytes > 100000);
    assert_true(sample.machine_available_bytes > 1000000);
    assert_true(sample.machine_load >= 0 && sample.machine_load <= 1);
    monitor_close(&monitor);
    machine_facts_read(&facts);
    assert_true(facts.processors >= 1 && facts.memory_bytes > 1000000);
    assert_true(facts.host[0] && facts.machine[0] && facts.system[0]);
    machine_facts_free(&facts);
}

static void test_stress_burns_its_share_and_holds_memory(void **state)
{
    struct monitor monitor;
    struct monitor_sample before, filled, during, after;
    int64_t now_ns = clock_now_ns();
    const struct stress_level levels[] = {{now_ns, 0.5, 64 << 20}, {now_ns + 3600 * NS_PER_S, 0, 0}};
    (void)state;
    monitor_open(&monitor);
    monitor_sample(&monitor, &before);
    struct stress *stress = stress_start(levels, 2);
    do { /* filling memory takes its time, and processor time of its own */
        clock_sleep_until_ns(clock_now_ns() + 20 * NS_PER_MS);
        monitor_sample(&monitor, &filled);
    } while (filled.resident_bytes < before.resident_bytes + (63 << 20) && clock_now_ns() < now_ns + 10 * NS_PER_S);
    clock_sleep_until_ns(clock_now_ns() + 500 * NS_PER_MS);
    monitor_sample(&monitor, &during);
    stress_stop(stress);
    monitor_sample(&monitor, &after);
    assert_true(during.cpu_share > 0.1 && during.cpu_share < 0.9); /* 0.5 by rights */
    assert_true(during.resident_bytes > before.resident_bytes + (60 << 20));
    assert_true(after.resident_bytes < during.resident_bytes - (60 << 20));
    monitor_close(&monitor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch_gives_what_each_task_gives_alone_bit_for_bit),
        cmocka_unit_test(test_a_quarter_of_a_processor_takes_four_times_as_long),
        cmocka_unit_test(test_many_short_layers_do_not_add_up_errors),
        cmocka_unit_test(test_work_that_sleeps_is_not_lengthened),
        cmocka_unit_test(test_split_runs_equal_the_whole_run_bit_for_bit),
        cmocka_unit_test(test_segments_are_shared_and_executions_come_back),
        cmocka_unit_test(test_a_segment_goes_when_all_have_given_it_up),
        cmocka_unit_test(test_inputs_at_any_address_will_do),
        cmocka_unit_test(test_a_profile_at_an_eighth_of_the_speed_takes_longer),
        cmocka_unit_test(test_a_stop_ends_a_run_between_layers),
        cmocka_unit_test(test_a_backend_that_gives_no_outputs_misbehaves),
        cmocka_unit_test(test_a_backend_whose_layers_take_less_than_no_time_misbehaves),
        cmocka_unit_test(test_an_unknown_backend_is_the_users_mistake),
        cmocka_unit_test(test_the_monitor_sees_work_and_memory),
        cmocka_unit_test(test_stress_burns_its_share_and_holds_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
