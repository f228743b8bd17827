/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A priority queue of numbered things, least key first. It is the inner loop of everything that runs in virtual time, so
 * it is header only and laid out for the cache: an entry is one 128-bit key whose low 32 bits are the thing itself, and
 * the four children of an entry fill one cache line.
 *
 * Adding, and changing or removing the first, cost O(log n); nothing allocates. A queue that keeps places can also find a
 * thing wherever it stands, to change or remove it in O(log n); without, removing a thing looks through all of them.
 * A thing may be in the queue once. Behind the last entry stand keys that are greater than any, so that each entry has
 * four children or none.
 *
 * Most events cause others. So the place of the first that is removed stays open for what is added next: what is due soon
 * goes a short way down from there, where closing the place would take the last one all the way. Only heap_count() knows
 * how many there are.
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
#define HEAP_BEHIND_LAST (~(heap_key)0)

struct heap {
    heap_key *entries; /* entries[1] begins a cache line */
    uint32_t *places; /* by thing: where it stands, or HEAP_ABSENT; NULL where not kept */
    uint32_t count, things;
    uint32_t first; /* where the first stands: not at 0 where that is counted, but open */
    heap_key *block; /* what entries is part of */
};

static inline uint32_t heap_thing(heap_key key)
{
    return (uint32_t)key;
}

/* Of keys that begin with a time: INT64_MAX for HEAP_BEHIND_LAST. */
static inline int64_t heap_time_ns(heap_key key)
{
    uint64_t time_ns = (uint64_t)(key >> 64);
    return time_ns < INT64_MAX ? (int64_t)time_ns : INT64_MAX;
}

/* HEAP_BEHIND_LAST never is. */
static inline bool heap_is_by(heap_key key, int64_t now_ns)
{
    return (uint64_t)(key >> 64) <= (uint64_t)now_ns;
}

static inline void heap_free(struct heap *heap)
{
    free(heap->block);
    free(heap->places);
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
static inline const heap_key *heap_least_of_four(const heap_key *children)
{
    const heap_key *left = children + (children[1] < children[0]);
    const heap_key *right = children + 2 + (children[3] < children[2]);
    return *right < *left ? right : left;
}

/* Moves the hole at `at` down until `key` may fill it. */
static inline void heap_sink(struct heap *heap, uint32_t at, heap_key key)
{
    const heap_key *entries = heap->entries;
    for (uint64_t first; (first = (uint64_t)at * HEAP_ARITY + 1) < heap->count;) {
        const heap_key *least = heap_least_of_four(entries + first);
        if (key <= *least)
            break;
        heap_place(heap, at, *least);
        at = (uint32_t)(least - entries);
    }
    heap_place(heap, at, key);
}

/* Takes the last entry out, for another place. */
static inline heap_key heap_cut_last(struct heap *heap)
{
    heap_key last = heap->entries[--heap->count];
    heap->entries[heap->count] = HEAP_BEHIND_LAST;
    return last;
}

/* Closes the place of a first that was removed, if it is open still. */
static inline void heap_close(struct heap *heap)
{
    if (heap->first == 0)
        return;
    heap->first = 0;
    heap_key last = heap_cut_last(heap);
    if (heap->count > 0)
        heap_sink(heap, 0, last);
}

/* From now on it keeps places. May be asked for at any time, and again. */
static inline void heap_keep_places(struct heap *heap)
{
    if (heap->places)
        return;
    heap_close(heap);
    heap->places = NEW_ARRAY(uint32_t, heap->things);
    for (uint32_t i = 0; i < heap->things; i++)
        heap->places[i] = HEAP_ABSENT;
    for (uint32_t at = 0; at < heap->count; at++)
        heap->places[heap_thing(heap->entries[at])] = at;
}

/* Room for things 0..things-1; `with_places`: see above. */
static inline void heap_init(struct heap *heap, uint32_t things, bool with_places)
{
    size_t room = (size_t)things + 2 * HEAP_ARITY; /* the first has four children whatever `things` is */
    heap->block = (heap_key *)memory_new_aligned(room * sizeof(heap_key));
    for (size_t i = 0; i < room; i++)
        heap->block[i] = HEAP_BEHIND_LAST;
    heap->entries = heap->block + HEAP_ARITY - 1;
    heap->places = NULL;
    heap->count = 0;
    heap->things = things;
    heap->first = 0;
    if (with_places)
        heap_keep_places(heap);
}

static inline uint32_t heap_count(const struct heap *heap)
{
    return heap->count - (heap->first != 0);
}

/* HEAP_BEHIND_LAST where there is none. */
static inline heap_key heap_first(const struct heap *heap)
{
    return heap->entries[heap->first];
}

/* Fills the open place at the top. Of the key and the last one the lesser goes there; the greater stands well at the end. */
static inline void heap_fill(struct heap *heap, heap_key key)
{
    uint32_t end = heap->count - 1;
    heap_key last = heap->entries[end];
    heap->first = 0;
    if (key <= last) {
        heap_sink(heap, 0, key);
    } else {
        heap_sink(heap, 0, last);
        heap_rise(heap, end, key);
    }
}

/* Adds a thing that is not in. */
static inline void heap_add(struct heap *heap, heap_key key)
{
    if (heap->first != 0)
        heap_fill(heap, key);
    else
        heap_rise(heap, heap->count++, key);
}

/* Puts `key` in place of the first, of the same thing or another that is not in. */
static inline void heap_replace_first(struct heap *heap, heap_key key)
{
    heap_close(heap);
    if (heap->places)
        heap->places[heap_thing(heap->entries[0])] = HEAP_ABSENT;
    heap_sink(heap, 0, key);
}

static inline void heap_remove_first(struct heap *heap)
{
    heap_close(heap);
    if (heap->places)
        heap->places[heap_thing(heap->entries[0])] = HEAP_ABSENT;
    if (heap->count == 1)
        heap_cut_last(heap);
    else
        heap->first = (uint32_t)(heap_least_of_four(heap->entries + 1) - heap->entries);
}

/* Where the thing stands, or HEAP_ABSENT. */
static inline uint32_t heap_find(struct heap *heap, uint32_t thing)
{
    heap_close(heap);
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
    heap_key last = heap_cut_last(heap);
    if (at == heap->count)
        return;
    if (at > 0 && last < heap->entries[(at - 1) / HEAP_ARITY])
        heap_rise(heap, at, last);
    else
        heap_sink(heap, at, last);
}

static inline void heap_clear(struct heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++) {
        if (heap->places)
            heap->places[heap_thing(heap->entries[i])] = HEAP_ABSENT;
        heap->entries[i] = HEAP_BEHIND_LAST;
    }
    heap->count = 0;
    heap->first = 0;
}

#endif
