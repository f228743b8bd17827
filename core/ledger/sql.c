/* SPDX-License-Identifier: Apache-2.0 */
/* A thin layer over SQLite: open, statements that are kept, errors for people. */
#include "core/ledger/sql.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

#define BUSY_TIMEOUT_MS 10000 /* other napm processes write for milliseconds only */

int sql_open(struct sql *sql, const char *path, const char *uri, int flags, struct error *error)
{
    memset(sql, 0, sizeof(*sql));
    sql->path = text_copy(path);
    int status =
        sqlite3_open_v2(uri ? uri : path, &sql->db, flags | SQLITE_OPEN_NOMUTEX | (uri ? SQLITE_OPEN_URI : 0), NULL);
    if (status != SQLITE_OK) {
        sql_fail(sql, "cannot be opened", error);
        sql_close(sql);
        return -1;
    }
    sqlite3_busy_timeout(sql->db, BUSY_TIMEOUT_MS);
    return 0;
}

void sql_close(struct sql *sql)
{
    for (size_t i = 0; i < sql->kept_count; i++)
        sqlite3_finalize(sql->kept[i].statement);
    sqlite3_close(sql->db);
    free(sql->path);
    memset(sql, 0, sizeof(*sql));
}

static const char *remedy(int status)
{
    switch (status & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "; the file is damaged: move it away (or choose another with --db), or save what can be read with "
               "`sqlite3 FILE .recover`";
    case SQLITE_FULL:
        return "; make room on the disk, or choose another place with --db";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "; another process is writing to it: try again, or choose another file with --db";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return "; check the permissions of the file and its folder, or choose another with --db";
    default:
        return "";
    }
}

int sql_fail(struct sql *sql, const char *what, struct error *error)
{
    int status = sql->db ? sqlite3_errcode(sql->db) : SQLITE_NOMEM;
    int own = status & 0xff;
    enum error_kind kind = own == SQLITE_CANTOPEN || own == SQLITE_NOTADB || own == SQLITE_CORRUPT ||
                                   own == SQLITE_READONLY || own == SQLITE_PERM
                               ? ERROR_INPUT
                               : ERROR_RUN;
    return error_set(error, kind, "ledger %s: %s: %s%s", sql->path, what,
                     sql->db ? sqlite3_errmsg(sql->db) : "out of memory", remedy(status));
}

int sql_script(struct sql *sql, const char *text, struct error *error)
{
    if (sqlite3_exec(sql->db, text, NULL, NULL, NULL) != SQLITE_OK)
        return sql_fail(sql, "cannot be used", error);
    return 0;
}

int sql_conclude(struct sql *sql, int result, struct error *error)
{
    if (result == 0)
        result = sql_script(sql, "COMMIT", error);
    if (result != 0)
        sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

static int bind_unless_zero(sqlite3_stmt *statement, int at, int64_t value)
{
    return value == 0 ? sqlite3_bind_null(statement, at) : sqlite3_bind_int64(statement, at, value);
}

static int bind_unless_negative(sqlite3_stmt *statement, int at, double value)
{
    return value >= 0 ? sqlite3_bind_double(statement, at, value) : sqlite3_bind_null(statement, at);
}

/* The values of the types from parameter `first` on. */
static int bind_values(struct sql *sql, sqlite3_stmt *statement, int first, const char *types, va_list values,
                       struct error *error)
{
    int status = SQLITE_OK;
    for (int at = first; *types && status == SQLITE_OK; at++, types++) {
        switch (*types) {
        case 'i':
            status = sqlite3_bind_int64(statement, at, va_arg(values, int64_t));
            break;
        case 'z':
            status = bind_unless_zero(statement, at, va_arg(values, int64_t));
            break;
        case 'd':
            status = sqlite3_bind_double(statement, at, va_arg(values, double));
            break;
        case 'p':
            status = bind_unless_negative(statement, at, va_arg(values, double));
            break;
        default:
            status = sqlite3_bind_text(statement, at, va_arg(values, const char *), -1, SQLITE_STATIC);
        }
    }
    return status == SQLITE_OK ? 0 : sql_fail(sql, "cannot take a value", error);
}

sqlite3_stmt *sql_kept(struct sql *sql, const char *text, struct error *error)
{
    for (size_t i = 0; i < sql->kept_count; i++)
        if (sql->kept[i].text == text)
            return sql->kept[i].statement;
    if (sql->kept_count == SQL_MOST_STATEMENTS) {
        error_set(error, ERROR_RUN, "ledger %s: more than %d kinds of statements", sql->path, SQL_MOST_STATEMENTS);
        return NULL;
    }
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK) {
        sql_fail(sql, "cannot be used", error);
        return NULL;
    }
    sql->kept[sql->kept_count].text = text;
    sql->kept[sql->kept_count++].statement = statement;
    return statement;
}

int sql_bind(struct sql *sql, sqlite3_stmt *statement, int first, struct error *error, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    int result = bind_values(sql, statement, first, types, values, error);
    va_end(values);
    return result;
}

int sql_finish(struct sql *sql, sqlite3_stmt *statement, struct error *error)
{
    int status;
    do {
        status = sqlite3_step(statement);
    } while (status == SQLITE_ROW);
    int result = status == SQLITE_DONE ? 0 : sql_fail(sql, "cannot be written", error);
    sqlite3_reset(statement);
    return result;
}

int sql_run(struct sql *sql, struct error *error, const char *text, const char *types, ...)
{
    sqlite3_stmt *statement = sql_kept(sql, text, error);
    va_list values;
    va_start(values, types);
    int result = statement ? bind_values(sql, statement, 1, types, values, error) : -1;
    va_end(values);
    return result == 0 ? sql_finish(sql, statement, error) : -1;
}

sqlite3_stmt *sql_query(struct sql *sql, struct error *error, const char *text, const char *types, ...)
{
    sqlite3_stmt *statement = sql_kept(sql, text, error);
    va_list values;
    va_start(values, types);
    int result = statement ? bind_values(sql, statement, 1, types, values, error) : -1;
    va_end(values);
    return result == 0 ? statement : NULL;
}

int sql_row(struct sql *sql, sqlite3_stmt *statement, struct error *error)
{
    int status = sqlite3_step(statement);
    if (status == SQLITE_ROW)
        return 1;
    int result = status == SQLITE_DONE ? 0 : sql_fail(sql, "cannot be read", error);
    sqlite3_reset(statement);
    return result;
}

int sql_number(struct sql *sql, const char *text, int64_t otherwise, int64_t *number, struct error *error)
{
    sqlite3_stmt *statement = sql_query(sql, error, text, "");
    if (!statement)
        return -1;
    *number = otherwise;
    int row = sql_row(sql, statement, error);
    if (row == 1) {
        *number = sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
    }
    return row < 0 ? -1 : 0;
}

char *sql_text(sqlite3_stmt *statement, int column)
{
    return text_copy((const char *)sqlite3_column_text(statement, column));
}
