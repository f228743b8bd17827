/* SPDX-License-Identifier: Apache-2.0 */
/* The replay backend: files of times are read or refused with file and line; time is spent exactly, on a clock of our own. */
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
#include "tests/backend/backend_trial.h"
#include "tests/backend/model_maker.h"

static struct catalogue *catalogue;
static char *times_path;

/* A clock that only moves by sleeping, and always wakes `lateness_ns` too late. */
static struct {
    int64_t now_ns, lateness_ns;
    uint32_t sleeps, sleeps_left; /* after sleeps_left the run is cancelled */
} world;

static int64_t world_now_ns(void *context)
{
    (void)context;
    return world.now_ns;
}

static int32_t world_sleep_until_ns(void *context, int64_t until_ns)
{
    (void)context;
    world.sleeps++;
    if (world.sleeps_left-- == 0)
        return NAPM_ERR_CANCELLED;
    if (until_ns > world.now_ns)
        world.now_ns = until_ns;
    world.now_ns += world.lateness_ns;
    return NAPM_OK;
}

static struct instance *open_replay(const struct option_setting *settings, size_t count, struct error *error)
{
    const struct plugin_choice choice = {
        .name = "replay", .where = "test", .settings = settings, .setting_count = count};
    const struct instance_host host = {
        .label = "test", .now_ns = world_now_ns, .sleep_until_ns = world_sleep_until_ns, .context = &world};
    memset(&world, 0, sizeof(world));
    world.now_ns = 1000000;
    world.sleeps_left = UINT32_MAX;
    return instance_open(catalogue, NAPM_KIND_BACKEND, &choice, &host, error);
}

static struct instance *open_with_times(const char *text, struct error *error)
{
    const struct option_setting settings[] = {{"times", times_path, "test"}};
    assert_int_equal(file_write_atomically(times_path, text, strlen(text), error), 0);
    return open_replay(settings, 1, error);
}

/* Three layers: layer00, layer01, layer02. */
static struct maker *three_layers(void)
{
    const int64_t dims[] = {100};
    struct maker *maker = maker_new(13);
    uint32_t tensor = maker_input(maker, NAPM_F32, 1, dims);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t next = maker_result(maker, NAPM_F32, 1, dims);
        maker_operator(maker, "Anything", "", 1, &tensor, 1, &next, 0, NULL);
        tensor = next;
    }
    maker_output(maker, tensor);
    return maker;
}

struct run {
    struct instance *instance;
    struct maker *maker;
    void *prepared, *segment, *execution;
};

static void must(const struct run *run, int32_t status)
{
    struct error error = {0};
    if (status < 0)
        instance_error(run->instance, status, "test", &error);
    if (status < 0)
        fail_msg("%s", error.text);
}

/* Takes the instance over. */
static struct run begin(struct instance *instance, struct maker *maker)
{
    static const uint32_t layers[] = {0, 1, 2};
    const struct napm_model *model = maker_model(maker);
    const struct napm_prepare how = {.size = sizeof(how), .threads = 1};
    const struct napm_segment what = {.size = sizeof(what),
                                      .layer_count = 3,
                                      .layers = layers,
                                      .input_count = 1,
                                      .output_count = 1,
                                      .inputs = model->inputs,
                                      .outputs = model->outputs};
    struct run run = {.instance = instance, .maker = maker};
    const struct napm_backend *hook = &instance->hook.backend;
    must(&run, hook->supports(instance->self, model, 0));
    must(&run, hook->prepare(instance->self, model, &how, &run.prepared));
    must(&run, hook->create_segment(instance->self, run.prepared, &what, &run.segment));
    must(&run, hook->create_execution(instance->self, run.segment, &run.execution));
    return run;
}

static void end(struct run *run)
{
    const struct napm_backend *hook = &run->instance->hook.backend;
    hook->release_execution(run->instance->self, run->execution);
    hook->release_segment(run->instance->self, run->segment);
    hook->release_model(run->instance->self, run->prepared);
    instance_close(run->instance);
    maker_free(run->maker);
}

