/* SPDX-License-Identifier: Apache-2.0 */
/* Models split in three along sets of layers that no cut of the layer order gives: equal to the whole, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/compute/compute.h"
#include "core/model/tensor_file.h"
#include "tests/builtin_plugins.h"
#include "tests/zoo_model.h"

#define NODES 3
#define MOST_TENSORS 64
#define TRIES 1000

static struct catalogue *catalogue;

static struct compute *open_backend(const char *name)
{
    struct error error = {0};
    const struct compute_settings settings = {.backend = {.name = name, .where = "test:1"},
                                              .threads = 1,
                                              .cpu_share = 1,
                                              .host = {.label = "backend:test", .seed = 1}};
    struct compute *compute = compute_open(catalogue, &settings, &error);
    if (!compute)
        fail_msg("%s", error.text);
    return compute;
}

/* Runs one part; what leaves stays in its execution. */
static struct compute_execution *run_part(struct compute_model *prepared, const uint32_t *order, uint32_t first,
                                          uint32_t last, const void *const *arriving, const void **leaving)
{
    struct error error = {0};
    struct compute_segment *segment = compute_segment(prepared, order, first, last, &error);
    if (!segment)
        fail_msg("%s", error.text);
    assert_true(compute_segment_part(segment)->leaving_count <= MOST_TENSORS);
    assert_ptr_equal(compute_segment(prepared, order, first, last, &error), segment);
    struct compute_execution *execution = compute_execution_take(segment, &error);
    assert_non_null(execution);
    if (compute_start(execution, arriving, &error) || compute_run(execution, last - first, NULL, &error) ||
        compute_outputs(execution, leaving, &error))
        fail_msg("%s", error.text);
    return execution;
}

static void assert_split_equals(struct compute_model *prepared, const struct napm_model *view, const uint32_t *order,
                                const uint32_t *cuts, const void *input, const void *whole)
{
    const void *tensors[NODES + 1][MOST_TENSORS] = {{input}};
    struct compute_execution *used[NODES];
    for (uint32_t i = 0; i < NODES; i++)
        used[i] = run_part(prepared, order, i ? cuts[i - 1] : 0, i < NODES - 1 ? cuts[i] : view->layer_count,
                           tensors[i], tensors[i + 1]);
    assert_memory_equal(tensors[NODES][0], whole, view->tensors[view->outputs[0]]->bytes);
    for (uint32_t i = 0; i < NODES; i++)
        compute_execution_put(used[i]);
}

static void check_sets(const char *backend, const char *name, uint32_t wanted)
{
    struct error error = {0};
    struct model *model = zoo_model(name);
    const struct napm_model *view = model_view(model);
    struct compute *compute = open_backend(backend);
    uint32_t *order = NEW_ARRAY(uint32_t, view->layer_count), cuts[NODES - 1], done = 0;
    const void *whole[MOST_TENSORS];
    struct tensor input;
    struct random random;
    assert_true(view->input_count == 1 && view->output_count == 1);
    assert_int_equal(tensor_read("random", view->tensors[view->inputs[0]], 1, &input, &error), 0);
    random_seed(&random, 1, name);
    struct compute_model *prepared = compute_prepare(compute, model, &error);
    if (!prepared)
        fail_msg("%s", error.text);
    const void *const inputs[] = {input.data};
    struct compute_execution *used = run_part(prepared, NULL, 0, view->layer_count, inputs, whole);
    void *kept = memory_copy(whole[0], view->tensors[view->outputs[0]]->bytes);
    compute_execution_put(used);
    for (uint32_t tries = 0; tries < TRIES && done < wanted; tries++) {
        if (order_random(view, &random, NODES, order, cuts) == 0)
            continue;
        compute_release(prepared); /* no more than one split's weights are held, and preparing must repeat */
        prepared = compute_prepare(compute, model, &error);
        assert_non_null(prepared);
        assert_split_equals(prepared, view, order, cuts, input.data, kept);
        done++;
    }
    assert_int_equal(done, wanted);
    free(kept);
    free(order);
    tensor_free(&input);
    compute_close(compute);
    model_close(model);
}

static void sets_equal_the_whole_with_reference(void **state)
{
    (void)state;
    check_sets("reference", "tiny-resnet", 20);
    check_sets("reference", "tiny-inception", 20);
}

static void sets_equal_the_whole_with_onednn(void **state)
{
    (void)state;
    if (!catalogue_find(catalogue, NAPM_KIND_BACKEND, "onednn", NULL))
        skip();
    check_sets("onednn", "tiny-resnet", 20);
    check_sets("onednn", "tiny-inception", 20);
}

static int open_plugins(void **state)
{
    (void)state;
    catalogue = builtin_catalogue();
    return catalogue ? 0 : -1;
}

static int close_plugins(void **state)
{
    (void)state;
    catalogue_close(catalogue);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_equal_the_whole_with_reference),
        cmocka_unit_test(sets_equal_the_whole_with_onednn),
    };
    return cmocka_run_group_tests(tests, open_plugins, close_plugins) != 0;
}
