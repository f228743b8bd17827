/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders: where a placement is no beginning of the model's layer order, it is one of another order. A cut of a graph is
 * a set of layers that needs nothing from behind it; the sets of a stream's nodes, one behind the other along its way,
 * are therefore an order in which every layer still comes behind those that it needs, and in which the layers of each
 * node stand together. In that order the placement is cuts again: numbers of layers.
 *
 * An order is an array of the model's layer numbers, by place; NULL stands for the model's own order, in which place and
 * layer number are one. Within the part of a node layers ascend, as a backend wants them.
 */
#ifndef NAPM_MODEL_ORDER_H
#define NAPM_MODEL_ORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/random.h"
#include "core/model/model.h"

/* Where the layers of all streams run. The arrays are the owner's. */
struct placements {
    /*
     * For each stream one cut for each device on its way, one stream behind the other, never decreasing within one: the
     * layers at places cuts[h - 1] (0 for h = 0) .. cuts[h] - 1 run on the device h, those behind the last at the station.
     */
    const uint32_t *cuts;
    const uint32_t *const *orders; /* by stream; NULL: every stream has its model's own order */
};

static inline const uint32_t *placements_order(const struct placements *placements, uint32_t stream)
{
    return placements->orders ? placements->orders[stream] : NULL;
}

/* The layer at a place. */
static inline uint32_t order_layer(const uint32_t *order, uint32_t place)
{
    return order ? order[place] : place;
}

/* Is it an order of the model: every layer once, behind all that it needs? */
bool order_is_one(const struct napm_model *view, const uint32_t *order);

/* Are the layers at places first..last-1 of both the same, in the same order? */
bool order_same(const uint32_t *a, const uint32_t *b, uint32_t first, uint32_t last);

/* A layer that runs farther from the station than one whose tensor it needs. */
struct order_fault {
    uint32_t layer, needs;
};

/*
 * Orders a placement: `node_of_layer` numbers the node of each layer along the way, 0..node_count-1. Fills `order` (room
 * for all layers) and the node_count - 1 cuts in it. Returns 0 where that is the model's own order, 1 where it is not,
 * and -1 with the fault where a layer needs a tensor from farther up the way.
 */
int order_make(const struct napm_model *view, const uint32_t *node_of_layer, uint32_t node_count, uint32_t *order,
               uint32_t *cuts, struct order_fault *fault);

/* Orders a placement that is made by chance: as order_make, but never at fault. 1 only where the graph has branches. */
int order_random(const struct napm_model *view, struct random *random, uint32_t node_count, uint32_t *order,
                 uint32_t *cuts);

/* Bytes of the tensors that cross, by c in 0..layer_count. */
void order_cut_bytes(const struct napm_model *view, const uint32_t *order, uint64_t *bytes);

/* As model_cut, model_part_range and model_part_memory, for places of an order instead of layer numbers. */
uint32_t order_cut(const struct napm_model *view, const uint32_t *order, uint32_t c, uint64_t *bytes,
                   uint32_t *tensors);
void order_part(const struct napm_model *view, const uint32_t *order, uint32_t first, uint32_t last,
                struct model_part *part);
void order_memory(const struct napm_model *view, const uint32_t *order, uint32_t first, uint32_t last,
                  uint64_t *weight_bytes, uint64_t *activation_bytes);

#endif
