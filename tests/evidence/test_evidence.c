/* SPDX-License-Identifier: Apache-2.0 */
/* Differences against hand calculation and against their own promise; groups of runs: pairing and verdicts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/evidence/compare.h"
#include "core/evidence/difference.h"

static struct observations observations_of(const double *values, size_t count, size_t in_a_unit)
{
    struct observations result = {.items = NEW_ARRAY(struct observation, count),
                                  .count = count,
                                  .unit_count = (uint32_t)((count + in_a_unit - 1) / in_a_unit)};
    for (size_t i = 0; i < count; i++)
        result.items[i] = (struct observation){values[i], (uint32_t)(i / in_a_unit)};
    return result;
}

static struct difference difference(const double *a, size_t a_count, const double *b, size_t b_count,
                                    enum statistic statistic)
{
    struct observations x = observations_of(a, a_count, 1), y = observations_of(b, b_count, 1);
    struct difference result = difference_of(&x, &y, false, statistic, 0.95);
    free(x.items);
    free(y.items);
    return result;
}

static void statistics_are_those_of_the_textbook(void **state)
{
    (void)state;
    const double a[] = {1, 2, 3, 4}, b[] = {10, 30, 20};
    struct difference mean = difference(a, 4, b, 3, STATISTIC_MEAN);
    assert_float_equal(mean.a, 2.5, 1e-12);
    assert_float_equal(mean.b, 20, 1e-12);
    assert_float_equal(mean.value, 17.5, 1e-12);
    assert_float_equal(difference(a, 4, b, 3, STATISTIC_DEVIATION).a, sqrt(1.25), 1e-12);
    /* numpy.quantile([1, 2, 3, 4], 0.99) and of [10, 20, 30] */
    struct difference p99 = difference(a, 4, b, 3, STATISTIC_P99);
    assert_float_equal(p99.a, 3.97, 1e-12);
    assert_float_equal(p99.b, 29.8, 1e-12);
}

static void a_high_quantile_of_many_is_interpolated_from_the_top(void **state)
{
    (void)state;
    double values[1000];
    for (int i = 0; i < 1000; i++)
        values[i] = (i * 377) % 1000; /* each number once, mixed */
    assert_float_equal(difference(values, 1000, values, 1000, STATISTIC_P99).a, 989.01, 1e-9);
    assert_float_equal(difference(values, 1000, values, 1000, STATISTIC_P99).value, 0, 1e-12);
}

static void equal_samples_differ_by_nothing(void **state)
{
    (void)state;
    const double a[] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};
    struct difference same = difference(a, 12, a, 12, STATISTIC_MEAN);
    assert_float_equal(same.low, 0, 0);
    assert_float_equal(same.high, 0, 0);
}

static void one_unit_gives_no_interval(void **state)
{
    (void)state;
    const double a[] = {1}, b[] = {2};
    assert_true(isnan(difference(a, 1, b, 1, STATISTIC_MEAN).low));
}

/* Delays that hang together, as those behind a queue do: autoregressive of the first order. */
static void make_series(struct random *random, double level, double memory, double *values, size_t count)
{
    double off = 0;
    for (size_t i = 0; i < count; i++) {
        off = memory * off + (random_unit(random) + random_unit(random) + random_unit(random) - 1.5);
        values[i] = level + off;
    }
}

/* How often, of `trials`, the interval holds the true difference. */
static double coverage(size_t in_a_unit, enum statistic statistic, double shift, int trials)
{
    enum { TASKS = 900 };
    struct random random;
    random_seed(&random, 7, "coverage");
    double *a = NEW_ARRAY(double, TASKS), *b = NEW_ARRAY(double, TASKS);
    int held = 0;
    for (int i = 0; i < trials; i++) {
        make_series(&random, 10, 0.8, a, TASKS);
        make_series(&random, 10 + shift, 0.8, b, TASKS);
        struct observations x = observations_of(a, TASKS, in_a_unit), y = observations_of(b, TASKS, in_a_unit);
        struct difference found = difference_of(&x, &y, false, statistic, 0.95);
        held += found.low <= shift && shift <= found.high;
        free(x.items);
        free(y.items);
    }
    free(a);
    free(b);
    return (double)held / trials;
}

static void intervals_of_stretches_hold_what_they_promise(void **state)
{
    (void)state;
    enum { TRIALS = 200 };
    /* 95 % promised; 200 trials have a standard error of 1.5 %. */
    assert_true(coverage(60, STATISTIC_MEAN, 0.5, TRIALS) >= 0.92);
    assert_true(coverage(60, STATISTIC_DEVIATION, 0, TRIALS) >= 0.92);
}

