/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that are always there, and what they wait for. */
#include "core/base/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"

void thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument)
{
    int failure = pthread_create(thread, NULL, run, argument);
    if (failure) {
        fprintf(stderr, "napm: error: a thread cannot be started: %s\n", strerror(failure));
        exit(1);
    }
}

void thread_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool thread_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ns)
{
    const struct timespec until = clock_timespec(until_ns);
    return pthread_cond_timedwait(condition, lock, &until) != ETIMEDOUT;
}
