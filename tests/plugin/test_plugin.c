/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin room: discovery, refusals, shadowing, loading, options, instances and the services they get. */
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/plugin/catalogue.h"
#include "core/plugin/elf_note.h"

/* ---- helpers: folders that hold just the fixtures that a test names */

static char work[PATH_MAX];

static char *new_folder(void)
{
    char *folder = text_format("%s/XXXXXX", work);
    assert_non_null(mkdtemp(folder));
    return folder;
}

static char *fixture_path(const char *fixture)
{
    const char *build = getenv("top_builddir");
    return text_format("%s/tests/plugin/fixtures/.libs/%s.so", build ? build : ".", fixture);
}

static void add_fixture(const char *folder, const char *fixture, const char *as)
{
    char *from = fixture_path(fixture), *to = text_format("%s/%s", folder, as);
    if (access(from, R_OK))
        fail_msg("%s is missing: run make check", from);
    assert_int_equal(symlink(from, to), 0);
    free(from);
    free(to);
}

static void add_text_file(const char *folder, const char *name, const void *bytes, size_t count)
{
    char *path = text_format("%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
    free(path);
}

static struct catalogue *open_folder(const char *folder)
{
    struct error error = {0};
    const char *extra[] = {folder, NULL};
    struct catalogue *catalogue = catalogue_open(extra, &error);
    if (!catalogue)
        fail_msg("%s", error.text);
    return catalogue;
}

/* A catalogue of one fixture. */
static struct catalogue *open_fixture(const char *fixture)
{
    char *folder = new_folder(), *name = text_format("%s.so", fixture);
    add_fixture(folder, fixture, name);
    struct catalogue *catalogue = open_folder(folder);
    free(name);
    free(folder);
    return catalogue;
}

static const struct catalogue_entry *entry_of_file(const struct catalogue *catalogue, const char *file)
{
    for (size_t i = 0; i < catalogue_count(catalogue); i++) {
        const char *path = catalogue_at(catalogue, i)->path;
        if (strcmp(path + strlen(path) - strlen(file), file) == 0)
            return catalogue_at(catalogue, i);
    }
    fail_msg("no entry for %s", file);
    return NULL;
}

static void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("expected '%s' in: %s", part, text ? text : "(NULL)");
}

static const struct instance_host test_host = {.label = "test", .seed = 1};

static struct instance *open_probe(struct catalogue *catalogue, const struct option_setting *settings, size_t count,
                                   struct error *error)
{
    struct plugin_choice choice = {"probe", "scenario.cfg:3", settings, count};
    return instance_open(catalogue, NAPM_KIND_SCHEDULER, &choice, &test_host, error);
}

/* ---- discovery */

static void a_file_with_three_plugins_is_listed_without_being_loaded(void **state)
{
    (void)state;
    struct catalogue *catalogue = open_fixture("good");
    assert_true(catalogue_count(catalogue) >= 3);
    const struct catalogue_entry *entry = catalogue_at(catalogue, 0);
    assert_null(entry->refusal);
    assert_null(entry->plugin);
    assert_int_equal(entry->kind, NAPM_KIND_PARTITIONER); /* in a file, by kind and name */
    assert_string_equal(entry->name, "probe");
    assert_string_equal(entry->version, "2.0");
    assert_int_equal(entry->abi, NAPM_ABI);
    assert_int_equal(entry->hook_version, NAPM_PARTITIONER_VERSION);
    assert_int_equal(catalogue_at(catalogue, 1)->kind, NAPM_KIND_SCHEDULER);
    assert_string_equal(catalogue_at(catalogue, 2)->name, "probe-load");
    catalogue_close(catalogue);
}

static void files_come_in_byte_order_and_later_ones_are_shadowed(void **state)
{
    (void)state;
    char *folder = new_folder();
    add_fixture(folder, "good", "b.so");
    add_fixture(folder, "good", "B.so");
    add_fixture(folder, "good", "a.so");
    struct catalogue *catalogue = open_folder(folder);
    const char *const order[] = {"/B.so", "/a.so", "/b.so"};
    for (size_t i = 0; i < 3; i++) {
        const struct catalogue_entry *entry = catalogue_at(catalogue, 3 * i);
        assert_contains(entry->path, order[i]);
        if (i == 0)
            assert_null(entry->shadowed_by);
        else
            assert_contains(entry->shadowed_by, "/B.so");
    }
    struct error error = {0};
    const struct catalogue_entry *used = catalogue_find(catalogue, NAPM_KIND_SCHEDULER, "probe", &error);
    assert_non_null(used);
    assert_contains(used->path, "/B.so");
    catalogue_close(catalogue);
    free(folder);
}

