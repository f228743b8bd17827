/* SPDX-License-Identifier: Apache-2.0 */
/* Placements that are no cut of the layer order: what the evaluator says of them, and what partitioners make of that. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/random.h"
#include "core/planner/evaluator.h"
#include "models/zoo.h"
#include "tests/planner/make_problem.h"

#define MOST_LAYERS 64
#define MS 1000000

/* Node numbers in the scenario: cam -> hub -> station, and the hub has a stream of its own; two more cams alike. */
enum { STATION, CAM, HUB, TWIN, NODES };
enum { CAM_STREAM, HUB_STREAM, TWIN_STREAM, STREAMS };

static struct catalogue *catalogue;
static char folder[] = "/tmp/napm-sets-XXXXXX";
static char *scenario_path, *model_file;

static const char text[] =
    "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"cam\"; }, { name = \"hub\"; }, { name = "
    "\"twin\"; } );\n"
    "links = ( { from = \"cam\"; to = \"hub\"; rate = \"8Mbit\"; delay = \"2ms\"; }, { from = \"hub\"; rate = "
    "\"80Mbit\"; delay = \"1ms\"; }, { from = \"twin\"; rate = \"8Mbit\"; delay = \"2ms\"; } );\n"
    "streams = ( { device = \"cam\"; model = \"m.onnx\"; tasks = 1; arrivals = { plugin = \"periodic\"; period = "
    "\"1s\"; }; },\n"
    "  { device = \"hub\"; model = \"m.onnx\"; tasks = 1; arrivals = { plugin = \"periodic\"; period = \"1s\"; offset "
    "= "
    "\"5s\"; }; },\n"
    "  { device = \"twin\"; model = \"m.onnx\"; tasks = 1; arrivals = { plugin = \"periodic\"; period = \"1s\"; offset "
    "= "
    "\"9s\"; }; } );\n"
    "backend = { plugin = \"reference\"; }; partitioner = { plugin = \"min-cut\"; }; scheduler = { plugin = "
    "\"fifo\"; };\n"
    "seed = 9;\n";

/* ---- helpers */

static struct scenario *open_with(const struct scenario_override *overrides, size_t count)
{
    struct error error = {0};
    struct scenario *scenario = scenario_open(scenario_path, overrides, count, catalogue, &error);
    if (!scenario)
        fail_msg("%s", error.text);
    return scenario;
}

struct times {
    int64_t ns[NODES][MOST_LAYERS];
    const int64_t *of_node[NODES][1];
    const int64_t *const *table[NODES + 1];
};

static const int64_t *const *const *random_times(struct times *times, struct random *random)
{
    static const int64_t most_ns[NODES] = {400000, 4 * MS, 2 * MS, 4 * MS};
    for (unsigned node = 0; node < NODES; node++) {
        for (size_t l = 0; l < MOST_LAYERS; l++)
            times->ns[node][l] = (int64_t)(random_unit(random) * (double)most_ns[node]);
        times->of_node[node][0] = times->ns[node];
        times->table[node] = times->of_node[node];
    }
    times->table[NODES] = NULL;
    return times->table;
}

struct trial {
    struct scenario *scenario;
    struct times times;
    struct problem *problem;
    struct evaluator *evaluator;
    const struct napm_model *model;
    uint32_t rows[STREAMS][MOST_LAYERS];
    uint32_t *row_table[STREAMS];
    struct napm_plan plan;
};

static void trial_begin(struct trial *trial, struct random *random, const struct scenario_override *overrides,
                        size_t count)
{
    struct error error = {0};
    trial->scenario = open_with(overrides, count);
    trial->problem = problem_new(trial->scenario, random_times(&trial->times, random), &error);
    if (!trial->problem)
        fail_msg("%s", error.text);
    trial->evaluator = evaluator_new(trial->problem, catalogue, NULL, &error);
    if (!trial->evaluator)
        fail_msg("%s", error.text);
    trial->model = trial->problem->view.streams[0]->model;
    for (uint32_t i = 0; i < STREAMS; i++)
        trial->row_table[i] = trial->rows[i];
    memset(trial->rows, 0, sizeof(trial->rows)); /* all at the station */
    trial->plan = (struct napm_plan){sizeof(trial->plan), STREAMS, trial->row_table};
}

static void trial_end(struct trial *trial)
{
    evaluator_free(trial->evaluator);
    problem_free(trial->problem);
    scenario_close(trial->scenario);
}

static int32_t evaluate(struct trial *trial, struct napm_phases *phases, struct napm_evaluation *result)
{
    const struct napm_evaluator *table = evaluator_table(trial->evaluator);
    *result = (struct napm_evaluation){.size = sizeof(*result), .phases = phases};
    return table->evaluate(table, &trial->plan, result);
}

