/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded runs as the user names them on the command line. */
#include "core/cli/recorded.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ledger *recorded_open(const char *path, struct error *error)
{
    struct ledger *ledger = ledger_open_readonly(path, error);
    if (!ledger)
        return NULL;
    if (access(ledger_path(ledger), W_OK) != 0)
        return ledger;
    struct error writing = {0};
    struct ledger *writable = ledger_open(ledger_path(ledger), &writing);
    if (!writable)
        return ledger;
    ledger_close(ledger);
    return writable;
}

int64_t recorded_run(struct ledger *ledger, const char *text, struct error *error)
{
    if (!text || strcmp(text, "last") == 0)
        return query_newest_run(ledger, error);
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno == 0 && end != text && !*end && number > 0)
        return number;
    error_set(error, ERROR_INPUT, "\"%s\" is no run's number; `napm result list` names the runs", text);
    return -1;
}

/* Whether the text is a range of numbers, "4-9". */
static bool read_range(const char *text, int64_t *first, int64_t *last)
{
    char *dash, *end;
    errno = 0;
    *first = strtoll(text, &dash, 10);
    if (dash == text || *dash != '-')
        return false;
    *last = strtoll(dash + 1, &end, 10);
    return errno == 0 && end != dash + 1 && !*end && *first > 0 && *last > 0;
}

static int add_range(struct ledger *ledger, int64_t first, int64_t last, struct recorded_runs *runs,
                     struct error *error)
{
    struct run_head *heads;
    size_t count, before = runs->all.count;
    if (query_runs(ledger, 0, &heads, &count, error) != 0)
        return -1;
    for (size_t i = count; i-- > 0;)
        if (heads[i].id >= first && heads[i].id <= last)
            *ARRAY_ADD(&runs->all) = heads[i].id;
    query_runs_free(heads, count);
    if (runs->all.count > before)
        return 0;
    return error_set(error, ERROR_INPUT, "there is no run in %lld-%lld; `napm result list` names the runs",
                     (long long)first, (long long)last);
}

int recorded_runs(struct ledger *ledger, char **operands, int count, struct recorded_runs *runs, struct error *error)
{
    for (int i = 0; i < count; i++) {
        int64_t first, last;
        if (read_range(operands[i], &first, &last)) {
            if (add_range(ledger, first, last, runs, error) != 0)
                return -1;
            continue;
        }
        first = recorded_run(ledger, operands[i], error);
        if (first < 0)
            return -1;
        *ARRAY_ADD(&runs->all) = first;
    }
    return 0;
}
