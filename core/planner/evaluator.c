/* SPDX-License-Identifier: Apache-2.0 */
/* Plans run in virtual time. */
#include "core/planner/evaluator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/stats.h"
#include "core/flow/flow.h"

/* Where a stream's tasks come from. */
struct source {
    bool reactive; /* depends on the ends of tasks: has an instance of its own in each evaluation */
    int64_t *starts_ns; /* of the others, asked once */
    uint32_t start_count;
    uint32_t next; /* in this evaluation */
    uint32_t unfinished;
    struct instance *instance; /* reactive: of this evaluation */
    struct napm_loadgen_arrivals arrivals;
};

/* What the counted tasks of an evaluation add up to. */
struct tally {
    double *delays_ns; /* room for all tasks of a prediction */
    double energy_j;
    double *greatest; /* scratch for the quantile */
    uint32_t count, misses;
    struct napm_phases *phases; /* sums by stream */
    uint32_t *counts; /* by stream */
    /* To give up early: a lower bound of the total, and what it may not exceed (infinite: no such limit). */
    double bound_ns, limit_ns;
};

struct evaluator {
    struct napm_evaluator table;
    struct problem *problem;
    struct catalogue *catalogue;
    const atomic_bool *cancel;
    struct arena arena;
    struct flow *flow;
    struct flow_stream *streams;
    struct source *sources;
    uint32_t *search_tasks, *predicted_tasks; /* by stream, warm-up included */
    double **isolated_ns; /* by stream and c */
    double **energy_j; /* of one task, by stream and c */
    uint32_t *cuts; /* of the plan being evaluated */
    struct tally tally;
    /* memory */
    uint32_t *before_on_device; /* by stream: an earlier stream of the same device, or NAPM_NONE */
    uint64_t *need_bytes; /* by node */
    uint32_t **stamps; /* by model and c: the last check that counted these weights */
    uint32_t stamp;
    struct error failure;
};

/* ---- tasks of streams */

static struct instance *open_arrivals(struct evaluator *evaluator, uint32_t stream,
                                      struct napm_loadgen_arrivals *arrivals, struct error *error)
{
    const struct plugin_choice *choice = &evaluator->problem->streams[stream].arrivals;
    char label[128];
    snprintf(label, sizeof(label), "loadgen:%s", evaluator->problem->view.streams[stream]->name);
    struct instance_host host = {
        .label = label, .seed = evaluator->problem->seed, .now_ns = flow_now_ns, .context = evaluator->flow};
    struct instance *instance = instance_open(evaluator->catalogue, NAPM_KIND_LOADGEN, choice, &host, error);
    if (!instance)
        return NULL;
    if (instance_extension(instance, NAPM_LOADGEN_ARRIVALS, arrivals, sizeof(*arrivals)) != 0)
        error_set(error, ERROR_INPUT, "%s: the load generator '%s' makes no tasks",
                  choice->where ? choice->where : "arrivals", choice->name);
    else if (arrivals->next && arrivals->completed && arrivals->interval_ns)
        return instance;
    else
        instance_misbehaved(instance, error, "its table " NAPM_LOADGEN_ARRIVALS " lacks a function");
    instance_close(instance);
    return NULL;
}

