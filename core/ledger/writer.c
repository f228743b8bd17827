/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's writer thread: gathers tasks and samples and commits them in batches. */
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "core/ledger/store.h"

#define GATHER_NS (20 * NS_PER_MS) /* what a killed run may lose, beside the time of one commit */
#define BATCH_ROWS 4096 /* this many rows are written without gathering further */
#define MOST_ROWS 65536 /* further behind than this, callers wait */
#define MORE_ROWS (1u << 20) /* gathered where a run takes no time of its own */

static size_t rows_of(const struct batch *batch)
{
    return batch->tasks.count + batch->samples.count;
}

static void empty_batch(struct batch *batch)
{
    batch->tasks.count = batch->samples.count = batch->layer_ns.count = batch->hops.count = batch->texts.count = 0;
}

static void free_batch(struct batch *batch)
{
    ARRAY_FREE(&batch->tasks);
    ARRAY_FREE(&batch->samples);
    ARRAY_FREE(&batch->layer_ns);
    ARRAY_FREE(&batch->hops);
    ARRAY_FREE(&batch->texts);
}

static const char *const status_texts[] = {
    [TASK_OK] = "ok", [TASK_FAILED] = "failed", [TASK_UNFINISHED] = "unfinished"};

#define TASK_VALUES 24
#define TASK_TYPES "iiittiiiiiiiiiiiiiiiipip"
#define TASK_INSERT                                                                                                    \
    "INSERT INTO task (run, stream, task, status, cause, cut, warmup, started_ns, ended_ns, delay_ns, local_ns, "      \
    "transmit_ns, queue_ns, remote_ns, return_ns, device_wait_ns, device_compute_ns, station_compute_ns, up_bytes, "   \
    "down_bytes, slices, energy_j, plan, sending_j) VALUES "
#define ROW "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
#define ROWS_4 ROW "," ROW "," ROW "," ROW
#define ROWS_16 ROWS_4 "," ROWS_4 "," ROWS_4 "," ROWS_4
#define TOGETHER 16 /* rows of one statement: 16 of one row each take twice as long */

static int bind_task(struct ledger *ledger, sqlite3_stmt *insert, uint32_t row, const struct batch *batch,
                     const struct queued_task *queued, struct error *error)
{
    const struct task_record *task = &queued->record;
    const char *cause = queued->cause_at == NO_TEXT ? NULL : batch->texts.items + queued->cause_at;
    return sql_bind(&ledger->sql, insert, (int)(1 + row * TASK_VALUES), error, TASK_TYPES, queued->run,
                    (int64_t)task->stream, (int64_t)task->task, status_texts[task->status], cause, (int64_t)task->cut,
                    (int64_t)task->warmup, task->started_ns, task->ended_ns, task->ended_ns - task->started_ns,
                    task->phase_ns[PHASE_LOCAL], task->phase_ns[PHASE_TRANSMIT], task->phase_ns[PHASE_QUEUE],
                    task->phase_ns[PHASE_REMOTE], task->phase_ns[PHASE_RETURN], task->device_wait_ns,
                    task->device_compute_ns, task->station_compute_ns, (int64_t)task->up_bytes,
                    (int64_t)task->down_bytes, (int64_t)task->slices, task->energy_j, (int64_t)task->plan,
                    task->sending_j);
}

static int write_layer_times(struct ledger *ledger, const struct batch *batch, const struct queued_task *queued,
                             struct error *error)
{
    const struct task_record *task = &queued->record;
    for (uint32_t layer = 0; layer < task->layer_count; layer++) {
        int64_t time_ns = batch->layer_ns.items[queued->layer_ns_at + layer];
        if (time_ns != 0 &&
            sql_run(&ledger->sql, error,
                    "INSERT INTO layer_time (run, stream, task, layer, time_ns) VALUES (?,?,?,?,?)", "iiiii",
                    queued->run, (int64_t)task->stream, (int64_t)task->task, (int64_t)layer, time_ns) != 0)
            return -1;
    }
    return 0;
}

static int write_hops(struct ledger *ledger, const struct batch *batch, const struct queued_task *queued,
                      struct error *error)
{
    const struct task_record *task = &queued->record;
    for (uint32_t i = 0; i < task->hop_count; i++) {
        const struct task_hop *hop = &batch->hops.items[queued->hops_at + i];
        if (hop->came_ns >= 0 &&
            sql_run(
                &ledger->sql, error,
                "INSERT INTO task_hop (run, stream, task, hop, node, cut, came_ns, began_ns, left_ns, back_ns) VALUES "
                "(?,?,?,?,?,?,?,?,?,nullif(?, -1))",
                "iiiiiiiiii", queued->run, (int64_t)task->stream, (int64_t)task->task, (int64_t)i + 1,
                (int64_t)hop->node, (int64_t)hop->cut, hop->came_ns, hop->began_ns, hop->left_ns, hop->back_ns) != 0)
            return -1;
    }
    return 0;
}

