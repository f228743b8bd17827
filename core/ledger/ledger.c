/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: opening, and writing runs. (Tasks and samples: writer.c. Reading: query.c.) */
#include "core/ledger/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/compute/monitor.h"
#include "core/ledger/recorder.h"
#include "core/ledger/schema.h"
#include "core/ledger/store.h"

/* Where there is nothing else said. *ours: the folders are the platform's own to make. */
static char *default_path(bool *ours, struct error *error)
{
    const char *named = getenv("NAPM_DB");
    if (named && *named)
        return text_copy(named);
    *ours = true;
    const char *data = getenv("XDG_DATA_HOME");
    if (data && *data == '/')
        return text_format("%s/napm/napm.db", data);
    const char *home = getenv("HOME");
    if (home && *home)
        return text_format("%s/.local/share/napm/napm.db", home);
    error_set(error, ERROR_INPUT, "where to keep the ledger is not known: HOME is not set; name a file with --db");
    return NULL;
}

static int make_folders_above(const char *path, struct error *error)
{
    char *folder = text_copy(path);
    int result = 0;
    for (char *slash = strchr(folder + 1, '/'); slash && result == 0; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            result = error_set(error, ERROR_INPUT,
                               "ledger %s: cannot make the folder %s: %s; choose another place with --db", path, folder,
                               strerror(errno));
        *slash = '/';
    }
    free(folder);
    return result;
}

/* A folder that somebody named may be misspelt: it is not made. */
static int check_folder_above(const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? text_copy(".") : slash == path ? text_copy("/") : text_copy(path);
    if (slash && slash != path)
        folder[slash - path] = '\0';
    struct stat facts;
    int result = 0;
    if (stat(folder, &facts) != 0)
        result = error_set(error, ERROR_INPUT,
                           "ledger %s: the folder %s: %s; make it, or choose another place with --db or NAPM_DB", path,
                           folder, strerror(errno));
    free(folder);
    return result;
}

static struct ledger *ledger_new(void)
{
    struct ledger *ledger = NEW(struct ledger);
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&ledger->database, &recursive);
    pthread_mutexattr_destroy(&recursive);
    writer_init(&ledger->writer);
    return ledger;
}

static int mark_interrupted(struct sql *sql, int64_t run, struct error *error)
{
    return sql_run(sql, error,
                   "UPDATE run SET status = 'interrupted', cause = 'the process that ran it ended without closing it', "
                   "ended_ns = (SELECT began_ns + max(ended_ns) FROM task WHERE task.run = run.id) "
                   "WHERE id = ? AND status = 'running'",
                   "i", run);
}

/* Runs that nobody records any more were cut short: by SIGKILL, or by a power failure. */
static int mark_orphans(struct sql *sql, struct error *error)
{
    ARRAY_OF(int64_t) orphans = {0};
    sqlite3_stmt *running =
        sql_query(sql, error,
                  "SELECT id, recorder_pid, recorder_started, recorder_machine FROM run WHERE status = 'running'", "");
    int row = -1;
    while (running && (row = sql_row(sql, running, error)) == 1) {
        struct recorder recorder = {.pid = sqlite3_column_int64(running, 1),
                                    .started = sqlite3_column_int64(running, 2)};
        const char *machine = (const char *)sqlite3_column_text(running, 3);
        strncpy(recorder.machine, machine ? machine : "", sizeof(recorder.machine) - 1);
        if (!recorder_may_live(&recorder))
            *ARRAY_ADD(&orphans) = sqlite3_column_int64(running, 0);
    }
    for (size_t i = 0; i < orphans.count && row == 0; i++)
        row = mark_interrupted(sql, orphans.items[i], error);
    ARRAY_FREE(&orphans);
    return row == 0 ? 0 : -1;
}

static int copy_database(struct sql *from, struct sql *to, struct error *error)
{
    sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (backup)
        sqlite3_backup_step(backup, -1); /* its status is also that of the next call */
    return backup && sqlite3_backup_finish(backup) == SQLITE_OK
               ? 0
               : sql_fail(to, "copying the older schema's rows", error);
}

