/* SPDX-License-Identifier: Apache-2.0 */
/* Errors with a text for the user. */
#include "core/base/error.h"

#include <stdio.h>
#include <string.h>

int error_set(struct error *error, enum error_kind kind, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->kind = kind;
        vsnprintf(error->text, sizeof(error->text), format, arguments);
        va_end(arguments);
    }
    return -1;
}

int error_prefix(struct error *error, const char *format, ...)
{
    if (error) {
        char rest[sizeof(error->text)];
        memcpy(rest, error->text, sizeof(rest));
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof(error->text), format, arguments);
        va_end(arguments);
        error_append(error, ": ");
        error_append(error, "%s", rest);
    }
    return -1;
}

int error_append(struct error *error, const char *format, ...)
{
    if (error) {
        size_t used = strlen(error->text);
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text + used, sizeof(error->text) - used, format, arguments);
        va_end(arguments);
    }
    return -1;
}
