/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and texts for other programs. */
#include "core/report/numbers.h"

#include <math.h>
#include <string.h>

#define MOST_WHOLE 9e15 /* every whole number up to here is a double */

void report_csv_text(FILE *file, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

void report_csv_number(FILE *file, double number)
{
    if (isnan(number))
        return;
    if (isinf(number))
        fputs("inf", file);
    else if (number == floor(number) && fabs(number) < MOST_WHOLE)
        fprintf(file, "%.0f", number);
    else
        fprintf(file, "%.*g", REPORT_DIGITS, number);
}

json_t *report_json_number(double number)
{
    if (!isfinite(number))
        return json_null();
    if (number == floor(number) && fabs(number) < MOST_WHOLE)
        return json_integer((json_int_t)number);
    return json_real(number);
}
