/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a plugin file's code through libltdl: all symbols bound at once, none of them given to others, and resident
 * (never unloaded, so that no pointer into a plugin goes stale). libltdl is not thread-safe: one thread only.
 */
#ifndef NAPM_PLUGIN_LOADER_H
#define NAPM_PLUGIN_LOADER_H

#include <napm/plugin.h>

#include "core/base/error.h"

/*
 * Loads the file and calls its exported function, once: what that returns is not checked here. NULL with a sentence
 * without the path, which keeps the dynamic linker's own words.
 */
const struct napm_plugin_list *loader_open(const char *path, struct error *error);

/*
 * Calls `each` with every plugin module that is linked into this program (libtool's -dlpreopen; built with
 * NAPM_STATIC_MODULE), by its name. There are none in an ordinary build.
 */
typedef void (*loader_visit_fn)(void *context, const char *module, const struct napm_plugin_list *list);
void loader_each_preloaded(loader_visit_fn each, void *context);

#endif
