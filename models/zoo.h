/* SPDX-License-Identifier: Apache-2.0 */
/* The model zoo: well-known networks as ONNX files with seeded random weights, for experiments and tests. */
#ifndef NAPM_MODELS_ZOO_H
#define NAPM_MODELS_ZOO_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

struct zoo_model {
    const char *name;
    const char *summary; /* one line for people */
};

/* All models, in the order in which to list them. */
const struct zoo_model *zoo_models(size_t *count);

/*
 * Writes the model of that name to `path`. The same seed gives the same bytes. An unknown name is an error that
 * suggests a near one.
 */
int zoo_write(const char *name, uint64_t seed, const char *path, struct error *error);

#endif
