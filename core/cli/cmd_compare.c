/* SPDX-License-Identifier: Apache-2.0 */
/* napm compare RUN... | --by KEY,... */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/comparison.h"
#include "core/cli/options.h"
#include "core/cli/recorded.h"
#include "core/cli/table.h"
#include "core/evidence/compare.h"
#include "core/scenario/recorded.h"

#define DEFAULT_CONFIDENCE 0.95
#define DEFAULT_LEAST 0.01

struct compare_options {
    struct common_options common;
    const char *by, *scenario, *baseline, *confidence, *least;
    struct comparison_settings settings;
};

struct groups {
    ARRAY_OF(struct group) all;
};

/* ---- labels ---- */

static char *plugin_name(const char *with_version)
{
    return with_version ? query_plugin_name(with_version) : text_copy("none");
}

/* What `--set PATH=VALUE` said last of a path in this run. */
static char *setting_of(const struct run_summary *run, const char *path)
{
    struct recorded_overrides overrides;
    const char *found = "as in the file";
    recorded_overrides_read(&overrides, run->scenario_text);
    for (size_t i = 0; i < overrides.all.count; i++)
        if (strcmp(overrides.all.items[i].path, path) == 0)
            found = overrides.all.items[i].value;
    char *value = text_copy(found);
    recorded_overrides_free(&overrides);
    return value;
}

static char *key_value(const struct run_summary *run, const char *key)
{
    if (strcmp(key, "partitioner") == 0)
        return plugin_name(run->head.partitioner);
    if (strcmp(key, "scheduler") == 0)
        return plugin_name(run->head.scheduler);
    if (strcmp(key, "world") == 0)
        return text_copy(run->head.world);
    if (strcmp(key, "scenario") == 0)
        return text_copy(run->head.scenario_name);
    if (strcmp(key, "host") == 0)
        return text_copy(run->head.host);
    if (strcmp(key, "run") == 0)
        return text_format("run %lld", (long long)run->head.id);
    char *setting = setting_of(run, key), *named = text_format("%s=%s", key, setting);
    free(setting);
    return named;
}

/* The values of all keys of a comma-separated list, joined. */
static char *label_of(const struct run_summary *run, const char *by)
{
    char *keys = text_copy(by), *label = NULL, *rest = NULL;
    for (char *key = strtok_r(keys, ",", &rest); key; key = strtok_r(NULL, ",", &rest)) {
        char *value = key_value(run, key), *longer = label ? text_format("%s + %s", label, value) : text_copy(value);
        free(value);
        free(label);
        label = longer;
    }
    free(keys);
    return label ? label : text_copy("all");
}

static int check_keys(const char *by, struct error *error)
{
    static const char *const keys[] = {"partitioner", "scheduler", "world", "scenario", "host", "run"};
    char *copy = text_copy(by), *rest = NULL;
    int result = 0;
    for (char *key = strtok_r(copy, ",", &rest); key && result == 0; key = strtok_r(NULL, ",", &rest)) {
        bool known = strchr(key, '.') != NULL;
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            known |= strcmp(key, keys[i]) == 0;
        if (!known)
            result =
                error_set(error, ERROR_INPUT,
                          "--by: \"%s\" is nothing to group by; there are partitioner, scheduler, world, scenario, "
                          "host, run, and paths as --set takes them (nodes.pi.cpu)",
                          key);
    }
    free(copy);
    return result;
}

/* ---- groups ---- */

static struct group *group_named(struct groups *groups, const char *label)
{
    for (size_t i = 0; i < groups->all.count; i++)
        if (strcmp(groups->all.items[i].label, label) == 0)
            return &groups->all.items[i];
    struct group *added = ARRAY_ADD(&groups->all);
    *added = (struct group){.label = text_copy(label)};
    return added;
}

/* Whether the comma-separated list has the path, with or without the ".plugin" at its end. */
static bool is_key(const char *by, const char *path)
{
    static const char tail[] = ".plugin";
    size_t length = strlen(path), shorter = length;
    if (length > strlen(tail) && strcmp(path + length - strlen(tail), tail) == 0)
        shorter -= strlen(tail);
    for (const char *key = by; *key; key += strcspn(key, ","), key += *key == ',') {
        size_t key_length = strcspn(key, ",");
        if ((key_length == length || key_length == shorter) && strncmp(key, path, key_length) == 0)
            return true;
    }
    return false;
}

