/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what came of each of a run's plans. Private to the ledger. */
#ifndef NAPM_LEDGER_QUERY_PLANS_H
#define NAPM_LEDGER_QUERY_PLANS_H

#include "core/ledger/query.h"
#include "core/ledger/sql.h"

/* With the database held. -1 on error. */
int query_read_plans(struct sql *sql, int64_t run, struct run_summary *summary, struct error *error);

#endif
