/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's schema: foreign files refused, tables made, older versions migrated. */
#include "core/ledger/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/memory.h"

/* schema.sql as a string literal, made from it by the build. */
static const char schema_version_1[] =
#include "core/ledger/schema_sql.h"
    ;

/* What was asked of a link beyond rate and delay. Runs of version 1 did not record it: 0 there. */
static const char schema_version_2[] =
    "ALTER TABLE run_link ADD COLUMN jitter_ns INTEGER NOT NULL DEFAULT 0;" /* the delay is spread evenly over +- this */
    "ALTER TABLE run_link ADD COLUMN loss REAL NOT NULL DEFAULT 0;" /* share of the packets */
    "ALTER TABLE run_link ADD COLUMN repair_ns INTEGER NOT NULL DEFAULT 0;"; /* what repairing a loss takes */

/*
 * Sweeps. A point is done when a run of it is: run.sweep and run.point are written with the run's row, so that no point
 * can be done without its run, nor a run be lost from its point.
 */
static const char schema_version_3[] =
    "CREATE TABLE sweep ("
    "    id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "    name TEXT NOT NULL,"
    "    path TEXT NOT NULL,"
    "    digest TEXT NOT NULL," /* of the sweep file and its scenario files */
    "    engine TEXT NOT NULL,"
    "    began_ns INTEGER NOT NULL," /* since 1970 */
    "    ended_ns INTEGER," /* NULL: some point has no end yet */
    "    recorder_pid INTEGER NOT NULL," /* the process that carries it out, or did last */
    "    recorder_started INTEGER NOT NULL,"
    "    recorder_machine TEXT NOT NULL"
    ") STRICT;"
    "CREATE TABLE sweep_point ("
    "    sweep INTEGER NOT NULL REFERENCES sweep (id) ON DELETE CASCADE,"
    "    point INTEGER NOT NULL,"
    "    label TEXT NOT NULL," /* what is particular about it; the same for its repetitions */
    "    scenario_path TEXT NOT NULL,"
    "    settings TEXT NOT NULL," /* PATH=VALUE, one a line, as for --set */
    "    seed INTEGER NOT NULL,"
    "    repetition INTEGER NOT NULL,"
    "    cause TEXT," /* why it failed before it had a run; NULL: it did not */
    "    PRIMARY KEY (sweep, point)"
    ") STRICT, WITHOUT ROWID;"
    "ALTER TABLE run ADD COLUMN sweep INTEGER REFERENCES sweep (id) ON DELETE SET NULL;"
    "ALTER TABLE run ADD COLUMN point INTEGER;"
    "CREATE INDEX run_by_point ON run (sweep, point) WHERE sweep IS NOT NULL;";

/* Ways over several devices, and energy. Runs of version 3 knew neither: NULL, and 0 W. */
static const char schema_version_4[] =
    "CREATE TABLE plan_hop (" /* of streams whose way leads over other devices: one row for each device on it */
    "    run INTEGER NOT NULL REFERENCES plan (run) ON DELETE CASCADE,"
    "    stream INTEGER NOT NULL,"
    "    hop INTEGER NOT NULL," /* 0: the stream's own device */
    "    node INTEGER NOT NULL,"
    "    cut INTEGER NOT NULL," /* layers from the hop before's to cut - 1 run there, those behind the last at the station */
    "    PRIMARY KEY (run, stream, hop)"
    ") STRICT, WITHOUT ROWID;"
    "ALTER TABLE plan ADD COLUMN predicted_energy_j REAL;" /* of a task; NULL: no node has a power model */
    "ALTER TABLE task ADD COLUMN energy_j REAL;" /* the same, by the times measured */
    "ALTER TABLE run_node ADD COLUMN idle_w REAL NOT NULL DEFAULT 0;" /* the node's power model */
    "ALTER TABLE run_node ADD COLUMN busy_w REAL NOT NULL DEFAULT 0;"
    "ALTER TABLE run_node ADD COLUMN transmit_w REAL NOT NULL DEFAULT 0;"
    "ALTER TABLE run_node ADD COLUMN busy_ns INTEGER;" /* it computed for tasks; NULL: not counted */
    "ALTER TABLE run_node ADD COLUMN air_ns INTEGER;"; /* it sent for tasks */

/* What-if runs: which recorded run they take arrivals, conditions and layer times from. */
static const char schema_version_5[] =
    "ALTER TABLE run ADD COLUMN replay_of INTEGER REFERENCES run (id) ON DELETE SET NULL;";

/*
 * New plans in mid-run: a run has one or more, numbered from 0. Runs of older versions kept their first only. Made anew,
 * since a primary key cannot change; a table goes before the one that it refers to, so that no deletion cascades.
 */
