/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the ledger: lists, one run's summary, rows. */
#include "core/ledger/query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/nearest.h"
#include "core/base/stats.h"
#include "core/ledger/placed.h"
#include "core/ledger/query_plans.h"
#include "core/ledger/recorder.h"
#include "core/ledger/store.h"

static double real_or_nan(sqlite3_stmt *row, int column)
{
    return sqlite3_column_type(row, column) == SQLITE_NULL ? NAN : sqlite3_column_double(row, column);
}

/* ---- heads ---- */

#define HEAD_QUERY                                                                                                     \
    "SELECT id, status, cause, scenario_name, scenario_path, world, host, seed, repetition, began_ns, ended_ns, "      \
    "recorder_pid, recorder_started, recorder_machine, "                                                               \
    "(SELECT name || ' ' || version FROM run_plugin WHERE run = run.id AND role = 'partitioner'), "                    \
    "(SELECT name || ' ' || version FROM run_plugin WHERE run = run.id AND role = 'scheduler'), "                      \
    "(SELECT count(*) FROM task WHERE run = run.id AND status = 'ok' AND NOT warmup), "                                \
    "(SELECT count(*) FROM task WHERE run = run.id AND status = 'failed' AND NOT warmup), "                            \
    "(SELECT count(*) FROM task WHERE run = run.id AND status = 'unfinished' AND NOT warmup), "                        \
    "(SELECT count(*) FROM task WHERE run = run.id AND warmup), "                                                      \
    "(SELECT avg(delay_ns) FROM task WHERE run = run.id AND status = 'ok' AND NOT warmup), "                           \
    "replay_of FROM run "

static bool recorder_lives(sqlite3_stmt *row)
{
    struct recorder recorder = {.pid = sqlite3_column_int64(row, 11), .started = sqlite3_column_int64(row, 12)};
    const char *machine = (const char *)sqlite3_column_text(row, 13);
    strncpy(recorder.machine, machine ? machine : "", sizeof(recorder.machine) - 1);
    return recorder_may_live(&recorder);
}

static void read_head(sqlite3_stmt *row, struct run_head *head)
{
    *head = (struct run_head){
        .id = sqlite3_column_int64(row, 0),
        .status = sql_text(row, 1),
        .cause = sql_text(row, 2),
        .scenario_name = sql_text(row, 3),
        .scenario_path = sql_text(row, 4),
        .world = sql_text(row, 5),
        .host = sql_text(row, 6),
        .seed = (uint64_t)sqlite3_column_int64(row, 7),
        .repetition = (uint32_t)sqlite3_column_int64(row, 8),
        .began_ns = sqlite3_column_int64(row, 9),
        .ended_ns = sqlite3_column_int64(row, 10),
        .partitioner = sql_text(row, 14),
        .scheduler = sql_text(row, 15),
        .ok = (uint64_t)sqlite3_column_int64(row, 16),
        .failed = (uint64_t)sqlite3_column_int64(row, 17),
        .unfinished = (uint64_t)sqlite3_column_int64(row, 18),
        .warmups = (uint64_t)sqlite3_column_int64(row, 19),
        .mean_delay_ns = real_or_nan(row, 20),
        .replay_of = sqlite3_column_int64(row, 21),
    };
    if (strcmp(head->status, "running") == 0 && !recorder_lives(row)) {
        free(head->status);
        head->status = text_copy("interrupted");
    }
}

char *query_plugin_name(const char *with_version)
{
    return with_version ? text_format("%.*s", (int)strcspn(with_version, " "), with_version) : NULL;
}

static void free_head(struct run_head *head)
{
    free(head->status);
    free(head->cause);
    free(head->scenario_name);
    free(head->scenario_path);
    free(head->world);
    free(head->host);
    free(head->partitioner);
    free(head->scheduler);
}

static int read_heads(struct ledger *ledger, size_t most, struct run_head **runs, size_t *count, struct error *error)
{
    ARRAY_OF(struct run_head) heads = {0};
    sqlite3_stmt *rows =
        sql_query(&ledger->sql, error, HEAD_QUERY "ORDER BY id DESC LIMIT ?", "i", most ? (int64_t)most : INT64_C(-1));
    int row = -1;
    while (rows && (row = sql_row(&ledger->sql, rows, error)) == 1)
        read_head(rows, ARRAY_ADD(&heads));
    *runs = heads.items;
    *count = heads.count;
    if (row == 0)
        return 0;
    query_runs_free(*runs, *count);
    *runs = NULL;
    *count = 0;
    return -1;
}

