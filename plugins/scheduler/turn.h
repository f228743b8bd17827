/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a job runs before the scheduler looks again: as many layers as are expected to fit a quantum, at least one. */
#ifndef NAPM_PLUGINS_SCHEDULER_TURN_H
#define NAPM_PLUGINS_SCHEDULER_TURN_H

#include <napm/plugin.h>
#include <napm/scheduler.h>

/* Quantum of jobs that run whole. */
#define TURN_WHOLE INT64_MAX

/* The option "quantum" of a scheduler that preempts. */
#define TURN_OPTION(name_, least_, help_)                                                                              \
    static const struct napm_option name_ = {                                                                          \
        .size = sizeof(name_),                                                                                         \
        .type = NAPM_OPTION_DURATION,                                                                                  \
        .name = "quantum",                                                                                             \
        .default_text = "1ms",                                                                                         \
        .help = (help_),                                                                                               \
        .minimum = (least_),                                                                                           \
        .maximum = 9.2e18,                                                                                             \
    }

static inline uint32_t turn_layers(const struct napm_job *job, int64_t quantum_ns)
{
    if (quantum_ns == TURN_WHOLE)
        return job->layer_count;
    uint32_t next = job->layers_done;
    int64_t left_ns = quantum_ns;
    do
        left_ns -= job->layer_ns[next++];
    while (next < job->layer_count && job->layer_ns[next] <= left_ns);
    return next - job->layers_done;
}

#endif