/* Writes `count` tasks, one or TOGETHER, by one statement. */
static int write_some(struct ledger *ledger, const struct batch *batch, const uint32_t *order, uint32_t count,
                      struct error *error)
{
    static const char one[] = TASK_INSERT ROW, together[] = TASK_INSERT ROWS_16;
    sqlite3_stmt *insert = sql_kept(&ledger->sql, count == 1 ? one : together, error);
    int result = insert ? 0 : -1;
    for (uint32_t i = 0; i < count && result == 0; i++)
        result = bind_task(ledger, insert, i, batch, &batch->tasks.items[order[i]], error);
    if (result == 0)
        result = sql_finish(&ledger->sql, insert, error);
    for (uint32_t i = 0; i < count && result == 0; i++)
        result = write_layer_times(ledger, batch, &batch->tasks.items[order[i]], error) != 0
                     ? -1
                     : write_hops(ledger, batch, &batch->tasks.items[order[i]], error);
    return result;
}

static int write_sample(struct ledger *ledger, const struct queued_sample *queued, struct error *error)
{
    const struct node_sample *sample = &queued->sample;
    return sql_run(&ledger->sql, error,
                   "INSERT OR REPLACE INTO node_sample (run, node, at_ns, cpu_share, resident_bytes, "
                   "machine_available_bytes, machine_load, received_bytes, sent_bytes, energy_j) VALUES "
                   "(?,?,?,?,?,?,?,?,?,?)",
                   "iiidiidiip", queued->run, (int64_t)sample->node, sample->at_ns, sample->cpu_share,
                   (int64_t)sample->resident_bytes, (int64_t)sample->machine_available_bytes, sample->machine_load,
                   (int64_t)sample->received_bytes, (int64_t)sample->sent_bytes, sample->energy_j);
}

/* In the order of the table's key, so that neighbours are written together. */
static int compare_tasks(const void *a, const void *b, void *context)
{
    const struct queued_task *tasks = context, *x = &tasks[*(const uint32_t *)a], *y = &tasks[*(const uint32_t *)b];
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    if (x->record.stream != y->record.stream)
        return x->record.stream < y->record.stream ? -1 : 1;
    return (x->record.task > y->record.task) - (x->record.task < y->record.task);
}

static int write_tasks(struct ledger *ledger, const struct batch *batch, struct error *error)
{
    uint32_t count = (uint32_t)batch->tasks.count, *order = NEW_ARRAY(uint32_t, count);
    int result = 0;
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof(*order), compare_tasks, batch->tasks.items);
    for (uint32_t i = 0, some; i < count && result == 0; i += some) {
        some = count - i >= TOGETHER ? TOGETHER : 1;
        result = write_some(ledger, batch, order + i, some, error);
    }
    free(order);
    return result;
}

static int write_rows(struct ledger *ledger, const struct batch *batch, struct error *error)
{
    if (write_tasks(ledger, batch, error) != 0)
        return -1;
    for (size_t i = 0; i < batch->samples.count; i++)
        if (write_sample(ledger, &batch->samples.items[i], error) != 0)
            return -1;
    return 0;
}

static int write_batch(struct ledger *ledger, const struct batch *batch, struct error *error)
{
    pthread_mutex_lock(&ledger->database);
    int result = sql_script(&ledger->sql, "BEGIN IMMEDIATE", error);
    if (result == 0)
        result = sql_conclude(&ledger->sql, write_rows(ledger, batch, error), error);
    pthread_mutex_unlock(&ledger->database);
    return result;
}

/* Waits for rows, then a little for more of them. Holds the lock. */
static void gather(struct writer *writer)
{
    while (rows_of(&writer->waiting) == 0 && !writer->closing)
        pthread_cond_wait(&writer->work, &writer->lock);
    while (writer->more && rows_of(&writer->waiting) < MORE_ROWS && !writer->closing && !writer->hurried)
        pthread_cond_wait(&writer->work, &writer->lock);
    const int64_t until_ns = clock_now_ns() + GATHER_NS;
    while (rows_of(&writer->waiting) < BATCH_ROWS && !writer->closing && !writer->hurried)
        if (!thread_wait_until(&writer->work, &writer->lock, until_ns))
            return;
}

