/* SPDX-License-Identifier: Apache-2.0 */
/* The plans of a run that planned anew: what each was made for and predicted, and what came of it. */
#include <math.h>
#include <stdio.h>

#include "core/cli/report_parts.h"

#define MOST_SHOWN 20

static const struct table_column columns[] = {
    {"plan", "plan", TABLE_COUNT},
    {"asked_ns", "asked for at", TABLE_DURATION},
    {"planning_ns", "made in", TABLE_DURATION},
    {"taken_ns", "in force at", TABLE_DURATION},
    {"streams_changed", "cuts changed", TABLE_COUNT},
    {"tasks_ok", "tasks", TABLE_COUNT},
    {"mean_delay_ns", "mean", TABLE_DURATION},
    {"predicted_mean_ns", "predicted", TABLE_DURATION},
    {"prediction_error", "error", TABLE_SHARE},
};

static struct table *table_of(const struct run_summary *summary, size_t first)
{
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    table_split(table, 1, "streams_changed");
    for (size_t i = first; i < summary->plan_count; i++) {
        const struct plan_summary *plan = &summary->plans[i];
        table_row(table);
        table_number(table, plan->plan);
        table_number(table, (double)plan->asked_ns);
        table_number(table, (double)plan->planning_ns);
        table_number(table, plan->taken_ns);
        table_number(table, (double)plan->streams_changed);
        table_number(table, (double)plan->tasks_ok);
        table_number(table, plan->mean_delay_ns);
        table_number(table, plan->predicted_mean_ns);
        table_number(table, report_error_share(plan->mean_delay_ns, plan->predicted_mean_ns));
    }
    return table;
}

struct table *report_plans(const struct run_summary *summary)
{
    return table_of(summary, 0);
}

void report_print_plans(const struct run_summary *summary)
{
    if (summary->plan_count < 2)
        return;
    size_t first = summary->plan_count > MOST_SHOWN ? summary->plan_count - MOST_SHOWN : 0;
    struct table *table = table_of(summary, first);
    printf("\nPlanned anew %zu times; cuts and predictions above are those of plan 0.", summary->plan_count - 1);
    if (first)
        printf(" The last %d plans (all: napm result export --rows plan):", MOST_SHOWN);
    printf("\n");
    table_print(table, stdout, 0);
    table_free(table);
}
