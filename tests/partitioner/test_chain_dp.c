/* SPDX-License-Identifier: Apache-2.0 */
/* The partitioner chain-dp against trying every placement, and on unequal nodes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/random.h"
#include "core/planner/evaluator.h"
#include "tests/builtin_plugins.h"
#include "tests/partitioner/fake.h"
#include "tests/planner/make_problem.h"

#define BOTTLENECK ((const char *const[]){"objective", "bottleneck", NULL})
#define S 1000000000

static struct catalogue *plugins;

struct cost {
    double latency_ns, busy_ns; /* infinite where it cannot be */
};

static double air_ns(double bytes_per_s, uint64_t bytes)
{
    return (double)bytes * 1e9 / bytes_per_s;
}

static void pay_link(struct cost *cost, double bytes_per_s, int64_t delay_ns, uint64_t bytes)
{
    double ns = air_ns(bytes_per_s, bytes);
    cost->latency_ns += (double)delay_ns + ns;
    cost->busy_ns = fmax(cost->busy_ns, ns);
}

/* What a placement costs, straight from the delay model. */
static struct cost cost_of(const struct fake *fake, const uint32_t *place)
{
    static const struct cost never = {INFINITY, INFINITY};
    struct cost cost = {0, 0};
    uint32_t last = place[fake->layers - 1];
    for (uint32_t p = 0; p < fake->places; p++) {
        double busy_ns = 0;
        uint64_t bytes = 0;
        for (uint32_t l = 0; l < fake->layers; l++) {
            busy_ns += place[l] == p ? (double)fake->layer_ns[p][l] : 0;
            bytes += place[l] == p ? fake->layer_bytes[l] : 0;
            if (place[l] == p && fake->cannot_run[p])
                return never;
        }
        if (fake->memory_bytes[p] && bytes > fake->memory_bytes[p])
            return never;
        cost.latency_ns += busy_ns;
        cost.busy_ns = fmax(cost.busy_ns, busy_ns);
    }
    for (uint32_t p = 0; p + 1 < fake->places; p++) {
        uint32_t done = 0;
        while (done < fake->layers && place[done] <= p)
            done++;
        if (p < last)
            pay_link(&cost, fake->up_bytes_per_s[p], fake->up_delay_ns[p], fake->cut_bytes[done]);
        else if (fake->result_to_station)
            pay_link(&cost, fake->up_bytes_per_s[p], fake->up_delay_ns[p], fake->result_bytes);
        if (p < last && fake->result_returns)
            pay_link(&cost, fake->down_bytes_per_s[p], fake->down_delay_ns[p], fake->result_bytes);
    }
    return cost;
}

/* The best of all placements from layer `at` on: least latency, or least busy time and then latency. */
static void try_all(const struct fake *fake, uint32_t *place, uint32_t at, bool by_busy, struct cost *best)
{
    if (at == fake->layers) {
        struct cost cost = cost_of(fake, place);
        bool tie = by_busy && cost.busy_ns <= best->busy_ns * (1 + 1e-12);
        if (by_busy ? cost.busy_ns < best->busy_ns * (1 - 1e-12) || (tie && cost.latency_ns < best->latency_ns)
                    : cost.latency_ns < best->latency_ns)
            *best = cost;
        return;
    }
    for (place[at] = at ? place[at - 1] : 0; place[at] < fake->places; place[at]++)
        try_all(fake, place, at + 1, by_busy, best);
}

static int64_t between(struct random *random, int64_t least, int64_t most)
{
    return least + (int64_t)(random_unit(random) * (double)(most - least + 1));
}

static void random_fake(struct random *random, struct fake *fake)
{
    *fake = (struct fake){.places = (uint32_t)between(random, 2, MOST_PLACES),
                          .layers = (uint32_t)between(random, 1, 7),
                          .result_bytes = (uint64_t)between(random, 0, 5000)};
    fake->result_returns = random_unit(random) < 0.6;
    fake->result_to_station = !fake->result_returns && random_unit(random) < 0.5;
    for (uint32_t p = 0; p < fake->places; p++) {
        int64_t slowness = between(random, 1, 30);
        for (uint32_t l = 0; l < fake->layers; l++)
            fake->layer_ns[p][l] = between(random, 0, 100000) * slowness;
        fake->cannot_run[p] = random_unit(random) < 0.1;
        fake->memory_bytes[p] = random_unit(random) < 0.4 ? (uint64_t)between(random, 1, 300) : 0;
        fake->up_bytes_per_s[p] = (double)between(random, 1000000, 90000000);
        fake->down_bytes_per_s[p] = (double)between(random, 1000000, 90000000);
        fake->up_delay_ns[p] = between(random, 0, 300000);
        fake->down_delay_ns[p] = between(random, 0, 300000);
    }
    for (uint32_t l = 0; l < fake->layers; l++) {
        fake->cut_bytes[l] = (uint64_t)between(random, 0, 50000);
        fake->layer_bytes[l] = (uint64_t)between(random, 0, 100);
    }
}

