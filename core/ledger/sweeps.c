/* SPDX-License-Identifier: Apache-2.0 */
/* Sweeps and their points in the ledger. */
#include "core/ledger/sweeps.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/ledger/recorder.h"
#include "core/ledger/store.h"

void sweeps_runs_for(struct ledger *ledger, int64_t sweep, uint32_t point)
{
    ledger->sweep = sweep;
    ledger->point = point;
}

/* ---- writing ---- */

static int write_sweep(struct sql *sql, const struct sweep_row *sweep, const struct point_row *points, size_t count,
                       int64_t *id, struct error *error)
{
    struct recorder self;
    recorder_self(&self);
    if (sql_run(sql, error,
                "INSERT INTO sweep (name, path, digest, engine, began_ns, recorder_pid, recorder_started, "
                "recorder_machine) VALUES (?,?,?,?,?,?,?,?)",
                "ttttiiit", sweep->name, sweep->path, sweep->digest, sweep->engine, clock_wall_ns(), self.pid,
                self.started, self.machine) != 0)
        return -1;
    *id = sqlite3_last_insert_rowid(sql->db);
    for (size_t i = 0; i < count; i++)
        if (sql_run(sql, error,
                    "INSERT INTO sweep_point (sweep, point, label, scenario_path, settings, seed, repetition) "
                    "VALUES (?,?,?,?,?,?,?)",
                    "iitttii", *id, (int64_t)points[i].point, points[i].label, points[i].scenario_path,
                    points[i].settings, (int64_t)points[i].seed, (int64_t)points[i].repetition) != 0)
            return -1;
    return 0;
}

int64_t sweeps_add(struct ledger *ledger, const struct sweep_row *sweep, const struct point_row *points, size_t count,
                   struct error *error)
{
    int64_t id = -1;
    if (store_begin(ledger, error) != 0)
        return -1;
    int result = write_sweep(&ledger->sql, sweep, points, count, &id, error);
    return store_end(ledger, result, error) == 0 ? id : -1;
}

static int no_sweep(const struct sql *sql, int64_t sweep, struct error *error)
{
    return error_set(error, ERROR_INPUT, "ledger %s: there is no sweep %" PRId64 "; `napm sweep --list` names them",
                     sql->path, sweep);
}

static int find_recorder(struct sql *sql, int64_t sweep, struct recorder *recorder, struct error *error)
{
    sqlite3_stmt *row = sql_query(
        sql, error, "SELECT recorder_pid, recorder_started, recorder_machine FROM sweep WHERE id = ?", "i", sweep);
    int found = row ? sql_row(sql, row, error) : -1;
    if (found == 0)
        return no_sweep(sql, sweep, error);
    if (found < 0)
        return -1;
    *recorder = (struct recorder){.pid = sqlite3_column_int64(row, 0), .started = sqlite3_column_int64(row, 1)};
    const char *machine = (const char *)sqlite3_column_text(row, 2);
    strncpy(recorder->machine, machine ? machine : "", sizeof(recorder->machine) - 1);
    sqlite3_reset(row);
    return 0;
}

static int take(struct sql *sql, int64_t sweep, const char *engine, struct error *error)
{
    struct recorder self, other;
    recorder_self(&self);
    if (find_recorder(sql, sweep, &other, error) != 0)
        return -1;
    bool own = other.pid == self.pid && other.started == self.started && strcmp(other.machine, self.machine) == 0;
    if (other.pid != 0 && !own && recorder_may_live(&other))
        return error_set(error, ERROR_INPUT,
                         "sweep %" PRId64 " is being carried out by process %" PRId64
                         "; wait for its end, or stop it first",
                         sweep, other.pid);
    return sql_run(sql, error,
                   "UPDATE sweep SET recorder_pid = ?, recorder_started = ?, recorder_machine = ?, ended_ns = NULL, "
                   "engine = coalesce(?, engine) WHERE id = ?",
                   "iitti", self.pid, self.started, self.machine, engine, sweep);
}

