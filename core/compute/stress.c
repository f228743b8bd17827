/* SPDX-License-Identifier: Apache-2.0 */
/* Artificial load: one thread leads through the levels and holds the memory, and one thread a core burns its share. */
#include "core/compute/stress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/thread.h"

#define PERIOD_NS (10 * NS_PER_MS)

struct burner {
    pthread_t thread;
    struct stress *stress;
    atomic_int share_ppm; /* of its core, in millionths */
};

struct stress {
    pthread_t leader;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int stop; /* under the lock */
    atomic_bool burners_stop;
    struct stress_level *levels;
    size_t level_count;
    struct burner *burners;
    size_t burner_count;
    void *memory;
    size_t memory_bytes;
};

static void *burn(void *argument)
{
    struct burner *burner = argument;
    int64_t period_end_ns = clock_now_ns();
    while (!atomic_load(&burner->stress->burners_stop)) {
        int64_t wanted_ns = PERIOD_NS / 1000000 * atomic_load(&burner->share_ppm);
        int64_t until_cpu_ns = clock_thread_cpu_ns() + wanted_ns;
        period_end_ns += PERIOD_NS;
        while (wanted_ns && clock_thread_cpu_ns() < until_cpu_ns)
            ;
        int64_t now_ns = clock_now_ns();
        if (now_ns < period_end_ns)
            clock_sleep_until_ns(period_end_ns);
        else
            period_end_ns = now_ns; /* a busy machine gave less than was asked for: no catching up */
    }
    return NULL;
}

static void hold_memory(struct stress *stress, uint64_t bytes)
{
    if (bytes == stress->memory_bytes)
        return;
    if (stress->memory)
        munmap(stress->memory, stress->memory_bytes);
    stress->memory = NULL;
    stress->memory_bytes = 0;
    if (bytes == 0)
        return;
    void *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        log_warning("stress", "cannot hold %llu bytes of memory", (unsigned long long)bytes);
        return;
    }
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t at = 0; at < bytes; at += page)
        ((volatile char *)memory)[at] = 1;
    stress->memory = memory;
    stress->memory_bytes = (size_t)bytes;
}

static void apply(struct stress *stress, const struct stress_level *level)
{
    double left = level->cpu_share;
    for (size_t i = 0; i < stress->burner_count; i++) {
        double share = left > 1 ? 1 : left > 0 ? left : 0;
        left -= share;
        atomic_store(&stress->burners[i].share_ppm, (int)(share * 1e6));
    }
    hold_memory(stress, level->memory_bytes);
}

static void *lead(void *argument)
{
    struct stress *stress = argument;
    pthread_mutex_lock(&stress->lock);
    for (size_t i = 0; i < stress->level_count && !stress->stop; i++) {
        int64_t from_ns = stress->levels[i].from_ns;
        while (!stress->stop && clock_now_ns() < from_ns)
            thread_wait_until(&stress->wake, &stress->lock, from_ns);
        if (!stress->stop)
            apply(stress, &stress->levels[i]);
    }
    pthread_mutex_unlock(&stress->lock);
    return NULL;
}

static size_t burners_needed(const struct stress_level *levels, size_t count)
{
    size_t most = 0, cores = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    for (size_t i = 0; i < count; i++) {
        while (most < cores && (double)most < levels[i].cpu_share)
            most++;
    }
    return most;
}

struct stress *stress_start(const struct stress_level *levels, size_t count)
{
    struct stress *stress = NEW(struct stress);
    thread_condition_init(&stress->wake);
    pthread_mutex_init(&stress->lock, NULL);
    stress->levels = memory_copy(levels, count * sizeof(*levels));
    stress->level_count = count;
    stress->burner_count = burners_needed(levels, count);
    stress->burners = NEW_ARRAY(struct burner, stress->burner_count);
    for (size_t i = 0; i < stress->burner_count; i++) {
        stress->burners[i].stress = stress;
        thread_start(&stress->burners[i].thread, burn, &stress->burners[i]);
    }
    thread_start(&stress->leader, lead, stress);
    return stress;
}

void stress_stop(struct stress *stress)
{
    if (!stress)
        return;
    pthread_mutex_lock(&stress->lock);
    stress->stop = 1;
    pthread_cond_signal(&stress->wake);
    pthread_mutex_unlock(&stress->lock);
    pthread_join(stress->leader, NULL);
    atomic_store(&stress->burners_stop, true);
    for (size_t i = 0; i < stress->burner_count; i++)
        pthread_join(stress->burners[i].thread, NULL);
    hold_memory(stress, 0);
    pthread_cond_destroy(&stress->wake);
    pthread_mutex_destroy(&stress->lock);
    free(stress->burners);
    free(stress->levels);
    free(stress);
}
