/* SPDX-License-Identifier: Apache-2.0 */
/* What a run came to: tables and warnings. (As JSON: report_json.c.) */
#include "core/cli/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/stats.h"
#include "core/base/units.h"
#include "core/cli/report_parts.h"
#include "core/cli/table.h"

#define MOST_SET_STREAMS 6 /* named in a line */

double report_predicted_delay_ns(const struct stream_summary *stream)
{
    double sum = 0;
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        sum += stream->predicted_ns[phase];
    return stream->planned ? sum : NAN;
}

double report_error_share(double measured, double predicted)
{
    return measured > 0 ? (predicted - measured) / measured : NAN;
}

bool report_has_tasks(const struct run_summary *summary)
{
    for (size_t i = 0; i < summary->stream_count; i++) {
        const struct stream_summary *stream = &summary->streams[i];
        if (stream->ok + stream->failed + stream->unfinished + stream->warmups > 0)
            return true;
    }
    return false;
}

/* ---- the table of streams ---- */

static const struct table_column stream_columns[] = {
    {"run", "run", TABLE_COUNT},
    {"stream", "stream", TABLE_TEXT},
    {"device", "device", TABLE_TEXT},
    {"model", "model", TABLE_TEXT},
    {"layer_count", "layers", TABLE_COUNT},
    {"cut", "cut", TABLE_COUNT},
    {"cut_layer", "after layer", TABLE_TEXT},
    {"cut_bytes", "sends", TABLE_SIZE},
    {"tasks_ok", "ok", TABLE_COUNT},
    {"tasks_failed", "failed", TABLE_COUNT},
    {"tasks_unfinished", "unfinished", TABLE_COUNT},
    {"tasks_warmup", "warm-up", TABLE_COUNT},
    {"mean_delay_ns", "mean", TABLE_DURATION},
    {"median_delay_ns", "median", TABLE_DURATION},
    {"p99_delay_ns", "p99", TABLE_DURATION},
    {"minimum_delay_ns", "least", TABLE_DURATION},
    {"maximum_delay_ns", "most", TABLE_DURATION},
    {"total_delay_ns", "total", TABLE_DURATION},
    {"variance_delay_ns2", "variance", TABLE_VARIANCE},
    {"local_ns", "local", TABLE_DURATION},
    {"transmit_ns", "transmit", TABLE_DURATION},
    {"queue_ns", "queue", TABLE_DURATION},
    {"remote_ns", "remote", TABLE_DURATION},
    {"return_ns", "return", TABLE_DURATION},
    {"device_wait_ns", "device wait", TABLE_DURATION},
    {"device_compute_ns", "device compute", TABLE_DURATION},
    {"station_compute_ns", "station compute", TABLE_DURATION},
    {"predicted_delay_ns", "predicted", TABLE_DURATION},
    {"predicted_local_ns", "local", TABLE_DURATION},
    {"predicted_transmit_ns", "transmit", TABLE_DURATION},
    {"predicted_queue_ns", "queue", TABLE_DURATION},
    {"predicted_remote_ns", "remote", TABLE_DURATION},
    {"predicted_return_ns", "return", TABLE_DURATION},
    {"prediction_error", "error", TABLE_SHARE},
    {"deadline_ns", "deadline", TABLE_DURATION},
    {"deadline_misses", "missed", TABLE_COUNT},
    {"way", "layers on the way", TABLE_TEXT},
    {"energy_per_task_j", "energy a task", TABLE_ENERGY},
    {"sending_per_task_j", "for sending", TABLE_ENERGY},
    {"placement", "node of each layer", TABLE_TEXT}, /* where it is no cut of the layer order */
};

