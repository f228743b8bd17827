/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading start times from a CSV file.
 *
 * Strict, because a trace that is read wrongly looks like an experiment: the first line names the columns, every other
 * line has as many fields, times are plain decimal numbers, not negative and never going back. Fields may be quoted
 * ("a, b"; "" within quotes is a quote). Lines end in LF or CR LF. A byte order mark and empty lines at the end are
 * passed over.
 */
#ifndef NAPM_PLUGINS_LOADGEN_TRACE_CSV_H
#define NAPM_PLUGINS_LOADGEN_TRACE_CSV_H

#include <stddef.h>
#include <stdint.h>

#define TRACE_CSV_ERROR_BYTES 512

struct trace_csv_format {
    const char *file; /* for messages only */
    const char *column; /* name of the column with the times; "": the first */
    int unit_exponent; /* a time of 1 is 10^unit_exponent ns: 9 for seconds */
};

/*
 * Reads `length` bytes of `text` (which need no NUL). On success returns 0 and stores an allocated array of one time or
 * more, in ns; on failure returns -1 and writes what is wrong, where, and the remedy.
 */
int trace_csv_read(const char *text, size_t length, const struct trace_csv_format *format, int64_t **times_ns,
                   size_t *count, char error[TRACE_CSV_ERROR_BYTES]);

#endif
