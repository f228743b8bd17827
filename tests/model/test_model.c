/* SPDX-License-Identifier: Apache-2.0 */
/* Models: layers, cuts and memory of the zoo and of graphs made for one property each. */
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
#include "core/model/describe.h"
#include "core/model/model.h"
#include "models/net.h"
#include "models/zoo.h"

static char file[] = "test_model.XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file);
}

static struct model *open_zoo(const char *name)
{
    struct error error = {0};
    if (zoo_write(name, 1, file, &error))
        fail_msg("%s", error.text);
    struct model *model = model_open(file, &error);
    if (!model)
        fail_msg("%s", error.text);
    return model;
}

static struct model *open_net(const struct net *net)
{
    struct error error = {0};
    if (net_save(net, 1, file, &error))
        fail_msg("%s", error.text);
    struct model *model = model_open(file, &error);
    if (!model)
        fail_msg("%s", error.text);
    return model;
}

/* "Conv+Relu MaxPool ...": the operators of each layer. */
static void assert_layers(const struct model *model, const char *expected)
{
    struct describe description;
    char *text = text_copy("");
    describe_model(model, &description);
    for (uint32_t l = 0; l < description.row_count; l++) {
        char *longer = text_format("%s%s%s", text, l ? " " : "", description.rows[l].operators);
        free(text);
        text = longer;
    }
    describe_free(&description);
    assert_string_equal(text, expected);
    free(text);
}

/* A node with up to two inputs and one output that bears its name. */
static void node(struct net *net, const char *type, const char *name, const char *a, const char *b)
{
    onnx_writer_begin(net->writer, type, name);
    onnx_writer_node_input(net->writer, a);
    if (b)
        onnx_writer_node_input(net->writer, b);
    onnx_writer_node_output(net->writer, name);
    onnx_writer_end(net->writer);
    snprintf(net->tensor, sizeof(net->tensor), "%s", name);
}

static const struct net_conv small_conv = {.outputs = 4, .kernel = 3, .pad = 1, .bias = 1};

/* (The reader takes the digest of large files piece by piece.) */
static void assert_digest_is_that_of_the_file(const struct model *model)
{
    struct error error = {0};
    struct file_map map;
    char digest[FILE_DIGEST_BYTES];
    assert_int_equal(file_map(file, &map, &error), 0);
    file_digest(map.bytes, map.size, digest);
    file_unmap(&map);
    assert_string_equal(model_view(model)->hash, digest);
}

/* ---- layers */

static void alexnet_for_cifar10_has_the_11_stages_of_the_paper(void **state)
{
    (void)state;
    struct model *model = open_zoo("alexnet-cifar10");
    assert_layers(model, "Conv+Relu MaxPool Conv+Relu MaxPool Conv+Relu Conv+Relu Conv+Relu MaxPool "
                         "Flatten+Gemm+Relu Gemm+Relu Gemm");
    struct describe description;
    describe_model(model, &description);
    assert_true(description.flops > 0.1255e9 * 0.998 && description.flops < 0.1255e9 * 1.002);
    assert_true(description.parameter_count > 23.2e6 && description.parameter_count < 23.4e6);
    assert_int_equal(description.parameter_bytes, 4 * description.parameter_count);
    assert_string_equal(description.inputs, "input 1x3x32x32");
    assert_string_equal(description.outputs, "fc3 1x10");
    assert_digest_is_that_of_the_file(model);
    assert_string_equal(description.rows[7].output_shape, "1x256x2x2");
    assert_int_equal(description.rows[7].cut_bytes, 4096);
    describe_free(&description);
    model_close(model);
}

static void weights_stay_in_the_file_and_are_aligned(void **state)
{
    (void)state;
    struct model *model = open_zoo("tiny-cnn");
    const struct napm_model *view = model_view(model);
    uint32_t weights = 0;
    for (uint32_t t = 0; t < view->tensor_count; t++)
        if (view->tensors[t]->data) {
            assert_int_equal((uintptr_t)view->tensors[t]->data % 64, 0);
            assert_int_equal(view->tensors[t]->producer, NAPM_NONE);
            weights++;
        }
    assert_int_equal(weights, 6);
    model_close(model);
}

static void residual_additions_join_the_later_convolution(void **state)
{
    (void)state;
    struct model *model = open_zoo("tiny-resnet");
    const char *conv = "Conv+BatchNormalization+Relu ", *sum = "Conv+BatchNormalization+Add+Relu ";
    char *expected = text_format("%s%s%sConv+BatchNormalization %s%s%s%s%sConv+BatchNormalization+Clip Concat "
                                 "GlobalAveragePool Flatten+Gemm",
                                 conv, conv, conv, sum, conv, conv, sum, conv);
    assert_layers(model, expected);
    free(expected);
    model_close(model);
}

