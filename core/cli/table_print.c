/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for people: columns that line up, made to fit the terminal. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cli/table_private.h"
#include "core/cli/terminal.h"

#define GAP 2 /* spaces between columns */
#define ELLIPSIS "\342\200\246"

/* Texts are not made narrower than this to avoid a split; prose and paths say too little then. */
enum { LEAST_TEXT = 12, LEAST_PATH = 20, LEAST_PROSE = 24 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* ---- the width of text ---- */

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

static size_t width_of(const char *text, const char *end)
{
    size_t width = 0;
    uint32_t code;
    while (text < end) {
        text += next_character(text, &code);
        width += width_of_character(code);
    }
    return width;
}

size_t table_width(const char *text)
{
    return width_of(text, text + strlen(text));
}

/* ---- how wide each column would like to be, and can be ---- */

struct widths {
    size_t *natural; /* nothing wrapped or shortened */
    size_t *least;
};

static const char *cell_text(const struct table *table, size_t row, size_t column, char buffer[TABLE_CELL_BYTES])
{
    const struct cell *cell = &table->cells.items[row * table->column_count + column];
    if (table_is_text(table->columns[column].kind))
        return cell->text ? cell->text : "-";
    return table_format_number(buffer, table->columns[column].kind, cell->number);
}

static size_t widest_word(const char *text)
{
    size_t widest = 0;
    while (*text) {
        const char *end = text + strcspn(text, " ");
        size_t width = width_of(text, end);
        widest = most(widest, width);
        text = end + strspn(end, " ");
    }
    return widest;
}

static size_t least_width(enum table_kind kind, size_t cells)
{
    switch (kind) {
    case TABLE_TEXT:
        return least(cells, LEAST_TEXT);
    case TABLE_PATH:
        return least(cells, LEAST_PATH);
    case TABLE_PROSE:
        return least(cells, LEAST_PROSE);
    default:
        return cells;
    }
}

static struct widths measure(const struct table *table)
{
    struct widths widths = {NEW_ARRAY(size_t, table->column_count), NEW_ARRAY(size_t, table->column_count)};
    size_t rows = table->cells.count / table->column_count;
    char buffer[TABLE_CELL_BYTES];
    for (size_t column = 0; column < table->column_count; column++) {
        size_t cells = 0;
        for (size_t row = 0; row < rows; row++)
            cells = most(cells, table_width(cell_text(table, row, column, buffer)));
        const char *title = table->columns[column].title;
        widths.natural[column] = most(cells, table_width(title));
        widths.least[column] = most(least_width(table->columns[column].kind, cells), widest_word(title));
    }
    return widths;
}

/* ---- blocks: the key columns, and the columns first..end-1 ---- */

struct block {
    size_t first, end;
};

static size_t block_size(const struct table *table, const struct block *block)
{
    return table->key_count + block->end - block->first;
}

static size_t block_column(const struct table *table, const struct block *block, size_t index)
{
    return index < table->key_count ? index : block->first + index - table->key_count;
}

static size_t width_in_all(const struct table *table, const struct block *block, const size_t *widths)
{
    size_t sum = 0, size = block_size(table, block);
    for (size_t i = 0; i < size; i++)
        sum += widths[block_column(table, block, i)] + (i ? GAP : 0);
    return sum;
}

/* As many columns as have room without looking cramped: titles may be wrapped, texts a little shortened. */
static struct block next_block(const struct table *table, const struct widths *widths, size_t first, size_t room)
{
    struct block block = {first, first + 1}, tried = {first, first + 2};
    size_t *easy = NEW_ARRAY(size_t, table->column_count);
    for (size_t i = 0; i < table->column_count; i++)
        easy[i] = table_is_text(table->columns[i].kind)
                      ? most(widths->least[i], least(widths->natural[i], 2 * LEAST_TEXT))
                      : widths->least[i];
    for (; tried.end <= table->column_count && tried.end - 1 != table->split_at; tried.end++) {
        if (width_in_all(table, &tried, easy) > room)
            break;
        block = tried;
    }
    free(easy);
    return block;
}

/* Which column had best give up one place: a title that is wrapped loses nothing, and of texts the widest least. */
static size_t column_to_narrow(const struct table *table, const struct block *block, const struct widths *widths,
                               const size_t *now)
{
    size_t title = SIZE_MAX, text = SIZE_MAX, size = block_size(table, block), most_slack = 0, most_width = 0;
    for (size_t i = 0; i < size; i++) {
        size_t column = block_column(table, block, i), slack = widths->natural[column] - widths->least[column];
        if (now[column] == widths->least[column])
            continue;
        if (!table_is_text(table->columns[column].kind) && slack > most_slack) {
            title = column;
            most_slack = slack;
        } else if (table_is_text(table->columns[column].kind) && now[column] > most_width) {
            text = column;
            most_width = now[column];
        }
    }
    return title != SIZE_MAX ? title : text;
}

static size_t *fitted(const struct table *table, const struct block *block, const struct widths *widths, size_t room)
{
    size_t *now = NEW_ARRAY(size_t, table->column_count);
    memcpy(now, widths->natural, table->column_count * sizeof(*now));
    while (width_in_all(table, block, now) > room) {
        size_t column = column_to_narrow(table, block, widths, now);
        if (column == SIZE_MAX)
            break;
        now[column]--;
    }
    return now;
}

/* ---- printing ---- */

static void put_spaces(FILE *file, size_t count)
{
    fprintf(file, "%*s", (int)count, "");
}

/* The end of the part of `text` that fits: at least one character; between two words, if asked for and possible. */
static const char *end_of_fit(const char *text, size_t width, bool at_words)
{
    const char *at = text, *space = NULL;
    uint32_t code;
    for (size_t used = 0; *at;) {
        size_t length = next_character(at, &code);
        used += width_of_character(code);
        if (at_words && *at == ' ')
            space = at;
        if (used > width && at > text)
            return space ? space : at;
        at += length;
    }
    return at;
}

/* The end of a path that fits, from a '/' on if there is one. */
static const char *tail_that_fits(const char *text, size_t width)
{
    uint32_t code;
    while (table_width(text) > width)
        text += next_character(text, &code);
    const char *slash = strchr(text, '/');
    return slash ? slash : text;
}

/* One cell of a row that is being printed. */
struct piece {
    const char *rest; /* what is still to be shown */
    char buffer[TABLE_CELL_BYTES];
    size_t width;
    enum table_kind kind;
    bool wraps, right;
};

/* What fits into one line of the cell, padded where something follows it. */
static void put_piece(FILE *file, struct piece *piece, bool follows)
{
    const char *begin = piece->rest, *end = begin + strlen(begin), *before = "", *after = "";
    if (piece->wraps) {
        end = end_of_fit(begin, piece->width, true);
    } else if (table_width(begin) > piece->width && piece->kind == TABLE_PATH) {
        begin = tail_that_fits(begin, piece->width - 1);
        before = ELLIPSIS;
    } else if (table_width(begin) > piece->width) {
        end = end_of_fit(begin, piece->width - 1, false);
        after = ELLIPSIS;
    }
    piece->rest = piece->wraps ? end + strspn(end, " ") : "";
    size_t own = width_of(begin, end) + (*before || *after), gap = own < piece->width ? piece->width - own : 0;
    put_spaces(file, piece->right ? gap : 0);
    fprintf(file, "%s%.*s%s", before, (int)(end - begin), begin, after);
    put_spaces(file, follows ? (piece->right ? 0 : gap) + GAP : 0);
}

/* A row takes as many lines as its longest cell. */
static void put_pieces(FILE *file, int indent, struct piece *pieces, size_t count)
{
    for (bool more = true; more;) {
        put_spaces(file, (size_t)indent);
        more = false;
        for (size_t i = 0; i < count; i++) {
            put_piece(file, &pieces[i], i + 1 < count);
            more = more || *pieces[i].rest;
        }
        fputc('\n', file);
    }
}

static void put_rule(FILE *file, int indent, size_t width)
{
    put_spaces(file, (size_t)indent);
    fputs(table_style(STYLE_DIM), file);
    while (width-- > 0)
        fputc('-', file);
    fprintf(file, "%s\n", table_style(STYLE_PLAIN));
}

static void put_block(const struct table *table, const struct block *block, const size_t *widths, FILE *file,
                      int indent)
{
    size_t size = block_size(table, block), rows = table->cells.count / table->column_count, rule = 0;
    struct piece *pieces = NEW_ARRAY(struct piece, size);
    for (size_t i = 0; i < size; i++) {
        const struct table_column *column = &table->columns[block_column(table, block, i)];
        pieces[i] = (struct piece){.rest = column->title,
                                   .width = widths[block_column(table, block, i)],
                                   .kind = column->kind,
                                   .wraps = true,
                                   .right = !table_is_text(column->kind)};
    }
    fputs(table_style(STYLE_BOLD), file);
    put_pieces(file, indent, pieces, size);
    fputs(table_style(STYLE_PLAIN), file);
    for (size_t row = 0; row < rows; row++) {
        for (; rule < table->rules.count && table->rules.items[rule] == row; rule++)
            put_rule(file, indent, width_in_all(table, block, widths));
        for (size_t i = 0; i < size; i++) {
            pieces[i].rest = cell_text(table, row, block_column(table, block, i), pieces[i].buffer);
            pieces[i].wraps = pieces[i].kind == TABLE_PROSE;
        }
        put_pieces(file, indent, pieces, size);
    }
    free(pieces);
}

static size_t columns_to_fit = SIZE_MAX; /* not said: the terminal's */

void table_set_columns(size_t columns)
{
    columns_to_fit = columns;
}

void table_print(const struct table *table, FILE *file, int indent)
{
    size_t columns = columns_to_fit == SIZE_MAX ? terminal_columns(STDOUT_FILENO) : columns_to_fit;
    size_t room = columns == 0 ? SIZE_MAX : columns - least(columns, (size_t)indent);
    struct widths widths = measure(table);
    struct block block = {table->key_count, table->column_count};
    bool whole = width_in_all(table, &block, widths.least) <= room;
    for (size_t first = block.first; first < table->column_count; first = block.end) {
        if (!whole)
            block = next_block(table, &widths, first, room);
        size_t *now = fitted(table, &block, &widths, room);
        if (first > table->key_count)
            fputc('\n', file);
        put_block(table, &block, now, file, indent);
        free(now);
    }
    free(widths.natural);
    free(widths.least);
}
