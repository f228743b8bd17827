/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzing without a special compiler: valid inputs are damaged at random, by a fixed seed, and given to a reader, which
 * must neither crash nor read beyond its input. Each input ends at an unreadable page, so that a byte too many is seen
 * even without a sanitizer.
 *
 * Rounds: FUZZ_ROUNDS in the environment, or else the number given.
 */
#ifndef NAPM_TESTS_FUZZ_H
#define NAPM_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/random.h"

struct fuzz_input {
    const void *bytes;
    size_t size;
};

/* Room for one input, ending at an unreadable page. */
struct fuzz_room {
    uint8_t *start, *end;
};

static inline struct fuzz_room fuzz_room_new(size_t most_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (most_bytes + page - 1) / page * page;
    uint8_t *start = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + size, page, PROT_NONE) != 0) {
        perror("fuzz: mmap");
        exit(99);
    }
    return (struct fuzz_room){start, start + size};
}

static inline size_t fuzz_below(struct random *random, size_t bound)
{
    return bound ? (size_t)(random_bits(random) % bound) : 0;
}

/* Damages bytes[0..size) once; returns the new size, at most `most`. */
static inline size_t fuzz_damage(struct random *random, uint8_t *bytes, size_t size, size_t most)
{
    size_t from = fuzz_below(random, size), length = fuzz_below(random, size - from) % 64 + 1;
    if (size == 0)
        return 0;
    switch (fuzz_below(random, 6)) {
    case 0: /* a wrong bit */
        bytes[from] ^= (uint8_t)(1u << fuzz_below(random, 8));
        return size;
    case 1: /* any byte */
        bytes[from] = (uint8_t)random_bits(random);
        return size;
    case 2: /* a byte from elsewhere in the input: likelier to mean something */
        bytes[from] = bytes[fuzz_below(random, size)];
        return size;
    case 3: /* cut off */
        return from;
    case 4: /* a piece left out */
        length = length > size - from ? size - from : length;
        memmove(bytes + from, bytes + from + length, size - from - length);
        return size - length;
    default: /* a piece twice */
        length = length > size - from ? size - from : length;
        if (size + length > most)
            return size;
        memmove(bytes + from + length, bytes + from, size - from);
        return size + length;
    }
}

/* Calls `read` with every input as it is, then with damaged ones. Returns the number of calls. */
static inline size_t fuzz(const struct fuzz_input *inputs, size_t count, size_t rounds,
                          void (*read)(const uint8_t *bytes, size_t size))
{
    const char *wanted = getenv("FUZZ_ROUNDS");
    struct random random;
    size_t most = 64;
    for (size_t i = 0; i < count; i++)
        most = inputs[i].size * 2 > most ? inputs[i].size * 2 : most;
    struct fuzz_room room = fuzz_room_new(most);
    uint8_t *bytes = malloc(most);
    random_seed(&random, 1, "fuzz");
    rounds = wanted ? strtoul(wanted, NULL, 10) : rounds;
    for (size_t round = 0; bytes && round < count + rounds; round++) {
        const struct fuzz_input *input = &inputs[round % count];
        size_t size = input->size;
        memcpy(bytes, input->bytes, size);
        if (round >= count)
            for (size_t i = fuzz_below(&random, 4) + 1; i > 0; i--)
                size = fuzz_damage(&random, bytes, size, most);
        if (size > 0)
            memcpy(room.end - size, bytes, size);
        read(room.end - size, size);
    }
    free(bytes);
    munmap(room.start, (size_t)(room.end - room.start) + (size_t)sysconf(_SC_PAGESIZE));
    return count + rounds;
}

#endif
