/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged trace files: read, or refused with file and line; never a crash, never times that go back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plugins/loadgen/trace_csv.h"
#include "tests/fuzz/fuzz.h"

static size_t accepted, refused;

static void read_trace(const uint8_t *bytes, size_t size)
{
    static const char *const columns[] = {"", "at", "who, where"};
    char error[TRACE_CSV_ERROR_BYTES];
    for (size_t i = 0; i < 3; i++) {
        struct trace_csv_format format = {"damaged.csv", columns[i], (int)(3 * (size % 4))};
        int64_t *times_ns, last_ns = 0;
        size_t count;
        memset(error, 'x', sizeof(error));
        if (trace_csv_read((const char *)bytes, size, &format, &times_ns, &count, error) == 0) {
            assert_true(count > 0);
            for (size_t k = 0; k < count; k++) {
                assert_true(times_ns[k] >= last_ns);
                last_ns = times_ns[k];
            }
            accepted++;
        } else {
            assert_null(times_ns);
            assert_int_equal(count, 0);
            assert_non_null(memchr(error, '\0', sizeof(error)));
            assert_memory_equal(error, "damaged.csv:", strlen("damaged.csv:"));
            refused++;
        }
        free(times_ns);
    }
}

static void damaged_traces_are_read_or_refused(void **state)
{
    (void)state;
    static const char plain[] = "start\n0\n0.5\n1.25\n1e1\n17.000000001\n";
    static const char columns[] =
        "device,at,\"who, where\"\r\npi1,1,\"0\"\r\npi2, 2.5 ,3\r\n\"pi\"\"3\",+4E+0,5.5\r\n\r\n";
    static const char dates[] = "\xef\xbb\xbft,at\n1700000000.123456789,1\n1700000001.5,99999999999999999999\n";
    const struct fuzz_input inputs[] = {
        {plain, sizeof(plain) - 1}, {columns, sizeof(columns) - 1}, {dates, sizeof(dates) - 1}, {"", 0}};
    fuzz(inputs, sizeof(inputs) / sizeof(inputs[0]), 100000, read_trace);
    assert_true(accepted > 1000); /* else the damage was too great to test anything but the first check */
    assert_true(refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_traces_are_read_or_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
