/* SPDX-License-Identifier: Apache-2.0 */
/* Reading start times from a CSV file. */
#include "trace_csv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_SHOWN 40 /* bytes of the file's own text in a message */

struct reader {
    const struct trace_csv_format *format;
    const char *at, *end;
    size_t line;
    char *error;
};

/* Part of the text; within quotes where `quoted`. */
struct field {
    const char *start, *end;
    int quoted;
};

static int fail(const struct reader *reader, const char *message, ...) __attribute__((format(printf, 2, 3)));

static int fail(const struct reader *reader, const char *message, ...)
{
    int used = snprintf(reader->error, TRACE_CSV_ERROR_BYTES, "%s:%zu: ", reader->format->file, reader->line);
    size_t start = used > 0 && used < TRACE_CSV_ERROR_BYTES ? (size_t)used : 0;
    va_list arguments;
    va_start(arguments, message);
    vsnprintf(reader->error + start, TRACE_CSV_ERROR_BYTES - start, message, arguments);
    va_end(arguments);
    return -1;
}

/* A field's text for a message: short, and harmless on a terminal. */
static const char *shown(const struct field *field, char buffer[LONGEST_SHOWN + 4])
{
    size_t length = (size_t)(field->end - field->start), kept = length < LONGEST_SHOWN ? length : LONGEST_SHOWN;
    for (size_t i = 0; i < kept; i++)
        buffer[i] = field->start[i] >= ' ' && field->start[i] <= '~' ? field->start[i] : '?';
    strcpy(buffer + kept, kept < length ? "..." : "");
    return buffer;
}

/* ---- lines and fields */

/* Where the line's end starts (LF, CR LF or the end of the text). */
static int at_line_end(const struct reader *reader)
{
    return reader->at == reader->end || *reader->at == '\n' ||
           (*reader->at == '\r' && reader->end - reader->at > 1 && reader->at[1] == '\n');
}

static void pass_line_end(struct reader *reader)
{
    if (reader->at < reader->end && *reader->at == '\r')
        reader->at++;
    if (reader->at < reader->end)
        reader->at++;
    reader->line++;
}

static int read_quoted(struct reader *reader, struct field *field)
{
    field->quoted = 1;
    field->start = ++reader->at;
    for (; reader->at < reader->end && *reader->at != '\n'; reader->at++) {
        if (*reader->at != '"')
            continue;
        if (reader->end - reader->at > 1 && reader->at[1] == '"') {
            reader->at++;
            continue;
        }
        field->end = reader->at++;
        if (!at_line_end(reader) && *reader->at != ',')
            return fail(reader, "text follows a closing quote; put the whole field into quotes, and write \"\" for a "
                                "quote in it");
        return 0;
    }
    return fail(reader, "a quoted field is not closed on its line; close it with \"");
}

static int read_plain(struct reader *reader, struct field *field)
{
    field->quoted = 0;
    field->start = reader->at;
    for (; !at_line_end(reader) && *reader->at != ','; reader->at++) {
        if (*reader->at == '"')
            return fail(reader, "a quote stands within an unquoted field; put the whole field into quotes, and write "
                                "\"\" for a quote in it");
        if (*reader->at == '\0' || *reader->at == '\r')
            return fail(reader, "there is a control character; the file must be CSV text with lines that end in LF or "
                                "CR LF");
    }
    field->end = reader->at;
    return 0;
}

/* Passes the blanks around a value that is not quoted. */
static void trim(struct field *field)
{
    while (!field->quoted && field->start < field->end && (*field->start == ' ' || *field->start == '\t'))
        field->start++;
    while (!field->quoted && field->start < field->end && (field->end[-1] == ' ' || field->end[-1] == '\t'))
        field->end--;
}

/*
 * Reads one line to its end, not past it. Stores the number of fields, and in *wanted the field numbered `index` (or,
 * where `name` is not NULL, the field that says `name`, and its number in *index; SIZE_MAX where there is none).
 */
static int read_line(struct reader *reader, const char *name, size_t *index, struct field *wanted, size_t *count)
{
    size_t name_length = name ? strlen(name) : 0;
    if (name)
        *index = SIZE_MAX;
    for (*count = 0;; reader->at++) { /* passes the comma */
        struct field field;
        if (reader->at < reader->end && *reader->at == '"' ? read_quoted(reader, &field) : read_plain(reader, &field))
            return -1;
        trim(&field);
        if (name && (size_t)(field.end - field.start) == name_length && memcmp(field.start, name, name_length) == 0) {
            if (*index != SIZE_MAX)
                return fail(reader, "there are two columns named '%s'; rename one", name);
            *index = *count;
        }
        if (*index == *count)
            *wanted = field;
        ++*count;
        if (at_line_end(reader))
            return 0;
    }
}

/* ---- times */

/* A decimal number, digits * 10^exponent, as written in a field. */
struct decimal {
    uint64_t digits;
    int exponent;
};

#define MOST_EXPONENT 1000

static int is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

/* Digits beyond the 19 or 20 that fit change nothing that a nanosecond could show. */
static void add_digit(struct decimal *number, char digit, int after_point)
{
    if (number->digits <= (UINT64_MAX - 9) / 10) {
        number->digits = number->digits * 10 + (uint64_t)(digit - '0');
        number->exponent -= after_point;
    } else if (!after_point && number->exponent < MOST_EXPONENT) {
        number->exponent++;
    }
}

