/* SPDX-License-Identifier: Apache-2.0 */
/* napm plugin list|info */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/nearest.h"
#include "core/cli/cli.h"
#include "core/cli/options.h"
#include "core/cli/table.h"
#include "core/plugin/catalogue.h"
#include "core/plugin/options.h"

/* A list reads notes only: that a plugin was found says nothing of its code, which `napm plugin info` loads and checks. */
static const char *state_of(const struct catalogue_entry *entry)
{
    return entry->refusal ? "refused" : entry->shadowed_by ? "hidden" : "found";
}

/* ---- list ---- */

static const struct table_column list_columns[] = {
    {"kind", "kind", TABLE_TEXT},     {"name", "name", TABLE_TEXT},    {"version", "version", TABLE_EXACT},
    {"abi", "ABI", TABLE_COUNT},      {"state", "state", TABLE_EXACT}, {"file", "file", TABLE_PATH},
    {"reason", "reason", TABLE_TEXT},
};

static void add_entry(struct table *table, const struct catalogue_entry *entry)
{
    char *hidden = entry->shadowed_by ? text_format("%s has the same name and comes first", entry->shadowed_by) : NULL;
    table_row(table);
    table_text(table, entry->refusal ? NULL : catalogue_kind_name(entry->kind));
    table_text(table, entry->name);
    table_text(table, entry->version);
    if (entry->name)
        table_number(table, entry->abi);
    else
        table_nothing(table);
    table_text(table, state_of(entry));
    table_text(table, entry->path);
    table_text(table, entry->refusal ? entry->refusal : hidden);
    free(hidden);
}

/* The people's table leaves the reason to lines below it, where there is room. */
static void print_list(const struct catalogue *catalogue)
{
    static const struct table_column columns[] = {
        {"kind", "kind", TABLE_TEXT},    {"name", "name", TABLE_TEXT}, {"version", "version", TABLE_EXACT},
        {"state", "state", TABLE_EXACT}, {"file", "file", TABLE_PATH},
    };
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < catalogue_count(catalogue); i++) {
        const struct catalogue_entry *entry = catalogue_at(catalogue, i);
        table_row(table);
        table_text(table, entry->refusal ? NULL : catalogue_kind_name(entry->kind));
        table_text(table, entry->name);
        table_text(table, entry->version);
        table_text(table, state_of(entry));
        table_text(table, entry->path);
    }
    table_print(table, stdout, 0);
    table_free(table);
    for (size_t i = 0; i < catalogue_count(catalogue); i++) {
        const struct catalogue_entry *entry = catalogue_at(catalogue, i);
        if (entry->refusal)
            printf("\nrefused: %s\n  %s\n", entry->path, entry->refusal);
        else if (entry->shadowed_by)
            printf("\nhidden: %s\n  %s has the same name and comes first\n", entry->path, entry->shadowed_by);
    }
}

static void print_none(const struct catalogue *catalogue)
{
    size_t count = catalogue_folder_count(catalogue);
    printf("no plugins found; searched: %s", count ? "" : "no folder, as none of the usual ones exists");
    for (size_t i = 0; i < count; i++)
        printf("%s%s", i ? ", " : "", catalogue_folder_at(catalogue, i));
    printf("\n");
}

static void show_list(const struct catalogue *catalogue, const char *format)
{
    if (strcmp(format, "table") == 0 && catalogue_count(catalogue) == 0) {
        print_none(catalogue);
        return;
    }
    if (strcmp(format, "table") == 0) {
        print_list(catalogue);
        return;
    }
    struct table *all = table_new(list_columns, sizeof(list_columns) / sizeof(list_columns[0]));
    for (size_t i = 0; i < catalogue_count(catalogue); i++)
        add_entry(all, catalogue_at(catalogue, i));
    table_put(all, format);
    table_free(all);
}

