/* SPDX-License-Identifier: Apache-2.0 */
/* One progress line on stderr. A thread of its own draws it, so that it lives while a step is busy computing. */
#include "core/cli/progress.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread.h"
#include "core/cli/terminal.h"

#define APPEARS_AFTER_NS NS_PER_S
#define DRAWN_EVERY_NS (NS_PER_S / 8)
#define MOST_BAR 40

static struct {
    pthread_mutex_t lock;
    pthread_cond_t stop;
    pthread_t thread;
    bool running, stopping, drawn;
    const char *what;
    uint64_t done, of;
    int64_t since_ns, counted_ns; /* when the step began, and when `done` last changed */
} line = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void clear_line(void)
{
    if (line.drawn)
        fputs("\r\033[K", stderr);
    line.drawn = false;
    fflush(stderr);
}

/* While one part takes long (a probe of a slow link), a mark moves with the time through what is still to be done. */
static void bar_text(char *text, size_t room, uint64_t done, uint64_t of, int width, int64_t waited_ns)
{
    char bar[MOST_BAR + 1];
    int filled = (int)(done * (uint64_t)width / of);
    memset(bar, ' ', (size_t)width);
    memset(bar, '=', (size_t)filled);
    if (waited_ns >= APPEARS_AFTER_NS && filled < width)
        bar[filled + (waited_ns - APPEARS_AFTER_NS) / DRAWN_EVERY_NS % (width - filled)] = '>';
    bar[width] = '\0';
    snprintf(text, room, " [%s] %" PRIu64 "/%" PRIu64, bar, done, of);
}

/* By what one part has taken so far, as of the last one that was done. "" where that says nothing. */
static void left_text(char *text, size_t room, uint64_t done, uint64_t of)
{
    text[0] = '\0';
    if (done == 0 || done >= of)
        return;
    double one_ns = (double)(line.counted_ns - line.since_ns) / (double)done;
    double left_s = (one_ns * (double)(of - done) - (double)(clock_now_ns() - line.counted_ns)) / (double)NS_PER_S;
    if (left_s >= 5400)
        snprintf(text, room, ", about %.0f h left", left_s / 3600);
    else if (left_s >= 90)
        snprintf(text, room, ", about %.0f min left", left_s / 60);
    else if (left_s >= 1)
        snprintf(text, room, ", about %.0f s left", left_s);
}

static void draw_line(void)
{
    int64_t elapsed_ns = clock_now_ns() - line.since_ns;
    if (!line.what || elapsed_ns < APPEARS_AFTER_NS)
        return;
    char bar[MOST_BAR + 64] = "...", left[64], text[256];
    int columns = (int)terminal_columns(STDERR_FILENO), width = columns / 3 < MOST_BAR ? columns / 3 : MOST_BAR;
    if (line.of > 0)
        bar_text(bar, sizeof(bar), line.done < line.of ? line.done : line.of, line.of, width,
                 clock_now_ns() - line.counted_ns);
    left_text(left, sizeof(left), line.done, line.of);
    snprintf(text, sizeof(text), "napm: %s%s %" PRId64 " s%s", line.what, bar, elapsed_ns / NS_PER_S, left);
    fprintf(stderr, "\r%.*s\033[K", columns - 1, text);
    fflush(stderr);
    line.drawn = true;
}

static void *draw_until_stopped(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&line.lock);
    while (!line.stopping) {
        draw_line();
        thread_wait_until(&line.stop, &line.lock, clock_now_ns() + DRAWN_EVERY_NS);
    }
    clear_line();
    pthread_mutex_unlock(&line.lock);
    return NULL;
}

/* The log's lines: the lock is held from before to after, so that nothing is drawn in between. */
static void before_log_line(void)
{
    pthread_mutex_lock(&line.lock);
    clear_line();
}

static void after_log_line(void)
{
    pthread_mutex_unlock(&line.lock);
}

void progress_start(void)
{
    const char *term = getenv("TERM");
    if (line.running || !isatty(STDERR_FILENO) || (term && strcmp(term, "dumb") == 0))
        return;
    thread_condition_init(&line.stop);
    line.stopping = false;
    line.what = NULL;
    /* Signals are for the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    line.running = pthread_create(&line.thread, NULL, draw_until_stopped, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (line.running)
        log_set_screen(before_log_line, after_log_line);
}

void progress_step(const char *what, uint64_t done, uint64_t of)
{
    if (!line.running)
        return;
    pthread_mutex_lock(&line.lock);
    if (!line.what || strcmp(line.what, what) != 0) {
        line.what = what;
        line.since_ns = line.counted_ns = clock_now_ns();
    }
    if (line.done != done)
        line.counted_ns = clock_now_ns();
    line.done = done;
    line.of = of;
    pthread_mutex_unlock(&line.lock);
}

void progress_stop(void)
{
    if (!line.running)
        return;
    log_set_screen(NULL, NULL);
    pthread_mutex_lock(&line.lock);
    line.stopping = true;
    pthread_cond_signal(&line.stop);
    pthread_mutex_unlock(&line.lock);
    pthread_join(line.thread, NULL);
    pthread_cond_destroy(&line.stop);
    line.running = false;
}
