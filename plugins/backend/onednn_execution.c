/* SPDX-License-Identifier: Apache-2.0 */
/* Running a segment's items on one task's memory. */
#include "onednn_segment_parts.h"
#include "onednn_threads.h"

#include <stdlib.h>

#define MOST_TOGETHER 16 /* tasks in one product: more would not make the weights any cheaper */

/* One item, ready to run. */
struct ready {
    struct shim_call *call; /* of the library, or NULL: */
    const struct plain *plain;
    const float *arguments[PLAIN_MAX_ARGUMENTS];
    float *output;
};

/* A place that holds the address of one of the segment's inputs. */
struct patch {
    uint32_t item, slot, input;
};

struct execution {
    const struct segment *segment;
    struct region memory; /* arena, then scratch */
    struct ready *ready;
    struct patch *patches;
    uint32_t patch_count;
    uint32_t next_layer;
};

static void *address(const struct execution *execution, const struct argument *argument)
{
    const struct segment *segment = execution->segment;
    if (argument->place == PLACE_WEIGHTS)
        return segment->weights.start + argument->at;
    if (argument->place == PLACE_SCRATCH)
        return execution->memory.start + segment->arena_bytes;
    const struct buffer *buffer = &segment->buffers[argument->at];
    return buffer->external != NAPM_NONE ? NULL : execution->memory.start + buffer->offset;
}

static int patch_add(struct execution *execution, uint32_t item, const struct argument *argument)
{
    if (argument->place != PLACE_BUFFER || execution->segment->buffers[argument->at].external == NAPM_NONE)
        return 0;
    struct patch *grown = realloc(execution->patches, (execution->patch_count + 1) * sizeof(*grown));
    if (!grown)
        return -1;
    execution->patches = grown;
    struct patch *patch = &grown[execution->patch_count++];
    patch->item = item;
    patch->slot = argument->slot;
    patch->input = execution->segment->buffers[argument->at].external;
    return 0;
}

static int make_ready(struct execution *execution, uint32_t i)
{
    const struct segment *segment = execution->segment;
    const struct item *item = &segment->items[i];
    struct ready *ready = &execution->ready[i];
    ready->plain = item->plain;
    if (!item->plain && !(ready->call = shim_call_new(segment->plan->shim, item->kernel)))
        return -1;
    for (uint32_t k = 0; k < item->argument_count; k++) {
        const struct argument *argument = &segment->arguments[item->first_argument + k];
        void *data = address(execution, argument);
        if (ready->call && shim_call_bind(ready->call, argument->slot, argument->layout, data))
            return -1;
        if (item->plain && argument->slot == SHIM_DESTINATION)
            ready->output = data;
        else if (item->plain)
            ready->arguments[argument->slot] = data;
        if (patch_add(execution, i, argument))
            return -1;
    }
    return 0;
}

struct execution *execution_new(const struct segment *segment, struct reason *why)
{
    struct execution *execution = calloc(1, sizeof(*execution));
    int failed = !execution;
    if (!failed) {
        execution->segment = segment;
        execution->next_layer = segment->layer_count;
        execution->ready = calloc((size_t)segment->item_count + 1, sizeof(*execution->ready));
        failed = !execution->ready || region_open(&execution->memory, segment_activation_bytes(segment));
    }
    for (uint32_t i = 0; !failed && i < segment->item_count; i++)
        failed = make_ready(execution, i);
    if (failed) {
        refuse(why, "out of memory while making room for a task of model %s", segment->plan->model->name);
        execution_free(execution);
        return NULL;
    }
    return execution;
}

void execution_free(struct execution *execution)
{
    if (!execution)
        return;
    for (uint32_t i = 0; execution->ready && i < execution->segment->item_count; i++)
        shim_call_free(execution->ready[i].call);
    free(execution->ready);
    free(execution->patches);
    region_close(&execution->memory);
    free(execution);
}

void execution_start(struct execution *execution, const void *const *inputs)
{
    for (uint32_t i = 0; i < execution->patch_count; i++) {
        const struct patch *patch = &execution->patches[i];
        struct ready *ready = &execution->ready[patch->item];
        if (ready->call)
            shim_call_point(ready->call, patch->slot, (void *)(uintptr_t)inputs[patch->input]);
        else
            ready->arguments[patch->slot] = inputs[patch->input];
    }
    execution->next_layer = 0;
}

void execution_use_threads(const struct execution *execution)
{
    uint32_t threads = execution->segment->plan->how.threads;
    shim_set_threads(threads);
    threads_spread(threads);
}

/* A product with constant weights, for which a batch reads them from memory once. */
static void run_products(struct execution *const *executions, uint32_t count, uint32_t item)
{
    const struct plain *plain = executions[0]->ready[item].plain;
    const float *const *arguments[MOST_TOGETHER];
    float *outputs[MOST_TOGETHER];
    for (uint32_t done = 0, some; done < count; done += some) {
        some = count - done < MOST_TOGETHER ? count - done : MOST_TOGETHER;
        for (uint32_t i = 0; i < some; i++) {
            const struct ready *ready = &executions[done + i]->ready[item];
            arguments[i] = ready->arguments;
            outputs[i] = ready->output;
        }
        plain_vector_matrix_run_batch(plain, arguments, outputs, some, executions[0]->segment->plan->how.threads);
    }
}

static int run_item(struct execution *const *executions, uint32_t count, uint32_t item)
{
    const struct plain *plain = executions[0]->ready[item].plain;
    if (plain && plain->run == plain_vector_matrix_run) {
        run_products(executions, count, item);
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct ready *ready = &executions[i]->ready[item];
        if (plain)
            plain->run(plain, ready->arguments, ready->output, executions[i]->segment->plan->how.threads);
        else if (shim_call_run(ready->call))
            return -1;
    }
    return 0;
}

int execution_run_layer(struct execution *const *executions, uint32_t count, struct reason *why)
{
    const struct segment *segment = executions[0]->segment;
    uint32_t layer = executions[0]->next_layer;
    if (layer >= segment->layer_count)
        return 1;
    for (uint32_t item = segment->first_item[layer]; item < segment->first_item[layer + 1]; item++)
        if (run_item(executions, count, item))
            return refuse(why, "oneDNN %s failed in layer %u of a segment of model %s", shim_version(), layer,
                          segment->plan->model->name);
    for (uint32_t i = 0; i < count; i++)
        executions[i]->next_layer++;
    return 0;
}

void execution_outputs(const struct execution *execution, const void **outputs)
{
    const struct segment *segment = execution->segment;
    for (uint32_t i = 0; i < segment->output_count; i++)
        outputs[i] = execution->memory.start + segment->buffers[segment->outputs[i]].offset;
}
