/* SPDX-License-Identifier: Apache-2.0 */
/* A model described as rows of a table. */
#include "core/model/describe.h"

#include <stdlib.h>

#include "core/base/memory.h"

/* Replaces *text by itself, the separator and `more`. */
static void append(char **text, const char *separator, const char *more)
{
    char *joined = text_format("%s%s%s", *text ? *text : "", *text ? separator : "", more);
    free(*text);
    *text = joined;
}

char *describe_shape(const struct napm_tensor *tensor)
{
    char *text = NULL;
    for (uint32_t d = 0; d < tensor->rank; d++) {
        char *dim = text_format("%lld", (long long)tensor->dims[d]);
        append(&text, "x", dim);
        free(dim);
    }
    return text ? text : text_copy("scalar");
}

static void describe_layer(const struct model *model, uint32_t number, uint32_t *cut, struct describe_row *row)
{
    const struct napm_model *view = model_view(model);
    const struct napm_layer *layer = view->layers[number];
    *row = (struct describe_row){.layer = number,
                                 .name = layer->name,
                                 .flops = layer->flops,
                                 .parameter_count = layer->parameter_count,
                                 .parameter_bytes = layer->parameter_bytes};
    for (uint32_t o = 0; o < layer->operator_count; o++)
        append(&row->operators, "+", view->operators[layer->operators[o]]->type);
    for (uint32_t o = 0; o < layer->output_count; o++) {
        const struct napm_tensor *output = view->tensors[layer->outputs[o]];
        char *shape = describe_shape(output);
        append(&row->output_shape, " ", shape);
        free(shape);
        row->output_bytes += output->bytes;
    }
    row->cut_tensor_count = model_cut(model, number + 1, &row->cut_bytes, cut);
    for (uint32_t t = 0; t < row->cut_tensor_count; t++)
        append(&row->cut_tensors, " ", view->tensors[cut[t]]->name);
}

static char *describe_list(const struct napm_model *view, const uint32_t *tensors, uint32_t count)
{
    char *list = NULL;
    for (uint32_t i = 0; i < count; i++) {
        char *shape = describe_shape(view->tensors[tensors[i]]);
        char *item = text_format("%s %s", view->tensors[tensors[i]]->name, shape);
        append(&list, ", ", item);
        free(shape);
        free(item);
    }
    return list ? list : text_copy("");
}

void describe_model(const struct model *model, struct describe *description)
{
    const struct napm_model *view = model_view(model);
    uint32_t *cut = NEW_ARRAY(uint32_t, view->tensor_count);
    *description = (struct describe){.row_count = view->layer_count};
    description->rows = NEW_ARRAY(struct describe_row, view->layer_count);
    for (uint32_t l = 0; l < view->layer_count; l++) {
        describe_layer(model, l, cut, &description->rows[l]);
        description->flops += description->rows[l].flops;
        description->parameter_count += description->rows[l].parameter_count;
        description->parameter_bytes += description->rows[l].parameter_bytes;
    }
    free(cut);
    uint64_t weight_bytes;
    model_part_memory(model, 0, view->layer_count, &weight_bytes, &description->activation_bytes);
    model_cut(model, 0, &description->input_bytes, NULL);
    model_cut(model, view->layer_count, &description->output_bytes, NULL);
    description->inputs = describe_list(view, view->inputs, view->input_count);
    description->outputs = describe_list(view, view->outputs, view->output_count);
}

void describe_free(struct describe *description)
{
    for (uint32_t l = 0; l < description->row_count; l++) {
        free(description->rows[l].operators);
        free(description->rows[l].output_shape);
        free(description->rows[l].cut_tensors);
    }
    free(description->rows);
    free(description->inputs);
    free(description->outputs);
    *description = (struct describe){0};
}
