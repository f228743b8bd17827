/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that are always there. */
#include "core/base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument)
{
    int failure = pthread_create(thread, NULL, run, argument);
    if (failure) {
        fprintf(stderr, "napm: error: a thread cannot be started: %s\n", strerror(failure));
        exit(1);
    }
}
