/* SPDX-License-Identifier: Apache-2.0 */
/* Results as tables: for people, CSV, JSON. */
#include "core/cli/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/units.h"

struct cell {
    char *text; /* of text columns, or NULL */
    double number; /* of the others */
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    ARRAY_OF(struct cell) cells; /* row by row */
    ARRAY_OF(size_t) rules; /* rows that a rule stands before */
};

struct table *table_new(const struct table_column *columns, size_t column_count)
{
    struct table *table = NEW(struct table);
    table->columns = columns;
    table->column_count = column_count;
    return table;
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->cells.count; i++)
        free(table->cells.items[i].text);
    ARRAY_FREE(&table->cells);
    ARRAY_FREE(&table->rules);
    free(table);
}

static size_t row_count(const struct table *table)
{
    return table->cells.count / table->column_count;
}

/* A row that was begun before must be full: what is missing in it is filled with nothing. */
void table_row(struct table *table)
{
    while (table->cells.count % table->column_count != 0)
        table_nothing(table);
}

void table_text(struct table *table, const char *text)
{
    *ARRAY_ADD(&table->cells) = (struct cell){text_copy(text), NAN};
}

void table_number(struct table *table, double number)
{
    *ARRAY_ADD(&table->cells) = (struct cell){NULL, number};
}

void table_nothing(struct table *table)
{
    table_number(table, NAN);
}

void table_rule(struct table *table)
{
    table_row(table);
    *ARRAY_ADD(&table->rules) = row_count(table);
}

/* ---- numbers for people ---- */

static const char *format_flops(char buffer[TABLE_CELL_BYTES], double flops)
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    size_t unit = 0;
    while (flops >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        flops /= 1000;
        unit++;
    }
    snprintf(buffer, TABLE_CELL_BYTES, unit && flops < 100 ? "%.3g%s" : "%.0f%s", flops, units[unit]);
    return buffer;
}

static const char *format_variance(char buffer[TABLE_CELL_BYTES], double ns2)
{
    snprintf(buffer, TABLE_CELL_BYTES, "%.3g ms\302\262", ns2 / 1e12);
    return buffer;
}

const char *table_format_number(char buffer[TABLE_CELL_BYTES], enum table_kind kind, double number)
{
    if (isnan(number))
        return "-";
    if (isinf(number))
        return "never";
    switch (kind) {
    case TABLE_DURATION:
        return units_format_duration(buffer, number);
    case TABLE_VARIANCE:
        return format_variance(buffer, number);
    case TABLE_SIZE:
        return units_format_size(buffer, number);
    case TABLE_RATE:
        return units_format_rate(buffer, number);
    case TABLE_FLOPS:
        return format_flops(buffer, number);
    case TABLE_SHARE:
        snprintf(buffer, TABLE_CELL_BYTES, "%.1f %%", 100 * number);
        return buffer;
    case TABLE_REAL:
        snprintf(buffer, TABLE_CELL_BYTES, "%.3g", number);
        return buffer;
    default:
        snprintf(buffer, TABLE_CELL_BYTES, "%.0f", number);
        return buffer;
    }
}

static const char *cell_for_people(const struct table *table, size_t row, size_t column, char buffer[TABLE_CELL_BYTES])
{
    const struct cell *cell = &table->cells.items[row * table->column_count + column];
    if (table->columns[column].kind == TABLE_TEXT)
        return cell->text ? cell->text : "-";
    return table_format_number(buffer, table->columns[column].kind, cell->number);
}

/* ---- width ---- */

/* One character of UTF-8; a byte that is none counts as one character. Returns its length. */
static size_t next_character(const char *text, uint32_t *code)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc0 ? 2 : 1;
    *code = length == 1 ? at[0] : at[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 1;
        *code = *code << 6 | (at[i] & 0x3fu);
    }
    return length;
}

