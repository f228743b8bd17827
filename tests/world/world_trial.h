/* SPDX-License-Identifier: Apache-2.0 */
/* Runs scenarios in a world without the rest of the platform, and keeps what the world tells: for tests and benchmarks. */
#ifndef NAPM_TESTS_WORLD_TRIAL_H
#define NAPM_TESTS_WORLD_TRIAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/memory.h"
#include "core/plugin/catalogue.h"
#include "core/scenario/scenario.h"
#include "core/world/world.h"

struct trial_task {
    struct task_record record; /* without the layer times and the hops */
    struct task_hop hop; /* the first of those */
    char cause[512];
};

/* A plan came into force for a stream. */
struct trial_taken {
    uint32_t plan, stream;
    int64_t at_ns;
};

struct trial {
    char folder[64]; /* of this trial's files */
    struct catalogue *catalogue;
    struct scenario *scenario;
    const struct world_kind *kind;
    struct world *world;
    atomic_bool cancel;
    ARRAY_OF(struct trial_task) tasks;
    ARRAY_OF(struct node_sample) samples;
    ARRAY_OF(struct trial_taken) taken;
    uint32_t nodes_lost;
    char lost_cause[512];
    void (*on_task)(struct trial *trial, const struct task_record *record); /* may be NULL */
    /* World_setup.replan, with the trial as context; may be NULL. */
    const struct placements *(*replan)(void *trial, const struct plan_request *request, struct error *error);
    const int64_t *const *const *layer_ns; /* what was deployed with */
};

/* `model` is the zoo's name; in the scenario's text its file is "model.onnx". Ends the process on a failure of its own. */
void trial_make(struct trial *trial, const char *model, const char *scenario_text);
void trial_end(struct trial *trial);

/* The steps; each -1 with the error. Profile times are taken as 1 ms a layer. */
int trial_open(struct trial *trial, struct error *error);
int trial_deploy(struct trial *trial, const struct placements *placements, struct error *error);
int trial_drive(struct trial *trial, struct error *error);
void trial_close(struct trial *trial);

/* All of them, with the same cut for every stream. */
int trial_run(struct trial *trial, uint32_t cut, struct error *error);

size_t trial_count(const struct trial *trial, enum task_status status);

#endif
