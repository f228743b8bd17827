/* SPDX-License-Identifier: Apache-2.0 */
/* Warnings: what differs from the request is told, what is the probe's own noise is not, and a cause is told once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cli/report_parts.h"
#include "core/link/link.h"

/* Of the other half of the report. */
bool report_has_tasks(const struct run_summary *summary)
{
    (void)summary;
    return true;
}

static size_t warnings_of_delays(int64_t asked_ns, int64_t achieved_ns, int64_t jitter_ns)
{
    struct link_summary link = {.name = (char[]){"pi1"},
                                .direction = (char[]){"up"},
                                .requested_delay_ns = asked_ns,
                                .achieved_delay_ns = achieved_ns,
                                .jitter_ns = jitter_ns};
    struct run_summary summary = {.head.status = (char[]){"done"}, .links = &link, .link_count = 1};
    struct report_warnings warnings = report_warnings(&summary);
    size_t count = warnings.count;
    report_warnings_free(&warnings);
    return count;
}

static void a_delay_is_warned_of_beyond_5_percent_and_the_probes_resolution(void **state)
{
    (void)state;
    const int64_t resolution_ns = LINK_PROBE_RESOLUTION_NS;
    assert_int_equal(warnings_of_delays(1000000, 1000000 + resolution_ns - 1, 0), 0); /* 50 % off, and only noise */
    assert_int_equal(warnings_of_delays(1000000, 1000000 + resolution_ns + 1, 0), 1);
    assert_int_equal(warnings_of_delays(0, resolution_ns - 1, 0), 0);
    assert_int_equal(warnings_of_delays(0, resolution_ns + 1, 0), 1);
    assert_int_equal(warnings_of_delays(100000000, 104900000, 0), 0); /* more than noise, and less than 5 % */
    assert_int_equal(warnings_of_delays(100000000, 105100000, 0), 1);
    assert_int_equal(warnings_of_delays(100000000, 94000000, 0), 1);
    assert_int_equal(warnings_of_delays(100000000, 105100000, 6000000), 0); /* asked to be random */
}

static void a_cause_that_the_run_has_told_is_not_told_again(void **state)
{
    (void)state;
    struct node_summary node = {.name = (char[]){"pi1"}, .lost_cause = (char[]){"node pi1 is gone: killed"}};
    struct cause_summary causes[2] = {
        {.stream = (char[]){"pi1"}, .cause = (char[]){"node pi1 is gone: killed"}, .tasks = 3},
        {.stream = (char[]){"pi2"}, .cause = (char[]){"no memory"}, .tasks = 1}};
    struct run_summary summary = {.head.status = (char[]){"failed"},
                                  .head.cause = (char[]){"lost in mid-run: node pi1 is gone: killed"},
                                  .nodes = &node,
                                  .node_count = 1,
                                  .causes = causes,
                                  .cause_count = 2};
    struct report_warnings warnings = report_warnings(&summary);
    assert_int_equal(warnings.count, 2);
    assert_string_equal(warnings.items[0], "3 tasks of pi1 have failed because of that");
    assert_string_equal(warnings.items[1], "1 task of pi2 has failed: no memory");
    report_warnings_free(&warnings);
}

static void times_that_were_not_measured_are_told_once_for_each_origin(void **state)
{
    (void)state;
    struct node_summary nodes[] = {{.name = (char[]){"station"}, .backend = (char[]){"reference 1.0"}},
                                   {.name = (char[]){"pi1"}, .backend = (char[]){"replay 1.0.0 (estimated)"}},
                                   {.name = (char[]){"pi2"}, .backend = (char[]){"replay 1.0.0 (recorded)"}},
                                   {.name = (char[]){"pi3"}, .backend = (char[]){"replay 1.0.0 (estimated)"}},
                                   {.name = (char[]){"pi4"}}};
    struct run_summary summary = {.head.status = (char[]){"done"}, .nodes = nodes, .node_count = 5};
    struct report_warnings warnings = report_warnings(&summary);
    assert_int_equal(warnings.count, 2);
    assert_string_equal(warnings.items[0],
                        "the layer times of pi1 and 1 more are estimated, not measured (replay 1.0.0)");
    assert_string_equal(warnings.items[1], "the layer times of pi2 are recorded, not measured (replay 1.0.0)");
    report_warnings_free(&warnings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delay_is_warned_of_beyond_5_percent_and_the_probes_resolution),
        cmocka_unit_test(a_cause_that_the_run_has_told_is_not_told_again),
        cmocka_unit_test(times_that_were_not_measured_are_told_once_for_each_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