/* Asks an open-loop generator for all starts; stops where it turns out to be none. */
static int record_starts(struct source *source, uint32_t count, struct error *error)
{
    int64_t last_ns = 0;
    source->start_count = 0;
    while (source->start_count < count) {
        int64_t at_ns = 0;
        int32_t status = source->arrivals.next(source->instance->self, 0, &at_ns);
        if (status < 0)
            return instance_error(source->instance, status, "next()", error);
        if (status != NAPM_OK) {
            source->reactive = source->reactive || status == NAPM_WAIT;
            return 0;
        }
        last_ns = at_ns > last_ns ? at_ns : last_ns;
        source->starts_ns[source->start_count++] = last_ns;
    }
    return 0;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int prepare_source(struct evaluator *evaluator, uint32_t stream, struct error *error)
{
    struct problem *problem = evaluator->problem;
    struct source *source = &evaluator->sources[stream];
    uint32_t streams = problem->view.stream_count, warmup = problem->warmup_tasks;
    uint32_t made = problem->stream_views[stream].task_count;
    uint32_t search = EVALUATOR_TASKS / streams, predicted = EVALUATOR_PREDICTED_TASKS / streams;
    search = warmup + (search > EVALUATOR_LEAST_TASKS ? search : EVALUATOR_LEAST_TASKS);
    predicted = warmup + (predicted > EVALUATOR_LEAST_TASKS ? predicted : EVALUATOR_LEAST_TASKS);
    evaluator->search_tasks[stream] = made ? least(made, search) : search;
    evaluator->predicted_tasks[stream] = made ? least(made, predicted) : predicted;
    source->starts_ns = ARENA_ARRAY(&evaluator->arena, int64_t, evaluator->predicted_tasks[stream]);
    source->instance = open_arrivals(evaluator, stream, &source->arrivals, error);
    if (!source->instance)
        return -1;
    problem->stream_views[stream].interval_ns = source->arrivals.interval_ns(source->instance->self);
    source->reactive = problem->stream_views[stream].interval_ns <= 0;
    int failed = source->reactive ? 0 : record_starts(source, evaluator->predicted_tasks[stream], error);
    instance_close(source->instance);
    source->instance = NULL;
    if (!source->reactive) {
        evaluator->predicted_tasks[stream] = least(evaluator->predicted_tasks[stream], source->start_count);
        evaluator->search_tasks[stream] = least(evaluator->search_tasks[stream], source->start_count);
    }
    return failed;
}

static int ask_reactive(const struct source *source, int64_t now_ns, int64_t *at_ns, struct error *error)
{
    int32_t status = source->arrivals.next(source->instance->self, now_ns, at_ns);
    if (status < 0)
        return instance_error(source->instance, status, "next()", error);
    if (status > NAPM_END)
        return instance_misbehaved(source->instance, error, "next() returned %d, which is no answer to it", status);
    if (status == NAPM_WAIT && source->unfinished == 0)
        return instance_misbehaved(source->instance, error, "next() waits for a task to end while none is unfinished");
    return status;
}

static int next_task(void *context, uint32_t stream, int64_t now_ns, int64_t *at_ns, struct error *error)
{
    struct evaluator *evaluator = context;
    struct source *source = &evaluator->sources[stream];
    if (source->reactive) {
        int answer = ask_reactive(source, now_ns, at_ns, error);
        source->unfinished += answer == NAPM_OK;
        return answer < 0 ? error_prefix(error, "stream '%s'", evaluator->problem->view.streams[stream]->name) : answer;
    }
    if (source->next == source->start_count)
        return NAPM_END;
    *at_ns = source->starts_ns[source->next++];
    return NAPM_OK;
}

static uint32_t counted_tasks(const struct evaluator *evaluator, uint32_t stream)
{
    uint32_t warmup = evaluator->problem->warmup_tasks, tasks = evaluator->search_tasks[stream];
    return tasks > warmup ? tasks - warmup : 0;
}

/* Each task is expected to take its isolated delay; how many tasks a reactive generator makes is not known beforehand. */
static double least_total_ns(const struct evaluator *evaluator, const uint32_t *cuts)
{
    double total_ns = 0;
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++)
        if (!evaluator->sources[i].reactive)
            total_ns += counted_tasks(evaluator, i) * evaluator->isolated_ns[i][cuts[i]];
    return total_ns;
}

static void count_task(struct evaluator *evaluator, const struct flow_task *task)
{
    struct tally *tally = &evaluator->tally;
    struct napm_phases *phases = &tally->phases[task->stream];
    int64_t deadline_ns = evaluator->streams[task->stream].deadline_ns, delay_ns = task->ended_ns - task->started_ns;
    tally->delays_ns[tally->count++] = (double)delay_ns;
    tally->counts[task->stream]++;
    tally->misses += deadline_ns && delay_ns > deadline_ns;
    phases->local_ns += (double)task->local_ns;
    phases->transmit_ns += (double)task->transmit_ns;
    phases->queue_ns += (double)task->queue_ns;
    phases->remote_ns += (double)task->remote_ns;
    phases->return_ns += (double)task->return_ns;
    tally->bound_ns += (double)delay_ns;
    if (!evaluator->sources[task->stream].reactive)
        tally->bound_ns -= evaluator->isolated_ns[task->stream][evaluator->cuts[task->stream]];
}

