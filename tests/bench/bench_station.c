/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast links and station go in virtual time. Devices send a frame each; what arrives queues at the station under
 * "fifo"; the result goes back; the device sends the next. An event is what a simulator calls one: a frame arrives at the
 * station, a slice ends, a frame arrives at a device. (Sending and dispatching happen within events.)
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/link/link.h"
#include "core/station/station.h"
#include "tests/builtin_plugins.h"

#define EVENTS 3000000
#define PASSES 3

static const int64_t layer_ns[] = {2000, 1000, 500};
#define LAYERS 3

enum medium_use { OWN_AIR, ONE_MEDIUM, MEDIA_OF_50 };

struct bench {
    struct link_net *net;
    struct station *station;
    uint64_t slice_job; /* of the one worker; 0: idle */
    int64_t slice_end_ns;
    uint64_t tasks;
};

static struct link_net *make_net(uint32_t devices, enum medium_use use, int64_t jitter_ns)
{
    struct link_spec *specs = NEW_ARRAY(struct link_spec, devices);
    for (uint32_t i = 0; i < devices; i++) {
        struct link_conditions conditions = {.bytes_per_s = 2.5e6 * (1 + i % 7), .delay_ns = 2000000 + i * 10};
        conditions.jitter_ns = jitter_ns;
        specs[i] = (struct link_spec){use == OWN_AIR      ? LINK_NO_MEDIUM
                                      : use == ONE_MEDIUM ? 0
                                                          : i / 50,
                                      {conditions, conditions}};
    }
    struct link_net *net = link_net_new(specs, devices, 1);
    free(specs);
    return net;
}

static void must(int status, const struct error *error)
{
    if (status >= 0)
        return;
    fprintf(stderr, "bench_station: %s\n", error->text);
    exit(1);
}

static void run_station(struct bench *bench, int64_t now_ns)
{
    struct station_slice slice;
    struct error error;
    int status;
    while ((status = station_dispatch(bench->station, now_ns, &slice, &error)) == 1) {
        bench->slice_job = slice.job;
        bench->slice_end_ns = now_ns;
        for (uint32_t i = 0; i < slice.layer_count; i++)
            bench->slice_end_ns += layer_ns[slice.first_layer + i];
    }
    must(status, &error);
}

static void end_slice(struct bench *bench)
{
    struct station_end end;
    struct error error;
    int64_t now_ns = bench->slice_end_ns;
    int status = station_slice_done(bench->station, bench->slice_job, now_ns, &end, &error);
    must(status, &error);
    bench->slice_end_ns = INT64_MAX;
    if (status == 1)
        link_send(bench->net, end.stream, LINK_DOWN, 1000, now_ns, NULL);
    run_station(bench, now_ns);
}

static void deliver(struct bench *bench, const struct link_delivery *delivery)
{
    if (delivery->direction == LINK_DOWN) {
        link_send(bench->net, delivery->link, LINK_UP, 20000, delivery->delivered_ns, NULL);
        return;
    }
    struct station_job job = {.stream = delivery->link,
                              .task = bench->tasks++,
                              .deadline_ns = INT64_MAX,
                              .layer_count = LAYERS,
                              .layer_ns = layer_ns};
    struct error error;
    uint64_t id;
    must(station_arrive(bench->station, &job, delivery->delivered_ns, &id, &error), &error);
    if (bench->slice_end_ns == INT64_MAX)
        run_station(bench, delivery->delivered_ns);
}

/* Real time for a number of events. */
static int64_t run_events(struct bench *bench, uint64_t events)
{
    int64_t start_ns = clock_now_ns();
    while (events > 0) {
        struct link_delivery delivery;
        int64_t next_ns = link_next_ns(bench->net);
        if (bench->slice_end_ns <= next_ns) {
            end_slice(bench);
            events--;
        } else if (link_take(bench->net, next_ns, &delivery)) {
            deliver(bench, &delivery);
            events--;
        }
    }
    return clock_now_ns() - start_ns;
}

static void measure(struct instance *fifo, const char *what, uint32_t devices, enum medium_use use, int64_t jitter_ns)
{
    struct bench bench = {.slice_end_ns = INT64_MAX};
    bench.net = make_net(devices, use, jitter_ns);
    bench.station = station_new(fifo, 1);
    for (uint32_t i = 0; i < devices; i++)
        link_send(bench.net, i, LINK_UP, 20000, i, NULL);
    run_events(&bench, EVENTS / 10 + 3 * (uint64_t)devices); /* warm-up */
    int64_t best_ns = INT64_MAX;
    for (int pass = 0; pass < PASSES; pass++) {
        int64_t took_ns = run_events(&bench, EVENTS);
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    printf("%-44s %8u %10.2f %10.1f\n", what, devices, EVENTS * 1e3 / (double)best_ns, (double)best_ns / EVENTS);
    fflush(stdout);
    station_free(bench.station);
    link_net_free(bench.net);
}

int main(void)
{
    struct error error;
    struct catalogue *catalogue = builtin_catalogue();
    if (!catalogue)
        return 1;
    struct instance *fifo = builtin_instance(catalogue, NAPM_KIND_SCHEDULER, "fifo", NULL, 1, &error);
    if (!fifo) {
        fprintf(stderr, "bench_station: %s\n", error.text);
        return 1;
    }
    printf("%-44s %8s %10s %10s\n", "links and station in virtual time", "devices", "M events/s", "ns/event");
    measure(fifo, "own air", 1, OWN_AIR, 0);
    measure(fifo, "own air", 1000, OWN_AIR, 0);
    measure(fifo, "own air, jitter", 1000, OWN_AIR, 500000);
    measure(fifo, "own air", 100000, OWN_AIR, 0);
    measure(fifo, "one medium", 1000, ONE_MEDIUM, 0);
    measure(fifo, "one medium", 100000, ONE_MEDIUM, 0);
    measure(fifo, "a medium for every 50", 1000, MEDIA_OF_50, 0);
    measure(fifo, "a medium for every 50", 100000, MEDIA_OF_50, 0);
    instance_close(fifo);
    catalogue_close(catalogue);
    return 0;
}
