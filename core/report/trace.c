/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run as a trace in Chrome's JSON format, which Perfetto (ui.perfetto.dev) and chrome://tracing open: a process for each
 * node and for each device's link, phases as slices, arrows that follow a task from slice to slice, the samples as
 * counters, and a mark where a task failed. On a way over several devices each has its own slices.
 *
 * Slices of one thread must not overlap there, so phases that do (several tasks wait at once) are laid on lanes: threads
 * named "queue", "queue 2" and so on. Written task by task, one reading for each phase in the order of its beginning.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/report/parts.h"

#define MOST_LANES 128 /* of one kind on one process; what finds no room is counted */

/* What a process's lanes are for. */
enum lane_kind {
    LANE_WAIT,
    LANE_COMPUTE,
    LANE_UP,
    LANE_DOWN,
    LANE_QUEUE,
    LANE_REMOTE,
    LANE_RELAY_QUEUE,
    LANE_RELAY,
    LANE_KINDS
};
static const char *const lane_names[LANE_KINDS] = {
    "waiting", "computing", "up", "down", "queue", "computing", "queue for others", "computing for others"};

typedef ARRAY_OF(int64_t) lane_ends; /* when each lane is free again, ns */

struct trace_stream {
    char *name; /* as within the quotes of a JSON text */
    uint32_t device; /* its process */
};

/* What a task went through, from its start to its end: one slice of the trace. */
struct leg {
    int phase;
    uint32_t process;
    enum lane_kind kind;
    int64_t from_ns, to_ns;
};

struct trace {
    FILE *file;
    const struct run_summary *run;
    struct trace_stream *streams; /* by number */
    lane_ends *lanes; /* by process and kind */
    size_t lanes_count;
    int phase; /* the one being written */
    ARRAY_OF(struct leg) legs; /* of the task being written */
    uint64_t left_out;
    const char *separator;
};

/* ---- events ---- */

