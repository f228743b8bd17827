/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives a fuzz target without libFuzzer: mutates the seeds with a fixed random sequence for a second or so.
 * `TARGET` runs, `TARGET FILE...` runs single inputs, `TARGET --corpus FOLDER` writes the seeds for libFuzzer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "tests/fuzz/fuzz_target.h"

#define RUN_NS (1500 * NS_PER_MS)
#define MAX_SEEDS 32
#define ROOM_BYTES (1 << 20)

struct input {
    uint8_t *bytes;
    size_t size;
};

static struct random dice;

static size_t below(size_t count)
{
    return count ? (size_t)(random_bits(&dice) % count) : 0;
}

/* Numbers that make parsers stumble: limits of the sizes that they count in. */
static uint8_t odd_byte(void)
{
    static const uint8_t odd[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x0a, 0x3a, 0x4a, 0x10, 0x08};
    return below(3) ? odd[below(sizeof(odd))] : (uint8_t)below(256);
}

static void move(struct input *input, size_t from, size_t to, size_t count)
{
    memmove(input->bytes + to, input->bytes + from, count);
}

static void mutate(struct input *input, const struct input *other)
{
    size_t at = below(input->size), length = 1 + below(below(4) ? 8 : 200);
    if (input->size == 0)
        return;
    if (length > input->size - at)
        length = input->size - at;
    switch (below(7)) {
    case 0: /* drop a piece */
        move(input, at + length, at, input->size - at - length);
        input->size -= length;
        return;
    case 1: /* say a piece twice */
        if (input->size + length <= ROOM_BYTES) {
            move(input, at, at + length, input->size - at);
            input->size += length;
        }
        return;
    case 2: /* take a piece of another seed */
        for (size_t i = 0; i < length && at + i < other->size; i++)
            input->bytes[at + i] = other->bytes[at + i];
        return;
    case 3: /* end early */
        input->size = below(8) ? input->size : at;
        return;
    case 4:
        memset(input->bytes + at, 0xff, length);
        return;
    default:
        input->bytes[at] = odd_byte();
    }
}

/* Mutates most in the first part of a seed, where the structure is and not the weights. */
static unsigned long run(struct input *seeds, unsigned count)
{
    struct input work = {.bytes = memory_new(ROOM_BYTES)};
    unsigned long runs = 0;
    int64_t end_ns = clock_now_ns() + RUN_NS;
    for (; clock_now_ns() < end_ns; runs++) {
        const struct input *seed = &seeds[below(count)];
        work.size = seed->size;
        memcpy(work.bytes, seed->bytes, seed->size);
        for (size_t times = below(6); times > 0; times--)
            mutate(&work, &seeds[below(count)]);
        LLVMFuzzerTestOneInput(work.bytes, work.size);
    }
    free(work.bytes);
    return runs;
}

static unsigned load_seeds(struct input *seeds)
{
    unsigned count = 0;
    while (count < MAX_SEEDS && (seeds[count].bytes = fuzz_seed(count, &seeds[count].size)) != NULL)
        count++;
    return count;
}

static int write_corpus(const struct input *seeds, unsigned count, const char *folder)
{
    struct error error = {0};
    for (unsigned i = 0; i < count; i++) {
        char *path = text_format("%s/seed%u", folder, i);
        int status = file_write_atomically(path, seeds[i].bytes, seeds[i].size, &error);
        free(path);
        if (status) {
            fprintf(stderr, "%s\n", error.text);
            return 1;
        }
    }
    return 0;
}

static int run_file(const char *path)
{
    struct error error = {0};
    struct file_map map;
    if (file_map(path, &map, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    LLVMFuzzerTestOneInput(map.bytes, map.size);
    file_unmap(&map);
    return 0;
}

int main(int count, char **words)
{
    struct input seeds[MAX_SEEDS];
    int status = 0;
    unsigned seed_count = load_seeds(seeds);
    random_seed(&dice, 1, "fuzz");
    if (count == 3 && strcmp(words[1], "--corpus") == 0) {
        status = write_corpus(seeds, seed_count, words[2]);
    } else if (count > 1) {
        for (int i = 1; i < count; i++)
            status |= run_file(words[i]);
    } else {
        printf("1..1\n");
        fflush(stdout);
        printf("ok 1 - %lu mutations of %u seeds are survived\n", run(seeds, seed_count), seed_count);
    }
    for (unsigned i = 0; i < seed_count; i++)
        free(seeds[i].bytes);
    return status;
}
