/* SPDX-License-Identifier: Apache-2.0 */
/* The runs that `napm report` and `napm export` are about, read from the ledger. */
#include "core/cli/reported.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/cli/progress.h"
#include "core/cli/recorded.h"
#include "core/cli/report.h"
#include "core/ledger/sweeps.h"

typedef ARRAY_OF(struct report_entry) entry_list;

/* The run for programs, its lists cut to what a page can hold, or left out. */
static json_t *bounded_json(const struct run_summary *summary, const char *ledger, bool in_full)
{
    struct run_summary part = *summary;
    size_t *counts[] = {&part.stream_count, &part.link_count, &part.node_count, &part.plugin_count, &part.cause_count};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        if (*counts[i] > REPORT_MOST_ROWS)
            *counts[i] = REPORT_MOST_ROWS;
    json_t *document = report_json(&part, ledger);
    static const char *const lists[] = {"streams", "links", "nodes", "plugins"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && !in_full; i++)
        json_object_del(document, lists[i]);
    return document;
}

static int add_run(struct reported *reported, entry_list *entries, int64_t run, bool in_full, struct error *error)
{
    struct run_summary *summary = query_run(reported->ledger, run, error);
    if (!summary)
        return -1;
    *ARRAY_ADD(entries) = (struct report_entry){
        .summary = summary, .document = bounded_json(summary, ledger_path(reported->ledger), in_full)};
    progress_step("reading runs", entries->count, 0);
    return 0;
}

/* ---- sweeps ---- */

/* The runs of the sweep's points; points that failed are noted. */
static int add_sweep(struct reported *reported, int64_t sweep, struct recorded_runs *runs, struct error *error)
{
    struct point_row *points;
    size_t count;
    if (sweeps_points(reported->ledger, sweep, &points, &count, error) != 0)
        return -1;
    if (!reported->failed_points)
        reported->failed_points = json_array();
    for (size_t i = 0; i < count; i++) {
        if (points[i].state == POINT_FAILED)
            json_array_append_new(reported->failed_points,
                                  json_pack("{s:s, s:I, s:s*}", "settings", points[i].label, "seed",
                                            (json_int_t)points[i].seed, "cause", points[i].cause));
        if (points[i].run > 0)
            *ARRAY_ADD(&runs->all) = points[i].run;
    }
    sweeps_points_free(points, count);
    return 0;
}

static int find_runs(struct reported *reported, char **names, int count, struct recorded_runs *runs,
                     struct error *error)
{
    for (int i = 0; i < count; i++) {
        int64_t sweep = recorded_sweep(reported->ledger, names[i], error);
        int result = sweep < 0   ? -1
                     : sweep > 0 ? add_sweep(reported, sweep, runs, error)
                                 : recorded_runs(reported->ledger, &names[i], 1, runs, error);
        if (result != 0)
            return -1;
    }
    if (runs->all.count == 0)
        return error_set(error, ERROR_INPUT, "none of the points has a run yet");
    return 0;
}

int reported_open(struct reported *reported, const char *db, char **names, int count, uint32_t in_full,
                  struct error *error)
{
    char last[] = "last", *newest[] = {last};
    entry_list entries = {0};
    struct recorded_runs runs = {0};
    reported->ledger = recorded_open(db, error);
    int result = reported->ledger ? find_runs(reported, count ? names : newest, count ? count : 1, &runs, error) : -1;
    progress_start();
    for (size_t i = 0; result == 0 && i < runs.all.count; i++)
        result = add_run(reported, &entries, runs.all.items[i], i < in_full, error);
    progress_stop();
    ARRAY_FREE(&runs.all);
    reported->entries = entries.items;
    reported->count = entries.count;
    return result;
}

void reported_close(struct reported *reported)
{
    for (size_t i = 0; i < reported->count; i++) {
        json_decref(reported->entries[i].document);
        query_run_free((struct run_summary *)reported->entries[i].summary);
    }
    free(reported->entries);
    json_decref(reported->failed_points);
    ledger_close(reported->ledger);
}
