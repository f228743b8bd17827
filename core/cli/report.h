/* SPDX-License-Identifier: Apache-2.0 */
/* What a run came to, for people and for programs: used at the end of `napm run` and by `napm result show`. */
#ifndef NAPM_CLI_REPORT_H
#define NAPM_CLI_REPORT_H

#include <jansson.h>

#include "core/ledger/query.h"

/* Tables and warnings on standard output. `ledger` is the file's path; `db_given`: whether --db must be named to show it. */
void report_print(const struct run_summary *summary, const char *ledger, bool db_given);

/* Everything as one JSON object; the caller's. */
json_t *report_json(const struct run_summary *summary, const char *ledger);

/* One row a stream; with a header line where `header` is set. */
struct table *report_streams(const struct run_summary *const *summaries, size_t count);

/* Several runs of one scenario: each run's figures and their spread. */
void report_print_spread(const struct run_summary *const *summaries, size_t count);
json_t *report_json_spread(const struct run_summary *const *summaries, size_t count);

#endif
