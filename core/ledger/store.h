/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a ledger: the database, and the writer thread's queue. Private to the ledger.
 *
 * Tasks and samples go into a queue in memory and a thread writes them, so that what is measured never waits for the
 * disk, and so that a row's age is bounded even when no other row comes. The thread takes what has gathered, writes it
 * in one transaction, and looks again.
 */
#ifndef NAPM_LEDGER_STORE_H
#define NAPM_LEDGER_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/memory.h"
#include "core/ledger/sql.h"
#include "core/world/world.h"

#define NO_TEXT SIZE_MAX

struct queued_task {
    int64_t run;
    struct task_record record; /* its pointers are replaced by the places below */
    size_t cause_at; /* in texts, or NO_TEXT */
    size_t layer_ns_at; /* in layer_ns */
    size_t hops_at; /* in hops */
};

struct queued_sample {
    int64_t run;
    struct node_sample sample;
};

struct batch {
    ARRAY_OF(struct queued_task) tasks;
    ARRAY_OF(struct queued_sample) samples;
    ARRAY_OF(int64_t) layer_ns;
    ARRAY_OF(struct task_hop) hops;
    ARRAY_OF(char) texts;
};

struct writer {
    pthread_mutex_t lock; /* of everything here */
    pthread_cond_t work, written_some;
    pthread_t thread;
    bool started, closing, told; /* told: a caller has had the error */
    uint32_t hurried; /* callers that wait for their rows */
    uint64_t queued, written; /* rows so far */
    bool more; /* gathers far more rows before it writes */
    struct batch waiting, writing;
    struct error error; /* the first failure: later calls return it */
};

struct ledger {
    struct sql sql;
    pthread_mutex_t database; /* held by whoever uses sql */
    uint32_t depth; /* of transactions begun; guarded by it */
    bool readonly;
    const struct scenario *scenario; /* of the run that was begun last */
    int64_t sweep, point; /* what runs are begun for; 0: no sweep */
    int64_t replay_of; /* the run that they replay; 0: none */
    struct writer writer;
};

/*
 * Several writes as one transaction: begin (which takes the database), and end according to how they went. Within a pair,
 * further ones change nothing; a failure is to be handed out to the outermost end.
 */
int store_begin(struct ledger *ledger, struct error *error);
int store_end(struct ledger *ledger, int result, struct error *error);

void writer_init(struct writer *writer);
void writer_gather_more(struct writer *writer, bool more);
/* Writes what is left and ends the thread. */
void writer_end(struct ledger *ledger);

/* Each queues a copy. Waits only where the disk is far behind. -1: an earlier row could not be written. */
int writer_task(struct ledger *ledger, int64_t run, const struct task_record *task, struct error *error);
int writer_sample(struct ledger *ledger, int64_t run, const struct node_sample *sample, struct error *error);

/* Returns when everything queued is committed. */
int writer_flush(struct ledger *ledger, struct error *error);

#endif