static int task_ended(void *context, const struct flow_task *task)
{
    struct evaluator *evaluator = context;
    struct source *source = &evaluator->sources[task->stream];
    if (source->reactive) {
        source->unfinished--;
        source->arrivals.completed(source->instance->self, task->ended_ns, task->number, 0);
    }
    if (task->number >= evaluator->problem->warmup_tasks)
        count_task(evaluator, task);
    return evaluator->tally.bound_ns > evaluator->tally.limit_ns;
}

/* ---- memory */

/* Do the weights of this stream's device part lie there already, for an earlier stream of the device? */
static bool shares_on_device(const struct evaluator *evaluator, const uint32_t *cuts, uint32_t stream)
{
    const struct problem_stream *streams = evaluator->problem->streams;
    for (uint32_t i = evaluator->before_on_device[stream]; i != NAPM_NONE; i = evaluator->before_on_device[i])
        if (streams[i].model == streams[stream].model && cuts[i] == cuts[stream])
            return true;
    return false;
}

uint32_t evaluator_find_overfull(struct evaluator *evaluator, const uint32_t *cuts, uint64_t *need_bytes)
{
    const struct napm_problem *view = &evaluator->problem->view;
    memset(evaluator->need_bytes, 0, view->node_count * sizeof(*evaluator->need_bytes));
    evaluator->stamp++;
    for (uint32_t i = 0; i < view->stream_count; i++) {
        const struct problem_stream *stream = &evaluator->problem->streams[i];
        if (!stream->cuts)
            continue;
        const struct scenario_cut *cut = &stream->cuts[cuts[i]];
        uint64_t *device = &evaluator->need_bytes[view->streams[i]->device];
        uint64_t *station = &evaluator->need_bytes[view->station];
        uint32_t *stamp = &evaluator->stamps[stream->model][cuts[i]];
        *device += cut->device_activation_bytes;
        *station += cut->station_activation_bytes;
        if (!shares_on_device(evaluator, cuts, i))
            *device += cut->device_weight_bytes;
        if (*stamp != evaluator->stamp)
            *station += cut->station_weight_bytes;
        *stamp = evaluator->stamp;
    }
    for (uint32_t node = 0; node < view->node_count; node++)
        if (view->nodes[node]->memory_bytes && evaluator->need_bytes[node] > view->nodes[node]->memory_bytes) {
            *need_bytes = evaluator->need_bytes[node];
            return node;
        }
    return NAPM_NONE;
}

static bool is_feasible(struct evaluator *evaluator, const uint32_t *cuts)
{
    const struct napm_problem *view = &evaluator->problem->view;
    uint64_t need;
    for (uint32_t i = 0; i < view->stream_count; i++)
        if (!view->streams[i]->cuts[cuts[i]]->feasible)
            return false;
    return evaluator_find_overfull(evaluator, cuts, &need) == NAPM_NONE;
}

/* ---- results */

/* The 0.99 quantile as stats_quantile_sorted has it, from the few greatest delays. */
static double quantile99(const struct tally *tally)
{
    uint32_t keep = (tally->count - 1) / 100 + 2, kept = 0;
    double *greatest = tally->greatest; /* ascending */
    keep = least(keep, tally->count);
    for (uint32_t i = 0; i < tally->count; i++) {
        double delay = tally->delays_ns[i];
        if (kept == keep && delay <= greatest[0])
            continue;
        uint32_t at;
        if (kept == keep) { /* the least of them goes */
            for (at = 0; at + 1 < kept && greatest[at + 1] < delay; at++)
                greatest[at] = greatest[at + 1];
        } else {
            for (at = kept++; at > 0 && greatest[at - 1] > delay; at--)
                greatest[at] = greatest[at - 1];
        }
        greatest[at] = delay;
    }
    double place = 0.99 * (tally->count - 1);
    uint32_t below = (uint32_t)place, first = tally->count - kept;
    double low = greatest[below - first];
    double high = below + 1 < tally->count ? greatest[below + 1 - first] : low;
    return low + (high - low) * (place - below);
}

