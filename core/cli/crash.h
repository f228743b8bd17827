/* SPDX-License-Identifier: Apache-2.0 */
/* A crash inside a plugin ends the process; this says whose it was before it does. */
#ifndef NAPM_CLI_CRASH_H
#define NAPM_CLI_CRASH_H

/* Installs handlers of SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT. Sanitizer builds keep the sanitizers' own. */
void crash_watch(void);

#endif
