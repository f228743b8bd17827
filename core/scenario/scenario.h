/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scenario: the checked content of a scenario file. Reading it finds every mistake that can be found without
 * starting anything, and names file:line and the remedy.
 */
#ifndef NAPM_SCENARIO_SCENARIO_H
#define NAPM_SCENARIO_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <napm/problem.h>

#include "core/base/error.h"
#include "core/link/link.h"
#include "core/model/model.h"
#include "core/plugin/catalogue.h"

/* What a node draws, in watts: all 0 where the scenario has no power model of it. */
struct scenario_power {
    double idle_w; /* at rest */
    double busy_w, transmit_w; /* on top of that: while it computes, while it sends */
};

/* How fast a node is that is not measured: for the simulated world. */
struct scenario_speed {
    const char *profile; /* a file with layer times; NULL: none */
    double flop_per_s, memory_bytes_per_s; /* of a node that does not exist; 0: not said */
    double variation; /* coefficient of variation of computing times: 0 or more, default 0 */
};

struct scenario_node {
    const char *name;
    const char *where; /* "file:line" */
    bool is_station;
    uint32_t threads; /* threads of its backend */
    double cpu_share; /* 0 < share <= 1: its speed beside this machine's, by pacing against processor time */
    uint64_t memory_bytes; /* 0: not limited */
    uint32_t workers; /* station: slices computed at once */
    struct plugin_choice backend;
    struct scenario_power power;
    struct scenario_speed speed;
    struct plugin_choice stress; /* load generator with napm.loadgen.stress; name NULL: none */
};

/* A point of a rate trace: from then on. */
struct scenario_rate {
    int64_t at_ns;
    double bytes_per_s;
};

struct scenario_trace {
    const struct scenario_rate *points; /* ascending */
    uint32_t count; /* 0: the rate does not change */
};

struct scenario_link {
    const char *name; /* defaults to the device's name */
    const char *where;
    uint32_t device; /* node index of the lower end */
    uint32_t upper; /* node index of the other end: the station, or a device that is nearer to it */
    struct link_spec spec;
    const char *medium_name; /* NULL: none */
    struct scenario_trace traces[2]; /* by enum link_direction */
};

/* An input tensor's source. */
struct scenario_input {
    const char *path; /* .npy, .pb or a CIFAR-10 batch (.bin); NULL: synthetic, seeded */
    uint32_t record; /* CIFAR-10: which picture */
};

struct scenario_stream {
    const char *name; /* defaults to the device's name */
    const char *where;
    uint32_t device; /* node index */
    uint32_t link; /* link index */
    uint32_t model; /* index in scenario.models */
    uint32_t task_count; /* at most so many tasks, 1 or more */
    int64_t deadline_ns; /* relative; 0: none */
    int32_t priority;
    double weight; /* default 1 */
    bool result_returns; /* default true */
    bool result_to_station; /* default false */
    const struct scenario_input *inputs; /* one for each model input */
    struct plugin_choice arrivals;
    const int64_t *
        starts_ns; /* ascending; of a recorded run, in place of what `arrivals` says, unless that waits for ends of tasks */
    uint32_t start_count;
};

/* Something that changes in mid-run. */
struct scenario_event {
    int64_t at_ns;
    const char *where;
    enum { SCENARIO_LINK, SCENARIO_CPU, SCENARIO_LEAVE, SCENARIO_RETURN } what;
    uint32_t index; /* of the link, or of the node */
    struct link_conditions conditions[2]; /* SCENARIO_LINK: below 0 what stays as it is */
    double cpu_share; /* SCENARIO_CPU */
};

/* What the two sides of a cut need, in the plain layout (see model_part_memory). */
struct scenario_cut {
    uint64_t device_weight_bytes, device_activation_bytes;
    uint64_t station_weight_bytes, station_activation_bytes;
};

struct scenario_model {
    const char *path; /* as found: beside the scenario file */
    struct model *model;
    const struct scenario_cut *cuts; /* the model's layer count + 1, by c */
};

struct scenario {
    const char *path;
    const char *name;
    const char *text; /* the file's text with the --set overrides appended as comments: kept in the ledger */
    const char *world; /* "local", "sim" (later "ssh") */
    const char *world_where; /* "FILE:LINE" or "--set world"; the path where it is the default */
    uint64_t seed;
    uint32_t station; /* node index */
    uint32_t node_count, link_count, stream_count, model_count, medium_count;
    const struct scenario_node *nodes; /* in file order; `count = 3` gives name1..name3 */
    const struct scenario_link *links;
    const uint32_t *link_of_node; /* by node: its link up; UINT32_MAX for the station */
    const struct scenario_stream *streams;
    const struct scenario_model *models;
    const char *const *media; /* names by medium number */
    const struct scenario_event *events; /* ascending by time, those of one moment in file order */
    uint32_t event_count;
    int64_t replan_every_ns; /* 0: not by the clock */
    bool replan_on_change; /* whenever an event or a trace changes something */
    int64_t replan_takes_ns; /* in virtual time, until a plan that was asked for is in force */
    struct plugin_choice partitioner, scheduler;
    struct napm_objective objective; /* default: the mean delay alone */
    uint32_t profile_warmups, profile_repeats; /* passes over the model: defaults 2 and 15 */
    uint32_t warmup_tasks; /* first tasks of each stream that are run but not counted: default 0 */
    int64_t time_limit_ns; /* a run that lasts longer is stopped and recorded as such: default 10 min */
    int64_t silence_ns; /* a node, or a plugin in one call, may be silent for so long: default 10 s */
    int64_t sample_every_ns; /* period of node samples: default 200 ms, 0: none */
    struct scenario_private *private_part;
};

/* One --set path=value, such as "nodes.pi1.cpu=0.5", "seed=3" or "partitioner.plugin=\"station-only\"". */
struct scenario_override {
    const char *path;
    const char *value;
};

/*
 * Reads and checks; opens the models (each file once); checks plugin choices against the catalogue, unless that is
 * NULL. The whole is owned by the scenario and constant until scenario_close. NULL on error, which is ERROR_INPUT and
 * begins with "file:line" or "--set path".
 */
struct scenario *scenario_open(const char *path, const struct scenario_override *overrides, size_t override_count,
                               struct catalogue *catalogue, struct error *error);
/*
 * The same of a recorded run: `text` as a scenario has it, with its lines of overrides at the end, in place of the file's;
 * what it names is looked for beside `path`. Its overrides come before those given.
 */
struct scenario *scenario_open_recorded(const char *path, const char *text, const struct scenario_override *overrides,
                                        size_t override_count, struct catalogue *catalogue, struct error *error);
void scenario_close(struct scenario *scenario);

/* Before the scenario is put to use: arrivals and conditions as a run had them. The starts are copied. */
void scenario_set_starts(struct scenario *scenario, uint32_t stream, const int64_t *starts_ns, uint32_t count);
void scenario_set_link(struct scenario *scenario, uint32_t link, enum link_direction direction, double bytes_per_s,
                       int64_t delay_ns);

/* Whether a node's layer times are measured, rather than stated by a file or an estimate. */
bool scenario_is_measured(const struct scenario_node *node);
/* Whether any node has a power model, so that there is energy to speak of. */
bool scenario_has_power(const struct scenario *scenario);
/* Devices on the way from a device to the station, itself counted: 1 where its link ends at the station. */
uint32_t scenario_way_length(const struct scenario *scenario, uint32_t device);

#endif
