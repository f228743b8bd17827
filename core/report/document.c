/* SPDX-License-Identifier: Apache-2.0 */
/* The document: the runs, their charts, and the points that they make together. */
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/report/parts.h"

/* A run in the document: what it came to, cut to a bearable length, and its charts where there is room. */
static json_t *run_json(struct ledger *ledger, const struct report_entry *entry, bool in_detail,
                        const struct report_limits *limits, struct error *error)
{
    json_t *detail = in_detail ? report_detail(ledger, entry->summary, limits, error) : json_null();
    if (!detail)
        return NULL;
    json_t *run = json_copy(entry->document);
    json_object_set_new(run, "detail", detail);
    json_object_set_new(run, "scenario_text", json_string(in_detail ? entry->summary->scenario_text : ""));
    return run;
}

static json_t *now_text(void)
{
    char text[64] = "";
    time_t seconds = (time_t)(clock_wall_ns() / NS_PER_S);
    struct tm utc;
    if (gmtime_r(&seconds, &utc))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_string(text);
}

json_t *report_document(struct ledger *ledger, const struct report_entry *entries, size_t count,
                        const struct report_limits *limits, struct error *error)
{
    json_t *runs = json_array(), *left_out = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *run = run_json(ledger, &entries[i], i < limits->runs, limits, error);
        if (!run) {
            json_decref(runs);
            json_decref(left_out);
            return NULL;
        }
        json_array_append_new(runs, run);
    }
    if (count > limits->runs)
        json_array_append_new(left_out, json_sprintf("Charts of single runs: the first %u of %zu runs; --charts takes "
                                                     "more, and napm report RUN shows any one.",
                                                     limits->runs, count));
    json_t *document = json_pack("{s:s, s:o, s:o, s:o}", "format", "napm-report/1", "made", now_text(), "runs", runs,
                                 "left_out", left_out);
    report_add_points(document, entries, count);
    return document;
}
