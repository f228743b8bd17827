/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what came of each of a run's plans. */
#include "core/ledger/query_plans.h"

#include <math.h>

#include "core/base/memory.h"

/* A stream has changed where its own cut did, or that of a device on its way, or the node of a layer of its set. */
#define SET_OF(a_or_b)                                                                                                 \
    "(SELECT group_concat(y.layer || ':' || y.node) FROM plan_layer y WHERE y.run = " a_or_b                           \
    ".run AND y.plan = " a_or_b ".plan AND y.stream = " a_or_b ".stream)"
#define SET_CHANGED SET_OF("a") " IS NOT " SET_OF("b")
#define CHANGED                                                                                                        \
    "(SELECT count(*) FROM plan_stream a JOIN plan_stream b ON b.run = a.run AND b.plan = a.plan - 1 AND "             \
    "b.stream = a.stream WHERE a.run = p.run AND a.plan = p.plan AND (a.cut <> b.cut OR EXISTS (SELECT 1 FROM "        \
    "plan_hop g JOIN plan_hop h ON h.run = g.run AND h.plan = g.plan - 1 AND h.stream = g.stream AND h.hop = g.hop "   \
    "WHERE g.run = a.run AND g.plan = a.plan AND g.stream = a.stream AND g.cut <> h.cut) OR " SET_CHANGED "))"
#define PLANS                                                                                                          \
    "SELECT p.plan, p.asked_ns, p.planning_ns, p.predicted_mean_ns, (SELECT max(taken_ns) FROM plan_stream s WHERE "   \
    "s.run = p.run AND s.plan = p.plan), " CHANGED ", t.tasks, t.delay_ns FROM plan p LEFT JOIN (SELECT plan, "        \
    "count(*) AS tasks, avg(delay_ns) AS delay_ns FROM task WHERE run = ?1 AND status = 'ok' AND NOT warmup "          \
    "GROUP BY plan) t ON t.plan = p.plan WHERE p.run = ?1 ORDER BY p.plan"

static double real_or_nan(sqlite3_stmt *row, int column)
{
    return sqlite3_column_type(row, column) == SQLITE_NULL ? NAN : sqlite3_column_double(row, column);
}

int query_read_plans(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error)
{
    ARRAY_OF(struct plan_summary) plans = {0};
    sqlite3_stmt *rows = sql_query(sql, error, PLANS, "i", run);
    int row = -1;
    while (rows && (row = sql_row(sql, rows, error)) == 1)
        *ARRAY_ADD(&plans) = (struct plan_summary){
            .plan = (uint32_t)sqlite3_column_int64(rows, 0),
            .asked_ns = sqlite3_column_int64(rows, 1),
            .planning_ns = sqlite3_column_int64(rows, 2),
            .predicted_mean_ns = real_or_nan(rows, 3),
            .taken_ns = real_or_nan(rows, 4),
            .streams_changed = (uint64_t)sqlite3_column_int64(rows, 5),
            .tasks_ok = (uint64_t)sqlite3_column_int64(rows, 6),
            .mean_delay_ns = real_or_nan(rows, 7),
        };
    summary->plans = plans.items;
    summary->plan_count = plans.count;
    return row;
}
