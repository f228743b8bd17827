/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks. */
#include "core/base/clock.h"

#include <errno.h>
#include <sched.h>

#define LINGER_NS (3 * NS_PER_US)
enum { RELAXED = 20 }; /* at a time: less than a microsecond */

static int64_t read_clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t clock_now_ns(void)
{
    return read_clock_ns(CLOCK_MONOTONIC);
}

int64_t clock_thread_cpu_ns(void)
{
    return read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_process_cpu_ns(void)
{
    return read_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t clock_wall_ns(void)
{
    return read_clock_ns(CLOCK_REALTIME);
}

struct timespec clock_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

/* Tells the processor that this thread only waits. */
static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

void clock_linger(void)
{
    const int64_t until_ns = clock_now_ns() + LINGER_NS;
    sched_yield();
    do {
        for (int i = 0; i < RELAXED; i++)
            relax();
    } while (clock_now_ns() < until_ns);
}

void clock_sleep_until_ns(int64_t until_ns)
{
    const struct timespec t = clock_timespec(until_ns);
    if (until_ns <= 0)
        return;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}
