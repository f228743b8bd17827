/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Link shaping in user space: real frames take the time that link_net says. Links of one medium share a net; each other
 * link has its own, so that one link's events never push another's times. A direction without any conditions is
 * direct: its frames arrive at once. Belongs to the thread that runs the event base.
 */
#ifndef NAPM_WORLD_SHAPER_H
#define NAPM_WORLD_SHAPER_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "core/base/error.h"
#include "core/link/link.h"

struct shaper;

/* `arrived` is called with the frame of each delivery, when it is due. */
struct shaper *shaper_new(struct event_base *base, const struct link_spec *const *links, uint32_t count, uint64_t seed,
                          void (*arrived)(void *context, void *frame), void *context, struct error *error);
void shaper_free(struct shaper *shaper); /* NULL: nothing */

bool shaper_is_direct(const struct shaper *shaper, uint32_t link, enum link_direction direction);

/*
 * Hands a frame over that was sent at `sent_ns` (not later than now). true: it has arrived already (direct); false:
 * `arrived` will be called.
 */
bool shaper_send(struct shaper *shaper, uint32_t link, enum link_direction direction, uint64_t bytes, int64_t sent_ns,
                 void *frame);

/* New conditions from now on (see link_change). What was direct stays so only as long as they are none. */
void shaper_change(struct shaper *shaper, uint32_t link, enum link_direction direction,
                   const struct link_conditions *conditions);

/* Forgets the frames in flight of one link. */
void shaper_drop(struct shaper *shaper, uint32_t link);

#endif
