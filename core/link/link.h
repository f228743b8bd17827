/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links in any kind of time: a pure state machine that says when each frame handed to a link arrives.
 *
 * Used by the evaluator and the simulated world in virtual time, and by the local world to shape real frames. A link
 * has two directions. The frames of one direction go one after the other and arrive in order. Links on one medium (a
 * WiFi channel) share its air: with n directions transmitting at once, each proceeds at 1/n of its own rate. A link
 * without a medium is full duplex. A frame of b bytes costs b / rate of air, then arrives after
 *   delay + jitter (even over [-jitter, +jitter], never below 0) + repairs of loss.
 * Loss: of the frame's packets (LINK_PACKET_BYTES) each is lost with probability `loss`; a round of repair takes
 * `repair_ns` and is lost again with the same probability. Repairs cost air too.
 */
#ifndef NAPM_LINK_LINK_H
#define NAPM_LINK_LINK_H

#include <stdbool.h>
#include <stdint.h>

#define LINK_PACKET_BYTES 1448 /* payload of a TCP segment on Ethernet */
#define LINK_MAX_LOSS 0.5 /* beyond that TCP, which repairs it, would not get anything through */
/* A probe of what a link achieves: its big frame is to take so long; delays that differ by less are its own noise. */
#define LINK_PROBE_S 0.1
#define LINK_PROBE_RESOLUTION_NS INT64_C(500000)
#define LINK_NO_MEDIUM UINT32_MAX

enum link_direction { LINK_UP = 0, LINK_DOWN = 1 }; /* up: device to station */

/* One direction as the scenario states it. rate 0: not shaped (infinitely fast). */
struct link_conditions {
    double bytes_per_s;
    int64_t delay_ns;
    int64_t jitter_ns;
    double loss; /* 0 <= loss <= LINK_MAX_LOSS, per packet; more counts as LINK_MAX_LOSS */
    int64_t repair_ns; /* time of one round of retransmission */
};

struct link_spec {
    uint32_t medium; /* LINK_NO_MEDIUM, or a number: equal numbers share */
    struct link_conditions conditions[2]; /* by enum link_direction */
};

/* A frame that has arrived. */
struct link_delivery {
    uint32_t link;
    enum link_direction direction;
    uint64_t bytes;
    void *frame; /* as given to link_send */
    int64_t sent_ns; /* given to link_send */
    int64_t transmitted_ns; /* its last byte left */
    int64_t delivered_ns; /* its last byte arrived: when it is due, whatever the time of asking */
};

/*
 * All links of one run. Belongs to one thread. Times are 0 or more, up to INT64_MAX. A send or a take costs
 * O(log links), and nothing is allocated once as many frames have been in flight as ever will be.
 */
struct link_net;

/* Copies `links`. The random sequence of each direction depends on seed, link number and direction only. */
struct link_net *link_net_new(const struct link_spec *links, uint32_t count, uint64_t seed);
void link_net_free(struct link_net *net);

/* Forgets all frames and changes, and starts the random sequences anew: for evaluating plan after plan without allocation. */
void link_net_reset(struct link_net *net);

/* Hands a frame over. Times of calls never decrease. `frame` is the caller's. */
void link_send(struct link_net *net, uint32_t link, enum link_direction direction, uint64_t bytes, int64_t now_ns,
               void *frame);

/*
 * New conditions from now on. What is being transmitted goes on at the new rate; frames handed over before keep the delay
 * that they drew. link_net_reset puts the first conditions back.
 */
void link_change(struct link_net *net, uint32_t link, enum link_direction direction,
                 const struct link_conditions *conditions, int64_t now_ns);

/* When the state next changes by itself (a frame leaves or arrives), INT64_MAX: never. Call link_take then. */
int64_t link_next_ns(const struct link_net *net);

/* Takes one frame that has arrived by `now_ns`, in order of arrival; false: none. */
bool link_take(struct link_net *net, int64_t now_ns, struct link_delivery *delivery);

/*
 * Drops the frames of one link that have not been taken, in both directions, giving each to `drop` in the order sent (a
 * node has gone). `drop` may be NULL; it must not call the net.
 */
void link_drop(struct link_net *net, uint32_t link, int64_t now_ns, void (*drop)(void *context, void *frame),
               void *context);

/*
 * Mean of the one-way delay including jitter and repairs (their air too), for a frame of `bytes` on an otherwise idle
 * link: what planners expect beside bytes / rate.
 */
int64_t link_expected_delay_ns(const struct link_conditions *conditions, uint64_t bytes);

#endif
