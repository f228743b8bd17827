/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers by name. */
#include "core/scenario/names.h"

#include <string.h>
#include <uthash.h>

struct name_entry {
    const char *name;
    uint32_t number;
    UT_hash_handle hh;
};

static struct name_entry *find(const struct names *names, const char *name)
{
    struct name_entry *entry;
    HASH_FIND_STR(names->entries, name, entry);
    return entry;
}

uint32_t names_find(const struct names *names, const char *name)
{
    const struct name_entry *entry = find(names, name);
    return entry ? entry->number : NAMES_NONE;
}

uint32_t names_add(struct names *names, struct arena *arena, const char *name, uint32_t number)
{
    struct name_entry *entry = find(names, name);
    if (entry)
        return entry->number;
    entry = arena_new(arena, sizeof(*entry));
    entry->name = name;
    entry->number = number;
    HASH_ADD_KEYPTR(hh, names->entries, name, strlen(name), entry);
    return number;
}

void names_free(struct names *names)
{
    HASH_CLEAR(hh, names->entries);
}
