/* SPDX-License-Identifier: Apache-2.0 */
/* Every choice of a plugin that a scenario makes, one after the other. */
#ifndef NAPM_RUN_CHOICES_H
#define NAPM_RUN_CHOICES_H

#include "core/base/error.h"
#include "core/scenario/scenario.h"

#define CHOICES_NO_NODE UINT32_MAX

struct chosen {
    const char *role; /* "partitioner", "scheduler", "backend", "stress", "arrivals" */
    const char *of; /* the node or stream that it is for; NULL: the whole run */
    uint32_t kind; /* NAPM_KIND_... */
    uint32_t node; /* of backend and stress; else CHOICES_NO_NODE */
    const struct plugin_choice *choice;
};

/* Visits them all, in a fixed order; what was not chosen (stress) is passed over. The first -1 ends it, and is returned. */
int choices_each(const struct scenario *scenario,
                 int (*visit)(void *context, const struct chosen *chosen, struct error *error), void *context,
                 struct error *error);

#endif
