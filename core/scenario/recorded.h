/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a scenario as the ledger keeps it: the file's, and behind it a comment line for each override. */
#ifndef NAPM_SCENARIO_RECORDED_H
#define NAPM_SCENARIO_RECORDED_H

#include "core/base/memory.h"
#include "core/scenario/scenario.h"

/* The file's text with the overrides behind it: with it the run can be repeated. To be freed. */
char *recorded_text(const char *file_text, const struct scenario_override *overrides, size_t count);

/* What a recorded text ends in, in its order. */
struct recorded_overrides {
    ARRAY_OF(struct scenario_override) all;
    size_t file_bytes; /* how much of the text came from the file */
    char *private_lines;
};
/* A text that is NULL has none. */
void recorded_overrides_read(struct recorded_overrides *overrides, const char *text);
/* Leaves the last of each path, which is the one that holds. */
void recorded_overrides_keep_last(struct recorded_overrides *overrides);
void recorded_overrides_free(struct recorded_overrides *overrides);

#endif
