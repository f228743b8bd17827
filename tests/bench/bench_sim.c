/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast tasks go in virtual time, with everything that a simulated run has (load generator and scheduler plugins,
 * links, devices, the station) but for the ledger.
 *
 * An event is what a simulator schedules: the start of a task, the end of a device's or a worker's computing, the arrival
 * of a frame. Of an instantaneous link nothing is scheduled or counted. So an M/M/1 tandem has three a customer, a task
 * over a real link five. The peers (bench_sim_simpy.py, bench_sim_ns3.cc) run the same models and are counted by the
 * same number of events a customer.
 *
 *   bench_sim               the table
 *   bench_sim tandem|shared N    customers a second of one model with N customers, as the peers print them
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/flow/flow.h"
#include "core/flow/generator.h"
#include "tests/builtin_plugins.h"

#define PASSES 3

/* One layer on the device, one at the station. */
struct model {
    uint32_t devices;
    double interval_s; /* of each device, mean of a Poisson process */
    int64_t until_ns[3], station_ns[2], station_until_ns[3];
    uint64_t cut_bytes[3], result_bytes;
    struct link_conditions link;
    double variation;
    bool returns;
};

struct bench {
    struct generator *generators;
    struct flow *flow;
    uint64_t ended;
    double delay_sum_ns;
};

static int next_task(void *context, uint32_t stream, int64_t now_ns, int64_t *at_ns, struct error *error)
{
    return generator_next(&((struct bench *)context)->generators[stream], now_ns, at_ns, error);
}

static int task_ended(void *context, const struct flow_task *task)
{
    struct bench *bench = context;
    bench->ended++;
    bench->delay_sum_ns += (double)(task->ended_ns - task->started_ns);
    generator_ended(&bench->generators[task->stream], task->ended_ns, task->number, false);
    return 0;
}

static void must(int status, const struct error *error)
{
    if (status == 0)
        return;
    fprintf(stderr, "bench_sim: %s\n", error->text);
    exit(1);
}

struct result {
    double took_s, mean_ns;
    uint64_t events, customers;
};

static struct flow_stream stream_of(const struct model *model, const struct flow_hop *hop, uint32_t tasks)
{
    return (struct flow_stream){.hops = hop,
                                .hop_count = 1,
                                .layer_count = 2,
                                .task_count = tasks,
                                .weight = 1,
                                .station_layer_ns = model->station_ns,
                                .station_until_ns = model->station_until_ns,
                                .cut_bytes = model->cut_bytes,
                                .result_bytes = model->result_bytes,
                                .result_returns = model->returns};
}

