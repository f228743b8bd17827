/* SPDX-License-Identifier: Apache-2.0 */
/* Typed reading of settings, with errors that say where and what to write instead. */
#include "core/scenario/reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/nearest.h"
#include "core/base/units.h"

/* ---- failing */

int reader_fail(const struct reader *reader, const char *where, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return error_set(reader->error, ERROR_INPUT, "%s: %s", where, text);
}

int reader_suggest(const struct reader *reader, const char *typed, const char *const *names, size_t count)
{
    const char *near = nearest_name(typed, names, count);
    if (near)
        return error_append(reader->error, "; did you mean '%s'?", near);
    for (size_t i = 0; i < count; i++)
        error_append(reader->error, "%s%s", i == 0 ? "; known are " : ", ", names[i]);
    return -1;
}

static int wrong_type(const struct reader *reader, const struct value *value, const char *expected)
{
    return reader_fail(reader, value->where, "'%s' is %s; expected %s", value->name ? value->name : "this element",
                       tree_type_text(value->type), expected);
}

int reader_check_keys(const struct reader *reader, const struct value *group, const char *what,
                      const char *const *names)
{
    size_t count = 0;
    while (names[count])
        count++;
    for (size_t i = 0; i < group->count; i++) {
        const struct value *member = group->items[i];
        size_t k = 0;
        while (k < count && strcmp(names[k], member->name) != 0)
            k++;
        if (k < count)
            continue;
        reader_fail(reader, member->where, "%s has no key '%s'", what, member->name);
        return reader_suggest(reader, member->name, names, count);
    }
    return 0;
}

/* ---- scalars */

int reader_get_text(const struct reader *reader, const struct value *group, const char *key, const char **value)
{
    const struct value *member = tree_member(group, key);
    if (!member)
        return 0;
    if (member->type != VALUE_TEXT)
        return wrong_type(reader, member, "a text in \"quotes\"");
    if (!member->as.text[0])
        return reader_fail(reader, member->where, "'%s' is empty; write a text or leave the key out", key);
    *value = member->as.text;
    return 1;
}

int reader_get_name(const struct reader *reader, const struct value *group, const char *key, const char **value)
{
    int got = reader_get_text(reader, group, key, value);
    if (got <= 0)
        return got;
    const char *text = *value;
    bool letter = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z');
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    if (letter && !text[length] && length <= 64)
        return 1;
    return reader_fail(reader, tree_member(group, key)->where,
                       "'%s' cannot be a name: use letters, digits, '-' and '_', beginning with a letter, at most 64",
                       text);
}

int reader_get_integer(const struct reader *reader, const struct value *group, const char *key, int64_t least,
                       int64_t most, int64_t *value)
{
    const struct value *member = tree_member(group, key);
    if (!member)
        return 0;
    if (member->type != VALUE_INTEGER)
        return wrong_type(reader, member, "an integer");
    if (member->as.integer < least || member->as.integer > most)
        return reader_fail(reader, member->where, "'%s' is %" PRId64 "; allowed is %" PRId64 " to %" PRId64, key,
                           member->as.integer, least, most);
    *value = member->as.integer;
    return 1;
}

int reader_get_count(const struct reader *reader, const struct value *group, const char *key, uint32_t least,
                     uint32_t most, uint32_t *value)
{
    int64_t wide;
    int got = reader_get_integer(reader, group, key, least, most, &wide);
    if (got == 1)
        *value = (uint32_t)wide;
    return got;
}

int reader_get_real(const struct reader *reader, const struct value *group, const char *key, double least, double most,
                    double *value)
{
    const struct value *member = tree_member(group, key);
    if (!member)
        return 0;
    if (member->type != VALUE_INTEGER && member->type != VALUE_REAL)
        return wrong_type(reader, member, "a number");
    double number = member->type == VALUE_REAL ? member->as.real : (double)member->as.integer;
    if (!(number >= least && number <= most))
        return reader_fail(reader, member->where, "'%s' is %g; allowed is %g to %g", key, number, least, most);
    *value = number;
    return 1;
}