static void a_gate_and_its_product_join_the_convolution(void **state)
{
    (void)state;
    static const char *const gates[] = {"Sigmoid", "HardSigmoid"};
    for (size_t i = 0; i < 2; i++) {
        struct net net = net_begin("gate", 3, 8, 8);
        net_conv(&net, "conv", small_conv);
        node(&net, gates[i], "gate", "conv", NULL);
        node(&net, "Mul", "product", "gate", "conv");
        struct model *model = open_net(&net);
        char *expected = text_format("Conv+%s+Mul", gates[i]);
        assert_layers(model, expected);
        free(expected);
        model_close(model);
    }
}

static void nothing_joins_where_the_result_has_another_use(void **state)
{
    (void)state;
    struct net net = net_begin("two uses", 3, 8, 8);
    net_conv(&net, "conv", small_conv);
    node(&net, "Relu", "relu", "conv", NULL);
    node(&net, "Tanh", "tanh", "conv", NULL);
    node(&net, "Add", "sum", "relu", "tanh");
    struct model *model = open_net(&net);
    assert_layers(model, "Conv Relu Tanh Add");
    model_close(model);
}

static void an_addition_waits_for_a_tensor_that_comes_later(void **state)
{
    (void)state;
    struct net net = net_begin("later", 4, 8, 8);
    net_conv(&net, "conv", small_conv);
    node(&net, "Tanh", "tanh", "input", NULL); /* stands behind the convolution */
    node(&net, "Add", "sum", "conv", "tanh");
    struct model *model = open_net(&net);
    assert_layers(model, "Conv Tanh Add");
    model_close(model);
}

static void a_bias_added_to_a_product_joins_it(void **state)
{
    (void)state;
    struct net net = net_begin("bias", 3, 8, 8);
    const int64_t weight[] = {8, 5}, bias[] = {5};
    onnx_writer_weight(net.writer, "w", 2, weight, -1, 1);
    onnx_writer_weight(net.writer, "b", 1, bias, -1, 1);
    node(&net, "MatMul", "product", "input", "w");
    node(&net, "Add", "sum", "b", "product");
    net.width = 5;
    net_relu(&net, "relu");
    struct model *model = open_net(&net);
    assert_layers(model, "MatMul+Add+Relu");
    model_close(model);
}

static void shape_computations_are_folded_and_reshapes_join_their_user(void **state)
{
    (void)state;
    struct net net = net_begin("view", 3, 8, 8);
    const int64_t zero[] = {0}, rest[] = {-1};
    net_conv(&net, "conv", small_conv);
    onnx_writer_integers(net.writer, "index", 1, zero);
    onnx_writer_integers(net.writer, "rest", 1, rest);
    node(&net, "Shape", "shape", "conv", NULL);
    node(&net, "Gather", "batch", "shape", "index");
    onnx_writer_begin(net.writer, "Concat", "target");
    onnx_writer_node_input(net.writer, "batch");
    onnx_writer_node_input(net.writer, "rest");
    onnx_writer_node_output(net.writer, "target");
    onnx_writer_node_integer(net.writer, "axis", 0);
    onnx_writer_end(net.writer);
    node(&net, "Reshape", "flat", "conv", "target");
    net.channels = 4 * 64;
    net.height = net.width = 0;
    net_full(&net, "fc", 10);
    struct model *model = open_net(&net);
    assert_layers(model, "Conv Reshape+Gemm");
    assert_int_equal(model_view(model)->operator_count, 3);
    model_close(model);
}

static void a_reshape_at_the_end_joins_its_maker(void **state)
{
    (void)state;
    struct net net = net_begin("end", 3, 8, 8);
    net_conv(&net, "conv", small_conv);
    net_flatten(&net, "flat");
    struct model *model = open_net(&net);
    assert_layers(model, "Conv+Flatten");
    model_close(model);
}

static void reshapes_in_a_row_join_the_maker_where_their_users_are_several(void **state)
{
    (void)state;
    const int64_t dims[] = {1, 256};
    struct net net = net_begin("row", 3, 8, 8);
    net_conv(&net, "conv", small_conv);
    node(&net, "Flatten", "flat", "conv", NULL);
    node(&net, "Flatten", "again", "flat", NULL);
    onnx_writer_output(net.writer, "again", 2, dims);
    node(&net, "Tanh", "tanh", "flat", NULL);
    struct model *model = open_net(&net);
    assert_layers(model, "Conv+Flatten+Flatten Tanh");
    model_close(model);
}