static const char schema_version_6[] =
    "CREATE TABLE plan_new ("
    "    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,"
    "    plan INTEGER NOT NULL," /* 0: the one that the run began with */
    "    asked_ns INTEGER NOT NULL," /* run clock: made for the conditions of that moment */
    "    partitioner TEXT NOT NULL," /* 'name version' */
    "    planning_ns INTEGER NOT NULL,"
    "    predicted_total_ns REAL NOT NULL,"
    "    predicted_mean_ns REAL NOT NULL,"
    "    predicted_variance_ns2 REAL NOT NULL,"
    "    predicted_energy_j REAL," /* of a task; NULL: no node has a power model */
    "    PRIMARY KEY (run, plan)"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO plan_new SELECT run, 0, 0, partitioner, planning_ns, predicted_total_ns, predicted_mean_ns, "
    "    predicted_variance_ns2, predicted_energy_j FROM plan;"
    "CREATE TABLE plan_stream_new ("
    "    run INTEGER NOT NULL,"
    "    plan INTEGER NOT NULL,"
    "    stream INTEGER NOT NULL,"
    "    taken_ns INTEGER," /* run clock: tasks have started by it from then on; NULL: never */
    "    cut INTEGER NOT NULL," /* layers 0..cut-1 run on the device */
    "    cut_bytes INTEGER NOT NULL,"
    "    local_ns REAL NOT NULL," /* the predicted means */
    "    transmit_ns REAL NOT NULL,"
    "    queue_ns REAL NOT NULL,"
    "    remote_ns REAL NOT NULL,"
    "    return_ns REAL NOT NULL,"
    "    PRIMARY KEY (run, plan, stream),"
    "    FOREIGN KEY (run, plan) REFERENCES plan_new (run, plan) ON DELETE CASCADE"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO plan_stream_new SELECT run, 0, stream, 0, cut, cut_bytes, local_ns, transmit_ns, queue_ns, remote_ns, "
    "    return_ns FROM plan_stream;"
    "CREATE TABLE plan_hop_new ("
    "    run INTEGER NOT NULL,"
    "    plan INTEGER NOT NULL,"
    "    stream INTEGER NOT NULL,"
    "    hop INTEGER NOT NULL," /* 0: the stream's own device */
    "    node INTEGER NOT NULL,"
    "    cut INTEGER NOT NULL," /* layers from the hop before's to cut - 1 run there, those behind the last at the station */
    "    PRIMARY KEY (run, plan, stream, hop),"
    "    FOREIGN KEY (run, plan) REFERENCES plan_new (run, plan) ON DELETE CASCADE"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO plan_hop_new SELECT run, 0, stream, hop, node, cut FROM plan_hop;"
    "DROP TABLE plan_hop;"
    "DROP TABLE plan_stream;"
    "DROP TABLE plan;"
    "ALTER TABLE plan_new RENAME TO plan;" /* the two others then refer to it by its new name */
    "ALTER TABLE plan_stream_new RENAME TO plan_stream;"
    "ALTER TABLE plan_hop_new RENAME TO plan_hop;"
    "ALTER TABLE task ADD COLUMN plan INTEGER NOT NULL DEFAULT 0;"; /* by which its stream started tasks when it started */

/* What came of tasks at the devices on their way, and which part of their energy sending took. NULL, and no rows, before. */
static const char schema_version_7[] =
    "CREATE TABLE task_hop (" /* of tasks that are ok and whose way leads over other devices: a row for each that it came to */
    "    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,"
    "    stream INTEGER NOT NULL,"
    "    task INTEGER NOT NULL,"
    "    hop INTEGER NOT NULL," /* as in plan_hop, so 1 or more */
    "    node INTEGER NOT NULL,"
    "    cut INTEGER NOT NULL," /* the layers before it ran there or before */
    "    came_ns INTEGER NOT NULL," /* its tensors were there */
    "    began_ns INTEGER NOT NULL," /* it began to compute */
    "    left_ns INTEGER NOT NULL," /* it was done and sent; both came_ns where it only passed on */
    "    back_ns INTEGER," /* the result was there on its way back; NULL: it never was */
    "    PRIMARY KEY (run, stream, task, hop)"
    ") STRICT, WITHOUT ROWID;"
    "ALTER TABLE task ADD COLUMN sending_j REAL;"; /* of energy_j */

/* Placements that are no cut of the layer order. Plans had none before. */
static const char schema_version_8[] =
    "CREATE TABLE plan_layer (" /* of streams with such a placement: all their layers */
    "    run INTEGER NOT NULL,"
    "    plan INTEGER NOT NULL,"
    "    stream INTEGER NOT NULL,"
    "    layer INTEGER NOT NULL,"
    "    node INTEGER NOT NULL," /* where it runs */
    "    PRIMARY KEY (run, plan, stream, layer),"
    "    FOREIGN KEY (run, plan) REFERENCES plan (run, plan) ON DELETE CASCADE"
    ") STRICT, WITHOUT ROWID;";

