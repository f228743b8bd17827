/* SPDX-License-Identifier: Apache-2.0 */
/* Maximum flow and minimum cut of a directed graph, by Dinic's algorithm: O(V^2 E), far less on graphs of layers. */
#ifndef NAPM_PLUGINS_PARTITIONER_MAXFLOW_H
#define NAPM_PLUGINS_PARTITIONER_MAXFLOW_H

#include <stdint.h>

/* A capacity that no cut of least cost contains. Finite ones must add up to less. */
#define MAXFLOW_INFINITE (INT64_MAX / 4)

struct maxflow;

/* NULL where memory is out. `edges` may be added at most. */
struct maxflow *maxflow_new(uint32_t nodes, uint32_t edges);
void maxflow_free(struct maxflow *graph);
void maxflow_add(struct maxflow *graph, uint32_t from, uint32_t to, int64_t capacity);

/* The value of the greatest flow, which is that of the least cut. */
int64_t maxflow_run(struct maxflow *graph, uint32_t source, uint32_t sink);

/* After that: 1 where the node is on the source's side of the least cut, the one with the fewest nodes on that side. */
int maxflow_on_source_side(const struct maxflow *graph, uint32_t node);

#endif
