/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every NAPM plugin has in common: its descriptor, its options and the one function it exports.
 *
 * A plugin is a shared object that exports one function, written by the macro NAPM_EXPORT_PLUGINS, which
 * returns a constant list of descriptors: one file may carry several plugins. NAPM_PLUGIN_NOTE puts the same
 * facts into an ELF note, so that the platform can list a file, or refuse it, without running any of its code.
 *
 * Rules of the ABI (they hold for every structure in this folder):
 *  - A structure that crosses the border starts with `uint32_t size`, set to sizeof the structure as its author
 *    compiled it. The reader copies min(size, its own sizeof) into a zeroed structure of its own, so a field that
 *    an older author did not know reads as zero. Fields are only ever appended; a retired one keeps its place.
 *  - Only fixed-width integers, doubles and pointers cross. Text is UTF-8, NUL-terminated.
 *  - Arrays of structures cross as arrays of pointers, so that the structures can grow.
 *  - Whoever allocates frees. Handles (`void *self` and the like) belong to the side that made them.
 *  - Time is int64_t nanoseconds, sizes are uint64_t bytes, rates are bytes per second in doubles.
 *  - New abilities are new extensions, asked for by an id such as "napm.scheduler.preempt/1"; ids are never reused.
 *
 * The headers compile alone as C99, C11 and C++.
 */
#ifndef NAPM_PLUGIN_H
#define NAPM_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#include <napm/host.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the rules above: the number that the host and a plugin must share. */
#define NAPM_ABI 1u

/*
 * 1 where the structure that `pointer` points to, of type `type`, is long enough to have `field`: ask so before using a
 * field that was appended after version 1.0, because an older host has not got it.
 */
#define NAPM_HAS(pointer, type, field) ((pointer)->size >= offsetof(type, field) + sizeof((pointer)->field))

/* First word of a descriptor list: "NAPM" read as a little-endian number. */
#define NAPM_MAGIC 0x4d50414eu

/* What a plugin is (struct napm_plugin.kind), and the version of that kind's hook header. */
#define NAPM_KIND_PARTITIONER 1u /* <napm/partitioner.h> */
#define NAPM_KIND_SCHEDULER 2u /* <napm/scheduler.h> */
#define NAPM_KIND_LOADGEN 3u /* <napm/loadgen.h> */
#define NAPM_KIND_BACKEND 4u /* <napm/backend.h> */

/* From which threads the host may call one plugin (struct napm_plugin.threading). */
#define NAPM_THREADS_SERIALISED 0u /* one call at a time over all instances: the default */
#define NAPM_THREADS_PER_INSTANCE 1u /* calls on different instances may overlap */
#define NAPM_THREADS_PARALLEL 2u /* any calls may overlap */

/* How the text of an option is read (struct napm_option.type) and which member of napm_value holds it. */
#define NAPM_OPTION_BOOL 1u /* "true", "false"; integer 1 or 0 */
#define NAPM_OPTION_INTEGER 2u /* integer */
#define NAPM_OPTION_REAL 3u /* real */
#define NAPM_OPTION_TEXT 4u /* text */
#define NAPM_OPTION_CHOICE 5u /* text, one of `choices` */
#define NAPM_OPTION_DURATION 6u /* "5ms", "2 s"; integer, nanoseconds */
#define NAPM_OPTION_SIZE 7u /* "4GiB", "64kB"; integer, bytes */
#define NAPM_OPTION_RATE 8u /* "20Mbit" (bits a second), "1MB/s"; real, bytes per second */
#define NAPM_OPTION_FILE 9u /* text, a path made absolute against the folder of the file that set it */

/* Bits of struct napm_option.flags. */
#define NAPM_OPTION_REQUIRED 1u /* there is no default: a scenario must set it */

/* One option that a plugin takes. The host parses, checks and records values, and writes the help from this table. */
struct napm_option {
    uint32_t size;
    uint32_t type; /* NAPM_OPTION_... */
    uint32_t flags; /* NAPM_OPTION_REQUIRED or 0 */
    uint32_t reserved; /* 0 */
    const char *name; /* lower case, words joined by '_' */
    const char *default_text; /* read as a scenario's value would be; NULL with NAPM_OPTION_REQUIRED */
    const char *help; /* one sentence, without the unit, range and default: those are added from here */
    const char *choices; /* NAPM_OPTION_CHOICE: "one|two|three"; otherwise NULL */
    double minimum; /* numbers: least allowed value, in base units (ns, bytes, bytes/s) */
    double maximum; /* numbers: greatest allowed; minimum == maximum means no limits */
};

/* One option's value. Always eight bytes; the option's type tells which member. */
union napm_value {
    int64_t integer;
    double real;
    const char *text; /* owned by the host, valid as long as the instance */
};

/* A plugin's descriptor: constant data, found through the exported function, valid as long as the file is loaded. */
struct napm_plugin {
    uint32_t size;
    uint32_t kind; /* NAPM_KIND_... */
    uint32_t hook_version; /* version of that kind's header, e.g. NAPM_SCHEDULER_VERSION */
    uint32_t threading; /* NAPM_THREADS_... */
    const char *name; /* lower case, digits and '-': what a scenario writes */
    const char *version; /* the plugin's own version, recorded with every run */
    const char *summary; /* one line */
    const char *licence; /* SPDX identifier, may be NULL */

