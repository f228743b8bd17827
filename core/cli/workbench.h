/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model on a backend in this very process, without nodes or links: what `napm profile`, `bench`, `model run` and
 * `model verify` work with.
 */
#ifndef NAPM_CLI_WORKBENCH_H
#define NAPM_CLI_WORKBENCH_H

#include "core/cli/options.h"
#include "core/compute/compute.h"

#define WORKBENCH_BACKEND NAPM_DEFAULT_BACKEND /* unless --backend names another; the build says (configure) */

struct workbench_options {
    const char *backend;
    struct text_list settings; /* NAME=VALUE */
    uint32_t threads;
};

#define WORKBENCH_BACKEND_OPTION(options)                                                                              \
    {                                                                                                                  \
        "backend", 'b', OPTION_WORD, &(options).backend, "NAME",                                                       \
            "the model backend plugin (default: " WORKBENCH_BACKEND ")", 0, 0                                          \
    }
#define WORKBENCH_SETTINGS_OPTION(options)                                                                             \
    {                                                                                                                  \
        "backend-option", 0, OPTION_WORDS, &(options).settings, "NAME=VALUE",                                          \
            "an option of the backend; may be repeated", 0, 0                                                          \
    }
#define WORKBENCH_THREADS_OPTION(options)                                                                              \
    {                                                                                                                  \
        "threads", 't', OPTION_NUMBER, &(options).threads, "N", "threads to compute with (default: 1)", 1, 1024        \
    }

struct workbench {
    struct catalogue *catalogue;
    struct model *model;
    const struct napm_model *view;
    struct option_setting *settings;
    char **texts; /* of the settings */
    size_t setting_count;
    uint32_t threads;
};

/* Opens the catalogue and the model. Returns 0, or -1; workbench_close is due in either case. */
int workbench_open(struct workbench *bench, const char *model, const struct workbench_options *options,
                   const struct common_options *common, struct error *error);
void workbench_close(struct workbench *bench);

/* A compute engine with that backend; end it with compute_close. */
struct compute *workbench_compute(struct workbench *bench, const char *backend, struct error *error);

/* Tensors in memory, one for each of `indices`, aligned. */
struct tensors {
    uint32_t count;
    void **data;
    uint64_t *bytes;
};
struct tensors tensors_new(const struct napm_model *model, const uint32_t *indices, uint32_t count);
void tensors_free(struct tensors *tensors);
/*
 * The model's inputs from what the user named (see tensor_read), in order; seeded random ones where `sources` has no more.
 * On failure nothing needs freeing.
 */
int tensors_read(struct tensors *tensors, const struct napm_model *model, const struct text_list *sources,
                 uint64_t seed, struct error *error);

/*
 * Runs the layers at places first..last-1 of an order (NULL: the model's own) of a prepared model over `inputs` (those that
 * arrive at `first`) and copies what leaves.
 */
int workbench_part(struct compute_model *model, const uint32_t *order, uint32_t first, uint32_t last,
                   const struct tensors *inputs, struct tensors *outputs, struct error *error);

#endif
