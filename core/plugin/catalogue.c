/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of plugins: discovery, refusals, shadowing, and loading on first need. */
#include "core/plugin/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/nearest.h"
#include "core/plugin/catalogue_private.h"
#include "core/plugin/descriptor.h"
#include "core/plugin/elf_note.h"
#include "core/plugin/loader.h"
#include "core/plugin/search.h"

/* One file that carries plugins, or one module that is linked into the program. */
struct plugin_file {
    char *path;
    const char *folder;
    const struct napm_plugin_list *list; /* of a module in the program; NULL where there is a file to load */
    struct plugin_notes notes;
    struct descriptor *descriptors; /* one for each note; NULL until loaded */
    char *refusal;
};

/* An entry as others see it, and what is behind it. `entry` stands first, so that one leads to the other. */
struct slot {
    struct catalogue_entry entry;
    struct plugin_file *file;
    size_t note; /* index of its note in the file */
    pthread_mutex_t lock;
};

struct catalogue {
    struct search_list folders;
    ARRAY_OF(struct plugin_file *) files;
    ARRAY_OF(struct slot *) slots;
};

/* ---- kinds */

static const char *const kind_names[] = {"", "partitioner", "scheduler", "loadgen", "backend"};
#define KIND_COUNT (sizeof(kind_names) / sizeof(kind_names[0]))

const char *catalogue_kind_name(uint32_t kind)
{
    return kind > 0 && kind < KIND_COUNT ? kind_names[kind] : "unknown kind";
}

uint32_t catalogue_kind_from_name(const char *name)
{
    for (uint32_t kind = 1; kind < KIND_COUNT; kind++)
        if (strcmp(name, kind_names[kind]) == 0)
            return kind;
    return 0;
}

/* ---- discovery */

static struct slot *add_slot(struct catalogue *catalogue, struct plugin_file *file)
{
    struct slot *slot = NEW(struct slot);
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&slot->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    slot->file = file;
    slot->entry.path = file->path;
    slot->entry.folder = file->folder;
    *ARRAY_ADD(&catalogue->slots) = slot;
    return slot;
}

/* The path of an earlier usable entry of the same kind and name, or NULL. */
static const char *find_shadow(const struct catalogue *catalogue, uint32_t kind, const char *name)
{
    for (size_t i = 0; i < catalogue->slots.count; i++) {
        const struct catalogue_entry *entry = &catalogue->slots.items[i]->entry;
        if (!entry->refusal && entry->kind == kind && strcmp(entry->name, name) == 0)
            return entry->path;
    }
    return NULL;
}

static void describe(struct slot *slot, size_t note_index)
{
    const struct plugin_note *note = &slot->file->notes.items[note_index];
    slot->note = note_index;
    slot->entry.kind = note->kind;
    slot->entry.abi = note->abi;
    slot->entry.hook_version = note->hook_version;
    slot->entry.name = note->name;
    slot->entry.version = note->version;
}

static void add_refused(struct catalogue *catalogue, struct plugin_file *file, const struct error *error)
{
    file->refusal = text_copy(error->text);
    struct slot *slot = add_slot(catalogue, file);
    const struct plugin_note *note = file->notes.items; /* NULL where there is none */
    if (file->notes.count == 1 && note->magic == NAPM_MAGIC && descriptor_is_name(note->name))
        describe(slot, 0);
    slot->entry.refusal = file->refusal;
}

static void add_plugins(struct catalogue *catalogue, struct plugin_file *file)
{
    for (size_t i = 0; i < file->notes.count; i++) {
        const struct plugin_note *note = &file->notes.items[i];
        const char *shadow = find_shadow(catalogue, note->kind, note->name);
        struct slot *slot = add_slot(catalogue, file);
        describe(slot, i);
        slot->entry.shadowed_by = shadow;
    }
}

/* By kind and name: the order in a file is the compiler's whim. */
static int compare_notes(const void *a, const void *b)
{
    const struct plugin_note *left = a, *right = b;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    return strncmp(left->name, right->name, sizeof(left->name));
}

static int read_notes(struct plugin_file *file, struct error *error)
{
    struct file_map map;
    if (file_map(file->path, &map, error)) {
        char *why = text_copy(error->text);
        error_set(error, ERROR_PLUGIN, "It cannot be read: %s", why + strlen(file->path) + strlen(": "));
        free(why);
        return -1;
    }
    int failed = elf_note_read(map.bytes, map.size, &file->notes, error);
    file_unmap(&map);
    if (file->notes.count)
        qsort(file->notes.items, file->notes.count, sizeof(file->notes.items[0]), compare_notes);
    return failed ? -1 : descriptor_check_notes(&file->notes, error);
}

