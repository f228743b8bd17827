/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option tables: is a plugin's table sound, what values does a scenario's text give, and how is an option described.
 */
#ifndef NAPM_PLUGIN_OPTIONS_H
#define NAPM_PLUGIN_OPTIONS_H

#include <napm/plugin.h>

#include "core/base/error.h"
#include "core/plugin/catalogue.h"

/* Names lower case, each only once, types known, limits in order, defaults that parse: else -1 and a sentence. */
int option_table_check(const struct napm_option *const *options, uint32_t count, struct error *error);

/* The values of one instance. values[i] and texts[i] belong to options[i] of the plugin; the texts are owned here. */
struct option_values {
    union napm_value *values;
    char **texts;
    uint32_t count;
};

/*
 * Reads a choice's settings over the plugin's defaults. An option set twice keeps its later setting. Errors are
 * ERROR_INPUT and begin with where the setting stands. On failure nothing needs freeing.
 */
int option_values_read(const struct napm_plugin *plugin, const struct plugin_choice *choice,
                       struct option_values *values, struct error *error);
void option_values_free(struct option_values *values);

/* One "name=value" a line, in the table's order. free() it. */
char *option_values_text(const struct napm_plugin *plugin, const struct option_values *values);

#endif