/* A ledger as it was before its schema is changed, beside it; never over a file that is there. */
static int keep_backup(struct sql *sql, int64_t version, struct error *error)
{
    char *path = text_format("%s.schema-%" PRId64, sql->path, version);
    for (int next = 2; access(path, F_OK) == 0; next++) {
        free(path);
        path = text_format("%s.schema-%" PRId64 "-%d", sql->path, version, next);
    }
    struct sql copy;
    int result = sql_open(&copy, path, NULL, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, error);
    if (result == 0) {
        result = copy_database(sql, &copy, error);
        sql_close(&copy);
        if (result != 0)
            unlink(path);
    }
    if (result == 0)
        log_info("ledger", "%s has schema %" PRId64 " and is brought up to %zu; as it was it is kept as %s", sql->path,
                 version, schema_step_count, path);
    free(path);
    return result;
}

/* Reads the tables' names, so that a damaged file is found before anything else is done with it. */
static int check_whole(struct sql *sql, struct error *error)
{
    int64_t tables;
    return sql_number(sql, "SELECT count(*) FROM sqlite_master", 0, &tables, error);
}

static int prepare_old(struct sql *sql, struct error *error)
{
    int64_t version;
    if (check_whole(sql, error) != 0 || sql_number(sql, "PRAGMA user_version", 0, &version, error) != 0)
        return -1;
    bool is_older = version > 0 && version < (int64_t)schema_step_count;
    if (is_older && keep_backup(sql, version, error) != 0)
        return -1;
    if (version <= (int64_t)schema_step_count && sql_script(sql, "PRAGMA journal_mode = WAL", error) != 0)
        return -1;
    return schema_bring_up(sql, schema_steps, schema_step_count, error);
}

/* Made with the ordinary journal, so that its first page (by which it is known) is in the file at once. */
static int prepare_new(struct sql *sql, struct error *error)
{
    return schema_bring_up(sql, schema_steps, schema_step_count, error) != 0
               ? -1
               : sql_script(sql, "PRAGMA journal_mode = WAL", error);
}

static int prepare_for_writing(struct sql *sql, bool exists, struct error *error)
{
    if (sql_script(sql,
                   "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA synchronous = NORMAL; "
                   "PRAGMA cache_size = -65536",
                   error) != 0 ||
        (exists ? prepare_old(sql, error) : prepare_new(sql, error)) != 0)
        return -1;
    return mark_orphans(sql, error);
}

struct ledger *ledger_open(const char *path, struct error *error)
{
    bool ours = false;
    char *own = path ? text_copy(path) : default_path(&ours, error);
    if (!own)
        return NULL;
    struct ledger *ledger = ledger_new();
    bool exists;
    if ((ours ? make_folders_above(own, error) : check_folder_above(own, error)) != 0 ||
        schema_check_file(own, &exists, error) != 0 ||
        sql_open(&ledger->sql, own, NULL, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, error) != 0 ||
        prepare_for_writing(&ledger->sql, exists, error) != 0) {
        ledger_close(ledger);
        ledger = NULL;
    }
    free(own);
    return ledger;
}

/* A file that cannot be written cannot have the shared memory of WAL beside it either: then it is read as it lies there. */
static int open_for_reading(struct sql *sql, const char *path, struct error *error)
{
    char *uri = NULL;
    if (access(path, W_OK) != 0 && path[0] == '/' && !strpbrk(path, "%?#"))
        uri = text_format("file:%s?immutable=1", path);
    int result = sql_open(sql, path, uri, SQLITE_OPEN_READONLY, error);
    free(uri);
    return result;
}

