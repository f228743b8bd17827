/* SPDX-License-Identifier: Apache-2.0 */
/* Instances of plugins: options, services, functions, creation, and what their failures say. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/plugin/catalogue.h"
#include "core/plugin/catalogue_private.h"
#include "core/plugin/descriptor.h"
#include "core/plugin/options.h"
#include "core/plugin/services.h"

struct instance_private {
    struct services *services;
    struct option_values options;
    char *options_text; /* NULL until it is asked for: planners open thousands of instances that nobody asks */
    int created;
#ifdef NAPM_SANITIZED
    atomic_uintptr_t inside; /* the thread that is between instance_lock and instance_unlock */
    int depth;
#endif
};

/* ---- threads */

#ifdef NAPM_SANITIZED
/*
 * In a debug build (--enable-sanitizers): does the host keep what it promises a plugin that is not parallel, that calls
 * on one instance do not overlap? A thread that enters while another is inside ends the process with a message.
 */
static void enter(const struct instance *instance)
{
    struct instance_private *private_part = instance->private_part;
    uintptr_t nobody = 0, self = (uintptr_t)pthread_self();
    if (instance->entry->plugin->threading != NAPM_THREADS_PARALLEL &&
        !atomic_compare_exchange_strong(&private_part->inside, &nobody, self) && nobody != self) {
        log_error("plugins", "two threads are in one instance of %s (%s)", instance->entry->name,
                  instance->entry->path);
        abort();
    }
    private_part->depth += instance->entry->plugin->threading != NAPM_THREADS_PARALLEL;
}

static void leave(const struct instance *instance)
{
    struct instance_private *private_part = instance->private_part;
    if (instance->entry->plugin->threading != NAPM_THREADS_PARALLEL && --private_part->depth == 0)
        atomic_store(&private_part->inside, 0);
}
#else
static void enter(const struct instance *instance)
{
    (void)instance;
}

static void leave(const struct instance *instance)
{
    (void)instance;
}
#endif

void instance_lock(const struct instance *instance)
{
    if (instance->entry->plugin->threading == NAPM_THREADS_SERIALISED)
        pthread_mutex_lock(catalogue_entry_lock(instance->entry));
    enter(instance);
}

void instance_unlock(const struct instance *instance)
{
    leave(instance);
    if (instance->entry->plugin->threading == NAPM_THREADS_SERIALISED)
        pthread_mutex_unlock(catalogue_entry_lock(instance->entry));
}

/* ---- failures */

/* Whose fault a status is. NAPM_ERR_INVALID and _UNSUPPORTED speak of what the user asked for. */
static enum error_kind kind_of_status(int32_t status)
{
    switch (status) {
    case NAPM_ERR_INVALID:
    case NAPM_ERR_UNSUPPORTED:
        return ERROR_INPUT;
    case NAPM_ERR_MEMORY:
    case NAPM_ERR_FAILED:
        return ERROR_RUN;
    case NAPM_ERR_CANCELLED:
        return ERROR_CANCELLED;
    default:
        return ERROR_PLUGIN;
    }
}

static const char *text_of_status(int32_t status)
{
    switch (status) {
    case NAPM_ERR_INVALID:
        return "an argument or option cannot be served";
    case NAPM_ERR_UNSUPPORTED:
        return "this is not supported";
    case NAPM_ERR_MEMORY:
        return "out of memory";
    case NAPM_ERR_FAILED:
        return "it failed";
    case NAPM_ERR_CANCELLED:
        return "cancelled";
    default:
        return "it returned a status that the ABI does not know";
    }
}

int instance_error(const struct instance *instance, int32_t status, const char *what, struct error *error)
{
    char text[1024];
    services_take_error(instance->private_part->services, text, sizeof(text));
    enum error_kind kind = kind_of_status(status);
    /* Without a reason nobody can say that the user's input is at fault. */
    bool unexplained = !text[0] && status != NAPM_ERR_MEMORY && status != NAPM_ERR_CANCELLED;
    if (unexplained && kind == ERROR_INPUT)
        kind = ERROR_PLUGIN;
    error_set(error, kind, "plugin %s (%s): %s: %s", instance->entry->name, instance->entry->path, what,
              text[0] ? text : text_of_status(status));
    if (unexplained)
        error_append(error, "; it gave no reason (it did not call host->set_error)");
    if (kind == ERROR_PLUGIN)
        error_append(error, " (status %d)", status);
    return -1;
}