/* Takes over `path`. */
static struct plugin_file *new_file(struct catalogue *catalogue, const char *folder, char *path)
{
    struct plugin_file *file = NEW(struct plugin_file);
    file->path = path;
    file->folder = folder;
    *ARRAY_ADD(&catalogue->files) = file;
    return file;
}

static void add_file(struct catalogue *catalogue, const char *folder, char *path)
{
    struct error error = {0};
    struct plugin_file *file = new_file(catalogue, folder, path);
    if (read_notes(file, &error))
        add_refused(catalogue, file, &error);
    else
        add_plugins(catalogue, file);
}

/* Adds a module that is linked into the program. */
static void add_module(void *context, const char *module, const struct napm_plugin_list *list)
{
    struct catalogue *catalogue = context;
    struct error error = {0};
    struct plugin_file *file = new_file(catalogue, "built-in", text_format("built-in:%s", module));
    file->list = list;
    if (descriptor_make_notes(list, &file->notes, &error) || descriptor_check_notes(&file->notes, &error))
        add_refused(catalogue, file, &error);
    else
        add_plugins(catalogue, file);
}

struct catalogue *catalogue_open(const char *const *extra, struct error *error)
{
    struct catalogue *catalogue = NEW(struct catalogue);
    if (search_folders(extra, &catalogue->folders, error)) {
        free(catalogue);
        return NULL;
    }
    for (size_t i = 0; i < catalogue->folders.count; i++) {
        struct search_list names;
        search_files(catalogue->folders.items[i], &names);
        for (size_t j = 0; j < names.count; j++)
            add_file(catalogue, catalogue->folders.items[i],
                     text_format("%s/%s", catalogue->folders.items[i], names.items[j]));
        search_list_free(&names);
    }
    loader_each_preloaded(add_module, catalogue);
    return catalogue;
}

struct catalogue *catalogue_open_file(const char *path)
{
    struct catalogue *catalogue = NEW(struct catalogue);
    char *absolute = realpath(path, NULL); /* a bare name would send dlopen to the libraries' folders */
    add_file(catalogue, "", absolute ? absolute : text_copy(path));
    return catalogue;
}

void catalogue_close(struct catalogue *catalogue)
{
    if (!catalogue)
        return;
    for (size_t i = 0; i < catalogue->slots.count; i++) {
        pthread_mutex_destroy(&catalogue->slots.items[i]->lock);
        free(catalogue->slots.items[i]);
    }
    for (size_t i = 0; i < catalogue->files.count; i++) {
        struct plugin_file *file = catalogue->files.items[i];
        for (size_t j = 0; file->descriptors && j < file->notes.count; j++)
            descriptor_free(&file->descriptors[j]);
        free(file->descriptors);
        elf_note_free(&file->notes);
        free(file->refusal);
        free(file->path);
        free(file);
    }
    ARRAY_FREE(&catalogue->slots);
    ARRAY_FREE(&catalogue->files);
    search_list_free(&catalogue->folders);
    free(catalogue);
}

/* ---- looking */

size_t catalogue_count(const struct catalogue *catalogue)
{
    return catalogue->slots.count;
}

const struct catalogue_entry *catalogue_at(const struct catalogue *catalogue, size_t index)
{
    return &catalogue->slots.items[index]->entry;
}

size_t catalogue_folder_count(const struct catalogue *catalogue)
{
    return catalogue->folders.count;
}

const char *catalogue_folder_at(const struct catalogue *catalogue, size_t index)
{
    return catalogue->folders.items[index];
}

pthread_mutex_t *catalogue_entry_lock(const struct catalogue_entry *entry)
{
    return &((struct slot *)(uintptr_t)entry)->lock;
}

/* ---- loading */

