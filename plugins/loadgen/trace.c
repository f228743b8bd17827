/* SPDX-License-Identifier: Apache-2.0 */
/* Load generator "trace": tasks start at the times recorded in a CSV file, as they are, scaled, or over and over. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arrivals.h"

#include "trace_csv.h"

enum { OPTION_FILE, OPTION_COLUMN, OPTION_UNIT, OPTION_SCALE, OPTION_FROM_FIRST, OPTION_REPEAT, OPTION_COUNT };

static const struct napm_option file_option = {
    .size = sizeof(file_option),
    .type = NAPM_OPTION_FILE,
    .flags = NAPM_OPTION_REQUIRED,
    .name = "file",
    .help = "CSV file with one start a line, in ascending order, below a line with the columns' names.",
};
static const struct napm_option column_option = {
    .size = sizeof(column_option),
    .type = NAPM_OPTION_TEXT,
    .name = "column",
    .default_text = "",
    .help = "Name of the column that holds the start times; empty for the first column.",
};
static const struct napm_option unit_option = {
    .size = sizeof(unit_option),
    .type = NAPM_OPTION_CHOICE,
    .name = "unit",
    .default_text = "s",
    .help = "Unit of the start times.",
    .choices = "s|ms|us|ns",
};
static const struct napm_option scale_option = {
    .size = sizeof(scale_option),
    .type = NAPM_OPTION_REAL,
    .name = "scale",
    .default_text = "1",
    .help = "Factor on all times: 0.5 makes the load twice as dense.",
    .minimum = 1e-9,
    .maximum = 1e9,
};
static const struct napm_option from_first_option = {
    .size = sizeof(from_first_option),
    .type = NAPM_OPTION_BOOL,
    .name = "from_first",
    .default_text = "false",
    .help = "Count times from the first start in the file, which may then hold dates as seconds since 1970.",
};
static const struct napm_option repeat_option = {
    .size = sizeof(repeat_option),
    .type = NAPM_OPTION_BOOL,
    .name = "repeat",
    .default_text = "false",
    .help = "Begin anew at the end of the file, after a pause of the mean time between starts.",
};
static const struct napm_option *const options_table[OPTION_COUNT] = {
    [OPTION_FILE] = &file_option,   [OPTION_COLUMN] = &column_option,         [OPTION_UNIT] = &unit_option,
    [OPTION_SCALE] = &scale_option, [OPTION_FROM_FIRST] = &from_first_option, [OPTION_REPEAT] = &repeat_option,
};

struct trace {
    int64_t *times_ns;
    size_t count;
    size_t next;
    int64_t mean_interval_ns; /* 0 where all start at once, or there is one only */
    int repeat;
    int64_t round_start_ns; /* added to all times of the present round */
};

/* ---- reading */