static int read_decimal(const struct field *field, struct decimal *number)
{
    const char *at = field->start, *end = field->end;
    int written = 0;
    *number = (struct decimal){0, 0};
    if (at < end && *at == '+')
        at++;
    for (; is_digit(at, end); at++, written = 1)
        add_digit(number, *at, 0);
    if (at < end && *at == '.')
        for (at++; is_digit(at, end); at++, written = 1)
            add_digit(number, *at, 1);
    if (written && at < end && (*at == 'e' || *at == 'E')) {
        int negative = at + 1 < end && at[1] == '-', exponent = 0;
        at += 1 + (at + 1 < end && (at[1] == '-' || at[1] == '+'));
        written = is_digit(at, end);
        for (; is_digit(at, end); at++)
            exponent = exponent < MOST_EXPONENT ? exponent * 10 + (*at - '0') : exponent;
        number->exponent += negative ? -exponent : exponent;
    }
    return written && at == end ? 0 : -1;
}

/* The number as ns, rounded to the nearest; -1 where it does not fit. */
static int64_t decimal_to_ns(struct decimal number, int unit_exponent)
{
    int exponent = number.exponent + unit_exponent;
    uint64_t value = number.digits, rest = 0;
    if (value == 0)
        return 0;
    for (; exponent > 0; exponent--)
        if (__builtin_mul_overflow(value, 10, &value) || value > INT64_MAX)
            return -1;
    for (; exponent < 0 && (value > 0 || rest > 0); exponent++) {
        rest = value % 10;
        value /= 10;
    }
    return value < INT64_MAX ? (int64_t)(value + (rest >= 5)) : -1;
}

static int read_time(const struct reader *reader, const struct field *field, int64_t last_ns, int64_t *time_ns)
{
    char text[LONGEST_SHOWN + 4];
    struct decimal number;
    if (field->start == field->end)
        return fail(reader, "the start time is missing; write a number, or remove the line");
    if (*field->start == '-')
        return fail(reader, "the start time '%s' is negative; times count from the start of the stream",
                    shown(field, text));
    if (read_decimal(field, &number))
        return fail(reader, "'%s' is no start time; write a plain number such as 1.25 (its unit is the option 'unit')",
                    shown(field, text));
    *time_ns = decimal_to_ns(number, reader->format->unit_exponent);
    if (*time_ns < 0)
        return fail(reader, "the start time '%s' is beyond 292 years; check the option 'unit'", shown(field, text));
    if (*time_ns < last_ns)
        return fail(reader, "the start time '%s' is before that of the line above; sort the file by time",
                    shown(field, text));
    return 0;
}

/* ---- the whole */

static int read_header(struct reader *reader, size_t *column, size_t *columns)
{
    const char *name = reader->format->column;
    struct field field;
    struct decimal number;
    if (reader->end - reader->at >= 3 && memcmp(reader->at, "\xef\xbb\xbf", 3) == 0)
        reader->at += 3;
    if (reader->at == reader->end)
        return fail(reader, "the file is empty; write a line with the columns' names, then one line for each start");
    *column = 0;
    if (read_line(reader, *name ? name : NULL, column, &field, columns))
        return -1;
    if (*column == SIZE_MAX)
        return fail(reader, "there is no column named '%s' in the first line; name one that is there", name);
    if (read_decimal(&field, &number) == 0)
        return fail(reader, "the first line holds a number; it must hold the columns' names, such as start");
    pass_line_end(reader);
    return 0;
}

/* Whether nothing but line ends follows. */
static int only_line_ends_follow(const struct reader *reader)
{
    for (const char *at = reader->at; at < reader->end; at++)
        if (*at != '\n' && *at != '\r')
            return 0;
    return 1;
}

static int append(int64_t **times_ns, size_t *count, size_t *room, int64_t time_ns)
{
    if (*count == *room) {
        *room = *room ? *room * 2 : 1024;
        int64_t *longer = realloc(*times_ns, *room * sizeof(*longer));
        if (!longer)
            return -1;
        *times_ns = longer;
    }
    (*times_ns)[(*count)++] = time_ns;
    return 0;
}

static int read_rows(struct reader *reader, size_t column, size_t columns, int64_t **times_ns, size_t *count)
{
    size_t room = 0;
    int64_t time_ns = 0;
    while (reader->at < reader->end) {
        struct field field = {0};
        size_t fields;
        if (at_line_end(reader)) {
            if (only_line_ends_follow(reader))
                return 0;
            return fail(reader, "the line is empty; remove it");
        }
        if (read_line(reader, NULL, &column, &field, &fields))
            return -1;
        if (fields != columns)
            return fail(reader, "the line has %zu fields where the first line has %zu; give every line as many", fields,
                        columns);
        if (read_time(reader, &field, time_ns, &time_ns))
            return -1;
        if (append(times_ns, count, &room, time_ns))
            return fail(reader, "out of memory: the trace is too long for this machine");
        pass_line_end(reader);
    }
    return 0;
}

int trace_csv_read(const char *text, size_t length, const struct trace_csv_format *format, int64_t **times_ns,
                   size_t *count, char error[TRACE_CSV_ERROR_BYTES])
{
    struct reader reader = {format, text, text + length, 1, error};
    size_t column, columns;
    *times_ns = NULL;
    *count = 0;
    int failed = read_header(&reader, &column, &columns) || read_rows(&reader, column, columns, times_ns, count);
    if (!failed && *count == 0)
        failed = fail(&reader, "there are no start times; write one line for each start below the columns' names");
    if (failed) {
        free(*times_ns);
        *times_ns = NULL;
        *count = 0;
        return -1;
    }
    return 0;
}
