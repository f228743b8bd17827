/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded random numbers: xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64. Same seed, same numbers. */
#ifndef NAPM_BASE_RANDOM_H
#define NAPM_BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state[4];
};

/* `name` keeps the sequences of different users of one seed apart (a plugin instance, a link...); may be "". */
void random_seed(struct random *random, uint64_t seed, const char *name);
uint64_t random_bits(struct random *random);
double random_unit(struct random *random); /* [0, 1) */
/* Of the gamma distribution with mean 1 and this coefficient of variation, above 0; 1 is the exponential distribution. */
double random_gamma(struct random *random, double variation);

#endif
