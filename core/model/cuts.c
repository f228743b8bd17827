/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts: which tensors cross, what a part of the model takes in and gives, and the memory that it needs. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/model/model.h"
#include "core/model/order.h"

/*
 * When each tensor that crosses layers lives: it exists from `birth` (the number of layers run before it exists: 0
 * for model inputs) and is last needed by layer `last` (layer_count for the model's outputs).
 */
struct span {
    uint32_t birth, last;
    bool is_live; /* false: constants, tensors inside a layer, unused inputs */
};

static struct span *spans_new(const struct napm_model *view, const uint32_t *order)
{
    struct span *spans = NEW_ARRAY(struct span, view->tensor_count);
    for (uint32_t place = 0; place < view->layer_count; place++) {
        const struct napm_layer *layer = view->layers[order_layer(order, place)];
        for (uint32_t i = 0; i < layer->output_count; i++)
            spans[layer->outputs[i]].birth = place + 1;
        for (uint32_t i = 0; i < layer->input_count; i++) {
            spans[layer->inputs[i]].last = place;
            spans[layer->inputs[i]].is_live = true;
        }
    }
    for (uint32_t i = 0; i < view->output_count; i++) {
        spans[view->outputs[i]].last = view->layer_count;
        spans[view->outputs[i]].is_live = true;
    }
    return spans;
}

/* Crosses at cut c: exists before layer c, and is needed by it or later. */
static bool crosses(const struct span *span, uint32_t c)
{
    return span->is_live && span->birth <= c && span->last >= c;
}

static uint32_t list_crossing(const struct napm_model *view, const struct span *spans, uint32_t c, uint64_t *bytes,
                              uint32_t *tensors)
{
    uint32_t count = 0;
    *bytes = 0;
    for (uint32_t t = 0; t < view->tensor_count; t++) {
        if (!crosses(&spans[t], c))
            continue;
        if (tensors)
            tensors[count] = t;
        count++;
        *bytes += view->tensors[t]->bytes;
    }
    return count;
}

uint32_t order_cut(const struct napm_model *view, const uint32_t *order, uint32_t c, uint64_t *bytes, uint32_t *tensors)
{
    struct span *spans = spans_new(view, order);
    uint64_t total;
    uint32_t count = list_crossing(view, spans, c, &total, tensors);
    if (bytes)
        *bytes = total;
    free(spans);
    return count;
}

void order_cut_bytes(const struct napm_model *view, const uint32_t *order, uint64_t *bytes)
{
    struct span *spans = spans_new(view, order);
    memset(bytes, 0, ((size_t)view->layer_count + 1) * sizeof(*bytes));
    /* First what begins to cross at c, less what ceased to (unsigned sums wrap, and wrap back). */
    for (uint32_t t = 0; t < view->tensor_count; t++) {
        if (!spans[t].is_live)
            continue;
        bytes[spans[t].birth] += view->tensors[t]->bytes;
        if (spans[t].last < view->layer_count)
            bytes[spans[t].last + 1] -= view->tensors[t]->bytes;
    }
    for (uint32_t c = 1; c <= view->layer_count; c++)
        bytes[c] += bytes[c - 1];
    free(spans);
}

/* Marks the tensors that some layers use. */
static bool *used_tensors(const struct napm_model *view, const uint32_t *layers, uint32_t count)
{
    bool *used = NEW_ARRAY(bool, view->tensor_count);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < view->layers[layers[i]]->input_count; k++)
            used[view->layers[layers[i]]->inputs[k]] = true;
    return used;
}