static void add_stream(struct table *table, int64_t run, const struct stream_summary *stream)
{
    const struct delay_summary *delay = &stream->delay;
    double predicted_ns = report_predicted_delay_ns(stream);
    table_row(table);
    table_number(table, (double)run);
    table_text(table, stream->name);
    table_text(table, stream->device);
    table_text(table, stream->model);
    table_number(table, stream->layer_count);
    table_number(table, stream->planned ? stream->cut : NAN);
    table_text(table, stream->cut_layer);
    table_number(table, stream->planned ? (double)stream->cut_bytes : NAN);
    table_number(table, (double)stream->ok);
    table_number(table, (double)stream->failed);
    table_number(table, (double)stream->unfinished);
    table_number(table, (double)stream->warmups);
    const double delays[] = {delay->mean_ns,    delay->median_ns, delay->p99_ns,      delay->minimum_ns,
                             delay->maximum_ns, delay->total_ns,  delay->variance_ns2};
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++)
        table_number(table, delays[i]);
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        table_number(table, stream->phase_ns[phase]);
    table_number(table, stream->device_wait_ns);
    table_number(table, stream->device_compute_ns);
    table_number(table, stream->station_compute_ns);
    table_number(table, predicted_ns);
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        table_number(table, stream->planned ? stream->predicted_ns[phase] : NAN);
    table_number(table, report_error_share(delay->mean_ns, predicted_ns));
    table_number(table, stream->deadline_ns ? (double)stream->deadline_ns : NAN);
    table_number(table, stream->deadline_ns ? (double)stream->deadline_misses : NAN);
    table_text(table, stream->way);
    table_number(table, stream->energy_j);
    table_number(table, stream->sending_j);
    table_text(table, stream->placement);
}

struct table *report_streams(const struct run_summary *const *summaries, size_t count)
{
    struct table *table = table_new(stream_columns, sizeof(stream_columns) / sizeof(stream_columns[0]));
    for (size_t i = 0; i < count; i++)
        for (size_t stream = 0; stream < summaries[i]->stream_count; stream++)
            add_stream(table, summaries[i]->head.id, &summaries[i]->streams[stream]);
    return table;
}

/* ---- for people ---- */

static void print_head(const struct run_summary *summary)
{
    const struct run_head *head = &summary->head;
    char took[UNITS_TEXT_BYTES] = "?";
    if (head->ended_ns)
        units_format_duration(took, (double)(head->ended_ns - head->began_ns));
    bool good = strcmp(head->status, "done") == 0;
    printf("%sRun %" PRId64 "%s  %s: %s%s%s after %s\n", table_style(STYLE_BOLD), head->id, table_style(STYLE_PLAIN),
           *head->scenario_name ? head->scenario_name : head->scenario_path, table_style(good ? STYLE_GOOD : STYLE_BAD),
           head->status, table_style(STYLE_PLAIN), took);
    if (head->cause)
        printf("  because: %s\n", head->cause);
    printf("  world %s, seed %" PRIu64, head->world, head->seed);
    if (head->partitioner)
        printf(", partitioner %s", head->partitioner);
    if (head->scheduler)
        printf(", scheduler %s", head->scheduler);
    if (summary->planned)
        printf(", planned in %s", units_format_duration(took, (double)summary->planning_ns));
    printf("\n");
}

static void add_figures(struct table *table, const struct delay_summary *delay, double predicted_ns)
{
    table_number(table, delay->mean_ns);
    table_number(table, delay->median_ns);
    table_number(table, delay->p99_ns);
    table_number(table, predicted_ns);
    table_number(table, report_error_share(delay->mean_ns, predicted_ns));
}

static void add_all_streams(struct table *table, const struct run_summary *summary)
{
    table_rule(table);
    table_text(table, "all");
    table_text(table, "");
    table_nothing(table);
    table_number(table, (double)summary->head.ok);
    table_number(table, (double)(summary->head.failed + summary->head.unfinished));
    add_figures(table, &summary->delay, summary->planned ? summary->predicted_mean_ns : NAN);
}

