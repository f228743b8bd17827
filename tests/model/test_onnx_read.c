/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ONNX files that are wrong, damaged, hostile, or encoded in the less usual ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/model/model.h"
#include "core/model/onnx.pb-c.h"
#include "models/net.h"
#include "models/zoo.h"

static char folder[] = "test_onnx_read.XXXXXX";
static char *file, *weights_file;

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    file = text_format("%s/model.onnx", folder);
    weights_file = text_format("%s/weights", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    unlink(weights_file);
    free(file);
    free(weights_file);
    return rmdir(folder);
}

/* ---- a small model made with protobuf-c: y = Add(x, w), x and w of 4 numbers */

struct small {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__NodeProto node[2];
    Onnx__TensorProto weight[2];
    Onnx__OperatorSetIdProto import;
    Onnx__ValueInfoProto input, output;
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor_type;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dim[2];
    Onnx__StringStringEntryProto external[3];
    Onnx__NodeProto *nodes[2];
    Onnx__TensorProto *weights[2];
    Onnx__OperatorSetIdProto *imports[1];
    Onnx__ValueInfoProto *inputs[1], *outputs[1];
    Onnx__TensorShapeProto__Dimension *dims[2];
    Onnx__StringStringEntryProto *externals[3];
    char *node_inputs[2][2], *node_outputs[2][1];
    int64_t weight_dims[1];
    float numbers[4];
};

static void fill_node(struct small *s, int n, const char *type, const char *a, const char *b, const char *output)
{
    onnx__node_proto__init(&s->node[n]);
    s->nodes[n] = &s->node[n];
    s->node_inputs[n][0] = (char *)(uintptr_t)a;
    s->node_inputs[n][1] = (char *)(uintptr_t)b;
    s->node_outputs[n][0] = (char *)(uintptr_t)output;
    s->node[n].name = s->node_outputs[n][0];
    s->node[n].op_type = (char *)(uintptr_t)type;
    s->node[n].n_input = b ? 2 : 1;
    s->node[n].input = s->node_inputs[n];
    s->node[n].n_output = 1;
    s->node[n].output = s->node_outputs[n];
}

static void fill_weight(struct small *s, int n)
{
    onnx__tensor_proto__init(&s->weight[n]);
    s->weights[n] = &s->weight[n];
    s->weight[n].name = (char *)(uintptr_t) "w";
    s->weight[n].has_data_type = 1;
    s->weight[n].data_type = 1;
    s->weight[n].n_dims = 1;
    s->weight[n].dims = s->weight_dims;
    s->weight[n].n_float_data = 4;
    s->weight[n].float_data = s->numbers;
}

static void fill_values(struct small *s)
{
    onnx__value_info_proto__init(&s->input);
    onnx__value_info_proto__init(&s->output);
    onnx__type_proto__init(&s->type);
    onnx__type_proto__tensor__init(&s->tensor_type);
    onnx__tensor_shape_proto__init(&s->shape);
    for (int i = 0; i < 2; i++) {
        onnx__tensor_shape_proto__dimension__init(&s->dim[i]);
        s->dims[i] = &s->dim[i];
    }
    s->dim[0].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    s->dim[0].dim_param = (char *)(uintptr_t) "batch";
    s->dim[1].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    s->dim[1].dim_value = 4;
    s->shape.n_dim = 2;
    s->shape.dim = s->dims;
    s->tensor_type.has_elem_type = 1;
    s->tensor_type.elem_type = 1;
    s->tensor_type.shape = &s->shape;
    s->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    s->type.tensor_type = &s->tensor_type;
    s->input.name = (char *)(uintptr_t) "x";
    s->input.type = &s->type;
    s->output.name = (char *)(uintptr_t) "y";
    s->output.type = &s->type;
}

