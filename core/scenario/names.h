/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers by name, found at once however many there are: a scenario may have 100,000 nodes. */
#ifndef NAPM_SCENARIO_NAMES_H
#define NAPM_SCENARIO_NAMES_H

#include <stdint.h>

#include "core/scenario/arena.h"

#define NAMES_NONE UINT32_MAX

/* Zeroed to begin with. Entries and names live in the arena; names_free ends the rest. */
struct names {
    struct name_entry *entries;
};

uint32_t names_find(const struct names *names, const char *name); /* NAMES_NONE: not there */
/* Gives the name a number, unless it has one: returns the one that it has then. */
uint32_t names_add(struct names *names, struct arena *arena, const char *name, uint32_t number);
void names_free(struct names *names);

#endif