static void print_streams(const struct run_summary *summary)
{
    static const struct table_column columns[] = {
        {"stream", "stream", TABLE_TEXT},
        {"cut", "cut", TABLE_TEXT},
        {"sends", "sends", TABLE_SIZE},
        {"tasks", "tasks", TABLE_COUNT},
        {"failed", "failed", TABLE_COUNT},
        {"mean", "mean", TABLE_DURATION},
        {"median", "median", TABLE_DURATION},
        {"p99", "p99", TABLE_DURATION},
        {"predicted", "predicted", TABLE_DURATION},
        {"error", "error", TABLE_SHARE},
    };
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    table_split(table, 1, "mean");
    for (size_t i = 0; i < summary->stream_count; i++) {
        const struct stream_summary *stream = &summary->streams[i];
        char *cut = stream->set ? text_format("set of %u/%u", stream->cut, stream->layer_count)
                    : stream->way
                        ? text_copy(stream->way)
                        : report_cut_text(stream->planned, stream->cut, stream->layer_count, stream->cut_layer);
        table_row(table);
        table_text(table, stream->name);
        table_text(table, cut);
        table_number(table, stream->planned ? (double)stream->cut_bytes : NAN);
        table_number(table, (double)stream->ok);
        table_number(table, (double)(stream->failed + stream->unfinished));
        add_figures(table, &stream->delay, report_predicted_delay_ns(stream));
        free(cut);
    }
    if (summary->stream_count > 1)
        add_all_streams(table, summary);
    table_print(table, stdout, 0);
    table_free(table);
    struct report_set *sets = NEW_ARRAY(struct report_set, summary->stream_count);
    for (size_t i = 0; i < summary->stream_count; i++)
        sets[i] = (struct report_set){summary->streams[i].name, summary->streams[i].set};
    report_print_sets(sets, summary->stream_count);
    free(sets);
}

static bool is_same_set(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

void report_print_sets(const struct report_set *sets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t before = 0, more = 0;
        while (before < i && !is_same_set(sets[before].set, sets[i].set))
            before++;
        if (!sets[i].set || before < i)
            continue;
        printf("set of %s", sets[i].stream);
        for (size_t k = i + 1; k < count; k++)
            if (is_same_set(sets[i].set, sets[k].set) && ++more < MOST_SET_STREAMS)
                printf(", %s", sets[k].stream);
        if (more >= MOST_SET_STREAMS)
            printf(" and %zu more", more - MOST_SET_STREAMS + 1);
        printf(": %s\n", sets[i].set);
    }
}

char *report_cut_text(bool planned, uint32_t cut, uint32_t layer_count, const char *layer)
{
    if (!planned)
        return text_copy("-");
    if (cut == 0)
        return text_format("0/%u all at the station", layer_count);
    if (cut == layer_count)
        return text_format("%u/%u all on the device", cut, layer_count);
    return text_format("%u/%u after %s", cut, layer_count, layer ? layer : "?");
}

static void add_phases(struct table *table, const char *stream, const char *what, const double *phase_ns)
{
    double sum = 0;
    table_row(table);
    table_text(table, stream);
    table_text(table, what);
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        table_number(table, phase_ns[phase]);
        sum += phase_ns[phase];
    }
    table_number(table, sum);
}

static void print_phases(const struct run_summary *summary)
{
    static const struct table_column columns[] = {
        {"stream", "phases (mean)", TABLE_TEXT}, {"what", "", TABLE_EXACT},
        {"local", "local", TABLE_DURATION},      {"transmit", "transmit", TABLE_DURATION},
        {"queue", "queue", TABLE_DURATION},      {"remote", "remote", TABLE_DURATION},
        {"return", "return", TABLE_DURATION},    {"delay", "delay", TABLE_DURATION},
    };
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    table_split(table, 2, "local");
    for (size_t i = 0; i < summary->stream_count; i++) {
        const struct stream_summary *stream = &summary->streams[i];
        add_phases(table, stream->name, "measured", stream->phase_ns);
        if (stream->planned)
            add_phases(table, "", "predicted", stream->predicted_ns);
    }
    printf("\n");
    table_print(table, stdout, 0);
    table_free(table);
}

