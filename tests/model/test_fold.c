/* SPDX-License-Identifier: Apache-2.0 */
/* Constant folding: each case is a small graph whose constant part is compared with numbers worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/model/model.h"
#include "models/net.h"

static char file[] = "test_fold.XXXXXX";
static struct net net;

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

static void begin(void)
{
    net = net_begin("fold", 1, 1, 1);
}

#define LIST(name, ...)                                                                                                \
    onnx_writer_integers(net.writer, name, sizeof((int64_t[]){__VA_ARGS__}) / 8, (const int64_t[]){__VA_ARGS__})

/* A node that is left open for attributes. */
static void node(const char *type, const char *name, const char *a, const char *b, const char *c, const char *d)
{
    const char *inputs[] = {a, b, c, d};
    onnx_writer_begin(net.writer, type, name);
    for (int i = 0; i < 4 && inputs[i]; i++)
        onnx_writer_node_input(net.writer, inputs[i]);
    onnx_writer_node_output(net.writer, name);
}

static void plain(const char *type, const char *name, const char *a, const char *b, const char *c)
{
    node(type, name, a, b, c, NULL);
    onnx_writer_end(net.writer);
}

static void with_integer(const char *attribute, int64_t value)
{
    onnx_writer_node_integer(net.writer, attribute, value);
    onnx_writer_end(net.writer);
}

/* The constant `value`, cast to float and added to the input, has these numbers in the model. */
static void assert_numbers(const char *value, uint32_t count, const float *expected)
{
    struct error error = {0};
    node("Cast", "as_float", value, NULL, NULL, NULL);
    with_integer("to", NAPM_F32);
    plain("Add", "sum", "input", "as_float", NULL);
    snprintf(net.tensor, sizeof(net.tensor), "sum");
    assert_int_equal(net_save(&net, 1, file, &error), 0);
    struct model *model = model_open(file, &error);
    if (!model)
        fail_msg("%s", error.text);
    const struct napm_model *view = model_view(model);
    assert_int_equal(view->operator_count, 1);
    const struct napm_tensor *folded = view->tensors[view->operators[0]->inputs[1]];
    assert_int_equal(folded->bytes, count * sizeof(float));
    for (uint32_t i = 0; i < count; i++) {
        float number;
        memcpy(&number, (const uint8_t *)folded->data + i * sizeof(number), sizeof(number));
        if (number != expected[i])
            fail_msg("number %u is %g, not %g", i, (double)number, (double)expected[i]);
    }
    model_close(model);
}

#define ASSERT_NUMBERS(value, ...)                                                                                     \
    assert_numbers(value, sizeof((float[]){__VA_ARGS__}) / sizeof(float), (const float[]){__VA_ARGS__})

static void shape_and_size_of_a_tensor_are_known(void **state)
{
    (void)state;
    begin();
    LIST("two", 2);
    LIST("other", 3, 5);
    plain("ConstantOfShape", "zeros", "other", NULL, NULL);
    plain("Shape", "shape", "zeros", NULL, NULL);
    plain("Size", "size", "zeros", NULL, NULL);
    plain("Mul", "scaled", "shape", "size", NULL);
    plain("Add", "result", "scaled", "two", NULL);
    ASSERT_NUMBERS("result", 47, 77);
}

static void integers_divide_towards_zero(void **state)
{
    (void)state;
    begin();
    LIST("a", 7, -7, 9);
    LIST("b", 2, 2, -1);
    plain("Div", "result", "a", "b", NULL);
    ASSERT_NUMBERS("result", 3, -3, -9);
}

static void a_division_by_zero_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    begin();
    LIST("a", 7);
    LIST("b", 0);
    plain("Div", "quotient", "a", "b", NULL);
    plain("Add", "sum", "input", "quotient", NULL);
    snprintf(net.tensor, sizeof(net.tensor), "sum");
    assert_int_equal(net_save(&net, 1, file, &error), 0);
    assert_null(model_open(file, &error));
    assert_non_null(strstr(error.text, "node 'quotient' (Div, opset 13): divides constants by zero"));
}

