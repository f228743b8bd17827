/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes and links of a scenario. */
#include <string.h>

#include "core/base/nearest.h"
#include "core/scenario/reader.h"

/* ---- nodes */

static int read_role(struct reader *reader, const struct value *group, struct scenario_node *node)
{
    static const char *const roles[] = {"device", "station"};
    const char *role = "device";
    if (reader_get_text(reader, group, "role", &role) < 0)
        return -1;
    node->is_station = strcmp(role, "station") == 0;
    if (node->is_station || strcmp(role, "device") == 0)
        return 0;
    reader_fail(reader, tree_member(group, "role")->where, "there is no role '%s'", role);
    return reader_suggest(reader, role, roles, 2);
}

static int read_speed(struct reader *reader, const struct value *group, struct scenario_node *node)
{
    node->threads = node->workers = 1;
    node->cpu_share = 1;
    if (reader_get_count(reader, group, "threads", 1, 1024, &node->threads) < 0 ||
        reader_get_count(reader, group, "workers", 1, 256, &node->workers) < 0 ||
        reader_get_size(reader, group, "memory", &node->memory_bytes) < 0 ||
        reader_get_share(reader, group, "cpu", &node->cpu_share) < 0)
        return -1;
    if (node->cpu_share < 0.001 || node->cpu_share > 1)
        return reader_fail(reader, tree_member(group, "cpu")->where,
                           "'cpu' is %g; allowed is 0.001 to 1, the share of this machine's speed", node->cpu_share);
    return 0;
}

static int read_node_plugins(struct reader *reader, const struct value *root, const struct value *group,
                             struct scenario_node *node)
{
    int got = reader_get_plugin(reader, group, "backend", NAPM_KIND_BACKEND, &node->backend);
    if (got == 0)
        got = reader_get_plugin(reader, root, "backend", NAPM_KIND_BACKEND, &node->backend);
    if (got < 0)
        return -1;
    if (got == 0)
        return reader_fail(reader, node->where,
                           "node '%s' has no backend; write backend = { plugin = \"NAME\"; }; here, or once for all "
                           "nodes at the top (napm plugin list tells the names)",
                           node->name);
    got = reader_get_plugin(reader, group, "stress", NAPM_KIND_LOADGEN, &node->stress);
    if (got == 1)
        got =
            reader_need_extension(reader, &node->stress, NAPM_KIND_LOADGEN, NAPM_LOADGEN_STRESS, "put load on a node");
    return got < 0 ? -1 : 0;
}

static int read_power(struct reader *reader, const struct value *group, struct scenario_power *power)
{
    static const char *const keys[] = {"idle", "busy", "transmit", NULL};
    struct value *given;
    int got = reader_get_group(reader, group, "power", &given);
    if (got <= 0)
        return got;
    return reader_check_keys(reader, given, "'power'", keys) != 0 ||
                   reader_get_power(reader, given, "idle", &power->idle_w) < 0 ||
                   reader_get_power(reader, given, "busy", &power->busy_w) < 0 ||
                   reader_get_power(reader, given, "transmit", &power->transmit_w) < 0
               ? -1
               : 0;
}

static int read_node(struct reader *reader, const struct value *root, const struct value *group,
                     struct scenario_node *node)
{
    static const char *const keys[] = {"name", "role",    "count",  "threads", "workers", "memory",
                                       "cpu",  "backend", "stress", "power",   NULL};
    node->where = group->where;
    if (reader_check_keys(reader, group, "a node", keys) != 0)
        return -1;
    int got = reader_get_name(reader, group, "name", &node->name);
    if (got <= 0)
        return got < 0 ? -1 : reader_fail(reader, group->where, "the node has no name; write name = \"pi1\";");
    if (read_role(reader, group, node) != 0 || read_speed(reader, group, node) != 0 ||
        read_power(reader, group, &node->power) != 0)
        return -1;
    if (node->is_station && group->member_of)
        return reader_fail(reader, group->where, "the station cannot be counted; remove 'count'");
    return read_node_plugins(reader, root, group, node);
}

static int check_names(struct reader *reader, const struct value *list, const struct scenario_node *nodes)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t j = 0; j < list->count; j++) {
            if (j < i && strcmp(nodes[i].name, nodes[j].name) == 0)
                return reader_fail(reader, nodes[i].where,
                                   "there is already a node '%s' (%s); give each node a name of its own", nodes[i].name,
                                   nodes[j].where);
            if (list->items[j]->member_of && strcmp(nodes[i].name, list->items[j]->member_of) == 0)
                return reader_fail(reader, nodes[i].where,
                                   "'%s' is also the name of a counted group (%s); rename one of them", nodes[i].name,
                                   nodes[j].where);
        }
    return 0;
}

