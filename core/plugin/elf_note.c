/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF notes of a plugin file, read with every bound checked. */
#include "core/plugin/elf_note.h"

#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

/* This program's own ELF header, which the linker provides: it says what a file for this machine looks like. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* What comes behind the three numbers and the owner of a note of ours. */
struct note_facts {
    uint32_t magic, abi, plugin_size, kind, hook_version, reserved;
    char plugin_name[sizeof(((struct napm_note *)0)->plugin_name)];
    char plugin_version[sizeof(((struct napm_note *)0)->plugin_version)];
};

/* A program needs few note segments (gcc and clang make two); more are a malformed file. */
#define MOST_NOTE_SEGMENTS 64
#define NOT_PLUGIN "a plugin is a shared object built with the NAPM SDK"

static const char *machine_name(unsigned machine)
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {{EM_X86_64, "x86-64"},     {EM_386, "x86 (32 bits)"}, {EM_AARCH64, "ARM (64 bits)"},
                 {EM_ARM, "ARM (32 bits)"}, {EM_RISCV, "RISC-V"},      {EM_PPC64, "PowerPC (64 bits)"},
                 {EM_S390, "S/390"},        {EM_MIPS, "MIPS"},         {EM_LOONGARCH, "LoongArch"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].machine == machine)
            return names[i].name;
    return "another machine";
}

/* The field e_machine stands at the same place in every class, in the byte order of the file. */
static unsigned machine_of(const uint8_t *bytes)
{
    const uint8_t *field = bytes + offsetof(ElfW(Ehdr), e_machine);
    return bytes[EI_DATA] == ELFDATA2MSB ? (unsigned)field[0] << 8 | field[1] : (unsigned)field[1] << 8 | field[0];
}

static int check_architecture(const uint8_t *bytes, struct error *error)
{
    unsigned theirs = machine_of(bytes), ours = __ehdr_start.e_machine;
    if (theirs != ours)
        return error_set(error, ERROR_PLUGIN, "It is built for %s, this is %s: build it for this machine",
                         machine_name(theirs), machine_name(ours));
    if (bytes[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] || bytes[EI_DATA] != __ehdr_start.e_ident[EI_DATA])
        return error_set(error, ERROR_PLUGIN,
                         "It is built for %s with another word size or byte order than this program's: build it for "
                         "this machine",
                         machine_name(theirs));
    return 0;
}

