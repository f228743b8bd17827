/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitioners: small problems with an evaluator of this tester's own. The plan must be one, it must fit the memory, the
 * same problem must give the same plan, and a cancelled search must end. The problem lies in read-only memory.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <napm/partitioner.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "sdk/check/check.h"
#include "sdk/check/tiny_model.h"

#define MOST_STREAMS 4u
#define MOST_LAYERS 6u
#define GUARD 0xabadcafeu
#define MOST_CALLS_AFTER_CANCEL 100

/* What a problem is made from. */
struct shape {
    const char *name;
    uint32_t streams, layers;
    double device_factor[MOST_STREAMS]; /* how much slower than the station */
    double rate_bytes_per_s;
    int64_t delay_ns;
    uint32_t medium; /* NAPM_NONE, or one that all links share */
    uint64_t device_memory_bytes; /* 0: no limit */
    int64_t interval_ns;
};

/* A problem and everything that it points to. */
struct world {
    struct napm_problem problem;
    struct napm_problem_node nodes[MOST_STREAMS + 1];
    struct napm_problem_link links[MOST_STREAMS];
    struct napm_problem_stream streams[MOST_STREAMS];
    struct napm_problem_cut cuts[MOST_STREAMS][MOST_LAYERS + 1];
    int64_t layer_ns[MOST_STREAMS + 1][MOST_LAYERS];
    const int64_t *layer_ns_of_stream[MOST_STREAMS][MOST_STREAMS + 1];
    const struct napm_problem_node *node_pointers[MOST_STREAMS + 1];
    const struct napm_problem_link *link_pointers[MOST_STREAMS];
    const struct napm_problem_stream *stream_pointers[MOST_STREAMS];
    const struct napm_problem_cut *cut_pointers[MOST_STREAMS][MOST_LAYERS + 1];
    uint32_t routes[MOST_STREAMS][3]; /* device, station; link */
    struct napm_objective objective;
    struct napm_evaluator evaluator;
};

/* What changes while a partitioner works: kept outside of the read-only part. */
struct progress {
    const struct world *world;
    uint64_t calls, calls_after_cancel;
    uint64_t cancel_at; /* the call that is answered with NAPM_ERR_CANCELLED, as all later ones; 0: none */
};

struct answer {
    struct napm_plan plan;
    uint32_t nodes[MOST_STREAMS][MOST_LAYERS + 1]; /* one guard behind each */
    uint32_t *rows[MOST_STREAMS];
};

/* ---- making a problem */

static void fill_nodes(struct world *world, const struct shape *shape)
{
    static const char *const names[] = {"station", "d1", "d2", "d3", "d4"};
    for (uint32_t n = 0; n <= shape->streams; n++) {
        world->nodes[n] = (struct napm_problem_node){.size = sizeof(world->nodes[n]),
                                                     .is_station = n == 0,
                                                     .name = names[n],
                                                     .memory_bytes = n ? shape->device_memory_bytes : 0,
                                                     .workers = 1};
        world->node_pointers[n] = &world->nodes[n];
        for (uint32_t k = 0; k < shape->layers; k++)
            world->layer_ns[n][k] =
                (int64_t)((n ? shape->device_factor[n - 1] : 1) * (double)((k % 3 + 1) * NS_PER_MS));
    }
}

/* The cut tensors shrink with the layers, as in a CNN. */
static void fill_cuts(struct world *world, const struct shape *shape, uint32_t i)
{
    for (uint32_t c = 0; c <= shape->layers; c++) {
        uint64_t device_bytes = c * UINT64_C(1000000);
        world->cuts[i][c] = (struct napm_problem_cut){.size = sizeof(world->cuts[i][c]),
                                                      .tensor_count = 1,
                                                      .bytes = c == shape->layers ? 40 : UINT64_C(200000) >> c,
                                                      .device_memory_bytes = device_bytes,
                                                      .station_memory_bytes = (shape->layers - c) * UINT64_C(1000000),
                                                      .feasible = shape->device_memory_bytes == 0 ||
                                                                  device_bytes <= shape->device_memory_bytes};
        world->cut_pointers[i][c] = &world->cuts[i][c];
    }
}