static int find_station(struct reader *reader, const struct value *list, const struct scenario_node *nodes)
{
    struct scenario *scenario = reader->scenario;
    scenario->station = UINT32_MAX;
    for (uint32_t i = 0; i < list->count; i++) {
        if (!nodes[i].is_station)
            continue;
        if (scenario->station != UINT32_MAX)
            return reader_fail(reader, nodes[i].where,
                               "there is a second station ('%s'; the first is '%s', %s); give one of them role = "
                               "\"device\"",
                               nodes[i].name, nodes[scenario->station].name, nodes[scenario->station].where);
        scenario->station = i;
    }
    if (scenario->station == UINT32_MAX)
        return reader_fail(reader, list->where, "no node is the station; give one of them role = \"station\"");
    if (list->count == 1)
        return reader_fail(reader, list->where, "there is no device beside the station; add { name = \"pi1\"; }");
    return 0;
}

/* After the station is known: where there is none, that is the mistake to report. */
static int check_workers(struct reader *reader, const struct value *list, const struct scenario_node *nodes)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct value *workers = tree_member(list->items[i], "workers");
        if (workers && !nodes[i].is_station)
            return reader_fail(reader, workers->where,
                               "only the station has workers; a device computes one task at a time");
    }
    return 0;
}

int reader_nodes(struct reader *reader, const struct value *root)
{
    const struct value *list = reader_need_list(
        reader, root, "nodes", "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"pi1\"; } );");
    if (!list)
        return -1;
    struct scenario_node *nodes = ARENA_ARRAY(reader->arena, struct scenario_node, list->count);
    for (size_t i = 0; i < list->count; i++)
        if (read_node(reader, root, list->items[i], &nodes[i]) != 0)
            return -1;
    reader->scenario->nodes = nodes;
    reader->scenario->node_count = (uint32_t)list->count;
    return check_names(reader, list, nodes) != 0 || find_station(reader, list, nodes) != 0 ||
                   check_workers(reader, list, nodes) != 0
               ? -1
               : 0;
}

/* ---- links */

static const char *const condition_keys[] = {"rate", "delay", "jitter", "loss", "repair", NULL};

#define LEAST_REPAIR_NS INT64_C(10000000)

/* Reads over what *conditions already holds. `repair_stated` is kept from the other direction. */
static int read_conditions(struct reader *reader, const struct value *group, struct link_conditions *conditions,
                           bool *repair_stated)
{
    if (reader_get_rate(reader, group, "rate", &conditions->bytes_per_s) < 0 ||
        reader_get_duration(reader, group, "delay", &conditions->delay_ns) < 0 ||
        reader_get_duration(reader, group, "jitter", &conditions->jitter_ns) < 0 ||
        reader_get_share(reader, group, "loss", &conditions->loss) < 0)
        return -1;
    if (conditions->loss < 0 || conditions->loss > LINK_MAX_LOSS)
        return reader_fail(reader, tree_member(group, "loss")->where, "'loss' is %g%%; allowed is 0%% to %g%%",
                           conditions->loss * 100, LINK_MAX_LOSS * 100);
    int got = reader_get_duration(reader, group, "repair", &conditions->repair_ns);
    if (got < 0)
        return -1;
    *repair_stated = *repair_stated || got == 1;
    if (!*repair_stated)
        conditions->repair_ns = conditions->loss > 0 ? 2 * conditions->delay_ns + LEAST_REPAIR_NS : 0;
    return 0;
}

static int read_both_directions(struct reader *reader, const struct value *group, struct link_spec *spec)
{
    struct value *down;
    bool repair_stated = false;
    if (read_conditions(reader, group, &spec->conditions[LINK_UP], &repair_stated) != 0)
        return -1;
    spec->conditions[LINK_DOWN] = spec->conditions[LINK_UP];
    int got = reader_get_group(reader, group, "down", &down);
    if (got <= 0)
        return got;
    return reader_check_keys(reader, down, "the direction 'down'", condition_keys) != 0 ||
                   read_conditions(reader, down, &spec->conditions[LINK_DOWN], &repair_stated) != 0
               ? -1
               : 0;
}

int64_t reader_find_node(const struct reader *reader, const char *where, const char *key, const char *name)
{
    const struct scenario *scenario = reader->scenario;
    for (uint32_t i = 0; i < scenario->node_count; i++)
        if (strcmp(scenario->nodes[i].name, name) == 0)
            return i;
    const char **names = ARENA_ARRAY(reader->arena, const char *, scenario->node_count);
    for (uint32_t i = 0; i < scenario->node_count; i++)
        names[i] = scenario->nodes[i].name;
    reader_fail(reader, where, "'%s' names '%s', which is no node", key, name);
    return reader_suggest(reader, name, names, scenario->node_count);
}

