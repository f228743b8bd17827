/* SPDX-License-Identifier: Apache-2.0 */
/* Running another program and reading what it says. */
#ifndef NAPM_BASE_PROGRAM_H
#define NAPM_BASE_PROGRAM_H

#include <stdint.h>

#include "core/base/error.h"

/*
 * Runs argv (NULL-terminated; argv[0] is looked for in PATH; no shell) with nothing on its standard input, and waits
 * until it ends, at most `most_ns`: then it is killed. *output, where wanted, is what it wrote on standard output and
 * error, free() it, also on failure. 0 where it ended with status 0; else -1, and the error says what it wrote.
 */
int program_run(const char *const *argv, int64_t most_ns, char **output, struct error *error);

#endif
