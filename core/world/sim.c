/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world: opening, facts, links, closing. */
#include "core/world/sim.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/world/sim_private.h"

static struct world *sim_open(const struct world_setup *setup, struct error *error)
{
    (void)error;
    struct world *world = NEW(struct world);
    world->setup = *setup;
    world->scenario = setup->scenario;
    machine_facts_read(&world->machine);
    return world;
}

static void sim_close(struct world *world)
{
    machine_facts_free(&world->machine);
    sim_end(world->sim);
    free(world->backend);
    free(world);
}

/*
 * A node whose layers are measured is measured here, under the conditions that the local world would measure it
 * under: it has that world's facts, so that both share one profile. Any other node exists nowhere.
 */
static const struct node_facts *sim_facts(struct world *world, uint32_t index)
{
    const struct scenario_node *node = &world->scenario->nodes[index];
    const struct catalogue_entry *entry =
        catalogue_find(world->setup.catalogue, NAPM_KIND_BACKEND, node->backend.name, NULL);
    free(world->backend);
    world->backend = entry ? text_format("%s %s", entry->name, entry->version) : NULL;
    world->facts = (struct node_facts){.backend = world->backend};
    if (scenario_is_measured(node)) {
        world->facts.host = world->machine.host;
        world->facts.machine = world->machine.machine;
        world->facts.system = world->machine.system;
        world->facts.processors = world->machine.processors;
        world->facts.memory_bytes = world->machine.memory_bytes;
    } else {
        world->facts.host = "simulated";
    }
    return &world->facts;
}

static int sim_probe(struct world *world, uint32_t link, struct link_report report[2], struct error *error)
{
    (void)error;
    for (int direction = LINK_UP; direction <= LINK_DOWN; direction++) {
        const struct link_conditions *asked = &world->scenario->links[link].spec.conditions[direction];
        report[direction] = (struct link_report){.link = link,
                                                 .direction = (enum link_direction)direction,
                                                 .requested_bytes_per_s = asked->bytes_per_s,
                                                 .achieved_bytes_per_s = asked->bytes_per_s,
                                                 .requested_delay_ns = asked->delay_ns,
                                                 .achieved_delay_ns = asked->delay_ns,
                                                 .method = "simulated"};
    }
    return 0;
}

const struct world_kind sim_world = {
    .name = "sim",
    .summary = "virtual time, over measured or estimated layer times",
    .is_virtual = true,
    .open = sim_open,
    .facts = sim_facts,
    .check = sim_check_profiles,
    .profile_source = sim_profile_source,
    .profile = sim_profile,
    .profile_batch = sim_profile_batch,
    .probe = sim_probe,
    .deploy = sim_deploy,
    .drive = sim_drive,
    .close = sim_close,
};
