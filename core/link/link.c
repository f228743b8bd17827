/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links in any kind of time.
 *
 * A direction whose air is its own needs one event a frame: when a frame leaves is known when it is sent. Directions
 * on a medium share it by processor sharing in virtual time: the medium's virtual clock runs at 1/n of real speed while
 * n directions transmit, so a frame that needs `air` alone leaves when that clock has advanced by `air`, whoever joins
 * or leaves meanwhile. So a join or a departure touches one entry of the medium's heap and the medium's next event,
 * nothing else.
 *
 * Air and virtual time are fixed-point numbers, not doubles: equal on every machine, and exact at times of 1e18 ns.
 */
#include "core/link/link.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/link/heap.h"

/* Nanoseconds with AIR_BITS bits of fraction: fine enough that rounding a share of the air never adds up to 1 ns. */
typedef heap_key air_time;
#define AIR_BITS 32

#define LONGEST_AIR_NS 4e18 /* beyond any run: a frame that would take longer never leaves */
#define FIRST_CHUNK_FRAMES 8
#define NO_MEDIUM UINT32_MAX
#define CACHE_LINE_BYTES 64

/* One cache line: with many links a frame is out of the cache whenever it is needed. */
struct frame {
    _Alignas(CACHE_LINE_BYTES) union {
        air_time air; /* until it leaves: what it costs with the air to itself, repairs included */
        struct {
            int64_t transmitted_ns, delivered_ns;
        } left; /* once it has left */
    } when;
    struct frame *next; /* in its direction, or in the pool */
    void *users;
    uint64_t bytes;
    uint64_t order; /* of sending, over the whole net: breaks ties */
    int64_t sent_ns;
    int64_t latency_ns; /* from leaving to arriving */
};

/* The random sequence of a direction, and how it began. */
struct sequence {
    struct random now, start;
    double loss_log; /* log(1 - loss) */
};

/* One cache line, like a frame. */
struct direction {
    _Alignas(CACHE_LINE_BYTES) union {
        air_time free_at; /* own air: when the last frame has left */
        struct {
            struct frame *waiting; /* the first frame that has not left, which is being transmitted; or NULL */
            uint32_t member; /* its number in the medium */
        } shared;
    } air;
    struct frame *first, *last; /* in flight and waiting, in the order sent */
    struct link_conditions *conditions;
    struct sequence *sequence; /* NULL where nothing has been random yet */
    int64_t last_delivery_ns;
    uint32_t medium; /* index, or NO_MEDIUM: air of its own */
};

_Static_assert(sizeof(struct frame) == CACHE_LINE_BYTES || sizeof(void *) != 8, "a frame outgrew its line");
_Static_assert(sizeof(struct direction) == CACHE_LINE_BYTES || sizeof(void *) != 8, "a direction outgrew its line");

struct medium {
    struct heap active; /* members that transmit, by the virtual time at which they finish */
    uint32_t *directions; /* by member */
    uint32_t member_count;
    air_time virtual_now; /* what its virtual clock shows at real time `at` */
    air_time at;
};

/* Frames are allocated in chunks, each twice the one before, and never given back before the net ends. */
struct chunk {
    struct chunk *next;
    struct frame frames[];
};

struct link_net {
    struct link_spec *specs; /* with the conditions of now */
    struct link_spec *first_specs; /* NULL where nothing has changed */
    struct direction *directions; /* 2 * link + enum link_direction */
    struct medium *media;
    uint64_t seed;
    struct heap departures; /* media by the time of their next departure */
    struct heap arrivals; /* directions by the time at which their first frame in flight arrives */
    struct frame *pool;
    struct chunk *chunks;
    size_t next_chunk_frames;
    uint64_t sent; /* frames so far */
    int64_t now_ns;
    uint32_t link_count, medium_count;
};

static int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static heap_key time_key(int64_t time_ns, uint32_t tie, uint32_t thing)
{
    return (heap_key)(uint64_t)time_ns << 64 | (uint64_t)tie << 32 | thing;
}

/* Ends of transmissions within a medium: a virtual time, ties by member. */
static heap_key finish_key(air_time finish, uint32_t member)
{
    return finish << 32 | member;
}

static air_time key_finish(heap_key key)
{
    return key >> 32;
}

