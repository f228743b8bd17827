/* SPDX-License-Identifier: Apache-2.0 */
/* Groups operators into layers. */
#include "core/model/layers.h"

#include <stdlib.h>
#include <string.h>

/* While grouping, node->layer holds the head's node number; NAPM_NONE where the node is not grouped yet. */

static bool is_type(const struct graph_node *node, const char *type)
{
    return strcmp(node->type, type) == 0;
}

static bool is_one_of(const struct graph_node *node, const char *const *types)
{
    for (; *types; types++)
        if (is_type(node, *types))
            return true;
    return false;
}

static bool changes_shape_only(const struct graph_node *node)
{
    static const char *const types[] = {"Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Dropout", NULL};
    return is_one_of(node, types);
}

static bool same_shape(const struct graph_value *a, const struct graph_value *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof(*a->dims)) == 0;
}

/* The only node that uses the value, or NULL; only where it is not grouped yet. */
static struct graph_node *only_user(const struct graph *graph, uint32_t value)
{
    const struct graph_value *v = &graph->values.items[value];
    if (v->use_count != 1 || v->is_output)
        return NULL;
    struct graph_node *user = &graph->nodes.items[v->uses[0]];
    return user->layer == NAPM_NONE ? user : NULL;
}

/* Whether a value exists before the group of `head` runs. */
static bool exists_before(const struct graph *graph, const struct graph_value *value, uint32_t head)
{
    if (value->producer == NAPM_NONE)
        return true;
    uint32_t group = graph->nodes.items[value->producer].layer;
    return (group == NAPM_NONE ? value->producer : group) < head;
}

/* Takes `node` into the group; returns the value that the group now ends in. */
static uint32_t take(struct graph_node *node, uint32_t head)
{
    node->layer = head;
    return node->outputs[0];
}

static uint32_t other_input(const struct graph_node *node, uint32_t value)
{
    return node->inputs[node->inputs[0] == value ? 1 : 0];
}

/* Whether `addend` is a constant vector along the last axis of a result: a bias. */
static bool is_bias(const struct graph_value *addend, const struct graph_value *result)
{
    return addend->is_constant && addend->rank >= 1 && result->rank >= 1 && addend->rank <= result->rank &&
           addend->dims[addend->rank - 1] == result->dims[result->rank - 1] &&
           graph_elements(addend) == (uint64_t)addend->dims[addend->rank - 1];
}

static uint32_t take_normalization(const struct graph *graph, uint32_t value, uint32_t head)
{
    struct graph_node *next = only_user(graph, value);
    if (!next || !is_type(next, "BatchNormalization") || next->inputs[0] != value)
        return value;
    for (uint32_t i = 1; i < 5; i++)
        if (!graph_input(graph, next, i)->is_constant)
            return value;
    return take(next, head);
}

static uint32_t take_addition(const struct graph *graph, uint32_t value, uint32_t head)
{
    struct graph_node *next = only_user(graph, value);
    if (!next || !is_type(next, "Add"))
        return value;
    const struct graph_value *result = &graph->values.items[value];
    const struct graph_value *addend = &graph->values.items[other_input(next, value)];
    const struct graph_node *first = &graph->nodes.items[head];
    bool fits = is_type(first, "Conv")
                    ? !addend->is_constant && same_shape(addend, result) && exists_before(graph, addend, head)
                    : is_bias(addend, result) && !graph_input(graph, first, 2);
    return fits ? take(next, head) : value;
}

/* x * Sigmoid(x) and x * HardSigmoid(x): x has just these two users. */
static uint32_t take_gate(const struct graph *graph, uint32_t value, uint32_t head)
{
    const struct graph_value *x = &graph->values.items[value];
    if (x->use_count != 2 || x->is_output)
        return value;
    struct graph_node *gate = &graph->nodes.items[x->uses[0]], *product = &graph->nodes.items[x->uses[1]];
    if (!(is_type(gate, "Sigmoid") || is_type(gate, "HardSigmoid")) || !is_type(product, "Mul") ||
        only_user(graph, gate->outputs[0]) != product)
        return value;
    take(gate, head);
    return take(product, head);
}

static uint32_t take_activation(const struct graph *graph, uint32_t value, uint32_t head)
{
    static const char *const types[] = {"Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSwish", NULL};
    struct graph_node *next = only_user(graph, value);
    return next && is_one_of(next, types) ? take(next, head) : take_gate(graph, value, head);
}

static void group_from(const struct graph *graph, uint32_t head)
{
    struct graph_node *node = &graph->nodes.items[head];
    uint32_t value = take(node, head);
    bool is_conv = is_type(node, "Conv");
    if (!is_conv && !is_type(node, "Gemm") && !is_type(node, "MatMul"))
        return;
    if (is_conv)
        value = take_normalization(graph, value, head);
    value = take_addition(graph, value, head);
    take_activation(graph, value, head);
}

/*
 * For each reshape the head of the group that made its input, looked for through the reshapes before it; NAPM_NONE for
 * a model input. Called when all nodes but the reshapes are grouped.
 */
static uint32_t *find_sources(const struct graph *graph)
{
    uint32_t *sources = NEW_ARRAY(uint32_t, graph->nodes.count);
    for (size_t n = 0; n < graph->nodes.count; n++) {
        const struct graph_node *node = &graph->nodes.items[n];
        uint32_t producer = node->layer == NAPM_NONE ? graph_input(graph, node, 0)->producer : NAPM_NONE;
        uint32_t group = producer == NAPM_NONE ? NAPM_NONE : graph->nodes.items[producer].layer;
        bool is_behind_reshape = producer != NAPM_NONE && group == NAPM_NONE;
        sources[n] = is_behind_reshape ? sources[producer] : group;
    }
    return sources;
}

/* Goes from the last reshape to the first, so that the user's group is known. */
static void attach_reshapes(struct graph *graph)
{
    uint32_t *sources = find_sources(graph);
    for (uint32_t n = (uint32_t)graph->nodes.count; n-- > 0;) {
        struct graph_node *node = &graph->nodes.items[n];
        if (node->layer != NAPM_NONE)
            continue;
        const struct graph_value *result = graph_output(graph, node, 0);
        if (result->use_count == 1 && !result->is_output)
            node->layer = graph->nodes.items[result->uses[0]].layer;
        else
            node->layer = sources[n] == NAPM_NONE ? n : sources[n];
    }
    free(sources);
}

uint32_t layers_group(struct graph *graph, uint32_t **heads)
{
    size_t count = graph->nodes.count;
    for (uint32_t n = 0; n < count; n++)
        if (graph->nodes.items[n].layer == NAPM_NONE && !changes_shape_only(&graph->nodes.items[n]))
            group_from(graph, n);
    attach_reshapes(graph);
    uint32_t *number = NEW_ARRAY(uint32_t, count), layers = 0;
    *heads = NEW_ARRAY(uint32_t, count);
    for (uint32_t n = 0; n < count; n++)
        if (graph->nodes.items[n].layer == n) {
            (*heads)[layers] = n;
            number[n] = layers++;
        }
    for (uint32_t n = 0; n < count; n++)
        graph->nodes.items[n].layer = number[graph->nodes.items[n].layer];
    free(number);
    return layers;
}