static void fill_streams(struct world *world, const struct shape *shape, const struct napm_model *model)
{
    for (uint32_t i = 0; i < shape->streams; i++) {
        world->links[i] = (struct napm_problem_link){.size = sizeof(world->links[i]),
                                                     .device = i + 1,
                                                     .station = 0,
                                                     .medium = shape->medium,
                                                     .up_bytes_per_s = shape->rate_bytes_per_s,
                                                     .down_bytes_per_s = shape->rate_bytes_per_s,
                                                     .up_delay_ns = shape->delay_ns,
                                                     .down_delay_ns = shape->delay_ns};
        world->link_pointers[i] = &world->links[i];
        world->layer_ns_of_stream[i][0] = world->layer_ns[0]; /* the station, and the stream's own device */
        world->layer_ns_of_stream[i][i + 1] = world->layer_ns[i + 1];
        memcpy(world->routes[i], (const uint32_t[]){i + 1, 0, i}, sizeof(world->routes[i]));
        world->streams[i] = (struct napm_problem_stream){.size = sizeof(world->streams[i]),
                                                         .device = i + 1,
                                                         .name = world->nodes[i + 1].name,
                                                         .link = i,
                                                         .layer_count = shape->layers,
                                                         .model = model,
                                                         .layer_ns = world->layer_ns_of_stream[i],
                                                         .cuts = world->cut_pointers[i],
                                                         .result_bytes = 40,
                                                         .result_returns = 1,
                                                         .interval_ns = shape->interval_ns,
                                                         .deadline_ns = i % 2 ? 50 * NS_PER_MS : 0,
                                                         .priority = (int32_t)i,
                                                         .task_count = 100,
                                                         .route_count = 2,
                                                         .weight = 1,
                                                         .route_nodes = world->routes[i],
                                                         .route_links = &world->routes[i][2]};
        world->stream_pointers[i] = &world->streams[i];
        fill_cuts(world, shape, i);
    }
}

/* ---- the evaluator: isolated delays, and half of everybody else's remote work as the queue */

static double isolated_ns(const struct napm_evaluator *evaluator, uint32_t stream, uint32_t c)
{
    const struct world *world = ((const struct progress *)evaluator->context)->world;
    if (stream >= world->problem.stream_count || c > world->streams[stream].layer_count ||
        !world->cuts[stream][c].feasible)
        return INFINITY;
    const struct napm_problem_link *link = &world->links[stream];
    double ns = 0;
    for (uint32_t k = 0; k < world->streams[stream].layer_count; k++)
        ns += (double)world->layer_ns[k < c ? stream + 1 : 0][k];
    if (c < world->streams[stream].layer_count)
        ns += (double)(link->up_delay_ns + link->down_delay_ns) +
              1e9 * ((double)world->cuts[stream][c].bytes / link->up_bytes_per_s + 40 / link->down_bytes_per_s);
    return ns;
}

/* Each evaluation counts one task of every stream. */
static uint32_t task_count(const struct napm_evaluator *evaluator, uint32_t stream)
{
    (void)evaluator;
    (void)stream;
    return 1;
}

/* The cut that a stream's row is, or -1 where it is none (in a chain, layers of the device come first). */
static int64_t cut_of_row(const struct world *world, uint32_t stream, const uint32_t *row)
{
    uint32_t layers = world->streams[stream].layer_count, c = 0;
    while (c < layers && row[c] == stream + 1)
        c++;
    for (uint32_t k = c; k < layers; k++)
        if (row[k] != 0)
            return -1;
    return c;
}

