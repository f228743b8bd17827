/* SPDX-License-Identifier: Apache-2.0 */
/* What a run came to, as JSON. Times in nanoseconds, sizes in bytes, rates in bytes per second. */
#include <math.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/cli/report.h"
#include "core/cli/report_parts.h"
#include "core/cli/table.h"
#include "core/report/numbers.h"

static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, text ? json_string(text) : json_null());
}

static void set_integer(json_t *object, const char *key, uint64_t number)
{
    json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void set_real(json_t *object, const char *key, double number)
{
    json_object_set_new(object, key, report_json_number(number));
}

static void set_duration(json_t *object, const char *key, double ns)
{
    set_real(object, key, table_raw_number(TABLE_DURATION, ns));
}

static void set_time_of_day(json_t *object, const char *key, int64_t ns)
{
    char text[64];
    time_t seconds = (time_t)(ns / NS_PER_S);
    struct tm utc;
    if (ns == 0 || !gmtime_r(&seconds, &utc))
        set_text(object, key, NULL);
    else
        set_text(object, key, strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc) ? text : NULL);
}

static json_t *head_json(const struct run_summary *summary, const char *ledger)
{
    const struct run_head *head = &summary->head;
    json_t *object = json_object();
    set_integer(object, "run", (uint64_t)head->id);
    set_text(object, "status", head->status);
    set_text(object, "cause", head->cause);
    set_text(object, "scenario", head->scenario_name);
    set_text(object, "scenario_path", head->scenario_path);
    set_text(object, "world", head->world);
    set_integer(object, "seed", head->seed);
    set_integer(object, "repetition", head->repetition);
    set_time_of_day(object, "began", head->began_ns);
    set_time_of_day(object, "ended", head->ended_ns);
    set_integer(object, "began_ns", (uint64_t)head->began_ns);
    set_integer(object, "ended_ns", (uint64_t)head->ended_ns);
    set_text(object, "platform_version", summary->platform_version);
    set_text(object, "host", head->host);
    set_text(object, "processor", summary->processor);
    set_text(object, "system", summary->system);
    set_text(object, "ledger", ledger);
    set_text(object, "partitioner", head->partitioner);
    set_text(object, "scheduler", head->scheduler);
    return object;
}

static json_t *plan_json(const struct run_summary *summary)
{
    if (!summary->planned)
        return json_null();
    json_t *object = json_object();
    set_integer(object, "planning_ns", (uint64_t)summary->planning_ns);
    set_duration(object, "predicted_total_ns", summary->predicted_total_ns);
    set_duration(object, "predicted_mean_ns", summary->predicted_mean_ns);
    set_duration(object, "predicted_variance_ns2", summary->predicted_variance_ns2);
    set_real(object, "predicted_energy_per_task_j", summary->predicted_energy_j);
    set_real(object, "prediction_error", report_error_share(summary->delay.mean_ns, summary->predicted_mean_ns));
    return object;
}

static json_t *delay_json(const struct run_summary *summary)
{
    const struct delay_summary *delay = &summary->delay;
    json_t *object = json_object();
    set_integer(object, "tasks_ok", summary->head.ok);
    set_integer(object, "tasks_failed", summary->head.failed);
    set_integer(object, "tasks_unfinished", summary->head.unfinished);
    set_duration(object, "total_ns", delay->total_ns);
    set_duration(object, "mean_ns", delay->mean_ns);
    set_duration(object, "median_ns", delay->median_ns);
    set_duration(object, "p99_ns", delay->p99_ns);
    set_duration(object, "minimum_ns", delay->minimum_ns);
    set_duration(object, "maximum_ns", delay->maximum_ns);
    set_duration(object, "variance_ns2", delay->variance_ns2);
    return object;
}