static air_time air_of_ns(int64_t ns)
{
    return (air_time)(uint64_t)ns << AIR_BITS;
}

static air_time air_of_double(double ns)
{
    double air = ns * 0x1p32;
    return air < 0x1p63 ? (air_time)(uint64_t)air : (air_time)air; /* the usual case is much the faster one */
}

/* Rounded up to a whole nanosecond; INT64_MAX where it is later than that. */
static int64_t air_to_ns(air_time air)
{
    heap_key ns = (air + (((air_time)1 << AIR_BITS) - 1)) >> AIR_BITS;
    return ns > (heap_key)INT64_MAX ? INT64_MAX : (int64_t)ns;
}

/* ---- frames */

static struct frame *new_frame(struct link_net *net)
{
    if (!net->pool) {
        size_t count = net->next_chunk_frames;
        struct chunk *chunk = memory_new_aligned(sizeof(*chunk) + count * sizeof(struct frame));
        chunk->next = net->chunks;
        net->chunks = chunk;
        net->next_chunk_frames = count * 2;
        for (size_t i = 0; i < count; i++) {
            chunk->frames[i].next = net->pool;
            net->pool = &chunk->frames[i];
        }
    }
    struct frame *frame = net->pool;
    net->pool = frame->next;
    return frame;
}

static void free_frame(struct link_net *net, struct frame *frame)
{
    frame->next = net->pool;
    net->pool = frame;
}

static void append(struct direction *direction, struct frame *frame)
{
    frame->next = NULL;
    if (direction->last)
        direction->last->next = frame;
    else
        direction->first = frame;
    direction->last = frame;
}

static bool has_own_air(const struct direction *direction)
{
    return direction->medium == NO_MEDIUM;
}

/* The first frame of a direction that has not left, if any; with air of its own every frame's end is known when sent. */
static struct frame *waiting_frame(const struct direction *direction)
{
    return has_own_air(direction) ? NULL : direction->air.shared.waiting;
}

/* ---- chance */

static uint64_t packets_of(uint64_t bytes)
{
    return bytes ? (bytes - 1) / LINK_PACKET_BYTES + 1 : 1;
}

/* How many of `count` packets are lost: leaps from one lost packet to the next, so that rare loss costs nothing. */
static uint64_t draw_lost(struct direction *direction, uint64_t count)
{
    uint64_t lost = 0;
    double at = -1;
    for (;;) {
        at += 1 + floor(log(1 - random_unit(&direction->sequence->now)) / direction->sequence->loss_log);
        if (at >= (double)count)
            return lost;
        lost++;
    }
}

/* Even over [-jitter, +jitter], both ends included. */
static int64_t draw_jitter_ns(struct direction *direction)
{
    uint64_t jitter_ns = (uint64_t)direction->conditions->jitter_ns;
    heap_key product = (heap_key)random_bits(&direction->sequence->now) * (2 * jitter_ns + 1);
    return (int64_t)((uint64_t)(product >> 64) - jitter_ns);
}

/* Settles what the frame will cost: its air and the time from leaving to arriving. */
static void draw_costs(struct direction *direction, struct frame *frame)
{
    const struct link_conditions *conditions = direction->conditions;
    double bytes = (double)frame->bytes;
    int64_t latency_ns = conditions->delay_ns, repairs_ns = 0;
    if (conditions->jitter_ns > 0)
        latency_ns = add_saturated(latency_ns, draw_jitter_ns(direction));
    if (conditions->loss > 0) {
        uint64_t packets = packets_of(frame->bytes), repeated = 0;
        for (uint64_t lost = packets; (lost = draw_lost(direction, lost)) > 0; repeated += lost)
            repairs_ns = add_saturated(repairs_ns, conditions->repair_ns);
        bytes += bytes * ((double)repeated / (double)packets);
    }
    frame->latency_ns = add_saturated(latency_ns > 0 ? latency_ns : 0, repairs_ns);
    double air_ns = conditions->bytes_per_s > 0 ? bytes * 1e9 / conditions->bytes_per_s : 0;
    frame->when.air = air_of_double(air_ns < LONGEST_AIR_NS ? air_ns : LONGEST_AIR_NS);
}

/* ---- leaving */

