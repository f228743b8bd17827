/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: runs a model through a backend plugin of this build, whole or cut into parts, and compares tensors. */
#ifndef TESTS_BACKEND_BACKEND_TRIAL_H
#define TESTS_BACKEND_BACKEND_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/model/model.h"
#include "core/plugin/catalogue.h"

/* The path of a new, empty temporary file. The caller unlinks it and frees the path. */
char *trial_temporary(void);

/* The catalogue of this build's plugins alone. Ends the process with a message where it cannot be read. */
struct catalogue *trial_catalogue(void);

/* Names of the backends of this build that compute (all but `replay`), NULL-terminated; valid as long as the catalogue. */
const char *const *trial_backends(struct catalogue *catalogue);

/* An instance with default options; NULL with an error. Ended by instance_close. */
struct instance *trial_instance(struct catalogue *catalogue, const char *name, struct error *error);

/* 0 where the backend supports every operator; else its status, the error says why. */
int32_t trial_supports(const struct instance *instance, const struct napm_model *model, struct error *error);

struct trial; /* a model prepared on an instance */
struct trial *trial_open(const struct instance *instance, const struct model *model, uint32_t threads,
                         struct error *error);
void trial_close(struct trial *trial);

/* Tensors of one run, by tensor index; blocks are owned, aligned to 64 bytes, NULL where not known. */
struct trial_values {
    void **blocks;
    uint32_t count;
};
void trial_values_free(struct trial_values *values);

/*
 * Runs the model: layers 0..cuts[0]-1, then cuts[0]..cuts[1]-1 and so on to the last, each as a segment of its own,
 * `passes` times through the same execution. `inputs` are the model's, in its order, and may lie anywhere. On success
 * *values holds at least every output of the model. 0 or -1.
 */
int trial_run(struct trial *trial, const uint32_t *cuts, uint32_t cut_count, uint32_t passes, const void *const *inputs,
              struct trial_values *values, struct error *error);

/* Inputs of the model with numbers evenly spread over [-1, 1) (integers: 0). Ended by trial_inputs_free. */
void **trial_inputs(const struct napm_model *model, uint64_t seed);
void trial_inputs_free(const struct napm_model *model, void **inputs);

/* The greatest of |x - y| / (absolute + relative * |y|) over all elements: 1 or less is agreement. NaN agrees with NaN. */
double trial_difference(const float *x, const float *y, uint64_t count, double relative, double absolute);

/* Runs the model cut at every place and compares all outputs bit for bit with the uncut run's. -1 with an error that names the cut. */
int trial_check_every_cut(struct trial *trial, const void *const *inputs, struct error *error);

#endif
