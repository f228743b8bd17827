/* SPDX-License-Identifier: Apache-2.0 */
/* --set, and counted groups. */
#include "core/scenario/override.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/nearest.h"
#include "core/scenario/names.h"

struct override {
    struct arena *arena;
    struct error *error;
    const char *where; /* "--set path" */
    const char *value;
};

/* ---- the way to a setting */

static const char *text_member(const struct value *group, const char *name)
{
    const struct value *member = group->type == VALUE_GROUP ? tree_member(group, name) : NULL;
    return member && member->type == VALUE_TEXT ? member->as.text : NULL;
}

/* What a list's element is called; NULL where it has no name. */
static const char *element_name(const struct value *element)
{
    const char *name = text_member(element, "name");
    if (!name)
        name = text_member(element, "from");
    return name ? name : text_member(element, "device");
}

static bool is_called(const struct value *element, const char *word)
{
    const char *name = element_name(element);
    if (word[strspn(word, "0123456789")] == '\0')
        return strtoul(word, NULL, 10) == element->position;
    return (name && strcmp(name, word) == 0) || (element->member_of && strcmp(element->member_of, word) == 0);
}

static int no_such_element(const struct override *override, const struct value *list, const char *word)
{
    const char **names = NEW_ARRAY(const char *, 2 * list->count);
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (element_name(list->items[i]))
            names[count++] = element_name(list->items[i]);
        if (list->items[i]->member_of)
            names[count++] = list->items[i]->member_of;
    }
    const char *near = nearest_name(word, names, count);
    error_set(override->error, ERROR_INPUT, "%s: '%s' has no element '%s'", override->where,
              list->name ? list->name : "the list", word);
    if (near)
        error_append(override->error, "; did you mean '%s'?", near);
    else
        error_append(override->error, "; name one of its elements, or its number from 0 to %zu",
                     list->count ? (size_t)list->items[list->count - 1]->position : 0);
    free(names);
    return -1;
}

/* Another plugin does not know the options that the file has for this one: they go; those set by --set stay. */
static void drop_foreign_options(struct value *group, const char *plugin)
{
    const char *before = text_member(group, "plugin");
    if (before && strcmp(before, plugin) == 0)
        return;
    for (size_t i = group->count; i-- > 0;)
        if (!group->items[i]->overridden)
            tree_remove(group, group->items[i]->name);
}

static int put_value(const struct override *override, struct value *group, const char *key)
{
    struct value *value = tree_parse_value(override->arena, override->value, override->where, override->error);
    if (!value)
        return -1;
    value->name = key;
    if (strcmp(key, "plugin") == 0 && value->type == VALUE_TEXT)
        drop_foreign_options(group, value->as.text);
    tree_put(override->arena, group, value);
    return 0;
}

static int set_at(const struct override *override, struct value *at, char *path);

static int set_in_list(const struct override *override, struct value *list, const char *word, char *rest)
{
    size_t found = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct value *element = list->items[i];
        if (!is_called(element, word))
            continue;
        found++;
        if (!rest && element->type == VALUE_GROUP)
            return error_set(override->error, ERROR_INPUT, "%s: '%s' is a group; go on to one of its keys: '.KEY=...'",
                             override->where, word);
        if (rest && set_at(override, element, rest) != 0)
            return -1;
        if (rest)
            continue;
        list->items[i] = tree_parse_value(override->arena, override->value, override->where, override->error);
        if (!list->items[i])
            return -1;
        list->items[i]->position = (uint32_t)i;
    }
    return found ? 0 : no_such_element(override, list, word);
}

/* Follows `path` (which is taken apart) from `at` and sets the value. */
static int set_at(const struct override *override, struct value *at, char *path)
{
    char *dot = strchr(path, '.'), *word = arena_copy(override->arena, path), *rest = dot ? dot + 1 : NULL;
    if (dot)
        word[dot - path] = '\0';
    if (!*word)
        return error_set(override->error, ERROR_INPUT, "%s: the path has an empty word; write for example nodes.pi.cpu",
                         override->where);
    if (at->type == VALUE_LIST)
        return set_in_list(override, at, word, rest);
    if (at->type != VALUE_GROUP)
        return error_set(override->error, ERROR_INPUT, "%s: '%s' is %s and has no '%s'", override->where,
                         at->name ? at->name : "this element", tree_type_text(at->type), word);
    if (!rest)
        return put_value(override, at, word);
    struct value *next = tree_member(at, word);
    if (!next) {
        next = arena_new(override->arena, sizeof(*next));
        *next = (struct value){.type = VALUE_GROUP, .name = word, .where = override->where, .overridden = true};
        tree_add(override->arena, at, next);
    }
    return set_at(override, next, rest);
}

/* ---- counted groups */