static double objective_of(const struct napm_objective *wish, const struct napm_evaluation *result)
{
    return wish->delay_per_s * result->mean_ns / 1e9 + wish->deviation_per_s * sqrt(result->variance_ns2) / 1e9 +
           wish->energy_per_j * result->energy_j / result->task_count + wish->miss * result->deadline_misses;
}

static void summarise(const struct evaluator *evaluator, const uint32_t *cuts, struct napm_evaluation *result)
{
    const struct tally *tally = &evaluator->tally;
    double total = 0, squares = 0, greatest = 0;
    result->task_count = tally->count;
    for (uint32_t i = 0; i < tally->count; i++) {
        total += tally->delays_ns[i];
        greatest = tally->delays_ns[i] > greatest ? tally->delays_ns[i] : greatest;
    }
    if (tally->count == 0)
        return;
    result->total_ns = total;
    result->mean_ns = total / tally->count;
    for (uint32_t i = 0; i < tally->count; i++)
        squares += (tally->delays_ns[i] - result->mean_ns) * (tally->delays_ns[i] - result->mean_ns);
    result->variance_ns2 = squares / tally->count;
    result->maximum_ns = greatest;
    result->p99_ns = quantile99(tally);
    result->deadline_misses = (double)tally->misses / tally->count;
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++)
        result->energy_j += tally->counts[i] * evaluator->energy_j[i][cuts[i]];
    result->objective = objective_of(evaluator->problem->view.objective, result);
}

static void summarise_phases(const struct evaluator *evaluator, struct napm_phases *phases)
{
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++) {
        double count = evaluator->tally.counts[i] ? evaluator->tally.counts[i] : 1;
        const struct napm_phases *sum = &evaluator->tally.phases[i];
        phases[i] = (struct napm_phases){sum->local_ns / count, sum->transmit_ns / count, sum->queue_ns / count,
                                         sum->remote_ns / count, sum->return_ns / count};
    }
}

static void say_infinite(const struct evaluator *evaluator, struct napm_evaluation *result)
{
    result->total_ns = result->mean_ns = result->variance_ns2 = INFINITY;
    result->maximum_ns = result->p99_ns = result->energy_j = result->objective = INFINITY;
    result->deadline_misses = 1;
    for (uint32_t i = 0; result->phases && i < evaluator->problem->view.stream_count; i++)
        result->phases[i] = (struct napm_phases){INFINITY, INFINITY, INFINITY, INFINITY, INFINITY};
}

/* Copies what the caller's structure has room for; its size and phases stay. */
static void give_result(struct napm_evaluation *result, struct napm_evaluation *mine)
{
    uint32_t size = result->size;
    mine->size = size;
    memcpy(result, mine, size < sizeof(*mine) ? size : sizeof(*mine));
}

/* ---- an evaluation */

static int open_reactive(struct evaluator *evaluator, struct error *error)
{
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++) {
        struct source *source = &evaluator->sources[i];
        source->next = source->unfinished = 0;
        if (source->reactive && !(source->instance = open_arrivals(evaluator, i, &source->arrivals, error)))
            return -1;
    }
    return 0;
}

static void close_reactive(struct evaluator *evaluator)
{
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++) {
        instance_close(evaluator->sources[i].instance);
        evaluator->sources[i].instance = NULL;
    }
}

static int drive(struct evaluator *evaluator, const uint32_t *cuts, struct error *error)
{
    struct instance_host host = {
        .label = "scheduler", .seed = evaluator->problem->seed, .now_ns = flow_now_ns, .context = evaluator->flow};
    const struct flow_driver driver = {.context = evaluator, .next = next_task, .ended = task_ended};
    struct instance *scheduler =
        instance_open(evaluator->catalogue, NAPM_KIND_SCHEDULER, &evaluator->problem->scheduler, &host, error);
    if (!scheduler)
        return -1;
    int failed = open_reactive(evaluator, error);
    if (!failed)
        failed = flow_run(evaluator->flow, cuts, scheduler, &driver, evaluator->cancel, error);
    close_reactive(evaluator);
    instance_close(scheduler);
    return failed;
}

