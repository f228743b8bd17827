/* SPDX-License-Identifier: Apache-2.0 */
/* Judgements as test results: TAP and JUnit XML. */
#include <errno.h>
#include <libxml/xmlwriter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/evidence/regress.h"

static int cannot_write(const char *path, struct error *error)
{
    return error_set(error, ERROR_INPUT, "%s: cannot be written: %s; choose another file", path, strerror(errno));
}

/* '#' would begin a directive of TAP. */
static void put_tap_text(FILE *file, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '#' || *c == '\\')
            fputc('\\', file);
        fputc(*c == '\n' ? ' ' : *c, file);
    }
}

int regress_write_tap(const char *path, const struct judged *judged, size_t count, struct error *error)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (!file)
        return cannot_write(path, error);
    fprintf(file, "TAP version 13\n1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        char *text = judged_text(&judged[i]);
        fprintf(file, "%s %zu - ", judgement_is_bad(judged[i].judgement) ? "not ok" : "ok", i + 1);
        put_tap_text(file, text);
        fputc('\n', file);
        free(text);
    }
    if (file == stdout)
        return 0;
    bool written = !ferror(file);
    return fclose(file) == 0 && written ? 0 : cannot_write(path, error);
}

/* What a plugin wrote may hold bytes that XML cannot, not even escaped. */
static void put_attribute(xmlTextWriter *writer, const char *name, const char *value)
{
    char *text = text_copy(value);
    bool is_utf8 = xmlCheckUTF8(BAD_CAST text);
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < ' ' ? !strchr("\t\n\r", *c) : *c >= 0x80 && !is_utf8)
            *c = '?';
    xmlTextWriterWriteAttribute(writer, BAD_CAST name, BAD_CAST text);
    free(text);
}

static void put_case(xmlTextWriter *writer, const struct judged *it)
{
    const struct outcome *outcome = it->outcome;
    char *text = judged_text(it);
    char *name = text_format("%s %s", outcome->label, outcome_metric_kinds[it->metric].name);
    char *group = text_format("%s.%s", outcome->partitioner ? outcome->partitioner : "none",
                              outcome->scheduler ? outcome->scheduler : "none");
    xmlTextWriterStartElement(writer, BAD_CAST "testcase");
    put_attribute(writer, "classname", group);
    put_attribute(writer, "name", name);
    if (judgement_is_bad(it->judgement)) {
        xmlTextWriterStartElement(writer, BAD_CAST(it->judgement == JUDGEMENT_FAILED ? "error" : "failure"));
        put_attribute(writer, "message", text);
        xmlTextWriterEndElement(writer);
    }
    xmlTextWriterEndElement(writer);
    free(group);
    free(name);
    free(text);
}

static void put_suite(xmlTextWriter *writer, const char *suite, const struct judged *judged, size_t count)
{
    size_t failures = 0, errors = 0;
    for (size_t i = 0; i < count; i++) {
        errors += judged[i].judgement == JUDGEMENT_FAILED;
        failures += judgement_is_bad(judged[i].judgement) && judged[i].judgement != JUDGEMENT_FAILED;
    }
    xmlTextWriterStartElement(writer, BAD_CAST "testsuite");
    put_attribute(writer, "name", suite);
    xmlTextWriterWriteFormatAttribute(writer, BAD_CAST "tests", "%zu", count);
    xmlTextWriterWriteFormatAttribute(writer, BAD_CAST "failures", "%zu", failures);
    xmlTextWriterWriteFormatAttribute(writer, BAD_CAST "errors", "%zu", errors);
    for (size_t i = 0; i < count; i++)
        put_case(writer, &judged[i]);
    xmlTextWriterEndElement(writer);
}

int regress_write_junit(const char *path, const char *suite, const struct judged *judged, size_t count,
                        struct error *error)
{
    FILE *file = fopen(path, "w"); /* by ourselves: libxml2 would take some names for addresses */
    if (!file)
        return cannot_write(path, error);
    xmlBuffer *buffer = xmlBufferCreate();
    xmlTextWriter *writer = xmlNewTextWriterMemory(buffer, 0);
    xmlTextWriterSetIndent(writer, 1);
    xmlTextWriterStartDocument(writer, NULL, "UTF-8", NULL);
    put_suite(writer, suite, judged, count);
    xmlTextWriterEndDocument(writer);
    xmlFreeTextWriter(writer);
    size_t length = (size_t)xmlBufferLength(buffer);
    bool written = fwrite(xmlBufferContent(buffer), 1, length, file) == length;
    xmlBufferFree(buffer);
    return fclose(file) == 0 && written ? 0 : cannot_write(path, error);
}
