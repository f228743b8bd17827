/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities as people write them. */
#include "core/base/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    double factor;
};

static const struct unit durations[] = {{"ns", 1},     {"us", 1e3},   {"ms", 1e6}, {"s", 1e9},
                                        {"min", 60e9}, {"h", 3600e9}, {NULL, 0}};
static const struct unit sizes[] = {{"B", 1},        {"kB", 1e3},        {"MB", 1e6},     {"GB", 1e9},
                                    {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 0x1p30}, {NULL, 0}};
static const struct unit rates[] = {{"bit", 0.125},   {"kbit", 125.0},   {"Mbit", 125e3},   {"Gbit", 125e6},
                                    {"bit/s", 0.125}, {"kbit/s", 125.0}, {"Mbit/s", 125e3}, {"Gbit/s", 125e6},
                                    {"B/s", 1},       {"kB/s", 1e3},     {"MB/s", 1e6},     {"GB/s", 1e9},
                                    {NULL, 0}};
static const struct unit powers[] = {{"mW", 1e-3}, {"W", 1}, {"kW", 1e3}, {NULL, 0}};
static const struct unit shares[] = {{"", 1}, {"%", 0.01}, {NULL, 0}};

static int parse(const char *text, const struct unit *units, const char *what, double *value, struct error *error)
{
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    if (end == text || !isfinite(number) || errno == ERANGE)
        return error_set(error, ERROR_INPUT, "'%s' is not %s", text, what);
    if (number < 0)
        return error_set(error, ERROR_INPUT, "'%s' is negative; expected %s", text, what);
    while (isspace((unsigned char)*end))
        end++;
    for (const struct unit *unit = units; unit->name; unit++)
        if (strcmp(end, unit->name) == 0) {
            *value = number * unit->factor;
            return 0;
        }
    if (*end == '\0' && number == 0) {
        *value = 0;
        return 0;
    }
    if (*end == '\0')
        return error_set(error, ERROR_INPUT, "'%s' has no unit; expected %s", text, what);
    return error_set(error, ERROR_INPUT, "'%s' has no unit that is known here; expected %s", text, what);
}

int units_parse_duration_ns(const char *text, int64_t *ns, struct error *error)
{
    double value;
    if (parse(text, durations, "a duration such as \"5ms\" (units: ns us ms s min h)", &value, error))
        return -1;
    if (value > 9e18)
        return error_set(error, ERROR_INPUT, "'%s' is longer than 292 years", text);
    *ns = (int64_t)llround(value);
    return 0;
}

int units_parse_size_bytes(const char *text, uint64_t *bytes, struct error *error)
{
    double value;
    if (parse(text, sizes, "a size such as \"4GiB\" (units: B kB MB GB KiB MiB GiB)", &value, error))
        return -1;
    if (value > 1.8e19)
        return error_set(error, ERROR_INPUT, "'%s' is more than 64 bits of bytes", text);
    *bytes = (uint64_t)(value + 0.5);
    return 0;
}

int units_parse_rate(const char *text, double *bytes_per_s, struct error *error)
{
    return parse(text, rates, "a rate such as \"20Mbit\" (units: bit kbit Mbit Gbit B/s kB/s MB/s GB/s)", bytes_per_s,
                 error);
}

int units_parse_power_w(const char *text, double *watts, struct error *error)
{
    return parse(text, powers, "a power such as \"2.7W\" (units: mW W kW)", watts, error);
}

int units_parse_share(const char *text, double *share, struct error *error)
{
    return parse(text, shares, "a share such as 0.25 or \"25%\"", share, error);
}

static const char *format(char *buffer, double value, const struct unit *steps)
{
    const struct unit *unit = steps;
    while (unit[1].name && fabs(value) >= unit[1].factor * 0.9995)
        unit++;
    double scaled = value / unit->factor;
    int digits = fabs(scaled) >= 99.95 || scaled == 0 ? 0 : fabs(scaled) >= 9.995 ? 1 : 2;
    snprintf(buffer, UNITS_TEXT_BYTES, "%.*f %s", digits, scaled, unit->name);
    return buffer;
}

const char *units_format_duration(char buffer[UNITS_TEXT_BYTES], double ns)
{
    static const struct unit steps[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {NULL, 0}};
    return format(buffer, ns, steps);
}

const char *units_format_size(char buffer[UNITS_TEXT_BYTES], double bytes)
{
    static const struct unit steps[] = {{"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 0x1p30}, {NULL, 0}};
    return format(buffer, bytes, steps);
}

const char *units_format_energy(char buffer[UNITS_TEXT_BYTES], double joules)
{
    static const struct unit steps[] = {{"uJ", 1e-6}, {"mJ", 1e-3}, {"J", 1}, {"kJ", 1e3}, {NULL, 0}};
    return format(buffer, joules, steps);
}

const char *units_format_rate(char buffer[UNITS_TEXT_BYTES], double bytes_per_s)
{
    static const struct unit steps[] = {
        {"bit/s", 0.125}, {"kbit/s", 125}, {"Mbit/s", 125e3}, {"Gbit/s", 125e6}, {NULL, 0}};
    return format(buffer, bytes_per_s, steps);
}
