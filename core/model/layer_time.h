/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer takes on a node, of several passes over the model. */
#ifndef NAPM_MODEL_LAYER_TIME_H
#define NAPM_MODEL_LAYER_TIME_H

#include <stdint.h>

struct layer_time {
    int64_t median_ns; /* what it usually takes: plans and schedulers go by it */
    int64_t mean_ns; /* with the passes that took longer: a mean delay is a sum of such, so simulated tasks take it */
};

#endif
