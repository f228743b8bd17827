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
#include "core/report/numbers.h"

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

/* A table with everything that may have to give way. */
static const struct table_column wide_columns[] = {{"plugin", "plugin", TABLE_TEXT},
                                                   {"seed", "seed", TABLE_EXACT},
                                                   {"file", "file", TABLE_PATH},
                                                   {"delay_ns", "mean delay", TABLE_DURATION},
                                                   {"bytes", "size of the cut", TABLE_SIZE},
                                                   {"help", "what it does", TABLE_PROSE}};

static char *wide_table(size_t room, size_t keys, const char *split_key)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    struct table *table = table_new(wide_columns, 6);
    table_split(table, keys, split_key);
    for (int i = 0; i < 2; i++) {
        table_row(table);
        table_text(table, i ? "fifo" : "a-partitioner-with-a-name");
        table_text(table, "18446744073709551615");
        table_text(table, "/usr/lib/napm/plugins/somewhere/far/away/x.so");
        table_number(table, 1.5e6);
        table_number(table, 65536);
        table_text(table, "cuts every stream where it is best as if that were alone");
    }
    table_set_color(false);
    table_set_columns(room);
    table_print(table, file, 2);
    table_set_columns(0);
    fclose(file);
    table_free(table);
    return text;
}

static size_t widest_line(char *text)
{
    size_t widest = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
        widest = table_width(line) > widest ? table_width(line) : widest;
    return widest;
}

static int occurrences(const char *text, const char *word)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        count++;
    return count;
}

static void a_table_fits_every_terminal_and_loses_no_number(void **state)
{
    (void)state;
    for (size_t room = 48; room <= 240; room++) {
        char *text = wide_table(room, 1, "delay_ns");
        assert_int_equal(occurrences(text, "18446744073709551615"), 2);
        assert_int_equal(occurrences(text, "1.50 ms"), 2);
        assert_int_equal(occurrences(text, "64.0 KiB"), 2);
        assert_int_equal(occurrences(text, "/x.so"), 2);
        assert_in_range(widest_line(text), 1, room);
        free(text);
    }
}

static void in_a_pipe_a_table_is_as_wide_as_it_is(void **state)
{
    (void)state;
    char *text = wide_table(0, 1, "delay_ns");
    assert_int_equal(occurrences(text, "\n"), 3);
    assert_int_equal(occurrences(text, "/usr/lib/napm/plugins/somewhere/far/away/x.so"), 2);
    assert_int_equal(occurrences(text, "a-partitioner-with-a-name"), 1);
    free(text);
}

static void titles_and_prose_wrap_and_paths_lose_their_beginning(void **state)
{
    (void)state;
    char *text = wide_table(110, 1, "delay_ns");
    assert_int_equal(occurrences(text, "plugin  "), 1); /* one block */
    assert_int_equal(occurrences(text, " a-partitioner-with\342\200\246 "), 1);
    assert_int_equal(occurrences(text, " \342\200\246/far/away/x.so "), 2);
    assert_int_equal(occurrences(text, " cuts every stream where\n"), 2);
    assert_int_equal(occurrences(text, " were alone\n"), 2);
    free(text);
}

static void blocks_repeat_the_keys_and_begin_where_they_are_told(void **state)
{
    (void)state;
    char *text = wide_table(100, 2, "delay_ns");
    const char *second = strstr(text, "\n\n");
    assert_non_null(second);
    assert_true(strstr(text, "file") < second);
    assert_true(strstr(text, "1.50 ms") > second && strstr(text, "were alone") > second);
    assert_int_equal(occurrences(text, "  plugin "), 2);
    assert_int_equal(occurrences(text, "18446744073709551615"), 4);
    free(text);
}

static void numbers_for_programs_have_no_noise(void **state)
{
    (void)state;
    static const struct table_column kinds[] = {
        {"share", "share", TABLE_SHARE}, {"ns", "ns", TABLE_DURATION}, {"rate", "rate", TABLE_RATE}};
    char *csv = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&csv, &size);
    struct table *table = table_new(kinds, 3);
    table_row(table);
    table_number(table, 0.1);
    table_number(table, 1234567.8);
    table_number(table, 0.1 + 0.2);
    table_csv(table, file);
    fclose(file);
    assert_string_equal(csv, "share,ns,rate\r\n0.1,1234568,0.3\r\n");
    json_t *rows = table_json(table);
    char *json = json_dumps(rows, JSON_COMPACT | REPORT_JSON_FLAGS);
    assert_string_equal(json, "[{\"share\":0.1,\"ns\":1234568,\"rate\":0.3}]");
    free(json);
    json_decref(rows);
    table_free(table);
    free(csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up_whatever_the_letters),
        cmocka_unit_test(csv_is_quoted_and_raw),
        cmocka_unit_test(json_has_numbers_and_nulls),
        cmocka_unit_test(a_row_begun_early_is_filled),
        cmocka_unit_test(widths_are_those_of_a_terminal),
        cmocka_unit_test(a_table_fits_every_terminal_and_loses_no_number),
        cmocka_unit_test(in_a_pipe_a_table_is_as_wide_as_it_is),
        cmocka_unit_test(titles_and_prose_wrap_and_paths_lose_their_beginning),
        cmocka_unit_test(blocks_repeat_the_keys_and_begin_where_they_are_told),
        cmocka_unit_test(numbers_for_programs_have_no_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
