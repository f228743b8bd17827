/* SPDX-License-Identifier: Apache-2.0 */
/* Guesses by fluids. */
#include "promise.h"

#include <math.h>
#include <stdlib.h>

#include <napm/plugin.h>

#define MOMENTS 48 /* that the piles are looked at */

/* Where streams meet: an air, or the station. */
struct promise_place {
    double capacity; /* that it does at once: 1, or the station's workers */
    double used_ns[MOMENTS + 1], came[MOMENTS + 1]; /* by moment: work and tasks so far, of the present plan */
    double wait_ns; /* of all tasks, by these */
    double scale; /* what the evaluation says of that, as a multiple */
};

/* How a stream's tasks come to a place, and for how long each uses it. */
struct stay {
    double first_ns, gap_ns, tasks, use_ns;
};

/* A stream with some cut. */
struct way {
    double alone_ns; /* mean delay of its tasks but for waiting for other streams */
    struct stay air, station; /* use_ns 0: not used */
};

static double tasks_of(const struct promise *promise, uint32_t stream)
{
    return promise->evaluator->task_count(promise->evaluator, stream);
}

static double came_by(const struct stay *stay, double at_ns)
{
    double tasks = (at_ns - stay->first_ns) / stay->gap_ns;
    return tasks <= 0 ? 0 : tasks < stay->tasks ? tasks : stay->tasks;
}

/* Mean waiting of tasks that come every `gap_ns` and take `use_ns`, one after the other. */
static double pile_ns(double tasks, double gap_ns, double use_ns)
{
    return use_ns > gap_ns ? (use_ns - gap_ns) * (tasks - 1) / 2 : 0;
}

static struct way way_of(const struct promise *promise, uint32_t stream, uint32_t c)
{
    const struct napm_problem_stream *view = promise->problem->streams[stream];
    double tasks = tasks_of(promise, stream), local_ns = promise->local_ns[stream][c];
    double alone_ns = promise->evaluator->isolated_ns(promise->evaluator, stream, c);
    double air_ns = (double)view->cuts[c]->bytes * 1e9 / promise->problem->links[view->link]->up_bytes_per_s;
    /* Where a task starts when the last one has ended, they never pile up. */
    double gap_ns = view->interval_ns > 0 ? (double)view->interval_ns : fmax(alone_ns, 1);
    struct way way = {.alone_ns = alone_ns + pile_ns(tasks, gap_ns, local_ns)};
    gap_ns = fmax(gap_ns, local_ns);
    if (promise->air[view->link] != NAPM_NONE)
        way.air = (struct stay){local_ns, gap_ns, tasks, air_ns};
    else
        way.alone_ns += pile_ns(tasks, gap_ns, air_ns);
    if (c < view->layer_count)
        way.station = (struct stay){local_ns + air_ns, fmax(gap_ns, air_ns), tasks, promise->remote_ns[stream][c]};
    return way;
}

/* ---- life */

static int32_t sum_times(struct promise *promise, uint32_t stream)
{
    const struct napm_problem_stream *view = promise->problem->streams[stream];
    const int64_t *device_ns = view->layer_ns[view->device], *station_ns = view->layer_ns[promise->problem->station];
    double *local_ns = calloc((size_t)view->layer_count + 1, sizeof(double));
    double *remote_ns = calloc((size_t)view->layer_count + 1, sizeof(double));
    promise->local_ns[stream] = local_ns;
    promise->remote_ns[stream] = remote_ns;
    if (!local_ns || !remote_ns)
        return NAPM_ERR_MEMORY;
    for (uint32_t k = 0; device_ns && k < view->layer_count; k++)
        local_ns[k + 1] = local_ns[k] + (double)device_ns[k];
    for (uint32_t k = view->layer_count; station_ns && k-- > 0;)
        remote_ns[k] = remote_ns[k + 1] + (double)station_ns[k];
    return NAPM_OK;
}

/* The place of a link's air is that of the first link on its medium. */
static uint32_t place_of_air(const struct napm_problem *problem, uint32_t link)
{
    uint32_t medium = problem->links[link]->medium, first = 0;
    if (medium == NAPM_NONE)
        return NAPM_NONE;
    while (problem->links[first]->medium != medium)
        first++;
    return first;
}

int32_t promise_begin(struct promise *promise, const struct napm_problem *problem,
                      const struct napm_evaluator *evaluator)
{
    *promise = (struct promise){.problem = problem, .evaluator = evaluator};
    promise->local_ns = calloc((size_t)problem->stream_count + 1, sizeof(*promise->local_ns));
    promise->remote_ns = calloc((size_t)problem->stream_count + 1, sizeof(*promise->remote_ns));
    promise->places = calloc((size_t)problem->link_count + 1, sizeof(*promise->places));
    promise->air = calloc((size_t)problem->link_count + 1, sizeof(*promise->air));
    if (!promise->local_ns || !promise->remote_ns || !promise->places || !promise->air)
        return NAPM_ERR_MEMORY;
    for (uint32_t i = 0; i < problem->link_count; i++) {
        promise->air[i] = place_of_air(problem, i);
        promise->places[i].capacity = 1;
    }
    const struct napm_problem_node *station = problem->nodes[problem->station];
    promise->places[problem->link_count].capacity =
        NAPM_HAS(station, struct napm_problem_node, workers) && station->workers ? station->workers : 1;
    double last_ns = 1;
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        if (sum_times(promise, i) < 0)
            return NAPM_ERR_MEMORY;
        double slowest_ns =
            fmax((double)problem->streams[i]->interval_ns, promise->local_ns[i][problem->streams[i]->layer_count]);
        last_ns = fmax(last_ns, tasks_of(promise, i) * slowest_ns);
    }
    promise->step_ns = last_ns / MOMENTS;
    return NAPM_OK;
}

