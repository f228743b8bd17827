/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups operators into layers. A group has a head, the operator that does its work, and is placed in the order where
 * its head stands; everything a group needs from outside exists before its head runs.
 *
 *   Conv -> [BatchNormalization] -> [Add of an earlier tensor of the same shape] -> [activation]
 *   Gemm -> [activation]
 *   MatMul -> [Add of a constant vector along the last axis] -> [activation]     (Gemm too, where it has no addend)
 *   any other operator alone
 *
 * Activations: Relu, Clip, LeakyRelu, Sigmoid, HardSwish; and the pairs x * HardSigmoid(x), x * Sigmoid(x).
 * An operator is taken in only if nothing else uses what comes before it. Operators that only change the shape
 * (Flatten, Reshape, Squeeze, Unsqueeze, Identity, Dropout) join the group of their only user, or else the group that
 * made their input.
 */
#ifndef NAPM_MODEL_LAYERS_H
#define NAPM_MODEL_LAYERS_H

#include "core/model/graph.h"

/* Sets node->layer of every node of a resolved graph and returns the number of layers; *heads: the head of each. */
uint32_t layers_group(struct graph *graph, uint32_t **heads);

#endif
