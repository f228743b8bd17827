/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New plans in the local world, one after the other, each in three steps that no task waits for: a thread of its own
 * makes the plan, the nodes prepare the parts that they do not have yet, and each stream's tasks start by the new cuts
 * from the moment when all nodes of its way are ready. A plan that falls due meanwhile is made after that, with the
 * conditions of then.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/world/drive_private.h"

/* The planning thread gives way to what is measured on the same machine. */
#define PLANNING_NICE 10

struct replanning {
    struct drive *drive;
    bool is_wanted;
    uint32_t number; /* of the newest plan */
    /* while a plan is made: the thread's, until it writes to the descriptor */
    bool is_planning;
    pthread_t thread;
    struct plan_request request;
    struct changes *now; /* that the request is for */
    const struct placements *placements;
    struct error error;
    atomic_bool cancel;
    atomic_bool is_made;
    int made_fd;
    struct event *made;
    /* while a plan is prepared */
    struct worker_part **parts; /* new ones of the station */
    uint32_t part_count;
    struct worker_item *items; /* by worker */
    uint32_t workers_left;
};

/* ---- making a plan */

static void *make_plan(void *argument)
{
    struct replanning *replanning = argument;
    const struct world_setup *setup = &replanning->drive->world->setup;
    const uint64_t one = 1;
    setpriority(PRIO_PROCESS, 0, PLANNING_NICE); /* of this thread alone */
    replanning->placements = setup->replan(setup->replan_context, &replanning->request, &replanning->error);
    atomic_store(&replanning->is_made, true);
    while (write(replanning->made_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    return NULL;
}

static void end_thread(struct replanning *replanning)
{
    pthread_join(replanning->thread, NULL);
    changes_free(replanning->now);
    replanning->is_planning = false;
}

static bool is_preparing(const struct drive *drive)
{
    if (drive->replanning->workers_left)
        return true;
    for (uint32_t i = 0; i < drive->scenario->node_count; i++)
        if (drive->world->nodes[i].preparing)
            return true;
    return false;
}

static void begin(struct drive *drive)
{
    struct replanning *replanning = drive->replanning;
    if (!replanning->is_wanted || replanning->is_planning || drive->over || is_preparing(drive))
        return;
    replanning->is_wanted = false;
    replanning->now = changes_copy(drive->changes);
    replanning->request = (struct plan_request){.number = ++replanning->number,
                                                .at_ns = drive_clock_ns(drive, clock_now_ns()),
                                                .now = replanning->now,
                                                .cancel = &replanning->cancel};
    atomic_store(&replanning->is_made, false);
    replanning->is_planning = true;
    if (pthread_create(&replanning->thread, NULL, make_plan, replanning) == 0)
        return;
    struct error error = {0};
    replanning->is_planning = false;
    changes_free(replanning->now);
    error_set(&error, ERROR_RUN, "the planning thread cannot be started");
    drive_fail(drive, &error);
}

void replan_due(struct drive *drive)
{
    if (!drive->world->setup.replan)
        return;
    drive->replanning->is_wanted = true;
    begin(drive);
}

/* ---- preparing it */

static void take_if_ready(struct stream_run *stream)
{
    struct placement *ready = stream->coming;
    if (!ready || ready->awaited)
        return;
    stream->coming = NULL;
    placement_take(stream, ready, ready->plan);
}

/* One of the nodes that the stream's new placement waits for has its part, or will never have it. */
static void await_less(struct stream_run *stream)
{
    stream->coming->awaited--;
    take_if_ready(stream);
}

/* Whether that device has to prepare a part for the stream's new placement. */
static bool has_new_part(const struct stream_run *stream, uint32_t node)
{
    const struct placement *coming = stream->coming;
    for (uint32_t h = 0; coming && h < coming->way.count; h++)
        if (coming->way.hops[h].node == node)
            return local_has_part(&coming->way, h) && coming->way.hops[h].part == coming->plan;
    return false;
}

static void fill_part(struct stream_run *stream, uint32_t node, Wire__StreamPlan *plan)
{
    const struct local_way *way = &stream->coming->way;
    uint32_t h = 0;
    while (way->hops[h].node != node)
        h++;
    local_fill_plan(stream->drive->scenario, stream->index, way, h, plan);
    stream->coming->awaited++;
}

/* Tells a device of the parts that it needs for the plan; those of other streams do not wait for them. */
static void tell_prepare(struct drive *drive, uint32_t node)
{
    const struct scenario *scenario = drive->scenario;
    Wire__Prepare body = WIRE__PREPARE__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    Wire__StreamPlan *plans = NEW_ARRAY(Wire__StreamPlan, scenario->stream_count);
    Wire__LoadModel *models = NEW_ARRAY(Wire__LoadModel, scenario->model_count);
    bool *has_model = NEW_ARRAY(bool, scenario->model_count);
    body.number = drive->replanning->number;
    body.streams = NEW_ARRAY(Wire__StreamPlan *, scenario->stream_count);
    body.models = NEW_ARRAY(Wire__LoadModel *, scenario->model_count);
    for (uint32_t i = 0; i < scenario->stream_count; i++) {
        const uint32_t model = scenario->streams[i].model;
        if (!has_new_part(&drive->streams[i], node))
            continue;
        fill_part(&drive->streams[i], node, &plans[body.n_streams]);
        body.streams[body.n_streams] = &plans[body.n_streams];
        body.n_streams++;
        if (has_model[model])
            continue;
        has_model[model] = true;
        local_fill_load(scenario, model, &models[body.n_models]);
        body.models[body.n_models] = &models[body.n_models];
        body.n_models++;
    }
    message.body_case = WIRE__MESSAGE__BODY_PREPARE;
    message.prepare = &body;
    if (body.n_streams) {
        drive->world->nodes[node].preparing = body.number;
        peer_tell(&drive->world->nodes[node].peer, &message);
    }
    free(body.streams);
    free(body.models);
    free(has_model);
    free(models);
    free(plans);
}

/* The station's part of a new placement: one that there is, or one that its workers have to prepare. */
static void find_station_part(struct drive *drive, struct stream_run *stream)
{
    struct replanning *replanning = drive->replanning;
    struct placement *coming = stream->coming;
    bool is_new;
    if (coming->last_cut == stream->layer_count)
        return;
    coming->station_part = workers_part(drive->world->workers, drive->scenario->models[stream->spec->model].model,
                                        coming->way.order, coming->last_cut, &is_new);
    if (is_new)
        replanning->parts[replanning->part_count++] = coming->station_part;
}

static bool waits_for_station(const struct replanning *replanning, const struct stream_run *stream)
{
    for (uint32_t i = 0; stream->coming && i < replanning->part_count; i++)
        if (replanning->parts[i] == stream->coming->station_part)
            return true;
    return false;
}

static void post_prepare(struct drive *drive)
{
    struct replanning *replanning = drive->replanning;
    struct workers *workers = drive->world->workers;
    if (replanning->part_count == 0)
        return;
    workers_place(workers, replanning->parts, replanning->part_count);
    replanning->workers_left = workers_count(workers);
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++)
        if (waits_for_station(replanning, &drive->streams[i]))
            drive->streams[i].coming->awaited++;
    for (uint32_t i = 0; i < workers_count(workers); i++) {
        replanning->items[i] = (struct worker_item){
            .kind = WORK_PREPARE, .parts = replanning->parts, .part_count = replanning->part_count};
        workers_post(workers, i, &replanning->items[i]);
    }
}

/* What the plan means for a stream: nothing new, a placement that there is, or one that its nodes have to prepare. */
static int place_stream(struct stream_run *stream, const uint32_t *order, const uint32_t *cuts, uint32_t plan,
                        struct error *error)
{
    struct placement *known = placement_find(stream, order, cuts);
    if (stream->ended) /* all its tasks were started, or a node of its way was lost */
        return 0;
    if (known) {
        placement_take(stream, known, plan);
        return 0;
    }
    stream->coming = placement_new(stream, order, cuts, plan, error);
    if (!stream->coming)
        return -1;
    find_station_part(stream->drive, stream);
    return 0;
}

static int prepare(struct drive *drive, const struct placements *placements, struct error *error)
{
    const uint32_t *cuts = placements->cuts;
    drive->replanning->part_count = 0;
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++) {
        struct stream_run *stream = &drive->streams[i];
        const uint32_t hop_count = stream->now->way.count;
        if (place_stream(stream, placements_order(placements, i), cuts, drive->replanning->number, error))
            return -1;
        cuts += hop_count;
    }
    post_prepare(drive);
    for (uint32_t i = 0; i < drive->scenario->node_count; i++)
        if (!drive->scenario->nodes[i].is_station)
            tell_prepare(drive, i);
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++)
        take_if_ready(&drive->streams[i]);
    return 0;
}

