/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reader of scenario files, with the overrides that stand in "# --set path=value" lines at its end: a text is read, and
 * then keeps what its users rely on, or is refused as the user's mistake. In a tree built with clang and
 * --enable-sanitizers, for a campaign:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I$top_srcdir -I$top_srcdir/sdk/include \
 *     $top_srcdir/tests/fuzz/fuzz_scenario.c $top_srcdir/tests/fuzz/fuzz_file.c core/.libs/libnapm.a \
 *     core/.libs/libnapm-node.a LIBRARIES -o fuzz_scenario_campaign
 *   mkdir corpus && tests/fuzz/fuzz_scenario --corpus corpus && ./fuzz_scenario_campaign corpus
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/scenario/recorded.h"
#include "models/zoo.h"
#include "tests/fuzz/fuzz_target.h"

/* libconfig 1.5 itself loses the empty texts of a file that it then refuses. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so\n";
}

/* ---- a model for the seeds to name */

static char zoo_path[] = "/tmp/napm-fuzz-XXXXXX";

static void remove_model(void)
{
    unlink(zoo_path);
}

static const char *model(void)
{
    static int made;
    struct error error;
    if (made++)
        return zoo_path;
    int fd = mkstemp(zoo_path);
    if (fd < 0 || close(fd) != 0 || zoo_write("tiny-cnn", 1, zoo_path, &error) != 0)
        abort();
    atexit(remove_model);
    return zoo_path;
}

static const char *const seeds[] = {
    "name = \"a\"; seed = 3L;\n"
    "nodes = ( { name = \"station\"; role = \"station\"; workers = 2; memory = \"64MiB\"; },\n"
    "  { name = \"pi\"; count = 2; cpu = 0.5; threads = 2; stress = { plugin = \"s\"; cpu = 1; }; },\n"
    "  { name = \"fast\"; memory = \"1GiB\"; backend = { plugin = \"b\"; x = true; }; } );\n"
    "links = ( { from = \"pi\"; rate = \"20Mbit\"; delay = \"2ms\"; jitter = \"1us\"; loss = \"1%\"; repair = "
    "\"9ms\";\n"
    "    medium = \"wifi\"; down = { rate = \"1GB/s\"; }; }, { from = \"fast\"; to = \"station\"; } );\n"
    "streams = ( { device = \"pi\"; model = \"MODEL\"; tasks = 5; arrivals = { plugin = \"p\"; period = \"100ms\"; };\n"
    "    deadline = \"1s\"; priority = -2; result = \"stay\"; } );\n"
    "backend = { plugin = \"r\"; }; partitioner = { plugin = \"g\"; slack = 0.25; }; scheduler = { plugin = \"f\"; };\n"
    "profile = { warmups = 1; repeats = 2; }; run = { warmup_tasks = 1; time_limit = \"1min\"; sample_every = 0; };\n"
    "# --set nodes.pi1.cpu=0.25\n# --set nodes.pi.count=3\n# --set scheduler.plugin=other\n# --set seed=5000000000\n",
    "/* one */ nodes : ( { name : \"s\", role : \"station\" }, { name : \"d\" } )\n"
    "links : ( { from : \"d\" } ) streams : ( { device : \"d\", model : \"MODEL\", tasks : 0x10,\n"
    "  inputs : [ \"a.npy\" \"b\" ], arrivals : { plugin : \"p\" } } ) // two\n"
    "backend : { plugin : \"r\" } partitioner : { plugin : \"g\" } scheduler : { plugin : \"f\" }\n"
    "# --set streams.0.input=x.bin\n# --set streams.d.record=1\n# --set links.0.down.delay=5ms\n",
    "@include \"x\"\n",
    "a = ((((((((1, [2]), {b = 3e4;}), \"\\x41\\n\" \"c\"), -0x7FL), 99999999999), true), 1.5), ());\n",
};

uint8_t *fuzz_seed(unsigned index, size_t *size)
{
    if (index >= sizeof(seeds) / sizeof(*seeds))
        return NULL;
    const char *at = strstr(seeds[index], "MODEL");
    char *text = at ? text_format("%.*s%s%s", (int)(at - seeds[index]), seeds[index], model(), at + strlen("MODEL"))
                    : text_copy(seeds[index]);
    *size = strlen(text);
    return (uint8_t *)text;
}

/* ---- the target */

static void check_scenario(const struct scenario *scenario)
{
    if (scenario->node_count < 2 || scenario->station >= scenario->node_count || !scenario->link_count ||
        !scenario->nodes[scenario->station].is_station || !scenario->scheduler.name || !scenario->partitioner.name)
        abort();
    for (uint32_t i = 0; i < scenario->stream_count; i++) {
        const struct scenario_stream *stream = &scenario->streams[i];
        if (stream->device >= scenario->node_count || stream->device == scenario->station ||
            stream->link >= scenario->link_count || scenario->links[stream->link].device != stream->device ||
            stream->model >= scenario->model_count || stream->task_count <= scenario->warmup_tasks)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct error error = {0};
    char *text = text_format("%.*s", (int)size, (const char *)bytes);
    struct recorded_overrides overrides;
    recorded_overrides_read(&overrides, text);
    struct scenario *scenario =
        scenario_open(fuzz_file(bytes, size), overrides.all.items, overrides.all.count, NULL, &error);
    if (scenario)
        check_scenario(scenario);
    else if (error.kind != ERROR_INPUT || !error.text[0])
        abort();
    scenario_close(scenario);
    recorded_overrides_free(&overrides);
    free(text);
    return 0;
}
