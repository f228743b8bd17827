/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast task rows reach the ledger: from ledger_run_task to committed, in the order in which a run of so many streams
 * gives them. Gathered by time, as in a run in real time, and a million at a time, as in a simulated one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/ledger/ledger.h"

#define ROWS 2000000u

static void must(int status, const struct error *error)
{
    if (status == 0)
        return;
    fprintf(stderr, "bench_ledger: %s\n", error->text);
    exit(1);
}

static struct task_record row(uint32_t stream, uint64_t task)
{
    int64_t start_ns = (int64_t)task * 100000000 + stream * 1000;
    return (struct task_record){.stream = stream,
                                .task = task,
                                .status = TASK_OK,
                                .cut = 3,
                                .started_ns = start_ns,
                                .ended_ns = start_ns + 15000000,
                                .phase_ns = {5000000, 4000000, 3000000, 2000000, 1000000},
                                .device_compute_ns = 5000000,
                                .station_compute_ns = 2000000,
                                .up_bytes = 4096,
                                .down_bytes = 40,
                                .slices = 1};
}

static void measure(uint32_t streams, bool more)
{
    char folder[] = "/tmp/napm-bench-XXXXXX", path[64], other[80];
    struct error error = {0};
    if (!mkdtemp(folder))
        exit(1);
    snprintf(path, sizeof(path), "%s/bench.db", folder);
    struct ledger *ledger = ledger_open(path, &error);
    must(ledger ? 0 : -1, &error);
    const struct scenario scenario = {.name = "bench", .path = "bench", .text = "", .world = "sim"};
    int64_t run = ledger_run_begin(ledger, &scenario, 1, 0, &error);
    must(run < 0 ? -1 : 0, &error);
    ledger_gather_more(ledger, more);
    int64_t began_ns = clock_now_ns();
    for (uint32_t i = 0; i < ROWS; i++) {
        struct task_record record = row(i % streams, i / streams);
        must(ledger_run_task(ledger, run, &record, &error), &error);
    }
    must(ledger_flush(ledger, &error), &error);
    double took_s = (double)(clock_now_ns() - began_ns) / 1e9;
    printf("%-44s %8u %12.0f\n", more ? "task rows, gathered a million at a time" : "task rows, gathered by time",
           streams, ROWS / took_s);
    fflush(stdout);
    ledger_close(ledger);
    for (int i = 0; i < 3; i++) {
        static const char *const ends[] = {"", "-wal", "-shm"};
        snprintf(other, sizeof(other), "%s%s", path, ends[i]);
        unlink(other);
    }
    rmdir(folder);
}

int main(void)
{
    printf("%-44s %8s %12s\n", "the ledger", "streams", "rows/s");
    measure(10, false);
    measure(1000, false);
    measure(1000, true);
    measure(100000, true);
    return 0;
}
