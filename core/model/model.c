/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model: from the ONNX file to the SDK's view of it. */
#include "core/model/model.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/model/cost.h"
#include "core/model/graph.h"
#include "core/model/layers.h"
#include "core/model/onnx_read.h"
#include "core/model/operators.h"

struct model {
    struct graph *graph; /* owns everything */
    char *path;
    struct napm_model view;
};

/* What the view is built with. */
struct builder {
    struct graph *graph;
    struct napm_model *view;
    uint32_t *index_of_value; /* value -> tensor, NAPM_NONE where it is not in the view */
    uint32_t *operator_of_node;
    uint32_t *node_of_operator;
    const uint32_t *heads;
    uint32_t *input_of, *weight_of; /* tensor -> 1 + the last layer that it was counted for */
};

static void *builder_array(struct builder *b, size_t count, size_t element_bytes)
{
    return graph_allocate(b->graph, count * element_bytes);
}

/* ---- tensors */

static void count_value(struct builder *b, uint32_t value)
{
    if (value != NAPM_NONE && b->index_of_value[value] == NAPM_NONE)
        b->index_of_value[value] = b->view->tensor_count++;
}

/* Numbers the tensors in the order of their first appearance: model inputs, then by operators. */
static void number_tensors(struct builder *b)
{
    memset(b->index_of_value, 0xff, b->graph->values.count * sizeof(*b->index_of_value));
    for (size_t i = 0; i < b->graph->inputs.count; i++)
        count_value(b, b->graph->inputs.items[i]);
    for (uint32_t o = 0; o < b->view->operator_count; o++) {
        const struct graph_node *node = &b->graph->nodes.items[b->node_of_operator[o]];
        for (uint32_t i = 0; i < node->input_count; i++)
            count_value(b, node->inputs[i]);
        for (uint32_t i = 0; i < node->output_count; i++)
            if (node->outputs[i] != NAPM_NONE && b->graph->values.items[node->outputs[i]].has_shape)
                count_value(b, node->outputs[i]);
    }
}

static bool crosses_layers(const struct builder *b, const struct graph_value *value)
{
    uint32_t own = b->graph->nodes.items[value->producer].layer;
    for (uint32_t u = 0; u < value->use_count; u++)
        if (b->graph->nodes.items[value->uses[u]].layer != own)
            return true;
    return value->is_output;
}

static const struct napm_tensor *build_tensor(struct builder *b, const struct graph_value *value)
{
    struct napm_tensor *tensor = builder_array(b, 1, sizeof(*tensor));
    *tensor = (struct napm_tensor){.size = sizeof(*tensor),
                                   .element_type = value->element_type,
                                   .name = value->name,
                                   .rank = value->rank,
                                   .producer = NAPM_NONE,
                                   .data = value->is_constant ? value->data : NULL};
    int64_t *dims = builder_array(b, value->rank, sizeof(*dims));
    if (value->rank)
        memcpy(dims, value->dims, value->rank * sizeof(*dims));
    tensor->dims = dims;
    tensor->bytes = graph_elements(value) * graph_element_bytes(value->element_type);
    if (value->producer != NAPM_NONE && !value->is_constant && crosses_layers(b, value))
        tensor->producer = b->graph->nodes.items[value->producer].layer;
    return tensor;
}

static void build_tensors(struct builder *b)
{
    number_tensors(b);
    const struct napm_tensor **tensors = builder_array(b, b->view->tensor_count, sizeof(*tensors));
    for (size_t v = 0; v < b->graph->values.count; v++)
        if (b->index_of_value[v] != NAPM_NONE)
            tensors[b->index_of_value[v]] = build_tensor(b, &b->graph->values.items[v]);
    b->view->tensors = tensors;
}

static const uint32_t *tensor_indices(struct builder *b, const uint32_t *values, size_t count)
{
    uint32_t *indices = builder_array(b, count, sizeof(*indices));
    for (size_t i = 0; i < count; i++)
        indices[i] = values[i] == NAPM_NONE ? NAPM_NONE : b->index_of_value[values[i]];
    return indices;
}

