/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model file, read: the SDK's view (tensors, operators, layers) and what the platform needs beside it (cuts).
 */
#ifndef NAPM_MODEL_MODEL_H
#define NAPM_MODEL_MODEL_H

#include <napm/backend.h>
#include <napm/model.h>

#include "core/base/error.h"

struct model; /* owns everything below; the file stays mapped */

/* Reads an ONNX file: graph, constant folding, shape inference, layers. `batch` fixes symbolic dimensions (usually 1). */
struct model *model_open(const char *path, struct error *error);
void model_close(struct model *model);
const struct napm_model *model_view(const struct model *model);
const char *model_path(const struct model *model);

/*
 * A part of the model: some layers, and the tensors that go in and out of it. Owned by whoever called; arrays are ended
 * by model_part_free. `spec` can be handed to a backend as it is.
 */
struct model_part {
    struct napm_segment spec;
    uint32_t *layers, *inputs, *outputs;
    uint64_t input_bytes, output_bytes;
};

/*
 * The part made of layers first..last-1 (first == last: an empty part, whose outputs equal its inputs). Inputs are the
 * tensors that come from outside (model inputs or other layers), outputs those that other layers or the model's outputs
 * need, both ascending by tensor index. So the outputs of part(0, c) and the inputs of part(c, L) are the same list,
 * the cut tensors at c, but for model inputs that late layers use, which count as cut tensors too: they are
 * outputs of part(0, c) that are passed through.
 */
void model_part_range(const struct model *model, uint32_t first, uint32_t last, struct model_part *part);
void model_part_free(struct model_part *part);

/* The tensors that cross at cut c in 0..layer_count: count, total bytes, and (in tensors, unless NULL) their indices. */
uint32_t model_cut(const struct model *model, uint32_t c, uint64_t *bytes, uint32_t *tensors);

/* Weights and greatest sum of live activations of layers first..last-1, in the plain layout. */
void model_part_memory(const struct model *model, uint32_t first, uint32_t last, uint64_t *weight_bytes,
                       uint64_t *activation_bytes);

#endif
