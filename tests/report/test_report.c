/* SPDX-License-Identifier: Apache-2.0 */
/* A report's document of several runs: what varies, the points, their intervals; and the page around a document. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/stats.h"
#include "core/report/parts.h"

#define assert_near(value, expected, by) assert_true(fabs((value) - (expected)) <= (by))

/* ---- intervals ---- */

static void the_interval_of_the_mean_is_students(void **state)
{
    (void)state;
    const double two[] = {1, 3}, four[] = {1, 2, 3, 4};
    double many[100];
    for (size_t i = 0; i < 100; i++)
        many[i] = (double)(i % 2);
    assert_near(stats_mean_reach95(two, 2), 12.7062, 1e-3); /* t(1) * sqrt(2) / sqrt(2) */
    assert_near(stats_mean_reach95(four, 4), 3.182446 * sqrt(5.0 / 3) / 2, 1e-5);
    assert_near(stats_mean_reach95(many, 100), 1.984217 * sqrt(25.0 / 99) / 10, 1e-5);
    assert_true(isnan(stats_mean_reach95(two, 1)));
    assert_true(isnan(stats_mean_reach95(two, 0)));
}

/* ---- points ---- */

#define RUNS 6

struct fixture {
    struct run_summary runs[RUNS];
    struct report_entry entries[RUNS];
    char *texts[RUNS];
    json_t *document;
};

/* Three rates, each run with two seeds, under one partitioner. */
static struct fixture *three_rates(void)
{
    static char scenario[] = "x", world[] = "sim", partitioner[] = "greedy-delay 1.0", scheduler[] = "fifo 1.0",
                done[] = "done";
    static const char *const rates[] = {"2Mbit", "2Mbit", "4Mbit", "4Mbit", "\"16Mbit\"", "\"16Mbit\""};
    static const double means_ns[] = {40e6, 44e6, 20e6, 22e6, 10e6, 10e6};
    struct fixture *fixture = NEW(struct fixture);
    for (int i = 0; i < RUNS; i++) {
        struct run_summary *run = &fixture->runs[i];
        fixture->texts[i] = text_format("name = \"x\";\n# --set links.pi.rate=%s\n# --set seed=%d\n", rates[i], i);
        run->head = (struct run_head){.id = i + 1,
                                      .status = done,
                                      .scenario_name = scenario,
                                      .world = world,
                                      .partitioner = partitioner,
                                      .scheduler = scheduler,
                                      .ok = 10,
                                      .seed = (uint64_t)i};
        run->scenario_text = fixture->texts[i];
        run->node_count = 3;
        run->delay.mean_ns = means_ns[i];
        run->energy_j = run->predicted_energy_j = NAN;
        fixture->entries[i].summary = run;
    }
    return fixture;
}

static json_t *document_of(struct fixture *fixture, size_t count)
{
    fixture->document = json_object();
    report_add_points(fixture->document, fixture->entries, count);
    return fixture->document;
}

static void end(struct fixture *fixture)
{
    json_decref(fixture->document);
    for (int i = 0; i < RUNS; i++)
        free(fixture->texts[i]);
    free(fixture);
}

static double mean_of(const json_t *document, size_t point, const char *what)
{
    const json_t *metrics = json_object_get(json_array_get(json_object_get(document, "points"), point), "metrics");
    const json_t *figure = json_object_get(json_object_get(metrics, "mean_delay_ns"), what);
    return json_is_number(figure) ? json_number_value(figure) : NAN;
}

static void only_settings_that_differ_are_parameters(void **state)
{
    (void)state;
    struct fixture *fixture = three_rates();
    const json_t *parameters = json_object_get(document_of(fixture, RUNS), "parameters");
    assert_int_equal(json_array_size(parameters), 1);
    const json_t *rate = json_array_get(parameters, 0);
    assert_string_equal(json_string_value(json_object_get(rate, "name")), "links.pi.rate");
    assert_string_equal(json_string_value(json_object_get(rate, "kind")), "rate");
    assert_string_equal(json_string_value(json_array_get(json_object_get(rate, "values"), 2)), "16Mbit");
    assert_near(json_number_value(json_array_get(json_object_get(rate, "numbers"), 2)), 2e6, 1);
    end(fixture);
}

