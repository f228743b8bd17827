/* SPDX-License-Identifier: Apache-2.0 */
/* napm-plugin-check: does a plugin keep the contract? Prints TAP; exits 0 (it does), 1 (it does not), 2 (usage). */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "sdk/check/check.h"
#include "sdk/check/child.h"

static const char usage[] =
    "Usage: napm-plugin-check [--set NAME=VALUE]... [--no-values] [--timeout SECONDS] FILE.so...\n"
    "Tries NAPM plugins, each check in a process of its own, and prints the results as TAP.\n"
    "\n"
    "  --set NAME=VALUE     set an option of the plugins that have it (needed for required options)\n"
    "  --no-values          do not compare values: for a backend that only spends time\n"
    "  --timeout SECONDS    most time for one check (default 20)\n"
    "  --help               print this and exit\n"
    "\n"
    "Exit status: 0 all checks passed, 1 a check failed, 2 wrong usage.\n";

struct run {
    struct option_setting *settings;
    size_t setting_count;
    int limit_s, computes;
    unsigned number, passed, failed, skipped;
};

/* ---- reporting */

static void report(struct run *run, const char *file, const struct catalogue_entry *entry, const char *what,
                   enum verdict verdict, const struct error *why)
{
    const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    printf("%sok %u - %s: ", verdict == VERDICT_FAIL ? "not " : "", ++run->number, name);
    if (entry)
        printf("%s '%s' ", catalogue_kind_name(entry->kind), entry->name);
    printf("%s", what);
    if (verdict == VERDICT_SKIP)
        printf(" # SKIP %s", why->text);
    printf("\n");
    if (verdict == VERDICT_FAIL)
        printf("# %s\n", why->text);
    fflush(stdout);
    *(verdict == VERDICT_PASS ? &run->passed : verdict == VERDICT_FAIL ? &run->failed : &run->skipped) += 1;
}

/* ---- what runs in the children */

struct job {
    const char *file;
    uint32_t kind;
    const char *name;
    const struct run *run;
    check_fn check;
};

static enum verdict child_loads(const void *argument, struct error *why)
{
    const struct job *job = argument;
    struct catalogue *catalogue = catalogue_open_file(job->file);
    catalogue_load_all(catalogue);
    const struct catalogue_entry *entry = catalogue_at(catalogue, 0);
    return entry->refusal ? fail(why, "%s", entry->refusal) : VERDICT_PASS;
}

/* The settings that the plugin has an option for. */
static size_t settings_of(const struct job *job, const struct napm_plugin *plugin, struct option_setting *settings)
{
    size_t count = 0;
    for (size_t i = 0; i < job->run->setting_count; i++)
        for (uint32_t k = 0; k < plugin->option_count; k++)
            if (strcmp(plugin->options[k]->name, job->run->settings[i].name) == 0)
                settings[count++] = job->run->settings[i];
    return count;
}

static enum verdict child_checks(const void *argument, struct error *why)
{
    const struct job *job = argument;
    struct subject subject = {.catalogue = catalogue_open_file(job->file), .computes = job->run->computes};
    subject.entry = catalogue_find(subject.catalogue, job->kind, job->name, why);
    if (!subject.entry)
        return VERDICT_FAIL;
    struct option_setting *settings = NEW_ARRAY(struct option_setting, job->run->setting_count);
    subject.choice = (struct plugin_choice){.name = job->name, .settings = settings};
    subject.choice.setting_count = settings_of(job, subject.entry->plugin, settings);
    enum verdict verdict = job->check(&subject, why);
    free(settings);
    catalogue_close(subject.catalogue);
    return verdict;
}

/* ---- which checks there are */

struct check {
    uint32_t kind; /* 0: every kind */
    const char *what;
    check_fn function;
};

static const struct check checks[] = {
    {0, "describes itself", check_description},
    {0, "is created and destroyed again and again without a leak", check_lives},
    {0, "takes each option at the ends of its range, or says why not", check_option_ranges},
    {NAPM_KIND_SCHEDULER, "picks ready jobs only, and all jobs finish", check_scheduler_random},
    {NAPM_KIND_SCHEDULER, "schedules the same jobs in the same way", check_scheduler_repeats},
    {NAPM_KIND_PARTITIONER, "makes valid plans, the same for the same problem", check_partitioner_plans},
    {NAPM_KIND_PARTITIONER, "keeps to the devices' memory", check_partitioner_memory},
    {NAPM_KIND_PARTITIONER, "ends when it is cancelled", check_partitioner_cancel},
    {NAPM_KIND_LOADGEN, "gives arrivals whose times never decrease", check_arrivals},
    {NAPM_KIND_LOADGEN, "gives the same arrivals for the same seed", check_arrivals_repeat},
    {NAPM_KIND_LOADGEN, "gives sound levels of stress", check_stress},
    {NAPM_KIND_BACKEND, "computes right values", check_backend_values},
    {NAPM_KIND_BACKEND, "gives the same bits split and whole, at every cut", check_backend_split},
    {NAPM_KIND_BACKEND, "runs task after task without growing", check_backend_reuse},
};