static void it_finds_what_trying_every_placement_finds(void **state)
{
    (void)state;
    struct random random;
    uint32_t infeasible = 0, between_ends = 0;
    random_seed(&random, 1, "chain");
    for (int round = 0; round < 1500; round++) {
        struct fake fake;
        uint32_t place[MOST_LAYERS];
        random_fake(&random, &fake);
        for (int by_busy = 0; by_busy < 2; by_busy++) {
            struct cost best = {INFINITY, INFINITY};
            try_all(&fake, place, 0, by_busy, &best);
            int32_t status = fake_plan(&fake, plugins, "chain-dp", by_busy ? BOTTLENECK : NULL, place);
            assert_int_equal(status, best.latency_ns < INFINITY ? NAPM_OK : NAPM_ERR_INVALID);
            infeasible += status < 0;
            if (status < 0)
                continue;
            struct cost found = cost_of(&fake, place);
            assert_true(fabs(found.latency_ns - best.latency_ns) <= 1e-9 * best.latency_ns);
            assert_true(!by_busy || fabs(found.busy_ns - best.busy_ns) <= 1e-9 * best.busy_ns);
            for (uint32_t l = 0; l < fake.layers; l++)
                between_ends += place[l] > 0 && place[l] + 1 < fake.places;
        }
    }
    assert_true(infeasible > 10 && between_ends > 500); /* else the cases are too easy */
}

/* Eight layers; nodes that need a second for each, but one that needs a hundredth; links as good as free. */
static void unequal_nodes(struct fake *fake, uint32_t fast)
{
    *fake = (struct fake){.places = 3, .layers = 8};
    for (uint32_t p = 0; p < 3; p++) {
        for (uint32_t l = 0; l < 8; l++)
            fake->layer_ns[p][l] = p == fast ? S / 100 : S;
        fake->up_bytes_per_s[p] = fake->down_bytes_per_s[p] = 1e12;
    }
    for (uint32_t c = 0; c < 8; c++)
        fake->cut_bytes[c] = 1000;
}

static void of_two_slow_nodes_and_a_fast_one_the_fast_one_does_it_all(void **state)
{
    (void)state;
    for (uint32_t fast = 0; fast < 3; fast++)
        for (int by_busy = 0; by_busy < 2; by_busy++) {
            struct fake fake;
            uint32_t place[MOST_LAYERS];
            unequal_nodes(&fake, fast);
            assert_int_equal(fake_plan(&fake, plugins, "chain-dp", by_busy ? BOTTLENECK : NULL, place), NAPM_OK);
            for (uint32_t l = 0; l < 8; l++)
                assert_int_equal(place[l], fast);
            assert_true(cost_of(&fake, place).busy_ns < 0.0801 * S); /* not the 3 s of equal shares */
        }
}

static void a_pipeline_of_equal_nodes_shares_the_work(void **state)
{
    (void)state;
    struct fake fake;
    uint32_t place[MOST_LAYERS];
    unequal_nodes(&fake, NAPM_NONE);
    fake.layers = 6;
    assert_int_equal(fake_plan(&fake, plugins, "chain-dp", BOTTLENECK, place), NAPM_OK);
    for (uint32_t l = 0; l < 6; l++)
        assert_int_equal(place[l], l / 2);
    assert_int_equal(fake_plan(&fake, plugins, "chain-dp", NULL, place), NAPM_OK);
    for (uint32_t l = 0; l < 6; l++)
        assert_int_equal(place[l], 0); /* alone, a task gains nothing from others that are no faster */
}

static void a_node_with_little_memory_gets_no_more_than_fits(void **state)
{
    (void)state;
    struct fake fake;
    uint32_t place[MOST_LAYERS];
    unequal_nodes(&fake, 1);
    for (uint32_t l = 0; l < 8; l++)
        fake.layer_bytes[l] = 10;
    fake.memory_bytes[1] = 35;
    assert_int_equal(fake_plan(&fake, plugins, "chain-dp", NULL, place), NAPM_OK);
    uint32_t fast = 0;
    for (uint32_t l = 0; l < 8; l++)
        fast += place[l] == 1;
    assert_int_equal(fast, 3);
    assert_int_equal(fake_plan(&fake, plugins, "chain-dp", BOTTLENECK, place), NAPM_OK);
    assert_true(cost_of(&fake, place).busy_ns < 3.01 * S); /* 3 + 3 + 2 */
}

/* ---- with the host's evaluator */