static void folders_are_searched_in_the_documented_order(void **state)
{
    (void)state;
    char *first = new_folder(), *second = new_folder(), *data = new_folder();
    char *third = text_format("%s/napm", data), *path = text_format("/nonexistent::%s:%s", second, first);
    assert_int_equal(mkdir(third, 0777), 0);
    free(third);
    third = text_format("%s/napm/plugins", data);
    assert_int_equal(mkdir(third, 0777), 0);
    setenv("NAPM_PLUGIN_PATH", path, 1);
    setenv("XDG_DATA_HOME", data, 1);
    add_fixture(first, "good", "z.so");
    add_fixture(second, "good", "m.so");
    add_fixture(third, "good", "a.so");
    struct catalogue *catalogue = open_folder(first);
    assert_true(catalogue_folder_count(catalogue) >= 3);
    assert_string_equal(catalogue_folder_at(catalogue, 0), first);
    assert_string_equal(catalogue_folder_at(catalogue, 1), second);
    assert_string_equal(catalogue_folder_at(catalogue, 2), third);
    assert_null(entry_of_file(catalogue, "/z.so")->shadowed_by);
    assert_contains(entry_of_file(catalogue, "/m.so")->shadowed_by, "/z.so");
    assert_contains(entry_of_file(catalogue, "/a.so")->shadowed_by, "/z.so");
    catalogue_close(catalogue);
    setenv("NAPM_PLUGIN_PATH", "", 1);
    setenv("XDG_DATA_HOME", work, 1);
    free(first);
    free(second);
    free(third);
    free(data);
    free(path);
}

