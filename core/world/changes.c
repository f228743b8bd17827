/* SPDX-License-Identifier: Apache-2.0 */
/* What changes while tasks run. */
#include "core/world/changes.h"

#include <stdlib.h>

#include "core/base/memory.h"
#include "core/link/heap.h"

#define REPAIR_AFTER_NS INT64_C(10000000) /* beyond the way there and back, as where a link is read */

struct changes {
    const struct scenario *scenario;
    struct link_conditions (*links)[2]; /* of now */
    double *speeds;
    uint32_t next_event;
    uint32_t *next_point; /* 2 * link + direction: in its trace */
    struct heap traces; /* such directions by the time of their next point */
    int64_t plan_ns; /* when the next plan is due */
};

bool changes_any(const struct scenario *scenario)
{
    if (scenario->event_count || scenario->replan_every_ns > 0)
        return true;
    for (uint32_t i = 0; i < scenario->link_count; i++)
        if (scenario->links[i].traces[LINK_UP].count || scenario->links[i].traces[LINK_DOWN].count)
            return true;
    return false;
}

static const struct scenario_trace *trace_of(const struct changes *changes, uint32_t direction)
{
    return &changes->scenario->links[direction / 2].traces[direction % 2];
}

static void expect_point(struct changes *changes, uint32_t direction)
{
    const struct scenario_trace *trace = trace_of(changes, direction);
    uint32_t next = changes->next_point[direction];
    if (next < trace->count)
        heap_add(&changes->traces, (heap_key)(uint64_t)trace->points[next].at_ns << 64 | direction);
}

struct changes *changes_new(const struct scenario *scenario)
{
    if (!changes_any(scenario))
        return NULL;
    struct changes *changes = NEW(struct changes);
    changes->scenario = scenario;
    changes->links = memory_new_array(scenario->link_count, sizeof(*changes->links));
    changes->speeds = NEW_ARRAY(double, scenario->node_count);
    changes->next_point = NEW_ARRAY(uint32_t, 2 * (size_t)scenario->link_count);
    changes->plan_ns = scenario->replan_every_ns > 0 ? scenario->replan_every_ns : INT64_MAX;
    heap_init(&changes->traces, 2 * scenario->link_count, false);
    for (uint32_t i = 0; i < scenario->link_count; i++) {
        changes->links[i][LINK_UP] = scenario->links[i].spec.conditions[LINK_UP];
        changes->links[i][LINK_DOWN] = scenario->links[i].spec.conditions[LINK_DOWN];
        expect_point(changes, 2 * i + LINK_UP);
        expect_point(changes, 2 * i + LINK_DOWN);
    }
    for (uint32_t i = 0; i < scenario->node_count; i++)
        changes->speeds[i] = 1;
    return changes;
}

struct changes *changes_copy(const struct changes *changes)
{
    const struct scenario *scenario = changes->scenario;
    struct changes *copy = NEW(struct changes);
    copy->scenario = scenario;
    copy->links = memory_copy(changes->links, scenario->link_count * sizeof(*changes->links));
    copy->speeds = memory_copy(changes->speeds, scenario->node_count * sizeof(*changes->speeds));
    copy->next_event = scenario->event_count;
    copy->plan_ns = INT64_MAX;
    return copy;
}

void changes_free(struct changes *changes)
{
    if (!changes)
        return;
    heap_free(&changes->traces);
    free(changes->links);
    free(changes->speeds);
    free(changes->next_point);
    free(changes);
}

static int64_t event_ns(const struct changes *changes)
{
    const struct scenario *scenario = changes->scenario;
    return changes->next_event < scenario->event_count ? scenario->events[changes->next_event].at_ns : INT64_MAX;
}

static int64_t point_ns(const struct changes *changes)
{
    return heap_time_ns(heap_first(&changes->traces));
}

int64_t changes_next_ns(const struct changes *changes)
{
    if (!changes)
        return INT64_MAX;
    int64_t event = event_ns(changes), point = point_ns(changes);
    int64_t next_ns = event < point ? event : point;
    return changes->plan_ns < next_ns ? changes->plan_ns : next_ns;
}

