/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks in virtual time: ways over several devices by hand calculation, and conditions that change in mid-run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/flow/flow.h"
#include "tests/builtin_plugins.h"

#define MS INT64_C(1000000)
#define LAYERS 3
#define MOST_TASKS 16

/* Nodes: 0 the station, 1 the device, 2 the relay. Links: 0 device to relay, 1 relay to station. */
static const int64_t device_until_ns[] = {0, 10 * MS, 20 * MS, 30 * MS};
static const int64_t relay_until_ns[] = {0, 4 * MS, 8 * MS, 12 * MS};
static const int64_t station_ns[] = {MS, MS, MS}, station_until_ns[] = {0, MS, 2 * MS, 3 * MS};
static const uint64_t cut_bytes[] = {4000, 3000, 2000, 0}; /* 1 byte a microsecond: 4, 3 and 2 ms */
static const struct flow_hop over_relay[] = {{.node = 1, .link = 0, .until_ns = device_until_ns},
                                             {.node = 2, .link = 1, .until_ns = relay_until_ns}};

static struct catalogue *catalogue;

struct change {
    int64_t at_ns;
    int (*make)(struct flow *flow);
};

struct trial {
    struct flow_stream streams[2];
    uint32_t stream_count;
    int64_t starts_ns[2][MOST_TASKS];
    uint32_t next[2];
    struct flow_task ended[MOST_TASKS];
    struct flow_passage passages[MOST_TASKS]; /* of those whose way leads over the relay */
    uint32_t ended_count;
    struct change changes[4];
    uint32_t next_change;
    struct link_spec links[2];
    const char *scheduler; /* NULL: fifo */
};

static struct trial make_trial(void)
{
    struct link_conditions link = {.bytes_per_s = 1e6, .delay_ns = MS};
    struct trial trial = {.stream_count = 1};
    trial.links[0] = trial.links[1] = (struct link_spec){LINK_NO_MEDIUM, {link, link}};
    trial.streams[0] = (struct flow_stream){.hops = over_relay,
                                            .hop_count = 2,
                                            .layer_count = LAYERS,
                                            .task_count = 1,
                                            .weight = 1,
                                            .station_layer_ns = station_ns,
                                            .station_until_ns = station_until_ns,
                                            .cut_bytes = cut_bytes,
                                            .result_bytes = 1000,
                                            .result_returns = true};
    return trial;
}

static int next_task(void *context, uint32_t stream, int64_t now_ns, int64_t *at_ns, struct error *error)
{
    struct trial *trial = context;
    (void)now_ns;
    (void)error;
    *at_ns = trial->starts_ns[stream][trial->next[stream]++];
    return NAPM_OK;
}

static int task_ended(void *context, const struct flow_task *task)
{
    struct trial *trial = context;
    if (trial->streams[task->stream].hop_count > 1)
        trial->passages[trial->ended_count] = task->passages[0];
    trial->ended[trial->ended_count++] = *task;
    return 0;
}

static int64_t change_ns(void *context)
{
    const struct trial *trial = context;
    const struct change *next = &trial->changes[trial->next_change];
    return next->make ? next->at_ns : INT64_MAX;
}

static int change(void *context, struct flow *flow, int64_t now_ns, struct error *error)
{
    struct trial *trial = context;
    (void)error;
    while (change_ns(trial) <= now_ns)
        if (trial->changes[trial->next_change++].make(flow) != 0)
            return -1;
    return 0;
}

static void run(struct trial *trial, const uint32_t *cuts)
{
    struct error error = {0};
    struct flow *flow = flow_new(&(struct flow_setup){.streams = trial->streams,
                                                      .links = trial->links,
                                                      .stream_count = trial->stream_count,
                                                      .node_count = 3,
                                                      .link_count = 2,
                                                      .workers = 1,
                                                      .seed = 1});
    struct instance *scheduler =
        builtin_instance(catalogue, NAPM_KIND_SCHEDULER, trial->scheduler ? trial->scheduler : "fifo", NULL, 1, &error);
    const struct flow_driver driver = {trial, next_task, task_ended, change_ns, change, NULL, NULL};
    if (!scheduler || flow_run(flow, &(struct flow_plan){.cuts = cuts}, scheduler, &driver, NULL, &error) != 0)
        fail_msg("%s", error.text);
    for (uint32_t i = 0; i < trial->ended_count; i++) {
        const struct flow_task *task = &trial->ended[i];
        if (!task->failure)
            assert_int_equal(task->ended_ns - task->started_ns,
                             task->local_ns + task->transmit_ns + task->queue_ns + task->remote_ns + task->return_ns);
    }
    instance_close(scheduler);
    flow_free(flow);
}