static void a_missing_folder_is_an_error_only_where_it_was_asked_for(void **state)
{
    (void)state;
    struct error error = {0};
    const char *const extra[] = {"/nonexistent/plugins", NULL};
    assert_null(catalogue_open(extra, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_contains(error.text, "/nonexistent/plugins");
    setenv("NAPM_PLUGIN_PATH", "/nonexistent/plugins", 1);
    struct catalogue *catalogue = catalogue_open(NULL, &error);
    assert_non_null(catalogue);
    catalogue_close(catalogue);
    setenv("NAPM_PLUGIN_PATH", "", 1);
}

static void only_names_that_end_in_so_are_looked_at(void **state)
{
    (void)state;
    char *folder = new_folder();
    add_text_file(folder, "README", "hello", 5);
    add_text_file(folder, "x.so.1", "hello", 5);
    add_text_file(folder, ".hidden.so", "hello", 5);
    add_text_file(folder, ".so", "hello", 5);
    struct catalogue *catalogue = open_folder(folder);
    for (size_t i = 0; i < catalogue_count(catalogue); i++)
        assert_string_not_equal(catalogue_at(catalogue, i)->folder, folder);
    catalogue_close(catalogue);
    free(folder);
}

/* ---- files that are no plugins */

static void files_that_are_no_plugins_are_refused_with_the_reason(void **state)
{
    (void)state;
    char *folder = new_folder(), *good = fixture_path("good"), *directory = text_format("%s/directory.so", folder),
         *dangling = text_format("%s/dangling.so", folder);
    char bytes[4096];
    FILE *file = fopen(good, "rb");
    assert_non_null(file);
    size_t count = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_int_equal(count, sizeof(bytes));
    add_text_file(folder, "truncated.so", bytes, 900);
    add_text_file(folder, "stump.so", bytes, 12);
    add_text_file(folder, "empty.so", "", 0);
    add_text_file(folder, "text.so", "#!/bin/sh\n", 10);
    bytes[18] = (char)0xf3, bytes[19] = 0; /* e_machine: RISC-V */
    add_text_file(folder, "foreign.so", bytes, sizeof(bytes));
    assert_int_equal(mkdir(directory, 0777), 0);
    assert_int_equal(symlink("nowhere.so", dangling), 0);
    add_fixture(folder, "faulty_no_note", "no_note.so");
    struct catalogue *catalogue = open_folder(folder);
    assert_contains(entry_of_file(catalogue, "/truncated.so")->refusal, "cut off after 900 bytes");
    assert_contains(entry_of_file(catalogue, "/stump.so")->refusal, "cut off after 12 bytes");
    assert_contains(entry_of_file(catalogue, "/empty.so")->refusal, "empty");
    assert_contains(entry_of_file(catalogue, "/text.so")->refusal, "no ELF file");
    assert_contains(entry_of_file(catalogue, "/foreign.so")->refusal, "built for RISC-V, this is ");
    assert_contains(entry_of_file(catalogue, "/directory.so")->refusal, "not a regular file");
    assert_contains(entry_of_file(catalogue, "/dangling.so")->refusal, "No such file");
    assert_contains(entry_of_file(catalogue, "/no_note.so")->refusal, "without a NAPM note");
    assert_null(entry_of_file(catalogue, "/no_note.so")->name);
    catalogue_close(catalogue);
    free(folder);
    free(good);
    free(directory);
    free(dangling);
}

static void an_unreadable_file_is_refused_with_the_reason(void **state)
{
    (void)state;
    char *folder = new_folder(), *path = text_format("%s/secret.so", folder);
    add_text_file(folder, "secret.so", "x", 1);
    assert_int_equal(chmod(path, 0) | chmod(folder, 0755), 0);
    int root = geteuid() == 0;
    if (root) /* root reads everything: be somebody else meanwhile */
        assert_int_equal(seteuid(65534), 0);
    struct catalogue *catalogue = open_folder(folder);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_contains(entry_of_file(catalogue, "/secret.so")->refusal, "Permission denied");
    catalogue_close(catalogue);
    free(folder);
    free(path);
}

/* ---- plugins that are at fault */

/* Refused when found, before any of its code has run. */
static void assert_refused_by_note(const char *fixture, const char *part)
{
    struct catalogue *catalogue = open_fixture(fixture);
    assert_contains(catalogue_at(catalogue, 0)->path, fixture);
    assert_contains(catalogue_at(catalogue, 0)->refusal, part);
    catalogue_close(catalogue);
}

/* Looks sound when found; refused when loaded, by name, and stays so. */
static void assert_refused_when_loaded(const char *fixture, const char *part)
{
    struct error error = {0};
    struct catalogue *catalogue = open_fixture(fixture);
    const struct catalogue_entry *entry = catalogue_at(catalogue, 0);
    if (entry->refusal)
        fail_msg("%s: %s", entry->path, entry->refusal);
    for (int twice = 0; twice < 2; twice++) {
        assert_null(catalogue_find(catalogue, entry->kind, entry->name, &error));
        assert_int_equal(error.kind, ERROR_INPUT); /* naming it was the mistake */
        assert_contains(error.text, part);
        assert_contains(error.text, entry->path);
        assert_contains(error.text, entry->name);
    }
    assert_contains(entry->refusal, part);
    assert_null(entry->plugin);
    catalogue_close(catalogue);
}

static void versions_that_do_not_match_are_refused_with_both(void **state)
{
    (void)state;
    assert_refused_by_note("faulty_note_abi", "ABI 2, this platform has ABI 1: update the platform");
    assert_refused_by_note("faulty_note_magic", "magic word is 0x12345678, expected 0x4d50414e");
    assert_refused_by_note("faulty_size", "descriptor has 16 bytes");
    assert_refused_by_note("faulty_kind", "kind 9");
    assert_refused_by_note("faulty_hook_version", "version 7 of the scheduler hook, this platform has 1");
    assert_refused_when_loaded("faulty_list_abi", "ABI 0, this platform has ABI 1: rebuild the plugin");
    assert_refused_when_loaded("faulty_list_magic", "magic word is 0x12345678");
}

static void a_refused_file_still_tells_its_name_when_it_is_asked_for(void **state)
{
    (void)state;
    struct error error = {0};
    struct catalogue *catalogue = open_fixture("faulty_note_abi");
    assert_null(catalogue_find(catalogue, NAPM_KIND_SCHEDULER, "faulty", &error));
    assert_contains(error.text, "faulty_note_abi.so");
    assert_contains(error.text, "ABI 2");
    catalogue_close(catalogue);
}

static void a_note_that_differs_from_the_descriptor_is_refused(void **state)
{
    (void)state;
    assert_refused_when_loaded("faulty_note_version", "its note says version 2.0");
    assert_refused_when_loaded("faulty_note_name", "names the scheduler 'other', none of its descriptors does");
    assert_refused_by_note("faulty_note_twice", "two scheduler plugins named 'faulty'");
}

static void names_must_be_there_and_well_formed(void **state)
{
    (void)state;
    assert_refused_when_loaded("faulty_null_name", "descriptor 1 has no name");
    assert_refused_by_note("faulty_bad_name", "'Fa_ulty'");
}

static void missing_callbacks_are_named(void **state)
{
    (void)state;
    assert_refused_when_loaded("faulty_no_pick",
                               "Its scheduler 'faulty' (version 1.0, ABI 1, hook version 1) breaks the "
                               "contract: it lacks the required callback pick(); correct its source");
    assert_refused_when_loaded("faulty_no_create", "lacks the required callback create()");
    assert_refused_when_loaded("faulty_no_hook", "hook is NULL");
    assert_refused_when_loaded("faulty_no_entry", "exports no function napm_plugin_entry");
    assert_refused_when_loaded("faulty_null_list", "returned NULL");
    assert_refused_when_loaded("bare_loadgen", "neither napm.loadgen.arrivals/1 nor napm.loadgen.stress/1");
    assert_refused_when_loaded("half_loadgen", "lacks the required callback next(), completed(), interval_ns()");
}

static void an_unresolved_symbol_is_told_in_the_linkers_words(void **state)
{
    (void)state;
    assert_refused_when_loaded("faulty_unresolved", "undefined symbol: napm_there_is_no_such_function");
}

static void bad_option_tables_are_refused(void **state)
{
    (void)state;
    assert_refused_when_loaded("faulty_option_null", "entry 1 of its option table is NULL");
    assert_refused_when_loaded("faulty_option_name", "option number 1 has no name");
    assert_refused_when_loaded("faulty_option_letters", "'Quan-tum'");
    assert_refused_when_loaded("faulty_option_twice", "'quantum' is declared twice");
    assert_refused_when_loaded("faulty_option_default", "its default is wrong: '5' has no unit");
    assert_refused_when_loaded("faulty_option_no_default", "neither a default nor");
    assert_refused_when_loaded("faulty_option_type", "type 99");
    assert_refused_when_loaded("faulty_option_choices", "choice without choices");
    assert_refused_when_loaded("faulty_option_limits", "minimum is above its maximum");
}

static void load_all_marks_what_cannot_be_loaded_and_keeps_the_rest(void **state)
{
    (void)state;
    char *folder = new_folder();
    add_fixture(folder, "good", "good.so");
    add_fixture(folder, "faulty_no_pick", "bad.so");
    struct catalogue *catalogue = open_folder(folder);
    catalogue_load_all(catalogue);
    assert_non_null(entry_of_file(catalogue, "/bad.so")->refusal);
    assert_null(entry_of_file(catalogue, "/good.so")->refusal);
    assert_non_null(entry_of_file(catalogue, "/good.so")->plugin);
    assert_string_equal(catalogue_at(catalogue, 2)->plugin->summary, "Tells what it was given");
    catalogue_close(catalogue);
    free(folder);
}

/* ---- other SDKs' structures */

static void a_plugin_of_a_later_sdk_is_read_as_far_as_it_is_known(void **state)
{
    (void)state;
    struct error error = {0};
    struct catalogue *catalogue = open_fixture("future");
    struct plugin_choice choice = {.name = "future"};
    struct instance *instance = instance_open(catalogue, NAPM_KIND_SCHEDULER, &choice, &test_host, &error);
    if (!instance)
        fail_msg("%s", error.text);
    assert_int_equal(instance->hook.scheduler.ready(instance->self, NULL, 0), 41);
    assert_string_equal(instance_options_text(instance), "grown=3\n");
    instance_close(instance);
    catalogue_close(catalogue);
}

static void what_an_earlier_sdk_lacks_reads_as_zero(void **state)
{
    (void)state;
    struct error error = {0};
    struct catalogue *catalogue = open_fixture("older");
    struct plugin_choice choice = {.name = "older"};
    struct instance *instance = instance_open(catalogue, NAPM_KIND_PARTITIONER, &choice, &test_host, &error);
    if (!instance)
        fail_msg("%s", error.text);
    assert_null(instance->entry->plugin->get_extension);
    assert_true(instance->entry->plugin->options[0]->maximum == 0);
    uint64_t table[4];
    assert_int_equal(instance_extension(instance, "anything", table, sizeof(table)), -1);
    instance_close(instance);
    catalogue_close(catalogue);
}

/* ---- finding */

static void an_unknown_name_gets_a_suggestion(void **state)
{
    (void)state;
    struct error error = {0};
    struct catalogue *catalogue = open_fixture("good");
    struct plugin_choice choice = {.name = "prboe", .where = "scenario.cfg:9"};
    assert_int_equal(instance_check(catalogue, NAPM_KIND_SCHEDULER, &choice, &error), -1);
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_contains(error.text, "scenario.cfg:9: there is no scheduler plugin 'prboe': did you mean 'probe'?");
    assert_null(catalogue_find(catalogue, NAPM_KIND_BACKEND, "probe-load", &error));
    assert_contains(error.text, "there is a loadgen of that name");
    assert_int_equal(catalogue_kind_from_name("backend"), NAPM_KIND_BACKEND);
    assert_int_equal(catalogue_kind_from_name("nonsense"), 0);
    catalogue_close(catalogue);
}

/* ---- options */

static void options_reach_the_plugin_in_base_units(void **state)
{
    (void)state;
    struct error error = {0};
    struct catalogue *catalogue = open_fixture("good");
    const struct option_setting settings[] = {
        {"integer", "8", "a.cfg:1"},    {"real", "0.25", "a.cfg:2"},    {"text", "first", "a.cfg:3"},
        {"choice", "three", "a.cfg:4"}, {"duration", "2ms", "a.cfg:5"}, {"memory_size", "64KiB", "a.cfg:6"},
        {"rate", "1Mbit", "a.cfg:7"},   {"text", "abc", "--set"},       {"file", "x.csv", "/some/where/a.cfg:9"},
    };
    struct instance *instance = open_probe(catalogue, settings, sizeof(settings) / sizeof(settings[0]), &error);
    if (!instance)
        fail_msg("%s", error.text);
    struct napm_pick pick = {.size = sizeof(pick)};
    assert_int_equal(instance->hook.scheduler.pick(instance->self, 0, &pick), NAPM_OK);
    assert_int_equal(pick.layer_count, 1);
    assert_string_equal(instance_options_text(instance),
                        "fail=false\ninteger=8\nreal=0.25\ntext=abc\nchoice=three\nduration=2ms\nmemory_size=64KiB\n"
                        "rate=1Mbit\nfile=/some/where/x.csv\n");
    instance_close(instance);
    catalogue_close(catalogue);
}

static void assert_option_refused(struct catalogue *catalogue, const char *name, const char *text, const char *part)
{
    struct error error = {0};
    const struct option_setting setting = {name, text, "a.cfg:7"};
    const struct plugin_choice choice = {"probe", "a.cfg:5", &setting, 1};
    if (instance_check(catalogue, NAPM_KIND_SCHEDULER, &choice, &error) == 0)
        fail_msg("%s = %s was accepted", name, text);
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_contains(error.text, "a.cfg:7: ");
    assert_contains(error.text, part);
}

static void bad_option_texts_are_refused_with_place_and_remedy(void **state)
{
    (void)state;
    struct catalogue *catalogue = open_fixture("good");
    assert_option_refused(catalogue, "durtaion", "5ms", "has no option 'durtaion': did you mean 'duration'?");
    assert_option_refused(catalogue, "xyzzy", "5ms", "it takes fail, integer");
    assert_option_refused(catalogue, "fail", "yes", "neither true nor false");
    assert_option_refused(catalogue, "integer", "0", "out of range: allowed is 1..64");
    assert_option_refused(catalogue, "integer", "3.5", "no integer");
    assert_option_refused(catalogue, "integer", "99999999999999999999", "64 bits");
    assert_option_refused(catalogue, "integer", "", "no integer");
    assert_option_refused(catalogue, "real", "nan", "no number");
    assert_option_refused(catalogue, "real", "1.01", "out of range");
    assert_option_refused(catalogue, "choice", "tw", "one, two or three");
    assert_option_refused(catalogue, "choice", "one|two", "none of the choices");
    assert_option_refused(catalogue, "duration", "5", "has no unit");
    assert_option_refused(catalogue, "duration", "5us", "allowed is 1.00 ms..1.00 s");
    assert_option_refused(catalogue, "memory_size", "16EiB", "no unit");
    assert_option_refused(catalogue, "memory_size", "10000000000GB", "63 bits");
    assert_option_refused(catalogue, "rate", "20Mb", "no unit");
    catalogue_close(catalogue);
}

static void a_required_option_must_be_set(void **state)
{
    (void)state;
    struct error error = {0};
    struct catalogue *catalogue = open_fixture("good");
    struct plugin_choice choice = {.name = "probe", .where = "a.cfg:4"};
    assert_int_equal(instance_check(catalogue, NAPM_KIND_PARTITIONER, &choice, &error), -1);
    assert_contains(error.text, "a.cfg:4: partitioner 'probe' needs the option 'needed' (integer)");
    const struct option_setting setting = {"needed", "1", "--set"};
    choice.settings = &setting;
    choice.setting_count = 1;
    assert_int_equal(instance_check(catalogue, NAPM_KIND_PARTITIONER, &choice, &error), 0);
    catalogue_close(catalogue);
}

static void a_relative_file_is_seen_from_the_file_that_names_it(void **state)
{
    (void)state;
    struct error error = {0};
    char cwd[PATH_MAX];
    struct catalogue *catalogue = open_fixture("good");
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    const struct {
        const char *where, *text;
        char *expected;
    } cases[] = {{"/a/b/s.cfg:12", "t.csv", text_copy("file=/a/b/t.csv\n")},
                 {"/a/b/s.cfg:12", "/t.csv", text_copy("file=/t.csv\n")},
                 {"s.cfg:12", "t.csv", text_format("file=%s/t.csv\n", cwd)},
                 {"sub/s.cfg:12", "t.csv", text_format("file=%s/sub/t.csv\n", cwd)},
                 {"--set", "t.csv", text_format("file=%s/t.csv\n", cwd)},
                 {NULL, "t.csv", text_format("file=%s/t.csv\n", cwd)}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct option_setting setting = {"file", cases[i].text, cases[i].where};
        struct instance *instance = open_probe(catalogue, &setting, 1, &error);
        assert_non_null(instance);
        assert_contains(instance_options_text(instance), cases[i].expected);
        instance_close(instance);
        free(cases[i].expected);
    }
    catalogue_close(catalogue);
}

static void ranges_are_described_for_people(void **state)
{
    (void)state;
    struct napm_option option = {.size = sizeof(option), .type = NAPM_OPTION_INTEGER, .minimum = 1, .maximum = 64};
    const struct {
        uint32_t type;
        double minimum, maximum;
        const char *text;
    } cases[] = {{NAPM_OPTION_INTEGER, 1, 64, "1..64"},
                 {NAPM_OPTION_INTEGER, 1, 9.3e18, "1 or more"},
                 {NAPM_OPTION_REAL, 0, 0, ""},
                 {NAPM_OPTION_DURATION, 1e6, 1e30, "1.00 ms or more"},
                 {NAPM_OPTION_CHOICE, 0, 0, "a, b or c"},
                 {NAPM_OPTION_TEXT, 1, 2, ""}};
    option.choices = "a|b|c";
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        option.type = cases[i].type;
        option.minimum = cases[i].minimum;
        option.maximum = cases[i].maximum;
        char *text = option_range_text(&option);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
    assert_string_equal(option_type_name(NAPM_OPTION_FILE), "file");
    assert_null(option_type_name(77));
}

/* ---- instances */

static void a_failing_create_is_told_in_the_plugins_words(void **state)
{
    (void)state;
    struct error error = {0};
    struct catalogue *catalogue = open_fixture("good");
    const struct option_setting setting = {"fail", "true", "a.cfg:8"};
    assert_null(open_probe(catalogue, &setting, 1, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_contains(error.text, "scenario.cfg:3: plugin probe (");
    assert_contains(error.text, "asked to fail");
    catalogue_close(catalogue);
}

static void statuses_become_errors_with_the_plugins_words(void **state)
{
    (void)state;
    struct error error = {0};
    struct catalogue *catalogue = open_fixture("good");
    struct instance *instance = open_probe(catalogue, NULL, 0, &error);
    struct napm_job job = {.size = sizeof(job), .task = 1};
    int32_t status = instance->hook.scheduler.ready(instance->self, &job, 0);
    assert_int_equal(instance_error(instance, status, "ready() of job 7", &error), -1);
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_contains(error.text, "ready() of job 7: no room"); /* the line break is gone */
    assert_int_equal(instance_error(instance, NAPM_ERR_FAILED, "pick()", &error), -1);
    assert_int_equal(error.kind, ERROR_RUN);
    assert_contains(error.text, "gave no reason (it did not call host->set_error)"); /* the text is used once */
    instance_error(instance, NAPM_ERR_INVALID, "pick()", &error);
    assert_int_equal(error.kind, ERROR_PLUGIN); /* without a reason it is not the user's fault */
    assert_contains(error.text, "gave no reason");
    instance_error(instance, NAPM_ERR_CANCELLED, "pick()", &error);
    assert_int_equal(error.kind, ERROR_CANCELLED);
    instance_error(instance, -77, "pick()", &error);
    assert_int_equal(error.kind, ERROR_PLUGIN);
    assert_contains(error.text, "-77");
    assert_int_equal(instance_misbehaved(instance, &error, "picked job %d", 5), -1);
    assert_int_equal(error.kind, ERROR_PLUGIN);
    assert_contains(error.text, "probe");
    assert_contains(error.text, "misbehaves: picked job 5");
    instance_close(instance);
    catalogue_close(catalogue);
}

static void an_extension_is_copied_and_the_rest_zeroed(void **state)
{
    (void)state;
    struct error error = {0};
    struct catalogue *catalogue = open_fixture("good");
    struct plugin_choice choice = {.name = "probe-load"};
    struct instance *instance = instance_open(catalogue, NAPM_KIND_LOADGEN, &choice, &test_host, &error);
    assert_non_null(instance);
    struct {
        struct napm_loadgen_arrivals known;
        uint64_t later;
    } table;
    memset(&table, 0xff, sizeof(table));
    assert_int_equal(instance_extension(instance, NAPM_LOADGEN_ARRIVALS, &table, sizeof(table)), 0);
    assert_non_null(table.known.next);
    assert_int_equal(table.later, 0);
    assert_int_equal(instance_extension(instance, NAPM_LOADGEN_STRESS, &table, sizeof(table)), -1);
    assert_null(table.known.next);
    instance_close(instance);
    catalogue_close(catalogue);
}

static int64_t virtual_now_ns(void *context)
{
    return *(int64_t *)context;
}

static int32_t virtual_sleep(void *context, int64_t until_ns)
{
    *(int64_t *)context = until_ns;
    return NAPM_ERR_CANCELLED;
}

static void services_follow_the_world_and_the_seed(void **state)
{
    (void)state;
    struct error error = {0};
    int64_t clock_ns = 17;
    struct catalogue *catalogue = open_fixture("good");
    struct plugin_choice choice = {.name = "probe"};
    struct instance_host hosts[] = {{"a", 1, virtual_now_ns, virtual_sleep, &clock_ns},
                                    {"a", 1, NULL, NULL, NULL},
                                    {"b", 1, NULL, NULL, NULL},
                                    {"a", 2, NULL, NULL, NULL}};
    struct instance *instances[4];
    uint64_t bits[4];
    for (int i = 0; i < 4; i++) {
        instances[i] = instance_open(catalogue, NAPM_KIND_SCHEDULER, &choice, &hosts[i], &error);
        bits[i] = instances[i]->host.random_bits(&instances[i]->host);
        double unit = instances[i]->host.random_unit(&instances[i]->host);
        assert_true(unit >= 0 && unit < 1);
    }
    assert_true(bits[0] == bits[1]);
    assert_true(bits[0] != bits[2]);
    assert_true(bits[0] != bits[3]);
    const struct napm_host *host = &instances[0]->host;
    assert_int_equal(host->abi, NAPM_ABI);
    assert_int_equal(host->now_ns(host), 17);
    assert_int_equal(host->sleep_until_ns(host, 50), NAPM_ERR_UNSUPPORTED); /* a scheduler never waits */
    char text[] = "name";
    const char *first = host->intern(host, text);
    text[0] = 'l';
    assert_string_equal(first, "name");
    assert_ptr_equal(host->intern(host, "name"), first);
    assert_ptr_not_equal(host->intern(host, text), first);
    assert_null(host->get_extension(host, "napm.host.unknown/1"));
    assert_true(instances[1]->host.now_ns(&instances[1]->host) > 0);
    for (int i = 0; i < 4; i++)
        instance_close(instances[i]);
    catalogue_close(catalogue);
}

static void a_catalogue_can_be_opened_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct error error = {0};
        struct catalogue *catalogue = open_fixture("good");
        struct instance *instance = open_probe(catalogue, NULL, 0, &error);
        assert_non_null(instance);
        instance_lock(instance);
        instance_lock(instance); /* recursive */
        instance_unlock(instance);
        instance_unlock(instance);
        instance_close(instance);
        catalogue_close(catalogue);
    }
}

/* What a plugin that is called from several threads may do at once. */
static void *use_services(void *argument)
{
    struct instance *instance = argument;
    const struct napm_host *host = &instance->host;
    char name[16];
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "n%d", i % 50);
        host->intern(host, name);
        host->set_error(host, name);
        host->random_bits(host);
        instance_lock(instance);
        instance->hook.scheduler.pick(instance->self, 0, &(struct napm_pick){.size = sizeof(struct napm_pick)});
        instance_unlock(instance);
    }
    return NULL;
}

