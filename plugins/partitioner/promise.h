/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a change of one stream's cut promises: a guess by cheap arithmetic, which says what changes are worth an
 * evaluation first where there are too many for all of them.
 *
 * Streams are taken for fluids: each node and link gets work at an even rate until the stream's tasks are through, and
 * what it cannot do at once piles up before it. Of the station and of shared media, where streams meet, the piles are
 * summed up over time; what the evaluation of the present plan says of waiting there sets the guess right.
 */
#ifndef NAPM_PLUGINS_PARTITIONER_PROMISE_H
#define NAPM_PLUGINS_PARTITIONER_PROMISE_H

#include <napm/partitioner.h>

struct promise {
    const struct napm_problem *problem;
    const struct napm_evaluator *evaluator;
    double **local_ns, **remote_ns; /* by stream and cut: computing time on the device and at the station */
    struct promise_place *places; /* by link: the air that it shares; behind them the station */
    uint32_t *air; /* by link: its place, or NAPM_NONE where the air is its own */
    double step_ns; /* between the moments that are looked at */
    const uint32_t *cuts; /* of the present plan */
    const struct napm_phases *phases;
};

/* Returns NAPM_OK or NAPM_ERR_MEMORY. promise_end is called in any case. */
int32_t promise_begin(struct promise *promise, const struct napm_problem *problem,
                      const struct napm_evaluator *evaluator);
void promise_end(struct promise *promise);

/* Takes over another present plan: both arrays stay valid and unchanged until the next call. */
void promise_look(struct promise *promise, const uint32_t *cuts, const struct napm_phases *phases);

/* Mean delay of a stream's tasks as evaluated. */
double promise_present_ns(const struct promise *promise, uint32_t stream);

/* By how much the total of all delays falls when `stream` has cut `c`; *delay_ns is then the mean delay of its tasks. */
double promise_gain_ns(const struct promise *promise, uint32_t stream, uint32_t c, double *delay_ns);

#endif
