/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of plugins: which files were found, what their ELF notes say, why one was refused, and instances.
 *
 * Discovery reads notes only. A file's code is loaded (libltdl, bind-now, local, resident) when one of its plugins
 * is first needed, or by catalogue_load_all. One thread opens, lists and closes it; catalogue_find and what takes instances
 * may be called from any. A catalogue outlives the instances made from it.
 */
#ifndef NAPM_PLUGIN_CATALOGUE_H
#define NAPM_PLUGIN_CATALOGUE_H

#include <stddef.h>

#include <napm/backend.h>
#include <napm/loadgen.h>
#include <napm/partitioner.h>
#include <napm/plugin.h>
#include <napm/scheduler.h>

#include "core/base/error.h"

struct catalogue;

/*
 * One plugin of one file, or a refused file: then path, folder and refusal are set, and the rest only as far as the
 * file's notes could be trusted (name may be NULL). A file that turns out bad when it is loaded is refused from then on.
 */
struct catalogue_entry {
    const char *path; /* the file */
    const char *folder; /* the search folder that it was found in */
    const char *refusal; /* NULL, or why it cannot be used: complete sentence with remedy */
    const char *shadowed_by; /* NULL, or the path of an earlier file with the same kind and name: that one is used */
    uint32_t kind; /* NAPM_KIND_... */
    uint32_t abi, hook_version;
    const char *name, *version;
    const struct napm_plugin *plugin; /* the checked copy of the descriptor; NULL until the file is loaded */
};

/*
 * Scans, in order: `extra` folders (from --plugin-path, NULL-terminated, may be NULL), $NAPM_PLUGIN_PATH (':'),
 * $XDG_DATA_HOME/napm/plugins (~/.local/share), the installed folder. A folder that does not exist is skipped, unless
 * it came from `extra`: then it is an error. A file that does not carry a note is no plugin and is refused.
 * Last come modules that are linked into the program (libtool -dlpreopen), with the path "built-in:MODULE".
 */
struct catalogue *catalogue_open(const char *const *extra, struct error *error);

/* A catalogue of one file and nothing else, whatever its name: the entries are there, refused or not. */
struct catalogue *catalogue_open_file(const char *path);
void catalogue_close(struct catalogue *catalogue);

size_t catalogue_count(const struct catalogue *catalogue);
const struct catalogue_entry *catalogue_at(const struct catalogue *catalogue, size_t index);
void catalogue_load_all(struct catalogue *catalogue);

/* The folders that were searched, in order; the one at `index` as an absolute path. */
size_t catalogue_folder_count(const struct catalogue *catalogue);
const char *catalogue_folder_at(const struct catalogue *catalogue, size_t index);

/* Text for a kind ("partitioner", "scheduler", "loadgen", "backend"), and back (0 where unknown). */
const char *catalogue_kind_name(uint32_t kind);
uint32_t catalogue_kind_from_name(const char *name);

/* The entry that serves `kind` and `name`, loaded and checked; or NULL with an error that suggests near names. */
const struct catalogue_entry *catalogue_find(struct catalogue *catalogue, uint32_t kind, const char *name,
                                             struct error *error);

/*
 * One option as the user wrote it. `where` is "file:line" or "--set": for messages, and a file option's relative path is
 * seen from that file's folder (from the working folder for "--set"). Of two settings of one option the later counts.
 */
struct option_setting {
    const char *name;
    const char *text;
    const char *where;
};

/* A choice of plugin as the user wrote it. */
struct plugin_choice {
    const char *name;
    const char *where; /* "file:line" */
    const struct option_setting *settings;
    size_t setting_count;
};

/*
 * Options in words, for help and manuals: the type ("duration"; NULL where unknown) and what values are allowed
 * ("1..64", "1.00 ms or more", "one, two or three"; "" for any; free() it).
 */
const char *option_type_name(uint32_t type);
char *option_range_text(const struct napm_option *option);

/* Which world's time the instance sees, and the rest of what host services need. Copied. */
struct instance_host {
    const char *
        label; /* unique in the run, such as "scheduler" or "loadgen:pi1": names its random sequence and its log lines */
    uint64_t seed;
    int64_t (*now_ns)(void *context); /* NULL: the monotonic clock */
    int32_t (*sleep_until_ns)(void *context, int64_t until_ns); /* NULL: real sleep, never cancelled */
    void *context;
};

/*
 * An instance of a plugin: checked options, host table, created object, and the hook's functions copied into a zeroed
 * table of this platform's own size (all required functions are there).
 */
struct instance {
    const struct catalogue_entry *entry;
    void *self;
    struct napm_host host;
    union { /* by entry->kind */
        struct napm_partitioner partitioner;
        struct napm_scheduler scheduler;
        struct napm_loadgen loadgen;
        struct napm_backend backend;
    } hook;
    struct instance_private *private_part;
};

/*
 * Where the host calls callbacks of a plugin from several threads, it puts these around each call: they take the lock
 * of a plugin that declares NAPM_THREADS_SERIALISED, over all its instances, and do nothing for the others. The lock is
 * recursive. instance_open and instance_close take it themselves. (For NAPM_THREADS_PER_INSTANCE the caller sees to it
 * that calls on one instance do not overlap: by giving each instance to one thread.)
 */
void instance_lock(const struct instance *instance);
void instance_unlock(const struct instance *instance);

/*
 * Checks the options (unknown name: nearest known one; type; range; choice; required) and makes an instance. A failing
 * create() is an error that carries the plugin's own text. Errors in options are ERROR_INPUT with `where`.
 */
struct instance *instance_open(struct catalogue *catalogue, uint32_t kind, const struct plugin_choice *choice,
                               const struct instance_host *host, struct error *error);
void instance_close(struct instance *instance);

/* Checks a choice without making an instance: what a scenario check calls. */
int instance_check(struct catalogue *catalogue, uint32_t kind, const struct plugin_choice *choice, struct error *error);

/* Options in force, one "name=value" a line, defaults included: kept with every run. Owned by the instance. */
const char *instance_options_text(const struct instance *instance);

/* The extension table, copied into `table` (zeroed first) of `table_bytes`; 0, or -1 where the plugin has none. */
int instance_extension(const struct instance *instance, const char *id, void *table, size_t table_bytes);

/*
 * Turns a negative status that a callback returned into an error: "plugin NAME (FILE): WHAT: its text". Also used with
 * kind ERROR_PLUGIN for broken contracts. Returns -1.
 */
int instance_error(const struct instance *instance, int32_t status, const char *what, struct error *error);
int instance_misbehaved(const struct instance *instance, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
