/* SPDX-License-Identifier: Apache-2.0 */
/* An ONNX file -> the graph as it stands in the file. */
#include "core/model/onnx_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/model/onnx.pb-c.h"
#include "core/model/protowire.h"
#include "core/model/tensor_proto.h"

/* Field numbers of onnx.proto that are walked here; all else is protobuf-c's. */
enum {
    MODEL_GRAPH = 7,
    MODEL_OPSET_IMPORT = 8,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE_INITIALIZER = 15,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7,
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_TENSOR = 5,
};
#define MAX_NESTING 16 /* of submessages that are handed to protobuf-c */
#define OLDEST_OPSET 7
#define NEWEST_OPSET 21

/* Version of the operator set of one domain. */
struct import {
    const char *domain;
    int64_t version;
};

/* A file of external data, mapped once however many tensors lie in it. */
struct external_file {
    const char *location;
    struct file_map map;
};

struct reader {
    struct graph *graph;
    const char *path;
    ARRAY_OF(struct import) imports;
    ARRAY_OF(struct external_file) externals;
    struct error *error;
};

static int corrupt(struct reader *reader, const char *what)
{
    return error_set(reader->error, ERROR_INPUT, "%s is truncated or corrupt; this is no valid ONNX file", what);
}

static const char *field_text(struct reader *reader, const struct protowire_field *field)
{
    return graph_text(reader->graph, field->bytes, field->size);
}

/* ---- external data */

/* Maps a file of external data. It must lie, symbolic links resolved, inside the folder of the model. */
static int map_external(struct reader *reader, const char *location, struct file_map *map)
{
    char *folder = file_path_beside(reader->path, "."), *wanted = file_path_beside(reader->path, location);
    char *real_folder = realpath(folder, NULL), *real_wanted = realpath(wanted, NULL);
    size_t length = real_folder ? strlen(real_folder) : 0;
    int status;
    if (!real_wanted)
        status = error_set(reader->error, ERROR_INPUT, "external data '%s': %s", location, strerror(errno));
    else if (!real_folder || strncmp(real_folder, real_wanted, length) != 0 ||
             (length > 1 && real_wanted[length] != '/'))
        status = error_set(reader->error, ERROR_INPUT, "external data '%s' is outside the model's folder", location);
    else
        status = file_map(real_wanted, map, reader->error);
    free(folder);
    free(wanted);
    free(real_folder);
    free(real_wanted);
    return status;
}

static int find_external(struct reader *reader, const char *location, struct file_map *map)
{
    for (size_t i = 0; i < reader->externals.count; i++)
        if (strcmp(reader->externals.items[i].location, location) == 0) {
            *map = reader->externals.items[i].map;
            return 0;
        }
    if (map_external(reader, location, map))
        return -1;
    graph_adopt_map(reader->graph, *map);
    *ARRAY_ADD(&reader->externals) =
        (struct external_file){graph_text(reader->graph, location, strlen(location)), *map};
    return 0;
}

static int locate_external(struct reader *reader, struct tensor_proto *tensor)
{
    struct file_map map;
    if (find_external(reader, tensor->location, &map))
        return -1;
    if (tensor->has_length && tensor->length_bytes != tensor->bytes)
        return error_set(reader->error, ERROR_INPUT, "tensor '%.*s': %llu bytes of external data do not fit its shape",
                         (int)tensor->name_bytes, (const char *)tensor->name, (unsigned long long)tensor->length_bytes);
    if (tensor->offset_bytes > map.size || tensor->bytes > map.size - tensor->offset_bytes)
        return error_set(reader->error, ERROR_INPUT, "tensor '%.*s' reaches beyond the end of external data '%s'",
                         (int)tensor->name_bytes, (const char *)tensor->name, tensor->location);
    tensor->data = map.bytes + tensor->offset_bytes;
    return 0;
}

/* ---- tensors and values */

