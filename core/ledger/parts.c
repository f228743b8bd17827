/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a sweep: written, opened, merged. */
#include "core/ledger/parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/ledger/store.h"

/* ---- another database beside the ledger's own ---- */

/* As "part", until `leave`. Not in a transaction: SQLite does not allow that. */
static int attach(struct ledger *ledger, const char *path, struct error *error)
{
    pthread_mutex_lock(&ledger->database);
    int result = sql_run(&ledger->sql, error, "ATTACH ? AS part", "t", path);
    pthread_mutex_unlock(&ledger->database);
    return result == 0 ? 0 : error_prefix(error, "%s", path);
}

static void leave(struct ledger *ledger)
{
    pthread_mutex_lock(&ledger->database);
    sqlite3_exec(ledger->sql.db, "DETACH part", NULL, NULL, NULL);
    pthread_mutex_unlock(&ledger->database);
}

/* The ordinary journal: no files beside it that hosts would have to share. */
static int settle(struct ledger *part, struct error *error)
{
    return sql_script(&part->sql, "PRAGMA journal_mode = DELETE", error);
}

/* Opening marks runs that were cut short, and writes what is in the WAL that a killed process left. */
static int settle_file(const char *path, struct error *error)
{
    struct ledger *part = ledger_open(path, error);
    int result = part ? settle(part, error) : -1;
    ledger_close(part);
    return result;
}

static int run_text(struct sql *sql, char *script, struct error *error)
{
    int result = sql_script(sql, script, error);
    free(script);
    return result;
}

/* ---- points and profiles for others ---- */

#define COPY_SWEEP                                                                                                     \
    "INSERT INTO %2$s.sweep SELECT * FROM %1$s.sweep WHERE id = %3$" PRId64 ";"                                        \
    "UPDATE %2$s.sweep SET recorder_pid = 0, recorder_started = 0;"                                                    \
    "INSERT INTO %2$s.profile SELECT * FROM %1$s.profile WHERE id IN (SELECT max(id) FROM %1$s.profile GROUP BY key);" \
    "INSERT INTO %2$s.profile_layer SELECT * FROM %1$s.profile_layer "                                                 \
    "WHERE profile IN (SELECT id FROM %2$s.profile);"

static int copy_sweep(struct sql *sql, const char *from, const char *to, int64_t sweep, struct error *error)
{
    return run_text(sql, text_format(COPY_SWEEP, from, to, sweep), error);
}

static int copy_points(struct ledger *ledger, int64_t sweep, const uint32_t *points, size_t count, struct error *error)
{
    if (store_begin(ledger, error) != 0)
        return -1;
    int result = copy_sweep(&ledger->sql, "main", "part", sweep, error);
    for (size_t i = 0; i < count && result == 0; i++)
        result = sql_run(&ledger->sql, error,
                         "INSERT INTO part.sweep_point SELECT * FROM main.sweep_point WHERE sweep = ? AND point = ?",
                         "ii", sweep, (int64_t)points[i]);
    return store_end(ledger, result, error);
}

int parts_write(struct ledger *ledger, int64_t sweep, const uint32_t *points, size_t count, const char *path,
                struct error *error)
{
    unlink(path);
    if (settle_file(path, error) != 0 || attach(ledger, path, error) != 0)
        return -1;
    int result = copy_points(ledger, sweep, points, count, error);
    leave(ledger);
    return result;
}

/* ---- a part ---- */

static int take_share(struct ledger *part, int64_t sweep, uint32_t share, uint32_t shares, struct error *error)
{
    if (store_begin(part, error) != 0)
        return -1;
    int result = copy_sweep(&part->sql, "part", "main", sweep, error);
    if (result == 0)
        result = sql_run(&part->sql, error,
                         "INSERT INTO main.sweep_point SELECT * FROM part.sweep_point WHERE point IN "
                         "(SELECT point FROM (SELECT point, row_number() OVER (ORDER BY point) - 1 AS place "
                         "FROM part.sweep_point) WHERE place % ? = ?)",
                         "ii", (int64_t)shares, (int64_t)share);
    return store_end(part, result, error);
}

