/* SPDX-License-Identifier: Apache-2.0 */
/* One ONNX TensorProto, read from bytes in memory; its data stays in place where the encoding allows it. */
#ifndef NAPM_MODEL_TENSOR_PROTO_H
#define NAPM_MODEL_TENSOR_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/model/graph.h"

struct tensor_proto {
    const uint8_t *name; /* in place, not terminated */
    size_t name_bytes;
    uint32_t element_type;
    uint32_t rank;
    int64_t dims[GRAPH_MAX_RANK];
    const void *data; /* dense, little endian, at any alignment; in place, or == owned; NULL where external */
    uint64_t bytes;
    void *owned; /* NULL, or to be freed by the caller */
    bool is_external; /* the data is in another file: */
    char location[1024];
    uint64_t offset_bytes, length_bytes;
    bool has_length;
};

/* Reads and checks a tensor. On failure nothing is left to free; the text names the tensor. */
int tensor_proto_read(const uint8_t *bytes, size_t size, struct tensor_proto *tensor, struct error *error);

#endif
