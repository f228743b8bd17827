/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for people, in lines that are no wider than the terminal. */
#ifndef NAPM_CLI_PROSE_H
#define NAPM_CLI_PROSE_H

#include <stddef.h>
#include <stdio.h>

/* How wide texts on standard output are made: as the terminal is, up to what is good to read; 80 where there is none. */
size_t prose_width(void);

/*
 * Prints a text and ends its last line. Lines are joined to paragraphs and broken anew, except that a line that is
 * empty, begins with a space, or has two spaces in it ("csv   a folder") begins a paragraph of its own: an item, whose
 * further lines begin below what follows the two spaces. Lines begin at column `indent`, where the cursor stands for the
 * first of them.
 */
void prose_print(FILE *file, const char *text, size_t indent, size_t width);

#endif
