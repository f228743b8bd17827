/* SPDX-License-Identifier: Apache-2.0 */
/* Files: mapped whole for reading, written whole and atomically, digests, and paths relative to another file. */
#ifndef NAPM_BASE_FILE_H
#define NAPM_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

struct file_map {
    const uint8_t *bytes;
    size_t size;
};

/* Maps a regular file read-only; an empty one gives size 0. Ended by file_unmap. */
int file_map(const char *path, struct file_map *map, struct error *error);
void file_unmap(struct file_map *map);

/* Writes beside the target and renames, so that readers see the old file or the new one. */
int file_write_atomically(const char *path, const void *bytes, size_t count, struct error *error);

/* 32 hexadecimal digits and NUL: XXH3, 128 bits. A name for contents, not a defence against forgery. */
#define FILE_DIGEST_BYTES 33
void file_digest(const void *bytes, size_t count, char digest[FILE_DIGEST_BYTES]);

/* The same digest of a whole map, leaving none of its pages in memory; -1 where there is no memory for it. */
int file_digest_map(const struct file_map *map, char digest[FILE_DIGEST_BYTES]);

/* `path` seen from the folder of `beside` (absolute paths stay). free() the result. */
char *file_path_beside(const char *beside, const char *path);

#endif