static void services_bear_several_threads(void **state)
{
    (void)state;
    struct error error = {0};
    pthread_t threads[4];
    struct catalogue *catalogue = open_fixture("good");
    struct instance *instances[2] = {open_probe(catalogue, NULL, 0, &error), open_probe(catalogue, NULL, 0, &error)};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_services, instances[i % 2]), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    const struct napm_host *host = &instances[0]->host;
    assert_ptr_equal(host->intern(host, "n7"), host->intern(host, "n7"));
    assert_int_equal(instance_error(instances[0], NAPM_ERR_FAILED, "after all", &error), -1);
    assert_contains(error.text, "after all: n49");
    instance_close(instances[0]);
    instance_close(instances[1]);
    catalogue_close(catalogue);
}

static int make_work_folder(void **state)
{
    (void)state;
    const char *temporary = getenv("TMPDIR");
    char name[PATH_MAX];
    snprintf(name, sizeof(name), "%s/napm-test-plugin-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(name) || !realpath(name, work) || chmod(work, 0755))
        return -1;
    setenv("NAPM_PLUGIN_PATH", "", 1);
    setenv("XDG_DATA_HOME", work, 1);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static int remove_work_folder(void **state)
{
    (void)state;
    return nftw(work, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_with_three_plugins_is_listed_without_being_loaded),
        cmocka_unit_test(files_come_in_byte_order_and_later_ones_are_shadowed),
        cmocka_unit_test(folders_are_searched_in_the_documented_order),
        cmocka_unit_test(a_missing_folder_is_an_error_only_where_it_was_asked_for),
        cmocka_unit_test(only_names_that_end_in_so_are_looked_at),
        cmocka_unit_test(files_that_are_no_plugins_are_refused_with_the_reason),
        cmocka_unit_test(an_unreadable_file_is_refused_with_the_reason),
        cmocka_unit_test(versions_that_do_not_match_are_refused_with_both),
        cmocka_unit_test(a_refused_file_still_tells_its_name_when_it_is_asked_for),
        cmocka_unit_test(a_note_that_differs_from_the_descriptor_is_refused),
        cmocka_unit_test(names_must_be_there_and_well_formed),
        cmocka_unit_test(missing_callbacks_are_named),
        cmocka_unit_test(an_unresolved_symbol_is_told_in_the_linkers_words),
        cmocka_unit_test(bad_option_tables_are_refused),
        cmocka_unit_test(load_all_marks_what_cannot_be_loaded_and_keeps_the_rest),
        cmocka_unit_test(a_plugin_of_a_later_sdk_is_read_as_far_as_it_is_known),
        cmocka_unit_test(what_an_earlier_sdk_lacks_reads_as_zero),
        cmocka_unit_test(an_unknown_name_gets_a_suggestion),
        cmocka_unit_test(options_reach_the_plugin_in_base_units),
        cmocka_unit_test(bad_option_texts_are_refused_with_place_and_remedy),
        cmocka_unit_test(a_required_option_must_be_set),
        cmocka_unit_test(a_relative_file_is_seen_from_the_file_that_names_it),
        cmocka_unit_test(ranges_are_described_for_people),
        cmocka_unit_test(a_failing_create_is_told_in_the_plugins_words),
        cmocka_unit_test(statuses_become_errors_with_the_plugins_words),
        cmocka_unit_test(an_extension_is_copied_and_the_rest_zeroed),
        cmocka_unit_test(services_follow_the_world_and_the_seed),
        cmocka_unit_test(services_bear_several_threads),
        cmocka_unit_test(a_catalogue_can_be_opened_again),
    };
    return cmocka_run_group_tests_name("plugin", tests, make_work_folder, remove_work_folder) != 0;
}
