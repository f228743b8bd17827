/* SPDX-License-Identifier: Apache-2.0 */
/* Notes, descriptors and tables of functions: checked and copied. */
#include "core/plugin/descriptor.h"

#include <napm/backend.h>
#include <napm/loadgen.h>
#include <napm/partitioner.h>
#include <napm/scheduler.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/plugin/catalogue.h"
#include "core/plugin/options.h"

/* A descriptor without these fields says too little; what was appended behind them reads as zero. */
#define LEAST_DESCRIPTOR_BYTES offsetof(struct napm_plugin, get_extension)
#define LEAST_OPTION_BYTES offsetof(struct napm_option, choices)
#define MOST_OPTIONS 1000u

/* ---- versions */

static int check_abi(uint32_t magic, uint32_t abi, struct error *error)
{
    if (magic != NAPM_MAGIC)
        return error_set(error, ERROR_PLUGIN,
                         "It is no NAPM plugin: its magic word is 0x%08x, expected 0x%08x: build it with the NAPM SDK",
                         magic, NAPM_MAGIC);
    if (abi != NAPM_ABI)
        return error_set(error, ERROR_PLUGIN, "It is built for plugin ABI %u, this platform has ABI %u: %s", abi,
                         NAPM_ABI, abi > NAPM_ABI ? "update the platform" : "rebuild the plugin with this SDK");
    return 0;
}

static uint32_t known_hook_version(uint32_t kind)
{
    switch (kind) {
    case NAPM_KIND_PARTITIONER:
        return NAPM_PARTITIONER_VERSION;
    case NAPM_KIND_SCHEDULER:
        return NAPM_SCHEDULER_VERSION;
    case NAPM_KIND_LOADGEN:
        return NAPM_LOADGEN_VERSION;
    case NAPM_KIND_BACKEND:
        return NAPM_BACKEND_VERSION;
    default:
        return 0;
    }
}

static int check_kind(uint32_t kind, uint32_t hook_version, struct error *error)
{
    uint32_t known = known_hook_version(kind);
    if (known == 0)
        return error_set(error, ERROR_PLUGIN,
                         "It carries a plugin of kind %u, which this platform does not know: update the platform",
                         kind);
    if (hook_version == 0 || hook_version > known)
        return error_set(error, ERROR_PLUGIN, "It is built for version %u of the %s hook, this platform has %u: %s",
                         hook_version, catalogue_kind_name(kind), known,
                         hook_version ? "update the platform" : "rebuild the plugin with this SDK");
    return 0;
}

static int check_size(const char *what, uint32_t size, size_t least, size_t ours, struct error *error)
{
    if (size >= least)
        return 0;
    return error_set(error, ERROR_PLUGIN,
                     "Its %s has %u bytes; ABI %u needs %zu at least, and %zu as of this SDK: rebuild the plugin", what,
                     size, NAPM_ABI, least, ours);
}

/* ---- notes */

int descriptor_is_name(const char *name)
{
    return name[0] && name[0] != '-' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static int is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return 0;
    return 1;
}

int descriptor_check_note(const struct plugin_note *note, struct error *error)
{
    if (check_abi(note->magic, note->abi, error) ||
        check_size("descriptor", note->plugin_size, LEAST_DESCRIPTOR_BYTES, sizeof(struct napm_plugin), error) ||
        check_kind(note->kind, note->hook_version, error))
        return -1;
    if (!is_printable(note->name) || !is_printable(note->version))
        return error_set(error, ERROR_PLUGIN, "It misbehaves: its note holds characters that are not printable");
    if (!descriptor_is_name(note->name))
        return error_set(error, ERROR_PLUGIN,
                         "It misbehaves: the plugin name '%s' is not made of lower case letters, digits and '-'",
                         note->name);
    return 0;
}

static int same_plugin(const struct plugin_note *note, uint32_t kind, const char *name)
{
    return note->kind == kind && strcmp(note->name, name) == 0;
}

int descriptor_check_notes(const struct plugin_notes *notes, struct error *error)
{
    for (size_t i = 0; i < notes->count; i++) {
        if (descriptor_check_note(&notes->items[i], error))
            return -1;
        for (size_t j = 0; j < i; j++)
            if (same_plugin(&notes->items[j], notes->items[i].kind, notes->items[i].name))
                return error_set(error, ERROR_PLUGIN, "It misbehaves: it carries two %s plugins named '%s'",
                                 catalogue_kind_name(notes->items[i].kind), notes->items[i].name);
    }
    return 0;
}

