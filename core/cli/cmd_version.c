/* SPDX-License-Identifier: Apache-2.0 */
/* napm version */
#include <jansson.h>
#include <napm/plugin.h>
#include <sqlite3.h>
#include <stdio.h>

#include "core/cli/cli.h"
#include "core/cli/options.h"

int cmd_version(int argc, char **argv)
{
    static const struct cli_usage usage = {
        .name = "napm version",
        .operands = "",
        .summary = "versions of napm and of what it is built on",
    };
    int first;
    int result = options_parse(&usage, argc, argv, &first);
    if (result >= 0)
        return result;
    printf("napm %s\nplugin ABI %u\nSQLite %s\njansson %s\n", PACKAGE_VERSION, NAPM_ABI, sqlite3_libversion(),
           JANSSON_VERSION);
    return cli_end_output();
}
