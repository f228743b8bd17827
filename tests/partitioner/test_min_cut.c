/* SPDX-License-Identifier: Apache-2.0 */
/* The partitioner min-cut against trying every set of layers that a device may run: on random graphs and on the zoo's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/random.h"
#include "core/model/model.h"
#include "tests/builtin_plugins.h"
#include "tests/partitioner/fake.h"
#include "tests/zoo_model.h"

#define DEVICE 0
#define STATION 1
#define MOST_INPUTS 3
#define MOST_TENSORS 24
#define SMALL_LAYERS 9

static struct catalogue *plugins;

static int64_t between(struct random *random, int64_t least, int64_t most)
{
    return least + (int64_t)(random_unit(random) * (double)(most - least + 1));
}

/* ---- the delay of a set, straight from the model */

static bool is_used_at_station(const struct napm_model *model, uint32_t tensor, const uint32_t *place)
{
    for (uint32_t i = 0; i < model->output_count; i++)
        if (model->outputs[i] == tensor)
            return true;
    for (uint32_t l = 0; l < model->layer_count; l++)
        for (uint32_t i = 0; i < model->layers[l]->input_count; i++)
            if (place[l] == STATION && model->layers[l]->inputs[i] == tensor)
                return true;
    return false;
}

static bool is_known(const struct napm_model *model, uint32_t tensor)
{
    for (uint32_t i = 0; i < model->input_count; i++)
        if (model->inputs[i] == tensor)
            return true;
    return model->tensors[tensor]->producer != NAPM_NONE;
}

static double delay_of(const struct fake *fake, const uint32_t *place)
{
    const struct napm_model *model = fake->model;
    double delay_ns = 0;
    bool all_local = true;
    for (uint32_t l = 0; l < model->layer_count; l++) {
        if (fake->cannot_run[place[l]])
            return INFINITY;
        delay_ns += (double)fake->layer_ns[place[l]][l];
        all_local = all_local && place[l] == DEVICE;
    }
    uint64_t bytes = all_local && fake->result_to_station ? fake->result_bytes : 0;
    for (uint32_t t = 0; t < model->tensor_count && !all_local; t++) {
        uint32_t producer = model->tensors[t]->producer;
        if (is_known(model, t) && (producer == NAPM_NONE || place[producer] == DEVICE) &&
            is_used_at_station(model, t, place))
            bytes += model->tensors[t]->bytes;
    }
    if (!all_local || fake->result_to_station)
        delay_ns += (double)fake->up_delay_ns[0] + (double)bytes * 1e9 / fake->up_bytes_per_s[0];
    if (!all_local && fake->result_returns)
        delay_ns += (double)fake->down_delay_ns[0] + (double)fake->result_bytes * 1e9 / fake->down_bytes_per_s[0];
    return delay_ns;
}

static bool may_run_on_device(const struct napm_model *model, uint32_t l, const uint32_t *place)
{
    for (uint32_t i = 0; i < model->layers[l]->input_count; i++) {
        uint32_t producer = model->tensors[model->layers[l]->inputs[i]]->producer;
        if (producer != NAPM_NONE && place[producer] != DEVICE)
            return false;
    }
    return true;
}

/* The least delay over all sets, from layer `at` on. */
static double try_all(const struct fake *fake, uint32_t *place, uint32_t at)
{
    if (at == fake->layers)
        return delay_of(fake, place);
    place[at] = STATION;
    double least = try_all(fake, place, at + 1);
    if (may_run_on_device(fake->model, at, place)) {
        place[at] = DEVICE;
        least = fmin(least, try_all(fake, place, at + 1));
    }
    return least;
}

static void fill_isolated(struct fake *fake)
{
    uint32_t place[MOST_LAYERS] = {0};
    for (uint32_t c = 0; c <= fake->layers; c++) {
        for (uint32_t l = 0; l < fake->layers; l++)
            place[l] = l < c ? DEVICE : STATION;
        fake->isolated_ns[c] = delay_of(fake, place);
    }
}

static bool is_cut(const uint32_t *place, uint32_t layers)
{
    for (uint32_t l = 1; l < layers; l++)
        if (place[l] == DEVICE && place[l - 1] == STATION)
            return false;
    return true;
}

static void random_times(struct random *random, struct fake *fake)
{
    fake->places = 2;
    fake->layers = fake->model->layer_count;
    for (uint32_t l = 0; l < fake->layers; l++) {
        fake->layer_ns[STATION][l] = between(random, 0, 100000);
        fake->layer_ns[DEVICE][l] = between(random, 0, 300000);
    }
    fake->up_bytes_per_s[0] = (double)between(random, 1000000, 50000000);
    fake->down_bytes_per_s[0] = 1e7;
    fake->up_delay_ns[0] = between(random, 0, 50000);
    fake->down_delay_ns[0] = between(random, 0, 50000);
    fake->result_bytes = 400;
    fake->result_returns = random_unit(random) < 0.5;
    fake->result_to_station = !fake->result_returns && random_unit(random) < 0.5;
}