/* ---- tables of functions */

struct required {
    const char *name;
    size_t offset;
};
#define REQUIRED(type, member)                                                                                         \
    {                                                                                                                  \
#member, offsetof(struct type, member)                                                                         \
    }

static const struct required partitioner_functions[] = {REQUIRED(napm_partitioner, plan), {NULL, 0}};
static const struct required scheduler_functions[] = {
    REQUIRED(napm_scheduler, ready), REQUIRED(napm_scheduler, pick), REQUIRED(napm_scheduler, gone), {NULL, 0}};
static const struct required loadgen_functions[] = {{NULL, 0}};
static const struct required backend_functions[] = {REQUIRED(napm_backend, supports),
                                                    REQUIRED(napm_backend, prepare),
                                                    REQUIRED(napm_backend, release_model),
                                                    REQUIRED(napm_backend, create_segment),
                                                    REQUIRED(napm_backend, release_segment),
                                                    REQUIRED(napm_backend, segment_memory),
                                                    REQUIRED(napm_backend, create_execution),
                                                    REQUIRED(napm_backend, release_execution),
                                                    REQUIRED(napm_backend, start),
                                                    REQUIRED(napm_backend, run),
                                                    REQUIRED(napm_backend, outputs),
                                                    {NULL, 0}};
static const struct required arrivals_functions[] = {REQUIRED(napm_loadgen_arrivals, next),
                                                     REQUIRED(napm_loadgen_arrivals, completed),
                                                     REQUIRED(napm_loadgen_arrivals, interval_ns),
                                                     {NULL, 0}};
static const struct required stress_functions[] = {REQUIRED(napm_loadgen_stress, next), {NULL, 0}};
static const struct required *const functions_of_kind[] = {
    [NAPM_KIND_PARTITIONER] = partitioner_functions,
    [NAPM_KIND_SCHEDULER] = scheduler_functions,
    [NAPM_KIND_LOADGEN] = loadgen_functions,
    [NAPM_KIND_BACKEND] = backend_functions,
};

void descriptor_copy_sized(void *ours, size_t ours_bytes, const void *theirs)
{
    uint32_t size;
    memcpy(&size, theirs, sizeof(size));
    memset(ours, 0, ours_bytes);
    size -= size % (uint32_t)sizeof(void *); /* never half a pointer */
    memcpy(ours, theirs, size < ours_bytes ? size : ours_bytes);
}

/* `what` lacks them: NULL is the plugin itself. */
static int check_functions(const struct required *required, const void *table, const char *what, struct error *error)
{
    int missing = 0;
    for (; required->name; required++) {
        void (*function)(void);
        memcpy(&function, (const char *)table + required->offset, sizeof(function));
        if (function)
            continue;
        if (!missing++)
            error_set(error, ERROR_PLUGIN, "%s lacks the required callback %s()", what ? what : "it", required->name);
        else
            error_append(error, ", %s()", required->name);
    }
    return missing ? -1 : 0;
}

int descriptor_copy_hook(uint32_t kind, const void *theirs, void *ours, size_t ours_bytes, struct error *error)
{
    if (!theirs)
        return error_set(error, ERROR_PLUGIN, "its descriptor has no table of functions (hook is NULL)");
    descriptor_copy_sized(ours, ours_bytes, theirs);
    return check_functions(functions_of_kind[kind], ours, NULL, error);
}

/* Copies a load generator's extension and checks it. 1 where it has it, 0 where not, -1 where it is incomplete. */
static int check_extension(const struct napm_plugin *plugin, const char *id, const struct required *functions,
                           size_t bytes, struct error *error)
{
    union {
        struct napm_loadgen_arrivals arrivals;
        struct napm_loadgen_stress stress;
    } table;
    const void *theirs = plugin->get_extension(id);
    if (!theirs)
        return 0;
    descriptor_copy_sized(&table, bytes, theirs);
    return check_functions(functions, &table, id, error) ? -1 : 1;
}

