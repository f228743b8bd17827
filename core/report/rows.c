/* SPDX-License-Identifier: Apache-2.0 */
/* A run's rows as CSV and JSON, one by one: a run may have millions of them. And all of them as a folder. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/memory.h"
#include "core/report/parts.h"

struct rows {
    FILE *file;
    enum report_rows_format format;
    uint64_t count;
};

static void put_csv_row(FILE *file, size_t count, const struct query_value *values)
{
    for (size_t i = 0; i < count; i++) {
        fputs(i ? "," : "", file);
        if (values[i].type == QUERY_INTEGER)
            fprintf(file, "%" PRId64, values[i].integer);
        else if (values[i].type == QUERY_REAL)
            report_csv_number(file, values[i].real);
        else if (values[i].type == QUERY_TEXT)
            report_csv_text(file, values[i].text);
    }
    fputs(REPORT_CSV_LINE_END, file);
}

static json_t *value_json(const struct query_value *value)
{
    switch (value->type) {
    case QUERY_INTEGER:
        return json_integer(value->integer);
    case QUERY_REAL:
        return report_json_number(value->real);
    case QUERY_TEXT:
        return json_string(value->text);
    default:
        return json_null();
    }
}

static void put_json_row(FILE *file, size_t count, const char *const *names, const struct query_value *values)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, names[i], value_json(&values[i]));
    json_dumpf(object, file, JSON_COMPACT | REPORT_JSON_FLAGS);
    json_decref(object);
}

static int put_row(void *context, size_t count, const char *const *names, const struct query_value *values)
{
    struct rows *rows = context;
    if (rows->format == REPORT_JSON) {
        fputs(rows->count ? ",\n" : "[\n", rows->file);
        put_json_row(rows->file, count, names, values);
    } else {
        for (size_t i = 0; i < count && rows->count == 0; i++)
            fprintf(rows->file, "%s%s%s", i ? "," : "", names[i], i + 1 == count ? REPORT_CSV_LINE_END : "");
        put_csv_row(rows->file, count, values);
    }
    rows->count++;
    return ferror(rows->file) ? -1 : 0;
}

int report_write_rows(struct ledger *ledger, int64_t run, const char *kind, enum report_rows_format format, FILE *file,
                      struct error *error)
{
    struct rows rows = {.file = file, .format = format};
    int result = query_rows(ledger, run, kind, put_row, &rows, error);
    if (format == REPORT_JSON)
        fputs(rows.count ? "\n]\n" : "[]\n", file);
    return result;
}

int report_make_folder(const char *folder, struct error *error)
{
    struct stat what;
    if (mkdir(folder, 0777) == 0 || (errno == EEXIST && stat(folder, &what) == 0 && S_ISDIR(what.st_mode)))
        return 0;
    return error_set(error, ERROR_INPUT,
                     "%s: this folder cannot be made: %s; name one in a folder that you may write to", folder,
                     errno == EEXIST ? "it is a file" : strerror(errno));
}

FILE *report_create(const char *folder, const char *name, struct error *error)
{
    char *path = text_format("%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    if (!file)
        error_set(error, ERROR_INPUT, "%s: cannot be written: %s", path, strerror(errno));
    free(path);
    return file;
}

int report_close(FILE *file, const char *folder, const char *name, struct error *error)
{
    int result = ferror(file) ? -1 : 0;
    if (fclose(file) == 0 && result == 0)
        return 0;
    return error_set(error, ERROR_RUN, "%s/%s: cannot be written: %s", folder, name, strerror(errno));
}

int report_export_csv(struct ledger *ledger, int64_t run, const char *folder, struct error *error)
{
    int result = report_make_folder(folder, error);
    for (size_t i = 0; i < query_row_kind_count && result == 0; i++) {
        char *name = text_format("%s.csv", query_row_kinds[i].name);
        FILE *file = report_create(folder, name, error);
        result = file ? report_write_rows(ledger, run, query_row_kinds[i].name, REPORT_CSV, file, error) : -1;
        if (file && report_close(file, folder, name, result == 0 ? error : NULL) != 0)
            result = -1;
        free(name);
    }
    return result;
}
