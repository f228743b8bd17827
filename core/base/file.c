/* SPDX-License-Identifier: Apache-2.0 */
/* Files. */
#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/base/memory.h"

int file_map(const char *path, struct file_map *map, struct error *error)
{
    *map = (struct file_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set(error, ERROR_INPUT, "%s: cannot open: %s", path, strerror(errno));
    struct stat st;
    int failed = fstat(fd, &st);
    if (!failed && !S_ISREG(st.st_mode)) {
        close(fd);
        return error_set(error, ERROR_INPUT, "%s: is not a regular file", path);
    }
    if (!failed && st.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        failed = bytes == MAP_FAILED;
        if (!failed)
            *map = (struct file_map){.bytes = bytes, .size = (size_t)st.st_size};
    }
    int saved = errno;
    close(fd);
    if (failed)
        return error_set(error, ERROR_RUN, "%s: cannot map: %s", path, strerror(saved));
    return 0;
}

void file_unmap(struct file_map *map)
{
    if (map->size)
        munmap((void *)(uintptr_t)map->bytes, map->size);
    *map = (struct file_map){0};
}

static int write_all(int fd, const char *bytes, size_t count)
{
    while (count) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        count -= (size_t)n;
    }
    return 0;
}

int file_write_atomically(const char *path, const void *bytes, size_t count, struct error *error)
{
    char *beside = text_format("%s.%ld.tmp", path, (long)getpid());
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int failed = fd < 0;
    if (!failed) {
        failed = write_all(fd, bytes, count);
        failed |= fsync(fd) != 0;
        failed |= close(fd) != 0;
        failed = failed || rename(beside, path) != 0;
    }
    if (failed) {
        error_set(error, ERROR_RUN,
                  "%s: cannot write: %s; is there such a folder, may you write to it, and has it room?", path,
                  strerror(errno));
        unlink(beside);
    }
    free(beside);
    return failed ? -1 : 0;
}

static void write_digest(XXH128_hash_t h, char digest[FILE_DIGEST_BYTES])
{
    snprintf(digest, FILE_DIGEST_BYTES, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

void file_digest(const void *bytes, size_t count, char digest[FILE_DIGEST_BYTES])
{
    write_digest(XXH3_128bits(bytes, count), digest);
}

int file_digest_map(const struct file_map *map, char digest[FILE_DIGEST_BYTES])
{
    const size_t window_bytes = (size_t)8 << 20;
    XXH3_state_t *state = XXH3_createState();
    if (!state || XXH3_128bits_reset(state) != XXH_OK) {
        XXH3_freeState(state);
        return -1;
    }
    for (size_t at = 0; at < map->size; at += window_bytes) {
        size_t count = map->size - at < window_bytes ? map->size - at : window_bytes;
        void *window = (void *)(uintptr_t)(map->bytes + at);
        madvise(window, count, MADV_WILLNEED);
        XXH3_128bits_update(state, window, count);
        madvise(window, count, MADV_DONTNEED);
    }
    write_digest(XXH3_128bits_digest(state), digest);
    XXH3_freeState(state);
    return 0;
}

char *file_path_beside(const char *beside, const char *path)
{
    const char *slash = beside ? strrchr(beside, '/') : NULL;
    if (path[0] == '/' || !slash)
        return text_copy(path);
    return text_format("%.*s/%s", (int)(slash - beside), beside, path);
}