static const char schema_version_9[] =
    "ALTER TABLE profile_layer ADD COLUMN mean_ns INTEGER;"; /* beside the median, time_ns; NULL: not known */

const char *const schema_steps[] = {schema_version_1, schema_version_2, schema_version_3,
                                    schema_version_4, schema_version_5, schema_version_6,
                                    schema_version_7, schema_version_8, schema_version_9};
const size_t schema_step_count = sizeof(schema_steps) / sizeof(schema_steps[0]);

/* An SQLite file's header: its magic words, and where the application id lies (big-endian). */
#define HEADER_BYTES 100
#define APPLICATION_ID_AT 68
static const char magic[16] = "SQLite format 3";

static int check_header(const char *path, int file, bool *exists, struct error *error)
{
    struct stat facts;
    if (fstat(file, &facts) != 0)
        return error_set(error, ERROR_RUN, "ledger %s: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return error_set(error, ERROR_INPUT, "ledger %s: is no file; name one with --db", path);
    *exists = facts.st_size > 0;
    if (!*exists)
        return 0;
    uint8_t header[HEADER_BYTES];
    if (pread(file, header, sizeof(header), 0) != (ssize_t)sizeof(header) || memcmp(header, magic, sizeof(magic)) != 0)
        return error_set(error, ERROR_INPUT,
                         "ledger %s: is no ledger (not even an SQLite file), and was left as it is; choose another "
                         "file with --db",
                         path);
    const uint8_t *id = header + APPLICATION_ID_AT;
    if (((uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3]) != SCHEMA_APPLICATION_ID)
        return error_set(error, ERROR_INPUT,
                         "ledger %s: is another program's SQLite database, and was left as it is; choose another file "
                         "with --db",
                         path);
    return 0;
}

int schema_check_file(const char *path, bool *exists, struct error *error)
{
    *exists = false;
    /* Not blocking, so that a FIFO by that name cannot hold us. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 && errno == ENOENT)
        return 0;
    if (file < 0)
        return error_set(error, ERROR_INPUT, "ledger %s: cannot be opened: %s; choose another file with --db", path,
                         strerror(errno));
    int result = check_header(path, file, exists, error);
    close(file);
    return result;
}

static int newer_version(const struct sql *sql, int64_t version, size_t known, struct error *error)
{
    return error_set(error, ERROR_INPUT,
                     "ledger %s: was written by a newer napm (schema %lld, this one knows %zu), and was left as it is; "
                     "use that napm, or choose another file with --db",
                     sql->path, (long long)version, known);
}

/* STRICT came with SQLite 3.37; without it the same tables are made, only less watched. */
static char *without_strict(const char *text)
{
    char *out = text_copy(text);
    if (sqlite3_libversion_number() >= 3037000)
        return out;
    for (char *at; (at = strstr(out, ") STRICT")) != NULL;) {
        char *after = at + strlen(") STRICT");
        if (*after == ',')
            after++;
        memmove(at + 1, after, strlen(after) + 1);
    }
    return out;
}

static int take_steps(struct sql *sql, const char *const *steps, size_t step_count, struct error *error)
{
    int64_t version;
    if (sql_number(sql, "PRAGMA user_version", 0, &version, error) != 0)
        return -1;
    if (version < 0 || (uint64_t)version > step_count)
        return newer_version(sql, version, step_count, error);
    for (size_t step = (size_t)version; step < step_count; step++) {
        char *text = without_strict(steps[step]);
        int result = sql_script(sql, text, error);
        free(text);
        if (result != 0)
            return error_prefix(error, "bringing the ledger's schema from version %zu to %zu", step, step + 1);
    }
    char *stamp =
        text_format("PRAGMA application_id = %d; PRAGMA user_version = %zu", SCHEMA_APPLICATION_ID, step_count);
    int result = sql_script(sql, stamp, error);
    free(stamp);
    return result;
}

int schema_bring_up(struct sql *sql, const char *const *steps, size_t step_count, struct error *error)
{
    int64_t version;
    if (sql_number(sql, "PRAGMA user_version", 0, &version, error) != 0)
        return -1;
    if (version == (int64_t)step_count)
        return 0;
    if (version < 0 || version > (int64_t)step_count)
        return newer_version(sql, version, step_count, error);
    /* IMMEDIATE: of two processes that open an old file at once, the second waits and then finds nothing to do. */
    if (sql_script(sql, "BEGIN IMMEDIATE", error) != 0)
        return -1;
    return sql_conclude(sql, take_steps(sql, steps, step_count, error), error);
}

int schema_version(struct sql *sql, size_t step_count, size_t *version, struct error *error)
{
    int64_t found;
    if (sql_number(sql, "PRAGMA user_version", 0, &found, error) != 0)
        return -1;
    if (found < 0 || found > (int64_t)step_count)
        return newer_version(sql, found, step_count, error);
    *version = (size_t)found;
    return 0;
}