static double remote_ns(const struct world *world, uint32_t stream, int64_t c)
{
    double ns = 0;
    for (uint32_t k = (uint32_t)c; k < world->streams[stream].layer_count; k++)
        ns += (double)world->layer_ns[0][k];
    return ns;
}

static void fill_evaluation(const struct napm_evaluator *evaluator, const int64_t *cuts,
                            struct napm_evaluation *evaluation)
{
    const struct world *world = ((const struct progress *)evaluator->context)->world;
    uint32_t count = world->problem.stream_count;
    double delays[MOST_STREAMS], work = 0, squares = 0;
    evaluation->total_ns = evaluation->maximum_ns = 0;
    for (uint32_t i = 0; i < count; i++)
        work += remote_ns(world, i, cuts[i]);
    for (uint32_t i = 0; i < count; i++) {
        double own = remote_ns(world, i, cuts[i]), queue = own > 0 ? (work - own) / 2 : 0;
        delays[i] = isolated_ns(evaluator, i, (uint32_t)cuts[i]) + queue;
        evaluation->total_ns += delays[i];
        evaluation->maximum_ns = fmax(evaluation->maximum_ns, delays[i]);
        if (evaluation->phases)
            evaluation->phases[i] = (struct napm_phases){.queue_ns = queue, .remote_ns = own};
    }
    evaluation->mean_ns = evaluation->total_ns / count;
    for (uint32_t i = 0; i < count; i++)
        squares += (delays[i] - evaluation->mean_ns) * (delays[i] - evaluation->mean_ns);
    evaluation->feasible = isfinite(evaluation->total_ns) != 0;
    evaluation->variance_ns2 = evaluation->feasible ? squares / count : INFINITY;
    evaluation->p99_ns = evaluation->maximum_ns;
    evaluation->deadline_misses = 0;
    evaluation->task_count = count;
    evaluation->energy_j = 0;
    evaluation->objective = evaluation->mean_ns / 1e9;
}

/* Stream `changed`, if there is such a one, has cut `c` instead of the plan's. */
static int32_t evaluate_changed(const struct napm_evaluator *evaluator, const struct napm_plan *plan, uint32_t changed,
                                uint32_t c, struct napm_evaluation *evaluation)
{
    struct progress *progress = evaluator->context;
    int64_t cuts[MOST_STREAMS];
    progress->calls++;
    if (progress->cancel_at && progress->calls >= progress->cancel_at) {
        progress->calls_after_cancel++;
        return NAPM_ERR_CANCELLED;
    }
    for (uint32_t i = 0; i < progress->world->problem.stream_count; i++) {
        cuts[i] = i == changed ? c : cut_of_row(progress->world, i, plan->node_of_layer[i]);
        if (cuts[i] < 0)
            return NAPM_ERR_INVALID;
    }
    fill_evaluation(evaluator, cuts, evaluation);
    return NAPM_OK;
}

static int32_t evaluate(const struct napm_evaluator *evaluator, const struct napm_plan *plan,
                        struct napm_evaluation *evaluation)
{
    return evaluate_changed(evaluator, plan, NAPM_NONE, 0, evaluation);
}

static int32_t evaluate_cut(const struct napm_evaluator *evaluator, const struct napm_plan *plan, uint32_t stream,
                            uint32_t c, double total_limit_ns, struct napm_evaluation *evaluation)
{
    const struct world *world = ((const struct progress *)evaluator->context)->world;
    (void)total_limit_ns;
    if (stream >= world->problem.stream_count || c > world->streams[stream].layer_count)
        return NAPM_ERR_INVALID;
    return evaluate_changed(evaluator, plan, stream, c, evaluation);
}

/* Each layer weighs as much as in fill_cuts. */
static uint64_t range_bytes(const struct napm_evaluator *evaluator, uint32_t stream, uint32_t first, uint32_t end)
{
    (void)evaluator;
    (void)stream;
    return end > first ? (end - first) * UINT64_C(1000000) : 0;
}

