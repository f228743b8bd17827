/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles when every member of version 1 still lies where it was released, and no structure has shrunk. */
#include <napm/backend.h>
#include <napm/loadgen.h>
#include <napm/partitioner.h>
#include <napm/plugin.h>
#include <napm/scheduler.h>
#include <stddef.h>

#define LAYOUT(type, member, offset)                                                                                   \
    _Static_assert(offsetof(type, member) == (offset), #type "." #member " has moved: members are only ever "          \
                                                             "appended");
#define LAST(type, bytes)                                                                                              \
    _Static_assert(sizeof(type) >= (bytes), #type " has shrunk: a retired member keeps its place");
#include "layout.h"