/* Loads a file once. All its entries then have their descriptors, or all are refused. */
static int load_file(struct catalogue *catalogue, struct plugin_file *file, struct error *error)
{
    if (file->refusal || file->descriptors)
        return file->refusal ? error_set(error, ERROR_PLUGIN, "%s", file->refusal) : 0;
    struct descriptor *descriptors = NEW_ARRAY(struct descriptor, file->notes.count);
    const struct napm_plugin_list *list = file->list ? file->list : loader_open(file->path, error);
    if (!list || descriptor_copy_list(list, &file->notes, descriptors, error)) {
        free(descriptors);
        file->refusal = text_copy(error->text);
    } else {
        file->descriptors = descriptors;
    }
    for (size_t i = 0; i < catalogue->slots.count; i++) {
        struct slot *slot = catalogue->slots.items[i];
        if (slot->file != file)
            continue;
        slot->entry.refusal = file->refusal;
        slot->entry.plugin = file->refusal ? NULL : &descriptors[slot->note].plugin;
    }
    return file->refusal ? -1 : 0;
}

void catalogue_load_all(struct catalogue *catalogue)
{
    struct error refused; /* kept with the entries */
    for (size_t i = 0; i < catalogue->files.count; i++)
        load_file(catalogue, catalogue->files.items[i], &refused);
}

/* ---- finding */

/* The entry that serves kind and name, or else a refused one of that kind and name, or NULL. */
static struct slot *find_slot(const struct catalogue *catalogue, uint32_t kind, const char *name)
{
    struct slot *refused = NULL;
    for (size_t i = 0; i < catalogue->slots.count; i++) {
        struct slot *slot = catalogue->slots.items[i];
        if (slot->entry.kind != kind || !slot->entry.name || strcmp(slot->entry.name, name) != 0)
            continue;
        if (!slot->entry.refusal && !slot->entry.shadowed_by)
            return slot;
        if (slot->entry.refusal && !refused)
            refused = slot;
    }
    return refused;
}

/* Names of a kind, each once. Fills at most catalogue_count() of `names`. */
static size_t known_names(const struct catalogue *catalogue, uint32_t kind, const char **names)
{
    size_t count = 0;
    for (size_t i = 0; i < catalogue->slots.count; i++) {
        const struct catalogue_entry *entry = &catalogue->slots.items[i]->entry;
        if (entry->kind == kind && !entry->refusal && !entry->shadowed_by)
            names[count++] = entry->name;
    }
    return count;
}

static void say_other_kind(const struct catalogue *catalogue, uint32_t wanted, const char *name, struct error *error)
{
    for (uint32_t kind = 1; kind < KIND_COUNT; kind++)
        if (kind != wanted && find_slot(catalogue, kind, name))
            error_append(error, "; there is a %s of that name", catalogue_kind_name(kind));
}

static void say_searched(const struct catalogue *catalogue, struct error *error)
{
    error_append(error, "; searched:");
    for (size_t i = 0; i < catalogue->folders.count; i++)
        error_append(error, " %s", catalogue->folders.items[i]);
    if (!catalogue->folders.count)
        error_append(error, " no folder (set NAPM_PLUGIN_PATH or give --plugin-path)");
}

static void not_found(const struct catalogue *catalogue, uint32_t kind, const char *name, struct error *error)
{
    const char **names = NEW_ARRAY(const char *, catalogue->slots.count);
    size_t count = known_names(catalogue, kind, names);
    const char *nearest = nearest_name(name, names, count);
    error_set(error, ERROR_INPUT, "there is no %s plugin '%s'", catalogue_kind_name(kind), name);
    if (nearest)
        error_append(error, ": did you mean '%s'?", nearest);
    for (size_t i = 0; !nearest && i < count; i++)
        error_append(error, "%s%s", i == 0 ? ": known are " : ", ", names[i]);
    if (!nearest) {
        say_other_kind(catalogue, kind, name, error);
        say_searched(catalogue, error);
    }
    free(names);
}

const struct catalogue_entry *catalogue_find(struct catalogue *catalogue, uint32_t kind, const char *name,
                                             struct error *error)
{
    struct error local = {0};
    struct slot *slot = find_slot(catalogue, kind, name);
    if (!slot) {
        not_found(catalogue, kind, name, error);
        return NULL;
    }
    static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER; /* libltdl wants one thread at a time */
    pthread_mutex_lock(&loading);
    int failed = load_file(catalogue, slot->file, &local);
    pthread_mutex_unlock(&loading);
    if (failed) {
        error_set(error, ERROR_INPUT, "%s plugin '%s' cannot be used: %s: %s", catalogue_kind_name(kind), name,
                  slot->entry.path, local.text);
        return NULL;
    }
    return &slot->entry;
}
