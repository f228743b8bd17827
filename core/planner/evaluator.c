/* SPDX-License-Identifier: Apache-2.0 */
/* Plans run in virtual time. */
#include "core/planner/evaluator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/stats.h"
#include "core/flow/flow.h"
#include "core/flow/generator.h"

/* Where a stream's tasks come from. */
struct source {
    bool reactive; /* depends on the ends of tasks: has an instance of its own in each evaluation */
    int64_t *starts_ns; /* of the others, asked once */
    uint32_t start_count;
    uint32_t next; /* in this evaluation */
    struct generator generator; /* reactive: of this evaluation */
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

/* What it costs a task to go over one link of its stream's way, with the link to itself. */
struct crossing {
    double *up_ns; /* by c; at layer_count that of the result, where it goes up */
    double *up_air_s;
    double down_ns, down_air_s; /* of the result */
};

/* A task that meets no other. */
struct lone_task {
    double ns, joules;
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
    struct crossing **crossings; /* by stream and hop */
    double **isolated_ns; /* by stream and c */
    uint32_t *first_cuts; /* by stream: where its cuts begin among those of a plan */
    uint32_t *cuts; /* of the plan being evaluated: as flow_run has them */
    struct lone_task *lone; /* by stream: with these cuts */
    struct tally tally;
    /* memory */
    uint32_t *before_on_device; /* by stream: an earlier stream of the same device, or NAPM_NONE */
    uint64_t *need_bytes; /* by node */
    uint32_t **stamps; /* by model and c: the last check that counted these weights */
    uint32_t stamp;
    struct error failure;
};

/* ---- tasks of streams */

static int open_source(struct evaluator *evaluator, uint32_t stream, struct error *error)
{
    const struct problem *problem = evaluator->problem;
    return generator_open(&evaluator->sources[stream].generator, evaluator->catalogue,
                          &problem->streams[stream].arrivals, problem->view.streams[stream]->name, problem->seed,
                          flow_now_ns, evaluator->flow, error);
}

/* Asks an open-loop generator for all starts; stops where it turns out to be none. */
static int record_starts(struct source *source, uint32_t count, struct error *error)
{
    int64_t last_ns = 0;
    source->start_count = 0;
    while (source->start_count < count) {
        int64_t at_ns = 0;
        int status = generator_next(&source->generator, 0, &at_ns, error);
        if (status < 0)
            return -1;
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

static int find_starts(struct source *source, const struct problem_stream *stream, uint32_t count, struct error *error)
{
    if (!stream->starts_ns)
        return record_starts(source, count, error);
    source->start_count = least(count, stream->start_count);
    memcpy(source->starts_ns, stream->starts_ns, source->start_count * sizeof(*source->starts_ns));
    return 0;
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
    if (open_source(evaluator, stream, error) != 0)
        return -1;
    const struct generator *generator = &source->generator;
    problem->stream_views[stream].interval_ns = generator->hook.interval_ns(generator->instance->self);
    source->reactive = generator->reactive;
    int failed = source->reactive
                     ? 0
                     : find_starts(source, &problem->streams[stream], evaluator->predicted_tasks[stream], error);
    generator_close(&source->generator);
    if (!source->reactive) {
        evaluator->predicted_tasks[stream] = least(evaluator->predicted_tasks[stream], source->start_count);
        evaluator->search_tasks[stream] = least(evaluator->search_tasks[stream], source->start_count);
    }
    return failed;
}

static int next_task(void *context, uint32_t stream, int64_t now_ns, int64_t *at_ns, struct error *error)
{
    struct evaluator *evaluator = context;
    struct source *source = &evaluator->sources[stream];
    if (source->reactive)
        return generator_next(&source->generator, now_ns, at_ns, error);
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
static double least_total_ns(const struct evaluator *evaluator)
{
    double total_ns = 0;
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++)
        if (!evaluator->sources[i].reactive)
            total_ns += counted_tasks(evaluator, i) * evaluator->lone[i].ns;
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
        tally->bound_ns -= evaluator->lone[task->stream].ns;
}

static int task_ended(void *context, const struct flow_task *task)
{
    struct evaluator *evaluator = context;
    struct source *source = &evaluator->sources[task->stream];
    if (source->reactive)
        generator_ended(&source->generator, task->ended_ns, task->number, false);
    if (task->number >= evaluator->problem->warmup_tasks)
        count_task(evaluator, task);
    return evaluator->tally.bound_ns > evaluator->tally.limit_ns;
}

/* ---- memory */

static uint32_t hops_of(const struct evaluator *evaluator, uint32_t stream)
{
    return evaluator->streams[stream].hop_count;
}

/* Do the weights of this stream's device part lie there already, for an earlier stream of the device? */
static bool shares_on_device(const struct evaluator *evaluator, const uint32_t *cuts, uint32_t stream)
{
    const struct problem_stream *streams = evaluator->problem->streams;
    uint32_t cut = cuts[evaluator->first_cuts[stream]];
    for (uint32_t i = evaluator->before_on_device[stream]; i != NAPM_NONE; i = evaluator->before_on_device[i])
        if (streams[i].model == streams[stream].model && cuts[evaluator->first_cuts[i]] == cut)
            return true;
    return false;
}

/* Of a problem without a model file only the two sides of cuts are known: there it is their upper bound. */
static uint64_t bytes_of_range(const struct evaluator *evaluator, uint32_t stream, uint32_t first, uint32_t end)
{
    const struct problem_stream *known = &evaluator->problem->streams[stream];
    uint64_t weights, activations;
    if (known->source) {
        model_part_memory(known->source, first, end, &weights, &activations);
        return weights + activations;
    }
    if (!known->cuts)
        return 0;
    const struct scenario_cut *from = &known->cuts[first], *to = &known->cuts[end];
    uint64_t whole = evaluator->problem->view.streams[stream]->layer_count == end;
    return to->device_weight_bytes - from->device_weight_bytes +
           (whole ? from->station_activation_bytes : to->device_activation_bytes);
}

/* What the stream's part between its device and the station needs on each relay. */
static void add_relays(struct evaluator *evaluator, uint32_t stream, const uint32_t *cuts)
{
    for (uint32_t h = 1; h < hops_of(evaluator, stream); h++)
        if (cuts[h] > cuts[h - 1])
            evaluator->need_bytes[evaluator->streams[stream].hops[h].node] +=
                bytes_of_range(evaluator, stream, cuts[h - 1], cuts[h]);
}

uint32_t evaluator_find_overfull(struct evaluator *evaluator, const uint32_t *cuts, uint64_t *need_bytes)
{
    const struct napm_problem *view = &evaluator->problem->view;
    memset(evaluator->need_bytes, 0, view->node_count * sizeof(*evaluator->need_bytes));
    evaluator->stamp++;
    for (uint32_t i = 0; i < view->stream_count; i++) {
        const struct problem_stream *stream = &evaluator->problem->streams[i];
        const uint32_t *own = cuts + evaluator->first_cuts[i];
        if (!stream->cuts)
            continue;
        uint32_t last = own[hops_of(evaluator, i) - 1];
        const struct scenario_cut *lower = &stream->cuts[own[0]], *upper = &stream->cuts[last];
        uint64_t *device = &evaluator->need_bytes[view->streams[i]->device];
        uint64_t *station = &evaluator->need_bytes[view->station];
        uint32_t *stamp = &evaluator->stamps[stream->model][last];
        *device += lower->device_activation_bytes;
        *station += upper->station_activation_bytes;
        if (!shares_on_device(evaluator, cuts, i))
            *device += lower->device_weight_bytes;
        if (*stamp != evaluator->stamp)
            *station += upper->station_weight_bytes;
        *stamp = evaluator->stamp;
        add_relays(evaluator, i, own);
    }
    for (uint32_t node = 0; node < view->node_count; node++)
        if (view->nodes[node]->memory_bytes && evaluator->need_bytes[node] > view->nodes[node]->memory_bytes) {
            *need_bytes = evaluator->need_bytes[node];
            return node;
        }
    return NAPM_NONE;
}

uint32_t evaluator_find_unable(const struct evaluator *evaluator, const uint32_t *cuts)
{
    const struct napm_problem *view = &evaluator->problem->view;
    for (uint32_t i = 0; i < view->stream_count; i++) {
        const struct flow_stream *flow = &evaluator->streams[i];
        const int64_t *const *layer_ns = view->streams[i]->layer_ns;
        uint32_t done = 0;
        for (uint32_t h = 0; h < flow->hop_count; done = cuts[evaluator->first_cuts[i] + h++])
            if (cuts[evaluator->first_cuts[i] + h] > done && !layer_ns[flow->hops[h].node])
                return i;
        if (done < flow->layer_count && !layer_ns[view->station])
            return i;
    }
    return NAPM_NONE;
}

static bool is_feasible(struct evaluator *evaluator, const uint32_t *cuts)
{
    uint64_t need;
    return evaluator_find_unable(evaluator, cuts) == NAPM_NONE &&
           evaluator_find_overfull(evaluator, cuts, &need) == NAPM_NONE;
}

/* ---- lone tasks */

static struct lone_task lone_task(const struct evaluator *evaluator, uint32_t stream, const uint32_t *cuts)
{
    const struct napm_problem *view = &evaluator->problem->view;
    const struct flow_stream *flow = &evaluator->streams[stream];
    const struct crossing *crossings = evaluator->crossings[stream];
    struct lone_task task = {0};
    uint32_t done = 0, links = 0; /* layers done; links gone up */
    while (links < flow->hop_count) {
        const struct napm_problem_node *node = view->nodes[flow->hops[links].node];
        double ns = (double)(flow->hops[links].until_ns[cuts[links]] - flow->hops[links].until_ns[done]);
        done = cuts[links];
        task.ns += ns;
        task.joules += node->busy_w * ns / 1e9;
        if (done == flow->layer_count && !flow->result_to_station)
            break;
        task.ns += crossings[links].up_ns[done];
        task.joules += node->transmit_w * crossings[links].up_air_s[done];
        links++;
    }
    if (done < flow->layer_count) {
        double ns = (double)(flow->station_until_ns[flow->layer_count] - flow->station_until_ns[done]);
        task.ns += ns;
        task.joules += view->nodes[view->station]->busy_w * ns / 1e9;
    }
    while (flow->result_returns && links-- > 0) {
        uint32_t sender = links + 1 < flow->hop_count ? flow->hops[links + 1].node : view->station;
        task.ns += crossings[links].down_ns;
        task.joules += view->nodes[sender]->transmit_w * crossings[links].down_air_s;
    }
    return task;
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

static void summarise(const struct evaluator *evaluator, struct napm_evaluation *result)
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
        result->energy_j += tally->counts[i] * evaluator->lone[i].joules;
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
        source->next = 0;
        if (source->reactive && open_source(evaluator, i, error) != 0)
            return -1;
    }
    return 0;
}

static void close_reactive(struct evaluator *evaluator)
{
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++)
        generator_close(&evaluator->sources[i].generator);
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
    for (uint32_t i = 0; i < count; i++)
        evaluator->lone[i] = lone_task(evaluator, i, cuts + evaluator->first_cuts[i]);
    tally->limit_ns = limit_ns * (1 + 1e-12); /* sums of rounded numbers */
    tally->bound_ns = limit_ns < INFINITY ? least_total_ns(evaluator) : 0;
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
        summarise(evaluator, &mine);
        if (mine.phases)
            summarise_phases(evaluator, mine.phases);
    }
    give_result(result, &mine);
    return 0;
}

