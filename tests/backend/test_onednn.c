/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The onednn backend on networks that bring out its choices: fusion, layouts, Winograd, shared memory, borders.
 * (Single operators are tried by test_backends_onnx.) NAPM_TEST_ZOO="vgg16 resnet50" names models of the zoo to try in
 * place of the small ones; the large ones take some minutes.
 */
#include <math.h>
#include <pthread.h>
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
#include "models/net.h"
#include "models/zoo.h"
#include "tests/backend/backend_trial.h"
#include "tests/backend/model_maker.h"

#define RELATIVE 1e-4
#define ABSOLUTE 1e-5 /* of the largest output: for numbers that cancel to almost nothing */

static struct catalogue *catalogue;
static char folder[] = "/tmp/napm-onednn-XXXXXX";

/*
 * ---- counting allocations: these stand in for the C library's in the whole process, plugin included. oneDNN itself
 * puts the arguments of each call into a little map, which nobody outside can avoid: so pieces below SMALL_BYTES do
 * not count.
 */
#define SMALL_BYTES 256

#if !defined(NAPM_SANITIZED) && defined(__GLIBC__)
#define COUNTS_ALLOCATIONS 1
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *block, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
void *realloc(void *block, size_t bytes);
void *aligned_alloc(size_t alignment, size_t bytes);
int posix_memalign(void **block, size_t alignment, size_t bytes);
static unsigned long allocations;

static void count_allocation(size_t bytes)
{
    if (bytes >= SMALL_BYTES)
        __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t bytes)
{
    count_allocation(bytes);
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    count_allocation(count * bytes);
    return __libc_calloc(count, bytes);
}