/* Reads a tensor into the value of that index. */
static int read_constant(struct reader *reader, const struct protowire_field *field, const char *name, uint32_t *index)
{
    struct tensor_proto tensor;
    if (tensor_proto_read(field->bytes, field->size, &tensor, reader->error))
        return -1;
    if (tensor.owned)
        graph_adopt(reader->graph, tensor.owned);
    if (tensor.is_external && locate_external(reader, &tensor))
        return -1;
    if (!name)
        name = graph_text(reader->graph, tensor.name, tensor.name_bytes);
    *index = graph_value_named(reader->graph, name);
    struct graph_value *value = &reader->graph->values.items[*index];
    if (value->is_constant || value->producer != NAPM_NONE)
        return error_set(reader->error, ERROR_INPUT, "tensor '%.200s' is defined twice", name);
    value->element_type = tensor.element_type;
    value->rank = tensor.rank;
    memcpy(value->dims, tensor.dims, sizeof(value->dims));
    value->has_shape = value->is_constant = true;
    value->data = tensor.data;
    return 0;
}

/* Takes the shape of a model input. An open first dimension is the batch, and 1 here. */
static int read_input_shape(struct reader *reader, struct graph_value *value, const Onnx__TensorShapeProto *shape)
{
    if (shape->n_dim > GRAPH_MAX_RANK)
        return error_set(reader->error, ERROR_INPUT, "input '%.200s' has %zu dimensions; %d is the limit", value->name,
                         shape->n_dim, GRAPH_MAX_RANK);
    value->rank = (uint32_t)shape->n_dim;
    for (uint32_t i = 0; i < value->rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        bool is_fixed = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value > 0;
        if (!is_fixed && i > 0)
            return error_set(reader->error, ERROR_INPUT,
                             "input '%.200s': dimension %u is not fixed; export the model with a fixed input size",
                             value->name, i);
        value->dims[i] = is_fixed ? dim->dim_value : 1;
    }
    if (graph_shape_elements(value->element_type, value->rank, value->dims) < 0)
        return error_set(reader->error, ERROR_INPUT, "input '%.200s' has an absurd shape", value->name);
    value->has_shape = true;
    return 0;
}

static int read_input_type(struct reader *reader, struct graph_value *value, const Onnx__TypeProto *type)
{
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        return error_set(reader->error, ERROR_INPUT, "input '%.200s' is no tensor", value->name);
    value->element_type = (uint32_t)type->tensor_type->elem_type;
    if (graph_element_bytes(value->element_type) == 0)
        return error_set(reader->error, ERROR_INPUT,
                         "input '%.200s': element type %s is not supported; export the model in float32", value->name,
                         graph_element_name(value->element_type));
    if (!type->tensor_type->shape)
        return error_set(reader->error, ERROR_INPUT, "input '%.200s' has no shape; export the model with fixed shapes",
                         value->name);
    return read_input_shape(reader, value, type->tensor_type->shape);
}

static Onnx__ValueInfoProto *unpack_value_info(struct reader *reader, const struct protowire_field *field)
{
    Onnx__ValueInfoProto *info = NULL;
    if (field->wire == PROTOWIRE_BYTES &&
        protowire_depth_ok(&onnx__value_info_proto__descriptor, field->bytes, field->size, MAX_NESTING))
        info = onnx__value_info_proto__unpack(NULL, field->size, field->bytes);
    if (!info)
        corrupt(reader, "the description of a model input or output");
    return info;
}

/* A graph input: a model input, unless an initializer (read before) gives its value. */
static int read_graph_input(struct reader *reader, const struct protowire_field *field)
{
    Onnx__ValueInfoProto *info = unpack_value_info(reader, field);
    if (!info)
        return -1;
    int status = 0;
    uint32_t index = graph_value_named(reader->graph, info->name ? info->name : "");
    struct graph_value *value = &reader->graph->values.items[index];
    if (value->is_input) {
        status = error_set(reader->error, ERROR_INPUT, "input '%.200s' is listed twice", value->name);
    } else if (!value->is_constant) {
        value->is_input = true;
        *ARRAY_ADD(&reader->graph->inputs) = index;
        status = read_input_type(reader, value, info->type);
    }
    onnx__value_info_proto__free_unpacked(info, NULL);
    return status;
}