/* What a load generator does is in its extensions, so one of them is required. */
static int check_loadgen(const struct napm_plugin *plugin, struct error *error)
{
    if (!plugin->get_extension)
        return error_set(error, ERROR_PLUGIN, "it lacks the required callback get_extension() of its descriptor");
    int arrivals =
        check_extension(plugin, NAPM_LOADGEN_ARRIVALS, arrivals_functions, sizeof(struct napm_loadgen_arrivals), error);
    int stress = arrivals < 0 ? -1
                              : check_extension(plugin, NAPM_LOADGEN_STRESS, stress_functions,
                                                sizeof(struct napm_loadgen_stress), error);
    if (arrivals < 0 || stress < 0)
        return -1;
    if (arrivals + stress == 0)
        return error_set(error, ERROR_PLUGIN, "it offers neither %s nor %s: a load generator has one of them at least",
                         NAPM_LOADGEN_ARRIVALS, NAPM_LOADGEN_STRESS);
    return 0;
}

static int check_hook(const struct napm_plugin *plugin, struct error *error)
{
    union {
        struct napm_partitioner partitioner;
        struct napm_scheduler scheduler;
        struct napm_loadgen loadgen;
        struct napm_backend backend;
    } hook;
    static const size_t bytes_of_kind[] = {0, sizeof(hook.partitioner), sizeof(hook.scheduler), sizeof(hook.loadgen),
                                           sizeof(hook.backend)};
    if (descriptor_copy_hook(plugin->kind, plugin->hook, &hook, bytes_of_kind[plugin->kind], error))
        return -1;
    return plugin->kind == NAPM_KIND_LOADGEN ? check_loadgen(plugin, error) : 0;
}

/* ---- descriptors */

static int copy_options(struct descriptor *descriptor, struct error *error)
{
    const struct napm_plugin *plugin = &descriptor->plugin;
    if (plugin->option_count > MOST_OPTIONS)
        return error_set(error, ERROR_PLUGIN, "it declares %u options, %u are allowed", plugin->option_count,
                         MOST_OPTIONS);
    if (plugin->option_count && !plugin->options)
        return error_set(error, ERROR_PLUGIN, "it declares %u options and no table of them", plugin->option_count);
    descriptor->options = NEW_ARRAY(struct napm_option, plugin->option_count);
    descriptor->option_pointers = NEW_ARRAY(const struct napm_option *, plugin->option_count);
    for (uint32_t i = 0; i < plugin->option_count; i++) {
        if (!plugin->options[i])
            return error_set(error, ERROR_PLUGIN, "entry %u of its option table is NULL", i + 1);
        if (plugin->options[i]->size < LEAST_OPTION_BYTES)
            return error_set(error, ERROR_PLUGIN, "entry %u of its option table has %u bytes, %zu are needed", i + 1,
                             plugin->options[i]->size, LEAST_OPTION_BYTES);
        descriptor_copy_sized(&descriptor->options[i], sizeof(descriptor->options[i]), plugin->options[i]);
        descriptor->option_pointers[i] = &descriptor->options[i];
    }
    descriptor->plugin.options = descriptor->option_pointers;
    return option_table_check(descriptor->option_pointers, plugin->option_count, error);
}

static int check_facts(struct napm_plugin *plugin, struct error *error)
{
    if (plugin->threading > NAPM_THREADS_PARALLEL)
        return error_set(error, ERROR_PLUGIN, "its threading %u is not known to this platform", plugin->threading);
    if (!plugin->create || !plugin->destroy)
        return error_set(error, ERROR_PLUGIN, "its descriptor lacks the required callback %s()",
                         plugin->create ? "destroy" : "create");
    if (!plugin->summary)
        plugin->summary = "";
    return 0;
}

static int copy_descriptor(const struct napm_plugin *theirs, struct descriptor *descriptor, struct error *error)
{
    descriptor_copy_sized(&descriptor->plugin, sizeof(descriptor->plugin), theirs);
    if (check_facts(&descriptor->plugin, error) || copy_options(descriptor, error) ||
        check_hook(&descriptor->plugin, error)) {
        error_prefix(error, "Its %s '%s' (version %s, ABI %u, hook version %u) breaks the contract",
                     catalogue_kind_name(theirs->kind), theirs->name, theirs->version, NAPM_ABI, theirs->hook_version);
        return error_append(error, "; correct its source and build it again (napm-plugin-check tests it)");
    }
    return 0;
}

/* ---- lists */

