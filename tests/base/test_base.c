/* SPDX-License-Identifier: Apache-2.0 */
/* The base room: units, statistics, random numbers, near names, files, errors. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/lock.h"
#include "core/base/memory.h"
#include "core/base/nearest.h"
#include "core/base/program.h"
#include "core/base/random.h"
#include "core/base/stats.h"
#include "core/base/units.h"

static void durations_are_read_with_their_units(void **state)
{
    (void)state;
    struct error error = {0};
    int64_t ns = -1;
    assert_int_equal(units_parse_duration_ns("5ms", &ns, &error), 0);
    assert_int_equal(ns, 5000000);
    assert_int_equal(units_parse_duration_ns("1.5 s", &ns, &error), 0);
    assert_int_equal(ns, 1500000000);
    assert_int_equal(units_parse_duration_ns("0", &ns, &error), 0);
    assert_int_equal(ns, 0);
}

static void powers_are_read_and_energies_shown_with_their_units(void **state)
{
    (void)state;
    double watts;
    char text[UNITS_TEXT_BYTES];
    struct error error;
    assert_int_equal(units_parse_power_w("2.7W", &watts, &error), 0);
    assert_true(watts == 2.7);
    assert_int_equal(units_parse_power_w("500 mW", &watts, &error), 0);
    assert_true(watts == 0.5);
    assert_int_equal(units_parse_power_w("2.7", &watts, &error), -1);
    assert_non_null(strstr(error.text, "mW W kW"));
    assert_string_equal(units_format_energy(text, 0.01234), "12.3 mJ");
}

static void a_bare_number_is_refused_with_the_units_named(void **state)
{
    (void)state;
    struct error error = {0};
    int64_t ns;
    uint64_t bytes;
    double rate;
    assert_int_equal(units_parse_duration_ns("5", &ns, &error), -1);
    assert_non_null(strstr(error.text, "has no unit"));
    assert_non_null(strstr(error.text, "ms"));
    assert_int_equal(units_parse_duration_ns("-5ms", &ns, &error), -1);
    assert_int_equal(units_parse_duration_ns("nan", &ns, &error), -1);
    assert_int_equal(units_parse_duration_ns("1e300 s", &ns, &error), -1);
    assert_int_equal(units_parse_size_bytes("4Gib", &bytes, &error), -1);
    assert_int_equal(units_parse_rate("20Mb", &rate, &error), -1);
    assert_int_equal(error.kind, ERROR_INPUT);
}

static void sizes_rates_and_shares_are_read(void **state)
{
    (void)state;
    struct error error = {0};
    uint64_t bytes;
    double value;
    assert_int_equal(units_parse_size_bytes("5GiB", &bytes, &error), 0);
    assert_true(bytes == UINT64_C(5) << 30);
    assert_int_equal(units_parse_rate("20Mbit", &value, &error), 0);
    assert_true(value == 2.5e6);
    assert_int_equal(units_parse_share("25%", &value, &error), 0);
    assert_true(value == 0.25);
}

static void quantities_are_written_for_people(void **state)
{
    (void)state;
    char buffer[UNITS_TEXT_BYTES];
    assert_string_equal(units_format_duration(buffer, 1530000), "1.53 ms");
    assert_string_equal(units_format_duration(buffer, 999999), "1.00 ms");
    assert_string_equal(units_format_size(buffer, 65536), "64.0 KiB");
    assert_string_equal(units_format_rate(buffer, 2.5e6), "20.0 Mbit/s");
    assert_string_equal(units_format_duration(buffer, 0), "0 ns");
}

static void quantiles_interpolate(void **state)
{
    (void)state;
    double v[] = {4, 1, 3, 2};
    stats_sort(v, 4);
    assert_true(stats_quantile_sorted(v, 4, 0.5) == 2.5);
    assert_true(stats_quantile_sorted(v, 4, 1) == 4);
    assert_true(stats_mean(v, 4) == 2.5);
    assert_true(stats_variance(v, 4) == 1.25);
    int64_t t[] = {9, 1, 5};
    assert_int_equal(stats_median_ns(t, 3), 5);
}

static void the_same_seed_gives_the_same_numbers_and_names_keep_users_apart(void **state)
{
    (void)state;
    struct random a, b, c;
    random_seed(&a, 7, "x");
    random_seed(&b, 7, "x");
    random_seed(&c, 7, "y");
    int equal = 0;
    double sum = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t n = random_bits(&a);
        assert_true(n == random_bits(&b));
        equal += n == random_bits(&c);
        sum += random_unit(&a);
        random_unit(&b);
    }
    assert_int_equal(equal, 0);
    assert_true(sum > 450 && sum < 550);
}

static void a_mistyped_name_finds_its_neighbour(void **state)
{
    (void)state;
    const char *const names[] = {"partitioner", "scheduler", "seed", "rr"};
    assert_string_equal(nearest_name("partitoner", names, 4), "partitioner");
    assert_string_equal(nearest_name("shceduler", names, 4), "scheduler");
    assert_null(nearest_name("banana", names, 4));
    const char *const operators[] = {"Reshape", "Relu", "Resize"};
    assert_null(nearest_name("Resize", operators, 2)); /* another word, not a slip */
    assert_string_equal(nearest_name("Resise", operators, 3), "Resize");
}