/* When the first frame of a direction arrives; of equal times the frame sent first is the first. */
static heap_key arrival_key(const struct link_net *net, const struct direction *direction)
{
    const struct frame *first = direction->first;
    uint32_t index = (uint32_t)(direction - net->directions);
    return time_key(first->when.left.delivered_ns, (uint32_t)first->order, index);
}

/* The frame's last byte is out. Frames of a direction arrive in order, whatever jitter says. */
static void leave(struct link_net *net, struct direction *direction, struct frame *frame, int64_t at_ns)
{
    int64_t delivered_ns = add_saturated(at_ns, frame->latency_ns);
    if (delivered_ns < direction->last_delivery_ns)
        delivered_ns = direction->last_delivery_ns;
    direction->last_delivery_ns = delivered_ns;
    frame->when.left.transmitted_ns = at_ns;
    frame->when.left.delivered_ns = delivered_ns;
    if (frame == direction->first)
        heap_add(&net->arrivals, arrival_key(net, direction));
}

static void medium_advance(struct medium *medium, int64_t now_ns)
{
    uint32_t sharers = heap_count(&medium->active);
    air_time now = air_of_ns(now_ns), elapsed = now - medium->at;
    if (sharers == 1)
        medium->virtual_now += elapsed;
    else if (sharers > 1) /* a division of 64 bits is several times faster than one of 128 */
        medium->virtual_now += elapsed <= UINT64_MAX ? (uint64_t)elapsed / sharers : elapsed / sharers;
    medium->at = now;
}

/* Real time until the virtual clock shows `finish`, if nobody joins or leaves. */
static air_time time_until(const struct medium *medium, air_time finish)
{
    return finish > medium->virtual_now ? (finish - medium->virtual_now) * heap_count(&medium->active) : 0;
}

static void expect_departure(struct link_net *net, struct medium *medium)
{
    uint32_t index = (uint32_t)(medium - net->media);
    if (heap_count(&medium->active) == 0) {
        heap_remove(&net->departures, index);
        return;
    }
    air_time at = medium->at + time_until(medium, key_finish(heap_first(&medium->active)));
    heap_set(&net->departures, time_key(air_to_ns(at), 0, index));
}

/*
 * One frame leaves a medium; the next of its direction follows at once. The medium's clocks go to the exact moment,
 * which lies up to 1 ns before `at_ns`: rounding never adds up.
 */
static void depart(struct link_net *net, struct medium *medium, int64_t at_ns)
{
    uint32_t member = heap_thing(heap_first(&medium->active));
    air_time finish = key_finish(heap_first(&medium->active));
    medium->at += time_until(medium, finish);
    if (finish > medium->virtual_now)
        medium->virtual_now = finish;
    struct direction *direction = &net->directions[medium->directions[member]];
    struct frame *frame = direction->air.shared.waiting, *next = frame->next;
    direction->air.shared.waiting = next;
    if (next)
        heap_replace_first(&medium->active, finish_key(finish + next->when.air, member));
    else
        heap_remove_first(&medium->active);
    leave(net, direction, frame, at_ns);
    expect_departure(net, medium);
}

static void take_departures(struct link_net *net, int64_t now_ns)
{
    while (heap_is_by(heap_first(&net->departures), now_ns))
        depart(net, &net->media[heap_thing(heap_first(&net->departures))], heap_time_ns(heap_first(&net->departures)));
}

static void advance(struct link_net *net, int64_t now_ns)
{
    if (heap_is_by(heap_first(&net->departures), now_ns))
        take_departures(net, now_ns);
    if (now_ns > net->now_ns)
        net->now_ns = now_ns;
}