    uint32_t option_count;
    uint32_t reserved; /* 0 */
    const struct napm_option *const *options; /* option_count pointers */

    /*
     * Makes an instance. `host` stays valid until destroy() returns; `options` holds one value for each entry of the
     * option table, in its order, valid as long as the instance. On success stores the instance in *self. On failure
     * calls host->set_error and returns a negative status; destroy() is then not called.
     * Called from the thread that will use the instance, or before that thread starts.
     */
    int32_t (*create)(const struct napm_host *host, const union napm_value *options, void **self);

    /* Frees what create() made. Never called while another call on the instance runs. */
    void (*destroy)(void *self);

    /* The table of functions of this kind: struct napm_partitioner, napm_scheduler, napm_loadgen or napm_backend. */
    const void *hook;

    /* May be NULL. Returns the table that an extension id names, or NULL where the plugin does not know it. */
    const void *(*get_extension)(const char *id);
};

/* What the exported function returns. */
struct napm_plugin_list {
    uint32_t magic; /* NAPM_MAGIC */
    uint32_t abi; /* NAPM_ABI */
    uint32_t size; /* sizeof(struct napm_plugin_list) */
    uint32_t plugin_count;
    const struct napm_plugin *const *plugins;
};

typedef const struct napm_plugin_list *(*napm_plugin_entry_fn)(void);

/* Name of the exported function, as dlsym() takes it. */
#define NAPM_ENTRY_NAME "napm_plugin_entry"

/*
 * The descriptor part of the ELF note: owner "NAPM", type NAPM_NOTE_TYPE, one note for each plugin of the file,
 * in the section ".note.napm". Text fields are NUL-padded and always end in NUL.
 */
#define NAPM_NOTE_TYPE 1u
struct napm_note {
    uint32_t name_bytes; /* 5: "NAPM" and its NUL, padded to 8 */
    uint32_t desc_bytes; /* bytes from `magic` to the end */
    uint32_t type; /* NAPM_NOTE_TYPE */
    char owner[8]; /* "NAPM" */
    uint32_t magic; /* NAPM_MAGIC */
    uint32_t abi; /* NAPM_ABI */
    uint32_t plugin_size; /* sizeof(struct napm_plugin) as compiled */
    uint32_t kind;
    uint32_t hook_version;
    uint32_t reserved; /* 0 */
    char plugin_name[48];
    char plugin_version[24];
};

#if defined(__GNUC__)
#define NAPM_PUBLIC __attribute__((visibility("default")))
#define NAPM_NOTE_PLACE __attribute__((section(".note.napm"), used, aligned(4)))
#else
#define NAPM_PUBLIC
#define NAPM_NOTE_PLACE
#endif

/*
 * Writes the note of one plugin. `ident` is any C identifier unique in the file; kind_, hook_version_, name_ and
 * version_ repeat the descriptor's (the platform refuses a file in which they differ).
 */
#define NAPM_PLUGIN_NOTE(ident, kind_, hook_version_, name_, version_)                                                 \
    static const struct napm_note napm_note_##ident NAPM_NOTE_PLACE = {5u,                                             \
                                                                       (uint32_t)sizeof(struct napm_note) - 20u,       \
                                                                       NAPM_NOTE_TYPE,                                 \
                                                                       "NAPM",                                         \
                                                                       NAPM_MAGIC,                                     \
                                                                       NAPM_ABI,                                       \
                                                                       (uint32_t)sizeof(struct napm_plugin),           \
                                                                       kind_,                                          \
                                                                       hook_version_,                                  \
                                                                       0u,                                             \
                                                                       name_,                                          \
                                                                       version_}

/* In a static build (libtool -dlpreopen) every plugin needs a name of its own; define NAPM_STATIC_MODULE to it. */
#define NAPM_JOIN_(a, b) a##b
#define NAPM_JOIN(a, b) NAPM_JOIN_(a, b)
#ifdef NAPM_STATIC_MODULE
#define NAPM_ENTRY_SYMBOL NAPM_JOIN(NAPM_STATIC_MODULE, _LTX_napm_plugin_entry)
#else
#define NAPM_ENTRY_SYMBOL napm_plugin_entry
#endif

/* Writes the exported function. The arguments are pointers to constant struct napm_plugin. */
#ifdef __cplusplus
#define NAPM_ENTRY_LINKAGE extern "C"
#else
#define NAPM_ENTRY_LINKAGE
#endif
#define NAPM_EXPORT_PLUGINS(...)                                                                                       \
    NAPM_ENTRY_LINKAGE NAPM_PUBLIC const struct napm_plugin_list *NAPM_ENTRY_SYMBOL(void);                             \
    NAPM_ENTRY_LINKAGE NAPM_PUBLIC const struct napm_plugin_list *NAPM_ENTRY_SYMBOL(void)                              \
    {                                                                                                                  \
        static const struct napm_plugin *const plugins[] = {__VA_ARGS__};                                              \
        static const struct napm_plugin_list list = {NAPM_MAGIC, NAPM_ABI, (uint32_t)sizeof(list),                     \
                                                     (uint32_t)(sizeof(plugins) / sizeof(plugins[0])), plugins};       \
        return &list;                                                                                                  \
    }                                                                                                                  \
    struct napm_plugin_list /* takes the semicolon */

#ifdef __cplusplus
}
#endif

#endif /* NAPM_PLUGIN_H */
