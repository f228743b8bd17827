/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placements: a stream has the one by which its tasks start, and older ones as long as tasks go by them. Nodes keep a
 * part as long as one of the stream's placements has it.
 */
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/world/drive_private.h"

static const struct model *model_of(const struct stream_run *stream)
{
    return stream->drive->scenario->models[stream->spec->model].model;
}

static bool is_same_part(const struct local_way *a, const struct local_way *b, uint32_t h)
{
    return a->order_number == b->order_number && a->hops[h].first == b->hops[h].first &&
           a->hops[h].cut == b->hops[h].cut;
}

static bool has_cuts(const struct placement *placement, const uint32_t *order, uint32_t layers, const uint32_t *cuts)
{
    if (!order_same(placement->way.order, order, 0, layers))
        return false;
    for (uint32_t h = 0; h < placement->way.count; h++)
        if (placement->way.hops[h].cut != cuts[h])
            return false;
    return true;
}

static void free_placement(struct placement *placement)
{
    for (uint32_t h = 0; h < placement->way.count; h++)
        payload_layout_free(&placement->ups[h]);
    free(placement->ups);
    free(placement->way.hops);
    free(placement->station_layer_ns);
    free(placement);
}

/* Of a way that is laid out: what follows from it. */
static void fill(struct stream_run *stream, struct placement *placement)
{
    const struct local_way *way = &placement->way;
    placement->last_cut = way->hops[way->count - 1].cut;
    placement->station_layer_ns = NEW_ARRAY(int64_t, stream->layer_count - placement->last_cut);
    for (uint32_t place = placement->last_cut; place < stream->layer_count; place++)
        placement->station_layer_ns[place - placement->last_cut] =
            stream->drive->world->station_layer_ns[stream->spec->model][order_layer(way->order, place)];
    placement->ups = NEW_ARRAY(struct payload_layout, way->count);
    for (uint32_t h = 0; h < way->count; h++) {
        payload_layout_make(&placement->ups[h], model_of(stream), way->order, way->hops[h].cut);
        if (placement->ups[h].payload_bytes > placement->room_bytes)
            placement->room_bytes = placement->ups[h].payload_bytes;
    }
    placement->next = stream->placements;
    stream->placements = placement;
}

struct placement *placement_first(struct stream_run *stream)
{
    const struct world *world = stream->drive->world;
    const struct local_way *way = &world->ways[stream->index];
    struct placement *placement = NEW(struct placement);
    placement->way = *way;
    placement->way.hops = memory_copy(way->hops, way->count * sizeof(*way->hops));
    placement->station_part = world->station_parts[stream->index];
    fill(stream, placement);
    return placement;
}

/* The number of the stream's part with these layers there, or the new plan's. */
static uint32_t number_part(const struct stream_run *stream, const struct local_way *way, uint32_t h, uint32_t plan)
{
    for (const struct placement *known = stream->placements; known; known = known->next)
        if (local_has_part(&known->way, h) && is_same_part(&known->way, way, h))
            return known->way.hops[h].part;
    return plan;
}

struct placement *placement_new(struct stream_run *stream, const uint32_t *order, const uint32_t *cuts, uint32_t plan,
                                struct error *error)
{
    struct drive *drive = stream->drive;
    struct placement *placement = NEW(struct placement);
    placement->plan = plan;
    if (local_lay_way(drive->world, stream->index, order, cuts, &placement->way, error)) {
        free(placement->way.hops);
        free(placement);
        return NULL;
    }
    for (uint32_t h = 0; h < placement->way.count; h++) {
        placement->way.hops[h].part = number_part(stream, &placement->way, h, plan);
        local_note_part(drive->world, stream->index, &placement->way, h);
    }
    fill(stream, placement);
    return placement;
}

struct placement *placement_find(const struct stream_run *stream, const uint32_t *order, const uint32_t *cuts)
{
    struct placement *placement = stream->placements;
    while (placement && !has_cuts(placement, order, stream->layer_count, cuts))
        placement = placement->next;
    return placement;
}

static bool is_part_in_use(const struct stream_run *stream, uint32_t h, uint32_t part)
{
    for (const struct placement *other = stream->placements; other; other = other->next)
        if (local_has_part(&other->way, h) && other->way.hops[h].part == part)
            return true;
    return false;
}

static void tell_give_up(struct stream_run *stream, const struct local_hop *hop)
{
    struct peer *peer = &stream->drive->world->nodes[hop->node].peer;
    Wire__GiveUp body = WIRE__GIVE_UP__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.stream = stream->index;
    body.part = hop->part;
    message.body_case = WIRE__MESSAGE__BODY_GIVE_UP;
    message.give_up = &body;
    if (peer->open && !peer->lost)
        peer_tell(peer, &message);
}

/* Its nodes free what no other placement of the stream needs. */
static void give_up(struct stream_run *stream, struct placement *placement)
{
    struct placement **at = &stream->placements;
    while (*at != placement)
        at = &(*at)->next;
    *at = placement->next;
    for (uint32_t h = 0; h < placement->way.count; h++)
        if (local_has_part(&placement->way, h) && !is_part_in_use(stream, h, placement->way.hops[h].part))
            tell_give_up(stream, &placement->way.hops[h]);
    if (placement->station_part)
        workers_give_up(stream->drive->world->workers, placement->station_part);
    free_placement(placement);
}

void placement_take(struct stream_run *stream, struct placement *placement, uint32_t plan)
{
    struct placement *before = stream->now;
    struct drive *drive = stream->drive;
    placement->plan = plan;
    stream->now = placement;
    if (before != placement && before->task_count == 0)
        give_up(stream, before);
    if (!stream->ended)
        outbox_taken(drive->outbox, plan, stream->index, drive_clock_ns(drive, clock_now_ns()));
}

void placement_left(struct stream_run *stream, struct placement *placement)
{
    if (--placement->task_count == 0 && placement != stream->now)
        give_up(stream, placement);
}

void placements_free(struct stream_run *stream)
{
    while (stream->placements) {
        struct placement *next = stream->placements->next;
        free_placement(stream->placements);
        stream->placements = next;
    }
}
