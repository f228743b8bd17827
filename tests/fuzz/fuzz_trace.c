/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reader of trace files: they are read, or refused with file and line; never times that go back. In a built
 * tree, for a campaign:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -I$top_srcdir $top_srcdir/tests/fuzz/fuzz_trace.c \
 *     $top_srcdir/plugins/loadgen/trace_csv.c $top_srcdir/core/base/memory.c -D_GNU_SOURCE -o fuzz_trace_campaign
 *   mkdir corpus && tests/fuzz/fuzz_trace --corpus corpus && ./fuzz_trace_campaign corpus
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "plugins/loadgen/trace_csv.h"
#include "tests/fuzz/fuzz_target.h"

uint8_t *fuzz_seed(unsigned index, size_t *size)
{
    static const char *const seeds[] = {
        "start\n0\n0.5\n1.25\n1e1\n17.000000001\n",
        "device,at,\"who, where\"\r\npi1,1,\"0\"\r\npi2, 2.5 ,3\r\n\"pi\"\"3\",+4E+0,5.5\r\n\r\n",
        "\xef\xbb\xbft,at\n1700000000.123456789,1\n1700000001.5,99999999999999999999\n",
        "\n",
    };
    if (index >= sizeof(seeds) / sizeof(*seeds))
        return NULL;
    *size = strlen(seeds[index]);
    return memory_copy(seeds[index], *size);
}

static void check_times(const int64_t *times_ns, size_t count)
{
    int64_t last_ns = 0;
    for (size_t i = 0; i < count; i++) {
        if (times_ns[i] < last_ns)
            abort();
        last_ns = times_ns[i];
    }
    if (count == 0)
        abort();
}

static void check_refusal(const char *file, const int64_t *times_ns, size_t count, const char *error)
{
    if (times_ns || count || !memchr(error, '\0', TRACE_CSV_ERROR_BYTES) || strncmp(error, file, strlen(file)) != 0 ||
        error[strlen(file)] != ':')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char *const columns[] = {"", "at", "who, where"};
    char error[TRACE_CSV_ERROR_BYTES];
    char *text = memory_copy(bytes, size); /* of just this size: a sanitizer sees a byte read too many */
    for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
        struct trace_csv_format format = {"trace.csv", columns[i], (int)(3 * (size % 4))};
        int64_t *times_ns;
        size_t count;
        memset(error, 'x', sizeof(error));
        if (trace_csv_read(text, size, &format, &times_ns, &count, error))
            check_refusal(format.file, times_ns, count, error);
        else
            check_times(times_ns, count);
        free(times_ns);
    }
    free(text);
    return 0;
}