int query_runs(struct ledger *ledger, size_t most, struct run_head **runs, size_t *count, struct error *error)
{
    pthread_mutex_lock(&ledger->database);
    int result = read_heads(ledger, most, runs, count, error);
    pthread_mutex_unlock(&ledger->database);
    return result;
}

void query_runs_free(struct run_head *runs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free_head(&runs[i]);
    free(runs);
}

int64_t query_newest_run(struct ledger *ledger, struct error *error)
{
    int64_t run = -1;
    pthread_mutex_lock(&ledger->database);
    int result = sql_number(&ledger->sql, "SELECT max(id) FROM run", 0, &run, error);
    pthread_mutex_unlock(&ledger->database);
    if (result == 0 && run <= 0)
        result = error_set(error, ERROR_INPUT, "ledger %s: holds no run yet; `napm run SCENARIO` makes one",
                           ledger->sql.path);
    return result == 0 ? run : -1;
}

/* ---- one run ---- */

static int read_run_row(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    sqlite3_stmt *row = sql_query(sql, error, HEAD_QUERY "WHERE id = ?", "i", run);
    int found = row ? sql_row(sql, row, error) : -1;
    if (found == 1) {
        read_head(row, &summary->head);
        sqlite3_reset(row);
    }
    if (found == 0) {
        int64_t newest;
        if (sql_number(sql, "SELECT max(id) FROM run", 0, &newest, error) != 0)
            return -1;
        return error_set(error, ERROR_INPUT,
                         "ledger %s: there is no run %lld (the newest is %lld); `napm result list` names them",
                         sql->path, (long long)run, (long long)newest);
    }
    row = found == 1
              ? sql_query(sql, error, "SELECT scenario_text, platform_version, processor, system FROM run WHERE id = ?",
                          "i", run)
              : NULL;
    found = row ? sql_row(sql, row, error) : -1;
    if (found != 1)
        return -1;
    summary->scenario_text = sql_text(row, 0);
    summary->platform_version = sql_text(row, 1);
    summary->processor = sql_text(row, 2);
    summary->system = sql_text(row, 3);
    sqlite3_reset(row);
    return 0;
}

static int read_plan(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    sqlite3_stmt *row = sql_query(sql, error,
                                  "SELECT planning_ns, predicted_total_ns, predicted_mean_ns, predicted_variance_ns2, "
                                  "predicted_energy_j FROM plan WHERE run = ? AND plan = 0",
                                  "i", run);
    int found = row ? sql_row(sql, row, error) : -1;
    if (found == 1) {
        summary->planned = true;
        summary->planning_ns = sqlite3_column_int64(row, 0);
        summary->predicted_total_ns = real_or_nan(row, 1);
        summary->predicted_mean_ns = real_or_nan(row, 2);
        summary->predicted_variance_ns2 = real_or_nan(row, 3);
        summary->predicted_energy_j = real_or_nan(row, 4);
        sqlite3_reset(row);
    }
    return found < 0 ? -1 : 0;
}

/* The node of each layer of stream p, or NULL; and the name of the last layer before its cut, where there is none. */
#define PLACEMENT                                                                                                      \
    "(SELECT group_concat(w.name, ' ') FROM (SELECT n.name FROM plan_layer y JOIN run_node n ON n.run = y.run AND "    \
    "n.node = y.node WHERE y.run = p.run AND y.plan = p.plan AND y.stream = p.stream ORDER BY y.layer) w)"
#define CUT_LAYER                                                                                                      \
    "CASE WHEN EXISTS (SELECT 1 FROM plan_layer y WHERE y.run = p.run AND y.plan = p.plan AND y.stream = p.stream) "   \
    "THEN NULL ELSE "                                                                                                  \
    "l.name END"

#define STREAM_QUERY                                                                                                   \
    "SELECT s.stream, s.name, s.device, s.model, s.layer_count, s.task_count, s.deadline_ns, p.cut, p.cut_bytes, "     \
    "p.local_ns, p.transmit_ns, p.queue_ns, p.remote_ns, p.return_ns, " CUT_LAYER ", " PLACEMENT " "                   \
    "FROM run_stream s LEFT JOIN plan_stream p ON p.run = s.run AND p.stream = s.stream AND p.plan = 0 "               \
    "LEFT JOIN layer l ON l.model_hash = s.model_hash AND l.layer = p.cut - 1 WHERE s.run = ? ORDER BY s.stream"

