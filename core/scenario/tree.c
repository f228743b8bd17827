/* SPDX-License-Identifier: Apache-2.0 */
/* libconfig text -> tree of values with their places. */
#include "core/scenario/tree.h"

#include <ctype.h>
#include <errno.h>
#include <libconfig.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

const char *tree_type_text(enum value_type type)
{
    static const char *const texts[] = {
        [VALUE_GROUP] = "a group { }",  [VALUE_LIST] = "a list ( )", [VALUE_TEXT] = "a text",
        [VALUE_INTEGER] = "an integer", [VALUE_REAL] = "a number",   [VALUE_BOOL] = "true or false"};
    return texts[type];
}

void tree_add(struct arena *arena, struct value *parent, struct value *child)
{
    if (parent->count == parent->room) {
        size_t room = parent->room ? 2 * parent->room : 8;
        struct value **items = ARENA_ARRAY(arena, struct value *, room);
        if (parent->count)
            memcpy(items, parent->items, parent->count * sizeof(*items));
        parent->items = items;
        parent->room = room;
    }
    parent->items[parent->count++] = child;
}

struct value *tree_member(const struct value *group, const char *name)
{
    for (size_t i = 0; i < group->count; i++)
        if (group->items[i]->name && strcmp(group->items[i]->name, name) == 0)
            return group->items[i];
    return NULL;
}

void tree_put(struct arena *arena, struct value *group, struct value *child)
{
    for (size_t i = 0; i < group->count; i++)
        if (group->items[i]->name && strcmp(group->items[i]->name, child->name) == 0) {
            group->items[i] = child;
            return;
        }
    tree_add(arena, group, child);
}

void tree_remove(struct value *group, const char *name)
{
    for (size_t i = 0; i < group->count; i++)
        if (group->items[i]->name && strcmp(group->items[i]->name, name) == 0) {
            memmove(group->items + i, group->items + i + 1, (group->count - i - 1) * sizeof(*group->items));
            group->count--;
            return;
        }
}

struct value *tree_copy(struct arena *arena, const struct value *value)
{
    struct value *copy = arena_new(arena, sizeof(*copy));
    *copy = *value;
    copy->items = NULL;
    copy->count = copy->room = 0;
    for (size_t i = 0; i < value->count; i++)
        tree_add(arena, copy, tree_copy(arena, value->items[i]));
    return copy;
}

struct value *tree_new_text(struct arena *arena, const char *name, const char *text, const char *where)
{
    struct value *value = arena_new(arena, sizeof(*value));
    value->type = VALUE_TEXT;
    value->name = name;
    value->where = where;
    value->as.text = text;
    return value;
}

/* ---- what libconfig would let through */

/* A number token at `text`: fails where libconfig would silently cut it to 32 bits, or to 64. Returns its length. */
static size_t check_number(const char *text, const char *file, int line, struct error *error)
{
    size_t length = strspn(text, "+-.0123456789abcdefABCDEFxXlL"), sign = text[0] == '-' || text[0] == '+';
    bool hexadecimal = text[sign] == '0' && (text[sign + 1] == 'x' || text[sign + 1] == 'X');
    size_t digits = sign + (hexadecimal ? 2 : 0);
    size_t end = digits + strspn(text + digits, hexadecimal ? "0123456789abcdefABCDEF" : "0123456789");
    size_t suffix = strspn(text + end, "lL");
    if (end == digits || end + suffix != length)
        return length; /* a real number, or something that libconfig refuses */
    errno = 0;
    long long number = strtoll(text, NULL, hexadecimal ? 16 : 10);
    if (errno == ERANGE)
        return (size_t)error_set(error, ERROR_INPUT, "%s:%d: the integer %.*s does not fit 64 bits", file, line,
                                 (int)end, text);
    if (!suffix && (number > INT_MAX || number < INT_MIN))
        return (size_t)error_set(
            error, ERROR_INPUT,
            "%s:%d: the integer %.*s does not fit 32 bits; write %.*sL, or a text with a unit such "
            "as \"5GB\"",
            file, line, (int)end, text, (int)end, text);
    return length;
}

