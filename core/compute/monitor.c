/* SPDX-License-Identifier: Apache-2.0 */
/* What this process and this machine are doing. */
#include "core/compute/monitor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"

enum { TEXT_BYTES = 4096 };

static int open_to_read(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* The head of a /proc file as text; "" where it cannot be read. */
static void read_head(int fd, char text[TEXT_BYTES])
{
    ssize_t got = fd >= 0 ? pread(fd, text, TEXT_BYTES - 1, 0) : 0;
    text[got > 0 ? got : 0] = '\0';
}

static uint64_t read_resident_bytes(int fd)
{
    char text[TEXT_BYTES];
    uint64_t size = 0, resident = 0;
    read_head(fd, text);
    if (sscanf(text, "%" SCNu64 " %" SCNu64, &size, &resident) != 2)
        return 0;
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t read_meminfo_bytes(int fd, const char *key)
{
    char text[TEXT_BYTES];
    uint64_t kib = 0;
    read_head(fd, text);
    const char *line = strstr(text, key);
    return line && sscanf(line + strlen(key), " %" SCNu64, &kib) == 1 ? kib * 1024 : 0;
}

/* The first line of /proc/stat: user nice system idle iowait irq softirq steal. */
static void read_machine_ticks(int fd, uint64_t *busy, uint64_t *all)
{
    char text[TEXT_BYTES];
    uint64_t t[8] = {0};
    read_head(fd, text);
    sscanf(text, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
           &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]);
    *busy = t[0] + t[1] + t[2] + t[5] + t[6] + t[7];
    *all = *busy + t[3] + t[4];
}

void monitor_open(struct monitor *monitor)
{
    monitor->statm_fd = open_to_read("/proc/self/statm");
    monitor->stat_fd = open_to_read("/proc/stat");
    monitor->meminfo_fd = open_to_read("/proc/meminfo");
    monitor->last_ns = clock_now_ns();
    monitor->last_cpu_ns = clock_process_cpu_ns();
    read_machine_ticks(monitor->stat_fd, &monitor->last_busy, &monitor->last_all);
}

void monitor_close(struct monitor *monitor)
{
    const int fds[] = {monitor->statm_fd, monitor->stat_fd, monitor->meminfo_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

void monitor_sample(struct monitor *monitor, struct monitor_sample *sample)
{
    uint64_t busy, all;
    int64_t cpu_ns = clock_process_cpu_ns();
    sample->at_ns = clock_now_ns();
    read_machine_ticks(monitor->stat_fd, &busy, &all);
    int64_t elapsed_ns = sample->at_ns - monitor->last_ns;
    sample->cpu_share = elapsed_ns > 0 ? (double)(cpu_ns - monitor->last_cpu_ns) / (double)elapsed_ns : 0;
    sample->machine_load =
        all > monitor->last_all ? (double)(busy - monitor->last_busy) / (double)(all - monitor->last_all) : 0;
    sample->resident_bytes = read_resident_bytes(monitor->statm_fd);
    sample->machine_available_bytes = read_meminfo_bytes(monitor->meminfo_fd, "MemAvailable:");
    monitor->last_ns = sample->at_ns;
    monitor->last_cpu_ns = cpu_ns;
    monitor->last_busy = busy;
    monitor->last_all = all;
}

/* The processor's name: x86 says "model name", device trees say what board it is, else the architecture. */
static char *read_processor_name(const char *architecture)
{
    char text[TEXT_BYTES], name[128];
    int fd = open_to_read("/proc/cpuinfo");
    read_head(fd, text);
    if (fd >= 0)
        close(fd);
    const char *line = strstr(text, "model name");
    if (line && sscanf(line, "model name%*[ \t]: %127[^\n]", name) == 1)
        return text_copy(name);
    fd = open_to_read("/proc/device-tree/model");
    read_head(fd, text);
    if (fd >= 0)
        close(fd);
    return text_copy(text[0] ? text : architecture);
}

void machine_facts_read(struct machine_facts *facts)
{
    struct utsname system;
    uname(&system);
    facts->host = text_copy(system.nodename);
    facts->machine = read_processor_name(system.machine);
    facts->system = text_format("%s %s", system.sysname, system.release);
    facts->processors = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    facts->memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void machine_facts_free(struct machine_facts *facts)
{
    free(facts->host);
    free(facts->machine);
    free(facts->system);
    memset(facts, 0, sizeof(*facts));
}