static int read_streams(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    ARRAY_OF(struct stream_summary) streams = {0};
    sqlite3_stmt *rows = sql_query(sql, error, STREAM_QUERY, "i", run);
    int row = -1;
    while (rows && (row = sql_row(sql, rows, error)) == 1) {
        struct stream_summary *stream = ARRAY_ADD(&streams);
        *stream = (struct stream_summary){
            .stream = (uint32_t)sqlite3_column_int64(rows, 0),
            .name = sql_text(rows, 1),
            .device = sql_text(rows, 2),
            .model = sql_text(rows, 3),
            .layer_count = (uint32_t)sqlite3_column_int64(rows, 4),
            .task_count = (uint32_t)sqlite3_column_int64(rows, 5),
            .deadline_ns = sqlite3_column_int64(rows, 6),
            .planned = sqlite3_column_type(rows, 7) != SQLITE_NULL,
            .cut = (uint32_t)sqlite3_column_int64(rows, 7),
            .cut_bytes = (uint64_t)sqlite3_column_int64(rows, 8),
            .cut_layer = sql_text(rows, 14),
            .placement = sql_text(rows, 15),
        };
        for (int phase = 0; phase < PHASE_COUNT; phase++)
            stream->predicted_ns[phase] = real_or_nan(rows, 9 + phase);
    }
    summary->streams = streams.items;
    summary->stream_count = streams.count;
    return row;
}

static struct stream_summary *stream_numbered(struct run_summary *summary, int64_t number)
{
    for (size_t i = 0; i < summary->stream_count; i++)
        if (summary->streams[i].stream == number)
            return &summary->streams[i];
    return NULL;
}

#define WAY_QUERY                                                                                                      \
    "SELECT h.stream, n.name, h.cut - coalesce((SELECT cut FROM plan_hop b WHERE b.run = h.run AND b.stream = "        \
    "h.stream AND b.plan = 0 AND b.hop = h.hop - 1), 0), h.hop FROM plan_hop h JOIN run_node n ON n.run = h.run AND "  \
    "n.node = h.node "                                                                                                 \
    "WHERE h.run = ?1 AND h.plan = 0 UNION ALL "                                                                       \
    "SELECT h.stream, n.name, s.layer_count - max(h.cut), 1e9 FROM plan_hop h JOIN run_stream s ON s.run = h.run AND " \
    "s.stream = h.stream JOIN run_node n ON n.run = h.run AND n.is_station WHERE h.run = ?1 AND h.plan = 0 GROUP BY "  \
    "h.stream "                                                                                                        \
    "ORDER BY 1, 4"

/* Rows come in the order of the way, the station last. */
static int read_ways(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    sqlite3_stmt *rows = sql_query(sql, error, WAY_QUERY, "i", run);
    int row = -1;
    while (rows && (row = sql_row(sql, rows, error)) == 1) {
        struct stream_summary *stream = stream_numbered(summary, sqlite3_column_int64(rows, 0));
        if (!stream)
            continue;
        char *before = stream->way;
        stream->way = text_format("%s%s%s %lld", before ? before : "", before ? ", " : "",
                                  (const char *)sqlite3_column_text(rows, 1), (long long)sqlite3_column_int64(rows, 2));
        free(before);
    }
    return row;
}

#define SET_QUERY                                                                                                      \
    "SELECT y.stream, n.name, y.layer, coalesce(l.name, y.layer), n.is_station, (SELECT count(*) > 1 FROM plan_hop c " \
    "WHERE c.run = y.run AND c.plan = 0 AND c.stream = y.stream) FROM plan_layer y JOIN run_node n ON n.run = y.run "  \
    "AND n.node = "                                                                                                    \
    "y.node JOIN run_stream s ON s.run = y.run AND s.stream = y.stream LEFT JOIN plan_hop h ON h.run = y.run AND "     \
    "h.plan = 0 AND h.stream = y.stream AND h.node = y.node LEFT JOIN layer l ON l.model_hash = s.model_hash AND "     \
    "l.layer = y.layer "                                                                                               \
    "WHERE y.run = ? AND y.plan = 0 ORDER BY y.stream, n.is_station, h.hop, y.layer"

