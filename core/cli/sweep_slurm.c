/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying a sweep out as job arrays of Slurm. */
#include "core/cli/sweep_slurm.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/progress.h"
#include "core/cli/stop.h"
#include "core/ledger/parts.h"
#include "core/ledger/sweeps.h"
#include "core/sweep/slurm.h"

#define LOOK_AFTER_NS NS_PER_S /* at first; later a twentieth of what it took so far, */
#define LOOK_AT_LEAST_EVERY_NS (15 * NS_PER_S)
#define SILENT_AT_MOST_NS (15 * 60 * NS_PER_S) /* a controller may be started anew meanwhile */
#define INSIST_AFTER_NS (20 * NS_PER_S) /* so long tasks have to end in order; then Slurm ends them, */
#define CANCELLED_WITHIN_NS (120 * NS_PER_S) /* which may take it another 30 s */

#define POINTS_FILE "points.db"
#define CLOSED_FILE "closed" /* where it is, tasks that have not begun do not begin any more */

static const char script[] = "#!/bin/sh\n"
                             "# An array task of napm sweep: FOLDER COMMAND...\n"
                             "folder=$1\n"
                             "shift\n"
                             "exec \"$@\" >>\"$folder/task-$SLURM_ARRAY_TASK_ID.log\" 2>&1\n";

/* ---- folders ---- */

static int make_folder(const char *path, struct error *error)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return 0;
    return error_set(
        error, ERROR_INPUT,
        "making the folder %s: %s; name another place, on a file system that all nodes share, with --parts", path,
        strerror(errno));
}

/* Where --parts says, with a link from beside the ledger, by which it is found again without --parts. */
static int make_elsewhere(const char *beside, const char *parts, const char *name, struct error *error)
{
    char *path = text_format("%s/%s", parts, name), *real = NULL;
    int result = make_folder(path, error);
    if (result == 0 && ((real = realpath(path, NULL)) == NULL || symlink(real, beside) != 0))
        result = error_set(error, ERROR_RUN, "linking %s to %s: %s", beside, path, strerror(errno));
    free(path);
    free(real);
    return result;
}

static int make_place(const char *base, const char *path, const char *name, const char *parts, struct error *error)
{
    if (make_folder(base, error) != 0)
        return -1;
    return parts ? make_elsewhere(path, parts, name, error) : make_folder(path, error);
}

/* The folder of the sweep's rounds. *folder NULL: there is none, and `make` is false. free() it. */
static int find_folder(const struct sweep_site *site, bool make, char **folder, struct error *error)
{
    *folder = NULL;
    struct sweep_row *sweep = sweeps_find(site->ledger, site->sweep, error);
    if (!sweep)
        return -1;
    char *ledger = realpath(ledger_path(site->ledger), NULL);
    char *name = text_format("sweep-%" PRId64 "-%" PRIx64, sweep->id, (uint64_t)sweep->began_ns);
    char *base = text_format("%s.parts", ledger), *path = text_format("%s/%s", base, name);
    int result = 0;
    if (access(path, F_OK) != 0 && make)
        result = make_place(base, path, name, site->options->parts, error);
    if (result == 0)
        *folder = realpath(path, NULL);
    if (result == 0 && make && !*folder)
        result = error_set(error, ERROR_RUN, "%s: %s", path, strerror(errno));
    free(ledger);
    free(name);
    free(base);
    free(path);
    sweeps_free(sweep, 1);
    return result;
}

/* Calls for each file of a folder; one that is gone has none. */
static int each_file(const char *folder, int (*file)(void *context, const char *name), void *context)
{
    DIR *files = opendir(folder);
    int result = 0;
    for (struct dirent *entry; files && result == 0 && (entry = readdir(files)) != NULL;)
        if (entry->d_name[0] != '.')
            result = file(context, entry->d_name);
    if (files)
        closedir(files);
    return result;
}

#define REFUSED_ENDING ".refused" /* of parts that could not be merged: those are the user's */

static int remove_file(void *context, const char *name)
{
    char *path = text_format("%s/%s", (const char *)context, name), *ending = strstr(name, REFUSED_ENDING);
    if (!ending)
        unlink(path);
    free(path);
    return 0;
}

static void remove_folder(char *folder)
{
    each_file(folder, remove_file, folder);
    rmdir(folder);
}

/* ---- a round ---- */

struct round {
    const struct sweep_site *site;
    char *folder, *name; /* the name of its job array */
    ARRAY_OF(struct slurm_task) tasks; /* as Slurm told last, by number; state "" where it never told */
    size_t active;
    bool closed;
    int64_t silent_since_ns; /* Slurm does not answer; 0: it does */
    struct error *error;
};

