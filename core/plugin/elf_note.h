/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ELF notes by which a file says which plugins it carries. They are read from the file's bytes without running any
 * of its code, and nothing in the bytes is trusted.
 */
#ifndef NAPM_PLUGIN_ELF_NOTE_H
#define NAPM_PLUGIN_ELF_NOTE_H

#include <napm/plugin.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

/* What one note says of one plugin. */
struct plugin_note {
    uint32_t magic, abi, plugin_size, kind, hook_version;
    char name[sizeof(((struct napm_note *)0)->plugin_name)];
    char version[sizeof(((struct napm_note *)0)->plugin_version)];
};

/* More plugins than this in one file are refused: it bounds the time that a hostile file can cost. */
#define ELF_NOTE_MOST_PLUGINS 64

/* Ended by elf_note_free; {0} to begin with. */
struct plugin_notes {
    struct plugin_note *items;
    size_t count, room;
};
void elf_note_free(struct plugin_notes *notes);

/*
 * Reads the notes of a shared object for this machine. 0 with at least one note, or -1 with a sentence without the
 * path: no ELF file, another architecture, no shared object, cut off, malformed, or no note of ours. The notes that were
 * read before a fault are there in either case.
 */
int elf_note_read(const uint8_t *bytes, size_t size, struct plugin_notes *notes, struct error *error);

#endif
