/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that are always there, as memory is (memory.h): where the system gives none, the process ends and says so. And
 * conditions that are waited for until times of clock_now_ns(), which does not jump when the machine's clock is set.
 */
#ifndef NAPM_BASE_THREAD_H
#define NAPM_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* To be joined. */
void thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument);

void thread_condition_init(pthread_cond_t *condition);

/* As pthread_cond_wait, which may return for no reason; false: the time has come. */
bool thread_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ns);

#endif
