/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to look out for what is to come: a thread that sleeps until something arrives is woken tens of microseconds late, by
 * another processor that has to be woken first. So a wait whose end can be foreseen is slept through only until shortly
 * before, and the rest is spent looking (hybrid polling). What such waits take is learnt as TCP learns round trips (RFC 6298).
 */
#ifndef NAPM_WORLD_WATCH_H
#define NAPM_WORLD_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* What waits of one kind have taken. All 0: nothing is known. */
struct watch_estimate {
    int64_t mean_ns, deviation_ns;
    uint32_t count;
};

struct watch_window {
    int64_t from_ns, until_ns; /* from 0: there is nothing to be seen */
};

void watch_learn(struct watch_estimate *estimate, int64_t took_ns);

/*
 * When a wait that begins at that moment is likely to end, which may be so soon that one has to look before it begins;
 * nothing to be seen where that is too uncertain.
 */
struct watch_window watch_foresee(const struct watch_estimate *estimate, int64_t since_ns);

#endif