static void assert_phases(const struct flow_task *task, int64_t local_ms, int64_t transmit_ms, int64_t queue_ms,
                          int64_t remote_ms, int64_t return_ms)
{
    assert_int_equal(task->local_ns, local_ms * MS);
    assert_int_equal(task->transmit_ns, transmit_ms * MS);
    assert_int_equal(task->queue_ns, queue_ms * MS);
    assert_int_equal(task->remote_ns, remote_ms * MS);
    assert_int_equal(task->return_ns, return_ms * MS);
}

/* ---- ways */

/* At the relay; -1: never. */
static void assert_passage(const struct flow_passage *passage, int64_t came_ms, int64_t began_ms, int64_t left_ms,
                           int64_t back_ms)
{
    assert_int_equal(passage->came_ns, came_ms < 0 ? -1 : came_ms * MS);
    assert_int_equal(passage->began_ns, began_ms < 0 ? -1 : began_ms * MS);
    assert_int_equal(passage->left_ns, left_ms < 0 ? -1 : left_ms * MS);
    assert_int_equal(passage->back_ns, back_ms < 0 ? -1 : back_ms * MS);
}

static void run_two_at_once(struct trial *trial, const int64_t *batch_until_ns)
{
    *trial = make_trial();
    trial->scheduler = "batch";
    trial->stream_count = 2;
    trial->streams[0].batch_until_ns = batch_until_ns;
    trial->streams[1] = trial->streams[0];
    trial->links[0].conditions[LINK_UP] = trial->links[1].conditions[LINK_UP] = (struct link_conditions){0};
    trial->links[0].conditions[LINK_DOWN] = trial->links[1].conditions[LINK_DOWN] = (struct link_conditions){0};
    run(trial, (const uint32_t[]){0, 0, 0, 0});
    assert_int_equal(trial->ended_count, 2);
}

static void a_batch_takes_what_further_tasks_add(void **state)
{
    (void)state;
    static const int64_t half_until_ns[] = {0, MS / 2, MS, 2 * MS};
    struct trial trial;
    run_two_at_once(&trial, half_until_ns);
    for (int i = 0; i < 2; i++) {
        assert_phases(&trial.ended[i], 0, 0, 0, 3 + 2, 0);
        assert_int_equal(trial.ended[i].slices, 1);
        assert_int_equal(trial.ended[i].station_work_ns, 5 * MS / 2);
    }
    run_two_at_once(&trial, NULL); /* nothing is known: one after the other takes as long */
    for (int i = 0; i < 2; i++)
        assert_phases(&trial.ended[i], 0, 0, 0, 3 + 3, 0);
}

static void every_node_of_the_way_computes_its_share(void **state)
{
    (void)state;
    struct trial trial = make_trial();
    run(&trial, (const uint32_t[]){1, 2});
    /* 10; 3 + 1 and 2 + 1; 4 on the relay, 1 at the station; 1 + 1 twice */
    assert_phases(&trial.ended[0], 10, 7, 0, 5, 4);
    assert_int_equal(trial.ended[0].station_ns, MS);
    assert_passage(&trial.passages[0], 14, 14, 18, 24);
}

static void a_relay_without_a_share_forwards(void **state)
{
    (void)state;
    struct trial trial = make_trial();
    run(&trial, (const uint32_t[]){1, 1});
    assert_phases(&trial.ended[0], 10, 8, 0, 2, 4);
    assert_passage(&trial.passages[0], 14, 14, 14, 22);
}

static void a_result_of_the_relay_goes_back_from_there(void **state)
{
    (void)state;
    struct trial trial = make_trial();
    run(&trial, (const uint32_t[]){2, 3});
    assert_phases(&trial.ended[0], 20, 3, 0, 4, 2);
    assert_passage(&trial.passages[0], 23, 23, 27, -1);
    assert_int_equal(trial.ended[0].slices, 0);
}

static void a_result_that_the_station_needs_goes_all_the_way_up(void **state)
{
    (void)state;
    struct trial trial = make_trial();
    trial.streams[0].result_returns = false;
    trial.streams[0].result_to_station = true;
    run(&trial, (const uint32_t[]){3, 3});
    assert_phases(&trial.ended[0], 30, 4, 0, 0, 0);
}