int reader_get_share(const struct reader *reader, const struct value *group, const char *key, double *value)
{
    const struct value *member = tree_member(group, key);
    if (!member)
        return 0;
    if (member->type == VALUE_INTEGER)
        *value = (double)member->as.integer;
    else if (member->type == VALUE_REAL)
        *value = member->as.real;
    else if (member->type != VALUE_TEXT)
        return wrong_type(reader, member, "a share such as 0.25 or \"25%\"");
    else if (units_parse_share(member->as.text, value, reader->error) != 0)
        return error_prefix(reader->error, "%s: '%s'", member->where, key);
    return isfinite(*value) ? 1 : reader_fail(reader, member->where, "'%s' is no finite number", key);
}

/* The text of a quantity, NULL with *got set to 0 (absent) or -1 (error). 0 may stand without quotes and unit. */
static const char *quantity(const struct reader *reader, const struct value *group, const char *key,
                            const char *expected, int *got)
{
    const struct value *member = tree_member(group, key);
    *got = 0;
    if (!member)
        return NULL;
    if (member->type == VALUE_TEXT)
        return member->as.text;
    if (member->type == VALUE_INTEGER && member->as.integer == 0)
        return "0";
    if (member->type == VALUE_INTEGER || member->type == VALUE_REAL)
        *got = reader_fail(reader, member->where, "'%s' has no unit; write %s", key, expected);
    else
        *got = wrong_type(reader, member, expected);
    return NULL;
}

int reader_get_duration(const struct reader *reader, const struct value *group, const char *key, int64_t *ns)
{
    int got;
    const char *text = quantity(reader, group, key, "a duration such as \"5ms\" (units: ns us ms s min h)", &got);
    if (!text)
        return got;
    if (units_parse_duration_ns(text, ns, reader->error) != 0)
        return error_prefix(reader->error, "%s: '%s'", tree_member(group, key)->where, key);
    if (*ns > INT64_C(366) * 24 * 3600 * 1000000000)
        return reader_fail(reader, tree_member(group, key)->where, "'%s' is longer than a year", key);
    return 1;
}

int reader_get_size(const struct reader *reader, const struct value *group, const char *key, uint64_t *bytes)
{
    int got;
    const char *text = quantity(reader, group, key, "a size such as \"4GiB\" (units: B kB MB GB KiB MiB GiB)", &got);
    if (!text)
        return got;
    if (units_parse_size_bytes(text, bytes, reader->error) != 0)
        return error_prefix(reader->error, "%s: '%s'", tree_member(group, key)->where, key);
    return 1;
}

static int get_any_rate(const struct reader *reader, const struct value *group, const char *key, double *bytes_per_s)
{
    int got;
    const char *text =
        quantity(reader, group, key, "a rate such as \"20Mbit\" (units: bit kbit Mbit Gbit B/s kB/s MB/s GB/s)", &got);
    if (!text)
        return got;
    if (units_parse_rate(text, bytes_per_s, reader->error) != 0)
        return error_prefix(reader->error, "%s: '%s'", tree_member(group, key)->where, key);
    return 1;
}

bool reader_rate_is_allowed(double bytes_per_s)
{
    return bytes_per_s >= 125 && bytes_per_s <= 125e9;
}

int reader_get_rate(const struct reader *reader, const struct value *group, const char *key, double *bytes_per_s)
{
    int got = get_any_rate(reader, group, key, bytes_per_s);
    if (got > 0 && *bytes_per_s > 0 && !reader_rate_is_allowed(*bytes_per_s))
        return reader_fail(reader, tree_member(group, key)->where,
                           "'%s' is %s; allowed is 1kbit to 1000Gbit, or 0 for a link that is not shaped", key,
                           tree_member(group, key)->as.text);
    return got;
}

int reader_get_bandwidth(const struct reader *reader, const struct value *group, const char *key, double *bytes_per_s)
{
    int got = get_any_rate(reader, group, key, bytes_per_s);
    if (got > 0 && *bytes_per_s > 0 && (*bytes_per_s < 1e3 || *bytes_per_s > 1e15))
        return reader_fail(reader, tree_member(group, key)->where,
                           "'%s' is %s; allowed is 1kB/s to 1000000GB/s, or 0 for memory that does not limit", key,
                           tree_member(group, key)->as.text);
    return got;
}

int reader_get_power(const struct reader *reader, const struct value *group, const char *key, double *watts)
{
    int got;
    const char *text = quantity(reader, group, key, "a power such as \"2.7W\" (units: mW W kW)", &got);
    if (!text)
        return got;
    if (units_parse_power_w(text, watts, reader->error) != 0)
        return error_prefix(reader->error, "%s: '%s'", tree_member(group, key)->where, key);
    if (*watts > 1e5)
        return reader_fail(reader, tree_member(group, key)->where, "'%s' is more than 100 kW", key);
    return 1;
}

