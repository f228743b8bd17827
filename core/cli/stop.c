/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that ask the command to stop. */
#include "core/cli/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

static atomic_bool asked;
static volatile sig_atomic_t signal_number;

static void hear_signal(int number)
{
    static const char text[] = "\r\033[Knapm: stopping in order; once more to end at once\n";
    static const char plain[] = "napm: stopping in order; once more to end at once\n";
    int kept = errno;
    atomic_store(&asked, true);
    ssize_t written = isatty(STDERR_FILENO) ? write(STDERR_FILENO, text, sizeof(text) - 1)
                                            : write(STDERR_FILENO, plain, sizeof(plain) - 1);
    (void)written;
    signal_number = number;
    /* The next one has its ordinary effect. */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    errno = kept;
}

const char *stop_cause(void)
{
    return signal_number == SIGTERM ? "SIGTERM" : signal_number == SIGHUP ? "SIGHUP" : "Ctrl-C";
}

const atomic_bool *stop_watch(void)
{
    struct sigaction action = {.sa_handler = hear_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction hangup;
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) /* nohup stays in force */
        sigaction(SIGHUP, &action, NULL);
    return &asked;
}
