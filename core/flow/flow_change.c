/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks in virtual time: changes of the conditions in mid-run. */
#include <math.h>

#include "core/flow/flow_private.h"

void flow_change_link(struct flow *flow, uint32_t link, enum link_direction direction,
                      const struct link_conditions *conditions)
{
    flow->directions[2 * link + direction].instant = false; /* frames sent before must not be overtaken */
    link_change(flow->net, link, direction, conditions, flow->now_ns);
    flow->net_ns = link_next_ns(flow->net);
}

void flow_change_plan(struct flow *flow, const struct flow_plan *plan)
{
    flow->plan = *plan;
    flow->plan_number++;
}

/* ---- speed */

/* Takes the thing's event out of its queue. Returns its time, or -1 where it has none. */
static int64_t take_out(struct heap *queue, uint32_t thing)
{
    heap_keep_places(queue);
    uint32_t at = heap_find(queue, thing);
    if (at == HEAP_ABSENT)
        return -1;
    int64_t at_ns = heap_time_ns(queue->entries[at]);
    heap_remove(queue, thing);
    return at_ns;
}

static void stretch(struct flow *flow, uint32_t source, double by)
{
    int64_t at_ns = take_out(&flow->events, source);
    if (at_ns < 0)
        return;
    at_ns = flow->now_ns + llround(fmin((double)(at_ns - flow->now_ns) * by, 4e18));
    heap_add(&flow->events, (heap_key)(uint64_t)at_ns << 64 | source);
}

void flow_change_speed(struct flow *flow, uint32_t node, double speed)
{
    double by = flow->nodes[node].speed / speed;
    flow->nodes[node].speed = speed;
    if (node != flow->setup.station) {
        stretch(flow, flow->first_device + node, by);
        return;
    }
    for (uint32_t worker = 0; worker < flow->setup.workers; worker++)
        stretch(flow, worker, by);
}

/* ---- leaving and returning */

static void index_ways(struct flow *flow)
{
    const struct flow_setup *setup = &flow->setup;
    if (flow->passing)
        return;
    flow->first_passing = NEW_ARRAY(uint32_t, setup->node_count + 2);
    flow->passing = NEW_ARRAY(uint32_t, flow->first_cut[setup->stream_count] + 1);
    for (uint32_t i = 0; i < setup->stream_count; i++)
        for (uint32_t h = 0; h < setup->streams[i].hop_count; h++)
            flow->first_passing[setup->streams[i].hops[h].node + 2]++;
    for (uint32_t node = 0; node < setup->node_count; node++)
        flow->first_passing[node + 2] += flow->first_passing[node + 1];
    for (uint32_t i = 0; i < setup->stream_count; i++)
        for (uint32_t h = 0; h < setup->streams[i].hop_count; h++)
            flow->passing[flow->first_passing[setup->streams[i].hops[h].node + 1]++] = i;
}

static void drop_frame(void *context, void *frame)
{
    flow_put_back(context, frame);
}

static void drop_queue(struct flow *flow, struct queue *queue, uint32_t source)
{
    take_out(&flow->events, source);
    while (queue->first)
        flow_put_back(flow, flow_take_first(queue));
}

/* All that is on the node, and on its link up, is dead: it belongs to streams whose way leads over the node. */
static void clear_node(struct flow *flow, uint32_t node, uint32_t link)
{
    drop_queue(flow, &flow->nodes[node].queue, flow->first_device + node);
    for (uint32_t number = 2 * link; number < 2 * link + 2; number++)
        drop_queue(flow, &flow->directions[number].queue, flow->first_direction + number);
    link_drop(flow->net, link, flow->now_ns, drop_frame, flow);
    flow->net_ns = link_next_ns(flow->net);
}

static void drop_job(void *context, const struct station_end *end)
{
    flow_put_back(context, end->user);
}

static int hold_stream(struct flow *flow, uint32_t stream, const char *cause, bool for_good)
{
    struct stream_state *state = &flow->streams[stream];
    bool had_tasks = state->oldest != NULL;
    if (state->away++ == 0) {
        state->held_ns = take_out(&flow->starts, stream);
        state->held = state->held_ns >= 0 || state->waiting;
        flow->held += state->held;
    }
    if (for_good && state->held) {
        state->held = false;
        flow->held--;
    }
    while (state->oldest) {
        struct task *task = state->oldest;
        task->dead = true;
        task->record.failure = cause;
        if (flow_report_end(flow, task) != 0)
            return -1;
    }
    flow->station_dirty = true;
    if (had_tasks)
        station_cancel_stream(flow->station, stream, flow->now_ns, drop_job, flow);
    return 0;
}

static int release_stream(struct flow *flow, uint32_t stream)
{
    struct stream_state *state = &flow->streams[stream];
    if (--state->away > 0 || !state->held)
        return 0;
    state->held = false;
    flow->held--;
    state->back_ns = flow->now_ns;
    if (state->held_ns < flow->now_ns && !(flow->setup.streams[stream].reactive && state->held_ns >= 0))
        return flow_expect_start(flow, stream);
    flow_set_start(flow, stream, state->held_ns);
    return 0;
}

int flow_leave(struct flow *flow, uint32_t node, const char *cause, bool for_good)
{
    index_ways(flow);
    if (flow->nodes[node].away)
        return 0;
    flow->nodes[node].away = true;
    for (uint32_t i = flow->first_passing[node]; i < flow->first_passing[node + 1]; i++)
        if (hold_stream(flow, flow->passing[i], cause, for_good) != 0)
            return -1;
    if (flow->first_passing[node] == flow->first_passing[node + 1])
        return 0;
    const struct flow_hop *hop = flow->setup.streams[flow->passing[flow->first_passing[node]]].hops;
    while (hop->node != node)
        hop++;
    clear_node(flow, node, hop->link);
    return 0;
}

int flow_return(struct flow *flow, uint32_t node)
{
    if (!flow->nodes[node].away)
        return 0;
    flow->nodes[node].away = false;
    for (uint32_t i = flow->first_passing[node]; i < flow->first_passing[node + 1]; i++)
        if (release_stream(flow, flow->passing[i]) != 0)
            return -1;
    return 0;
}