void promise_end(struct promise *promise)
{
    for (uint32_t i = 0; promise->local_ns && promise->remote_ns && i < promise->problem->stream_count; i++) {
        free(promise->local_ns[i]);
        free(promise->remote_ns[i]);
    }
    free(promise->local_ns);
    free(promise->remote_ns);
    free(promise->places);
    free(promise->air);
}

/* ---- piles */

static const struct stay nobody = {0, 1, 0, 0};

/* Waiting of all tasks at a place where `from` is replaced by `to`; *own_ns is that of the tasks of `to`. */
static double wait_ns(const struct promise *promise, const struct promise_place *place, const struct stay *from,
                      const struct stay *to, double *own_ns)
{
    double least_ns = 0, sum_ns = 0, came = 0, own_came = 0;
    *own_ns = 0;
    for (uint32_t m = 1; m <= MOMENTS; m++) {
        double at_ns = m * promise->step_ns, gone = came_by(from, at_ns), own = came_by(to, at_ns);
        double net_ns = place->used_ns[m] - gone * from->use_ns + own * to->use_ns - at_ns * place->capacity;
        double all = place->came[m] - gone + own;
        least_ns = net_ns < least_ns ? net_ns : least_ns;
        double before_ns = (net_ns - least_ns) / place->capacity;
        sum_ns += before_ns * (all - came);
        *own_ns += before_ns * (own - own_came);
        came = all;
        own_came = own;
    }
    return sum_ns;
}

static void add_stay(const struct promise *promise, struct promise_place *place, const struct stay *stay)
{
    for (uint32_t m = 1; m <= MOMENTS; m++) {
        double came = came_by(stay, m * promise->step_ns);
        place->came[m] += came;
        place->used_ns[m] += came * stay->use_ns;
    }
}

static void clear_places(struct promise *promise)
{
    for (uint32_t p = 0; p <= promise->problem->link_count; p++)
        promise->places[p] = (struct promise_place){.capacity = promise->places[p].capacity};
}

void promise_look(struct promise *promise, const uint32_t *cuts, const struct napm_phases *phases)
{
    const struct napm_problem *problem = promise->problem;
    struct promise_place *station = &promise->places[problem->link_count];
    double evaluated_ns = 0, own_ns;
    promise->cuts = cuts;
    promise->phases = phases;
    clear_places(promise);
    for (uint32_t i = 0; i < problem->stream_count; i++) {
        struct way way = way_of(promise, i, cuts[i]);
        uint32_t air = promise->air[problem->streams[i]->link];
        if (way.air.use_ns > 0)
            add_stay(promise, &promise->places[air], &way.air);
        if (way.station.use_ns > 0)
            add_stay(promise, station, &way.station);
        evaluated_ns += tasks_of(promise, i) * phases[i].queue_ns;
    }
    for (uint32_t p = 0; p <= problem->link_count; p++) {
        struct promise_place *place = &promise->places[p];
        place->wait_ns = wait_ns(promise, place, &nobody, &nobody, &own_ns);
        place->scale = 1;
    }
    if (station->wait_ns > 0 && evaluated_ns > 0)
        station->scale = evaluated_ns / station->wait_ns;
}

double promise_present_ns(const struct promise *promise, uint32_t stream)
{
    const struct napm_phases *phases = &promise->phases[stream];
    return phases->local_ns + phases->transmit_ns + phases->queue_ns + phases->remote_ns + phases->return_ns;
}

/* What changes at a place; adds the waiting of the stream's own tasks to *own_ns. */
static double gain_at(const struct promise *promise, uint32_t number, const struct stay *from, const struct stay *to,
                      double *own_ns)
{
    const struct promise_place *place = &promise->places[number];
    double own;
    if (from->use_ns == 0 && to->use_ns == 0)
        return 0;
    double gain_ns = place->wait_ns -
                     wait_ns(promise, place, from->use_ns > 0 ? from : &nobody, to->use_ns > 0 ? to : &nobody, &own);
    *own_ns += place->scale * own;
    return place->scale * gain_ns;
}

double promise_gain_ns(const struct promise *promise, uint32_t stream, uint32_t c, double *delay_ns)
{
    struct way from = way_of(promise, stream, promise->cuts[stream]), to = way_of(promise, stream, c);
    double tasks = tasks_of(promise, stream), own_ns = 0;
    double gain_ns = tasks * (from.alone_ns - to.alone_ns);
    uint32_t air = promise->air[promise->problem->streams[stream]->link];
    if (air != NAPM_NONE)
        gain_ns += gain_at(promise, air, &from.air, &to.air, &own_ns);
    gain_ns += gain_at(promise, promise->problem->link_count, &from.station, &to.station, &own_ns);
    *delay_ns = to.alone_ns + (tasks > 0 ? own_ns / tasks : 0);
    return gain_ns;
}
