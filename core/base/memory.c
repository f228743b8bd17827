/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is always there. */
#include "core/base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *block)
{
    if (!block) {
        fputs("napm: error: out of memory\n", stderr);
        exit(1);
    }
    return block;
}

void *memory_new(size_t bytes)
{
    return checked(calloc(1, bytes ? bytes : 1));
}

void *memory_new_array(size_t count, size_t element_bytes)
{
    return checked(calloc(count ? count : 1, element_bytes ? element_bytes : 1));
}

void *memory_resize(void *block, size_t count, size_t element_bytes)
{
    return checked(reallocarray(block, count ? count : 1, element_bytes ? element_bytes : 1));
}

void *memory_copy(const void *bytes, size_t count)
{
    void *copy = checked(malloc(count ? count : 1));
    if (count)
        memcpy(copy, bytes, count);
    return copy;
}

char *text_copy(const char *text)
{
    return text ? memory_copy(text, strlen(text) + 1) : NULL;
}

char *text_format(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    return checked(text);
}

void *memory_try_aligned(size_t bytes)
{
    size_t whole = (bytes + 63) & ~(size_t)63;
    return whole < bytes ? NULL : aligned_alloc(64, whole ? whole : 64);
}

void *memory_new_aligned(size_t bytes)
{
    return memset(checked(memory_try_aligned(bytes)), 0, bytes);
}

void *array_grow(void *items, size_t count, size_t *room, size_t element_bytes)
{
    if (count < *room)
        return items;
    *room = *room ? *room * 2 : 8;
    return memory_resize(items, *room, element_bytes);
}
