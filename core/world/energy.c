/* SPDX-License-Identifier: Apache-2.0 */
/* The energy of tasks by the nodes' power models. */
#include "core/world/energy.h"

#include <stdlib.h>

#include "core/base/memory.h"
#include "core/world/changes.h"

struct energy {
    const struct scenario *scenario;
    struct changes *changes; /* of its own: rates over time */
    int64_t *busy_ns;
    double *air_ns;
};

struct energy *energy_new(const struct scenario *scenario)
{
    if (!scenario_has_power(scenario))
        return NULL;
    struct energy *energy = NEW(struct energy);
    energy->scenario = scenario;
    energy->changes = changes_new(scenario);
    energy->busy_ns = NEW_ARRAY(int64_t, scenario->node_count);
    energy->air_ns = NEW_ARRAY(double, scenario->node_count);
    return energy;
}

void energy_free(struct energy *energy)
{
    if (!energy)
        return;
    changes_free(energy->changes);
    free(energy->busy_ns);
    free(energy->air_ns);
    free(energy);
}

double energy_compute(struct energy *energy, uint32_t node, int64_t ns)
{
    if (!energy)
        return 0;
    energy->busy_ns[node] += ns;
    return energy->scenario->nodes[node].power.busy_w * (double)ns / 1e9;
}

double energy_send(struct energy *energy, uint32_t link, enum link_direction direction, uint64_t bytes, int64_t at_ns)
{
    if (!energy)
        return 0;
    const struct scenario_link *spec = &energy->scenario->links[link];
    const struct link_conditions *now = &spec->spec.conditions[direction];
    struct change change;
    if (energy->changes) {
        while (changes_take(energy->changes, at_ns, &change))
            ;
        now = &changes_link(energy->changes, link)[direction];
    }
    const uint32_t sender = direction == LINK_UP ? spec->device : spec->upper;
    double air_s = now->bytes_per_s > 0 ? (double)bytes / now->bytes_per_s / (1 - now->loss) : 0;
    energy->air_ns[sender] += air_s * 1e9;
    return energy->scenario->nodes[sender].power.transmit_w * air_s;
}

void energy_tell(const struct energy *energy, const struct world_sink *sink)
{
    if (!energy || !sink->node_energy)
        return;
    for (uint32_t i = 0; i < energy->scenario->node_count; i++)
        sink->node_energy(sink->context, i, energy->busy_ns[i], (int64_t)energy->air_ns[i]);
}
