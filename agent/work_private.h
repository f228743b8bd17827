/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the work share. */
#ifndef NAPM_AGENT_WORK_PRIVATE_H
#define NAPM_AGENT_WORK_PRIVATE_H

#include <pthread.h>

#include "agent/part.h"
#include "agent/work.h"
#include "core/base/memory.h"

enum job_kind { JOB_LOAD, JOB_PROFILE, JOB_DEPLOY, JOB_WARM_UP, JOB_PREPARE, JOB_GIVE_UP };

/* A model's file. */
struct source {
    uint32_t model;
    char *path, *hash;
};

struct job {
    enum job_kind kind;
    uint32_t model, warmups, repeats, number;
    struct source *sources;
    size_t source_count;
    Wire__StreamPlan *plans;
    size_t plan_count;
    struct part *part;
    struct job *next;
};

/* The input tensors of a stream of this device's own, padded as in the frame. */
struct input {
    struct input *next;
    uint32_t stream;
    uint64_t payload_bytes;
    uint8_t *tensors;
    bool came;
};

struct pending {
    struct part *part;
    uint64_t task;
    int64_t due_ns;
    uint8_t *room; /* of what it brought along; NULL: it has the stream's input */
};

struct engine {
    struct work *work;
    struct engine *next;
    pthread_t thread;
    struct compute *compute; /* NULL: not opened yet; set with the lock held */
    uint32_t number;
    /* guarded by the work's lock */
    pthread_cond_t wake;
    struct job *first_job, **last_job;
    uint32_t part_count;
    bool has_ended;
};

struct work {
    struct catalogue *catalogue;
    const struct compute_settings *how;
    struct control *control;
    struct data_link *data;
    pthread_mutex_t lock; /* guards what follows */
    bool stop;
    ARRAY_OF(struct model *) models; /* by number; they stay until the end */
    struct engine *engines; /* the newest first; those that have ended until they are joined */
    uint32_t engine_count; /* so far */
    double cpu_share; /* of now */
    struct input *inputs;
    struct part *parts;
    bool is_computing; /* an engine has a task */
    struct pending *pending; /* ring, by due time */
    size_t pending_first, pending_count, pending_room;
};

/* ---- work_jobs.c: what is not a task */
/* On the engine's thread; the job is freed. */
void work_do_job(struct engine *engine, struct job *job);
void work_free_job(struct job *job);
void work_free_parts(struct part *parts);
void work_answer_task_failed(struct work *work, uint32_t stream, uint64_t task, const struct error *why);
/* Both with the lock held. */
struct input *work_find_input(const struct work *work, uint32_t stream);
bool work_misses_input(const struct work *work);

#endif