static void single_tasks_would_promise_too_much(void **state)
{
    (void)state;
    assert_true(coverage(1, STATISTIC_MEAN, 0.5, 100) < 0.75); /* why units are stretches */
}

static void effect_is_the_share_of_pairs(void **state)
{
    (void)state;
    const double a[] = {1, 2, 3}, b[] = {2, 3, 4, 0};
    struct observations x = observations_of(a, 3, 1), y = observations_of(b, 4, 1);
    /* b > a in 1 + 2 + 3 + 0 of 12 pairs, b < a in 1 + 0 + 0 + 3 */
    assert_float_equal(difference_effect(&x, &y), (6.0 - 4.0) / 12, 1e-12);
    free(x.items);
    free(y.items);
    assert_string_equal(difference_effect_word(0.1), "negligible");
    assert_string_equal(difference_effect_word(-0.5), "large");
}

/* ---- groups ---- */

static struct group make_group(const char *label, size_t runs, uint64_t first_seed, size_t tasks, double level)
{
    struct group group = {.label = text_copy(label), .runs = NEW_ARRAY(struct group_run, runs), .run_count = runs};
    for (size_t i = 0; i < runs; i++) {
        struct group_run *run = &group.runs[i];
        *run = (struct group_run){.run = (int64_t)i + 1, .seed = first_seed + i, .task_count = tasks};
        run->tasks = NEW_ARRAY(struct group_task, tasks);
        struct random random;
        random_seed(&random, run->seed, "tasks"); /* the same seed, the same chance: as in runs */
        double *delays = NEW_ARRAY(double, tasks);
        make_series(&random, level, 0.5, delays, tasks);
        for (size_t k = 0; k < tasks; k++)
            run->tasks[k] = (struct group_task){.task = k, .started_ns = (int64_t)k * 1000, .delay_ns = delays[k]};
        free(delays);
        group.task_count += tasks;
    }
    return group;
}

static const struct comparison_settings settings = {.confidence = 0.95, .least_relative = 0.01, .comparisons = 1};

static struct comparison_row compare_levels(double b_level, uint64_t b_seed, size_t tasks, struct comparison *it)
{
    struct group a = make_group("a", 2, 1, tasks, 100), b = make_group("b", 2, b_seed, tasks, b_level);
    compare(&a, &b, &settings, it);
    struct comparison_row mean = it->row_count ? it->rows[0] : (struct comparison_row){0};
    char *sentence = it->row_count ? comparison_sentence(it, &mean) : text_copy("");
    print_message("%s\n", sentence);
    free(sentence);
    group_free(&a);
    group_free(&b);
    return mean;
}

static void same_seeds_are_paired_and_pairs_see_small_differences(void **state)
{
    (void)state;
    struct comparison it;
    struct comparison_row mean = compare_levels(98, 1, 200, &it);
    assert_true(it.paired);
    assert_int_equal(mean.verdict, VERDICT_BETTER);
    assert_float_equal(mean.difference, -2, 1e-9);
    assert_int_equal(it.a_tasks, 400);
}

static void other_seeds_are_not_paired(void **state)
{
    (void)state;
    struct comparison it;
    struct comparison_row mean = compare_levels(110, 11, 200, &it);
    assert_false(it.paired);
    assert_int_equal(mean.verdict, VERDICT_WORSE);
    assert_true(mean.low > 9 && mean.high < 11);
}

static void noise_is_not_called_a_win(void **state)
{
    (void)state;
    int called = 0;
    for (uint64_t seed = 100; seed < 180; seed += 2) {
        struct comparison it;
        enum verdict verdict = compare_levels(100, seed, 100, &it).verdict;
        called += verdict == VERDICT_BETTER || verdict == VERDICT_WORSE;
    }
    assert_true(called <= 4); /* 40 comparisons with 95 % together for both metrics: 2 expected at most */
}

static void differences_that_do_not_matter_are_slight(void **state)
{
    (void)state;
    struct comparison it;
    assert_int_equal(compare_levels(100.2, 1, 200, &it).verdict, VERDICT_SLIGHT);
}

/* The slowest tasks of each side lie together, as behind one long queue: another run would have had another queue. */
static void a_tail_of_one_burst_tells_nothing(void **state)
{
    (void)state;
    struct group a = make_group("a", 1, 1, 1000, 100), b = make_group("b", 1, 2, 1000, 100);
    for (size_t i = 0; i < 20; i++) {
        a.runs[0].tasks[200 + i].delay_ns += 100;
        b.runs[0].tasks[700 + i].delay_ns += 300;
    }
    struct comparison it;
    compare(&a, &b, &settings, &it);
    const struct comparison_row *p99 = &it.rows[2];
    assert_int_equal(p99->metric, METRIC_P99);
    assert_int_equal(p99->verdict, VERDICT_TOO_LITTLE);
    assert_true(isnan(p99->low) && p99->difference > 100);
    group_free(&a);
    group_free(&b);
}

