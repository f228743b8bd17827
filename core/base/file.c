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

static int cannot_write(const char *path, enum error_kind kind, int cause, struct error *error)
{
    return error_set(error, kind,
                     "%s: cannot be written: %s; is there such a folder, may you write to it, and has it room?", path,
                     strerror(cause));
}

/* Opens what is to be written: the path itself where it is no regular file, else a file beside the one that it leads to. */
static int open_beside(struct file_replacement *it)
{
    struct stat st;
    bool exists = stat(it->private_path, &st) == 0;
    if (exists && !S_ISREG(st.st_mode))
        return open(it->private_path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    char *place = exists ? realpath(it->private_path, NULL) : NULL;
    if (place) {
        free(it->private_path);
        it->private_path = place;
    }
    it->private_beside = text_format("%s.%ld.tmp", it->private_path, (long)getpid());
    return open(it->private_beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
}

static void end_replacement(struct file_replacement *it)
{
    free(it->private_path);
    free(it->private_beside);
    *it = (struct file_replacement){0};
}

int file_replace_begin(struct file_replacement *it, const char *path, struct error *error)
{
    *it = (struct file_replacement){.private_path = text_copy(path)};
    int fd = open_beside(it);
    it->file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (it->file)
        return 0;
    cannot_write(path, ERROR_INPUT, errno, error);
    if (fd >= 0)
        close(fd);
    end_replacement(it);
    return -1;
}

int file_replace_end(struct file_replacement *it, bool written, struct error *error)
{
    int cause = written ? 0 : errno ? errno : EIO;
    if (fclose(it->file) != 0 && !cause)
        cause = errno;
    if (!cause && it->private_beside && rename(it->private_beside, it->private_path) != 0)
        cause = errno;
    if (cause) {
        cannot_write(it->private_path, ERROR_RUN, cause, error);
        if (it->private_beside)
            unlink(it->private_beside);
    }
    end_replacement(it);
    return cause ? -1 : 0;
}

int file_write_atomically(const char *path, const void *bytes, size_t count, struct error *error)
{
    struct file_replacement replacement;
    if (file_replace_begin(&replacement, path, error) != 0)
        return -1;
    bool written = fwrite(bytes, 1, count, replacement.file) == count && fflush(replacement.file) == 0;
    if (written && replacement.private_beside)
        written = fsync(fileno(replacement.file)) == 0;
    return file_replace_end(&replacement, written, error);
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

char *file_path_from_root(const char *path)
{
    char *whole = realpath(path, NULL);
    return whole ? whole : text_copy(path);
}
