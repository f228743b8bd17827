/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thin layer over SQLite: one database, its prepared statements kept by the text of the statement, and its errors
 * turned into ours. Private to the ledger. One thread at a time.
 */
#ifndef NAPM_LEDGER_SQL_H
#define NAPM_LEDGER_SQL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

#define SQL_MOST_STATEMENTS 64

struct sql {
    sqlite3 *db;
    char *path;
    struct {
        const char *text; /* a string literal: compared by address */
        sqlite3_stmt *statement;
    } kept[SQL_MOST_STATEMENTS];
    size_t kept_count;
};

/* `flags` are SQLITE_OPEN_...; `uri` may name the file otherwise (NULL: by path). Sets the busy time-out. */
int sql_open(struct sql *sql, const char *path, const char *uri, int flags, struct error *error);
void sql_close(struct sql *sql);

/* Turns SQLite's last error into ours: "ledger PATH: WHAT: ..." with a remedy where there is one. Returns -1. */
int sql_fail(struct sql *sql, const char *what, struct error *error);

/* Runs statements that take and give nothing. */
int sql_script(struct sql *sql, const char *text, struct error *error);

/* Ends a transaction: commits where `result` is 0, and takes it back where it is not, or that fails. Returns 0 or -1. */
int sql_conclude(struct sql *sql, int result, struct error *error);

/*
 * Runs one statement with values: one letter of `types` for each: i int64_t, z int64_t (0: NULL), d double, p double
 * (negative: NULL), t const char * (NULL: NULL). `text` must be a string literal. Texts are not copied.
 */
int sql_run(struct sql *sql, struct error *error, const char *text, const char *types, ...);

/*
 * The same in steps, for a statement of many rows: the statement, which stays the ledger's; values from its parameter
 * `first` on, 1 being the first of all; running it.
 */
sqlite3_stmt *sql_kept(struct sql *sql, const char *text, struct error *error);
int sql_bind(struct sql *sql, sqlite3_stmt *statement, int first, struct error *error, const char *types, ...);
int sql_finish(struct sql *sql, sqlite3_stmt *statement, struct error *error);

/* The same as sql_run, but leaves the statement ready for sql_row; NULL on error. */
sqlite3_stmt *sql_query(struct sql *sql, struct error *error, const char *text, const char *types, ...);

/* 1: a row stands in `statement`; 0: there are no more (the statement is reset); -1: error (reset too). */
int sql_row(struct sql *sql, sqlite3_stmt *statement, struct error *error);

/* One number from a statement without values; `otherwise` where there is no row. */
int sql_number(struct sql *sql, const char *text, int64_t otherwise, int64_t *number, struct error *error);

/* Text of a column, copied; NULL for NULL. free() it. */
char *sql_text(sqlite3_stmt *statement, int column);

#endif
