/* SPDX-License-Identifier: Apache-2.0 */
/* Making segments out of the plan's steps: reorders at borders, packed weights, the sharing of activation memory. */
#include "onednn_segment_parts.h"

#include <stdlib.h>
#include <string.h>

/* A tensor in memory: which buffer holds it in which layout. A tensor may be there in several. */
struct form {
    uint32_t tensor, buffer;
    const struct shim_layout *layout;
};

/* The state of making one segment. */
struct maker {
    struct segment *segment;
    const struct plan *plan;
    struct form *forms;
    uint32_t form_count;
    uint32_t *reads_left; /* of each tensor of the model, in this segment; a wanted output counts as one */
    struct reason *why;
};

static int out_of_memory(struct maker *m)
{
    return refuse(m->why, "out of memory while making a segment of model %s", m->plan->model->name);
}

/* Grows a list by one zeroed element; NULL where memory runs out. */
static void *grown(void *list, uint32_t *count, size_t element_bytes)
{
    char **place = list;
    char *larger = realloc(*place, (*count + 1) * element_bytes);
    if (!larger)
        return NULL;
    *place = larger;
    void *added = larger + *count * element_bytes;
    memset(added, 0, element_bytes);
    (*count)++;
    return added;
}

/* ---- buffers and forms */

static uint32_t buffer_new(struct maker *m, uint64_t bytes)
{
    struct segment *segment = m->segment;
    struct buffer *buffer = grown(&segment->buffers, &segment->buffer_count, sizeof(*buffer));
    if (!buffer)
        return NAPM_NONE;
    buffer->bytes = region_round(bytes);
    buffer->first = NAPM_NONE;
    buffer->external = NAPM_NONE;
    return segment->buffer_count - 1;
}

static int form_add(struct maker *m, uint32_t tensor, uint32_t buffer, const struct shim_layout *layout)
{
    struct form *form = buffer == NAPM_NONE ? NULL : grown(&m->forms, &m->form_count, sizeof(*form));
    if (!form)
        return out_of_memory(m);
    form->tensor = tensor;
    form->buffer = buffer;
    form->layout = layout;
    return 0;
}

static void forms_forget(struct maker *m, uint32_t tensor, uint32_t buffer)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->form_count; i++)
        if (m->forms[i].tensor != tensor && m->forms[i].buffer != buffer)
            m->forms[kept++] = m->forms[i];
    m->form_count = kept;
}

/* Will anything in this segment still read what the buffer holds? */
static int buffer_is_needed(const struct maker *m, uint32_t buffer)
{
    for (uint32_t i = 0; i < m->form_count; i++)
        if (m->forms[i].buffer == buffer && m->reads_left[m->forms[i].tensor] > 0)
            return 1;
    return 0;
}

/* ---- items */

static struct item *item_new(struct maker *m)
{
    struct segment *segment = m->segment;
    struct item *item = grown(&segment->items, &segment->item_count, sizeof(*item));
    if (item)
        item->first_argument = segment->argument_count;
    return item;
}

/* Adds an argument to the newest item. */
static int item_argument(struct maker *m, uint32_t slot, const struct shim_layout *layout, enum place place,
                         uint64_t at)
{
    struct segment *segment = m->segment;
    struct argument *argument = grown(&segment->arguments, &segment->argument_count, sizeof(*argument));
    if (!argument)
        return out_of_memory(m);
    argument->slot = slot;
    argument->layout = layout;
    argument->place = place;
    argument->at = at;
    segment->items[segment->item_count - 1].argument_count++;
    if (place == PLACE_BUFFER) {
        struct buffer *buffer = &segment->buffers[at];
        if (buffer->first == NAPM_NONE)
            buffer->first = segment->item_count - 1;
        if (buffer->last != NAPM_NONE)
            buffer->last = segment->item_count - 1;
    }
    return 0;
}

static int item_scratch(struct maker *m, const struct shim_kernel *kernel)
{
    uint64_t bytes = shim_kernel_scratch_bytes(kernel);
    if (bytes == 0)
        return 0;
    if (bytes > m->segment->scratch_bytes)
        m->segment->scratch_bytes = region_round(bytes);
    return item_argument(m, SHIM_SCRATCH, NULL, PLACE_SCRATCH, 0);
}