/* ---- making a net */

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Numbers the media from 0 and lists the members of each. */
static void make_media(struct link_net *net)
{
    uint32_t *numbers = NEW_ARRAY(uint32_t, net->link_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < net->link_count; i++)
        if (net->specs[i].medium != LINK_NO_MEDIUM)
            numbers[count++] = net->specs[i].medium;
    qsort(numbers, count, sizeof(*numbers), compare_numbers);
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || numbers[i] != numbers[i - 1])
            numbers[net->medium_count++] = numbers[i];

    net->media = NEW_ARRAY(struct medium, net->medium_count);
    for (uint32_t i = 0; i < 2 * net->link_count; i++) {
        struct direction *direction = &net->directions[i];
        const struct link_spec *spec = &net->specs[i / 2];
        direction->medium = NO_MEDIUM;
        if (spec->medium == LINK_NO_MEDIUM)
            continue;
        const uint32_t *number = bsearch(&spec->medium, numbers, net->medium_count, sizeof(*numbers), compare_numbers);
        direction->medium = (uint32_t)(number - numbers);
        direction->air.shared.member = net->media[direction->medium].member_count++;
    }
    free(numbers);

    for (uint32_t i = 0; i < net->medium_count; i++) {
        struct medium *medium = &net->media[i];
        heap_init(&medium->active, medium->member_count, false);
        medium->directions = NEW_ARRAY(uint32_t, medium->member_count);
    }
    for (uint32_t i = 0; i < 2 * net->link_count; i++)
        if (!has_own_air(&net->directions[i]))
            net->media[net->directions[i].medium].directions[net->directions[i].air.shared.member] = i;
}

static bool is_random(const struct link_conditions *conditions)
{
    return conditions->jitter_ns > 0 || conditions->loss > 0;
}

/*
 * Each direction that needs one has a random sequence, named after it: adding a link leaves the others' alone, and so does
 * a change of conditions.
 */
static void settle_sequence(struct link_net *net, struct direction *direction)
{
    if (!is_random(direction->conditions))
        return;
    if (!direction->sequence) {
        uint32_t index = (uint32_t)(direction - net->directions);
        char name[32];
        snprintf(name, sizeof(name), "link:%u:%s", index / 2, index % 2 == LINK_UP ? "up" : "down");
        direction->sequence = NEW(struct sequence);
        random_seed(&direction->sequence->start, net->seed, name);
        direction->sequence->now = direction->sequence->start;
    }
    direction->sequence->loss_log = log1p(-direction->conditions->loss);
}

static void set_conditions(struct link_net *net, struct direction *direction, const struct link_conditions *conditions)
{
    *direction->conditions = *conditions;
    direction->conditions->loss = fmin(conditions->loss, LINK_MAX_LOSS);
    settle_sequence(net, direction);
}

struct link_net *link_net_new(const struct link_spec *links, uint32_t count, uint64_t seed)
{
    struct link_net *net = NEW(struct link_net);
    net->link_count = count;
    net->next_chunk_frames = FIRST_CHUNK_FRAMES;
    net->specs = memory_copy(links, (size_t)count * sizeof(*links));
    net->directions = memory_new_aligned((size_t)count * 2 * sizeof(struct direction));
    net->seed = seed;
    for (uint32_t i = 0; i < 2 * count; i++) {
        net->directions[i].conditions = &net->specs[i / 2].conditions[i % 2];
        set_conditions(net, &net->directions[i], &links[i / 2].conditions[i % 2]);
    }
    make_media(net);
    heap_init(&net->departures, net->medium_count, true);
    heap_init(&net->arrivals, 2 * count, false);
    return net;
}

