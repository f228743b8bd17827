/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One progress line on stderr, where that is a terminal: what is being done, how far, for how long, and about how long
 * still. It appears when something takes longer than a second, makes way for lines of the log, and leaves nothing
 * behind. Quiet in pipes.
 */
#ifndef NAPM_CLI_PROGRESS_H
#define NAPM_CLI_PROGRESS_H

#include <stdint.h>

void progress_start(void);

/* Cheap: may be called for every task. A new `what` (a literal) begins a new step. of 0: how much there is is not known. */
void progress_step(const char *what, uint64_t done, uint64_t of);

/* Clears the line; to be called before anything else is printed. May be called twice. */
void progress_stop(void);

#endif
