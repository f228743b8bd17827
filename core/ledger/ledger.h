/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: the SQLite database (WAL) in which every run, task, layer time, node sample, link report, plan, prediction
 * and profile is kept. Schema: core/ledger/schema.sql, documented in docs/ledger.md. One thread a connection.
 */
#ifndef NAPM_LEDGER_LEDGER_H
#define NAPM_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/planner/planner.h"
#include "core/scenario/scenario.h"
#include "core/world/world.h"

struct ledger;

/*
 * Opens or creates. path NULL: $NAPM_DB, else $XDG_DATA_HOME/napm/napm.db (~/.local/share), whose folders are made; any
 * other folder has to be there. An older schema is migrated, after a copy was put beside it ("PATH.schema-1"); a newer
 * one, a damaged file and one that is no ledger are refused untouched.
 */
struct ledger *ledger_open(const char *path, struct error *error);
struct ledger *ledger_open_readonly(const char *path, struct error *error);
void ledger_close(struct ledger *ledger);
const char *ledger_path(const struct ledger *ledger);

/* Marks runs whose process (pid, start time) no longer exists and that have no end as interrupted. Done by ledger_open. */

/*
 * Begins a run: status "running". Returns its id, or -1. Runs that go on at once are of one scenario, which stays valid
 * until their ledger_run_end.
 */
int64_t ledger_run_begin(struct ledger *ledger, const struct scenario *scenario, uint64_t seed, uint32_t repetition,
                         struct error *error);
/*
 * What this thread writes between the two (but tasks and samples) is one transaction, which keeps everybody else from
 * writing: for many rows that are there already. `result` not 0: nothing of it is kept. Returns it, or -1.
 */
int ledger_hold(struct ledger *ledger, struct error *error);
int ledger_release(struct ledger *ledger, int result, struct error *error);
int ledger_run_plugin(struct ledger *ledger, int64_t run, const char *role, const struct instance *instance,
                      struct error *error); /* role: "partitioner", "scheduler", "backend:pi1", "arrivals:pi1" */
int ledger_run_node(struct ledger *ledger, int64_t run, uint32_t node, const struct scenario_node *stated,
                    const struct node_facts *facts, struct error *error);
int ledger_run_node_lost(struct ledger *ledger, int64_t run, uint32_t node, const char *cause, struct error *error);
/* How long the node computed and sent for tasks. */
int ledger_run_node_energy(struct ledger *ledger, int64_t run, uint32_t node, int64_t busy_ns, int64_t air_ns,
                           struct error *error);
int ledger_run_link(struct ledger *ledger, int64_t run, const struct link_report *report, struct error *error);
/* Which of a run's plans it is. The one that the run begins with is all zeros. */
struct ledger_plan {
    uint32_t number; /* from 0 */
    int64_t asked_ns; /* the run's clock: it is made for the conditions of that moment */
    int64_t taken_ns; /* from when on streams have started their tasks by it; -1: ledger_run_plan_taken will tell */
};
int ledger_run_plan(struct ledger *ledger, int64_t run, const struct plan *plan, const struct ledger_plan *facts,
                    struct error *error);
int ledger_run_plan_taken(struct ledger *ledger, int64_t run, uint32_t number, uint32_t stream, int64_t at_ns,
                          struct error *error);
/*
 * Tasks and samples are copied and written by a thread of the ledger's own, in transactions a few hundredths of a second
 * apart: that is what a killed run can lose. Callable from any thread. -1: an earlier one could not be written.
 */
int ledger_run_task(struct ledger *ledger, int64_t run, const struct task_record *task, struct error *error);
int ledger_run_sample(struct ledger *ledger, int64_t run, const struct node_sample *sample, struct error *error);
/*
 * From now on a million rows are gathered before they are written, for runs that take no time of their own: with many
 * streams their rows lie far apart in the database, and are written many times faster together. A killed run loses them.
 */
void ledger_gather_more(struct ledger *ledger, bool more);
/* Returns when all that was given is committed. */
int ledger_flush(struct ledger *ledger, struct error *error);
/* status: "done", "failed", "stopped" (by the user), with a cause for the latter two. */
int ledger_run_end(struct ledger *ledger, int64_t run, const char *status, const char *cause, struct error *error);

/* Profiles, cached by key: model hash, backend "name version" and its options text, node conditions (host, processor, threads, share). */
int ledger_profile_get(struct ledger *ledger, const char *key, uint32_t layer_count, struct layer_time *times,
                       struct error *error); /* 1 found, 0 not, -1 error */
int ledger_profile_put(struct ledger *ledger, const char *key, const char *description, uint32_t layer_count,
                       const struct layer_time *times, struct error *error);
/*
 * The layer times that a run planned with, as its node would have them with `cpu_share` of the processor. 1 found, 0 not,
 * -1 error.
 */
int ledger_run_profile_get(struct ledger *ledger, int64_t run, uint32_t node, const char *model_hash, double cpu_share,
                           uint32_t layer_count, struct layer_time *times, struct error *error);
/* Runs begun from now on replay that run; 0: none. */
void ledger_runs_replay(struct ledger *ledger, int64_t run);
/* Notes that the run planned with the newest profile of that key. */
int ledger_run_profile(struct ledger *ledger, int64_t run, uint32_t node, const char *model_hash, const char *key,
                       struct error *error);

#endif