/* Gives up, with infinite delays, where the total must come out above `limit_ns`. */
static int run(struct evaluator *evaluator, const uint32_t *cuts, const uint32_t *task_counts, double limit_ns,
               struct napm_evaluation *result, struct error *error)
{
    uint32_t count = evaluator->problem->view.stream_count;
    struct napm_evaluation mine = {.phases = result->phases};
    struct tally *tally = &evaluator->tally;
    if (evaluator->cancel && atomic_load(evaluator->cancel))
        return error_set(error, ERROR_CANCELLED, "stopped while planning");
    mine.feasible = is_feasible(evaluator, cuts);
    tally->limit_ns = limit_ns * (1 + 1e-12); /* sums of rounded numbers */
    tally->bound_ns = limit_ns < INFINITY ? least_total_ns(evaluator, cuts) : 0;
    if (!mine.feasible || tally->bound_ns > tally->limit_ns) {
        say_infinite(evaluator, &mine);
        give_result(result, &mine);
        return 0;
    }
    for (uint32_t i = 0; i < count; i++)
        evaluator->streams[i].task_count = task_counts[i];
    tally->count = tally->misses = 0;
    memset(tally->phases, 0, count * sizeof(*tally->phases));
    memset(tally->counts, 0, count * sizeof(*tally->counts));
    int outcome = drive(evaluator, cuts, error);
    if (outcome < 0)
        return -1;
    if (outcome > 0) {
        say_infinite(evaluator, &mine);
    } else {
        summarise(evaluator, cuts, &mine);
        if (mine.phases)
            summarise_phases(evaluator, mine.phases);
    }
    give_result(result, &mine);
    return 0;
}

uint32_t evaluator_cut_of(const struct napm_problem *problem, uint32_t stream, const uint32_t *node_of_layer)
{
    const struct napm_problem_stream *view = problem->streams[stream];
    uint32_t c = 0;
    while (c < view->layer_count && node_of_layer[c] == view->device)
        c++;
    for (uint32_t layer = c; layer < view->layer_count; layer++)
        if (node_of_layer[layer] != problem->station)
            return NAPM_NONE;
    return c;
}

static int32_t read_cuts(struct evaluator *evaluator, const struct napm_plan *plan)
{
    const struct napm_problem *view = &evaluator->problem->view;
    for (uint32_t i = 0; i < view->stream_count; i++) {
        evaluator->cuts[i] = evaluator_cut_of(view, i, plan->node_of_layer[i]);
        if (evaluator->cuts[i] == NAPM_NONE)
            return NAPM_ERR_INVALID;
    }
    return NAPM_OK;
}

static int32_t evaluate_cuts(struct evaluator *evaluator, double limit_ns, struct napm_evaluation *result)
{
    struct error error = {0};
    if (run(evaluator, evaluator->cuts, evaluator->search_tasks, limit_ns, result, &error) == 0)
        return NAPM_OK;
    if (evaluator->failure.kind == ERROR_NONE)
        evaluator->failure = error;
    return error.kind == ERROR_CANCELLED ? NAPM_ERR_CANCELLED : NAPM_ERR_FAILED;
}

static int32_t evaluate(const struct napm_evaluator *table, const struct napm_plan *plan,
                        struct napm_evaluation *result)
{
    struct evaluator *evaluator = table->context;
    int32_t status = read_cuts(evaluator, plan);
    return status < 0 ? status : evaluate_cuts(evaluator, INFINITY, result);
}

static int32_t evaluate_cut(const struct napm_evaluator *table, const struct napm_plan *plan, uint32_t stream,
                            uint32_t c, double total_limit_ns, struct napm_evaluation *result)
{
    struct evaluator *evaluator = table->context;
    const struct napm_problem *view = &evaluator->problem->view;
    if (stream >= view->stream_count || c > view->streams[stream]->layer_count)
        return NAPM_ERR_INVALID;
    int32_t status = read_cuts(evaluator, plan);
    evaluator->cuts[stream] = c;
    return status < 0 ? status : evaluate_cuts(evaluator, total_limit_ns, result);
}

static double isolated(const struct napm_evaluator *table, uint32_t stream, uint32_t c)
{
    const struct evaluator *evaluator = table->context;
    const struct napm_problem *view = &evaluator->problem->view;
    return stream < view->stream_count && c <= view->streams[stream]->layer_count ? evaluator->isolated_ns[stream][c]
                                                                                  : INFINITY;
}