int evaluator_read_way(const struct napm_problem *problem, uint32_t stream, const uint32_t *node_of_layer,
                       uint32_t *cuts)
{
    const struct napm_problem_stream *view = problem->streams[stream];
    uint32_t place = 0, hops = view->route_count - 1;
    for (uint32_t layer = 0; layer < view->layer_count; layer++)
        while (view->route_nodes[place] != node_of_layer[layer]) {
            if (place == hops)
                return -1;
            cuts[place++] = layer;
        }
    while (place < hops)
        cuts[place++] = view->layer_count;
    return 0;
}

static int32_t read_cuts(struct evaluator *evaluator, const struct napm_plan *plan)
{
    const struct napm_problem *view = &evaluator->problem->view;
    for (uint32_t i = 0; i < view->stream_count; i++)
        if (evaluator_read_way(view, i, plan->node_of_layer[i], evaluator->cuts + evaluator->first_cuts[i]) != 0)
            return NAPM_ERR_INVALID;
    return NAPM_OK;
}

static void fill_way(const struct evaluator *evaluator, uint32_t stream, uint32_t c, uint32_t *cuts)
{
    for (uint32_t h = 0; h < hops_of(evaluator, stream); h++)
        cuts[h] = c;
}

void evaluator_spread(const struct evaluator *evaluator, const uint32_t *cut_of_stream, uint32_t *cuts)
{
    for (uint32_t i = 0; i < evaluator->problem->view.stream_count; i++)
        fill_way(evaluator, i, cut_of_stream[i], cuts + evaluator->first_cuts[i]);
}

