/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes and links of a scenario. */
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
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

/* The speed of a node that is not measured. */
static int read_stated_speed(struct reader *reader, const struct value *group, struct scenario_speed *speed)
{
    const char *file = NULL;
    double gflops = 0;
    int got = reader_get_text(reader, group, "profile", &file);
    if (got < 0 || reader_get_real(reader, group, "gflops", 1e-6, 1e9, &gflops) < 0 ||
        reader_get_bandwidth(reader, group, "memory_bandwidth", &speed->memory_bytes_per_s) < 0 ||
        reader_get_real(reader, group, "variation", 0, 10, &speed->variation) < 0)
        return -1;
    speed->flop_per_s = gflops * 1e9;
    if (speed->memory_bytes_per_s > 0 && gflops == 0)
        return reader_fail(reader, tree_member(group, "memory_bandwidth")->where,
                           "'memory_bandwidth' alone makes no estimate; say also what it computes: gflops = 8.0;");
    if (file && gflops > 0)
        return reader_fail(reader, tree_member(group, "profile")->where,
                           "there are both 'profile' and 'gflops'; keep one of them");
    if (!file)
        return 0;
    speed->profile = arena_keep(reader->arena, file_path_beside(reader->scenario->path, file));
    if (access(speed->profile, R_OK) != 0)
        return reader_fail(reader, tree_member(group, "profile")->where,
                           "there is no profile %s; make one with `napm profile MODEL --format json >%s`",
                           speed->profile, speed->profile);
    return 0;
}

static int read_node(struct reader *reader, const struct value *root, const struct value *group,
                     struct scenario_node *node)
{
    static const char *const keys[] = {
        "name",   "role",  "count",   "threads", "workers",          "memory",    "cpu", "backend",
        "stress", "power", "profile", "gflops",  "memory_bandwidth", "variation", NULL};
    node->where = group->where;
    if (reader_check_keys(reader, group, "a node", keys) != 0)
        return -1;
    int got = reader_get_name(reader, group, "name", &node->name);
    if (got <= 0)
        return got < 0 ? -1 : reader_fail(reader, group->where, "the node has no name; write name = \"pi1\";");
    if (read_role(reader, group, node) != 0 || read_speed(reader, group, node) != 0 ||
        read_power(reader, group, &node->power) != 0 || read_stated_speed(reader, group, &node->speed) != 0)
        return -1;
    if (node->is_station && group->member_of)
        return reader_fail(reader, group->where, "the station cannot be counted; remove 'count'");
    return read_node_plugins(reader, root, group, node);
}

/* Numbers the nodes by name; counted groups have their names for themselves. */
static int check_names(struct reader *reader, const struct value *list, const struct scenario_node *nodes)
{
    struct names groups = {0};
    int result = 0;
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i]->member_of)
            names_add(&groups, reader->arena, list->items[i]->member_of, i);
    for (uint32_t i = 0; i < list->count && result == 0; i++) {
        uint32_t other = names_add(&reader->nodes, reader->arena, nodes[i].name, i);
        uint32_t group = names_find(&groups, nodes[i].name);
        if (other != i)
            result = reader_fail(reader, nodes[i].where,
                                 "there is already a node '%s' (%s); give each node a name of its own", nodes[i].name,
                                 nodes[other].where);
        else if (group != NAMES_NONE)
            result =
                reader_fail(reader, nodes[i].where, "'%s' is also the name of a counted group (%s); rename one of them",
                            nodes[i].name, nodes[group].where);
    }
    names_free(&groups);
    return result;
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

static const char *const condition_keys[] = {"rate", "delay", "jitter", "loss", "repair", "trace", NULL};

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

/* Without a rate of its own a direction begins with that of its trace. */
static int read_direction_trace(struct reader *reader, const struct value *group, struct scenario_link *link,
                                enum link_direction direction)
{
    struct scenario_trace *trace = &link->traces[direction];
    int got = reader_trace(reader, group, trace);
    if (got > 0 && !tree_member(group, "rate"))
        link->spec.conditions[direction].bytes_per_s = trace->points[0].bytes_per_s;
    return got;
}

static int read_both_directions(struct reader *reader, const struct value *group, struct scenario_link *link)
{
    struct link_conditions *conditions = link->spec.conditions;
    struct value *down;
    bool repair_stated = false;
    if (read_conditions(reader, group, &conditions[LINK_UP], &repair_stated) != 0 ||
        read_direction_trace(reader, group, link, LINK_UP) < 0)
        return -1;
    conditions[LINK_DOWN] = conditions[LINK_UP];
    link->traces[LINK_DOWN] = link->traces[LINK_UP];
    int got = reader_get_group(reader, group, "down", &down);
    if (got <= 0)
        return got;
    if (tree_member(down, "rate"))
        link->traces[LINK_DOWN].count = 0;
    return reader_check_keys(reader, down, "the direction 'down'", condition_keys) != 0 ||
                   read_conditions(reader, down, &conditions[LINK_DOWN], &repair_stated) != 0 ||
                   read_direction_trace(reader, down, link, LINK_DOWN) < 0
               ? -1
               : 0;
}

