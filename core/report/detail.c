/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run's charts, gathered in one reading of its tasks: distributions of the delay, cuts used, how many tasks were in
 * each phase over time, and a timeline. However many tasks there are, what is kept for the page is bounded, and what was
 * left out is said.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/stats.h"
#include "core/base/units.h"
#include "core/report/parts.h"

#define MOST_CURVES 24 /* streams with a distribution of their own */
#define MOST_CUT_ROWS 60 /* streams in the heat map */
#define MOST_LANES 16 /* streams on the timeline */
#define MOST_SAMPLED 24 /* nodes with samples */
#define MOST_SAMPLES 240 /* of one node */
#define QUANTILES 200
#define MOST_BINS 60
#define ACTIVITY_BINS 160

/* Task-nanoseconds spent in each phase, bin by bin; the bins grow with the run. */
struct activity {
    double width_ns;
    size_t used;
    double spent_ns[PHASE_COUNT][ACTIVITY_BINS];
};

typedef ARRAY_OF(double) number_list;

struct stream_part {
    number_list delays;
    uint64_t *cuts; /* tasks by cut, of all tasks that are ok or failed */
    uint32_t cut_count;
};

struct gathering {
    const struct run_summary *run;
    const struct report_limits *limits;
    struct stream_part *streams; /* the first MOST_CUT_ROWS */
    size_t stream_count, at; /* at: index of the stream being read */
    number_list all;
    struct activity activity;
    ARRAY_OF(struct task_record) timeline;
    uint64_t timeline_left_out;
};

/* ---- activity ---- */

static void double_width(struct activity *activity)
{
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        double *bins = activity->spent_ns[phase];
        for (size_t i = 0; i < ACTIVITY_BINS / 2; i++)
            bins[i] = bins[2 * i] + bins[2 * i + 1];
        memset(bins + ACTIVITY_BINS / 2, 0, ACTIVITY_BINS / 2 * sizeof(*bins));
    }
    activity->width_ns *= 2;
    activity->used = (activity->used + 1) / 2;
}

static void add_interval(struct activity *activity, int phase, double from_ns, double to_ns)
{
    while (to_ns >= activity->width_ns * ACTIVITY_BINS)
        double_width(activity);
    from_ns = fmax(from_ns, 0);
    for (size_t bin = (size_t)(from_ns / activity->width_ns); from_ns < to_ns; bin++) {
        double until_ns = fmin(to_ns, (double)(bin + 1) * activity->width_ns);
        activity->spent_ns[phase][bin] += until_ns - from_ns;
        activity->used = bin >= activity->used ? bin + 1 : activity->used;
        from_ns = until_ns;
    }
}

static void add_activity(struct activity *activity, const struct task_record *task)
{
    double at_ns = (double)task->started_ns;
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        add_interval(activity, phase, at_ns, at_ns + (double)task->phase_ns[phase]);
        at_ns += (double)task->phase_ns[phase];
    }
}

static json_t *activity_json(const struct activity *activity)
{
    json_t *phases = json_object();
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        json_t *bins = json_array();
        for (size_t i = 0; i < activity->used; i++)
            json_array_append_new(bins, report_json_number(activity->spent_ns[phase][i] / activity->width_ns));
        json_object_set_new(phases, phase_names[phase], bins);
    }
    return json_pack("{s:f, s:o}", "bin_ns", activity->width_ns, "tasks", phases);
}

/* ---- timeline: the earliest tasks ---- */

static int by_start(const void *a, const void *b)
{
    const struct task_record *x = a, *y = b;
    if (x->started_ns != y->started_ns)
        return x->started_ns < y->started_ns ? -1 : 1;
    return (x->stream > y->stream) - (x->stream < y->stream);
}

static void keep_earliest(struct gathering *gathering)
{
    size_t most = gathering->limits->tasks;
    if (gathering->timeline.count > 0)
        qsort(gathering->timeline.items, gathering->timeline.count, sizeof(*gathering->timeline.items), by_start);
    if (gathering->timeline.count <= most)
        return;
    gathering->timeline_left_out += gathering->timeline.count - most;
    gathering->timeline.count = most;
}

static void add_to_timeline(struct gathering *gathering, const struct task_record *task)
{
    if (gathering->at >= MOST_LANES || task->ended_ns < gathering->limits->from_ns) {
        gathering->timeline_left_out++;
        return;
    }
    *ARRAY_ADD(&gathering->timeline) = *task;
    if (gathering->timeline.count >= 2 * (size_t)gathering->limits->tasks + 1000)
        keep_earliest(gathering);
}

