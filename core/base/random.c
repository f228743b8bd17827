/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded random numbers. */
#include "core/base/random.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void random_seed(struct random *random, uint64_t seed, const char *name)
{
    uint64_t x = seed;
    for (; *name; name++) { /* FNV-1a step, so that each letter counts */
        x = (x ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    }
    for (int i = 0; i < 4; i++)
        random->state[i] = splitmix64(&x);
}

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t next_bits(struct random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t random_bits(struct random *random)
{
    return next_bits(random);
}

double random_unit(struct random *random)
{
    return (double)(next_bits(random) >> 11) * 0x1.0p-53;
}

static double random_normal(struct random *random)
{
    double radius = sqrt(-2 * log(1 - random_unit(random)));
    return radius * cos(2 * 3.14159265358979323846 * random_unit(random));
}

/* Marsaglia and Tsang (2000), for shapes of 1 or more. Mean: the shape. */
static double gamma_of_shape(struct random *random, double shape)
{
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = random_normal(random), root = 1 + c * x, v = root * root * root;
        if (v > 0 && log(1 - random_unit(random)) < x * x / 2 + d - d * v + d * log(v))
            return d * v;
    }
}

double random_gamma(struct random *random, double variation)
{
    if (variation == 1)
        return -log(1 - random_unit(random));
    double shape = 1 / (variation * variation);
    if (shape >= 1)
        return gamma_of_shape(random, shape) / shape;
    double boost = pow(1 - random_unit(random), 1 / shape);
    return gamma_of_shape(random, shape + 1) * boost / shape;
}