int instance_misbehaved(const struct instance *instance, struct error *error, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return error_set(error, ERROR_PLUGIN, "plugin %s (%s) misbehaves: %s", instance->entry->name, instance->entry->path,
                     text);
}

/* ---- life */

static int copy_functions(struct instance *instance, struct error *error)
{
    const struct napm_plugin *plugin = instance->entry->plugin;
    switch (plugin->kind) {
    case NAPM_KIND_PARTITIONER:
        return descriptor_copy_hook(plugin->kind, plugin->hook, &instance->hook.partitioner,
                                    sizeof(instance->hook.partitioner), error);
    case NAPM_KIND_SCHEDULER:
        return descriptor_copy_hook(plugin->kind, plugin->hook, &instance->hook.scheduler,
                                    sizeof(instance->hook.scheduler), error);
    case NAPM_KIND_LOADGEN:
        return descriptor_copy_hook(plugin->kind, plugin->hook, &instance->hook.loadgen, sizeof(instance->hook.loadgen),
                                    error);
    default:
        return descriptor_copy_hook(plugin->kind, plugin->hook, &instance->hook.backend, sizeof(instance->hook.backend),
                                    error);
    }
}

static const struct catalogue_entry *find_chosen(struct catalogue *catalogue, uint32_t kind,
                                                 const struct plugin_choice *choice, struct error *error)
{
    const struct catalogue_entry *entry = catalogue_find(catalogue, kind, choice->name, error);
    if (!entry && choice->where)
        error_prefix(error, "%s", choice->where);
    return entry;
}

static int create(struct instance *instance, const struct plugin_choice *choice, struct error *error)
{
    struct instance_private *private_part = instance->private_part;
    instance_lock(instance);
    int32_t status = instance->entry->plugin->create(&instance->host, private_part->options.values, &instance->self);
    instance_unlock(instance);
    private_part->created = status >= 0;
    if (private_part->created)
        return 0;
    instance_error(instance, status, "cannot be set up", error);
    return choice->where ? error_prefix(error, "%s", choice->where) : -1;
}

struct instance *instance_open(struct catalogue *catalogue, uint32_t kind, const struct plugin_choice *choice,
                               const struct instance_host *host, struct error *error)
{
    struct option_values options;
    const struct catalogue_entry *entry = find_chosen(catalogue, kind, choice, error);
    if (!entry || option_values_read(entry->plugin, choice, &options, error))
        return NULL;
    struct instance *instance = NEW(struct instance);
    struct instance_private *private_part = NEW(struct instance_private);
    char *source = text_format("%s (%s)", entry->name, host->label ? host->label : catalogue_kind_name(kind));
    instance->entry = entry;
    instance->private_part = private_part;
    private_part->options = options;
    private_part->services = services_open(host, source, kind == NAPM_KIND_BACKEND,
                                           entry->plugin->threading == NAPM_THREADS_PARALLEL, &instance->host);
    free(source);
    if (copy_functions(instance, error) || create(instance, choice, error)) {
        instance_close(instance);
        return NULL;
    }
    return instance;
}

void instance_close(struct instance *instance)
{
    if (!instance)
        return;
    struct instance_private *private_part = instance->private_part;
    if (private_part->created) {
        instance_lock(instance);
        instance->entry->plugin->destroy(instance->self);
        instance_unlock(instance);
    }
    services_close(private_part->services);
    option_values_free(&private_part->options);
    free(private_part->options_text);
    free(private_part);
    free(instance);
}

int instance_check(struct catalogue *catalogue, uint32_t kind, const struct plugin_choice *choice, struct error *error)
{
    struct option_values options;
    const struct catalogue_entry *entry = find_chosen(catalogue, kind, choice, error);
    if (!entry || option_values_read(entry->plugin, choice, &options, error))
        return -1;
    option_values_free(&options);
    return 0;
}

const char *instance_options_text(const struct instance *instance)
{
    struct instance_private *private_part = instance->private_part;
    if (!private_part->options_text)
        private_part->options_text = option_values_text(instance->entry->plugin, &private_part->options);
    return private_part->options_text;
}

int instance_extension(const struct instance *instance, const char *id, void *table, size_t table_bytes)
{
    const struct napm_plugin *plugin = instance->entry->plugin;
    memset(table, 0, table_bytes);
    const void *theirs = plugin->get_extension ? plugin->get_extension(id) : NULL;
    if (!theirs)
        return -1;
    descriptor_copy_sized(table, table_bytes, theirs);
    return 0;
}
