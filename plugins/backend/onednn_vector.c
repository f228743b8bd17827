/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vector times a matrix, at the speed at which memory delivers the matrix.
 *
 * The matrix is packed into panels of 64 outputs (the rest into panels of 16), each panel holding its outputs' weights
 * for input 0, then for input 1 and so on: one sequential stream, which hardware prefetchers follow best. Each output
 * is summed over the inputs in order by two interleaved sums, so its value does not depend on how panels are shared
 * out.
 */
#include "onednn_plain.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#define WIDE 64
#define NARROW 16
#define AHEAD 4096 /* floats to prefetch ahead: far enough to hide memory, near enough to stay in the first caches */
#define MOST_SHARES 64

typedef float lanes __attribute__((vector_size(64), aligned(64)));

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&          \
    !defined(__SANITIZE_THREAD__)
#define FOR_EACH_CPU __attribute__((target_clones("avx512f", "arch=haswell", "default")))
#else
#define FOR_EACH_CPU /* the vectors of whatever the compiler was told to use */
#endif

static int64_t wide_panels(int64_t outputs)
{
    return outputs / WIDE;
}

static int64_t narrow_panels(int64_t outputs)
{
    return (outputs % WIDE + NARROW - 1) / NARROW;
}

uint64_t plain_matrix_bytes(int64_t outputs, int64_t inputs)
{
    return (uint64_t)(wide_panels(outputs) * WIDE + narrow_panels(outputs) * NARROW) * (uint64_t)inputs * sizeof(float);
}

/* Packs outputs first..first+width-1; those at or beyond `outputs` are zero. */
static void pack_panel(int64_t first, int64_t width, int64_t outputs, int64_t inputs, const char *source,
                       int64_t stride_n, int64_t stride_k, float factor, float *panel)
{
    for (int64_t n = first; n < first + width; n++)
        for (int64_t k = 0; k < inputs; k++) {
            float value = 0.0f;
            if (n < outputs)
                memcpy(&value, source + (n * stride_n + k * stride_k) * (int64_t)sizeof(value), sizeof(value));
            panel[k * width + n - first] = value * factor;
        }
}

void plain_matrix_pack(int64_t outputs, int64_t inputs, const void *source, int64_t stride_n, int64_t stride_k,
                       float factor, float *packed)
{
    int64_t first = 0;
    while (first < outputs) {
        int64_t width = outputs - first >= WIDE ? WIDE : NARROW;
        pack_panel(first, width, outputs, inputs, source, stride_n, stride_k, factor, packed + first * inputs);
        first += width;
    }
}

/* Eight sums by name: as an array they would live in memory at the compiler's usual level of optimisation. */
FOR_EACH_CPU
static void wide_panel(const float *restrict panel, const float *restrict vector, int64_t inputs, float *restrict sums)
{
    lanes even0 = {0}, even1 = {0}, even2 = {0}, even3 = {0}, odd0 = {0}, odd1 = {0}, odd2 = {0}, odd3 = {0};
    const lanes *weights = (const lanes *)panel;
    int64_t k = 0;
    for (; k + 2 <= inputs; k += 2, weights += 8) {
        const float *ahead = (const float *)weights + AHEAD;
        __builtin_prefetch(ahead, 0, 3);
        __builtin_prefetch(ahead + 16, 0, 3);
        __builtin_prefetch(ahead + 32, 0, 3);
        __builtin_prefetch(ahead + 48, 0, 3);
        __builtin_prefetch(ahead + 64, 0, 3);
        __builtin_prefetch(ahead + 80, 0, 3);
        __builtin_prefetch(ahead + 96, 0, 3);
        __builtin_prefetch(ahead + 112, 0, 3);
        even0 += vector[k] * weights[0];
        even1 += vector[k] * weights[1];
        even2 += vector[k] * weights[2];
        even3 += vector[k] * weights[3];
        odd0 += vector[k + 1] * weights[4];
        odd1 += vector[k + 1] * weights[5];
        odd2 += vector[k + 1] * weights[6];
        odd3 += vector[k + 1] * weights[7];
    }
    if (k < inputs) {
        even0 += vector[k] * weights[0];
        even1 += vector[k] * weights[1];
        even2 += vector[k] * weights[2];
        even3 += vector[k] * weights[3];
    }
    lanes *to = (lanes *)sums;
    to[0] = even0 + odd0;
    to[1] = even1 + odd1;
    to[2] = even2 + odd2;
    to[3] = even3 + odd3;
}

