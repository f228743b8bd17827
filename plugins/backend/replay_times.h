/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded layer times, read from a file: CSV (what `napm profile --format csv` prints) or JSON. docs/backends.md
 * describes both. Texts of errors begin with "file:line: " (JSON: "file: element N: ").
 */
#ifndef NAPM_PLUGINS_REPLAY_TIMES_H
#define NAPM_PLUGINS_REPLAY_TIMES_H

#include <stddef.h>
#include <stdint.h>

#include <napm/model.h>

#define REPLAY_ERROR_BYTES 768

struct replay_times; /* what one file says */

/* Reads a file; NULL with a text in `error` (REPLAY_ERROR_BYTES). Ended by replay_times_free (NULL allowed). */
struct replay_times *replay_times_read(const char *path, char *error);
/* The same from bytes in memory; `name` stands for the file in errors. */
struct replay_times *replay_times_parse(const char *name, const char *bytes, size_t count, char *error);
void replay_times_free(struct replay_times *times);

/*
 * The time of every layer of a model, in nanoseconds, stored in layer_ns. Every entry must fit the model (entries that
 * name another model are passed over), and every layer must have exactly one. 0 or -1 with a text.
 */
int replay_times_of_model(const struct replay_times *times, const struct napm_model *model, int64_t *layer_ns,
                          char *error);

#endif