/* The run's --set settings that are no group's, as they came to be in the end: runs that differ in them are mixed. */
static char *settings_outside(const struct run_summary *run, const char *by)
{
    struct recorded_overrides overrides;
    char *found = NULL;
    recorded_overrides_read(&overrides, run->scenario_text);
    recorded_overrides_keep_last(&overrides);
    for (size_t i = 0; i < overrides.all.count; i++) {
        const struct scenario_override *override = &overrides.all.items[i];
        if (is_key(by, override->path))
            continue;
        char *longer = text_format("%s%s%s=%s", found ? found : "", found ? " " : "", override->path, override->value);
        free(found);
        found = longer;
    }
    recorded_overrides_free(&overrides);
    return found ? found : text_copy("none");
}

/* What makes runs of one comparison hard to compare is said once. */
struct likeness {
    char *scenario, *world, *host, *settings;
};

static void warn_of_difference(char **first, const char *value, const char *what)
{
    if (*first && **first && strcmp(*first, value) != 0) {
        fprintf(stderr, "napm: warning: the runs are of more than one %s (%s, %s)\n", what, *first, value);
        **first = '\0';
    } else if (!*first) {
        *first = text_copy(value);
    }
}

static int add_run(struct groups *groups, struct ledger *ledger, int64_t number, const char *by,
                   struct likeness *likeness, struct error *error)
{
    struct run_summary *run = query_run(ledger, number, error);
    if (!run)
        return -1;
    bool by_itself = strcmp(by, "run") == 0;
    if (!strstr(by, "scenario"))
        warn_of_difference(&likeness->scenario, run->head.scenario_name, "scenario");
    if (!strstr(by, "world"))
        warn_of_difference(&likeness->world, run->head.world, "world");
    if (!strstr(by, "host"))
        warn_of_difference(&likeness->host, run->head.host, "machine");
    char *settings = settings_outside(run, by);
    if (!by_itself)
        warn_of_difference(&likeness->settings, settings, "setting (--set)");
    free(settings);
    char *label = label_of(run, by_itself ? "run,partitioner,scheduler" : by);
    int result = group_add(group_named(groups, label), ledger, run, error);
    free(label);
    query_run_free(run);
    return result;
}

/* All runs of a scenario that came to their end; without a name, of the newest run's. */
static int runs_of_scenario(struct ledger *ledger, const char *scenario, struct recorded_runs *numbers,
                            struct error *error)
{
    struct run_head *heads;
    size_t count;
    if (query_runs(ledger, 0, &heads, &count, error) != 0)
        return -1;
    for (size_t i = count; i-- > 0;) {
        const char *wanted = scenario ? scenario : heads[0].scenario_name;
        if (strcmp(heads[i].status, "done") == 0 && strcmp(heads[i].scenario_name, wanted) == 0)
            *ARRAY_ADD(&numbers->all) = heads[i].id;
    }
    query_runs_free(heads, count);
    if (numbers->all.count == 0)
        return error_set(error, ERROR_INPUT,
                         "ledger %s: holds no run of that scenario that came to its end; `napm result list` names the "
                         "runs",
                         ledger_path(ledger));
    return 0;
}

static int gather(struct groups *groups, struct ledger *ledger, const struct recorded_runs *numbers, const char *by,
                  struct error *error)
{
    struct likeness likeness = {0};
    int result = 0;
    for (size_t i = 0; i < numbers->all.count && result == 0; i++)
        result = add_run(groups, ledger, numbers->all.items[i], by, &likeness, error);
    free(likeness.scenario);
    free(likeness.world);
    free(likeness.host);
    free(likeness.settings);
    return result;
}

/* The group that the others are compared with: the first, unless --baseline names one. */
static int find_baseline(const struct groups *groups, const char *label, size_t *baseline, struct error *error)
{
    *baseline = 0;
    if (groups->all.count < 2)
        return error_set(error, ERROR_INPUT,
                         "there is only one group (%s), nothing to compare it with; name more runs, or another --by",
                         groups->all.count ? groups->all.items[0].label : "none");
    if (!label)
        return 0;
    char *there = text_copy("");
    for (size_t i = 0; i < groups->all.count; i++) {
        if (strcmp(groups->all.items[i].label, label) == 0) {
            free(there);
            *baseline = i;
            return 0;
        }
        char *longer = text_format("%s%s\"%s\"", there, *there ? ", " : "", groups->all.items[i].label);
        free(there);
        there = longer;
    }
    error_set(error, ERROR_INPUT, "--baseline: there is no group \"%s\"; there are %s", label, there);
    free(there);
    return -1;
}

/* ---- output ---- */