static void on_made(evutil_socket_t fd, short what, void *context)
{
    struct drive *drive = context;
    struct replanning *replanning = drive->replanning;
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof(count)) < 0 || !replanning->is_planning)
        return;
    end_thread(replanning);
    if (drive->over)
        return;
    if (!replanning->placements || prepare(drive, replanning->placements, &replanning->error))
        drive_fail(drive, &replanning->error);
    else
        begin(drive);
}

int replan_prepared(struct drive *drive, struct peer *peer, uint32_t number, struct error *error)
{
    struct local_node *node = &drive->world->nodes[peer->node];
    if (number == 0 || node->preparing != number)
        return error_set(error, ERROR_RUN, "it prepared plan %u, which it was not asked for", number);
    replan_node_lost(drive, peer->node); /* either way nobody waits for it any more */
    return 0;
}

void replan_node_lost(struct drive *drive, uint32_t node)
{
    if (!drive->world->nodes[node].preparing)
        return;
    drive->world->nodes[node].preparing = 0;
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++)
        if (has_new_part(&drive->streams[i], node))
            await_less(&drive->streams[i]);
    begin(drive);
}

void replan_work_done(struct drive *drive, struct worker_item *item)
{
    struct replanning *replanning = drive->replanning;
    replanning->workers_left--;
    if (item->status && !drive->over) {
        struct error error = item->error;
        error_prefix(&error, "node %s: preparing plan %u", drive->scenario->nodes[drive->scenario->station].name,
                     replanning->number);
        drive_fail(drive, &error);
    }
    if (replanning->workers_left || drive->over)
        return;
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++)
        if (waits_for_station(replanning, &drive->streams[i]))
            await_less(&drive->streams[i]);
    begin(drive);
}