void *realloc(void *block, size_t bytes)
{
    count_allocation(bytes);
    return __libc_realloc(block, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    count_allocation(bytes);
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **block, size_t alignment, size_t bytes)
{
    count_allocation(bytes);
    *block = __libc_memalign(alignment, bytes);
    return *block ? 0 : 12;
}
#else
#define COUNTS_ALLOCATIONS 0
static unsigned long allocations;
#endif

/* ---- networks */

static void conv_bn_relu(struct net *net, const char *name, struct net_conv conv)
{
    char part[64];
    net_conv(net, name, conv);
    snprintf(part, sizeof(part), "%s_bn", name);
    net_batch_norm(net, part, 1.0);
    snprintf(part, sizeof(part), "%s_relu", name);
    net_relu(net, part);
}

/* Winograd convolutions with a residual that dies in the sum, and one that is still read afterwards. */
static struct net wide_residual(void)
{
    struct net net = net_begin("wide-residual", 3, 16, 16);
    conv_bn_relu(&net, "stem", (struct net_conv){.outputs = 64, .kernel = 3, .pad = 1});
    struct net around = net;
    conv_bn_relu(&net, "a", (struct net_conv){.outputs = 64, .kernel = 3, .pad = 1});
    net_conv(&net, "b", (struct net_conv){.outputs = 64, .kernel = 3, .pad = 1});
    net_batch_norm(&net, "b_bn", 0.5);
    net_add(&net, "b_add", &around);
    net_relu(&net, "b_relu");
    struct net again = net;
    net_conv(&net, "c", (struct net_conv){.outputs = 64, .kernel = 3, .pad = 1, .bias = 1});
    net_add(&net, "c_add", &again);
    net_concat(&net, "late", &again);
    net_global_average_pool(&net, "average");
    net_flatten(&net, "flatten");
    net_full(&net, "fc", 70);
    return net;
}

/* Channels that do not fill a block, grouped and depthwise convolutions, small images, strides, softmax. */
static struct net odd_shapes(void)
{
    struct net net = net_begin("odd-shapes", 3, 29, 23);
    conv_bn_relu(&net, "stem", (struct net_conv){.outputs = 24, .kernel = 5, .stride = 2, .pad = 2});
    conv_bn_relu(&net, "depthwise", (struct net_conv){.outputs = 24, .kernel = 3, .pad = 1, .groups = 24});
    struct net branch = net;
    net_conv(&net, "grouped", (struct net_conv){.outputs = 36, .kernel = 3, .pad = 1, .groups = 3, .bias = 1});
    net_relu6(&net, "grouped_relu");
    conv_bn_relu(&branch, "narrow", (struct net_conv){.outputs = 7, .kernel = 1});
    net_concat(&net, "join", &branch);
    net_max_pool(&net, "pool", 3, 2, 1);
    conv_bn_relu(&net, "small", (struct net_conv){.outputs = 40, .kernel = 3, .stride = 2, .pad = 1});
    conv_bn_relu(&net, "tiny", (struct net_conv){.outputs = 33, .kernel = 3, .pad = 1});
    net_flatten(&net, "flatten");
    net_full(&net, "fc1", 130);
    net_relu(&net, "fc1_relu");
    net_full(&net, "fc2", 11);
    net_softmax(&net, "softmax");
    return net;
}

static struct net (*const own_nets[])(void) = {wide_residual, odd_shapes};
static const char *const small_zoo[] = {"tiny-cnn", "tiny-resnet", "alexnet-cifar10"};

/* ---- tools */

static struct instance *instance_of(const char *name)
{
    struct error error = {0};
    struct instance *instance = trial_instance(catalogue, name, &error);
    if (!instance)
        fail_msg("%s", error.text);
    return instance;
}

static struct trial *trial_of(const struct instance *instance, const struct model *model, uint32_t threads)
{
    struct error error = {0};
    struct trial *trial = trial_open(instance, model, threads, &error);
    if (!trial)
        fail_msg("%s", error.text);
    return trial;
}

static struct model *open_written(const char *path, int failed, struct error *error)
{
    struct model *model = failed ? NULL : model_open(path, error);
    if (!model)
        fail_msg("%s", error->text);
    return model;
}

static struct model *own_model(struct net (*make)(void))
{
    struct error error = {0};
    char *path = text_format("%s/own.onnx", folder);
    struct net net = make();
    struct model *model = open_written(path, net_save(&net, 5, path, &error), &error);
    unlink(path);
    free(path);
    return model;
}

static struct model *zoo_model(const char *name)
{
    struct error error = {0};
    char *path = text_format("%s/%s.onnx", folder, name);
    struct model *model = open_written(path, zoo_write(name, 5, path, &error), &error);
    unlink(path);
    free(path);
    return model;
}

static void run_whole(struct trial *trial, void **inputs, struct trial_values *values)
{
    struct error error = {0};
    if (trial_run(trial, NULL, 0, 1, (const void *const *)inputs, values, &error))
        fail_msg("%s", error.text);
}

static void check_every_cut(const struct model *model)
{
    struct error error = {0};
    struct instance *instance = instance_of("onednn");
    void **inputs = trial_inputs(model_view(model), 7);
    for (uint32_t threads = 1; threads <= 2; threads++) {
        struct trial *trial = trial_of(instance, model, threads);
        if (trial_check_every_cut(trial, (const void *const *)inputs, &error))
            fail_msg("%s, %u threads: %s", model_view(model)->name, threads, error.text);
        trial_close(trial);
    }
    trial_inputs_free(model_view(model), inputs);
    instance_close(instance);
}

static double largest(const float *values, uint64_t count)
{
    double greatest = 0.0;
    for (uint64_t i = 0; i < count; i++)
        greatest = fabs((double)values[i]) > greatest ? fabs((double)values[i]) : greatest;
    return greatest;
}

static void check_against_reference(const struct model *model)
{
    const struct napm_model *view = model_view(model);
    struct instance *ours = instance_of("onednn"), *oracle = instance_of("reference");
    struct trial *our_trial = trial_of(ours, model, 2), *oracle_trial = trial_of(oracle, model, 1);
    struct trial_values got, expected;
    void **inputs = trial_inputs(view, 11);
    run_whole(our_trial, inputs, &got);
    run_whole(oracle_trial, inputs, &expected);
    for (uint32_t i = 0; i < view->output_count; i++) {
        uint32_t tensor = view->outputs[i];
        uint64_t count = view->tensors[tensor]->bytes / sizeof(float);
        double difference = trial_difference(got.blocks[tensor], expected.blocks[tensor], count, RELATIVE,
                                             ABSOLUTE * largest(expected.blocks[tensor], count));
        print_message("# %s: largest error is %.2g relative\n", view->name, difference * RELATIVE);
        if (difference > 1.0)
            fail_msg("%s: output %s is off by %.3g tolerances", view->name, view->tensors[tensor]->name, difference);
    }
    trial_values_free(&got);
    trial_values_free(&expected);
    trial_inputs_free(view, inputs);
    trial_close(our_trial);
    trial_close(oracle_trial);
    instance_close(ours);
    instance_close(oracle);
}

static void check_zoo_model(const char *name, void (*check)(const struct model *))
{
    struct model *model = zoo_model(name);
    check(model);
    model_close(model);
}

/* Calls `check` for the networks of this file and some of the zoo. */
static void for_each_network(void (*check)(const struct model *))
{
    for (size_t i = 0; i < sizeof(own_nets) / sizeof(*own_nets); i++) {
        struct model *model = own_model(own_nets[i]);
        check(model);
        model_close(model);
    }
    char *named = text_copy(getenv("NAPM_TEST_ZOO")), *rest = named;
    for (char *name = named ? strtok_r(rest, " ", &rest) : NULL; name; name = strtok_r(NULL, " ", &rest))
        check_zoo_model(name, check);
    for (size_t i = 0; !named && i < sizeof(small_zoo) / sizeof(*small_zoo); i++)
        check_zoo_model(small_zoo[i], check);
    free(named);
}

/* ---- tests */

static void every_cut_gives_the_uncut_run_bit_for_bit(void **state)
{
    (void)state;
    for_each_network(check_every_cut);
}

static void results_agree_with_the_reference(void **state)
{
    (void)state;
    for_each_network(check_against_reference);
}

static void many_segments_give_the_uncut_run_bit_for_bit(void **state)
{
    (void)state;
    struct error error = {0};
    struct instance *instance = instance_of("onednn");
    for (size_t n = 0; n < sizeof(own_nets) / sizeof(*own_nets); n++) {
        struct model *model = own_model(own_nets[n]);
        const struct napm_model *view = model_view(model);
        struct trial *trial = trial_of(instance, model, 2);
        void **inputs = trial_inputs(view, 3);
        struct trial_values whole, split;
        uint32_t cuts[64];
        for (uint32_t i = 0; i + 1 < view->layer_count; i++)
            cuts[i] = i + 1; /* each layer a segment of its own */
        run_whole(trial, inputs, &whole);
        if (trial_run(trial, cuts, view->layer_count - 1, 2, (const void *const *)inputs, &split, &error))
            fail_msg("%s", error.text);
        for (uint32_t i = 0; i < view->output_count; i++)
            assert_memory_equal(whole.blocks[view->outputs[i]], split.blocks[view->outputs[i]],
                                view->tensors[view->outputs[i]]->bytes);
        trial_values_free(&whole);
        trial_values_free(&split);
        trial_inputs_free(view, inputs);
        trial_close(trial);
        model_close(model);
    }
    instance_close(instance);
}

/* An execution of the whole model, for tests that look at single calls. */
struct whole {
    struct instance *instance;
    struct model *model;
    struct model_part part;
    void *prepared, *segment, *execution;
    void **inputs;
};

static void whole_open(struct whole *whole, struct model *model, const char *winograd)
{
    struct error error = {0};
    const struct option_setting setting = {"winograd", winograd, "test"};
    const struct plugin_choice choice = {"onednn", "test", &setting, winograd ? 1 : 0};
    const struct instance_host host = {.label = "test"};
    const struct napm_prepare how = {.size = sizeof(how), .threads = 2};
    whole->model = model;
    whole->instance = instance_open(catalogue, NAPM_KIND_BACKEND, &choice, &host, &error);
    if (!whole->instance)
        fail_msg("%s", error.text);
    const struct napm_backend *hook = &whole->instance->hook.backend;
    void *self = whole->instance->self;
    model_part_range(model, 0, model_view(model)->layer_count, &whole->part);
    assert_int_equal(hook->prepare(self, model_view(model), &how, &whole->prepared), NAPM_OK);
    assert_int_equal(hook->create_segment(self, whole->prepared, &whole->part.spec, &whole->segment), NAPM_OK);
    assert_int_equal(hook->create_execution(self, whole->segment, &whole->execution), NAPM_OK);
    whole->inputs = trial_inputs(model_view(model), 1);
}

static void whole_close(struct whole *whole)
{
    const struct napm_backend *hook = &whole->instance->hook.backend;
    hook->release_execution(whole->instance->self, whole->execution);
    hook->release_segment(whole->instance->self, whole->segment);
    hook->release_model(whole->instance->self, whole->prepared);
    trial_inputs_free(model_view(whole->model), whole->inputs);
    model_part_free(&whole->part);
    instance_close(whole->instance);
    model_close(whole->model);
}

static int32_t whole_run(struct whole *whole, uint32_t layers, int64_t *layer_ns)
{
    const struct napm_backend *hook = &whole->instance->hook.backend;
    assert_int_equal(
        hook->start(whole->instance->self, whole->execution, (const void *const *)(const void *)whole->inputs),
        NAPM_OK);
    return hook->run(whole->instance->self, whole->execution, layers, layer_ns);
}

static void tasks_after_the_first_allocate_no_memory_for_data(void **state)
{
    (void)state;
    struct whole whole;
    const void *outputs[4];
    if (!COUNTS_ALLOCATIONS) /* a sanitizer has an allocator of its own. CMocka's skip() would count as a failure */
        return;
    whole_open(&whole, own_model(wide_residual), NULL);
    uint32_t layers = whole.part.spec.layer_count;
    assert_int_equal(whole_run(&whole, layers, NULL), NAPM_OK);
    unsigned long before = allocations;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(whole_run(&whole, layers, NULL), NAPM_OK);
        whole.instance->hook.backend.outputs(whole.instance->self, whole.execution, outputs);
    }
    unsigned long after = allocations;
    whole_close(&whole);
    assert_true(before > 0); /* the counter counts */
    assert_int_equal(after - before, 0);
}

