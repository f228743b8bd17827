/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader of a run must know before trusting its figures. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/cli/report_parts.h"
#include "core/link/link.h"

/* Conditions that differ from the request by more than this make a run another experiment than the one asked for. */
#define TOLERATED_SHARE 0.05
#define RARE 0.01 /* an outcome of chance less likely than this is worth a warning */

static bool differs(double asked, double achieved)
{
    return fabs(achieved - asked) > TOLERATED_SHARE * asked;
}

/*
 * The least rate that the probe's frame may come to where packets are lost: as the frame takes about LINK_PROBE_S, so
 * many rounds of repair as only one frame in a hundred exceeds, and the air of what is sent again.
 */
static double least_rate_with_loss(const struct link_summary *link)
{
    double asked = link->requested_bytes_per_s;
    if (link->loss <= 0)
        return asked;
    double took_s = fmax(LINK_PROBE_S, LINK_PACKET_BYTES / asked);
    double packets = ceil(asked * took_s / LINK_PACKET_BYTES), lost = packets * link->loss;
    double rounds = fmax(1, ceil(log(RARE / packets) / log(link->loss)));
    double again = (lost + 3 * sqrt(lost)) / (1 - link->loss) / packets;
    double jitter_s = (double)link->jitter_ns / NS_PER_S;
    return asked * took_s / (took_s * (1 + again) + rounds * (double)link->repair_ns / NS_PER_S + jitter_s);
}

static void warn_of_rate(struct report_warnings *warnings, const struct link_summary *link)
{
    char asked[UNITS_TEXT_BYTES], achieved[UNITS_TEXT_BYTES];
    double least = least_rate_with_loss(link), rate = link->achieved_bytes_per_s;
    if (!differs(link->requested_bytes_per_s, rate))
        return;
    if (link->loss > 0 && rate < link->requested_bytes_per_s && rate >= least * (1 - TOLERATED_SHARE))
        return;
    *ARRAY_ADD(warnings) = text_format(
        "link %s %s: asked for %s, achieved %s%s: these conditions were not met", link->name, link->direction,
        units_format_rate(asked, link->requested_bytes_per_s), units_format_rate(achieved, rate),
        link->loss > 0 ? " (what loss and its repair take is included)" : "");
}

static void warn_of_link(struct report_warnings *warnings, const struct link_summary *link)
{
    char asked[UNITS_TEXT_BYTES], achieved[UNITS_TEXT_BYTES];
    if (link->requested_bytes_per_s > 0)
        warn_of_rate(warnings, link);
    double delay_ns = (double)link->requested_delay_ns, achieved_ns = (double)link->achieved_delay_ns;
    /* A probe is a few frames: their median wanders with what was asked to be random, and with the machine's wake-ups. */
    double random_ns = (double)link->jitter_ns + (link->loss > 0 ? (double)link->repair_ns : 0);
    if (differs(delay_ns, achieved_ns) &&
        fabs(achieved_ns - delay_ns) > fmax(random_ns, (double)LINK_PROBE_RESOLUTION_NS))
        *ARRAY_ADD(warnings) = text_format(
            "link %s %s: asked for a delay of %s, achieved %s: these conditions were not met", link->name,
            link->direction, units_format_duration(asked, delay_ns), units_format_duration(achieved, achieved_ns));
}

/* A run that was cut short has tasks that never began. */
static void warn_of_missing_tasks(struct report_warnings *warnings, const struct stream_summary *stream)
{
    uint64_t ended = stream->ok + stream->failed + stream->unfinished + stream->warmups;
    if (ended < stream->task_count)
        *ARRAY_ADD(warnings) = text_format("only %" PRIu64 " of the %" PRIu32 " tasks of %s were begun and have ended",
                                           ended, stream->task_count, stream->name);
}

/* The run's own cause, which stands above the warnings, may be this one. */
static bool is_told(const struct run_summary *summary, const char *cause)
{
    return summary->head.cause && strstr(summary->head.cause, cause);
}

static bool is_backend(const struct node_summary *node, const char *label)
{
    return node->backend && strcmp(node->backend, label) == 0;
}

/* Backends that spend times instead of computing say where those come from: "NAME VERSION (estimated)". */
static void tell_origin(struct report_warnings *warnings, const struct run_summary *summary, size_t first)
{
    const char *label = summary->nodes[first].backend, *bracket = label ? strrchr(label, '(') : NULL;
    size_t others = 0;
    if (!bracket)
        return;
    for (size_t i = 0; i < summary->node_count; i++)
        if (i < first && is_backend(&summary->nodes[i], label))
            return;
        else
            others += i > first && is_backend(&summary->nodes[i], label);
    char *more = others ? text_format(" and %zu more", others) : text_copy("");
    *ARRAY_ADD(warnings) =
        text_format("the layer times of %s%s are %.*s, not measured (%.*s)", summary->nodes[first].name, more,
                    (int)strcspn(bracket + 1, ")"), bracket + 1, (int)(bracket - label - 1), label);
    free(more);
}

struct report_warnings report_warnings(const struct run_summary *summary)
{
    struct report_warnings warnings = {0};
    for (size_t i = 0; i < summary->node_count; i++)
        if (summary->nodes[i].lost_cause && !is_told(summary, summary->nodes[i].lost_cause))
            *ARRAY_ADD(&warnings) =
                text_format("node %s was lost in mid-run: %s", summary->nodes[i].name, summary->nodes[i].lost_cause);
    for (size_t i = 0; i < summary->node_count; i++)
        tell_origin(&warnings, summary, i);
    for (size_t i = 0; i < summary->cause_count; i++) {
        const struct cause_summary *cause = &summary->causes[i];
        bool told = is_told(summary, cause->cause);
        *ARRAY_ADD(&warnings) = text_format(
            "%" PRIu64 " task%s of %s %s failed%s%s", cause->tasks, cause->tasks == 1 ? "" : "s", cause->stream,
            cause->tasks == 1 ? "has" : "have", told ? " because of that" : ": ", told ? "" : cause->cause);
    }
    for (size_t i = 0; i < summary->stream_count; i++)
        if (summary->streams[i].deadline_misses > 0)
            *ARRAY_ADD(&warnings) =
                text_format("%" PRIu64 " of %" PRIu64 " tasks of %s missed their deadline",
                            summary->streams[i].deadline_misses, summary->streams[i].ok, summary->streams[i].name);
    bool cut_short = strcmp(summary->head.status, "done") != 0 && strcmp(summary->head.status, "running") != 0;
    for (size_t i = 0; i < summary->stream_count && cut_short && report_has_tasks(summary); i++)
        warn_of_missing_tasks(&warnings, &summary->streams[i]);
    for (size_t i = 0; i < summary->link_count; i++)
        warn_of_link(&warnings, &summary->links[i]);
    return warnings;
}

void report_warnings_free(struct report_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count; i++)
        free(warnings->items[i]);
    ARRAY_FREE(warnings);
}
