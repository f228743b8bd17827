/* SPDX-License-Identifier: Apache-2.0 */
/* What changes in mid-run: events, rate traces of links, and when to plan anew. */
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/units.h"
#include "core/scenario/reader.h"

/* ---- events */

static const char *const link_keys[] = {"at", "link", "rate", "delay", "jitter", "loss", "repair", "down", NULL};
static const char *const down_keys[] = {"rate", "delay", "jitter", "loss", "repair", NULL};
static const char *const node_keys[] = {"at", "node", "cpu", "state", NULL};

static int read_stated(struct reader *reader, const struct value *group, struct link_conditions *conditions)
{
    if (reader_get_rate(reader, group, "rate", &conditions->bytes_per_s) < 0 ||
        reader_get_duration(reader, group, "delay", &conditions->delay_ns) < 0 ||
        reader_get_duration(reader, group, "jitter", &conditions->jitter_ns) < 0 ||
        reader_get_share(reader, group, "loss", &conditions->loss) < 0 ||
        reader_get_duration(reader, group, "repair", &conditions->repair_ns) < 0)
        return -1;
    const struct value *loss = tree_member(group, "loss");
    if (loss && (conditions->loss < 0 || conditions->loss > LINK_MAX_LOSS))
        return reader_fail(reader, loss->where, "'loss' is %g%%; allowed is 0%% to %g%%", conditions->loss * 100,
                           LINK_MAX_LOSS * 100);
    return 0;
}

static int no_such_link(struct reader *reader, const char *where, const char *name)
{
    const struct scenario *scenario = reader->scenario;
    const char **names = ARENA_ARRAY(reader->arena, const char *, scenario->link_count);
    for (uint32_t i = 0; i < scenario->link_count; i++)
        names[i] = scenario->links[i].name;
    reader_fail(reader, where, "'link' names '%s', which is no link", name);
    return reader_suggest(reader, name, names, scenario->link_count);
}

static int read_link_event(struct reader *reader, const struct value *group, const struct names *links,
                           struct scenario_event *event)
{
    static const struct link_conditions nothing = {-1, -1, -1, -1, -1};
    const char *name = tree_member(group, "link")->type == VALUE_TEXT ? tree_member(group, "link")->as.text : "";
    struct value *down;
    event->what = SCENARIO_LINK;
    event->index = names_find(links, name);
    if (event->index == NAMES_NONE)
        return no_such_link(reader, tree_member(group, "link")->where, name);
    event->conditions[LINK_UP] = nothing;
    if (reader_check_keys(reader, group, "an event of a link", link_keys) != 0 ||
        read_stated(reader, group, &event->conditions[LINK_UP]) != 0)
        return -1;
    event->conditions[LINK_DOWN] = event->conditions[LINK_UP];
    int got = reader_get_group(reader, group, "down", &down);
    if (got > 0 && (reader_check_keys(reader, down, "the direction 'down'", down_keys) != 0 ||
                    read_stated(reader, down, &event->conditions[LINK_DOWN]) != 0))
        return -1;
    if (group->count > 2)
        return got < 0 ? -1 : 0;
    return reader_fail(reader, group->where, "the event changes nothing; write for example rate = \"4Mbit\";");
}

static int read_state(struct reader *reader, const struct value *group, struct scenario_event *event)
{
    static const char *const states[] = {"leave", "return"};
    const char *state = "";
    if (reader_get_text(reader, group, "state", &state) < 0)
        return -1;
    event->what = strcmp(state, "leave") == 0 ? SCENARIO_LEAVE : SCENARIO_RETURN;
    if (event->what == SCENARIO_RETURN && strcmp(state, "return") != 0) {
        reader_fail(reader, tree_member(group, "state")->where, "there is no state '%s'", state);
        return reader_suggest(reader, state, states, 2);
    }
    if (event->index == reader->scenario->station)
        return reader_fail(reader, tree_member(group, "state")->where, "the station cannot leave; only devices can");
    return 0;
}

