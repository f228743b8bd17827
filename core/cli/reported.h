/* SPDX-License-Identifier: Apache-2.0 */
/* The runs that `napm report` and `napm export` are about, read from the ledger. */
#ifndef NAPM_CLI_REPORTED_H
#define NAPM_CLI_REPORTED_H

#include "core/report/report.h"

#define REPORTED_MOST_OPERANDS 100000

struct reported {
    struct ledger *ledger;
    struct report_entry *entries;
    size_t count;
    json_t *failed_points; /* of sweeps: an array of {settings, seed, cause}; NULL where no sweep was named */
};

/*
 * Reads the runs named: numbers, ranges of them (12-20), the runs of a sweep (sweep:3, sweep:last), or none for the newest
 * run. Only the first `in_full` keep the lists of their streams, links, nodes and plugins as JSON: those of a thousand runs
 * would fill the memory. reported_close is due in either case.
 */
int reported_open(struct reported *reported, const char *db, char **names, int count, uint32_t in_full,
                  struct error *error);
void reported_close(struct reported *reported);

#endif
