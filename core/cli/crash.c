/* SPDX-License-Identifier: Apache-2.0 */
/* Saying which plugin crashed. */
#include "core/cli/crash.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_MAX 64

/* The innermost plugin on the stack: of all that is loaded only plugins have a name that ends in ".so" alone. */
static const char *plugin_on_stack(void)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    for (int i = 0; i < count; i++) {
        Dl_info info;
        const char *dot = dladdr(frames[i], &info) && info.dli_fname ? strrchr(info.dli_fname, '.') : NULL;
        if (dot && strcmp(dot, ".so") == 0)
            return info.dli_fname;
    }
    return NULL;
}

/*
 * The process is lost already, so that what a handler may not do in general (dladdr, snprintf) is worth the try here; a
 * second fault ends it by the default action, which SA_RESETHAND has put back.
 */
static void report_crash(int number)
{
    char text[1024];
    const char *plugin = plugin_on_stack();
    int length =
        plugin
            ? snprintf(text, sizeof(text), "\nnapm: error: crashed (%s) inside plugin %s\nTry: napm-plugin-check %s\n",
                       strsignal(number), plugin, plugin)
            : snprintf(text, sizeof(text), "\nnapm: error: crashed (%s); this is a fault of napm\n", strsignal(number));
    size_t bytes = length < (int)sizeof(text) ? (size_t)length : sizeof(text) - 1;
    if (write(STDERR_FILENO, text, bytes) < 0)
        _exit(128 + number);
    raise(number);
}

void crash_watch(void)
{
#ifndef NAPM_SANITIZED
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    void *frame[1];
    backtrace(frame, 1); /* loads what backtrace needs while the heap is sound */
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        struct sigaction action = {.sa_handler = report_crash, .sa_flags = (int)SA_RESETHAND};
        sigaction(numbers[i], &action, NULL);
    }
#else
    (void)report_crash;
#endif
}
