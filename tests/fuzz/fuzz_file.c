/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a file in memory, for readers that take a path. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_target.h"

const char *fuzz_file(const uint8_t *bytes, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0)
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) != 0 || (size && pwrite(fd, bytes, size, 0) != (ssize_t)size)) {
        perror("fuzz_file");
        abort();
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return path;
}