/* Length of a comment or text that begins at `text`, 0 where none does, SIZE_MAX where it has no end. */
static size_t quiet_length(const char *text)
{
    if (text[0] == '#' || (text[0] == '/' && text[1] == '/'))
        return strcspn(text, "\n");
    if (text[0] == '/' && text[1] == '*') {
        const char *end = strstr(text + 2, "*/");
        return end ? (size_t)(end + 2 - text) : SIZE_MAX;
    }
    if (text[0] != '"')
        return 0;
    size_t length = 1;
    while (text[length] && text[length] != '"')
        length += text[length] == '\\' && text[length + 1] ? 2 : 1;
    return text[length] ? length + 1 : SIZE_MAX;
}

/* Length of the token or other piece at `text`; SIZE_MAX with an error where libconfig must not see it. */
static size_t check_token(const char *text, const char *file, int line, struct error *error)
{
    size_t length = quiet_length(text);
    if (length == SIZE_MAX)
        return (size_t)error_set(error, ERROR_INPUT, "%s:%d: the %s that begins here has no end: %s is missing", file,
                                 line, *text == '"' ? "text" : "comment", *text == '"' ? "a '\"'" : "a '*/'");
    if (length)
        return length;
    if (*text == '@')
        return (size_t)error_set(error, ERROR_INPUT,
                                 "%s:%d: @include is not supported: a scenario is one file, so that it is kept whole "
                                 "with its results; put the settings here, or change single ones with --set",
                                 file, line);
    if (isalpha((unsigned char)*text) || *text == '*')
        return 1 + strspn(text + 1, "-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    if (isdigit((unsigned char)*text) || *text == '-' || *text == '+')
        return check_number(text, file, line, error);
    return 1;
}

/* A text without an end swallows the file up to the next text, and so on: the first one over a line's end is to blame. */
static int check_tokens(const char *text, const char *file, struct error *error)
{
    int line = 1, long_text_line = 0;
    while (*text) {
        size_t length = check_token(text, file, line, error);
        if (length == SIZE_MAX && *text == '"' && long_text_line)
            return error_set(error, ERROR_INPUT,
                             "%s:%d: the text that begins here goes on over the end of its line, and the text that "
                             "begins in line %d has no end: a '\"' is missing, most likely here",
                             file, long_text_line, line);
        if (length == SIZE_MAX)
            return -1;
        if (*text == '"' && !long_text_line && memchr(text, '\n', length))
            long_text_line = line;
        for (; length > 0; length--)
            line += *text++ == '\n';
    }
    return 0;
}

/* ---- libconfig's tree to ours */

struct origin {
    struct arena *arena;
    const char *file; /* NULL: a --set */
    const char *where; /* of a --set */
};

static struct value *from_setting(const struct origin *origin, config_setting_t *setting)
{
    struct value *value = arena_new(origin->arena, sizeof(*value));
    value->where = origin->file
                       ? arena_text(origin->arena, "%s:%u", origin->file, (unsigned)config_setting_source_line(setting))
                       : origin->where;
    value->overridden = !origin->file;
    if (config_setting_name(setting))
        value->name = arena_copy(origin->arena, config_setting_name(setting));
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        value->type = VALUE_GROUP;
        break;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        value->type = VALUE_INTEGER;
        value->as.integer = config_setting_get_int64(setting);
        break;
    case CONFIG_TYPE_FLOAT:
        value->type = VALUE_REAL;
        value->as.real = config_setting_get_float(setting);
        break;
    case CONFIG_TYPE_STRING:
        value->type = VALUE_TEXT;
        value->as.text = arena_copy(origin->arena, config_setting_get_string(setting));
        break;
    case CONFIG_TYPE_BOOL:
        value->type = VALUE_BOOL;
        value->as.truth = config_setting_get_bool(setting);
        break;
    default:
        value->type = VALUE_LIST;
        break;
    }
    if (value->type == VALUE_GROUP || value->type == VALUE_LIST)
        for (int i = 0; i < config_setting_length(setting); i++) {
            struct value *child = from_setting(origin, config_setting_get_elem(setting, (unsigned)i));
            child->position = (uint32_t)i;
            tree_add(origin->arena, value, child);
        }
    return value;
}

