/* SPDX-License-Identifier: Apache-2.0 */
/* What a run writes into the ledger while it goes on: plugins, nodes, and what the world reports. */
#ifndef NAPM_RUN_RECORD_H
#define NAPM_RUN_RECORD_H

#include "core/run/run.h"
#include "core/world/world.h"

struct record {
    const struct run_settings *settings;
    int64_t run;
    uint64_t failed, unfinished; /* tasks; those that the scenario's events made fail are not among them */
    char *lost; /* causes, with the nodes' names, joined by "; "; NULL where no node was lost */
    struct error error; /* the first write that failed */
};

/* Every plugin that the scenario chooses, with the options in force. */
int record_plugins(const struct run_settings *settings, int64_t run, struct error *error);

/* Every node, with its facts from the open world. */
int record_nodes(const struct run_settings *settings, int64_t run, const struct world_kind *kind, struct world *world,
                 struct error *error);

/* A sink that writes tasks and samples as they come. */
struct world_sink record_sink(struct record *record);

#endif