static uint32_t task_count(const struct napm_evaluator *table, uint32_t stream)
{
    const struct evaluator *evaluator = table->context;
    return stream < evaluator->problem->view.stream_count ? counted_tasks(evaluator, stream) : 0;
}

/* Of a problem without a model file only the two sides of cuts are known: there it is their upper bound. */
static uint64_t range_bytes(const struct napm_evaluator *table, uint32_t stream, uint32_t first, uint32_t end)
{
    const struct evaluator *evaluator = table->context;
    const struct napm_problem *view = &evaluator->problem->view;
    uint64_t weights, activations;
    if (stream >= view->stream_count || end > view->streams[stream]->layer_count || first >= end)
        return 0;
    const struct problem_stream *known = &evaluator->problem->streams[stream];
    if (known->source) {
        model_part_memory(known->source, first, end, &weights, &activations);
        return weights + activations;
    }
    if (!known->cuts)
        return 0;
    const struct scenario_cut *from = &known->cuts[first], *to = &known->cuts[end];
    uint64_t before = to->device_activation_bytes, behind = from->station_activation_bytes;
    return to->device_weight_bytes - from->device_weight_bytes +
           (end == view->streams[stream]->layer_count ? behind : before);
}

const struct napm_evaluator *evaluator_table(const struct evaluator *evaluator)
{
    return &evaluator->table;
}

int evaluator_predict(struct evaluator *evaluator, const uint32_t *cuts, struct napm_evaluation *result,
                      struct error *error)
{
    return run(evaluator, cuts, evaluator->predicted_tasks, INFINITY, result, error);
}

int evaluator_take_failure(struct evaluator *evaluator, struct error *error)
{
    if (evaluator->failure.kind == ERROR_NONE)
        return 0;
    if (error)
        *error = evaluator->failure;
    evaluator->failure.kind = ERROR_NONE;
    return -1;
}

/* ---- preparation */

/* 0, then the running sums of `times` (none: zeros). */
static int64_t *sums(struct arena *arena, const int64_t *times, uint32_t count)
{
    int64_t *until = ARENA_ARRAY(arena, int64_t, count + 1);
    for (uint32_t i = 0; i < count; i++)
        until[i + 1] = until[i] + (times ? times[i] : 0);
    return until;
}

static void prepare_stream(struct evaluator *evaluator, uint32_t i)
{
    const struct napm_problem *view = &evaluator->problem->view;
    const struct napm_problem_stream *stream = view->streams[i];
    const struct link_conditions *conditions = evaluator->problem->links[stream->link].conditions;
    const int64_t *station_ns = stream->layer_ns[view->station];
    struct arena *arena = &evaluator->arena;
    uint32_t layers = stream->layer_count;
    uint64_t *bytes = ARENA_ARRAY(arena, uint64_t, layers + 1);
    int64_t *extra_ns = ARENA_ARRAY(arena, int64_t, layers + 1);
    bool up_varies = conditions[LINK_UP].loss > 0, down_varies = conditions[LINK_DOWN].loss > 0;
    for (uint32_t c = 0; c <= layers; c++) {
        bytes[c] = stream->cuts[c]->bytes;
        extra_ns[c] = up_varies ? link_expected_delay_ns(&conditions[LINK_UP], bytes[c]) : 0;
    }
    struct flow_hop *hop = ARENA_ARRAY(arena, struct flow_hop, 1);
    *hop = (struct flow_hop){
        .node = stream->device,
        .link = stream->link,
        .until_ns = sums(arena, stream->layer_ns[stream->device], layers),
        .up_extra_ns = extra_ns,
        .down_extra_ns = down_varies ? link_expected_delay_ns(&conditions[LINK_DOWN], stream->result_bytes) : 0,
        .result_extra_up_ns = up_varies ? link_expected_delay_ns(&conditions[LINK_UP], stream->result_bytes) : 0,
    };
    evaluator->streams[i] = (struct flow_stream){
        .hops = hop,
        .hop_count = 1,
        .layer_count = layers,
        .station_layer_ns = station_ns ? station_ns : ARENA_ARRAY(arena, int64_t, layers),
        .station_until_ns = sums(arena, station_ns, layers),
        .cut_bytes = bytes,
        .result_bytes = stream->result_bytes,
        .deadline_ns = stream->deadline_ns,
        .priority = stream->priority,
        .weight = stream->weight,
        .model = evaluator->problem->streams[i].model,
        .result_returns = stream->result_returns,
        .result_to_station = stream->result_to_station,
    };
}

