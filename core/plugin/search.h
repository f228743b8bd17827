/* SPDX-License-Identifier: Apache-2.0 */
/* The search path of plugins: which folders, in which order, and which of their files. */
#ifndef NAPM_PLUGIN_SEARCH_H
#define NAPM_PLUGIN_SEARCH_H

#include <stddef.h>

#include "core/base/error.h"

/* A list of texts that it owns. */
struct search_list {
    char **items;
    size_t count, room;
};
void search_list_free(struct search_list *list);

/* The folders that exist, as absolute paths, each once. A missing folder of `extra` is an error. */
int search_folders(const char *const *extra, struct search_list *folders, struct error *error);

/* Names in a folder that end in ".so" and do not begin with '.', in byte order. Logs a folder that cannot be read. */
void search_files(const char *folder, struct search_list *names);

#endif
