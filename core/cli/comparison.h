/* SPDX-License-Identifier: Apache-2.0 */
/* A comparison of two groups of runs, for people and for programs. */
#ifndef NAPM_CLI_COMPARISON_H
#define NAPM_CLI_COMPARISON_H

#include "core/cli/table.h"
#include "core/evidence/compare.h"

void comparison_print(const struct comparison *comparison);

/* For programs: a table with one row a metric and comparison; table_free() it. */
struct table *comparison_table(void);
void comparison_add(struct table *table, const struct comparison *comparison);

#endif
