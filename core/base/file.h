/* SPDX-License-Identifier: Apache-2.0 */
/* Files: mapped whole for reading, written whole and atomically, digests, and paths relative to another file. */
#ifndef NAPM_BASE_FILE_H
#define NAPM_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/error.h"

struct file_map {
    const uint8_t *bytes;
    size_t size;
};

/* Maps a regular file read-only; an empty one gives size 0. Ended by file_unmap. */
int file_map(const char *path, struct file_map *map, struct error *error);
void file_unmap(struct file_map *map);

/*
 * A file that is to be written whole: it is written beside its place and then put there, so that readers see the old file or
 * the new one. A link leads to the file that is replaced; what is no regular file (a device, a pipe) stays, and is written to.
 */
struct file_replacement {
    FILE *file; /* to write to */
    char *private_path, *private_beside;
};
/* -1: ERROR_INPUT, and nothing is to be ended. */
int file_replace_begin(struct file_replacement *replacement, const char *path, struct error *error);
/* `written`: all went well so far, else errno says what did not; then the old file stays. */
int file_replace_end(struct file_replacement *replacement, bool written, struct error *error);

/* All that at once; what was written is on the disk before it is put in place. */
int file_write_atomically(const char *path, const void *bytes, size_t count, struct error *error);

/* 32 hexadecimal digits and NUL: XXH3, 128 bits. A name for contents, not a defence against forgery. */
#define FILE_DIGEST_BYTES 33
void file_digest(const void *bytes, size_t count, char digest[FILE_DIGEST_BYTES]);

/* The same digest of a whole map, leaving none of its pages in memory; -1 where there is no memory for it. */
int file_digest_map(const struct file_map *map, char digest[FILE_DIGEST_BYTES]);

/* `path` seen from the folder of `beside` (absolute paths stay). free() the result. */
char *file_path_beside(const char *beside, const char *path);

/* The path from the root, without links; what does not exist is taken as it is. The caller frees it. */
char *file_path_from_root(const char *path);

#endif
