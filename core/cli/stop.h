/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ctrl-C (SIGINT), SIGTERM and SIGHUP: the first asks for an orderly stop, the second ends the command at once.
 */
#ifndef NAPM_CLI_STOP_H
#define NAPM_CLI_STOP_H

#include <stdatomic.h>

/* Installs the handlers; the flag becomes true at the first signal. */
const atomic_bool *stop_watch(void);

/* What asked, for people: "Ctrl-C", or the signal's name. */
const char *stop_cause(void);

#endif
