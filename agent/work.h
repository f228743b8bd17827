/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent computes. Its engines are threads, each with a compute of its own (a backend's instance belongs to one
 * thread), and tasks go one after the other, each by the engine that has its part. Mostly there is one engine; another
 * one packs the parts of a new plan while tasks go on, and an engine ends when the last of its parts has been given up.
 * An engine answers the controller by itself, so that a task's tensors go from the backend to the socket without another
 * thread's help.
 */
#ifndef NAPM_AGENT_WORK_H
#define NAPM_AGENT_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/data.h"
#include "core/compute/compute.h"
#include "core/wire/control.h"

struct work;

/* Takes over the compute, which was opened in that way; all else stays the caller's and outlives the work. */
struct work *work_start(struct compute *compute, struct catalogue *catalogue, const struct compute_settings *how,
                        struct control *control, struct data_link *data);

/* Ends the threads and frees everything. false: one is still busy after 200 ms, and nothing was freed. */
bool work_stop(struct work *work);

/* Each is answered by a message when it is done, or by an Error. From the main thread; they return at once. */
void work_load_model(struct work *work, uint32_t model, const char *path, const char *hash);
void work_profile(struct work *work, uint32_t model, uint32_t warmups, uint32_t repeats);
/* DeployReady when the stream table stands, Deployed when all inputs have come and the segments are warm. */
void work_deploy(struct work *work, const Wire__Deploy *deploy);
/* Further parts, while tasks go on: Prepared when they are warm. */
void work_prepare(struct work *work, const Wire__Prepare *prepare);
/* No task will come any more for the part. -1: there is none. */
int work_give_up(struct work *work, uint32_t stream, uint32_t part);

/* Where a stream's input tensors are to be received; NULL: no such stream, or another size. */
void *work_input_room(struct work *work, uint32_t stream, uint64_t payload_bytes);
void work_input_came(struct work *work, uint32_t stream);
/* The same for what a task brings along on its way; work_task_came says that it is there, and starts the task. */
void *work_task_room(struct work *work, uint32_t stream, uint32_t part, uint64_t payload_bytes);
void work_task_came(struct work *work, uint32_t stream, uint32_t part, uint64_t task);
/* Is a result of this size plausible for the stream? */
bool work_result_fits(struct work *work, uint32_t stream, uint64_t payload_bytes);

/* The task starts when the monotonic clock reads due_ns. -1: no such part. */
int work_start_task(struct work *work, uint32_t stream, uint32_t part, uint64_t task, int64_t due_ns);
/* Forgets tasks that have not started. */
void work_halt(struct work *work);
/* The same, telling the controller of each. */
void work_drop(struct work *work);
void work_set_share(struct work *work, double cpu_share);

#endif
