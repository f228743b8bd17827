/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The difference of a statistic between two samples, with a bootstrap confidence interval and an effect size.
 *
 * What is drawn again are not single observations but units of them. The delays of one run hang together (a long queue
 * makes many tasks late), so a bootstrap of single tasks would claim far too much. A unit is a stretch of consecutive
 * tasks (the method of batch means: Law, Simulation Modeling and Analysis, chapter 9) or a whole replication. In a
 * paired difference a unit holds the same tasks on both sides and is drawn for both at once.
 *
 * The interval is BCa (Efron 1987, Better Bootstrap Confidence Intervals). Same samples, same answer.
 */
#ifndef NAPM_EVIDENCE_DIFFERENCE_H
#define NAPM_EVIDENCE_DIFFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct observation {
    double value;
    uint32_t unit; /* 0..unit_count-1 */
};

/* The functions sort the items, greatest value first. Each unit has at least one. */
struct observations {
    struct observation *items;
    size_t count;
    uint32_t unit_count;
};

enum statistic { STATISTIC_MEAN, STATISTIC_DEVIATION, STATISTIC_P95, STATISTIC_P99 };

struct difference {
    double a, b; /* the statistic of each side */
    double value; /* b - a */
    double low, high; /* confidence interval of the value; NAN where there are fewer than 2 units a side */
};

/* `paired`: both sides have the same units. `confidence` in 0..1. */
struct difference difference_of(struct observations *a, struct observations *b, bool paired, enum statistic statistic,
                                double confidence);

/*
 * Cliff's delta (1993): share of pairs in which b is greater less the share in which it is smaller, -1..1, over all pairs
 * of an observation of a and one of b.
 */
double difference_effect(struct observations *a, struct observations *b);

/* "negligible", "small", "medium" or "large" (the thresholds of Romano and others, 2006). */
const char *difference_effect_word(double effect);

#endif