/* Fills and then protects: whoever writes to the problem crashes here, in the child process. */
static struct world *new_world(const struct shape *shape, const struct napm_model *model, struct progress *progress)
{
    struct world *world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (world == MAP_FAILED)
        return NULL;
    fill_nodes(world, shape);
    fill_streams(world, shape, model);
    world->problem = (struct napm_problem){.size = sizeof(world->problem),
                                           .station = 0,
                                           .node_count = shape->streams + 1,
                                           .link_count = shape->streams,
                                           .stream_count = shape->streams,
                                           .nodes = world->node_pointers,
                                           .links = world->link_pointers,
                                           .streams = world->stream_pointers,
                                           .objective = &world->objective};
    world->objective = (struct napm_objective){.size = sizeof(world->objective), .delay_per_s = 1};
    world->evaluator = (struct napm_evaluator){.size = sizeof(world->evaluator),
                                               .context = progress,
                                               .evaluate = evaluate,
                                               .isolated_ns = isolated_ns,
                                               .task_count = task_count,
                                               .range_bytes = range_bytes,
                                               .evaluate_cut = evaluate_cut};
    mprotect(world, sizeof(*world), PROT_READ);
    progress->world = world;
    return world;
}

/* ---- one call of plan() */

static void fill_answer(struct answer *answer, const struct shape *shape)
{
    *answer = (struct answer){.plan = {.size = sizeof(answer->plan), .stream_count = shape->streams}};
    for (uint32_t i = 0; i < MOST_STREAMS; i++) {
        answer->rows[i] = answer->nodes[i];
        for (uint32_t k = 0; k <= MOST_LAYERS; k++)
            answer->nodes[i][k] = i < shape->streams && k < shape->layers ? 0 : GUARD;
    }
    answer->plan.node_of_layer = answer->rows;
}

static int32_t call_plan(const struct subject *subject, const struct shape *shape, struct progress *progress,
                         struct answer *answer, enum verdict *verdict, struct error *why)
{
    int64_t clock_ns = 0;
    struct tiny_model *tiny = tiny_model_chain(shape->layers);
    struct instance *instance = subject_open(subject, 1, &clock_ns, verdict, why);
    struct world *world = instance ? new_world(shape, tiny_model_view(tiny), progress) : NULL;
    int32_t status = NAPM_ERR_FAILED;
    if (world) {
        fill_answer(answer, shape);
        status = instance->hook.partitioner.plan(instance->self, &world->problem, &world->evaluator, &answer->plan);
        munmap(world, sizeof(*world));
        if (status < 0 && !said()[0] && status != NAPM_ERR_CANCELLED)
            *verdict = fail(why, "%s: plan() returned %d without a text", shape->name, status);
        else if (is_unknown_status(status) || status > 0)
            *verdict = fail(why, "%s: plan() returned %d, which is no status of plan()", shape->name, status);
    }
    instance_close(instance);
    tiny_model_free(tiny);
    return status;
}

static enum verdict check_answer(const struct shape *shape, const struct answer *answer, struct error *why)
{
    for (uint32_t i = 0; i < MOST_STREAMS; i++) {
        uint32_t layers = i < shape->streams ? shape->layers : 0, c = 0;
        for (uint32_t k = layers; k <= MOST_LAYERS; k++)
            if (answer->nodes[i][k] != GUARD)
                return fail(why, "%s: plan() wrote behind the plan of stream %u", shape->name, i);
        for (uint32_t k = 0; k < layers; k++)
            if (answer->nodes[i][k] != 0 && answer->nodes[i][k] != i + 1)
                return fail(why, "%s: plan() placed layer %u of stream %u on node %u, which cannot run it", shape->name,
                            k, i, answer->nodes[i][k]);
        while (c < layers && answer->nodes[i][c] == i + 1)
            c++;
        for (uint32_t k = c; k < layers; k++)
            if (answer->nodes[i][k] != 0)
                return fail(why, "%s: plan() has layer %u of stream %u on the device behind a layer at the station",
                            shape->name, k, i);
        if (shape->device_memory_bytes && c * UINT64_C(1000000) > shape->device_memory_bytes)
            return fail(why, "%s: plan() put %u layers of stream %u on a device that has not the memory", shape->name,
                        c, i);
    }
    return VERDICT_PASS;
}

