/* SPDX-License-Identifier: Apache-2.0 */
/* A model described as rows of a table, one for each layer: what `napm model info` prints. */
#ifndef NAPM_MODEL_DESCRIBE_H
#define NAPM_MODEL_DESCRIBE_H

#include "core/model/model.h"

struct describe_row {
    uint32_t layer;
    const char *name; /* the model's */
    char *operators; /* "Conv+BatchNormalization+Relu" */
    char *output_shape; /* "1x64x16x16", several joined by " " */
    double flops;
    uint64_t parameter_count, parameter_bytes;
    uint64_t output_bytes;
    /* The cut behind this layer. */
    uint32_t cut_tensor_count;
    uint64_t cut_bytes;
    char *cut_tensors; /* names joined by " " */
};

struct describe {
    uint32_t row_count;
    struct describe_row *rows;
    /* The whole model. */
    double flops;
    uint64_t parameter_count, parameter_bytes;
    uint64_t activation_bytes; /* greatest sum of live activations */
    uint64_t input_bytes, output_bytes; /* the cuts before the first and behind the last layer */
    char *inputs, *outputs; /* "name 1x3x32x32", joined by ", " */
};

/* Valid until the model is closed; ended by describe_free. */
void describe_model(const struct model *model, struct describe *description);
void describe_free(struct describe *description);

/* "1x3x32x32" ("scalar" for rank 0); free() it. */
char *describe_shape(const struct napm_tensor *tensor);

#endif