static json_t *timeline_json(const struct gathering *gathering)
{
    static const char *const names[] = {"stream",    "task",      "started_ns", "local_ns", "transmit_ns", "queue_ns",
                                        "remote_ns", "return_ns", "wait_ns",    "ended_ns", "failed"};
    enum { COLUMNS = sizeof(names) / sizeof(names[0]) };
    json_t *columns[COLUMNS], *object = json_object();
    for (size_t i = 0; i < COLUMNS; i++) {
        columns[i] = json_array();
        json_object_set_new(object, names[i], columns[i]);
    }
    for (size_t i = 0; i < gathering->timeline.count; i++) {
        const struct task_record *task = &gathering->timeline.items[i];
        const int64_t *phase = task->phase_ns;
        size_t stream = 0;
        while (gathering->run->streams[stream].stream != task->stream)
            stream++;
        const int64_t cells[COLUMNS] = {(int64_t)stream,     (int64_t)task->task,    task->started_ns,
                                        phase[PHASE_LOCAL],  phase[PHASE_TRANSMIT],  phase[PHASE_QUEUE],
                                        phase[PHASE_REMOTE], phase[PHASE_RETURN],    task->device_wait_ns,
                                        task->ended_ns,      task->status != TASK_OK};
        for (size_t column = 0; column < COLUMNS; column++)
            json_array_append_new(columns[column], json_integer(cells[column]));
    }
    return object;
}

/* ---- reading ---- */

static int gather_task(void *context, const struct task_record *task)
{
    struct gathering *gathering = context;
    const struct run_summary *run = gathering->run;
    while (gathering->at < run->stream_count && run->streams[gathering->at].stream < task->stream)
        gathering->at++;
    if (gathering->at == run->stream_count || run->streams[gathering->at].stream != task->stream)
        return 0;
    struct stream_part *part = gathering->at < gathering->stream_count ? &gathering->streams[gathering->at] : NULL;
    if (part && task->cut < part->cut_count)
        part->cuts[task->cut]++;
    add_to_timeline(gathering, task);
    if (task->status != TASK_OK)
        return 0;
    add_activity(&gathering->activity, task);
    if (task->warmup)
        return 0;
    double delay_ns = (double)(task->ended_ns - task->started_ns);
    *ARRAY_ADD(&gathering->all) = delay_ns;
    if (gathering->at < MOST_CURVES)
        *ARRAY_ADD(&part->delays) = delay_ns;
    return 0;
}

/* ---- distributions ---- */

struct bins {
    double from_ns, width_ns;
    size_t count;
};

/* Freedman and Diaconis' width over all delays up to the 99.5th percentile, where a few long ones reach far beyond it. */
static struct bins choose_bins(const number_list *sorted)
{
    const double *delays = sorted->items;
    size_t n = sorted->count;
    if (n == 0)
        return (struct bins){0, 1, 0};
    double from = delays[0], tail = stats_quantile_sorted(delays, n, 0.995);
    double to = delays[n - 1] - from > 2 * (tail - from) ? tail : delays[n - 1];
    double spread = stats_quantile_sorted(delays, n, 0.75) - stats_quantile_sorted(delays, n, 0.25);
    double wanted = spread > 0 ? (to - from) / (2 * spread / cbrt((double)n)) : 1;
    size_t count = (size_t)fmin(fmax(ceil(wanted), 8), MOST_BINS);
    return (struct bins){from, to > from ? (to - from) / (double)count : 1, to > from ? count : 1};
}

static json_t *distribution_json(number_list *delays, const struct bins *bins)
{
    json_t *quantiles = json_array(), *histogram = json_array();
    uint64_t counts[MOST_BINS] = {0}, beyond = 0;
    stats_sort(delays->items, delays->count);
    for (int i = 0; i <= QUANTILES && delays->count > 0; i++)
        json_array_append_new(quantiles, json_integer(llround(stats_quantile_sorted(delays->items, delays->count,
                                                                                    i / (double)QUANTILES))));
    for (size_t i = 0; i < delays->count; i++) {
        double place = (delays->items[i] - bins->from_ns) / bins->width_ns;
        if (place > (double)bins->count)
            beyond++;
        else
            counts[place < (double)bins->count ? (size_t)place : bins->count - 1]++;
    }
    for (size_t i = 0; i < bins->count; i++)
        json_array_append_new(histogram, json_integer((json_int_t)counts[i]));
    return json_pack("{s:I, s:o, s:o, s:I}", "tasks", (json_int_t)delays->count, "quantiles_ns", quantiles, "histogram",
                     histogram, "beyond", (json_int_t)beyond);
}

static json_t *distributions_json(struct gathering *gathering)
{
    stats_sort(gathering->all.items, gathering->all.count);
    struct bins bins = choose_bins(&gathering->all);
    json_t *streams = json_array();
    for (size_t i = 0; i < gathering->stream_count && i < MOST_CURVES; i++) {
        json_t *stream = distribution_json(&gathering->streams[i].delays, &bins);
        json_object_set_new(stream, "stream", json_string(gathering->run->streams[i].name));
        json_array_append_new(streams, stream);
    }
    return json_pack("{s:f, s:f, s:o, s:o}", "bins_from_ns", bins.from_ns, "bin_ns", bins.width_ns, "all",
                     distribution_json(&gathering->all, &bins), "streams", streams);
}

/* ---- cuts ---- */

