/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `napm` command: what its subcommands (one file each, cmd_*.c) share.
 */
#ifndef NAPM_CLI_CLI_H
#define NAPM_CLI_CLI_H

#include <stddef.h>

#include "core/base/error.h"

/* How the command ends. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_WRONG = 2 };

/* A subcommand. `argv[0]` is its own name. */
struct cli_command {
    const char *name;
    const char *summary; /* one line for the list */
    int (*main)(int argc, char **argv);
};

/*
 * Runs the one of `commands` that argv[1] names. `group` is what stands before it ("napm", "napm model"). With --help, or
 * where the name is missing or unknown, it lists them.
 */
int cli_dispatch(const char *group, const char *about, const struct cli_command *commands, size_t count, int argc,
                 char **argv);

/* Prints "napm: error: TEXT" on stderr and returns the exit code that the error's kind asks for. */
int cli_fail(const struct error *error);

/* 0 where everything written to standard output arrived there; else says so and returns CLI_FAILED. */
int cli_end_output(void);

int cmd_run(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_profile(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_model(int argc, char **argv);
int cmd_plugin(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_result(int argc, char **argv);
int cmd_sweep(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_regress(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_validate(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
