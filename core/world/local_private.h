/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the local world share. */
#ifndef NAPM_WORLD_LOCAL_PRIVATE_H
#define NAPM_WORLD_LOCAL_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "core/compute/monitor.h"
#include "core/wire/frame.h"
#include "core/world/peer.h"
#include "core/world/shaper.h"
#include "core/world/station_worker.h"
#include "core/world/world.h"

struct drive;
struct task;
struct listener;
struct probe;

/* A node and how far it has been set up. */
struct local_node {
    struct peer peer; /* devices */
    struct node_facts facts;
    char *host, *machine, *system, *backend; /* behind the facts */
    bool greeted, configured, connected, deploy_ready, deployed;
    bool *loaded; /* by model */
    uint32_t preparing; /* while driving: the plan whose parts it is preparing; 0: none */
    struct layer_time *profile; /* where a profile's result is to go; NULL: none is awaited */
    uint32_t profile_layers;
    bool profiled;
    int64_t task_ns; /* once deployed: what its longest part of a task takes, as profiled */
    int64_t computed_ns; /* when it last finished, or failed, a task */
    struct task *receiving; /* while driving: whose content is coming in from it */
};

/* A device on a stream's way, and its part: the layers at places first..cut-1. */
struct local_hop {
    uint32_t node, link; /* the link goes up from it */
    uint32_t first, cut;
    uint32_t part; /* the number by which the device knows it: that of the first plan that had it */
};

/* The stream's own device first; the station stands behind the last. */
struct local_way {
    struct local_hop *hops;
    uint32_t count;
    const uint32_t *order; /* of its layers, the world's; NULL: the model's own */
    uint32_t order_number; /* equal ones of one model are one order; 0: the model's own */
};

/* An order, not the model's own, in which some plan has its layers run; there are few. */
struct local_order {
    uint32_t model, number; /* from 1 */
    struct local_order *next;
    uint32_t layers[]; /* by place */
};

/* What travels over a shaped link; embedded in what it belongs to. */
struct passage {
    void (*arrived)(struct world *world, struct passage *passage);
};

struct world {
    struct world_setup setup;
    const struct scenario *scenario;
    struct event_base *base;
    struct event *tick, *done_event;
    struct local_node *nodes; /* by node index */
    struct peer_owner owner;
    struct listener *listener;
    uint8_t secret[FRAME_SECRET_BYTES];
    int awake_fd; /* keeps processors out of sleep states; -1: not allowed to */
    struct shaper *shaper;
    struct workers *workers;
    struct worker_part **station_parts; /* by stream, once deployed; NULL: none */
    const int64_t *const *const *layer_ns; /* once deployed: as profiled */
    int64_t **station_layer_ns; /* by model, once deployed: a copy of the station's profile */
    struct local_way *ways; /* by stream, once deployed: of the first plan */
    struct local_order *orders; /* of all plans, the newest first */
    struct error trouble; /* while setting up: what a node complained of; kind ERROR_NONE: nothing */
    struct probe *probe; /* while a link is being probed */
    struct drive *drive; /* while driving */
    bool stuck; /* a thread is in a plugin that does not return: what it may touch must stay */
    int64_t ticked_ns; /* when the event loop last had its tick */
    int64_t zero_ns; /* 0 of the run's clock, on the monotonic one */
};

/* Runs the event loop until `ready` says so; -1: trouble, cancel, or the time is over. `what` is being waited for. */
int local_wait(struct world *world, bool (*ready)(struct world *world, void *argument), void *argument,
               int64_t limit_ns, const char *what, struct error *error);
bool local_is_cancelled(const struct world *world);

/* Hands a frame to a link, and calls passage->arrived when it comes out: now, where the link is not shaped. */
void local_pass(struct world *world, uint32_t link, enum link_direction direction, uint64_t bytes, int64_t sent_ns,
                struct passage *passage);

/* Whether that device of a way has a part for the stream's tasks; else at most it passes tensors on. */
bool local_has_part(const struct local_way *way, uint32_t hop);
/* Lays a stream's way out with the cuts of its hops, in an order (NULL: the model's own). -1: they are none. */
int local_lay_way(struct world *world, uint32_t stream, const uint32_t *order, const uint32_t *cuts,
                  struct local_way *way, struct error *error);
/* What an agent is told of its part of a stream. */
void local_fill_plan(const struct scenario *scenario, uint32_t stream, const struct local_way *way, uint32_t hop,
                     Wire__StreamPlan *plan);
void local_fill_load(const struct scenario *scenario, uint32_t model, Wire__LoadModel *load);
/* A device is not to be thought hanging before it had time for that part. */
void local_note_part(struct world *world, uint32_t stream, const struct local_way *way, uint32_t hop);
/* Does the stream's way lead over that device? */
bool local_passes(const struct world *world, uint32_t stream, uint32_t node);

/* Contents from so many bytes on go ahead of the frame that ends a shaped way down. */
#define LOCAL_AHEAD_BYTES 8192u

/* Tensors of a payload: sizes and places of the tensors that cross at a cut of an order (NULL: the model's own). */
struct payload_layout {
    uint32_t count;
    uint64_t *offsets; /* in the payload */
    uint64_t tensor_bytes, payload_bytes; /* in all: without and with padding */
};
void payload_layout_make(struct payload_layout *layout, const struct model *model, const uint32_t *order, uint32_t cut);
void payload_layout_free(struct payload_layout *layout);

/* ---- listener.c: data connections of agents that know the secret */
struct listener *listener_open(struct world *world, struct error *error);
void listener_close(struct listener *listener);
uint16_t listener_port(const struct listener *listener);
void listener_check(struct listener *listener, int64_t now_ns); /* now and then: ends strangers that say nothing */

/* ---- probe.c */
int probe_link(struct world *world, uint32_t link, struct link_report report[2], struct error *error);
int probe_frame_begin(struct world *world, struct peer *peer, const struct frame_header *header, void **payload,
                      struct error *error);
int probe_frame_end(struct world *world, struct peer *peer, const struct frame_header *header, struct error *error);

/* ---- drive.c */
int drive_run(struct world *world, const struct world_sink *sink, struct error *error);
int drive_message(struct drive *drive, struct peer *peer, const Wire__Message *message, struct error *error);
int drive_frame_begin(struct drive *drive, struct peer *peer, const struct frame_header *header, int64_t **layer_ns,
                      void **payload, struct error *error);
int drive_frame_end(struct drive *drive, struct peer *peer, const struct frame_header *header, struct error *error);
void drive_work_done(struct drive *drive, struct worker_item *items);
void drive_lost(struct drive *drive, struct peer *peer);
void drive_tick(struct drive *drive, int64_t now_ns);

#endif
