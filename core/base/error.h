/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: a function that can fail takes a `struct error *` last, returns 0 or -1 (or a pointer or NULL), and on
 * failure fills the error with a text for the user: what is wrong, where (file:line), and the remedy.
 */
#ifndef NAPM_BASE_ERROR_H
#define NAPM_BASE_ERROR_H

#include <stdarg.h>

/* Whose fault it is; the command turns it into its exit code (1 or 2). */
enum error_kind {
    ERROR_NONE = 0,
    ERROR_INPUT, /* the user's file, option or model is wrong: exit 2 */
    ERROR_RUN, /* the machine, a node or a link failed: exit 1 */
    ERROR_PLUGIN, /* a plugin broke its contract: exit 1 */
    ERROR_CANCELLED, /* the user asked to stop: exit 1 */
};

struct error {
    enum error_kind kind;
    char text[2048];
};

/* Sets the error and returns -1, so that one can write `return error_set(...)`. `error` may be NULL. */
int error_set(struct error *error, enum error_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "text: " before what the error already says; keeps its kind. Returns -1. */
int error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends text, such as a remedy, to what the error already says. Returns -1. */
int error_append(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