static char *path_in(const struct round *round, const char *name)
{
    return text_format("%s/%s", round->folder, name);
}

/* `which` tells it from all other rounds ever, as jobs are known by name for some time after they ended. */
static struct round round_of(const struct sweep_site *site, const char *folder, const char *which, struct error *error)
{
    return (struct round){.site = site,
                          .folder = text_format("%s/%s", folder, which),
                          .name = text_format("napm-%s-%s", strrchr(folder, '/') + 1, which),
                          .error = error};
}

static bool has_points(const struct round *round)
{
    char *path = path_in(round, POINTS_FILE);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void round_free(struct round *round)
{
    ARRAY_FREE(&round->tasks);
    free(round->folder);
    free(round->name);
}

static int close_round(struct round *round)
{
    char *path = path_in(round, CLOSED_FILE);
    int result = file_write_atomically(path, "", 0, round->error);
    round->closed = result == 0;
    free(path);
    return result;
}

static struct slurm_task *task_of(struct round *round, uint32_t number)
{
    while (round->tasks.count <= number)
        *ARRAY_ADD(&round->tasks) = (struct slurm_task){.task = (uint32_t)round->tasks.count};
    return &round->tasks.items[number];
}

static int note_silence(struct round *round, const struct error *failure)
{
    if (round->silent_since_ns == 0) {
        log_warning("sweep", "%s; trying again for 15 min", failure->text);
        round->silent_since_ns = clock_now_ns();
    }
    if (failure->kind == ERROR_RUN && clock_now_ns() - round->silent_since_ns < SILENT_AT_MOST_NS)
        return 0;
    *round->error = *failure;
    return error_append(round->error,
                        "; array tasks that were submitted carry on, and the same command goes on from there");
}

/* What each task does by now; one that Slurm does not know any more has ended. */
static int look(struct round *round)
{
    struct slurm_task *told;
    struct error failure = {0};
    size_t count;
    if (slurm_look(round->name, &told, &count, &failure) != 0) {
        free(told);
        return note_silence(round, &failure);
    }
    round->silent_since_ns = 0;
    round->active = 0;
    for (size_t i = 0; i < round->tasks.count; i++)
        round->tasks.items[i].active = false;
    for (size_t i = 0; i < count; i++) {
        if (told[i].task >= SLURM_MOST_TASKS * 100)
            continue;
        *task_of(round, told[i].task) = told[i];
        round->active += told[i].active;
    }
    free(told);
    return 0;
}

/* What is no part, or is damaged, is put aside and does not keep the others. */
static int merge(struct round *round, const char *path)
{
    struct error refused = {0};
    if (parts_merge(round->site->ledger, round->site->sweep, path, &refused) == 0) {
        unlink(path);
        return 0;
    }
    if (refused.kind != ERROR_INPUT) {
        *round->error = refused;
        return -1;
    }
    char *aside = text_format("%s" REFUSED_ENDING, path);
    if (rename(path, aside) != 0)
        log_warning("sweep", "%s: %s", path, strerror(errno));
    log_warning("sweep", "%s; it is kept as %s", refused.text, aside);
    free(aside);
    return 0;
}

static int merge_if_ended(void *context, const char *name)
{
    struct round *round = context;
    uint32_t number;
    int length = 0;
    if (sscanf(name, "task-%" SCNu32 ".db%n", &number, &length) != 1 || length == 0 || name[length] ||
        (number < round->tasks.count && round->tasks.items[number].active))
        return 0;
    char *path = path_in(round, name);
    int result = merge(round, path);
    free(path);
    return result;
}

static void pause_between_looks(int64_t began_ns)
{
    int64_t now_ns = clock_now_ns(), wait_ns = (now_ns - began_ns) / 20;
    bool stopping = atomic_load(stop_watch());
    wait_ns = wait_ns < LOOK_AFTER_NS            ? LOOK_AFTER_NS
              : wait_ns > LOOK_AT_LEAST_EVERY_NS ? LOOK_AT_LEAST_EVERY_NS
                                                 : wait_ns;
    for (; clock_now_ns() - now_ns < wait_ns; clock_sleep_until_ns(clock_now_ns() + 50 * NS_PER_MS))
        if (!stopping && atomic_load(stop_watch()))
            return;
}

/* Asks once to end in order, and once, some time later, to end at once. */
static int cancel(struct round *round, int64_t *asked_ns, bool *insisted)
{
    struct error failure = {0};
    int64_t asked_for_ns = *asked_ns ? clock_now_ns() - *asked_ns : 0;
    if (*asked_ns && (*insisted || asked_for_ns < INSIST_AFTER_NS))
        return asked_for_ns < CANCELLED_WITHIN_NS
                   ? 0
                   : error_set(round->error, ERROR_CANCELLED,
                               "stopped; array tasks of Slurm still run: squeue --name=%s", round->name);
    *insisted = *asked_ns != 0;
    if (*asked_ns == 0)
        *asked_ns = clock_now_ns();
    if ((!round->closed && close_round(round) != 0) || slurm_cancel(round->name, *insisted, &failure) != 0)
        log_warning("sweep", "%s; cancel them with: scancel --name=%s", failure.text, round->name);
    return 0;
}

/* Waits until no task of the round is active, and merges the parts of those that have ended. */
static int follow(struct round *round)
{
    int64_t began_ns = clock_now_ns(), cancelled_ns = 0;
    bool insisted = false;
    for (;;) {
        if (look(round) != 0)
            return -1;
        if (round->silent_since_ns == 0 && each_file(round->folder, merge_if_ended, round) != 0)
            return -1;
        progress_step("array tasks", round->tasks.count - round->active, round->tasks.count);
        /* Closed before the last look: what a submission on its way still brings then does not begin. */
        if (round->active == 0 && round->silent_since_ns == 0) {
            if (round->closed)
                break;
            if (close_round(round) != 0)
                return -1;
            continue;
        }
        if (atomic_load(stop_watch()) && cancel(round, &cancelled_ns, &insisted) != 0)
            return -1;
        pause_between_looks(began_ns);
    }
    return cancelled_ns ? error_set(round->error, ERROR_CANCELLED, "stopped") : 0;
}

/* ---- rounds of commands before this one ---- */

/* Nothing more comes of it: `lost` keeps what tasks said, and parts that were refused stay in any case. */
static void end_round(struct round *round, bool lost)
{
    if (lost)
        remove_file(round->folder, POINTS_FILE);
    else
        remove_folder(round->folder);
}

struct gathering {
    const struct sweep_site *site;
    const char *folder;
    struct error *error;
};

static int gather_round(void *context, const char *name)
{
    const struct gathering *gathering = context;
    struct round round = round_of(gathering->site, gathering->folder, name, gathering->error);
    int result = 0;
    if (has_points(&round)) {
        result = follow(&round);
        if (result == 0)
            end_round(&round, false);
    }
    round_free(&round);
    return result;
}

int sweep_slurm_gather(const struct sweep_site *site, struct error *error)
{
    struct gathering gathering = {.site = site, .error = error};
    char *folder;
    int result = find_folder(site, false, &folder, error);
    if (result != 0 || !folder)
        return result;
    gathering.folder = folder;
    progress_start();
    result = each_file(folder, gather_round, &gathering);
    progress_stop();
    free(folder);
    return result;
}

/* ---- a round of our own ---- */

static int write_round(struct round *round, const uint32_t *points, size_t count)
{
    char *points_path = path_in(round, POINTS_FILE), *script_path = path_in(round, "script");
    int result = make_folder(round->folder, round->error);
    if (result == 0)
        result = parts_write(round->site->ledger, round->site->sweep, points, count, points_path, round->error);
    if (result == 0)
        result = file_write_atomically(script_path, script, strlen(script), round->error);
    free(points_path);
    free(script_path);
    return result;
}

static int submit(struct round *round, uint32_t tasks)
{
    const struct sweep_site *site = round->site;
    static const char *const none[] = {NULL};
    char program[PATH_MAX], *script_path = path_in(round, "script");
    sweep_words words = {0};
    int result = sweep_program(program, round->error);
    const char *const fixed[] = {script_path, round->folder, program, "sweep", "--part", round->folder, NULL};
    sweep_words_add(&words, fixed);
    sweep_words_add_common(&words, site->common);
    const struct slurm_job job = {
        .name = round->name,
        .tasks = tasks,
        .options = site->options->slurm_options.items ? site->options->slurm_options.items : none,
        .script = words.items,
    };
    if (result == 0)
        result = slurm_submit(&job, round->error);
    ARRAY_FREE(&words);
    free(script_path);
    return result;
}

/* The last line of the log that an array task left. free() it. */
static char *last_words(const char *log)
{
    struct file_map map;
    if (file_map(log, &map, NULL) != 0)
        return text_format("; it left no %s: do the nodes share this file system?", log);
    size_t end = map.size, begin;
    while (end > 0 && map.bytes[end - 1] == '\n')
        end--;
    for (begin = end; begin > 0 && map.bytes[begin - 1] != '\n';)
        begin--;
    char *words = text_format("%s%.*s", end > begin ? "; it said last: " : "", (int)(end - begin), map.bytes + begin);
    file_unmap(&map);
    return words;
}

static char *cause_of(struct round *round, uint32_t number)
{
    const struct slurm_task *task = task_of(round, number);
    char *base = text_format("%s/task-%" PRIu32, round->folder, number), *log = text_format("%s.log", base);
    char *refused = text_format("%s.db" REFUSED_ENDING, base), *words = last_words(log), *cause;
    bool reasoned = *task->reason && strcmp(task->reason, "None") != 0;
    if (access(refused, F_OK) == 0)
        cause = text_format("what array task %" PRIu32 " of Slurm recorded is damaged: %s", number, refused);
    else
        cause = text_format("array task %" PRIu32 " of Slurm ended without it, %s%s%s%s%s", number,
                            *task->state ? task->state : "in a state that Slurm does not tell", reasoned ? " (" : "",
                            reasoned ? task->reason : "", reasoned ? ")" : "", words);
    free(base);
    free(log);
    free(refused);
    free(words);
    return cause;
}

/* Points without an end, although the task that was to carry them out has ended. */
static int note_lost(struct round *round, const uint32_t *points, size_t count, uint32_t tasks, size_t *lost)
{
    const struct sweep_site *site = round->site;
    struct point_row *rows;
    size_t row_count;
    *lost = 0;
    if (sweeps_points(site->ledger, site->sweep, &rows, &row_count, round->error) != 0)
        return -1;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        if (rows[points[i] - 1].state != POINT_WAITING)
            continue;
        char *cause = cause_of(round, (uint32_t)(i % tasks));
        result = sweeps_point_failed(site->ledger, site->sweep, points[i], cause, round->error);
        free(cause);
        ++*lost;
    }
    sweeps_points_free(rows, row_count);
    return result;
}

