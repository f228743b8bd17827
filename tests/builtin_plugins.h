/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the built-in plugins: opens them from the build tree, the way the platform does. */
#ifndef NAPM_TESTS_BUILTIN_PLUGINS_H
#define NAPM_TESTS_BUILTIN_PLUGINS_H

#include <stdio.h>
#include <stdlib.h>

#include "core/plugin/catalogue.h"

/* The plugins of the build tree; NULL with the reason on stderr. */
static inline struct catalogue *builtin_catalogue(void)
{
    struct error error;
    char folder[4096];
    const char *build = getenv("top_builddir");
    snprintf(folder, sizeof(folder), "%s/plugins/.libs", build ? build : ".");
    const char *const folders[] = {folder, NULL};
    struct catalogue *catalogue = catalogue_open(folders, &error);
    if (!catalogue)
        fprintf(stderr, "%s\n", error.text);
    return catalogue;
}

/*
 * An instance with options given as name, text, name, text, ..., NULL. NULL with *error where it cannot be made. `seed`
 * is that of its random numbers.
 */
static inline struct instance *builtin_instance(struct catalogue *catalogue, uint32_t kind, const char *name,
                                                const char *const *options, uint64_t seed, struct error *error)
{
    struct option_setting settings[8];
    struct plugin_choice choice = {name, "test:1", settings, 0};
    for (; options && *options; options += 2)
        settings[choice.setting_count++] = (struct option_setting){options[0], options[1], "test:2"};
    struct instance_host host = {.label = name, .seed = seed};
    return instance_open(catalogue, kind, &choice, &host, error);
}

#endif
