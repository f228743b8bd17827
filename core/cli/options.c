/* SPDX-License-Identifier: Apache-2.0 */
/* Command-line options from tables. */
#include "core/cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/nearest.h"
#include "core/base/units.h"
#include "core/cli/cli.h"
#include "core/cli/prose.h"
#include "core/cli/table.h"

#define FIRST_LONG_CODE 256 /* getopt's code of option i is this plus i, apart from all letters */
#define HELP_COLUMN 28

/* ---- help ---- */

static void print_option(const struct cli_option *option)
{
    char left[128], letter[8] = "    ";
    if (option->letter)
        snprintf(letter, sizeof(letter), "-%c, ", option->letter);
    snprintf(left, sizeof(left), "  %s--%s%s%s", letter, option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
    if (strlen(left) < HELP_COLUMN)
        printf("%-*s", HELP_COLUMN, left);
    else
        printf("%s\n%*s", left, HELP_COLUMN, "");
    prose_print(stdout, option->help, HELP_COLUMN, prose_width());
}

static void print_help(const struct cli_usage *usage)
{
    static const struct cli_option help = {"help", 'h', OPTION_FLAG, NULL, NULL, "this text", 0, 0};
    char *title = text_format("%s: %s", usage->name, usage->summary);
    prose_print(stdout, title, 0, prose_width());
    free(title);
    printf("\nUsage: %s%s%s [OPTION]...\n", usage->name, *usage->operands ? " " : "", usage->operands);
    if (usage->about) {
        printf("\n");
        prose_print(stdout, usage->about, 0, prose_width());
    }
    printf("\nOptions:\n");
    for (size_t i = 0; i < usage->option_count; i++)
        print_option(&usage->options[i]);
    print_option(&help);
    if (usage->examples)
        printf("\nExamples:\n%s\n", usage->examples);
}

/* ---- what is wrong ---- */

static int wrong(const struct cli_usage *usage, const char *text)
{
    /* The texts begin with the command's name, and that with "napm ", which the line has already. */
    static const char program[] = "napm ";
    bool named = strncmp(text, program, strlen(program)) == 0;
    fprintf(stderr, "napm: error: %s\nTry: %s --help\n", named ? text + strlen(program) : text, usage->name);
    return CLI_WRONG;
}

static int unknown_option(const struct cli_usage *usage, const char *typed)
{
    const char **names = NEW_ARRAY(const char *, usage->option_count + 1);
    for (size_t i = 0; i < usage->option_count; i++)
        names[i] = usage->options[i].name;
    names[usage->option_count] = "help";
    char *bare = text_copy(typed + strspn(typed, "-"));
    bare[strcspn(bare, "=")] = '\0';
    const char *near = typed[1] == '-' ? nearest_name(bare, names, usage->option_count + 1) : NULL;
    char *text = near ? text_format("%s: there is no option %.*s; did you mean --%s?", usage->name,
                                    (int)strcspn(typed, "="), typed, near)
                      : text_format("%s: there is no option %.*s", usage->name, (int)strcspn(typed, "="), typed);
    int code = wrong(usage, text);
    free(text);
    free(bare);
    free(names);
    return code;
}

static int wrong_value(const struct cli_usage *usage, const struct cli_option *option, const char *typed,
                       const char *expected)
{
    char *text = text_format("%s: --%s %s: expected %s", usage->name, option->name, typed, expected);
    int code = wrong(usage, text);
    free(text);
    return code;
}

static int empty_value(const struct cli_usage *usage, const struct cli_option *option)
{
    char *expected = text_format("%s, not an empty text", option->argument);
    int code = wrong_value(usage, option, "\"\"", expected);
    free(expected);
    return code;
}

/* ---- values ---- */

static int take_number(const struct cli_usage *usage, const struct cli_option *option, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end || *text == '-' || number < option->minimum || number > option->maximum) {
        char *expected = text_format("a whole number from %" PRIu64 " to %" PRIu64, option->minimum, option->maximum);
        int code = wrong_value(usage, option, text, expected);
        free(expected);
        return code;
    }
    if (option->kind == OPTION_NUMBER)
        *(uint32_t *)option->value = (uint32_t)number;
    else
        *(uint64_t *)option->value = number;
    return -1;
}

enum { MOST_CHOICES = 16 };

static int take_choice(const struct cli_usage *usage, const struct cli_option *option, const char *text)
{
    char *choices = text_copy(option->argument), *rest = choices;
    const char *names[MOST_CHOICES];
    size_t count = 0;
    for (char *name; count < MOST_CHOICES && (name = strsep(&rest, "|")); count++) {
        names[count] = name;
        if (strcmp(name, text) == 0) {
            *(const char **)option->value = text;
            free(choices);
            return -1;
        }
    }
    const char *near = nearest_name(text, names, count);
    char *expected = text_format("one of %s%s%s%s", option->argument, near ? "; did you mean " : "", near ? near : "",
                                 near ? "?" : "");
    free(choices);
    int code = wrong_value(usage, option, text, expected);
    free(expected);
    return code;
}

