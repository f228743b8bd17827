/* SPDX-License-Identifier: Apache-2.0 */
/* Option tables. */
#include "core/plugin/options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/nearest.h"
#include "core/base/units.h"

const char *option_type_name(uint32_t type)
{
    static const char *const names[] = {"",       "true or false", "integer", "real", "text",
                                        "choice", "duration",      "size",    "rate", "file"};
    return type > 0 && type < sizeof(names) / sizeof(names[0]) ? names[type] : NULL;
}

static int is_number(uint32_t type)
{
    return type == NAPM_OPTION_INTEGER || type == NAPM_OPTION_REAL || type == NAPM_OPTION_DURATION ||
           type == NAPM_OPTION_SIZE || type == NAPM_OPTION_RATE;
}

static int has_limits(const struct napm_option *option)
{
    return is_number(option->type) && option->minimum != option->maximum;
}

/* ---- describing */

/* A limit in the option's own unit. */
static const char *limit_text(char buffer[UNITS_TEXT_BYTES], uint32_t type, double limit)
{
    if (type == NAPM_OPTION_DURATION)
        return units_format_duration(buffer, limit);
    if (type == NAPM_OPTION_SIZE)
        return units_format_size(buffer, limit);
    if (type == NAPM_OPTION_RATE)
        return units_format_rate(buffer, limit);
    snprintf(buffer, UNITS_TEXT_BYTES, "%.15g", limit);
    return buffer;
}

/* "one|two|three" as "one, two or three". */
static char *choices_text(const char *choices)
{
    char *text = text_copy("");
    for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
        int length = (int)strcspn(at, "|");
        const char *before = at == choices ? "" : at[length] ? ", " : " or ";
        char *longer = text_format("%s%s%.*s", text, before, length, at);
        free(text);
        text = longer;
    }
    return text;
}

char *option_range_text(const struct napm_option *option)
{
    char least[UNITS_TEXT_BYTES], most[UNITS_TEXT_BYTES];
    if (option->type == NAPM_OPTION_CHOICE && option->choices)
        return choices_text(option->choices);
    if (!has_limits(option))
        return text_copy("");
    limit_text(least, option->type, option->minimum);
    limit_text(most, option->type, option->maximum);
    /* An author writes "no upper limit" as a number that no value of the type reaches. */
    if (option->maximum >= 9.2e18)
        return text_format("%s or more", least);
    if (option->minimum <= -9.2e18)
        return text_format("%s or less", most);
    return text_format("%s..%s", least, most);
}

/* ---- reading one text */

static int read_integer(const char *text, int64_t *value, struct error *error)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end)
        return error_set(error, ERROR_INPUT, "'%s' is no integer", text);
    if (errno == ERANGE)
        return error_set(error, ERROR_INPUT, "'%s' does not fit into 64 bits", text);
    *value = number;
    return 0;
}

static int read_real(const char *text, double *value, struct error *error)
{
    char *end;
    *value = strtod(text, &end);
    if (end == text || *end || !isfinite(*value))
        return error_set(error, ERROR_INPUT, "'%s' is no number", text);
    return 0;
}

static int read_bool(const char *text, int64_t *value, struct error *error)
{
    *value = strcmp(text, "true") == 0;
    if (!*value && strcmp(text, "false") != 0)
        return error_set(error, ERROR_INPUT, "'%s' is neither true nor false", text);
    return 0;
}

static int read_size(const char *text, int64_t *value, struct error *error)
{
    uint64_t bytes;
    if (units_parse_size_bytes(text, &bytes, error))
        return -1;
    if (bytes > INT64_MAX)
        return error_set(error, ERROR_INPUT, "'%s' is more than 63 bits of bytes", text);
    *value = (int64_t)bytes;
    return 0;
}

static int is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strcspn(at, "|") == length && strncmp(at, text, length) == 0)
            return 1;
    return 0;
}

static int check_choice(const struct napm_option *option, const char *text, struct error *error)
{
    if (is_choice(option->choices, text))
        return 0;
    char *known = choices_text(option->choices);
    error_set(error, ERROR_INPUT, "'%s' is none of the choices: %s", text, known);
    free(known);
    return -1;
}

