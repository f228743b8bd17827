/* SPDX-License-Identifier: Apache-2.0 */
/* napm-agent: runs on a device, computes layers and sends tensors as the controller says. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/session.h"

static const char usage[] =
    "Usage: napm-agent --control-fd=N | --control-stdio\n"
    "The part of NAPM that runs on a device. `napm run` starts it; there is no need to start it by hand.\n"
    "\n"
    "  --control-fd=N    the control connection is the open socket N\n"
    "  --control-stdio   the control connection is standard input and output\n"
    "  --version, --help\n";

/* What a terminal sends goes to the controller, which tells its agents. */
static void ignore_terminal(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

static int parse_fd(const char *text)
{
    char *end;
    long fd = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || fd < 0 || fd > 1 << 20 || fcntl((int)fd, F_GETFD) < 0) {
        fprintf(stderr, "napm-agent: --control-fd=%s: this is not an open file descriptor\n", text);
        return -1;
    }
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    return (int)fd;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"control-fd", required_argument, NULL, 'f'},
                                            {"control-stdio", no_argument, NULL, 's'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int read_fd = -1, write_fd = -1, option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            read_fd = write_fd = parse_fd(optarg);
            if (read_fd < 0)
                return 2;
            break;
        case 's':
            read_fd = STDIN_FILENO;
            write_fd = STDOUT_FILENO;
            break;
        case 'v':
            puts("napm-agent " PACKAGE_VERSION);
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (read_fd < 0 || optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    ignore_terminal();
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* threads inherit it: sleeps end within microseconds */
    return session_run(read_fd, write_fd);
}
