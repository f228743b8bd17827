/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes while tasks run, in any world: the scenario's events, the rate traces of its links, and the moments at
 * which a new plan is due. It knows the conditions of now; carrying a change out is the world's part.
 */
#ifndef NAPM_WORLD_CHANGES_H
#define NAPM_WORLD_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/scenario/scenario.h"

struct change {
    enum { CHANGE_LINK, CHANGE_SPEED, CHANGE_LEAVE, CHANGE_RETURN, CHANGE_PLAN } what;
    uint32_t index; /* of the link, or of the node */
    bool for_good; /* CHANGE_LEAVE: it does not return */
    int64_t at_ns;
};

struct changes; /* one thread */

bool changes_any(const struct scenario *scenario); /* whether anything ever changes */

/* NULL where nothing ever changes. The scenario outlives it. */
struct changes *changes_new(const struct scenario *scenario);
void changes_free(struct changes *changes);
/* The conditions of now, for another thread: nothing is due in the copy. `changes` is not NULL. */
struct changes *changes_copy(const struct changes *changes);

int64_t changes_next_ns(const struct changes *changes); /* INT64_MAX: never again; also where `changes` is NULL */
/* Takes one change that is due by `now_ns`, in order; false: none. */
bool changes_take(struct changes *changes, int64_t now_ns, struct change *change);

/* The conditions of now. */
const struct link_conditions *changes_link(const struct changes *changes, uint32_t link); /* by enum link_direction */
double changes_speed(const struct changes *changes, uint32_t node); /* beside what it was profiled with */

#endif
