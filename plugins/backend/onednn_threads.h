/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that share the work of one layer. */
#ifndef ONEDNN_THREADS_H
#define ONEDNN_THREADS_H

#include <stdint.h>

/* Wakes the calling thread's team of `threads` and gives each a processor of its own, where there are as many. */
void threads_spread(uint32_t threads);

#endif
