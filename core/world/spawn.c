/* SPDX-License-Identifier: Apache-2.0 */
/* Agent processes on this machine. */
#include "core/world/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "places.h"

enum { CHILD_CONTROL_FD = 3 };

extern char **environ;

static char *beside_this_program(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (length <= 0)
        return NULL;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    return text_format("%.*s/napm-agent", slash ? (int)(slash - path) : 0, path);
}

char *spawn_agent_path(struct error *error)
{
    const char *told = getenv("NAPM_AGENT");
    if (told && *told) {
        if (access(told, X_OK) == 0)
            return text_copy(told);
        error_set(error, ERROR_INPUT, "NAPM_AGENT=%s: %s; it must name the program napm-agent", told, strerror(errno));
        return NULL;
    }
    char *beside = beside_this_program();
    if (beside && access(beside, X_OK) == 0)
        return beside;
    if (access(NAPM_BIN_DIR "/napm-agent", X_OK) == 0) {
        free(beside);
        return text_copy(NAPM_BIN_DIR "/napm-agent");
    }
    error_set(error, ERROR_INPUT,
              "napm-agent was not found: neither %s nor %s/napm-agent can be run; install it or set NAPM_AGENT to it",
              beside ? beside : "beside this program", NAPM_BIN_DIR);
    free(beside);
    return NULL;
}

static int spawn_with(const char *path, int child_fd, pid_t *pid)
{
    char option[] = "--control-fd=3";
    char name[] = "napm-agent";
    char *arguments[] = {name, option, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, standard;
    sigemptyset(&none);
    sigemptyset(&standard);
    sigaddset(&standard, SIGTERM);
    sigaddset(&standard, SIGCHLD);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, child_fd, CHILD_CONTROL_FD);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &standard);
    int failure = posix_spawn(pid, path, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

pid_t spawn_agent(const char *path, int *control_fd, struct error *error)
{
    int pair[2];
    pid_t pid;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return error_set(error, ERROR_RUN, "making a socket pair: %s", strerror(errno));
    int failure = spawn_with(path, pair[1], &pid);
    close(pair[1]);
    if (failure) {
        close(pair[0]);
        return error_set(error, ERROR_RUN, "starting %s: %s", path, strerror(failure));
    }
    *control_fd = pair[0];
    return pid;
}

static void describe(int status, char *how, size_t how_bytes)
{
    if (WIFSIGNALED(status))
        snprintf(how, how_bytes, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(how, how_bytes, "it ended with status %d", WEXITSTATUS(status));
}

void spawn_reap(pid_t pid, long long patience_ns, char *how, size_t how_bytes)
{
    const int64_t until_ns = clock_now_ns() + patience_ns;
    int status;
    pid_t got;
    while ((got = waitpid(pid, &status, WNOHANG)) == 0 && clock_now_ns() < until_ns)
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
    if (got == 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        snprintf(how, how_bytes, "it did not answer any more and was killed");
    } else if (got < 0) {
        snprintf(how, how_bytes, "it has gone");
    } else {
        describe(status, how, how_bytes);
    }
}
