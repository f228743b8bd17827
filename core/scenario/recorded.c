/* SPDX-License-Identifier: Apache-2.0 */
#include "core/scenario/recorded.h"

#include <stdlib.h>
#include <string.h>

/* How a line begins that holds an override. */
static const char mark[] = "# --set ";

char *recorded_text(const char *file_text, const struct scenario_override *overrides, size_t count)
{
    char *text = text_copy(file_text);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(text);
        char *value = text_copy(overrides[i].value);
        for (char *at = value; *at; at++)
            if (*at == '\n' || *at == '\r')
                *at = ' '; /* keeps to the line; white space to libconfig */
        char *longer = text_format("%s%s%s%s=%s\n", text, length && text[length - 1] != '\n' ? "\n" : "", mark,
                                   overrides[i].path, value);
        free(value);
        free(text);
        text = longer;
    }
    return text;
}

/* Where the lines of that kind at the text's end begin. */
static const char *find_first(const char *text)
{
    const char *first = text + strlen(text);
    for (const char *line = first; line > text; first = line) {
        for (line--; line > text && line[-1] != '\n';)
            line--;
        if (strncmp(line, mark, strlen(mark)) != 0)
            break;
    }
    return first;
}

void recorded_overrides_read(struct recorded_overrides *overrides, const char *text)
{
    *overrides = (struct recorded_overrides){0};
    if (!text)
        return;
    const char *first = find_first(text);
    overrides->file_bytes = (size_t)(first - text);
    overrides->private_lines = text_copy(first);
    char *rest = NULL;
    for (char *line = strtok_r(overrides->private_lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *path = line + strlen(mark), *equals = strchr(path, '=');
        if (!equals)
            continue;
        *equals = '\0';
        *ARRAY_ADD(&overrides->all) = (struct scenario_override){path, equals + 1};
    }
}

void recorded_overrides_keep_last(struct recorded_overrides *overrides)
{
    struct scenario_override *items = overrides->all.items;
    size_t kept = 0;
    for (size_t i = 0; i < overrides->all.count; i++) {
        bool again = false;
        for (size_t later = i + 1; later < overrides->all.count && !again; later++)
            again = strcmp(items[later].path, items[i].path) == 0;
        if (!again)
            items[kept++] = items[i];
    }
    overrides->all.count = kept;
}

void recorded_overrides_free(struct recorded_overrides *overrides)
{
    ARRAY_FREE(&overrides->all);
    free(overrides->private_lines);
    overrides->private_lines = NULL;
}