/* ---- random graphs */

/* A model and all that it points to: tensor 0 is its input, tensor l + 1 comes from layer l. */
struct graph {
    struct napm_tensor tensors[MOST_TENSORS];
    struct napm_layer layers[SMALL_LAYERS];
    const struct napm_tensor *tensor_table[MOST_TENSORS];
    const struct napm_layer *layer_table[SMALL_LAYERS];
    uint32_t inputs[SMALL_LAYERS][MOST_INPUTS], outputs[SMALL_LAYERS], model_input, model_outputs[MOST_TENSORS];
    struct napm_model model;
};

static void connect(struct random *random, struct graph *graph, uint32_t l)
{
    struct napm_layer *layer = &graph->layers[l];
    uint32_t wanted = (uint32_t)between(random, 1, MOST_INPUTS);
    graph->outputs[l] = l + 1;
    *layer = (struct napm_layer){
        .size = sizeof(*layer), .output_count = 1, .inputs = graph->inputs[l], .outputs = &graph->outputs[l]};
    while (layer->input_count < wanted && layer->input_count <= l) {
        uint32_t tensor = (uint32_t)between(random, l > 5 ? l - 5 : 0, l), seen = 0;
        for (uint32_t i = 0; i < layer->input_count; i++)
            seen |= graph->inputs[l][i] == tensor;
        if (!seen)
            graph->inputs[l][layer->input_count++] = tensor;
    }
    graph->layer_table[l] = layer;
}

static void random_graph(struct random *random, struct graph *graph)
{
    uint32_t layers = (uint32_t)between(random, 1, SMALL_LAYERS);
    bool used[MOST_TENSORS] = {false};
    *graph = (struct graph){.model_input = 0};
    for (uint32_t t = 0; t <= layers; t++) {
        graph->tensors[t] = (struct napm_tensor){.size = sizeof(graph->tensors[t]),
                                                 .producer = t ? t - 1 : NAPM_NONE,
                                                 .bytes = (uint64_t)between(random, 1, 600)};
        graph->tensor_table[t] = &graph->tensors[t];
    }
    graph->model = (struct napm_model){.size = sizeof(graph->model),
                                       .tensor_count = layers + 1,
                                       .layer_count = layers,
                                       .input_count = 1,
                                       .tensors = graph->tensor_table,
                                       .layers = graph->layer_table,
                                       .inputs = &graph->model_input,
                                       .outputs = graph->model_outputs};
    for (uint32_t l = 0; l < layers; l++) {
        connect(random, graph, l);
        for (uint32_t i = 0; i < graph->layers[l].input_count; i++)
            used[graph->inputs[l][i]] = true;
    }
    for (uint32_t t = 1; t <= layers; t++)
        if (!used[t] || random_unit(random) < 0.05)
            graph->model_outputs[graph->model.output_count++] = t;
}

static void assert_set_is_best(const struct fake *fake, const uint32_t *place)
{
    uint32_t scratch[MOST_LAYERS] = {0};
    double least_ns = try_all(fake, scratch, 0), found_ns = delay_of(fake, place);
    for (uint32_t l = 0; l < fake->layers; l++)
        assert_true(place[l] == STATION || may_run_on_device(fake->model, l, place));
    assert_true(fabs(found_ns - least_ns) <= MOST_TENSORS); /* times of tensors are whole nanoseconds to the plugin */
}

static void it_finds_what_trying_every_set_finds(void **state)
{
    (void)state;
    struct random random;
    uint32_t sets_that_are_no_cut = 0, better = 0;
    random_seed(&random, 1, "dag");
    for (int round = 0; round < 1500; round++) {
        struct graph graph;
        struct fake fake = {.model = &graph.model};
        uint32_t place[MOST_LAYERS];
        random_graph(&random, &graph);
        random_times(&random, &fake);
        fill_isolated(&fake);
        assert_int_equal(fake_plan(&fake, plugins, "min-cut", NULL, place), NAPM_OK);
        assert_set_is_best(&fake, place);
        double best_cut_ns = INFINITY;
        for (uint32_t c = 0; c <= fake.layers; c++)
            best_cut_ns = fmin(best_cut_ns, fake.isolated_ns[c]);
        sets_that_are_no_cut += !is_cut(place, fake.layers);
        better += delay_of(&fake, place) < 0.999 * best_cut_ns;
    }
    assert_true(sets_that_are_no_cut > 50 && better > 50); /* else a look at the cuts would do */
}

