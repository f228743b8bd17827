/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a sweep: whatever other hosts recorded is in the ledger once, and only what is whole and belongs there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "core/base/memory.h"
#include "core/ledger/parts.h"
#include "core/ledger/sweeps.h"

enum { POINTS = 4, SHARES = 2 };

struct fixture {
    char folder[64];
    char *db, *points, *part;
    struct ledger *ledger;
    int64_t sweep;
};

static const struct scenario scenario = {.path = "some.cfg", .name = "some", .text = "", .world = "sim", .seed = 7};

static int64_t record_run(struct ledger *ledger, int64_t sweep, uint32_t point, const char *profile, const char *status)
{
    static const int64_t layer_ns[2] = {10, 20};
    static const struct layer_time times[2] = {{10, 11}, {20, 22}};
    struct error error = {0};
    struct task_record task = {.status = TASK_OK, .cut = 1, .layer_count = 2, .layer_ns = layer_ns, .ended_ns = 5};
    task.phase_ns[PHASE_LOCAL] = 5;
    sweeps_runs_for(ledger, sweep, point);
    assert_int_equal(ledger_profile_put(ledger, profile, "measured", 2, times, &error), 0);
    int64_t run = ledger_run_begin(ledger, &scenario, 7, 0, &error);
    assert_true(run > 0);
    assert_int_equal(ledger_run_profile(ledger, run, 0, "hash", profile, &error), 0);
    assert_int_equal(ledger_run_task(ledger, run, &task, &error), 0);
    assert_int_equal(ledger_flush(ledger, &error), 0);
    if (status)
        assert_int_equal(ledger_run_end(ledger, run, status, NULL, &error), 0);
    return run;
}

static int64_t add_sweep(struct ledger *ledger)
{
    struct error error = {0};
    struct sweep_row row = {
        .name = (char *)"s", .path = (char *)"s.cfg", .digest = (char *)"d", .engine = (char *)"slurm"};
    struct point_row points[POINTS];
    for (uint32_t i = 0; i < POINTS; i++)
        points[i] = (struct point_row){
            .point = i + 1, .label = (char *)"l", .scenario_path = (char *)"some.cfg", .settings = (char *)""};
    int64_t sweep = sweeps_add(ledger, &row, points, POINTS, &error);
    assert_true(sweep > 0);
    return sweep;
}

/* A ledger with a run of its own, and a sweep whose points are written for parts. */
static int set_up(void **state)
{
    struct fixture *it = NEW(struct fixture);
    struct error error = {0};
    uint32_t points[POINTS];
    strcpy(it->folder, "/tmp/napm-parts.XXXXXX");
    assert_non_null(mkdtemp(it->folder));
    it->db = text_format("%s/napm.db", it->folder);
    it->points = text_format("%s/points.db", it->folder);
    it->part = text_format("%s/task-0.db", it->folder);
    it->ledger = ledger_open(it->db, &error);
    assert_non_null(it->ledger);
    record_run(it->ledger, 0, 0, "known", "done");
    it->sweep = add_sweep(it->ledger);
    for (uint32_t i = 0; i < POINTS; i++)
        points[i] = i + 1;
    if (parts_write(it->ledger, it->sweep, points, POINTS, it->points, &error) != 0)
        fail_msg("%s", error.text);
    *state = it;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *it = *state;
    ledger_close(it->ledger);
    unlink(it->db);
    unlink(it->points);
    unlink(it->part);
    rmdir(it->folder);
    free(it->db);
    free(it->points);
    free(it->part);
    free(it);
    return 0;
}

static struct ledger *open_part(struct fixture *it, uint32_t share)
{
    struct error error = {0};
    int64_t sweep;
    struct ledger *part = parts_open(it->points, it->part, share, SHARES, &sweep, &error);
    if (!part)
        fail_msg("%s", error.text);
    assert_int_equal(sweep, it->sweep);
    return part;
}