/* ---- checks */

static const struct shape shapes[] = {
    {"one device", 1, 4, {5}, 1e6, 2 * NS_PER_MS, NAPM_NONE, 0, 100 * NS_PER_MS},
    {"one layer", 1, 1, {3}, 1e6, NS_PER_MS, NAPM_NONE, 0, 100 * NS_PER_MS},
    {"fast devices", 2, 5, {1, 0.5}, 1e5, 5 * NS_PER_MS, NAPM_NONE, 0, 50 * NS_PER_MS},
    {"unequal devices on one medium", 3, 6, {2, 10, 100}, 2e6, NS_PER_MS, 0, 0, 30 * NS_PER_MS},
    {"links that are not shaped", 2, 3, {8, 8}, INFINITY, 0, NAPM_NONE, 0, 10 * NS_PER_MS},
    {"closed loops", 4, 4, {4, 4, 4, 4}, 5e7, 100000, NAPM_NONE, 0, 0},
};

enum verdict check_partitioner_plans(const struct subject *subject, struct error *why)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct answer first, second;
        enum verdict verdict = VERDICT_PASS;
        for (int again = 0; again < 2 && verdict == VERDICT_PASS; again++) {
            struct progress progress = {0};
            int32_t status = call_plan(subject, &shapes[i], &progress, again ? &second : &first, &verdict, why);
            if (verdict == VERDICT_PASS && status < 0)
                return fail(why, "%s: plan() returned %d: %s", shapes[i].name, status, said());
        }
        if (verdict == VERDICT_PASS)
            verdict = check_answer(&shapes[i], &first, why);
        if (verdict == VERDICT_PASS && memcmp(first.nodes, second.nodes, sizeof(first.nodes)) != 0)
            verdict = fail(why, "%s: the same problem and seed gave two plans", shapes[i].name);
        if (verdict != VERDICT_PASS)
            return verdict;
    }
    return VERDICT_PASS;
}

/* Room for two layers on each device: the plan keeps to that, or plan() says why it cannot. */
enum verdict check_partitioner_memory(const struct subject *subject, struct error *why)
{
    static const struct shape tight = {"little memory", 2, 5, {0.1, 0.1}, 1e5, NS_PER_MS, NAPM_NONE, 2000000, 0};
    struct progress progress = {0};
    struct answer answer;
    enum verdict verdict = VERDICT_PASS;
    int32_t status = call_plan(subject, &tight, &progress, &answer, &verdict, why);
    return verdict != VERDICT_PASS || status < 0 ? verdict : check_answer(&tight, &answer, why);
}

enum verdict check_partitioner_cancel(const struct subject *subject, struct error *why)
{
    for (uint64_t at = 1; at <= 21; at += 5) {
        struct progress progress = {.cancel_at = at};
        struct answer answer;
        enum verdict verdict = VERDICT_PASS;
        int32_t status = call_plan(subject, &shapes[3], &progress, &answer, &verdict, why);
        if (verdict != VERDICT_PASS)
            return verdict;
        if (progress.calls_after_cancel == 0)
            return VERDICT_PASS; /* it was done before */
        if (status != NAPM_ERR_CANCELLED)
            return fail(why, "the evaluator said NAPM_ERR_CANCELLED, plan() returned %d", status);
        if (progress.calls_after_cancel > MOST_CALLS_AFTER_CANCEL)
            return fail(why, "plan() called the evaluator %llu times more after it had said NAPM_ERR_CANCELLED",
                        (unsigned long long)progress.calls_after_cancel);
    }
    return VERDICT_PASS;
}
