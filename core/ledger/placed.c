/* SPDX-License-Identifier: Apache-2.0 */
/* Placements in words. */
#include "core/ledger/placed.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

static void append(struct placed *placed, const char *between, const char *what)
{
    char *longer = text_format("%s%s%s", placed->text ? placed->text : "", between, what);
    free(placed->text);
    placed->text = longer;
}

/* Ends the run of layers that is being added: its first layer is in the text. */
static void end_run(struct placed *placed)
{
    if (placed->last_name && placed->last > placed->first)
        append(placed, placed->last == placed->first + 1 ? ", " : " to ", placed->last_name);
}

static void keep(char **kept, const char *text)
{
    free(*kept);
    *kept = text ? text_copy(text) : NULL;
}

void placed_add(struct placed *placed, const char *node, uint32_t layer, const char *name)
{
    bool begins = !placed->last_name, moves = !begins && node && strcmp(placed->node, node) != 0;
    if (!begins && !moves && layer == placed->last + 1) {
        placed->last = layer;
        keep(&placed->last_name, name);
        return;
    }
    end_run(placed);
    if ((begins || moves) && node) {
        append(placed, begins ? "" : "; ", node);
        append(placed, ": ", name);
    } else {
        append(placed, begins ? "" : ", ", name);
    }
    placed->first = placed->last = layer;
    keep(&placed->last_name, name);
    keep(&placed->node, node);
}

char *placed_end(struct placed *placed)
{
    end_run(placed);
    char *text = placed->text ? placed->text : text_copy("");
    free(placed->node);
    free(placed->last_name);
    *placed = (struct placed){0};
    return text;
}
