/* SPDX-License-Identifier: Apache-2.0 */
/* What this process and this machine are doing, from /proc. One thread; allocates nothing after opening. */
#ifndef NAPM_COMPUTE_MONITOR_H
#define NAPM_COMPUTE_MONITOR_H

#include <stdint.h>

/* Where a number cannot be had it is 0. */
struct monitor_sample {
    int64_t at_ns;
    double cpu_share; /* processor time of the process since the last sample / elapsed, in cores */
    uint64_t resident_bytes;
    uint64_t machine_available_bytes;
    double machine_load; /* processor use of the whole machine since the last sample, 0..1 */
};

struct monitor {
    int statm_fd, stat_fd, meminfo_fd; /* -1: not there */
    int64_t last_ns, last_cpu_ns;
    uint64_t last_busy, last_all; /* clock ticks of the whole machine */
};

void monitor_open(struct monitor *monitor);
void monitor_close(struct monitor *monitor);
void monitor_sample(struct monitor *monitor, struct monitor_sample *sample);

/* Facts that do not change. Texts are the caller's to free. */
struct machine_facts {
    char *host, *machine, *system; /* name, processor, kernel */
    uint32_t processors;
    uint64_t memory_bytes;
};
void machine_facts_read(struct machine_facts *facts);
void machine_facts_free(struct machine_facts *facts);

#endif
