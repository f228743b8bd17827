/* SPDX-License-Identifier: Apache-2.0 */
/* Problems made by hand or by chance, for tests and measurements of planning. */
#ifndef NAPM_TESTS_MAKE_PROBLEM_H
#define NAPM_TESTS_MAKE_PROBLEM_H

#include "core/planner/planner_problem.h"

/* One stream on a device of its own, which has the stream's number as node index; the station is the last node. */
struct make_stream {
    uint32_t layers;
    const int64_t *device_ns, *station_ns; /* by layer */
    const uint64_t *cut_bytes; /* by c below `layers` */
    const struct scenario_cut *memory; /* by c; NULL: needs none */
    uint32_t model; /* equal numbers share weights */
    uint64_t device_memory_bytes;
    uint64_t result_bytes;
    bool stays, to_station; /* default: the result of remote work returns */
    uint32_t tasks;
    int64_t deadline_ns;
    struct link_spec link; /* all zero but for the medium: not shaped; set medium_plus_1 to share */
    uint32_t medium_plus_1;
    uint32_t shares_device_with_plus_1; /* an earlier stream's number + 1: on its device and link */
    double busy_w, transmit_w; /* of its device */
    uint32_t relay_plus_1; /* its link ends at the device of that stream, not at the station */
    const int64_t *relay_ns; /* its layers there */
    const char *arrivals; /* default "periodic" */
    const char *option, *value; /* of the arrivals; default period = "1s" */
};

struct make {
    const struct make_stream *streams;
    uint32_t stream_count;
    const char *scheduler; /* default "fifo" */
    const char *scheduler_option, *scheduler_value;
    uint32_t workers; /* default 1 */
    uint32_t warmup_tasks;
    uint64_t station_memory_bytes;
    double station_busy_w, station_transmit_w;
    struct napm_objective objective; /* default (size 0): the mean delay */
    uint64_t seed;
};

struct problem *make_problem(const struct make *make);

/* A random one: every stream its own numbers. Times, sizes and rates are such that cuts and contention matter. */
struct problem *make_random_problem(uint64_t seed, uint32_t streams, uint32_t most_layers, uint32_t tasks,
                                    const char *scheduler);

/* The built-in plugins and the fixtures of the build tree. */
struct catalogue *make_catalogue(void);

#endif
