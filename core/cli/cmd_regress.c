/* SPDX-License-Identifier: Apache-2.0 */
/* napm regress SUITE */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli/cli.h"
#include "core/cli/options.h"
#include "core/cli/sweep_point.h"
#include "core/cli/sweep_run.h"
#include "core/cli/table.h"
#include "core/evidence/regress.h"

struct regress_options {
    struct common_options common;
    struct sweep_run_options run;
    const char *baseline, *junit, *tap;
    bool update;
};

static const char *const judgement_words[] = {
    [JUDGEMENT_SAME] = "same", [JUDGEMENT_BETTER] = "better", [JUDGEMENT_WORSE] = "WORSE",
    [JUDGEMENT_NEW] = "NEW",   [JUDGEMENT_FAILED] = "FAILED",
};

static const struct table_column columns[] = {
    {"case", "case", TABLE_TEXT},
    {"partitioner", "partitioner", TABLE_TEXT},
    {"scheduler", "scheduler", TABLE_TEXT},
    {"metric", "metric", TABLE_EXACT},
    {"old", "old", TABLE_EXACT},
    {"new", "new", TABLE_EXACT},
    {"change", "change", TABLE_EXACT},
    {"judgement", "judgement", TABLE_EXACT},
};

static const struct table_column raw_columns[] = {
    {"case", "case", TABLE_TEXT},
    {"partitioner", "partitioner", TABLE_TEXT},
    {"scheduler", "scheduler", TABLE_TEXT},
    {"metric", "metric", TABLE_EXACT},
    {"old", "old", TABLE_REAL},
    {"new", "new", TABLE_REAL},
    {"tolerance", "tolerance", TABLE_REAL},
    {"judgement", "judgement", TABLE_EXACT},
};

static void put_value(struct table *table, const struct judged *it, double value)
{
    char text[TABLE_CELL_BYTES];
    const struct outcome_metric_kind *kind = &outcome_metric_kinds[it->metric];
    enum table_kind unit = kind->is_share ? TABLE_SHARE : kind->is_energy ? TABLE_ENERGY : TABLE_DURATION;
    table_text(table, isnan(value) ? NULL : table_format_number(text, unit, value));
}

static void put_change(struct table *table, const struct judged *it)
{
    char text[32];
    bool share = outcome_metric_kinds[it->metric].is_share;
    double change = share ? it->now - it->old : it->now / it->old - 1;
    snprintf(text, sizeof(text), "%+.2f %s", 100 * change, share ? "points" : "%");
    table_text(table, isfinite(change) ? text : NULL);
}

static void put_row(struct table *table, const struct judged *it, bool raw)
{
    table_row(table);
    table_text(table, it->outcome->label);
    table_text(table, it->outcome->partitioner);
    table_text(table, it->outcome->scheduler);
    table_text(table, raw ? outcome_metric_kinds[it->metric].key : outcome_metric_kinds[it->metric].title);
    if (raw) {
        table_number(table, it->old);
        table_number(table, it->now);
        table_number(table, it->tolerance);
    } else {
        put_value(table, it, it->old);
        put_value(table, it, it->now);
        put_change(table, it);
    }
    table_text(table, judgement_words[it->judgement]);
}

/* The verdict on standard output. Returns how many judgements are bad. */
static size_t show(const struct judged *judged, size_t count, const char *format)
{
    bool plain = strcmp(format, "table") == 0;
    struct table *table = plain ? table_new(columns, sizeof(columns) / sizeof(columns[0]))
                                : table_new(raw_columns, sizeof(raw_columns) / sizeof(raw_columns[0]));
    size_t bad = 0, better = 0;
    for (size_t i = 0; i < count; i++) {
        put_row(table, &judged[i], !plain);
        bad += judgement_is_bad(judged[i].judgement);
        better += judged[i].judgement == JUDGEMENT_BETTER;
    }
    table_put(table, format);
    table_free(table);
    if (!plain)
        return bad;
    printf("\n%zu of %zu within their tolerance, %zu better, %zu bad\n", count - bad - better, count, better, bad);
    for (size_t i = 0; i < count; i++) {
        char *text = judgement_is_bad(judged[i].judgement) ? judged_text(&judged[i]) : NULL;
        if (text)
            printf("%s: %s\n", judgement_words[judged[i].judgement], text);
        free(text);
    }
    if (bad == 0 && better > 0)
        puts("Better than the baseline: --update makes that the mark to hold.");
    return bad;
}