static int read_graph_output(struct reader *reader, const struct protowire_field *field)
{
    Onnx__ValueInfoProto *info = unpack_value_info(reader, field);
    if (!info)
        return -1;
    int status = 0;
    uint32_t index = graph_value_named(reader->graph, info->name ? info->name : "");
    struct graph_value *value = &reader->graph->values.items[index];
    if (value->is_output)
        status = error_set(reader->error, ERROR_INPUT, "output '%.200s' is listed twice", value->name);
    value->is_output = true;
    *ARRAY_ADD(&reader->graph->outputs) = index;
    onnx__value_info_proto__free_unpacked(info, NULL);
    return status;
}

/* ---- nodes */

static void copy_numbers(struct reader *reader, struct napm_attribute *seen, const Onnx__AttributeProto *proto)
{
    double *reals = graph_allocate(reader->graph, proto->n_floats * sizeof(*reals));
    for (size_t i = 0; i < proto->n_floats; i++)
        reals[i] = proto->floats[i];
    int64_t *integers = graph_allocate(reader->graph, proto->n_ints * sizeof(*integers));
    for (size_t i = 0; i < proto->n_ints; i++)
        integers[i] = proto->ints[i];
    seen->reals = reals;
    seen->integers = integers;
    seen->count = (uint32_t)(seen->type == NAPM_ATTRIBUTE_REALS ? proto->n_floats : proto->n_ints);
}

/*
 * The type of an attribute that carries no tensor; 0 for kinds that are not read (graphs...). Files of IR versions
 * before 3 do not state it: then it is told from what is there.
 */
static uint32_t attribute_type(const Onnx__AttributeProto *proto)
{
    if (!proto->has_type)
        return proto->has_f      ? NAPM_ATTRIBUTE_REAL
               : proto->has_i    ? NAPM_ATTRIBUTE_INTEGER
               : proto->has_s    ? NAPM_ATTRIBUTE_TEXT
               : proto->n_floats ? NAPM_ATTRIBUTE_REALS
                                 : NAPM_ATTRIBUTE_INTEGERS;
    switch ((uint32_t)proto->type) {
    case NAPM_ATTRIBUTE_REAL:
    case NAPM_ATTRIBUTE_INTEGER:
    case NAPM_ATTRIBUTE_TEXT:
    case NAPM_ATTRIBUTE_REALS:
    case NAPM_ATTRIBUTE_INTEGERS:
        return (uint32_t)proto->type;
    default:
        return 0;
    }
}

static int read_plain_attribute(struct reader *reader, const struct protowire_field *field,
                                struct graph_attribute *into)
{
    Onnx__AttributeProto *proto = NULL;
    if (protowire_depth_ok(&onnx__attribute_proto__descriptor, field->bytes, field->size, MAX_NESTING))
        proto = onnx__attribute_proto__unpack(NULL, field->size, field->bytes);
    if (!proto)
        return corrupt(reader, "an attribute");
    struct napm_attribute *seen = &into->seen;
    *seen = (struct napm_attribute){.size = sizeof(*seen), .type = attribute_type(proto)};
    seen->name = graph_text(reader->graph, proto->name, proto->name ? strlen(proto->name) : 0);
    seen->real = proto->f;
    seen->integer = proto->i;
    seen->text = graph_text(reader->graph, proto->s.data, proto->s.len);
    copy_numbers(reader, seen, proto);
    onnx__attribute_proto__free_unpacked(proto, NULL);
    return 0;
}

