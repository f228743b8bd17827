/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several runs as points of an experiment: in which settings they differ, and what each combination of settings came to,
 * with an interval of confidence over its repetitions.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/stats.h"
#include "core/base/units.h"
#include "core/report/parts.h"
#include "core/scenario/recorded.h"

/* ---- settings of a run ---- */

/* What the run's text, plugins and seed say in another way, or what differs between repetitions. */
static bool is_told_otherwise(const char *name)
{
    static const char *const names[] = {"seed", "partitioner.plugin", "scheduler.plugin", "name", "world"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* A string's quotes belong to the scenario's syntax. */
static json_t *setting_value(const char *value)
{
    size_t length = strlen(value);
    if (length >= 2 && value[0] == '"' && value[length - 1] == '"')
        return json_stringn(value + 1, length - 2);
    return json_stringn(value, length);
}

static void add_overrides(json_t *settings, const char *text)
{
    struct recorded_overrides overrides;
    recorded_overrides_read(&overrides, text);
    for (size_t i = 0; i < overrides.all.count; i++)
        if (!is_told_otherwise(overrides.all.items[i].path))
            json_object_set_new(settings, overrides.all.items[i].path, setting_value(overrides.all.items[i].value));
    recorded_overrides_free(&overrides);
}

static json_t *plugin_name(const char *with_version)
{
    char *name = query_plugin_name(with_version);
    json_t *text = json_string(name ? name : "none");
    free(name);
    return text;
}

static json_t *settings_of(const struct report_entry *entry)
{
    const struct run_summary *run = entry->summary;
    json_t *settings = json_object();
    json_object_set_new(settings, "scenario",
                        json_string(*run->head.scenario_name ? run->head.scenario_name : run->head.scenario_path));
    json_object_set_new(settings, "world", json_string(run->head.world));
    json_object_set_new(settings, "partitioner", plugin_name(run->head.partitioner));
    json_object_set_new(settings, "scheduler", plugin_name(run->head.scheduler));
    size_t devices = run->node_count > 0 ? run->node_count - 1 : 0;
    json_object_set_new(settings, "devices", json_sprintf("%zu", devices));
    add_overrides(settings, run->scenario_text);
    for (size_t i = 0; i < entry->setting_count; i++)
        if (!is_told_otherwise(entry->settings[i].name))
            json_object_set_new(settings, entry->settings[i].name, setting_value(entry->settings[i].value));
    return settings;
}

/* ---- parameters: settings that differ ---- */

static const char *value_of(const json_t *settings, const char *name)
{
    const char *value = json_string_value(json_object_get(settings, name));
    return value ? value : "as in the file";
}

static bool differs(json_t *const *settings, size_t count, const char *name)
{
    for (size_t i = 1; i < count; i++)
        if (strcmp(value_of(settings[i], name), value_of(settings[0], name)) != 0)
            return true;
    return false;
}

static bool parse_plain(const char *text, double *number)
{
    char *end;
    *number = strtod(text, &end);
    return end != text && !*end && isfinite(*number);
}

static bool parse_duration(const char *text, double *number)
{
    int64_t ns = 0;
    bool parsed = units_parse_duration_ns(text, &ns, NULL) == 0;
    *number = (double)ns;
    return parsed;
}

static bool parse_size(const char *text, double *number)
{
    uint64_t bytes = 0;
    bool parsed = units_parse_size_bytes(text, &bytes, NULL) == 0;
    *number = (double)bytes;
    return parsed;
}

static bool parse_rate(const char *text, double *number)
{
    return units_parse_rate(text, number, NULL) == 0;
}

static bool parse_share(const char *text, double *number)
{
    return units_parse_share(text, number, NULL) == 0;
}

static const struct {
    const char *name;
    bool (*parse)(const char *text, double *number);
} kinds[] = {
    {"number", parse_plain}, {"duration", parse_duration}, {"rate", parse_rate},
    {"size", parse_size},    {"share", parse_share},
};

/* The values as numbers of one kind, as "kind" and "numbers"; a parameter of words gets none. */
static void add_numbers(json_t *parameter, const json_t *values)
{
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        json_t *numbers = json_array();
        double number = 0;
        while (json_array_size(numbers) < json_array_size(values) &&
               kinds[kind].parse(json_string_value(json_array_get(values, json_array_size(numbers))), &number))
            json_array_append_new(numbers, json_real(number));
        if (json_array_size(numbers) == json_array_size(values)) {
            json_object_set_new(parameter, "kind", json_string(kinds[kind].name));
            json_object_set_new(parameter, "numbers", numbers);
            return;
        }
        json_decref(numbers);
    }
}

/* Each value once, in the order of the runs. */
static json_t *distinct_values(json_t *const *settings, size_t count, const char *name)
{
    json_t *seen = json_object(), *values = json_array();
    for (size_t i = 0; i < count; i++) {
        const char *value = value_of(settings[i], name);
        if (json_object_get(seen, value))
            continue;
        json_object_set_new(seen, value, json_true());
        json_array_append_new(values, json_string(value));
    }
    json_decref(seen);
    return values;
}

/* Of each run the number of its value among those of all runs. */
static json_t *pattern_of(json_t *const *settings, size_t count, const char *name, const json_t *values)
{
    json_t *pattern = json_array();
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (strcmp(json_string_value(json_array_get(values, at)), value_of(settings[i], name)) != 0)
            at++;
        json_array_append_new(pattern, json_integer((json_int_t)at));
    }
    return pattern;
}

