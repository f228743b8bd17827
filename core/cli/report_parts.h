/* SPDX-License-Identifier: Apache-2.0 */
/* What the report for people and the one for programs have in common. */
#ifndef NAPM_CLI_REPORT_PARTS_H
#define NAPM_CLI_REPORT_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/cli/table.h"
#include "core/ledger/query.h"

double report_predicted_delay_ns(const struct stream_summary *stream); /* NAN without a plan */
double report_error_share(double measured, double predicted); /* 0.05: 5 % too high */

/* Whether any task has ended, well or not. */
bool report_has_tasks(const struct run_summary *summary);

/* "3/11 after conv2"; free() it. `layer`: the last one on the device. */
char *report_cut_text(bool planned, uint32_t cut, uint32_t layer_count, const char *layer);

/* Each plan of a run. Printed only where there are several. */
struct table *report_plans(const struct run_summary *summary);
void report_print_plans(const struct run_summary *summary);
/* Streams and the layers on their devices, in words; set NULL: a cut of the layer order, which needs none. */
struct report_set {
    const char *stream, *set;
};

/* Under a table that says "set": one line for each set and the streams that have it. */
void report_print_sets(const struct report_set *sets, size_t count);

/* What the reader must know before trusting the figures. */
struct report_warnings {
    char **items;
    size_t count, room;
};
struct report_warnings report_warnings(const struct run_summary *summary);
void report_warnings_free(struct report_warnings *warnings);

/* Mean delays of several runs. NAN where there are too few. */
struct report_spread {
    size_t runs, counted; /* counted: those in which a task has ended well */
    double mean_ns, deviation_ns, least_ns, most_ns;
};
struct report_spread report_spread(const struct run_summary *const *summaries, size_t count);

#endif