/* Copies a buffer into a new one, from one layout to another; NAPM_NONE where that fails. */
static uint32_t copy_to_new(struct maker *m, uint32_t from, const struct shim_layout *layout,
                            const struct shim_layout *wanted)
{
    struct segment *segment = m->segment;
    struct shim_kernel **owned = grown(&segment->reorders, &segment->reorder_count, sizeof(*owned));
    if (!owned)
        return out_of_memory(m), NAPM_NONE;
    *owned = shim_make_reorder(m->plan->shim, layout, wanted);
    struct item *item = *owned ? item_new(m) : NULL;
    uint32_t to = buffer_new(m, shim_layout_bytes(wanted));
    if (!item || to == NAPM_NONE)
        return out_of_memory(m), NAPM_NONE;
    item->kernel = *owned;
    if (item_argument(m, SHIM_SOURCE, layout, PLACE_BUFFER, from) ||
        item_argument(m, SHIM_DESTINATION, wanted, PLACE_BUFFER, to) || item_scratch(m, *owned))
        return NAPM_NONE;
    return to;
}

/* The buffer that holds the tensor in the wanted layout, made by a reorder if need be; NAPM_NONE on failure. */
static uint32_t form_want(struct maker *m, uint32_t tensor, const struct shim_layout *wanted)
{
    const struct form *any = NULL;
    int dense = shim_layout_is_dense(wanted);
    for (uint32_t i = 0; i < m->form_count; i++) {
        const struct form *form = &m->forms[i];
        if (form->tensor != tensor)
            continue;
        if ((dense && shim_layout_is_dense(form->layout)) || shim_layout_equal(form->layout, wanted))
            return form->buffer;
        if (!any)
            any = form;
    }
    if (!any) {
        refuse(m->why, "tensor %s is neither an input of the segment nor computed by an earlier layer of it",
               m->plan->model->tensors[tensor]->name);
        return NAPM_NONE;
    }
    uint32_t buffer = copy_to_new(m, any->buffer, any->layout, wanted);
    return buffer != NAPM_NONE && form_add(m, tensor, buffer, wanted) == 0 ? buffer : NAPM_NONE;
}

/* ---- steps to items */

static int make_view(struct maker *m, const struct plan_step *step)
{
    uint32_t buffer = form_want(m, step->inputs[0].tensor, step->inputs[0].wanted);
    if (buffer == NAPM_NONE)
        return -1;
    m->reads_left[step->inputs[0].tensor]--;
    return form_add(m, step->output, buffer, m->plan->tensors[step->output].layout);
}

/* Buffers of the step's inputs; the one that is accumulated into becomes the output, or a copy of it does. */
static int make_inputs(struct maker *m, const struct plan_step *step, uint32_t *buffers, uint32_t *output)
{
    for (uint32_t i = 0; i < step->input_count; i++) {
        buffers[i] = form_want(m, step->inputs[i].tensor, step->inputs[i].wanted);
        if (buffers[i] == NAPM_NONE)
            return -1;
    }
    for (uint32_t i = 0; i < step->input_count; i++)
        m->reads_left[step->inputs[i].tensor]--;
    *output = NAPM_NONE;
    if (!step->accumulates)
        return 0;
    uint32_t last = step->input_count - 1, buffer = buffers[last];
    int shared = m->segment->buffers[buffer].external != NAPM_NONE || buffer_is_needed(m, buffer);
    for (uint32_t i = 0; i < last; i++)
        shared = shared || buffers[i] == buffer;
    *output = shared ? copy_to_new(m, buffer, step->inputs[last].wanted, step->inputs[last].wanted) : buffer;
    return *output == NAPM_NONE ? -1 : 0;
}

/* Reserves room for the step's constants and ties them to the newest item; packing follows when all is laid out. */
static int make_constants(struct maker *m, const struct plan_step *step)
{
    struct segment *segment = m->segment;
    for (uint32_t i = 0; i < step->constant_count; i++) {
        const struct plan_constant *constant = &step->constants[i];
        struct packed *packed = grown(&segment->packed, &segment->packed_count, sizeof(*packed));
        if (!packed)
            return out_of_memory(m);
        packed->constant = constant;
        packed->offset = segment->weight_bytes;
        segment->weight_bytes += region_round(plan_constant_bytes(constant));
        if (item_argument(m, constant->slot, constant->to, PLACE_WEIGHTS, packed->offset))
            return -1;
    }
    return 0;
}