static int64_t number(const struct fixture *it, const char *query)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(it->db, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, query, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

static void merge(struct fixture *it)
{
    struct error error = {0};
    if (parts_merge(it->ledger, it->sweep, it->part, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(number(it, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

static enum point_state state_of(struct fixture *it, uint32_t point)
{
    struct point_row *points;
    struct error error = {0};
    size_t count;
    assert_int_equal(sweeps_points(it->ledger, it->sweep, &points, &count, &error), 0);
    assert_int_equal(count, POINTS);
    enum point_state state = points[point - 1].state;
    sweeps_points_free(points, count);
    return state;
}

static void shares_divide_the_points(void **state)
{
    struct fixture *it = *state;
    struct error error = {0};
    struct point_row *points;
    size_t count;
    for (uint32_t share = 0; share < SHARES; share++) {
        struct ledger *part = open_part(it, share);
        assert_int_equal(sweeps_points(part, it->sweep, &points, &count, &error), 0);
        assert_int_equal(count, POINTS / SHARES);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(points[i].point, 1 + share + i * SHARES);
        sweeps_points_free(points, count);
        ledger_close(part);
        unlink(it->part);
    }
}

static void a_part_is_merged_once_with_its_numbers_shifted(void **state)
{
    struct fixture *it = *state;
    struct ledger *part = open_part(it, 0);
    int64_t own = record_run(part, it->sweep, 3, "measured there", "done");
    assert_int_equal(own, 1); /* as the ledger's own run is */
    ledger_close(part);
    for (int i = 0; i < 2; i++) {
        merge(it);
        assert_int_equal(state_of(it, 3), POINT_DONE);
        assert_int_equal(state_of(it, 1), POINT_WAITING);
        assert_int_equal(number(it, "SELECT count(*) FROM run"), 2);
        assert_int_equal(number(it, "SELECT sum(run) FROM task"), 1 + 2);
        assert_int_equal(number(it, "SELECT count(*) FROM layer_time WHERE run = 2"), 2);
        assert_int_equal(number(it, "SELECT count(*) FROM profile"), 2);
        assert_int_equal(number(it, "SELECT count(*) FROM profile_layer"), 4);
        assert_int_equal(number(it, "SELECT sum(mean_ns) FROM profile_layer"), 66);
        assert_int_equal(number(it, "SELECT count(*) FROM run_profile r JOIN profile p ON p.id = r.profile "
                                    "WHERE r.run = 2 AND p.key = 'measured there'"),
                         1);
    }
    record_run(it->ledger, 0, 0, "known", "done");
    assert_int_equal(number(it, "SELECT max(id) FROM run"), 3);
}

static void an_attempt_goes_on_where_the_one_before_was_cut_short(void **state)
{
    struct fixture *it = *state;
    struct ledger *part = open_part(it, 0);
    record_run(part, it->sweep, 1, "p", "done");
    record_run(part, it->sweep, 3, "p", NULL); /* by a process that lives: this one */
    ledger_close(part);
    merge(it);
    assert_int_equal(state_of(it, 1), POINT_DONE);
    assert_int_equal(state_of(it, 3), POINT_WAITING);
    assert_int_equal(number(it, "SELECT count(*) FROM run WHERE status = 'interrupted' AND point = 3"), 1);
    part = open_part(it, 0);
    record_run(part, it->sweep, 3, "p", "done");
    ledger_close(part);
    merge(it);
    assert_int_equal(state_of(it, 3), POINT_DONE);
    assert_int_equal(number(it, "SELECT count(*) FROM run WHERE sweep IS NOT NULL"), 3);
}

static void causes_come_along(void **state)
{
    struct fixture *it = *state;
    struct error error = {0};
    struct ledger *part = open_part(it, 0);
    assert_int_equal(sweeps_point_failed(part, it->sweep, 3, "no such plugin", &error), 0);
    ledger_close(part);
    merge(it);
    assert_int_equal(state_of(it, 3), POINT_FAILED);
    assert_int_equal(state_of(it, 1), POINT_WAITING);
}

static void expect_refused(struct fixture *it, const char *with)
{
    struct error error = {0};
    assert_int_equal(parts_merge(it->ledger, it->sweep, it->part, &error), -1);
    assert_int_equal(error.kind, ERROR_INPUT);
    if (!strstr(error.text, it->part) || !strstr(error.text, with))
        fail_msg("\"%s\" does not name the part and say \"%s\"", error.text, with);
    assert_int_equal(number(it, "SELECT count(*) FROM run"), 1);
    assert_int_equal(number(it, "SELECT count(*) FROM profile"), 1);
}

static void a_part_of_another_sweep_is_refused(void **state)
{
    struct fixture *it = *state;
    struct ledger *part = open_part(it, 0);
    record_run(part, it->sweep, 3, "p", "done");
    ledger_close(part);
    it->sweep = add_sweep(it->ledger);
    expect_refused(it, "is no part of sweep 2");
}

static void a_damaged_part_is_refused_and_nothing_of_it_taken(void **state)
{
    struct fixture *it = *state;
    struct ledger *part = open_part(it, 0);
    for (int i = 0; i < 20; i++)
        record_run(part, it->sweep, 3, "p", "done");
    ledger_close(part);
    FILE *file = fopen(it->part, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    for (long at = 4096; at + 100 < size; at += 4096) /* each page but the first, where the schema is */
        if (fseek(file, at, SEEK_SET) == 0)
            fwrite("????????????????????????????????", 1, 32, file);
    fclose(file);
    expect_refused(it, "damaged");
}

static void what_is_no_ledger_is_refused(void **state)
{
    struct fixture *it = *state;
    FILE *file = fopen(it->part, "w");
    assert_non_null(file);
    fputs("killed while it was copied", file);
    fclose(file);
    expect_refused(it, "is no ledger");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shares_divide_the_points, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_is_merged_once_with_its_numbers_shifted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_attempt_goes_on_where_the_one_before_was_cut_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(causes_come_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_of_another_sweep_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_part_is_refused_and_nothing_of_it_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_ledger_is_refused, set_up, tear_down),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("parts", tests, NULL, NULL) != 0;
}
