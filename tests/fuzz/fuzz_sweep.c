/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reader of sweep files and regression suites: a text is read, and then its points and their labels hold
 * together, or is refused as the user's mistake. For a campaign see fuzz_scenario.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/sweep/definition.h"
#include "tests/fuzz/fuzz_target.h"

#define MOST_LABELS 100

/* libconfig 1.5 itself loses the empty texts of a file that it then refuses. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so\n";
}

/* Scenarios are only looked at for their digest: any file serves. */
#define SCENARIO "/proc/self/exe"

static const char *const seeds[] = {
    "name = \"rates\"; scenario = \"" SCENARIO "\"; set = (\"world=sim\"); repeat = 5; seed = 3;\n"
    "variants = ( { name = \"idle\"; }, { name = \"loaded\"; set = (\"nodes.pi.cpu=0.05\", \"a=b\"); } );\n"
    "grid = ( { path = \"links.pi.rate\"; values = (\"2Mbit\", \"8Mbit\"); },\n"
    "  { path = (\"links.pi.delay\", \"partitioner.plugin\"); values = ((\"1ms\", \"x\"), (\"2ms\", \"y\")); },\n"
    "  { path = \"nodes.pi.cpu\"; values = (0.1, 1, true, 5000000000L); } );\n",
    "scenarios = ( \"" SCENARIO "\", \"" SCENARIO "\" ); set = \"seed=1\"; repeat = 1000000;\n"
    "metrics = ( { metric = \"mean_delay\"; tolerance = \"2%\"; }, { metric = \"lost_tasks\"; tolerance = 0; } );\n",
    "scenario : \"" SCENARIO "\" grid : ( { path : \"a.plugin\", values : ( \"\" ) }, { path : \"b.plugin\", "
    "values : ( -1 ) }, { path : \"c.plugin\", values : ( 0x7FL, 1e300 ) } ) // end\n",
    "a = ((((((((1, [2]), {b = 3e4;}), \"\\x41\\n\" \"c\"), -0x7FL), 99999999999), true), 1.5), ());\n",
};

uint8_t *fuzz_seed(unsigned index, size_t *size)
{
    if (index >= sizeof(seeds) / sizeof(*seeds))
        return NULL;
    *size = strlen(seeds[index]);
    return (uint8_t *)text_copy(seeds[index]);
}

static void check_sweep(const struct sweep *sweep)
{
    if (!sweep->name || !sweep->point_count || sweep->point_count > SWEEP_MOST_POINTS || !sweep->scenario_count)
        abort();
    for (size_t i = 0; i < sweep->point_count; i += 1 + sweep->point_count / MOST_LABELS) {
        const struct sweep_point *point = &sweep->points[i];
        if (point->varied_from > point->setting_count)
            abort();
        for (size_t k = 0; k < point->setting_count; k++)
            if (!strchr(point->settings[k], '='))
                abort();
        char *label = sweep_point_label(sweep, point);
        if (!*label)
            abort();
        free(label);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    for (int suite = 0; suite < 2; suite++) {
        struct error error = {0};
        struct sweep *sweep = sweep_open(fuzz_file(bytes, size), suite, &error);
        if (sweep)
            check_sweep(sweep);
        else if (error.kind != ERROR_INPUT || !error.text[0])
            abort();
        sweep_close(sweep);
    }
    return 0;
}