static int judge(const struct regress_options *options, const struct sweep *suite, const struct outcome *outcomes,
                 size_t count, size_t *bad, struct error *error)
{
    struct baseline *baseline = baseline_read(options->baseline, error);
    if (!baseline)
        return -1;
    if (!baseline_is_of(baseline, suite))
        fprintf(stderr, "napm: warning: the suite or one of its scenarios has changed since %s was made\n",
                options->baseline);
    size_t judged_count;
    struct judged *judged = regress_judge(baseline, suite, outcomes, count, &judged_count);
    bool tap_is_output = options->tap && strcmp(options->tap, "-") == 0;
    int result = 0;
    for (size_t i = 0; i < judged_count; i++)
        *bad += judgement_is_bad(judged[i].judgement);
    if (!tap_is_output)
        show(judged, judged_count, options->common.format);
    if (options->tap)
        result = regress_write_tap(options->tap, judged, judged_count, error);
    if (result == 0 && options->junit)
        result = regress_write_junit(options->junit, suite->name, judged, judged_count, error);
    free(judged);
    baseline_free(baseline);
    return result;
}

/* The suite's runs are made anew each time: yesterday's do not say what today's plugins do. */
static int run_suite(const struct regress_options *options, const struct sweep *suite, struct ledger *ledger,
                     size_t *bad, struct error *error)
{
    struct sweep_progress progress = {0};
    struct outcome *outcomes = NULL;
    size_t count = 0;
    int64_t id = sweep_run(ledger, suite, &options->run, &options->common, &progress, error);
    if (id < 0 || error->kind != ERROR_NONE || outcomes_read(ledger, id, &outcomes, &count, error) != 0)
        return -1;
    int result = options->update ? baseline_write(options->baseline, suite, outcomes, count, error)
                                 : judge(options, suite, outcomes, count, bad, error);
    if (result == 0 && options->update)
        printf("%s: %zu cases\n", options->baseline, count);
    outcomes_free(outcomes, count);
    return result;
}

static int carry_out(const struct regress_options *options, const char *path, size_t *bad, struct error *error)
{
    if (!options->baseline)
        return error_set(error, ERROR_INPUT, "against what? Name a file with --baseline FILE; --update makes it");
    if (!options->update) { /* before the work, not after it */
        struct baseline *baseline = baseline_read(options->baseline, error);
        if (!baseline)
            return -1;
        baseline_free(baseline);
    }
    struct sweep *suite = sweep_open(path, true, error);
    struct ledger *ledger = suite ? ledger_open(options->common.db, error) : NULL;
    int result = ledger ? run_suite(options, suite, ledger, bad, error) : -1;
    ledger_close(ledger);
    sweep_close(suite);
    return result;
}

int cmd_regress(int argc, char **argv)
{
    struct regress_options options = {.run = {.again = true}};
    const struct cli_option table[] = {
        {"baseline", 0, OPTION_WORD, &options.baseline, "FILE", "the values to hold (JSON)", 0, 0},
        {"update", 0, OPTION_FLAG, &options.update, NULL, "write the baseline instead of comparing with it", 0, 0},
        {"junit", 0, OPTION_WORD, &options.junit, "FILE", "write the result as JUnit XML too", 0, 0},
        {"tap", 0, OPTION_WORD, &options.tap, "FILE", "write the result as TAP too; -: instead of the table", 0, 0},
        {"jobs", 'j', OPTION_NUMBER, &options.run.jobs, "N",
         "runs at a time (default: all processors in the sim world, else 1)", 1, SWEEP_MOST_JOBS},
        OPTION_DB(options.common),
        OPTION_PLUGIN_PATH(options.common),
        OPTION_FORMAT(options.common),
        OPTION_COLOR(options.common),
        OPTION_VERBOSE(options.common),
    };
    const struct cli_usage usage = {
        "napm regress",
        "SUITE",
        "fail where plugins have become worse than a baseline",
        "Runs a suite, which is a sweep file with metrics and tolerances, and compares each metric of each\n"
        "combination with the baseline file. Exit status: 0 all within their tolerances, 1 some metric is worse,\n"
        "new, or a run failed, 2 a file or an option is wrong.",
        "  napm regress suite.cfg --baseline suite.json --update\n"
        "  napm regress suite.cfg --baseline suite.json --junit result.xml",
        table,
        OPTIONS_COUNT(table),
        1,
        1};
    int first, result = options_parse(&usage, argc, argv, &first);
    struct error error = {0};
    size_t bad = 0;
    if (result < 0) {
        common_apply(&options.common);
        if (carry_out(&options, argv[first], &bad, &error) != 0)
            result = cli_fail(&error);
        else
            result = cli_end_output();
        if (result == CLI_DONE && bad > 0)
            result = CLI_FAILED;
    }
    common_free(&options.common);
    return result;
}