/* Whether in every run the value of one parameter tells that of the other. */
static bool follows(const json_t *pattern, const json_t *from)
{
    json_t *told = json_array(), *value;
    bool same = true;
    size_t i;
    json_array_foreach(pattern, i, value)
    {
        /* Numbers are given in the order of appearance: a new one is the next. */
        size_t number = (size_t)json_integer_value(json_array_get(from, i));
        if (number == json_array_size(told))
            json_array_append(told, value);
        same = same && json_equal(json_array_get(told, number), value);
    }
    json_decref(told);
    return same;
}

/* The first parameter that tells this one, if any does. */
static json_t *told_by(const json_t *parameters, const json_t *patterns, const json_t *pattern, bool *both)
{
    json_t *from;
    size_t i;
    json_array_foreach(patterns, i, from) if (follows(pattern, from))
    {
        *both = json_equal(pattern, from);
        return json_array_get(parameters, i);
    }
    return NULL;
}

/*
 * A parameter that varies together with an earlier one (the number of devices with nodes.pi.count) is no axis of its own:
 * it is named "with" that one. Neither is one that an earlier one tells (an option of one of the partitioners).
 */
static json_t *parameters_of(json_t *const *settings, size_t count)
{
    json_t *names = json_object(), *parameters = json_array(), *patterns = json_array(), *value;
    const char *name;
    for (size_t i = 0; i < count; i++)
        json_object_update_missing(names, settings[i]);
    json_object_foreach(names, name, value)
    {
        if (!differs(settings, count, name))
            continue;
        bool both = false;
        json_t *values = distinct_values(settings, count, name), *pattern = pattern_of(settings, count, name, values);
        json_t *earlier = told_by(parameters, patterns, pattern, &both);
        if (both)
            json_array_append_new(json_object_get(earlier, "with"), json_string(name));
        if (!earlier) {
            json_t *parameter = json_pack("{s:s, s:O, s:[]}", "name", name, "values", values, "with");
            add_numbers(parameter, values);
            json_array_append_new(parameters, parameter);
            json_array_append(patterns, pattern);
        }
        json_decref(values);
        json_decref(pattern);
    }
    json_decref(names);
    json_decref(patterns);
    return parameters;
}

/* ---- metrics ---- */

static double phase_mean(const struct run_summary *run, int phase)
{
    double sum = 0, tasks = 0;
    for (size_t i = 0; i < run->stream_count; i++)
        if (run->streams[i].ok > 0) {
            sum += run->streams[i].phase_ns[phase] * (double)run->streams[i].ok;
            tasks += (double)run->streams[i].ok;
        }
    return tasks > 0 ? sum / tasks : NAN;
}

static double mean_delay(const struct run_summary *run)
{
    return run->delay.mean_ns;
}
static double median_delay(const struct run_summary *run)
{
    return run->delay.median_ns;
}
static double p99_delay(const struct run_summary *run)
{
    return run->delay.p99_ns;
}
static double total_delay(const struct run_summary *run)
{
    return run->delay.total_ns;
}
static double deviation(const struct run_summary *run)
{
    return sqrt(run->delay.variance_ns2);
}
static double local(const struct run_summary *run)
{
    return phase_mean(run, PHASE_LOCAL);
}
static double transmit(const struct run_summary *run)
{
    return phase_mean(run, PHASE_TRANSMIT);
}
static double queue(const struct run_summary *run)
{
    return phase_mean(run, PHASE_QUEUE);
}
static double remote(const struct run_summary *run)
{
    return phase_mean(run, PHASE_REMOTE);
}
static double returning(const struct run_summary *run)
{
    return phase_mean(run, PHASE_RETURN);
}
static double predicted_mean(const struct run_summary *run)
{
    return run->planned ? run->predicted_mean_ns : NAN;
}
static double failed_share(const struct run_summary *run)
{
    double bad = (double)(run->head.failed + run->head.unfinished), all = bad + (double)run->head.ok;
    return all > 0 ? bad / all : NAN;
}

static double energy(const struct run_summary *run)
{
    return run->energy_j;
}
static double predicted_energy(const struct run_summary *run)
{
    return run->planned ? run->predicted_energy_j : NAN;
}