enum { LAYERS = 5, RELAY = 1, STATION = 2 };

/* A stream whose way leads over the device of another one, which has nothing to do itself. */
static struct problem *make_way(struct random *random)
{
    static int64_t times[3][LAYERS];
    static const int64_t nothing_ns[] = {0};
    static const uint64_t nothing_bytes[] = {0};
    static uint64_t bytes[LAYERS] = {40000, 0, 20000, 9000, 1000};
    struct make_stream streams[2] = {{.layers = LAYERS,
                                      .device_ns = times[0],
                                      .relay_ns = times[RELAY],
                                      .station_ns = times[STATION],
                                      .cut_bytes = bytes,
                                      .result_bytes = 400,
                                      .tasks = 3,
                                      .relay_plus_1 = RELAY + 1},
                                     {.layers = 1,
                                      .device_ns = nothing_ns,
                                      .station_ns = nothing_ns,
                                      .cut_bytes = nothing_bytes,
                                      .stays = true,
                                      .tasks = 1}};
    bytes[1] = (uint64_t)between(random, 1000, 60000);
    for (int64_t n = 0; n < 3; n++)
        for (int l = 0; l < LAYERS; l++)
            times[n][l] = between(random, 100000, 9000000) / (1 + n);
    for (int i = 0; i < 4; i++)
        streams[i / 2].link.conditions[i % 2] = (struct link_conditions){
            .bytes_per_s = (double)between(random, 1000000, 20000000), .delay_ns = between(random, 0, 2000000)};
    return make_problem(&(struct make){.streams = streams, .stream_count = 2});
}

static double delay_ns(const struct napm_evaluator *table, const struct napm_plan *plan)
{
    struct napm_phases p[2];
    struct napm_evaluation result = {.size = sizeof(result), .phases = p};
    assert_int_equal(table->evaluate(table, plan, &result), NAPM_OK);
    return p[0].local_ns + p[0].transmit_ns + p[0].queue_ns + p[0].remote_ns + p[0].return_ns;
}

/* The delay that the host predicts for the plan of a partitioner. */
static double delay_with(const char *partitioner, const struct problem *problem, const struct napm_evaluator *table,
                         struct napm_plan *plan)
{
    struct error error = {0};
    struct instance *instance = builtin_instance(plugins, NAPM_KIND_PARTITIONER, partitioner, NULL, 1, &error);
    assert_non_null(instance);
    assert_int_equal(instance->hook.partitioner.plan(instance->self, &problem->view, table, plan), NAPM_OK);
    instance_close(instance);
    return delay_ns(table, plan);
}

static void no_placement_is_predicted_to_be_faster(void **state)
{
    (void)state;
    struct error error = {0};
    struct random random;
    uint32_t on_relay = 0;
    random_seed(&random, 7, "relay");
    for (int round = 0; round < 60; round++) {
        struct problem *problem = make_way(&random);
        struct evaluator *evaluator = evaluator_new(problem, plugins, NULL, &error);
        const struct napm_evaluator *table = evaluator_table(evaluator);
        uint32_t row[LAYERS] = {0}, other[1] = {0}, *rows[] = {row, other};
        struct napm_plan plan = {sizeof(plan), 2, rows};
        double exhaustive_ns = delay_with("exhaustive", problem, table, &plan);
        double found_ns = delay_with("chain-dp", problem, table, &plan);
        assert_true(fabs(found_ns - exhaustive_ns) <= 10); /* it tries every sharing out over the way */
        for (int l = 0; l < LAYERS; l++)
            on_relay += row[l] == RELAY;
        for (uint32_t first = 0; first <= LAYERS; first++)
            for (uint32_t second = first; second <= LAYERS; second++) {
                for (uint32_t l = 0; l < LAYERS; l++)
                    row[l] = l < first ? 0 : l < second ? RELAY : STATION;
                assert_true(found_ns <= delay_ns(table, &plan) + 10);
            }
        evaluator_free(evaluator);
        problem_free(problem);
    }
    assert_true(on_relay > 30);
}

static int open_plugins(void **state)
{
    (void)state;
    plugins = builtin_catalogue();
    return plugins ? 0 : -1;
}

static int close_plugins(void **state)
{
    (void)state;
    catalogue_close(plugins);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_trying_every_placement_finds),
        cmocka_unit_test(of_two_slow_nodes_and_a_fast_one_the_fast_one_does_it_all),
        cmocka_unit_test(a_pipeline_of_equal_nodes_shares_the_work),
        cmocka_unit_test(a_node_with_little_memory_gets_no_more_than_fits),
        cmocka_unit_test(no_placement_is_predicted_to_be_faster),
    };
    return cmocka_run_group_tests(tests, open_plugins, close_plugins) != 0;
}
