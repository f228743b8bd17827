/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share beyond catalogue.h. */
#ifndef NAPM_PLUGIN_CATALOGUE_PRIVATE_H
#define NAPM_PLUGIN_CATALOGUE_PRIVATE_H

#include <pthread.h>

#include "core/plugin/catalogue.h"

/* The lock of a plugin that declares NAPM_THREADS_SERIALISED; lives as long as the entry. */
pthread_mutex_t *catalogue_entry_lock(const struct catalogue_entry *entry);

#endif