static json_t *links_json(const struct run_summary *summary)
{
    json_t *array = json_array();
    for (size_t i = 0; i < summary->link_count; i++) {
        const struct link_summary *link = &summary->links[i];
        json_t *object = json_object();
        set_text(object, "link", link->name);
        set_text(object, "direction", link->direction);
        set_text(object, "medium", link->medium);
        set_real(object, "requested_bytes_per_s", link->requested_bytes_per_s > 0 ? link->requested_bytes_per_s : NAN);
        set_real(object, "achieved_bytes_per_s", link->achieved_bytes_per_s > 0 ? link->achieved_bytes_per_s : NAN);
        set_integer(object, "requested_delay_ns", (uint64_t)link->requested_delay_ns);
        set_integer(object, "achieved_delay_ns", (uint64_t)link->achieved_delay_ns);
        set_integer(object, "jitter_ns", (uint64_t)link->jitter_ns);
        set_real(object, "loss", link->loss);
        set_integer(object, "repair_ns", (uint64_t)link->repair_ns);
        set_text(object, "method", link->method);
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *nodes_json(const struct run_summary *summary)
{
    json_t *array = json_array();
    for (size_t i = 0; i < summary->node_count; i++) {
        const struct node_summary *node = &summary->nodes[i];
        json_t *object = json_object();
        set_text(object, "node", node->name);
        json_object_set_new(object, "is_station", json_boolean(node->is_station));
        set_text(object, "backend", node->backend);
        set_integer(object, "threads", node->threads);
        set_integer(object, "workers", node->workers);
        set_real(object, "cpu_share", node->cpu_share);
        set_real(object, "memory_limit_bytes", node->memory_limit_bytes ? (double)node->memory_limit_bytes : NAN);
        set_text(object, "host", node->host);
        set_text(object, "machine", node->machine);
        set_text(object, "system", node->system);
        set_integer(object, "processors", node->processors);
        set_integer(object, "memory_bytes", node->memory_bytes);
        set_integer(object, "samples", node->samples);
        set_real(object, "mean_cpu", node->mean_cpu);
        set_integer(object, "most_resident_bytes", node->most_resident_bytes);
        set_integer(object, "received_bytes", node->received_bytes);
        set_integer(object, "sent_bytes", node->sent_bytes);
        set_real(object, "idle_w", node->idle_w);
        set_real(object, "busy_w", node->busy_w);
        set_real(object, "transmit_w", node->transmit_w);
        set_real(object, "busy_ns", node->busy_ns);
        set_real(object, "air_ns", node->air_ns);
        set_text(object, "lost", node->lost_cause);
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *plugins_json(const struct run_summary *summary)
{
    json_t *array = json_array();
    for (size_t i = 0; i < summary->plugin_count; i++) {
        const struct plugin_summary *plugin = &summary->plugins[i];
        json_t *object = json_object();
        set_text(object, "role", plugin->role);
        set_text(object, "kind", plugin->kind);
        set_text(object, "name", plugin->name);
        set_text(object, "version", plugin->version);
        set_text(object, "file", plugin->file);
        set_text(object, "options", plugin->options);
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *failures_json(const struct run_summary *summary)
{
    json_t *array = json_array();
    for (size_t i = 0; i < summary->cause_count; i++) {
        json_t *object = json_object();
        set_text(object, "stream", summary->causes[i].stream);
        set_text(object, "cause", summary->causes[i].cause);
        set_integer(object, "tasks", summary->causes[i].tasks);
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *warnings_json(const struct run_summary *summary)
{
    json_t *array = json_array();
    struct report_warnings warnings = report_warnings(summary);
    for (size_t i = 0; i < warnings.count; i++)
        json_array_append_new(array, json_string(warnings.items[i]));
    report_warnings_free(&warnings);
    return array;
}

json_t *report_json(const struct run_summary *summary, const char *ledger)
{
    json_t *object = head_json(summary, ledger);
    const struct run_summary *only[] = {summary};
    struct table *streams = report_streams(only, 1), *plans = report_plans(summary);
    json_object_set_new(object, "plan", plan_json(summary));
    json_object_set_new(object, "plans", table_json(plans));
    json_object_set_new(object, "delay", delay_json(summary));
    set_real(object, "energy_per_task_j", summary->energy_j);
    json_object_set_new(object, "streams", table_json(streams));
    json_object_set_new(object, "links", links_json(summary));
    json_object_set_new(object, "nodes", nodes_json(summary));
    json_object_set_new(object, "plugins", plugins_json(summary));
    json_object_set_new(object, "failures", failures_json(summary));
    json_object_set_new(object, "warnings", warnings_json(summary));
    table_free(plans);
    table_free(streams);
    return object;
}

json_t *report_json_spread(const struct run_summary *const *summaries, size_t count)
{
    struct report_spread spread = report_spread(summaries, count);
    json_t *object = json_object();
    set_integer(object, "runs", spread.runs);
    set_integer(object, "runs_counted", spread.counted);
    set_duration(object, "mean_delay_ns", spread.mean_ns);
    set_duration(object, "deviation_ns", spread.deviation_ns);
    set_duration(object, "least_mean_delay_ns", spread.least_ns);
    set_duration(object, "most_mean_delay_ns", spread.most_ns);
    return object;
}