int sweeps_take(struct ledger *ledger, int64_t sweep, const char *engine, struct error *error)
{
    if (store_begin(ledger, error) != 0)
        return -1;
    return store_end(ledger, take(&ledger->sql, sweep, engine, error), error);
}

int sweeps_point_failed(struct ledger *ledger, int64_t sweep, uint32_t point, const char *cause, struct error *error)
{
    if (store_begin(ledger, error) != 0)
        return -1;
    int result = sql_run(&ledger->sql, error, "UPDATE sweep_point SET cause = ? WHERE sweep = ? AND point = ?", "tii",
                         cause, sweep, (int64_t)point);
    return store_end(ledger, result, error);
}

int sweeps_end(struct ledger *ledger, int64_t sweep, struct error *error)
{
    struct point_row *points;
    size_t count, open = 0;
    if (sweeps_points(ledger, sweep, &points, &count, error) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        open += points[i].state == POINT_WAITING || points[i].state == POINT_RUNNING;
    sweeps_points_free(points, count);
    if (store_begin(ledger, error) != 0)
        return -1;
    int result = sql_run(&ledger->sql, error,
                         "UPDATE sweep SET ended_ns = ?, recorder_pid = 0, recorder_started = 0 WHERE id = ?", "zi",
                         open ? INT64_C(0) : clock_wall_ns(), sweep);
    return store_end(ledger, result, error);
}

/* ---- reading ---- */

/* Points with the run that counts for each: one that is done, else the newest. */
#define POINTS                                                                                                         \
    "SELECT p.point, p.label, p.scenario_path, p.settings, p.seed, p.repetition, p.cause, r.id, r.status, r.cause, "   \
    "r.recorder_pid, r.recorder_started, r.recorder_machine FROM sweep_point p LEFT JOIN run r ON r.id = "             \
    "(SELECT id FROM run WHERE sweep = p.sweep AND point = p.point ORDER BY status = 'done' DESC, id DESC LIMIT 1) "   \
    "WHERE p.sweep = ? ORDER BY p.point"

/* Cut short, or never begun: it waits for another try, unless it is noted that there should be none. */
static enum point_state state_without_end(sqlite3_stmt *row)
{
    return sqlite3_column_type(row, 6) == SQLITE_NULL ? POINT_WAITING : POINT_FAILED;
}

static enum point_state state_of(sqlite3_stmt *row)
{
    const char *status = (const char *)sqlite3_column_text(row, 8);
    if (!status)
        return state_without_end(row);
    if (strcmp(status, "done") == 0)
        return POINT_DONE;
    if (strcmp(status, "failed") == 0)
        return POINT_FAILED;
    struct recorder recorder = {.pid = sqlite3_column_int64(row, 10), .started = sqlite3_column_int64(row, 11)};
    const char *machine = (const char *)sqlite3_column_text(row, 12);
    strncpy(recorder.machine, machine ? machine : "", sizeof(recorder.machine) - 1);
    return strcmp(status, "running") == 0 && recorder_may_live(&recorder) ? POINT_RUNNING : state_without_end(row);
}

static struct point_row point_of(sqlite3_stmt *row)
{
    struct point_row point = {
        .point = (uint32_t)sqlite3_column_int64(row, 0),
        .label = sql_text(row, 1),
        .scenario_path = sql_text(row, 2),
        .settings = sql_text(row, 3),
        .seed = (uint64_t)sqlite3_column_int64(row, 4),
        .repetition = (uint32_t)sqlite3_column_int64(row, 5),
        .state = state_of(row),
        .run = sqlite3_column_int64(row, 7),
    };
    if (point.state == POINT_FAILED)
        point.cause = sql_text(row, sqlite3_column_type(row, 6) == SQLITE_NULL ? 9 : 6);
    return point;
}

int sweeps_points(struct ledger *ledger, int64_t sweep, struct point_row **points, size_t *count, struct error *error)
{
    ARRAY_OF(struct point_row) found = {0};
    pthread_mutex_lock(&ledger->database);
    sqlite3_stmt *rows = sql_query(&ledger->sql, error, POINTS, "i", sweep);
    int row = -1;
    while (rows && (row = sql_row(&ledger->sql, rows, error)) == 1)
        *ARRAY_ADD(&found) = point_of(rows);
    pthread_mutex_unlock(&ledger->database);
    if (row == 0 && found.count == 0)
        row = no_sweep(&ledger->sql, sweep, error);
    *points = found.items;
    *count = found.count;
    if (row == 0)
        return 0;
    sweeps_points_free(*points, *count);
    return -1;
}

void sweeps_points_free(struct point_row *points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(points[i].label);
        free(points[i].scenario_path);
        free(points[i].settings);
        free(points[i].cause);
    }
    free(points);
}

