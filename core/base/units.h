/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantities as people write them: "5ms", "4GiB", "20Mbit", "25%". A unit is always required (only 0 may stand
 * alone), because a bare number is where wrong experiments come from.
 */
#ifndef NAPM_BASE_UNITS_H
#define NAPM_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

/* Each returns 0, or -1 with an error that says what was expected (the caller prefixes file:line and name). */
int units_parse_duration_ns(const char *text, int64_t *ns, struct error *error); /* ns us ms s min h */
int units_parse_size_bytes(const char *text, uint64_t *bytes, struct error *error); /* B kB MB GB KiB MiB GiB */
int units_parse_rate(const char *text, double *bytes_per_s, struct error *error); /* bit kbit Mbit Gbit B/s kB/s MB/s */
int units_parse_power_w(const char *text, double *watts, struct error *error); /* mW W kW */
int units_parse_share(const char *text, double *share, struct error *error); /* "0.25" or "25%" -> 0.25 */

/* Short text for people, in `buffer`, which is returned: "1.53 ms", "64.0 KiB", "20.0 Mbit/s". */
#define UNITS_TEXT_BYTES 32
const char *units_format_duration(char buffer[UNITS_TEXT_BYTES], double ns);
const char *units_format_size(char buffer[UNITS_TEXT_BYTES], double bytes);
const char *units_format_energy(char buffer[UNITS_TEXT_BYTES], double joules);
const char *units_format_rate(char buffer[UNITS_TEXT_BYTES], double bytes_per_s);

#endif