/* An attribute that carries a tensor (of a Constant, mostly) is walked, so that the tensor's data stays in place. */
static int read_attribute(struct reader *reader, const struct protowire_field *attribute, struct graph_attribute *into)
{
    struct protowire cursor = {attribute->bytes, attribute->bytes + attribute->size};
    struct protowire_field field, name = {0}, tensor = {0};
    int more;
    if (attribute->wire != PROTOWIRE_BYTES)
        return corrupt(reader, "an attribute");
    while ((more = protowire_next(&cursor, &field)) == 1)
        if (field.wire == PROTOWIRE_BYTES && field.number == ATTRIBUTE_NAME)
            name = field;
        else if (field.wire == PROTOWIRE_BYTES && field.number == ATTRIBUTE_TENSOR)
            tensor = field;
    if (more < 0)
        return corrupt(reader, "an attribute");
    into->tensor = NAPM_NONE;
    if (!tensor.bytes)
        return read_plain_attribute(reader, attribute, into);
    into->seen = (struct napm_attribute){
        .size = sizeof(into->seen), .type = GRAPH_ATTRIBUTE_TENSOR, .name = field_text(reader, &name)};
    char made_up[32]; /* a name that no ONNX name equals: those have no control characters */
    snprintf(made_up, sizeof(made_up), "\001%zu", reader->graph->values.count);
    return read_constant(reader, &tensor, graph_text(reader->graph, made_up, strlen(made_up)), &into->tensor);
}

/* How many fields of each number below 8 a node has; -1 where the node is malformed. */
static int count_fields(const struct protowire_field *node, uint32_t counts[8])
{
    struct protowire cursor = {node->bytes, node->bytes + node->size};
    struct protowire_field field;
    int more;
    while ((more = protowire_next(&cursor, &field)) == 1) {
        if (field.number >= 8)
            continue;
        counts[field.number]++;
        if (field.wire != PROTOWIRE_BYTES)
            return -1;
    }
    return more;
}

static int define_output(struct reader *reader, struct graph_node *node, const struct protowire_field *field)
{
    uint32_t *output = &node->outputs[node->output_count++];
    *output = NAPM_NONE;
    if (field->size == 0)
        return 0;
    *output = graph_value_named(reader->graph, field_text(reader, field));
    struct graph_value *value = &reader->graph->values.items[*output];
    if (value->producer != NAPM_NONE || value->is_constant || value->is_input)
        return error_set(reader->error, ERROR_INPUT, "tensor '%.200s' is defined twice", value->name);
    value->producer = (uint32_t)reader->graph->nodes.count - 1;
    return 0;
}

static int read_node_field(struct reader *reader, struct graph_node *node, const struct protowire_field *field)
{
    switch (field->number) {
    case NODE_INPUT:
        node->inputs[node->input_count++] =
            field->size ? graph_value_named(reader->graph, field_text(reader, field)) : NAPM_NONE;
        return 0;
    case NODE_OUTPUT:
        return define_output(reader, node, field);
    case NODE_NAME:
        node->name = field_text(reader, field);
        return 0;
    case NODE_OP_TYPE:
        node->type = field_text(reader, field);
        return 0;
    case NODE_DOMAIN:
        node->domain = field_text(reader, field);
        return 0;
    case NODE_ATTRIBUTE:
        return read_attribute(reader, field, &node->attributes[node->attribute_count++]);
    default:
        return 0;
    }
}

/* Name and opset of a node that has been read. */
static int complete_node(struct reader *reader, struct graph_node *node)
{
    if (strcmp(node->domain, "ai.onnx") == 0)
        node->domain = "";
    if (node->name[0] == '\0') {
        char name[256];
        snprintf(name, sizeof(name), "%.200s_%zu", node->type, reader->graph->nodes.count - 1);
        node->name = graph_text(reader->graph, name, strlen(name));
    }
    for (size_t i = 0; i < reader->imports.count; i++)
        if (strcmp(reader->imports.items[i].domain, node->domain) == 0)
            node->opset = reader->imports.items[i].version;
    if (node->opset == 0)
        return graph_node_error(node, reader->error, "the file imports no operator set for its domain '%.100s'",
                                node->domain);
    return 0;
}

