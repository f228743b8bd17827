/* SPDX-License-Identifier: Apache-2.0 */
/* Pacing. */
#include "core/compute/pacer.h"

#include "core/base/clock.h"

/* Shorter sleeps than this are put off to the next layer: they cost more than they are worth. */
#define SLEEP_MIN_NS (30 * NS_PER_US)
/* What a sleep may have overshot: more is a stall of the machine, which is not to be made good. */
#define OVERSHOOT_MAX_NS NS_PER_MS

void pacer_begin(struct pacer *pacer, int64_t now_ns)
{
    pacer->target_ns = now_ns - pacer->overshoot_ns;
    pacer->overshoot_ns = 0;
}

int64_t pacer_layer(struct pacer *pacer, int64_t wall_ns, int64_t used_ns, bool last)
{
    int64_t paced_ns = (int64_t)((double)used_ns / pacer->share);
    int64_t cost_ns = wall_ns > paced_ns ? wall_ns : paced_ns;
    pacer->target_ns += cost_ns;
    int64_t now_ns = clock_now_ns();
    bool slept = pacer->target_ns - now_ns > (last ? 0 : SLEEP_MIN_NS);
    if (slept)
        clock_sleep_until_ns(pacer->target_ns);
    if (last && slept) {
        int64_t late_ns = clock_now_ns() - pacer->target_ns;
        pacer->overshoot_ns = late_ns > OVERSHOOT_MAX_NS ? OVERSHOOT_MAX_NS : late_ns;
    }
    return cost_ns;
}
