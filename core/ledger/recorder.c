/* SPDX-License-Identifier: Apache-2.0 */
/* Who records a run: a process known by its number, start time and boot. */
#include "core/ledger/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STARTTIME_FIELD 22 /* of /proc/PID/stat, see proc(5) */

/* -1: there is no such process, or only its remains (a zombie). */
static int64_t start_of_process(int64_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    size_t count = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[count] = '\0';
    /* The command's name, field 2, is in parentheses and may hold anything: count from behind its end. */
    char *at = strrchr(text, ')');
    if (at && (strncmp(at, ") Z", 3) == 0 || strncmp(at, ") X", 3) == 0))
        return -1;
    for (int field = 2; at && field < STARTTIME_FIELD; field++) {
        at = strchr(at, ' ');
        if (at)
            at++;
    }
    return at ? strtoll(at, NULL, 10) : 0;
}

static void this_machine(char machine[RECORDER_MACHINE_BYTES])
{
    char boot[64] = "", space[48] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file) {
        if (fgets(boot, sizeof(boot), file))
            boot[strcspn(boot, "\n")] = '\0';
        fclose(file);
    }
    ssize_t length = readlink("/proc/self/ns/pid", space, sizeof(space) - 1);
    space[length < 0 ? 0 : length] = '\0';
    snprintf(machine, RECORDER_MACHINE_BYTES, "%s %s", boot, space);
}

void recorder_self(struct recorder *recorder)
{
    recorder->pid = getpid();
    recorder->started = start_of_process(recorder->pid);
    this_machine(recorder->machine);
}

bool recorder_may_live(const struct recorder *recorder)
{
    char machine[RECORDER_MACHINE_BYTES];
    this_machine(machine);
    size_t boot = strcspn(machine, " ");
    if (boot != strcspn(recorder->machine, " ") || strncmp(machine, recorder->machine, boot) != 0)
        return false; /* the machine has been started anew since */
    if (strcmp(machine, recorder->machine) != 0)
        return true; /* another container: its processes cannot be seen from here */
    int64_t started = start_of_process(recorder->pid);
    return started >= 0 && (started == recorder->started || recorder->started <= 0);
}