static int carry_out(struct round *round, const uint32_t *points, size_t count, uint32_t tasks)
{
    if (write_round(round, points, count) != 0 || submit(round, tasks) != 0) {
        remove_folder(round->folder); /* without it no task begins, even if one was submitted */
        return -1;
    }
    fprintf(stderr, "napm: submitted %zu points to Slurm as %" PRIu32 " array tasks, job name %s, parts in %s\n", count,
            tasks, round->name, round->folder);
    progress_start();
    int result = follow(round);
    progress_stop();
    size_t lost = 0;
    if (result == 0)
        result = note_lost(round, points, count, tasks, &lost);
    if (result == 0)
        end_round(round, lost > 0);
    return result;
}

int sweep_slurm_run(const struct sweep_site *site, const uint32_t *points, size_t count, struct error *error)
{
    char *folder;
    char which[32];
    if (count == 0)
        return 0;
    if (find_folder(site, true, &folder, error) != 0)
        return -1;
    snprintf(which, sizeof(which), "round-%" PRIx64, (uint64_t)clock_wall_ns());
    uint32_t most = site->options->jobs ? site->options->jobs : SLURM_MOST_TASKS;
    uint32_t tasks = count < most ? (uint32_t)count : most < SLURM_MOST_TASKS ? most : SLURM_MOST_TASKS;
    struct round round = round_of(site, folder, which, error);
    int result = carry_out(&round, points, count, tasks);
    round_free(&round);
    free(folder);
    return result;
}