static bool has_metric(const json_t *document, const char *key)
{
    const json_t *metric;
    size_t i;
    json_array_foreach(json_object_get(document, "metrics"), i,
                       metric) if (strcmp(json_string_value(json_object_get(metric, "key")), key) == 0) return true;
    return false;
}

static void energy_is_a_metric_where_some_run_has_it(void **state)
{
    (void)state;
    struct fixture *fixture = three_rates();
    assert_false(has_metric(document_of(fixture, RUNS), "energy_per_task_j"));
    assert_true(has_metric(fixture->document, "mean_delay_ns"));
    json_decref(fixture->document);
    fixture->runs[3].energy_j = 0.5;
    assert_true(has_metric(document_of(fixture, RUNS), "energy_per_task_j"));
    assert_false(has_metric(fixture->document, "predicted_energy_per_task_j"));
    end(fixture);
}

static void runs_that_differ_in_the_seed_only_are_one_point(void **state)
{
    (void)state;
    struct fixture *fixture = three_rates();
    const json_t *document = document_of(fixture, RUNS);
    assert_int_equal(json_array_size(json_object_get(document, "points")), 3);
    assert_near(mean_of(document, 0, "mean"), 42e6, 1);
    assert_near(mean_of(document, 0, "high") - mean_of(document, 0, "mean"), 12.7062 * 2e6, 1e3);
    assert_near(mean_of(document, 2, "low"), 10e6, 1);
    end(fixture);
}

static void a_point_of_one_run_has_no_interval(void **state)
{
    (void)state;
    struct fixture *fixture = three_rates();
    const json_t *document = document_of(fixture, 3);
    assert_near(mean_of(document, 1, "mean"), 20e6, 1);
    assert_true(isnan(mean_of(document, 1, "low")));
    end(fixture);
}

static void a_run_without_figures_counts_for_nothing(void **state)
{
    (void)state;
    struct fixture *fixture = three_rates();
    fixture->runs[0].delay.mean_ns = NAN;
    const json_t *document = document_of(fixture, RUNS);
    assert_near(mean_of(document, 0, "mean"), 44e6, 1);
    end(fixture);
}

static void a_run_that_is_not_done_counts_for_lost_tasks_only(void **state)
{
    (void)state;
    char stopped[] = "stopped";
    struct fixture *fixture = three_rates();
    fixture->runs[0].head.status = stopped;
    fixture->runs[0].head.ok = 3;
    fixture->runs[0].head.unfinished = 1;
    const json_t *document = document_of(fixture, RUNS);
    assert_near(mean_of(document, 0, "mean"), 44e6, 1);
    const json_t *point = json_array_get(json_object_get(document, "points"), 0);
    const json_t *failed = json_object_get(json_object_get(point, "metrics"), "failed_share");
    assert_near(json_number_value(json_object_get(failed, "mean")), 0.125, 1e-9); /* 1 of 4, and none of the other's */
    end(fixture);
}

static void settings_that_vary_together_are_one_parameter(void **state)
{
    (void)state;
    struct fixture *fixture = three_rates();
    for (int i = 0; i < RUNS; i++)
        fixture->runs[i].node_count = 2 + (size_t)i / 2;
    const json_t *parameters = json_object_get(document_of(fixture, RUNS), "parameters");
    assert_int_equal(json_array_size(parameters), 1);
    const json_t *with = json_object_get(json_array_get(parameters, 0), "with");
    assert_string_equal(json_string_value(json_array_get(with, 0)), "links.pi.rate");
    end(fixture);
}

static void an_option_of_one_partitioner_is_no_axis_of_its_own(void **state)
{
    (void)state;
    struct fixture *fixture = three_rates();
    char station[] = "station-only 1.0", exhaustive[] = "exhaustive 1.0";
    const struct report_setting budget = {"partitioner.max_evaluations", "20000"};
    fixture->runs[1].head.partitioner = fixture->runs[3].head.partitioner = station;
    for (int i = 4; i < RUNS; i++) {
        fixture->runs[i].head.partitioner = exhaustive;
        fixture->entries[i].settings = &budget;
        fixture->entries[i].setting_count = 1;
    }
    const json_t *parameters = json_object_get(document_of(fixture, RUNS), "parameters");
    assert_int_equal(json_array_size(parameters), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(parameters, 0), "name")), "partitioner");
    assert_int_equal(json_array_size(json_object_get(json_array_get(parameters, 0), "with")), 0);
    assert_string_equal(json_string_value(json_object_get(json_array_get(parameters, 1), "name")), "links.pi.rate");
    end(fixture);
}

