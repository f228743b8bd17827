/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shaping of a link achieves, found through the same path as a task's tensors: a few frames of one byte tell
 * the delay, one big frame the rate.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/stats.h"
#include "core/world/local_private.h"

enum { PING_BYTES = 1, PING_COUNT = 5 };

#define BULK_BYTES_MIN UINT64_C(1448)
#define BULK_BYTES_MAX (UINT64_C(32) << 20)
#define BULK_BYTES_UNSHAPED (UINT64_C(4) << 20)

struct probe {
    struct passage passage; /* first: the passage is the probe */
    struct world *world;
    struct peer *peer;
    uint32_t link;
    enum link_direction direction;
    uint8_t *buffer;
    uint64_t bytes;
    struct peer_outgoing out, ahead;
    bool is_ahead;
    int64_t sent_ns, took_ns;
    bool link_done, content_done, done;
};

static bool is_done(struct world *world, void *argument)
{
    (void)world;
    return ((struct probe *)argument)->done;
}

/* Both the link's time and the real transfer are over. */
static void finish_up(struct probe *probe)
{
    if (!probe->link_done || !probe->content_done)
        return;
    probe->took_ns = clock_now_ns() - probe->sent_ns;
    probe->done = true;
}

static struct frame_header header_of(const struct probe *probe, uint32_t kind)
{
    return (struct frame_header){.kind = kind,
                                 .stream = probe->link,
                                 .tensor_count = 1,
                                 .tensor_bytes = probe->bytes,
                                 .payload_bytes = frame_padded(probe->bytes),
                                 .sent_ns = probe->sent_ns};
}

static void arrived(struct world *world, struct passage *passage)
{
    struct probe *probe = (struct probe *)passage;
    (void)world;
    if (probe->direction == LINK_UP) {
        probe->link_done = true;
        finish_up(probe);
        return;
    }
    struct frame_header header = header_of(probe, FRAME_PROBE);
    if (probe->is_ahead)
        header.payload_bytes = header.tensor_bytes = header.tensor_count = 0;
    peer_send(probe->peer, &probe->out, &header, probe->buffer);
}

int probe_frame_begin(struct world *world, struct peer *peer, const struct frame_header *header, void **payload,
                      struct error *error)
{
    struct probe *probe = world->probe;
    bool expected =
        probe && probe->peer == peer && probe->link == header->stream && !probe->done && header->layer_count == 0 &&
        (header->kind == FRAME_PROBE ? probe->direction == LINK_UP && header->tensor_bytes == probe->bytes &&
                                           header->payload_bytes == frame_padded(probe->bytes)
                                     : probe->direction == LINK_DOWN && header->payload_bytes == 0);
    if (!expected)
        return error_set(error, ERROR_RUN, "it sent a probe that was not asked for");
    *payload = probe->buffer;
    if (header->kind == FRAME_PROBE) {
        probe->sent_ns = header->sent_ns;
        local_pass(world, probe->link, LINK_UP, probe->bytes, header->sent_ns, &probe->passage);
    }
    return 0;
}

int probe_frame_end(struct world *world, struct peer *peer, const struct frame_header *header, struct error *error)
{
    struct probe *probe = world->probe;
    (void)peer;
    (void)error;
    if (header->kind == FRAME_PROBE) {
        probe->content_done = true;
        finish_up(probe);
    } else {
        probe->took_ns = header->ended_ns - probe->sent_ns;
        probe->done = true;
    }
    return 0;
}

/* One frame of so many bytes through the link: how long it took. */
static int send_one(struct probe *probe, uint64_t bytes, int64_t *took_ns, struct error *error)
{
    struct world *world = probe->world;
    probe->bytes = bytes;
    probe->done = probe->link_done = probe->content_done = false;
    if (probe->direction == LINK_UP) {
        Wire__Probe body = WIRE__PROBE__INIT;
        Wire__Message message = WIRE__MESSAGE__INIT;
        body.link = probe->link;
        body.count = 1;
        body.bytes = bytes;
        message.body_case = WIRE__MESSAGE__BODY_PROBE;
        message.probe = &body;
        peer_tell(probe->peer, &message);
    } else {
        probe->sent_ns = clock_now_ns();
        probe->is_ahead =
            frame_padded(bytes) >= LOCAL_AHEAD_BYTES && !shaper_is_direct(world->shaper, probe->link, LINK_DOWN);
        if (probe->is_ahead) {
            const struct frame_header header = header_of(probe, FRAME_AHEAD);
            peer_send(probe->peer, &probe->ahead, &header, probe->buffer);
        }
        local_pass(world, probe->link, LINK_DOWN, bytes, probe->sent_ns, &probe->passage);
    }
    if (local_wait(world, is_done, probe, world->scenario->time_limit_ns, "a probe of a link", error))
        return -1;
    *took_ns = probe->took_ns;
    return 0;
}

static int measure(struct probe *probe, struct link_report *report, struct error *error)
{
    const struct link_conditions *asked = &probe->world->scenario->links[probe->link].spec.conditions[probe->direction];
    int64_t pings_ns[PING_COUNT], bulk_ns;
    double wanted = asked->bytes_per_s * LINK_PROBE_S;
    uint64_t bulk = asked->bytes_per_s <= 0           ? BULK_BYTES_UNSHAPED
                    : wanted > (double)BULK_BYTES_MAX ? BULK_BYTES_MAX
                    : wanted < (double)BULK_BYTES_MIN ? BULK_BYTES_MIN
                                                      : (uint64_t)wanted;
    probe->buffer = memory_try_aligned((size_t)frame_padded(bulk));
    if (!probe->buffer)
        return error_set(error, ERROR_RUN, "no memory for a probe of a link");
    memset(probe->buffer, 0, (size_t)frame_padded(bulk));
    int status = 0;
    for (int i = 0; i < PING_COUNT && status == 0; i++)
        status = send_one(probe, PING_BYTES, &pings_ns[i], error);
    if (status == 0)
        status = send_one(probe, bulk, &bulk_ns, error);
    free(probe->buffer);
    if (status)
        return -1;
    int64_t delay_ns = stats_median_ns(pings_ns, PING_COUNT);
    report->requested_bytes_per_s = asked->bytes_per_s;
    report->requested_delay_ns = asked->delay_ns;
    report->achieved_delay_ns = delay_ns;
    report->achieved_bytes_per_s = bulk_ns > delay_ns ? (double)bulk * 1e9 / (double)(bulk_ns - delay_ns) : 0;
    report->method =
        shaper_is_direct(probe->world->shaper, probe->link, probe->direction) ? "none" : "user-space shaping";
    return 0;
}

int probe_link(struct world *world, uint32_t link, struct link_report report[2], struct error *error)
{
    const struct scenario_link *spec = &world->scenario->links[link];
    memset(report, 0, 2 * sizeof(*report));
    for (int direction = LINK_UP; direction <= LINK_DOWN; direction++) {
        struct probe probe = {.passage = {.arrived = arrived},
                              .world = world,
                              .peer = &world->nodes[spec->device].peer,
                              .link = link,
                              .direction = (enum link_direction)direction};
        report[direction].link = link;
        report[direction].direction = (enum link_direction)direction;
        world->probe = &probe;
        int status = measure(&probe, &report[direction], error);
        world->probe = NULL;
        if (status) {
            peer_forget(probe.peer); /* what waits to be sent is the probe's */
            shaper_drop(world->shaper, link);
            return -1;
        }
    }
    return 0;
}
