/* SPDX-License-Identifier: Apache-2.0 */
/* Placements in words: which layers run where, with runs of the layer order drawn together ("stem, b1 to b3"). */
#ifndef NAPM_LEDGER_PLACED_H
#define NAPM_LEDGER_PLACED_H

#include <stdint.h>

struct placed {
    char *text; /* so far */
    char *node; /* that the layers so far are on; NULL: none yet */
    char *last_name; /* of the layer added last */
    uint32_t first, last; /* the run of layers that it ends */
};

/*
 * The next layer of a node; nodes come along the way, layers ascend. Begin with a zeroed struct. `node` NULL: there is but
 * one node to speak of, which needs no name.
 */
void placed_add(struct placed *placed, const char *node, uint32_t layer, const char *name);

/* The text; free() it. Empty without layers. */
char *placed_end(struct placed *placed);

#endif
