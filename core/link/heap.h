/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A priority queue of numbered things, least key first. It is the inner loop of everything that runs in virtual time, so
 * it is header only and laid out for the cache: an entry is one 128-bit key whose low 32 bits are the thing itself, and
 * the four children of an entry fill one cache line.
 *
 * Adding, and changing or removing the first, cost O(log n); nothing allocates. A queue that keeps places can also find a
 * thing wherever it stands, to change or remove it in O(log n); without, removing a thing looks through all of them.
 * A thing may be in the queue once.
 */
#ifndef NAPM_LINK_HEAP_H
#define NAPM_LINK_HEAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/memory.h"

__extension__ typedef unsigned __int128 heap_key;

#define HEAP_ARITY 4
#define HEAP_ABSENT UINT32_MAX

struct heap {
    heap_key *entries; /* entries[1] begins a cache line */
    uint32_t *places; /* by thing: where it stands, or HEAP_ABSENT; NULL where not kept */
    uint32_t count, things;
    heap_key *block; /* what entries is part of */
};

static inline uint32_t heap_thing(heap_key key)
{
    return (uint32_t)key;
}

static inline void heap_free(struct heap *heap)
{
    free(heap->block);
    free(heap->places);
}

/* From now on it keeps places. May be asked for at any time, and again. */
static inline void heap_keep_places(struct heap *heap)
{
    if (heap->places)
        return;
    heap->places = NEW_ARRAY(uint32_t, heap->things);
    for (uint32_t i = 0; i < heap->things; i++)
        heap->places[i] = HEAP_ABSENT;
    for (uint32_t at = 0; at < heap->count; at++)
        heap->places[heap_thing(heap->entries[at])] = at;
}

/* Room for things 0..things-1; `with_places`: see above. */
static inline void heap_init(struct heap *heap, uint32_t things, bool with_places)
{
    heap->block = memory_new_aligned(((size_t)things + HEAP_ARITY) * sizeof(heap_key));
    heap->entries = heap->block + HEAP_ARITY - 1;
    heap->places = NULL;
    heap->count = 0;
    heap->things = things;
    if (with_places)
        heap_keep_places(heap);
}

static inline void heap_place(struct heap *heap, uint32_t at, heap_key key)
{
    heap->entries[at] = key;
    if (heap->places)
        heap->places[heap_thing(key)] = at;
}

/* Moves the hole at `at` up until `key` may fill it. */
static inline void heap_rise(struct heap *heap, uint32_t at, heap_key key)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / HEAP_ARITY;
        if (heap->entries[parent] <= key)
            break;
        heap_place(heap, at, heap->entries[parent]);
        at = parent;
    }
    heap_place(heap, at, key);
}

/* The least of four children, without a branch that could be predicted wrongly. */
static inline uint32_t heap_least_of_four(const heap_key *entries, uint32_t first)
{
    uint32_t left = first + (entries[first + 1] < entries[first]);
    uint32_t right = first + 2 + (entries[first + 3] < entries[first + 2]);
    return entries[right] < entries[left] ? right : left;
}

static inline uint32_t heap_least_child(const struct heap *heap, uint32_t first)
{
    if (first + HEAP_ARITY <= heap->count)
        return heap_least_of_four(heap->entries, first);
    uint32_t least = first;
    for (uint32_t child = first + 1; child < heap->count; child++)
        if (heap->entries[child] < heap->entries[least])
            least = child;
    return least;
}

/* Moves the hole at `at` down until `key` may fill it. */
static inline void heap_sink(struct heap *heap, uint32_t at, heap_key key)
{
    for (uint64_t first; (first = (uint64_t)at * HEAP_ARITY + 1) < heap->count;) {
        uint32_t least = heap_least_child(heap, (uint32_t)first);
        if (key <= heap->entries[least])
            break;
        heap_place(heap, at, heap->entries[least]);
        at = least;
    }
    heap_place(heap, at, key);
}

static inline heap_key heap_first(const struct heap *heap)
{
    return heap->entries[0];
}

/* Adds a thing that is not in. */
static inline void heap_add(struct heap *heap, heap_key key)
{
    heap_rise(heap, heap->count++, key);
}

/* Puts `key` in place of the first, of the same thing or another that is not in. */
static inline void heap_replace_first(struct heap *heap, heap_key key)
{
    heap_sink(heap, 0, key);
}

static inline void heap_remove_first(struct heap *heap)
{
    if (heap->places)
        heap->places[heap_thing(heap->entries[0])] = HEAP_ABSENT;
    if (--heap->count > 0)
        heap_sink(heap, 0, heap->entries[heap->count]);
}

static inline uint32_t heap_find(const struct heap *heap, uint32_t thing)
{
    if (heap->places)
        return heap->places[thing];
    for (uint32_t at = 0; at < heap->count; at++)
        if (heap_thing(heap->entries[at]) == thing)
            return at;
    return HEAP_ABSENT;
}

/* Puts `key` where its thing stood before, or adds it. For a queue with places. */
static inline void heap_set(struct heap *heap, heap_key key)
{
    uint32_t at = heap_find(heap, heap_thing(key));
    if (at == HEAP_ABSENT)
        heap_add(heap, key);
    else if (key < heap->entries[at])
        heap_rise(heap, at, key);
    else
        heap_sink(heap, at, key);
}

/* Takes `thing` out; nothing happens where it is not in. */
static inline void heap_remove(struct heap *heap, uint32_t thing)
{
    uint32_t at = heap_find(heap, thing);
    if (at == HEAP_ABSENT)
        return;
    if (heap->places)
        heap->places[thing] = HEAP_ABSENT;
    heap_key last = heap->entries[--heap->count];
    if (at == heap->count)
        return;
    if (at > 0 && last < heap->entries[(at - 1) / HEAP_ARITY])
        heap_rise(heap, at, last);
    else
        heap_sink(heap, at, last);
}

static inline void heap_clear(struct heap *heap)
{
    for (uint32_t i = 0; heap->places && i < heap->count; i++)
        heap->places[heap_thing(heap->entries[i])] = HEAP_ABSENT;
    heap->count = 0;
}

#endif
