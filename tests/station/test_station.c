/* SPDX-License-Identifier: Apache-2.0 */
/* The station room: the life of jobs, workers, cancelling, and schedulers that break their contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/plugin/catalogue.h"
#include "core/station/station.h"

/* ---- a scheduler that notes what it is told and does what the test says */

#define MOST_NOTES 64

struct puppet {
    char notes[MOST_NOTES][32]; /* "ready 1", "gone 1 0" ... */
    int note_count;
    struct napm_job *last_ready;
    int32_t status; /* the next answer of pick() */
    struct napm_pick answer, then; /* `then`: the answer after the next, where it has a job */
    int picks;
};

static int32_t puppet_ready(void *self, struct napm_job *job, int64_t now_ns)
{
    struct puppet *puppet = self;
    (void)now_ns;
    if (puppet->note_count < MOST_NOTES)
        snprintf(puppet->notes[puppet->note_count++], sizeof(puppet->notes[0]), "ready %d", (int)job->id);
    puppet->last_ready = job;
    return NAPM_OK;
}

static int32_t puppet_pick(void *self, int64_t now_ns, struct napm_pick *pick)
{
    struct puppet *puppet = self;
    (void)now_ns;
    assert_int_equal(pick->size, sizeof(*pick));
    *pick = puppet->answer;
    if (puppet->then.job)
        puppet->answer = puppet->then;
    puppet->then.job = 0;
    puppet->picks++;
    return puppet->status;
}

static void puppet_gone(void *self, struct napm_job *job, uint32_t why, int64_t now_ns)
{
    struct puppet *puppet = self;
    (void)now_ns;
    if (puppet->note_count < MOST_NOTES)
        snprintf(puppet->notes[puppet->note_count++], sizeof(puppet->notes[0]), "gone %d %u", (int)job->id, why);
}

static const struct napm_plugin puppet_plugin = {.threading = NAPM_THREADS_PER_INSTANCE};
static const struct catalogue_entry puppet_entry = {.name = "puppet", .path = "puppet.so", .plugin = &puppet_plugin};

/* A station with a puppet as its scheduler. */
struct stage {
    struct puppet puppet;
    struct instance instance;
    struct station *station;
};

static void stage_open(struct stage *stage, uint32_t workers)
{
    memset(stage, 0, sizeof(*stage));
    stage->instance.entry = &puppet_entry;
    stage->instance.self = &stage->puppet;
    stage->instance.hook.scheduler =
        (struct napm_scheduler){sizeof(struct napm_scheduler), 0, puppet_ready, puppet_pick, puppet_gone};
    stage->station = station_new(&stage->instance, workers);
}

static void will_pick(struct stage *stage, uint64_t job, uint32_t layers)
{
    stage->puppet.status = NAPM_OK;
    stage->puppet.answer =
        (struct napm_pick){.size = sizeof(struct napm_pick), .layer_count = layers, .job = job, .wake_ns = INT64_MAX};
}

static void will_wait(struct stage *stage, int64_t wake_ns)
{
    stage->puppet.status = NAPM_WAIT;
    stage->puppet.answer = (struct napm_pick){.wake_ns = wake_ns};
}

static void assert_noted(const struct stage *stage, int number, const char *text)
{
    assert_true(number < stage->puppet.note_count);
    assert_string_equal(stage->puppet.notes[number], text);
}