/* A placement of a stream by chance along some nodes, each layer at or above those that it needs. */
static void place_at_random(const struct napm_model *model, struct random *random, const uint32_t *nodes,
                            uint32_t count, uint32_t *row)
{
    uint32_t places[MOST_LAYERS] = {0};
    double move = random_unit(random) * random_unit(random);
    for (uint32_t l = 0; l < model->layer_count; l++) {
        for (uint32_t i = 0; i < model->layers[l]->input_count; i++) {
            uint32_t producer = model->tensors[model->layers[l]->inputs[i]]->producer;
            if (producer != NAPM_NONE && places[producer] > places[l])
                places[l] = places[producer];
        }
        while (places[l] + 1 < count && random_unit(random) < move)
            places[l]++;
        row[l] = nodes[places[l]];
    }
}

/* ---- by hand */

/* Place on the ways cam, hub, station and twin, station. */
static uint32_t place_of(uint32_t node)
{
    return node == CAM || node == TWIN ? 0 : node == HUB ? 1 : 2;
}

/* Bytes that go up from below `place`: each tensor that exists below and is needed there or above, once. */
static uint64_t bytes_up(const struct napm_model *model, const uint32_t *row, uint32_t place)
{
    uint64_t bytes = 0;
    for (uint32_t t = 0; t < model->tensor_count; t++) {
        uint32_t producer = model->tensors[t]->producer;
        bool below = producer != NAPM_NONE && place_of(row[producer]) < place, above = false;
        for (uint32_t i = 0; i < model->input_count; i++)
            below = below || model->inputs[i] == t;
        for (uint32_t i = 0; i < model->output_count; i++)
            above = above || model->outputs[i] == t;
        for (uint32_t l = 0; l < model->layer_count; l++)
            for (uint32_t i = 0; i < model->layers[l]->input_count; i++)
                above = above || (model->layers[l]->inputs[i] == t && place_of(row[l]) >= place);
        bytes += below && above ? model->tensors[t]->bytes : 0;
    }
    return bytes;
}

/* The delay of the cam's only task. */
static struct napm_phases phases_by_hand(const struct trial *trial)
{
    const struct napm_model *model = trial->model;
    const uint32_t *row = trial->rows[CAM_STREAM];
    struct napm_phases phases = {0};
    uint32_t top = 0;
    for (uint32_t l = 0; l < model->layer_count; l++) {
        double *phase_ns = row[l] == CAM ? &phases.local_ns : &phases.remote_ns;
        *phase_ns += (double)trial->times.ns[row[l]][l];
        top = place_of(row[l]) > top ? place_of(row[l]) : top;
    }
    const double ns_per_byte[] = {1000, 100}, delay_ns[] = {2 * MS, MS};
    for (uint32_t hop = 0; hop < top; hop++) {
        phases.transmit_ns += delay_ns[hop] + ns_per_byte[hop] * (double)bytes_up(model, row, hop + 1);
        phases.return_ns += delay_ns[hop] + ns_per_byte[hop] * 40; /* the result: ten floats */
    }
    return phases;
}

static void assert_near(double a, double b)
{
    if (fabs(a - b) > 2)
        fail_msg("%.0f ns, not %.0f ns", a, b);
}

static bool is_no_cut(const struct trial *trial, const uint32_t *row)
{
    for (uint32_t l = 1; l < trial->model->layer_count; l++)
        if (place_of(row[l]) < place_of(row[l - 1]))
            return true;
    return false;
}

static void the_evaluator_finds_what_is_found_by_hand(void **state)
{
    (void)state;
    static const uint32_t way[] = {CAM, HUB, STATION};
    struct random random;
    struct trial trial;
    uint32_t sets = 0, over_the_hub = 0;
    random_seed(&random, 1, "sets");
    trial_begin(&trial, &random, NULL, 0);
    for (int round = 0; round < 300; round++) {
        struct napm_phases phases[STREAMS], expected;
        struct napm_evaluation result;
        place_at_random(trial.model, &random, way, 3, trial.rows[CAM_STREAM]);
        assert_int_equal(evaluate(&trial, phases, &result), NAPM_OK);
        assert_true(result.feasible);
        expected = phases_by_hand(&trial);
        assert_near(phases[CAM_STREAM].local_ns, expected.local_ns);
        assert_near(phases[CAM_STREAM].transmit_ns, expected.transmit_ns);
        assert_near(phases[CAM_STREAM].remote_ns, expected.remote_ns);
        assert_near(phases[CAM_STREAM].return_ns, expected.return_ns);
        assert_near(phases[CAM_STREAM].queue_ns, 0);
        sets += is_no_cut(&trial, trial.rows[CAM_STREAM]);
        for (uint32_t l = 0; l < trial.model->layer_count; l++)
            over_the_hub += trial.rows[CAM_STREAM][l] == HUB;
    }
    assert_true(sets > 50 && over_the_hub > 50);
    trial_end(&trial);
}

