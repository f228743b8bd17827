/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is always there, small texts, and growable arrays. Running out of memory for bookkeeping ends the
 * process with a message: nothing sensible could follow. (Big blocks, such as weights, are asked for with
 * memory_try_aligned and their failure is an ordinary error.)
 */
#ifndef NAPM_BASE_MEMORY_H
#define NAPM_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

void *memory_new(size_t bytes); /* zeroed */
void *memory_new_array(size_t count, size_t element_bytes); /* zeroed; overflow checked */
void *memory_resize(void *block, size_t count, size_t element_bytes);
void *memory_copy(const void *bytes, size_t count);
void *memory_new_aligned(size_t bytes); /* zeroed, begins a cache line (64 bytes); ended by free() */
char *text_copy(const char *text); /* NULL stays NULL */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A block aligned to 64 bytes, not zeroed, or NULL; ended by free(). */
void *memory_try_aligned(size_t bytes);

#define NEW(type) ((type *)memory_new(sizeof(type)))
#define NEW_ARRAY(type, count) ((type *)memory_new_array((count), sizeof(type)))

/*
 * Growable array: `ARRAY_OF(int) numbers = {0}; *ARRAY_ADD(&numbers) = 3;` `.items` and `.count` are read directly,
 * ARRAY_FREE ends it. A pointer from ARRAY_ADD is valid until the next ARRAY_ADD.
 */
#define ARRAY_OF(type)                                                                                                 \
    struct {                                                                                                           \
        type *items;                                                                                                   \
        size_t count, room;                                                                                            \
    }
#define ARRAY_ADD(array)                                                                                               \
    ((array)->items = array_grow((array)->items, (array)->count, &(array)->room, sizeof(*(array)->items)),             \
     (array)->items + (array)->count++)
#define ARRAY_FREE(array)                                                                                              \
    do {                                                                                                               \
        free((array)->items);                                                                                          \
        (array)->items = NULL;                                                                                         \
        (array)->count = (array)->room = 0;                                                                            \
    } while (0)
void *array_grow(void *items, size_t count, size_t *room, size_t element_bytes);

#endif
