/* SPDX-License-Identifier: Apache-2.0 */
/* A lock between processes that a file stands for. */
#include "core/base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/clock.h"

#define TRY_EVERY_NS (20 * NS_PER_MS)

static int wait_for(int file, const char *path, int64_t most_ns, const atomic_bool *cancel, struct error *error)
{
    int64_t until_ns = clock_now_ns() + most_ns;
    while (flock(file, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_set(error, ERROR_RUN, "%s: cannot be locked: %s", path, strerror(errno));
        if (cancel && atomic_load(cancel))
            return error_set(error, ERROR_CANCELLED, "stopped while waiting for %s", path);
        if (clock_now_ns() >= until_ns)
            return error_set(error, ERROR_RUN,
                             "another process has kept %s locked for %lld s; `fuser %s` names it, stop it or try later",
                             path, (long long)(most_ns / NS_PER_S), path);
        clock_sleep_until_ns(clock_now_ns() + TRY_EVERY_NS);
    }
    return 0;
}

int lock_take(const char *path, int64_t most_ns, const atomic_bool *cancel, struct error *error)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0)
        return error_set(error, ERROR_RUN, "%s: cannot be opened: %s", path, strerror(errno));
    if (wait_for(file, path, most_ns, cancel, error) == 0)
        return file;
    close(file);
    return -1;
}

void lock_release(int lock)
{
    if (lock >= 0)
        close(lock);
}
