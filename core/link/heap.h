/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A priority queue of numbered things, least key first, in which a thing can be re-keyed or removed wherever it stands.
 *
 * Things are numbers below a bound; each may be in the queue once. Keys are 128 bits so that a time and a tie breaker
 * fit into one comparison. Every operation costs O(log n) and none allocates. Header only: it is the inner loop of
 * everything that runs in virtual time.
 */
#ifndef NAPM_LINK_HEAP_H
#define NAPM_LINK_HEAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/memory.h"

__extension__ typedef unsigned __int128 heap_key;

#define HEAP_ARITY 4 /* flatter than a binary heap: fewer cache misses on the way down */
#define HEAP_ABSENT UINT32_MAX

struct heap_entry {
    heap_key key;
    uint32_t thing;
};

struct heap {
    struct heap_entry *entries;
    uint32_t *places; /* by thing: where it stands, or HEAP_ABSENT */
    uint32_t count;
};

static inline void heap_init(struct heap *heap, uint32_t room, uint32_t things)
{
    heap->entries = NEW_ARRAY(struct heap_entry, room ? room : 1);
    heap->places = NEW_ARRAY(uint32_t, things ? things : 1);
    heap->count = 0;
    for (uint32_t i = 0; i < things; i++)
        heap->places[i] = HEAP_ABSENT;
}

static inline void heap_free(struct heap *heap)
{
    free(heap->entries);
    free(heap->places);
}

static inline void heap_place(struct heap *heap, uint32_t at, struct heap_entry entry)
{
    heap->entries[at] = entry;
    heap->places[entry.thing] = at;
}

static inline void heap_rise(struct heap *heap, uint32_t at, struct heap_entry entry)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / HEAP_ARITY;
        if (heap->entries[parent].key <= entry.key)
            break;
        heap_place(heap, at, heap->entries[parent]);
        at = parent;
    }
    heap_place(heap, at, entry);
}

static inline void heap_sink(struct heap *heap, uint32_t at, struct heap_entry entry)
{
    for (;;) {
        uint64_t first = (uint64_t)at * HEAP_ARITY + 1;
        if (first >= heap->count)
            break;
        uint32_t least = (uint32_t)first;
        for (uint32_t child = least + 1; child < heap->count && child < first + HEAP_ARITY; child++)
            if (heap->entries[child].key < heap->entries[least].key)
                least = child;
        if (entry.key <= heap->entries[least].key)
            break;
        heap_place(heap, at, heap->entries[least]);
        at = least;
    }
    heap_place(heap, at, entry);
}

/* Puts `thing` in, or changes its key where it is in already. */
static inline void heap_set(struct heap *heap, uint32_t thing, heap_key key)
{
    struct heap_entry entry = {key, thing};
    uint32_t at = heap->places[thing];
    if (at == HEAP_ABSENT)
        heap_rise(heap, heap->count++, entry);
    else if (key < heap->entries[at].key)
        heap_rise(heap, at, entry);
    else
        heap_sink(heap, at, entry);
}

/* Takes `thing` out; nothing happens where it is not in. */
static inline void heap_remove(struct heap *heap, uint32_t thing)
{
    uint32_t at = heap->places[thing];
    if (at == HEAP_ABSENT)
        return;
    heap->places[thing] = HEAP_ABSENT;
    struct heap_entry last = heap->entries[--heap->count];
    if (last.thing == thing)
        return;
    if (at > 0 && last.key < heap->entries[(at - 1) / HEAP_ARITY].key)
        heap_rise(heap, at, last);
    else
        heap_sink(heap, at, last);
}

static inline void heap_clear(struct heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++)
        heap->places[heap->entries[i].thing] = HEAP_ABSENT;
    heap->count = 0;
}

#endif
