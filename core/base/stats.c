/* SPDX-License-Identifier: Apache-2.0 */
/* Order statistics and moments. */
#include "core/base/stats.h"

#include <math.h>
#include <stdlib.h>

double stats_mean(const double *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return count ? sum / (double)count : 0;
}

double stats_variance(const double *values, size_t count)
{
    double mean = stats_mean(values, count), sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (values[i] - mean) * (values[i] - mean);
    return count ? sum / (double)count : 0;
}

double stats_student_t(double z, size_t freedom)
{
    double v = (double)freedom;
    return z + (pow(z, 3) + z) / (4 * v) + (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * v * v) +
           (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / (384 * pow(v, 3));
}

/* Two-sided 95 %: from a table where the expansion is off by more than 0.0002. */
static double student_t95(size_t freedom)
{
    static const double table[] = {12.706205, 4.302653, 3.182446, 2.776445, 2.570582,
                                   2.446912,  2.364624, 2.306004, 2.262157, 2.228139};
    if (freedom <= sizeof(table) / sizeof(table[0]))
        return table[freedom - 1];
    return stats_student_t(1.959963985, freedom);
}

double stats_mean_reach95(const double *values, size_t count)
{
    if (count < 2)
        return NAN;
    double n = (double)count, sample_variance = stats_variance(values, count) * n / (n - 1);
    return student_t95(count - 1) * sqrt(sample_variance / n);
}

double stats_quantile_sorted(const double *sorted, size_t count, double q)
{
    if (count == 0)
        return 0;
    double place = q * (double)(count - 1);
    size_t below = (size_t)floor(place);
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void stats_sort(double *values, size_t count)
{
    if (count > 0)
        qsort(values, count, sizeof(*values), compare_doubles);
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t stats_median_ns(int64_t *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), compare_ns);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}
