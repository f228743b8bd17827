/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic work of operators. */
#ifndef NAPM_MODEL_COST_H
#define NAPM_MODEL_COST_H

#include "core/model/graph.h"

/* Operations of one inference: 2 for each multiply-add, 1 for each other arithmetic operation or comparison. */
double cost_flops(const struct graph *graph, const struct graph_node *node);

/* Whether input `index` of the node is a weight (and not a bound, a fill value, a shape or a list of axes). */
bool cost_is_parameter(const struct graph *graph, const struct graph_node *node, uint32_t index);

#endif
