/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is what a file says of its plugins sound: the facts of its notes, its descriptors, and the tables of functions. Every
 * structure is copied into a zeroed one of this platform's own size, so that plugins of older and newer SDKs are read
 * alike.
 */
#ifndef NAPM_PLUGIN_DESCRIPTOR_H
#define NAPM_PLUGIN_DESCRIPTOR_H

#include <napm/plugin.h>
#include <stddef.h>

#include "core/base/error.h"
#include "core/plugin/elf_note.h"

/* Lower case letters, digits and '-'. */
int descriptor_is_name(const char *name);

/* Can this platform use a plugin with this note? 0, or -1 with a sentence (both versions, and the remedy). */
int descriptor_check_note(const struct plugin_note *note, struct error *error);

/* The same for all notes of a file, which may not name one plugin twice. */
int descriptor_check_notes(const struct plugin_notes *notes, struct error *error);

/* The notes that a module's list would have, for modules that are linked into the program and have no file to read. */
int descriptor_make_notes(const struct napm_plugin_list *list, struct plugin_notes *notes, struct error *error);

/* A checked copy of a descriptor. Texts stay the plugin's own; the option table is copied. */
struct descriptor {
    struct napm_plugin plugin;
    struct napm_option *options;
    const struct napm_option **option_pointers;
};

/*
 * Checks a loaded file's list against its notes and copies its descriptors into descriptors[0..notes->count-1], in
 * the order of the notes. On failure nothing needs freeing.
 */
int descriptor_copy_list(const struct napm_plugin_list *list, const struct plugin_notes *notes,
                         struct descriptor *descriptors, struct error *error);
void descriptor_free(struct descriptor *descriptor);

/* Copies a structure that begins with its size, which may be shorter or longer than `ours_bytes`. */
void descriptor_copy_sized(void *ours, size_t ours_bytes, const void *theirs);

/* Copies a kind's table of functions. -1 with a sentence that names every required function that is missing. */
int descriptor_copy_hook(uint32_t kind, const void *theirs, void *ours, size_t ours_bytes, struct error *error);

#endif