void order_part(const struct napm_model *view, const uint32_t *order, uint32_t first, uint32_t last,
                struct model_part *part)
{
    struct span *spans = spans_new(view, order);
    *part = (struct model_part){.spec.size = sizeof(part->spec), .spec.layer_count = last - first};
    part->layers = NEW_ARRAY(uint32_t, last - first);
    part->inputs = NEW_ARRAY(uint32_t, view->tensor_count);
    part->outputs = NEW_ARRAY(uint32_t, view->tensor_count);
    part->arriving = NEW_ARRAY(uint32_t, view->tensor_count);
    part->leaving = NEW_ARRAY(uint32_t, view->tensor_count);
    for (uint32_t place = first; place < last; place++)
        part->layers[place - first] = order_layer(order, place);
    bool *used = used_tensors(view, part->layers, last - first);
    part->arriving_count = list_crossing(view, spans, first, &part->arriving_bytes, part->arriving);
    part->leaving_count = list_crossing(view, spans, last, &part->leaving_bytes, part->leaving);
    for (uint32_t i = 0; i < part->arriving_count; i++)
        if (used[part->arriving[i]])
            part->inputs[part->spec.input_count++] = part->arriving[i];
    for (uint32_t i = 0; i < part->leaving_count; i++)
        if (spans[part->leaving[i]].birth > first)
            part->outputs[part->spec.output_count++] = part->leaving[i];
    part->spec.layers = part->layers;
    part->spec.inputs = part->inputs;
    part->spec.outputs = part->outputs;
    free(used);
    free(spans);
}

void model_part_free(struct model_part *part)
{
    free(part->layers);
    free(part->inputs);
    free(part->outputs);
    free(part->arriving);
    free(part->leaving);
    *part = (struct model_part){0};
}

/* Bytes of the constants that the layers' operators use, each once. */
static uint64_t constant_bytes(const struct napm_model *view, const uint32_t *order, uint32_t first, uint32_t last)
{
    uint64_t bytes = 0;
    bool *seen = NEW_ARRAY(bool, view->tensor_count);
    for (uint32_t place = first; place < last; place++) {
        const struct napm_layer *layer = view->layers[order_layer(order, place)];
        for (uint32_t o = 0; o < layer->operator_count; o++) {
            const struct napm_operator *op = view->operators[layer->operators[o]];
            for (uint32_t i = 0; i < op->input_count; i++) {
                uint32_t t = op->inputs[i];
                if (t == NAPM_NONE || !view->tensors[t]->data || seen[t])
                    continue;
                seen[t] = true;
                bytes += view->tensors[t]->bytes;
            }
        }
    }
    free(seen);
    return bytes;
}

void order_memory(const struct napm_model *view, const uint32_t *order, uint32_t first, uint32_t last,
                  uint64_t *weight_bytes, uint64_t *activation_bytes)
{
    struct span *spans = spans_new(view, order);
    /* change[place - first]: bytes that begin to live at that layer, less those that ended before it. */
    int64_t *change = NEW_ARRAY(int64_t, (size_t)(last - first) + 1);
    for (uint32_t t = 0; t < view->tensor_count; t++) {
        uint32_t begins = spans[t].birth > 0 ? spans[t].birth - 1 : 0; /* the layer that makes it */
        if (!spans[t].is_live || begins >= last || spans[t].last < first)
            continue;
        uint32_t from = begins < first ? first : begins, to = spans[t].last >= last ? last : spans[t].last + 1;
        change[from - first] += (int64_t)view->tensors[t]->bytes;
        change[to - first] -= (int64_t)view->tensors[t]->bytes;
    }
    int64_t live = 0, most = 0;
    for (uint32_t l = first; l < last; l++) {
        live += change[l - first];
        most = live > most ? live : most;
    }
    *activation_bytes = (uint64_t)most;
    *weight_bytes = constant_bytes(view, order, first, last);
    free(change);
    free(spans);
}

/* ---- in the model's own order */

uint32_t model_cut(const struct model *model, uint32_t c, uint64_t *bytes, uint32_t *tensors)
{
    return order_cut(model_view(model), NULL, c, bytes, tensors);
}

void model_part_range(const struct model *model, uint32_t first, uint32_t last, struct model_part *part)
{
    order_part(model_view(model), NULL, first, last, part);
}

void model_part_memory(const struct model *model, uint32_t first, uint32_t last, uint64_t *weight_bytes,
                       uint64_t *activation_bytes)
{
    order_memory(model_view(model), NULL, first, last, weight_bytes, activation_bytes);
}
