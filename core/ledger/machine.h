/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about the machine that records a run: they belong to every measurement. */
#ifndef NAPM_LEDGER_MACHINE_H
#define NAPM_LEDGER_MACHINE_H

#include <stdint.h>

struct machine_facts {
    char host[128], processor[128], system[256]; /* name; model and architecture; kernel */
    int64_t processors, memory_bytes;
};

void machine_facts(struct machine_facts *facts);

#endif
