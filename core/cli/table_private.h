/* SPDX-License-Identifier: Apache-2.0 */
/* A table's inside: for table.c, which fills it, and table_print.c, which lays it out. */
#ifndef NAPM_CLI_TABLE_PRIVATE_H
#define NAPM_CLI_TABLE_PRIVATE_H

#include "core/base/memory.h"
#include "core/cli/table.h"

struct cell {
    char *text; /* of text columns, or NULL */
    double number; /* of the others */
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    ARRAY_OF(struct cell) cells; /* row by row */
    ARRAY_OF(size_t) rules; /* rows that a rule stands before */
    size_t key_count, split_at; /* see table_split; 0: nowhere in particular */
};

#endif
