/* SPDX-License-Identifier: Apache-2.0 */
/* Options at the ends of their ranges: create() takes each, or says why not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "sdk/check/check.h"

/* Reads back what create() said where it failed without a text of its own. */
static int is_mute(const struct error *why)
{
    return strstr(why->text, "gave no reason") || strstr(why->text, "a status that the ABI does not know");
}

/* Creates an instance with one option set in addition to what the user set. */
static enum verdict try_text(const struct subject *subject, const char *option, const char *text, struct error *why)
{
    struct subject trial = *subject;
    size_t count = subject->choice.setting_count;
    struct option_setting *settings = NEW_ARRAY(struct option_setting, count + 1);
    if (count)
        memcpy(settings, subject->choice.settings, count * sizeof(*settings));
    settings[count] = (struct option_setting){option, text, "check"};
    trial.choice.settings = settings;
    trial.choice.setting_count = count + 1;
    enum verdict verdict;
    struct instance *instance = subject_open(&trial, 1, NULL, &verdict, why);
    if (!instance && verdict == VERDICT_FAIL && !is_mute(why))
        verdict = VERDICT_PASS; /* it may refuse a value, in words */
    else if (!instance && verdict == VERDICT_FAIL)
        error_prefix(why, "%s=%s", option, text);
    instance_close(instance);
    free(settings);
    return verdict;
}

/* A number as a scenario would write it. */
static char *number_text(uint32_t type, double value)
{
    double whole = fmin(fmax(value, -9.2e18), 9.2e18);
    switch (type) {
    case NAPM_OPTION_INTEGER:
        return text_format("%.0f", whole);
    case NAPM_OPTION_DURATION:
        return text_format("%.0fns", fmin(whole, 8.9e18));
    case NAPM_OPTION_SIZE:
        return text_format("%.0fB", whole);
    case NAPM_OPTION_RATE:
        return text_format("%.17gB/s", value);
    default:
        return text_format("%.17g", value);
    }
}

static enum verdict try_limits(const struct subject *subject, const struct napm_option *option, struct error *why)
{
    enum verdict verdict = VERDICT_PASS;
    const double limits[] = {option->minimum, option->maximum};
    for (int i = 0; i < 2 && verdict == VERDICT_PASS; i++) {
        char *text = number_text(option->type, limits[i]);
        verdict = try_text(subject, option->name, text, why);
        free(text);
    }
    return verdict;
}

static enum verdict try_choices(const struct subject *subject, const struct napm_option *option, struct error *why)
{
    enum verdict verdict = VERDICT_PASS;
    char *choices = text_copy(option->type == NAPM_OPTION_BOOL ? "true|false" : option->choices), *rest = choices;
    for (char *choice = strsep(&rest, "|"); choice && verdict == VERDICT_PASS; choice = strsep(&rest, "|"))
        verdict = try_text(subject, option->name, choice, why);
    free(choices);
    return verdict;
}

enum verdict check_option_ranges(const struct subject *subject, struct error *why)
{
    const struct napm_plugin *plugin = subject->entry->plugin;
    enum verdict verdict = VERDICT_PASS;
    for (uint32_t i = 0; i < plugin->option_count && verdict == VERDICT_PASS; i++) {
        const struct napm_option *option = plugin->options[i];
        if (option->type == NAPM_OPTION_BOOL || option->type == NAPM_OPTION_CHOICE)
            verdict = try_choices(subject, option, why);
        else if (option->minimum < option->maximum)
            verdict = try_limits(subject, option, why);
    }
    return verdict;
}
