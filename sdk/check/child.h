/* SPDX-License-Identifier: Apache-2.0 */
/* Running one check in a child process with a time limit, so that a crash or an endless loop is a result, too. */
#ifndef NAPM_CHECK_CHILD_H
#define NAPM_CHECK_CHILD_H

#include "sdk/check/check.h"

/* What the child does: fills `why` and returns its verdict. */
typedef enum verdict (*child_fn)(const void *argument, struct error *why);

enum verdict child_run(child_fn function, const void *argument, int limit_s, struct error *why);

#endif
