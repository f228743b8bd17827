/* SPDX-License-Identifier: Apache-2.0 */
/* Load generators that give arrivals and nothing else: their hook, and how the host finds the arrivals. */
#ifndef NAPM_PLUGINS_LOADGEN_ARRIVALS_H
#define NAPM_PLUGINS_LOADGEN_ARRIVALS_H

#include <string.h>

#include <napm/loadgen.h>
#include <napm/plugin.h>

/* Each such file says what these are. */
static const struct napm_loadgen_arrivals arrivals;

static const struct napm_loadgen arrivals_hook = {.size = sizeof(arrivals_hook)};

static inline const void *arrivals_extension(const char *id)
{
    return strcmp(id, NAPM_LOADGEN_ARRIVALS) == 0 ? &arrivals : NULL;
}

/* `completed` of those whose starts do not depend on how tasks end. */
static inline void arrivals_go_on(void *self, int64_t now_ns, uint64_t task, uint32_t failed)
{
    (void)self;
    (void)now_ns;
    (void)task;
    (void)failed;
}

#endif
