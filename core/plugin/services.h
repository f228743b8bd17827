/* SPDX-License-Identifier: Apache-2.0 */
/* The host's services for one instance: what stands behind the table that a plugin gets at create(). */
#ifndef NAPM_PLUGIN_SERVICES_H
#define NAPM_PLUGIN_SERVICES_H

#include <stdbool.h>

#include <napm/host.h>

#include "core/plugin/catalogue.h"

struct services;

/*
 * Fills *table, which stays in place and is valid until services_close(). `source` begins the instance's log lines;
 * `may_sleep` 1 for kinds that may wait; `parallel`: callbacks of the instance may overlap.
 */
struct services *services_open(const struct instance_host *host, const char *source, int may_sleep, bool parallel,
                               struct napm_host *table);
void services_close(struct services *services);

/* Copies what set_error was last told, and forgets it; "" where nothing was said. */
void services_take_error(struct services *services, char *text, size_t text_bytes);

#endif
