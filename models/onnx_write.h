/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes ONNX files (opset 13) with random weights: the structure is collected in memory, the weights are generated
 * while the file is written, so that a model of half a gigabyte needs no memory to make. Weights lie at offsets
 * divisible by 64 in the file. The same calls with the same seed give the same bytes.
 */
#ifndef NAPM_MODELS_ONNX_WRITE_H
#define NAPM_MODELS_ONNX_WRITE_H

#include <stdint.h>

#include "core/base/error.h"

struct onnx_writer;

struct onnx_writer *onnx_writer_new(const char *graph_name);
void onnx_writer_free(struct onnx_writer *writer);

/* A float32 model input or output. */
void onnx_writer_input(struct onnx_writer *writer, const char *name, uint32_t rank, const int64_t *dims);
void onnx_writer_output(struct onnx_writer *writer, const char *name, uint32_t rank, const int64_t *dims);

/* A float32 weight, evenly spread over low..high. */
void onnx_writer_weight(struct onnx_writer *writer, const char *name, uint32_t rank, const int64_t *dims, float low,
                        float high);
/* A list of int64, such as the target of a Reshape. */
void onnx_writer_integers(struct onnx_writer *writer, const char *name, uint32_t count, const int64_t *values);

/* A node: begin, then its inputs ("" for one left out), outputs and attributes in order, then end. */
void onnx_writer_begin(struct onnx_writer *writer, const char *type, const char *name);
void onnx_writer_node_input(struct onnx_writer *writer, const char *value);
void onnx_writer_node_output(struct onnx_writer *writer, const char *value);
void onnx_writer_node_integer(struct onnx_writer *writer, const char *name, int64_t value);
void onnx_writer_node_integers(struct onnx_writer *writer, const char *name, uint32_t count, const int64_t *values);
void onnx_writer_node_real(struct onnx_writer *writer, const char *name, float value);
void onnx_writer_end(struct onnx_writer *writer);

/* Writes the file, beside its final name first. */
int onnx_writer_save(const struct onnx_writer *writer, uint64_t seed, const char *path, struct error *error);

#endif