static void print_total(const struct run_summary *summary)
{
    const struct delay_summary *delay = &summary->delay;
    char total[TABLE_CELL_BYTES], mean[TABLE_CELL_BYTES], variance[TABLE_CELL_BYTES], deviation[TABLE_CELL_BYTES],
        predicted[TABLE_CELL_BYTES], spread[TABLE_CELL_BYTES];
    if (isnan(delay->mean_ns)) {
        printf("\nNo task has ended well.\n");
        return;
    }
    printf("\nAll tasks: total delay %s, mean %s, variance %s (deviation %s)",
           table_format_number(total, TABLE_DURATION, delay->total_ns),
           table_format_number(mean, TABLE_DURATION, delay->mean_ns),
           table_format_number(variance, TABLE_VARIANCE, delay->variance_ns2),
           table_format_number(deviation, TABLE_DURATION, sqrt(delay->variance_ns2)));
    if (summary->planned)
        printf("\nPredicted: mean %s, variance %s",
               table_format_number(predicted, TABLE_DURATION, summary->predicted_mean_ns),
               table_format_number(spread, TABLE_VARIANCE, summary->predicted_variance_ns2));
    printf("\n");
}

static void print_energy(const struct run_summary *summary)
{
    static const struct table_column columns[] = {
        {"node", "energy", TABLE_TEXT},      {"busy_ns", "computed", TABLE_DURATION},
        {"air_ns", "sent", TABLE_DURATION},  {"energy_j", "for tasks", TABLE_ENERGY},
        {"idle_j", "at rest", TABLE_ENERGY},
    };
    char mean[TABLE_CELL_BYTES], predicted[TABLE_CELL_BYTES];
    if (isnan(summary->energy_j))
        return;
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < summary->node_count; i++) {
        const struct node_summary *node = &summary->nodes[i];
        table_row(table);
        table_text(table, node->name);
        table_number(table, node->busy_ns);
        table_number(table, node->air_ns);
        table_number(table, (node->busy_ns * node->busy_w + node->air_ns * node->transmit_w) / 1e9);
        table_number(table, node->idle_w * summary->last_end_ns / 1e9);
    }
    printf("\n");
    table_print(table, stdout, 0);
    table_free(table);
    printf("\nEnergy by the nodes' power models: %s a task",
           table_format_number(mean, TABLE_ENERGY, summary->energy_j));
    if (summary->planned)
        printf(", predicted %s", table_format_number(predicted, TABLE_ENERGY, summary->predicted_energy_j));
    printf("\n");
}

static void print_links(const struct run_summary *summary)
{
    static const struct table_column columns[] = {
        {"link", "link", TABLE_TEXT},
        {"direction", "", TABLE_EXACT},
        {"medium", "medium", TABLE_TEXT},
        {"requested_rate", "rate asked", TABLE_RATE},
        {"achieved_rate", "achieved", TABLE_RATE},
        {"requested_delay", "delay asked", TABLE_DURATION},
        {"achieved_delay", "achieved", TABLE_DURATION},
        {"method", "by", TABLE_TEXT},
    };
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    table_split(table, 2, "requested_delay");
    for (size_t i = 0; i < summary->link_count; i++) {
        const struct link_summary *link = &summary->links[i];
        table_row(table);
        table_text(table, link->name);
        table_text(table, link->direction);
        table_text(table, link->medium);
        table_number(table, link->requested_bytes_per_s > 0 ? link->requested_bytes_per_s : NAN);
        table_number(table, link->achieved_bytes_per_s > 0 ? link->achieved_bytes_per_s : NAN);
        table_number(table, (double)link->requested_delay_ns);
        table_number(table, (double)link->achieved_delay_ns);
        table_text(table, link->method);
    }
    if (summary->link_count > 0) {
        printf("\n");
        table_print(table, stdout, 0);
    }
    table_free(table);
}

static void print_warnings(const struct run_summary *summary)
{
    struct report_warnings warnings = report_warnings(summary);
    for (size_t i = 0; i < warnings.count; i++)
        printf("%s%swarning:%s %s\n", i ? "" : "\n", table_style(STYLE_WARN), table_style(STYLE_PLAIN),
               warnings.items[i]);
    report_warnings_free(&warnings);
}