static struct small *small_new(void)
{
    struct small *s = NEW(struct small);
    onnx__model_proto__init(&s->model);
    onnx__graph_proto__init(&s->graph);
    onnx__operator_set_id_proto__init(&s->import);
    s->weight_dims[0] = 4;
    for (int i = 0; i < 4; i++)
        s->numbers[i] = (float)i + 0.5f;
    fill_node(s, 0, "Add", "x", "w", "y");
    fill_weight(s, 0);
    fill_values(s);
    s->import.has_version = 1;
    s->import.version = 13;
    s->imports[0] = &s->import;
    s->inputs[0] = &s->input;
    s->outputs[0] = &s->output;
    s->graph.n_node = s->graph.n_initializer = s->graph.n_input = s->graph.n_output = 1;
    s->graph.node = s->nodes;
    s->graph.initializer = s->weights;
    s->graph.input = s->inputs;
    s->graph.output = s->outputs;
    s->model.graph = &s->graph;
    s->model.n_opset_import = 1;
    s->model.opset_import = s->imports;
    return s;
}

/* Writes, frees and opens it. */
static struct model *open_small(struct small *s, struct error *error)
{
    size_t size = onnx__model_proto__get_packed_size(&s->model);
    uint8_t *bytes = memory_new(size);
    onnx__model_proto__pack(&s->model, bytes);
    assert_int_equal(file_write_atomically(file, bytes, size, error), 0);
    free(bytes);
    free(s);
    return model_open(file, error);
}

static void assert_refused(struct small *s, const char *part)
{
    struct error error = {0};
    struct model *model = open_small(s, &error);
    assert_null(model);
    assert_int_equal(error.kind, ERROR_INPUT);
    if (!strstr(error.text, part) || strncmp(error.text, file, strlen(file)) != 0)
        fail_msg("'%s' should name the file and say '%s'", error.text, part);
}

static void assert_opens_with_its_numbers(struct small *s)
{
    struct error error = {0};
    struct model *model = open_small(s, &error);
    if (!model)
        fail_msg("%s", error.text);
    const struct napm_model *view = model_view(model);
    for (uint32_t t = 0; t < view->tensor_count; t++)
        if (view->tensors[t]->data) {
            float numbers[4];
            assert_int_equal(view->tensors[t]->bytes, sizeof(numbers));
            memcpy(numbers, view->tensors[t]->data, sizeof(numbers));
            assert_true(numbers[0] == 0.5f && numbers[3] == 3.5f);
        }
    model_close(model);
}

/* ---- encodings */

static void an_open_batch_dimension_is_one(void **state)
{
    (void)state;
    struct error error = {0};
    struct model *model = open_small(small_new(), &error);
    assert_non_null(model);
    const struct napm_tensor *input = model_view(model)->tensors[model_view(model)->inputs[0]];
    assert_int_equal(input->rank, 2);
    assert_int_equal(input->dims[0], 1);
    assert_int_equal(input->dims[1], 4);
    model_close(model);
}

static void weights_are_read_from_typed_fields_and_from_raw_bytes(void **state)
{
    (void)state;
    assert_opens_with_its_numbers(small_new());
    struct small *s = small_new();
    s->weight[0].n_float_data = 0;
    s->weight[0].has_raw_data = 1;
    s->weight[0].raw_data.len = sizeof(s->numbers);
    s->weight[0].raw_data.data = (uint8_t *)s->numbers;
    assert_opens_with_its_numbers(s);
}

static struct small *small_external(const char *location, const char *offset, const char *length)
{
    static const char *const keys[] = {"location", "offset", "length"};
    const char *values[] = {location, offset, length};
    struct small *s = small_new();
    for (int i = 0; i < 3; i++) {
        onnx__string_string_entry_proto__init(&s->external[i]);
        s->external[i].key = (char *)(uintptr_t)keys[i];
        s->external[i].value = (char *)(uintptr_t)values[i];
        s->externals[i] = &s->external[i];
    }
    s->weight[0].n_float_data = 0;
    s->weight[0].has_data_location = 1;
    s->weight[0].data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    s->weight[0].n_external_data = 3;
    s->weight[0].external_data = s->externals;
    return s;
}