/* Is the list readable at all, and does each descriptor say its name? */
static int check_list(const struct napm_plugin_list *list, struct error *error)
{
    if (check_abi(list->magic, list->abi, error) ||
        check_size("descriptor list", list->size, sizeof(*list), sizeof(*list), error))
        return -1;
    for (uint32_t i = 0; list->plugins && i < list->plugin_count; i++) {
        const struct napm_plugin *plugin = list->plugins[i];
        if (!plugin)
            return error_set(error, ERROR_PLUGIN, "It misbehaves: entry %u of its descriptor list is NULL", i + 1);
        if (check_size("descriptor", plugin->size, LEAST_DESCRIPTOR_BYTES, sizeof(*plugin), error))
            return -1;
        if (!plugin->name || !plugin->version)
            return error_set(error, ERROR_PLUGIN, "It misbehaves: descriptor %u has no %s", i + 1,
                             plugin->name ? "version" : "name");
    }
    return 0;
}

static int check_count(const struct napm_plugin_list *list, const struct plugin_notes *notes, struct error *error)
{
    if (list->plugin_count == notes->count && list->plugins)
        return 0;
    return error_set(
        error, ERROR_PLUGIN,
        "It misbehaves: it lists %u plugins and has notes of %zu: give each plugin a NAPM_PLUGIN_NOTE and a "
        "place in NAPM_EXPORT_PLUGINS",
        list->plugin_count, notes->count);
}

static int check_agreement(const struct plugin_note *note, const struct napm_plugin *plugin, struct error *error)
{
    if (strcmp(note->version, plugin->version) == 0 && note->hook_version == plugin->hook_version &&
        note->plugin_size == plugin->size)
        return 0;
    return error_set(
        error, ERROR_PLUGIN,
        "It misbehaves: of '%s' its note says version %s, hook version %u, %u bytes, its descriptor version "
        "%s, hook version %u, %u bytes: make NAPM_PLUGIN_NOTE repeat the descriptor",
        note->name, note->version, note->hook_version, note->plugin_size, plugin->version, plugin->hook_version,
        plugin->size);
}

/* The descriptor that a note speaks of. */
static const struct napm_plugin *find_descriptor(const struct napm_plugin_list *list, const struct plugin_note *note,
                                                 struct error *error)
{
    for (uint32_t i = 0; i < list->plugin_count; i++)
        if (same_plugin(note, list->plugins[i]->kind, list->plugins[i]->name))
            return list->plugins[i];
    error_set(
        error, ERROR_PLUGIN,
        "It misbehaves: its note names the %s '%s', none of its descriptors does: make NAPM_PLUGIN_NOTE repeat the "
        "descriptor",
        catalogue_kind_name(note->kind), note->name);
    return NULL;
}

int descriptor_copy_list(const struct napm_plugin_list *list, const struct plugin_notes *notes,
                         struct descriptor *descriptors, struct error *error)
{
    int failed = check_list(list, error) || check_count(list, notes, error);
    memset(descriptors, 0, notes->count * sizeof(*descriptors));
    for (size_t i = 0; !failed && i < notes->count; i++) {
        const struct napm_plugin *plugin = find_descriptor(list, &notes->items[i], error);
        failed = !plugin || check_agreement(&notes->items[i], plugin, error) ||
                 copy_descriptor(plugin, &descriptors[i], error);
    }
    for (size_t i = 0; failed && i < notes->count; i++)
        descriptor_free(&descriptors[i]);
    return failed ? -1 : 0;
}

int descriptor_make_notes(const struct napm_plugin_list *list, struct plugin_notes *notes, struct error *error)
{
    *notes = (struct plugin_notes){0};
    if (check_list(list, error))
        return -1;
    for (uint32_t i = 0; list->plugins && i < list->plugin_count; i++) {
        const struct napm_plugin *plugin = list->plugins[i];
        struct plugin_note *note = ARRAY_ADD(notes);
        *note = (struct plugin_note){list->magic, list->abi, plugin->size, plugin->kind, plugin->hook_version, "", ""};
        if (strlen(plugin->name) >= sizeof(note->name) || strlen(plugin->version) >= sizeof(note->version))
            return error_set(error, ERROR_PLUGIN, "Its plugin's name or version is too long: '%s', '%s'", plugin->name,
                             plugin->version);
        strcpy(note->name, plugin->name);
        strcpy(note->version, plugin->version);
    }
    return 0;
}

void descriptor_free(struct descriptor *descriptor)
{
    free(descriptor->options);
    free(descriptor->option_pointers);
    *descriptor = (struct descriptor){0};
}
