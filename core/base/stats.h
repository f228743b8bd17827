/* SPDX-License-Identifier: Apache-2.0 */
/* Order statistics and moments of a list of numbers. */
#ifndef NAPM_BASE_STATS_H
#define NAPM_BASE_STATS_H

#include <stddef.h>
#include <stdint.h>

double stats_mean(const double *values, size_t count);
double stats_variance(const double *values, size_t count); /* population variance */

/*
 * The quantile of Student's t where z is that of the normal distribution: the expansion around it (Abramowitz and Stegun
 * 26.7.5), within 1 % for 99.9 % two-sided from 9 degrees of freedom on, and too small for very few.
 */
double stats_student_t(double z, size_t freedom);

/*
 * How far the 95 % interval of confidence of the mean reaches to each side, by Student's t: NAN for fewer than two values,
 * which say nothing of their spread.
 */
double stats_mean_reach95(const double *values, size_t count);

/*
 * Quantile q in 0..1 with linear interpolation between the neighbours (Hyndman and Fan's definition 7, what numpy and R
 * do by default). `sorted` is ascending. 0 for an empty list.
 */
double stats_quantile_sorted(const double *sorted, size_t count, double q);
void stats_sort(double *values, size_t count);
int64_t stats_median_ns(int64_t *values, size_t count); /* sorts the values */

#endif
