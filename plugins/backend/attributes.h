/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an operator's attributes as the SDK shows them: a value, or what stands for it where the operator has none. */
#ifndef NAPM_PLUGINS_ATTRIBUTES_H
#define NAPM_PLUGINS_ATTRIBUTES_H

#include <string.h>

#include <napm/model.h>

static inline const struct napm_attribute *attribute_find(const struct napm_operator *op, const char *name,
                                                          uint32_t type)
{
    for (uint32_t i = 0; i < op->attribute_count; i++)
        if (op->attributes[i]->type == type && strcmp(op->attributes[i]->name, name) == 0)
            return op->attributes[i];
    return NULL;
}

static inline int64_t attribute_integer(const struct napm_operator *op, const char *name, int64_t otherwise)
{
    const struct napm_attribute *attribute = attribute_find(op, name, NAPM_ATTRIBUTE_INTEGER);
    return attribute ? attribute->integer : otherwise;
}

static inline double attribute_real(const struct napm_operator *op, const char *name, double otherwise)
{
    const struct napm_attribute *attribute = attribute_find(op, name, NAPM_ATTRIBUTE_REAL);
    return attribute ? attribute->real : otherwise;
}

static inline const char *attribute_text(const struct napm_operator *op, const char *name, const char *otherwise)
{
    const struct napm_attribute *attribute = attribute_find(op, name, NAPM_ATTRIBUTE_TEXT);
    return attribute && attribute->text ? attribute->text : otherwise;
}

/* The numbers stay the operator's; NULL, and a count of 0, where there are none. */
static inline const int64_t *attribute_integers(const struct napm_operator *op, const char *name, uint32_t *count)
{
    const struct napm_attribute *attribute = attribute_find(op, name, NAPM_ATTRIBUTE_INTEGERS);
    *count = attribute ? attribute->count : 0;
    return attribute ? attribute->integers : NULL;
}

#endif