/* Rows come stream by stream, in the order of its way. */
static int read_sets(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    sqlite3_stmt *rows = sql_query(sql, error, SET_QUERY, "i", run);
    struct stream_summary *stream = NULL;
    struct placed placed = {0};
    int row = -1;
    while (rows && (row = sql_row(sql, rows, error)) == 1) {
        struct stream_summary *of = stream_numbered(summary, sqlite3_column_int64(rows, 0));
        const char *node = (const char *)sqlite3_column_text(rows, 1);
        if (of != stream && stream)
            stream->set = placed_end(&placed);
        stream = of;
        if (stream && !sqlite3_column_int(rows, 4))
            placed_add(&placed, sqlite3_column_int(rows, 5) ? node : NULL, (uint32_t)sqlite3_column_int64(rows, 2),
                       (const char *)sqlite3_column_text(rows, 3));
    }
    char *last = placed_end(&placed);
    if (stream)
        stream->set = last;
    else
        free(last);
    return row;
}

/* Of all tasks that count. */
static int read_energy(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    sqlite3_stmt *row = sql_query(sql, error,
                                  "SELECT avg(energy_j) FILTER (WHERE status = 'ok' AND NOT warmup), max(ended_ns) "
                                  "FROM task WHERE run = ?",
                                  "i", run);
    if (!row || sql_row(sql, row, error) != 1)
        return -1;
    summary->energy_j = real_or_nan(row, 0);
    summary->last_end_ns = real_or_nan(row, 1);
    sqlite3_reset(row);
    return 0;
}