/* Time of a frame alone on the link, rounded down. */
static double frame_ns(const struct link_conditions *conditions, uint64_t bytes)
{
    double air_ns = conditions->bytes_per_s > 0 ? floor((double)bytes * 1e9 / conditions->bytes_per_s) : 0;
    return air_ns + (double)link_expected_delay_ns(conditions, bytes);
}

static void prepare_isolated(struct evaluator *evaluator, uint32_t i)
{
    const struct napm_problem_stream *stream = evaluator->problem->view.streams[i];
    const struct flow_stream *flow = &evaluator->streams[i];
    const struct link_conditions *conditions = evaluator->problem->links[stream->link].conditions;
    uint32_t layers = stream->layer_count;
    double *isolated_ns = ARENA_ARRAY(&evaluator->arena, double, layers + 1);
    for (uint32_t c = 0; c <= layers; c++) {
        isolated_ns[c] = (double)flow->hops->until_ns[c];
        if (c < layers) {
            isolated_ns[c] += frame_ns(&conditions[LINK_UP], flow->cut_bytes[c]) +
                              (double)(flow->station_until_ns[layers] - flow->station_until_ns[c]);
            if (stream->result_returns)
                isolated_ns[c] += frame_ns(&conditions[LINK_DOWN], stream->result_bytes);
        } else if (stream->result_to_station) {
            isolated_ns[c] += frame_ns(&conditions[LINK_UP], stream->result_bytes);
        }
        if (!stream->cuts[c]->feasible)
            isolated_ns[c] = INFINITY;
    }
    evaluator->isolated_ns[i] = isolated_ns;
}

/* Time that the bytes take with the air to themselves, their repeats included. */
static double air_s(const struct link_conditions *conditions, uint64_t bytes)
{
    return conditions->bytes_per_s > 0 ? (double)bytes / conditions->bytes_per_s / (1 - conditions->loss) : 0;
}

static void prepare_energy(struct evaluator *evaluator, uint32_t i)
{
    const struct napm_problem *view = &evaluator->problem->view;
    const struct napm_problem_stream *stream = view->streams[i];
    const struct napm_problem_node *device = view->nodes[stream->device], *station = view->nodes[view->station];
    const struct flow_stream *flow = &evaluator->streams[i];
    const struct link_conditions *conditions = evaluator->problem->links[stream->link].conditions;
    uint32_t layers = stream->layer_count;
    double *energy_j = ARENA_ARRAY(&evaluator->arena, double, layers + 1);
    for (uint32_t c = 0; c <= layers; c++) {
        int64_t station_ns = flow->station_until_ns[layers] - flow->station_until_ns[c];
        energy_j[c] = device->busy_w * (double)flow->hops->until_ns[c] / 1e9 +
                      station->busy_w * (double)station_ns / 1e9 +
                      device->transmit_w * air_s(&conditions[LINK_UP], stream->cuts[c]->bytes);
        if (c < layers && stream->result_returns)
            energy_j[c] += station->transmit_w * air_s(&conditions[LINK_DOWN], stream->result_bytes);
    }
    evaluator->energy_j[i] = energy_j;
}

/* The links with the mean of their delay instead of chance. Where there is loss, the mean depends on the frame. */
static struct link_spec *mean_links(struct evaluator *evaluator)
{
    const struct problem *problem = evaluator->problem;
    struct link_spec *links = ARENA_ARRAY(&evaluator->arena, struct link_spec, problem->view.link_count);
    for (uint32_t i = 0; i < problem->view.link_count; i++) {
        links[i] = problem->links[i];
        for (int way = LINK_UP; way <= LINK_DOWN; way++) {
            struct link_conditions *conditions = &links[i].conditions[way];
            int64_t delay_ns = conditions->loss > 0 ? 0 : link_expected_delay_ns(conditions, LINK_PACKET_BYTES);
            *conditions = (struct link_conditions){.bytes_per_s = conditions->bytes_per_s, .delay_ns = delay_ns};
        }
    }
    return links;
}

