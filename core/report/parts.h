/* SPDX-License-Identifier: Apache-2.0 */
/* What a report's document is put together from. Private to the room. */
#ifndef NAPM_REPORT_PARTS_H
#define NAPM_REPORT_PARTS_H

#include "core/report/numbers.h"
#include "core/report/report.h"

/* One run's charts: distributions, cuts, activity, timeline, samples. The caller's; NULL on error. */
json_t *report_detail(struct ledger *ledger, const struct run_summary *run, const struct report_limits *limits,
                      struct error *error);

/* "parameters" (what differs between the runs), "metrics", and "points" with intervals of confidence, into `document`. */
void report_add_points(json_t *document, const struct report_entry *entries, size_t count);

/* Makes a folder where there is none. */
int report_make_folder(const char *folder, struct error *error);

/* FOLDER/NAME for writing. NULL on error; end it with report_close, which also tells of what could not be written. */
FILE *report_create(const char *folder, const char *name, struct error *error);
int report_close(FILE *file, const char *folder, const char *name, struct error *error);

#endif