static int make_step(struct maker *m, const struct plan_step *step)
{
    if (step->kind == STEP_VIEW)
        return make_view(m, step);
    uint32_t buffers[SHIM_MAX_SOURCES], output;
    if (step->input_count > SHIM_MAX_SOURCES || make_inputs(m, step, buffers, &output))
        return -1;
    if (output == NAPM_NONE)
        output = buffer_new(m, step->bound_output ? shim_layout_bytes(step->bound_output)
                                                  : m->plan->model->tensors[step->output]->bytes);
    struct item *item = output == NAPM_NONE ? NULL : item_new(m);
    if (!item)
        return out_of_memory(m);
    item->kernel = step->kernel;
    item->plain = step->kind == STEP_PLAIN ? &step->plain : NULL;
    uint32_t read = step->input_count - (step->accumulates ? 1 : 0);
    for (uint32_t i = 0; i < read; i++) {
        const struct plan_input *input = &step->inputs[i];
        if (item_argument(m, input->slot, input->bound ? input->bound : input->wanted, PLACE_BUFFER, buffers[i]))
            return -1;
    }
    if (make_constants(m, step) || item_argument(m, SHIM_DESTINATION, step->bound_output, PLACE_BUFFER, output) ||
        (step->kernel && item_scratch(m, step->kernel)))
        return -1;
    forms_forget(m, step->output, output);
    return form_add(m, step->output, output, m->plan->tensors[step->output].layout);
}

/* Outputs of the segment that exist by now, dense and in memory of the execution's own, to stay until the next task. */
static int make_outputs(struct maker *m, const struct napm_segment *what)
{
    struct segment *segment = m->segment;
    for (uint32_t i = 0; i < what->output_count; i++) {
        uint32_t tensor = what->outputs[i], known = 0;
        for (uint32_t k = 0; k < m->form_count; k++)
            known = known || m->forms[k].tensor == tensor;
        if (segment->outputs[i] != NAPM_NONE || !known)
            continue;
        const struct napm_tensor *t = m->plan->model->tensors[tensor];
        struct shim_layout **dense = grown(&segment->layouts, &segment->layout_count, sizeof(*dense));
        if (!dense || !(*dense = shim_layout_dense(t->rank, t->dims)))
            return out_of_memory(m);
        uint32_t buffer = form_want(m, tensor, *dense);
        if (buffer != NAPM_NONE && segment->buffers[buffer].external != NAPM_NONE)
            buffer = copy_to_new(m, buffer, *dense, *dense);
        if (buffer == NAPM_NONE)
            return -1;
        segment->buffers[buffer].last = NAPM_NONE;
        segment->outputs[i] = buffer;
    }
    return 0;
}

static int make_inputs_of_segment(struct maker *m, const struct napm_segment *what)
{
    struct segment *segment = m->segment;
    for (uint32_t i = 0; i < what->input_count; i++) {
        const struct napm_tensor *t = m->plan->model->tensors[what->inputs[i]];
        struct shim_layout **dense = grown(&segment->layouts, &segment->layout_count, sizeof(*dense));
        if (!dense || !(*dense = shim_layout_dense(t->rank, t->dims)))
            return out_of_memory(m);
        uint32_t buffer = buffer_new(m, t->bytes);
        if (buffer == NAPM_NONE || form_add(m, what->inputs[i], buffer, *dense))
            return out_of_memory(m);
        segment->buffers[buffer].external = i;
    }
    return 0;
}

static void count_reads(struct maker *m, const struct napm_segment *what)
{
    for (uint32_t l = 0; l < what->layer_count; l++)
        for (uint32_t s = m->plan->first_step[what->layers[l]]; s < m->plan->first_step[what->layers[l] + 1]; s++)
            for (uint32_t i = 0; i < m->plan->steps[s].input_count; i++)
                m->reads_left[m->plan->steps[s].inputs[i].tensor]++;
    for (uint32_t i = 0; i < what->output_count; i++)
        m->reads_left[what->outputs[i]]++;
}

static int make_items(struct maker *m, const struct napm_segment *what)
{
    struct segment *segment = m->segment;
    count_reads(m, what);
    if (make_inputs_of_segment(m, what))
        return -1;
    for (uint32_t l = 0; l < what->layer_count; l++) {
        segment->first_item[l] = segment->item_count;
        for (uint32_t s = m->plan->first_step[what->layers[l]]; s < m->plan->first_step[what->layers[l] + 1]; s++)
            if (make_step(m, &m->plan->steps[s]))
                return -1;
        if (make_outputs(m, what))
            return -1;
    }
    segment->first_item[what->layer_count] = segment->item_count;
    for (uint32_t i = 0; i < what->output_count; i++)
        if (segment->outputs[i] == NAPM_NONE)
            return refuse(m->why, "tensor %s is wanted from a segment that does not compute it",
                          m->plan->model->tensors[what->outputs[i]]->name);
    return 0;
}