/* The relay's own stream computes there too: whoever comes second waits. */
static void tasks_wait_for_a_relay_that_computes(void **state)
{
    (void)state;
    struct trial trial = make_trial();
    trial.stream_count = 2;
    trial.streams[1] = trial.streams[0];
    trial.streams[1].hops = &over_relay[1];
    trial.streams[1].hop_count = 1;
    trial.starts_ns[1][0] = 12 * MS;
    run(&trial, (const uint32_t[]){1, 2, 3}); /* the relay computes 12 ms from 12 ms on; the other comes at 14 ms */
    assert_int_equal(trial.ended[0].stream, 1);
    assert_phases(&trial.ended[0], 12, 0, 0, 0, 0);
    assert_phases(&trial.ended[1], 10, 7, 10, 5, 4);
}

/* ---- changes */

static int slow_device(struct flow *flow)
{
    flow_change_speed(flow, 1, 0.5);
    return 0;
}

static int slow_station(struct flow *flow)
{
    flow_change_speed(flow, 0, 0.1);
    return 0;
}

static void a_slower_node_takes_longer_for_the_rest(void **state)
{
    (void)state;
    struct trial trial = make_trial();
    trial.streams[0].hops = &over_relay[0];
    trial.streams[0].hop_count = 1;
    trial.changes[0] = (struct change){4 * MS, slow_device};
    trial.changes[1] = (struct change){20 * MS + MS / 2, slow_station};
    run(&trial, (const uint32_t[]){1});
    /* 4 + 6 * 2 = 16; 3 + 1 until 20; of 2 ms at the station half a millisecond at full speed, the rest at a tenth */
    assert_int_equal(trial.ended[0].local_ns, 16 * MS);
    assert_int_equal(trial.ended[0].remote_ns, MS / 2 + 15 * MS);
}

static int new_cuts(struct flow *flow)
{
    static const uint32_t cuts[] = {3, 3};
    flow_change_plan(flow, &(struct flow_plan){.cuts = cuts});
    return 0;
}

static void new_cuts_are_for_tasks_that_start_from_then_on(void **state)
{
    (void)state;
    struct trial trial = make_trial();
    trial.streams[0].task_count = 2;
    trial.starts_ns[0][1] = 40 * MS;
    trial.changes[0] = (struct change){5 * MS, new_cuts};
    run(&trial, (const uint32_t[]){1, 2});
    assert_phases(&trial.ended[0], 10, 7, 0, 5, 4);
    assert_phases(&trial.ended[1], 30, 0, 0, 0, 0);
    assert_int_equal(trial.ended[0].plan, 0);
    assert_int_equal(trial.ended[1].plan, 1);
}

static int leave(struct flow *flow)
{
    return flow_leave(flow, 2, "the relay left", false);
}

static int come_back(struct flow *flow)
{
    return flow_return(flow, 2);
}

static void without_its_relay_a_stream_fails_and_holds_its_tasks(void **state)
{
    (void)state;
    for (int64_t at_ms = 1; at_ms < 26; at_ms++) { /* wherever the first task is: device, links, relay, station, back */
        struct trial trial = make_trial();
        trial.streams[0].task_count = 2;
        trial.starts_ns[0][1] = 30 * MS; /* skipped */
        trial.starts_ns[0][2] = 60 * MS;
        trial.changes[0] = (struct change){at_ms * MS + MS / 2, leave};
        trial.changes[1] = (struct change){50 * MS, come_back};
        run(&trial, (const uint32_t[]){1, 2});
        assert_int_equal(trial.ended_count, 2);
        assert_string_equal(trial.ended[0].failure, "the relay left");
        assert_int_equal(trial.ended[0].ended_ns, at_ms * MS + MS / 2);
        assert_null(trial.ended[1].failure);
        assert_int_equal(trial.ended[1].started_ns, 60 * MS);
        assert_phases(&trial.ended[1], 10, 7, 0, 5, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_takes_what_further_tasks_add),
        cmocka_unit_test(every_node_of_the_way_computes_its_share),
        cmocka_unit_test(a_relay_without_a_share_forwards),
        cmocka_unit_test(a_result_of_the_relay_goes_back_from_there),
        cmocka_unit_test(a_result_that_the_station_needs_goes_all_the_way_up),
        cmocka_unit_test(tasks_wait_for_a_relay_that_computes),
        cmocka_unit_test(a_slower_node_takes_longer_for_the_rest),
        cmocka_unit_test(new_cuts_are_for_tasks_that_start_from_then_on),
        cmocka_unit_test(without_its_relay_a_stream_fails_and_holds_its_tasks),
    };
    catalogue = builtin_catalogue();
    int failed = !catalogue || cmocka_run_group_tests(tests, NULL, NULL) != 0;
    catalogue_close(catalogue);
    return failed;
}
