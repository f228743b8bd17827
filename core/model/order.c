/* SPDX-License-Identifier: Apache-2.0 */
/* Placements as cuts of an order of their own. */
#include "core/model/order.h"

#include <stdlib.h>

#include "core/base/memory.h"

bool order_same(const uint32_t *a, const uint32_t *b, uint32_t first, uint32_t last)
{
    for (uint32_t place = first; a != b && place < last; place++)
        if (order_layer(a, place) != order_layer(b, place))
            return false;
    return true;
}

bool order_is_one(const struct napm_model *view, const uint32_t *order)
{
    bool *done = NEW_ARRAY(bool, view->layer_count), is_one = true;
    for (uint32_t place = 0; is_one && place < view->layer_count; place++) {
        uint32_t l = order[place];
        is_one = l < view->layer_count && !done[l];
        for (uint32_t i = 0; is_one && i < view->layers[l]->input_count; i++) {
            uint32_t producer = view->tensors[view->layers[l]->inputs[i]]->producer;
            is_one = producer == NAPM_NONE || done[producer];
        }
        if (is_one)
            done[l] = true;
    }
    free(done);
    return is_one;
}

/* Does every layer get what it needs from its own node, or from one before it on the way? */
static bool is_closed(const struct napm_model *view, const uint32_t *node_of_layer, struct order_fault *fault)
{
    for (uint32_t l = 0; l < view->layer_count; l++)
        for (uint32_t i = 0; i < view->layers[l]->input_count; i++) {
            uint32_t producer = view->tensors[view->layers[l]->inputs[i]]->producer;
            if (producer != NAPM_NONE && node_of_layer[producer] > node_of_layer[l]) {
                *fault = (struct order_fault){.layer = l, .needs = producer};
                return false;
            }
        }
    return true;
}

int order_make(const struct napm_model *view, const uint32_t *node_of_layer, uint32_t node_count, uint32_t *order,
               uint32_t *cuts, struct order_fault *fault)
{
    uint32_t place = 0;
    if (!is_closed(view, node_of_layer, fault))
        return -1;
    for (uint32_t node = 0; node < node_count; node++) {
        for (uint32_t l = 0; l < view->layer_count; l++)
            if (node_of_layer[l] == node)
                order[place++] = l;
        if (node + 1 < node_count)
            cuts[node] = place;
    }
    return order_same(order, NULL, 0, view->layer_count) ? 0 : 1;
}

/* Whatever needs a layer goes at least as far as it does. */
static void push_on(const struct napm_model *view, uint32_t *node_of_layer)
{
    for (uint32_t l = 0; l < view->layer_count; l++)
        for (uint32_t i = 0; i < view->layers[l]->input_count; i++) {
            uint32_t producer = view->tensors[view->layers[l]->inputs[i]]->producer;
            if (producer != NAPM_NONE && node_of_layer[producer] > node_of_layer[l])
                node_of_layer[l] = node_of_layer[producer];
        }
}

int order_random(const struct napm_model *view, struct random *random, uint32_t node_count, uint32_t *order,
                 uint32_t *cuts)
{
    uint32_t *node_of_layer = NEW_ARRAY(uint32_t, view->layer_count);
    struct order_fault fault;
    /* Each node begins with one layer or two, and with all that need them. */
    for (uint32_t node = 1; node < node_count && view->layer_count > 0; node++)
        for (uint32_t begun = 1 + (uint32_t)(2 * random_unit(random)); begun > 0; begun--)
            node_of_layer[(uint32_t)(random_unit(random) * view->layer_count)] = node;
    push_on(view, node_of_layer);
    int answer = order_make(view, node_of_layer, node_count, order, cuts, &fault);
    free(node_of_layer);
    return answer;
}