/* ---- in an array task ---- */

static int read_share(uint32_t *share, uint32_t *shares, struct error *error)
{
    const char *id = getenv("SLURM_ARRAY_TASK_ID"), *count = getenv("SLURM_ARRAY_TASK_COUNT");
    if (!id || !count || sscanf(id, "%" SCNu32, share) != 1 || sscanf(count, "%" SCNu32, shares) != 1 ||
        *share >= *shares)
        return error_set(error, ERROR_INPUT,
                         "--part: SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT do not say which "
                         "share; `napm sweep SWEEP --engine slurm` submits tasks that have them");
    return 0;
}

static int work(const char *folder, const struct common_options *common, struct error *error)
{
    uint32_t share, shares;
    int64_t sweep;
    if (read_share(&share, &shares, error) != 0)
        return -1;
    char *from = text_format("%s/" POINTS_FILE, folder), *path = text_format("%s/task-%" PRIu32 ".db", folder, share);
    struct ledger *part = parts_open(from, path, share, shares, &sweep, error);
    int result = part ? sweep_run_recorded(part, sweep, common, error) : -1;
    ledger_close(part);
    free(from);
    free(path);
    return result;
}

int sweep_slurm_part(const char *folder, const struct common_options *common)
{
    struct error error = {0};
    char *closed = text_format("%s/" CLOSED_FILE, folder);
    bool late = access(closed, F_OK) == 0;
    free(closed);
    if (late) {
        fputs("napm: the sweep goes on without this array task\n", stderr);
        return CLI_DONE;
    }
    return work(folder, common, &error) == 0 ? CLI_DONE : cli_fail(&error);
}
