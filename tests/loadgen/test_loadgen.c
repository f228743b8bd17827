/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in load generators: when tasks start, and how a node is stressed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "tests/builtin_plugins.h"

static struct catalogue *catalogue;
static char trace_path[] = "/tmp/napm-trace-XXXXXX";

static int open_catalogue(void **state)
{
    (void)state;
    catalogue = builtin_catalogue();
    int file = mkstemp(trace_path);
    if (file >= 0)
        close(file);
    return catalogue && file >= 0 ? 0 : -1;
}

static int close_catalogue(void **state)
{
    (void)state;
    catalogue_close(catalogue);
    unlink(trace_path);
    return 0;
}

/* An instance with the arrivals extension. */
struct arrivals {
    struct instance *instance;
    struct napm_loadgen_arrivals calls;
};

static struct arrivals open_arrivals(const char *name, const char *const *options, uint64_t seed)
{
    struct error error = {0};
    struct arrivals arrivals;
    arrivals.instance = builtin_instance(catalogue, NAPM_KIND_LOADGEN, name, options, seed, &error);
    if (!arrivals.instance)
        fail_msg("%s", error.text);
    assert_int_equal(
        instance_extension(arrivals.instance, NAPM_LOADGEN_ARRIVALS, &arrivals.calls, sizeof(arrivals.calls)), 0);
    return arrivals;
}

static int64_t next_start(struct arrivals *arrivals)
{
    int64_t at_ns = -1;
    assert_int_equal(arrivals->calls.next(arrivals->instance->self, 0, &at_ns), NAPM_OK);
    return at_ns;
}

static int32_t next_status(struct arrivals *arrivals)
{
    int64_t at_ns;
    return arrivals->calls.next(arrivals->instance->self, 0, &at_ns);
}

static void assert_starts(struct arrivals *arrivals, const int64_t *expected_ns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(next_start(arrivals), expected_ns[i]);
}

static int64_t mean_interval_ns(struct arrivals *arrivals)
{
    return arrivals->calls.interval_ns(arrivals->instance->self);
}