static struct result run(struct catalogue *catalogue, const struct model *model, uint64_t customers)
{
    uint32_t count = model->devices;
    struct flow_stream *streams = NEW_ARRAY(struct flow_stream, count);
    struct flow_hop *hops = NEW_ARRAY(struct flow_hop, count);
    struct link_spec *links = NEW_ARRAY(struct link_spec, count);
    uint32_t *cuts = NEW_ARRAY(uint32_t, count);
    double *variation = NEW_ARRAY(double, count + 1);
    struct bench bench = {.generators = NEW_ARRAY(struct generator, count)};
    struct error error = {0};
    char interval[64];
    snprintf(interval, sizeof(interval), "%.0fns", model->interval_s * 1e9);
    const struct option_setting setting = {"interval", interval, "bench"};
    const struct plugin_choice poisson = {"poisson", "bench", &setting, 1}, fifo = {"fifo", "bench", NULL, 0};
    for (uint32_t i = 0; i < count; i++) {
        hops[i] = (struct flow_hop){.node = i + 1, .link = i, .until_ns = model->until_ns};
        streams[i] = stream_of(model, &hops[i], (uint32_t)(customers / count));
        links[i] = (struct link_spec){LINK_NO_MEDIUM, {model->link, model->link}};
        cuts[i] = 1;
    }
    for (uint32_t i = 0; i <= count; i++)
        variation[i] = model->variation;
    bench.flow = flow_new(&(struct flow_setup){.streams = streams,
                                               .links = links,
                                               .stream_count = count,
                                               .node_count = count + 1,
                                               .link_count = count,
                                               .workers = 1,
                                               .seed = 1,
                                               .variation = variation});
    struct instance_host host = {.label = "scheduler", .seed = 1, .now_ns = flow_now_ns, .context = bench.flow};
    struct instance *scheduler = instance_open(catalogue, NAPM_KIND_SCHEDULER, &fifo, &host, &error);
    must(scheduler ? 0 : -1, &error);
    for (uint32_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "d%u", i);
        must(generator_open(&bench.generators[i], catalogue, &poisson, name, 1, flow_now_ns, bench.flow, &error),
             &error);
    }
    const struct flow_driver driver = {.context = &bench, .next = next_task, .ended = task_ended};
    int64_t began_ns = clock_now_ns();
    must(flow_run(bench.flow, &(struct flow_plan){.cuts = cuts}, scheduler, &driver, NULL, &error), &error);
    struct result result = {.took_s = (double)(clock_now_ns() - began_ns) / 1e9,
                            .mean_ns = bench.delay_sum_ns / (double)bench.ended,
                            .events = flow_events(bench.flow),
                            .customers = bench.ended};
    for (uint32_t i = 0; i < count; i++)
        generator_close(&bench.generators[i]);
    instance_close(scheduler);
    flow_free(bench.flow);
    free(bench.generators);
    free(streams);
    free(hops);
    free(links);
    free(cuts);
    free(variation);
    return result;
}

/* Two M/M/1 queues, one behind the other: 80 % load on the first, 60 % on the second. */
static struct model tandem(void)
{
    return (struct model){.devices = 1,
                          .interval_s = 1e-3,
                          .until_ns = {0, 800000, 800000},
                          .station_ns = {600000, 600000},
                          .station_until_ns = {0, 600000, 1200000},
                          .variation = 1};
}

/* Devices that share a station at 80 % of its speed: 20 kB over 20 Mbit/s and 2 ms, 1 kB back. */
static struct model shared(uint32_t devices)
{
    return (struct model){.devices = devices,
                          .interval_s = devices * 1e-4,
                          .until_ns = {0, 400000, 400000},
                          .station_ns = {80000, 80000},
                          .station_until_ns = {0, 80000, 160000},
                          .cut_bytes = {20000, 20000, 0},
                          .result_bytes = 1000,
                          .link = {.bytes_per_s = 2.5e6, .delay_ns = 2000000},
                          .returns = true};
}

static void measure(struct catalogue *catalogue, const char *what, const struct model *model, uint64_t customers)
{
    struct result best = {.took_s = INFINITY};
    for (int pass = 0; pass < PASSES; pass++) {
        struct result result = run(catalogue, model, customers);
        if (result.took_s < best.took_s)
            best = result;
    }
    printf("%-36s %8u %12.2f %10.1f %12.3f\n", what, model->devices, (double)best.events / best.took_s / 1e6,
           best.took_s * 1e9 / (double)best.events, best.mean_ns / 1e6);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct catalogue *catalogue = builtin_catalogue();
    if (!catalogue)
        return 1;
    struct model queues = tandem(), station = shared(1000);
    if (argc == 3) {
        struct result result =
            run(catalogue, strcmp(argv[1], "tandem") == 0 ? &queues : &station, strtoull(argv[2], NULL, 10));
        printf("%.0f %.6f\n", (double)result.customers / result.took_s, result.mean_ns / 1e6);
        catalogue_close(catalogue);
        return 0;
    }
    printf("%-36s %8s %12s %10s %12s\n", "tasks in virtual time, one core", "devices", "M events/s", "ns/event",
           "mean, ms");
    measure(catalogue, "M/M/1 tandem", &queues, 3000000);
    for (uint32_t devices = 100; devices <= 100000; devices *= 10) {
        station = shared(devices);
        measure(catalogue, "devices sharing a station, FIFO", &station, devices < 100000 ? 1000000 : 2000000);
    }
    catalogue_close(catalogue);
    return 0;
}