static void external_data_is_read_from_inside_the_folder_only(void **state)
{
    (void)state;
    const float numbers[] = {9, 0.5f, 1.5f, 2.5f, 3.5f};
    struct error error = {0};
    assert_int_equal(file_write_atomically(weights_file, numbers, sizeof(numbers), &error), 0);
    assert_opens_with_its_numbers(small_external("weights", "4", "16"));
    assert_refused(small_external("weights", "8", "16"), "beyond the end");
    assert_refused(small_external("weights", "4", "12"), "do not fit its shape");
    assert_refused(small_external("weights", "-4", "16"), "malformed");
    assert_refused(small_external("../test_onnx_read.absent", "0", "16"), "external data");
    assert_refused(small_external("/etc/passwd", "0", "16"), "outside the model's folder");
    assert_int_equal(unlink(weights_file), 0);
    assert_int_equal(symlink("/etc/passwd", weights_file), 0);
    assert_refused(small_external("weights", "0", "16"), "outside the model's folder");
}

static void constants_of_old_files_that_list_weights_as_inputs_are_no_inputs(void **state)
{
    (void)state;
    struct small *s = small_new();
    Onnx__ValueInfoProto weight = s->input;
    Onnx__ValueInfoProto *inputs[] = {&s->input, &weight};
    weight.name = (char *)(uintptr_t) "w";
    s->graph.n_input = 2;
    s->graph.input = inputs;
    struct error error = {0};
    struct model *model = open_small(s, &error);
    assert_non_null(model);
    assert_int_equal(model_view(model)->input_count, 1);
    model_close(model);
}

static void nodes_may_stand_in_any_order(void **state)
{
    (void)state;
    struct small *s = small_new();
    fill_node(s, 0, "Relu", "sum", NULL, "y");
    fill_node(s, 1, "Add", "x", "w", "sum");
    s->graph.n_node = 2;
    struct error error = {0};
    struct model *model = open_small(s, &error);
    assert_non_null(model);
    assert_string_equal(model_view(model)->operators[0]->type, "Add");
    model_close(model);
}

/* ---- wrong files */

static void an_unknown_operator_is_named_with_node_and_opset(void **state)
{
    (void)state;
    struct small *s = small_new();
    s->node[0].op_type = (char *)(uintptr_t) "Einsum";
    assert_refused(s, "node 'y' (Einsum, opset 13)");
    s = small_new();
    s->node[0].domain = (char *)(uintptr_t) "com.example";
    assert_refused(s, "com.example");
}

static void a_constant_that_says_tensor_but_has_none_is_refused(void **state)
{
    (void)state;
    struct small *s = small_new();
    Onnx__AttributeProto value = ONNX__ATTRIBUTE_PROTO__INIT, *attributes[] = {&value};
    value.name = (char *)(uintptr_t) "value";
    value.has_type = 1;
    value.type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
    fill_node(s, 1, "Constant", "", NULL, "c");
    s->node[1].n_input = 0;
    s->node[1].n_attribute = 1;
    s->node[1].attribute = attributes;
    s->graph.n_node = 2;
    assert_refused(s, "node 'c' (Constant, opset 13)");
}

static void an_opset_that_is_too_old_is_refused(void **state)
{
    (void)state;
    struct small *s = small_new();
    s->import.version = 6;
    assert_refused(s, "opset 6");
}

static void a_cycle_is_refused(void **state)
{
    (void)state;
    struct small *s = small_new();
    fill_node(s, 0, "Add", "x", "back", "y");
    fill_node(s, 1, "Relu", "y", NULL, "back");
    s->graph.n_node = 2;
    assert_refused(s, "cycle");
}

