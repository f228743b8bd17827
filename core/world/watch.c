/* SPDX-License-Identifier: Apache-2.0 */
/* Foreseeing the ends of waits. */
#include "core/world/watch.h"

#include "core/base/clock.h"
#include "core/wire/frame.h"

/* So many waits are looked at before one is foreseen. */
#define LEARN_COUNT 4
/* A sleeper may be woken late by so much, and needs some time to begin looking. */
#define MARGIN_NS (300 * NS_PER_US)
/* Deviations before and behind the mean: most waits end in between. Those that end sooner only cost a wake-up. */
enum { DEVIATIONS_BEFORE = 1, DEVIATIONS_BEHIND = 3 };

void watch_learn(struct watch_estimate *estimate, int64_t took_ns)
{
    int64_t off_ns = took_ns - estimate->mean_ns;
    if (estimate->count++ == 0) {
        estimate->mean_ns = took_ns;
        estimate->deviation_ns = took_ns / 2;
        return;
    }
    estimate->deviation_ns += ((off_ns < 0 ? -off_ns : off_ns) - estimate->deviation_ns) / 4;
    estimate->mean_ns += off_ns / 8;
}

struct watch_window watch_foresee(const struct watch_estimate *estimate, int64_t since_ns)
{
    int64_t before_ns = DEVIATIONS_BEFORE * estimate->deviation_ns + MARGIN_NS;
    int64_t behind_ns = DEVIATIONS_BEHIND * estimate->deviation_ns + MARGIN_NS;
    if (estimate->count < LEARN_COUNT || before_ns > FRAME_EXPECT_NS_MAX / 2)
        return (struct watch_window){0, 0};
    struct watch_window window = {since_ns + estimate->mean_ns - before_ns, since_ns + estimate->mean_ns + behind_ns};
    if (window.until_ns > window.from_ns + FRAME_EXPECT_NS_MAX)
        window.until_ns = window.from_ns + FRAME_EXPECT_NS_MAX;
    return window;
}
