/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line options from tables: parsing (getopt_long), checking, near names, and the --help text. One table a
 * subcommand; the options that many share are written by the macros at the end.
 */
#ifndef NAPM_CLI_OPTIONS_H
#define NAPM_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

/* Texts in the order given. */
struct text_list {
    const char **items; /* NULL-terminated once there is one */
    size_t count, room;
};

enum option_value {
    OPTION_FLAG,
    OPTION_COUNTER,
    OPTION_WORD,
    OPTION_WORDS,
    OPTION_NUMBER,
    OPTION_BIG_NUMBER,
    OPTION_ONE_OF
};

struct cli_option {
    const char *name; /* without the dashes */
    char letter; /* 0: none */
    enum option_value kind;
    /* bool *, unsigned *, const char **, struct text_list *, uint32_t *, uint64_t *, const char ** */
    void *value;
    const char *argument; /* what the help calls its argument; OPTION_ONE_OF: "one|two|three" */
    const char *help;
    uint64_t minimum, maximum; /* of numbers */
};

struct cli_usage {
    const char *name; /* "napm run" */
    const char *operands; /* "SCENARIO"; "" where there are none */
    const char *summary; /* one line */
    const char *about; /* paragraphs; may be NULL */
    const char *examples; /* lines, each indented by two spaces; may be NULL */
    const struct cli_option *options;
    size_t option_count;
    int least_operands, most_operands;
};

/*
 * Parses. On success returns -1, and operands are argv[*first_operand..argc-1]. Else returns the exit code: 0
 * after --help, 2 after telling what is wrong.
 */
int options_parse(const struct cli_usage *usage, int argc, char **argv, int *first_operand);

/* The value of an option that is a share in 0..most, such as "5%" or 0.05; `text` NULL: *share stays. */
int options_read_share(const char *option, const char *text, double most, double *share, struct error *error);

/* What most subcommands take. Zeroed before parsing. */
struct common_options {
    const char *db; /* NULL: the default */
    struct text_list plugin_path;
    const char *format; /* "table", "json" or "csv" */
    const char *color; /* "auto", "always", "never" */
    unsigned verbose;
};

#define OPTIONS_COUNT(options) (sizeof(options) / sizeof((options)[0]))
#define OPTION_DB(common)                                                                                              \
    {                                                                                                                  \
        "db", 0, OPTION_WORD, &(common).db, "FILE",                                                                    \
            "the ledger (default: $NAPM_DB, else ~/.local/share/napm/napm.db)", 0, 0                                   \
    }
#define OPTION_PLUGIN_PATH(common)                                                                                     \
    {                                                                                                                  \
        "plugin-path", 0, OPTION_WORDS, &(common).plugin_path, "FOLDER",                                               \
            "look for plugins here first; may be repeated", 0, 0                                                       \
    }
#define OPTION_FORMAT(common)                                                                                          \
    {                                                                                                                  \
        "format", 'f', OPTION_ONE_OF, &(common).format, "table|json|csv", "how to print the result (default: table)",  \
            0, 0                                                                                                       \
    }
#define OPTION_COLOR(common)                                                                                           \
    {                                                                                                                  \
        "color", 0, OPTION_ONE_OF, &(common).color, "auto|always|never",                                               \
            "bold and colour (default: on a terminal, unless NO_COLOR is set)", 0, 0                                   \
    }
#define OPTION_VERBOSE(common)                                                                                         \
    {                                                                                                                  \
        "verbose", 'v', OPTION_COUNTER, &(common).verbose, NULL, "say more on stderr; twice: everything", 0, 0         \
    }

/* Puts --verbose and --color into force, and the defaults into what was not given. To be called after options_parse. */
void common_apply(struct common_options *common);
void common_free(struct common_options *common);

#endif
