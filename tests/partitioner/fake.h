/* SPDX-License-Identifier: Apache-2.0 */
/* A problem of one stream on a way of any number of nodes, with an evaluator that only knows what its test says. */
#ifndef NAPM_TESTS_PARTITIONER_FAKE_H
#define NAPM_TESTS_PARTITIONER_FAKE_H

#include <stdbool.h>

#include <napm/problem.h>

#include "core/plugin/catalogue.h"

#define MOST_PLACES 5
#define MOST_LAYERS 80

/* Filled by the test; places are along the way, from the device at 0 to the station at places - 1. */
struct fake {
    uint32_t places, layers;
    int64_t layer_ns[MOST_PLACES][MOST_LAYERS];
    bool cannot_run[MOST_PLACES];
    uint64_t memory_bytes[MOST_PLACES]; /* 0: not limited */
    double up_bytes_per_s[MOST_PLACES], down_bytes_per_s[MOST_PLACES]; /* of the link from this place to the next */
    int64_t up_delay_ns[MOST_PLACES], down_delay_ns[MOST_PLACES];
    uint64_t cut_bytes[MOST_LAYERS + 1], result_bytes;
    bool result_returns, result_to_station;
    uint64_t layer_bytes[MOST_LAYERS]; /* memory of a range: their sum */
    const struct napm_model *model;
    double isolated_ns[MOST_LAYERS + 1];
    bool cuts_only; /* the evaluator refuses plans that are no cut of the layer order */
};

/* Plans; `place_of_layer` receives the answer. Returns plan()'s status. Fails the test where a layer is nowhere. */
int32_t fake_plan(const struct fake *fake, struct catalogue *catalogue, const char *partitioner,
                  const char *const *options, uint32_t *place_of_layer);

#endif