static void check_plugin(struct run *run, const char *file, const struct catalogue_entry *entry)
{
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        struct error why = {0};
        struct job job = {file, entry->kind, entry->name, run, checks[i].function};
        if (checks[i].kind && checks[i].kind != entry->kind)
            continue;
        enum verdict verdict = child_run(child_checks, &job, run->limit_s, &why);
        report(run, file, entry, checks[i].what, verdict, &why);
    }
}

/* Only the notes are read in this process. */
static void check_file(struct run *run, const char *file)
{
    struct error why = {0};
    struct catalogue *catalogue = catalogue_open_file(file);
    const struct catalogue_entry *first = catalogue_at(catalogue, 0);
    enum verdict verdict = VERDICT_PASS;
    if (first->refusal)
        verdict = fail(&why, "%s", first->refusal);
    report(run, file, NULL, "carries a sound note", verdict, &why);
    if (verdict == VERDICT_PASS) {
        const struct job job = {.file = file};
        verdict = child_run(child_loads, &job, run->limit_s, &why);
        report(run, file, NULL, "loads with all symbols bound, and agrees with its note", verdict, &why);
    }
    for (size_t i = 0; verdict == VERDICT_PASS && i < catalogue_count(catalogue); i++)
        check_plugin(run, file, catalogue_at(catalogue, i));
    catalogue_close(catalogue);
}

/* ---- the command line */

static int add_setting(struct run *run, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return -1;
    *equals = '\0';
    run->settings = memory_resize(run->settings, run->setting_count + 1, sizeof(*run->settings));
    run->settings[run->setting_count++] = (struct option_setting){text, equals + 1, "--set"};
    return 0;
}

static int read_seconds(const char *text, int *seconds)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || end == text || value < 1 || value > 3600)
        return -1;
    *seconds = (int)value;
    return 0;
}

/* 0 to go on; else -1, with the process's exit status in *status. */
static int read_options(int argc, char **argv, struct run *run, int *status)
{
    static const struct option options[] = {{"set", required_argument, NULL, 's'},
                                            {"no-values", no_argument, NULL, 'n'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option, wrong = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            *status = 0;
            return -1;
        }
        if (option == 's' && add_setting(run, optarg))
            wrong = fprintf(stderr, "napm-plugin-check: --set %s: expected NAME=VALUE\n", optarg);
        if (option == 'n')
            run->computes = 0;
        if (option == 't' && read_seconds(optarg, &run->limit_s))
            wrong = fprintf(stderr, "napm-plugin-check: --timeout %s: expected 1..3600 seconds\n", optarg);
        if (option == '?')
            wrong = 1;
    }
    if (!wrong && optind == argc)
        wrong = fprintf(stderr, "napm-plugin-check: no file given\n");
    if (!wrong)
        return 0;
    fputs(usage, stderr);
    *status = 2;
    return -1;
}

/*
 * Leaks are seen in the heap's own count of what is in use, in which glibc's caches of freed blocks would appear. A
 * program can only do without them from its start on: so it starts itself again.
 */
static void restart_without_heap_caches(char **argv)
{
    static const char variable[] = "GLIBC_TUNABLES", value[] = "glibc.malloc.tcache_count=0";
    if (getenv(variable) || setenv(variable, value, 1))
        return;
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    restart_without_heap_caches(argv);
    struct run run = {.limit_s = 20, .computes = 1};
    int status = 0;
    if (read_options(argc, argv, &run, &status) == 0) {
        for (int i = optind; i < argc; i++)
            check_file(&run, argv[i]);
        printf("1..%u\n# %u checks: %u passed, %u failed, %u skipped\n", run.number, run.number, run.passed, run.failed,
               run.skipped);
        status = run.failed ? 1 : 0;
    }
    free(run.settings);
    return status;
}