/* The whole of a regular file in allocated memory, or NULL with errno set. */
static char *read_file(const char *path, size_t *length)
{
    struct stat facts;
    if (stat(path, &facts) != 0)
        return NULL;
    if (!S_ISREG(facts.st_mode)) { /* opening a pipe could wait for ever */
        errno = EINVAL;
        return NULL;
    }
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *text = malloc((size_t)facts.st_size + 1);
    if (text)
        *length = fread(text, 1, (size_t)facts.st_size, file);
    if (text && ferror(file)) {
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

static int exponent_of_unit(const char *unit)
{
    return strcmp(unit, "s") == 0 ? 9 : strcmp(unit, "ms") == 0 ? 6 : strcmp(unit, "us") == 0 ? 3 : 0;
}

static int32_t read_times(struct trace *trace, const struct napm_host *host, const union napm_value *options)
{
    char error[TRACE_CSV_ERROR_BYTES];
    const char *path = options[OPTION_FILE].text;
    const struct trace_csv_format format = {path, options[OPTION_COLUMN].text,
                                            exponent_of_unit(options[OPTION_UNIT].text)};
    size_t length;
    char *text = read_file(path, &length);
    if (!text) {
        snprintf(error, sizeof(error), "%s: cannot be read: %s; check the option 'file'", path,
                 errno == EINVAL ? "it is not a regular file" : strerror(errno));
        host->set_error(host, error);
        return NAPM_ERR_INVALID;
    }
    int failed = trace_csv_read(text, length, &format, &trace->times_ns, &trace->count, error);
    free(text);
    if (failed)
        host->set_error(host, error);
    return failed ? NAPM_ERR_INVALID : NAPM_OK;
}

/* Applies the options from_first and scale. */
static int32_t adjust_times(struct trace *trace, const struct napm_host *host, const union napm_value *options)
{
    double scale = options[OPTION_SCALE].real;
    int64_t first_ns = options[OPTION_FROM_FIRST].integer ? trace->times_ns[0] : 0;
    for (size_t i = 0; i < trace->count; i++) {
        trace->times_ns[i] -= first_ns;
        if (scale == 1) /* exact, where a double might not be */
            continue;
        double scaled_ns = (double)trace->times_ns[i] * scale;
        if (scaled_ns > 9e18) {
            host->set_error(host, "a start time is beyond 292 years after scaling; set a smaller 'scale'");
            return NAPM_ERR_INVALID;
        }
        trace->times_ns[i] = llround(scaled_ns);
    }
    return NAPM_OK;
}

static int32_t prepare(struct trace *trace, const struct napm_host *host, const union napm_value *options)
{
    int32_t status = read_times(trace, host, options);
    if (status == NAPM_OK)
        status = adjust_times(trace, host, options);
    if (status != NAPM_OK)
        return status;
    if (trace->count > 1)
        trace->mean_interval_ns =
            (trace->times_ns[trace->count - 1] - trace->times_ns[0]) / (int64_t)(trace->count - 1);
    trace->repeat = options[OPTION_REPEAT].integer != 0;
    if (trace->repeat && trace->mean_interval_ns == 0) {
        host->set_error(host, "a trace whose tasks all start at one time cannot repeat; set repeat to false, or add a "
                              "later start");
        return NAPM_ERR_INVALID;
    }
    return NAPM_OK;
}

static void destroy(void *self)
{
    struct trace *trace = self;
    free(trace->times_ns);
    free(trace);
}

static int32_t create(const struct napm_host *host, const union napm_value *options, void **self)
{
    struct trace *trace = calloc(1, sizeof(*trace));
    if (!trace) {
        host->set_error(host, "out of memory");
        return NAPM_ERR_MEMORY;
    }
    int32_t status = prepare(trace, host, options);
    if (status != NAPM_OK)
        destroy(trace);
    else
        *self = trace;
    return status;
}

/* ---- the hook */

static int32_t next(void *self, int64_t now_ns, int64_t *at_ns)
{
    (void)now_ns;
    struct trace *trace = self;
    if (trace->next == trace->count) {
        /* A round lasts from time 0 to one mean interval after its last start. */
        int64_t last_ns = trace->times_ns[trace->count - 1];
        if (!trace->repeat || __builtin_add_overflow(trace->round_start_ns, last_ns, &trace->round_start_ns) ||
            __builtin_add_overflow(trace->round_start_ns, trace->mean_interval_ns, &trace->round_start_ns)) {
            trace->repeat = 0;
            return NAPM_END;
        }
        trace->next = 0;
    }
    if (__builtin_add_overflow(trace->round_start_ns, trace->times_ns[trace->next], at_ns)) {
        trace->next = trace->count; /* the clock ends here */
        trace->repeat = 0;
        return NAPM_END;
    }
    trace->next++;
    return NAPM_OK;
}

static int64_t interval_ns(void *self)
{
    const struct trace *trace = self;
    return trace->mean_interval_ns;
}

static const struct napm_loadgen_arrivals arrivals = {
    .size = sizeof(arrivals),
    .next = next,
    .completed = arrivals_go_on,
    .interval_ns = interval_ns,
};

static const struct napm_plugin plugin = {
    .size = sizeof(plugin),
    .kind = NAPM_KIND_LOADGEN,
    .hook_version = NAPM_LOADGEN_VERSION,
    .threading = NAPM_THREADS_PER_INSTANCE,
    .name = "trace",
    .version = "1.0",
    .summary = "Tasks start at the times in a CSV file.",
    .licence = "Apache-2.0",
    .option_count = OPTION_COUNT,
    .options = options_table,
    .create = create,
    .destroy = destroy,
    .hook = &arrivals_hook,
    .get_extension = arrivals_extension,
};

NAPM_PLUGIN_NOTE(trace, NAPM_KIND_LOADGEN, NAPM_LOADGEN_VERSION, "trace", "1.0");
NAPM_EXPORT_PLUGINS(&plugin);