static const struct metric {
    const char *key, *label, *kind;
    double (*of)(const struct run_summary *run);
} metrics[] = {
    {"mean_delay_ns", "mean delay", "duration", mean_delay},
    {"median_delay_ns", "median delay", "duration", median_delay},
    {"p99_delay_ns", "99th percentile of the delay", "duration", p99_delay},
    {"deviation_ns", "standard deviation of the delay", "duration", deviation},
    {"total_delay_ns", "total delay of all tasks", "duration", total_delay},
    {"predicted_mean_ns", "mean delay, predicted", "duration", predicted_mean},
    {"local_ns", "local phase (mean)", "duration", local},
    {"transmit_ns", "transmit phase (mean)", "duration", transmit},
    {"queue_ns", "queue phase (mean)", "duration", queue},
    {"remote_ns", "remote phase (mean)", "duration", remote},
    {"return_ns", "return phase (mean)", "duration", returning},
    {"failed_share", "share of tasks that failed", "share", failed_share},
    {"energy_per_task_j", "energy a task", "energy", energy},
    {"predicted_energy_per_task_j", "energy a task, predicted", "energy", predicted_energy},
};
#define METRICS (sizeof(metrics) / sizeof(metrics[0]))

/* A run that did not finish has other tasks than the others: of those that were not lost, its means say nothing. */
static double value_in(const struct metric *metric, const struct run_summary *run)
{
    bool counts = metric->of == failed_share || strcmp(run->head.status, "done") == 0;
    return counts ? metric->of(run) : NAN;
}

/* Only some runs know of energy, say. The delay is always shown, so that there is something. */
static bool is_shown(const struct metric *metric, const struct report_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (isfinite(value_in(metric, entries[i].summary)))
            return true;
    return metric == metrics;
}

/* ---- points ---- */

/* Mean and 95 % interval of what the point's runs came to; runs without a figure do not count. */
static json_t *figure(const struct report_entry *entries, const json_t *members, const struct metric *metric)
{
    ARRAY_OF(double) values = {0};
    json_t *member;
    size_t i;
    json_array_foreach(members, i, member)
    {
        double value = value_in(metric, entries[json_integer_value(member)].summary);
        if (isfinite(value))
            *ARRAY_ADD(&values) = value;
    }
    double mean = values.count ? stats_mean(values.items, values.count) : NAN;
    double reach = stats_mean_reach95(values.items, values.count);
    json_t *result =
        json_pack("{s:o, s:o, s:o, s:I}", "mean", report_json_number(mean), "low", report_json_number(mean - reach),
                  "high", report_json_number(mean + reach), "runs", (json_int_t)values.count);
    ARRAY_FREE(&values);
    return result;
}

static json_t *point_of(const struct report_entry *entries, json_t *settings, const json_t *parameters,
                        const json_t *members)
{
    json_t *values = json_object(), *figures = json_object(), *runs = json_array(), *item;
    size_t i;
    json_array_foreach(parameters, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        json_object_set_new(values, name, json_string(value_of(settings, name)));
    }
    json_array_foreach(members, i, item)
        json_array_append_new(runs, json_integer(entries[json_integer_value(item)].summary->head.id));
    for (size_t metric = 0; metric < METRICS; metric++)
        json_object_set_new(figures, metrics[metric].key, figure(entries, members, &metrics[metric]));
    return json_pack("{s:o, s:o, s:o}", "settings", values, "runs", runs, "metrics", figures);
}

/* Runs by what they agree in: the settings' values, joined. */
static json_t *members_by_point(json_t *const *settings, size_t count, const json_t *parameters)
{
    json_t *groups = json_object();
    for (size_t run = 0; run < count; run++) {
        json_t *key = json_array(), *parameter;
        size_t i;
        json_array_foreach(parameters, i, parameter) json_array_append_new(
            key, json_string(value_of(settings[run], json_string_value(json_object_get(parameter, "name")))));
        char *text = json_dumps(key, JSON_COMPACT);
        if (!json_object_get(groups, text))
            json_object_set_new(groups, text, json_array());
        json_array_append_new(json_object_get(groups, text), json_integer((json_int_t)run));
        free(text);
        json_decref(key);
    }
    return groups;
}

void report_add_points(json_t *document, const struct report_entry *entries, size_t count)
{
    json_t **settings = NEW_ARRAY(json_t *, count);
    for (size_t i = 0; i < count; i++)
        settings[i] = settings_of(&entries[i]);
    json_t *parameters = parameters_of(settings, count), *points = json_array(), *list = json_array();
    json_t *groups = members_by_point(settings, count, parameters), *members;
    const char *key;
    json_object_foreach(groups, key, members) json_array_append_new(
        points, point_of(entries, settings[json_integer_value(json_array_get(members, 0))], parameters, members));
    for (size_t i = 0; i < METRICS; i++)
        if (is_shown(&metrics[i], entries, count))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "key", metrics[i].key, "label", metrics[i].label,
                                                  "kind", metrics[i].kind));
    json_object_set_new(document, "parameters", parameters);
    json_object_set_new(document, "metrics", list);
    json_object_set_new(document, "points", points);
    json_decref(groups);
    for (size_t i = 0; i < count; i++)
        json_decref(settings[i]);
    free(settings);
}
