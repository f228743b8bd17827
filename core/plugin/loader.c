/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading plugin files with libltdl. Its own loader binds lazily and turns every failure into "file not found"; so a
 * loader of our own replaces it, as in PulseAudio's ltdl-bind-now, which also keeps what dlerror said.
 */
#include "core/plugin/loader.h"

#include <dlfcn.h>
#include <ltdl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Libtool writes this table into a program that it links with -dlpreopen; in others there is none. */
extern LT_DLSYM_CONST lt_dlsymlist lt__PROGRAM__LTX_preloaded_symbols[] __attribute__((weak));

static char dlerror_text[1024];

static lt_module bind_now_open(lt_user_data data, const char *filename, lt_dladvise advise)
{
    (void)data;
    (void)advise;
    void *module = filename ? dlopen(filename, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!module) {
        const char *why = filename ? dlerror() : NULL;
        snprintf(dlerror_text, sizeof(dlerror_text), "%s", why ? why : "no file named");
        lt_dlseterror(LT_ERROR_CANNOT_OPEN);
    }
    return module;
}

static int bind_now_close(lt_user_data data, lt_module module)
{
    (void)data;
    return dlclose(module);
}

static void *bind_now_symbol(lt_user_data data, lt_module module, const char *name)
{
    (void)data;
    return dlsym(module, name);
}

/* Starts libltdl, once for the life of the process: what was loaded stays. */
static int start(struct error *error)
{
    static const lt_dlvtable bind_now = {.name = "napm_bind_now",
                                         .module_open = bind_now_open,
                                         .module_close = bind_now_close,
                                         .find_sym = bind_now_symbol,
                                         .priority = LT_DLLOADER_PREPEND};
    static int started;
    if (started)
        return 0;
    /*
     * GCC's OpenMP reads this when a plugin brings it in, and never again. Its threads wait for each other by spinning
     * for milliseconds, which is fatal where processes share cores, as agents do here: measured on two cores with one
     * other busy process, a model of 2.5 ms takes 150 ms; spinning for tens of microseconds it takes 20, and no longer
     * than before where the cores are free.
     */
    setenv("GOMP_SPINCOUNT", "10000", 0);
    if ((lt__PROGRAM__LTX_preloaded_symbols && lt_dlpreload_default(lt__PROGRAM__LTX_preloaded_symbols)) || lt_dlinit())
        return error_set(error, ERROR_RUN, "libltdl does not start: %s", lt_dlerror());
    /* libltdl's own loader has to go: it is tried where ours has failed, and binds a missing symbol late, in mid-run */
    free(lt_dlloader_remove("lt_dlopen"));
    if (lt_dlloader_find("lt_dlopen") || lt_dlloader_add(&bind_now))
        return error_set(error, ERROR_RUN, "libltdl does not take the loader: %s", lt_dlerror());
    started = 1;
    return 0;
}

/* dlerror says "PATH: reason"; the path is already known to whoever reads the error. */
static const char *without_path(const char *text, const char *path)
{
    size_t length = strlen(path);
    return strncmp(text, path, length) == 0 && strncmp(text + length, ": ", 2) == 0 ? text + length + 2 : text;
}

static const struct napm_plugin_list *call_entry(lt_dlhandle handle, struct error *error)
{
    union {
        void *symbol;
        napm_plugin_entry_fn function;
    } entry = {.symbol = lt_dlsym(handle, NAPM_ENTRY_NAME)};
    if (!entry.symbol) {
        error_set(
            error, ERROR_PLUGIN,
            "It exports no function %s: put NAPM_EXPORT_PLUGINS(...) into its source, and keep that symbol visible",
            NAPM_ENTRY_NAME);
        return NULL;
    }
    const struct napm_plugin_list *list = entry.function();
    if (!list)
        error_set(error, ERROR_PLUGIN, "It misbehaves: its function %s returned NULL", NAPM_ENTRY_NAME);
    return list;
}

const struct napm_plugin_list *loader_open(const char *path, struct error *error)
{
    if (start(error))
        return NULL;
    dlerror_text[0] = '\0';
    lt_dlhandle handle = lt_dlopen(path);
    if (!handle) {
        error_set(error, ERROR_PLUGIN, "It cannot be loaded: %s",
                  dlerror_text[0] ? without_path(dlerror_text, path) : lt_dlerror());
        if (strstr(dlerror_text, "undefined symbol"))
            error_append(error, " (link it with -Wl,-z,defs and the library that has the symbol; a plugin gets "
                                "nothing from the platform but its table of services)");
        return NULL;
    }
    lt_dlmakeresident(handle);
    return call_entry(handle, error);
}

/* lt_dlpreload_open's callback takes no context, so that it passes through here (one thread only). */
static struct {
    loader_visit_fn each;
    void *context;
} preload_visit;

static int visit_preloaded(lt_dlhandle handle)
{
    const lt_dlinfo *info = lt_dlgetinfo(handle);
    lt_dlmakeresident(handle);
    const struct napm_plugin_list *list = call_entry(handle, NULL);
    if (list && info && info->name)
        preload_visit.each(preload_visit.context, info->name, list);
    return 0;
}

void loader_each_preloaded(loader_visit_fn each, void *context)
{
    if (!lt__PROGRAM__LTX_preloaded_symbols || start(NULL))
        return;
    preload_visit.each = each;
    preload_visit.context = context;
    lt_dlpreload_open("@PROGRAM@", visit_preloaded);
}