/* A setting in the text: of which group (counted in the order in which they begin), and where. */
struct seen {
    const char *name;
    size_t length;
    int group, line;
};

static bool is_setting(const char *text, size_t length)
{
    const char *after = text + length + strspn(text + length, " \t\r\n");
    return (isalpha((unsigned char)*text) || *text == '*') && (*after == '=' || *after == ':');
}

/* The first setting that stands twice in its group: libconfig tells neither its name nor where it stood before. */
static int report_twice(const char *text, const char *file, struct error *error)
{
    ARRAY_OF(struct seen) seen = {0};
    ARRAY_OF(int) around = {0}; /* the groups around the present one */
    int line = 1, group = 0, groups = 0;
    bool found = false;
    while (*text && !found) {
        size_t length = check_token(text, file, line, NULL);
        if (*text == '{') {
            *ARRAY_ADD(&around) = group;
            group = ++groups;
        } else if (*text == '}' && around.count) {
            group = around.items[--around.count];
        } else if (is_setting(text, length)) {
            for (size_t i = 0; i < seen.count && !found; i++) {
                const struct seen *other = &seen.items[i];
                found = other->group == group && other->length == length && strncmp(other->name, text, length) == 0;
                if (found)
                    error_set(error, ERROR_INPUT,
                              "%s:%d: '%.*s' is already set in line %d, in the same group; remove one of them", file,
                              line, (int)length, text, other->line);
            }
            *ARRAY_ADD(&seen) = (struct seen){text, length, group, line};
        }
        for (; length > 0; length--)
            line += *text++ == '\n';
    }
    ARRAY_FREE(&seen);
    ARRAY_FREE(&around);
    return found ? -1 : 0;
}

static int parse_error(config_t *config, const char *text_read, const char *file, struct error *error)
{
    const char *text = config_error_text(config);
    if (strstr(text, "duplicate") && report_twice(text_read, file, error) != 0)
        return -1;
    return error_set(error, ERROR_INPUT,
                     "%s:%d: %s; a setting is `name = value;`, a text stands in \"quotes\", a list in ( ), a group in "
                     "{ }; the mistake may be at the end of the line before",
                     file, config_error_line(config), text);
}

struct value *tree_parse(struct arena *arena, const char *text, const char *file, struct error *error)
{
    if (check_tokens(text, file, error) != 0)
        return NULL;
    config_t config;
    struct value *root = NULL;
    config_init(&config);
    if (config_read_string(&config, text) == CONFIG_TRUE)
        root = from_setting(&(struct origin){arena, file, NULL}, config_root_setting(&config));
    else
        parse_error(&config, text, file, error);
    config_destroy(&config);
    return root;
}

struct value *tree_parse_value(struct arena *arena, const char *text, const char *where, struct error *error)
{
    struct value *value = tree_new_text(arena, NULL, arena_copy(arena, text), where);
    value->overridden = true;
    size_t sign = text[0] == '-' || text[0] == '+', digits = strspn(text + sign, "0123456789");
    if (digits && !text[sign + digits]) {
        errno = 0;
        value->type = VALUE_INTEGER;
        value->as.integer = strtoll(text, NULL, 10);
        if (errno == ERANGE) {
            error_set(error, ERROR_INPUT, "%s: the integer %s does not fit 64 bits", where, text);
            return NULL;
        }
        return value;
    }
    char *line = text_format("value = %s;", text);
    config_t config;
    config_init(&config);
    if (check_tokens(line, where, NULL) == 0 && config_read_string(&config, line) == CONFIG_TRUE &&
        config_setting_length(config_root_setting(&config)) == 1)
        value = from_setting(&(struct origin){arena, NULL, where},
                             config_setting_get_elem(config_root_setting(&config), 0));
    value->name = NULL;
    config_destroy(&config);
    free(line);
    return value;
}
