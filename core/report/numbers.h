/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and texts for other programs, as CSV (RFC 4180) and JSON. Whole numbers are written as such, others with as
 * many digits as decimal numbers keep on their way through a double, so that 0.1 stays 0.1.
 */
#ifndef NAPM_REPORT_NUMBERS_H
#define NAPM_REPORT_NUMBERS_H

#include <jansson.h>
#include <stdio.h>

#define REPORT_DIGITS 15
#define REPORT_JSON_FLAGS (JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(REPORT_DIGITS))
#define REPORT_CSV_LINE_END "\r\n"

void report_csv_text(FILE *file, const char *text);
void report_csv_number(FILE *file, double number); /* NAN: nothing */
json_t *report_json_number(double number); /* null where it is none, or infinite; the caller's */

#endif
