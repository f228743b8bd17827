/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pacing: makes this machine's processor look like a slower one. A layer that used u of processor time takes u / share
 * of wall time: the pacer sleeps for what is missing.
 *
 * What counts as used is the processor time of the calling thread. With several threads the backend's helpers work as
 * long as the caller does (it shares every loop evenly and waits at its end), whereas the process's time would count
 * other threads' work. A layer that took longer than u / share by itself (it slept, or had to wait for a
 * processor) is not lengthened, so a backend that spends recorded time and no processor time is left alone.
 *
 * Sleeps overshoot by some microseconds: the pacer keeps the time at which the work so far should have ended, and takes
 * an overshoot off the next sleep, so that many short layers add up to the right time.
 */
#ifndef NAPM_COMPUTE_PACER_H
#define NAPM_COMPUTE_PACER_H

#include <stdbool.h>
#include <stdint.h>

struct pacer {
    double share;
    int64_t target_ns; /* when the work so far should end */
    int64_t overshoot_ns; /* by how much the last piece of work ended late through sleeping */
};

static inline bool pacer_is_on(const struct pacer *pacer)
{
    return pacer->share < 1;
}

/* A piece of work begins: one or more layers on end. */
void pacer_begin(struct pacer *pacer, int64_t now_ns);

/* A layer has run: returns the time it takes at this speed, and sleeps where enough of it is left. `last`: of the piece. */
int64_t pacer_layer(struct pacer *pacer, int64_t wall_ns, int64_t used_ns, bool last);

#endif
