/* SPDX-License-Identifier: Apache-2.0 */
/* The log. */
#include "core/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_int level_shown = LOG_WARNING_LEVEL;
static pthread_mutex_t line_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*before_line)(void);
static void (*after_line)(void);

void log_set_level(enum log_level level)
{
    atomic_store(&level_shown, (int)level);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load(&level_shown);
}

void log_set_screen(void (*before)(void), void (*after)(void))
{
    pthread_mutex_lock(&line_lock);
    before_line = before;
    after_line = after;
    pthread_mutex_unlock(&line_lock);
}

void log_write(enum log_level level, const char *source, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    if ((int)level > atomic_load(&level_shown))
        return;
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&line_lock);
    if (before_line)
        before_line();
    fprintf(stderr, "napm: %s: %s: ", names[level], source);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    fflush(stderr);
    if (after_line)
        after_line();
    pthread_mutex_unlock(&line_lock);
    va_end(arguments);
}
