/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reader of a plugin file's ELF notes: the one piece of code that looks at files that nobody vouches for.
 * Inputs lie before an unreadable page, so that a byte read too many is seen without a sanitizer, too.
 */
#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/plugin/descriptor.h"
#include "core/plugin/elf_note.h"
#include "tests/fuzz/fuzz_target.h"

/* This program's own header gives the seeds their machine, word size and byte order. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

#define ROOM_BYTES ((size_t)1 << 21)
#define SEEDS 4

/* A note of another owner, padded to 8 bytes in some segments. */
struct other_note {
    uint32_t name_bytes, desc_bytes, type;
    char owner[4];
    uint32_t description[4];
};

/* A shared object that is all headers and notes. */
struct seed {
    ElfW(Ehdr) header;
    ElfW(Phdr) segments[3];
    struct other_note other;
    struct napm_note notes[2];
};

static struct napm_note make_note(uint32_t kind, const char *name)
{
    struct napm_note note = {5u,
                             sizeof(note) - 20u,
                             NAPM_NOTE_TYPE,
                             "NAPM",
                             NAPM_MAGIC,
                             NAPM_ABI,
                             sizeof(struct napm_plugin),
                             kind,
                             1u,
                             0u,
                             "",
                             "1.0"};
    snprintf(note.plugin_name, sizeof(note.plugin_name), "%s", name);
    return note;
}

static ElfW(Phdr) make_segment(uint32_t type, size_t offset, size_t bytes, size_t align)
{
    return (ElfW(Phdr)){.p_type = type, .p_offset = offset, .p_filesz = bytes, .p_memsz = bytes, .p_align = align};
}

/* The undamaged seeds are read as they are meant, or fuzzing them would prove little. */
static void check_seed(const struct seed *seed, size_t expected)
{
    struct error error = {0};
    struct plugin_notes notes;
    int failed = elf_note_read((const uint8_t *)seed, sizeof(*seed), &notes, &error);
    if (failed != (expected ? 0 : -1) || notes.count != expected) {
        printf("Bail out! a seed with %zu notes gave %zu: %s\n", expected, notes.count, error.text);
        exit(1);
    }
    elf_note_free(&notes);
}

/* Seeds: two notes; one; two behind another owner's; another owner's alone. */
uint8_t *fuzz_seed(unsigned index, size_t *size)
{
    struct seed seed = {.other = {4, 16, 5, "GNU", {1, 2, 3, 4}}};
    if (index >= SEEDS)
        return NULL;
    seed.notes[0] = make_note(NAPM_KIND_SCHEDULER, "first");
    seed.notes[1] = make_note(NAPM_KIND_BACKEND, "second");
    memcpy(seed.header.e_ident, __ehdr_start.e_ident, EI_NIDENT);
    seed.header.e_type = ET_DYN;
    seed.header.e_machine = __ehdr_start.e_machine;
    seed.header.e_phoff = offsetof(struct seed, segments);
    seed.header.e_phentsize = sizeof(seed.segments[0]);
    seed.header.e_phnum = 3;
    size_t notes_at = offsetof(struct seed, notes), other_at = offsetof(struct seed, other);
    seed.segments[0] = make_segment(PT_LOAD, 0, sizeof(seed), 4096);
    seed.segments[1] = make_segment(PT_NOTE, other_at, sizeof(seed.other), index == 3 ? 4 : 8);
    seed.segments[2] = make_segment(PT_NOTE, notes_at, sizeof(seed.notes) / (index == 1 ? 2 : 1), 4);
    if (index == 2) /* one segment for all */
        seed.segments[2] = make_segment(PT_NOTE, other_at, notes_at - other_at + sizeof(seed.notes), 4);
    seed.header.e_phnum = index == 3 ? 2 : 3;
    check_seed(&seed, index == 3 ? 0 : index == 1 ? 1 : 2);
    *size = sizeof(seed);
    return memory_copy(&seed, sizeof(seed));
}

/* Copies the input so that it ends at an unreadable page. */
static const uint8_t *before_the_edge(const uint8_t *bytes, size_t size)
{
    static uint8_t *room;
    if (!room) {
        room = mmap(NULL, ROOM_BYTES + (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED || mprotect(room + ROOM_BYTES, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE))
            abort();
    }
    if (size)
        memcpy(room + ROOM_BYTES - size, bytes, size);
    return room + ROOM_BYTES - size;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct error error = {0};
    struct plugin_notes notes;
    if (size > ROOM_BYTES)
        return 0;
    if (elf_note_read(before_the_edge(bytes, size), size, &notes, &error)) {
        if (error.text[0] == '\0')
            abort(); /* a refusal must say why */
        elf_note_free(&notes);
        return 0;
    }
    if (notes.count == 0 || notes.count > ELF_NOTE_MOST_PLUGINS)
        abort();
    for (size_t i = 0; i < notes.count; i++)
        if (strlen(notes.items[i].name) >= sizeof(notes.items[i].name) ||
            strlen(notes.items[i].version) >= sizeof(notes.items[i].version))
            abort();
    if (descriptor_check_notes(&notes, &error) && error.text[0] == '\0')
        abort();
    elf_note_free(&notes);
    return 0;
}
