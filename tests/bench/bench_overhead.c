/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the platform adds to a task: its delay minus what the layers took, over an unshaped link, for AlexNet (CIFAR-10)
 * at cuts of 64 KiB and less: tasks that follow each other at once, and tasks at intervals in which all has become idle.
 * Also the memory table: an agent's resident size above the weights that it holds. And, first, what this machine takes to
 * wake a thread that sleeps in a socket, which a task needs three times: device to station, to its worker, and back.
 * Usage: bench_overhead [MODEL [BACKEND [CUT]]].
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stats.h"
#include "tests/world/world_trial.h"

enum { HANDOFFS = 300, TASKS = 400, WARMUP = 20, ALL_CUTS = -1 };
#define CUT_BYTES_MAX (64u << 10)

static const char scenario_format[] =
    "name = \"overhead\"; backend = { plugin = \"%s\"; };\n"
    "partitioner = { plugin = \"device-only\"; }; scheduler = { plugin = \"fifo\"; };\n"
    "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"pi\"; } );\n"
    "links = ( { from = \"pi\"; } );\n"
    "streams = ( { device = \"pi\"; model = \"model.onnx\"; tasks = %d;\n"
    "  arrivals = { %s }; } );\n"
    "run = { warmup_tasks = %d; };\n";

struct column {
    double values[TASKS];
    size_t count;
};

static void add(struct column *column, int64_t ns)
{
    column->values[column->count++] = (double)ns / 1e3;
}

static double quantile(struct column *column, double q)
{
    stats_sort(column->values, column->count);
    return stats_quantile_sorted(column->values, column->count, q);
}

static uint64_t resident_bytes(const struct trial *trial)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < trial->samples.count; i++) {
        if (trial->samples.items[i].node == 1)
            bytes = trial->samples.items[i].resident_bytes;
    }
    return bytes;
}

static void print_row(struct trial *trial, uint32_t cut, uint64_t cut_bytes)
{
    static struct column overhead, wait, device, transmit, queue, station, back, compute;
    struct column *const columns[] = {&overhead, &wait, &device, &transmit, &queue, &station, &back, &compute};
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        columns[i]->count = 0;
    for (size_t i = 0; i < trial->tasks.count; i++) {
        const struct task_record *record = &trial->tasks.items[i].record;
        if (record->warmup || record->status != TASK_OK)
            continue;
        int64_t computed_ns = record->device_compute_ns + record->station_compute_ns;
        add(&overhead, record->ended_ns - record->started_ns - computed_ns);
        add(&wait, record->device_wait_ns);
        add(&device, record->phase_ns[PHASE_LOCAL] - record->device_wait_ns - record->device_compute_ns);
        add(&station, record->phase_ns[PHASE_REMOTE] - record->station_compute_ns);
        add(&transmit, record->phase_ns[PHASE_TRANSMIT]);
        add(&queue, record->phase_ns[PHASE_QUEUE]);
        add(&back, record->phase_ns[PHASE_RETURN]);
        add(&compute, computed_ns);
    }
    uint64_t weights, activations;
    model_part_memory(trial->scenario->models[0].model, 0, cut, &weights, &activations);
    printf("%4u %9.1f | %8.1f %8.1f %8.1f | %6.1f %6.1f %8.1f %6.1f %7.1f %6.1f | %8.1f | %7.1f %7.1f\n", cut,
           (double)cut_bytes / 1024, quantile(&overhead, 0.5), quantile(&overhead, 0.9), quantile(&overhead, 0.99),
           quantile(&wait, 0.5), quantile(&device, 0.5), quantile(&transmit, 0.5), quantile(&queue, 0.5),
           quantile(&station, 0.5), quantile(&back, 0.5), quantile(&compute, 0.5), (double)weights / 1048576,
           (double)resident_bytes(trial) / 1048576 - (double)weights / 1048576);
    fflush(stdout);
}

/* ---- what the machine takes */

/* Sends back when it woke up. */
static void *answer(void *argument)
{
    int fd = *(int *)argument;
    int64_t at_ns;
    while (recv(fd, &at_ns, sizeof(at_ns), MSG_WAITALL) == sizeof(at_ns)) {
        at_ns = clock_now_ns();
        if (send(fd, &at_ns, sizeof(at_ns), MSG_NOSIGNAL) != sizeof(at_ns))
            break;
    }
    return NULL;
}

