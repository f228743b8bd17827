/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one scenario. */
#include "core/scenario/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void *arena_keep(struct arena *arena, void *block)
{
    *ARRAY_ADD(&arena->blocks) = block;
    return block;
}

void *arena_new(struct arena *arena, size_t bytes)
{
    return arena_keep(arena, memory_new(bytes ? bytes : 1));
}

char *arena_copy(struct arena *arena, const char *text)
{
    return arena_keep(arena, text_copy(text));
}

char *arena_text(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = arena_new(arena, (size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

void arena_free(struct arena *arena)
{
    for (size_t i = 0; i < arena->blocks.count; i++)
        free(arena->blocks.items[i]);
    ARRAY_FREE(&arena->blocks);
}
