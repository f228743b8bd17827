/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about the terminal, where there is one. */
#ifndef NAPM_CLI_TERMINAL_H
#define NAPM_CLI_TERMINAL_H

#include <stddef.h>

/* How wide the terminal behind the descriptor is: $COLUMNS, or what it says itself, or 80. 0: it is no terminal. */
size_t terminal_columns(int descriptor);

#endif
