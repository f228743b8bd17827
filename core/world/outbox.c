/* SPDX-License-Identifier: Apache-2.0 */
/* From the driving thread to the run's thread. */
#include "core/world/outbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/thread.h"

/* The run's thread looks so often: it is not woken for each record, which would disturb what is being measured. */
#define LOOK_EVERY_NS (10 * NS_PER_MS)

enum item_kind { ITEM_TASK, ITEM_SAMPLE, ITEM_LOST, ITEM_TAKEN };

struct item {
    struct item *next;
    enum item_kind kind;
    struct task_record task;
    struct node_sample sample;
    uint32_t node, plan, stream;
    int64_t at_ns;
    char cause[512];
    struct task_hop *hops;
    int64_t layer_ns[];
};

struct outbox {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    uint32_t layers_max, hops_max;
    struct item *first, **last, *unused;
    uint64_t done, of;
    bool ended;
};

struct outbox *outbox_new(uint32_t layers_max, uint32_t hops_max)
{
    struct outbox *outbox = NEW(struct outbox);
    thread_condition_init(&outbox->wake);
    pthread_mutex_init(&outbox->lock, NULL);
    outbox->layers_max = layers_max;
    outbox->hops_max = hops_max;
    outbox->last = &outbox->first;
    return outbox;
}

static void free_items(struct item *item)
{
    while (item) {
        struct item *next = item->next;
        free(item->hops);
        free(item);
        item = next;
    }
}

void outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return;
    free_items(outbox->first);
    free_items(outbox->unused);
    pthread_cond_destroy(&outbox->wake);
    pthread_mutex_destroy(&outbox->lock);
    free(outbox);
}

/* ---- the driving thread */

static struct item *take_item(struct outbox *outbox, enum item_kind kind)
{
    pthread_mutex_lock(&outbox->lock);
    struct item *item = outbox->unused;
    if (item)
        outbox->unused = item->next;
    pthread_mutex_unlock(&outbox->lock);
    if (!item) {
        item = memory_new(sizeof(*item) + outbox->layers_max * sizeof(item->layer_ns[0]));
        item->hops = NEW_ARRAY(struct task_hop, outbox->hops_max);
    }
    item->kind = kind;
    item->next = NULL;
    return item;
}

static void add_item(struct outbox *outbox, struct item *item)
{
    pthread_mutex_lock(&outbox->lock);
    *outbox->last = item;
    outbox->last = &item->next;
    pthread_mutex_unlock(&outbox->lock);
}

void outbox_task(struct outbox *outbox, const struct task_record *record)
{
    struct item *item = take_item(outbox, ITEM_TASK);
    item->task = *record;
    memcpy(item->layer_ns, record->layer_ns, record->layer_count * sizeof(item->layer_ns[0]));
    item->task.layer_ns = item->layer_ns;
    if (record->hop_count)
        memcpy(item->hops, record->hops, record->hop_count * sizeof(item->hops[0]));
    item->task.hops = item->hops;
    if (record->cause) {
        snprintf(item->cause, sizeof(item->cause), "%s", record->cause);
        item->task.cause = item->cause;
    }
    add_item(outbox, item);
}

void outbox_sample(struct outbox *outbox, const struct node_sample *sample)
{
    struct item *item = take_item(outbox, ITEM_SAMPLE);
    item->sample = *sample;
    add_item(outbox, item);
}

void outbox_node_lost(struct outbox *outbox, uint32_t node, const char *cause)
{
    struct item *item = take_item(outbox, ITEM_LOST);
    item->node = node;
    snprintf(item->cause, sizeof(item->cause), "%s", cause);
    add_item(outbox, item);
}

void outbox_taken(struct outbox *outbox, uint32_t plan, uint32_t stream, int64_t at_ns)
{
    struct item *item = take_item(outbox, ITEM_TAKEN);
    item->plan = plan;
    item->stream = stream;
    item->at_ns = at_ns;
    add_item(outbox, item);
}

void outbox_progress(struct outbox *outbox, uint64_t done, uint64_t of)
{
    pthread_mutex_lock(&outbox->lock);
    outbox->done = done;
    outbox->of = of;
    pthread_mutex_unlock(&outbox->lock);
}

void outbox_end(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->lock);
    outbox->ended = true;
    pthread_cond_signal(&outbox->wake);
    pthread_mutex_unlock(&outbox->lock);
}

/* ---- the run's thread */

static void hand_over(const struct item *item, const struct world_sink *sink)
{
    switch (item->kind) {
    case ITEM_TASK:
        if (sink->task)
            sink->task(sink->context, &item->task);
        break;
    case ITEM_SAMPLE:
        if (sink->sample)
            sink->sample(sink->context, &item->sample);
        break;
    case ITEM_LOST:
        if (sink->node_lost)
            sink->node_lost(sink->context, item->node, item->cause);
        break;
    case ITEM_TAKEN:
        if (sink->plan_taken)
            sink->plan_taken(sink->context, item->plan, item->stream, item->at_ns);
        break;
    }
}

/* With the lock held; waits for the next look or the end. */
static void wait_for_more(struct outbox *outbox)
{
    int64_t until_ns = clock_now_ns() + LOOK_EVERY_NS;
    while (!outbox->ended && clock_now_ns() < until_ns)
        thread_wait_until(&outbox->wake, &outbox->lock, until_ns);
}

/* Counts looks and not the time, which goes on while the whole process is stopped. */
static bool is_stuck(atomic_uint *beat, int64_t silence_ns, unsigned *last, int64_t *looks)
{
    unsigned now = atomic_load_explicit(beat, memory_order_relaxed);
    *looks = now == *last ? *looks + 1 : 0;
    *last = now;
    return *looks > silence_ns / LOOK_EVERY_NS;
}

bool outbox_deliver(struct outbox *outbox, const struct world_sink *sink, atomic_uint *beat, int64_t silence_ns)
{
    bool ended = false;
    unsigned last_beat = 0;
    int64_t looks = 0;
    while (!ended) {
        if (is_stuck(beat, silence_ns, &last_beat, &looks))
            return false;
        pthread_mutex_lock(&outbox->lock);
        wait_for_more(outbox);
        struct item *items = outbox->first;
        uint64_t done = outbox->done, of = outbox->of;
        ended = outbox->ended;
        outbox->first = NULL;
        outbox->last = &outbox->first;
        pthread_mutex_unlock(&outbox->lock);
        while (items) {
            struct item *next = items->next;
            hand_over(items, sink);
            pthread_mutex_lock(&outbox->lock);
            items->next = outbox->unused;
            outbox->unused = items;
            pthread_mutex_unlock(&outbox->lock);
            items = next;
        }
        if (sink->progress)
            sink->progress(sink->context, done, of);
    }
    return true;
}
