/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of a scenario file as a tree that remembers where each stands. libconfig parses; what it would let
 * through silently (integers that it cuts to 32 bits, @include) is refused before.
 */
#ifndef NAPM_SCENARIO_TREE_H
#define NAPM_SCENARIO_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/scenario/arena.h"

enum value_type { VALUE_GROUP, VALUE_LIST, VALUE_TEXT, VALUE_INTEGER, VALUE_REAL, VALUE_BOOL };

struct value {
    enum value_type type;
    const char *name; /* NULL in a list */
    const char *where; /* "file:line", or "--set path" */
    bool overridden; /* set by --set */
    const char *member_of; /* the counted group that this element was made from, or NULL */
    uint32_t position; /* in the list as the file has it: the members of a counted group share one */
    union {
        const char *text;
        int64_t integer;
        double real;
        bool truth;
    } as;
    struct value **items; /* of a group or list */
    size_t count, room;
};

/* Parses `text`. Errors and `where` name `file`. Everything lives in the arena. NULL on error. */
struct value *tree_parse(struct arena *arena, const char *text, const char *file, struct error *error);

/*
 * Reads `text` as the value of a --set: a libconfig value where it is one ("0.5", "true", "\"a b\"", "(1, 2)"), an
 * integer of up to 64 bits, and otherwise the text as it stands. NULL for an integer that does not fit.
 */
struct value *tree_parse_value(struct arena *arena, const char *text, const char *where, struct error *error);

struct value *tree_copy(struct arena *arena, const struct value *value);
struct value *tree_member(const struct value *group, const char *name);
void tree_add(struct arena *arena, struct value *parent, struct value *child);
/* Puts `child` in the place of the member of that name, or adds it. */
void tree_put(struct arena *arena, struct value *group, struct value *child);
void tree_remove(struct value *group, const char *name);
struct value *tree_new_text(struct arena *arena, const char *name, const char *text, const char *where);

/* "a group { }", "a text"...: for messages. */
const char *tree_type_text(enum value_type type);

#endif
