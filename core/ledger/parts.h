/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a sweep that are carried out on other hosts. SQLite's WAL must not be shared between hosts, so each of them
 * writes a ledger of its own, a part, that only it opens; what is in the parts is merged into the ledger afterwards.
 */
#ifndef NAPM_LEDGER_PARTS_H
#define NAPM_LEDGER_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/ledger/ledger.h"

/*
 * Writes the ledger `path`, anew, that parts begin from: the sweep with the given points, and the profiles in use.
 * Afterwards the file is one that any number of hosts may read at once.
 */
int parts_write(struct ledger *ledger, int64_t sweep, const uint32_t *points, size_t count, const char *path,
                struct error *error);

/*
 * Opens the part `path` of whoever has the given share, from 0, of the points in the file `from`: as left by an attempt
 * before, or made of them. The i-th point is of the share i % shares. *sweep: the sweep's number. NULL on error.
 */
struct ledger *parts_open(const char *from, const char *path, uint32_t share, uint32_t shares, int64_t *sweep,
                          struct error *error);

/*
 * Takes the runs, profiles and causes of a part that nobody writes to any more into the ledger: all of it, in one
 * transaction, or nothing. What was taken before is not taken again. An error names the part.
 */
int parts_merge(struct ledger *ledger, int64_t sweep, const char *path, struct error *error);

#endif
