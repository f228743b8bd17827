/* SPDX-License-Identifier: Apache-2.0 */
/* The `napm` command: finds the subcommand. */
#include "core/cli/cli.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/nearest.h"
#include "core/cli/crash.h"
#include "core/cli/progress.h"
#include "core/cli/prose.h"
#include "core/cli/stop.h"

static const char about[] =
    "NAPM splits the computation of AI models between devices and a base station, under plugins of your choice,\n"
    "and records what came of it.";

static const struct cli_command commands[] = {
    {"run", "carry a scenario out, record it, show what came of it", cmd_run},
    {"plan", "plan a scenario and the baselines beside it, without running it", cmd_plan},
    {"profile", "measure every layer of a model", cmd_profile},
    {"bench", "measure a whole model", cmd_bench},
    {"model", "make, show, run and verify models", cmd_model},
    {"plugin", "list the plugins and their options", cmd_plugin},
    {"result", "list, show and export recorded runs", cmd_result},
    {"report", "a page of charts about one run or many", cmd_report},
    {"export", "a whole run for other programs: tables, a trace, or plots", cmd_export},
    {"sweep", "run scenarios over a grid of settings", cmd_sweep},
    {"compare", "tell differences between runs from noise", cmd_compare},
    {"regress", "fail where plugins have become worse than a baseline", cmd_regress},
    {"replay", "what if: a recorded run again, with other plugins", cmd_replay},
    {"validate", "hold predictions against a run, phase by phase", cmd_validate},
    {"version", "versions of napm and of what it is built on", cmd_version},
};

static void list_commands(FILE *file, const char *group, const char *text, const struct cli_command *list, size_t count)
{
    fprintf(file, "Usage: %s COMMAND [OPTION]...\n", group);
    if (text) {
        fprintf(file, "\n");
        prose_print(file, text, 0, prose_width());
    }
    fprintf(file, "\nCommands:\n");
    for (size_t i = 0; i < count; i++)
        fprintf(file, "  %-10s %s\n", list[i].name, list[i].summary);
    fprintf(file, "\n%s COMMAND --help tells more about each.\n", group);
}

/* What goes between "napm: error: " and the text: "result" for a group, nothing for napm itself. */
static const char *group_prefix(const char *group)
{
    const char *space = strchr(group, ' ');
    return space ? space + 1 : "";
}

static int unknown_command(const char *group, const struct cli_command *list, size_t count, const char *typed)
{
    static const char *const options[] = {"--help", "--version"}; /* the latter of napm alone */
    bool is_option = typed[0] == '-';
    const char *prefix = group_prefix(group);
    const char **names = NEW_ARRAY(const char *, count);
    for (size_t i = 0; i < count; i++)
        names[i] = list[i].name;
    const char *near = is_option ? nearest_name(typed, options, *prefix ? 1 : 2) : nearest_name(typed, names, count);
    fprintf(stderr, "napm: error: %s%sthere is no %s %s", prefix, *prefix ? ": " : "", is_option ? "option" : "command",
            typed);
    if (near)
        fprintf(stderr, "; did you mean \"%s %s\"?", group, near);
    fprintf(stderr, "\nTry: %s --help\n", group);
    free(names);
    return CLI_WRONG;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* "napm help result list" is "napm result list --help". */
static int explain(const char *group, const char *text, const struct cli_command *list, size_t count, int argc,
                   char **argv)
{
    char help[] = "--help";
    char **words = NEW_ARRAY(char *, (size_t)argc + 1);
    words[0] = argv[0];
    memcpy(words + 1, argv + 2, (size_t)(argc - 2) * sizeof(*words));
    words[argc - 1] = help;
    int result = cli_dispatch(group, text, list, count, argc, words);
    free(words);
    return result;
}

int cli_dispatch(const char *group, const char *text, const struct cli_command *list, size_t count, int argc,
                 char **argv)
{
    if (argc < 2) {
        const char *prefix = group_prefix(group);
        fprintf(stderr, "napm: error: %s%swhich command?\n\n", prefix, *prefix ? ": " : "");
        list_commands(stderr, group, text, list, count);
        return CLI_WRONG;
    }
    if (is_help(argv[1]) && argc == 2) {
        list_commands(stdout, group, text, list, count);
        return cli_end_output();
    }
    if (is_help(argv[1]))
        return explain(group, text, list, count, argc, argv);
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, argv[1]) == 0)
            return list[i].main(argc - 1, argv + 1);
    return unknown_command(group, list, count, argv[1]);
}

int cli_fail(const struct error *error)
{
    progress_stop();
    fflush(stdout);
    if (error->kind == ERROR_CANCELLED)
        fprintf(stderr, "napm: stopped by %s\n", stop_cause());
    else
        fprintf(stderr, "napm: error: %s\n", error->text);
    return error->kind == ERROR_INPUT ? CLI_WRONG : CLI_FAILED;
}

int cli_end_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CLI_DONE;
    fprintf(stderr, "napm: error: the output could not be written\n");
    return CLI_FAILED;
}

int main(int argc, char **argv)
{
    static char version[] = "version";
    crash_watch();
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
        argv[1] = version;
    return cli_dispatch("napm", about, commands, sizeof(commands) / sizeof(commands[0]), argc, argv);
}
