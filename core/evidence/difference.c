/* SPDX-License-Identifier: Apache-2.0 */
/* Bootstrap differences: units drawn again as weights, statistics of weighted observations, BCa intervals. */
#include "core/evidence/difference.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/base/stats.h"

#define RESAMPLES 5000

/* One side, with what the statistics need of each unit, so that a resample costs O(units) and not O(observations). */
struct side {
    const struct observations *sample;
    double centre; /* taken off the values before squares are summed, for their digits */
    double *count, *sum, *squares; /* of each unit */
};

static int greatest_first(const void *a, const void *b)
{
    const struct observation *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return (x->unit > y->unit) - (x->unit < y->unit);
}

static void sort(struct observations *sample)
{
    qsort(sample->items, sample->count, sizeof(*sample->items), greatest_first);
}

static struct side side_new(struct observations *sample)
{
    struct side side = {.sample = sample,
                        .count = NEW_ARRAY(double, sample->unit_count),
                        .sum = NEW_ARRAY(double, sample->unit_count),
                        .squares = NEW_ARRAY(double, sample->unit_count)};
    sort(sample);
    for (size_t i = 0; i < sample->count; i++)
        side.centre += sample->items[i].value / (double)sample->count;
    for (size_t i = 0; i < sample->count; i++) {
        uint32_t unit = sample->items[i].unit;
        double off = sample->items[i].value - side.centre;
        side.count[unit]++;
        side.sum[unit] += off;
        side.squares[unit] += off * off;
    }
    return side;
}

static void side_free(struct side *side)
{
    free(side->count);
    free(side->sum);
    free(side->squares);
}

/*
 * The quantile q of the observations, each as often as its unit's weight, by the definition of stats.h: seen from the
 * top, since only a high quantile is asked for and so few observations are looked at.
 */
static double quantile(const struct side *side, const uint32_t *weights, double total, double q)
{
    double place = (1 - q) * (total - 1), at = floor(place), seen = 0, above = NAN;
    for (size_t i = 0; i < side->sample->count; i++) {
        const struct observation *item = &side->sample->items[i];
        if (weights[item->unit] == 0)
            continue;
        seen += weights[item->unit];
        if (!isnan(above))
            return above + (place - at) * (item->value - above);
        if (seen >= at + 2 || (seen == at + 1 && place == at))
            return item->value;
        if (seen == at + 1)
            above = item->value;
    }
    return above;
}

static double statistic_of(const struct side *side, const uint32_t *weights, enum statistic statistic)
{
    double count = 0, sum = 0, squares = 0;
    for (uint32_t i = 0; i < side->sample->unit_count; i++) {
        count += weights[i] * side->count[i];
        sum += weights[i] * side->sum[i];
        squares += weights[i] * side->squares[i];
    }
    double mean = sum / count;
    switch (statistic) {
    case STATISTIC_MEAN:
        return side->centre + mean;
    case STATISTIC_DEVIATION:
        return sqrt(fmax(squares / count - mean * mean, 0));
    case STATISTIC_P95:
    case STATISTIC_P99:
        break;
    }
    return quantile(side, weights, count, statistic == STATISTIC_P95 ? 0.95 : 0.99);
}

/* ---- the interval ---- */

struct comparison {
    struct side a, b;
    uint32_t *a_weights, *b_weights; /* the same array where paired */
    enum statistic statistic;
};

static double weighted_difference(const struct comparison *it)
{
    return statistic_of(&it->b, it->b_weights, it->statistic) - statistic_of(&it->a, it->a_weights, it->statistic);
}

static void draw(struct random *random, uint32_t *weights, uint32_t units)
{
    for (uint32_t i = 0; i < units; i++)
        weights[i] = 0;
    for (uint32_t i = 0; i < units; i++)
        weights[(uint32_t)(random_unit(random) * units)]++;
}

static void weigh_all(uint32_t *weights, uint32_t units)
{
    for (uint32_t i = 0; i < units; i++)
        weights[i] = 1;
}

/* Adds what leaving out each unit of one side does to the sums of the acceleration (Efron and Tibshirani, 14.15). */
static void jackknife(const struct comparison *it, uint32_t *weights, uint32_t units, double *cubes, double *squares)
{
    double *left_out = NEW_ARRAY(double, units);
    for (uint32_t i = 0; i < units; i++) {
        weights[i] = 0;
        left_out[i] = weighted_difference(it);
        weights[i] = 1;
    }
    double mean = stats_mean(left_out, units);
    for (uint32_t i = 0; i < units; i++) {
        double influence = (mean - left_out[i]) / units; /* so that sides of unequal size add up */
        *cubes += influence * influence * influence;
        *squares += influence * influence;
    }
    free(left_out);
}

