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
#define MOST_CUT_CHANGES 400 /* of one row of it */
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

struct cut_change {
    int64_t at_ns;
    uint32_t cut;
};

/* The cuts behind one node: the stream's device, or one on its way. Of all tasks that came there. */
struct cut_row {
    uint32_t node; /* of a device on the way */
    uint64_t *tasks; /* by cut */
    uint32_t last; /* the cut of the task before */
    ARRAY_OF(struct cut_change) changes; /* the first cut, and each that followed another */
};

struct stream_part {
    number_list delays;
    uint32_t cut_count;
    ARRAY_OF(struct cut_row) rows; /* by hop */
};

/* A task of the timeline. */
struct kept_task {
    struct task_record record;
    struct task_hop *hops; /* a copy of the record's; free() it */
};

struct gathering {
    const struct run_summary *run;
    const struct report_limits *limits;
    struct stream_part *streams; /* the first MOST_CUT_ROWS */
    size_t stream_count, at; /* at: index of the stream being read */
    number_list all;
    struct activity activity;
    ARRAY_OF(struct kept_task) timeline;
    uint64_t timeline_left_out, cut_changes_left_out;
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
    const struct task_record *x = &((const struct kept_task *)a)->record, *y = &((const struct kept_task *)b)->record;
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
    for (size_t i = most; i < gathering->timeline.count; i++)
        free(gathering->timeline.items[i].hops);
    gathering->timeline.count = most;
}

static void add_to_timeline(struct gathering *gathering, const struct task_record *task)
{
    if (gathering->at >= MOST_LANES || task->ended_ns < gathering->limits->from_ns) {
        gathering->timeline_left_out++;
        return;
    }
    *ARRAY_ADD(&gathering->timeline) = (struct kept_task){
        *task, task->hop_count ? memory_copy(task->hops, task->hop_count * sizeof(*task->hops)) : NULL};
    if (gathering->timeline.count >= 2 * (size_t)gathering->limits->tasks + 1000)
        keep_earliest(gathering);
}

/*
 * "hop_nodes": the names of the devices on the way, and "hops": of each task a list of what came of it there, as the
 * place in hop_nodes and the four times. Nothing where no task came to any.
 */
static void add_hops(json_t *timeline, const struct gathering *gathering)
{
    const struct run_summary *run = gathering->run;
    json_t *places = json_object(), *names = json_array(), *tasks = json_array();
    for (size_t i = 0; i < gathering->timeline.count; i++) {
        const struct kept_task *task = &gathering->timeline.items[i];
        json_t *hops = json_array();
        for (uint32_t k = 0; k < task->record.hop_count && task->hops[k].node < run->node_count; k++) {
            const struct task_hop *hop = &task->hops[k];
            const char *name = run->nodes[hop->node].name;
            if (!json_object_get(places, name)) {
                json_object_set_new(places, name, json_integer((json_int_t)json_array_size(names)));
                json_array_append_new(names, json_string(name));
            }
            json_array_append_new(hops, json_pack("[O, I, I, I, I]", json_object_get(places, name),
                                                  (json_int_t)hop->came_ns, (json_int_t)hop->began_ns,
                                                  (json_int_t)hop->left_ns, (json_int_t)hop->back_ns));
        }
        json_array_append_new(tasks, hops);
    }
    if (json_array_size(names) > 0) {
        json_object_set(timeline, "hop_nodes", names);
        json_object_set(timeline, "hops", tasks);
    }
    json_decref(places);
    json_decref(names);
    json_decref(tasks);
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
        const struct task_record *task = &gathering->timeline.items[i].record;
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
    add_hops(object, gathering);
    return object;
}

/* ---- cuts ---- */

static void add_cut(struct gathering *gathering, struct stream_part *part, uint32_t hop, uint32_t node, uint32_t cut,
                    int64_t at_ns)
{
    if (cut >= part->cut_count)
        return;
    while (part->rows.count <= hop)
        *ARRAY_ADD(&part->rows) = (struct cut_row){.node = node, .tasks = NEW_ARRAY(uint64_t, part->cut_count)};
    struct cut_row *row = &part->rows.items[hop];
    row->tasks[cut]++;
    if (row->changes.count > 0 && cut == row->last)
        return;
    row->last = cut;
    if (row->changes.count < MOST_CUT_CHANGES)
        *ARRAY_ADD(&row->changes) = (struct cut_change){at_ns, cut};
    else
        gathering->cut_changes_left_out++;
}