/* ---- operators */

/* Operators are numbered layer by layer, and inside a layer in topological order. */
static void number_operators(struct builder *b)
{
    uint32_t count = (uint32_t)b->graph->nodes.count;
    uint32_t *next = NEW_ARRAY(uint32_t, (size_t)b->view->layer_count + 1);
    for (uint32_t n = 0; n < count; n++)
        next[b->graph->nodes.items[n].layer + 1]++;
    for (uint32_t l = 0; l < b->view->layer_count; l++)
        next[l + 1] += next[l];
    for (uint32_t n = 0; n < count; n++) {
        b->operator_of_node[n] = next[b->graph->nodes.items[n].layer]++;
        b->node_of_operator[b->operator_of_node[n]] = n;
    }
    free(next);
    b->view->operator_count = count;
}

static const struct napm_operator *build_operator(struct builder *b, const struct graph_node *node)
{
    struct napm_operator *op = builder_array(b, 1, sizeof(*op));
    *op = (struct napm_operator){.size = sizeof(*op),
                                 .opset = (uint32_t)node->opset,
                                 .name = node->name,
                                 .type = node->type,
                                 .domain = node->domain,
                                 .input_count = node->input_count,
                                 .output_count = node->output_count,
                                 .layer = node->layer};
    op->inputs = tensor_indices(b, node->inputs, node->input_count);
    op->outputs = tensor_indices(b, node->outputs, node->output_count);
    const struct napm_attribute **attributes = builder_array(b, node->attribute_count, sizeof(*attributes));
    for (uint32_t i = 0; i < node->attribute_count; i++)
        if (node->attributes[i].seen.type != 0 && node->attributes[i].seen.type != GRAPH_ATTRIBUTE_TENSOR)
            attributes[op->attribute_count++] = &node->attributes[i].seen;
    op->attributes = attributes;
    return op;
}

static void build_operators(struct builder *b)
{
    const struct napm_operator **operators = builder_array(b, b->view->operator_count, sizeof(*operators));
    for (uint32_t o = 0; o < b->view->operator_count; o++)
        operators[o] = build_operator(b, &b->graph->nodes.items[b->node_of_operator[o]]);
    b->view->operators = operators;
}

/* ---- layers */

/* Says once for each layer and tensor that the tensor is new to the layer. */
static bool is_new(uint32_t *stamps, uint32_t tensor, uint32_t layer)
{
    bool first = stamps[tensor] != layer + 1;
    stamps[tensor] = layer + 1;
    return first;
}

static void add_node(struct builder *b, struct napm_layer *layer, const struct graph_node *node, uint32_t *inputs,
                     uint32_t *outputs)
{
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct graph_value *input = graph_input(b->graph, node, i);
        if (!input)
            continue;
        uint32_t tensor = b->index_of_value[node->inputs[i]];
        bool is_own = input->producer != NAPM_NONE && b->graph->nodes.items[input->producer].layer == node->layer;
        if (cost_is_parameter(b->graph, node, i) && is_new(b->weight_of, tensor, node->layer)) {
            layer->parameter_bytes += b->view->tensors[tensor]->bytes;
            layer->parameter_count += graph_elements(input);
        }
        if (!input->is_constant && !is_own && is_new(b->input_of, tensor, node->layer))
            inputs[layer->input_count++] = tensor;
    }
    for (uint32_t o = 0; o < node->output_count; o++) {
        const struct graph_value *output = graph_output(b->graph, node, o);
        if (output && output->has_shape && crosses_layers(b, output))
            outputs[layer->output_count++] = b->index_of_value[node->outputs[o]];
    }
    layer->flops += cost_flops(b->graph, node);
}