static void settings_from_a_sweep_count_too(void **state)
{
    (void)state;
    struct fixture *fixture = three_rates();
    const struct report_setting loaded = {"variant", "loaded"}, idle = {"variant", "idle"};
    for (int i = 0; i < RUNS; i++) {
        fixture->entries[i].settings = i % 2 ? &loaded : &idle;
        fixture->entries[i].setting_count = 1;
    }
    const json_t *document = document_of(fixture, RUNS);
    assert_int_equal(json_array_size(json_object_get(document, "parameters")), 2);
    assert_int_equal(json_array_size(json_object_get(document, "points")), 6);
    end(fixture);
}

/* ---- the page ---- */

static char folder[] = "/tmp/napm-report.XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && setenv("NAPM_DATA", folder, 1) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"report.html", "out.html"};
    for (size_t i = 0; i < 2; i++) {
        char *path = text_format("%s/%s", folder, names[i]);
        unlink(path);
        free(path);
    }
    return rmdir(folder);
}

static void write_shell(const char *text)
{
    char *path = text_format("%s/report.html", folder);
    assert_int_equal(file_write_atomically(path, text, strlen(text), NULL), 0);
    free(path);
}

static void what_would_end_the_script_is_escaped(void **state)
{
    (void)state;
    write_shell("<script>{\"napm\":\"the document goes here\"}</script>");
    json_t *document = json_pack("{s:s}", "name", "</script><!--<script>&\u2028\"");
    char *path = text_format("%s/out.html", folder);
    struct error error = {0};
    if (report_write_page(document, path, &error) != 0)
        fail_msg("%s", error.text);
    struct file_map page;
    assert_int_equal(file_map(path, &page, &error), 0);
    char *text = memory_new(page.size + 1);
    memcpy(text, page.bytes, page.size);
    const char *json = text + strlen("<script>"), *close = strstr(json, "<");
    assert_non_null(close);
    assert_string_equal(close, "</script>"); /* the first '<' is that of the page's own end */
    json_t *read = json_loadb(json, (size_t)(close - json), 0, NULL);
    assert_true(json_equal(read, document));
    json_decref(read);
    json_decref(document);
    free(text);
    file_unmap(&page);
    free(path);
}

static void a_page_that_is_none_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    json_t *document = json_object();
    write_shell("<html>something else</html>");
    assert_int_equal(report_write_page(document, "/dev/null", &error), -1);
    assert_non_null(strstr(error.text, "is not the report's page"));
    json_decref(document);
}

static void a_build_without_the_page_says_so(void **state)
{
    (void)state;
    struct error error = {0};
    json_t *document = json_object();
    char *path = text_format("%s/report.html", folder);
    unlink(path);
    assert_int_equal(report_write_page(document, "/dev/null", &error), -1);
    assert_int_equal(error.kind, ERROR_RUN);
    assert_non_null(strstr(error.text, "install nodejs and npm"));
    json_decref(document);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_interval_of_the_mean_is_students),
        cmocka_unit_test(only_settings_that_differ_are_parameters),
        cmocka_unit_test(energy_is_a_metric_where_some_run_has_it),
        cmocka_unit_test(runs_that_differ_in_the_seed_only_are_one_point),
        cmocka_unit_test(a_point_of_one_run_has_no_interval),
        cmocka_unit_test(a_run_without_figures_counts_for_nothing),
        cmocka_unit_test(a_run_that_is_not_done_counts_for_lost_tasks_only),
        cmocka_unit_test(settings_that_vary_together_are_one_parameter),
        cmocka_unit_test(an_option_of_one_partitioner_is_no_axis_of_its_own),
        cmocka_unit_test(settings_from_a_sweep_count_too),
        cmocka_unit_test(what_would_end_the_script_is_escaped),
        cmocka_unit_test(a_page_that_is_none_is_refused),
        cmocka_unit_test(a_build_without_the_page_says_so),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
