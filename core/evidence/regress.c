/* SPDX-License-Identifier: Apache-2.0 */
/* Baseline files (JSON), and what a suite came to against them. */
#include "core/evidence/regress.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/units.h"

#define FORMAT "napm-baseline/1"
/* Two computations of one number may differ in their last digits: that is no regression even with a tolerance of 0. */
#define ROUNDING 1e-9

struct baseline {
    json_t *root;
};

/* ---- files ---- */

static int check_baseline(const json_t *root, const char *path, struct error *error)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    if (!format || strcmp(format, FORMAT) != 0)
        return error_set(
            error, ERROR_INPUT,
            "%s: is no baseline that this napm knows (\"format\" is not \"" FORMAT "\"); make one with --update", path);
    if (!json_is_object(json_object_get(root, "cases")))
        return error_set(error, ERROR_INPUT, "%s: has no \"cases\"; make it anew with --update", path);
    return 0;
}

struct baseline *baseline_read(const char *path, struct error *error)
{
    struct file_map file;
    json_error_t place;
    if (file_map(path, &file, error) != 0) {
        error_append(error, "; --update makes the baseline");
        return NULL;
    }
    json_t *root = json_loadb((const char *)file.bytes, file.size, JSON_REJECT_DUPLICATES, &place);
    file_unmap(&file);
    if (!root) {
        error_set(error, ERROR_INPUT, "%s:%d: %s; restore the baseline, or make it anew with --update", path,
                  place.line, place.text);
        return NULL;
    }
    if (check_baseline(root, path, error) != 0) {
        json_decref(root);
        return NULL;
    }
    struct baseline *baseline = NEW(struct baseline);
    baseline->root = root;
    return baseline;
}

void baseline_free(struct baseline *baseline)
{
    if (!baseline)
        return;
    json_decref(baseline->root);
    free(baseline);
}

/* What a case is called: its label alone may be the same in two scenarios. */
static char *case_name(const struct outcome *outcome)
{
    const char *slash = strrchr(outcome->scenario_path, '/');
    return text_format("%s: %s", slash ? slash + 1 : outcome->scenario_path, outcome->label);
}

static json_t *case_json(const struct outcome *outcome)
{
    json_t *metrics = json_object();
    for (int i = 0; i < OUTCOME_METRICS; i++)
        if (!isnan(outcome->metrics[i]))
            json_object_set_new(metrics, outcome_metric_kinds[i].key, json_real(outcome->metrics[i]));
    return json_pack("{s:s*, s:s*, s:I, s:I, s:o}", "partitioner", outcome->partitioner, "scheduler",
                     outcome->scheduler, "runs", (json_int_t)outcome->runs, "tasks", (json_int_t)outcome->tasks,
                     "metrics", metrics);
}

int baseline_write(const char *path, const struct sweep *suite, const struct outcome *outcomes, size_t count,
                   struct error *error)
{
    json_t *cases = json_object();
    for (size_t i = 0; i < count; i++) {
        if (outcomes[i].cause || outcomes[i].runs == 0) {
            json_decref(cases);
            return error_set(error, ERROR_RUN, "the baseline %s was not written: %s failed: %s", path,
                             outcomes[i].label, outcomes[i].cause ? outcomes[i].cause : "no task of it counts");
        }
        char *name = case_name(&outcomes[i]);
        json_object_set_new(cases, name, case_json(&outcomes[i]));
        free(name);
    }
    json_t *root = json_pack("{s:s, s:s, s:s, s:o}", "format", FORMAT, "suite", suite->name, "digest", suite->digest,
                             "cases", cases);
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(15)),
         *line = text_format("%s\n", text);
    int result = file_write_atomically(path, line, strlen(line), error);
    free(line);
    free(text);
    json_decref(root);
    return result;
}

bool baseline_is_of(const struct baseline *baseline, const struct sweep *suite)
{
    const char *digest = json_string_value(json_object_get(baseline->root, "digest"));
    return digest && strcmp(digest, suite->digest) == 0;
}