static const int64_t ten_layers_ns[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

static struct station_job job_of(uint32_t stream, uint64_t task, uint32_t layers)
{
    return (struct station_job){.stream = stream,
                                .task = task,
                                .started_ns = 5,
                                .deadline_ns = INT64_MAX,
                                .layer_count = layers,
                                .layer_ns = ten_layers_ns};
}

static uint64_t arrive(struct station *station, struct station_job job, int64_t now_ns)
{
    uint64_t id = 0;
    struct error error;
    assert_int_equal(station_arrive(station, &job, now_ns, &id, &error), 0);
    assert_int_not_equal(id, 0);
    return id;
}

static struct station_slice dispatch(struct station *station, int64_t now_ns)
{
    struct station_slice slice = {0};
    struct error error;
    assert_int_equal(station_dispatch(station, now_ns, &slice, &error), 1);
    return slice;
}

static void assert_nothing_to_run(struct station *station, int64_t now_ns)
{
    struct station_slice slice;
    struct error error;
    assert_int_equal(station_dispatch(station, now_ns, &slice, &error), 0);
}

/* ---- the life of jobs */

static void a_job_runs_slice_by_slice_to_its_end(void **state)
{
    (void)state;
    struct stage stage;
    struct station_end end = {0};
    struct error error;
    int mine;
    stage_open(&stage, 1);
    struct station_job job = job_of(3, 12, 10);
    job.user = &mine;
    job.priority = -2;
    job.weight = 2.5;
    job.model = 7;
    job.first_layer = 11;
    job.deadline_ns = 900;
    uint64_t id = arrive(stage.station, job, 100);
    assert_int_equal(station_jobs(stage.station), 1);
    const struct napm_job *seen = stage.puppet.last_ready;
    assert_int_equal(seen->size, sizeof(*seen));
    assert_int_equal(seen->id, id);
    assert_int_equal(seen->stream, 3);
    assert_int_equal(seen->task, 12);
    assert_int_equal(seen->started_ns, 5);
    assert_int_equal(seen->arrived_ns, 100);
    assert_int_equal(seen->deadline_ns, 900);
    assert_int_equal(seen->priority, -2);
    assert_true(seen->weight == 2.5);
    assert_int_equal(seen->model, 7);
    assert_int_equal(seen->first_layer, 11);
    assert_int_equal(seen->layer_count, 10);
    assert_int_equal(seen->layers_done, 0);
    assert_int_equal(seen->remaining_ns, 55);
    assert_null(seen->scheduler_data);

    will_pick(&stage, id, 4);
    struct station_slice slice = dispatch(stage.station, 110);
    assert_int_equal(slice.job, id);
    assert_ptr_equal(slice.user, &mine);
    assert_int_equal(slice.worker, 0);
    assert_int_equal(slice.first_layer, 0);
    assert_int_equal(slice.layer_count, 4);
    assert_nothing_to_run(stage.station, 111);
    assert_int_equal(stage.puppet.picks, 1); /* nothing ready: not asked */
    assert_int_equal(station_slice_done(stage.station, id, 130, &end, &error), 0);
    assert_int_equal(seen->layers_done, 4);
    assert_int_equal(seen->remaining_ns, 45);

    will_pick(&stage, id, UINT32_MAX); /* more than are left means all */
    slice = dispatch(stage.station, 200);
    assert_int_equal(slice.first_layer, 4);
    assert_int_equal(slice.layer_count, 6);
    assert_int_equal(station_slice_done(stage.station, id, 250, &end, &error), 1);
    assert_ptr_equal(end.user, &mine);
    assert_int_equal(end.stream, 3);
    assert_int_equal(end.task, 12);
    assert_int_equal(end.arrived_ns, 100);
    assert_int_equal(end.first_run_ns, 110);
    assert_int_equal(end.ended_ns, 250);
    assert_int_equal(end.running_ns, 20 + 50);
    assert_int_equal(end.slices, 2);
    assert_false(end.cancelled);
    assert_int_equal(station_jobs(stage.station), 0);
    assert_noted(&stage, 0, "ready 1");
    assert_noted(&stage, 1, "ready 1");
    assert_noted(&stage, 2, "gone 1 0");
    assert_int_equal(stage.puppet.note_count, 3);
    station_free(stage.station);
}

static void workers_run_jobs_side_by_side_and_are_used_again(void **state)
{
    (void)state;
    struct stage stage;
    struct station_end end;
    struct error error;
    stage_open(&stage, 2);
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(arrive(stage.station, job_of(0, i, 1), 0), i);
    will_pick(&stage, 2, 1);
    assert_int_equal(dispatch(stage.station, 0).worker, 0);
    will_pick(&stage, 4, 1);
    assert_int_equal(dispatch(stage.station, 0).worker, 1);
    assert_nothing_to_run(stage.station, 0);
    assert_int_equal(stage.puppet.picks, 2); /* no worker free: not asked */
    assert_int_equal(station_slice_done(stage.station, 2, 10, &end, &error), 1);
    will_pick(&stage, 1, 1);
    assert_int_equal(dispatch(stage.station, 10).worker, 0);
    assert_int_equal(station_slice_done(stage.station, 4, 11, &end, &error), 1);
    assert_int_equal(station_slice_done(stage.station, 1, 12, &end, &error), 1);
    assert_int_equal(station_jobs(stage.station), 1);
    station_free(stage.station);
}

static void a_job_stays_with_its_worker_and_leaves_the_other_to_others(void **state)
{
    (void)state;
    struct stage stage;
    struct station_end end;
    struct error error;
    stage_open(&stage, 2);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(arrive(stage.station, job_of(0, i, 4), 0), i);
    will_pick(&stage, 1, 1);
    assert_int_equal(dispatch(stage.station, 0).worker, 0);
    assert_int_equal(station_slice_done(stage.station, 1, 1, &end, &error), 0);
    will_pick(&stage, 2, 1);
    assert_int_equal(dispatch(stage.station, 1).worker, 1); /* not the one that job 1 needs */
    assert_int_equal(station_slice_done(stage.station, 2, 2, &end, &error), 0);
    will_pick(&stage, 1, 1);
    assert_int_equal(dispatch(stage.station, 2).worker, 0);
    will_pick(&stage, 3, 2);
    assert_int_equal(dispatch(stage.station, 2).worker, 1);
    assert_int_equal(station_slice_done(stage.station, 1, 3, &end, &error), 0);
    will_pick(&stage, 2, 3); /* its worker is busy: it is held, and the scheduler is asked for worker 0 */
    stage.puppet.then =
        (struct napm_pick){.size = sizeof(struct napm_pick), .layer_count = 1, .job = 1, .wake_ns = INT64_MAX};
    struct station_slice slice = dispatch(stage.station, 3);
    assert_int_equal(slice.job, 1);
    assert_int_equal(slice.worker, 0);
    assert_int_equal(station_slice_done(stage.station, 3, 4, &end, &error), 0);
    int asked = stage.puppet.picks;
    slice = dispatch(stage.station, 4); /* what was held comes first, unasked, as it was picked */
    assert_int_equal(slice.job, 2);
    assert_int_equal(slice.worker, 1);
    assert_int_equal(slice.layer_count, 3);
    assert_int_equal(stage.puppet.picks, asked);
    station_free(stage.station);
}

static void a_slice_that_was_not_running_is_an_error_of_the_caller(void **state)
{
    (void)state;
    struct stage stage;
    struct station_end end;
    struct error error = {0};
    stage_open(&stage, 1);
    uint64_t id = arrive(stage.station, job_of(0, 0, 1), 0);
    assert_int_equal(station_slice_done(stage.station, id, 1, &end, &error), -1);
    assert_int_equal(station_slice_done(stage.station, 0, 1, &end, &error), -1);
    assert_int_equal(station_slice_done(stage.station, 99, 1, &end, &error), -1);
    assert_int_equal(error.kind, ERROR_RUN);
    assert_non_null(strstr(error.text, "99"));
    will_pick(&stage, id, 1);
    dispatch(stage.station, 1); /* the station goes on */
    station_free(stage.station);
}

static void a_waiting_scheduler_is_asked_again_at_its_time_or_with_the_next_event(void **state)
{
    (void)state;
    struct stage stage;
    struct station_end end;
    struct error error;
    stage_open(&stage, 2);
    assert_int_equal(station_wake_ns(stage.station), INT64_MAX);
    uint64_t first = arrive(stage.station, job_of(0, 0, 1), 0);
    will_wait(&stage, 50);
    assert_nothing_to_run(stage.station, 0);
    assert_int_equal(station_wake_ns(stage.station), 50);
    will_pick(&stage, first, 1);
    dispatch(stage.station, 50);
    assert_int_equal(station_wake_ns(stage.station), INT64_MAX);
    uint64_t second = arrive(stage.station, job_of(0, 1, 1), 60);
    will_wait(&stage, INT64_MAX); /* allowed: the running slice will end */
    assert_nothing_to_run(stage.station, 60);
    assert_int_equal(station_wake_ns(stage.station), INT64_MAX);
    assert_int_equal(station_slice_done(stage.station, first, 70, &end, &error), 1);
    will_pick(&stage, second, 1);
    dispatch(stage.station, 70);
    station_free(stage.station);
}

/* ---- cancelling and starting anew */

struct ends {
    uint64_t tasks[8];
    int count;
};

static void note_end(void *context, const struct station_end *end)
{
    struct ends *ends = context;
    assert_true(end->cancelled);
    ends->tasks[ends->count++] = end->task;
}

static void cancelling_a_stream_spares_the_others_and_lets_the_running_slice_end(void **state)
{
    (void)state;
    struct stage stage;
    struct station_end end;
    struct error error;
    struct ends ends = {.count = 0};
    stage_open(&stage, 1);
    uint64_t running = arrive(stage.station, job_of(7, 70, 4), 0);
    arrive(stage.station, job_of(7, 71, 4), 0);
    uint64_t other = arrive(stage.station, job_of(8, 80, 4), 0);
    arrive(stage.station, job_of(7, 72, 4), 0);
    will_pick(&stage, running, 2);
    dispatch(stage.station, 0);
    station_cancel_stream(stage.station, 7, 5, note_end, &ends);
    assert_int_equal(ends.count, 2);
    assert_int_equal(ends.tasks[0], 71);
    assert_int_equal(ends.tasks[1], 72);
    assert_int_equal(station_jobs(stage.station), 2);
    assert_int_equal(station_slice_done(stage.station, running, 9, &end, &error), 1);
    assert_true(end.cancelled);
    assert_int_equal(end.task, 70);
    assert_int_equal(end.running_ns, 9);
    assert_noted(&stage, 4, "gone 2 1");
    assert_noted(&stage, 5, "gone 4 1");
    assert_noted(&stage, 6, "gone 1 1");
    will_pick(&stage, other, 4);
    dispatch(stage.station, 9);
    assert_int_equal(station_slice_done(stage.station, other, 12, &end, &error), 1);
    assert_false(end.cancelled);
    station_free(stage.station);
}

static void a_held_job_can_be_cancelled(void **state)
{
    (void)state;
    struct stage stage;
    struct station_end end;
    struct error error;
    stage_open(&stage, 2);
    assert_int_equal(arrive(stage.station, job_of(0, 1, 4), 0), 1);
    will_pick(&stage, 1, 1);
    assert_int_equal(dispatch(stage.station, 0).worker, 0);
    assert_int_equal(station_slice_done(stage.station, 1, 1, &end, &error), 0);
    assert_int_equal(arrive(stage.station, job_of(1, 2, 4), 1), 2);
    will_pick(&stage, 2, 1);
    assert_int_equal(dispatch(stage.station, 1).worker, 1);
    assert_int_equal(arrive(stage.station, job_of(2, 3, 4), 1), 3);
    assert_int_equal(station_slice_done(stage.station, 2, 2, &end, &error), 0);
    will_pick(&stage, 3, 1);
    assert_int_equal(dispatch(stage.station, 2).worker, 0); /* both have a job: the first of them */
    will_pick(&stage, 1, 1);
    stage.puppet.then =
        (struct napm_pick){.size = sizeof(struct napm_pick), .layer_count = 1, .job = 2, .wake_ns = INT64_MAX};
    assert_int_equal(dispatch(stage.station, 2).job, 2);
    struct ends ends = {.count = 0};
    station_cancel_stream(stage.station, 0, 3, note_end, &ends);
    assert_int_equal(ends.count, 1);
    assert_int_equal(station_slice_done(stage.station, 3, 4, &end, &error), 0);
    will_pick(&stage, 3, 1);
    assert_int_equal(dispatch(stage.station, 4).job, 3);
    station_free(stage.station);
}

static void reset_gives_all_jobs_back_and_begins_anew(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, 2);
    arrive(stage.station, job_of(0, 0, 2), 0);
    arrive(stage.station, job_of(0, 1, 2), 0);
    will_pick(&stage, 2, 1);
    dispatch(stage.station, 0);
    station_reset(stage.station, 100);
    assert_int_equal(station_jobs(stage.station), 0);
    assert_noted(&stage, 2, "gone 1 1");
    assert_noted(&stage, 3, "gone 2 1");
    assert_int_equal(arrive(stage.station, job_of(0, 0, 2), 0), 1); /* the same ids: the same plan, the same answer */
    assert_int_equal(arrive(stage.station, job_of(0, 1, 2), 0), 2);
    will_pick(&stage, 1, 1);
    assert_int_equal(dispatch(stage.station, 0).worker, 0);
    will_pick(&stage, 2, 1);
    assert_int_equal(dispatch(stage.station, 0).worker, 1);
    station_free(stage.station);
    assert_noted(&stage, stage.puppet.note_count - 1, "gone 2 1");
}