static void print_end(const struct comparison *last, const struct compare_options *options)
{
    printf("Intervals hold together with %.0f %% confidence (each with %.2f %%: Bonferroni; BCa bootstrap of stretches "
           "of\n"
           "consecutive tasks). Differences below %.3g %% count as slight.\n",
           100 * options->settings.confidence, 100 * last->confidence, 100 * options->settings.least_relative);
    if (last->a->run_count == 1 && last->b->run_count == 1)
        puts("One run a side: the intervals know the noise within these runs, not that between runs; --repeat tells "
             "both.");
}

static void compare_all(const struct groups *groups, size_t baseline, struct compare_options *options)
{
    bool plain = strcmp(options->common.format, "table") == 0;
    struct table *raw = comparison_table();
    struct comparison it = {0};
    options->settings.comparisons = groups->all.count - 1;
    for (size_t i = 0; i < groups->all.count; i++) {
        if (i == baseline)
            continue;
        compare(&groups->all.items[baseline], &groups->all.items[i], &options->settings, &it);
        if (plain)
            comparison_print(&it);
        else
            comparison_add(raw, &it);
    }
    if (plain)
        print_end(&it, options);
    else
        table_put(raw, options->common.format);
    table_free(raw);
}

static int carry_out(struct compare_options *options, char **operands, int operand_count, struct error *error)
{
    const char *by = options->by ? options->by : "run";
    struct groups groups = {0};
    struct recorded_runs numbers = {0};
    size_t baseline = 0;
    struct ledger *ledger = NULL;
    int result = check_keys(by, error);
    if (result == 0)
        result = (ledger = recorded_open(options->common.db, error)) ? 0 : -1;
    if (result == 0)
        result = operand_count ? recorded_runs(ledger, operands, operand_count, &numbers, error)
                               : runs_of_scenario(ledger, options->scenario, &numbers, error);
    if (result == 0)
        result = gather(&groups, ledger, &numbers, by, error);
    if (result == 0)
        result = find_baseline(&groups, options->baseline, &baseline, error);
    if (result == 0)
        compare_all(&groups, baseline, options);
    for (size_t i = 0; i < groups.all.count; i++)
        group_free(&groups.all.items[i]);
    ARRAY_FREE(&groups.all);
    ARRAY_FREE(&numbers.all);
    if (ledger)
        ledger_close(ledger);
    return result;
}

int cmd_compare(int argc, char **argv)
{
    struct compare_options options = {.settings = {DEFAULT_CONFIDENCE, DEFAULT_LEAST, 1}};
    const struct cli_option table[] = {
        {"by", 0, OPTION_WORD, &options.by, "KEY,...",
         "group runs by partitioner, scheduler, world, scenario, host, run, or a --set path (default: each run alone)",
         0, 0},
        {"scenario", 0, OPTION_WORD, &options.scenario, "NAME",
         "without RUN: all finished runs of this scenario (default: the newest run's)", 0, 0},
        {"baseline", 0, OPTION_WORD, &options.baseline, "GROUP",
         "compare the others with this group (default: the first)", 0, 0},
        {"confidence", 0, OPTION_WORD, &options.confidence, "SHARE", "of all intervals together (default: 95%)", 0, 0},
        {"least", 0, OPTION_WORD, &options.least, "SHARE", "smaller differences do not matter (default: 1%)", 0, 0},
        OPTION_DB(options.common),
        OPTION_FORMAT(options.common),
        OPTION_COLOR(options.common),
        OPTION_VERBOSE(options.common),
    };
    const struct cli_usage usage = {
        "napm compare",
        "[RUN | sweep:N]...",
        "tell differences between runs from noise",
        "Compares the delays of recorded runs: each group with the first, task by task where both made the\n"
        "same tasks (same seed). The interval says where the true difference lies, and the verdict whether\n"
        "it is more than noise. RUN is a number, a range such as 4-9, or \"last\"; sweep:N (or sweep:last)\n"
        "stands for the runs of a sweep; without any, --by groups all finished runs of a scenario.",
        "  napm compare 4 5\n  napm compare --by partitioner,scheduler\n"
        "  napm compare sweep:last --by partitioner --baseline station-only --format json",
        table,
        OPTIONS_COUNT(table),
        0,
        10000};
    int first, result = options_parse(&usage, argc, argv, &first);
    struct error error = {0};
    if (result < 0) {
        common_apply(&options.common);
        bool fine =
            options_read_share("--confidence", options.confidence, 0.9999, &options.settings.confidence, &error) == 0 &&
            options_read_share("--least", options.least, 1, &options.settings.least_relative, &error) == 0 &&
            carry_out(&options, argv + first, argc - first, &error) == 0;
        result = fine ? cli_end_output() : cli_fail(&error);
    }
    common_free(&options.common);
    return result;
}
