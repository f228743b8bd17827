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

/*
 * Reads an ONNX file (opset 7 to 21): graph, constant folding, shape inference, layers. An open first dimension of an
 * input is the batch and becomes 1. Weights stay in the file, which must not be changed while the model is open.
 * Returns NULL with an error that names the path, and node, operator and opset where an operator is the reason.
 * After opening nothing changes: all that follows may be called from any thread until model_close.
 */
struct model *model_open(const char *path, struct error *error);
void model_close(struct model *model);
const struct napm_model *model_view(const struct model *model);
const char *model_path(const struct model *model);

/*
 * A part of the model: layers first..last-1 and the tensors that go in and out. Arrays are ended by model_part_free.
 *
 * `spec` (whose arrays are layers, inputs and outputs) can be handed to a backend as it is: inputs are tensors from
 * outside that its layers use; outputs are tensors that its layers compute and that later layers or the model's
 * outputs need.
 *
 * What the part's two borders see is a little more: `arriving` are the cut tensors at `first`, `leaving` those at
 * `last`. A leaving tensor is either one of the outputs, or it is one of the arriving ones, passed through because only
 * a later layer uses it (a skip connection, a model input that a late layer uses, an early model output). In a chain
 * arriving == inputs and leaving == outputs. All lists are ascending by tensor index.
 */
struct model_part {
    struct napm_segment spec;
    uint32_t *layers, *inputs, *outputs;
    uint32_t arriving_count, leaving_count;
    uint32_t *arriving, *leaving;
    uint64_t arriving_bytes, leaving_bytes;
};

/* The part made of layers first..last-1 (0 <= first <= last <= layer_count; equal: an empty part, all passed through). */
void model_part_range(const struct model *model, uint32_t first, uint32_t last, struct model_part *part);
void model_part_free(struct model_part *part);

/*
 * The tensors that cross at cut c in 0..layer_count: those that exist before layer c (model inputs, results of layers
 * before c) and are used by layer c or a later one, or are outputs of the model. So cut 0 crosses the model's
 * inputs and cut layer_count its outputs. Returns their number; stores total bytes and, unless NULL, their indices
 * (room for view->tensor_count always suffices).
 */
uint32_t model_cut(const struct model *model, uint32_t c, uint64_t *bytes, uint32_t *tensors);

/*
 * Weights (each once, even if layers share it) and greatest sum of live activations of layers first..last-1, in the
 * plain layout: what arrives is live until its last use in the part (to the end, where it is passed through).
 */
void model_part_memory(const struct model *model, uint32_t first, uint32_t last, uint64_t *weight_bytes,
                       uint64_t *activation_bytes);

#endif