static void thousands_of_jobs_come_and_go(void **state)
{
    (void)state;
    struct stage stage;
    struct station_end end;
    struct error error;
    stage_open(&stage, 1);
    uint64_t served = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t id = arrive(stage.station, job_of(0, i, 1), (int64_t)i);
        assert_int_equal(id, i + 1);
        if (i % 4 == 3) { /* three of four remain, the oldest is served */
            will_pick(&stage, ++served, 1);
            dispatch(stage.station, (int64_t)i);
            assert_int_equal(station_slice_done(stage.station, served, (int64_t)i, &end, &error), 1);
            assert_int_equal(end.task, served - 1);
        }
    }
    assert_int_equal(station_jobs(stage.station), 15000);
    station_free(stage.station);
}

/* ---- batches */

static void will_pick_batch(struct stage *stage, uint64_t job, uint32_t layers, const uint64_t *further, uint32_t count)
{
    will_pick(stage, job, layers);
    stage->puppet.answer.batch = further;
    stage->puppet.answer.batch_count = count;
}

static void assert_slice(struct station_slice slice, uint64_t job, uint32_t worker, bool more)
{
    assert_int_equal(slice.job, job);
    assert_int_equal(slice.worker, worker);
    assert_int_equal(slice.more, more);
}

static int slice_done(struct station *station, uint64_t job, int64_t now_ns)
{
    struct station_end end;
    struct error error;
    return station_slice_done(station, job, now_ns, &end, &error);
}