static struct delay_summary summarise_delays(double *delays, size_t count)
{
    if (count == 0)
        return (struct delay_summary){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    stats_sort(delays, count);
    double mean = stats_mean(delays, count);
    return (struct delay_summary){
        .mean_ns = mean,
        .median_ns = stats_quantile_sorted(delays, count, 0.5),
        .p99_ns = stats_quantile_sorted(delays, count, 0.99),
        .minimum_ns = delays[0],
        .maximum_ns = delays[count - 1],
        .variance_ns2 = stats_variance(delays, count),
        .total_ns = mean * (double)count,
    };
}

typedef ARRAY_OF(double) delay_list;

/* Delays of the stream's tasks that count, added to `delays` (and their statistics to the stream). */
static int read_delays(struct sql *sql, int64_t run, struct stream_summary *stream, delay_list *delays,
                       struct error *error)
{
    sqlite3_stmt *rows =
        sql_query(sql, error, "SELECT delay_ns FROM task WHERE run = ? AND stream = ? AND status = 'ok' AND NOT warmup",
                  "ii", run, (int64_t)stream->stream);
    size_t first = delays->count;
    int row = -1;
    while (rows && (row = sql_row(sql, rows, error)) == 1)
        *ARRAY_ADD(delays) = sqlite3_column_double(rows, 0);
    size_t count = delays->count - first;
    stream->ok = count;
    stream->delay = summarise_delays(count ? delays->items + first : NULL, count);
    for (size_t i = first; i < delays->count && stream->deadline_ns > 0; i++)
        stream->deadline_misses += delays->items[i] > (double)stream->deadline_ns;
    return row;
}

static int read_means(struct sql *sql, int64_t run, struct stream_summary *stream, struct error *error)
{
    sqlite3_stmt *row = sql_query(
        sql, error,
        "SELECT avg(local_ns), avg(transmit_ns), avg(queue_ns), avg(remote_ns), avg(return_ns), avg(device_wait_ns), "
        "avg(device_compute_ns), avg(station_compute_ns), avg(energy_j), avg(sending_j) FROM task "
        "WHERE run = ? AND stream = ? AND status = 'ok' AND NOT warmup",
        "ii", run, (int64_t)stream->stream);
    int found = row ? sql_row(sql, row, error) : -1;
    if (found != 1)
        return -1;
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        stream->phase_ns[phase] = real_or_nan(row, phase);
    stream->device_wait_ns = real_or_nan(row, 5);
    stream->device_compute_ns = real_or_nan(row, 6);
    stream->station_compute_ns = real_or_nan(row, 7);
    stream->energy_j = real_or_nan(row, 8);
    stream->sending_j = real_or_nan(row, 9);
    sqlite3_reset(row);
    return 0;
}

static int read_counts(struct sql *sql, int64_t run, struct stream_summary *stream, struct error *error)
{
    sqlite3_stmt *row = sql_query(
        sql, error,
        "SELECT sum(status = 'failed' AND NOT warmup), sum(status = 'unfinished' AND NOT warmup), sum(warmup) "
        "FROM task WHERE run = ? AND stream = ?",
        "ii", run, (int64_t)stream->stream);
    int found = row ? sql_row(sql, row, error) : -1;
    if (found != 1)
        return -1;
    stream->failed = (uint64_t)sqlite3_column_int64(row, 0);
    stream->unfinished = (uint64_t)sqlite3_column_int64(row, 1);
    stream->warmups = (uint64_t)sqlite3_column_int64(row, 2);
    sqlite3_reset(row);
    return 0;
}

static int read_statistics(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    delay_list delays = {0};
    int result = 0;
    for (size_t i = 0; i < summary->stream_count && result == 0; i++) {
        struct stream_summary *stream = &summary->streams[i];
        result = read_delays(sql, run, stream, &delays, error) != 0 || read_means(sql, run, stream, error) != 0 ||
                         read_counts(sql, run, stream, error) != 0
                     ? -1
                     : 0;
    }
    summary->delay = summarise_delays(delays.items, delays.count);
    ARRAY_FREE(&delays);
    return result;
}

static int read_links(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    ARRAY_OF(struct link_summary) links = {0};
    sqlite3_stmt *rows =
        sql_query(sql, error,
                  "SELECT name, medium, direction, method, requested_bytes_per_s, achieved_bytes_per_s, "
                  "requested_delay_ns, achieved_delay_ns, jitter_ns, repair_ns, loss FROM run_link WHERE run = ? "
                  "ORDER BY link, direction DESC",
                  "i", run);
    int row = -1;
    while (rows && (row = sql_row(sql, rows, error)) == 1)
        *ARRAY_ADD(&links) = (struct link_summary){
            .name = sql_text(rows, 0),
            .medium = sql_text(rows, 1),
            .direction = sql_text(rows, 2),
            .method = sql_text(rows, 3),
            .requested_bytes_per_s = sqlite3_column_double(rows, 4),
            .achieved_bytes_per_s = sqlite3_column_double(rows, 5),
            .requested_delay_ns = sqlite3_column_int64(rows, 6),
            .achieved_delay_ns = sqlite3_column_int64(rows, 7),
            .jitter_ns = sqlite3_column_int64(rows, 8),
            .repair_ns = sqlite3_column_int64(rows, 9),
            .loss = sqlite3_column_double(rows, 10),
        };
    summary->links = links.items;
    summary->link_count = links.count;
    return row;
}

#define NODE_QUERY                                                                                                     \
    "SELECT name, backend, host, machine, system, lost_cause, is_station, threads, workers, processors, cpu_share, "   \
    "memory_limit_bytes, memory_bytes, s.samples, s.cpu, s.resident, s.received, s.sent, idle_w, busy_w, transmit_w, " \
    "busy_ns, air_ns FROM run_node n LEFT JOIN "                                                                       \
    "(SELECT node, count(*) AS samples, avg(cpu_share) AS cpu, max(resident_bytes) AS resident, "                      \
    "max(received_bytes) AS received, max(sent_bytes) AS sent FROM node_sample WHERE run = ?1 GROUP BY node) s "       \
    "ON s.node = n.node WHERE n.run = ?1 ORDER BY n.node"

static int read_nodes(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    ARRAY_OF(struct node_summary) nodes = {0};
    sqlite3_stmt *rows = sql_query(sql, error, NODE_QUERY, "i", run);
    int row = -1;
    while (rows && (row = sql_row(sql, rows, error)) == 1)
        *ARRAY_ADD(&nodes) = (struct node_summary){
            .name = sql_text(rows, 0),
            .backend = sql_text(rows, 1),
            .host = sql_text(rows, 2),
            .machine = sql_text(rows, 3),
            .system = sql_text(rows, 4),
            .lost_cause = sql_text(rows, 5),
            .is_station = sqlite3_column_int(rows, 6) != 0,
            .threads = (uint32_t)sqlite3_column_int64(rows, 7),
            .workers = (uint32_t)sqlite3_column_int64(rows, 8),
            .processors = (uint32_t)sqlite3_column_int64(rows, 9),
            .cpu_share = sqlite3_column_double(rows, 10),
            .memory_limit_bytes = (uint64_t)sqlite3_column_int64(rows, 11),
            .memory_bytes = (uint64_t)sqlite3_column_int64(rows, 12),
            .samples = (uint64_t)sqlite3_column_int64(rows, 13),
            .mean_cpu = real_or_nan(rows, 14),
            .most_resident_bytes = (uint64_t)sqlite3_column_int64(rows, 15),
            .received_bytes = (uint64_t)sqlite3_column_int64(rows, 16),
            .sent_bytes = (uint64_t)sqlite3_column_int64(rows, 17),
            .idle_w = sqlite3_column_double(rows, 18),
            .busy_w = sqlite3_column_double(rows, 19),
            .transmit_w = sqlite3_column_double(rows, 20),
            .busy_ns = real_or_nan(rows, 21),
            .air_ns = real_or_nan(rows, 22),
        };
    summary->nodes = nodes.items;
    summary->node_count = nodes.count;
    return row;
}

static int read_plugins(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    ARRAY_OF(struct plugin_summary) plugins = {0};
    sqlite3_stmt *rows = sql_query(
        sql, error, "SELECT role, kind, name, version, file, options FROM run_plugin WHERE run = ? ORDER BY role", "i",
        run);
    int row = -1;
    while (rows && (row = sql_row(sql, rows, error)) == 1)
        *ARRAY_ADD(&plugins) = (struct plugin_summary){
            .role = sql_text(rows, 0),
            .kind = sql_text(rows, 1),
            .name = sql_text(rows, 2),
            .version = sql_text(rows, 3),
            .file = sql_text(rows, 4),
            .options = sql_text(rows, 5),
        };
    summary->plugins = plugins.items;
    summary->plugin_count = plugins.count;
    return row;
}

static int read_causes(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    ARRAY_OF(struct cause_summary) causes = {0};
    sqlite3_stmt *rows = sql_query(sql, error,
                                   "SELECT coalesce(t.cause, t.status), s.name, count(*) FROM task t JOIN run_stream s "
                                   "ON s.run = t.run AND s.stream = t.stream WHERE t.run = ? AND t.status <> 'ok' "
                                   "GROUP BY 1, 2 ORDER BY 3 DESC, 2",
                                   "i", run);
    int row = -1;
    while (rows && (row = sql_row(sql, rows, error)) == 1)
        *ARRAY_ADD(&causes) = (struct cause_summary){
            .cause = sql_text(rows, 0),
            .stream = sql_text(rows, 1),
            .tasks = (uint64_t)sqlite3_column_int64(rows, 2),
        };
    summary->causes = causes.items;
    summary->cause_count = causes.count;
    return row;
}

struct run_summary *query_run(struct ledger *ledger, int64_t run, struct error *error)
{
    struct run_summary *summary = NEW(struct run_summary);
    summary->predicted_energy_j = NAN;
    struct sql *sql = &ledger->sql;
    pthread_mutex_lock(&ledger->database);
    bool read = read_run_row(sql, run, summary, error) == 0 && read_plan(sql, run, summary, error) == 0 &&
                query_read_plans(sql, run, summary, error) == 0 && read_streams(sql, run, summary, error) == 0 &&
                read_ways(sql, run, summary, error) == 0 && read_sets(sql, run, summary, error) == 0 &&
                read_energy(sql, run, summary, error) == 0 && read_statistics(sql, run, summary, error) == 0 &&
                read_links(sql, run, summary, error) == 0 && read_nodes(sql, run, summary, error) == 0 &&
                read_plugins(sql, run, summary, error) == 0 && read_causes(sql, run, summary, error) == 0;
    pthread_mutex_unlock(&ledger->database);
    if (read)
        return summary;
    query_run_free(summary);
    return NULL;
}

static void free_nodes(struct run_summary *summary)
{
    for (size_t i = 0; i < summary->node_count; i++) {
        struct node_summary *node = &summary->nodes[i];
        free(node->name);
        free(node->backend);
        free(node->host);
        free(node->machine);
        free(node->system);
        free(node->lost_cause);
    }
    free(summary->nodes);
}

static void free_plugins(struct run_summary *summary)
{
    for (size_t i = 0; i < summary->plugin_count; i++) {
        struct plugin_summary *plugin = &summary->plugins[i];
        free(plugin->role);
        free(plugin->kind);
        free(plugin->name);
        free(plugin->version);
        free(plugin->file);
        free(plugin->options);
    }
    free(summary->plugins);
}

void query_run_free(struct run_summary *summary)
{
    if (!summary)
        return;
    free_head(&summary->head);
    free(summary->scenario_text);
    free(summary->platform_version);
    free(summary->processor);
    free(summary->system);
    for (size_t i = 0; i < summary->stream_count; i++) {
        free(summary->streams[i].name);
        free(summary->streams[i].device);
        free(summary->streams[i].model);
        free(summary->streams[i].cut_layer);
        free(summary->streams[i].way);
        free(summary->streams[i].set);
        free(summary->streams[i].placement);
    }
    free(summary->streams);
    for (size_t i = 0; i < summary->link_count; i++) {
        free(summary->links[i].name);
        free(summary->links[i].medium);
        free(summary->links[i].direction);
        free(summary->links[i].method);
    }
    free(summary->links);
    free_nodes(summary);
    free_plugins(summary);
    for (size_t i = 0; i < summary->cause_count; i++) {
        free(summary->causes[i].cause);
        free(summary->causes[i].stream);
    }
    free(summary->causes);
    free(summary->plans);
    free(summary);
}

/* ---- rows ---- */

const struct query_rows query_row_kinds[] = {
    {"tasks", "every task: its delay, the five phases, bytes, slices"},
    {"hops", "what came of every task at the devices on its way: when it came, began, left, and came back"},
    {"layers", "the time of every layer of every task"},
    {"samples", "processor, memory and traffic of every node over time"},
    {"plan", "each stream's cut and predicted phases, of every plan of the run"},
    {"links", "rate and delay of every link, requested and achieved"},
    {"nodes", "the nodes and their machines"},
    {"plugins", "the plugins, their versions and options"},
};
const size_t query_row_kind_count = sizeof(query_row_kinds) / sizeof(query_row_kinds[0]);

static const char *const row_queries[] = {
    "SELECT s.name AS stream, s.device, t.task, t.status, t.cause, t.cut, t.warmup, t.started_ns, t.ended_ns, "
    "t.delay_ns, "
    "t.local_ns, t.transmit_ns, t.queue_ns, t.remote_ns, t.return_ns, t.device_wait_ns, t.device_compute_ns, "
    "t.station_compute_ns, t.up_bytes, t.down_bytes, t.slices, t.energy_j, t.plan, t.sending_j FROM task t JOIN "
    "run_stream s "
    "ON s.run = t.run AND s.stream = t.stream WHERE t.run = ? ORDER BY t.stream, t.task",
    "SELECT s.name AS stream, h.task, h.hop, n.name AS node, h.cut, h.came_ns, h.began_ns, h.left_ns, h.back_ns FROM "
    "task_hop h JOIN run_stream s ON s.run = h.run AND s.stream = h.stream LEFT JOIN run_node n ON n.run = h.run AND "
    "n.node = h.node WHERE h.run = ? ORDER BY h.stream, h.task, h.hop",
    "SELECT s.name AS stream, x.task, x.layer, l.name AS layer_name, coalesce((SELECT w.name FROM plan_layer y "
    "JOIN run_node w ON w.run = y.run AND w.node = y.node WHERE y.run = x.run AND y.plan = t.plan AND y.stream = "
    "x.stream AND y.layer = x.layer), CASE WHEN x.layer < t.cut THEN s.device ELSE "
    "coalesce((SELECT w.name FROM plan_hop h JOIN run_node w ON w.run = h.run AND w.node = h.node WHERE h.run = x.run "
    "AND h.stream = x.stream AND h.plan = t.plan AND h.cut > x.layer ORDER BY h.hop LIMIT 1), n.name) END) AS node, "
    "x.time_ns FROM layer_time x JOIN task t ON t.run = x.run AND t.stream = x.stream AND t.task = x.task "
    "JOIN run_stream s ON s.run = x.run AND s.stream = x.stream "
    "LEFT JOIN layer l ON l.model_hash = s.model_hash AND l.layer = x.layer "
    "LEFT JOIN run_node n ON n.run = x.run AND n.is_station WHERE x.run = ? ORDER BY x.stream, x.task, x.layer",
    "SELECT n.name AS node, s.at_ns, s.cpu_share, s.resident_bytes, s.machine_available_bytes, s.machine_load, "
    "s.received_bytes, s.sent_bytes, s.energy_j FROM node_sample s JOIN run_node n ON n.run = s.run AND n.node = "
    "s.node "
    "WHERE s.run = ? ORDER BY s.at_ns, s.node",
    "SELECT p.plan, a.asked_ns, p.taken_ns, s.name AS stream, s.device, s.model, s.layer_count, p.cut, " CUT_LAYER
    " AS cut_layer, p.cut_bytes, "
    "p.local_ns, p.transmit_ns, p.queue_ns, p.remote_ns, p.return_ns, (SELECT group_concat(w.cut, ' ') FROM "
    "(SELECT cut FROM plan_hop h WHERE h.run = p.run AND h.stream = p.stream AND h.plan = p.plan ORDER BY hop) w) AS "
    "way_cuts, "
    "a.predicted_energy_j, " PLACEMENT
    " AS placement FROM plan_stream p JOIN plan a ON a.run = p.run AND a.plan = p.plan JOIN run_stream s "
    "ON s.run = p.run AND s.stream = p.stream LEFT JOIN layer l ON l.model_hash = s.model_hash AND l.layer = p.cut - 1 "
    "WHERE p.run = ? ORDER BY p.plan, p.stream",
    "SELECT name AS link, direction, medium, requested_bytes_per_s, achieved_bytes_per_s, requested_delay_ns, "
    "achieved_delay_ns, jitter_ns, loss, repair_ns, method FROM run_link WHERE run = ? ORDER BY link, direction DESC",
    "SELECT name AS node, is_station, threads, cpu_share, memory_limit_bytes, workers, backend, host, machine, system, "
    "processors, memory_bytes, lost_cause, idle_w, busy_w, transmit_w, busy_ns, air_ns, "
    "(busy_ns * busy_w + air_ns * transmit_w) / 1e9 AS energy_j FROM run_node WHERE run = ? ORDER BY node",
    "SELECT role, kind, name, version, file, options FROM run_plugin WHERE run = ? ORDER BY role",
};

static struct query_value value_of(sqlite3_stmt *row, int column)
{
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        return (struct query_value){.type = QUERY_INTEGER, .integer = sqlite3_column_int64(row, column)};
    case SQLITE_FLOAT:
        return (struct query_value){.type = QUERY_REAL, .real = sqlite3_column_double(row, column)};
    case SQLITE_NULL:
        return (struct query_value){.type = QUERY_NULL};
    default:
        return (struct query_value){.type = QUERY_TEXT, .text = (const char *)sqlite3_column_text(row, column)};
    }
}

