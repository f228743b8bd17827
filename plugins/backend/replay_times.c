/* SPDX-License-Identifier: Apache-2.0 */
/* Reading of recorded layer times. */
#include "replay_times.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define LARGEST_FILE_BYTES (64u << 20)
#define LONGEST_NS 1e15 /* for one layer: eleven days; more is a mistake in the unit */
#define MOST_COLUMNS 64

struct entry {
    int64_t layer; /* -1: not given */
    char *name, *model; /* NULL: not given */
    int64_t time_ns;
    size_t place; /* line of a CSV file, element of a JSON file */
};

struct replay_times {
    char *file;
    bool is_json;
    struct entry *entries;
    size_t count, room;
};

/* Ways to give a time: name of the column or key, and nanoseconds in one of its units. */
static const struct {
    const char *name;
    double ns;
} units[] = {{"median_ns", 1}, {"time_ns", 1}, {"time_us", 1e3}, {"time_ms", 1e6}, {"time_s", 1e9}};
#define UNITS (sizeof(units) / sizeof(*units))
#define UNIT_NAMES "median_ns, time_ns, time_us, time_ms, time_s"

__attribute__((format(printf, 4, 5))) static int fail(const struct replay_times *times, size_t place, char *error,
                                                      const char *format, ...)
{
    char what[512];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    if (place == 0)
        snprintf(error, REPLAY_ERROR_BYTES, "%.200s: %s", times->file, what);
    else if (times->is_json)
        snprintf(error, REPLAY_ERROR_BYTES, "%.200s: element %zu: %s", times->file, place - 1, what);
    else
        snprintf(error, REPLAY_ERROR_BYTES, "%.200s:%zu: %s", times->file, place, what);
    return -1;
}

static int add_entry(struct replay_times *times, const struct entry *entry, char *error)
{
    if (times->count == times->room) {
        size_t room = times->room ? 2 * times->room : 64;
        struct entry *entries = realloc(times->entries, room * sizeof(*entries));
        if (!entries)
            return fail(times, 0, error, "out of memory");
        times->entries = entries;
        times->room = room;
    }
    times->entries[times->count++] = *entry;
    return 0;
}

static void free_entry(struct entry *entry)
{
    free(entry->name);
    free(entry->model);
}

void replay_times_free(struct replay_times *times)
{
    if (!times)
        return;
    for (size_t i = 0; i < times->count; i++)
        free_entry(&times->entries[i]);
    free(times->entries);
    free(times->file);
    free(times);
}

/* Checks a time given in `unit` and stores it in nanoseconds. */
static int set_time(const struct replay_times *times, struct entry *entry, double number, size_t unit, char *error)
{
    double ns = number * units[unit].ns;
    if (!isfinite(ns) || ns < 0.0 || ns > LONGEST_NS)
        return fail(times, entry->place, error, "%s %g is not a time between 0 and eleven days", units[unit].name,
                    number);
    entry->time_ns = (int64_t)llround(ns);
    return 0;
}

/* ---- CSV */

struct columns {
    size_t count;
    size_t layer, name, model, time; /* MOST_COLUMNS: there is none */
    size_t unit;
};

/*
 * Splits a line in place into fields, which may be in double quotes (a doubled one stands for itself). Returns their
 * number, or 0 with a text. `line` ends in NUL.
 */
static size_t split_line(const struct replay_times *times, size_t place, char *line, char *fields[MOST_COLUMNS],
                         char *error)
{
    size_t count = 0;
    char *from = line;
    for (;;) {
        if (count == MOST_COLUMNS) {
            fail(times, place, error, "more than %d columns", MOST_COLUMNS);
            return 0;
        }
        char *to = from;
        fields[count++] = to;
        if (*from == '"') {
            for (from++; *from && (*from != '"' || from[1] == '"'); from++) {
                if (*from == '"')
                    from++;
                *to++ = *from;
            }
            if (*from != '"' || (from[1] != ',' && from[1] != '\0')) {
                fail(times, place, error, "a quoted field does not end in a quote followed by a comma");
                return 0;
            }
            from++;
        } else {
            for (; *from && *from != ','; from++)
                *to++ = *from;
        }
        char end = *from;
        *to = '\0';
        if (end == '\0')
            return count;
        from++;
    }
}

