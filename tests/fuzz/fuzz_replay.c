/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reader of recorded layer times: a file is read, or refused with its name. In a built tree, for a campaign:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I$top_srcdir -I$top_srcdir/sdk/include \
 *     $top_srcdir/tests/fuzz/fuzz_replay.c $top_srcdir/plugins/backend/replay_times.c $top_srcdir/core/base/memory.c \
 *     -ljansson -lm -o fuzz_replay_campaign
 *   mkdir corpus && tests/fuzz/fuzz_replay --corpus corpus && ./fuzz_replay_campaign corpus
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "plugins/backend/replay_times.h"
#include "tests/fuzz/fuzz_target.h"

#define LAYERS 3
#define FILE_NAME "times.csv"

uint8_t *fuzz_seed(unsigned index, size_t *size)
{
    static const char *const seeds[] = {
        "layer,name,median_ns\n0,conv,1000\n1,pool,20\n2,fc,3000\n",
        "\xef\xbb\xbfname,note,time_us\r\n# measured\r\n\r\nfc,\"a, \"\"b\"\"\",3\r\n\"conv\",,1e0\r\npool,x,2.0",
        "model,layer,time_s\nm,0,0.1\nother,77,5\nm,1,1e-9\nff,2,3\n",
        "{\"model\": \"m\", \"layers\": [{\"layer\": 0, \"name\": \"conv\", \"time_ns\": 1000},"
        "{\"layer\": 1.0, \"time_ns\": 2000, \"share\": 0.3}, {\"name\": \"fc\", \"model\": \"m\", \"time_us\": 3}]}",
        "[{\"layer\": 0, \"time_us\": 1}, {\"layer\": 1, \"time_ms\": 0.002}, {\"layer\": 2, \"median_ns\": 3000}]",
    };
    if (index >= sizeof(seeds) / sizeof(*seeds))
        return NULL;
    *size = strlen(seeds[index]);
    return memory_copy(seeds[index], *size);
}

static void check_refusal(const char *error)
{
    if (!memchr(error, '\0', REPLAY_ERROR_BYTES) || strncmp(error, FILE_NAME ":", strlen(FILE_NAME) + 1) != 0)
        abort();
}

static void fit(const struct replay_times *times)
{
    static const struct napm_layer layers[LAYERS] = {{.name = "conv"}, {.name = "pool"}, {.name = "fc"}};
    static const struct napm_layer *const list[LAYERS] = {&layers[0], &layers[1], &layers[2]};
    static const struct napm_model model = {.name = "m", .hash = "ff", .layer_count = LAYERS, .layers = list};
    int64_t layer_ns[LAYERS];
    char error[REPLAY_ERROR_BYTES];
    memset(error, 'x', sizeof(error));
    if (replay_times_of_model(times, &model, layer_ns, error)) {
        check_refusal(error);
        return;
    }
    for (size_t i = 0; i < LAYERS; i++)
        if (layer_ns[i] < 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char error[REPLAY_ERROR_BYTES];
    char *text = memory_copy(bytes, size); /* of just this size: a sanitizer sees a byte read too many */
    memset(error, 'x', sizeof(error));
    struct replay_times *times = replay_times_parse(FILE_NAME, text, size, error);
    if (times)
        fit(times);
    else
        check_refusal(error);
    replay_times_free(times);
    free(text);
    return 0;
}