int64_t reader_find_node(const struct reader *reader, const char *where, const char *key, const char *name)
{
    const struct scenario *scenario = reader->scenario;
    uint32_t number = names_find(&reader->nodes, name);
    if (number != NAMES_NONE)
        return number;
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
    if (end == device)
        return reader_fail(
            reader, tree_member(group, "to")->where,
            "the link of '%s' ends where it begins; write to = \"NAME\" of a device nearer to the station, "
            "or leave it out for the station",
            from);
    link->upper = (uint32_t)end;
    return 0;
}

static int read_link(struct reader *reader, const struct value *group, struct scenario_link *link, struct names *media)
{
    static const char *const keys[] = {"name", "from",   "to",     "rate", "delay", "jitter",
                                       "loss", "repair", "medium", "down", "trace", NULL};
    link->where = group->where;
    link->spec.medium = LINK_NO_MEDIUM;
    if (reader_check_keys(reader, group, "a link", keys) != 0 || read_ends(reader, group, link) != 0 ||
        read_both_directions(reader, group, link) != 0 ||
        reader_get_name(reader, group, "medium", &link->medium_name) < 0)
        return -1;
    if (link->medium_name)
        link->spec.medium = names_add(media, reader->arena, link->medium_name, reader->scenario->medium_count);
    if (link->medium_name && link->spec.medium == reader->scenario->medium_count)
        reader->scenario->medium_count++;
    return 0;
}

static int check_devices_have_links(struct reader *reader, const struct scenario_link *links, uint32_t count)
{
    const struct scenario *scenario = reader->scenario;
    uint32_t *link_of_node = ARENA_ARRAY(reader->arena, uint32_t, scenario->node_count);
    memset(link_of_node, 0xff, scenario->node_count * sizeof(*link_of_node));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *link = &link_of_node[links[i].device];
        if (*link != UINT32_MAX)
            return reader_fail(reader, links[i].where,
                               "the device '%s' already has a link (%s); a device has one, remove the other",
                               scenario->nodes[links[i].device].name, links[*link].where);
        *link = i;
    }
    for (uint32_t i = 0; i < scenario->node_count; i++)
        if (i != scenario->station && link_of_node[i] == UINT32_MAX)
            return reader_fail(reader, scenario->nodes[i].where,
                               "the device '%s' has no link to the station; add to links: { from = \"%s\"; rate = "
                               "\"20Mbit\"; delay = \"2ms\"; }",
                               scenario->nodes[i].name, scenario->nodes[i].name);
    reader->scenario->link_of_node = link_of_node;
    return 0;
}

/* Each way must lead to the station. Nodes are marked with the device whose way came by: so each is passed once. */
static int check_ways(struct reader *reader, const struct scenario_link *links)
{
    const struct scenario *scenario = reader->scenario;
    uint32_t *passed_by = ARENA_ARRAY(reader->arena, uint32_t, scenario->node_count);
    for (uint32_t i = 0; i < scenario->node_count; i++) {
        uint32_t node = i, mark = i + 1;
        while (node != scenario->station && passed_by[node] == 0) {
            passed_by[node] = mark;
            node = links[scenario->link_of_node[node]].upper;
        }
        if (node != scenario->station && passed_by[node] == mark)
            return reader_fail(
                reader, links[scenario->link_of_node[node]].where,
                "the way up from '%s' comes back to it and never leads to the station ('%s'); let one of "
                "the links on it end there",
                scenario->nodes[node].name, scenario->nodes[scenario->station].name);
    }
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
    struct names numbers = {0};
    int result = 0;
    for (size_t i = 0; i < list->count && result == 0; i++) {
        result = read_link(reader, list->items[i], &links[i], &numbers);
        if (result == 0 && links[i].medium_name)
            media[links[i].spec.medium] = links[i].medium_name;
    }
    names_free(&numbers);
    if (result != 0)
        return -1;
    scenario->links = links;
    scenario->link_count = (uint32_t)list->count;
    scenario->media = media;
    return check_devices_have_links(reader, links, scenario->link_count) != 0 || check_ways(reader, links) != 0 ? -1
                                                                                                                : 0;
}
