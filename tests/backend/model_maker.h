/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: models built by hand from the SDK's structures, without a file. Each operator is a layer of its own. The
 * data of constants is kept at odd addresses, as it may lie in a file. Everything belongs to the maker.
 */
#ifndef TESTS_BACKEND_MODEL_MAKER_H
#define TESTS_BACKEND_MODEL_MAKER_H

#include <stdint.h>

#include <napm/model.h>

struct maker;

struct maker *maker_new(uint32_t opset);
void maker_free(struct maker *maker);

/* Each returns the tensor's index. Data is copied. */
uint32_t maker_input(struct maker *maker, uint32_t type, uint32_t rank, const int64_t *dims);
uint32_t maker_constant(struct maker *maker, uint32_t type, uint32_t rank, const int64_t *dims, const void *data);
uint32_t maker_result(struct maker *maker, uint32_t type, uint32_t rank, const int64_t *dims);

/* Appends an operator and its layer, with the numbers that an estimate needs left at 0. Attributes are copied flat. */
void maker_operator(struct maker *maker, const char *type, const char *domain, uint32_t input_count,
                    const uint32_t *inputs, uint32_t output_count, const uint32_t *outputs, uint32_t attribute_count,
                    const struct napm_attribute *attributes);
void maker_layer_cost(struct maker *maker, uint32_t layer, double flops, uint64_t parameter_bytes);
void maker_output(struct maker *maker, uint32_t tensor);

/* The model so far; valid until the maker is changed or freed. */
const struct napm_model *maker_model(struct maker *maker);

#define MAKER_INTEGER(name_, value)                                                                                    \
    {                                                                                                                  \
        .size = sizeof(struct napm_attribute), .type = NAPM_ATTRIBUTE_INTEGER, .name = name_, .integer = value         \
    }
#define MAKER_REAL(name_, value)                                                                                       \
    {                                                                                                                  \
        .size = sizeof(struct napm_attribute), .type = NAPM_ATTRIBUTE_REAL, .name = name_, .real = value               \
    }
#define MAKER_TEXT(name_, value)                                                                                       \
    {                                                                                                                  \
        .size = sizeof(struct napm_attribute), .type = NAPM_ATTRIBUTE_TEXT, .name = name_, .text = value               \
    }
#define MAKER_INTEGERS(name_, ...)                                                                                     \
    {                                                                                                                  \
        .size = sizeof(struct napm_attribute), .type = NAPM_ATTRIBUTE_INTEGERS, .name = name_,                         \
        .count = sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .integers = (const int64_t[])               \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }

#endif
