/* SPDX-License-Identifier: Apache-2.0 */
/* Results as tables: the cells, CSV, JSON, numbers and colours for people. (How they are laid out: table_print.c.) */
#include "core/cli/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/units.h"
#include "core/cli/table_private.h"
#include "core/cli/terminal.h"
#include "core/report/numbers.h"

struct table *table_new(const struct table_column *columns, size_t column_count)
{
    struct table *table = NEW(struct table);
    table->columns = columns;
    table->column_count = column_count;
    table->key_count = 1;
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
    *ARRAY_ADD(&table->rules) = table->cells.count / table->column_count;
}

void table_split(struct table *table, size_t keys, const char *key)
{
    table->key_count = keys;
    for (size_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].key, key) == 0)
            table->split_at = i;
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
    case TABLE_ENERGY:
        return units_format_energy(buffer, number);
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

/* ---- raw ---- */

double table_raw_number(enum table_kind kind, double number)
{
    switch (kind) {
    case TABLE_DURATION:
    case TABLE_VARIANCE:
    case TABLE_SIZE:
    case TABLE_FLOPS:
        return round(number);
    default:
        return number;
    }
}

void table_csv(const struct table *table, FILE *file)
{
    for (size_t column = 0; column < table->column_count; column++) {
        fputs(column ? "," : "", file);
        report_csv_text(file, table->columns[column].key);
    }
    fputs("\r\n", file);
    for (size_t i = 0; i < table->cells.count; i++) {
        size_t column = i % table->column_count;
        fputs(column ? "," : "", file);
        if (!table_is_text(table->columns[column].kind))
            report_csv_number(file, table_raw_number(table->columns[column].kind, table->cells.items[i].number));
        else if (table->cells.items[i].text)
            report_csv_text(file, table->cells.items[i].text);
        fputs(column + 1 == table->column_count ? "\r\n" : "", file);
    }
}

static json_t *cell_json(const struct cell *cell, enum table_kind kind)
{
    if (table_is_text(kind))
        return cell->text ? json_string(cell->text) : json_null();
    return report_json_number(table_raw_number(kind, cell->number));
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
    json_dumpf(document, stdout, JSON_INDENT(2) | REPORT_JSON_FLAGS);
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
        color = terminal_columns(STDOUT_FILENO) > 0 && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
    }
    return color ? sequences[style] : "";
}
