/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: what is written can be read, whatever happens to the writer, and foreign files are left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/ledger/ledger.h"
#include "core/ledger/query.h"
#include "core/ledger/schema.h"
#include "models/zoo.h"

/* ---- a scenario of one device and a station, made by hand ---- */

struct fixture {
    char folder[64];
    char *db, *model_path;
    struct model *model;
    struct scenario_node nodes[2];
    struct scenario_link link;
    struct scenario_stream stream;
    struct scenario_model models[1];
    struct scenario scenario;
};

static int set_up(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    struct error error = {0};
    strcpy(fixture->folder, "/tmp/napm-ledger.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->db = text_format("%s/napm.db", fixture->folder);
    fixture->model_path = text_format("%s/tiny.onnx", fixture->folder);
    assert_int_equal(zoo_write("tiny-cnn", 1, fixture->model_path, &error), 0);
    fixture->model = model_open(fixture->model_path, &error);
    assert_non_null(fixture->model);
    fixture->nodes[0] = (struct scenario_node){.name = "station", .is_station = true, .threads = 1, .cpu_share = 1};
    fixture->nodes[1] =
        (struct scenario_node){.name = "pi1", .threads = 1, .cpu_share = 0.25, .memory_bytes = UINT64_C(5000000000)};
    fixture->link = (struct scenario_link){.name = "pi1", .device = 1, .medium_name = "wifi"};
    fixture->stream = (struct scenario_stream){.name = "pi1", .device = 1, .task_count = 10, .deadline_ns = 2500};
    fixture->models[0] = (struct scenario_model){.path = fixture->model_path, .model = fixture->model};
    fixture->scenario = (struct scenario){.path = "some.cfg",
                                          .name = "some",
                                          .text = "name = \"some\";\n",
                                          .world = "local",
                                          .seed = 7,
                                          .node_count = 2,
                                          .link_count = 1,
                                          .stream_count = 1,
                                          .model_count = 1,
                                          .nodes = fixture->nodes,
                                          .links = &fixture->link,
                                          .streams = &fixture->stream,
                                          .models = fixture->models};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    model_close(fixture->model);
    char *command[] = {(char[]){"rm"}, (char[]){"-rf"}, fixture->folder, NULL};
    pid_t child = fork();
    if (child == 0) {
        execvp(command[0], command);
        _exit(1);
    }
    waitpid(child, NULL, 0);
    free(fixture->db);
    free(fixture->model_path);
    free(fixture);
    return 0;
}

static struct ledger *open_fine(const char *path)
{
    struct error error = {0};
    struct ledger *ledger = ledger_open(path, &error);
    if (!ledger)
        fail_msg("%s", error.text);
    return ledger;
}

static void expect_refused(const char *path, const char *with)
{
    struct error error = {0};
    assert_null(ledger_open(path, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    if (!strstr(error.text, with))
        fail_msg("\"%s\" does not say \"%s\"", error.text, with);
}

/* A task whose delay is the sum of its phases, number * 1000 ns longer each. */
static struct task_record task_number(uint64_t number, const int64_t *layer_ns)
{
    struct task_record task = {.stream = 0,
                               .task = number,
                               .status = TASK_OK,
                               .cut = 2,
                               .layer_count = 5,
                               .layer_ns = layer_ns,
                               .slices = 1,
                               .up_bytes = 2048};
    int64_t delay_ns = 1000 * (int64_t)(number + 1);
    task.started_ns = 500;
    task.ended_ns = task.started_ns + delay_ns;
    task.phase_ns[PHASE_LOCAL] = delay_ns / 2;
    task.phase_ns[PHASE_TRANSMIT] = delay_ns - delay_ns / 2;
    return task;
}

static int64_t begin_run(struct ledger *ledger, const struct fixture *fixture)
{
    struct error error = {0};
    int64_t run = ledger_run_begin(ledger, &fixture->scenario, 7, 0, &error);
    if (run < 0)
        fail_msg("%s", error.text);
    return run;
}

static void write_tasks(struct ledger *ledger, int64_t run, uint64_t count)
{
    static const int64_t layer_ns[5] = {10, 20, 30, 0, 50};
    for (uint64_t i = 0; i < count; i++) {
        struct task_record task = task_number(i, layer_ns);
        struct error error = {0};
        assert_int_equal(ledger_run_task(ledger, run, &task, &error), 0);
    }
}

static int count_row(void *context, size_t count, const char *const *names, const struct query_value *values)
{
    (void)count, (void)names, (void)values;
    ++*(uint64_t *)context;
    return 0;
}

static uint64_t rows_of(struct ledger *ledger, int64_t run, const char *kind)
{
    uint64_t rows = 0;
    struct error error = {0};
    if (query_rows(ledger, run, kind, count_row, &rows, &error) != 0)
        fail_msg("%s", error.text);
    return rows;
}

static void write_file(const char *path, const void *bytes, size_t count)
{
    struct error error = {0};
    assert_int_equal(file_write_atomically(path, bytes, count, &error), 0);
}

static void digest_of(const char *path, char digest[FILE_DIGEST_BYTES])
{
    struct error error = {0};
    struct file_map map;
    assert_int_equal(file_map(path, &map, &error), 0);
    file_digest(map.bytes, map.size, digest);
    file_unmap(&map);
}

/* ---- writing and reading ---- */

static void every_plan_of_a_run_is_kept_with_what_came_of_it(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    struct ledger *ledger = open_fine(fixture->db);
    int64_t run = begin_run(ledger, fixture);
    uint32_t cuts[] = {2}, other_cuts[] = {1};
    uint64_t cut_bytes[] = {2048};
    struct napm_phases predicted[] = {{1, 2, 3, 4, 5}};
    struct plan plan = {.partitioner = "p 1",
                        .stream_count = 1,
                        .cuts = cuts,
                        .cut_bytes = cut_bytes,
                        .predicted = predicted,
                        .predicted_mean_ns = 15,
                        .planning_ns = 99};
    assert_int_equal(ledger_run_plan(ledger, run, &plan, &(struct ledger_plan){0}, &error), 0);
    assert_int_equal(ledger_run_plan(ledger, run, &plan, &(struct ledger_plan){1, 500, -1}, &error), 0);
    plan.cuts = other_cuts;
    plan.predicted_mean_ns = 25;
    assert_int_equal(ledger_run_plan(ledger, run, &plan, &(struct ledger_plan){2, 900, -1}, &error), 0);
    assert_int_equal(ledger_run_plan(ledger, run, &plan, &(struct ledger_plan){2, 900, -1}, &error), -1);
    assert_int_equal(ledger_run_plan_taken(ledger, run, 2, 0, 950, &error), 0);
    for (uint64_t i = 0; i < 6; i++) {
        struct task_record task = task_number(i, NULL);
        task.layer_count = 0;
        task.plan = i < 4 ? 0 : 2;
        task.warmup = i == 0;
        assert_int_equal(ledger_run_task(ledger, run, &task, &error), 0);
    }
    assert_int_equal(ledger_run_end(ledger, run, "done", NULL, &error), 0);
    struct run_summary *summary = query_run(ledger, run, &error);
    assert_non_null(summary);
    assert_true(summary->predicted_mean_ns == 15);
    assert_int_equal(summary->streams[0].cut, 2);
    assert_int_equal(summary->plan_count, 3);
    assert_int_equal(summary->plans[0].tasks_ok, 3);
    assert_int_equal(summary->plans[1].asked_ns, 500);
    assert_true(isnan(summary->plans[1].taken_ns) && isnan(summary->plans[1].mean_delay_ns));
    assert_int_equal(summary->plans[1].streams_changed, 0);
    assert_int_equal(summary->plans[2].streams_changed, 1);
    assert_true(summary->plans[2].taken_ns == 950 && summary->plans[2].predicted_mean_ns == 25);
    assert_int_equal(summary->plans[2].tasks_ok, 2);
    query_run_free(summary);
    assert_int_equal(rows_of(ledger, run, "plan"), 3);
    ledger_close(ledger);
}

static void a_run_is_read_back_with_its_statistics(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    struct ledger *ledger = open_fine(fixture->db);
    int64_t run = begin_run(ledger, fixture);
    struct node_facts facts = {.host = "h", .machine = "m", .system = "s", .backend = "b 1", .processors = 4};
    assert_int_equal(ledger_run_node(ledger, run, 0, &fixture->nodes[0], &facts, &error), 0);
    assert_int_equal(ledger_run_node(ledger, run, 1, &fixture->nodes[1], &facts, &error), 0);
    struct link_report report = {.link = 0,
                                 .direction = LINK_UP,
                                 .requested_bytes_per_s = 1e6,
                                 .achieved_bytes_per_s = 0.9e6,
                                 .requested_delay_ns = 2000000,
                                 .achieved_delay_ns = 2100000,
                                 .method = "user-space shaping"};
    assert_int_equal(ledger_run_link(ledger, run, &report, &error), 0);
    uint32_t cuts[] = {2};
    uint64_t cut_bytes[] = {2048};
    struct napm_phases predicted[] = {{1, 2, 3, 4, 5}};
    struct plan plan = {.partitioner = "p 1",
                        .stream_count = 1,
                        .cuts = cuts,
                        .cut_bytes = cut_bytes,
                        .predicted = predicted,
                        .predicted_mean_ns = 15,
                        .planning_ns = 99};
    assert_int_equal(ledger_run_plan(ledger, run, &plan, &(struct ledger_plan){0}, &error), 0);
    write_tasks(ledger, run, 4);
    struct task_record failed = {.task = 4, .status = TASK_FAILED, .cause = "agent killed"};
    assert_int_equal(ledger_run_task(ledger, run, &failed, &error), 0);
    struct task_record warm = task_number(5, NULL);
    warm.warmup = true;
    warm.layer_count = 0;
    assert_int_equal(ledger_run_task(ledger, run, &warm, &error), 0);
    struct node_sample sample = {.node = 1, .at_ns = 5, .cpu_share = 0.5, .resident_bytes = 77, .energy_j = -1};
    assert_int_equal(ledger_run_sample(ledger, run, &sample, &error), 0);
    assert_int_equal(ledger_run_end(ledger, run, "failed", "1 task failed", &error), 0);

    struct run_summary *summary = query_run(ledger, run, &error);
    assert_non_null(summary);
    assert_string_equal(summary->head.status, "failed");
    assert_string_equal(summary->head.cause, "1 task failed");
    assert_int_equal(summary->stream_count, 1);
    const struct stream_summary *stream = &summary->streams[0];
    assert_int_equal(stream->ok, 4);
    assert_int_equal(stream->failed, 1);
    assert_int_equal(stream->warmups, 1);
    assert_int_equal(stream->cut, 2);
    assert_string_equal(stream->cut_layer, "pool1");
    assert_true(stream->delay.mean_ns == 2500); /* 1000, 2000, 3000, 4000 */
    assert_true(stream->delay.median_ns == 2500);
    assert_true(stream->delay.variance_ns2 == 1250000);
    assert_true(stream->delay.total_ns == 10000);
    assert_int_equal(stream->deadline_misses, 2); /* later than 2500 */
    assert_true(stream->phase_ns[PHASE_LOCAL] + stream->phase_ns[PHASE_TRANSMIT] == stream->delay.mean_ns);
    assert_true(stream->predicted_ns[PHASE_RETURN] == 5);
    assert_int_equal(summary->link_count, 1);
    assert_true(summary->links[0].achieved_bytes_per_s == 0.9e6);
    assert_string_equal(summary->links[0].medium, "wifi");
    assert_int_equal(summary->node_count, 2);
    assert_int_equal(summary->nodes[1].memory_limit_bytes, UINT64_C(5000000000));
    assert_int_equal(summary->nodes[1].most_resident_bytes, 77);
    assert_int_equal(summary->cause_count, 1);
    assert_string_equal(summary->causes[0].cause, "agent killed");
    query_run_free(summary);
    assert_int_equal(rows_of(ledger, run, "tasks"), 6);
    assert_int_equal(rows_of(ledger, run, "layers"), 4 * 4); /* a time of 0 is not known: no row */
    assert_int_equal(rows_of(ledger, run, "samples"), 1);
    ledger_close(ledger);
}

static void every_kind_of_rows_can_be_read_and_others_are_refused_by_name(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    struct ledger *ledger = open_fine(fixture->db);
    int64_t run = begin_run(ledger, fixture);
    uint64_t rows;
    for (size_t i = 0; i < query_row_kind_count; i++)
        rows_of(ledger, run, query_row_kinds[i].name);
    assert_int_equal(query_rows(ledger, run, "task", count_row, &rows, &error), -1);
    assert_non_null(strstr(error.text, "did you mean \"tasks\""));
    assert_null(query_run(ledger, 4711, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    ledger_close(ledger);
}

static int check_hops(void *context, const struct task_record *task)
{
    ++*(uint32_t *)context;
    assert_int_equal(task->hop_count, 2 - task->task);
    for (uint32_t i = 0; i < task->hop_count; i++) {
        const struct task_hop *hop = &task->hops[i];
        const int64_t came_ns = 100 * (int64_t)(task->task + 1) + 10 * (int64_t)i;
        assert_int_equal(hop->node, i);
        assert_int_equal(hop->cut, 3 + i);
        assert_true(hop->came_ns == came_ns && hop->began_ns == came_ns + 1 && hop->left_ns == came_ns + 2);
        assert_int_equal(hop->back_ns, i == 0 ? came_ns + 50 : -1);
    }
    assert_true(task->sending_j == (task->task == 0 ? 0.25 : -1));
    return 0;
}

/* Task 0 comes to two devices, task 1 to the first of them, task 2 to none. */
static void what_came_of_a_task_on_its_way_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    struct ledger *ledger = open_fine(fixture->db);
    int64_t run = begin_run(ledger, fixture);
    for (int64_t number = 0; number < 3; number++) {
        const int64_t came_ns = 100 * (number + 1);
        const struct task_hop hops[] = {{0, 3, came_ns, came_ns + 1, came_ns + 2, came_ns + 50},
                                        {1, 4, number ? -1 : came_ns + 10, came_ns + 11, came_ns + 12, -1}};
        struct task_record task = task_number((uint64_t)number, NULL);
        task.layer_count = 0;
        task.hop_count = number < 2 ? 2 : 0;
        task.hops = hops;
        task.energy_j = number ? -1 : 1;
        task.sending_j = number ? -1 : 0.25;
        assert_int_equal(ledger_run_task(ledger, run, &task, &error), 0);
    }
    assert_int_equal(ledger_flush(ledger, &error), 0);
    assert_int_equal(rows_of(ledger, run, "hops"), 3);
    for (int by = 0; by <= QUERY_BY_STREAM; by++) {
        uint32_t tasks = 0;
        if (query_tasks(ledger, run, by, check_hops, &tasks, &error) != 0)
            fail_msg("%s", error.text);
        assert_int_equal(tasks, 3);
    }
    ledger_close(ledger);
}

static void a_full_queue_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    struct ledger *ledger = open_fine(fixture->db);
    int64_t run = begin_run(ledger, fixture);
    write_tasks(ledger, run, 20000);
    assert_int_equal(ledger_flush(ledger, &error), 0);
    assert_int_equal(rows_of(ledger, run, "tasks"), 20000);
    ledger_close(ledger);
}

static void tasks_reach_the_file_without_being_flushed(void **state)
{
    struct fixture *fixture = *state;
    struct ledger *ledger = open_fine(fixture->db);
    int64_t run = begin_run(ledger, fixture);
    write_tasks(ledger, run, 3);
    struct error error = {0};
    struct ledger *reader = ledger_open_readonly(fixture->db, &error);
    assert_non_null(reader);
    int64_t give_up_ns = clock_now_ns() + 5 * NS_PER_S;
    while (rows_of(reader, run, "tasks") < 3 && clock_now_ns() < give_up_ns)
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
    assert_int_equal(rows_of(reader, run, "tasks"), 3);
    ledger_close(reader);
    ledger_close(ledger);
}

static void a_task_recorded_twice_is_an_error_that_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    struct ledger *ledger = open_fine(fixture->db);
    int64_t run = begin_run(ledger, fixture);
    write_tasks(ledger, run, 2);
    assert_int_equal(ledger_flush(ledger, &error), 0);
    struct task_record again = task_number(1, NULL);
    again.layer_count = 0;
    ledger_run_task(ledger, run, &again, &error);
    assert_int_equal(ledger_flush(ledger, &error), -1);
    assert_non_null(strstr(error.text, fixture->db));
    assert_int_equal(ledger_run_end(ledger, run, "done", NULL, &error), -1);
    ledger_close(ledger);
}

static void profiles_are_found_again_by_key_and_the_newest_counts(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    struct ledger *ledger = open_fine(fixture->db);
    const struct layer_time old[3] = {{1, 1}, {2, 3}, {3, 4}}, newer[3] = {{4, 7}, {5, 8}, {6, 6}};
    struct layer_time read[3];
    assert_int_equal(ledger_profile_get(ledger, "k", 3, read, &error), 0);
    assert_int_equal(ledger_profile_put(ledger, "k", "text", 3, old, &error), 0);
    assert_int_equal(ledger_profile_put(ledger, "k", "text", 3, newer, &error), 0);
    assert_int_equal(ledger_profile_get(ledger, "k", 3, read, &error), 1);
    assert_memory_equal(read, newer, sizeof(newer));
    assert_int_equal(ledger_profile_get(ledger, "k", 4, read, &error), 0); /* of another model */
    assert_int_equal(ledger_profile_get(ledger, "other", 3, read, &error), 0);
    int64_t run = begin_run(ledger, fixture);
    assert_int_equal(ledger_run_profile(ledger, run, 1, "hash", "k", &error), 0);
    ledger_close(ledger);
}

/* ---- a writer that dies ---- */

static void a_killed_run_keeps_its_tasks_and_is_marked_interrupted(void **state)
{
    struct fixture *fixture = *state;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ledger *ledger = open_fine(fixture->db);
        struct error error = {0};
        int64_t run = begin_run(ledger, fixture);
        write_tasks(ledger, run, 100);
        if (ledger_flush(ledger, &error) != 0 || write(pipe_ends[1], &run, sizeof(run)) != sizeof(run))
            _exit(1);
        for (;;)
            pause();
    }
    int64_t run = 0;
    close(pipe_ends[1]); /* so that a child that dies is not waited for */
    assert_int_equal(read(pipe_ends[0], &run, sizeof(run)), sizeof(run));
    struct error error = {0};
    struct ledger *meanwhile = open_fine(fixture->db);
    struct run_summary *summary = query_run(meanwhile, run, &error);
    assert_string_equal(summary->head.status, "running"); /* another process opens it: the run goes on */
    query_run_free(summary);
    ledger_close(meanwhile);

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    struct ledger *reader = ledger_open_readonly(fixture->db, &error);
    assert_non_null(reader);
    summary = query_run(reader, run, &error);
    assert_string_equal(summary->head.status, "interrupted"); /* also where it cannot be written down */
    query_run_free(summary);
    ledger_close(reader);
    struct ledger *ledger = open_fine(fixture->db);
    summary = query_run(ledger, run, &error);
    assert_string_equal(summary->head.status, "interrupted");
    assert_int_equal(summary->streams[0].ok, 100);
    assert_true(summary->head.ended_ns >= summary->head.began_ns);
    query_run_free(summary);
    ledger_close(ledger);
    close(pipe_ends[0]);
}

/* ---- files that are no ledger ---- */

static void a_foreign_database_is_refused_and_left_byte_for_byte(void **state)
{
    struct fixture *fixture = *state;
    char *path = text_format("%s/foreign.db", fixture->folder), before[FILE_DIGEST_BYTES], after[FILE_DIGEST_BYTES];
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode = WAL; CREATE TABLE run (id)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    digest_of(path, before);
    expect_refused(path, "another program's");
    struct error error = {0};
    assert_null(ledger_open_readonly(path, &error));
    digest_of(path, after);
    assert_string_equal(before, after);
    char *wal = text_format("%s-wal", path);
    assert_int_not_equal(access(wal, F_OK), 0);
    free(wal);
    free(path);
}

static void a_text_file_a_folder_and_a_cut_file_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char *path = text_format("%s/letter.txt", fixture->folder), before[FILE_DIGEST_BYTES], after[FILE_DIGEST_BYTES];
    char text[200];
    memset(text, 'x', sizeof(text));
    write_file(path, text, sizeof(text));
    digest_of(path, before);
    expect_refused(path, "is no ledger");
    digest_of(path, after);
    assert_string_equal(before, after);
    write_file(path, "SQLite format 3", 16);
    expect_refused(path, "is no ledger");
    expect_refused(fixture->folder, "is no file");
    free(path);
}