static int check_limits(const struct napm_option *option, const char *text, double value, struct error *error)
{
    if (!has_limits(option) || (value >= option->minimum && value <= option->maximum))
        return 0;
    char *range = option_range_text(option);
    error_set(error, ERROR_INPUT, "'%s' is out of range: allowed is %s", text, range);
    free(range);
    return -1;
}

/* Reads `text` as the option's type demands; `value->text` points into `text`. */
static int read_value(const struct napm_option *option, const char *text, union napm_value *value, struct error *error)
{
    *value = (union napm_value){0};
    switch (option->type) {
    case NAPM_OPTION_BOOL:
        return read_bool(text, &value->integer, error);
    case NAPM_OPTION_INTEGER:
        return read_integer(text, &value->integer, error) || check_limits(option, text, (double)value->integer, error)
                   ? -1
                   : 0;
    case NAPM_OPTION_REAL:
        return read_real(text, &value->real, error) || check_limits(option, text, value->real, error) ? -1 : 0;
    case NAPM_OPTION_DURATION:
        return units_parse_duration_ns(text, &value->integer, error) ||
                       check_limits(option, text, (double)value->integer, error)
                   ? -1
                   : 0;
    case NAPM_OPTION_SIZE:
        return read_size(text, &value->integer, error) || check_limits(option, text, (double)value->integer, error) ? -1
                                                                                                                    : 0;
    case NAPM_OPTION_RATE:
        return units_parse_rate(text, &value->real, error) || check_limits(option, text, value->real, error) ? -1 : 0;
    case NAPM_OPTION_CHOICE:
        value->text = text;
        return check_choice(option, text, error);
    default:
        value->text = text;
        return 0;
    }
}

/* ---- checking a table */

static int is_option_name(const char *name)
{
    if (name[0] < 'a' || name[0] > 'z')
        return 0;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static int check_default(const struct napm_option *option, struct error *error)
{
    union napm_value value;
    int required = (option->flags & NAPM_OPTION_REQUIRED) != 0;
    if (!option->default_text && !required)
        return error_set(error, ERROR_PLUGIN, "it has neither a default nor the flag NAPM_OPTION_REQUIRED");
    if (option->default_text && required)
        return error_set(error, ERROR_PLUGIN, "it is required and yet has a default");
    if (option->default_text && read_value(option, option->default_text, &value, error))
        return error_prefix(error, "its default is wrong");
    return 0;
}

static int check_option(const struct napm_option *option, struct error *error)
{
    if (!option_type_name(option->type))
        return error_set(error, ERROR_PLUGIN, "its type %u is not known to this platform", option->type);
    if (option->type == NAPM_OPTION_CHOICE && (!option->choices || !option->choices[0]))
        return error_set(error, ERROR_PLUGIN, "it is a choice without choices");
    if (is_number(option->type) && !(option->minimum <= option->maximum))
        return error_set(error, ERROR_PLUGIN, "its minimum is above its maximum");
    return check_default(option, error);
}

int option_table_check(const struct napm_option *const *options, uint32_t count, struct error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!options[i]->name)
            return error_set(error, ERROR_PLUGIN, "option number %u has no name", i + 1);
        if (!is_option_name(options[i]->name))
            return error_set(error, ERROR_PLUGIN, "option '%s': a name has lower case letters, digits and '_' only",
                             options[i]->name);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(options[i]->name, options[j]->name) == 0)
                return error_set(error, ERROR_PLUGIN, "option '%s' is declared twice", options[i]->name);
        if (check_option(options[i], error)) {
            error_prefix(error, "option '%s'", options[i]->name);
            if (error)
                error->kind = ERROR_PLUGIN; /* not the user's input: the plugin's own table is wrong */
            return -1;
        }
    }
    return 0;
}

/* ---- reading a choice */

