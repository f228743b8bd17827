/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local world: each device is an agent process on this machine, the station's workers are threads of this process,
 * tensors go over loopback TCP, and links are shaped in user space where frames arrive here.
 */
#ifndef NAPM_WORLD_LOCAL_H
#define NAPM_WORLD_LOCAL_H

#include "core/world/world.h"

extern const struct world_kind local_world;

#endif
