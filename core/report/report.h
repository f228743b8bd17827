/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs for readers: one document (JSON) of one run or many, the page that shows it, and whole runs in the formats of
 * other programs. All functions read the ledger only. One thread.
 */
#ifndef NAPM_REPORT_REPORT_H
#define NAPM_REPORT_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/ledger/query.h"

struct report_setting {
    const char *name, *value; /* "links.pi.rate", "8Mbit" */
};

/* One run of a report. */
struct report_entry {
    const struct run_summary *summary;
    json_t *document; /* the run as `napm result show --format json` prints it; borrowed */
    /* What a sweep gave this run, beyond what the run itself says (its --set overrides, plugins, number of devices). */
    const struct report_setting *settings;
    size_t setting_count;
};

/* How much of a big run a document holds; what it leaves out it says. */
struct report_limits {
    uint32_t tasks; /* on a run's timeline */
    int64_t from_ns; /* where the timeline begins */
    uint32_t runs; /* with charts of their own; the others are in the curves and the table of runs */
};
#define REPORT_MOST_ROWS 200 /* streams, links, nodes, plugins of a run in its tables */

/*
 * What the page and gnuplot show of the runs: docs/reports.md describes it. The caller's; NULL on error.
 *
 * Runs that agree in every setting but the seed are repetitions of one point; the points make the curves.
 */
json_t *report_document(struct ledger *ledger, const struct report_entry *entries, size_t count,
                        const struct report_limits *limits, struct error *error);

/* The page with the document in it; "-" is standard output. */
int report_write_page(const json_t *document, const char *path, struct error *error);
/* The document alone. */
int report_write_json(const json_t *document, const char *path, struct error *error);

/* A run's rows of one kind (query_row_kinds) as CSV or as a JSON array, one by one. */
enum report_rows_format { REPORT_CSV, REPORT_JSON };
int report_write_rows(struct ledger *ledger, int64_t run, const char *kind, enum report_rows_format format, FILE *file,
                      struct error *error);

/* Every kind of rows of a run, KIND.csv in `folder`, which is made. */
int report_export_csv(struct ledger *ledger, int64_t run, const char *folder, struct error *error);

/* Data and a script, plot.gp, in `folder`, which is made. */
int report_export_gnuplot(const json_t *document, const char *folder, struct error *error);

/* A trace for Perfetto and Chrome's trace viewer. *left_out: phases that had no place beside too many others. */
int report_export_trace(struct ledger *ledger, const struct run_summary *run, FILE *file, uint64_t *left_out,
                        struct error *error);

#endif
