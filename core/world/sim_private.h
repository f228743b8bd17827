/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the simulated world. */
#ifndef NAPM_WORLD_SIM_PRIVATE_H
#define NAPM_WORLD_SIM_PRIVATE_H

#include "core/compute/monitor.h"
#include "core/world/sim.h"

struct sim;

struct world {
    struct world_setup setup;
    const struct scenario *scenario;
    struct machine_facts machine; /* this one: where layers that have no other source are measured */
    struct node_facts facts; /* of the node last asked for */
    char *backend; /* in them */
    struct sim *sim; /* once deployed */
};

/* ---- sim_profile.c: where layer times come from */
int sim_check_profiles(const struct scenario *scenario, struct error *error);
char *sim_profile_source(struct world *world, uint32_t node, uint32_t model);
int sim_profile_batch(struct world *world, uint32_t model, uint32_t batch, struct layer_time *times,
                      struct error *error);
int sim_profile(struct world *world, uint32_t node, uint32_t model, struct layer_time *times, struct error *error);

/* ---- sim_drive.c: the tasks */
int sim_deploy(struct world *world, const struct placements *placements, const int64_t *const *const *layer_ns,
               struct error *error);
void sim_end(struct sim *sim);
int sim_drive(struct world *world, const struct world_sink *sink, struct error *error);

#endif
