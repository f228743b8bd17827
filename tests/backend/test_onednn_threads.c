/* SPDX-License-Identifier: Apache-2.0 */
/* The onednn backend's team of threads: apart after they were together, and free to go where they were allowed. */
#include <omp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plugins/backend/onednn_threads.h"

#define TRIES 20

static cpu_set_t allowed; /* to the process */

static void allow_one(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
}

static int first_allowed(void)
{
    int cpu = 0;
    while (!CPU_ISSET(cpu, &allowed))
        cpu++;
    return cpu;
}

/* Two threads are put on one processor, then allowed all again: they stay there until somebody moves them. */
static void gather_two(void)
{
#pragma omp parallel num_threads(2)
    {
        allow_one(first_allowed());
        sched_setaffinity(0, sizeof(allowed), &allowed);
    }
}

/* Whether the two are apart; `*freed` whether each may run wherever it could before. */
static int two_are_apart(int *freed)
{
    int cpu[2] = {-1, -1}, same[2] = {0, 0};
#pragma omp parallel num_threads(2)
    {
        cpu_set_t now;
        int i = omp_get_thread_num();
        cpu[i] = sched_getcpu();
        same[i] = sched_getaffinity(0, sizeof(now), &now) == 0 && CPU_EQUAL(&now, &allowed);
    }
    *freed = same[0] && same[1];
    return cpu[0] != cpu[1];
}

static void two_on_one_processor_are_parted(void **state)
{
    (void)state;
    int apart = 0, freed;
    if (CPU_COUNT(&allowed) < 2)
        skip();
    for (int i = 0; i < TRIES; i++) {
        gather_two();
        threads_spread(2);
        apart += two_are_apart(&freed);
        assert_true(freed);
    }
    assert_in_range(apart, TRIES / 2, TRIES); /* the kernel may move them in between, other processes may make it */
}

static void more_than_there_are_processors_stay_where_they_are(void **state)
{
    (void)state;
    uint32_t threads = (uint32_t)CPU_COUNT(&allowed) + 1;
    threads_spread(threads);
    int different = 0;
#pragma omp parallel num_threads(threads) reduction(+ : different)
    {
        cpu_set_t now;
        different += sched_getaffinity(0, sizeof(now), &now) != 0 || !CPU_EQUAL(&now, &allowed);
    }
    assert_int_equal(different, 0);
}

static void a_team_smaller_than_asked_for_is_not_waited_for(void **state)
{
    (void)state;
    omp_set_dynamic(0);
    omp_set_max_active_levels(1);
#pragma omp parallel num_threads(2)
    threads_spread(2); /* nested: a team of one each */
}

static void one_thread_is_no_team(void **state)
{
    (void)state;
    cpu_set_t now;
    threads_spread(1);
    threads_spread(0);
    assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
    assert_true(CPU_EQUAL(&now, &allowed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_on_one_processor_are_parted),
        cmocka_unit_test(more_than_there_are_processors_stay_where_they_are),
        cmocka_unit_test(a_team_smaller_than_asked_for_is_not_waited_for),
        cmocka_unit_test(one_thread_is_no_team),
    };
    if (sched_getaffinity(0, sizeof(allowed), &allowed)) {
        print_message("Bail out! the processors allowed to this process are not known\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