static void identity_and_dropout_are_left_out(void **state)
{
    (void)state;
    struct net net = net_begin("identity", 3, 8, 8);
    net_conv(&net, "conv", small_conv);
    node(&net, "Identity", "same", "conv", NULL);
    node(&net, "Dropout", "kept", "same", NULL);
    node(&net, "Relu", "relu", "kept", NULL);
    struct model *model = open_net(&net);
    assert_layers(model, "Conv+Relu");
    model_close(model);
}

/* ---- cuts and memory */

static uint32_t find_tensor(const struct napm_model *view, const char *name)
{
    for (uint32_t t = 0; t < view->tensor_count; t++)
        if (strcmp(view->tensors[t]->name, name) == 0)
            return t;
    fail_msg("there is no tensor %s", name);
    return NAPM_NONE;
}

static void assert_list(const uint32_t *list, uint32_t count, const struct napm_model *view, const char *expected)
{
    char *text = text_copy("");
    for (uint32_t i = 0; i < count; i++) {
        char *longer = text_format("%s%s%s", text, i ? " " : "", view->tensors[list[i]]->name);
        free(text);
        text = longer;
    }
    assert_string_equal(text, expected);
    free(text);
}

static void both_parts_of_every_cut_agree_on_what_crosses(void **state)
{
    (void)state;
    struct model *model = open_zoo("tiny-resnet");
    const struct napm_model *view = model_view(model);
    uint32_t *cut = NEW_ARRAY(uint32_t, view->tensor_count);
    for (uint32_t c = 0; c <= view->layer_count; c++) {
        struct model_part before, behind;
        uint64_t bytes;
        model_part_range(model, 0, c, &before);
        model_part_range(model, c, view->layer_count, &behind);
        uint32_t count = model_cut(model, c, &bytes, cut);
        assert_int_equal(before.leaving_count, count);
        assert_int_equal(behind.arriving_count, count);
        assert_int_equal(before.leaving_bytes, bytes);
        assert_int_equal(behind.arriving_bytes, bytes);
        assert_memory_equal(before.leaving, cut, count * sizeof(*cut));
        assert_memory_equal(behind.arriving, cut, count * sizeof(*cut));
        assert_int_equal(before.spec.layer_count + behind.spec.layer_count, view->layer_count);
        model_part_free(&before);
        model_part_free(&behind);
    }
    free(cut);
    model_close(model);
}

static void layers_take_only_what_earlier_layers_made(void **state)
{
    (void)state;
    static const char *const names[] = {"tiny-resnet", "mobilenetv2"};
    for (size_t i = 0; i < 2; i++) {
        struct model *model = open_zoo(names[i]);
        const struct napm_model *view = model_view(model);
        for (uint32_t l = 0; l < view->layer_count; l++) {
            const struct napm_layer *layer = view->layers[l];
            for (uint32_t k = 0; k < layer->input_count; k++) {
                uint32_t producer = view->tensors[layer->inputs[k]]->producer;
                assert_true(producer < l || (producer == NAPM_NONE && layer->inputs[k] == view->inputs[0]));
            }
            for (uint32_t k = 0; k < layer->output_count; k++)
                assert_int_equal(view->tensors[layer->outputs[k]]->producer, l);
        }
        model_close(model);
    }
}

static void a_model_input_that_a_late_layer_uses_is_passed_through(void **state)
{
    (void)state;
    struct net net = net_begin("late input", 3, 8, 8);
    node(&net, "Tanh", "first", "input", NULL);
    node(&net, "Tanh", "second", "first", NULL);
    node(&net, "Add", "sum", "second", "input");
    struct model *model = open_net(&net);
    const struct napm_model *view = model_view(model);
    struct model_part part;
    model_part_range(model, 1, 2, &part);
    assert_list(part.arriving, part.arriving_count, view, "input first");
    assert_list(part.inputs, part.spec.input_count, view, "first");
    assert_list(part.outputs, part.spec.output_count, view, "second");
    assert_list(part.leaving, part.leaving_count, view, "input second");
    assert_int_equal(part.leaving_bytes, 2 * 768);
    model_part_free(&part);
    model_part_range(model, 1, 1, &part);
    assert_list(part.arriving, part.arriving_count, view, "input first");
    assert_list(part.leaving, part.leaving_count, view, "input first");
    assert_int_equal(part.spec.input_count + part.spec.output_count + part.spec.layer_count, 0);
    model_part_free(&part);
    model_close(model);
}

static void an_early_output_crosses_all_later_cuts(void **state)
{
    (void)state;
    const int64_t dims[] = {1, 3, 8, 8};
    struct net net = net_begin("early output", 3, 8, 8);
    node(&net, "Tanh", "first", "input", NULL);
    onnx_writer_output(net.writer, "first", 4, dims);
    node(&net, "Tanh", "second", "first", NULL);
    node(&net, "Tanh", "third", "second", NULL);
    struct model *model = open_net(&net);
    const struct napm_model *view = model_view(model);
    struct model_part part;
    model_part_range(model, 2, 3, &part);
    assert_list(part.arriving, part.arriving_count, view, "first second");
    assert_list(part.leaving, part.leaving_count, view, "first third");
    assert_list(part.outputs, part.spec.output_count, view, "third");
    model_part_free(&part);
    assert_int_equal(view->output_count, 2);
    assert_int_equal(view->outputs[0], find_tensor(view, "first"));
    model_close(model);
}

