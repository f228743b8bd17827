/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a run's tasks and samples one by one, as they were recorded. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/ledger/query.h"
#include "core/ledger/store.h"

#define TASKS                                                                                                          \
    "SELECT stream, task, status, cause, cut, warmup, started_ns, ended_ns, local_ns, transmit_ns, queue_ns, "         \
    "remote_ns, return_ns, device_wait_ns, device_compute_ns, station_compute_ns, up_bytes, down_bytes, slices, "      \
    "energy_j, plan, sending_j "                                                                                       \
    "FROM task WHERE run = ? "
#define PHASES_FROM(start) TASKS "AND status = 'ok' ORDER BY " start ", stream, task"

static const char *const task_queries[] = {
    [PHASE_LOCAL] = PHASES_FROM("started_ns"),
    [PHASE_TRANSMIT] = PHASES_FROM("started_ns + local_ns"),
    [PHASE_QUEUE] = PHASES_FROM("started_ns + local_ns + transmit_ns"),
    [PHASE_REMOTE] = PHASES_FROM("started_ns + local_ns + transmit_ns + queue_ns"),
    [PHASE_RETURN] = PHASES_FROM("started_ns + local_ns + transmit_ns + queue_ns + remote_ns"),
    [QUERY_BY_STREAM] = TASKS "ORDER BY stream, task",
};

/* Over other devices, queue and remote began there; the order in which the station ended tasks is near that at each node. */
static const char by_station_end[] = PHASES_FROM("ended_ns - return_ns");

static enum task_status status_of(const char *text)
{
    if (strcmp(text, "ok") == 0)
        return TASK_OK;
    return strcmp(text, "failed") == 0 ? TASK_FAILED : TASK_UNFINISHED;
}

static struct task_record task_of(sqlite3_stmt *row)
{
    struct task_record task = {
        .stream = (uint32_t)sqlite3_column_int64(row, 0),
        .task = (uint64_t)sqlite3_column_int64(row, 1),
        .status = status_of((const char *)sqlite3_column_text(row, 2)),
        .cause = (const char *)sqlite3_column_text(row, 3),
        .cut = (uint32_t)sqlite3_column_int64(row, 4),
        .warmup = sqlite3_column_int(row, 5) != 0,
        .started_ns = sqlite3_column_int64(row, 6),
        .ended_ns = sqlite3_column_int64(row, 7),
        .device_wait_ns = sqlite3_column_int64(row, 13),
        .device_compute_ns = sqlite3_column_int64(row, 14),
        .station_compute_ns = sqlite3_column_int64(row, 15),
        .up_bytes = (uint64_t)sqlite3_column_int64(row, 16),
        .down_bytes = (uint64_t)sqlite3_column_int64(row, 17),
        .slices = (uint32_t)sqlite3_column_int64(row, 18),
        .energy_j = sqlite3_column_type(row, 19) == SQLITE_NULL ? -1 : sqlite3_column_double(row, 19),
        .plan = (uint32_t)sqlite3_column_int64(row, 20),
        .sending_j = sqlite3_column_type(row, 21) == SQLITE_NULL ? -1 : sqlite3_column_double(row, 21),
    };
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        task.phase_ns[phase] = sqlite3_column_int64(row, 8 + phase);
    return task;
}

typedef ARRAY_OF(struct task_hop) hop_list;

/* Looked up task by task, whatever the order of the tasks. A device that the task never came to has no row. */
static int read_hops(struct sql *sql, int64_t run, const struct task_record *task, hop_list *hops, struct error *error)
{
    sqlite3_stmt *rows = sql_query(sql, error,
                                   "SELECT node, cut, came_ns, began_ns, left_ns, coalesce(back_ns, -1) FROM task_hop "
                                   "WHERE run = ? AND stream = ? AND task = ? ORDER BY hop",
                                   "iii", run, (int64_t)task->stream, (int64_t)task->task);
    int row = -1;
    hops->count = 0;
    while (rows && (row = sql_row(sql, rows, error)) == 1)
        *ARRAY_ADD(hops) = (struct task_hop){
            .node = (uint32_t)sqlite3_column_int64(rows, 0),
            .cut = (uint32_t)sqlite3_column_int64(rows, 1),
            .came_ns = sqlite3_column_int64(rows, 2),
            .began_ns = sqlite3_column_int64(rows, 3),
            .left_ns = sqlite3_column_int64(rows, 4),
            .back_ns = sqlite3_column_int64(rows, 5),
        };
    return row;
}

