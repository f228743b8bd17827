/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first-in first-out queue of ready jobs, for schedulers that need no other order.
 *
 * Each job has a node, remembered in job->scheduler_data from its first ready() to its gone(), so that adding, taking and
 * removing a job from the middle all take constant time. Nodes of ended jobs are used again: once the queue has been as
 * long as it ever gets, nothing is allocated.
 */
#ifndef NAPM_PLUGINS_SCHEDULER_QUEUE_H
#define NAPM_PLUGINS_SCHEDULER_QUEUE_H

#include <stdlib.h>

#include <napm/scheduler.h>

struct queue_node {
    struct queue_node *previous, *next; /* both NULL while the job is not queued */
    struct napm_job *job;
};

struct queue {
    struct queue_node ends; /* next: the first, previous: the last; points to itself where the queue is empty */
    struct queue_node *spare; /* nodes without a job, joined by `next` */
};

static inline void queue_init(struct queue *queue)
{
    queue->ends.next = queue->ends.previous = &queue->ends;
    queue->spare = NULL;
}

static inline void queue_unlink(struct queue_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    node->previous = node->next = NULL;
}

/* Puts the job at the end. Returns a status: NAPM_OK or NAPM_ERR_MEMORY. */
static inline int32_t queue_add(struct queue *queue, struct napm_job *job)
{
    struct queue_node *node = job->scheduler_data;
    if (!node) {
        node = queue->spare ? queue->spare : malloc(sizeof(*node));
        if (!node)
            return NAPM_ERR_MEMORY;
        if (node == queue->spare)
            queue->spare = node->next;
        node->job = job;
        job->scheduler_data = node;
    }
    node->next = &queue->ends;
    node->previous = queue->ends.previous;
    node->previous->next = node;
    queue->ends.previous = node;
    return NAPM_OK;
}

/* Takes the first job, or returns NULL. The job keeps its node until queue_forget. */
static inline struct napm_job *queue_take(struct queue *queue)
{
    struct queue_node *first = queue->ends.next;
    if (first == &queue->ends)
        return NULL;
    queue_unlink(first);
    return first->job;
}

/* The job is gone, from the queue or while it ran: its node is spare now. */
static inline void queue_forget(struct queue *queue, struct napm_job *job)
{
    struct queue_node *node = job->scheduler_data;
    if (!node)
        return;
    if (node->next)
        queue_unlink(node);
    job->scheduler_data = NULL;
    node->next = queue->spare;
    queue->spare = node;
}

static inline void queue_free(struct queue *queue)
{
    struct napm_job *job;
    while ((job = queue_take(queue)) != NULL)
        queue_forget(queue, job);
    while (queue->spare) {
        struct queue_node *next = queue->spare->next;
        free(queue->spare);
        queue->spare = next;
    }
}

#endif