/* So that one has to wake the other's processor; harmless where there is only one. */
static void stay_on(pthread_t thread, int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    pthread_setaffinity_np(thread, sizeof(set), &set);
}

/* Two ends of a loopback TCP connection. */
static int connect_both(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    int status = bind(listener, (struct sockaddr *)&address, bytes) || listen(listener, 1) ||
                 getsockname(listener, (struct sockaddr *)&address, &bytes) ||
                 connect(ends[0], (struct sockaddr *)&address, bytes);
    ends[1] = status ? -1 : accept(listener, NULL, NULL);
    close(listener);
    for (int i = 0; i < 2; i++)
        setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return status || ends[1] < 0 ? -1 : 0;
}

static int print_handoff(void)
{
    static struct column taken;
    int ends[2];
    pthread_t thread;
    cpu_set_t anywhere;
    if (connect_both(ends) || pthread_create(&thread, NULL, answer, &ends[1]))
        return 1;
    pthread_getaffinity_np(pthread_self(), sizeof(anywhere), &anywhere);
    stay_on(pthread_self(), 0);
    stay_on(thread, 1);
    for (int i = 0; i < HANDOFFS; i++) {
        int64_t at_ns = 0, sent_ns;
        clock_sleep_until_ns(clock_now_ns() + 3 * NS_PER_MS); /* as the computing of a part of a task */
        sent_ns = clock_now_ns();
        if (send(ends[0], &at_ns, sizeof(at_ns), MSG_NOSIGNAL) != sizeof(at_ns) ||
            recv(ends[0], &at_ns, sizeof(at_ns), MSG_WAITALL) != sizeof(at_ns))
            return 1;
        add(&taken, at_ns - sent_ns);
    }
    pthread_setaffinity_np(pthread_self(), sizeof(anywhere), &anywhere);
    printf("this machine wakes a thread that has slept 3 ms in a loopback TCP socket, on another processor, in %.1f us "
           "(median; p90 %.1f)\n\n",
           quantile(&taken, 0.5), quantile(&taken, 0.9));
    shutdown(ends[0], SHUT_RDWR);
    pthread_join(thread, NULL);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* Every cut, or one, under one way of arriving. */
static int print_table(const char *model, const char *backend, const char *arrivals, int only_cut)
{
    char text[2048];
    uint32_t layers = UINT32_MAX; /* until the model is known */
    snprintf(text, sizeof(text), scenario_format, backend, TASKS, arrivals, WARMUP);
    printf("platform overhead per task: %s, %s, unshaped loopback, %d tasks a cut, %s; us\n", model, backend,
           TASKS - WARMUP, arrivals);
    printf(" cut   cut KiB | overhead:   p90      p99 |  start device transmit  queue station return |  compute | "
           "agent, MiB:\n"
           "               |                            |        around                   around        |          | "
           "weights    rest\n");
    for (uint32_t cut = only_cut == ALL_CUTS ? 0 : (uint32_t)only_cut; cut <= layers; cut++) {
        struct trial trial;
        struct error error = {0};
        uint64_t bytes = 0;
        trial_make(&trial, model, text);
        layers = model_view(trial.scenario->models[0].model)->layer_count;
        model_cut(trial.scenario->models[0].model, cut, &bytes, NULL);
        if (bytes <= CUT_BYTES_MAX) {
            if (trial_run(&trial, cut, &error)) {
                fprintf(stderr, "bench_overhead: %s\n", error.text);
                return 1;
            }
            print_row(&trial, cut, bytes);
        }
        trial_end(&trial);
        if (only_cut != ALL_CUTS)
            break;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const arrivals[] = {"plugin = \"closed-loop\";", "plugin = \"periodic\"; period = \"15ms\";"};
    const char *model = argc > 1 ? argv[1] : "alexnet-cifar10", *backend = argc > 2 ? argv[2] : "onednn";
    int status = print_handoff();
    for (size_t i = 0; i < sizeof(arrivals) / sizeof(arrivals[0]) && status == 0; i++)
        status = print_table(model, backend, arrivals[i], argc > 3 ? atoi(argv[3]) : ALL_CUTS);
    return status;
}
