/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Artificial load on a node, as a load generator plugin's levels say: a share of the processor kept busy (by duty cycle
 * against the threads' own processor time) and memory held and touched. Runs in threads of its own.
 */
#ifndef NAPM_COMPUTE_STRESS_H
#define NAPM_COMPUTE_STRESS_H

#include <stddef.h>
#include <stdint.h>

/* What to bear from `from_ns` (monotonic clock) on, until the next level. */
struct stress_level {
    int64_t from_ns;
    double cpu_share; /* in cores */
    uint64_t memory_bytes;
};

struct stress;

/* Levels in order of time; copied. */
struct stress *stress_start(const struct stress_level *levels, size_t count);
void stress_stop(struct stress *stress); /* NULL: nothing */

#endif
