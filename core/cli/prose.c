/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for people. */
#include "core/cli/prose.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "core/cli/terminal.h"

enum { USUAL_WIDTH = 80, WIDEST = 100, LEAST_ROOM = 20 };

size_t prose_width(void)
{
    size_t columns = terminal_columns(STDOUT_FILENO);
    return columns == 0 ? USUAL_WIDTH : columns < WIDEST ? columns : WIDEST;
}

/* Where the text of an item begins in its line: behind the first two spaces or more that follow a word. 0: no item. */
static size_t item_text(const char *line, size_t length)
{
    size_t lead = strspn(line, " ");
    for (size_t at = lead; at + 2 < length; at++)
        if (line[at] == ' ' && line[at + 1] == ' ')
            return at + strspn(line + at, " ");
    return lead < length ? lead : 0;
}

/* Whether the line goes on where the one before it ended. */
static bool goes_on(const char *line)
{
    size_t length = strcspn(line, "\n");
    return length > 0 && item_text(line, length) == 0;
}

/* Prints the words from `text` to `end` in lines that begin at `indent`, where the cursor stands. */
static void print_words(FILE *file, const char *text, const char *end, size_t indent, size_t width)
{
    size_t column = indent;
    bool begins = true; /* nothing stands in this line that a space has to follow */
    while (text < end) {
        size_t length = strcspn(text, " \n");
        if (text + length > end)
            length = (size_t)(end - text);
        if (!begins && column + 1 + length > width) {
            fprintf(file, "\n%*s", (int)indent, "");
            column = indent;
            begins = true;
        }
        fprintf(file, "%s%.*s", begins ? "" : " ", (int)length, text);
        column += length + !begins;
        begins = false;
        text += length;
        text += strspn(text, " \n");
    }
}

void prose_print(FILE *file, const char *text, size_t indent, size_t width)
{
    if (width < indent + LEAST_ROOM)
        width = indent + LEAST_ROOM;
    while (*text) {
        size_t length = strcspn(text, "\n"), head = item_text(text, length);
        const char *end = text + length;
        while (*end == '\n' && head == 0 && length > 0 && goes_on(end + 1))
            end += 1 + strcspn(end + 1, "\n");
        fprintf(file, "%.*s", (int)head, text);
        print_words(file, text + head, end, indent + head, width);
        fputc('\n', file);
        text = end + (*end == '\n');
        if (*text && *text != '\n')
            fprintf(file, "%*s", (int)indent, "");
    }
}