static int read_header(const struct replay_times *times, size_t place, char *line, struct columns *columns, char *error)
{
    char *fields[MOST_COLUMNS];
    columns->count = split_line(times, place, line, fields, error);
    columns->layer = columns->name = columns->model = columns->time = MOST_COLUMNS;
    for (size_t i = 0; i < columns->count; i++) {
        size_t *column = strcmp(fields[i], "layer") == 0   ? &columns->layer
                         : strcmp(fields[i], "name") == 0  ? &columns->name
                         : strcmp(fields[i], "model") == 0 ? &columns->model
                                                           : NULL;
        for (size_t unit = 0; unit < UNITS; unit++)
            if (strcmp(fields[i], units[unit].name) == 0) {
                column = &columns->time;
                columns->unit = unit;
            }
        if (column && *column != MOST_COLUMNS)
            return fail(times, place, error, "column '%.60s' is there twice, or beside another time", fields[i]);
        if (column)
            *column = i;
    }
    if (columns->count == 0)
        return -1;
    if (columns->layer == MOST_COLUMNS && columns->name == MOST_COLUMNS)
        return fail(times, place, error, "the first line must name the columns, among them layer or name");
    if (columns->time == MOST_COLUMNS)
        return fail(times, place, error, "the first line must name a column of times (one of " UNIT_NAMES ")");
    return 0;
}

static int read_layer(const struct replay_times *times, struct entry *entry, const char *text, char *error)
{
    char *end;
    errno = 0;
    long long layer = strtoll(text, &end, 10);
    if (end == text || *end || errno || layer < 0 || layer > UINT32_MAX)
        return fail(times, entry->place, error, "layer '%.60s' is not a number from 0 on", text);
    entry->layer = layer;
    return 0;
}

static int read_number(const struct replay_times *times, struct entry *entry, const char *text, size_t unit,
                       char *error)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end)
        return fail(times, entry->place, error, "%s '%.60s' is not a number", units[unit].name, text);
    return set_time(times, entry, number, unit, error);
}

static int copy_text(const struct replay_times *times, const char *text, char **copy, char *error)
{
    *copy = strdup(text);
    return *copy ? 0 : fail(times, 0, error, "out of memory");
}

static int read_row(struct replay_times *times, size_t place, char *line, const struct columns *columns, char *error)
{
    char *fields[MOST_COLUMNS];
    struct entry entry = {.layer = -1, .place = place};
    size_t count = split_line(times, place, line, fields, error);
    if (count == 0)
        return -1;
    if (count != columns->count)
        return fail(times, place, error, "%zu fields where the first line names %zu columns", count, columns->count);
    int result = read_number(times, &entry, fields[columns->time], columns->unit, error);
    if (result == 0 && columns->layer < MOST_COLUMNS)
        result = read_layer(times, &entry, fields[columns->layer], error);
    if (result == 0 && columns->name < MOST_COLUMNS)
        result = copy_text(times, fields[columns->name], &entry.name, error);
    if (result == 0 && columns->model < MOST_COLUMNS)
        result = copy_text(times, fields[columns->model], &entry.model, error);
    if (result == 0)
        result = add_entry(times, &entry, error);
    if (result)
        free_entry(&entry);
    return result;
}

/* `text` ends in NUL and is written to. */
static int parse_csv(struct replay_times *times, char *text, char *error)
{
    struct columns columns = {0};
    size_t place = 0;
    for (char *next = text; next;) {
        char *line = next, *end = strchr(line, '\n');
        place++;
        next = end ? end + 1 : NULL;
        end = end ? end : line + strlen(line);
        if (end > line && end[-1] == '\r')
            end--;
        *end = '\0';
        if (*line == '\0' || *line == '#')
            continue;
        int result = columns.count ? read_row(times, place, line, &columns, error)
                                   : read_header(times, place, line, &columns, error);
        if (result)
            return -1;
    }
    return columns.count ? 0 : fail(times, 0, error, "holds no times");
}