static int read_node_event(struct reader *reader, const struct value *group, struct scenario_event *event)
{
    const char *name = "";
    if (reader_check_keys(reader, group, "an event of a node", node_keys) != 0 ||
        reader_get_text(reader, group, "node", &name) < 0)
        return -1;
    int64_t node = reader_find_node(reader, tree_member(group, "node")->where, "node", name);
    if (node < 0)
        return -1;
    event->index = (uint32_t)node;
    event->what = SCENARIO_CPU;
    const struct value *cpu = tree_member(group, "cpu"), *state = tree_member(group, "state");
    if (!cpu == !state)
        return reader_fail(reader, group->where,
                           "an event of a node says one thing: either cpu = 0.1; or state = \"leave\"; or state = "
                           "\"return\";");
    if (state)
        return read_state(reader, group, event);
    if (reader_get_share(reader, group, "cpu", &event->cpu_share) < 0)
        return -1;
    if (event->cpu_share < 0.001 || event->cpu_share > 1)
        return reader_fail(reader, cpu->where, "'cpu' is %g; allowed is 0.001 to 1", event->cpu_share);
    return 0;
}

static int read_event(struct reader *reader, const struct value *group, const struct names *links,
                      struct scenario_event *event)
{
    event->where = group->where;
    int got = reader_get_duration(reader, group, "at", &event->at_ns);
    if (got <= 0)
        return got < 0 ? -1 : reader_fail(reader, group->where, "the event has no time; write at = \"2s\";");
    bool link = tree_member(group, "link") != NULL, node = tree_member(group, "node") != NULL;
    if (link == node)
        return reader_fail(reader, group->where,
                           "an event is of a link or of a node; write link = \"NAME\"; or node = \"NAME\";");
    return link ? read_link_event(reader, group, links, event) : read_node_event(reader, group, event);
}

/* By time; those of one moment keep their order. */
static int compare_events(const void *a, const void *b, void *context)
{
    const struct scenario_event *events = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (events[i].at_ns != events[j].at_ns)
        return events[i].at_ns < events[j].at_ns ? -1 : 1;
    return (i > j) - (i < j);
}

static const struct scenario_event *sorted(struct arena *arena, struct scenario_event *events, uint32_t count)
{
    struct scenario_event *in_order = ARENA_ARRAY(arena, struct scenario_event, count);
    uint32_t *order = ARENA_ARRAY(arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof(*order), compare_events, events);
    for (uint32_t i = 0; i < count; i++)
        in_order[i] = events[order[i]];
    return in_order;
}

static int check_states(struct reader *reader, const struct scenario_event *events, uint32_t count)
{
    const struct scenario *scenario = reader->scenario;
    bool *away = ARENA_ARRAY(reader->arena, bool, scenario->node_count);
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].what != SCENARIO_LEAVE && events[i].what != SCENARIO_RETURN)
            continue;
        bool leaves = events[i].what == SCENARIO_LEAVE;
        if (away[events[i].index] == leaves)
            return reader_fail(reader, events[i].where, "'%s' cannot %s then: it is %s",
                               scenario->nodes[events[i].index].name, leaves ? "leave" : "return",
                               leaves ? "away already" : "not away; let it leave first");
        away[events[i].index] = leaves;
    }
    return 0;
}

static int read_events(struct reader *reader, const struct value *root)
{
    struct scenario *scenario = reader->scenario;
    const struct value *list = tree_member(root, "events");
    if (!list)
        return 0;
    list = reader_need_list(reader, root, "events", "events = ( { at = \"2s\"; link = \"pi1\"; rate = \"4Mbit\"; } );");
    if (!list)
        return -1;
    struct scenario_event *events = ARENA_ARRAY(reader->arena, struct scenario_event, list->count);
    struct names links = {0};
    int result = 0;
    for (uint32_t i = 0; i < scenario->link_count; i++)
        names_add(&links, reader->arena, scenario->links[i].name, i);
    for (uint32_t i = 0; i < scenario->link_count; i++)
        names_add(&links, reader->arena, scenario->nodes[scenario->links[i].device].name, i);
    for (size_t i = 0; i < list->count && result == 0; i++)
        result = read_event(reader, list->items[i], &links, &events[i]);
    names_free(&links);
    if (result != 0)
        return -1;
    scenario->event_count = (uint32_t)list->count;
    scenario->events = sorted(reader->arena, events, scenario->event_count);
    return check_states(reader, scenario->events, scenario->event_count);
}

static int read_replan(struct reader *reader, const struct value *root)
{
    static const char *const keys[] = {"every", "on_change", "takes", NULL};
    struct scenario *scenario = reader->scenario;
    struct value *group;
    int got = reader_get_group(reader, root, "replan", &group);
    if (got <= 0)
        return got;
    const struct value *on_change = tree_member(group, "on_change"), *every = tree_member(group, "every");
    if (reader_check_keys(reader, group, "'replan'", keys) != 0 ||
        reader_get_duration(reader, group, "every", &scenario->replan_every_ns) < 0 ||
        reader_get_duration(reader, group, "takes", &scenario->replan_takes_ns) < 0)
        return -1;
    if (every && scenario->replan_every_ns < 1000000)
        return reader_fail(reader, every->where, "'every' is less than 1ms; write 1ms or more");
    if (on_change && on_change->type != VALUE_BOOL)
        return reader_fail(reader, on_change->where, "'on_change' is %s; write true or false",
                           tree_type_text(on_change->type));
    scenario->replan_on_change = on_change && on_change->as.truth;
    return 0;
}