/* That these options are refused with a message that says `expected`. */
static void assert_refused(const char *name, const char *const *options, const char *expected)
{
    struct error error = {0};
    assert_null(builtin_instance(catalogue, NAPM_KIND_LOADGEN, name, options, 1, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    if (!strstr(error.text, expected))
        fail_msg("'%s' does not say '%s'", error.text, expected);
}

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- periodic */

static void periodic_starts_are_exact(void **state)
{
    (void)state;
    struct arrivals arrivals = open_arrivals("periodic", OPTIONS("period", "1.5ms", "offset", "200us"), 1);
    assert_int_equal(mean_interval_ns(&arrivals), 1500000);
    for (int64_t i = 0; i < 1000; i++)
        assert_int_equal(next_start(&arrivals), 200000 + i * 1500000);
    instance_close(arrivals.instance);
}

static void periodic_jitter_stays_in_its_share_and_does_not_add_up(void **state)
{
    (void)state;
    struct arrivals arrivals = open_arrivals("periodic", OPTIONS("period", "1ms", "jitter", "0.4"), 1);
    double late_sum_ns = 0;
    int64_t last_ns = 0;
    for (int64_t i = 0; i < 20000; i++) {
        int64_t at_ns = next_start(&arrivals), late_ns = at_ns - i * 1000000;
        assert_true(late_ns >= 0 && late_ns <= 400000);
        assert_true(at_ns >= last_ns);
        last_ns = at_ns;
        late_sum_ns += (double)late_ns;
    }
    assert_true(fabs(late_sum_ns / 20000 - 200000) < 4000);
    instance_close(arrivals.instance);
}

static void periodic_ends_where_the_clock_does(void **state)
{
    (void)state;
    struct arrivals arrivals = open_arrivals("periodic", OPTIONS("period", "2400000h", "offset", "1h"), 1);
    int starts = 0;
    while (next_status(&arrivals) == NAPM_OK)
        starts++;
    assert_true(starts > 0);
    assert_int_equal(next_status(&arrivals), NAPM_END);
    instance_close(arrivals.instance);
}

static void periodic_needs_a_period(void **state)
{
    (void)state;
    assert_refused("periodic", NULL, "period");
    assert_refused("periodic", OPTIONS("period", "0"), "period");
    assert_refused("periodic", OPTIONS("period", "1s", "jitter", "1.5"), "jitter");
}

/* ---- poisson */

static void poisson_intervals_have_the_mean_and_spread_of_an_exponential(void **state)
{
    (void)state;
    enum { STARTS = 200000 };
    struct arrivals arrivals = open_arrivals("poisson", OPTIONS("interval", "10ms"), 5);
    assert_int_equal(mean_interval_ns(&arrivals), 10000000);
    double sum = 0, squares = 0, above_mean = 0;
    int64_t last_ns = 0;
    for (int i = 0; i < STARTS; i++) {
        int64_t at_ns = next_start(&arrivals);
        assert_true(at_ns >= last_ns);
        double interval_ms = (double)(at_ns - last_ns) / 1e6;
        last_ns = at_ns;
        sum += interval_ms;
        squares += interval_ms * interval_ms;
        above_mean += interval_ms > 10;
    }
    double mean = sum / STARTS, variance = squares / STARTS - mean * mean;
    assert_true(fabs(mean - 10) < 0.1);
    assert_true(fabs(variance - 100) < 3);
    assert_true(fabs(above_mean / STARTS - exp(-1)) < 0.005);
    instance_close(arrivals.instance);
}

static void poisson_repeats_with_its_seed(void **state)
{
    (void)state;
    int64_t starts[3][50];
    const uint64_t seeds[] = {7, 7, 8};
    for (int k = 0; k < 3; k++) {
        struct arrivals arrivals = open_arrivals("poisson", OPTIONS("interval", "10ms"), seeds[k]);
        for (int i = 0; i < 50; i++)
            starts[k][i] = next_start(&arrivals);
        instance_close(arrivals.instance);
    }
    assert_memory_equal(starts[0], starts[1], sizeof(starts[0]));
    assert_memory_not_equal(starts[0], starts[2], sizeof(starts[0]));
}

/* ---- closed-loop */

static void complete(struct arrivals *arrivals, int64_t now_ns, uint64_t task, uint32_t failed)
{
    arrivals->calls.completed(arrivals->instance->self, now_ns, task, failed);
}

static void closed_loop_waits_for_the_end_of_a_task(void **state)
{
    (void)state;
    struct arrivals arrivals = open_arrivals("closed-loop", NULL, 1);
    assert_int_equal(mean_interval_ns(&arrivals), 0);
    assert_int_equal(next_start(&arrivals), 0);
    assert_int_equal(next_status(&arrivals), NAPM_WAIT);
    assert_int_equal(next_status(&arrivals), NAPM_WAIT);
    complete(&arrivals, 500, 0, 0);
    assert_int_equal(next_start(&arrivals), 500);
    assert_int_equal(next_status(&arrivals), NAPM_WAIT);
    complete(&arrivals, 700, 1, 1); /* a failed task is replaced too */
    assert_int_equal(next_start(&arrivals), 700);
    instance_close(arrivals.instance);
}

static void closed_loop_keeps_several_in_flight_and_thinks_between(void **state)
{
    (void)state;
    struct arrivals arrivals = open_arrivals("closed-loop", OPTIONS("outstanding", "3", "think", "1us"), 1);
    assert_starts(&arrivals, (const int64_t[]){0, 0, 0}, 3);
    assert_int_equal(next_status(&arrivals), NAPM_WAIT);
    for (int64_t round = 1; round < 100; round++) {
        complete(&arrivals, 10000 * round, 1, 0);
        complete(&arrivals, 10000 * round + 5, 0, 0);
        assert_int_equal(next_start(&arrivals), 10000 * round + 1000);
        complete(&arrivals, 10000 * round + 6, 2, 0);
        assert_int_equal(next_start(&arrivals), 10000 * round + 1005);
        assert_int_equal(next_start(&arrivals), 10000 * round + 1006);
        assert_int_equal(next_status(&arrivals), NAPM_WAIT);
    }
    instance_close(arrivals.instance);
    assert_refused("closed-loop", OPTIONS("outstanding", "0"), "outstanding");
}

/* ---- trace */

static void write_trace(const char *text)
{
    FILE *file = fopen(trace_path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

#define TRACE(...) OPTIONS("file", trace_path, __VA_ARGS__)

static void assert_trace(const char *text, const char *const *options, const int64_t *expected_ns, size_t count)
{
    write_trace(text);
    struct arrivals arrivals = open_arrivals("trace", options, 1);
    assert_starts(&arrivals, expected_ns, count);
    assert_int_equal(next_status(&arrivals), NAPM_END);
    assert_int_equal(next_status(&arrivals), NAPM_END);
    instance_close(arrivals.instance);
}

#define NUMBERS(...) ((const int64_t[]){__VA_ARGS__}), sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

static void trace_reads_the_first_column_in_seconds(void **state)
{
    (void)state;
    assert_trace("start\n0\n0.5\n0.5\n1.25\n", OPTIONS("file", trace_path),
                 NUMBERS(0, 500000000, 500000000, 1250000000));
    assert_trace("start,note\r\n1e-3,x\r\n+2.5E+1,\r\n", OPTIONS("file", trace_path), NUMBERS(1000000, 25000000000));
    assert_trace("\xef\xbb\xbfstart\n7", OPTIONS("file", trace_path), NUMBERS(7000000000));
    assert_trace("start\n.5\n1.\n\n\n", OPTIONS("file", trace_path), NUMBERS(500000000, 1000000000));
}

static void trace_reads_a_named_column_in_its_unit(void **state)
{
    (void)state;
    const char *text = "device, at ,\"who, where\"\npi1, 3 ,\"a, \"\"b\"\"\"\npi2,7.4,\n\"pi3\",\"9\",x\n";
    assert_trace(text, TRACE("column", "at", "unit", "ms"), NUMBERS(3000000, 7400000, 9000000));
    assert_trace(text, TRACE("column", "at", "unit", "us"), NUMBERS(3000, 7400, 9000));
    assert_trace(text, TRACE("column", "at", "unit", "ns"), NUMBERS(3, 7, 9));
}

static void trace_keeps_dates_to_the_nanosecond(void **state)
{
    (void)state;
    const char *text = "t\n1700000000.123456789\n1700000000.1234567894\n1700000000.1234567895\n";
    assert_trace(text, OPTIONS("file", trace_path),
                 NUMBERS(1700000000123456789, 1700000000123456789, 1700000000123456790));
    assert_trace(text, TRACE("from_first", "true"), NUMBERS(0, 0, 1));
}

static void trace_scales_and_repeats(void **state)
{
    (void)state;
    assert_trace("t\n2\n4\n", TRACE("scale", "0.5", "unit", "ns"), NUMBERS(1, 2));
    write_trace("t\n1\n2\n5\n");
    struct arrivals arrivals = open_arrivals("trace", TRACE("repeat", "true", "unit", "us"), 1);
    assert_int_equal(mean_interval_ns(&arrivals), 2000);
    assert_starts(&arrivals, NUMBERS(1000, 2000, 5000, 8000, 9000, 12000, 15000, 16000, 19000));
    instance_close(arrivals.instance);
}

static void trace_that_repeats_ends_where_the_clock_does(void **state)
{
    (void)state;
    write_trace("t\n0\n3000000000\n");
    struct arrivals arrivals = open_arrivals("trace", TRACE("repeat", "true"), 1);
    assert_starts(&arrivals, NUMBERS(0, 3000000000000000000, 6000000000000000000, 9000000000000000000));
    assert_int_equal(next_status(&arrivals), NAPM_END);
    assert_int_equal(next_status(&arrivals), NAPM_END);
    instance_close(arrivals.instance);
}

static void assert_bad_trace(const char *text, const char *expected)
{
    char with_file[128];
    write_trace(text);
    snprintf(with_file, sizeof(with_file), "%s:%s", trace_path, expected);
    assert_refused("trace", OPTIONS("file", trace_path), with_file);
}

static void bad_traces_are_refused_with_line_and_remedy(void **state)
{
    (void)state;
    assert_bad_trace("", "1: the file is empty");
    assert_bad_trace("start\n", "2: there are no start times");
    assert_bad_trace("0\n1\n", "1: the first line holds a number");
    assert_bad_trace("start\n1\ntwo\n", "3: 'two' is no start time");
    assert_bad_trace("start\n1 s\n", "2: '1 s' is no start time");
    assert_bad_trace("start\n0x10\n", "2: '0x10' is no start time");
    assert_bad_trace("start\nnan\n", "2: 'nan' is no start time");
    assert_bad_trace("start\n1e\n", "2: '1e' is no start time");
    assert_bad_trace("start\n.\n", "2: '.' is no start time");
    assert_bad_trace("start\n-1\n", "2: the start time '-1' is negative");
    assert_bad_trace("start\n2\n1\n", "3: the start time '1' is before that of the line above; sort");
    assert_bad_trace("start\n1e10\n", "2: the start time '1e10' is beyond 292 years; check the option 'unit'");
    assert_bad_trace("start\n1e999999999999\n", "2: the start time '1e999999999999' is beyond");
    assert_bad_trace("start,b\n1\n", "2: the line has 1 fields where the first line has 2");
    assert_bad_trace("start\n1,2\n", "2: the line has 2 fields where the first line has 1");
    assert_bad_trace("start,b\n,2\n", "2: the start time is missing");
    assert_bad_trace("start\n1\n\n2\n", "3: the line is empty; remove it");
    assert_bad_trace("start\n\"1\n", "2: a quoted field is not closed");
    assert_bad_trace("start\n\"1\"x\n", "2: text follows a closing quote");
    assert_bad_trace("start\n1\"\n", "2: a quote stands within");
    assert_bad_trace("start\n1\r2\n", "2: there is a control character");
    assert_bad_trace("start\n99999999999999999999999999999999999999999999999999x\n",
                     "2: '9999999999999999999999999999999999999999...'");
}

static void bad_trace_options_are_refused(void **state)
{
    (void)state;
    write_trace("start,end\n1,2\n");
    assert_refused("trace", NULL, "file");
    assert_refused("trace", OPTIONS("file", "/nowhere/trace.csv"), "/nowhere/trace.csv: cannot be read");
    assert_refused("trace", OPTIONS("file", "/dev/null"), "/dev/null: cannot be read: it is not a regular file");
    assert_refused("trace", TRACE("column", "begin"), ":1: there is no column named 'begin'");
    assert_refused("trace", TRACE("unit", "min"), "unit");
    assert_refused("trace", TRACE("scale", "0"), "scale");
    assert_refused("trace", TRACE("repeat", "true"), "cannot repeat");
    write_trace("start,start\n1,2\n");
    assert_refused("trace", TRACE("column", "start"), ":1: there are two columns named 'start'");
    write_trace("start\n9000000000\n");
    assert_refused("trace", TRACE("scale", "1000"), "set a smaller 'scale'");
}

static void a_long_trace_is_read_quickly_and_whole(void **state)
{
    (void)state;
    enum { STARTS = 300000 };
    FILE *file = fopen(trace_path, "wb");
    assert_non_null(file);
    fputs("start\n", file);
    for (int i = 0; i < STARTS; i++)
        fprintf(file, "%d.%03d\n", i / 1000, i % 1000);
    assert_int_equal(fclose(file), 0);
    struct arrivals arrivals = open_arrivals("trace", OPTIONS("file", trace_path), 1);
    for (int64_t i = 0; i < STARTS; i++)
        assert_int_equal(next_start(&arrivals), i * 1000000);
    assert_int_equal(mean_interval_ns(&arrivals), 1000000);
    instance_close(arrivals.instance);
}

/* ---- stress */

struct level {
    int64_t from_ns;
    double cpu_share;
    uint64_t memory_bytes;
};

static void assert_levels(const char *const *options, const struct level *expected, size_t count, bool ends)
{
    struct error error = {0};
    struct napm_loadgen_stress calls;
    struct napm_stress_level level = {.size = sizeof(level)};
    struct instance *instance = builtin_instance(catalogue, NAPM_KIND_LOADGEN, "stress", options, 1, &error);
    if (!instance)
        fail_msg("%s", error.text);
    assert_int_equal(instance_extension(instance, NAPM_LOADGEN_STRESS, &calls, sizeof(calls)), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(calls.next(instance->self, &level), NAPM_OK);
        assert_int_equal(level.from_ns, expected[i].from_ns);
        assert_true(level.cpu_share == expected[i].cpu_share);
        assert_int_equal(level.memory_bytes, expected[i].memory_bytes);
    }
    if (ends)
        assert_int_equal(calls.next(instance->self, &level), NAPM_END);
    instance_close(instance);
}

static void stress_is_constant_or_switched_on_and_off(void **state)
{
    (void)state;
    const struct level constant[] = {{0, 0.75, 1 << 20}};
    assert_levels(OPTIONS("cpu", "0.75", "memory", "1MiB"), constant, 1, true);
    assert_levels(OPTIONS("cpu", "0.75", "memory", "1MiB", "period", "1s", "duty", "1"), constant, 1, true);
    const struct level nothing[] = {{0, 0, 0}};
    assert_levels(OPTIONS("cpu", "0.75", "period", "1s", "duty", "0"), nothing, 1, true);
    const struct level waves[] = {{0, 2, 0},
                                  {250 * NS_PER_MS, 0, 0},
                                  {1000 * NS_PER_MS, 2, 0},
                                  {1250 * NS_PER_MS, 0, 0},
                                  {2000 * NS_PER_MS, 2, 0}};
    assert_levels(OPTIONS("cpu", "2", "period", "1s", "duty", "0.25"), waves, 5, false);
}

static void stress_refuses_what_is_no_load(void **state)
{
    (void)state;
    assert_refused("stress", NULL, "set cpu, memory, or both");
    assert_refused("stress", OPTIONS("cpu", "1", "period", "1us"), "too short");
    assert_refused("stress", OPTIONS("cpu", "-1"), "cpu");
}

static void extensions_tell_what_a_generator_does(void **state)
{
    (void)state;
    struct error error;
    struct napm_loadgen_stress stress;
    struct napm_loadgen_arrivals arrivals;
    struct instance *instance =
        builtin_instance(catalogue, NAPM_KIND_LOADGEN, "stress", OPTIONS("cpu", "1"), 1, &error);
    assert_int_equal(instance_extension(instance, NAPM_LOADGEN_ARRIVALS, &arrivals, sizeof(arrivals)), -1);
    instance_close(instance);
    instance = builtin_instance(catalogue, NAPM_KIND_LOADGEN, "closed-loop", NULL, 1, &error);
    assert_int_equal(instance_extension(instance, NAPM_LOADGEN_STRESS, &stress, sizeof(stress)), -1);
    instance_close(instance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(periodic_starts_are_exact),
        cmocka_unit_test(periodic_jitter_stays_in_its_share_and_does_not_add_up),
        cmocka_unit_test(periodic_ends_where_the_clock_does),
        cmocka_unit_test(periodic_needs_a_period),
        cmocka_unit_test(poisson_intervals_have_the_mean_and_spread_of_an_exponential),
        cmocka_unit_test(poisson_repeats_with_its_seed),
        cmocka_unit_test(closed_loop_waits_for_the_end_of_a_task),
        cmocka_unit_test(closed_loop_keeps_several_in_flight_and_thinks_between),
        cmocka_unit_test(trace_reads_the_first_column_in_seconds),
        cmocka_unit_test(trace_reads_a_named_column_in_its_unit),
        cmocka_unit_test(trace_keeps_dates_to_the_nanosecond),
        cmocka_unit_test(trace_scales_and_repeats),
        cmocka_unit_test(trace_that_repeats_ends_where_the_clock_does),
        cmocka_unit_test(bad_traces_are_refused_with_line_and_remedy),
        cmocka_unit_test(bad_trace_options_are_refused),
        cmocka_unit_test(a_long_trace_is_read_quickly_and_whole),
        cmocka_unit_test(stress_is_constant_or_switched_on_and_off),
        cmocka_unit_test(stress_refuses_what_is_no_load),
        cmocka_unit_test(extensions_tell_what_a_generator_does),
    };
    return cmocka_run_group_tests(tests, open_catalogue, close_catalogue) != 0;
}
