/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The energy of tasks by the nodes' power models: a node draws `busy` while it computes for one, and `transmit` while it
 * sends for one, for as long as the bytes take with the air to themselves. A world tells what it measured. One thread.
 */
#ifndef NAPM_WORLD_ENERGY_H
#define NAPM_WORLD_ENERGY_H

#include "core/world/world.h"

struct energy;

/* NULL where no node has a power model; all functions take that, and then there is nothing to count. */
struct energy *energy_new(const struct scenario *scenario);
void energy_free(struct energy *energy);

/* Each returns what that takes, in joules. `at_ns`, on the run's clock, does not go back. */
double energy_compute(struct energy *energy, uint32_t node, int64_t ns);
double energy_send(struct energy *energy, uint32_t link, enum link_direction direction, uint64_t bytes, int64_t at_ns);

/* Tells a run's sink what each node has done for tasks. */
void energy_tell(const struct energy *energy, const struct world_sink *sink);

#endif