static void a_name_that_is_defined_twice_is_refused(void **state)
{
    (void)state;
    struct small *s = small_new();
    fill_node(s, 1, "Relu", "x", NULL, "y");
    s->graph.n_node = 2;
    assert_refused(s, "'y' is defined twice");
    s = small_new();
    fill_weight(s, 1);
    s->graph.n_initializer = 2;
    assert_refused(s, "'w' is defined twice");
}

static void a_tensor_that_nobody_makes_is_refused(void **state)
{
    (void)state;
    struct small *s = small_new();
    s->node_inputs[0][1] = (char *)(uintptr_t) "nowhere";
    assert_refused(s, "'nowhere'");
    s = small_new();
    s->output.name = (char *)(uintptr_t) "absent";
    assert_refused(s, "'absent'");
}

static void absurd_shapes_are_refused(void **state)
{
    (void)state;
    struct small *s = small_new();
    s->dim[1].dim_value = INT64_MAX;
    assert_refused(s, "absurd");
    s = small_new();
    s->weight_dims[0] = INT64_C(1) << 62;
    assert_refused(s, "absurd");
    s = small_new();
    s->weight_dims[0] = -4;
    assert_refused(s, "absurd");
    s = small_new();
    s->weight_dims[0] = 5;
    assert_refused(s, "does not fit its shape");
    s = small_new();
    s->dim[1].dim_value = 3;
    assert_refused(s, "broadcast");
}

static void an_input_of_open_size_or_another_type_is_refused(void **state)
{
    (void)state;
    struct small *s = small_new();
    s->dim[1] = s->dim[0];
    assert_refused(s, "dimension 1 is not fixed");
    s = small_new();
    s->tensor_type.elem_type = 10;
    assert_refused(s, "float16");
}

static void a_result_that_needs_no_input_is_refused(void **state)
{
    (void)state;
    struct small *s = small_new();
    s->node_inputs[0][0] = (char *)(uintptr_t) "w";
    assert_refused(s, "does not depend on any input");
}

static void files_that_are_no_models_are_refused(void **state)
{
    (void)state;
    struct error error = {0};
    assert_int_equal(file_write_atomically(file, "", 0, &error), 0);
    assert_null(model_open(file, &error));
    assert_non_null(strstr(error.text, "empty"));
    assert_int_equal(file_write_atomically(file, "This is a letter.\n", 18, &error), 0);
    assert_null(model_open(file, &error));
    assert_null(model_open(folder, &error));
    assert_null(model_open("/nonexistent/model.onnx", &error));
    assert_non_null(strstr(error.text, "/nonexistent/model.onnx"));
}

static void a_file_that_ends_early_is_refused_at_every_length(void **state)
{
    (void)state;
    struct error error = {0};
    struct net net = net_begin("short", 1, 4, 4);
    net_conv(&net, "conv", (struct net_conv){.outputs = 2, .kernel = 3, .bias = 1});
    net_flatten(&net, "flat");
    net_full(&net, "fc", 3);
    assert_int_equal(net_save(&net, 1, file, &error), 0);
    struct file_map map;
    assert_int_equal(file_map(file, &map, &error), 0);
    for (size_t length = 0; length < map.size; length++) {
        assert_int_equal(file_write_atomically(file, map.bytes, length, &error), 0);
        struct model *model = model_open(file, &error);
        assert_null(model);
    }
    file_unmap(&map);
}

