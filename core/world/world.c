/* SPDX-License-Identifier: Apache-2.0 */
/* The worlds there are. */
#include "core/world/world.h"

#include <string.h>

#include "core/base/nearest.h"
#include "core/world/local.h"
#include "core/world/sim.h"

const char *const phase_names[PHASE_COUNT] = {"local", "transmit", "queue", "remote", "return"};

static const struct world_kind *const kinds[] = {&local_world, &sim_world};

const struct world_kind *world_find(const char *name, struct error *error)
{
    const size_t count = sizeof(kinds) / sizeof(kinds[0]);
    const char *names[sizeof(kinds) / sizeof(kinds[0])];
    for (size_t i = 0; i < count; i++) {
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
        names[i] = kinds[i]->name;
    }
    const char *nearest = nearest_name(name, names, count);
    error_set(error, ERROR_INPUT, "there is no world \"%s\"", name);
    if (nearest)
        error_append(error, "; did you mean \"%s\"?", nearest);
    error_append(error, " (the worlds are:");
    for (size_t i = 0; i < count; i++)
        error_append(error, "%s %s", i ? "," : "", names[i]);
    error_append(error, ")");
    return NULL;
}