static void a_damaged_ledger_is_an_error_with_a_remedy(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    struct ledger *ledger = open_fine(fixture->db);
    begin_run(ledger, fixture);
    ledger_close(ledger);
    FILE *file = fopen(fixture->db, "r+b");
    assert_non_null(file);
    char rubbish[4096];
    memset(rubbish, 0xa5, sizeof(rubbish));
    fseek(file, 100, SEEK_SET); /* behind the header, the first page's tree is gone */
    fwrite(rubbish, 1, sizeof(rubbish), file);
    fclose(file);
    char before[FILE_DIGEST_BYTES], after[FILE_DIGEST_BYTES];
    digest_of(fixture->db, before);
    expect_refused(fixture->db, fixture->db);
    expect_refused(fixture->db, "damaged");
    assert_null(ledger_open_readonly(fixture->db, &error));
    digest_of(fixture->db, after);
    assert_string_equal(before, after);
}

static void only_the_platforms_own_folders_are_made(void **state)
{
    struct fixture *fixture = *state;
    char *path = text_format("%s/deep/er/napm.db", fixture->folder), *folder = text_format("%s/deep", fixture->folder);
    expect_refused(path, "/deep/er: No such file or directory; make it");
    setenv("NAPM_DB", path, 1);
    expect_refused(NULL, "make it");
    assert_int_not_equal(access(folder, F_OK), 0);
    unsetenv("NAPM_DB");
    setenv("XDG_DATA_HOME", folder, 1);
    ledger_close(open_fine(NULL));
    free(path);
    path = text_format("%s/napm/napm.db", folder);
    assert_int_equal(access(path, F_OK), 0);
    unsetenv("XDG_DATA_HOME");
    free(path);
    free(folder);
}

