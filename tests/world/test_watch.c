/* SPDX-License-Identifier: Apache-2.0 */
/* Foreseeing when a wait ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "core/wire/frame.h"
#include "core/world/watch.h"

#define SINCE_NS (7 * NS_PER_S)

static struct watch_estimate after(const int64_t *took_ns, uint32_t count, uint32_t times)
{
    struct watch_estimate estimate = {0};
    for (uint32_t i = 0; i < times; i++)
        watch_learn(&estimate, took_ns[i % count]);
    return estimate;
}

static void test_waits_of_one_length_are_foreseen_closely(void **state)
{
    const int64_t took_ns = 3 * NS_PER_MS;
    struct watch_estimate estimate = after(&took_ns, 1, 50);
    struct watch_window window = watch_foresee(&estimate, SINCE_NS);
    (void)state;
    assert_true(window.from_ns < SINCE_NS + took_ns);
    assert_true(window.until_ns > SINCE_NS + took_ns);
    assert_true(window.until_ns - window.from_ns < 700 * NS_PER_US);
}

static void test_the_spread_of_waits_widens_what_is_foreseen(void **state)
{
    const int64_t steady_ns = 3 * NS_PER_MS, spread_ns[] = {2950 * NS_PER_US, 3050 * NS_PER_US};
    struct watch_estimate steady = after(&steady_ns, 1, 50), spread = after(spread_ns, 2, 50);
    struct watch_window narrow = watch_foresee(&steady, SINCE_NS), wide = watch_foresee(&spread, SINCE_NS);
    (void)state;
    assert_true(wide.from_ns < narrow.from_ns && wide.until_ns > narrow.until_ns);
    for (int i = 0; i < 2; i++)
        assert_true(wide.from_ns < SINCE_NS + spread_ns[i] && SINCE_NS + spread_ns[i] < wide.until_ns);
}

static void test_nothing_is_foreseen_of_what_is_new_or_uncertain(void **state)
{
    const int64_t took_ns = 3 * NS_PER_MS, wild_ns[] = {1 * NS_PER_MS, 9 * NS_PER_MS};
    struct watch_estimate none = {0}, few = after(&took_ns, 1, 2), wild = after(wild_ns, 2, 100);
    const struct watch_estimate *const unknown[] = {&none, &few, &wild};
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(watch_foresee(unknown[i], SINCE_NS).until_ns, 0);
}

static void test_a_change_is_learnt(void **state)
{
    const int64_t before_ns = 3 * NS_PER_MS, now_ns = 20 * NS_PER_MS;
    struct watch_estimate estimate = after(&before_ns, 1, 50);
    (void)state;
    watch_learn(&estimate, now_ns);
    assert_int_equal(watch_foresee(&estimate, SINCE_NS).until_ns,
                     0); /* one that is so far off leaves nothing certain */
    for (int i = 0; i < 100; i++)
        watch_learn(&estimate, now_ns);
    struct watch_window window = watch_foresee(&estimate, SINCE_NS);
    assert_true(window.from_ns < SINCE_NS + now_ns && SINCE_NS + now_ns < window.until_ns);
}

static void test_a_window_is_bounded_and_begins_before_short_waits(void **state)
{
    const int64_t short_ns[] = {20 * NS_PER_US, 60 * NS_PER_US}, spread_ns[] = {9000 * NS_PER_US, 10000 * NS_PER_US};
    struct watch_estimate brief = after(short_ns, 2, 50), spread = after(spread_ns, 2, 50);
    (void)state;
    assert_true(watch_foresee(&brief, SINCE_NS).from_ns < SINCE_NS);
    struct watch_window window = watch_foresee(&spread, SINCE_NS);
    assert_int_equal(window.until_ns - window.from_ns, FRAME_EXPECT_NS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_of_one_length_are_foreseen_closely),
        cmocka_unit_test(test_the_spread_of_waits_widens_what_is_foreseen),
        cmocka_unit_test(test_nothing_is_foreseen_of_what_is_new_or_uncertain),
        cmocka_unit_test(test_a_change_is_learnt),
        cmocka_unit_test(test_a_window_is_bounded_and_begins_before_short_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
