/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that are always there, as memory is (memory.h): where the system gives none, the process ends and says so. */
#ifndef NAPM_BASE_THREAD_H
#define NAPM_BASE_THREAD_H

#include <pthread.h>

/* To be joined. */
void thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument);

#endif
