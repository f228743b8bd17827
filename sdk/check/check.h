/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the checks of napm-plugin-check share. A check runs in a process of its own (child.h), on a plugin that is loaded
 * there, and says what is wrong in a sentence.
 */
#ifndef NAPM_CHECK_CHECK_H
#define NAPM_CHECK_CHECK_H

#include "core/plugin/catalogue.h"

/* How a check ended. */
enum verdict { VERDICT_PASS, VERDICT_FAIL, VERDICT_SKIP };

/* What a check works on: one plugin of a file, loaded. */
struct subject {
    struct catalogue *catalogue;
    const struct catalogue_entry *entry;
    int computes; /* 0: a backend that only spends time, as the user said; its values are not looked at */
    struct plugin_choice choice; /* the settings that the user gave, as far as this plugin has such options */
};

/* A check: fills *why unless it passes. */
typedef enum verdict (*check_fn)(const struct subject *subject, struct error *why);

/* Fails with a text: `return fail(why, "...", ...)`. */
#define fail(why, ...) (error_set((why), ERROR_PLUGIN, __VA_ARGS__), VERDICT_FAIL)
#define skip(why, ...) (error_set((why), ERROR_PLUGIN, __VA_ARGS__), VERDICT_SKIP)

/*
 * Makes an instance in virtual time (*clock_ns, unless NULL: then the monotonic clock). NULL where that failed, with the
 * verdict and the reason: a skip where an option must be set that nobody gave.
 */
struct instance *subject_open(const struct subject *subject, uint64_t seed, int64_t *clock_ns, enum verdict *verdict,
                              struct error *why);

/* The text that the plugin gave to set_error since the last call of said_reset; "" where none. */
void said_reset(struct instance *instance);
const char *said(void);

/* A status that is neither success nor one of the failures that the ABI knows. */
int is_unknown_status(int32_t status);

/* Bytes in use on the heap, or 0 where that cannot be known (sanitizers). */
size_t heap_bytes(void);

enum verdict check_description(const struct subject *subject, struct error *why);
enum verdict check_option_ranges(const struct subject *subject, struct error *why);
enum verdict check_lives(const struct subject *subject, struct error *why);
enum verdict check_scheduler_random(const struct subject *subject, struct error *why);
enum verdict check_scheduler_repeats(const struct subject *subject, struct error *why);
enum verdict check_partitioner_plans(const struct subject *subject, struct error *why);
enum verdict check_partitioner_memory(const struct subject *subject, struct error *why);
enum verdict check_partitioner_cancel(const struct subject *subject, struct error *why);
enum verdict check_arrivals(const struct subject *subject, struct error *why);
enum verdict check_arrivals_repeat(const struct subject *subject, struct error *why);
enum verdict check_stress(const struct subject *subject, struct error *why);
enum verdict check_backend_values(const struct subject *subject, struct error *why);
enum verdict check_backend_split(const struct subject *subject, struct error *why);
enum verdict check_backend_reuse(const struct subject *subject, struct error *why);

#endif