int reader_events(struct reader *reader, const struct value *root)
{
    return read_events(reader, root) != 0 || read_replan(reader, root) != 0 ? -1 : 0;
}

/* ---- rate traces */

struct trace_line {
    const char *path;
    unsigned number;
    char *text;
};

/* The point holds the time of the one before. */
static int read_point(struct reader *reader, const struct trace_line *line, struct scenario_rate *point)
{
    char *comma = strchr(line->text, ','), *end;
    if (!comma)
        return error_set(reader->error, ERROR_INPUT, "%s:%u: expected SECONDS,RATE such as 1.5,4Mbit", line->path,
                         line->number);
    *comma = '\0';
    char *rate = comma + 1 + strspn(comma + 1, " \t");
    double seconds = strtod(line->text, &end);
    if (end == line->text || end[strspn(end, " \t")] || !(seconds >= 0 && seconds < 9e9))
        return error_set(reader->error, ERROR_INPUT, "%s:%u: '%s' is no time in seconds", line->path, line->number,
                         line->text);
    int64_t after_ns = point->at_ns;
    point->at_ns = (int64_t)(seconds * 1e9 + 0.5);
    if (point->at_ns <= after_ns)
        return error_set(reader->error, ERROR_INPUT, "%s:%u: times have to ascend", line->path, line->number);
    rate[strcspn(rate, " \t\r")] = '\0';
    if (units_parse_rate(rate, &point->bytes_per_s, reader->error) != 0)
        return error_prefix(reader->error, "%s:%u", line->path, line->number);
    if (!reader_rate_is_allowed(point->bytes_per_s))
        return error_set(
            reader->error, ERROR_INPUT,
            "%s:%u: the rate is %s; allowed is 1kbit to 1000Gbit (a device that is out of reach is an event: "
            "leave and return)",
            line->path, line->number, rate);
    return 0;
}

/* Empty lines, comments (#) and a first line without numbers are passed over. */
static bool is_point(const struct trace_line *line)
{
    const char *text = line->text + strspn(line->text, " \t\r");
    return *text && *text != '#' && (line->number > 1 || strspn(text, "0123456789.") > 0);
}

static int read_points(struct reader *reader, const char *path, char *text, struct scenario_trace *trace)
{
    ARRAY_OF(struct scenario_rate) points = {0};
    struct trace_line line = {.path = path};
    int result = 0;
    while (result == 0 && (line.text = strsep(&text, "\n")) != NULL) {
        line.number++;
        if (!is_point(&line))
            continue;
        struct scenario_rate point = {.at_ns = points.count ? points.items[points.count - 1].at_ns : -1};
        result = read_point(reader, &line, &point);
        *ARRAY_ADD(&points) = point;
    }
    if (result == 0 && points.count == 0)
        result = error_set(reader->error, ERROR_INPUT, "%s: has no line SECONDS,RATE such as 1.5,4Mbit", path);
    trace->points = arena_keep(reader->arena, points.items);
    trace->count = (uint32_t)points.count;
    return result;
}

int reader_trace(struct reader *reader, const struct value *group, struct scenario_trace *trace)
{
    const char *file = NULL;
    struct file_map map;
    int got = reader_get_text(reader, group, "trace", &file);
    if (got <= 0)
        return got;
    char *path = arena_keep(reader->arena, file_path_beside(reader->scenario->path, file));
    if (reader->last_trace && strcmp(reader->last_trace, path) == 0) { /* the members of a group have it in common */
        *trace = reader->last_points;
        return 1;
    }
    const char *where = tree_member(group, "trace")->where;
    if (file_map(path, &map, reader->error) != 0)
        return error_prefix(reader->error, "%s", where);
    char *text = arena_new(reader->arena, map.size + 1);
    if (map.size)
        memcpy(text, map.bytes, map.size);
    file_unmap(&map);
    if (read_points(reader, path, text, trace) != 0)
        return error_prefix(reader->error, "%s", where);
    reader->last_trace = path;
    reader->last_points = *trace;
    return 1;
}