FOR_EACH_CPU
static void narrow_panel(const float *restrict panel, const float *restrict vector, int64_t inputs,
                         float *restrict sums)
{
    lanes even = {0}, odd = {0};
    const lanes *weights = (const lanes *)panel;
    int64_t k = 0;
    for (; k + 2 <= inputs; k += 2, weights += 2) {
        even += vector[k] * weights[0];
        odd += vector[k + 1] * weights[1];
    }
    if (k < inputs)
        even += vector[k] * weights[0];
    *(lanes *)sums = even + odd;
}

static float apply(const struct function_chain *chain, float x)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        float alpha = chain->at[i].alpha, beta = chain->at[i].beta;
        switch (chain->at[i].function) {
        case SHIM_RELU:
            x = x > 0.0f ? x : x * alpha;
            break;
        case SHIM_CLIP:
            x = x < alpha ? alpha : x > beta ? beta : x;
            break;
        case SHIM_SIGMOID:
            x = 1.0f / (1.0f + expf(-x));
            break;
        case SHIM_HARDSWISH:
            x = x * fminf(fmaxf(x + 3.0f, 0.0f), 6.0f) / 6.0f;
            break;
        case SHIM_TANH:
            x = tanhf(x);
            break;
        case SHIM_ELU:
            x = x > 0.0f ? x : alpha * expm1f(x);
            break;
        case SHIM_LINEAR:
            x = alpha * x + beta;
            break;
        case SHIM_EXP:
            x = expf(x);
            break;
        case SHIM_SQRT:
            x = sqrtf(x);
            break;
        case SHIM_ABS:
            x = fabsf(x);
            break;
        }
    }
    return x;
}

/* Panel number `panel` of the matrix: sums, then bias and functions into the output. */
static void run_panel(const struct plain_vector_matrix *what, const float *const *arguments, float *output,
                      int64_t panel)
{
    float sums[WIDE] __attribute__((aligned(64)));
    int64_t wide = wide_panels(what->outputs);
    int64_t first = panel < wide ? panel * WIDE : wide * WIDE + (panel - wide) * NARROW;
    int64_t width = panel < wide ? WIDE : NARROW;
    if (panel < wide)
        wide_panel(arguments[1] + first * what->inputs, arguments[0], what->inputs, sums);
    else
        narrow_panel(arguments[1] + first * what->inputs, arguments[0], what->inputs, sums);
    for (int64_t i = 0; i < width && first + i < what->outputs; i++) {
        float sum = sums[i] + (arguments[2] ? arguments[2][first + i] : 0.0f);
        output[first + i] = what->functions.count > 0 ? apply(&what->functions, sum) : sum;
    }
}

/* Panels one behind the other, on a cache line of its own. */
struct share {
    _Alignas(64) atomic_llong next;
    int64_t end;
};

/*
 * Each thread takes its share's panels, then those left of others' shares: a thread that has to share its processor does
 * not hold up the rest. That each begins far from the others matters: threads that take turns at neighbouring panels get
 * a quarter less out of memory (two threads 75 GB/s, this way 100).
 */
static void run_shares(const struct plain_vector_matrix *what, const float *const *const *arguments,
                       float *const *outputs, uint32_t count, struct share *shares, uint32_t share_count,
                       uint32_t first)
{
    for (uint32_t k = 0; k < share_count; k++) {
        struct share *share = &shares[(first + k) % share_count];
        for (;;) {
            int64_t panel = atomic_fetch_add_explicit(&share->next, 1, memory_order_relaxed);
            if (panel >= share->end)
                break;
            for (uint32_t i = 0; i < count; i++) /* for all but the first, the panel comes from a cache */
                run_panel(what, arguments[i], outputs[i], panel);
        }
    }
}

void plain_vector_matrix_run_batch(const struct plain *plain, const float *const *const *arguments,
                                   float *const *outputs, uint32_t count, uint32_t threads)
{
    const struct plain_vector_matrix *what = &plain->as.vector_matrix;
    int64_t panels = wide_panels(what->outputs) + narrow_panels(what->outputs);
    struct share shares[MOST_SHARES];
    uint32_t share_count = threads < MOST_SHARES ? threads : MOST_SHARES;
    if (share_count > panels)
        share_count = (uint32_t)panels;
    for (uint32_t i = 0; i < share_count; i++) {
        atomic_init(&shares[i].next, panels * i / share_count);
        shares[i].end = panels * (i + 1) / share_count;
    }
#pragma omp parallel num_threads(share_count) if (share_count > 1)
    run_shares(what, arguments, outputs, count, shares, share_count, (uint32_t)omp_get_thread_num());
}

void plain_vector_matrix_run(const struct plain *plain, const float *const *arguments, float *output, uint32_t threads)
{
    plain_vector_matrix_run_batch(plain, &arguments, &output, 1, threads);
}
