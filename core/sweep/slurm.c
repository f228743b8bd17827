/* SPDX-License-Identifier: Apache-2.0 */
/* Slurm's commands. */
#include "core/sweep/slurm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/program.h"

#define ANSWER_WITHIN_NS (60 * NS_PER_S)

typedef ARRAY_OF(const char *) word_list;

static void add_all(word_list *list, const char *const *words)
{
    for (; *words; words++)
        *ARRAY_ADD(list) = *words;
}

int slurm_submit(const struct slurm_job *job, struct error *error)
{
    word_list words = {0};
    char *array = text_format("--array=0-%" PRIu32, job->tasks - 1), *name = text_format("--job-name=%s", job->name);
    /* What its tasks say goes into files of the script's; a site's or the user's options come last, and win. */
    const char *const fixed[] = {"sbatch", "--parsable", array, name, "--output=/dev/null", NULL};
    add_all(&words, fixed);
    add_all(&words, job->options);
    add_all(&words, job->script);
    *ARRAY_ADD(&words) = NULL;
    int result = program_run(words.items, ANSWER_WITHIN_NS, NULL, error);
    ARRAY_FREE(&words);
    free(array);
    free(name);
    return result;
}

static bool is_active(const char *state)
{
    static const char *const ended[] = {"BOOT_FAIL", "CANCELLED",     "COMPLETED", "DEADLINE", "FAILED",
                                        "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",  "TIMEOUT"};
    for (size_t i = 0; i < sizeof(ended) / sizeof(ended[0]); i++)
        if (strcmp(state, ended[i]) == 0)
            return false;
    return true;
}

int slurm_look(const char *name, struct slurm_task **tasks, size_t *count, struct error *error)
{
    ARRAY_OF(struct slurm_task) found = {0};
    char *which = text_format("--name=%s", name), *said, *rest = NULL;
    const char *const words[] = {"squeue", "--noheader", "--array", "--states=all", which, "--format=%K|%T|%r", NULL};
    int result = program_run(words, ANSWER_WITHIN_NS, &said, error);
    for (char *line = strtok_r(said, "\n", &rest); line && result == 0; line = strtok_r(NULL, "\n", &rest)) {
        struct slurm_task task = {0};
        if (sscanf(line, "%" SCNu32 "|%23[^|]|%63[^\n]", &task.task, task.state, task.reason) < 2)
            continue; /* a warning, such as that the controller was slow */
        task.active = is_active(task.state);
        *ARRAY_ADD(&found) = task;
    }
    free(which);
    free(said);
    *tasks = found.items;
    *count = found.count;
    return result;
}

int slurm_cancel(const char *name, bool now, struct error *error)
{
    char *which = text_format("--name=%s", name);
    const char *const all[] = {"scancel", which, NULL};
    const char *const waiting[] = {"scancel", which, "--state=PENDING", NULL};
    /* Without --full the batch script, which our program has replaced, would only be killed. */
    const char *const running[] = {"scancel", which, "--state=RUNNING", "--full", "--signal=TERM", NULL};
    int result =
        now ? program_run(all, ANSWER_WITHIN_NS, NULL, error) : program_run(waiting, ANSWER_WITHIN_NS, NULL, error);
    if (result == 0 && !now)
        result = program_run(running, ANSWER_WITHIN_NS, NULL, error);
    free(which);
    return result;
}