static int read_header(const uint8_t *bytes, size_t size, ElfW(Ehdr) * header, struct error *error)
{
    if (size == 0)
        return error_set(error, ERROR_PLUGIN, "It is empty: " NOT_PLUGIN);
    if (size < SELFMAG || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return error_set(error, ERROR_PLUGIN, "It is no ELF file: " NOT_PLUGIN);
    if (size < offsetof(ElfW(Ehdr), e_machine) + sizeof(header->e_machine))
        return error_set(error, ERROR_PLUGIN, "It is cut off after %zu bytes: build or copy it again", size);
    if (check_architecture(bytes, error))
        return -1;
    if (size < sizeof(*header))
        return error_set(error, ERROR_PLUGIN, "It is cut off after %zu bytes: build or copy it again", size);
    memcpy(header, bytes, sizeof(*header));
    if (header->e_type != ET_DYN)
        return error_set(error, ERROR_PLUGIN, "It is an ELF file, but no shared object: link it with -shared");
    if (header->e_phentsize != sizeof(ElfW(Phdr)))
        return error_set(error, ERROR_PLUGIN, "Its ELF header is malformed: build it again");
    return 0;
}

/* Adds the facts of one note of ours. */
static int add_note(const uint8_t *facts_bytes, size_t count, struct plugin_notes *notes, struct error *error)
{
    struct note_facts facts;
    if (count < sizeof(facts))
        return error_set(error, ERROR_PLUGIN,
                         "Its NAPM note has %zu bytes, version %u of the ABI needs %zu: build it again with this SDK",
                         count, NAPM_ABI, sizeof(facts));
    memcpy(&facts, facts_bytes, sizeof(facts));
    if (!memchr(facts.plugin_name, '\0', sizeof(facts.plugin_name)) ||
        !memchr(facts.plugin_version, '\0', sizeof(facts.plugin_version)))
        return error_set(error, ERROR_PLUGIN,
                         "Its NAPM note holds a text that does not end: the plugin's name may have %zu characters, its "
                         "version %zu",
                         sizeof(facts.plugin_name) - 1, sizeof(facts.plugin_version) - 1);
    if (notes->count == ELF_NOTE_MOST_PLUGINS)
        return error_set(error, ERROR_PLUGIN, "It carries more than %d plugins: split it into several files",
                         ELF_NOTE_MOST_PLUGINS);
    struct plugin_note *note = ARRAY_ADD(notes);
    *note = (struct plugin_note){.magic = facts.magic,
                                 .abi = facts.abi,
                                 .plugin_size = facts.plugin_size,
                                 .kind = facts.kind,
                                 .hook_version = facts.hook_version};
    memcpy(note->name, facts.plugin_name, sizeof(note->name));
    memcpy(note->version, facts.plugin_version, sizeof(note->version));
    return 0;
}

/* `value` rounded up to a multiple of `to`, in 64 bits so that no 32-bit length of a note overflows it. */
static uint64_t padded(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

/* Walks one segment of notes, whose descriptions and next notes begin at multiples of `to` from the segment's start. */
static int read_segment(const uint8_t *bytes, uint64_t count, uint64_t to, struct plugin_notes *notes,
                        struct error *error)
{
    uint64_t at = 0;
    while (count - at >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) head;
        memcpy(&head, bytes + at, sizeof(head));
        uint64_t name_at = at + sizeof(head), description_at = padded(name_at + head.n_namesz, to);
        if (description_at > count || head.n_descsz > count - description_at)
            return error_set(error, ERROR_PLUGIN, "Its ELF notes are malformed: build it again");
        if (head.n_type == NAPM_NOTE_TYPE && head.n_namesz == 5 && memcmp(bytes + name_at, "NAPM", 5) == 0 &&
            add_note(bytes + description_at, head.n_descsz, notes, error))
            return -1;
        at = padded(description_at + head.n_descsz, to);
        if (at > count)
            break; /* the last description may lack its padding */
    }
    return 0;
}

int elf_note_read(const uint8_t *bytes, size_t size, struct plugin_notes *notes, struct error *error)
{
    ElfW(Ehdr) header;
    *notes = (struct plugin_notes){0};
    if (read_header(bytes, size, &header, error))
        return -1;
    if (header.e_phoff > size || header.e_phnum > (size - header.e_phoff) / sizeof(ElfW(Phdr)))
        return error_set(error, ERROR_PLUGIN, "It is cut off after %zu bytes: build or copy it again", size);
    unsigned note_segments = 0;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) segment;
        memcpy(&segment, bytes + header.e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type == PT_LOAD && (segment.p_offset > size || segment.p_filesz > size - segment.p_offset))
            return error_set(error, ERROR_PLUGIN, "It is cut off after %zu bytes: build or copy it again", size);
        if (segment.p_type != PT_NOTE)
            continue;
        if (segment.p_offset > size || segment.p_filesz > size - segment.p_offset ||
            ++note_segments > MOST_NOTE_SEGMENTS)
            return error_set(error, ERROR_PLUGIN, "Its ELF header is malformed: build it again");
        if (read_segment(bytes + segment.p_offset, segment.p_filesz, segment.p_align == 8 ? 8 : 4, notes, error))
            return -1;
    }
    if (notes->count == 0)
        return error_set(error, ERROR_PLUGIN,
                         "It is a shared object without a NAPM note: it is no plugin, or its source lacks "
                         "NAPM_PLUGIN_NOTE");
    return 0;
}

void elf_note_free(struct plugin_notes *notes)
{
    ARRAY_FREE(notes);
}