static void put(struct trace *trace, json_t *event)
{
    if (!event) /* a name that is no text */
        return;
    fputs(trace->separator, trace->file);
    json_dumpf(event, trace->file, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(event);
    trace->separator = ",\n";
}

static double microseconds(int64_t ns)
{
    return (double)ns / 1000;
}

static void put_name(struct trace *trace, const char *what, uint32_t process, uint32_t thread, json_t *name)
{
    put(trace, json_pack("{s:s, s:s, s:i, s:i, s:{s:o}}", "ph", "M", "name", what, "pid", (int)process, "tid",
                         (int)thread, "args", "name", name));
}

static void put_place(struct trace *trace, const char *what, uint32_t process, uint32_t thread, int place)
{
    put(trace, json_pack("{s:s, s:s, s:i, s:i, s:{s:i}}", "ph", "M", "name", what, "pid", (int)process, "tid",
                         (int)thread, "args", "sort_index", place));
}

/* ---- processes: the station is 1, device d is 2d + 2 and its link 2d + 3 ---- */

static const uint32_t station = 1;

static uint32_t process_of_node(const struct trace *trace, size_t node)
{
    return trace->run->nodes[node].is_station ? station : 2 * (uint32_t)node + 2;
}

/* free() it. */
static char *escaped(const char *text)
{
    json_t *string = json_string(text);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    char *inner = quoted ? text_format("%.*s", (int)strlen(quoted) - 2, quoted + 1) : text_copy("?");
    json_decref(string);
    free(quoted);
    return inner;
}

static void find_streams(struct trace *trace)
{
    const struct run_summary *run = trace->run;
    json_t *processes = json_object();
    for (size_t i = 0; i < run->node_count; i++)
        json_object_set_new(processes, run->nodes[i].name, json_integer(process_of_node(trace, i)));
    uint32_t numbers = run->stream_count ? run->streams[run->stream_count - 1].stream + 1 : 0;
    trace->streams = NEW_ARRAY(struct trace_stream, numbers);
    for (size_t i = 0; i < run->stream_count; i++)
        trace->streams[run->streams[i].stream] =
            (struct trace_stream){escaped(run->streams[i].name),
                                  (uint32_t)json_integer_value(json_object_get(processes, run->streams[i].device))};
    json_decref(processes);
}

/* `place`: viewers show processes in its order. */
static void put_process(struct trace *trace, uint32_t process, json_t *name, int place)
{
    put_name(trace, "process_name", process, 0, name);
    put_place(trace, "process_sort_index", process, 0, place);
}

/* Devices that start tasks, those on the way of others, the station: so that tasks go down on their way to it. */
static void put_processes(struct trace *trace)
{
    const int relays = 2 * (int)trace->run->node_count + 4, lowest = 2 * relays;
    bool *starts_tasks = NEW_ARRAY(bool, (size_t)relays); /* by process */
    for (size_t i = 0; i < trace->run->stream_count; i++)
        starts_tasks[trace->streams[trace->run->streams[i].stream].device] = true;
    for (size_t i = 0; i < trace->run->node_count; i++) {
        const struct node_summary *node = &trace->run->nodes[i];
        uint32_t process = process_of_node(trace, i);
        int place = (int)process + (starts_tasks[process] ? 0 : relays);
        put_process(trace, process, json_string(node->name), node->is_station ? lowest : place);
        if (!node->is_station)
            put_process(trace, process + 1, json_sprintf("%s: link", node->name), place + 1);
    }
    free(starts_tasks);
}

/* ---- lanes ---- */

/* The first lane that is free at `from_ns`, as a thread of the process; 0 where all are taken. */
static uint32_t take_lane(struct trace *trace, uint32_t process, enum lane_kind kind, int64_t from_ns, int64_t to_ns)
{
    lane_ends *lanes = &trace->lanes[process * LANE_KINDS + kind];
    uint32_t lane = 0;
    while (lane < lanes->count && lanes->items[lane] > from_ns)
        lane++;
    if (lane == MOST_LANES) {
        trace->left_out++;
        return 0;
    }
    uint32_t thread = 1 + (uint32_t)kind * MOST_LANES + lane;
    if (lane == lanes->count) {
        ARRAY_ADD(lanes);
        put_name(trace, "thread_name", process, thread,
                 lane ? json_sprintf("%s %u", lane_names[kind], lane + 1) : json_string(lane_names[kind]));
        put_place(trace, "thread_sort_index", process, thread, (int)thread);
    }
    lanes->items[lane] = to_ns;
    return thread;
}

/* Millions of these: printed, not built, which is several times faster. */
static void put_slice(struct trace *trace, const struct task_record *task, const struct leg *leg, const char *flow)
{
    uint32_t thread = take_lane(trace, leg->process, leg->kind, leg->from_ns, leg->to_ns);
    if (thread == 0)
        return;
    fprintf(trace->file,
            "%s{\"ph\":\"X\",\"name\":\"%s #%" PRIu64
            "\",\"cat\":\"%s\",\"pid\":%u,\"tid\":%u,\"ts\":%.3f,\"dur\":%.3f,"
            "\"args\":{\"phase\":\"%s\",\"cut\":%u,\"task's delay, ms\":%.3f,\"warmup\":%s}}",
            trace->separator, trace->streams[task->stream].name, task->task, phase_names[leg->phase], leg->process,
            thread, microseconds(leg->from_ns), microseconds(leg->to_ns - leg->from_ns),
            leg->kind == LANE_WAIT ? "waiting for the device" : phase_names[leg->phase], task->cut,
            microseconds(task->ended_ns - task->started_ns) / 1000, task->warmup ? "true" : "false");
    trace->separator = ",\n";
    if (flow)
        fprintf(trace->file,
                ",\n{\"ph\":\"%s\",\"name\":\"task\",\"cat\":\"task\",\"id\":\"%u.%" PRIu64
                "\",\"bp\":\"e\",\"pid\":%u,\"tid\":%u,\"ts\":%.3f}",
                flow, task->stream, task->task, leg->process, thread, microseconds(leg->from_ns));
}

/* ---- tasks ---- */

static void add_leg(struct trace *trace, int phase, uint32_t process, enum lane_kind kind, int64_t from_ns,
                    int64_t to_ns)
{
    if (to_ns > from_ns)
        *ARRAY_ADD(&trace->legs) = (struct leg){phase, process, kind, from_ns, to_ns};
}

/* Up the way, device by device; what is left of the phases behind the last of them is the station's. */
static int64_t add_legs_up(struct trace *trace, const struct task_record *task, uint32_t device)
{
    int64_t at_ns = task->started_ns + task->phase_ns[PHASE_LOCAL];
    int64_t transmit_ns = task->phase_ns[PHASE_TRANSMIT], queue_ns = task->phase_ns[PHASE_QUEUE],
            remote_ns = task->phase_ns[PHASE_REMOTE];
    uint32_t lower = device;
    for (uint32_t i = 0; i < task->hop_count; i++) {
        const struct task_hop *hop = &task->hops[i];
        add_leg(trace, PHASE_TRANSMIT, lower + 1, LANE_UP, at_ns, hop->came_ns);
        lower = process_of_node(trace, hop->node);
        add_leg(trace, PHASE_QUEUE, lower, LANE_RELAY_QUEUE, hop->came_ns, hop->began_ns);
        add_leg(trace, PHASE_REMOTE, lower, LANE_RELAY, hop->began_ns, hop->left_ns);
        transmit_ns -= hop->came_ns - at_ns;
        queue_ns -= hop->began_ns - hop->came_ns;
        remote_ns -= hop->left_ns - hop->began_ns;
        at_ns = hop->left_ns;
    }
    add_leg(trace, PHASE_TRANSMIT, lower + 1, LANE_UP, at_ns, at_ns + transmit_ns);
    at_ns += transmit_ns;
    add_leg(trace, PHASE_QUEUE, station, LANE_QUEUE, at_ns, at_ns + queue_ns);
    at_ns += queue_ns;
    add_leg(trace, PHASE_REMOTE, station, LANE_REMOTE, at_ns, at_ns + remote_ns);
    return at_ns + remote_ns;
}

static void find_legs(struct trace *trace, const struct task_record *task)
{
    uint32_t device = trace->streams[task->stream].device;
    int64_t begun_ns = task->started_ns + task->device_wait_ns;
    trace->legs.count = 0;
    add_leg(trace, PHASE_LOCAL, device, LANE_WAIT, task->started_ns, begun_ns);
    add_leg(trace, PHASE_LOCAL, device, LANE_COMPUTE, begun_ns, task->started_ns + task->phase_ns[PHASE_LOCAL]);
    int64_t at_ns = add_legs_up(trace, task, device);
    for (uint32_t i = task->hop_count; i-- > 0;) {
        const struct task_hop *hop = &task->hops[i];
        if (hop->back_ns < 0)
            continue;
        add_leg(trace, PHASE_RETURN, process_of_node(trace, hop->node) + 1, LANE_DOWN, at_ns, hop->back_ns);
        at_ns = hop->back_ns;
    }
    add_leg(trace, PHASE_RETURN, device + 1, LANE_DOWN, at_ns, task->ended_ns);
}

/* Where the arrow through a task begins: where it waits only where it does nothing else there. */
static size_t first_of_flow(const struct trace *trace)
{
    bool goes_on =
        trace->legs.count > 1 && trace->legs.items[0].kind == LANE_WAIT && trace->legs.items[1].kind == LANE_COMPUTE;
    return goes_on ? 1 : 0;
}

static int put_phase(void *context, const struct task_record *task)
{
    struct trace *trace = context;
    find_legs(trace, task);
    size_t first = first_of_flow(trace), last = trace->legs.count - 1;
    for (size_t i = 0; i < trace->legs.count; i++) {
        const char *flow = first == last || i < first ? NULL : i == first ? "s" : i == last ? "f" : "t";
        if (trace->legs.items[i].phase == trace->phase)
            put_slice(trace, task, &trace->legs.items[i], flow);
    }
    return ferror(trace->file) ? -1 : 0;
}

static int put_failure(void *context, const struct task_record *task)
{
    struct trace *trace = context;
    if (task->status != TASK_OK)
        put(trace, json_pack("{s:s, s:o, s:s, s:s, s:i, s:i, s:f, s:{s:s}}", "ph", "i", "name",
                             json_sprintf("task %llu failed", (unsigned long long)task->task), "cat", "failure", "s",
                             "p", "pid", (int)trace->streams[task->stream].device, "tid", 1, "ts",
                             microseconds(task->ended_ns), "args", "cause", task->cause ? task->cause : "unfinished"));
    return ferror(trace->file) ? -1 : 0;
}

static int put_sample(void *context, const struct node_sample *sample)
{
    struct trace *trace = context;
    if (sample->node >= trace->run->node_count)
        return 0;
    int process = (int)process_of_node(trace, sample->node);
    put(trace, json_pack("{s:s, s:s, s:i, s:f, s:{s:o}}", "ph", "C", "name", "processor", "pid", process, "ts",
                         microseconds(sample->at_ns), "args", "cores", report_json_number(sample->cpu_share)));
    put(trace, json_pack("{s:s, s:s, s:i, s:f, s:{s:f}}", "ph", "C", "name", "memory", "pid", process, "ts",
                         microseconds(sample->at_ns), "args", "MiB", (double)sample->resident_bytes / (1 << 20)));
    return ferror(trace->file) ? -1 : 0;
}

/* ---- all of it ---- */

static json_t *about(const struct run_summary *run)
{
    return json_pack("{s:I, s:s, s:s, s:s?, s:s?, s:s}", "run", (json_int_t)run->head.id, "scenario",
                     run->head.scenario_name, "world", run->head.world, "partitioner", run->head.partitioner,
                     "scheduler", run->head.scheduler, "napm", run->platform_version);
}

int report_export_trace(struct ledger *ledger, const struct run_summary *run, FILE *file, uint64_t *left_out,
                        struct error *error)
{
    struct trace trace = {.file = file, .run = run, .separator = ""};
    int64_t id = run->head.id;
    trace.lanes_count = (2 * run->node_count + 4) * LANE_KINDS;
    trace.lanes = NEW_ARRAY(lane_ends, trace.lanes_count);
    find_streams(&trace);
    fputs("{\"displayTimeUnit\":\"ms\",\"otherData\":", file);
    json_t *other = about(run);
    json_dumpf(other, file, JSON_COMPACT);
    json_decref(other);
    fputs(",\"traceEvents\":[\n", file);
    put_processes(&trace);
    int result = 0;
    for (trace.phase = 0; trace.phase < PHASE_COUNT && result == 0; trace.phase++)
        result = query_tasks(ledger, id, trace.phase, put_phase, &trace, error);
    if (result == 0)
        result = query_tasks(ledger, id, QUERY_BY_STREAM, put_failure, &trace, error);
    if (result == 0)
        result = query_samples(ledger, id, put_sample, &trace, error);
    fputs("\n]}\n", file);
    *left_out = trace.left_out;
    for (size_t i = 0; i < trace.lanes_count; i++)
        ARRAY_FREE(&trace.lanes[i]);
    free(trace.lanes);
    ARRAY_FREE(&trace.legs);
    for (size_t i = 0; i < run->stream_count; i++)
        free(trace.streams[run->streams[i].stream].name);
    free(trace.streams);
    return result;
}