/* Sequences of sequences of ...: protobuf-c would follow them down without a limit. */
static void a_deeply_nested_message_does_not_exhaust_the_stack(void **state)
{
    (void)state;
    size_t depth = 200000, size = 0, room = 16 * depth;
    uint8_t *bytes = memory_new(room), *at = bytes + room;
    for (size_t i = 0; i < depth; i++) { /* from the inside out: TypeProto.sequence_type, Sequence.elem_type */
        uint8_t head[8];
        size_t length = 0, rest = size;
        head[length++] = (uint8_t)((i % 2 ? 4 : 1) << 3 | 2);
        for (; rest >= 0x80; rest >>= 7)
            head[length++] = (uint8_t)(rest | 0x80);
        head[length++] = (uint8_t)rest;
        at -= length;
        memcpy(at, head, length);
        size += length;
    }
    struct small *s = small_new();
    s->graph.n_input = 0;
    size_t plain = onnx__model_proto__get_packed_size(&s->model);
    uint8_t *whole = memory_new(plain + size + 32);
    onnx__model_proto__pack(&s->model, whole);
    free(s);
    /* A second graph field: protobuf takes the last one. graph { input { type <nested> } } */
    uint8_t *end = whole + plain;
    size_t lengths[] = {size, 0, 0};
    for (int i = 1; i < 3; i++)
        lengths[i] = lengths[i - 1] + 6;
    const uint8_t tags[] = {7 << 3 | 2, 11 << 3 | 2, 2 << 3 | 2};
    for (int i = 0; i < 3; i++) {
        *end++ = tags[i];
        uint64_t length = lengths[2 - i];
        for (int k = 0; k < 4; k++, length >>= 7)
            *end++ = (uint8_t)((length & 0x7f) | 0x80);
        *end++ = (uint8_t)length;
    }
    memcpy(end, at, size);
    struct error error = {0};
    assert_int_equal(file_write_atomically(file, whole, (size_t)(end - whole) + size, &error), 0);
    assert_null(model_open(file, &error));
    assert_non_null(strstr(error.text, "corrupt"));
    free(bytes);
    free(whole);
}

/* A few hundred bytes that ask for a terabyte of constants. */
static void a_small_file_cannot_ask_for_much_memory(void **state)
{
    (void)state;
    const int64_t huge[] = {1 << 20, 1 << 18};
    struct error error = {0};
    struct net net = net_begin("bomb", 1, 4, 4);
    onnx_writer_integers(net.writer, "shape", 2, huge);
    onnx_writer_begin(net.writer, "ConstantOfShape", "zeros");
    onnx_writer_node_input(net.writer, "shape");
    onnx_writer_node_output(net.writer, "zeros");
    onnx_writer_end(net.writer);
    net_add(&net, "sum", &(struct net){.tensor = "zeros"});
    assert_int_equal(net_save(&net, 1, file, &error), 0);
    assert_null(model_open(file, &error));
    assert_non_null(strstr(error.text, "more than a model of this size should need"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_batch_dimension_is_one),
        cmocka_unit_test(weights_are_read_from_typed_fields_and_from_raw_bytes),
        cmocka_unit_test(external_data_is_read_from_inside_the_folder_only),
        cmocka_unit_test(constants_of_old_files_that_list_weights_as_inputs_are_no_inputs),
        cmocka_unit_test(nodes_may_stand_in_any_order),
        cmocka_unit_test(an_unknown_operator_is_named_with_node_and_opset),
        cmocka_unit_test(a_constant_that_says_tensor_but_has_none_is_refused),
        cmocka_unit_test(an_opset_that_is_too_old_is_refused),
        cmocka_unit_test(a_cycle_is_refused),
        cmocka_unit_test(a_name_that_is_defined_twice_is_refused),
        cmocka_unit_test(a_tensor_that_nobody_makes_is_refused),
        cmocka_unit_test(absurd_shapes_are_refused),
        cmocka_unit_test(an_input_of_open_size_or_another_type_is_refused),
        cmocka_unit_test(a_result_that_needs_no_input_is_refused),
        cmocka_unit_test(files_that_are_no_models_are_refused),
        cmocka_unit_test(a_file_that_ends_early_is_refused_at_every_length),
        cmocka_unit_test(a_deeply_nested_message_does_not_exhaust_the_stack),
        cmocka_unit_test(a_small_file_cannot_ask_for_much_memory),
    };
    return cmocka_run_group_tests_name("onnx_read", tests, make_folder, remove_folder) != 0;
}
