/* SPDX-License-Identifier: Apache-2.0 */
/* Drives a scheduler through the station in virtual time. */
#include "tests/scheduler/drive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/builtin_plugins.h"

struct catalogue *plugins;
struct step steps[MOST_JOBS * MOST_LAYERS];
size_t step_count;

int open_catalogue(void **state)
{
    (void)state;
    plugins = builtin_catalogue();
    return plugins ? 0 : -1;
}

int close_catalogue(void **state)
{
    (void)state;
    catalogue_close(plugins);
    return 0;
}

struct instance *open_scheduler(const char *name, const char *const *options)
{
    struct error error = {0};
    struct instance *instance = builtin_instance(plugins, NAPM_KIND_SCHEDULER, name, options, 1, &error);
    if (!instance)
        fail_msg("%s", error.text);
    return instance;
}

struct instance *open_with_quantum(const char *name, const char *quantum)
{
    const char *const options[] = {"quantum", quantum, NULL};
    return open_scheduler(name, quantum ? options : NULL);
}

int64_t total_ns(const struct work *work)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < work->layer_count; i++)
        sum += work->layer_ns[i];
    return sum;
}

/* ---- virtual time */

/* A worker with a slice, until when. */
struct worker {
    int64_t until_ns; /* INT64_MAX: idle */
    uint64_t job;
};

struct drive {
    struct station *station;
    struct work *works;
    size_t count, arrived;
    struct worker workers[MOST_WORKERS];
    bool begun[MOST_JOBS];
    uint32_t worker_count;
};

static int64_t next_event_ns(const struct drive *drive)
{
    int64_t next_ns = station_wake_ns(drive->station);
    if (drive->arrived < drive->count && drive->works[drive->arrived].arrives_ns < next_ns)
        next_ns = drive->works[drive->arrived].arrives_ns;
    for (uint32_t i = 0; i < drive->worker_count; i++)
        if (drive->workers[i].until_ns < next_ns)
            next_ns = drive->workers[i].until_ns;
    return next_ns;
}

static void end_slices(struct drive *drive, int64_t now_ns)
{
    for (uint32_t i = 0; i < drive->worker_count; i++) {
        struct station_end end;
        struct error error;
        if (drive->workers[i].until_ns != now_ns)
            continue;
        int status = station_slice_done(drive->station, drive->workers[i].job, now_ns, &end, &error);
        assert_true(status >= 0);
        drive->workers[i].until_ns = INT64_MAX;
        if (status == 1) {
            struct work *work = end.user;
            assert_int_equal(work->ended_ns, -1);
            assert_int_equal(end.running_ns, total_ns(work));
            work->ended_ns = now_ns;
            work->slices = end.slices;
        }
    }
}

static void let_arrive(struct drive *drive, int64_t now_ns)
{
    for (; drive->arrived < drive->count && drive->works[drive->arrived].arrives_ns == now_ns; drive->arrived++) {
        struct work *work = &drive->works[drive->arrived];
        struct station_job job = {.stream = work->stream,
                                  .task = drive->arrived,
                                  .deadline_ns = work->deadline_ns ? work->deadline_ns : INT64_MAX,
                                  .priority = work->priority,
                                  .weight = work->weight > 0 ? work->weight : 1,
                                  .layer_count = work->layer_count,
                                  .layer_ns = work->layer_ns,
                                  .user = work};
        struct error error;
        uint64_t id;
        work->ended_ns = -1;
        assert_int_equal(station_arrive(drive->station, &job, now_ns, &id, &error), 0);
    }
}

/* No worker is idle while a job waits that it could run: one that another has begun stays with that. */
static void check_nothing_waits(const struct drive *drive)
{
    uint32_t busy = 0;
    for (uint32_t i = 0; i < drive->worker_count; i++)
        busy += drive->workers[i].until_ns != INT64_MAX;
    if (busy == drive->worker_count)
        return;
    assert_true(drive->worker_count > 1 || station_jobs(drive->station) == 0);
    for (size_t i = 0; i < drive->arrived; i++)
        assert_true(drive->begun[i]);
}

static void start_slices(struct drive *drive, int64_t now_ns)
{
    struct station_slice slice;
    struct error error = {0};
    int status;
    while ((status = station_dispatch(drive->station, now_ns, &slice, &error)) == 1) {
        struct worker *worker = &drive->workers[slice.worker];
        assert_int_equal(worker->until_ns, INT64_MAX);
        const struct work *work = slice.user;
        *worker = (struct worker){now_ns, slice.job};
        for (uint32_t i = 0; i < slice.layer_count; i++)
            worker->until_ns += work->layer_ns[slice.first_layer + i];
        drive->begun[work - drive->works] = true;
        assert_true(step_count < sizeof(steps) / sizeof(steps[0]));
        steps[step_count++] =
            (struct step){(size_t)(work - drive->works), slice.first_layer, slice.layer_count, now_ns};
    }
    if (status < 0)
        fail_msg("%s", error.text);
    check_nothing_waits(drive);
}

/* Runs the works (ascending by arrival) to their ends; fills their ended_ns and the list of steps. */
void run(struct instance *scheduler, uint32_t workers, struct work *works, size_t count)
{
    struct drive drive = {.works = works, .count = count, .worker_count = workers};
    drive.station = station_new(scheduler, workers);
    for (uint32_t i = 0; i < workers; i++)
        drive.workers[i].until_ns = INT64_MAX;
    step_count = 0;
    for (int64_t now_ns; (now_ns = next_event_ns(&drive)) != INT64_MAX;) {
        end_slices(&drive, now_ns);
        let_arrive(&drive, now_ns);
        start_slices(&drive, now_ns);
    }
    assert_int_equal(station_jobs(drive.station), 0);
    for (size_t i = 0; i < count; i++)
        assert_true(works[i].ended_ns >= works[i].arrives_ns + total_ns(&works[i]));
    station_free(drive.station);
}

void run_with(const char *name, const char *const *options, uint32_t workers, struct work *works, size_t count)
{
    struct instance *scheduler = open_scheduler(name, options);
    run(scheduler, workers, works, count);
    instance_close(scheduler);
}

void assert_steps(const struct step *expected, size_t count)
{
    assert_int_equal(step_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(steps[i].work, expected[i].work);
        assert_int_equal(steps[i].first_layer, expected[i].first_layer);
        assert_int_equal(steps[i].layer_count, expected[i].layer_count);
        assert_int_equal(steps[i].start_ns, expected[i].start_ns);
    }
}

/* ---- by chance */

uint64_t below(struct random *random, uint64_t bound)
{
    return random_bits(random) % bound;
}

size_t random_works(struct random *random, struct work *works, size_t most, uint64_t arrival_spread_ns)
{
    size_t count = 1 + below(random, most);
    int64_t at_ns = 0;
    for (size_t i = 0; i < count; i++) {
        at_ns += (int64_t)below(random, arrival_spread_ns + 1);
        works[i] = (struct work){
            .arrives_ns = at_ns, .stream = (uint32_t)(i % 5), .layer_count = 1 + (uint32_t)below(random, MOST_LAYERS)};
        for (uint32_t k = 0; k < works[i].layer_count; k++)
            works[i].layer_ns[k] = 1 + (int64_t)below(random, 100);
    }
    return count;
}
