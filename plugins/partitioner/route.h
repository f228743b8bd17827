/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's way from its device to the station: its nodes, its links, and what sending over them takes. */
#ifndef NAPM_PLUGINS_PARTITIONER_ROUTE_H
#define NAPM_PLUGINS_PARTITIONER_ROUTE_H

#include <napm/plugin.h>
#include <napm/problem.h>

/* Nodes on the way, 2 or more. A platform that knows no ways joins each device to the station. */
static inline uint32_t route_count(const struct napm_problem_stream *stream)
{
    return NAPM_HAS(stream, struct napm_problem_stream, route_links) && stream->route_nodes ? stream->route_count : 2;
}

static inline uint32_t route_node(const struct napm_problem *problem, const struct napm_problem_stream *stream,
                                  uint32_t place)
{
    if (route_count(stream) > 2)
        return stream->route_nodes[place];
    return place ? problem->station : stream->device;
}

/* The link between the nodes at `place` and `place` + 1. */
static inline const struct napm_problem_link *route_link(const struct napm_problem *problem,
                                                         const struct napm_problem_stream *stream, uint32_t place)
{
    return problem->links[route_count(stream) > 2 ? stream->route_links[place] : stream->link];
}

/* Time of so many bytes over one link, or of more bytes over one that is busy already: without the delay. */
static inline double route_air_ns(double bytes_per_s, uint64_t bytes)
{
    return bytes_per_s > 0 ? (double)bytes * 1e9 / bytes_per_s : 0;
}

/* Time of one frame up the link at `place`. */
static inline double route_up_ns(const struct napm_problem *problem, const struct napm_problem_stream *stream,
                                 uint32_t place, uint64_t bytes)
{
    const struct napm_problem_link *link = route_link(problem, stream, place);
    return (double)link->up_delay_ns + route_air_ns(link->up_bytes_per_s, bytes);
}

/* Time of the result back from the node at `place` to the device; 0 where it does not return. */
static inline double route_return_ns(const struct napm_problem *problem, const struct napm_problem_stream *stream,
                                     uint32_t place)
{
    double back_ns = 0;
    for (uint32_t i = 0; i < place && stream->result_returns; i++) {
        const struct napm_problem_link *link = route_link(problem, stream, i);
        back_ns += (double)link->down_delay_ns + route_air_ns(link->down_bytes_per_s, stream->result_bytes);
    }
    return back_ns;
}

/* Time of the result from the node at `place` on to the station, where the stream wants it there. */
static inline double route_report_ns(const struct napm_problem *problem, const struct napm_problem_stream *stream,
                                     uint32_t place)
{
    double on_ns = 0;
    for (uint32_t i = place; i + 1 < route_count(stream) && stream->result_to_station; i++)
        on_ns += route_up_ns(problem, stream, i, stream->result_bytes);
    return on_ns;
}

#endif
