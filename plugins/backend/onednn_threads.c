/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the threads of a team on processors of their own.
 *
 * Two threads that fell asleep on one processor are woken there: Linux wakes a thread where it ran last, moves it only to
 * an idle processor that shares a cache, which virtual machines often do not say, and balances too seldom to matter in
 * a task of milliseconds. They then take turns, one spinning for the other at the end of each layer: on two processors
 * AlexNet for CIFAR-10 took 7.5 ms after a rest of 20 ms instead of 2.0. So the team meets before a task's layers, and
 * who finds itself on another's processor moves once; where it may run afterwards is left as it was.
 */
#include "onednn_threads.h"

#ifdef __linux__

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>

/* Bounds the wait for a thread that is not let run; each lets others on this processor run first. */
#define MOST_YIELDS 1000

/* Moves the calling thread to an allowed processor that is not taken. Without one it stays. */
static void move(atomic_uchar *taken)
{
    cpu_set_t allowed, there;
    if (sched_getaffinity(0, sizeof(allowed), &allowed))
        return; /* more processors than the set has places for */
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || atomic_exchange(&taken[cpu], 1))
            continue;
        CPU_ZERO(&there);
        CPU_SET(cpu, &there);
        if (sched_setaffinity(0, sizeof(there), &there) == 0)
            (void)sched_setaffinity(0, sizeof(allowed), &allowed); /* it was allowed a moment ago */
        return;
    }
}

void threads_spread(uint32_t threads)
{
    atomic_uchar taken[CPU_SETSIZE] = {0};
    atomic_uint met = 0;
    if (threads < 2)
        return;
#pragma omp parallel num_threads(threads)
    {
        int cpu = sched_getcpu();
        if (cpu >= 0 && cpu < CPU_SETSIZE && atomic_exchange(&taken[cpu], 1))
            move(taken);
        atomic_fetch_add(&met, 1);
        /* not at the region's end, which spins: this processor may be the one that the others wait for */
        for (int i = 0; i < MOST_YIELDS && atomic_load(&met) < (uint32_t)omp_get_num_threads(); i++)
            sched_yield();
    }
}

#else

void threads_spread(uint32_t threads)
{
    (void)threads;
}

#endif