static int has_hops(struct sql *sql, int64_t run, bool *has, struct error *error)
{
    sqlite3_stmt *row = sql_query(sql, error, "SELECT EXISTS (SELECT 1 FROM task_hop WHERE run = ?)", "i", run);
    if (!row || sql_row(sql, row, error) != 1)
        return -1;
    *has = sqlite3_column_int(row, 0) != 0;
    sqlite3_reset(row);
    return 0;
}

static struct node_sample sample_of(sqlite3_stmt *row)
{
    return (struct node_sample){
        .node = (uint32_t)sqlite3_column_int64(row, 0),
        .at_ns = sqlite3_column_int64(row, 1),
        .cpu_share = sqlite3_column_double(row, 2),
        .resident_bytes = (uint64_t)sqlite3_column_int64(row, 3),
        .machine_available_bytes = (uint64_t)sqlite3_column_int64(row, 4),
        .machine_load = sqlite3_column_double(row, 5),
        .received_bytes = (uint64_t)sqlite3_column_int64(row, 6),
        .sent_bytes = (uint64_t)sqlite3_column_int64(row, 7),
        .energy_j = sqlite3_column_type(row, 8) == SQLITE_NULL ? -1 : sqlite3_column_double(row, 8),
    };
}

int query_tasks(struct ledger *ledger, int64_t run, int by, int (*task)(void *context, const struct task_record *task),
                void *context, struct error *error)
{
    struct sql *sql = &ledger->sql;
    hop_list hops = {0};
    bool ways = false;
    pthread_mutex_lock(&ledger->database);
    const char *query = task_queries[by];
    sqlite3_stmt *rows = NULL;
    if (has_hops(sql, run, &ways, error) == 0)
        rows =
            sql_query(sql, error, ways && (by == PHASE_QUEUE || by == PHASE_REMOTE) ? by_station_end : query, "i", run);
    int state = -1;
    while (rows && (state = sql_row(sql, rows, error)) == 1) {
        struct task_record record = task_of(rows);
        bool read = !ways || read_hops(sql, run, &record, &hops, error) == 0;
        record.hops = hops.items;
        record.hop_count = (uint32_t)hops.count;
        if (!read || task(context, &record) != 0)
            break;
    }
    if (state == 1)
        sqlite3_reset(rows);
    pthread_mutex_unlock(&ledger->database);
    ARRAY_FREE(&hops);
    return state == 0 ? 0 : -1;
}

int query_samples(struct ledger *ledger, int64_t run, int (*sample)(void *context, const struct node_sample *sample),
                  void *context, struct error *error)
{
    pthread_mutex_lock(&ledger->database);
    sqlite3_stmt *rows = sql_query(&ledger->sql, error,
                                   "SELECT node, at_ns, cpu_share, resident_bytes, machine_available_bytes, "
                                   "machine_load, received_bytes, sent_bytes, energy_j FROM node_sample "
                                   "WHERE run = ? ORDER BY at_ns, node",
                                   "i", run);
    int state = -1;
    while (rows && (state = sql_row(&ledger->sql, rows, error)) == 1) {
        struct node_sample record = sample_of(rows);
        if (sample(context, &record) != 0)
            break;
    }
    if (state == 1)
        sqlite3_reset(rows);
    pthread_mutex_unlock(&ledger->database);
    return state == 0 ? 0 : -1;
}
