/* SPDX-License-Identifier: Apache-2.0 */
/* Placements as cuts of an order: against what a set of layers is, layer by layer and tensor by tensor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/model/order.h"
#include "tests/zoo_model.h"

#define MOST_LAYERS 128
#define MOST_TENSORS 512
#define NODES 3
#define ROUNDS 60

static struct model *small_model(const char *name)
{
    struct model *model = zoo_model(name);
    assert_true(model_view(model)->layer_count <= MOST_LAYERS && model_view(model)->tensor_count <= MOST_TENSORS);
    return model;
}

/* ---- what a set is, without orders */

/* Is the tensor there once the layers that are marked have run, and wanted by one that is not, or as a result? */
static bool crosses(const struct napm_model *view, uint32_t tensor, const bool *done)
{
    uint32_t producer = view->tensors[tensor]->producer;
    bool there = producer != NAPM_NONE && done[producer], wanted = false;
    for (uint32_t i = 0; i < view->input_count; i++)
        there = there || view->inputs[i] == tensor;
    for (uint32_t i = 0; i < view->output_count; i++)
        wanted = wanted || view->outputs[i] == tensor;
    for (uint32_t l = 0; l < view->layer_count; l++)
        for (uint32_t i = 0; i < view->layers[l]->input_count; i++)
            wanted = wanted || (!done[l] && view->layers[l]->inputs[i] == tensor);
    return there && wanted;
}

static void assert_cut_is_set(const struct napm_model *view, const uint32_t *order, uint32_t c)
{
    bool done[MOST_LAYERS] = {false};
    uint32_t tensors[MOST_TENSORS], expected = 0;
    uint64_t bytes, expected_bytes = 0;
    for (uint32_t place = 0; place < c; place++)
        done[order[place]] = true;
    uint32_t count = order_cut(view, order, c, &bytes, tensors);
    for (uint32_t t = 0; t < view->tensor_count; t++) {
        if (!crosses(view, t, done))
            continue;
        assert_true(expected < count);
        assert_int_equal(tensors[expected++], t);
        expected_bytes += view->tensors[t]->bytes;
    }
    assert_int_equal(count, expected);
    assert_true(bytes == expected_bytes);
}

/* Parts take in what the one before gives, and what they give is computed by them or was taken in. */
static void assert_parts_fit(const struct napm_model *view, const uint32_t *order, const uint32_t *cuts)
{
    struct model_part before = {0}, part;
    for (uint32_t i = 0; i < NODES; i++) {
        uint32_t first = i ? cuts[i - 1] : 0, last = i < NODES - 1 ? cuts[i] : view->layer_count;
        order_part(view, order, first, last, &part);
        assert_int_equal(part.spec.layer_count, last - first);
        for (uint32_t k = 0; k < last - first; k++) {
            assert_int_equal(part.layers[k], order[first + k]);
            assert_true(k == 0 || part.layers[k] > part.layers[k - 1]);
        }
        if (i > 0) {
            assert_int_equal(part.arriving_count, before.leaving_count);
            assert_memory_equal(part.arriving, before.leaving, part.arriving_count * sizeof(*part.arriving));
            assert_true(part.arriving_bytes == before.leaving_bytes);
            model_part_free(&before);
        }
        before = part;
    }
    assert_int_equal(before.leaving_count, view->output_count);
    model_part_free(&before);
}

/* The greatest sum of bytes that are there while a layer of the part runs: nothing is let go before its last use. */
static uint64_t live_bytes(const struct napm_model *view, const uint32_t *order, uint32_t first, uint32_t last)
{
    bool done[MOST_LAYERS] = {false};
    uint64_t most = 0;
    for (uint32_t place = 0; place < last; place++) {
        uint64_t live = 0;
        uint32_t l = order[place];
        for (uint32_t t = 0; t < view->tensor_count; t++) {
            bool counts = crosses(view, t, done);
            for (uint32_t i = 0; i < view->layers[l]->output_count; i++)
                counts = counts || view->layers[l]->outputs[i] == t;
            live += counts ? view->tensors[t]->bytes : 0;
        }
        done[l] = true;
        most = place >= first && live > most ? live : most;
    }
    return most;
}

static void assert_memory_adds_up(const struct napm_model *view, const uint32_t *order, const uint32_t *cuts)
{
    uint64_t all, weights = 0, activations;
    order_memory(view, NULL, 0, view->layer_count, &all, &activations);
    for (uint32_t i = 0; i < NODES; i++) {
        uint64_t own;
        uint32_t first = i ? cuts[i - 1] : 0, last = i < NODES - 1 ? cuts[i] : view->layer_count;
        order_memory(view, order, first, last, &own, &activations);
        assert_true(activations == (first < last ? live_bytes(view, order, first, last) : 0));
        weights += own;
    }
    assert_true(weights == all); /* no layers of these models share weights */
}

