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

/* "12-20": true, with its ends. */
static bool is_range(const char *name, int64_t *first, int64_t *last)
{
    int length = 0;
    bool parsed = sscanf(name, "%" SCNd64 "-%" SCNd64 "%n", first, last, &length) == 2 && !name[length];
    return parsed && *first > 0 && *last >= *first && *last - *first < REPORTED_MOST_OPERANDS;
}

static int add_named(struct reported *reported, entry_list *entries, const char *name, struct error *error)
{
    int64_t first, last;
    if (!name || !is_range(name, &first, &last)) {
        first = last = recorded_run(reported->ledger, name, error);
        if (first < 0)
            return -1;
    }
    for (int64_t run = first; run <= last; run++)
        if (add_run(reported, entries, run, error) != 0)
            return -1;
    return 0;
}

int reported_open(struct reported *reported, const char *db, char **names, int count, struct error *error)
{
    entry_list entries = {0};
    reported->ledger = recorded_open(db, error);
    int result = reported->ledger ? 0 : -1;
    progress_start();
    for (int i = 0; result == 0 && (i < count || (count == 0 && i == 0)); i++)
        result = add_named(reported, &entries, count ? names[i] : NULL, error);
    progress_stop();
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
