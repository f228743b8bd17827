/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model as plugins see it: tensors, operators and layers.
 *
 * The platform reads an ONNX file, folds constants, infers every shape and groups the operators into layers. A layer
 * is the smallest unit that can be placed: one operator, or a run of operators that a backend always fuses
 * (convolution + batch normalisation + addition + activation). Layers are numbered 0..layer_count-1 in a topological
 * order that never changes for one file. The whole structure is constant and outlives every instance that saw it.
 */
#ifndef NAPM_MODEL_H
#define NAPM_MODEL_H

#include <stdint.h>

#include <napm/host.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Element types; the numbers are ONNX's TensorProto.DataType. Activations are NAPM_F32 in version 1. */
#define NAPM_F32 1u
#define NAPM_U8 2u
#define NAPM_I8 3u
#define NAPM_I32 6u
#define NAPM_I64 7u
#define NAPM_BOOL 9u
#define NAPM_F64 11u

/* A tensor: an edge of the graph. Layout is dense row-major, for images NCHW. */
struct napm_tensor {
    uint32_t size;
    uint32_t element_type;
    const char *name;
    uint32_t rank; /* 0 for a scalar */
    uint32_t producer; /* layer that computes it; NAPM_NONE for constants and model inputs, or inside a layer */
    const int64_t *dims; /* rank numbers, all fixed and positive */
    uint64_t bytes;
    /*
     * Constants (weights): the data, else NULL. It may lie in a mapped file and at any alignment: copy it out (memcpy)
     * when preparing a segment; do not keep reading it per task.
     */
    const void *data;
};

/* Type of an attribute (struct napm_attribute.type). */
#define NAPM_ATTRIBUTE_REAL 1u
#define NAPM_ATTRIBUTE_INTEGER 2u
#define NAPM_ATTRIBUTE_TEXT 3u
#define NAPM_ATTRIBUTE_REALS 6u
#define NAPM_ATTRIBUTE_INTEGERS 7u

/* An operator's attribute, as ONNX defines it for the operator and opset. */
struct napm_attribute {
    uint32_t size;
    uint32_t type;
    const char *name;
    double real;
    int64_t integer;
    const char *text;
    uint32_t count; /* of reals or integers */
    uint32_t reserved;
    const double *reals;
    const int64_t *integers;
};

/* One operator. inputs and outputs are tensor indices in ONNX's order; NAPM_NONE where an optional one is left out. */
struct napm_operator {
    uint32_t size;
    uint32_t opset; /* version of the operator set the model imports for this operator's domain */
    const char *name; /* the node's name, or one made from its type and number */
    const char *type; /* "Conv", "Relu", ... */
    const char *domain; /* "" for ONNX's own */
    uint32_t input_count;
    uint32_t output_count;
    const uint32_t *inputs;
    const uint32_t *outputs;
    uint32_t attribute_count;
    uint32_t layer; /* the layer that this operator belongs to */
    const struct napm_attribute *const *attributes;
};

/* One layer. */
struct napm_layer {
    uint32_t size;
    uint32_t operator_count;
    const char *name;
    const uint32_t *operators; /* operator indices in execution order */
    uint32_t input_count;
    uint32_t output_count;
    const uint32_t *inputs; /* tensors from other layers or model inputs, in first-use order; no constants */
    const uint32_t *outputs; /* tensors that other layers or the model's outputs use */
    double flops; /* 2 for each multiply-add of one inference, 1 for each other arithmetic operation */
    uint64_t parameter_count;
    uint64_t parameter_bytes;
};

struct napm_model {
    uint32_t size;
    uint32_t tensor_count;
    const char *name;
    const char *hash; /* hexadecimal digest of the file's bytes */
    const struct napm_tensor *const *tensors;
    uint32_t operator_count;
    uint32_t layer_count;
    const struct napm_operator *const *operators;
    const struct napm_layer *const *layers;
    uint32_t input_count;
    uint32_t output_count;
    const uint32_t *inputs; /* tensor indices, without constants */
    const uint32_t *outputs; /* tensor indices */
};

#ifdef __cplusplus
}
#endif

#endif /* NAPM_MODEL_H */