static void a_batch_starts_together_and_its_jobs_end_one_by_one(void **state)
{
    (void)state;
    struct stage stage;
    struct station_end end;
    struct error error;
    stage_open(&stage, 1);
    for (uint32_t i = 0; i < 4; i++)
        arrive(stage.station, job_of(i, 0, 2), 0);
    will_pick_batch(&stage, 3, 1, (const uint64_t[]){1, 4}, 2);
    assert_slice(dispatch(stage.station, 5), 3, 0, true);
    assert_slice(dispatch(stage.station, 5), 1, 0, true);
    struct station_slice last = dispatch(stage.station, 5);
    assert_slice(last, 4, 0, false);
    assert_int_equal(last.layer_count, 1);
    assert_nothing_to_run(stage.station, 5); /* the worker is busy */
    assert_int_equal(stage.puppet.picks, 1);
    assert_int_equal(slice_done(stage.station, 3, 9), 0);
    assert_nothing_to_run(stage.station, 9); /* and stays so until the last of them is done */
    assert_int_equal(slice_done(stage.station, 1, 9), 0);
    assert_int_equal(slice_done(stage.station, 4, 9), 0);
    will_pick_batch(&stage, 4, 9, (const uint64_t[]){3}, 1);
    assert_slice(dispatch(stage.station, 10), 4, 0, true);
    last = dispatch(stage.station, 10);
    assert_slice(last, 3, 0, false);
    assert_int_equal(last.first_layer, 1);
    assert_int_equal(last.layer_count, 1); /* all that are left */
    assert_int_equal(station_slice_done(stage.station, 4, 13, &end, &error), 1);
    assert_int_equal(end.stream, 3);
    assert_int_equal(end.running_ns, 4 + 3);
    assert_int_equal(end.slices, 2);
    assert_int_equal(station_jobs(stage.station), 3);
    station_free(stage.station);
}