static void append_text(struct text_list *list, const char *text)
{
    if (list->count + 2 > list->room) {
        list->room = list->room ? 2 * list->room : 8;
        list->items = memory_resize(list->items, list->room, sizeof(*list->items));
    }
    list->items[list->count++] = text;
    list->items[list->count] = NULL;
}

static int take_value(const struct cli_usage *usage, const struct cli_option *option, const char *text)
{
    if (text && !*text) /* such as a variable of a script that was never set */
        return empty_value(usage, option);
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->value = true;
        return -1;
    case OPTION_COUNTER:
        ++*(unsigned *)option->value;
        return -1;
    case OPTION_WORD:
        *(const char **)option->value = text;
        return -1;
    case OPTION_WORDS:
        append_text(option->value, text);
        return -1;
    case OPTION_ONE_OF:
        return take_choice(usage, option, text);
    default:
        return take_number(usage, option, text);
    }
}

/* ---- parsing ---- */

static bool takes_argument(const struct cli_option *option)
{
    return option->kind != OPTION_FLAG && option->kind != OPTION_COUNTER;
}

static void fill_getopt(const struct cli_usage *usage, struct option *longs, char *shorts)
{
    *shorts++ = ':';
    *shorts++ = 'h';
    for (size_t i = 0; i < usage->option_count; i++) {
        const struct cli_option *option = &usage->options[i];
        longs[i] = (struct option){option->name, takes_argument(option) ? required_argument : no_argument, NULL,
                                   FIRST_LONG_CODE + (int)i};
        if (option->letter) {
            *shorts++ = option->letter;
            if (takes_argument(option))
                *shorts++ = ':';
        }
    }
    *shorts = '\0';
    longs[usage->option_count] = (struct option){"help", no_argument, NULL, 'h'};
    longs[usage->option_count + 1] = (struct option){0};
}

static const struct cli_option *option_of(const struct cli_usage *usage, int code)
{
    if (code >= FIRST_LONG_CODE)
        return &usage->options[code - FIRST_LONG_CODE];
    for (size_t i = 0; i < usage->option_count; i++)
        if (usage->options[i].letter == code)
            return &usage->options[i];
    return NULL;
}

static int bad_option(const struct cli_usage *usage, int code, char **argv)
{
    if (code == ':') {
        char *text = text_format("%s: %s needs an argument", usage->name, argv[optind - 1]);
        int result = wrong(usage, text);
        free(text);
        return result;
    }
    char letter[3] = {'-', (char)optopt, '\0'};
    /* getopt has moved on from a word of letters only when it was the last of them. */
    return unknown_option(usage, optopt > 0 && optopt < FIRST_LONG_CODE ? letter : argv[optind - 1]);
}

static int take_options(const struct cli_usage *usage, int argc, char **argv, const struct option *longs,
                        const char *shorts)
{
    opterr = 0;
    optind = 0; /* GNU: start anew */
    for (int code; (code = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        if (code == 'h') {
            print_help(usage);
            return cli_end_output();
        }
        if (code == '?' || code == ':')
            return bad_option(usage, code, argv);
        int result = take_value(usage, option_of(usage, code), optarg);
        if (result >= 0)
            return result;
    }
    return -1;
}

int options_parse(const struct cli_usage *usage, int argc, char **argv, int *first_operand)
{
    struct option *longs = NEW_ARRAY(struct option, usage->option_count + 2);
    char *shorts = memory_new(2 * usage->option_count + 3);
    fill_getopt(usage, longs, shorts);
    int result = take_options(usage, argc, argv, longs, shorts);
    free(longs);
    free(shorts);
    if (result >= 0)
        return result;
    *first_operand = optind;
    int count = argc - optind;
    char *text = NULL;
    if (count < usage->least_operands)
        text = text_format("%s: %s is missing", usage->name, usage->operands);
    else if (count > usage->most_operands)
        text = text_format("%s: one word too many: %s", usage->name, argv[optind + usage->most_operands]);
    if (!text)
        return -1;
    result = wrong(usage, text);
    free(text);
    return result;
}

int options_read_share(const char *option, const char *text, double most, double *share, struct error *error)
{
    if (!text)
        return 0;
    if (units_parse_share(text, share, error) != 0)
        return error_prefix(error, "%s", option);
    if (*share < 0 || *share > most)
        return error_set(error, ERROR_INPUT, "%s: \"%s\" is out of range; it must lie in 0 .. %g %%", option, text,
                         100 * most);
    return 0;
}

void common_apply(struct common_options *common)
{
    static const enum log_level levels[] = {LOG_WARNING_LEVEL, LOG_INFO_LEVEL, LOG_DEBUG_LEVEL};
    log_set_level(levels[common->verbose < 2 ? common->verbose : 2]);
    if (!common->format)
        common->format = "table";
    if (!common->color)
        common->color = "auto";
    if (strcmp(common->color, "auto") != 0)
        table_set_color(strcmp(common->color, "always") == 0);
}

void common_free(struct common_options *common)
{
    free(common->plugin_path.items);
}