static int list(int argc, char **argv)
{
    struct common_options common = {0};
    const struct cli_option table[] = {OPTION_PLUGIN_PATH(common), OPTION_FORMAT(common), OPTION_COLOR(common),
                                       OPTION_VERBOSE(common)};
    const struct cli_usage usage = {
        "napm plugin list",
        "",
        "the plugins found, where, and why a file was refused",
        "Looks, in this order, at: --plugin-path, $NAPM_PLUGIN_PATH, "
        "$XDG_DATA_HOME/napm/plugins, the installed folder.\n"
        "Only notes in the files are read; no code of a plugin runs. So \"found\" says that the "
        "note fits this\nplatform; `napm plugin info` loads the file, and tells whether all of it "
        "does.",
        "  napm plugin list\n  napm plugin list --plugin-path ./my-plugins --format json",
        table,
        OPTIONS_COUNT(table),
        0,
        0};
    int first, result = options_parse(&usage, argc, argv, &first);
    struct error error = {0};
    if (result < 0) {
        common_apply(&common);
        struct catalogue *catalogue = catalogue_open(common.plugin_path.items, &error);
        if (catalogue)
            show_list(catalogue, common.format);
        result = catalogue ? cli_end_output() : cli_fail(&error);
        if (catalogue)
            catalogue_close(catalogue);
    }
    common_free(&common);
    return result;
}

/* ---- info ---- */

static const struct table_column option_columns[] = {
    {"name", "option", TABLE_EXACT},   {"type", "type", TABLE_EXACT},         {"default", "default", TABLE_EXACT},
    {"range", "allowed", TABLE_PROSE}, {"help", "what it does", TABLE_PROSE},
};

static struct table *options_table(const struct napm_plugin *plugin)
{
    struct table *table = table_new(option_columns, sizeof(option_columns) / sizeof(option_columns[0]));
    for (uint32_t i = 0; i < plugin->option_count; i++) {
        const struct napm_option *option = plugin->options[i];
        char *range = option_range_text(option);
        table_row(table);
        table_text(table, option->name);
        table_text(table, option_type_name(option->type));
        table_text(table, option->flags & NAPM_OPTION_REQUIRED ? "(required)" : option->default_text);
        table_text(table, *range ? range : NULL);
        table_text(table, option->help);
        free(range);
    }
    return table;
}

static const char *threading_text(uint32_t threading)
{
    return threading == NAPM_THREADS_PARALLEL       ? "any calls may overlap"
           : threading == NAPM_THREADS_PER_INSTANCE ? "calls on different instances may overlap"
                                                    : "one call at a time";
}

static void print_plugin(const struct catalogue_entry *entry)
{
    const struct napm_plugin *plugin = entry->plugin;
    printf("%s%s %s%s  %s\n", table_style(STYLE_BOLD), entry->name, entry->version, table_style(STYLE_PLAIN),
           plugin->summary ? plugin->summary : "");
    printf("  kind      %s (hook version %u)\n", catalogue_kind_name(entry->kind), entry->hook_version);
    printf("  file      %s\n", entry->path);
    printf("  ABI       %u\n", entry->abi);
    printf("  threads   %s\n", threading_text(plugin->threading));
    printf("  licence   %s\n", plugin->licence ? plugin->licence : "not stated");
    printf("  options%s\n", plugin->option_count ? "" : "   none");
    struct table *options = options_table(plugin);
    if (plugin->option_count)
        table_print(options, stdout, 4);
    table_free(options);
}

static json_t *plugin_json(const struct catalogue_entry *entry)
{
    const struct napm_plugin *plugin = entry->plugin;
    struct table *options = options_table(plugin);
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:s?, s:s?, s:s, s:o}", "kind", catalogue_kind_name(entry->kind),
                  "name", entry->name, "version", entry->version, "abi", (int)entry->abi, "hook_version",
                  (int)entry->hook_version, "file", entry->path, "summary", plugin->summary, "licence", plugin->licence,
                  "threads", threading_text(plugin->threading), "options", table_json(options));
    table_free(options);
    return object;
}

/* Whether an entry is what the user named: a plugin's name ("kind:name" too), or a file. */
static bool is_named(const struct catalogue_entry *entry, const char *wanted)
{
    const char *colon = strchr(wanted, ':'), *slash = strrchr(entry->path, '/');
    if (strchr(wanted, '/')) /* then the catalogue is of that file alone */
        return true;
    if (strcmp(slash ? slash + 1 : entry->path, wanted) == 0)
        return true;
    if (!entry->name)
        return false;
    if (colon && strcmp(colon + 1, entry->name) == 0)
        return strncmp(wanted, catalogue_kind_name(entry->kind), (size_t)(colon - wanted)) == 0;
    return strcmp(entry->name, wanted) == 0;
}

