/* SPDX-License-Identifier: Apache-2.0 */
/* Running one check in a child process. */
#include "sdk/check/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"

/* What the child sends at its end: its verdict, then the text. */
struct message {
    int verdict;
    char text[sizeof(((struct error *)0)->text)];
};

static void be_child(int out, child_fn function, const void *argument)
{
    struct message message = {0};
    struct error why = {0};
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    message.verdict = (int)function(argument, &why);
    memcpy(message.text, why.text, sizeof(message.text));
    const char *at = (const char *)&message;
    for (size_t left = sizeof(message); left;) {
        ssize_t n = write(out, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += n;
        left -= (size_t)n;
    }
    _exit(0);
}

/* Reads the message until `until_ns`. The number of bytes that came, or -1 when time was up. */
static ssize_t read_message(int in, struct message *message, int64_t until_ns)
{
    size_t have = 0;
    while (have < sizeof(*message)) {
        int64_t left_ms = (until_ns - clock_now_ns()) / NS_PER_MS;
        struct pollfd wait_for = {.fd = in, .events = POLLIN};
        int ready = poll(&wait_for, 1, left_ms > 0 ? (int)left_ms : 0);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return -1;
        ssize_t n = read(in, (char *)message + have, sizeof(*message) - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static enum verdict judge(pid_t child, ssize_t have, const struct message *message, int limit_s, struct error *why)
{
    int status = 0;
    if (have < 0)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (have < 0)
        return fail(why, "not done after %d s: it waits or loops without end", limit_s);
    if (have == (ssize_t)sizeof(*message)) {
        error_set(why, ERROR_PLUGIN, "%s", message->text);
        return (enum verdict)message->verdict;
    }
    if (WIFSIGNALED(status))
        return fail(why, "crashed: signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return fail(why, "it ended the whole process (exit status %d)", WEXITSTATUS(status));
}

enum verdict child_run(child_fn function, const void *argument, int limit_s, struct error *why)
{
    int ends[2];
    struct message message;
    fflush(NULL);
    if (pipe(ends))
        return fail(why, "cannot make a pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        be_child(ends[1], function, argument);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return fail(why, "cannot start a process: %s", strerror(errno));
    }
    ssize_t have = read_message(ends[0], &message, clock_now_ns() + limit_s * NS_PER_S);
    close(ends[0]);
    return judge(child, have, &message, limit_s, why);
}