/* What the event does not state stays. */
static void merge(struct link_conditions *now, const struct link_conditions *stated)
{
    if (stated->bytes_per_s >= 0)
        now->bytes_per_s = stated->bytes_per_s;
    if (stated->delay_ns >= 0)
        now->delay_ns = stated->delay_ns;
    if (stated->jitter_ns >= 0)
        now->jitter_ns = stated->jitter_ns;
    if (stated->loss >= 0)
        now->loss = stated->loss;
    if (stated->repair_ns >= 0)
        now->repair_ns = stated->repair_ns;
    else if (now->loss > 0 && now->repair_ns == 0)
        now->repair_ns = 2 * now->delay_ns + REPAIR_AFTER_NS;
}

static bool returns_after(const struct changes *changes, uint32_t event)
{
    const struct scenario *scenario = changes->scenario;
    for (uint32_t i = event + 1; i < scenario->event_count; i++)
        if (scenario->events[i].what == SCENARIO_RETURN && scenario->events[i].index == scenario->events[event].index)
            return true;
    return false;
}

static void take_event(struct changes *changes, struct change *change)
{
    uint32_t number = changes->next_event++;
    const struct scenario_event *event = &changes->scenario->events[number];
    *change = (struct change){.index = event->index, .at_ns = event->at_ns};
    switch (event->what) {
    case SCENARIO_LINK:
        change->what = CHANGE_LINK;
        merge(&changes->links[event->index][LINK_UP], &event->conditions[LINK_UP]);
        merge(&changes->links[event->index][LINK_DOWN], &event->conditions[LINK_DOWN]);
        break;
    case SCENARIO_CPU:
        change->what = CHANGE_SPEED;
        changes->speeds[event->index] = event->cpu_share / changes->scenario->nodes[event->index].cpu_share;
        break;
    case SCENARIO_LEAVE:
        change->what = CHANGE_LEAVE;
        change->for_good = !returns_after(changes, number);
        break;
    case SCENARIO_RETURN:
        change->what = CHANGE_RETURN;
        break;
    }
}

static void take_point(struct changes *changes, struct change *change)
{
    uint32_t direction = heap_thing(heap_first(&changes->traces));
    const struct scenario_rate *point = &trace_of(changes, direction)->points[changes->next_point[direction]++];
    heap_remove_first(&changes->traces);
    expect_point(changes, direction);
    changes->links[direction / 2][direction % 2].bytes_per_s = point->bytes_per_s;
    *change = (struct change){.what = CHANGE_LINK, .index = direction / 2, .at_ns = point->at_ns};
}

/* A plan is due: the next one is after the time between plans, or with the next change. */
static void take_plan(struct changes *changes, struct change *change)
{
    int64_t every_ns = changes->scenario->replan_every_ns, at_ns = changes->plan_ns;
    *change = (struct change){.what = CHANGE_PLAN, .at_ns = at_ns};
    changes->plan_ns = every_ns > 0 ? (at_ns / every_ns + 1) * every_ns : INT64_MAX;
}

bool changes_take(struct changes *changes, int64_t now_ns, struct change *change)
{
    int64_t event = event_ns(changes), point = point_ns(changes), next = event < point ? event : point;
    if (next > now_ns && changes->plan_ns > now_ns)
        return false;
    if (next > changes->plan_ns) { /* a plan comes behind all changes of its moment */
        take_plan(changes, change);
        return true;
    }
    if (event <= point)
        take_event(changes, change);
    else
        take_point(changes, change);
    if (changes->scenario->replan_on_change && change->at_ns < changes->plan_ns)
        changes->plan_ns = change->at_ns;
    return true;
}

const struct link_conditions *changes_link(const struct changes *changes, uint32_t link)
{
    return changes->links[link];
}

double changes_speed(const struct changes *changes, uint32_t node)
{
    return changes->speeds[node];
}
