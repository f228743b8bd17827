/* SPDX-License-Identifier: Apache-2.0 */
/* Link shaping in user space. */
#include "core/world/shaper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"

/*
 * Waking up takes tens of microseconds, differently each time. So the timer goes off this much early, and the rest of the
 * time is spent looking at the clock: at most this long for each event of a link.
 */
#define WAKE_EARLY_NS (80 * NS_PER_US)

/* One link, or the links of one medium. */
struct group {
    struct link_net *net;
    int64_t last_ns; /* of any call: the net's times never decrease */
};

struct place {
    uint32_t group, index;
    bool direct[2];
};

struct shaper {
    struct place *places; /* by link */
    struct group *groups;
    uint32_t group_count;
    int timer_fd;
    struct event *timer;
    int64_t armed_ns; /* INT64_MAX: not */
    void (*arrived)(void *context, void *frame);
    void *context;
};

static bool is_free(const struct link_conditions *conditions)
{
    return conditions->bytes_per_s <= 0 && conditions->delay_ns == 0 && conditions->jitter_ns == 0 &&
           conditions->loss <= 0;
}

static int64_t not_before(struct group *group, int64_t at_ns)
{
    if (at_ns > group->last_ns)
        group->last_ns = at_ns;
    return group->last_ns;
}

static void arm(struct shaper *shaper)
{
    int64_t next_ns = INT64_MAX;
    for (uint32_t i = 0; i < shaper->group_count; i++) {
        int64_t of_group_ns = link_next_ns(shaper->groups[i].net);
        next_ns = of_group_ns < next_ns ? of_group_ns : next_ns;
    }
    if (next_ns == shaper->armed_ns)
        return;
    shaper->armed_ns = next_ns;
    struct itimerspec when = {{0, 0}, {0, 0}};
    if (next_ns != INT64_MAX) {
        int64_t at_ns = next_ns > WAKE_EARLY_NS ? next_ns - WAKE_EARLY_NS : 1;
        when.it_value = clock_timespec(at_ns);
    }
    timerfd_settime(shaper->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct shaper *shaper = context;
    uint64_t expirations;
    (void)what;
    if (read(fd, &expirations, sizeof(expirations)) < 0 && errno == EAGAIN)
        return;
    while (clock_now_ns() < shaper->armed_ns)
        ;
    shaper->armed_ns = INT64_MAX;
    for (uint32_t i = 0; i < shaper->group_count; i++) {
        struct group *group = &shaper->groups[i];
        struct link_delivery delivery;
        while (link_take(group->net, not_before(group, clock_now_ns()), &delivery))
            shaper->arrived(shaper->context, delivery.frame);
    }
    arm(shaper);
}

/* Links of one medium get one group, in the order of their first link. */
static void make_groups(struct shaper *shaper, const struct link_spec *const *links, uint32_t count, uint64_t seed)
{
    struct link_spec *members = NEW_ARRAY(struct link_spec, count);
    bool *placed = NEW_ARRAY(bool, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t member_count = 0;
        for (uint32_t k = i; k < count && !placed[i]; k++) {
            bool together = k == i || (links[i]->medium != LINK_NO_MEDIUM && links[k]->medium == links[i]->medium);
            if (!together || placed[k])
                continue;
            shaper->places[k].group = shaper->group_count;
            shaper->places[k].index = member_count;
            members[member_count++] = *links[k];
            if (k != i)
                placed[k] = true;
        }
        if (member_count)
            shaper->groups[shaper->group_count++].net = link_net_new(members, member_count, seed + i);
        for (int direction = 0; direction < 2; direction++)
            shaper->places[i].direct[direction] = is_free(&links[i]->conditions[direction]);
    }
    free(members);
    free(placed);
}

struct shaper *shaper_new(struct event_base *base, const struct link_spec *const *links, uint32_t count, uint64_t seed,
                          void (*arrived)(void *context, void *frame), void *context, struct error *error)
{
    int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer_fd < 0) {
        error_set(error, ERROR_RUN, "making a timer: %s", strerror(errno));
        return NULL;
    }
    struct shaper *shaper = NEW(struct shaper);
    shaper->timer_fd = timer_fd;
    shaper->armed_ns = INT64_MAX;
    shaper->arrived = arrived;
    shaper->context = context;
    shaper->places = NEW_ARRAY(struct place, count);
    shaper->groups = NEW_ARRAY(struct group, count);
    make_groups(shaper, links, count, seed);
    shaper->timer = event_new(base, timer_fd, EV_READ | EV_PERSIST, on_timer, shaper);
    event_add(shaper->timer, NULL);
    return shaper;
}

void shaper_free(struct shaper *shaper)
{
    if (!shaper)
        return;
    event_free(shaper->timer);
    close(shaper->timer_fd);
    for (uint32_t i = 0; i < shaper->group_count; i++)
        link_net_free(shaper->groups[i].net);
    free(shaper->groups);
    free(shaper->places);
    free(shaper);
}

bool shaper_is_direct(const struct shaper *shaper, uint32_t link, enum link_direction direction)
{
    return shaper->places[link].direct[direction];
}

bool shaper_send(struct shaper *shaper, uint32_t link, enum link_direction direction, uint64_t bytes, int64_t sent_ns,
                 void *frame)
{
    const struct place *place = &shaper->places[link];
    if (place->direct[direction])
        return true;
    struct group *group = &shaper->groups[place->group];
    int64_t now_ns = clock_now_ns();
    link_send(group->net, place->index, direction, bytes, not_before(group, sent_ns < now_ns ? sent_ns : now_ns),
              frame);
    arm(shaper);
    return false;
}

void shaper_drop(struct shaper *shaper, uint32_t link)
{
    const struct place *place = &shaper->places[link];
    struct group *group = &shaper->groups[place->group];
    link_drop(group->net, place->index, not_before(group, clock_now_ns()), NULL, NULL);
    arm(shaper);
}

void shaper_change(struct shaper *shaper, uint32_t link, enum link_direction direction,
                   const struct link_conditions *conditions)
{
    struct place *place = &shaper->places[link];
    struct group *group = &shaper->groups[place->group];
    if (!is_free(conditions))
        place->direct[direction] = false; /* and never again: frames sent before must not be overtaken */
    link_change(group->net, place->index, direction, conditions, not_before(group, clock_now_ns()));
    arm(shaper);
}
