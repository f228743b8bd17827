/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results as tables: rows of typed cells, printed with units for people, or raw as CSV (RFC 4180) or JSON.
 */
#ifndef NAPM_CLI_TABLE_H
#define NAPM_CLI_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum table_kind {
    TABLE_TEXT, /* its end may give way on a narrow terminal */
    TABLE_EXACT, /* text that is always shown whole */
    TABLE_PATH, /* its beginning may give way */
    TABLE_PROSE, /* goes over several lines */
    TABLE_COUNT, /* whole numbers */
    TABLE_REAL,
    TABLE_DURATION, /* ns */
    TABLE_VARIANCE, /* ns squared */
    TABLE_SIZE, /* bytes */
    TABLE_RATE, /* bytes per second */
    TABLE_SHARE, /* 0.05 is 5.0 % */
    TABLE_FLOPS,
    TABLE_ENERGY, /* joules */
};

static inline bool table_is_text(enum table_kind kind)
{
    return kind <= TABLE_PROSE;
}

struct table_column {
    const char *key; /* in CSV and JSON, with the unit: "mean_delay_ns" */
    const char *title; /* for people */
    enum table_kind kind;
};

struct table;

/* The columns stay valid and unchanged as long as the table. */
struct table *table_new(const struct table_column *columns, size_t column_count);
void table_free(struct table *table);

/* Begins a row; then one call for each cell, in order. */
void table_row(struct table *table);
void table_text(struct table *table, const char *text); /* copied; NULL: nothing there */
void table_number(struct table *table, double number); /* NAN: nothing there */
void table_nothing(struct table *table);

/* Puts a rule before the row begun next. */
void table_rule(struct table *table);

/*
 * Where the table must be split for a narrow terminal, a block begins with the column of that key; each block repeats
 * the first `keys` columns. Without this call only the first column is repeated.
 */
void table_split(struct table *table, size_t keys, const char *key);

/*
 * `indent` spaces before each line. On a terminal the table is made to fit: titles and prose are wrapped, long texts
 * shortened, and where that is not enough the columns are put in blocks one below the other; no number is ever lost.
 */
void table_print(const struct table *table, FILE *file, int indent);
void table_csv(const struct table *table, FILE *file);
json_t *table_json(const struct table *table); /* an array of objects; the caller's */

/* One table as "table", "json" (an array) or "csv" on standard output. */
void table_put(const struct table *table, const char *format);

/* As other programs get it: nanoseconds, bytes and operations are whole numbers. */
double table_raw_number(enum table_kind kind, double number);

/* A document on standard output; takes the reference. */
void table_put_json(json_t *document);

/* A number for people, as a cell of that kind shows it. */
#define TABLE_CELL_BYTES 48
const char *table_format_number(char buffer[TABLE_CELL_BYTES], enum table_kind kind, double number);

/* Columns that a terminal needs to show the text (UTF-8). */
size_t table_width(const char *text);

/* The width that tables are made to fit, in place of the terminal's. 0: any. */
void table_set_columns(size_t columns);

/* Bold and colour: by default where standard output is a terminal and NO_COLOR is not set. */
void table_set_color(bool on);
enum table_style { STYLE_BOLD, STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_DIM, STYLE_PLAIN };
const char *table_style(enum table_style style); /* the escape sequence, or "" */

#endif