static void a_file_is_written_whole_and_mapped(void **state)
{
    (void)state;
    struct error error = {0};
    char path[] = "test_base.XXXXXX";
    close(mkstemp(path));
    struct file_map map;
    assert_int_equal(file_map(path, &map, &error), 0);
    assert_int_equal(map.size, 0);
    assert_int_equal(file_write_atomically(path, "hello", 5, &error), 0);
    assert_int_equal(file_map(path, &map, &error), 0);
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.bytes, "hello", 5);
    file_unmap(&map);
    unlink(path);
    assert_int_equal(file_map(path, &map, &error), -1);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(file_map("/", &map, &error), -1);
}

static void what_is_replaced_by_a_file_is_only_a_file(void **state)
{
    (void)state;
    struct error error = {0};
    char folder[] = "test_base.XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = text_format("%s/file", folder), *link = text_format("%s/link", folder),
         *pipe = text_format("%s/pipe", folder);
    struct stat st;
    assert_int_equal(file_write_atomically(path, "old", 3, &error), 0);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(file_write_atomically(link, "new one", 7, &error), 0);
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    assert_true(stat(path, &st) == 0 && st.st_size == 7);

    assert_int_equal(mkfifo(pipe, 0600), 0);
    int end = open(pipe, O_RDONLY | O_NONBLOCK);
    char text[8] = "";
    assert_int_equal(file_write_atomically(pipe, "through", 7, &error), 0);
    assert_int_equal(read(end, text, 7), 7);
    assert_string_equal(text, "through");
    assert_true(lstat(pipe, &st) == 0 && S_ISFIFO(st.st_mode));
    close(end);

    assert_int_equal(file_write_atomically(folder, "x", 1, &error), -1);
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_non_null(strstr(error.text, folder));
    if (stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode)) {
        /* By a link, and after the pipe has shown that such things stay: else the machine's own might be replaced. */
        unlink(link);
        assert_int_equal(symlink("/dev/full", link), 0);
        assert_int_equal(file_write_atomically(link, "x", 1, &error), -1);
        assert_int_equal(error.kind, ERROR_RUN);
        assert_non_null(strstr(error.text, "No space left"));
    }
    unlink(link);
    unlink(pipe);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing is left beside them */
    free(path);
    free(link);
    free(pipe);
}

static void errors_carry_their_place(void **state)
{
    (void)state;
    struct error error = {0};
    error_set(&error, ERROR_INPUT, "bad %d", 3);
    error_prefix(&error, "%s:%d", "f.cfg", 9);
    error_append(&error, "; try 4");
    assert_string_equal(error.text, "f.cfg:9: bad 3; try 4");
}