/* ---- life */

int replan_open(struct drive *drive, struct error *error)
{
    struct replanning *replanning = NEW(struct replanning);
    drive->replanning = replanning;
    replanning->drive = drive;
    replanning->parts = NEW_ARRAY(struct worker_part *, drive->scenario->stream_count);
    replanning->items = NEW_ARRAY(struct worker_item, workers_count(drive->world->workers));
    replanning->made_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (replanning->made_fd < 0)
        return error_set(error, ERROR_RUN, "making an event descriptor: out of descriptors");
    replanning->made = event_new(drive->world->base, replanning->made_fd, EV_READ | EV_PERSIST, on_made, drive);
    event_add(replanning->made, NULL);
    return 0;
}

/* Nobody can make a plugin return. */
static void give_up(struct drive *drive)
{
    const struct scenario *scenario = drive->scenario;
    char silence[UNITS_TEXT_BYTES];
    struct error error = {0};
    error_set(&error, ERROR_PLUGIN,
              "planning anew has not ended %s after the tasks had (run.silence): partitioner '%s', scheduler '%s' or a "
              "load generator does not return, or has more to search than that; try napm-plugin-check",
              units_format_duration(silence, (double)scenario->silence_ns), scenario->partitioner.name,
              scenario->scheduler.name);
    pthread_detach(drive->replanning->thread);
    drive->world->stuck = true;
    drive_fail(drive, &error);
}

static void stop_planning(struct drive *drive)
{
    struct replanning *replanning = drive->replanning;
    const int64_t until_ns = clock_now_ns() + drive->scenario->silence_ns;
    atomic_store(&replanning->cancel, true);
    while (!atomic_load(&replanning->is_made) && clock_now_ns() < until_ns) {
        atomic_fetch_add_explicit(&drive->beat, 1, memory_order_relaxed);
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
    }
    if (atomic_load(&replanning->is_made))
        end_thread(replanning);
    else
        give_up(drive);
}

void replan_stop(struct drive *drive)
{
    struct replanning *replanning = drive->replanning;
    if (replanning->is_planning)
        stop_planning(drive);
    if (replanning->workers_left)
        workers_cancel(drive->world->workers); /* what is left to pack is of no use */
    drive_enter(drive, workers_instance(drive->world->workers));
    while (replanning->workers_left) {
        drive_work_done(drive, workers_take_done(drive->world->workers));
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
    }
    drive_leave(drive);
}

void replan_close(struct drive *drive)
{
    struct replanning *replanning = drive->replanning;
    if (!replanning)
        return;
    if (replanning->made)
        event_free(replanning->made);
    if (replanning->made_fd >= 0)
        close(replanning->made_fd);
    free(replanning->parts);
    free(replanning->items);
    free(replanning);
}
