/* SPDX-License-Identifier: Apache-2.0 */
/* Reading of ONNX's conformance cases. */
#include "tests/backend/onnx_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/model/onnx.pb-c.h"
#include "tests/backend/backend_trial.h"

static char *data_path(const char *folder, const char *kind, uint32_t index)
{
    return text_format("%s/test_data_set_0/%s_%u.pb", folder, kind, index);
}

static bool is_initializer(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (graph->initializer[i]->name && strcmp(graph->initializer[i]->name, name) == 0)
            return true;
    return false;
}

/* Makes a constant of the input: its data becomes an initializer of the graph. */
static int freeze_input(const char *folder, uint32_t index, Onnx__GraphProto *graph, const char *name,
                        struct error *error)
{
    char *path = data_path(folder, "input", index);
    struct file_map file;
    Onnx__TensorProto *tensor = NULL;
    if (file_map(path, &file, error) == 0) {
        tensor = onnx__tensor_proto__unpack(NULL, file.size, file.bytes);
        file_unmap(&file);
    }
    free(path);
    if (!tensor)
        return error_set(error, ERROR_INPUT, "input %u is not a tensor", index);
    free(tensor->name);
    tensor->name = text_copy(name);
    graph->initializer = memory_resize(graph->initializer, graph->n_initializer + 1, sizeof(*graph->initializer));
    graph->initializer[graph->n_initializer++] = tensor;
    return 0;
}

static int freeze_inputs(const char *folder, Onnx__GraphProto *graph, struct error *error)
{
    uint32_t index = 0;
    for (size_t i = 0; i < graph->n_input; i++) {
        if (is_initializer(graph, graph->input[i]->name))
            continue;
        if (index > 0 && freeze_input(folder, index, graph, graph->input[i]->name, error))
            return -1;
        index++;
    }
    return index > 1 ? 0 : error_set(error, ERROR_INPUT, "there is but one input");
}

/* Opset 7 replaced "broadcast along an axis" by numpy's rule: the same where no axis is given. */
static bool uses_old_broadcast(const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        bool broadcast = false, axis = false;
        for (size_t j = 0; j < node->n_attribute; j++) {
            broadcast = broadcast || strcmp(node->attribute[j]->name, "broadcast") == 0;
            axis = axis || strcmp(node->attribute[j]->name, "axis") == 0;
        }
        if (broadcast && axis)
            return true;
    }
    return false;
}

static void raise_opset(Onnx__ModelProto *model)
{
    for (size_t i = 0; i < model->n_opset_import; i++) {
        Onnx__OperatorSetIdProto *set = model->opset_import[i];
        if ((!set->domain || set->domain[0] == '\0') && set->version == 6 && !uses_old_broadcast(model->graph))
            set->version = 7;
    }
}

/* Writes the model, changed as asked for, into a new temporary file; free() the path. */
static char *write_changed(const char *folder, bool freeze, struct error *error)
{
    char *path = text_format("%s/model.onnx", folder);
    struct file_map file;
    int result = file_map(path, &file, error);
    free(path);
    if (result)
        return NULL;
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, file.size, file.bytes);
    file_unmap(&file);
    if (!model || !model->graph) {
        onnx__model_proto__free_unpacked(model, NULL);
        error_set(error, ERROR_INPUT, "not a model");
        return NULL;
    }
    char *changed = NULL;
    raise_opset(model);
    if (!freeze || freeze_inputs(folder, model->graph, error) == 0) {
        size_t size = onnx__model_proto__get_packed_size(model);
        uint8_t *bytes = memory_new(size + 1);
        onnx__model_proto__pack(model, bytes);
        changed = trial_temporary();
        if (file_write_atomically(changed, bytes, size, error)) {
            unlink(changed);
            free(changed);
            changed = NULL;
        }
        free(bytes);
    }
    onnx__model_proto__free_unpacked(model, NULL);
    return changed;
}

static struct model *open_model(const char *folder, bool freeze, struct error *error)
{
    char *path = write_changed(folder, freeze, error);
    if (!path)
        return NULL;
    struct model *model = model_open(path, error);
    unlink(path); /* the model keeps it mapped */
    free(path);
    return model;
}

static int read_tensor(struct onnx_case *onnx_case, const char *folder, const char *kind, uint32_t index,
                       const struct napm_tensor *expected, struct tensor_proto *tensor, struct error *error)
{
    char *path = data_path(folder, kind, index);
    struct file_map *file = &onnx_case->files[onnx_case->file_count];
    int result = file_map(path, file, error);
    free(path);
    if (result)
        return -1;
    onnx_case->file_count++;
    if (tensor_proto_read(file->bytes, file->size, tensor, error))
        return -1;
    bool same_dims = tensor->rank == expected->rank &&
                     (tensor->rank == 0 || memcmp(tensor->dims, expected->dims, tensor->rank * sizeof(int64_t)) == 0);
    if (tensor->element_type != expected->element_type || !same_dims)
        return error_set(error, ERROR_RUN, "%s %u differs in type or shape from the model's '%s'", kind, index,
                         expected->name);
    return 0;
}

int onnx_case_open(const char *folder, bool freeze, struct onnx_case *onnx_case, struct error *error)
{
    memset(onnx_case, 0, sizeof(*onnx_case));
    onnx_case->model = open_model(folder, freeze, error);
    if (!onnx_case->model)
        return -1;
    const struct napm_model *view = model_view(onnx_case->model);
    int result = 0;
    if (view->input_count > ONNX_CASE_TENSORS || view->output_count > ONNX_CASE_TENSORS)
        result = error_set(error, ERROR_INPUT, "more inputs or outputs than the test takes");
    for (uint32_t i = 0; result == 0 && i < view->input_count; i++)
        result =
            read_tensor(onnx_case, folder, "input", i, view->tensors[view->inputs[i]], &onnx_case->inputs[i], error);
    for (uint32_t i = 0; result == 0 && i < view->output_count; i++)
        result =
            read_tensor(onnx_case, folder, "output", i, view->tensors[view->outputs[i]], &onnx_case->outputs[i], error);
    if (result)
        onnx_case_close(onnx_case);
    return result;
}

void onnx_case_close(struct onnx_case *onnx_case)
{
    model_close(onnx_case->model);
    for (uint32_t i = 0; i < ONNX_CASE_TENSORS; i++) {
        free(onnx_case->inputs[i].owned);
        free(onnx_case->outputs[i].owned);
    }
    for (uint32_t i = 0; i < onnx_case->file_count; i++)
        file_unmap(&onnx_case->files[i]);
    memset(onnx_case, 0, sizeof(*onnx_case));
}
