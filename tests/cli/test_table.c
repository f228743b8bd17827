/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: widths, units, CSV as RFC 4180 says, JSON. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/cli/table.h"

static const struct table_column columns[] = {
    {"name", "name", TABLE_TEXT}, {"time_ns", "time", TABLE_DURATION}, {"bytes", "size", TABLE_SIZE}};

static struct table *example(void)
{
    struct table *table = table_new(columns, 3);
    table_row(table);
    table_text(table, "a \"b\", c");
    table_number(table, 1.5e6);
    table_number(table, 65536);
    table_row(table);
    table_text(table, "\303\251t\303\251"); /* two letters with accents */
    table_number(table, NAN);
    table_number(table, INFINITY);
    return table;
}

static void expect_text(void (*print)(const struct table *table, FILE *file), const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    struct table *table = example();
    table_set_color(false);
    print(table, file);
    fclose(file);
    assert_string_equal(text, expected);
    free(text);
    table_free(table);
}

static void print_plain(const struct table *table, FILE *file)
{
    table_print(table, file, 1);
}

static void columns_line_up_whatever_the_letters(void **state)
{
    (void)state;
    expect_text(print_plain, " name         time      size\n"
                             " a \"b\", c  1.50 ms  64.0 KiB\n"
                             " \303\251t\303\251             -     never\n");
}

static void csv_is_quoted_and_raw(void **state)
{
    (void)state;
    expect_text(table_csv, "name,time_ns,bytes\r\n"
                           "\"a \"\"b\"\", c\",1500000,65536\r\n"
                           "\303\251t\303\251,,inf\r\n");
}

static void json_has_numbers_and_nulls(void **state)
{
    (void)state;
    struct table *table = example();
    json_t *rows = table_json(table);
    assert_int_equal(json_array_size(rows), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 0), "time_ns")), 1500000);
    assert_true(json_is_null(json_object_get(json_array_get(rows, 1), "time_ns")));
    assert_true(json_is_null(json_object_get(json_array_get(rows, 1), "bytes")));
    json_decref(rows);
    table_free(table);
}

static void a_row_begun_early_is_filled(void **state)
{
    (void)state;
    struct table *table = table_new(columns, 3);
    table_row(table);
    table_text(table, "x");
    table_row(table);
    table_text(table, "y");
    table_row(table);
    json_t *rows = table_json(table);
    assert_int_equal(json_array_size(rows), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "name")), "y");
    json_decref(rows);
    table_free(table);
}

static void widths_are_those_of_a_terminal(void **state)
{
    (void)state;
    assert_int_equal(table_width("abc"), 3);
    assert_int_equal(table_width("\303\251"), 1);
    assert_int_equal(table_width("e\314\201"), 1); /* e and a combining accent */
    assert_int_equal(table_width("\346\227\245\346\234\254"), 4); /* two wide signs */
    assert_int_equal(table_width("\xff\xfe"), 2); /* no UTF-8 */
    assert_int_equal(table_width("\xe6\x97"), 2); /* cut off */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up_whatever_the_letters), cmocka_unit_test(csv_is_quoted_and_raw),
        cmocka_unit_test(json_has_numbers_and_nulls),           cmocka_unit_test(a_row_begun_early_is_filled),
        cmocka_unit_test(widths_are_those_of_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
