/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast `exhaustive` finds the best of all device/edge/cloud pipelines of a chain. `bench_enumerate FOLDER` writes
 * each chain as FOLDER/LAYERS.txt (layers; the times in ns on device, edge and cloud; bytes before each layer and behind
 * the last; then rate and delay of both links), plans it, and prints "LAYERS PIPELINES SECONDS BEST_NS".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/planner/evaluator.h"
#include "tests/builtin_plugins.h"
#include "tests/planner/make_problem.h"

enum { MOST = 400 };

#define LEAST_S 0.1 /* as in bench_enumerate_python.py: again until so much time has passed; the fastest counts */

struct chain {
    uint32_t layers;
    int64_t ns[3][MOST]; /* on device, edge, cloud */
    uint64_t bytes[MOST + 1];
    double bytes_per_s[2];
    int64_t delay_ns[2];
};

/* Like a CNN's: work spread unevenly, tensors that shrink; a Pi, a small server, a large one; WiFi and a wired link. */
static void make_chain(uint32_t layers, struct chain *chain)
{
    struct random random;
    random_seed(&random, layers, "chain");
    *chain = (struct chain){layers, .bytes_per_s = {5e6, 12.5e6}, .delay_ns = {2 * NS_PER_MS, 10 * NS_PER_MS}};
    for (uint32_t l = 0; l < layers; l++) {
        int64_t work_ns = (int64_t)(random_unit(&random) * 4e8 / layers);
        chain->ns[0][l] = 6 * work_ns;
        chain->ns[1][l] = 2 * work_ns;
        chain->ns[2][l] = work_ns;
        chain->bytes[l] = (uint64_t)(150e3 * (layers - l) / layers * (0.5 + random_unit(&random)));
    }
}

static void write_chain(const struct chain *chain, const char *folder)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%" PRIu32 ".txt", folder, chain->layers);
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        exit(1);
    }
    fprintf(file, "%" PRIu32 "\n", chain->layers);
    for (int place = 0; place < 3; place++)
        for (uint32_t l = 0; l < chain->layers; l++)
            fprintf(file, "%" PRId64 "%c", chain->ns[place][l], l + 1 < chain->layers ? ' ' : '\n');
    for (uint32_t l = 0; l <= chain->layers; l++)
        fprintf(file, "%" PRIu64 "%c", chain->bytes[l], l < chain->layers ? ' ' : '\n');
    for (int link = 0; link < 2; link++)
        fprintf(file, "%g %" PRId64 "\n", chain->bytes_per_s[link], chain->delay_ns[link]);
    fclose(file);
}

/* The edge is the device of a stream that has nothing to do. */
static struct problem *problem_of(const struct chain *chain)
{
    static const int64_t nothing_ns[] = {0};
    static const uint64_t nothing_bytes[] = {0};
    struct make_stream streams[2] = {{.layers = chain->layers,
                                      .device_ns = chain->ns[0],
                                      .relay_ns = chain->ns[1],
                                      .station_ns = chain->ns[2],
                                      .cut_bytes = chain->bytes,
                                      .stays = true,
                                      .tasks = 1,
                                      .relay_plus_1 = 2},
                                     {.layers = 1,
                                      .device_ns = nothing_ns,
                                      .station_ns = nothing_ns,
                                      .cut_bytes = nothing_bytes,
                                      .stays = true,
                                      .tasks = 1}};
    for (int link = 0; link < 2; link++)
        streams[link].link.conditions[0] =
            (struct link_conditions){.bytes_per_s = chain->bytes_per_s[link], .delay_ns = chain->delay_ns[link]};
    return make_problem(&(struct make){.streams = streams, .stream_count = 2});
}

/* From the tables in memory to the best plan: the evaluator and the partitioner are made within the time. */
static void plan(struct problem *problem, struct catalogue *catalogue, double *seconds, double *best_ns)
{
    struct error error = {0};
    uint32_t row[MOST], other[1], *rows[] = {row, other};
    struct napm_plan plan = {sizeof(plan), 2, rows};
    struct napm_phases phases[2];
    struct napm_evaluation result = {.size = sizeof(result), .phases = phases};
    for (uint32_t l = 0; l < problem->view.streams[0]->layer_count; l++)
        row[l] = problem->view.station;
    other[0] = problem->view.station;
    int64_t began_ns = clock_now_ns();
    struct evaluator *evaluator = evaluator_new(problem, catalogue, NULL, &error);
    const struct napm_evaluator *table = evaluator ? evaluator_table(evaluator) : NULL;
    struct instance *instance =
        table ? builtin_instance(catalogue, NAPM_KIND_PARTITIONER, "exhaustive", NULL, 1, &error) : NULL;
    int32_t status = instance ? instance->hook.partitioner.plan(instance->self, &problem->view, table, &plan) : -1;
    *seconds = (double)(clock_now_ns() - began_ns) / NS_PER_S;
    if (status < 0 || table->evaluate(table, &plan, &result) < 0) {
        fprintf(stderr, "bench_enumerate: no plan: %s\n", error.text);
        exit(1);
    }
    instance_close(instance);
    evaluator_free(evaluator);
    *best_ns = phases[0].local_ns + phases[0].transmit_ns + phases[0].queue_ns + phases[0].remote_ns;
}

static void measure(uint32_t layers, struct catalogue *catalogue, const char *folder)
{
    struct chain chain;
    make_chain(layers, &chain);
    write_chain(&chain, folder);
    struct problem *problem = problem_of(&chain);
    double least_s = 1e9, seconds, best_ns = 0;
    for (double spent_s = 0; spent_s < LEAST_S; spent_s += seconds) {
        plan(problem, catalogue, &seconds, &best_ns);
        least_s = seconds < least_s ? seconds : least_s;
    }
    printf("%" PRIu32 " %" PRIu32 " %.9f %.0f\n", layers, (layers + 1) * (layers + 2) / 2, least_s, best_ns);
    problem_free(problem);
}

int main(int count, char **words)
{
    static const uint32_t sizes[] = {18, 50, 100, 200, 400};
    if (count != 2) {
        fprintf(stderr, "usage: bench_enumerate FOLDER\n");
        return 2;
    }
    struct catalogue *catalogue = builtin_catalogue();
    for (size_t i = 0; catalogue && i < sizeof(sizes) / sizeof(sizes[0]); i++)
        measure(sizes[i], catalogue, words[1]);
    catalogue_close(catalogue);
    return catalogue ? 0 : 1;
}