/* ---- memory */

static uint64_t weights_of(const struct trial *trial, const uint32_t *row, uint32_t node)
{
    uint64_t bytes = 0;
    for (uint32_t l = 0; l < trial->model->layer_count; l++)
        bytes += row[l] == node ? trial->model->layers[l]->parameter_bytes : 0;
    return bytes;
}

static uint64_t need_of_station(struct trial *trial)
{
    const struct napm_problem *view = &trial->problem->view;
    struct placements placements = {0};
    uint32_t orders[STREAMS][MOST_LAYERS], cuts[STREAMS + 1], *own = cuts;
    const uint32_t *order_table[STREAMS] = {NULL};
    for (uint32_t i = 0; i < STREAMS; own += view->streams[i++]->route_count - 1) {
        struct order_fault fault;
        int answer = evaluator_read_way(view, i, trial->rows[i], orders[i], own, &fault);
        assert_true(answer >= 0);
        order_table[i] = answer ? orders[i] : NULL;
    }
    placements.cuts = cuts;
    placements.orders = order_table;
    uint64_t need = 0;
    assert_int_equal(evaluator_find_overfull(trial->evaluator, &placements, &need), STATION);
    return need;
}

/* What the station needs where the cam's device has the set that is given for the twin's. */
static uint64_t need_with(struct trial *trial, const uint32_t *cam, const uint32_t *twin)
{
    for (uint32_t l = 0; l < trial->model->layer_count; l++) {
        trial->rows[CAM_STREAM][l] = cam[l] == TWIN ? CAM : STATION;
        trial->rows[TWIN_STREAM][l] = twin[l];
        trial->rows[HUB_STREAM][l] = HUB;
    }
    return need_of_station(trial);
}

/* Weights of equal sets lie at the station once, activations for each stream. */
static void equal_sets_share_their_weights(void **state)
{
    (void)state;
    static const uint32_t way[] = {TWIN, STATION};
    struct random random;
    struct trial trial;
    uint32_t sets = 0;
    random_seed(&random, 2, "sets");
    trial_begin(&trial, &random, NULL, 0);
    /* Too little for anything, so that what it needs is told. */
    ((struct napm_problem_node *)(uintptr_t)trial.problem->view.nodes[STATION])->memory_bytes = 1;
    while (sets < 40) {
        uint32_t a[MOST_LAYERS], b[MOST_LAYERS];
        place_at_random(trial.model, &random, way, 2, a);
        place_at_random(trial.model, &random, way, 2, b);
        uint64_t a_weights = weights_of(&trial, a, STATION), b_weights = weights_of(&trial, b, STATION);
        if (!is_no_cut(&trial, a) || a_weights == 0 || b_weights == 0 ||
            memcmp(a, b, trial.model->layer_count * sizeof(*a)) == 0)
            continue;
        uint64_t both = need_with(&trial, a, a) + need_with(&trial, b, b);
        assert_true(2 * need_with(&trial, a, b) == both + a_weights + b_weights);
        sets++;
    }
    trial_end(&trial);
}

/* ---- partitioners */

/* The least predicted mean over all closed sets for the twin's device. */
static double try_all(struct trial *trial, uint32_t at, uint32_t *tried)
{
    uint32_t *row = trial->rows[TWIN_STREAM];
    struct napm_evaluation result;
    if (at == trial->model->layer_count) {
        assert_int_equal(evaluate(trial, NULL, &result), NAPM_OK);
        ++*tried;
        return result.total_ns;
    }
    row[at] = STATION;
    double least = try_all(trial, at + 1, tried);
    for (uint32_t i = 0; i < trial->model->layers[at]->input_count; i++) {
        uint32_t producer = trial->model->tensors[trial->model->layers[at]->inputs[i]]->producer;
        if (producer != NAPM_NONE && row[producer] != TWIN)
            return least;
    }
    row[at] = TWIN;
    least = fmin(least, try_all(trial, at + 1, tried));
    row[at] = STATION;
    return least;
}

