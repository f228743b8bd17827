/* SPDX-License-Identifier: Apache-2.0 */
/* Helper of the shell tests: `model_tool zoo NAME FILE [SEED]`, `model_tool list`, `model_tool shapes FILE`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/describe.h"
#include "core/model/model.h"
#include "models/zoo.h"

static int list(void)
{
    size_t count;
    const struct zoo_model *models = zoo_models(&count);
    for (size_t i = 0; i < count; i++)
        puts(models[i].name);
    return 0;
}

/* Every tensor with its shape, one a line. */
static int shapes(const char *path, struct error *error)
{
    struct model *model = model_open(path, error);
    if (!model)
        return -1;
    const struct napm_model *view = model_view(model);
    for (uint32_t t = 0; t < view->tensor_count; t++) {
        char *shape = describe_shape(view->tensors[t]);
        printf("%s %s\n", view->tensors[t]->name, shape);
        free(shape);
    }
    model_close(model);
    return 0;
}

int main(int count, char **words)
{
    struct error error = {0};
    int status = -1;
    if (count == 2 && strcmp(words[1], "list") == 0)
        status = list();
    else if (count == 3 && strcmp(words[1], "shapes") == 0)
        status = shapes(words[2], &error);
    else if (count >= 4 && strcmp(words[1], "zoo") == 0)
        status = zoo_write(words[2], count > 4 ? strtoull(words[4], NULL, 10) : 1, words[3], &error);
    if (status)
        fprintf(stderr, "model_tool: %s\n", error.text[0] ? error.text : "unknown words");
    return status ? 1 : 0;
}
