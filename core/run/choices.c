/* SPDX-License-Identifier: Apache-2.0 */
/* Every choice of a plugin that a scenario makes. */
#include "core/run/choices.h"

struct visitor {
    int (*visit)(void *context, const struct chosen *chosen, struct error *error);
    void *context;
    struct error *error;
};

static int visit(const struct visitor *visitor, const char *role, const char *of, uint32_t node, uint32_t kind,
                 const struct plugin_choice *choice)
{
    const struct chosen chosen = {role, of, kind, node, choice};
    return choice->name ? visitor->visit(visitor->context, &chosen, visitor->error) : 0;
}

int choices_each(const struct scenario *scenario,
                 int (*each)(void *context, const struct chosen *chosen, struct error *error), void *context,
                 struct error *error)
{
    const struct visitor visitor = {each, context, error};
    if (visit(&visitor, "partitioner", NULL, CHOICES_NO_NODE, NAPM_KIND_PARTITIONER, &scenario->partitioner) != 0 ||
        visit(&visitor, "scheduler", NULL, CHOICES_NO_NODE, NAPM_KIND_SCHEDULER, &scenario->scheduler) != 0)
        return -1;
    for (uint32_t i = 0; i < scenario->node_count; i++) {
        const struct scenario_node *node = &scenario->nodes[i];
        if (visit(&visitor, "backend", node->name, i, NAPM_KIND_BACKEND, &node->backend) != 0 ||
            visit(&visitor, "stress", node->name, i, NAPM_KIND_LOADGEN, &node->stress) != 0)
            return -1;
    }
    for (uint32_t i = 0; i < scenario->stream_count; i++) {
        const struct scenario_stream *stream = &scenario->streams[i];
        if (visit(&visitor, "arrivals", stream->name, CHOICES_NO_NODE, NAPM_KIND_LOADGEN, &stream->arrivals) != 0)
            return -1;
    }
    return 0;
}
