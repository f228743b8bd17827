/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks: monotonic time (shared by all processes of one machine) and processor time, in nanoseconds. */
#ifndef NAPM_BASE_CLOCK_H
#define NAPM_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)

int64_t clock_now_ns(void); /* CLOCK_MONOTONIC */
int64_t clock_thread_cpu_ns(void); /* processor time of the calling thread */
int64_t clock_process_cpu_ns(void); /* processor time of all threads of the process */
int64_t clock_wall_ns(void); /* since 1970, for stamps in the ledger only */

/* As the system's calls take it. */
struct timespec clock_timespec(int64_t ns);

/* Sleeps until the monotonic clock reads `until_ns`; returns at once where it already does. Signals do not cut it. */
void clock_sleep_until_ns(int64_t until_ns);

/*
 * Lets some microseconds pass without sleeping, between two looks at something that is about to happen. Who else waits for
 * this processor goes first, as that is often who is to bring it; where two processors are one core's, the other one has the
 * core to itself meanwhile.
 */
void clock_linger(void);

#endif
