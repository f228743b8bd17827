/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: a model of the zoo, opened from a file that is gone by then. */
#ifndef NAPM_TESTS_ZOO_MODEL_H
#define NAPM_TESTS_ZOO_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/model/model.h"
#include "models/zoo.h"

/* The test fails where it cannot be had; close it with model_close. */
static inline struct model *zoo_model(const char *name)
{
    struct error error = {0};
    char path[] = "/tmp/napm-zoo-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    if (zoo_write(name, 1, path, &error) != 0)
        fail_msg("%s", error.text);
    struct model *model = model_open(path, &error);
    unlink(path);
    if (!model)
        fail_msg("%s", error.text);
    return model;
}

#endif