static void each_layer_is_timed_and_more_layers_than_there_are_is_an_error(void **state)
{
    (void)state;
    struct whole whole;
    int64_t layer_ns[64];
    whole_open(&whole, own_model(odd_shapes), NULL);
    uint32_t layers = whole.part.spec.layer_count;
    assert_int_equal(whole_run(&whole, layers, layer_ns), NAPM_OK);
    for (uint32_t i = 0; i < layers; i++)
        assert_in_range(layer_ns[i], 1, 10000000000);
    assert_int_equal(whole.instance->hook.backend.run(whole.instance->self, whole.execution, 1, NULL),
                     NAPM_ERR_INVALID);
    whole_close(&whole);
}

static void winograd_takes_more_memory_and_can_be_forbidden(void **state)
{
    (void)state;
    struct whole whole;
    struct napm_segment_memory with = {.size = sizeof(with)}, without = {.size = sizeof(without)};
    whole_open(&whole, own_model(wide_residual), "auto");
    whole.instance->hook.backend.segment_memory(whole.instance->self, whole.segment, &with);
    whole_close(&whole);
    whole_open(&whole, own_model(wide_residual), "never");
    whole.instance->hook.backend.segment_memory(whole.instance->self, whole.segment, &without);
    assert_int_equal(whole_run(&whole, whole.part.spec.layer_count, NULL), NAPM_OK);
    uint64_t parameter_bytes = 0;
    for (uint32_t i = 0; i < model_view(whole.model)->layer_count; i++)
        parameter_bytes += model_view(whole.model)->layers[i]->parameter_bytes;
    whole_close(&whole);
    assert_true(with.weight_bytes >= without.weight_bytes); /* equal where the processor has no such kernel */
    assert_true(without.weight_bytes > parameter_bytes / 2 && without.weight_bytes < 2 * parameter_bytes);
    assert_true(without.activation_bytes > 0);
}