#define SWEEPS                                                                                                         \
    "SELECT id, name, path, digest, engine, began_ns, ended_ns, recorder_pid, recorder_started, recorder_machine "     \
    "FROM sweep "

static struct sweep_row sweep_of(sqlite3_stmt *row)
{
    struct sweep_row sweep = {
        .id = sqlite3_column_int64(row, 0),
        .name = sql_text(row, 1),
        .path = sql_text(row, 2),
        .digest = sql_text(row, 3),
        .engine = sql_text(row, 4),
        .began_ns = sqlite3_column_int64(row, 5),
        .ended_ns = sqlite3_column_int64(row, 6),
    };
    struct recorder recorder = {.pid = sqlite3_column_int64(row, 7), .started = sqlite3_column_int64(row, 8)};
    const char *machine = (const char *)sqlite3_column_text(row, 9);
    strncpy(recorder.machine, machine ? machine : "", sizeof(recorder.machine) - 1);
    sweep.running = recorder.pid != 0 && recorder_may_live(&recorder);
    return sweep;
}

struct sweep_row *sweeps_find(struct ledger *ledger, int64_t sweep, struct error *error)
{
    struct sweep_row *found = NULL;
    pthread_mutex_lock(&ledger->database);
    sqlite3_stmt *row = sql_query(&ledger->sql, error, SWEEPS "WHERE id = ?", "i", sweep);
    int there = row ? sql_row(&ledger->sql, row, error) : -1;
    if (there == 0)
        no_sweep(&ledger->sql, sweep, error);
    if (there == 1) {
        struct sweep_row facts = sweep_of(row);
        found = memory_copy(&facts, sizeof(facts));
        sqlite3_reset(row);
    }
    pthread_mutex_unlock(&ledger->database);
    return found;
}

static int count_states(struct ledger *ledger, struct sweep_row *sweep, struct error *error)
{
    struct point_row *points;
    size_t count;
    if (sweeps_points(ledger, sweep->id, &points, &count, error) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        sweep->states[points[i].state]++;
    sweeps_points_free(points, count);
    return 0;
}

int sweeps_list(struct ledger *ledger, struct sweep_row **sweeps, size_t *count, struct error *error)
{
    ARRAY_OF(struct sweep_row) found = {0};
    pthread_mutex_lock(&ledger->database);
    sqlite3_stmt *rows = sql_query(&ledger->sql, error, SWEEPS "ORDER BY id DESC", "");
    int row = -1;
    while (rows && (row = sql_row(&ledger->sql, rows, error)) == 1)
        *ARRAY_ADD(&found) = sweep_of(rows);
    pthread_mutex_unlock(&ledger->database);
    for (size_t i = 0; i < found.count && row == 0; i++)
        row = count_states(ledger, &found.items[i], error);
    *sweeps = found.items;
    *count = found.count;
    if (row == 0)
        return 0;
    sweeps_free(*sweeps, *count);
    return -1;
}

void sweeps_free(struct sweep_row *sweeps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(sweeps[i].name);
        free(sweeps[i].path);
        free(sweeps[i].digest);
        free(sweeps[i].engine);
    }
    free(sweeps);
}