static void a_job_of_a_batch_is_cancelled_by_itself(void **state)
{
    (void)state;
    struct stage stage;
    struct station_end end;
    struct error error;
    stage_open(&stage, 1);
    for (uint32_t i = 0; i < 3; i++)
        arrive(stage.station, job_of(i, 0, 2), 0);
    will_pick_batch(&stage, 1, 1, (const uint64_t[]){2, 3}, 2);
    dispatch(stage.station, 1);
    station_cancel_stream(stage.station, 1, 2, NULL, NULL); /* before its slice was even handed out */
    assert_slice(dispatch(stage.station, 2), 2, 0, true);
    assert_int_equal(station_slice_done(stage.station, 2, 2, &end, &error), 1);
    assert_true(end.cancelled);
    assert_slice(dispatch(stage.station, 2), 3, 0, false);
    assert_int_equal(slice_done(stage.station, 1, 4), 0);
    assert_int_equal(slice_done(stage.station, 3, 4), 0);
    assert_int_equal(station_jobs(stage.station), 2);
    station_free(stage.station);
}

static void jobs_that_another_worker_has_begun_are_a_batch_there(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, 2);
    for (uint32_t i = 0; i < 4; i++)
        arrive(stage.station, job_of(i, 0, 2), 0);
    will_pick_batch(&stage, 1, 1, (const uint64_t[]){2}, 1);
    assert_slice(dispatch(stage.station, 0), 1, 0, true);
    assert_slice(dispatch(stage.station, 0), 2, 0, false);
    will_pick_batch(&stage, 3, 1, (const uint64_t[]){4}, 1);
    assert_slice(dispatch(stage.station, 0), 3, 1, true);
    assert_slice(dispatch(stage.station, 0), 4, 1, false);
    for (uint64_t id = 1; id <= 4; id++)
        assert_int_equal(slice_done(stage.station, id, 5), 0);
    will_pick_batch(&stage, 2, 1, (const uint64_t[]){3, 1, 4}, 3);
    assert_slice(dispatch(stage.station, 5), 2, 0, true);
    assert_slice(dispatch(stage.station, 5), 1, 0, false);
    assert_slice(dispatch(stage.station, 5), 3, 1, true);
    assert_slice(dispatch(stage.station, 5), 4, 1, false);
    station_reset(stage.station, 6); /* in the middle of it all */
    assert_int_equal(station_jobs(stage.station), 0);
    station_free(stage.station);
}

