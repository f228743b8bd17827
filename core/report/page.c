/* SPDX-License-Identifier: Apache-2.0 */
/* The page: the shell that the build has made of core/report/web, with the document in it; and the document alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/report/report.h"
#include "places.h"

#define PAGE_NAME "report.html"
/* How a document is written as JSON: with the digits that charts need. */
#define REPORT_DOCUMENT_FLAGS (JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6))
#define PLACE "{\"napm\":\"the document goes here\"}" /* as in core/report/web/page.html */

/* In the build tree $NAPM_DATA (run-in-tree sets it); else where it was installed. free() it. */
static char *shell_path(void)
{
    const char *folder = getenv("NAPM_DATA");
    return text_format("%s/%s", folder && *folder ? folder : NAPM_DATA_DIR, PAGE_NAME);
}

/*
 * Within a script element only '<' could end it or begin a comment; in JSON it can only stand in a string, where this
 * escape means the same.
 */
static int put_escaped(const char *text, size_t length, void *context)
{
    FILE *file = context;
    const char *end = text + length, *next;
    for (; (next = memchr(text, '<', (size_t)(end - text))); text = next + 1) {
        fwrite(text, 1, (size_t)(next - text), file);
        fputs("\\u003c", file);
    }
    fwrite(text, 1, (size_t)(end - text), file);
    return ferror(file) ? -1 : 0;
}

static int put_page(const struct file_map *shell, const json_t *document, FILE *file)
{
    const char *bytes = (const char *)shell->bytes;
    const char *place = memmem(bytes, shell->size, PLACE, strlen(PLACE));
    if (!place)
        return -1;
    const char *rest = place + strlen(PLACE);
    fwrite(bytes, 1, (size_t)(place - bytes), file);
    json_dump_callback(document, put_escaped, file, REPORT_DOCUMENT_FLAGS);
    fwrite(rest, 1, (size_t)(bytes + shell->size - rest), file);
    return 0;
}

/* The whole page in memory; free() it. NULL where the shell is no shell. */
static char *make_page(const struct file_map *shell, const json_t *document, size_t *size)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, size);
    if (!file)
        return NULL;
    int result = put_page(shell, document, file);
    if (fclose(file) == 0 && result == 0)
        return text;
    free(text);
    return NULL;
}

static int put_out(const char *path, const char *text, size_t size, struct error *error)
{
    if (strcmp(path, "-") != 0)
        return file_write_atomically(path, text, size, error);
    if (fwrite(text, 1, size, stdout) == size)
        return 0;
    return error_set(error, ERROR_RUN, "standard output: cannot be written: %s", strerror(errno));
}

int report_write_page(const json_t *document, const char *path, struct error *error)
{
    char *from = shell_path();
    struct file_map shell;
    size_t size;
    int result = 0;
    if (access(from, R_OK) != 0)
        result = error_set(error, ERROR_RUN,
                           "the report's page %s cannot be read: %s; this build was made without it: install nodejs "
                           "and npm, configure and make again (or build a release archive, which brings the page); "
                           "`napm export` works without",
                           from, strerror(errno));
    if (result == 0)
        result = file_map(from, &shell, error);
    if (result == 0) {
        char *page = make_page(&shell, document, &size);
        result = page ? put_out(path, page, size, error)
                      : error_set(error, ERROR_RUN, "%s is not the report's page: install napm again", from);
        free(page);
        file_unmap(&shell);
    }
    free(from);
    return result;
}

int report_write_json(const json_t *document, const char *path, struct error *error)
{
    char *text = json_dumps(document, REPORT_DOCUMENT_FLAGS);
    int result = text ? put_out(path, text, strlen(text), error)
                      : error_set(error, ERROR_RUN, "%s: the report cannot be written as JSON", path);
    free(text);
    return result;
}