static void an_operator_that_is_not_supported_is_named(void **state)
{
    (void)state;
    struct error error = {0};
    struct instance *instance = instance_of("onednn");
    struct maker *maker = maker_new(13);
    const int64_t dims[] = {1, 4};
    uint32_t in = maker_input(maker, NAPM_F32, 2, dims), out = maker_result(maker, NAPM_F32, 2, dims);
    maker_operator(maker, "Einsum", "", 1, &in, 1, &out, 0, NULL);
    maker_output(maker, out);
    const struct napm_model *model = maker_model(maker);
    assert_int_equal(trial_supports(instance, model, &error), NAPM_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, model->operators[0]->name));
    assert_non_null(strstr(error.text, "Einsum"));
    assert_non_null(strstr(error.text, "opset 13"));
    maker_free(maker);
    instance_close(instance);
}

struct concurrent {
    struct instance *instance;
    const struct model *model;
    void **inputs;
    struct trial_values values;
    int failed;
};

static void *run_repeatedly(void *argument)
{
    struct concurrent *work = argument;
    struct error error = {0};
    struct trial *trial = trial_open(work->instance, work->model, 1, &error);
    work->failed =
        !trial || trial_run(trial, NULL, 0, 20, (const void *const *)(const void *)work->inputs, &work->values, &error);
    trial_close(trial);
    return NULL;
}

static void instances_on_two_threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    struct model *model = own_model(wide_residual);
    const struct napm_model *view = model_view(model);
    void **inputs = trial_inputs(view, 9);
    struct concurrent work[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        work[i] = (struct concurrent){.instance = instance_of("onednn"), .model = model, .inputs = inputs};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_repeatedly, &work[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_false(work[0].failed || work[1].failed);
    uint32_t output = view->outputs[0];
    assert_memory_equal(work[0].values.blocks[output], work[1].values.blocks[output], view->tensors[output]->bytes);
    for (int i = 0; i < 2; i++) {
        trial_values_free(&work[i].values);
        instance_close(work[i].instance);
    }
    trial_inputs_free(view, inputs);
    model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_gives_the_uncut_run_bit_for_bit),
        cmocka_unit_test(many_segments_give_the_uncut_run_bit_for_bit),
        cmocka_unit_test(results_agree_with_the_reference),
        cmocka_unit_test(tasks_after_the_first_allocate_no_memory_for_data),
        cmocka_unit_test(each_layer_is_timed_and_more_layers_than_there_are_is_an_error),
        cmocka_unit_test(winograd_takes_more_memory_and_can_be_forbidden),
        cmocka_unit_test(an_operator_that_is_not_supported_is_named),
        cmocka_unit_test(instances_on_two_threads_do_not_disturb_each_other),
    };
    if (!mkdtemp(folder)) {
        printf("Bail out! cannot make a folder in /tmp\n");
        return 1;
    }
    catalogue = trial_catalogue();
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    catalogue_close(catalogue);
    rmdir(folder);
    return failures != 0;
}
