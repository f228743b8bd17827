/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of child processes. */
#include "core/sweep/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"

#define LOOK_EVERY_NS 20000000 /* how soon an end, or a wish to stop, is seen */

struct pool {
    const struct pool_settings *settings;
    pid_t *children; /* by place; 0: free */
    size_t *tasks; /* what runs there */
    size_t running, next;
    bool told; /* the children were asked to end */
};

/* In the child, between fork and exec: only what is safe there. */
static void become(const char *const *command, pid_t parent, bool quiet)
{
    /* What a terminal sends reaches us, and we pass it on once: a second signal would end the worker at once. */
    setpgid(0, 0);
    /* Whoever kills us kills the workers: asked to stop, they record what they have. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(127);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    if (quiet)
        dup2(nothing, STDERR_FILENO);
    execv(command[0], (char *const *)command);
    _exit(127);
}

static int start(struct pool *pool, struct error *error)
{
    const char *const *command = pool->settings->command(pool->settings->context, pool->next);
    pid_t parent = getpid(), child = fork();
    if (child < 0)
        return error_set(error, ERROR_RUN, "starting a process: %s", strerror(errno));
    if (child == 0)
        become(command, parent, pool->settings->quiet);
    for (size_t i = 0; i < pool->settings->jobs; i++)
        if (pool->children[i] == 0) {
            pool->children[i] = child;
            pool->tasks[i] = pool->next;
            break;
        }
    pool->running++;
    pool->next++;
    return 0;
}

static void collect(struct pool *pool)
{
    for (size_t i = 0; i < pool->settings->jobs; i++) {
        int status;
        if (pool->children[i] == 0 || waitpid(pool->children[i], &status, WNOHANG) <= 0)
            continue;
        pool->children[i] = 0;
        pool->running--;
        pool->settings->ended(pool->settings->context, pool->tasks[i], status);
    }
}

static void ask_to_end(struct pool *pool)
{
    for (size_t i = 0; i < pool->settings->jobs && !pool->told; i++)
        if (pool->children[i] != 0)
            kill(pool->children[i], SIGTERM);
    pool->told = true;
}

int pool_run(const struct pool_settings *settings, struct error *error)
{
    struct pool pool = {
        .settings = settings, .children = NEW_ARRAY(pid_t, settings->jobs), .tasks = NEW_ARRAY(size_t, settings->jobs)};
    int result = 0;
    for (;;) {
        bool stopping = result != 0 || (settings->cancel && atomic_load(settings->cancel));
        while (!stopping && result == 0 && pool.running < settings->jobs && pool.next < settings->task_count)
            result = start(&pool, error);
        if (stopping || result != 0)
            ask_to_end(&pool);
        if (pool.running == 0 && (stopping || result != 0 || pool.next == settings->task_count))
            break;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_NS}, NULL);
        collect(&pool);
    }
    if (result == 0 && pool.next < settings->task_count)
        result = error_set(error, ERROR_CANCELLED, "stopped");
    free(pool.children);
    free(pool.tasks);
    return result;
}

void pool_describe(int status, char *text, size_t text_bytes)
{
    if (WIFSIGNALED(status))
        snprintf(text, text_bytes, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, text_bytes, "ended with status %d", WEXITSTATUS(status));
}