static int read_node(struct reader *reader, const struct protowire_field *bytes)
{
    uint32_t counts[8] = {0};
    if (count_fields(bytes, counts) < 0)
        return corrupt(reader, "a node");
    struct graph *graph = reader->graph;
    struct graph_node *node = ARRAY_ADD(&graph->nodes);
    *node = (struct graph_node){.name = "", .type = "", .domain = "", .layer = NAPM_NONE};
    node->inputs = graph_allocate(graph, counts[NODE_INPUT] * sizeof(*node->inputs));
    node->outputs = graph_allocate(graph, counts[NODE_OUTPUT] * sizeof(*node->outputs));
    node->attributes = graph_allocate(graph, counts[NODE_ATTRIBUTE] * sizeof(*node->attributes));
    struct protowire cursor = {bytes->bytes, bytes->bytes + bytes->size};
    struct protowire_field field;
    while (protowire_next(&cursor, &field) == 1)
        if (read_node_field(reader, node, &field)) {
            if (node->name[0])
                error_prefix(reader->error, "node '%.200s'", node->name);
            return -1;
        }
    return complete_node(reader, node);
}

/* ---- the model */

/* Calls `read` on each field of that number. */
static int each_field(struct reader *reader, const struct protowire_field *message, uint32_t number,
                      int (*read)(struct reader *, const struct protowire_field *))
{
    struct protowire cursor = {message->bytes, message->bytes + message->size};
    struct protowire_field field;
    int more;
    while ((more = protowire_next(&cursor, &field)) == 1)
        if (field.number == number &&
            (field.wire == PROTOWIRE_BYTES ? read(reader, &field) : corrupt(reader, "the graph")))
            return -1;
    return more < 0 ? corrupt(reader, "the graph") : 0;
}

static int read_initializer(struct reader *reader, const struct protowire_field *field)
{
    uint32_t index;
    return read_constant(reader, field, NULL, &index);
}

static int read_graph_name(struct reader *reader, const struct protowire_field *field)
{
    reader->graph->name = field_text(reader, field);
    return 0;
}

static int refuse_sparse(struct reader *reader, const struct protowire_field *field)
{
    (void)field;
    return error_set(reader->error, ERROR_INPUT, "sparse initializers are not supported; export dense weights");
}

static int check_opset(struct reader *reader, int64_t version)
{
    if (version < OLDEST_OPSET)
        return error_set(reader->error, ERROR_INPUT,
                         "the model uses ONNX opset %lld; supported are %d to %d. Convert it with "
                         "onnx.version_converter or export it again",
                         (long long)version, OLDEST_OPSET, NEWEST_OPSET);
    if (version > NEWEST_OPSET)
        log_warning("model", "%s uses ONNX opset %lld, newer than %d: operators may have changed", reader->path,
                    (long long)version, NEWEST_OPSET);
    return 0;
}

static int read_import(struct reader *reader, const struct protowire_field *field)
{
    Onnx__OperatorSetIdProto *id = onnx__operator_set_id_proto__unpack(NULL, field->size, field->bytes);
    if (!id)
        return corrupt(reader, "the list of operator sets");
    const char *domain = id->domain && strcmp(id->domain, "ai.onnx") != 0 ? id->domain : "";
    struct import import = {graph_text(reader->graph, domain, strlen(domain)), id->has_version ? id->version : 0};
    *ARRAY_ADD(&reader->imports) = import;
    onnx__operator_set_id_proto__free_unpacked(id, NULL);
    return import.domain[0] == '\0' ? check_opset(reader, import.version) : 0;
}