/* ---- JSON */

static int read_json_time(const struct replay_times *times, struct entry *entry, const json_t *object, char *error)
{
    bool found = false;
    for (size_t unit = 0; unit < UNITS; unit++) {
        const json_t *value = json_object_get(object, units[unit].name);
        if (!value)
            continue;
        if (found)
            return fail(times, entry->place, error, "gives its time twice");
        if (!json_is_number(value))
            return fail(times, entry->place, error, "%s is not a number", units[unit].name);
        if (set_time(times, entry, json_number_value(value), unit, error))
            return -1;
        found = true;
    }
    return found ? 0 : fail(times, entry->place, error, "gives no time (one of " UNIT_NAMES ")");
}

/* Text under `key`, or NULL where there is none. */
static int read_json_text(const struct replay_times *times, const struct entry *entry, const json_t *object,
                          const char *key, char **text, char *error)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return 0;
    if (!json_is_string(value))
        return fail(times, entry->place, error, "%s is not a text", key);
    return copy_text(times, json_string_value(value), text, error);
}

static int read_json_layer(const struct replay_times *times, struct entry *entry, const json_t *layer, char *error)
{
    double number = json_is_number(layer) ? json_number_value(layer) : -1.0;
    if (!(number >= 0.0 && number <= UINT32_MAX) || number != floor(number))
        return fail(times, entry->place, error, "layer is not a number from 0 on");
    entry->layer = (int64_t)number;
    return 0;
}

static int read_element(struct replay_times *times, size_t place, const json_t *object, char *error)
{
    struct entry entry = {.layer = -1, .place = place};
    if (!json_is_object(object))
        return fail(times, place, error, "is not an object");
    const json_t *layer = json_object_get(object, "layer");
    int result = 0;
    if (layer)
        result = read_json_layer(times, &entry, layer, error);
    if (result == 0)
        result = read_json_text(times, &entry, object, "name", &entry.name, error);
    if (result == 0)
        result = read_json_text(times, &entry, object, "model", &entry.model, error);
    if (result == 0 && !layer && !entry.name)
        result = fail(times, place, error, "has neither layer nor name");
    if (result == 0)
        result = read_json_time(times, &entry, object, error);
    if (result == 0)
        result = add_entry(times, &entry, error);
    if (result)
        free_entry(&entry);
    return result;
}

static int parse_json(struct replay_times *times, const char *bytes, size_t count, char *error)
{
    json_error_t where;
    json_t *root = json_loadb(bytes, count, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        snprintf(error, REPLAY_ERROR_BYTES, "%.200s:%d: %s", times->file, where.line, where.text);
        return -1;
    }
    const json_t *layers = json_is_array(root) ? root : json_object_get(root, "layers");
    int result = 0;
    if (!json_is_array(layers))
        result = fail(times, 0, error, "is neither a list of layers nor an object with the list 'layers'");
    for (size_t i = 0; result == 0 && i < json_array_size(layers); i++)
        result = read_element(times, i + 1, json_array_get(layers, i), error);
    if (result == 0 && times->count == 0)
        result = fail(times, 0, error, "holds no times");
    json_decref(root);
    return result;
}

/* ---- both */

static int parse(struct replay_times *times, const char *bytes, size_t count, char *error)
{
    if (count >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) { /* a mark that some editors put in front of UTF-8 */
        bytes += 3;
        count -= 3;
    }
    if (memchr(bytes, '\0', count))
        return fail(times, 0, error, "is no text file");
    size_t blanks = 0;
    while (blanks < count && strchr(" \t\r\n", bytes[blanks]))
        blanks++;
    times->is_json = blanks < count && (bytes[blanks] == '{' || bytes[blanks] == '[');
    if (times->is_json)
        return parse_json(times, bytes, count, error);
    char *text = malloc(count + 1);
    if (!text)
        return fail(times, 0, error, "out of memory");
    memcpy(text, bytes, count);
    text[count] = '\0';
    int result = parse_csv(times, text, error);
    free(text);
    return result;
}

