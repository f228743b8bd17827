/* SPDX-License-Identifier: Apache-2.0 */
/* A comparison of two groups of runs, for people and for programs. */
#include "core/cli/comparison.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/evidence/difference.h"

static const char *const verdict_words[] = {
    [VERDICT_TOO_LITTLE] = "too little data",
    [VERDICT_NOISE] = "noise",
    [VERDICT_SLIGHT] = "slight",
    [VERDICT_BETTER] = "better",
    [VERDICT_WORSE] = "worse",
};

static const struct table_column raw_columns[] = {
    {"baseline", "baseline", TABLE_TEXT},     {"group", "group", TABLE_TEXT},
    {"metric", "metric", TABLE_EXACT},        {"baseline_value", "baseline", TABLE_REAL},
    {"group_value", "group", TABLE_REAL},     {"difference", "difference", TABLE_REAL},
    {"difference_low", "low", TABLE_REAL},    {"difference_high", "high", TABLE_REAL},
    {"confidence", "confidence", TABLE_REAL}, {"verdict", "verdict", TABLE_EXACT},
    {"effect", "effect", TABLE_REAL},         {"paired", "paired", TABLE_COUNT},
    {"units", "units", TABLE_COUNT},          {"baseline_tasks", "tasks", TABLE_COUNT},
    {"group_tasks", "tasks", TABLE_COUNT},
};

struct table *comparison_table(void)
{
    return table_new(raw_columns, sizeof(raw_columns) / sizeof(raw_columns[0]));
}

void comparison_add(struct table *table, const struct comparison *it)
{
    for (size_t i = 0; i < it->row_count; i++) {
        const struct comparison_row *row = &it->rows[i];
        table_row(table);
        table_text(table, it->a->label);
        table_text(table, it->b->label);
        table_text(table, metric_kinds[row->metric].key);
        table_number(table, row->a);
        table_number(table, row->b);
        table_number(table, row->difference);
        table_number(table, row->low);
        table_number(table, row->high);
        table_number(table, it->confidence);
        table_text(table, verdict_words[row->verdict]);
        table_number(table, it->effect);
        table_number(table, it->paired);
        table_number(table, it->units);
        table_number(table, (double)it->a_tasks);
        table_number(table, (double)it->b_tasks);
    }
}

static const struct table_column columns[] = {
    {"metric", "", TABLE_EXACT},       {"a", "baseline", TABLE_EXACT},        {"b", "group", TABLE_EXACT},
    {"change", "change", TABLE_EXACT}, {"interval", "interval", TABLE_EXACT}, {"verdict", "verdict", TABLE_EXACT},
};

static void put_value(struct table *table, const struct comparison_row *row, double value)
{
    char text[TABLE_CELL_BYTES];
    const struct metric_kind *kind = &metric_kinds[row->metric];
    table_text(table, table_format_number(text,
                                          kind->is_share    ? TABLE_SHARE
                                          : kind->is_energy ? TABLE_ENERGY
                                                            : TABLE_DURATION,
                                          value));
}

static void put_change(struct table *table, const struct comparison_row *row)
{
    double scale = metric_kinds[row->metric].is_share ? 1 : row->a;
    char change[48] = "", interval[48] = "";
    if (scale > 0) {
        snprintf(change, sizeof(change), "%+.1f %%", 100 * row->difference / scale);
        if (!isnan(row->low))
            snprintf(interval, sizeof(interval), "%+.1f .. %+.1f", 100 * row->low / scale, 100 * row->high / scale);
    }
    table_text(table, change);
    table_text(table, interval);
}

void comparison_print(const struct comparison *it)
{
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    printf("%s%s%s against %s\n", table_style(STYLE_BOLD), it->b->label, table_style(STYLE_PLAIN), it->a->label);
    for (size_t i = 0; i < it->row_count; i++) {
        const struct comparison_row *row = &it->rows[i];
        table_row(table);
        table_text(table, metric_kinds[row->metric].name);
        put_value(table, row, row->a);
        put_value(table, row, row->b);
        put_change(table, row);
        table_text(table, verdict_words[row->verdict]);
    }
    table_print(table, stdout, 2);
    table_free(table);
    if (it->a_tasks == 0 || it->b_tasks == 0)
        puts("  no task of these counts on both sides: no delays to compare");
    else
        printf("  %s: %zu and %zu tasks in %u stretches; effect on a task's delay: %s (Cliff's delta %+.2f)\n",
               it->paired ? "the same tasks on both sides" : "different tasks, so not paired", it->a_tasks, it->b_tasks,
               it->units, difference_effect_word(it->effect), it->effect);
    for (size_t i = 0; i < it->row_count; i++) {
        char *sentence = comparison_sentence(it, &it->rows[i]);
        printf("  %s.\n", sentence);
        free(sentence);
    }
    for (const struct group *const *side = (const struct group *const[]){it->a, it->b, NULL}; *side; side++)
        if ((*side)->lost > 0)
            printf("  %s lost %llu tasks, whose delays are not in these numbers.\n", (*side)->label,
                   (unsigned long long)(*side)->lost);
    puts("");
}
