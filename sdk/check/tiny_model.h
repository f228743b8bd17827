/* SPDX-License-Identifier: Apache-2.0 */
/* Small models, built in memory, with seeded weights, and their values computed in double precision to compare with. */
#ifndef NAPM_CHECK_TINY_MODEL_H
#define NAPM_CHECK_TINY_MODEL_H

#include <napm/model.h>

/* More tensors, operators or layers than this has no tiny model. */
#define TINY_MOST 32

struct tiny_model;

/* Elementwise operators with a skip connection; a perceptron (Gemm, Relu); a small CNN. */
#define TINY_MODEL_COUNT 3u
struct tiny_model *tiny_model_new(unsigned which);

/* A chain of `layer_count` Relu layers: something to partition. */
struct tiny_model *tiny_model_chain(uint32_t layer_count);
void tiny_model_free(struct tiny_model *tiny);
const struct napm_model *tiny_model_view(const struct tiny_model *tiny);

uint64_t tiny_tensor_elements(const struct napm_tensor *tensor);

/*
 * Computes all tensors. values[t] has room for tensor t's elements (NULL for constants); the model's inputs are filled
 * by the caller.
 */
void tiny_model_compute(const struct napm_model *model, double *const *values);

#endif
