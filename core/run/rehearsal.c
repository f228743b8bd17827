/* SPDX-License-Identifier: Apache-2.0 */
/* A rehearsal of all plugins, and of the world, before a run. */
#include "core/run/rehearsal.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/compute/compute.h"
#include "core/run/choices.h"
#include "core/run/guard.h"
#include "core/world/world.h"

/* One choice, however often the scenario makes it: the members of a counted group are alike. */
struct part {
    struct chosen chosen; /* the first of them */
    bool *models; /* of a backend: which ones it may have to run */
};

struct rehearsal {
    const struct run_settings *settings;
    ARRAY_OF(struct part) parts;
    size_t *backend_of_node; /* index in parts */
};

static bool are_same_texts(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool are_alike(const struct chosen *a, const struct chosen *b)
{
    const struct plugin_choice *one = a->choice, *other = b->choice;
    if (a->kind != b->kind || strcmp(one->name, other->name) != 0 || !are_same_texts(one->where, other->where) ||
        one->setting_count != other->setting_count)
        return false;
    for (size_t i = 0; i < one->setting_count; i++)
        if (strcmp(one->settings[i].name, other->settings[i].name) != 0 ||
            strcmp(one->settings[i].text, other->settings[i].text) != 0 ||
            !are_same_texts(one->settings[i].where, other->settings[i].where))
            return false;
    return true;
}

static int note_choice(void *context, const struct chosen *chosen, struct error *error)
{
    struct rehearsal *rehearsal = context;
    size_t at = 0;
    (void)error;
    while (at < rehearsal->parts.count && !are_alike(&rehearsal->parts.items[at].chosen, chosen))
        at++;
    if (at == rehearsal->parts.count) {
        struct part *part = ARRAY_ADD(&rehearsal->parts);
        part->chosen = *chosen;
        part->models =
            chosen->kind == NAPM_KIND_BACKEND ? NEW_ARRAY(bool, rehearsal->settings->scenario->model_count) : NULL;
    }
    if (chosen->kind == NAPM_KIND_BACKEND)
        rehearsal->backend_of_node[chosen->node] = at;
    return 0;
}

/* Each node on a stream's way may have to run its model. */
static void note_models(struct rehearsal *rehearsal)
{
    const struct scenario *scenario = rehearsal->settings->scenario;
    for (uint32_t i = 0; i < scenario->stream_count; i++) {
        uint32_t node = scenario->streams[i].device;
        for (;; node = scenario->links[scenario->link_of_node[node]].upper) {
            if (scenario->nodes[node].backend.name)
                rehearsal->parts.items[rehearsal->backend_of_node[node]].models[scenario->streams[i].model] = true;
            if (node == scenario->station)
                break;
        }
    }
}

static int try_backend(const struct rehearsal *rehearsal, const struct part *part, const struct instance_host *host,
                       struct error *error)
{
    const struct scenario *scenario = rehearsal->settings->scenario;
    const struct compute_settings settings = {.backend = *part->chosen.choice, .host = *host};
    struct compute *compute = compute_open(rehearsal->settings->catalogue, &settings, error);
    int result = compute ? 0 : -1;
    for (uint32_t i = 0; i < scenario->model_count && result == 0; i++)
        if (part->models[i] && compute_supports(compute, scenario->models[i].model, error) != 0)
            result = part->chosen.choice->where ? error_prefix(error, "%s", part->chosen.choice->where) : -1;
    compute_close(compute);
    return result;
}

static int try_part(const struct rehearsal *rehearsal, const struct part *part, struct error *error)
{
    const struct chosen *chosen = &part->chosen;
    char *label = chosen->of ? text_format("%s:%s", chosen->role, chosen->of) : text_copy(chosen->role);
    const struct instance_host host = {.label = label, .seed = rehearsal->settings->seed};
    int result = 0;
    if (chosen->kind == NAPM_KIND_BACKEND) {
        result = try_backend(rehearsal, part, &host, error);
    } else {
        struct instance *instance =
            instance_open(rehearsal->settings->catalogue, chosen->kind, chosen->choice, &host, error);
        result = instance ? 0 : -1;
        instance_close(instance);
    }
    free(label);
    return result;
}

static int ask_world(const struct run_settings *settings, struct error *error)
{
    const struct world_kind *kind = world_find(settings->scenario->world, error);
    if (!kind)
        return -1;
    return kind->check && !settings->replay_of ? kind->check(settings->scenario, error) : 0;
}

int rehearse(const struct run_settings *settings, struct error *error)
{
    struct rehearsal rehearsal = {.settings = settings,
                                  .backend_of_node = NEW_ARRAY(size_t, settings->scenario->node_count)};
    struct guard *guard = guard_begin(settings, -1);
    int result = ask_world(settings, error);
    choices_each(settings->scenario, note_choice, &rehearsal, error);
    note_models(&rehearsal);
    for (size_t i = 0; i < rehearsal.parts.count && result == 0; i++) {
        guard_setting_up(guard, rehearsal.parts.items[i].chosen.choice);
        result = try_part(&rehearsal, &rehearsal.parts.items[i], error);
    }
    guard_lift(guard);
    for (size_t i = 0; i < rehearsal.parts.count; i++)
        free(rehearsal.parts.items[i].models);
    ARRAY_FREE(&rehearsal.parts);
    free(rehearsal.backend_of_node);
    return result;
}