static void a_batch_is_held_whole_and_loses_only_the_jobs_that_are_cancelled(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, 2);
    for (uint32_t i = 0; i < 5; i++)
        arrive(stage.station, job_of(i, 0, 3), 0);
    will_pick_batch(&stage, 1, 1, (const uint64_t[]){2, 3}, 2);
    for (int i = 0; i < 3; i++)
        dispatch(stage.station, 0);
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal(slice_done(stage.station, id, 1), 0);
    will_pick(&stage, 1, 1);
    assert_slice(dispatch(stage.station, 1), 1, 0, false);
    stage.puppet.then =
        (struct napm_pick){.size = sizeof(struct napm_pick), .layer_count = 1, .job = 4, .wake_ns = INT64_MAX};
    will_pick_batch(&stage, 2, 1, (const uint64_t[]){3}, 1);
    assert_slice(dispatch(stage.station, 1), 4, 1, false); /* 2 and 3 wait for worker 0 */
    struct ends ends = {0};
    station_cancel_stream(stage.station, 1, 2, note_end, &ends);
    assert_int_equal(ends.count, 1);
    assert_int_equal(slice_done(stage.station, 1, 3), 0);
    assert_slice(dispatch(stage.station, 3), 3, 0, false);
    station_free(stage.station);
}

/* ---- schedulers that break their contract, loaded as the platform loads them */

static struct catalogue *catalogue;