/* ---- groups and lists */

int reader_get_group(const struct reader *reader, const struct value *group, const char *key, struct value **value)
{
    struct value *member = tree_member(group, key);
    if (!member)
        return 0;
    if (member->type != VALUE_GROUP)
        return wrong_type(reader, member, "a group { }");
    *value = member;
    return 1;
}

const struct value *reader_need_list(const struct reader *reader, const struct value *root, const char *key,
                                     const char *example)
{
    const struct value *list = tree_member(root, key);
    if (!list) {
        reader_fail(reader, reader->scenario->path, "there is no list '%s'; write %s", key, example);
        return NULL;
    }
    if (list->type != VALUE_LIST) {
        wrong_type(reader, list, "a list of groups: ( { }, { } )");
        return NULL;
    }
    if (list->count == 0) {
        reader_fail(reader, list->where, "the list '%s' is empty; write %s", key, example);
        return NULL;
    }
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->type != VALUE_GROUP) {
            wrong_type(reader, list->items[i], "a group { }");
            return NULL;
        }
    return list;
}

/* ---- plugins */

/* The text of a plugin option as its table reads it. */
static const char *option_text(const struct reader *reader, const struct value *value)
{
    char number[40];
    switch (value->type) {
    case VALUE_TEXT:
        return value->as.text;
    case VALUE_INTEGER:
        return arena_text(reader->arena, "%" PRId64, value->as.integer);
    case VALUE_BOOL:
        return value->as.truth ? "true" : "false";
    case VALUE_REAL:
        snprintf(number, sizeof(number), "%.15g", value->as.real);
        if (strtod(number, NULL) != value->as.real)
            snprintf(number, sizeof(number), "%.17g", value->as.real);
        return arena_copy(reader->arena, number);
    default:
        return NULL;
    }
}

int reader_get_plugin(const struct reader *reader, const struct value *group, const char *key, uint32_t kind,
                      struct plugin_choice *choice)
{
    struct value *chosen;
    const struct value *bare = tree_member(group, key);
    if (bare && bare->type == VALUE_TEXT)
        return bare->overridden ? reader_fail(reader, bare->where, "'%s' is a group; write %s.plugin=%s", key,
                                              bare->where, bare->as.text)
                                : reader_fail(reader, bare->where, "'%s' is a text; write %s = { plugin = \"%s\"; };",
                                              key, key, bare->as.text);
    int got = reader_get_group(reader, group, key, &chosen);
    if (got <= 0)
        return got;
    *choice = (struct plugin_choice){.where = chosen->where};
    got = reader_get_text(reader, chosen, "plugin", &choice->name);
    if (got <= 0)
        return got < 0 ? -1
                       : reader_fail(reader, chosen->where,
                                     "'%s' names no plugin; write %s = { plugin = \"NAME\"; }; (napm plugin list tells "
                                     "the names)",
                                     key, key);
    choice->where = tree_member(chosen, "plugin")->where;
    struct option_setting *settings = ARENA_ARRAY(reader->arena, struct option_setting, chosen->count);
    for (size_t i = 0; i < chosen->count; i++) {
        const struct value *option = chosen->items[i];
        if (strcmp(option->name, "plugin") == 0)
            continue;
        const char *text = option_text(reader, option);
        if (!text)
            return wrong_type(reader, option, "a text, number, true or false: a plugin's option is one value");
        settings[choice->setting_count++] = (struct option_setting){option->name, text, option->where};
    }
    choice->settings = settings;
    return reader->catalogue && instance_check(reader->catalogue, kind, choice, reader->error) != 0 ? -1 : 1;
}

int reader_need_extension(const struct reader *reader, const struct plugin_choice *choice, uint32_t kind,
                          const char *extension, const char *ability)
{
    if (!reader->catalogue)
        return 0;
    const struct catalogue_entry *entry = catalogue_find(reader->catalogue, kind, choice->name, reader->error);
    if (!entry)
        return -1;
    if (entry->plugin->get_extension && entry->plugin->get_extension(extension))
        return 0;
    return reader_fail(reader, choice->where, "the plugin '%s' cannot %s; napm plugin list shows what others do",
                       choice->name, ability);
}