static size_t width_of_character(uint32_t code)
{
    if ((code >= 0x300 && code <= 0x36f) || (code >= 0x200b && code <= 0x200f) || code == 0xfeff)
        return 0; /* combining marks, zero-width signs */
    if ((code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
        (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
        (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) ||
        (code >= 0x1f300 && code <= 0x1faff) || (code >= 0x20000 && code <= 0x3fffd))
        return 2; /* East Asian wide, emoji */
    return 1;
}

size_t table_width(const char *text)
{
    size_t width = 0;
    while (*text) {
        uint32_t code;
        text += next_character(text, &code);
        width += width_of_character(code);
    }
    return width;
}

/* ---- for people ---- */

static void put_padded(FILE *file, const char *text, size_t width, bool right)
{
    size_t own = table_width(text);
    int gap = own < width ? (int)(width - own) : 0;
    if (right)
        fprintf(file, "%*s%s", gap, "", text);
    else
        fprintf(file, "%s%*s", text, gap, "");
}

static size_t *column_widths(const struct table *table)
{
    size_t *widths = NEW_ARRAY(size_t, table->column_count);
    char buffer[TABLE_CELL_BYTES];
    for (size_t column = 0; column < table->column_count; column++) {
        widths[column] = table_width(table->columns[column].title);
        for (size_t row = 0; row < row_count(table); row++) {
            size_t width = table_width(cell_for_people(table, row, column, buffer));
            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
    return widths;
}

static void put_rule(const struct table *table, FILE *file, int indent, const size_t *widths)
{
    size_t width = 0;
    for (size_t column = 0; column < table->column_count; column++)
        width += widths[column] + (column ? 2 : 0);
    fprintf(file, "%*s%s", indent, "", table_style(STYLE_DIM));
    while (width-- > 0)
        fputc('-', file);
    fprintf(file, "%s\n", table_style(STYLE_PLAIN));
}

void table_print(const struct table *table, FILE *file, int indent)
{
    size_t *widths = column_widths(table);
    char buffer[TABLE_CELL_BYTES];
    size_t last = table->column_count - 1, rule = 0;
    fprintf(file, "%*s%s", indent, "", table_style(STYLE_BOLD));
    for (size_t column = 0; column < table->column_count; column++) {
        bool right = table->columns[column].kind != TABLE_TEXT;
        put_padded(file, table->columns[column].title, column == last && !right ? 0 : widths[column], right);
        fputs(column == last ? "" : "  ", file);
    }
    fprintf(file, "%s\n", table_style(STYLE_PLAIN));
    for (size_t row = 0; row < row_count(table); row++) {
        for (; rule < table->rules.count && table->rules.items[rule] == row; rule++)
            put_rule(table, file, indent, widths);
        fprintf(file, "%*s", indent, "");
        for (size_t column = 0; column < table->column_count; column++) {
            bool right = table->columns[column].kind != TABLE_TEXT;
            put_padded(file, cell_for_people(table, row, column, buffer), column == last && !right ? 0 : widths[column],
                       right);
            fputs(column == last ? "\n" : "  ", file);
        }
    }
    free(widths);
}

/* ---- raw ---- */

void table_csv_field(FILE *file, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

/* Whole numbers as such; others so that they can be read back exactly. */
static void csv_number(FILE *file, double number)
{
    if (isnan(number))
        return;
    if (isinf(number))
        fputs("inf", file);
    else if (number == floor(number) && fabs(number) < 9e15)
        fprintf(file, "%.0f", number);
    else
        fprintf(file, "%.17g", number);
}

void table_csv(const struct table *table, FILE *file)
{
    for (size_t column = 0; column < table->column_count; column++) {
        fputs(column ? "," : "", file);
        table_csv_field(file, table->columns[column].key);
    }
    fputs("\r\n", file);
    for (size_t i = 0; i < table->cells.count; i++) {
        size_t column = i % table->column_count;
        fputs(column ? "," : "", file);
        if (table->columns[column].kind != TABLE_TEXT)
            csv_number(file, table->cells.items[i].number);
        else if (table->cells.items[i].text)
            table_csv_field(file, table->cells.items[i].text);
        fputs(column + 1 == table->column_count ? "\r\n" : "", file);
    }
}

static json_t *cell_json(const struct cell *cell, enum table_kind kind)
{
    if (kind == TABLE_TEXT)
        return cell->text ? json_string(cell->text) : json_null();
    if (!isfinite(cell->number))
        return json_null();
    if (cell->number == floor(cell->number) && fabs(cell->number) < 9e15)
        return json_integer((json_int_t)cell->number);
    return json_real(cell->number);
}

json_t *table_json(const struct table *table)
{
    json_t *rows = json_array(), *row = NULL;
    for (size_t i = 0; i < table->cells.count; i++) {
        size_t column = i % table->column_count;
        if (column == 0) {
            row = json_object();
            json_array_append_new(rows, row);
        }
        json_object_set_new(row, table->columns[column].key,
                            cell_json(&table->cells.items[i], table->columns[column].kind));
    }
    return rows;
}

void table_put_json(json_t *document)
{
    json_dumpf(document, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(document);
}

void table_put(const struct table *table, const char *format)
{
    if (strcmp(format, "json") == 0)
        table_put_json(table_json(table));
    else if (strcmp(format, "csv") == 0)
        table_csv(table, stdout);
    else
        table_print(table, stdout, 0);
}

/* ---- colour ---- */

static int color = -1; /* not yet known */

void table_set_color(bool on)
{
    color = on;
}

const char *table_style(enum table_style style)
{
    static const char *const sequences[] = {"\033[1m", "\033[32m", "\033[33m", "\033[31m", "\033[2m", "\033[0m"};
    if (color < 0) {
        const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
        color = isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
    }
    return color ? sequences[style] : "";
}
