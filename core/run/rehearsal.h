/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rehearsal: before a run is begun, every plugin that the scenario chooses is set up once with its options, and put
 * away again; every backend is asked whether it supports the models that its nodes may run, and the world whether it can
 * use what the scenario gives it (profile files). So what only they can find wrong (a file that they open, options that do
 * not fit each other, an operator that is lacking) is told as what it is, a mistake in the input, before anything starts.
 */
#ifndef NAPM_RUN_REHEARSAL_H
#define NAPM_RUN_REHEARSAL_H

#include "core/run/run.h"

/* -1: the first that fails. ERROR_INPUT where the user can mend it: the text names the scenario's file:line. */
int rehearse(const struct run_settings *settings, struct error *error);

#endif