struct replay_times *replay_times_parse(const char *name, const char *bytes, size_t count, char *error)
{
    struct replay_times *times = calloc(1, sizeof(*times));
    char *file = strdup(name);
    if (!times || !file) {
        snprintf(error, REPLAY_ERROR_BYTES, "out of memory");
        free(times);
        free(file);
        return NULL;
    }
    times->file = file;
    if (parse(times, bytes, count, error) == 0)
        return times;
    replay_times_free(times);
    return NULL;
}

static char *read_whole(FILE *file, size_t *count)
{
    char *bytes = NULL;
    size_t room = 0;
    for (*count = 0; *count == room && room < LARGEST_FILE_BYTES;) {
        size_t more = room ? 2 * room : 1u << 16;
        char *grown = realloc(bytes, more);
        if (!grown)
            break;
        bytes = grown;
        room = more;
        *count += fread(bytes + *count, 1, room - *count, file);
    }
    if (!bytes || ferror(file) || *count == room) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

struct replay_times *replay_times_read(const char *path, char *error)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        snprintf(error, REPLAY_ERROR_BYTES, "%.200s: %s", path, strerror(errno));
        return NULL;
    }
    size_t count;
    char *bytes = read_whole(file, &count);
    fclose(file);
    if (!bytes) {
        snprintf(error, REPLAY_ERROR_BYTES, "%.200s: cannot be read, or is larger than 64 MiB", path);
        return NULL;
    }
    struct replay_times *times = replay_times_parse(path, bytes, count, error);
    free(bytes);
    return times;
}

/* ---- entries and a model's layers */

static bool is_of_model(const struct entry *entry, const struct napm_model *model)
{
    return !entry->model || (model->name && strcmp(entry->model, model->name) == 0) ||
           (model->hash && strcmp(entry->model, model->hash) == 0);
}

static int find_layer(const struct replay_times *times, const struct entry *entry, const struct napm_model *model,
                      uint32_t *layer, char *error)
{
    if (entry->layer >= (int64_t)model->layer_count)
        return fail(times, entry->place, error,
                    "layer %" PRId64 " does not exist: model '%.100s' has %" PRIu32
                    " layers. Were the times recorded from another model?",
                    entry->layer, model->name, model->layer_count);
    if (entry->layer >= 0) {
        *layer = (uint32_t)entry->layer;
        if (!entry->name || strcmp(entry->name, model->layers[*layer]->name) == 0)
            return 0;
        return fail(times, entry->place, error,
                    "layer %" PRIu32 " is called '%.100s' here and '%.100s' in model '%.100s'. Were the times "
                    "recorded from another model?",
                    *layer, entry->name, model->layers[*layer]->name, model->name);
    }
    for (*layer = 0; *layer < model->layer_count; ++*layer)
        if (strcmp(entry->name, model->layers[*layer]->name) == 0)
            return 0;
    return fail(times, entry->place, error, "model '%.100s' has no layer '%.100s'", model->name, entry->name);
}

int replay_times_of_model(const struct replay_times *times, const struct napm_model *model, int64_t *layer_ns,
                          char *error)
{
    for (uint32_t i = 0; i < model->layer_count; i++)
        layer_ns[i] = -1;
    for (size_t i = 0; i < times->count; i++) {
        const struct entry *entry = &times->entries[i];
        uint32_t layer = 0;
        if (!is_of_model(entry, model))
            continue;
        if (find_layer(times, entry, model, &layer, error))
            return -1;
        if (layer_ns[layer] >= 0)
            return fail(times, entry->place, error, "layer %" PRIu32 " ('%.100s') has a time already", layer,
                        model->layers[layer]->name);
        layer_ns[layer] = entry->time_ns;
    }
    for (uint32_t i = 0; i < model->layer_count; i++)
        if (layer_ns[i] < 0)
            return fail(times, 0, error,
                        "has no time for layer %" PRIu32 " ('%.100s') of model '%.100s': record the whole model with "
                        "`napm profile`",
                        i, model->layers[i]->name, model->name);
    return 0;
}