/* Makes element `index` (from 1) of a counted group: `key` and, where there is one, the name get the number. */
static struct value *make_member(struct arena *arena, const struct value *group, const char *key, uint32_t index)
{
    struct value *member = tree_copy(arena, group);
    const struct value *named = tree_member(group, key), *name = tree_member(group, "name");
    member->member_of = named->as.text;
    tree_put(arena, member, tree_new_text(arena, key, arena_text(arena, "%s%u", named->as.text, index), named->where));
    if (name && name != named && name->type == VALUE_TEXT)
        tree_put(arena, member,
                 tree_new_text(arena, "name", arena_text(arena, "%s%u", name->as.text, index), name->where));
    tree_remove(member, "count");
    return member;
}

/* `groups` receives the number of members by the name of each counted group. */
static int expand_nodes(struct arena *arena, struct value *nodes, struct names *groups, struct error *error)
{
    struct value old = *nodes;
    nodes->items = NULL;
    nodes->count = nodes->room = 0;
    for (size_t i = 0; i < old.count; i++) {
        struct value *node = old.items[i], *count = node->type == VALUE_GROUP ? tree_member(node, "count") : NULL;
        if (!count || !text_member(node, "name")) {
            tree_add(arena, nodes, node);
            continue;
        }
        if (count->type != VALUE_INTEGER || count->as.integer < 1 || count->as.integer > SCENARIO_LARGEST_GROUP)
            return error_set(error, ERROR_INPUT, "%s: 'count' must be an integer from 1 to %d", count->where,
                             SCENARIO_LARGEST_GROUP);
        if (names_find(groups, text_member(node, "name")) != NAMES_NONE)
            return error_set(error, ERROR_INPUT, "%s: there is already a node '%s'; give each node a name of its own",
                             node->where, text_member(node, "name"));
        names_add(groups, arena, text_member(node, "name"), (uint32_t)count->as.integer);
        for (uint32_t k = 1; k <= (uint32_t)count->as.integer; k++)
            tree_add(arena, nodes, make_member(arena, node, "name", k));
    }
    return 0;
}

/* Replaces each element of `list` whose `key` names a counted group by one for each member. */
static void expand_users(struct arena *arena, struct value *list, const char *key, const struct names *groups)
{
    struct value old = *list;
    list->items = NULL;
    list->count = list->room = 0;
    for (size_t i = 0; i < old.count; i++) {
        const char *named = text_member(old.items[i], key);
        uint32_t count = named ? names_find(groups, named) : NAMES_NONE;
        if (count == NAMES_NONE)
            tree_add(arena, list, old.items[i]);
        for (uint32_t k = 1; count != NAMES_NONE && k <= count; k++)
            tree_add(arena, list, make_member(arena, old.items[i], key, k));
    }
}

static int expand(struct arena *arena, struct value *root, struct error *error)
{
    struct value *nodes = tree_member(root, "nodes"), *links = tree_member(root, "links"),
                 *streams = tree_member(root, "streams"), *events = tree_member(root, "events");
    if (!nodes || nodes->type != VALUE_LIST)
        return 0; /* said when the nodes are read */
    struct names groups = {0};
    int result = expand_nodes(arena, nodes, &groups, error);
    if (result == 0 && links && links->type == VALUE_LIST)
        expand_users(arena, links, "from", &groups);
    if (result == 0 && streams && streams->type == VALUE_LIST)
        expand_users(arena, streams, "device", &groups);
    if (result == 0 && events && events->type == VALUE_LIST) {
        expand_users(arena, events, "link", &groups);
        expand_users(arena, events, "node", &groups);
    }
    names_free(&groups);
    return result;
}

/* ---- all of it */

static bool changes_what_there_is(const char *path)
{
    static const char *const lists[] = {"nodes.", "links.", "streams."}, *const keys[] = {".count", ".from", ".device"};
    const char *last = strrchr(path, '.');
    for (size_t i = 0; last && i < 3; i++)
        if (strncmp(path, lists[i], strlen(lists[i])) == 0 && strcmp(last, keys[i]) == 0)
            return strchr(path + strlen(lists[i]), '.') == last;
    return false;
}

static int apply(struct arena *arena, struct value *root, const struct scenario_override *override, struct error *error)
{
    struct override one = {arena, error, arena_text(arena, "--set %s", override->path), override->value};
    return set_at(&one, root, arena_copy(arena, override->path));
}

int override_and_expand(struct arena *arena, struct value *root, const struct scenario_override *overrides,
                        size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++)
        if (changes_what_there_is(overrides[i].path) && apply(arena, root, &overrides[i], error) != 0)
            return -1;
    if (expand(arena, root, error) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (!changes_what_there_is(overrides[i].path) && apply(arena, root, &overrides[i], error) != 0)
            return -1;
    return 0;
}