/* A value that is used must come from somewhere. */
static int check_complete(struct reader *reader)
{
    struct graph *graph = reader->graph;
    for (size_t n = 0; n < graph->nodes.count; n++) {
        struct graph_node *node = &graph->nodes.items[n];
        for (uint32_t i = 0; i < node->input_count; i++) {
            struct graph_value *input = graph_input(graph, node, i);
            if (input && input->producer == NAPM_NONE && !input->is_constant && !input->is_input)
                return graph_node_error(node, reader->error,
                                        "its input '%.200s' is computed by no node, and is no input or weight",
                                        input->name);
        }
    }
    for (size_t i = 0; i < graph->outputs.count; i++) {
        const struct graph_value *output = &graph->values.items[graph->outputs.items[i]];
        if (output->producer == NAPM_NONE)
            return error_set(reader->error, ERROR_INPUT, "output '%.200s' is computed by no node", output->name);
    }
    if (graph->outputs.count == 0)
        return error_set(reader->error, ERROR_INPUT, "the model has no output");
    return 0;
}

static int read_graph(struct reader *reader, const struct protowire_field *graph)
{
    /* Initializers first: they decide which graph inputs are model inputs. */
    if (each_field(reader, graph, GRAPH_SPARSE_INITIALIZER, refuse_sparse) ||
        each_field(reader, graph, GRAPH_NAME, read_graph_name) ||
        each_field(reader, graph, GRAPH_INITIALIZER, read_initializer) ||
        each_field(reader, graph, GRAPH_INPUT, read_graph_input) || each_field(reader, graph, GRAPH_NODE, read_node) ||
        each_field(reader, graph, GRAPH_OUTPUT, read_graph_output))
        return -1;
    return check_complete(reader);
}

static int read_model(struct reader *reader, const struct file_map *map)
{
    struct protowire cursor = {map->bytes, map->bytes + map->size};
    struct protowire_field whole = {.bytes = map->bytes, .size = map->size}, field, graph = {0};
    int more;
    while ((more = protowire_next(&cursor, &field)) == 1)
        if (field.number == MODEL_GRAPH && field.wire == PROTOWIRE_BYTES)
            graph = field;
    if (more < 0)
        return corrupt(reader, "the file");
    if (!graph.bytes)
        return error_set(reader->error, ERROR_INPUT, "the file holds no graph; this is no ONNX model");
    if (each_field(reader, &whole, MODEL_OPSET_IMPORT, read_import))
        return -1;
    return read_graph(reader, &graph);
}

/* The digest of the file, and of its external data where there is any. */
static int digest_files(struct reader *reader, const struct file_map *map)
{
    char(*all)[FILE_DIGEST_BYTES] = memory_new_array(reader->externals.count + 1, sizeof(*all));
    int status = file_digest_map(map, all[0]);
    for (size_t i = 0; i < reader->externals.count && !status; i++)
        status = file_digest_map(&reader->externals.items[i].map, all[i + 1]);
    if (reader->externals.count)
        file_digest(all, (reader->externals.count + 1) * sizeof(*all), reader->graph->digest);
    else
        memcpy(reader->graph->digest, all[0], sizeof(all[0]));
    free(all);
    return status ? error_set(reader->error, ERROR_RUN, "no memory to take the file's digest") : 0;
}

struct graph *onnx_read(const char *path, struct error *error)
{
    struct file_map map;
    if (file_map(path, &map, error))
        return NULL;
    struct reader reader = {.graph = graph_new(), .path = path, .error = error};
    graph_adopt_map(reader.graph, map);
    reader.graph->name = "";
    reader.graph->fold_room_bytes = (UINT64_C(64) << 20) + 4 * (uint64_t)map.size;
    int status = map.size ? read_model(&reader, &map) : error_set(error, ERROR_INPUT, "the file is empty");
    if (!status)
        status = digest_files(&reader, &map);
    ARRAY_FREE(&reader.imports);
    ARRAY_FREE(&reader.externals);
    if (status) {
        graph_free(reader.graph);
        return NULL;
    }
    return reader.graph;
}
