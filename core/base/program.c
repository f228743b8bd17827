/* SPDX-License-Identifier: Apache-2.0 */
/* Running another program and reading what it says. */
#include "core/base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"

extern char **environ;

/* In a group of its own: what a terminal sends (Ctrl-C) is for us. */
static int start(const char *const *argv, int pipe_end, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe_end, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipe_end, STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    int failure = posix_spawnp(pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

/* Reads until the other end is closed. -1: not by then. */
static int read_all(int fd, int64_t until_ns, char **text)
{
    ARRAY_OF(char) read_so_far = {0};
    char piece[4096];
    ssize_t count = -1;
    for (;;) {
        int64_t left_ms = (until_ns - clock_now_ns()) / NS_PER_MS;
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int polled = left_ms > 0 ? poll(&ready, 1, (int)left_ms) : 0;
        if (polled < 0 && errno == EINTR)
            continue;
        if (polled <= 0 || (count = read(fd, piece, sizeof(piece))) <= 0)
            break;
        for (ssize_t i = 0; i < count; i++)
            *ARRAY_ADD(&read_so_far) = piece[i];
    }
    *ARRAY_ADD(&read_so_far) = '\0';
    *text = read_so_far.items;
    return count == 0 ? 0 : -1;
}

static int wait_for(const char *name, pid_t pid, int64_t most_ns, bool ended, const char *said, struct error *error)
{
    int status;
    if (!ended)
        kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_set(error, ERROR_RUN, "%s: %s", name, strerror(errno));
    if (!ended)
        return error_set(error, ERROR_RUN, "%s gave no answer within %.3g s", name, (double)most_ns / (double)NS_PER_S);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    int length = (int)strlen(said);
    while (length > 0 && said[length - 1] == '\n')
        length--;
    return error_set(error, ERROR_RUN, "%s failed: %.*s", name, length, said);
}

int program_run(const char *const *argv, int64_t most_ns, char **output, struct error *error)
{
    int ends[2];
    pid_t pid;
    char *said = NULL;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set(error, ERROR_RUN, "starting %s: %s", argv[0], strerror(errno));
    int failure = start(argv, ends[1], &pid), result = -1;
    close(ends[1]);
    if (failure != 0) {
        error_set(error, failure == ENOENT ? ERROR_INPUT : ERROR_RUN, "starting %s: %s; is it installed?", argv[0],
                  strerror(failure));
    } else {
        bool ended = read_all(ends[0], clock_now_ns() + most_ns, &said) == 0;
        result = wait_for(argv[0], pid, most_ns, ended, said, error);
    }
    close(ends[0]);
    if (output)
        *output = said ? said : text_copy("");
    else
        free(said);
    return result;
}
