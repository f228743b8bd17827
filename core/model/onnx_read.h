/* SPDX-License-Identifier: Apache-2.0 */
/* An ONNX file -> the graph as it stands in the file. Weights stay in the mapped file. Files are not trusted. */
#ifndef NAPM_MODEL_ONNX_READ_H
#define NAPM_MODEL_ONNX_READ_H

#include "core/model/graph.h"

/* Reads `path`. The caller frees the graph. Errors are ERROR_INPUT and do not name the path. */
struct graph *onnx_read(const char *path, struct error *error);

#endif