/* Builds the layer whose operators start at *next. */
static const struct napm_layer *build_layer(struct builder *b, uint32_t number, uint32_t *next)
{
    struct napm_layer *layer = builder_array(b, 1, sizeof(*layer));
    uint32_t first = *next, input_room = 0, output_room = 0;
    for (; *next < b->view->operator_count && b->view->operators[*next]->layer == number; (*next)++) {
        input_room += b->view->operators[*next]->input_count;
        output_room += b->view->operators[*next]->output_count;
    }
    uint32_t *operators = builder_array(b, *next - first, sizeof(*operators));
    uint32_t *inputs = builder_array(b, input_room, sizeof(*inputs));
    uint32_t *outputs = builder_array(b, output_room, sizeof(*outputs));
    *layer = (struct napm_layer){.size = sizeof(*layer),
                                 .operator_count = *next - first,
                                 .name = b->graph->nodes.items[b->heads[number]].name,
                                 .operators = operators,
                                 .inputs = inputs,
                                 .outputs = outputs};
    for (uint32_t o = first; o < *next; o++) {
        operators[o - first] = o;
        add_node(b, layer, &b->graph->nodes.items[b->node_of_operator[o]], inputs, outputs);
    }
    return layer;
}

static void build_layers(struct builder *b)
{
    const struct napm_layer **layers = builder_array(b, b->view->layer_count, sizeof(*layers));
    uint32_t next = 0;
    for (uint32_t l = 0; l < b->view->layer_count; l++)
        layers[l] = build_layer(b, l, &next);
    b->view->layers = layers;
}

/* ---- the whole */

static void build_view(struct model *model)
{
    struct graph *graph = model->graph;
    struct napm_model *view = &model->view;
    uint32_t *heads;
    *view = (struct napm_model){.size = sizeof(*view), .name = graph->name, .hash = graph->digest};
    view->layer_count = layers_group(graph, &heads);
    struct builder b = {.graph = graph, .view = view, .heads = heads};
    b.index_of_value = NEW_ARRAY(uint32_t, graph->values.count);
    b.operator_of_node = NEW_ARRAY(uint32_t, graph->nodes.count);
    b.node_of_operator = NEW_ARRAY(uint32_t, graph->nodes.count);
    number_operators(&b);
    build_tensors(&b);
    build_operators(&b);
    b.input_of = NEW_ARRAY(uint32_t, view->tensor_count);
    b.weight_of = NEW_ARRAY(uint32_t, view->tensor_count);
    build_layers(&b);
    view->input_count = (uint32_t)graph->inputs.count;
    view->output_count = (uint32_t)graph->outputs.count;
    view->inputs = tensor_indices(&b, graph->inputs.items, graph->inputs.count);
    view->outputs = tensor_indices(&b, graph->outputs.items, graph->outputs.count);
    free(b.index_of_value);
    free(b.operator_of_node);
    free(b.node_of_operator);
    free(b.input_of);
    free(b.weight_of);
    free(heads);
}

static int check_inputs(const struct graph *graph, struct error *error)
{
    for (size_t i = 0; i < graph->inputs.count; i++) {
        const struct graph_value *input = &graph->values.items[graph->inputs.items[i]];
        if (input->use_count > 0 && input->element_type != NAPM_F32)
            return error_set(error, ERROR_INPUT, "input '%.200s' is %s; only float32 inputs are supported", input->name,
                             graph_element_name(input->element_type));
    }
    return 0;
}

struct model *model_open(const char *path, struct error *error)
{
    struct graph *graph = onnx_read(path, error);
    if (!graph || graph_order(graph, error) || operators_resolve(graph, error) || check_inputs(graph, error)) {
        graph_free(graph);
        /* A file that cannot be opened is named by file_map. */
        if (error && strncmp(error->text, path, strlen(path)) != 0)
            error_prefix(error, "%s", path);
        return NULL;
    }
    struct model *model = NEW(struct model);
    model->graph = graph;
    model->path = text_copy(path);
    build_view(model);
    return model;
}

void model_close(struct model *model)
{
    if (!model)
        return;
    graph_free(model->graph);
    free(model->path);
    free(model);
}

const struct napm_model *model_view(const struct model *model)
{
    return &model->view;
}

const char *model_path(const struct model *model)
{
    return model->path;
}