static int open_catalogue(void **state)
{
    (void)state;
    struct error error;
    char folder[4096];
    snprintf(folder, sizeof(folder), "%s/tests/station/fixtures/.libs", getenv("top_builddir"));
    const char *const folders[] = {folder, NULL};
    catalogue = catalogue_open(folders, &error);
    if (!catalogue)
        print_error("%s\n", error.text);
    return catalogue ? 0 : -1;
}

static int close_catalogue(void **state)
{
    (void)state;
    catalogue_close(catalogue);
    return 0;
}

static struct instance *open_faulty(const char *fault)
{
    struct error error = {0};
    struct option_setting setting = {"fault", fault, "test"};
    struct plugin_choice choice = {"faulty-scheduler", "test", &setting, 1};
    struct instance_host host = {.label = "scheduler"};
    struct instance *instance = instance_open(catalogue, NAPM_KIND_SCHEDULER, &choice, &host, &error);
    if (!instance)
        fail_msg("%s", error.text);
    return instance;
}

/* Two jobs of two layers come, which are not the same ones, and everything is run until an error. Returns the number of finished jobs. */
static int drive_two_jobs(struct station *station, struct error *error)
{
    int finished = 0;
    int64_t now_ns = 1000;
    uint64_t id;
    for (uint64_t task = 0; task < 2; task++) {
        struct station_job job = job_of(0, task, 2);
        job.first_layer = (uint32_t)task;
        if (station_arrive(station, &job, now_ns, &id, error))
            return finished;
    }
    for (;;) {
        struct station_slice slices[2];
        struct station_end end;
        int count = 0, status;
        while ((status = station_dispatch(station, now_ns, &slices[count], error)) == 1)
            count++;
        if (status == 0 && count == 0 && station_wake_ns(station) != INT64_MAX) {
            now_ns = station_wake_ns(station);
            continue;
        }
        if (status < 0 || count == 0)
            return finished;
        for (int i = 0; i < count; i++) {
            status = station_slice_done(station, slices[i].job, ++now_ns, &end, error);
            if (status < 0)
                return finished;
            finished += status;
        }
    }
}

static void assert_fault_is_reported(const char *fault, enum error_kind kind, const char *expected)
{
    struct instance *instance = open_faulty(fault);
    struct station *station = station_new(instance, 2);
    struct error error = {0}, again = {0};
    struct station_slice slice;
    struct station_end end;
    uint64_t id;
    drive_two_jobs(station, &error);
    assert_int_equal(error.kind, kind);
    if (!strstr(error.text, expected))
        fail_msg("fault %s: '%s' does not say '%s'", fault, error.text, expected);
    assert_non_null(strstr(error.text, "faulty-scheduler"));
    assert_non_null(strstr(error.text, "faulty_scheduler.so"));
    /* The failure is final. */
    struct station_job job = job_of(0, 9, 1);
    assert_int_equal(station_arrive(station, &job, 2000, &id, &again), -1);
    assert_string_equal(again.text, error.text);
    assert_int_equal(station_dispatch(station, 2000, &slice, &again), -1);
    assert_string_equal(again.text, error.text);
    assert_int_equal(station_slice_done(station, 1, 2000, &end, &again), -1);
    assert_string_equal(again.text, error.text);
    assert_int_equal(again.kind, kind);
    station_free(station);
    instance_close(instance);
}

static void a_sound_scheduler_finishes_both_jobs(void **state)
{
    (void)state;
    struct instance *instance = open_faulty("none");
    struct station *station = station_new(instance, 2);
    struct error error = {0};
    assert_int_equal(drive_two_jobs(station, &error), 2);
    assert_int_equal(error.kind, ERROR_NONE);
    station_free(station);
    instance_close(instance);
}

