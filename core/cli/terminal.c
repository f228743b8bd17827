/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about the terminal. */
#include "core/cli/terminal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { USUAL_COLUMNS = 80, LEAST_COLUMNS = 20, MOST_COLUMNS = 10000 };

static bool is_sensible(long columns)
{
    return columns >= LEAST_COLUMNS && columns <= MOST_COLUMNS;
}

size_t terminal_columns(int descriptor)
{
    struct winsize size;
    const char *wanted = getenv("COLUMNS");
    if (!isatty(descriptor))
        return 0;
    if (wanted && is_sensible(strtol(wanted, NULL, 10)))
        return (size_t)strtol(wanted, NULL, 10);
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 && is_sensible(size.ws_col) ? size.ws_col : USUAL_COLUMNS;
}
