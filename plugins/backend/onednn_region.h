/* SPDX-License-Identifier: Apache-2.0 */
/* Large pieces of zeroed memory, aligned to 64 bytes, in huge pages where the system has them. */
#ifndef ONEDNN_REGION_H
#define ONEDNN_REGION_H

#include <stdint.h>

struct region {
    char *start;
    uint64_t mapped_bytes;
    void *mapping;
};

/* 0, or -1 where memory runs out. Zero bytes give a region without memory. */
int region_open(struct region *region, uint64_t bytes);
void region_close(struct region *region);

/* `bytes` rounded up so that the next piece starts at a cache line. */
static inline uint64_t region_round(uint64_t bytes)
{
    return (bytes + 63) & ~(uint64_t)63;
}

#endif