static void spend(const struct run *run, uint32_t layers, int64_t *layer_ns)
{
    must(run, run->instance->hook.backend.run(run->instance->self, run->execution, layers, layer_ns));
}

static void start(const struct run *run)
{
    const void *inputs[] = {NULL}; /* never looked at */
    must(run, run->instance->hook.backend.start(run->instance->self, run->execution, inputs));
}

static struct run begin_with_times(const char *text)
{
    struct error error = {0};
    struct instance *instance = open_with_times(text, &error);
    if (!instance)
        fail_msg("%s", error.text);
    return begin(instance, three_layers());
}

static void each_layer_takes_its_recorded_time(const char *text)
{
    struct run run = begin_with_times(text);
    int64_t layer_ns[3];
    start(&run);
    spend(&run, 3, layer_ns);
    assert_int_equal(layer_ns[0], 1000);
    assert_int_equal(layer_ns[1], 2000);
    assert_int_equal(layer_ns[2], 3000);
    assert_int_equal(world.now_ns, 1000000 + 6000);
    end(&run);
}

static void times_are_read_from_csv(void **state)
{
    (void)state;
    each_layer_takes_its_recorded_time("layer,name,median_ns\n0,layer00,1000\n1,layer01,2000\n2,layer02,3000\n");
    each_layer_takes_its_recorded_time(
        "\xef\xbb\xbfname,note,time_us\r\n# measured\r\n\r\nlayer02,\"a, \"\"b\"\"\",3\r\n"
        "\"layer00\",,1e0\r\nlayer01,x,2.0");
    each_layer_takes_its_recorded_time("time_s,layer\n3e-6,2\n1e-6,0\n2e-6,1\n");
}

static void what_napm_profile_prints_is_read(void **state)
{
    (void)state;
    each_layer_takes_its_recorded_time(
        "layer,name,time_ns,share,flops,flops_per_s,parameter_bytes,cut_bytes\n0,layer00,1000,0.16,1,2,3,4\n"
        "1,layer01,2000,0.33,,,,\n2,layer02,3000,0.5,,,,\n");
    each_layer_takes_its_recorded_time(
        "{\"model\": \"m\", \"hash\": \"h\", \"layers\": [{\"layer\": 0, \"name\": \"layer00\", \"time_ns\": 1000},"
        "{\"layer\": 1.0, \"time_ns\": 2000, \"share\": 0.3}, {\"name\": \"layer02\", \"time_us\": 3}]}");
    each_layer_takes_its_recorded_time(" [{\"layer\": 0, \"time_us\": 1}, {\"layer\": 1, \"time_ms\": 0.002},"
                                       "{\"layer\": 2, \"median_ns\": 3000}]");
}

static void rows_of_other_models_are_passed_over(void **state)
{
    (void)state;
    each_layer_takes_its_recorded_time("model,layer,time_ns\nother,0,5\nmade,0,1000\nother,77,5\nmade,1,2000\n"
                                       "00,2,3000\n");
}

static void scale_multiplies_every_time(void **state)
{
    (void)state;
    struct error error = {0};
    const char *text = "layer,time_ns\n0,1000\n1,2000\n2,3000\n";
    const struct option_setting settings[] = {{"times", times_path, "test"}, {"scale", "2.5", "test"}};
    assert_int_equal(file_write_atomically(times_path, text, strlen(text), &error), 0);
    struct run run = begin(open_replay(settings, 2, &error), three_layers());
    start(&run);
    spend(&run, 3, NULL);
    assert_int_equal(world.now_ns, 1000000 + 15000);
    end(&run);
}

static void without_a_file_times_follow_from_flops_and_weights(void **state)
{
    (void)state;
    struct error error = {0};
    const struct option_setting settings[] = {{"gflops", "2", "test"}, {"memory_rate", "1GB/s", "test"}};
    struct maker *maker = three_layers();
    int64_t layer_ns[3];
    maker_layer_cost(maker, 0, 2e6, 100); /* 1 ms of computing */
    maker_layer_cost(maker, 1, 2e6, 5000000); /* 5 ms of reading */
    struct run run = begin(open_replay(settings, 2, &error), maker);
    start(&run);
    spend(&run, 3, layer_ns);
    assert_int_equal(layer_ns[0], 1000000);
    assert_int_equal(layer_ns[1], 5000000);
    assert_int_equal(layer_ns[2], 0);
    end(&run);
}