static int fill(struct ledger *part, const char *from, uint32_t share, uint32_t shares, int64_t *sweep,
                struct error *error)
{
    int64_t there;
    if (attach(part, from, error) != 0)
        return -1;
    int result = sql_number(&part->sql, "SELECT id FROM part.sweep", 0, sweep, error);
    if (result == 0 && *sweep == 0)
        result = error_set(error, ERROR_INPUT, "%s: holds no points of a sweep", from);
    if (result == 0)
        result = sql_number(&part->sql, "SELECT count(*) FROM main.sweep", 0, &there, error);
    if (result == 0 && there == 0)
        result = take_share(part, *sweep, share, shares, error);
    leave(part);
    return result;
}

struct ledger *parts_open(const char *from, const char *path, uint32_t share, uint32_t shares, int64_t *sweep,
                          struct error *error)
{
    struct ledger *part = ledger_open(path, error);
    if (!part)
        return NULL;
    /* Nobody else writes to it: what is "running" was cut short, whatever host it ran on. */
    if (fill(part, from, share, shares, sweep, error) == 0 &&
        sql_script(&part->sql, "UPDATE run SET status = 'interrupted' WHERE status = 'running'", error) == 0)
        return part;
    ledger_close(part);
    return NULL;
}

/* ---- merging ---- */

/*
 * Which rows are new, and their numbers in the ledger: those of the part, shifted. A run is known again by its point
 * and by who recorded it when; a profile by its key and when it was made.
 */
#define FIND_NEW                                                                                                       \
    "CREATE TEMP TABLE new_run AS SELECT id AS old, id + "                                                             \
    "  coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'run'), 0) AS new FROM part.run p "                 \
    "  WHERE sweep = %1$" PRId64 " AND NOT EXISTS (SELECT 1 FROM main.run m WHERE m.sweep = p.sweep "                  \
    "  AND m.point = p.point AND m.began_ns = p.began_ns AND m.recorder_pid = p.recorder_pid "                         \
    "  AND m.recorder_machine = p.recorder_machine);"                                                                  \
    "CREATE TEMP TABLE new_profile AS SELECT id AS old, "                                                              \
    "  id + (SELECT coalesce(max(id), 0) FROM main.profile) AS new, "                                                  \
    "  (SELECT id FROM main.profile m WHERE m.key = p.key AND m.made_ns = p.made_ns) AS known FROM part.profile p;"

#define TAKE_PROFILES                                                                                                  \
    "INSERT INTO main.profile (id, key, description, made_ns, layer_count) "                                           \
    "  SELECT n.new, key, description, made_ns, layer_count FROM part.profile p JOIN new_profile n ON n.old = p.id "   \
    "  WHERE n.known IS NULL;"                                                                                         \
    "INSERT INTO main.profile_layer (profile, layer, time_ns, mean_ns) "                                               \
    "SELECT n.new, layer, time_ns, mean_ns FROM part.profile_layer p "                                                 \
    "  JOIN new_profile n ON n.old = p.profile WHERE n.known IS NULL;"                                                 \
    "INSERT OR IGNORE INTO main.layer SELECT * FROM part.layer;"

#define TAKE_CAUSES                                                                                                    \
    "UPDATE main.sweep_point SET cause = (SELECT p.cause FROM part.sweep_point p WHERE p.sweep = %1$" PRId64           \
    "  AND p.point = sweep_point.point) WHERE sweep = %1$" PRId64 " AND cause IS NULL AND point IN "                   \
    "  (SELECT point FROM part.sweep_point WHERE sweep = %1$" PRId64 " AND cause IS NOT NULL);"

