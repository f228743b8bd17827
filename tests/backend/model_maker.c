/* SPDX-License-Identifier: Apache-2.0 */
/* Models built by hand, for tests. */
#include "tests/backend/model_maker.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

#define MOST 64 /* tensors, operators */

struct made_operator {
    struct napm_operator seen;
    char name[32];
    uint32_t inputs[MOST], outputs[MOST];
    struct napm_attribute attributes[16];
    const struct napm_attribute *attribute_list[16];
};

struct maker {
    struct napm_model model;
    uint32_t opset;
    struct napm_tensor tensors[MOST];
    int64_t dims[MOST][12];
    char names[MOST][16];
    void *data[MOST];
    const struct napm_tensor *tensor_list[MOST];
    struct made_operator operators[MOST];
    const struct napm_operator *operator_list[MOST];
    struct napm_layer layers[MOST];
    uint32_t numbers[MOST]; /* 0, 1, 2...: the operators of the layers */
    const struct napm_layer *layer_list[MOST];
    uint32_t inputs[MOST], outputs[MOST];
};

struct maker *maker_new(uint32_t opset)
{
    struct maker *maker = NEW(struct maker);
    maker->opset = opset;
    maker->model = (struct napm_model){.size = sizeof(maker->model),
                                       .name = "made",
                                       .hash = "00",
                                       .tensors = maker->tensor_list,
                                       .operators = maker->operator_list,
                                       .layers = maker->layer_list,
                                       .inputs = maker->inputs,
                                       .outputs = maker->outputs};
    return maker;
}

void maker_free(struct maker *maker)
{
    for (uint32_t i = 0; i < MOST; i++)
        free(maker->data[i]);
    free(maker);
}

static uint64_t element_bytes(uint32_t type)
{
    return type == NAPM_I64 || type == NAPM_F64 ? 8 : type == NAPM_F32 || type == NAPM_I32 ? 4 : 1;
}

static uint32_t add_tensor(struct maker *maker, uint32_t type, uint32_t rank, const int64_t *dims)
{
    uint32_t index = maker->model.tensor_count++;
    struct napm_tensor *tensor = &maker->tensors[index];
    *tensor = (struct napm_tensor){.size = sizeof(*tensor),
                                   .element_type = type,
                                   .name = maker->names[index],
                                   .rank = rank,
                                   .producer = NAPM_NONE,
                                   .dims = maker->dims[index],
                                   .bytes = element_bytes(type)};
    maker->names[index][0] = 't';
    maker->names[index][1] = (char)('0' + index / 10);
    maker->names[index][2] = (char)('0' + index % 10);
    for (uint32_t i = 0; i < rank; i++) {
        maker->dims[index][i] = dims[i];
        tensor->bytes *= (uint64_t)dims[i];
    }
    maker->tensor_list[index] = tensor;
    return index;
}

uint32_t maker_input(struct maker *maker, uint32_t type, uint32_t rank, const int64_t *dims)
{
    uint32_t index = add_tensor(maker, type, rank, dims);
    maker->inputs[maker->model.input_count++] = index;
    return index;
}

uint32_t maker_constant(struct maker *maker, uint32_t type, uint32_t rank, const int64_t *dims, const void *data)
{
    uint32_t index = add_tensor(maker, type, rank, dims);
    char *block = memory_new(maker->tensors[index].bytes + 1);
    memcpy(block + 1, data, maker->tensors[index].bytes);
    maker->data[index] = block;
    maker->tensors[index].data = block + 1;
    return index;
}

uint32_t maker_result(struct maker *maker, uint32_t type, uint32_t rank, const int64_t *dims)
{
    return add_tensor(maker, type, rank, dims);
}

void maker_operator(struct maker *maker, const char *type, const char *domain, uint32_t input_count,
                    const uint32_t *inputs, uint32_t output_count, const uint32_t *outputs, uint32_t attribute_count,
                    const struct napm_attribute *attributes)
{
    uint32_t index = maker->model.operator_count++;
    struct made_operator *made = &maker->operators[index];
    made->seen = (struct napm_operator){.size = sizeof(made->seen),
                                        .opset = maker->opset,
                                        .name = made->name,
                                        .type = type,
                                        .domain = domain,
                                        .input_count = input_count,
                                        .output_count = output_count,
                                        .inputs = made->inputs,
                                        .outputs = made->outputs,
                                        .attribute_count = attribute_count,
                                        .layer = index,
                                        .attributes = made->attribute_list};
    strcpy(made->name, "layer");
    made->name[5] = (char)('0' + index / 10);
    made->name[6] = (char)('0' + index % 10);
    memcpy(made->inputs, inputs, input_count * sizeof(*inputs));
    memcpy(made->outputs, outputs, output_count * sizeof(*outputs));
    for (uint32_t i = 0; i < attribute_count; i++) {
        made->attributes[i] = attributes[i];
        made->attribute_list[i] = &made->attributes[i];
    }
    for (uint32_t i = 0; i < output_count; i++)
        if (outputs[i] != NAPM_NONE)
            maker->tensors[outputs[i]].producer = index;
    maker->operator_list[index] = &made->seen;
    maker->numbers[index] = index;
    maker->layers[index] = (struct napm_layer){.size = sizeof(struct napm_layer),
                                               .operator_count = 1,
                                               .name = made->name,
                                               .operators = &maker->numbers[index],
                                               .input_count = input_count,
                                               .output_count = output_count,
                                               .inputs = made->inputs,
                                               .outputs = made->outputs};
    maker->layer_list[index] = &maker->layers[index];
    maker->model.layer_count++;
}

void maker_layer_cost(struct maker *maker, uint32_t layer, double flops, uint64_t parameter_bytes)
{
    maker->layers[layer].flops = flops;
    maker->layers[layer].parameter_bytes = parameter_bytes;
}

void maker_output(struct maker *maker, uint32_t tensor)
{
    maker->outputs[maker->model.output_count++] = tensor;
}

const struct napm_model *maker_model(struct maker *maker)
{
    return &maker->model;
}
