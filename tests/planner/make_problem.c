/* SPDX-License-Identifier: Apache-2.0 */
/* Problems made by hand or by chance. */
#include "tests/planner/make_problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/random.h"

#define SLOWEST_PERIOD_MS 60

static struct plugin_choice make_choice(struct arena *arena, const char *name, const char *option, const char *value)
{
    struct option_setting *setting = ARENA_ARRAY(arena, struct option_setting, 1);
    *setting = (struct option_setting){option, value, "test:1"};
    return (struct plugin_choice){name, "test:1", setting, option != NULL};
}

static void make_cuts(struct arena *arena, const struct make *make, const struct make_stream *from,
                      struct napm_problem_stream *view)
{
    struct napm_problem_cut *cuts = ARENA_ARRAY(arena, struct napm_problem_cut, from->layers + 1);
    const struct napm_problem_cut **table = ARENA_ARRAY(arena, const struct napm_problem_cut *, from->layers + 1);
    for (uint32_t c = 0; c <= from->layers; c++) {
        cuts[c] = (struct napm_problem_cut){.size = sizeof(cuts[c]), .tensor_count = 1, .feasible = 1};
        cuts[c].bytes = c < from->layers ? from->cut_bytes[c] : from->to_station ? from->result_bytes : 0;
        if (from->memory) {
            cuts[c].device_memory_bytes = from->memory[c].device_weight_bytes + from->memory[c].device_activation_bytes;
            cuts[c].station_memory_bytes =
                from->memory[c].station_weight_bytes + from->memory[c].station_activation_bytes;
            cuts[c].feasible =
                (!from->device_memory_bytes || cuts[c].device_memory_bytes <= from->device_memory_bytes) &&
                (!make->station_memory_bytes || cuts[c].station_memory_bytes <= make->station_memory_bytes);
        }
        table[c] = &cuts[c];
    }
    view->cuts = table;
}

static void make_stream(struct problem *problem, const struct make *make, uint32_t i, struct napm_problem_stream *view,
                        struct problem_stream *stream)
{
    const struct make_stream *from = &make->streams[i];
    struct arena *arena = &problem->arena;
    const int64_t **times = ARENA_ARRAY(arena, const int64_t *, make->stream_count + 1);
    uint32_t place = from->shares_device_with_plus_1 ? from->shares_device_with_plus_1 - 1 : i;
    times[place] = from->device_ns;
    times[make->stream_count] = from->station_ns;
    *view = (struct napm_problem_stream){
        .size = sizeof(*view),
        .device = place,
        .name = arena_text(arena, "s%u", i),
        .link = place,
        .layer_count = from->layers,
        .layer_ns = times,
        .result_bytes = from->result_bytes,
        .result_returns = !from->stays && !from->to_station,
        .result_to_station = from->to_station,
        .deadline_ns = from->deadline_ns,
        .task_count = from->tasks,
        .route_count = from->relay_plus_1 ? 3 : 2,
        .weight = 1,
    };
    uint32_t *nodes = ARENA_ARRAY(arena, uint32_t, 3), *route_links = ARENA_ARRAY(arena, uint32_t, 2);
    nodes[0] = route_links[0] = place;
    if (from->relay_plus_1) {
        nodes[1] = route_links[1] = from->relay_plus_1 - 1;
        times[nodes[1]] = from->relay_ns;
    }
    nodes[view->route_count - 1] = make->stream_count;
    view->route_nodes = nodes;
    view->route_links = route_links;
    make_cuts(arena, make, from, view);
    *stream = (struct problem_stream){.cuts = from->memory, .model = from->model};
    stream->arrivals = from->arrivals ? make_choice(arena, from->arrivals, from->option, from->value)
                                      : make_choice(arena, "periodic", "period", from->value ? from->value : "1s");
}

static void make_nodes(struct problem *problem, const struct make *make)
{
    struct arena *arena = &problem->arena;
    uint32_t count = make->stream_count + 1;
    struct napm_problem_node *nodes = ARENA_ARRAY(arena, struct napm_problem_node, count);
    const struct napm_problem_node **table = ARENA_ARRAY(arena, const struct napm_problem_node *, count);
    for (uint32_t i = 0; i < count; i++) {
        bool station = i == make->stream_count;
        nodes[i] = (struct napm_problem_node){
            .size = sizeof(nodes[i]),
            .is_station = station,
            .name = station ? "station" : arena_text(arena, "d%u", i),
            .memory_bytes = station ? make->station_memory_bytes : make->streams[i].device_memory_bytes,
            .workers = station && make->workers ? make->workers : 1,
            .busy_w = station ? make->station_busy_w : make->streams[i].busy_w,
            .transmit_w = station ? make->station_transmit_w : make->streams[i].transmit_w,
        };
        table[i] = &nodes[i];
    }
    problem->view.nodes = table;
    problem->view.node_count = count;
    problem->view.station = make->stream_count;
}

static double shown_rate(const struct link_conditions *conditions)
{
    return conditions->bytes_per_s > 0 ? conditions->bytes_per_s : INFINITY;
}