static void sets_of_layers_are_cuts_of_an_order(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t least_sets; /* that are no cut */
    } models[] = {{"tiny-resnet", 5}, {"tiny-inception", 10}, {"mobilenetv2", 0}, {"resnet50", 0}};
    for (size_t m = 0; m < sizeof(models) / sizeof(models[0]); m++) {
        struct model *model = small_model(models[m].name);
        const struct napm_model *view = model_view(model);
        struct random random;
        uint32_t order[MOST_LAYERS], cuts[NODES - 1], sets = 0;
        uint64_t bytes[MOST_LAYERS + 1];
        random_seed(&random, m, "order");
        for (int round = 0; round < ROUNDS; round++) {
            sets += order_random(view, &random, NODES, order, cuts) == 1;
            assert_true(order_is_one(view, order));
            assert_parts_fit(view, order, cuts);
            order_cut_bytes(view, order, bytes);
            for (uint32_t c = 0; c <= view->layer_count; c += round < 4 ? 1 : view->layer_count) {
                uint64_t one;
                order_cut(view, order, c, &one, NULL);
                assert_true(one == bytes[c]);
                assert_cut_is_set(view, order, c);
            }
            for (uint32_t i = 0; i < NODES - 1; i++)
                assert_cut_is_set(view, order, cuts[i]);
            if (round < 10)
                assert_memory_adds_up(view, order, cuts);
        }
        assert_true(sets >= models[m].least_sets);
        model_close(model);
    }
}

/* In MobileNetV2 and ResNet-50 tensors skip layers, but every layer needs the one before it. */
static void where_every_layer_needs_the_last_there_are_no_sets_but_cuts(void **state)
{
    (void)state;
    static const char *const names[] = {"tiny-cnn", "mobilenetv2", "resnet50"};
    for (size_t m = 0; m < sizeof(names) / sizeof(names[0]); m++) {
        struct model *model = small_model(names[m]);
        struct random random;
        uint32_t order[MOST_LAYERS], cuts[NODES - 1];
        random_seed(&random, 1, "order");
        for (int round = 0; round < ROUNDS; round++)
            assert_int_equal(order_random(model_view(model), &random, NODES, order, cuts), 0);
        model_close(model);
    }
}

/* Layer 2 of tiny-inception begins one branch, layer 4 another: 3 needs 2, 5 needs 4. */
static void placements_are_read(void **state)
{
    (void)state;
    struct model *model = small_model("tiny-inception");
    const struct napm_model *view = model_view(model);
    uint32_t nodes[MOST_LAYERS], order[MOST_LAYERS], cuts[NODES - 1];
    const uint32_t head[] = {0, 1, 2, 4, 3, 5};
    struct order_fault fault;
    for (uint32_t l = 0; l < view->layer_count; l++)
        nodes[l] = l < 3 ? 0 : 2;
    assert_int_equal(order_make(view, nodes, NODES, order, cuts, &fault), 0);
    assert_true(cuts[0] == 3 && cuts[1] == 3 && order_same(order, NULL, 0, view->layer_count));
    nodes[4] = 0;
    nodes[3] = nodes[5] = 1;
    assert_int_equal(order_make(view, nodes, NODES, order, cuts, &fault), 1);
    assert_true(cuts[0] == 4 && cuts[1] == 6);
    assert_memory_equal(order, head, sizeof(head));
    assert_false(order_same(order, NULL, 0, view->layer_count));
    assert_true(order_same(order, NULL, 6, view->layer_count)); /* behind the branches both are one */
    nodes[4] = 2;
    assert_int_equal(order_make(view, nodes, NODES, order, cuts, &fault), -1);
    assert_true(fault.layer == 5 && fault.needs == 4);
    model_close(model);
}

static void what_is_no_order_is_known(void **state)
{
    (void)state;
    struct model *model = small_model("tiny-inception");
    const struct napm_model *view = model_view(model);
    uint32_t order[MOST_LAYERS];
    for (uint32_t l = 0; l < view->layer_count; l++)
        order[l] = l;
    assert_true(order_is_one(view, order));
    order[2] = 4;
    assert_false(order_is_one(view, order)); /* 4 twice */
    order[4] = 2;
    assert_false(order_is_one(view, order)); /* 3 stands before 2, which it needs */
    order[3] = 2;
    order[4] = 3;
    assert_true(order_is_one(view, order));
    order[0] = view->layer_count;
    assert_false(order_is_one(view, order));
    model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_of_layers_are_cuts_of_an_order),
        cmocka_unit_test(where_every_layer_needs_the_last_there_are_no_sets_but_cuts),
        cmocka_unit_test(placements_are_read),
        cmocka_unit_test(what_is_no_order_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
