/* SPDX-License-Identifier: Apache-2.0 */
/* A lock between processes that a file stands for. */
#ifndef NAPM_BASE_LOCK_H
#define NAPM_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

/*
 * Takes the lock of the file `path`, which is made where it is not there, and stays. Waits for whoever has it, at most
 * `most_ns` or until *cancel (may be NULL) is set. Returns what lock_release gives it back with, as does the end of the
 * process; -1 on error.
 */
int lock_take(const char *path, int64_t most_ns, const atomic_bool *cancel, struct error *error);
void lock_release(int lock);

#endif
