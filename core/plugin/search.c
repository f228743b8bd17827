/* SPDX-License-Identifier: Apache-2.0 */
/* The search path of plugins. */
#include "core/plugin/search.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/log.h"
#include "core/base/memory.h"
#include "places.h"

void search_list_free(struct search_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    ARRAY_FREE(list);
}

/* Adds a folder unless it is there already under this or another name. -1 (errno) where it is no folder. */
static int add_folder(struct search_list *folders, const char *folder)
{
    struct stat st;
    char *absolute = realpath(folder, NULL);
    if (!absolute)
        return -1;
    if (stat(absolute, &st) || !S_ISDIR(st.st_mode)) {
        free(absolute);
        errno = ENOTDIR;
        return -1;
    }
    for (size_t i = 0; i < folders->count; i++)
        if (strcmp(folders->items[i], absolute) == 0) {
            free(absolute);
            return 0;
        }
    *ARRAY_ADD(folders) = absolute;
    return 0;
}

static void add_path(struct search_list *folders, const char *path)
{
    char *copy = text_copy(path), *rest = copy;
    for (char *folder = strsep(&rest, ":"); folder; folder = strsep(&rest, ":"))
        if (folder[0])
            add_folder(folders, folder);
    free(copy);
}

static void add_user_folder(struct search_list *folders)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    char *folder = NULL;
    if (data && data[0] == '/')
        folder = text_format("%s/napm/plugins", data);
    else if (home && home[0])
        folder = text_format("%s/.local/share/napm/plugins", home);
    if (folder)
        add_folder(folders, folder);
    free(folder);
}

int search_folders(const char *const *extra, struct search_list *folders, struct error *error)
{
    *folders = (struct search_list){0};
    for (; extra && *extra; extra++)
        if (add_folder(folders, *extra)) {
            error_set(error, ERROR_INPUT, "plugin folder %s: %s: name a folder that exists", *extra, strerror(errno));
            search_list_free(folders);
            return -1;
        }
    if (getenv("NAPM_PLUGIN_PATH"))
        add_path(folders, getenv("NAPM_PLUGIN_PATH"));
    add_user_folder(folders);
    add_folder(folders, NAPM_PLUGIN_DIR);
    return 0;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int is_candidate(const char *name)
{
    size_t length = strlen(name);
    return name[0] != '.' && length > 3 && strcmp(name + length - 3, ".so") == 0;
}

void search_files(const char *folder, struct search_list *names)
{
    *names = (struct search_list){0};
    DIR *open_folder = opendir(folder);
    if (!open_folder) {
        log_warning("plugins", "%s: cannot be read: %s", folder, strerror(errno));
        return;
    }
    for (struct dirent *file = readdir(open_folder); file; file = readdir(open_folder))
        if (is_candidate(file->d_name))
            *ARRAY_ADD(names) = text_copy(file->d_name);
    closedir(open_folder);
    if (names->count)
        qsort(names->items, names->count, sizeof(names->items[0]), compare_texts);
}