static int read_ends(struct reader *reader, const struct value *group, struct scenario_link *link)
{
    const char *from = NULL, *to = NULL;
    const struct scenario *scenario = reader->scenario;
    int got = reader_get_text(reader, group, "from", &from);
    if (got <= 0)
        return got < 0
                   ? -1
                   : reader_fail(reader, group->where, "the link begins nowhere; write from = \"NAME OF A DEVICE\";");
    int64_t device = reader_find_node(reader, tree_member(group, "from")->where, "from", from);
    if (device < 0)
        return -1;
    if ((uint32_t)device == scenario->station)
        return reader_fail(reader, tree_member(group, "from")->where,
                           "a link goes from a device to the station; '%s' is the station", from);
    link->device = (uint32_t)device;
    link->upper = scenario->station;
    link->name = from;
    if (reader_get_name(reader, group, "name", &link->name) < 0 || reader_get_text(reader, group, "to", &to) < 0)
        return -1;
    if (!to)
        return 0;
    int64_t end = reader_find_node(reader, tree_member(group, "to")->where, "to", to);
    if (end < 0)
        return -1;
    if ((uint32_t)end != scenario->station)
        return reader_fail(reader, tree_member(group, "to")->where,
                           "'%s' is a device; a link ends at the station ('%s'), which is also the default", to,
                           scenario->nodes[scenario->station].name);
    return 0;
}

/* The number of a medium; equal names give equal numbers. */
static uint32_t intern_medium(struct reader *reader, const char **media, const char *name)
{
    struct scenario *scenario = reader->scenario;
    for (uint32_t i = 0; i < scenario->medium_count; i++)
        if (strcmp(media[i], name) == 0)
            return i;
    media[scenario->medium_count] = name;
    return scenario->medium_count++;
}

static int read_link(struct reader *reader, const struct value *group, struct scenario_link *link, const char **media)
{
    static const char *const keys[] = {"name", "from",   "to",     "rate", "delay", "jitter",
                                       "loss", "repair", "medium", "down", NULL};
    link->where = group->where;
    link->spec.medium = LINK_NO_MEDIUM;
    if (reader_check_keys(reader, group, "a link", keys) != 0 || read_ends(reader, group, link) != 0 ||
        read_both_directions(reader, group, &link->spec) != 0 ||
        reader_get_name(reader, group, "medium", &link->medium_name) < 0)
        return -1;
    if (link->medium_name)
        link->spec.medium = intern_medium(reader, media, link->medium_name);
    return 0;
}

static int check_devices_have_links(struct reader *reader, const struct scenario_link *links, size_t count)
{
    const struct scenario *scenario = reader->scenario;
    const struct scenario_link **of_node =
        ARENA_ARRAY(reader->arena, const struct scenario_link *, scenario->node_count);
    for (size_t i = 0; i < count; i++) {
        const char *device = scenario->nodes[links[i].device].name;
        if (of_node[links[i].device])
            return reader_fail(reader, links[i].where,
                               "the device '%s' already has a link (%s); a device has one, remove the other", device,
                               of_node[links[i].device]->where);
        of_node[links[i].device] = &links[i];
    }
    for (uint32_t i = 0; i < scenario->node_count; i++)
        if (i != scenario->station && !of_node[i])
            return reader_fail(reader, scenario->nodes[i].where,
                               "the device '%s' has no link to the station; add to links: { from = \"%s\"; rate = "
                               "\"20Mbit\"; delay = \"2ms\"; }",
                               scenario->nodes[i].name, scenario->nodes[i].name);
    return 0;
}

int reader_links(struct reader *reader, const struct value *root)
{
    const struct value *list =
        reader_need_list(reader, root, "links", "links = ( { from = \"pi1\"; rate = \"20Mbit\"; delay = \"2ms\"; } );");
    if (!list)
        return -1;
    struct scenario *scenario = reader->scenario;
    struct scenario_link *links = ARENA_ARRAY(reader->arena, struct scenario_link, list->count);
    const char **media = ARENA_ARRAY(reader->arena, const char *, list->count);
    for (size_t i = 0; i < list->count; i++)
        if (read_link(reader, list->items[i], &links[i], media) != 0)
            return -1;
    scenario->links = links;
    scenario->link_count = (uint32_t)list->count;
    scenario->media = media;
    return check_devices_have_links(reader, links, list->count);
}
