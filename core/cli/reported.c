/* SPDX-License-Identifier: Apache-2.0 */
/* The runs that `napm report` and `napm export` are about, read from the ledger. */
#include "core/cli/reported.h"

#include <stdlib.h>

#include "core/base/memory.h"
#include "core/cli/progress.h"
#include "core/cli/recorded.h"
#include "core/cli/report.h"

typedef ARRAY_OF(struct report_entry) entry_list;

/* The run for programs, its lists cut to what a page can hold. */
static json_t *bounded_json(const struct run_summary *summary, const char *ledger)
{
    struct run_summary part = *summary;
    size_t *counts[] = {&part.stream_count, &part.link_count, &part.node_count, &part.plugin_count, &part.cause_count};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        if (*counts[i] > REPORT_MOST_ROWS)
            *counts[i] = REPORT_MOST_ROWS;
    return report_json(&part, ledger);
}

static int add_run(struct reported *reported, entry_list *entries, int64_t run, struct error *error)
{
    struct run_summary *summary = query_run(reported->ledger, run, error);
    if (!summary)
        return -1;
    *ARRAY_ADD(entries) =
        (struct report_entry){.summary = summary, .document = bounded_json(summary, ledger_path(reported->ledger))};
    progress_step("reading runs", entries->count, 0);
    return 0;
}

int reported_open(struct reported *reported, const char *db, char **names, int count, struct error *error)
{
    char last[] = "last";
    char *newest[] = {last};
    entry_list entries = {0};
    struct recorded_runs runs = {0};
    reported->ledger = recorded_open(db, error);
    int result = reported->ledger
                     ? recorded_runs(reported->ledger, count ? names : newest, count ? count : 1, &runs, error)
                     : -1;
    progress_start();
    for (size_t i = 0; result == 0 && i < runs.all.count; i++)
        result = add_run(reported, &entries, runs.all.items[i], error);
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
    ledger_close(reported->ledger);
}