/* A run that ended before its first task has nothing to show but why. */
static void print_figures(const struct run_summary *summary)
{
    printf("\n");
    if (report_has_tasks(summary)) {
        print_streams(summary);
        print_phases(summary);
        print_total(summary);
        report_print_plans(summary);
        print_energy(summary);
    } else {
        printf("No task was begun.\n");
    }
    print_links(summary);
    print_warnings(summary);
    printf("\n");
}

void report_print(const struct run_summary *summary, const char *ledger, bool db_given)
{
    print_head(summary);
    if (report_has_tasks(summary) || strcmp(summary->head.status, "failed") != 0)
        print_figures(summary);
    printf("Kept in %s; see it again: napm result show %" PRId64 "%s%s\n", ledger, summary->head.id,
           db_given ? " --db " : "", db_given ? ledger : "");
}

/* ---- several runs ---- */

struct report_spread report_spread(const struct run_summary *const *summaries, size_t count)
{
    struct report_spread spread = {.runs = count};
    double *means = NEW_ARRAY(double, count ? count : 1);
    for (size_t i = 0; i < count; i++)
        if (!isnan(summaries[i]->delay.mean_ns))
            means[spread.counted++] = summaries[i]->delay.mean_ns;
    spread.mean_ns = spread.counted ? stats_mean(means, spread.counted) : NAN;
    /* Of a sample: divided by n - 1. */
    double n = (double)spread.counted;
    spread.deviation_ns = n > 1 ? sqrt(stats_variance(means, spread.counted) * n / (n - 1)) : NAN;
    stats_sort(means, spread.counted);
    spread.least_ns = spread.counted ? means[0] : NAN;
    spread.most_ns = spread.counted ? means[spread.counted - 1] : NAN;
    free(means);
    return spread;
}

static void print_runs(const struct run_summary *const *summaries, size_t count)
{
    static const struct table_column columns[] = {
        {"run", "run", TABLE_COUNT},
        {"seed", "seed", TABLE_EXACT},
        {"status", "status", TABLE_TEXT},
        {"tasks", "tasks", TABLE_COUNT},
        {"failed", "failed", TABLE_COUNT},
        {"mean", "mean", TABLE_DURATION},
        {"median", "median", TABLE_DURATION},
        {"p99", "p99", TABLE_DURATION},
        {"variance", "variance", TABLE_VARIANCE},
        {"predicted", "predicted", TABLE_DURATION},
    };
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    table_split(table, 1, "mean");
    for (size_t i = 0; i < count; i++) {
        const struct run_summary *summary = summaries[i];
        char seed[24];
        snprintf(seed, sizeof(seed), "%" PRIu64, summary->head.seed);
        table_row(table);
        table_number(table, (double)summary->head.id);
        table_text(table, seed);
        table_text(table, summary->head.status);
        table_number(table, (double)summary->head.ok);
        table_number(table, (double)(summary->head.failed + summary->head.unfinished));
        table_number(table, summary->delay.mean_ns);
        table_number(table, summary->delay.median_ns);
        table_number(table, summary->delay.p99_ns);
        table_number(table, summary->delay.variance_ns2);
        table_number(table, summary->planned ? summary->predicted_mean_ns : NAN);
    }
    table_print(table, stdout, 0);
    table_free(table);
}

void report_print_spread(const struct run_summary *const *summaries, size_t count)
{
    struct report_spread spread = report_spread(summaries, count);
    char mean[TABLE_CELL_BYTES], deviation[TABLE_CELL_BYTES], least[TABLE_CELL_BYTES], most[TABLE_CELL_BYTES];
    printf("\n%s%zu runs%s\n", table_style(STYLE_BOLD), count, table_style(STYLE_PLAIN));
    print_runs(summaries, count);
    printf("\nMean delay over the runs: %s, deviation %s, from %s to %s\n",
           table_format_number(mean, TABLE_DURATION, spread.mean_ns),
           table_format_number(deviation, TABLE_DURATION, spread.deviation_ns),
           table_format_number(least, TABLE_DURATION, spread.least_ns),
           table_format_number(most, TABLE_DURATION, spread.most_ns));
}
