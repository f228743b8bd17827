/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who records a run: a process, known again by its number, its start time and the boot of the machine (numbers alone
 * are given out again). Private to the ledger.
 */
#ifndef NAPM_LEDGER_RECORDER_H
#define NAPM_LEDGER_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#define RECORDER_MACHINE_BYTES 128

struct recorder {
    int64_t pid;
    int64_t started; /* clock ticks after boot; 0 where it cannot be known */
    char machine[RECORDER_MACHINE_BYTES]; /* "BOOT-ID pid:[NAMESPACE]" */
};

void recorder_self(struct recorder *recorder);

/* Whether that process may still live: false only where that is certain. */
bool recorder_may_live(const struct recorder *recorder);

#endif
