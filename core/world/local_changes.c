/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local world's changes while tasks run: links are shaped anew, nodes paced anew, devices leave and return, plans
 * are due.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/world/drive_private.h"

static int64_t leave_after(const struct scenario *scenario, int64_t clock_ns)
{
    for (uint32_t i = 0; i < scenario->event_count; i++)
        if (scenario->events[i].what == SCENARIO_LEAVE && scenario->events[i].at_ns > clock_ns)
            return scenario->events[i].at_ns;
    return INT64_MAX;
}

void drive_changes_open(struct drive *drive)
{
    drive->changes = changes_new(drive->scenario);
    drive->left = NEW_ARRAY(bool, drive->scenario->node_count);
    drive->leave_ns = leave_after(drive->scenario, -1);
}

void drive_changes_close(struct drive *drive)
{
    changes_free(drive->changes);
    free(drive->left);
}

double drive_speed(const struct drive *drive, uint32_t node)
{
    return drive->changes ? changes_speed(drive->changes, node) : 1;
}

static void change_link(struct drive *drive, uint32_t link)
{
    for (int direction = LINK_UP; direction <= LINK_DOWN; direction++)
        shaper_change(drive->world->shaper, link, (enum link_direction)direction,
                      &changes_link(drive->changes, link)[direction]);
}

static void change_speed(struct drive *drive, uint32_t node)
{
    double cpu_share = drive->scenario->nodes[node].cpu_share * changes_speed(drive->changes, node);
    if (cpu_share > 1)
        cpu_share = 1; /* by rounding */
    if (node == drive->scenario->station) {
        workers_set_share(drive->world->workers, cpu_share);
        return;
    }
    Wire__Speed body = WIRE__SPEED__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.cpu_share = cpu_share;
    message.body_case = WIRE__MESSAGE__BODY_SPEED;
    message.speed = &body;
    peer_tell(&drive->world->nodes[node].peer, &message);
}

/* The agent drops what it has not begun; what it is computing goes on, and nobody waits for it any more. */
static void leave(struct drive *drive, const struct change *change)
{
    const struct scenario *scenario = drive->scenario;
    char at[UNITS_TEXT_BYTES], cause[512];
    Wire__Drop body = WIRE__DROP__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    if (drive->left[change->index])
        return;
    drive->left[change->index] = true;
    snprintf(cause, sizeof(cause), "%s left by the scenario at %s", scenario->nodes[change->index].name,
             units_format_duration(at, (double)change->at_ns));
    message.body_case = WIRE__MESSAGE__BODY_DROP;
    message.drop = &body;
    peer_tell(&drive->world->nodes[change->index].peer, &message);
    shaper_drop(drive->world->shaper, scenario->link_of_node[change->index]);
    for (uint32_t i = 0; i < scenario->stream_count; i++) {
        struct stream_run *stream = &drive->streams[i];
        if (!local_passes(drive->world, i, change->index))
            continue;
        stream->away++;
        if (change->for_good)
            drive_end_stream(stream);
        drive_fail_tasks(stream, change->index, true, cause);
    }
}

static void come_back(struct drive *drive, const struct change *change)
{
    if (!drive->left[change->index])
        return;
    drive->left[change->index] = false;
    for (uint32_t i = 0; i < drive->scenario->stream_count; i++) {
        if (!local_passes(drive->world, i, change->index) || --drive->streams[i].away)
            continue;
        drive->streams[i].back_ns = change->at_ns;
    }
}

static void carry_out(struct drive *drive, const struct change *change)
{
    switch (change->what) {
    case CHANGE_LINK:
        change_link(drive, change->index);
        break;
    case CHANGE_SPEED:
        change_speed(drive, change->index);
        break;
    case CHANGE_LEAVE:
        leave(drive, change);
        break;
    case CHANGE_RETURN:
        come_back(drive, change);
        break;
    case CHANGE_PLAN:
        replan_due(drive);
        break;
    }
}

void drive_change(struct drive *drive, int64_t now_ns)
{
    struct change change;
    bool moved = false;
    int64_t clock_ns = drive_clock_ns(drive, now_ns);
    while (!drive->over && drive->changes && changes_take(drive->changes, clock_ns, &change)) {
        carry_out(drive, &change);
        moved = moved || change.what == CHANGE_LEAVE || change.what == CHANGE_RETURN;
    }
    if (moved)
        drive->leave_ns = leave_after(drive->scenario, clock_ns);
    for (uint32_t i = 0; moved && i < drive->scenario->stream_count && !drive->over; i++)
        arrivals_advance(&drive->streams[i], now_ns);
}