static void a_memory_rate_of_0_does_not_limit(void **state)
{
    (void)state;
    struct error error = {0};
    const struct option_setting settings[] = {{"gflops", "2", "test"}, {"memory_rate", "0", "test"}};
    struct maker *maker = three_layers();
    maker_layer_cost(maker, 1, 2e6, 5000000);
    struct run run = begin(open_replay(settings, 2, &error), maker);
    start(&run);
    spend(&run, 3, NULL);
    assert_int_equal(world.now_ns, 1000000 + 1000000);
    end(&run);
}

static void late_wake_ups_do_not_add_up(void **state)
{
    (void)state;
    struct run run = begin_with_times("layer,time_ns\n0,1000\n1,20\n2,3000\n");
    world.lateness_ns = 50;
    int64_t layer_ns[3];
    start(&run);
    spend(&run, 3, layer_ns);
    assert_int_equal(world.now_ns, 1000000 + 4020 + 50);
    assert_int_equal(layer_ns[0] + layer_ns[1] + layer_ns[2], 4070);
    int64_t began_ns = world.now_ns;
    start(&run);
    spend(&run, 1, NULL);
    world.now_ns += 7777; /* another task has its turn */
    spend(&run, 1, NULL);
    spend(&run, 1, NULL);
    assert_int_equal(world.now_ns, began_ns + 4020 + 50 + 7777);
    end(&run);
}

static void a_cancelled_sleep_ends_the_run(void **state)
{
    (void)state;
    struct run run = begin_with_times("layer,time_ns\n0,1000\n1,2000\n2,3000\n");
    world.sleeps_left = 1;
    start(&run);
    assert_int_equal(run.instance->hook.backend.run(run.instance->self, run.execution, 3, NULL), NAPM_ERR_CANCELLED);
    assert_int_equal(world.sleeps, 2);
    end(&run);
}

static void outputs_are_zeros_and_come_last(void **state)
{
    (void)state;
    struct run run = begin_with_times("layer,time_ns\n0,0\n1,0\n2,0\n");
    const struct napm_backend *hook = &run.instance->hook.backend;
    const void *outputs[1];
    start(&run);
    spend(&run, 2, NULL);
    assert_true(hook->outputs(run.instance->self, run.execution, outputs) < 0);
    assert_true(hook->run(run.instance->self, run.execution, 2, NULL) < 0);
    spend(&run, 1, NULL);
    must(&run, hook->outputs(run.instance->self, run.execution, outputs));
    assert_int_equal((uintptr_t)outputs[0] % 64, 0);
    for (size_t i = 0; i < 100; i++)
        assert_true(((const float *)outputs[0])[i] == 0.0f);
    end(&run);
}

/* ---- refusals */

struct refusal {
    const char *text, *says;
};

