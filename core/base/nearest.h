/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": the known name nearest to a mistyped one. */
#ifndef NAPM_BASE_NEAREST_H
#define NAPM_BASE_NEAREST_H

#include <stddef.h>

/* Returns the nearest of `names` by Damerau-Levenshtein distance, or NULL where none is near enough to suggest. */
const char *nearest_name(const char *typed, const char *const *names, size_t count);

#endif
