/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: one of ONNX's own conformance cases (Debian: libonnx-testdata): a model, its inputs and expected outputs. */
#ifndef TESTS_BACKEND_ONNX_CASE_H
#define TESTS_BACKEND_ONNX_CASE_H

#include "core/base/error.h"
#include "core/model/model.h"
#include "core/model/tensor_proto.h"

#define ONNX_CASE_TENSORS 16

struct onnx_case {
    struct model *model;
    /* By input and output of the model. Data may lie at any alignment. */
    struct tensor_proto inputs[ONNX_CASE_TENSORS], outputs[ONNX_CASE_TENSORS];
    struct file_map files[2 * ONNX_CASE_TENSORS];
    uint32_t file_count;
};

/*
 * Reads the case in `folder`. With `freeze` every input but the first becomes a constant of the model, as weights and
 * shapes are in real models. A model of opset 6 (the cases that come from PyTorch) is read as one of opset 7 where
 * it uses nothing that changed between the two. On failure nothing is left to free, and the error says why the case
 * cannot be used.
 */
int onnx_case_open(const char *folder, bool freeze, struct onnx_case *onnx_case, struct error *error);
void onnx_case_close(struct onnx_case *onnx_case);

#endif