static void a_bad_file_is_refused_with_file_and_line(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"", "holds no times"},
        {"# nothing\n\n", "holds no times"},
        {"0,layer00,5\n", ":1: the first line must name the columns"},
        {"layer,name\n0,x\n", ":1: the first line must name a column of times"},
        {"layer,time_ns,time_us\n", ":1: column 'time_us' is there twice, or beside another time"},
        {"layer,layer,time_ns\n", ":1: column 'layer' is there twice"},
        {"layer,time_ns\n0,5,6\n", ":2: 3 fields where the first line names 2 columns"},
        {"layer,time_ns\n\n0,fast\n", ":3: time_ns 'fast' is not a number"},
        {"layer,time_ns\n0,5ms\n", ":2: time_ns '5ms' is not a number"},
        {"layer,time_ns\n0,-5\n", ":2: time_ns -5 is not a time between"},
        {"layer,time_ns\n0,nan\n", ":2: time_ns nan is not a time between"},
        {"layer,time_s\n0,1e7\n", ":2: time_s 1e+07 is not a time between"},
        {"layer,time_ns\n-1,5\n", ":2: layer '-1' is not a number from 0 on"},
        {"layer,time_ns\n99999999999999999999,5\n", ":2: layer '99999999999999999999' is not a number"},
        {"name,time_ns\n\"x,5\n", ":2: a quoted field does not end"},
        {"[", ":1: "},
        {"{\"times\": []}", "neither a list of layers nor an object"},
        {"[]", "holds no times"},
        {"[3]", "element 0: is not an object"},
        {"[{\"time_ns\": 3}]", "element 0: has neither layer nor name"},
        {"[{\"layer\": 0}]", "element 0: gives no time"},
        {"[{\"layer\": 0, \"time_ns\": 1, \"time_us\": 1}]", "element 0: gives its time twice"},
        {"[{\"layer\": 0.5, \"time_ns\": 1}]", "element 0: layer is not a number from 0 on"},
        {"[{\"layer\": 0, \"time_ns\": \"1\"}]", "element 0: time_ns is not a number"},
        {"[{\"name\": 1, \"time_ns\": 1}]", "element 0: name is not a text"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        struct error error = {0};
        assert_null(open_with_times(refusals[i].text, &error));
        assert_non_null(strstr(error.text, times_path));
        if (!strstr(error.text, refusals[i].says))
            fail_msg("'%s' does not say '%s'", error.text, refusals[i].says);
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct error error = {0};
    const struct option_setting settings[] = {{"times", "/nonexistent/times.csv", "test"}};
    assert_null(open_replay(settings, 1, &error));
    assert_non_null(strstr(error.text, "/nonexistent/times.csv: No such file"));
}

static void times_of_another_model_are_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"layer,time_ns\n0,1\n1,1\n", "has no time for layer 2 ('layer02') of model 'made'"},
        {"layer,time_ns\n0,1\n1,1\n2,1\n3,1\n", ":5: layer 3 does not exist: model 'made' has 3 layers"},
        {"layer,time_ns\n0,1\n0,1\n", ":3: layer 0 ('layer00') has a time already"},
        {"name,time_ns\nconv1,1\n", ":2: model 'made' has no layer 'conv1'"},
        {"layer,name,time_ns\n0,conv1,1\n", ":2: layer 0 is called 'conv1' here and 'layer00' in model 'made'"},
        {"model,layer,time_ns\nother,0,1\n", "has no time for layer 0"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        const struct napm_prepare how = {.size = sizeof(how), .threads = 1};
        struct error error = {0};
        struct instance *instance = open_with_times(refusals[i].text, &error);
        struct maker *maker = three_layers();
        void *prepared;
        assert_non_null(instance);
        int32_t status = instance->hook.backend.prepare(instance->self, maker_model(maker), &how, &prepared);
        assert_int_equal(status, NAPM_ERR_INVALID);
        instance_error(instance, status, "prepare", &error);
        if (!strstr(error.text, refusals[i].says))
            fail_msg("'%s' does not say '%s'", error.text, refusals[i].says);
        instance_close(instance);
        maker_free(maker);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_from_csv),
        cmocka_unit_test(what_napm_profile_prints_is_read),
        cmocka_unit_test(rows_of_other_models_are_passed_over),
        cmocka_unit_test(scale_multiplies_every_time),
        cmocka_unit_test(without_a_file_times_follow_from_flops_and_weights),
        cmocka_unit_test(a_memory_rate_of_0_does_not_limit),
        cmocka_unit_test(late_wake_ups_do_not_add_up),
        cmocka_unit_test(a_cancelled_sleep_ends_the_run),
        cmocka_unit_test(outputs_are_zeros_and_come_last),
        cmocka_unit_test(a_bad_file_is_refused_with_file_and_line),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(times_of_another_model_are_refused),
    };
    times_path = trial_temporary();
    catalogue = trial_catalogue();
    int failures = cmocka_run_group_tests_name("replay", tests, NULL, NULL);
    unlink(times_path);
    free(times_path);
    catalogue_close(catalogue);
    return failures != 0;
}
