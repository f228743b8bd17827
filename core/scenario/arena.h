/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one scenario: asked for piece by piece, freed all at once. */
#ifndef NAPM_SCENARIO_ARENA_H
#define NAPM_SCENARIO_ARENA_H

#include <stddef.h>

#include "core/base/memory.h"

struct arena {
    ARRAY_OF(void *) blocks;
};

void *arena_new(struct arena *arena, size_t bytes); /* zeroed */
char *arena_text(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_copy(struct arena *arena, const char *text);
/* Takes a block of malloc's over. Returns it. */
void *arena_keep(struct arena *arena, void *block);
void arena_free(struct arena *arena);

#define ARENA_ARRAY(arena, type, count) ((type *)arena_new((arena), sizeof(type) * ((count) ? (count) : 1)))

#endif