static void min_cut_is_exact_for_a_stream_alone(void **state)
{
    (void)state;
    struct random random;
    uint32_t sets = 0;
    random_seed(&random, 3, "sets");
    for (int round = 0; round < 40; round++) {
        struct trial trial;
        struct error error = {0};
        uint32_t tried = 0;
        trial_begin(&trial, &random, NULL, 0);
        struct planner *planner = planner_new(trial.scenario, catalogue, trial.times.table, NULL, &error);
        struct plan *plan = planner ? planner_plan(planner, &trial.scenario->partitioner, &error) : NULL;
        if (!plan)
            fail_msg("%s", error.text);
        /* The cam's and the hub's tasks are over by then: they add the same to every total. */
        double least_ns = try_all(&trial, 0, &tried);
        struct napm_evaluation result;
        uint32_t layers = trial.model->layer_count, *row = trial.rows[TWIN_STREAM];
        const uint32_t *order = plan->orders ? plan->orders[TWIN_STREAM] : NULL;
        for (uint32_t place = 0; place < layers; place++)
            row[order_layer(order, place)] = place < plan->cuts[TWIN_STREAM] ? TWIN : STATION;
        assert_int_equal(evaluate(&trial, NULL, &result), NAPM_OK);
        assert_true(tried > layers + 1);
        assert_true(fabs(result.total_ns - least_ns) < 2 * layers);
        sets += order != NULL;
        plan_free(plan);
        planner_free(planner);
        trial_end(&trial);
    }
    assert_true(sets > 2); /* else a look at the cuts would do */
}

static void evaluate_cut_takes_a_stream_out_of_its_set(void **state)
{
    (void)state;
    static const uint32_t way[] = {TWIN, STATION};
    struct random random;
    struct trial trial;
    random_seed(&random, 4, "sets");
    trial_begin(&trial, &random, NULL, 0);
    const struct napm_evaluator *table = evaluator_table(trial.evaluator);
    for (uint32_t c = 0; c <= trial.model->layer_count; c++) {
        struct napm_evaluation changed = {.size = sizeof(changed)}, plain;
        place_at_random(trial.model, &random, way, 2, trial.rows[TWIN_STREAM]);
        assert_int_equal(table->evaluate_cut(table, &trial.plan, TWIN_STREAM, c, INFINITY, &changed), NAPM_OK);
        for (uint32_t l = 0; l < trial.model->layer_count; l++)
            trial.rows[TWIN_STREAM][l] = l < c ? TWIN : STATION;
        assert_int_equal(evaluate(&trial, NULL, &plain), NAPM_OK);
        assert_true(changed.total_ns == plain.total_ns);
    }
    trial_end(&trial);
}

static void a_set_that_is_not_closed_is_a_fault_that_names_its_layers(void **state)
{
    (void)state;
    const struct scenario_override overrides[] = {{"partitioner.plugin", "\"open-set\""}};
    struct random random;
    struct trial trial;
    struct error error = {0};
    struct napm_evaluation result;
    random_seed(&random, 5, "sets");
    trial_begin(&trial, &random, overrides, 1);
    struct planner *planner = planner_new(trial.scenario, catalogue, trial.times.table, NULL, &error);
    assert_null(planner_plan(planner, &trial.scenario->partitioner, &error));
    assert_int_equal(error.kind, ERROR_PLUGIN);
    assert_non_null(strstr(error.text, "open-set"));
    assert_non_null(strstr(error.text,
                           "layer 12 ('fc') of stream 'cam' on 'cam' but layer 11 ('average'), whose result "
                           "it needs, on 'station'"));
    trial.rows[CAM_STREAM][trial.model->layer_count - 1] = CAM;
    assert_int_equal(evaluate(&trial, NULL, &result), NAPM_ERR_INVALID);
    planner_free(planner);
    trial_end(&trial);
}

/* ---- the group */

static int begin(void **state)
{
    struct error error = {0};
    (void)state;
    catalogue = make_catalogue();
    if (!mkdtemp(folder))
        return -1;
    model_file = text_format("%s/m.onnx", folder);
    scenario_path = text_format("%s/sets.cfg", folder);
    return zoo_write("tiny-inception", 1, model_file, &error) == 0 &&
                   file_write_atomically(scenario_path, text, strlen(text), &error) == 0
               ? 0
               : -1;
}

static int end(void **state)
{
    (void)state;
    catalogue_close(catalogue);
    unlink(model_file);
    unlink(scenario_path);
    rmdir(folder);
    free(model_file);
    free(scenario_path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_evaluator_finds_what_is_found_by_hand),
        cmocka_unit_test(equal_sets_share_their_weights),
        cmocka_unit_test(min_cut_is_exact_for_a_stream_alone),
        cmocka_unit_test(evaluate_cut_takes_a_stream_out_of_its_set),
        cmocka_unit_test(a_set_that_is_not_closed_is_a_fault_that_names_its_layers),
    };
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
