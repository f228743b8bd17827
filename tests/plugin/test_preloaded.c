/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that is linked into the program (libtool -dlpreopen) is found and used like one in a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/plugin/catalogue.h"

static void a_plugin_in_the_program_is_found_and_used(void **state)
{
    (void)state;
    struct error error = {0};
    struct catalogue *catalogue = catalogue_open(NULL, &error);
    assert_non_null(catalogue);
    const struct catalogue_entry *entry = catalogue_at(catalogue, catalogue_count(catalogue) - 1);
    assert_string_equal(entry->path, "built-in:static_module");
    assert_string_equal(entry->name, "plain");
    assert_null(entry->refusal);
    struct plugin_choice choice = {.name = "plain"};
    struct instance_host host = {.label = "test"};
    struct instance *instance = instance_open(catalogue, NAPM_KIND_SCHEDULER, &choice, &host, &error);
    if (!instance)
        fail_msg("%s", error.text);
    struct napm_job job = {.size = sizeof(job), .id = 5};
    struct napm_pick pick = {.size = sizeof(pick)};
    assert_int_equal(instance->hook.scheduler.ready(instance->self, &job, 0), NAPM_OK);
    assert_int_equal(instance->hook.scheduler.pick(instance->self, 0, &pick), NAPM_OK);
    assert_int_equal(pick.job, 5);
    instance_close(instance);
    catalogue_close(catalogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_plugin_in_the_program_is_found_and_used)};
    setenv("NAPM_PLUGIN_PATH", "", 1);
    setenv("XDG_DATA_HOME", "/nonexistent", 1);
    return cmocka_run_group_tests_name("preloaded", tests, NULL, NULL) != 0;
}