static void where_only_cuts_can_be_had_it_takes_the_best_of_those(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 2, "dag");
    for (int round = 0; round < 500; round++) {
        struct graph graph;
        struct fake fake = {.model = &graph.model, .cuts_only = true};
        uint32_t place[MOST_LAYERS];
        random_graph(&random, &graph);
        random_times(&random, &fake);
        fill_isolated(&fake);
        assert_int_equal(fake_plan(&fake, plugins, "min-cut", NULL, place), NAPM_OK);
        assert_true(is_cut(place, fake.layers));
        for (uint32_t c = 0; c <= fake.layers; c++)
            assert_true(delay_of(&fake, place) <= fake.isolated_ns[c] + MOST_TENSORS);
    }
}

static void a_node_that_cannot_run_the_model_gets_nothing(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 3, "dag");
    for (int round = 0; round < 60; round++) {
        struct graph graph;
        struct fake fake = {.model = &graph.model};
        uint32_t place[MOST_LAYERS];
        random_graph(&random, &graph);
        random_times(&random, &fake);
        fake.cannot_run[DEVICE] = round % 3 != 1;
        fake.cannot_run[STATION] = round % 3 != 0;
        fill_isolated(&fake);
        if (round % 3 == 2) { /* neither can */
            assert_int_equal(fake_plan(&fake, plugins, "min-cut", NULL, place), NAPM_ERR_INVALID);
            continue;
        }
        assert_int_equal(fake_plan(&fake, plugins, "min-cut", NULL, place), NAPM_OK);
        for (uint32_t l = 0; l < fake.layers; l++)
            assert_false(fake.cannot_run[place[l]]);
    }
}

static void a_cut_that_does_not_fit_gives_way_to_one_that_does(void **state)
{
    (void)state;
    struct random random;
    struct graph graph;
    struct fake fake = {.model = &graph.model};
    uint32_t place[MOST_LAYERS];
    random_seed(&random, 4, "dag");
    random_graph(&random, &graph);
    random_times(&random, &fake);
    for (uint32_t l = 0; l < fake.layers; l++)
        fake.layer_ns[STATION][l] = 1000000000; /* all-local is by far the best */
    fill_isolated(&fake);
    fake.isolated_ns[fake.layers] = INFINITY; /* but does not fit */
    assert_int_equal(fake_plan(&fake, plugins, "min-cut", NULL, place), NAPM_OK);
    assert_int_equal(place[fake.layers - 1], STATION);
}

/* ---- the zoo */

/* What this test takes to be sent at a cut is what the platform sends. */
static void assert_counts_the_tensors_that_cross(const struct fake *fake, const struct model *model)
{
    for (uint32_t c = 0; c < fake->layers; c++) {
        uint64_t bytes;
        model_cut(model, c, &bytes, NULL);
        double ns = (double)bytes * 1e9 / fake->up_bytes_per_s[0] + (double)fake->up_delay_ns[0];
        for (uint32_t l = 0; l < fake->layers; l++)
            ns += (double)fake->layer_ns[l < c ? DEVICE : STATION][l];
        if (fake->result_returns)
            ns += (double)fake->down_delay_ns[0] + (double)fake->result_bytes * 1e9 / fake->down_bytes_per_s[0];
        assert_true(fabs(ns - fake->isolated_ns[c]) < 1);
    }
}

static void it_finds_what_trying_every_set_finds_on_the_zoo(void **state)
{
    (void)state;
    static const char *const names[] = {"tiny-cnn", "tiny-resnet", "mobilenetv2"};
    struct random random;
    random_seed(&random, 5, "zoo");
    for (size_t m = 0; m < sizeof(names) / sizeof(names[0]); m++) {
        struct model *model = zoo_model(names[m]);
        for (int round = 0; round < 10; round++) {
            struct fake fake = {.model = model_view(model)};
            uint32_t place[MOST_LAYERS];
            assert_true(fake.model->layer_count <= MOST_LAYERS);
            random_times(&random, &fake);
            fill_isolated(&fake);
            assert_counts_the_tensors_that_cross(&fake, model);
            assert_int_equal(fake_plan(&fake, plugins, "min-cut", NULL, place), NAPM_OK);
            assert_set_is_best(&fake, place);
        }
        model_close(model);
    }
}

static int open_plugins(void **state)
{
    (void)state;
    plugins = builtin_catalogue();
    return plugins ? 0 : -1;
}

static int close_plugins(void **state)
{
    (void)state;
    catalogue_close(plugins);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_trying_every_set_finds),
        cmocka_unit_test(where_only_cuts_can_be_had_it_takes_the_best_of_those),
        cmocka_unit_test(a_node_that_cannot_run_the_model_gets_nothing),
        cmocka_unit_test(a_cut_that_does_not_fit_gives_way_to_one_that_does),
        cmocka_unit_test(it_finds_what_trying_every_set_finds_on_the_zoo),
    };
    return cmocka_run_group_tests(tests, open_plugins, close_plugins) != 0;
}