static void *writer_main(void *given)
{
    struct ledger *ledger = given;
    struct writer *writer = &ledger->writer;
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        gather(writer);
        if (rows_of(&writer->waiting) == 0)
            break; /* closing, and everything is written */
        struct batch full = writer->waiting;
        writer->waiting = writer->writing;
        writer->writing = full;
        pthread_mutex_unlock(&writer->lock);
        struct error error = {0};
        size_t rows = rows_of(&writer->writing);
        int result = write_batch(ledger, &writer->writing, &error);
        empty_batch(&writer->writing);
        pthread_mutex_lock(&writer->lock);
        writer->written += rows;
        if (result != 0 && writer->error.kind == ERROR_NONE)
            writer->error = error;
        pthread_cond_broadcast(&writer->written_some);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

void writer_init(struct writer *writer)
{
    memset(writer, 0, sizeof(*writer));
    pthread_mutex_init(&writer->lock, NULL);
    thread_condition_init(&writer->work);
    pthread_cond_init(&writer->written_some, NULL);
}

void writer_gather_more(struct writer *writer, bool more)
{
    pthread_mutex_lock(&writer->lock);
    writer->more = more;
    pthread_cond_signal(&writer->work);
    pthread_mutex_unlock(&writer->lock);
}

void writer_end(struct ledger *ledger)
{
    struct writer *writer = &ledger->writer;
    pthread_mutex_lock(&writer->lock);
    writer->closing = true;
    pthread_cond_signal(&writer->work);
    pthread_mutex_unlock(&writer->lock);
    if (writer->started)
        pthread_join(writer->thread, NULL);
    free_batch(&writer->waiting);
    free_batch(&writer->writing);
    pthread_cond_destroy(&writer->work);
    pthread_cond_destroy(&writer->written_some);
    pthread_mutex_destroy(&writer->lock);
}

static void tell(struct writer *writer, struct error *error)
{
    if (error)
        *error = writer->error;
    writer->told = true;
}

/* Takes the lock, with the thread running and room in the queue; -1 (lock not held) where writing has failed. */
static int enter(struct ledger *ledger, struct error *error)
{
    struct writer *writer = &ledger->writer;
    pthread_mutex_lock(&writer->lock);
    if (!writer->started) {
        int status = pthread_create(&writer->thread, NULL, writer_main, ledger);
        if (status != 0) {
            pthread_mutex_unlock(&writer->lock);
            return error_set(error, ERROR_RUN, "ledger %s: cannot start its thread: %s", ledger->sql.path,
                             strerror(status));
        }
        writer->started = true;
    }
    while (rows_of(&writer->waiting) >= (writer->more ? MORE_ROWS : MOST_ROWS) && writer->error.kind == ERROR_NONE)
        pthread_cond_wait(&writer->written_some, &writer->lock);
    if (writer->error.kind == ERROR_NONE)
        return 0;
    tell(writer, error);
    pthread_mutex_unlock(&writer->lock);
    return -1;
}

/* Only the first row and a full batch are worth waking the thread for: it looks by itself after the time of gathering. */
static void leave(struct writer *writer)
{
    size_t rows = rows_of(&writer->waiting);
    writer->queued++;
    if (rows == 1 || rows == BATCH_ROWS || rows == MORE_ROWS)
        pthread_cond_signal(&writer->work);
    pthread_mutex_unlock(&writer->lock);
}

int writer_task(struct ledger *ledger, int64_t run, const struct task_record *task, struct error *error)
{
    if (enter(ledger, error) != 0)
        return -1;
    struct batch *batch = &ledger->writer.waiting;
    struct queued_task *queued = ARRAY_ADD(&batch->tasks);
    *queued = (struct queued_task){.run = run,
                                   .record = *task,
                                   .cause_at = NO_TEXT,
                                   .layer_ns_at = batch->layer_ns.count,
                                   .hops_at = batch->hops.count};
    if (task->cause) {
        queued->cause_at = batch->texts.count;
        for (const char *letter = task->cause;; letter++) {
            *ARRAY_ADD(&batch->texts) = *letter;
            if (!*letter)
                break;
        }
    }
    for (uint32_t layer = 0; layer < task->layer_count; layer++)
        *ARRAY_ADD(&batch->layer_ns) = task->layer_ns ? task->layer_ns[layer] : 0;
    for (uint32_t i = 0; i < task->hop_count; i++)
        *ARRAY_ADD(&batch->hops) = task->hops[i];
    leave(&ledger->writer);
    return 0;
}

int writer_sample(struct ledger *ledger, int64_t run, const struct node_sample *sample, struct error *error)
{
    if (enter(ledger, error) != 0)
        return -1;
    *ARRAY_ADD(&ledger->writer.waiting.samples) = (struct queued_sample){.run = run, .sample = *sample};
    leave(&ledger->writer);
    return 0;
}

int writer_flush(struct ledger *ledger, struct error *error)
{
    struct writer *writer = &ledger->writer;
    pthread_mutex_lock(&writer->lock);
    uint64_t wanted = writer->queued; /* others may go on queueing */
    writer->hurried++;
    pthread_cond_signal(&writer->work);
    while (writer->written < wanted)
        pthread_cond_wait(&writer->written_some, &writer->lock);
    writer->hurried--;
    int result = writer->error.kind == ERROR_NONE ? 0 : -1;
    if (result != 0)
        tell(writer, error);
    pthread_mutex_unlock(&writer->lock);
    return result;
}