/* "DIR/scenario.cfg:12" -> "DIR/scenario.cfg"; NULL where the place is no line of a file (such as "--set"). */
static char *file_of_place(const char *where)
{
    const char *colon = where ? strrchr(where, ':') : NULL;
    if (!colon || colon == where || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")])
        return NULL;
    char *file = text_copy(where);
    file[colon - where] = '\0';
    return file;
}

/* The absolute path that `path` means when it stands in the file that `where` names, else in the working folder. */
static char *resolve_path(const char *where, const char *path)
{
    char folder[PATH_MAX], *file = file_of_place(where);
    char *seen = path[0] ? file_path_beside(file, path) : text_copy("");
    free(file);
    if (seen[0] == '\0' || seen[0] == '/' || !getcwd(folder, sizeof(folder)))
        return seen;
    char *absolute = text_format("%s/%s", folder, seen);
    free(seen);
    return absolute;
}

static int unknown_option(const struct napm_plugin *plugin, const struct option_setting *setting, struct error *error)
{
    const char **names = NEW_ARRAY(const char *, plugin->option_count);
    for (uint32_t i = 0; i < plugin->option_count; i++)
        names[i] = plugin->options[i]->name;
    const char *nearest = nearest_name(setting->name, names, plugin->option_count);
    error_set(error, ERROR_INPUT, "%s: %s '%s' has no option '%s'", setting->where ? setting->where : "option",
              catalogue_kind_name(plugin->kind), plugin->name, setting->name);
    if (nearest)
        error_append(error, ": did you mean '%s'?", nearest);
    else if (plugin->option_count == 0)
        error_append(error, ": it takes none");
    for (uint32_t i = 0; !nearest && i < plugin->option_count; i++)
        error_append(error, "%s%s", i == 0 ? ": it takes " : ", ", names[i]);
    free(names);
    return -1;
}

static int set_text(const struct napm_plugin *plugin, const struct option_setting *setting, char **texts,
                    const char **places, struct error *error)
{
    for (uint32_t i = 0; i < plugin->option_count; i++) {
        if (strcmp(plugin->options[i]->name, setting->name) != 0)
            continue;
        free(texts[i]);
        texts[i] = plugin->options[i]->type == NAPM_OPTION_FILE ? resolve_path(setting->where, setting->text)
                                                                : text_copy(setting->text);
        places[i] = setting->where;
        return 0;
    }
    return unknown_option(plugin, setting, error);
}

static int read_one(const struct napm_plugin *plugin, uint32_t i, const struct plugin_choice *choice, const char *place,
                    struct option_values *values, struct error *error)
{
    const struct napm_option *option = plugin->options[i];
    if (!values->texts[i] && (option->flags & NAPM_OPTION_REQUIRED))
        return error_set(error, ERROR_INPUT, "%s: %s '%s' needs the option '%s' (%s): set it, there is no default",
                         choice->where ? choice->where : "option", catalogue_kind_name(plugin->kind), plugin->name,
                         option->name, option_type_name(option->type));
    if (!values->texts[i])
        values->texts[i] = text_copy(option->default_text);
    if (read_value(option, values->texts[i], &values->values[i], error))
        return error_prefix(error, "%s: option '%s' of %s '%s'", place ? place : "default", option->name,
                            catalogue_kind_name(plugin->kind), plugin->name);
    return 0;
}

int option_values_read(const struct napm_plugin *plugin, const struct plugin_choice *choice,
                       struct option_values *values, struct error *error)
{
    const char **places = NEW_ARRAY(const char *, plugin->option_count);
    *values = (struct option_values){.values = NEW_ARRAY(union napm_value, plugin->option_count),
                                     .texts = NEW_ARRAY(char *, plugin->option_count),
                                     .count = plugin->option_count};
    int failed = 0;
    for (size_t i = 0; !failed && i < choice->setting_count; i++)
        failed = set_text(plugin, &choice->settings[i], values->texts, places, error);
    for (uint32_t i = 0; !failed && i < plugin->option_count; i++)
        failed = read_one(plugin, i, choice, places[i], values, error);
    free(places);
    if (failed)
        option_values_free(values);
    return failed;
}

void option_values_free(struct option_values *values)
{
    for (uint32_t i = 0; i < values->count; i++)
        free(values->texts[i]);
    free(values->texts);
    free(values->values);
    *values = (struct option_values){0};
}

char *option_values_text(const struct napm_plugin *plugin, const struct option_values *values)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    for (uint32_t i = 0; out && i < values->count; i++) {
        fprintf(out, "%s=", plugin->options[i]->name);
        for (const char *at = values->texts[i]; *at; at++)
            if (*at == '\n')
                fputs("\\n", out); /* keeps one option a line */
            else
                fputc(*at, out);
        fputc('\n', out);
    }
    if (out)
        fclose(out);
    return text ? text : text_copy("");
}