/* Goes on with a private copy that goes when it is closed. */
static int move_to_copy(struct sql *sql, struct error *error)
{
    struct sql copy;
    if (sql_open(&copy, sql->path, "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, error) != 0)
        return -1;
    if (copy_database(sql, &copy, error) != 0) {
        sql_close(&copy);
        return -1;
    }
    sql_close(sql);
    *sql = copy;
    return 0;
}

/* What only reads leaves the file as it is: an older one is brought up to date in a copy. */
static int prepare_for_reading(struct sql *sql, struct error *error)
{
    size_t version;
    if (check_whole(sql, error) != 0 || schema_version(sql, schema_step_count, &version, error) != 0)
        return -1;
    if (version == schema_step_count)
        return 0;
    return move_to_copy(sql, error) != 0 ? -1 : schema_bring_up(sql, schema_steps, schema_step_count, error);
}

struct ledger *ledger_open_readonly(const char *path, struct error *error)
{
    bool ours;
    char *own = path ? text_copy(path) : default_path(&ours, error);
    if (!own)
        return NULL;
    struct ledger *ledger = ledger_new();
    ledger->readonly = true;
    bool exists;
    int result = schema_check_file(own, &exists, error);
    if (result == 0 && !exists)
        result = error_set(error, ERROR_INPUT,
                           "ledger %s: there is none yet; `napm run SCENARIO` makes it, or name another file with --db",
                           own);
    if (result != 0 || open_for_reading(&ledger->sql, own, error) != 0 ||
        prepare_for_reading(&ledger->sql, error) != 0) {
        ledger_close(ledger);
        ledger = NULL;
    }
    free(own);
    return ledger;
}

void ledger_close(struct ledger *ledger)
{
    if (!ledger)
        return;
    writer_end(ledger);
    if (ledger->writer.error.kind != ERROR_NONE && !ledger->writer.told)
        log_error("ledger", "%s", ledger->writer.error.text);
    sql_close(&ledger->sql);
    pthread_mutex_destroy(&ledger->database);
    free(ledger);
}

const char *ledger_path(const struct ledger *ledger)
{
    return ledger->sql.path;
}

/* ---- one run ---- */

static int insert_run(struct ledger *ledger, const struct scenario *scenario, uint64_t seed, uint32_t repetition,
                      const struct machine_facts *machine, struct error *error)
{
    struct recorder recorder;
    char *path = file_path_from_root(scenario->path ? scenario->path : ""); /* for who replays it from another folder */
    recorder_self(&recorder);
    int result =
        sql_run(&ledger->sql, error,
                "INSERT INTO run (status, scenario_name, scenario_path, scenario_text, world, seed, repetition, "
                "began_ns, platform_version, host, processor, system, processors, memory_bytes, recorder_pid, "
                "recorder_started, recorder_machine, sweep, point, replay_of) "
                "VALUES ('running',?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                "ttttiiittttiiiitzzz", scenario->name ? scenario->name : "", path, scenario->text ? scenario->text : "",
                scenario->world, (int64_t)seed, (int64_t)repetition, clock_wall_ns(), PACKAGE_VERSION, machine->host,
                machine->machine, machine->system, (int64_t)machine->processors, (int64_t)machine->memory_bytes,
                recorder.pid, recorder.started, recorder.machine, ledger->sweep, ledger->point, ledger->replay_of);
    free(path);
    return result;
}

static int write_run_row(struct ledger *ledger, const struct scenario *scenario, uint64_t seed, uint32_t repetition,
                         struct error *error)
{
    struct machine_facts machine;
    machine_facts_read(&machine);
    int result = insert_run(ledger, scenario, seed, repetition, &machine, error);
    machine_facts_free(&machine);
    return result;
}

static int write_layers(struct sql *sql, const struct napm_model *model, struct error *error)
{
    for (uint32_t i = 0; i < model->layer_count; i++) {
        const struct napm_layer *layer = model->layers[i];
        if (sql_run(sql, error,
                    "INSERT OR IGNORE INTO layer (model_hash, layer, name, flops, parameter_bytes) VALUES (?,?,?,?,?)",
                    "titdi", model->hash, (int64_t)i, layer->name, layer->flops, (int64_t)layer->parameter_bytes) != 0)
            return -1;
    }
    return 0;
}

static int write_streams(struct sql *sql, int64_t run, const struct scenario *scenario, struct error *error)
{
    for (uint32_t i = 0; i < scenario->stream_count; i++) {
        const struct scenario_stream *stream = &scenario->streams[i];
        const struct scenario_model *file = &scenario->models[stream->model];
        const struct napm_model *model = model_view(file->model);
        const char *slash = strrchr(file->path, '/');
        if (sql_run(sql, error,
                    "INSERT INTO run_stream (run, stream, name, device, model, model_hash, layer_count, task_count, "
                    "priority, deadline_ns) VALUES (?,?,?,?,?,?,?,?,?,?)",
                    "iittttiiiz", run, (int64_t)i, stream->name, scenario->nodes[stream->device].name,
                    slash ? slash + 1 : file->path, model->hash, (int64_t)model->layer_count,
                    (int64_t)stream->task_count, (int64_t)stream->priority, stream->deadline_ns) != 0)
            return -1;
    }
    return 0;
}

/* The rows of a new run. Its id is in the database's last row id after write_run_row. */
static int write_run(struct ledger *ledger, const struct scenario *scenario, uint64_t seed, uint32_t repetition,
                     int64_t *run, struct error *error)
{
    struct sql *sql = &ledger->sql;
    if (write_run_row(ledger, scenario, seed, repetition, error) != 0)
        return -1;
    *run = sqlite3_last_insert_rowid(sql->db);
    for (uint32_t i = 0; i < scenario->model_count; i++)
        if (write_layers(sql, model_view(scenario->models[i].model), error) != 0)
            return -1;
    return write_streams(sql, *run, scenario, error);
}

int store_begin(struct ledger *ledger, struct error *error)
{
    pthread_mutex_lock(&ledger->database);
    int result = ledger->depth > 0 ? 0 : sql_script(&ledger->sql, "BEGIN IMMEDIATE", error);
    if (result != 0)
        pthread_mutex_unlock(&ledger->database);
    else
        ledger->depth++;
    return result;
}

int store_end(struct ledger *ledger, int result, struct error *error)
{
    if (--ledger->depth == 0)
        result = sql_conclude(&ledger->sql, result, error);
    pthread_mutex_unlock(&ledger->database);
    return result;
}

int ledger_hold(struct ledger *ledger, struct error *error)
{
    return store_begin(ledger, error);
}

int ledger_release(struct ledger *ledger, int result, struct error *error)
{
    return store_end(ledger, result, error);
}

void ledger_gather_more(struct ledger *ledger, bool more)
{
    writer_gather_more(&ledger->writer, more);
}

int64_t ledger_run_begin(struct ledger *ledger, const struct scenario *scenario, uint64_t seed, uint32_t repetition,
                         struct error *error)
{
    int64_t run = -1;
    if (store_begin(ledger, error) != 0)
        return -1;
    int result = write_run(ledger, scenario, seed, repetition, &run, error);
    if (store_end(ledger, result, error) != 0)
        return -1;
    ledger->scenario = scenario;
    return run;
}

int ledger_run_plugin(struct ledger *ledger, int64_t run, const char *role, const struct instance *instance,
                      struct error *error)
{
    const struct catalogue_entry *entry = instance->entry;
    if (store_begin(ledger, error) != 0)
        return -1;
    return store_end(ledger,
                     sql_run(&ledger->sql, error,
                             "INSERT OR REPLACE INTO run_plugin (run, role, kind, name, version, file, options) "
                             "VALUES (?,?,?,?,?,?,?)",
                             "itttttt", run, role, catalogue_kind_name(entry->kind), entry->name, entry->version,
                             entry->path, instance_options_text(instance)),
                     error);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

int ledger_run_node(struct ledger *ledger, int64_t run, uint32_t node, const struct scenario_node *stated,
                    const struct node_facts *facts, struct error *error)
{
    static const struct node_facts unknown;
    if (!facts)
        facts = &unknown;
    if (store_begin(ledger, error) != 0)
        return -1;
    return store_end(
        ledger,
        sql_run(&ledger->sql, error,
                "INSERT OR REPLACE INTO run_node (run, node, name, is_station, threads, cpu_share, workers, "
                "backend, host, machine, system, processors, memory_bytes, pid, memory_limit_bytes, idle_w, busy_w, "
                "transmit_w) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                "iitiidittttiiizddd", run, (int64_t)node, stated->name, (int64_t)stated->is_station,
                (int64_t)stated->threads, stated->cpu_share, (int64_t)stated->workers, or_empty(facts->backend),
                or_empty(facts->host), or_empty(facts->machine), or_empty(facts->system), (int64_t)facts->processors,
                (int64_t)facts->memory_bytes, facts->pid, (int64_t)stated->memory_bytes, stated->power.idle_w,
                stated->power.busy_w, stated->power.transmit_w),
        error);
}

int ledger_run_node_lost(struct ledger *ledger, int64_t run, uint32_t node, const char *cause, struct error *error)
{
    if (store_begin(ledger, error) != 0)
        return -1;
    return store_end(ledger,
                     sql_run(&ledger->sql, error, "UPDATE run_node SET lost_cause = ? WHERE run = ? AND node = ?",
                             "tii", cause, run, (int64_t)node),
                     error);
}

int ledger_run_node_energy(struct ledger *ledger, int64_t run, uint32_t node, int64_t busy_ns, int64_t air_ns,
                           struct error *error)
{
    if (store_begin(ledger, error) != 0)
        return -1;
    return store_end(ledger,
                     sql_run(&ledger->sql, error,
                             "UPDATE run_node SET busy_ns = ?, air_ns = ? WHERE run = ? AND node = ?", "iiii", busy_ns,
                             air_ns, run, (int64_t)node),
                     error);
}

int ledger_run_link(struct ledger *ledger, int64_t run, const struct link_report *report, struct error *error)
{
    const struct scenario_link *link = &ledger->scenario->links[report->link];
    const struct link_conditions *asked = &link->spec.conditions[report->direction];
    if (store_begin(ledger, error) != 0)
        return -1;
    return store_end(
        ledger,
        sql_run(&ledger->sql, error,
                "INSERT OR REPLACE INTO run_link (run, link, direction, name, medium, requested_bytes_per_s, "
                "achieved_bytes_per_s, requested_delay_ns, achieved_delay_ns, jitter_ns, loss, repair_ns, method) "
                "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                "iitttppiiidit", run, (int64_t)report->link, report->direction == LINK_UP ? "up" : "down", link->name,
                link->medium_name, report->requested_bytes_per_s > 0 ? report->requested_bytes_per_s : -1.0,
                report->achieved_bytes_per_s > 0 ? report->achieved_bytes_per_s : -1.0, report->requested_delay_ns,
                report->achieved_delay_ns, asked->jitter_ns, asked->loss, asked->repair_ns, or_empty(report->method)),
        error);
}

/* The node of each layer, where the placement is no cut of the layer order. */
static int write_placement(struct sql *sql, int64_t run, const struct scenario *scenario, uint32_t number,
                           uint32_t stream, const uint32_t *order, const uint32_t *cuts, struct error *error)
{
    uint32_t layers = model_view(scenario->models[scenario->streams[stream].model].model)->layer_count;
    uint32_t node = scenario->streams[stream].device, hop = 0;
    for (uint32_t place = 0; order && place < layers; place++) {
        for (; node != scenario->station && place == cuts[hop]; hop++)
            node = scenario->links[scenario->link_of_node[node]].upper;
        if (sql_run(sql, error, "INSERT INTO plan_layer (run, plan, stream, layer, node) VALUES (?,?,?,?,?)", "iiiii",
                    run, (int64_t)number, (int64_t)stream, (int64_t)order[place], (int64_t)node) != 0)
            return -1;
    }
    return 0;
}

/* The devices on a stream's way, where it leads over others than its own. */
static int write_way(struct sql *sql, int64_t run, const struct scenario *scenario, uint32_t number, uint32_t stream,
                     const uint32_t *cuts, uint32_t hop_count, struct error *error)
{
    uint32_t node = scenario->streams[stream].device;
    for (uint32_t hop = 0; hop < hop_count && hop_count > 1; hop++) {
        if (sql_run(sql, error, "INSERT INTO plan_hop (run, plan, stream, hop, node, cut) VALUES (?,?,?,?,?,?)",
                    "iiiiii", run, (int64_t)number, (int64_t)stream, (int64_t)hop, (int64_t)node,
                    (int64_t)cuts[hop]) != 0)
            return -1;
        node = scenario->links[scenario->link_of_node[node]].upper;
    }
    return 0;
}

static int write_ways(struct sql *sql, int64_t run, const struct scenario *scenario, const struct plan *plan,
                      uint32_t number, struct error *error)
{
    const uint32_t *cuts = plan->way_cuts;
    for (uint32_t i = 0; cuts && i < plan->stream_count; i++) {
        uint32_t hop_count = scenario_way_length(scenario, scenario->streams[i].device);
        if (write_way(sql, run, scenario, number, i, cuts, hop_count, error) != 0 ||
            write_placement(sql, run, scenario, number, i, plan->orders ? plan->orders[i] : NULL, cuts, error) != 0)
            return -1;
        cuts += hop_count;
    }
    return 0;
}

static int write_plan_stream(struct sql *sql, int64_t run, const struct plan *plan, uint32_t stream,
                             const struct ledger_plan *facts, struct error *error)
{
    const struct napm_phases *phases = &plan->predicted[stream];
    return sql_run(sql, error,
                   "INSERT INTO plan_stream (run, plan, stream, taken_ns, cut, cut_bytes, local_ns, transmit_ns, "
                   "queue_ns, remote_ns, return_ns) VALUES (?,?,?,nullif(?,-1),?,?,?,?,?,?,?)",
                   "iiiiiiddddd", run, (int64_t)facts->number, (int64_t)stream, facts->taken_ns,
                   (int64_t)plan->cuts[stream], (int64_t)plan->cut_bytes[stream], phases->local_ns, phases->transmit_ns,
                   phases->queue_ns, phases->remote_ns, phases->return_ns);
}

static int write_plan(struct sql *sql, int64_t run, const struct scenario *scenario, const struct plan *plan,
                      const struct ledger_plan *facts, struct error *error)
{
    if (sql_run(sql, error,
                "INSERT INTO plan (run, plan, asked_ns, partitioner, planning_ns, predicted_total_ns, "
                "predicted_mean_ns, predicted_variance_ns2, predicted_energy_j) VALUES (?,?,?,?,?,?,?,?,?)",
                "iiitidddp", run, (int64_t)facts->number, facts->asked_ns, plan->partitioner, plan->planning_ns,
                plan->predicted_total_ns, plan->predicted_mean_ns, plan->predicted_variance_ns2,
                scenario_has_power(scenario) ? plan->predicted_energy_j : -1.0) != 0)
        return -1;
    for (uint32_t i = 0; i < plan->stream_count; i++)
        if (write_plan_stream(sql, run, plan, i, facts, error) != 0)
            return -1;
    return write_ways(sql, run, scenario, plan, facts->number, error);
}

int ledger_run_plan(struct ledger *ledger, int64_t run, const struct plan *plan, const struct ledger_plan *facts,
                    struct error *error)
{
    if (store_begin(ledger, error) != 0)
        return -1;
    return store_end(ledger, write_plan(&ledger->sql, run, ledger->scenario, plan, facts, error), error);
}

int ledger_run_plan_taken(struct ledger *ledger, int64_t run, uint32_t number, uint32_t stream, int64_t at_ns,
                          struct error *error)
{
    if (store_begin(ledger, error) != 0)
        return -1;
    return store_end(ledger,
                     sql_run(&ledger->sql, error,
                             "UPDATE plan_stream SET taken_ns = ? WHERE run = ? AND plan = ? AND stream = ?", "iiii",
                             at_ns, run, (int64_t)number, (int64_t)stream),
                     error);
}

int ledger_run_task(struct ledger *ledger, int64_t run, const struct task_record *task, struct error *error)
{
    return writer_task(ledger, run, task, error);
}

int ledger_run_sample(struct ledger *ledger, int64_t run, const struct node_sample *sample, struct error *error)
{
    return writer_sample(ledger, run, sample, error);
}

int ledger_flush(struct ledger *ledger, struct error *error)
{
    return writer_flush(ledger, error);
}

int ledger_run_end(struct ledger *ledger, int64_t run, const char *status, const char *cause, struct error *error)
{
    int written = writer_flush(ledger, error);
    if (store_begin(ledger, error) != 0)
        return -1;
    int ended =
        store_end(ledger,
                  sql_run(&ledger->sql, error, "UPDATE run SET status = ?, cause = ?, ended_ns = ? WHERE id = ?",
                          "ttii", status, cause, clock_wall_ns(), run),
                  error);
    return written == 0 ? ended : -1;
}

/* ---- profiles ---- */

/* 1 and the id of the newest profile with that key, 0 where there is none, or -1. */
static int newest_profile(struct sql *sql, const char *key, int64_t *id, int64_t *layer_count, struct error *error)
{
    sqlite3_stmt *newest =
        sql_query(sql, error, "SELECT id, layer_count FROM profile WHERE key = ? ORDER BY id DESC LIMIT 1", "t", key);
    int row = newest ? sql_row(sql, newest, error) : -1;
    if (row == 1) {
        *id = sqlite3_column_int64(newest, 0);
        *layer_count = sqlite3_column_int64(newest, 1);
        sqlite3_reset(newest);
    }
    return row;
}

static int read_profile(struct sql *sql, const char *key, uint32_t layer_count, struct layer_time *times,
                        struct error *error)
{
    int64_t id, stored_count;
    int found = newest_profile(sql, key, &id, &stored_count, error);
    if (found != 1 || stored_count != layer_count)
        return found < 0 ? -1 : 0;
    sqlite3_stmt *layers = sql_query(
        sql, error,
        "SELECT layer, time_ns, coalesce(mean_ns, time_ns) FROM profile_layer WHERE profile = ? ORDER BY layer", "i",
        id);
    uint32_t count = 0;
    int row = -1;
    while (layers && (row = sql_row(sql, layers, error)) == 1) {
        int64_t layer = sqlite3_column_int64(layers, 0);
        if (layer >= 0 && layer < layer_count) {
            times[layer] = (struct layer_time){sqlite3_column_int64(layers, 1), sqlite3_column_int64(layers, 2)};
            count++;
        }
    }
    return row < 0 ? -1 : count == layer_count;
}

int ledger_profile_get(struct ledger *ledger, const char *key, uint32_t layer_count, struct layer_time *times,
                       struct error *error)
{
    pthread_mutex_lock(&ledger->database);
    int found = read_profile(&ledger->sql, key, layer_count, times, error);
    pthread_mutex_unlock(&ledger->database);
    return found;
}

static int read_run_profile(struct sql *sql, int64_t run, uint32_t node, const char *model_hash, double cpu_share,
                            uint32_t layer_count, struct layer_time *times, struct error *error)
{
    sqlite3_stmt *rows =
        sql_query(sql, error,
                  "SELECT l.time_ns, coalesce(l.mean_ns, l.time_ns), n.cpu_share FROM run_profile p "
                  "JOIN profile_layer l ON l.profile = p.profile JOIN run_node n ON n.run = p.run AND n.node = p.node "
                  "WHERE p.run = ? AND p.node = ? AND p.model_hash = ? ORDER BY l.layer",
                  "iit", run, (int64_t)node, model_hash);
    uint32_t count = 0;
    int row = -1;
    while (rows && (row = sql_row(sql, rows, error)) == 1) {
        const double longer = sqlite3_column_double(rows, 2) / cpu_share;
        if (count < layer_count)
            times[count++] = (struct layer_time){llround((double)sqlite3_column_int64(rows, 0) * longer),
                                                 llround((double)sqlite3_column_int64(rows, 1) * longer)};
    }
    return row < 0 ? -1 : count > 0 && count == layer_count;
}

int ledger_run_profile_get(struct ledger *ledger, int64_t run, uint32_t node, const char *model_hash, double cpu_share,
                           uint32_t layer_count, struct layer_time *times, struct error *error)
{
    pthread_mutex_lock(&ledger->database);
    int found = read_run_profile(&ledger->sql, run, node, model_hash, cpu_share, layer_count, times, error);
    pthread_mutex_unlock(&ledger->database);
    return found;
}

void ledger_runs_replay(struct ledger *ledger, int64_t run)
{
    ledger->replay_of = run;
}

static int write_profile(struct sql *sql, const char *key, const char *description, uint32_t layer_count,
                         const struct layer_time *times, struct error *error)
{
    if (sql_run(sql, error, "INSERT INTO profile (key, description, made_ns, layer_count) VALUES (?,?,?,?)", "ttii",
                key, description, clock_wall_ns(), (int64_t)layer_count) != 0)
        return -1;
    int64_t id = sqlite3_last_insert_rowid(sql->db);
    for (uint32_t i = 0; i < layer_count; i++)
        if (sql_run(sql, error, "INSERT INTO profile_layer (profile, layer, time_ns, mean_ns) VALUES (?,?,?,?)", "iiii",
                    id, (int64_t)i, times[i].median_ns, times[i].mean_ns) != 0)
            return -1;
    return 0;
}

int ledger_profile_put(struct ledger *ledger, const char *key, const char *description, uint32_t layer_count,
                       const struct layer_time *times, struct error *error)
{
    if (store_begin(ledger, error) != 0)
        return -1;
    return store_end(ledger, write_profile(&ledger->sql, key, description, layer_count, times, error), error);
}

int ledger_run_profile(struct ledger *ledger, int64_t run, uint32_t node, const char *model_hash, const char *key,
                       struct error *error)
{
    if (store_begin(ledger, error) != 0)
        return -1;
    return store_end(ledger,
                     sql_run(&ledger->sql, error,
                             "INSERT OR REPLACE INTO run_profile (run, node, model_hash, profile) "
                             "SELECT ?, ?, ?, id FROM profile WHERE key = ? ORDER BY id DESC LIMIT 1",
                             "iitt", run, (int64_t)node, model_hash, key),
                     error);
}
