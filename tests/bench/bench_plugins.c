/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long does it take to find 200 plugin files? Copies one plugin file (argument) 200 times, each with a name of its
 * own in its note, and times the catalogue. The aim: 100 ms or less.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/stats.h"
#include "core/plugin/catalogue.h"

#define FILES 200
#define RUNS 51
#define AIM_NS (100 * NS_PER_MS)

static char folder[PATH_MAX];

static void file_name(char *path, size_t bytes, int number)
{
    snprintf(path, bytes, "%s/p%03d.so", folder, number);
}

/* The place of the plugin's name in the file's note, or NULL. */
static char *find_name(uint8_t *bytes, size_t size)
{
    static const struct napm_note head = {.owner = "NAPM", .magic = NAPM_MAGIC};
    for (size_t at = 0; at + sizeof(head) <= size; at += 4) {
        const struct napm_note *note = (const struct napm_note *)(const void *)(bytes + at);
        if (memcmp(note->owner, head.owner, sizeof(head.owner)) == 0 && note->magic == head.magic)
            return (char *)(uintptr_t)note->plugin_name;
    }
    return NULL;
}

static int write_files(const char *source, struct error *error)
{
    struct file_map map;
    char path[PATH_MAX + 16];
    int failed = file_map(source, &map, error);
    if (failed)
        return -1;
    uint8_t *copy = memory_copy(map.bytes, map.size);
    char *name = find_name(copy, map.size);
    if (!name)
        failed = error_set(error, ERROR_INPUT, "%s: carries no note", source);
    for (int i = 0; i < FILES && !failed; i++) {
        snprintf(name, sizeof(((struct napm_note *)0)->plugin_name), "p%03d", i);
        file_name(path, sizeof(path), i);
        failed = file_write_atomically(path, copy, map.size, error);
    }
    free(copy);
    file_unmap(&map);
    return failed ? -1 : 0;
}

static void remove_files(void)
{
    char path[PATH_MAX + 16];
    for (int i = 0; i < FILES; i++) {
        file_name(path, sizeof(path), i);
        unlink(path);
    }
    rmdir(folder);
}

static int measure(int64_t *times_ns, struct error *error)
{
    const char *const extra[] = {folder, NULL};
    for (int run = 0; run < RUNS; run++) {
        int64_t begin_ns = clock_now_ns();
        struct catalogue *catalogue = catalogue_open(extra, error);
        times_ns[run] = clock_now_ns() - begin_ns;
        size_t usable = 0;
        for (size_t i = 0; catalogue && i < catalogue_count(catalogue); i++)
            usable += !catalogue_at(catalogue, i)->refusal;
        catalogue_close(catalogue);
        if (usable < FILES)
            return catalogue ? error_set(error, ERROR_RUN, "only %zu plugins of %d were found", usable, FILES) : -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *temporary = getenv("TMPDIR");
    struct error error = {0};
    int64_t times_ns[RUNS];
    snprintf(folder, sizeof(folder), "%s/napm-bench-XXXXXX", temporary ? temporary : "/tmp");
    if (argc != 2 || !mkdtemp(folder)) {
        fprintf(stderr, "usage: %s PLUGIN.so\n", argv[0]);
        return 2;
    }
    int failed = write_files(argv[1], &error) || measure(times_ns, &error);
    remove_files();
    if (failed) {
        fprintf(stderr, "bench_plugins: %s\n", error.text);
        return 1;
    }
    int64_t first_ns = times_ns[0], median_ns = stats_median_ns(times_ns, RUNS);
    printf("plugin start-up: %d files found, ms\n", FILES);
    printf("  %-10s %-10s %-10s %-10s %s\n", "first", "median", "worst", "aim", "");
    printf("  %-10.2f %-10.2f %-10.2f %-10.2f %s\n", (double)first_ns / 1e6, (double)median_ns / 1e6,
           (double)times_ns[RUNS - 1] / 1e6, (double)AIM_NS / 1e6, median_ns <= AIM_NS ? "met" : "MISSED");
    return 0;
}