static void prepare_memory(struct evaluator *evaluator)
{
    const struct problem *problem = evaluator->problem;
    struct arena *arena = &evaluator->arena;
    uint32_t count = problem->view.stream_count, *last = ARENA_ARRAY(arena, uint32_t, problem->view.node_count);
    evaluator->need_bytes = ARENA_ARRAY(arena, uint64_t, problem->view.node_count);
    evaluator->before_on_device = ARENA_ARRAY(arena, uint32_t, count);
    evaluator->stamps = ARENA_ARRAY(arena, uint32_t *, problem->model_count);
    for (uint32_t node = 0; node < problem->view.node_count; node++)
        last[node] = NAPM_NONE;
    for (uint32_t i = 0; i < count; i++) {
        const struct napm_problem_stream *stream = problem->view.streams[i];
        evaluator->before_on_device[i] = last[stream->device];
        last[stream->device] = i;
        if (problem->streams[i].cuts && !evaluator->stamps[problem->streams[i].model])
            evaluator->stamps[problem->streams[i].model] = ARENA_ARRAY(arena, uint32_t, stream->layer_count + 1);
    }
}

static int prepare_tasks(struct evaluator *evaluator, struct error *error)
{
    struct arena *arena = &evaluator->arena;
    uint32_t count = evaluator->problem->view.stream_count;
    size_t tasks = 0;
    evaluator->sources = ARENA_ARRAY(arena, struct source, count);
    evaluator->search_tasks = ARENA_ARRAY(arena, uint32_t, count);
    evaluator->predicted_tasks = ARENA_ARRAY(arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        if (prepare_source(evaluator, i, error) != 0)
            return error_prefix(error, "stream '%s'", evaluator->problem->view.streams[i]->name);
        tasks += evaluator->predicted_tasks[i];
    }
    evaluator->tally.delays_ns = ARENA_ARRAY(arena, double, tasks);
    evaluator->tally.greatest = ARENA_ARRAY(arena, double, tasks / 100 + 3);
    evaluator->tally.phases = ARENA_ARRAY(arena, struct napm_phases, count);
    evaluator->tally.counts = ARENA_ARRAY(arena, uint32_t, count);
    return 0;
}

struct evaluator *evaluator_new(struct problem *problem, struct catalogue *catalogue, const atomic_bool *cancel,
                                struct error *error)
{
    uint32_t count = problem->view.stream_count;
    struct evaluator *evaluator = NEW(struct evaluator);
    evaluator->problem = problem;
    evaluator->catalogue = catalogue;
    evaluator->cancel = cancel;
    evaluator->table = (struct napm_evaluator){.size = sizeof(evaluator->table),
                                               .context = evaluator,
                                               .evaluate = evaluate,
                                               .isolated_ns = isolated,
                                               .task_count = task_count,
                                               .range_bytes = range_bytes,
                                               .evaluate_cut = evaluate_cut};
    evaluator->streams = ARENA_ARRAY(&evaluator->arena, struct flow_stream, count);
    evaluator->isolated_ns = ARENA_ARRAY(&evaluator->arena, double *, count);
    evaluator->energy_j = ARENA_ARRAY(&evaluator->arena, double *, count);
    evaluator->cuts = ARENA_ARRAY(&evaluator->arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        prepare_stream(evaluator, i);
        prepare_isolated(evaluator, i);
        prepare_energy(evaluator, i);
    }
    prepare_memory(evaluator);
    evaluator->flow = flow_new(&(struct flow_setup){.streams = evaluator->streams,
                                                    .links = mean_links(evaluator),
                                                    .stream_count = count,
                                                    .node_count = problem->view.node_count,
                                                    .link_count = problem->view.link_count,
                                                    .station = problem->view.station,
                                                    .workers = problem->workers,
                                                    .seed = problem->seed});
    if (prepare_tasks(evaluator, error) != 0) {
        evaluator_free(evaluator);
        return NULL;
    }
    return evaluator;
}

void evaluator_free(struct evaluator *evaluator)
{
    if (!evaluator)
        return;
    flow_free(evaluator->flow);
    arena_free(&evaluator->arena);
    free(evaluator);
}
