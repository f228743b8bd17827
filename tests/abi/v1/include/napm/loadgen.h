/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load generator hook: says when the tasks of a stream start, or puts artificial load on a node, or both.
 *
 * What a plugin does it tells by its extensions; struct napm_loadgen itself is only the common part. Tables:
 *   napm_plugin.get_extension(NAPM_LOADGEN_ARRIVALS) -> struct napm_loadgen_arrivals
 *   napm_plugin.get_extension(NAPM_LOADGEN_STRESS)   -> struct napm_loadgen_stress
 * One instance serves one stream (arrivals) or one node (stress). All calls on an instance come one at a time.
 */
#ifndef NAPM_LOADGEN_H
#define NAPM_LOADGEN_H

#include <stdint.h>

#include <napm/host.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NAPM_LOADGEN_VERSION 1u
#define NAPM_LOADGEN_ARRIVALS "napm.loadgen.arrivals/1"
#define NAPM_LOADGEN_STRESS "napm.loadgen.stress/1"

struct napm_loadgen {
    uint32_t size;
    uint32_t reserved;
};

struct napm_loadgen_arrivals {
    uint32_t size;
    uint32_t reserved;

    /*
     * When does the next task start? Times are relative to the start of the stream. Returns
     *   NAPM_OK with *at_ns, not earlier than the last one given (a time already past means at once);
     *   NAPM_WAIT: not known before the next completed() (only while a task is unfinished);
     *   NAPM_END: no more tasks;
     *   a negative status after host->set_error.
     * Asked for ahead of time, as often as the host likes. `now_ns` is the time since the start of the stream.
     */
    int32_t (*next)(void *self, int64_t now_ns, int64_t *at_ns);

    /* A task has ended, `failed` 1 where without a result. Called in the order in which tasks end. */
    void (*completed)(void *self, int64_t now_ns, uint64_t task, uint32_t failed);

    /* Mean time between starts as far as the options tell; 0 where a task starts when the last one ends. */
    int64_t (*interval_ns)(void *self);
};

/* What the node should bear from `from_ns` on, until the next change. */
struct napm_stress_level {
    uint32_t size;
    uint32_t reserved;
    int64_t from_ns; /* since the start of the run */
    double cpu_share; /* share of one core kept busy: 0..number of cores */
    uint64_t memory_bytes; /* held and touched */
};

struct napm_loadgen_stress {
    uint32_t size;
    uint32_t reserved;
    /* The next change of level: NAPM_OK with *level, or NAPM_END where the last one stays. The host carries it out. */
    int32_t (*next)(void *self, struct napm_stress_level *level);
};

#ifdef __cplusplus
}
#endif

#endif /* NAPM_LOADGEN_H */
