/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the ledger: the list of runs, everything about one run, and its rows. Texts and arrays belong to the
 * structure they are in. Statistics are over the tasks that count: ok, and not the stream's first warm-up tasks.
 */
#ifndef NAPM_LEDGER_QUERY_H
#define NAPM_LEDGER_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ledger/ledger.h"

/* One run, in short. */
struct run_head {
    int64_t id;
    char *status; /* "interrupted" also where its process is gone and nobody could note it */
    char *cause; /* NULL where done or running */
    char *scenario_name, *scenario_path, *world, *host;
    char *partitioner, *scheduler; /* "name version"; NULL where the run did not come that far */
    uint64_t seed;
    uint32_t repetition;
    int64_t replay_of; /* the run that it replays; 0: none */
    int64_t began_ns, ended_ns; /* since 1970; ended_ns 0: not ended */
    uint64_t ok, failed, unfinished, warmups; /* tasks; warmups are not among the others */
    double mean_delay_ns; /* NAN without tasks that count */
};

/* The name in "name version"; NULL stays NULL. free() it. */
char *query_plugin_name(const char *with_version);

/* Delays of the tasks that count. All NAN where there are none. */
struct delay_summary {
    double mean_ns, median_ns, p99_ns, minimum_ns, maximum_ns, variance_ns2, total_ns;
};

struct stream_summary {
    uint32_t stream;
    char *name, *device, *model;
    uint32_t layer_count, task_count; /* of the model; tasks that the scenario asks for */
    bool planned; /* a plan is there, so what is below is */
    uint32_t cut;
    char *cut_layer; /* last layer on the device; NULL where it is none (cut 0), or the placement is a set */
    /* Where the placement is no cut of the layer order; else both NULL. */
    char *set; /* the layers before the station's, in words: "stem, b1 to b3" */
    char *placement; /* the node of each layer, by layer: "phone phone station phone station" */
    char *
        way; /* how many layers run where: "watch 0, phone 8, station 3"; NULL: the way leads straight to the station */
    uint64_t cut_bytes;
    double predicted_ns[PHASE_COUNT];
    uint64_t ok, failed, unfinished, warmups;
    struct delay_summary delay;
    double phase_ns[PHASE_COUNT]; /* means */
    double device_wait_ns, device_compute_ns, station_compute_ns; /* means */
    double energy_j, sending_j; /* means, of all nodes; sending_j is a part of energy_j; NAN: not known */
    uint64_t deadline_misses; /* of tasks that count */
    int64_t deadline_ns; /* 0: none */
};

struct link_summary {
    char *name, *medium, *direction, *method; /* medium NULL: its own */
    double requested_bytes_per_s, achieved_bytes_per_s; /* 0: not limited */
    int64_t requested_delay_ns, achieved_delay_ns;
    int64_t jitter_ns, repair_ns; /* as requested, like loss */
    double loss;
};

struct node_summary {
    char *name, *backend, *host, *machine, *system, *lost_cause;
    bool is_station;
    uint32_t threads, workers, processors;
    double cpu_share;
    uint64_t memory_limit_bytes, memory_bytes, samples;
    double mean_cpu; /* in cores; NAN without samples */
    uint64_t most_resident_bytes;
    uint64_t received_bytes, sent_bytes;
    double idle_w, busy_w, transmit_w; /* its power model */
    double busy_ns, air_ns; /* computing and sending for tasks; NAN: not counted */
};

struct plugin_summary {
    char *role, *kind, *name, *version, *file, *options;
};

/* Why tasks failed, most frequent first. */
struct cause_summary {
    char *cause, *stream;
    uint64_t tasks;
};

/* One of a run's plans, and what came of the tasks that started by it and count. */
struct plan_summary {
    uint32_t plan; /* 0: the one that the run began with */
    int64_t asked_ns; /* run clock: made for the conditions of that moment */
    int64_t planning_ns;
    double taken_ns; /* run clock: when the last stream began to start tasks by it; NAN: none did */
    uint64_t streams_changed; /* whose cuts differ from those of the plan before */
    double predicted_mean_ns;
    uint64_t tasks_ok;
    double mean_delay_ns; /* NAN: no such task */
};

struct run_summary {
    struct run_head head;
    char *scenario_text, *platform_version, *processor, *system;
    bool planned;
    int64_t planning_ns;
    double predicted_total_ns, predicted_mean_ns, predicted_variance_ns2; /* of plan 0, as in the streams */
    double energy_j, predicted_energy_j; /* of a task; NAN: no node has a power model */
    double last_end_ns; /* of all tasks; NAN: there are none */
    struct delay_summary delay; /* over all streams */
    struct stream_summary *streams;
    struct link_summary *links;
    struct node_summary *nodes;
    struct plugin_summary *plugins;
    struct cause_summary *causes;
    struct plan_summary *plans;
    size_t stream_count, link_count, node_count, plugin_count, cause_count, plan_count;
};

/* The runs, newest first, at most `most` (0: all). -1 on error. End with query_runs_free. */
int query_runs(struct ledger *ledger, size_t most, struct run_head **runs, size_t *count, struct error *error);
void query_runs_free(struct run_head *runs, size_t count);

/* The number of the newest run, or -1 with an error where there is none. */
int64_t query_newest_run(struct ledger *ledger, struct error *error);

/* NULL where there is no such run (the error names those there are). End with query_run_free. */
struct run_summary *query_run(struct ledger *ledger, int64_t run, struct error *error);
void query_run_free(struct run_summary *summary);

/*
 * Calls `task` for every task of a run that has ended. `by`: QUERY_BY_STREAM, in the order of stream and number, or a
 * phase: only tasks that are ok, by when that phase began. Layer times and digests are not read. Of the devices on a
 * task's way those are read that it came to. `task` must not use the
 * ledger; where it returns other than 0 the reading ends. Returns 0, or -1 on error or where `task` ended it.
 */
enum { QUERY_BY_STREAM = PHASE_COUNT };
int query_tasks(struct ledger *ledger, int64_t run, int by, int (*task)(void *context, const struct task_record *task),
                void *context, struct error *error);

/* The same for a run's samples, in the order of time. */
int query_samples(struct ledger *ledger, int64_t run, int (*sample)(void *context, const struct node_sample *sample),
                  void *context, struct error *error);

/* What of a run can be given out row by row. */
struct query_rows {
    const char *name; /* "tasks", "hops", "layers", "samples", "plan", "links", "nodes", "plugins" */
    const char *summary;
};
extern const struct query_rows query_row_kinds[];
extern const size_t query_row_kind_count;

enum query_type { QUERY_NULL, QUERY_INTEGER, QUERY_REAL, QUERY_TEXT };
struct query_value {
    enum query_type type;
    int64_t integer;
    double real;
    const char *text; /* valid during the call */
};

/*
 * Calls `row` for every row of that kind, in the order of stream and task, with the columns' names. Ends early where
 * `row` returns other than 0. Returns 0, or -1 on error or where `row` ended it.
 */
int query_rows(struct ledger *ledger, int64_t run, const char *kind,
               int (*row)(void *context, size_t count, const char *const *names, const struct query_value *values),
               void *context, struct error *error);

#endif
