/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --set path=value on a scenario's tree, and the members of counted groups.
 *
 * A path is words joined by '.': a key of a group; in a list an element's name (nodes: name; links: name or from;
 * streams: name or device), its number in the file from 0, or the name of a counted group, which means all its members.
 */
#ifndef NAPM_SCENARIO_OVERRIDE_H
#define NAPM_SCENARIO_OVERRIDE_H

#include "core/scenario/scenario.h"
#include "core/scenario/tree.h"

/*
 * Applies the overrides and replaces every counted group, and the links and streams that name one, by its members. A
 * key that changes what there is (nodes.X.count, links.X.from, streams.X.device) acts first, all others on the members.
 */
int override_and_expand(struct arena *arena, struct value *root, const struct scenario_override *overrides,
                        size_t count, struct error *error);

#define SCENARIO_LARGEST_GROUP 1000000

#endif