static void lose(struct group *group, size_t first, size_t step, size_t count)
{
    for (size_t k = 0; k < count; k++)
        group->runs[0].tasks[first + k * step].lost = true;
    group->lost += count;
    group->task_count -= count;
}

static const struct comparison_row *row_of(const struct comparison *it, enum metric metric)
{
    for (size_t i = 0; i < it->row_count; i++)
        if (it->rows[i].metric == metric)
            return &it->rows[i];
    return NULL;
}

static void lost_tasks_are_compared_and_have_no_delay(void **state)
{
    (void)state;
    struct group a = make_group("a", 1, 1, 1000, 100), b = make_group("b", 1, 1, 1000, 100);
    struct comparison it;
    compare(&a, &b, &settings, &it);
    assert_null(row_of(&it, METRIC_LOST)); /* nothing was lost */
    lose(&a, 5, 100, 10);
    lose(&b, 0, 10, 100);
    compare(&a, &b, &settings, &it);
    const struct comparison_row *lost = row_of(&it, METRIC_LOST);
    assert_non_null(lost);
    assert_float_equal(lost->a, 0.01, 1e-12);
    assert_float_equal(lost->b, 0.1, 1e-12);
    assert_int_equal(lost->verdict, VERDICT_WORSE);
    assert_int_equal(it.a_tasks, 890); /* those that neither lost */
    assert_float_equal(row_of(&it, METRIC_MEAN)->difference, 0, 0);
    group_free(&a);
    group_free(&b);
}

/* One device left once: whether another run loses as many, that one moment does not tell. */
static void losses_of_one_moment_tell_nothing(void **state)
{
    (void)state;
    struct group a = make_group("a", 1, 1, 1000, 100), b = make_group("b", 1, 1, 1000, 100);
    struct comparison it;
    lose(&b, 500, 1, 20);
    compare(&a, &b, &settings, &it);
    assert_float_equal(row_of(&it, METRIC_LOST)->difference, 0.02, 1e-12);
    assert_int_equal(row_of(&it, METRIC_LOST)->verdict, VERDICT_TOO_LITTLE);
    group_free(&a);
    group_free(&b);
}

static void where_all_is_lost_only_that_is_compared(void **state)
{
    (void)state;
    struct group a = make_group("a", 1, 1, 100, 100), b = make_group("b", 1, 1, 100, 100);
    struct comparison it;
    lose(&b, 0, 1, 100);
    compare(&a, &b, &settings, &it);
    assert_int_equal(it.row_count, 1);
    assert_int_equal(it.rows[0].metric, METRIC_LOST);
    assert_int_equal(it.rows[0].verdict, VERDICT_WORSE);
    group_free(&a);
    group_free(&b);
}

static void few_tasks_tell_nothing(void **state)
{
    (void)state;
    struct comparison it;
    assert_int_equal(compare_levels(200, 1, 3, &it).verdict, VERDICT_TOO_LITTLE);
}

static void groups_without_common_tasks_are_not_compared(void **state)
{
    (void)state;
    struct comparison it;
    compare_levels(200, 1, 0, &it);
    assert_int_equal(it.row_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_are_those_of_the_textbook),
        cmocka_unit_test(a_high_quantile_of_many_is_interpolated_from_the_top),
        cmocka_unit_test(equal_samples_differ_by_nothing),
        cmocka_unit_test(one_unit_gives_no_interval),
        cmocka_unit_test(intervals_of_stretches_hold_what_they_promise),
        cmocka_unit_test(single_tasks_would_promise_too_much),
        cmocka_unit_test(effect_is_the_share_of_pairs),
        cmocka_unit_test(same_seeds_are_paired_and_pairs_see_small_differences),
        cmocka_unit_test(other_seeds_are_not_paired),
        cmocka_unit_test(noise_is_not_called_a_win),
        cmocka_unit_test(a_tail_of_one_burst_tells_nothing),
        cmocka_unit_test(differences_that_do_not_matter_are_slight),
        cmocka_unit_test(lost_tasks_are_compared_and_have_no_delay),
        cmocka_unit_test(losses_of_one_moment_tell_nothing),
        cmocka_unit_test(where_all_is_lost_only_that_is_compared),
        cmocka_unit_test(few_tasks_tell_nothing),
        cmocka_unit_test(groups_without_common_tasks_are_not_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