static json_t *cuts_json(const struct gathering *gathering)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < gathering->stream_count; i++) {
        const struct stream_part *part = &gathering->streams[i];
        json_t *cuts = json_array();
        for (uint32_t cut = 0; cut < part->cut_count; cut++)
            json_array_append_new(cuts, json_integer((json_int_t)part->cuts[cut]));
        json_array_append_new(rows, json_pack("{s:s, s:o}", "stream", gathering->run->streams[i].name, "tasks", cuts));
    }
    return rows;
}

/* ---- samples ---- */

struct sampling {
    const struct run_summary *run;
    json_t *nodes[MOST_SAMPLED];
    uint64_t seen[MOST_SAMPLED];
};

static int gather_sample(void *context, const struct node_sample *sample)
{
    struct sampling *sampling = context;
    uint32_t node = sample->node;
    if (node >= MOST_SAMPLED || node >= sampling->run->node_count)
        return 0;
    uint64_t stride = sampling->run->nodes[node].samples / MOST_SAMPLES + 1;
    if (sampling->seen[node]++ % stride != 0)
        return 0;
    json_array_append_new(sampling->nodes[node],
                          json_pack("[I, o, I]", (json_int_t)sample->at_ns, report_json_number(sample->cpu_share),
                                    (json_int_t)sample->resident_bytes));
    return 0;
}

static json_t *samples_json(struct ledger *ledger, const struct run_summary *run, struct error *error)
{
    struct sampling sampling = {.run = run};
    json_t *nodes = json_array();
    for (size_t i = 0; i < run->node_count && i < MOST_SAMPLED; i++) {
        sampling.nodes[i] = json_array();
        json_array_append_new(nodes, json_pack("{s:s, s:o}", "node", run->nodes[i].name, "samples", sampling.nodes[i]));
    }
    if (query_samples(ledger, run->head.id, gather_sample, &sampling, error) == 0)
        return nodes;
    json_decref(nodes);
    return NULL;
}

/* ---- what was left out ---- */

static void tell_most(json_t *texts, size_t count, size_t most, const char *what)
{
    if (count > most)
        json_array_append_new(texts, json_sprintf("%s: the first %zu of %zu streams", what, most, count));
}

static json_t *left_out_json(const struct gathering *gathering)
{
    json_t *texts = json_array();
    size_t streams = gathering->run->stream_count, nodes = gathering->run->node_count;
    char from[UNITS_TEXT_BYTES];
    tell_most(texts, streams, MOST_CURVES, "distributions by stream (those of all tasks hold every stream)");
    tell_most(texts, streams, REPORT_MOST_ROWS, "phases and tables");
    tell_most(texts, streams, MOST_CUT_ROWS, "cuts");
    if (gathering->timeline_left_out > 0)
        json_array_append_new(
            texts, json_sprintf("timeline: %zu of %llu tasks, the earliest from %s on of the first %d streams; "
                                "--tasks and --from choose others, `napm export --format perfetto` shows all",
                                gathering->timeline.count,
                                (unsigned long long)(gathering->timeline.count + gathering->timeline_left_out),
                                units_format_duration(from, (double)gathering->limits->from_ns), MOST_LANES));
    if (nodes > MOST_SAMPLED)
        json_array_append_new(texts,
                              json_sprintf("processor and memory: the first %d of %zu nodes", MOST_SAMPLED, nodes));
    return texts;
}

/* ---- all of it ---- */

static void prepare(struct gathering *gathering)
{
    const struct run_summary *run = gathering->run;
    gathering->stream_count = run->stream_count < MOST_CUT_ROWS ? run->stream_count : MOST_CUT_ROWS;
    gathering->streams = NEW_ARRAY(struct stream_part, gathering->stream_count);
    for (size_t i = 0; i < gathering->stream_count; i++) {
        gathering->streams[i].cut_count = run->streams[i].layer_count + 1;
        gathering->streams[i].cuts = NEW_ARRAY(uint64_t, gathering->streams[i].cut_count);
    }
    gathering->activity.width_ns = 1000;
}

static void finish(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->stream_count; i++) {
        ARRAY_FREE(&gathering->streams[i].delays);
        free(gathering->streams[i].cuts);
    }
    free(gathering->streams);
    ARRAY_FREE(&gathering->all);
    ARRAY_FREE(&gathering->timeline);
}

json_t *report_detail(struct ledger *ledger, const struct run_summary *run, const struct report_limits *limits,
                      struct error *error)
{
    struct gathering *gathering = NEW(struct gathering);
    gathering->run = run;
    gathering->limits = limits;
    prepare(gathering);
    json_t *samples = samples_json(ledger, run, error), *detail = NULL;
    if (samples && query_tasks(ledger, run->head.id, QUERY_BY_STREAM, gather_task, gathering, error) == 0) {
        keep_earliest(gathering);
        detail = json_pack("{s:o, s:o, s:o, s:o, s:O, s:o}", "distributions", distributions_json(gathering), "cuts",
                           cuts_json(gathering), "activity", activity_json(&gathering->activity), "timeline",
                           timeline_json(gathering), "samples", samples, "left_out", left_out_json(gathering));
    }
    json_decref(samples);
    finish(gathering);
    free(gathering);
    return detail;
}
