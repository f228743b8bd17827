/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors in files, as float32: numpy's .npy (1.0 to 3.0), ONNX's TensorProto (.pb), the CIFAR-10 binary files; and
 * random ones. Numbers of other types are converted; images are scaled as each reader says. Files are not trusted.
 */
#ifndef NAPM_MODEL_TENSOR_FILE_H
#define NAPM_MODEL_TENSOR_FILE_H

#include <stdint.h>

#include <napm/model.h>

#include "core/base/error.h"

#define TENSOR_MAX_RANK 12
#define CIFAR10_RECORD_BYTES 3073

struct tensor {
    uint32_t rank;
    int64_t dims[TENSOR_MAX_RANK];
    uint64_t count; /* elements */
    float *data; /* aligned to 64 bytes; ended by tensor_free */
};

/* All readers return 0, or -1 with an error that names the path; then *tensor is empty and need not be freed. */
int tensor_read_npy(const char *path, struct tensor *tensor, struct error *error);
int tensor_read_pb(const char *path, struct tensor *tensor, struct error *error);

/* Image number `record` (from 0) as 1x3x32x32 with values 0..1; its class (0..9) in *label unless NULL. */
int tensor_read_cifar10(const char *path, uint64_t record, struct tensor *tensor, uint8_t *label, struct error *error);

int tensor_write_npy(const char *path, const struct tensor *tensor, struct error *error);

/* Numbers evenly spread over 0..1, the same for the same seed and name. */
int tensor_random(struct tensor *tensor, uint32_t rank, const int64_t *dims, uint64_t seed, const char *name,
                  struct error *error);

/*
 * Reads what a user names as the input `expected` of a model, and gives it that input's shape:
 *   "random"           random numbers by `seed` and the input's name
 *   FILE.npy, FILE.pb  a tensor
 *   FILE.bin[:RECORD]  an image of a CIFAR-10 file, number 0 where no record is named
 * The shapes must agree but for leading dimensions of 1.
 */
int tensor_read(const char *source, const struct napm_tensor *expected, uint64_t seed, struct tensor *tensor,
                struct error *error);

void tensor_free(struct tensor *tensor);

#endif
