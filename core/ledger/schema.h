/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's schema: telling our files from foreign ones, making the tables, and bringing older files up to date.
 * Private to the ledger (and its tests).
 */
#ifndef NAPM_LEDGER_SCHEMA_H
#define NAPM_LEDGER_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "core/ledger/sql.h"

#define SCHEMA_APPLICATION_ID 0x4e41504d /* "NAPM" */

/* Step i (from 0) takes a ledger of version i to version i + 1; step 0 makes it. */
extern const char *const schema_steps[];
extern const size_t schema_step_count;

/*
 * Looks at the file's first bytes, without SQLite, so that a foreign file (and its journal) is left as it is. *exists is
 * false where there is no file, or an empty one, that may become a ledger. -1 where it is something else.
 */
int schema_check_file(const char *path, bool *exists, struct error *error);

/* Brings an open database, which schema_check_file has passed, to version `step_count`; a newer one is refused unchanged. */
int schema_bring_up(struct sql *sql, const char *const *steps, size_t step_count, struct error *error);

/* The version of an open database, at most `step_count`; -1 where it is newer. */
int schema_version(struct sql *sql, size_t step_count, size_t *version, struct error *error);

#endif