static void every_breach_of_contract_is_reported_in_the_plugins_name(void **state)
{
    (void)state;
    assert_fault_is_reported("unknown-job", ERROR_PLUGIN, "misbehaves: pick() named job 4711, which does not exist");
    assert_fault_is_reported("running-job", ERROR_PLUGIN, "misbehaves: pick() named job 2, which is not ready");
    assert_fault_is_reported("no-layers", ERROR_PLUGIN, "misbehaves: pick() named job 2 with 0 layers");
    assert_fault_is_reported("odd-status", ERROR_PLUGIN, "misbehaves: pick() returned 7");
    assert_fault_is_reported("end-status", ERROR_PLUGIN, "misbehaves: pick() returned 2");
    assert_fault_is_reported("past-wake", ERROR_PLUGIN, "misbehaves: pick() wants to be asked again at 999 ns");
    assert_fault_is_reported("endless-wait", ERROR_PLUGIN, "misbehaves: pick() waits for ever with 2 jobs ready");
    assert_fault_is_reported("far-wake", ERROR_PLUGIN, "misbehaves: pick() waits for ever with 2 jobs ready");
    assert_fault_is_reported("naps", ERROR_PLUGIN, "misbehaves: pick() asked to wait 1000000 times in a row");
    assert_fault_is_reported("batch-null", ERROR_PLUGIN, "misbehaves: pick() said that 1 more jobs go with job 2");
    assert_fault_is_reported("batch-unknown", ERROR_PLUGIN, "misbehaves: pick() named job 4711, which does not exist");
    assert_fault_is_reported("batch-twice", ERROR_PLUGIN, "misbehaves: pick() named job 2, which is not ready");
    assert_fault_is_reported("batch-unequal", ERROR_PLUGIN,
                             "misbehaves: pick() named job 1 (model 0, layer 0) in one batch with job 2 (model 0, "
                             "layer 1): they do not run the same layers");
    assert_fault_is_reported("ready-odd-status", ERROR_PLUGIN, "misbehaves: ready() returned 9");
}

static void a_failing_scheduler_is_reported_with_its_own_words(void **state)
{
    (void)state;
    assert_fault_is_reported("pick-fails", ERROR_RUN, "pick(): cannot decide");
    assert_fault_is_reported("ready-fails", ERROR_RUN, "ready(): no room for this job");
    assert_fault_is_reported("second-ready-fails", ERROR_RUN, "ready(): no room for this job");
}

static void reset_forgives_a_failure(void **state)
{
    (void)state;
    struct instance *instance = open_faulty("running-job");
    struct station *station = station_new(instance, 2);
    struct error error = {0};
    drive_two_jobs(station, &error);
    assert_int_equal(error.kind, ERROR_PLUGIN);
    station_reset(station, 3000);
    uint64_t id;
    struct station_job job = job_of(0, 0, 1);
    assert_int_equal(station_arrive(station, &job, 3000, &id, &error), 0);
    station_free(station);
    instance_close(instance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_runs_slice_by_slice_to_its_end),
        cmocka_unit_test(workers_run_jobs_side_by_side_and_are_used_again),
        cmocka_unit_test(a_job_stays_with_its_worker_and_leaves_the_other_to_others),
        cmocka_unit_test(a_held_job_can_be_cancelled),
        cmocka_unit_test(a_slice_that_was_not_running_is_an_error_of_the_caller),
        cmocka_unit_test(a_waiting_scheduler_is_asked_again_at_its_time_or_with_the_next_event),
        cmocka_unit_test(cancelling_a_stream_spares_the_others_and_lets_the_running_slice_end),
        cmocka_unit_test(reset_gives_all_jobs_back_and_begins_anew),
        cmocka_unit_test(thousands_of_jobs_come_and_go),
        cmocka_unit_test(a_batch_starts_together_and_its_jobs_end_one_by_one),
        cmocka_unit_test(a_job_of_a_batch_is_cancelled_by_itself),
        cmocka_unit_test(jobs_that_another_worker_has_begun_are_a_batch_there),
        cmocka_unit_test(a_batch_is_held_whole_and_loses_only_the_jobs_that_are_cancelled),
        cmocka_unit_test(a_sound_scheduler_finishes_both_jobs),
        cmocka_unit_test(every_breach_of_contract_is_reported_in_the_plugins_name),
        cmocka_unit_test(a_failing_scheduler_is_reported_with_its_own_words),
        cmocka_unit_test(reset_forgives_a_failure),
    };
    return cmocka_run_group_tests(tests, open_catalogue, close_catalogue) != 0;
}