/* ---- judging ---- */

static double old_value(const struct baseline *baseline, const struct outcome *outcome, enum outcome_metric metric)
{
    char *name = case_name(outcome);
    const json_t *found = json_object_get(json_object_get(baseline->root, "cases"), name);
    const json_t *value = json_object_get(json_object_get(found, "metrics"), outcome_metric_kinds[metric].key);
    free(name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static enum judgement judge(const struct judged *it)
{
    double room = it->tolerance * (outcome_metric_kinds[it->metric].is_share ? 1 : it->old);
    double rounding = ROUNDING * fabs(it->old);
    if (isnan(it->now) || it->outcome->cause)
        return JUDGEMENT_FAILED;
    if (isnan(it->old))
        return JUDGEMENT_NEW;
    if (it->now > it->old + room + rounding)
        return JUDGEMENT_WORSE;
    return it->now < it->old - room - rounding ? JUDGEMENT_BETTER : JUDGEMENT_SAME;
}

static enum outcome_metric metric_named(const char *name)
{
    int metric = 0;
    while (strcmp(outcome_metric_kinds[metric].name, name) != 0)
        metric++; /* the suite's reader has let known ones through only */
    return (enum outcome_metric)metric;
}

struct judged *regress_judge(const struct baseline *baseline, const struct sweep *suite, const struct outcome *outcomes,
                             size_t outcome_count, size_t *count)
{
    struct judged *all = NEW_ARRAY(struct judged, outcome_count * suite->tolerance_count);
    *count = 0;
    for (size_t i = 0; i < outcome_count; i++)
        for (size_t k = 0; k < suite->tolerance_count; k++) {
            struct judged *it = &all[(*count)++];
            it->outcome = &outcomes[i];
            it->metric = metric_named(suite->tolerances[k].metric);
            it->tolerance = suite->tolerances[k].share;
            it->old = old_value(baseline, it->outcome, it->metric);
            it->now = it->outcome->metrics[it->metric];
            it->judgement = judge(it);
        }
    return all;
}

bool judgement_is_bad(enum judgement judgement)
{
    return judgement >= JUDGEMENT_WORSE;
}

static const char *value_text(char buffer[UNITS_TEXT_BYTES], const struct judged *it, double value)
{
    if (isnan(value))
        return "none";
    if (outcome_metric_kinds[it->metric].is_energy)
        return units_format_energy(buffer, value);
    if (!outcome_metric_kinds[it->metric].is_share)
        return units_format_duration(buffer, value);
    snprintf(buffer, UNITS_TEXT_BYTES, "%.3g %%", 100 * value);
    return buffer;
}

char *judged_text(const struct judged *it)
{
    char old[UNITS_TEXT_BYTES], now[UNITS_TEXT_BYTES];
    const struct outcome *outcome = it->outcome;
    char *name = case_name(outcome), *text;
    const char *title = outcome_metric_kinds[it->metric].title;
    char *plugins = text_format("%s + %s", outcome->partitioner ? outcome->partitioner : "no partitioner",
                                outcome->scheduler ? outcome->scheduler : "no scheduler");
    if (it->judgement == JUDGEMENT_FAILED)
        text = text_format("%s, %s: a run failed: %s", name, title,
                           outcome->cause                 ? outcome->cause
                           : it->metric == OUTCOME_ENERGY ? "no node has a power model"
                                                          : "no task of it counts");
    else if (it->judgement == JUDGEMENT_NEW)
        text = text_format("%s (%s), %s: %s, which the baseline does not have; --update takes it in", name, plugins,
                           title, value_text(now, it, it->now));
    else
        text = text_format("%s (%s), %s: %s, was %s (tolerance %.3g %s)", name, plugins, title,
                           value_text(now, it, it->now), value_text(old, it, it->old), 100 * it->tolerance,
                           outcome_metric_kinds[it->metric].is_share ? "points" : "%");
    free(plugins);
    free(name);
    return text;
}