static void add_cuts(struct gathering *gathering, struct stream_part *part, const struct task_record *task)
{
    add_cut(gathering, part, 0, 0, task->cut, task->started_ns);
    for (uint32_t i = 0; i < task->hop_count; i++)
        add_cut(gathering, part, i + 1, task->hops[i].node, task->hops[i].cut, task->started_ns);
}

static json_t *cut_row_json(const struct run_summary *run, const struct stream_summary *stream,
                            const struct stream_part *part, size_t hop)
{
    const struct cut_row *row = &part->rows.items[hop];
    const char *node = hop == 0 ? stream->device : row->node < run->node_count ? run->nodes[row->node].name : "?";
    json_t *tasks = json_array(), *changes = json_array();
    for (uint32_t cut = 0; cut < part->cut_count; cut++)
        json_array_append_new(tasks, json_integer((json_int_t)row->tasks[cut]));
    for (size_t i = 0; i < row->changes.count; i++)
        json_array_append_new(
            changes, json_pack("[I, i]", (json_int_t)row->changes.items[i].at_ns, (int)row->changes.items[i].cut));
    return json_pack("{s:s, s:s, s:i, s:o, s:o}", "stream", stream->name, "node", node, "hop", (int)hop, "tasks", tasks,
                     "changes", changes);
}

/* A row for each stream, and for each further device on its way. */
static json_t *cuts_json(const struct gathering *gathering)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < gathering->stream_count; i++)
        for (size_t hop = 0; hop < gathering->streams[i].rows.count; hop++)
            json_array_append_new(
                rows, cut_row_json(gathering->run, &gathering->run->streams[i], &gathering->streams[i], hop));
    return rows;
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
    if (part)
        add_cuts(gathering, part, task);
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

/* Where there are fewer tasks than quantiles, which would be values between those of the tasks, each delay as well. */
static json_t *distribution_json(number_list *delays, const struct bins *bins)
{
    json_t *quantiles = json_array(), *histogram = json_array(), *each = json_array();
    uint64_t counts[MOST_BINS] = {0}, beyond = 0;
    stats_sort(delays->items, delays->count);
    for (int i = 0; i <= QUANTILES && delays->count > 0; i++)
        json_array_append_new(quantiles, json_integer(llround(stats_quantile_sorted(delays->items, delays->count,
                                                                                    i / (double)QUANTILES))));
    for (size_t i = 0; i < delays->count && delays->count <= QUANTILES; i++)
        json_array_append_new(each, json_integer(llround(delays->items[i])));
    for (size_t i = 0; i < delays->count; i++) {
        double place = (delays->items[i] - bins->from_ns) / bins->width_ns;
        if (place > (double)bins->count)
            beyond++;
        else
            counts[place < (double)bins->count ? (size_t)place : bins->count - 1]++;
    }
    for (size_t i = 0; i < bins->count; i++)
        json_array_append_new(histogram, json_integer((json_int_t)counts[i]));
    return json_pack("{s:I, s:o, s:o, s:o, s:I}", "tasks", (json_int_t)delays->count, "quantiles_ns", quantiles,
                     "delays_ns", each, "histogram", histogram, "beyond", (json_int_t)beyond);
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
    if (gathering->cut_changes_left_out > 0)
        json_array_append_new(texts,
                              json_sprintf("cuts over time: the first %d changes of each stream; %llu more",
                                           MOST_CUT_CHANGES, (unsigned long long)gathering->cut_changes_left_out));
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
    for (size_t i = 0; i < gathering->stream_count; i++)
        gathering->streams[i].cut_count = run->streams[i].layer_count + 1;
    gathering->activity.width_ns = 1000;
}

static void finish(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->stream_count; i++) {
        struct stream_part *part = &gathering->streams[i];
        ARRAY_FREE(&part->delays);
        for (size_t hop = 0; hop < part->rows.count; hop++) {
            free(part->rows.items[hop].tasks);
            ARRAY_FREE(&part->rows.items[hop].changes);
        }
        ARRAY_FREE(&part->rows);
    }
    free(gathering->streams);
    ARRAY_FREE(&gathering->all);
    for (size_t i = 0; i < gathering->timeline.count; i++)
        free(gathering->timeline.items[i].hops);
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