uint32_t evaluator_cut_count(const struct evaluator *evaluator)
{
    return evaluator->first_cuts[evaluator->problem->view.stream_count];
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
    fill_way(evaluator, stream, c, evaluator->cuts + evaluator->first_cuts[stream]);
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

static uint64_t range_bytes(const struct napm_evaluator *table, uint32_t stream, uint32_t first, uint32_t end)
{
    const struct evaluator *evaluator = table->context;
    const struct napm_problem *view = &evaluator->problem->view;
    if (stream >= view->stream_count || end > view->streams[stream]->layer_count || first >= end)
        return 0;
    return bytes_of_range(evaluator, stream, first, end);
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

static struct flow_hop make_hop(struct evaluator *evaluator, const struct napm_problem_stream *stream, uint32_t place)
{
    uint32_t node = stream->route_nodes[place], link = stream->route_links[place], layers = stream->layer_count;
    const struct link_conditions *up = &evaluator->problem->links[link].conditions[LINK_UP], *down = up + 1;
    int64_t *extra_ns = ARENA_ARRAY(&evaluator->arena, int64_t, layers + 1);
    for (uint32_t c = 0; up->loss > 0 && c <= layers; c++)
        extra_ns[c] = link_expected_delay_ns(up, stream->cuts[c]->bytes);
    return (struct flow_hop){
        .node = node,
        .link = link,
        .until_ns = sums(&evaluator->arena, stream->layer_ns[node], layers),
        .up_extra_ns = extra_ns,
        .down_extra_ns = down->loss > 0 ? link_expected_delay_ns(down, stream->result_bytes) : 0,
        .result_extra_up_ns = up->loss > 0 ? link_expected_delay_ns(up, stream->result_bytes) : 0,
    };
}

static void prepare_stream(struct evaluator *evaluator, uint32_t i)
{
    const struct napm_problem *view = &evaluator->problem->view;
    const struct napm_problem_stream *stream = view->streams[i];
    const int64_t *station_ns = stream->layer_ns[view->station];
    struct arena *arena = &evaluator->arena;
    uint32_t layers = stream->layer_count, hop_count = stream->route_count - 1;
    uint64_t *bytes = ARENA_ARRAY(arena, uint64_t, layers + 1);
    struct flow_hop *hops = ARENA_ARRAY(arena, struct flow_hop, hop_count);
    for (uint32_t c = 0; c <= layers; c++)
        bytes[c] = stream->cuts[c]->bytes;
    for (uint32_t h = 0; h < hop_count; h++)
        hops[h] = make_hop(evaluator, stream, h);
    evaluator->first_cuts[i + 1] = evaluator->first_cuts[i] + hop_count;
    evaluator->streams[i] = (struct flow_stream){
        .hops = hops,
        .hop_count = hop_count,
        .layer_count = layers,
        .station_layer_ns = station_ns ? station_ns : ARENA_ARRAY(arena, int64_t, layers),
        .station_until_ns = sums(arena, station_ns, layers),
        .batch_until_ns = stream->batch_ns ? sums(arena, stream->batch_ns, layers) : NULL,
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

/* Time that the bytes take with the air to themselves, their repeats included. */
static double air_s(const struct link_conditions *conditions, uint64_t bytes)
{
    return conditions->bytes_per_s > 0 ? (double)bytes / conditions->bytes_per_s / (1 - conditions->loss) : 0;
}

static void prepare_crossings(struct evaluator *evaluator, uint32_t i)
{
    const struct napm_problem_stream *stream = evaluator->problem->view.streams[i];
    struct arena *arena = &evaluator->arena;
    uint32_t layers = stream->layer_count, hop_count = hops_of(evaluator, i);
    struct crossing *crossings = ARENA_ARRAY(arena, struct crossing, hop_count);
    for (uint32_t h = 0; h < hop_count; h++) {
        const struct link_conditions *up = &evaluator->problem->links[stream->route_links[h]].conditions[LINK_UP];
        const struct link_conditions *down = up + 1;
        crossings[h] = (struct crossing){.up_ns = ARENA_ARRAY(arena, double, layers + 1),
                                         .up_air_s = ARENA_ARRAY(arena, double, layers + 1),
                                         .down_ns = frame_ns(down, stream->result_bytes),
                                         .down_air_s = air_s(down, stream->result_bytes)};
        for (uint32_t c = 0; c <= layers; c++) {
            crossings[h].up_ns[c] = frame_ns(up, stream->cuts[c]->bytes);
            crossings[h].up_air_s[c] = air_s(up, stream->cuts[c]->bytes);
        }
    }
    evaluator->crossings[i] = crossings;
}

static void prepare_isolated(struct evaluator *evaluator, uint32_t i)
{
    const struct napm_problem_stream *stream = evaluator->problem->view.streams[i];
    uint32_t *cuts = evaluator->cuts + evaluator->first_cuts[i];
    double *isolated_ns = ARENA_ARRAY(&evaluator->arena, double, stream->layer_count + 1);
    for (uint32_t c = 0; c <= stream->layer_count; c++) {
        fill_way(evaluator, i, c, cuts);
        isolated_ns[c] = stream->cuts[c]->feasible ? lone_task(evaluator, i, cuts).ns : INFINITY;
    }
    evaluator->isolated_ns[i] = isolated_ns;
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
    evaluator->crossings = ARENA_ARRAY(&evaluator->arena, struct crossing *, count);
    evaluator->first_cuts = ARENA_ARRAY(&evaluator->arena, uint32_t, count + 1);
    evaluator->lone = ARENA_ARRAY(&evaluator->arena, struct lone_task, count);
    for (uint32_t i = 0; i < count; i++)
        prepare_stream(evaluator, i);
    evaluator->cuts = ARENA_ARRAY(&evaluator->arena, uint32_t, evaluator->first_cuts[count]);
    for (uint32_t i = 0; i < count; i++) {
        prepare_crossings(evaluator, i);
        prepare_isolated(evaluator, i);
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