/* ---- sharing memory */

static int goes_before(const struct buffer *a, const struct buffer *b)
{
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->first < b->first;
}

static int alive_together(const struct buffer *a, const struct buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which `buffer` meets none of the placed ones that are alive with it. */
static uint64_t lowest_place(const struct segment *segment, const uint32_t *placed, uint32_t count,
                             const struct buffer *buffer)
{
    uint64_t offset = 0;
    for (int moved = 1; moved;) {
        moved = 0;
        for (uint32_t i = 0; i < count; i++) {
            const struct buffer *other = &segment->buffers[placed[i]];
            if (alive_together(buffer, other) && offset < other->offset + other->bytes &&
                other->offset < offset + buffer->bytes) {
                offset = other->offset + other->bytes;
                moved = 1;
            }
        }
    }
    return offset;
}

/* Places large buffers first; buffers that were never used, and those of the caller, get no place. */
static int share_memory(struct maker *m)
{
    struct segment *segment = m->segment;
    uint32_t count = 0, *order = calloc((size_t)segment->buffer_count + 1, sizeof(*order));
    if (!order)
        return out_of_memory(m);
    for (uint32_t i = 0; i < segment->buffer_count; i++) {
        const struct buffer *buffer = &segment->buffers[i];
        if (buffer->external != NAPM_NONE || buffer->first == NAPM_NONE)
            continue;
        uint32_t at = count++;
        for (; at > 0 && goes_before(buffer, &segment->buffers[order[at - 1]]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct buffer *buffer = &segment->buffers[order[i]];
        buffer->offset = lowest_place(segment, order, i, buffer);
        if (buffer->offset + buffer->bytes > segment->arena_bytes)
            segment->arena_bytes = buffer->offset + buffer->bytes;
    }
    free(order);
    return 0;
}

static int pack_constants(struct maker *m)
{
    struct segment *segment = m->segment;
    if (region_open(&segment->weights, segment->weight_bytes))
        return out_of_memory(m);
    for (uint32_t i = 0; i < segment->packed_count; i++)
        if (plan_constant_pack(m->plan->shim, segment->packed[i].constant,
                               segment->weights.start + segment->packed[i].offset))
            return out_of_memory(m);
    return 0;
}

/* ---- the whole */

struct segment *segment_new(const struct plan *plan, const struct napm_segment *what, struct reason *why)
{
    struct segment *segment = calloc(1, sizeof(*segment));
    struct maker m = {.segment = segment, .plan = plan, .why = why};
    m.reads_left = calloc((size_t)plan->model->tensor_count + 1, sizeof(*m.reads_left));
    int failed = !segment || !m.reads_left ? out_of_memory(&m) : 0;
    if (!failed) {
        segment->plan = plan;
        segment->layer_count = what->layer_count;
        segment->input_count = what->input_count;
        segment->output_count = what->output_count;
        segment->first_item = calloc((size_t)what->layer_count + 1, sizeof(*segment->first_item));
        segment->outputs = malloc(((size_t)what->output_count + 1) * sizeof(*segment->outputs));
        failed = !segment->first_item || !segment->outputs ? out_of_memory(&m) : 0;
    }
    for (uint32_t i = 0; !failed && i < what->output_count; i++)
        segment->outputs[i] = NAPM_NONE;
    failed = failed || make_items(&m, what) || share_memory(&m) || pack_constants(&m);
    free(m.forms);
    free(m.reads_left);
    if (failed) {
        segment_free(segment);
        return NULL;
    }
    return segment;
}

void segment_free(struct segment *segment)
{
    if (!segment)
        return;
    for (uint32_t i = 0; i < segment->reorder_count; i++)
        shim_kernel_free(segment->reorders[i]);
    for (uint32_t i = 0; i < segment->layout_count; i++)
        shim_layout_free(segment->layouts[i]);
    region_close(&segment->weights);
    free(segment->reorders);
    free(segment->layouts);
    free(segment->items);
    free(segment->arguments);
    free(segment->buffers);
    free(segment->packed);
    free(segment->first_item);
    free(segment->outputs);
    free(segment);
}

uint64_t segment_weight_bytes(const struct segment *segment)
{
    return segment->weight_bytes;
}

uint64_t segment_activation_bytes(const struct segment *segment)
{
    return segment->arena_bytes + segment->scratch_bytes;
}