static void slices_step_and_count_from_the_end(void **state)
{
    (void)state;
    static const struct {
        int64_t start, end, step;
        uint32_t count;
        float expected[6];
    } cases[] = {
        {1, 4, 1, 3, {1, 2, 3}},      {-2, 100, 1, 2, {4, 5}},
        {5, -100, -2, 3, {5, 3, 1}},  {-1, INT64_MIN, -1, 6, {5, 4, 3, 2, 1, 0}},
        {0, INT64_MAX, 4, 2, {0, 4}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        begin();
        LIST("data", 0, 1, 2, 3, 4, 5);
        LIST("start", cases[i].start);
        LIST("end", cases[i].end);
        LIST("axis", 0);
        LIST("step", cases[i].step);
        onnx_writer_begin(net.writer, "Slice", "result");
        onnx_writer_node_input(net.writer, "data");
        onnx_writer_node_input(net.writer, "start");
        onnx_writer_node_input(net.writer, "end");
        onnx_writer_node_input(net.writer, "axis");
        onnx_writer_node_input(net.writer, "step");
        onnx_writer_node_output(net.writer, "result");
        onnx_writer_end(net.writer);
        assert_numbers("result", cases[i].count, cases[i].expected);
    }
}

static void gather_takes_from_either_end(void **state)
{
    (void)state;
    begin();
    LIST("data", 10, 20, 30);
    LIST("indices", -1, 0, 1);
    plain("Gather", "result", "data", "indices", NULL);
    ASSERT_NUMBERS("result", 30, 10, 20);
}

static void rows_are_joined_turned_and_gathered_by_axis(void **state)
{
    (void)state;
    begin();
    LIST("data", 1, 2, 3, 4, 5, 6);
    LIST("shape", 2, 3);
    LIST("last", 2);
    plain("Reshape", "matrix", "data", "shape", NULL); /* 1 2 3 / 4 5 6 */
    node("Transpose", "turned", "matrix", NULL, NULL, NULL); /* 1 4 / 2 5 / 3 6 */
    onnx_writer_node_integers(net.writer, "perm", 2, (const int64_t[]){1, 0});
    onnx_writer_end(net.writer);
    node("Concat", "wide", "turned", "turned", NULL, NULL); /* 1 4 1 4 / 2 5 2 5 / 3 6 3 6 */
    with_integer("axis", 1);
    node("Gather", "result", "wide", "last", NULL, NULL);
    with_integer("axis", -1);
    ASSERT_NUMBERS("result", 1, 2, 3);
}

static void comparison_and_choice_follow_broadcasting(void **state)
{
    (void)state;
    begin();
    LIST("row", 1, -1, 2);
    LIST("minus", -1);
    LIST("shape", 2, 1);
    LIST("two", 50, 60);
    plain("Reshape", "column", "two", "shape", NULL);
    plain("Equal", "is_open", "row", "minus", NULL);
    plain("Where", "result", "is_open", "column", "row");
    ASSERT_NUMBERS("result", 1, 50, 2, 1, 60, 2);
}

static void expand_repeats(void **state)
{
    (void)state;
    begin();
    LIST("data", 3, 4);
    LIST("shape", 2, 2);
    plain("Expand", "result", "data", "shape", NULL);
    ASSERT_NUMBERS("result", 3, 4, 3, 4);
}

static void a_range_stops_before_its_limit(void **state)
{
    (void)state;
    begin();
    LIST("ten", 10);
    LIST("four", 4);
    LIST("minus", -3);
    LIST("zero", 0);
    plain("Squeeze", "start", "ten", "zero", NULL);
    plain("Squeeze", "limit", "four", "zero", NULL);
    plain("Squeeze", "delta", "minus", "zero", NULL);
    plain("Range", "result", "start", "limit", "delta");
    ASSERT_NUMBERS("result", 10, 7);
}

static void casts_cut_towards_zero(void **state)
{
    (void)state;
    begin();
    LIST("seven", 7, -7);
    LIST("two", 2);
    node("Cast", "a", "seven", NULL, NULL, NULL);
    with_integer("to", NAPM_F32);
    node("Cast", "b", "two", NULL, NULL, NULL);
    with_integer("to", NAPM_F32);
    plain("Div", "halves", "a", "b", NULL); /* 3.5, -3.5 */
    plain("Floor", "floors", "halves", NULL, NULL);
    node("Cast", "cut", "halves", NULL, NULL, NULL);
    with_integer("to", NAPM_I64);
    node("Cast", "whole", "floors", NULL, NULL, NULL);
    with_integer("to", NAPM_I64);
    node("Concat", "result", "cut", "whole", NULL, NULL);
    with_integer("axis", 0);
    ASSERT_NUMBERS("result", 3, -3, 3, -4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_and_size_of_a_tensor_are_known),
        cmocka_unit_test(integers_divide_towards_zero),
        cmocka_unit_test(a_division_by_zero_is_refused),
        cmocka_unit_test(slices_step_and_count_from_the_end),
        cmocka_unit_test(gather_takes_from_either_end),
        cmocka_unit_test(rows_are_joined_turned_and_gathered_by_axis),
        cmocka_unit_test(comparison_and_choice_follow_broadcasting),
        cmocka_unit_test(expand_repeats),
        cmocka_unit_test(a_range_stops_before_its_limit),
        cmocka_unit_test(casts_cut_towards_zero),
    };
    return cmocka_run_group_tests_name("fold", tests, make_file, remove_file) != 0;
}