static void memory_counts_what_is_live_at_once_and_each_weight_once(void **state)
{
    (void)state;
    struct model *model = open_zoo("tiny-cnn");
    uint64_t weights, activations, device_weights, station_weights;
    model_part_memory(model, 0, 5, &weights, &activations);
    assert_int_equal(weights, 4 * (8 * 27 + 8 + 16 * 72 + 16 + 10240 + 10));
    assert_int_equal(activations, 4 * (8 * 256 + 3 * 256)); /* the first layer's input and output */
    model_part_memory(model, 0, 2, &device_weights, &activations);
    assert_int_equal(device_weights, 4 * (8 * 27 + 8));
    model_part_memory(model, 2, 5, &station_weights, &activations);
    assert_int_equal(device_weights + station_weights, weights);
    assert_int_equal(activations, 4 * (8 * 64 + 16 * 64));
    model_part_memory(model, 3, 3, &weights, &activations);
    assert_int_equal(weights + activations, 0);
    model_close(model);
}

static void a_passed_through_tensor_is_live_to_the_end(void **state)
{
    (void)state;
    struct net net = net_begin("late input", 3, 8, 8);
    node(&net, "Tanh", "first", "input", NULL);
    node(&net, "Tanh", "second", "first", NULL);
    node(&net, "Add", "sum", "second", "input");
    struct model *model = open_net(&net);
    uint64_t weights, activations;
    model_part_memory(model, 1, 2, &weights, &activations);
    assert_int_equal(activations, 3 * 768);
    model_close(model);
}

static void the_digest_names_the_bytes(void **state)
{
    (void)state;
    struct model *model = open_zoo("tiny-cnn");
    char first[64];
    snprintf(first, sizeof(first), "%s", model_view(model)->hash);
    model_close(model);
    model = open_zoo("tiny-cnn");
    assert_string_equal(model_view(model)->hash, first);
    assert_string_equal(model_view(model)->name, "tiny-cnn");
    assert_string_equal(model_path(model), file);
    model_close(model);
    model = open_zoo("tiny-resnet");
    assert_string_not_equal(model_view(model)->hash, first);
    model_close(model);
}

static void an_unknown_name_in_the_zoo_finds_its_neighbour(void **state)
{
    (void)state;
    struct error error = {0};
    assert_int_equal(zoo_write("resnet5", 1, file, &error), -1);
    assert_non_null(strstr(error.text, "resnet50"));
    assert_int_equal(zoo_write("tiny-cnn", 1, "/nonexistent-folder/model.onnx", &error), -1);
    assert_non_null(strstr(error.text, "/nonexistent-folder/model.onnx"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alexnet_for_cifar10_has_the_11_stages_of_the_paper),
        cmocka_unit_test(weights_stay_in_the_file_and_are_aligned),
        cmocka_unit_test(residual_additions_join_the_later_convolution),
        cmocka_unit_test(a_gate_and_its_product_join_the_convolution),
        cmocka_unit_test(nothing_joins_where_the_result_has_another_use),
        cmocka_unit_test(an_addition_waits_for_a_tensor_that_comes_later),
        cmocka_unit_test(a_bias_added_to_a_product_joins_it),
        cmocka_unit_test(shape_computations_are_folded_and_reshapes_join_their_user),
        cmocka_unit_test(a_reshape_at_the_end_joins_its_maker),
        cmocka_unit_test(reshapes_in_a_row_join_the_maker_where_their_users_are_several),
        cmocka_unit_test(identity_and_dropout_are_left_out),
        cmocka_unit_test(both_parts_of_every_cut_agree_on_what_crosses),
        cmocka_unit_test(layers_take_only_what_earlier_layers_made),
        cmocka_unit_test(a_model_input_that_a_late_layer_uses_is_passed_through),
        cmocka_unit_test(an_early_output_crosses_all_later_cuts),
        cmocka_unit_test(memory_counts_what_is_live_at_once_and_each_weight_once),
        cmocka_unit_test(a_passed_through_tensor_is_live_to_the_end),
        cmocka_unit_test(the_digest_names_the_bytes),
        cmocka_unit_test(an_unknown_name_in_the_zoo_finds_its_neighbour),
    };
    return cmocka_run_group_tests_name("model", tests, make_file, remove_file) != 0;
}
