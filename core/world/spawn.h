/* SPDX-License-Identifier: Apache-2.0 */
/* Agent processes on this machine: finding the program, starting it on a socket pair, and learning how it ended. */
#ifndef NAPM_WORLD_SPAWN_H
#define NAPM_WORLD_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#include "core/base/error.h"

/* $NAPM_AGENT, else napm-agent beside the running program, else the installed one. free() it. */
char *spawn_agent_path(struct error *error);

/*
 * Starts an agent in a session of its own (what a terminal sends does not reach it). *control_fd is this side of the
 * control connection, closed by the caller. -1 on error.
 */
pid_t spawn_agent(const char *path, int *control_fd, struct error *error);

/*
 * Waits up to `patience_ns` for the process to end, then kills it; reaps it in any case. `how` says how it ended, such as
 * "killed by signal 9 (Killed)".
 */
void spawn_reap(pid_t pid, long long patience_ns, char *how, size_t how_bytes);

#endif
