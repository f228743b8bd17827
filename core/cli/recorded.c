/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded runs as the user names them on the command line. */
#include "core/cli/recorded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/ledger/sweeps.h"

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

#define SWEEP_PREFIX "sweep:"

/* What follows the prefix in the name of a sweep; NULL where it names something else. */
static const char *sweep_name(const char *operand)
{
    return strncmp(operand, SWEEP_PREFIX, strlen(SWEEP_PREFIX)) == 0 ? operand + strlen(SWEEP_PREFIX) : NULL;
}

int64_t recorded_sweep(struct ledger *ledger, const char *operand, struct error *error)
{
    const char *name = sweep_name(operand);
    struct sweep_row *sweeps;
    size_t count;
    int64_t found = 0;
    if (!name)
        return 0;
    if (sweeps_list(ledger, &sweeps, &count, error) != 0)
        return -1;
    for (size_t i = 0; i < count && found == 0; i++) {
        char *number = text_format("%" PRId64, sweeps[i].id);
        if (strcmp(name, "last") == 0 || strcmp(name, number) == 0)
            found = sweeps[i].id;
        free(number);
    }
    sweeps_free(sweeps, count);
    return found > 0
               ? found
               : error_set(error, ERROR_INPUT, "there is no sweep \"%s\"; `napm sweep --list` names the sweeps", name);
}

static int add_sweep(struct ledger *ledger, int64_t sweep, struct recorded_runs *runs, struct error *error)
{
    struct point_row *points;
    size_t count, before = runs->all.count;
    if (sweeps_points(ledger, sweep, &points, &count, error) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (points[i].state == POINT_DONE)
            *ARRAY_ADD(&runs->all) = points[i].run;
    sweeps_points_free(points, count);
    return runs->all.count > before
               ? 0
               : error_set(error, ERROR_INPUT, "no point of sweep %" PRId64 " has a run that is done", sweep);
}

/* One operand: a sweep, a range or a run. */
static int add_operand(struct ledger *ledger, const char *operand, struct recorded_runs *runs, struct error *error)
{
    int64_t first, last, sweep = recorded_sweep(ledger, operand, error);
    if (sweep != 0)
        return sweep < 0 ? -1 : add_sweep(ledger, sweep, runs, error);
    if (read_range(operand, &first, &last))
        return add_range(ledger, first, last, runs, error);
    first = recorded_run(ledger, operand, error);
    if (first < 0)
        return -1;
    *ARRAY_ADD(&runs->all) = first;
    return 0;
}

int recorded_runs(struct ledger *ledger, char **operands, int count, struct recorded_runs *runs, struct error *error)
{
    for (int i = 0; i < count; i++)
        if (add_operand(ledger, operands[i], runs, error) != 0)
            return -1;
    return 0;
}
