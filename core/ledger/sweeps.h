/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sweeps in the ledger: what points a sweep has, and which of them have their run. A point's state follows from its
 * runs: it is done when one of them is, so a sweep can be killed at any moment and goes on where it was.
 */
#ifndef NAPM_LEDGER_SWEEPS_H
#define NAPM_LEDGER_SWEEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ledger/ledger.h"

enum point_state {
    POINT_WAITING, /* has no run, or only ones that were cut short */
    POINT_RUNNING,
    POINT_DONE,
    POINT_FAILED
};

struct point_row {
    uint32_t point; /* from 1 */
    char *label; /* the same for the repetitions of one combination */
    char *scenario_path;
    char *settings; /* PATH=VALUE, one a line */
    uint64_t seed;
    uint32_t repetition;
    enum point_state state;
    int64_t run; /* the one that counts: done, else the newest; 0: none */
    char *cause; /* why it failed; NULL: it did not */
};

struct sweep_row {
    int64_t id;
    char *name, *path, *digest, *engine;
    int64_t began_ns, ended_ns; /* since 1970; ended_ns 0: not ended */
    bool running; /* some process carries it out */
    uint64_t states[POINT_FAILED + 1]; /* points by state */
};

/* Records a sweep with its points (state, run and cause are not looked at), carried out by this process. -1 on error. */
int64_t sweeps_add(struct ledger *ledger, const struct sweep_row *sweep, const struct point_row *points, size_t count,
                   struct error *error);

/* This process carries the sweep out from now on, with that engine (NULL: as before). Fails where another one does. */
int sweeps_take(struct ledger *ledger, int64_t sweep, const char *engine, struct error *error);

/* Notes the end where no point is without one. */
int sweeps_end(struct ledger *ledger, int64_t sweep, struct error *error);

/* Notes why a point could not even begin a run; NULL: forget that, so that it waits again. */
int sweeps_point_failed(struct ledger *ledger, int64_t sweep, uint32_t point, const char *cause, struct error *error);

/* Runs begun through this ledger from now on belong to that point. */
void sweeps_runs_for(struct ledger *ledger, int64_t sweep, uint32_t point);

/* One sweep, its points not counted; NULL where there is none. End with sweeps_free(sweep, 1). */
struct sweep_row *sweeps_find(struct ledger *ledger, int64_t sweep, struct error *error);

/* The sweeps, newest first. End with sweeps_free. */
int sweeps_list(struct ledger *ledger, struct sweep_row **sweeps, size_t *count, struct error *error);
void sweeps_free(struct sweep_row *sweeps, size_t count);

/* The points of a sweep, in order. End with sweeps_points_free. */
int sweeps_points(struct ledger *ledger, int64_t sweep, struct point_row **points, size_t *count, struct error *error);
void sweeps_points_free(struct point_row *points, size_t count);

#endif
