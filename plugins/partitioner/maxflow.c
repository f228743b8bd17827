/* SPDX-License-Identifier: Apache-2.0 */
/* Dinic's algorithm. Edges lie in pairs: edge e and e ^ 1 are one another's reverse in the residual graph. */
#include "maxflow.h"

#include <stdlib.h>
#include <string.h>

#define NO_EDGE UINT32_MAX
#define UNREACHED UINT32_MAX

struct edge {
    uint32_t to, next; /* next: of the same node */
    int64_t left; /* capacity not used */
};

struct maxflow {
    uint32_t node_count, edge_count;
    struct edge *edges;
    uint32_t *first; /* by node: its first edge */
    uint32_t *unused; /* by node: its first edge that is not known to lead nowhere in this phase */
    uint32_t *level; /* by node: edges from the source */
    uint32_t *queue;
};

struct maxflow *maxflow_new(uint32_t nodes, uint32_t edges)
{
    struct maxflow *graph = calloc(1, sizeof(*graph));
    if (!graph)
        return NULL;
    graph->node_count = nodes;
    graph->edges = calloc((size_t)2 * edges + 1, sizeof(*graph->edges));
    graph->first = malloc(nodes * sizeof(*graph->first));
    graph->unused = malloc(nodes * sizeof(*graph->unused));
    graph->level = malloc(nodes * sizeof(*graph->level));
    graph->queue = malloc(nodes * sizeof(*graph->queue));
    if (!graph->edges || !graph->first || !graph->unused || !graph->level || !graph->queue) {
        maxflow_free(graph);
        return NULL;
    }
    memset(graph->first, 0xff, nodes * sizeof(*graph->first)); /* NO_EDGE */
    return graph;
}

void maxflow_free(struct maxflow *graph)
{
    if (!graph)
        return;
    free(graph->edges);
    free(graph->first);
    free(graph->unused);
    free(graph->level);
    free(graph->queue);
    free(graph);
}

static void add_half(struct maxflow *graph, uint32_t from, uint32_t to, int64_t capacity)
{
    graph->edges[graph->edge_count] = (struct edge){to, graph->first[from], capacity};
    graph->first[from] = graph->edge_count++;
}

void maxflow_add(struct maxflow *graph, uint32_t from, uint32_t to, int64_t capacity)
{
    add_half(graph, from, to, capacity);
    add_half(graph, to, from, 0);
}

/* Levels of all nodes that the source still reaches. Returns whether the sink is one. */
static int find_levels(struct maxflow *graph, uint32_t source, uint32_t sink)
{
    uint32_t head = 0, tail = 0;
    memset(graph->level, 0xff, graph->node_count * sizeof(*graph->level)); /* UNREACHED */
    graph->level[source] = 0;
    graph->queue[tail++] = source;
    while (head < tail) {
        uint32_t node = graph->queue[head++];
        for (uint32_t e = graph->first[node]; e != NO_EDGE; e = graph->edges[e].next) {
            uint32_t to = graph->edges[e].to;
            if (graph->edges[e].left == 0 || graph->level[to] != UNREACHED)
                continue;
            graph->level[to] = graph->level[node] + 1;
            graph->queue[tail++] = to;
        }
    }
    return graph->level[sink] != UNREACHED;
}

/* Sends up to `most` from the node to the sink, level by level. Returns what went through. */
static int64_t push(struct maxflow *graph, uint32_t node, uint32_t sink, int64_t most)
{
    int64_t sent = 0;
    if (node == sink)
        return most;
    for (uint32_t *e = &graph->unused[node]; *e != NO_EDGE; *e = graph->edges[*e].next) {
        struct edge *edge = &graph->edges[*e];
        if (edge->left == 0 || graph->level[edge->to] != graph->level[node] + 1)
            continue;
        int64_t room = edge->left < most - sent ? edge->left : most - sent;
        int64_t through = push(graph, edge->to, sink, room);
        edge->left -= through;
        graph->edges[*e ^ 1].left += through;
        sent += through;
        if (sent == most) /* this edge may take more yet */
            return sent;
    }
    return sent;
}

int64_t maxflow_run(struct maxflow *graph, uint32_t source, uint32_t sink)
{
    int64_t value = 0;
    while (find_levels(graph, source, sink)) {
        memcpy(graph->unused, graph->first, graph->node_count * sizeof(*graph->first));
        value += push(graph, source, sink, MAXFLOW_INFINITE);
    }
    return value;
}

int maxflow_on_source_side(const struct maxflow *graph, uint32_t node)
{
    return graph->level[node] != UNREACHED;
}
