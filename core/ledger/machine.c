/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about the machine that records a run. */
#include "core/ledger/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The value of the first line "KEY : VALUE" of /proc/cpuinfo whose key is one of those that architectures use. */
static int processor_name(char *name, size_t room)
{
    static const char *const keys[] = {"model name", "Model", "cpu model", "Hardware", "cpu"};
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file)
        return -1;
    int found = -1;
    char line[512];
    while (found != 0 && fgets(line, sizeof(line), file)) {
        char *colon = strchr(line, ':');
        for (size_t i = 0; colon && i < sizeof(keys) / sizeof(keys[0]); i++) {
            size_t length = strlen(keys[i]);
            if (strncmp(line, keys[i], length) == 0 &&
                strspn(line + length, " \t") == (size_t)(colon - line) - length) {
                snprintf(name, room, "%s", colon + 1 + strspn(colon + 1, " \t"));
                name[strcspn(name, "\n")] = '\0';
                found = 0;
                break;
            }
        }
    }
    fclose(file);
    return found;
}

void machine_facts(struct machine_facts *facts)
{
    struct utsname names;
    memset(facts, 0, sizeof(*facts));
    if (uname(&names) != 0)
        memset(&names, 0, sizeof(names));
    snprintf(facts->host, sizeof(facts->host), "%s", names.nodename);
    snprintf(facts->system, sizeof(facts->system), "%s %s %s", names.sysname, names.release, names.machine);
    if (processor_name(facts->processor, sizeof(facts->processor)) != 0)
        snprintf(facts->processor, sizeof(facts->processor), "%s", names.machine);
    facts->processors = sysconf(_SC_NPROCESSORS_ONLN);
    facts->memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}