#define MOST_COLUMNS 32

static const char *rows_query(const char *kind, struct error *error)
{
    const char *names[sizeof(query_row_kinds) / sizeof(query_row_kinds[0])];
    for (size_t i = 0; i < query_row_kind_count; i++) {
        names[i] = query_row_kinds[i].name;
        if (strcmp(kind, names[i]) == 0)
            return row_queries[i];
    }
    const char *near = nearest_name(kind, names, query_row_kind_count);
    error_set(error, ERROR_INPUT, "a run has no rows \"%s\"%s%s%s; there are", kind, near ? "; did you mean \"" : "",
              near ? near : "", near ? "\"" : "");
    for (size_t i = 0; i < query_row_kind_count; i++)
        error_append(error, "%s %s", i ? "," : "", names[i]);
    return NULL;
}

int query_rows(struct ledger *ledger, int64_t run, const char *kind,
               int (*row)(void *context, size_t count, const char *const *names, const struct query_value *values),
               void *context, struct error *error)
{
    const char *query = rows_query(kind, error);
    if (!query)
        return -1;
    pthread_mutex_lock(&ledger->database);
    sqlite3_stmt *rows = sql_query(&ledger->sql, error, query, "i", run);
    int state = -1;
    while (rows && (state = sql_row(&ledger->sql, rows, error)) == 1) {
        const char *names[MOST_COLUMNS];
        struct query_value values[MOST_COLUMNS];
        int count = sqlite3_column_count(rows);
        for (int i = 0; i < count && i < MOST_COLUMNS; i++) {
            names[i] = sqlite3_column_name(rows, i);
            values[i] = value_of(rows, i);
        }
        if (row(context, (size_t)count, names, values) != 0) {
            sqlite3_reset(rows);
            state = -1;
            break;
        }
    }
    pthread_mutex_unlock(&ledger->database);
    return state == 0 ? 0 : -1;
}
