/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed reading of a scenario's settings. The get functions leave *value as it is where the key is absent; they return
 * 1 where it was read, 0 where it is absent, -1 with an error that begins with the place.
 */
#ifndef NAPM_SCENARIO_READER_H
#define NAPM_SCENARIO_READER_H

#include "core/scenario/names.h"
#include "core/scenario/scenario.h"
#include "core/scenario/tree.h"

struct reader {
    struct arena *arena;
    struct error *error;
    struct catalogue *catalogue; /* NULL: plugins are not looked at */
    struct scenario *scenario; /* being filled */
    struct names nodes; /* by name, once they are read */
    const char *last_trace; /* the path of the rate trace read last, and what is in it */
    struct scenario_trace last_points;
};

/* "where: text". Returns -1. */
int reader_fail(const struct reader *reader, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends "; did you mean 'X'?" or, where nothing is near, "; known are a, b". Returns -1. */
int reader_suggest(const struct reader *reader, const char *typed, const char *const *names, size_t count);

/* Every key of a group must be one of `names` (NULL-terminated). `what` is for the message: "a node". */
int reader_check_keys(const struct reader *reader, const struct value *group, const char *what,
                      const char *const *names);

int reader_get_text(const struct reader *reader, const struct value *group, const char *key, const char **value);
/* A name: letters, digits, '-' and '_', beginning with a letter. */
int reader_get_name(const struct reader *reader, const struct value *group, const char *key, const char **value);
int reader_get_integer(const struct reader *reader, const struct value *group, const char *key, int64_t least,
                       int64_t most, int64_t *value);
int reader_get_count(const struct reader *reader, const struct value *group, const char *key, uint32_t least,
                     uint32_t most, uint32_t *value);
int reader_get_real(const struct reader *reader, const struct value *group, const char *key, double least, double most,
                    double *value);
int reader_get_share(const struct reader *reader, const struct value *group, const char *key, double *value);
int reader_get_duration(const struct reader *reader, const struct value *group, const char *key, int64_t *ns);
int reader_get_size(const struct reader *reader, const struct value *group, const char *key, uint64_t *bytes);
int reader_get_rate(const struct reader *reader, const struct value *group, const char *key, double *bytes_per_s);
/* 1kbit to 1000Gbit: what a link's rate may be where it is shaped. */
bool reader_rate_is_allowed(double bytes_per_s);
int reader_get_bandwidth(const struct reader *reader, const struct value *group, const char *key, double *bytes_per_s);
int reader_get_power(const struct reader *reader, const struct value *group, const char *key, double *watts);
int reader_get_group(const struct reader *reader, const struct value *group, const char *key, struct value **value);

/* A plugin choice `{ plugin = "name"; options... }`, checked against the catalogue. */
int reader_get_plugin(const struct reader *reader, const struct value *group, const char *key, uint32_t kind,
                      struct plugin_choice *choice);
/* That plugin's extension must be there. */
int reader_need_extension(const struct reader *reader, const struct plugin_choice *choice, uint32_t kind,
                          const char *extension, const char *ability);

/* The list `key` of the root, which must be there and hold groups only. */
const struct value *reader_need_list(const struct reader *reader, const struct value *root, const char *key,
                                     const char *example);

/* The number of the node called `name`, or -1 with an error at `where` that suggests near names. */
int64_t reader_find_node(const struct reader *reader, const char *where, const char *key, const char *name);

/* The sections, each filling its part of the scenario. */
int reader_nodes(struct reader *reader, const struct value *root);
int reader_links(struct reader *reader, const struct value *root);
int reader_streams(struct reader *reader, const struct value *root);
int reader_events(struct reader *reader, const struct value *root); /* after the links */

/* The rate trace of a link, or of one of its directions. */
int reader_trace(struct reader *reader, const struct value *group, struct scenario_trace *trace);

#endif