static void an_empty_file_becomes_a_ledger(void **state)
{
    struct fixture *fixture = *state;
    char *path = text_format("%s/empty.db", fixture->folder);
    write_file(path, "", 0);
    ledger_close(open_fine(path));
    bool exists;
    struct error error = {0};
    assert_int_equal(schema_check_file(path, &exists, &error), 0);
    assert_true(exists); /* known again by its first bytes */
    free(path);
}

static void reading_where_there_is_no_ledger_says_how_to_get_one(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    assert_null(ledger_open_readonly(fixture->db, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_non_null(strstr(error.text, "napm run"));
    assert_int_not_equal(access(fixture->db, F_OK), 0); /* and makes none */
}

/* ---- versions ---- */

static void set_version(const char *path, int version)
{
    sqlite3 *db;
    char *text = text_format("PRAGMA user_version = %d", version);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    free(text);
}

static void a_newer_schema_is_refused_unchanged(void **state)
{
    struct fixture *fixture = *state;
    char before[FILE_DIGEST_BYTES], after[FILE_DIGEST_BYTES];
    ledger_close(open_fine(fixture->db));
    set_version(fixture->db, 999);
    digest_of(fixture->db, before);
    expect_refused(fixture->db, "newer napm");
    digest_of(fixture->db, after);
    assert_string_equal(before, after);
}

static void an_older_schema_is_brought_up_step_by_step(void **state)
{
    struct fixture *fixture = *state;
    static const char *const steps[] = {"CREATE TABLE a (x); INSERT INTO a VALUES (1)", "ALTER TABLE a ADD COLUMN y",
                                        "UPDATE a SET y = x + 1"};
    char *path = text_format("%s/old.db", fixture->folder);
    struct error error = {0};
    struct sql sql;
    int64_t number;
    assert_int_equal(sql_open(&sql, path, NULL, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &error), 0);
    assert_int_equal(schema_bring_up(&sql, steps, 1, &error), 0);
    assert_int_equal(schema_bring_up(&sql, steps, 3, &error), 0);
    assert_int_equal(sql_number(&sql, "SELECT y FROM a", 0, &number, &error), 0);
    assert_int_equal(number, 2);
    assert_int_equal(sql_number(&sql, "PRAGMA user_version", 0, &number, &error), 0);
    assert_int_equal(number, 3);
    size_t version;
    assert_int_equal(schema_version(&sql, 4, &version, &error), 0); /* older than what is known */
    assert_int_equal(version, 3);
    assert_int_equal(schema_version(&sql, 2, &version, &error), -1); /* newer */
    assert_int_equal(schema_bring_up(&sql, steps, 2, &error), -1);
    sql_close(&sql);
    free(path);
}

static void a_step_that_fails_leaves_the_version_it_found(void **state)
{
    struct fixture *fixture = *state;
    static const char *const steps[] = {"CREATE TABLE a (x)", "CREATE TABLE b (x); NONSENSE"};
    char *path = text_format("%s/half.db", fixture->folder);
    struct error error = {0};
    struct sql sql;
    int64_t number;
    assert_int_equal(sql_open(&sql, path, NULL, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &error), 0);
    assert_int_equal(schema_bring_up(&sql, steps, 1, &error), 0);
    assert_int_equal(schema_bring_up(&sql, steps, 2, &error), -1);
    assert_non_null(strstr(error.text, "from version 1 to 2"));
    assert_int_equal(sql_number(&sql, "PRAGMA user_version", 0, &number, &error), 0);
    assert_int_equal(number, 1);
    assert_int_equal(sql_number(&sql, "SELECT count(*) FROM sqlite_master WHERE name = 'b'", 9, &number, &error), 0);
    assert_int_equal(number, 0);
    sql_close(&sql);
    free(path);
}

/* A ledger as version 1 made it, with one run, one link and a plan. */
static void make_version_1(const char *path)
{
    struct error error = {0};
    struct sql sql;
    assert_int_equal(sql_open(&sql, path, NULL, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &error), 0);
    assert_int_equal(schema_bring_up(&sql, schema_steps, 1, &error), 0);
    assert_int_equal(sql_script(&sql,
                                "PRAGMA journal_mode = WAL;"
                                "INSERT INTO run VALUES (1, 'done', NULL, 's', 's.cfg', '', 'local', 1, 0, 5, 6, '0', "
                                "'h', 'p', 's', 1, 1, 1, 1, 'm');"
                                "INSERT INTO run_link VALUES (1, 0, 'up', 'pi1', NULL, 1e6, 1e6, 2, 3, 'shaping');"
                                "INSERT INTO run_stream (run, stream, name, device, model, model_hash, layer_count, "
                                "task_count, deadline_ns, priority) VALUES (1, 0, 'pi1', 'pi1', 'm', 'h', 9, 1, 0, 0);"
                                "INSERT INTO profile VALUES (1, 'k', 'measured', 5, 1);"
                                "INSERT INTO profile_layer VALUES (1, 0, 8);"
                                "INSERT INTO plan VALUES (1, 'p 1', 7, 20, 15, 0);"
                                "INSERT INTO plan_stream VALUES (1, 0, 4, 2048, 1, 2, 3, 4, 5)",
                                &error),
                     0);
    sql_close(&sql);
}

static void expect_old_rows(struct ledger *ledger)
{
    struct error error = {0};
    struct layer_time time;
    assert_int_equal(ledger_profile_get(ledger, "k", 1, &time, &error), 1);
    assert_true(time.median_ns == 8 && time.mean_ns == 8);
    struct run_summary *summary = query_run(ledger, 1, &error);
    assert_non_null(summary);
    assert_int_equal(summary->link_count, 1);
    assert_int_equal(summary->links[0].achieved_delay_ns, 3);
    assert_int_equal(summary->links[0].jitter_ns, 0);
    assert_true(summary->planned && summary->predicted_mean_ns == 15);
    assert_int_equal(summary->plan_count, 1);
    assert_int_equal(summary->plans[0].planning_ns, 7);
    assert_true(summary->plans[0].taken_ns == 0);
    assert_int_equal(summary->streams[0].cut, 4);
    assert_true(summary->streams[0].predicted_ns[PHASE_RETURN] == 5);
    query_run_free(summary);
    assert_int_equal(rows_of(ledger, 1, "links"), 1);
    assert_int_equal(rows_of(ledger, 1, "plan"), 1);
}

static void a_ledger_of_version_1_can_be_read_without_being_changed_and_written_once_migrated(void **state)
{
    struct fixture *fixture = *state;
    char before[FILE_DIGEST_BYTES], after[FILE_DIGEST_BYTES];
    struct error error = {0};
    char *path = text_format("%s/first.db", fixture->folder);
    make_version_1(path);
    digest_of(path, before);
    struct ledger *ledger = ledger_open_readonly(path, &error);
    assert_non_null(ledger);
    assert_string_equal(ledger_path(ledger), path);
    expect_old_rows(ledger);
    ledger_close(ledger);
    digest_of(path, after);
    assert_string_equal(before, after);

    ledger = open_fine(path);
    expect_old_rows(ledger);
    int64_t run = begin_run(ledger, fixture);
    struct link_report report = {.link = 0, .direction = LINK_UP, .method = "shaping"};
    assert_int_equal(ledger_run_link(ledger, run, &report, &error), 0);
    assert_int_equal(rows_of(ledger, run, "links"), 1);
    ledger_close(ledger);

    char *kept = text_format("%s.schema-1", path); /* as it was, for older platforms */
    struct sql sql;
    int64_t number;
    assert_int_equal(sql_open(&sql, kept, NULL, SQLITE_OPEN_READONLY, &error), 0);
    assert_int_equal(sql_number(&sql, "PRAGMA user_version", 0, &number, &error), 0);
    assert_int_equal(number, 1);
    assert_int_equal(sql_number(&sql, "SELECT count(*) FROM run_link", 0, &number, &error), 0);
    assert_int_equal(number, 1);
    sql_close(&sql);
    free(kept);
    free(path);
}

static void a_backup_that_is_there_is_not_written_over(void **state)
{
    struct fixture *fixture = *state;
    char *path = text_format("%s/first.db", fixture->folder), *kept = text_format("%s.schema-1", path);
    char *second = text_format("%s.schema-1-2", path), before[FILE_DIGEST_BYTES], after[FILE_DIGEST_BYTES];
    make_version_1(path);
    write_file(kept, "mine", 4);
    digest_of(kept, before);
    ledger_close(open_fine(path));
    digest_of(kept, after);
    assert_string_equal(before, after);
    assert_int_equal(access(second, F_OK), 0);
    free(second);
    free(kept);
    free(path);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_run_is_read_back_with_its_statistics),
        CASE(every_plan_of_a_run_is_kept_with_what_came_of_it),
        CASE(every_kind_of_rows_can_be_read_and_others_are_refused_by_name),
        CASE(what_came_of_a_task_on_its_way_is_kept),
        CASE(a_full_queue_loses_nothing),
        CASE(tasks_reach_the_file_without_being_flushed),
        CASE(a_task_recorded_twice_is_an_error_that_is_told),
        CASE(profiles_are_found_again_by_key_and_the_newest_counts),
        CASE(a_killed_run_keeps_its_tasks_and_is_marked_interrupted),
        CASE(a_foreign_database_is_refused_and_left_byte_for_byte),
        CASE(a_text_file_a_folder_and_a_cut_file_are_refused),
        CASE(a_damaged_ledger_is_an_error_with_a_remedy),
        CASE(an_empty_file_becomes_a_ledger),
        CASE(reading_where_there_is_no_ledger_says_how_to_get_one),
        CASE(a_newer_schema_is_refused_unchanged),
        CASE(an_older_schema_is_brought_up_step_by_step),
        CASE(a_ledger_of_version_1_can_be_read_without_being_changed_and_written_once_migrated),
        CASE(only_the_platforms_own_folders_are_made),
        CASE(a_backup_that_is_there_is_not_written_over),
        CASE(a_step_that_fails_leaves_the_version_it_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
