/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profiles of a run: layer times of every model on every node that may run it, measured in the world or taken from
 * the ledger where the same model was measured under the same conditions.
 */
#ifndef NAPM_RUN_PROFILES_H
#define NAPM_RUN_PROFILES_H

#include "core/run/run.h"
#include "core/scenario/names.h"
#include "core/world/world.h"

/* By layer. */
struct known_times {
    int64_t *median_ns, *mean_ns;
};

/* Which of the known times a node has for a model. */
struct profile_use {
    uint32_t node, model, number;
};

struct profiles {
    uint32_t node_count, model_count;
    /*
     * [node][model]: layer times, NULL where that node never runs that model. [node_count]: by model, what each further
     * job of a batch adds at the station, or NULL: as much as a job by itself.
     */
    int64_t ***median_ns, ***mean_ns;
    struct names numbers; /* of `known`, by what their times come from */
    ARRAY_OF(struct known_times) known;
    ARRAY_OF(const char *) keys; /* in the ledger, beside them */
    ARRAY_OF(struct profile_use) uses;
    struct arena arena;
};

/* `run` is the ledger's number to note the profiles under, or -1. On failure nothing needs freeing. */
int profiles_gather(struct profiles *profiles, const struct run_settings *settings, const struct world_kind *kind,
                    struct world *world, int64_t run, struct error *error);
void profiles_free(struct profiles *profiles);

/* As planners want it: medians. And as a world wants it (world_kind.deploy). */
const int64_t *const *const *profiles_view(const struct profiles *profiles);
const int64_t *const *const *profiles_of_world(const struct profiles *profiles, const struct world_kind *kind);

#endif
