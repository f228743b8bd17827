/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's load generator in virtual time: an instance that is asked for starts and hears of ends. One thread. */
#ifndef NAPM_FLOW_GENERATOR_H
#define NAPM_FLOW_GENERATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/plugin/catalogue.h"

struct generator {
    void *self; /* the instance's */
    uint64_t unfinished; /* starts given whose tasks have not ended */
    const int64_t *starts_ns; /* given in place of what the instance says, unless reactive; the caller's; NULL: none */
    uint32_t start_count, next;
    bool reactive; /* starts depend on the ends of tasks */
    bool serialised; /* calls take its plugin's lock */
    struct napm_loadgen_arrivals hook;
    struct instance *instance;
    const char *stream; /* its name: the caller's */
};

/*
 * Makes the instance for the stream called `stream`. `now_ns` and `context` are the clock. 0, or -1 with the error set
 * and nothing to close.
 */
int generator_open(struct generator *generator, struct catalogue *catalogue, const struct plugin_choice *choice,
                   const char *stream, uint64_t seed, int64_t (*now_ns)(void *context), void *context,
                   struct error *error);
void generator_close(struct generator *generator); /* NULL instance: nothing */

/* As napm_loadgen_arrivals.next, its answers checked: NAPM_OK, NAPM_WAIT, NAPM_END, or -1 with the error set. */
int generator_next(struct generator *generator, int64_t now_ns, int64_t *at_ns, struct error *error);
void generator_ended(struct generator *generator, int64_t now_ns, uint64_t task, bool failed);

#endif
