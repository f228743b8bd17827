/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ready jobs in the order of a key, least first; of equal keys the job that arrived first. A binary heap: adding,
 * taking the first, and removing a job from the middle cost O(log n).
 *
 * Each job has a node, remembered in job->scheduler_data from its first ready() to its gone(). Nodes of ended jobs are
 * used again: once the heap has been as big as it ever gets, nothing is allocated.
 */
#ifndef NAPM_PLUGINS_SCHEDULER_ORDER_H
#define NAPM_PLUGINS_SCHEDULER_ORDER_H

#include <stdlib.h>

#include <napm/scheduler.h>

struct order_node {
    struct napm_job *job;
    int64_t key; /* the last one it was added with, or that order_set_key gave it since */
    size_t place; /* in the heap, from 1; 0: it is not in it */
    struct order_node *next_spare;
};

/* The key stands here too, so that comparing seldom follows a pointer. */
struct order_slot {
    int64_t key;
    struct order_node *node;
};

struct order {
    struct order_slot *heap;
    size_t count, room;
    struct order_node *spare;
};

static inline int order_before(const struct order_slot *a, const struct order_slot *b)
{
    if (a->key != b->key)
        return a->key < b->key;
    if (a->node->job->arrived_ns != b->node->job->arrived_ns)
        return a->node->job->arrived_ns < b->node->job->arrived_ns;
    return a->node->job->id < b->node->job->id;
}

static inline void order_place(struct order *order, size_t at, struct order_slot slot)
{
    order->heap[at] = slot;
    slot.node->place = at + 1;
}

/* Moves the hole at `at` up until `slot` may fill it. */
static inline void order_rise(struct order *order, size_t at, struct order_slot slot)
{
    for (; at > 0 && order_before(&slot, &order->heap[(at - 1) / 2]); at = (at - 1) / 2)
        order_place(order, at, order->heap[(at - 1) / 2]);
    order_place(order, at, slot);
}

/* Moves the hole at `at` down until `slot` may fill it. */
static inline void order_sink(struct order *order, size_t at, struct order_slot slot)
{
    for (size_t child; (child = 2 * at + 1) < order->count; at = child) {
        if (child + 1 < order->count && order_before(&order->heap[child + 1], &order->heap[child]))
            child++;
        if (!order_before(&order->heap[child], &slot))
            break;
        order_place(order, at, order->heap[child]);
    }
    order_place(order, at, slot);
}

static inline void order_take_out(struct order *order, struct order_node *node)
{
    size_t at = node->place - 1;
    struct order_slot last = order->heap[--order->count];
    node->place = 0;
    if (last.node == node)
        return;
    if (at > 0 && order_before(&last, &order->heap[(at - 1) / 2]))
        order_rise(order, at, last);
    else
        order_sink(order, at, last);
}

/* The job's node, a new one where it has none yet; NULL where memory is out. */
static inline struct order_node *order_node_of(struct order *order, struct napm_job *job)
{
    struct order_node *node = job->scheduler_data;
    if (node)
        return node;
    node = order->spare ? order->spare : malloc(sizeof(*node));
    if (!node)
        return NULL;
    if (node == order->spare)
        order->spare = node->next_spare;
    *node = (struct order_node){.job = job};
    job->scheduler_data = node;
    return node;
}

/* Adds a job that is not in. Returns a status: NAPM_OK or NAPM_ERR_MEMORY. */
static inline int32_t order_add(struct order *order, struct napm_job *job, int64_t key)
{
    struct order_node *node = order_node_of(order, job);
    if (!node)
        return NAPM_ERR_MEMORY;
    if (order->count == order->room) {
        size_t room = order->room ? 2 * order->room : 64;
        struct order_slot *heap = realloc(order->heap, room * sizeof(*heap));
        if (!heap)
            return NAPM_ERR_MEMORY;
        order->heap = heap;
        order->room = room;
    }
    node->key = key;
    order_rise(order, order->count++, (struct order_slot){key, node});
    return NAPM_OK;
}

/* Takes the first job, or returns NULL. The job keeps its node, and so its key, until order_forget. */
static inline struct napm_job *order_take(struct order *order)
{
    if (order->count == 0)
        return NULL;
    struct order_node *first = order->heap[0].node;
    order_take_out(order, first);
    return first->job;
}

/* The key of a job that has been added once. */
static inline int64_t order_key(const struct napm_job *job)
{
    return ((const struct order_node *)job->scheduler_data)->key;
}

/* Notes a key for a job that is not in, to add it with later. */
static inline void order_set_key(const struct napm_job *job, int64_t key)
{
    ((struct order_node *)job->scheduler_data)->key = key;
}

/* The job is gone, from the heap or while it ran: its node is spare now. */
static inline void order_forget(struct order *order, struct napm_job *job)
{
    struct order_node *node = job->scheduler_data;
    if (!node)
        return;
    if (node->place)
        order_take_out(order, node);
    job->scheduler_data = NULL;
    node->next_spare = order->spare;
    order->spare = node;
}

/* All jobs must be gone. */
static inline void order_free(struct order *order)
{
    while (order->spare) {
        struct order_node *next = order->spare->next_spare;
        free(order->spare);
        order->spare = next;
    }
    free(order->heap);
}

#endif