/* Takes the lock for 100 ms, in another process that says so through the pipe. */
static pid_t hold(const char *path, int said)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    int lock = lock_take(path, 0, NULL, NULL);
    if (lock < 0 || write(said, "x", 1) != 1)
        _exit(1);
    clock_sleep_until_ns(clock_now_ns() + 100 * NS_PER_MS);
    _exit(0); /* which gives it back */
}

static void a_lock_is_one_process_s_at_a_time(void **state)
{
    (void)state;
    char path[] = "/tmp/napm-lock-XXXXXX", said;
    struct error error = {0};
    int pipe_ends[2], status;
    close(mkstemp(path));
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = hold(path, pipe_ends[1]);
    assert_int_equal(read(pipe_ends[0], &said, 1), 1);
    assert_int_equal(lock_take(path, NS_PER_MS, NULL, &error), -1);
    assert_non_null(strstr(error.text, path));
    const atomic_bool cancelled = true;
    assert_int_equal(lock_take(path, NS_PER_S, &cancelled, &error), -1);
    assert_int_equal(error.kind, ERROR_CANCELLED);
    int lock = lock_take(path, 10 * NS_PER_S, NULL, &error);
    assert_true(lock >= 0);
    lock_release(lock);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    unlink(path);
}

static void lingering_takes_time_and_the_processor(void **state)
{
    (void)state;
    int64_t began_ns = clock_now_ns(), used_ns = clock_thread_cpu_ns();
    for (int i = 0; i < 100; i++)
        clock_linger();
    used_ns = clock_thread_cpu_ns() - used_ns;
    assert_true(clock_now_ns() - began_ns > 100 * NS_PER_US);
    assert_true(used_ns > 100 * NS_PER_US); /* awake */
}

static void a_program_is_run_without_a_shell_and_not_for_ever(void **state)
{
    (void)state;
    struct error error = {0};
    char *said;
    const char *const echo[] = {"echo", "$(hi) there", NULL}, *const fail[] = {"ls", "/no such", NULL},
                      *const sleep[] = {"sleep", "100", NULL}, *const none[] = {"napm-no-such-program", NULL};
    assert_int_equal(program_run(echo, 10 * NS_PER_S, &said, &error), 0);
    assert_string_equal(said, "$(hi) there\n");
    free(said);
    assert_int_equal(program_run(fail, 10 * NS_PER_S, NULL, &error), -1);
    assert_non_null(strstr(error.text, "ls failed: "));
    assert_non_null(strstr(error.text, "/no such"));
    int64_t began_ns = clock_now_ns();
    assert_int_equal(program_run(sleep, 50 * NS_PER_MS, NULL, &error), -1);
    assert_true(clock_now_ns() - began_ns < 10 * NS_PER_S);
    assert_int_equal(program_run(none, NS_PER_S, NULL, &error), -1);
    assert_non_null(strstr(error.text, "napm-no-such-program"));
    assert_int_equal(error.kind, ERROR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_with_their_units),
        cmocka_unit_test(powers_are_read_and_energies_shown_with_their_units),
        cmocka_unit_test(a_bare_number_is_refused_with_the_units_named),
        cmocka_unit_test(sizes_rates_and_shares_are_read),
        cmocka_unit_test(quantities_are_written_for_people),
        cmocka_unit_test(quantiles_interpolate),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers_and_names_keep_users_apart),
        cmocka_unit_test(a_mistyped_name_finds_its_neighbour),
        cmocka_unit_test(a_file_is_written_whole_and_mapped),
        cmocka_unit_test(what_is_replaced_by_a_file_is_only_a_file),
        cmocka_unit_test(errors_carry_their_place),
        cmocka_unit_test(a_lock_is_one_process_s_at_a_time),
        cmocka_unit_test(lingering_takes_time_and_the_processor),
        cmocka_unit_test(a_program_is_run_without_a_shell_and_not_for_ever),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL) != 0;
}