static int nothing_found(const struct catalogue *catalogue, const char *wanted, struct error *error)
{
    size_t count = catalogue_count(catalogue), named = 0;
    const char **names = NEW_ARRAY(const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        if (catalogue_at(catalogue, i)->name)
            names[named++] = catalogue_at(catalogue, i)->name;
    const char *near = nearest_name(wanted, names, named);
    if (near)
        error_set(error, ERROR_INPUT, "there is no plugin \"%s\"; did you mean \"%s\"?", wanted, near);
    else
        error_set(error, ERROR_INPUT, "there is no plugin \"%s\"; `napm plugin list` names those there are", wanted);
    free(names);
    return -1;
}

/* One entry, loaded; -1 where it is refused (then *error says why). */
static int load_entry(struct catalogue *catalogue, const struct catalogue_entry *entry, struct error *error)
{
    if (entry->refusal)
        return error_set(error, ERROR_INPUT, "%s was refused: %s", entry->path, entry->refusal);
    if (!entry->shadowed_by && !catalogue_find(catalogue, entry->kind, entry->name, error))
        return -1;
    return 0;
}

static int show_named(struct catalogue *catalogue, const char *wanted, const char *format, struct error *error)
{
    json_t *found = json_array();
    bool as_json = strcmp(format, "json") == 0;
    int result = 0;
    size_t shown = 0, hits = 0;
    for (size_t i = 0; i < catalogue_count(catalogue) && result == 0; i++) {
        const struct catalogue_entry *entry = catalogue_at(catalogue, i);
        if (!is_named(entry, wanted))
            continue;
        hits++;
        result = load_entry(catalogue, entry, error);
        if (result != 0 || !entry->plugin)
            continue;
        if (as_json)
            json_array_append_new(found, plugin_json(entry));
        else
            print_plugin(entry);
        shown++;
    }
    if (result == 0 && hits == 0)
        result = nothing_found(catalogue, wanted, error);
    if (result == 0 && as_json)
        table_put_json(json_incref(shown == 1 ? json_array_get(found, 0) : found));
    json_decref(found);
    return result;
}

/* A word with a slash names a file, wherever that lies; any other one is looked for in the folders. */
static struct catalogue *open_for(const char *wanted, const struct common_options *common, struct error *error)
{
    if (!strchr(wanted, '/'))
        return catalogue_open(common->plugin_path.items, error);
    if (access(wanted, R_OK) != 0) {
        error_set(error, ERROR_INPUT, "%s: %s; name a plugin file, or a plugin that `napm plugin list` names", wanted,
                  strerror(errno));
        return NULL;
    }
    return catalogue_open_file(wanted);
}

static int info(int argc, char **argv)
{
    struct common_options common = {0};
    const struct cli_option table[] = {
        OPTION_PLUGIN_PATH(common),
        {"format", 'f', OPTION_ONE_OF, &common.format, "table|json", "how to print it (default: table)", 0, 0},
        OPTION_COLOR(common),
        OPTION_VERBOSE(common),
    };
    const struct cli_usage usage = {
        "napm plugin info",
        "NAME",
        "a plugin's options with type, default, range and help; its file and ABI",
        "NAME is a plugin's name, KIND:NAME where several kinds share it, or a plugin file: a path with a slash in it.",
        "  napm plugin info greedy-delay\n  napm plugin info ./mine.so\n  napm plugin info scheduler:rr --format json",
        table,
        OPTIONS_COUNT(table),
        1,
        1};
    int first, result = options_parse(&usage, argc, argv, &first);
    struct error error = {0};
    if (result < 0) {
        common_apply(&common);
        struct catalogue *catalogue = open_for(argv[first], &common, &error);
        bool shown = catalogue && show_named(catalogue, argv[first], common.format, &error) == 0;
        result = shown ? cli_end_output() : cli_fail(&error);
        if (catalogue)
            catalogue_close(catalogue);
    }
    common_free(&common);
    return result;
}

int cmd_plugin(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"list", "the plugins found, where, and why a file was refused", list},
        {"info", "one plugin's options, file and ABI", info},
    };
    return cli_dispatch("napm plugin", NULL, commands, sizeof(commands) / sizeof(commands[0]), argc, argv);
}
