/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated world: the same station, schedulers, load generators and links in virtual time, over profiles. A run is a
 * function of scenario, profiles and seed.
 */
#ifndef NAPM_WORLD_SIM_H
#define NAPM_WORLD_SIM_H

#include "core/world/world.h"

extern const struct world_kind sim_world;

#endif