static double normal_cdf(double z)
{
    return erfc(-z / M_SQRT2) / 2;
}

static double normal_quantile(double p)
{
    double low = -40, high = 40;
    for (int i = 0; i < 80; i++) {
        double middle = (low + high) / 2;
        *(normal_cdf(middle) < p ? &low : &high) = middle;
    }
    return (low + high) / 2;
}

/* Where in the sorted resamples the end at the normal quantile z lies. */
static double corrected(double bias, double acceleration, double z)
{
    double stretch = 1 - acceleration * (bias + z);
    return stretch > 0 ? normal_cdf(bias + (bias + z) / stretch) : z > 0;
}

/*
 * The normal quantile of the ends, further out for few units: the bootstrap's spread is that of a sum over n - 1 of
 * them, and its tails are too light (Hesterberg, What Teachers Should Know About the Bootstrap, 2015: expanded intervals).
 */
static double expanded_quantile(double confidence, uint32_t units)
{
    return stats_student_t(normal_quantile((1 + confidence) / 2), units - 1) * sqrt(units / (units - 1.0));
}

static void interval(struct comparison *it, bool paired, double confidence, struct difference *result)
{
    uint32_t a_units = it->a.sample->unit_count, b_units = it->b.sample->unit_count;
    double cubes = 0, squares = 0, below = 0, *resamples = NEW_ARRAY(double, RESAMPLES);
    jackknife(it, it->b_weights, b_units, &cubes, &squares);
    if (!paired)
        jackknife(it, it->a_weights, a_units, &cubes, &squares);
    struct random random;
    random_seed(&random, 1, "bootstrap");
    for (int i = 0; i < RESAMPLES; i++) {
        draw(&random, it->b_weights, b_units);
        if (!paired)
            draw(&random, it->a_weights, a_units);
        resamples[i] = weighted_difference(it);
        below += resamples[i] < result->value ? 1 : resamples[i] == result->value ? 0.5 : 0;
    }
    stats_sort(resamples, RESAMPLES);
    double bias = normal_quantile(fmin(fmax(below, 0.5), RESAMPLES - 0.5) / RESAMPLES);
    double acceleration = squares > 0 ? cubes / (6 * pow(squares, 1.5)) : 0;
    double z = expanded_quantile(confidence, a_units < b_units ? a_units : b_units);
    result->low = stats_quantile_sorted(resamples, RESAMPLES, corrected(bias, acceleration, -z));
    result->high = stats_quantile_sorted(resamples, RESAMPLES, corrected(bias, acceleration, z));
    free(resamples);
}

struct difference difference_of(struct observations *a, struct observations *b, bool paired, enum statistic statistic,
                                double confidence)
{
    struct comparison it = {.a = side_new(a), .b = side_new(b), .statistic = statistic};
    it.a_weights = NEW_ARRAY(uint32_t, a->unit_count);
    it.b_weights = paired ? it.a_weights : NEW_ARRAY(uint32_t, b->unit_count);
    weigh_all(it.a_weights, a->unit_count);
    weigh_all(it.b_weights, b->unit_count);
    struct difference result = {.a = statistic_of(&it.a, it.a_weights, statistic),
                                .b = statistic_of(&it.b, it.b_weights, statistic),
                                .low = NAN,
                                .high = NAN};
    result.value = result.b - result.a;
    if (a->unit_count > 1 && b->unit_count > 1)
        interval(&it, paired, confidence, &result);
    side_free(&it.a);
    side_free(&it.b);
    if (!paired)
        free(it.b_weights);
    free(it.a_weights);
    return result;
}

/* ---- the effect size ---- */

double difference_effect(struct observations *a, struct observations *b)
{
    sort(a);
    sort(b);
    double sum = 0;
    size_t greater = 0, not_smaller = 0; /* observations of a above this one of b, and above or equal */
    for (size_t i = 0; i < b->count; i++) {
        while (greater < a->count && a->items[greater].value > b->items[i].value)
            greater++;
        while (not_smaller < a->count && a->items[not_smaller].value >= b->items[i].value)
            not_smaller++;
        sum += (double)(a->count - not_smaller) - (double)greater;
    }
    return a->count && b->count ? sum / (double)a->count / (double)b->count : 0;
}

const char *difference_effect_word(double effect)
{
    double size = fabs(effect);
    return size < 0.147 ? "negligible" : size < 0.33 ? "small" : size < 0.474 ? "medium" : "large";
}
