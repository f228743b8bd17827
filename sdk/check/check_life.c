/* SPDX-License-Identifier: Apache-2.0 */
/* What every plugin must do whatever its kind: describe itself, and be created and destroyed without a leak. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "sdk/check/check.h"

/* ---- instances, and what they say */

static char said_text[1024];

static void record_error(const struct napm_host *host, const char *text)
{
    (void)host;
    snprintf(said_text, sizeof(said_text), "%s", text ? text : "");
}

void said_reset(struct instance *instance)
{
    said_text[0] = '\0';
    instance->host.set_error = record_error; /* the table is what the plugin calls through */
}

const char *said(void)
{
    return said_text;
}

int is_unknown_status(int32_t status)
{
    return status < NAPM_ERR_CANCELLED || status > NAPM_END;
}

static int64_t read_clock(void *context)
{
    return *(int64_t *)context;
}

/* A required option that the user did not give: its name, or NULL. */
static const char *missing_option(const struct subject *subject)
{
    const struct napm_plugin *plugin = subject->entry->plugin;
    for (uint32_t i = 0; i < plugin->option_count; i++) {
        int given = !(plugin->options[i]->flags & NAPM_OPTION_REQUIRED);
        for (size_t j = 0; j < subject->choice.setting_count; j++)
            given |= strcmp(subject->choice.settings[j].name, plugin->options[i]->name) == 0;
        if (!given)
            return plugin->options[i]->name;
    }
    return NULL;
}

struct instance *subject_open(const struct subject *subject, uint64_t seed, int64_t *clock_ns, enum verdict *verdict,
                              struct error *why)
{
    struct instance_host host = {
        .label = "check", .seed = seed, .now_ns = clock_ns ? read_clock : NULL, .context = clock_ns};
    const char *missing = missing_option(subject);
    if (missing) {
        *verdict = skip(why, "option '%s' is required: give --set %s=VALUE", missing, missing);
        return NULL;
    }
    struct instance *instance = instance_open(subject->catalogue, subject->entry->kind, &subject->choice, &host, why);
    *verdict = instance ? VERDICT_PASS : VERDICT_FAIL;
    if (instance)
        said_reset(instance);
    return instance;
}

/* ---- checks */

enum verdict check_description(const struct subject *subject, struct error *why)
{
    const struct napm_plugin *plugin = subject->entry->plugin;
    if (!plugin->summary[0])
        return fail(why, "it has no summary: one line for `napm plugin list`");
    if (!plugin->version[0])
        return fail(why, "its version is empty: it is recorded with every run");
    for (uint32_t i = 0; i < plugin->option_count; i++)
        if (!plugin->options[i]->help || !plugin->options[i]->help[0])
            return fail(why, "option '%s' has no help", plugin->options[i]->name);
    return VERDICT_PASS;
}

size_t heap_bytes(void)
{
    struct mallinfo2 heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
}

#define WARM_UP_LIVES 50
#define LIVES 500
#define LEAK_BYTES_PER_LIFE 8

enum verdict check_lives(const struct subject *subject, struct error *why)
{
    size_t before = 0;
    for (int i = 0; i < WARM_UP_LIVES + LIVES; i++) {
        enum verdict verdict;
        if (i == WARM_UP_LIVES)
            before = heap_bytes();
        struct instance *first = subject_open(subject, (uint64_t)i, NULL, &verdict, why);
        if (!first)
            return verdict;
        /* now and then two at once: they must not share what they free */
        struct instance *second = i % 10 == 0 ? subject_open(subject, 1, NULL, &verdict, why) : NULL;
        if (i % 10 == 0 && !second)
            return verdict;
        instance_close(first);
        instance_close(second);
    }
    size_t after = heap_bytes();
    if (after > before + (size_t)LIVES * LEAK_BYTES_PER_LIFE)
        return fail(why, "it leaks: %zu bytes for each create() and destroy()", (after - before) / LIVES);
    return VERDICT_PASS;
}
