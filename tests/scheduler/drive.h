/* SPDX-License-Identifier: Apache-2.0 */
/* Drives a scheduler through the station in virtual time: works arrive, workers run slices, all is written down. */
#ifndef NAPM_TESTS_SCHEDULER_DRIVE_H
#define NAPM_TESTS_SCHEDULER_DRIVE_H

#include "core/base/random.h"
#include "core/station/station.h"

#define MOST_LAYERS 8
#define MOST_JOBS 64
#define MOST_WORKERS 4

/* A job to be run, and what became of it. */
struct work {
    int64_t arrives_ns;
    uint32_t stream;
    uint32_t layer_count;
    int64_t layer_ns[MOST_LAYERS];
    int64_t deadline_ns; /* on the same clock; 0: none */
    int32_t priority;
    double weight; /* 0: 1 */
    int64_t ended_ns; /* -1: not yet */
    uint32_t slices;
};

/* One slice that was run. */
struct step {
    size_t work;
    uint32_t first_layer, layer_count;
    int64_t start_ns;
};

/* What the last run did. */
extern struct step steps[MOST_JOBS * MOST_LAYERS];
extern size_t step_count;

/* For setup and teardown of the tests: opens and closes the built-in plugins. */
extern struct catalogue *plugins;
int open_catalogue(void **state);
int close_catalogue(void **state);

/* `options` as for builtin_instance, or NULL. */
struct instance *open_scheduler(const char *name, const char *const *options);
#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
struct instance *open_with_quantum(const char *name, const char *quantum); /* NULL: the default */

int64_t total_ns(const struct work *work);

/* Runs the works (ascending by arrival) to their ends; fills their ended_ns and the list of steps. Checks what always holds. */
void run(struct instance *scheduler, uint32_t workers, struct work *works, size_t count);
void run_with(const char *name, const char *const *options, uint32_t workers, struct work *works, size_t count);
void assert_steps(const struct step *expected, size_t count);

/* Random works, of random layers of 1..100 ns each, of the streams 0..4. */
uint64_t below(struct random *random, uint64_t bound);
size_t random_works(struct random *random, struct work *works, size_t most, uint64_t arrival_spread_ns);

#endif