struct problem *make_problem(const struct make *make)
{
    struct problem *problem = NEW(struct problem);
    struct arena *arena = &problem->arena;
    uint32_t count = make->stream_count;
    problem->view.size = sizeof(problem->view);
    struct napm_objective *objective = ARENA_ARRAY(arena, struct napm_objective, 1);
    *objective = make->objective;
    if (objective->size == 0)
        *objective = (struct napm_objective){.size = sizeof(*objective), .delay_per_s = 1};
    problem->view.objective = objective;
    problem->workers = make->workers ? make->workers : 1;
    problem->warmup_tasks = make->warmup_tasks;
    problem->seed = make->seed;
    problem->model_count = count;
    problem->scheduler =
        make_choice(arena, make->scheduler ? make->scheduler : "fifo", make->scheduler_option, make->scheduler_value);
    make_nodes(problem, make);
    struct napm_problem_stream *views = ARENA_ARRAY(arena, struct napm_problem_stream, count);
    struct problem_stream *streams = ARENA_ARRAY(arena, struct problem_stream, count);
    const struct napm_problem_stream **table = ARENA_ARRAY(arena, const struct napm_problem_stream *, count);
    struct napm_problem_link *link_views = ARENA_ARRAY(arena, struct napm_problem_link, count);
    const struct napm_problem_link **link_table = ARENA_ARRAY(arena, const struct napm_problem_link *, count);
    struct link_spec *links = ARENA_ARRAY(arena, struct link_spec, count);
    for (uint32_t i = 0; i < count; i++) {
        make_stream(problem, make, i, &views[i], &streams[i]);
        table[i] = &views[i];
        links[i] = make->streams[i].link;
        links[i].medium = make->streams[i].medium_plus_1 ? make->streams[i].medium_plus_1 - 1 : LINK_NO_MEDIUM;
        link_views[i] =
            (struct napm_problem_link){.size = sizeof(link_views[i]),
                                       .device = i,
                                       .station = count,
                                       .medium = links[i].medium == LINK_NO_MEDIUM ? NAPM_NONE : links[i].medium,
                                       .up_bytes_per_s = shown_rate(&links[i].conditions[LINK_UP]),
                                       .down_bytes_per_s = shown_rate(&links[i].conditions[LINK_DOWN]),
                                       .up_delay_ns = links[i].conditions[LINK_UP].delay_ns,
                                       .down_delay_ns = links[i].conditions[LINK_DOWN].delay_ns};
        link_table[i] = &link_views[i];
    }
    problem->view.streams = table;
    problem->view.stream_count = count;
    problem->view.links = link_table;
    problem->view.link_count = count;
    problem->stream_views = views;
    problem->streams = streams;
    problem->links = links;
    return problem;
}

/* ---- by chance */

static int64_t between(struct random *random, int64_t least, int64_t most)
{
    return least + (int64_t)(random_unit(random) * (double)(most - least + 1));
}

/* Layers that a device computes several times slower than the station; tensors that mostly shrink. */
static void random_stream(struct arena *arena, struct random *random, uint32_t most_layers, uint32_t tasks,
                          struct make_stream *stream)
{
    uint32_t layers = (uint32_t)between(random, most_layers / 2 + 1, most_layers);
    int64_t *device_ns = ARENA_ARRAY(arena, int64_t, layers), *station_ns = ARENA_ARRAY(arena, int64_t, layers);
    uint64_t *bytes = ARENA_ARRAY(arena, uint64_t, layers);
    double slowness = 2 + 8 * random_unit(random);
    for (uint32_t l = 0; l < layers; l++) {
        station_ns[l] = between(random, 10000, 40000000 / layers);
        device_ns[l] = (int64_t)((double)station_ns[l] * slowness * (0.7 + 0.6 * random_unit(random)));
        bytes[l] = (uint64_t)between(random, 500, 150000 * (int64_t)(layers - l) / layers + 600);
    }
    *stream = (struct make_stream){
        .layers = layers,
        .device_ns = device_ns,
        .station_ns = station_ns,
        .cut_bytes = bytes,
        .result_bytes = 4000,
        .stays = random_unit(random) < 0.2,
        .to_station = random_unit(random) < 0.2,
        .tasks = tasks,
        .medium_plus_1 = random_unit(random) < 0.6,
        .value = arena_text(arena, "%dms", (int)between(random, 10, SLOWEST_PERIOD_MS)),
    };
    stream->stays = stream->stays && !stream->to_station;
    for (int way = 0; way < 2; way++)
        stream->link.conditions[way] = (struct link_conditions){
            .bytes_per_s = random_unit(random) < 0.1 ? 0 : (double)between(random, 1000000, 12000000),
            .delay_ns = between(random, 0, 5000000),
            .jitter_ns = between(random, 0, 1000000),
            .loss = random_unit(random) < 0.3 ? 0.01 : 0,
            .repair_ns = 10000000,
        };
}

struct problem *make_random_problem(uint64_t seed, uint32_t streams, uint32_t most_layers, uint32_t tasks,
                                    const char *scheduler)
{
    struct random random;
    struct arena arena = {0};
    struct make_stream *made = ARENA_ARRAY(&arena, struct make_stream, streams);
    random_seed(&random, seed, "problem");
    for (uint32_t i = 0; i < streams; i++)
        random_stream(&arena, &random, most_layers, tasks, &made[i]);
    struct problem *problem =
        make_problem(&(struct make){.streams = made, .stream_count = streams, .scheduler = scheduler, .seed = seed});
    for (size_t i = 0; i < arena.blocks.count; i++)
        arena_keep(&problem->arena, arena.blocks.items[i]);
    ARRAY_FREE(&arena.blocks);
    return problem;
}

struct catalogue *make_catalogue(void)
{
    struct error error = {0};
    const char *build = getenv("top_builddir") ? getenv("top_builddir") : ".";
    char *plugins = text_format("%s/plugins/.libs", build);
    char *fixtures = text_format("%s/tests/planner/fixtures/.libs", build);
    const char *folders[] = {plugins, fixtures, NULL};
    struct catalogue *catalogue = catalogue_open(folders, &error);
    if (!catalogue) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    free(plugins);
    free(fixtures);
    return catalogue;
}