void link_net_free(struct link_net *net)
{
    if (!net)
        return;
    for (struct chunk *chunk = net->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    for (uint32_t i = 0; i < net->medium_count; i++) {
        heap_free(&net->media[i].active);
        free(net->media[i].directions);
    }
    heap_free(&net->departures);
    heap_free(&net->arrivals);
    for (uint32_t i = 0; i < 2 * net->link_count; i++)
        free(net->directions[i].sequence);
    free(net->media);
    free(net->directions);
    free(net->specs);
    free(net->first_specs);
    free(net);
}

/* Empties a direction, giving each frame to `drop` unless that is NULL. */
static void clear_direction(struct link_net *net, struct direction *direction, void (*drop)(void *context, void *frame),
                            void *context)
{
    struct frame *first = direction->first;
    direction->first = direction->last = NULL;
    if (has_own_air(direction))
        direction->air.free_at = 0;
    else
        direction->air.shared.waiting = NULL;
    direction->last_delivery_ns = 0;
    for (struct frame *next; first; first = next) {
        next = first->next;
        if (drop)
            drop(context, first->users);
        free_frame(net, first);
    }
}

void link_net_reset(struct link_net *net)
{
    for (uint32_t i = 0; i < 2 * net->link_count; i++) {
        struct direction *direction = &net->directions[i];
        clear_direction(net, direction, NULL, NULL);
        if (net->first_specs)
            set_conditions(net, direction, &net->first_specs[i / 2].conditions[i % 2]);
        if (direction->sequence)
            direction->sequence->now = direction->sequence->start;
    }
    for (uint32_t i = 0; i < net->medium_count; i++) {
        heap_clear(&net->media[i].active);
        net->media[i].virtual_now = 0;
        net->media[i].at = 0;
    }
    heap_clear(&net->departures);
    heap_clear(&net->arrivals);
    net->sent = 0;
    net->now_ns = 0;
}

/* ---- using it */

/* With air of its own, when a frame leaves is known at once. Fractions of a nanosecond are carried to the next. */
static void transmit_alone(struct link_net *net, struct direction *direction, struct frame *frame, int64_t now_ns)
{
    air_time now = air_of_ns(now_ns);
    direction->air.free_at = (direction->air.free_at > now ? direction->air.free_at : now) + frame->when.air;
    leave(net, direction, frame, air_to_ns(direction->air.free_at));
}

static void transmit_shared(struct link_net *net, struct direction *direction, struct frame *frame, int64_t now_ns)
{
    if (direction->air.shared.waiting) /* its turn comes when those before it have left */
        return;
    struct medium *medium = &net->media[direction->medium];
    medium_advance(medium, now_ns);
    direction->air.shared.waiting = frame;
    heap_add(&medium->active, finish_key(medium->virtual_now + frame->when.air, direction->air.shared.member));
    expect_departure(net, medium);
}

void link_send(struct link_net *net, uint32_t link, enum link_direction way, uint64_t bytes, int64_t now_ns,
               void *frame_of_user)
{
    advance(net, now_ns);
    now_ns = net->now_ns;
    struct direction *direction = &net->directions[2 * (size_t)link + way];
    struct frame *frame = new_frame(net);
    frame->users = frame_of_user;
    frame->bytes = bytes;
    frame->order = net->sent++;
    frame->sent_ns = now_ns;
    draw_costs(direction, frame);
    append(direction, frame);
    if (has_own_air(direction))
        transmit_alone(net, direction, frame, now_ns);
    else
        transmit_shared(net, direction, frame, now_ns);
}

int64_t link_next_ns(const struct link_net *net)
{
    heap_key departure = heap_first(&net->departures), arrival = heap_first(&net->arrivals);
    return heap_time_ns(departure < arrival ? departure : arrival);
}

bool link_take(struct link_net *net, int64_t now_ns, struct link_delivery *delivery)
{
    advance(net, now_ns);
    if (!heap_is_by(heap_first(&net->arrivals), now_ns))
        return false;
    uint32_t index = heap_thing(heap_first(&net->arrivals));
    struct direction *direction = &net->directions[index];
    struct frame *frame = direction->first;
    *delivery = (struct link_delivery){
        .link = index / 2,
        .direction = (enum link_direction)(index % 2),
        .bytes = frame->bytes,
        .frame = frame->users,
        .sent_ns = frame->sent_ns,
        .transmitted_ns = frame->when.left.transmitted_ns,
        .delivered_ns = frame->when.left.delivered_ns,
    };
    direction->first = frame->next;
    if (!direction->first)
        direction->last = NULL;
    if (direction->first && direction->first != waiting_frame(direction))
        heap_replace_first(&net->arrivals, arrival_key(net, direction));
    else
        heap_remove_first(&net->arrivals);
    free_frame(net, frame);
    return true;
}

void link_drop(struct link_net *net, uint32_t link, int64_t now_ns, void (*drop)(void *context, void *frame),
               void *context)
{
    advance(net, now_ns);
    for (uint32_t i = 2 * link; i < 2 * link + 2; i++) {
        struct direction *direction = &net->directions[i];
        if (waiting_frame(direction)) {
            struct medium *medium = &net->media[direction->medium];
            medium_advance(medium, net->now_ns);
            heap_remove(&medium->active, direction->air.shared.member);
            expect_departure(net, medium);
        }
        heap_remove(&net->arrivals, i);
        clear_direction(net, direction, drop, context);
    }
}

/* ---- changing it */

static air_time scaled(air_time air, double by)
{
    return air_of_double((double)air * 0x1p-32 * by);
}

/* What is left of the air of each frame takes `by` times as long; with it, all frames not yet out move. */
static void stretch_own_air(struct link_net *net, struct direction *direction, int64_t now_ns, double by)
{
    air_time now = air_of_ns(now_ns);
    int64_t before_ns = 0;
    if (direction->air.free_at <= now)
        return;
    direction->air.free_at = now + scaled(direction->air.free_at - now, by);
    for (struct frame *frame = direction->first; frame; frame = frame->next) {
        if (frame->when.left.transmitted_ns > now_ns) {
            air_time left = air_of_ns(frame->when.left.transmitted_ns - now_ns);
            frame->when.left.transmitted_ns = air_to_ns(now + scaled(left, by));
            frame->when.left.delivered_ns = add_saturated(frame->when.left.transmitted_ns, frame->latency_ns);
        }
        if (frame->when.left.delivered_ns < before_ns)
            frame->when.left.delivered_ns = before_ns;
        before_ns = frame->when.left.delivered_ns;
    }
    direction->last_delivery_ns = before_ns;
    heap_keep_places(&net->arrivals);
    heap_set(&net->arrivals, arrival_key(net, direction));
}

static void stretch_shared_air(struct link_net *net, struct direction *direction, int64_t now_ns, double by)
{
    struct medium *medium = &net->media[direction->medium];
    struct frame *first = direction->air.shared.waiting;
    if (!first)
        return;
    uint32_t member = direction->air.shared.member;
    medium_advance(medium, now_ns);
    heap_keep_places(&medium->active);
    air_time finish = key_finish(medium->active.entries[heap_find(&medium->active, member)]);
    air_time left = finish > medium->virtual_now ? finish - medium->virtual_now : 0;
    heap_set(&medium->active, finish_key(medium->virtual_now + scaled(left, by), member));
    for (struct frame *frame = first->next; frame; frame = frame->next)
        frame->when.air = scaled(frame->when.air, by);
    expect_departure(net, medium);
}

void link_change(struct link_net *net, uint32_t link, enum link_direction way, const struct link_conditions *conditions,
                 int64_t now_ns)
{
    struct direction *direction = &net->directions[2 * (size_t)link + way];
    advance(net, now_ns);
    if (!net->first_specs)
        net->first_specs = memory_copy(net->specs, (size_t)net->link_count * sizeof(*net->specs));
    double before = direction->conditions->bytes_per_s, after = conditions->bytes_per_s;
    set_conditions(net, direction, conditions);
    if (before <= 0 || before == after) /* a link that is not shaped has nothing under way */
        return;
    double by = after > 0 ? before / after : 0;
    if (has_own_air(direction))
        stretch_own_air(net, direction, net->now_ns, by);
    else
        stretch_shared_air(net, direction, net->now_ns, by);
}

/* ---- expectation */

/* Mean of max(0, delay + jitter) with the jitter even over [-jitter, +jitter]. */
static double expected_latency_ns(const struct link_conditions *conditions)
{
    double delay_ns = (double)conditions->delay_ns, jitter_ns = (double)conditions->jitter_ns;
    if (jitter_ns <= delay_ns)
        return delay_ns;
    return (delay_ns + jitter_ns) * (delay_ns + jitter_ns) / (4 * jitter_ns);
}

/* Mean rounds of repair: the mean of the greatest, over the packets, of how often each is lost. */
static double expected_rounds(double loss, double packets)
{
    double rounds = 0;
    for (double power = loss, term = 1; term > 1e-12; power *= loss) {
        term = -expm1(packets * log1p(-power)); /* probability that some packet is lost so many times */
        rounds += term;
    }
    return rounds;
}

int64_t link_expected_delay_ns(const struct link_conditions *conditions, uint64_t bytes)
{
    double expected_ns = expected_latency_ns(conditions);
    double loss = fmin(conditions->loss, LINK_MAX_LOSS);
    if (loss > 0) {
        expected_ns += expected_rounds(loss, (double)packets_of(bytes)) * (double)conditions->repair_ns;
        if (conditions->bytes_per_s > 0) /* the air of the repeated packets */
            expected_ns += (double)bytes * (loss / (1 - loss)) * 1e9 / conditions->bytes_per_s;
    }
    return expected_ns < 9e18 ? (int64_t)llround(expected_ns) : INT64_MAX;
}
