/* SPDX-License-Identifier: Apache-2.0 */
/* A problem of one stream on a way of any number of nodes. */
#include "tests/partitioner/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/builtin_plugins.h"

/* The problem made of a fake, and all it points to. Neither nodes nor links are numbered along the way. */
struct made {
    const struct fake *fake;
    struct napm_problem_node nodes[MOST_PLACES];
    struct napm_problem_link links[MOST_PLACES];
    struct napm_problem_cut cuts[MOST_LAYERS + 1];
    const struct napm_problem_node *node_table[MOST_PLACES];
    const struct napm_problem_link *link_table[MOST_PLACES];
    const struct napm_problem_cut *cut_table[MOST_LAYERS + 1];
    const int64_t *times[MOST_PLACES];
    uint32_t route_nodes[MOST_PLACES], route_links[MOST_PLACES];
    struct napm_problem_stream stream;
    const struct napm_problem_stream *stream_table[1];
    struct napm_problem problem;
};

static uint32_t node_at(const struct fake *fake, uint32_t place)
{
    return (place + 1) % fake->places; /* the station is 0 */
}

static uint32_t link_at(const struct fake *fake, uint32_t place)
{
    return fake->places - 2 - place;
}

static uint64_t range_sum(const struct fake *fake, uint32_t first, uint32_t end)
{
    uint64_t bytes = 0;
    for (uint32_t l = first; l < end; l++)
        bytes += fake->layer_bytes[l];
    return bytes;
}

static void make_way(struct made *made)
{
    const struct fake *fake = made->fake;
    for (uint32_t p = 0; p < fake->places; p++) {
        uint32_t node = node_at(fake, p), link = link_at(fake, p);
        made->route_nodes[p] = node;
        made->nodes[node] = (struct napm_problem_node){.size = sizeof(made->nodes[node]),
                                                       .is_station = p + 1 == fake->places,
                                                       .name = p + 1 == fake->places ? "station" : "device",
                                                       .memory_bytes = fake->memory_bytes[p]};
        made->node_table[node] = &made->nodes[node];
        made->times[node] = fake->cannot_run[p] ? NULL : fake->layer_ns[p];
        if (p + 1 == fake->places)
            continue;
        made->route_links[p] = link;
        made->links[link] = (struct napm_problem_link){.size = sizeof(made->links[link]),
                                                       .device = node,
                                                       .station = node_at(fake, p + 1),
                                                       .medium = NAPM_NONE,
                                                       .up_bytes_per_s = fake->up_bytes_per_s[p],
                                                       .down_bytes_per_s = fake->down_bytes_per_s[p],
                                                       .up_delay_ns = fake->up_delay_ns[p],
                                                       .down_delay_ns = fake->down_delay_ns[p]};
        made->link_table[link] = &made->links[link];
    }
}

static void make_stream(struct made *made)
{
    const struct fake *fake = made->fake;
    for (uint32_t c = 0; c <= fake->layers; c++) {
        made->cuts[c] = (struct napm_problem_cut){.size = sizeof(made->cuts[c]),
                                                  .tensor_count = 1,
                                                  .bytes = fake->cut_bytes[c],
                                                  .device_memory_bytes = range_sum(fake, 0, c),
                                                  .station_memory_bytes = range_sum(fake, c, fake->layers),
                                                  .feasible = 1};
        made->cut_table[c] = &made->cuts[c];
    }
    made->stream = (struct napm_problem_stream){.size = sizeof(made->stream),
                                                .device = node_at(fake, 0),
                                                .name = "s",
                                                .link = link_at(fake, 0),
                                                .layer_count = fake->layers,
                                                .model = fake->model,
                                                .layer_ns = made->times,
                                                .cuts = made->cut_table,
                                                .result_bytes = fake->result_bytes,
                                                .result_returns = fake->result_returns,
                                                .result_to_station = fake->result_to_station,
                                                .route_count = fake->places,
                                                .weight = 1,
                                                .route_nodes = made->route_nodes,
                                                .route_links = made->route_links};
    made->stream_table[0] = &made->stream;
}

static void make_problem_of(const struct fake *fake, struct made *made)
{
    *made = (struct made){.fake = fake};
    make_way(made);
    make_stream(made);
    made->problem = (struct napm_problem){.size = sizeof(made->problem),
                                          .station = 0,
                                          .node_count = fake->places,
                                          .link_count = fake->places - 1,
                                          .stream_count = 1,
                                          .nodes = made->node_table,
                                          .links = made->link_table,
                                          .streams = made->stream_table};
}

/* ---- the evaluator */

static int32_t evaluate(const struct napm_evaluator *table, const struct napm_plan *plan,
                        struct napm_evaluation *result)
{
    const struct made *made = table->context;
    const uint32_t *row = plan->node_of_layer[0];
    for (uint32_t l = 1; l < made->fake->layers && made->fake->cuts_only; l++)
        if (row[l] == made->stream.device && row[l - 1] != made->stream.device)
            return NAPM_ERR_INVALID;
    result->feasible = 1;
    return NAPM_OK;
}

static double isolated_ns(const struct napm_evaluator *table, uint32_t stream, uint32_t c)
{
    (void)stream;
    return ((const struct made *)table->context)->fake->isolated_ns[c];
}

static uint32_t task_count(const struct napm_evaluator *table, uint32_t stream)
{
    (void)table;
    (void)stream;
    return 1;
}

static uint64_t range_bytes(const struct napm_evaluator *table, uint32_t stream, uint32_t first, uint32_t end)
{
    (void)stream;
    return range_sum(((const struct made *)table->context)->fake, first, end);
}

/* ---- planning */

static uint32_t place_of(const struct made *made, uint32_t node)
{
    uint32_t place = 0;
    while (place < made->fake->places && made->route_nodes[place] != node)
        place++;
    assert_true(place < made->fake->places);
    return place;
}

int32_t fake_plan(const struct fake *fake, struct catalogue *catalogue, const char *partitioner,
                  const char *const *options, uint32_t *place_of_layer)
{
    struct made made;
    struct error error = {0};
    uint32_t row[MOST_LAYERS] = {0}, *rows[] = {row};
    struct napm_plan plan = {sizeof(plan), 1, rows};
    make_problem_of(fake, &made);
    const struct napm_evaluator evaluator = {.size = sizeof(evaluator),
                                             .context = &made,
                                             .evaluate = evaluate,
                                             .isolated_ns = isolated_ns,
                                             .task_count = task_count,
                                             .range_bytes = range_bytes};
    struct instance *instance = builtin_instance(catalogue, NAPM_KIND_PARTITIONER, partitioner, options, 1, &error);
    if (!instance)
        fail_msg("%s", error.text);
    int32_t status = instance->hook.partitioner.plan(instance->self, &made.problem, &evaluator, &plan);
    instance_close(instance);
    for (uint32_t l = 0; l < fake->layers && status == NAPM_OK; l++)
        place_of_layer[l] = place_of(&made, row[l]);
    return status;
}