/* Statements that copy the new runs' rows of each table that has any, whatever its columns are. */
#define COPIES_OF_RUNS                                                                                                 \
    "SELECT 'INSERT INTO main.\"' || t.name || '\" (' || group_concat('\"' || c.name || '\"') || ') SELECT ' || "      \
    "group_concat(CASE WHEN c.name = t.key THEN 'n.new' "                                                              \
    "  WHEN c.name = 'profile' THEN '(SELECT coalesce(known, new) FROM new_profile WHERE old = p.profile)' "           \
    "  WHEN t.name = 'run' AND c.name = 'status' THEN "                                                                \
    "    'CASE p.status WHEN ''running'' THEN ''interrupted'' ELSE p.status END' "                                     \
    "  ELSE 'p.\"' || c.name || '\"' END) "                                                                            \
    "|| ' FROM part.\"' || t.name || '\" p JOIN new_run n ON n.old = p.\"' || t.key || '\"' "                          \
    "FROM (SELECT name, CASE name WHEN 'run' THEN 'id' ELSE 'run' END AS key FROM main.sqlite_master "                 \
    "  WHERE type = 'table') t JOIN pragma_table_info(t.name) c "                                                      \
    "WHERE EXISTS (SELECT 1 FROM pragma_table_info(t.name) k WHERE k.name = t.key) "                                   \
    "GROUP BY t.name"

static int take_runs(struct sql *sql, struct error *error)
{
    ARRAY_OF(char *) copies = {0};
    sqlite3_stmt *texts = sql_query(sql, error, COPIES_OF_RUNS, "");
    int row = -1;
    while (texts && (row = sql_row(sql, texts, error)) == 1)
        *ARRAY_ADD(&copies) = sql_text(texts, 0);
    for (size_t i = 0; i < copies.count; i++) {
        if (row == 0)
            row = sql_script(sql, copies.items[i], error);
        free(copies.items[i]);
    }
    ARRAY_FREE(&copies);
    return row;
}

/* A part is of the sweep that it was made for, and is whole. */
static int check_part(struct sql *sql, int64_t sweep, struct error *error)
{
    sqlite3_stmt *same = sql_query(sql, error,
                                   "SELECT 1 FROM part.sweep p JOIN main.sweep m ON m.id = p.id "
                                   "AND m.digest = p.digest AND m.began_ns = p.began_ns WHERE m.id = ?",
                                   "i", sweep);
    int row = same ? sql_row(sql, same, error) : -1;
    if (row == 0)
        return error_set(error, ERROR_INPUT, "is no part of sweep %" PRId64, sweep);
    if (row == 1)
        sqlite3_reset(same);
    sqlite3_stmt *check = row == 1 ? sql_query(sql, error, "PRAGMA part.quick_check(1)", "") : NULL;
    row = check ? sql_row(sql, check, error) : -1;
    if (row == 1 && strcmp((const char *)sqlite3_column_text(check, 0), "ok") != 0)
        row = error_set(error, ERROR_INPUT, "is damaged: %s", (const char *)sqlite3_column_text(check, 0));
    if (check)
        sqlite3_reset(check);
    return row == 1 ? 0 : -1;
}

static int take_all(struct sql *sql, int64_t sweep, struct error *error)
{
    /* Rows come in the order of tables' names, not in that in which they refer to each other. */
    return sql_script(sql, "PRAGMA defer_foreign_keys = ON", error) == 0 && check_part(sql, sweep, error) == 0 &&
                   run_text(sql, text_format(FIND_NEW, sweep), error) == 0 &&
                   sql_script(sql, TAKE_PROFILES, error) == 0 && take_runs(sql, error) == 0 &&
                   run_text(sql, text_format(TAKE_CAUSES, sweep), error) == 0 &&
                   sql_script(sql, "DROP TABLE new_run; DROP TABLE new_profile", error) == 0
               ? 0
               : -1;
}

int parts_merge(struct ledger *ledger, int64_t sweep, const char *path, struct error *error)
{
    if (settle_file(path, error) != 0 || attach(ledger, path, error) != 0)
        return error_prefix(error, "part %s", path);
    int result = -1;
    if (store_begin(ledger, error) == 0)
        result = store_end(ledger, take_all(&ledger->sql, sweep, error), error);
    leave(ledger);
    return result == 0 ? 0 : error_prefix(error, "part %s", path);
}
