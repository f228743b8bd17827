/* SPDX-License-Identifier: Apache-2.0 */
/* Planning of one operator: generic checks, attributes, constant inputs, and the texts of refusals. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

static int32_t plan_fail(const struct plan *plan, int32_t status, const char *end, const char *format, va_list list)
{
    const struct napm_operator *op = plan->step->op;
    char what[512], text[1024];
    vsnprintf(what, sizeof(what), format, list);
    snprintf(text, sizeof(text), "node '%s' (%s%s%s, opset %" PRIu32 "): %s%s", op->name, op->domain,
             op->domain[0] ? "." : "", op->type, op->opset, what, end);
    plan->host->set_error(plan->host, text);
    return status;
}

int32_t plan_unsupported(const struct plan *plan, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int32_t status = plan_fail(plan, NAPM_ERR_UNSUPPORTED, " is not supported by the reference backend", format, list);
    va_end(list);
    return status;
}

int32_t plan_invalid(const struct plan *plan, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int32_t status = plan_fail(plan, NAPM_ERR_INVALID, "", format, list);
    va_end(list);
    return status;
}

int32_t plan_no_memory(const struct plan *plan)
{
    plan->host->set_error(plan->host, "out of memory");
    return NAPM_ERR_MEMORY;
}

void *plan_parameters(struct plan *plan, uint64_t bytes)
{
    return plan->step->parameters = calloc(1, bytes);
}

int32_t plan_axis(const struct plan *plan, int64_t axis, uint32_t rank, uint32_t *result)
{
    if (axis < -(int64_t)rank || axis >= (int64_t)rank)
        return plan_invalid(plan, "axis %" PRId64 " does not exist in a tensor of rank %" PRIu32, axis, rank);
    *result = (uint32_t)(axis < 0 ? axis + (int64_t)rank : axis);
    return NAPM_OK;
}

int32_t plan_constant_integers(const struct plan *plan, uint32_t input, int64_t *numbers, uint32_t room,
                               uint32_t *count)
{
    const struct napm_tensor *tensor = step_input(plan->step, input);
    *count = 0;
    if (!tensor)
        return NAPM_OK;
    if (!tensor->data)
        return plan_unsupported(plan, "input '%s', which must be known beforehand but is computed,", tensor->name);
    int64_t elements = tensor_count(tensor);
    if (elements > (int64_t)room)
        return plan_unsupported(plan, "input '%s' with %" PRId64 " numbers", tensor->name, elements);
    for (int64_t i = 0; i < elements; i++) {
        int32_t narrow;
        switch (tensor->element_type) {
        case NAPM_I64:
            memcpy(&numbers[i], (const char *)tensor->data + 8 * i, 8);
            break;
        case NAPM_I32:
            memcpy(&narrow, (const char *)tensor->data + 4 * i, 4);
            numbers[i] = narrow;
            break;
        default:
            return plan_unsupported(plan, "element type %" PRIu32 " of input '%s'", tensor->element_type, tensor->name);
        }
    }
    *count = (uint32_t)elements;
    return NAPM_OK;
}

int32_t plan_list(const struct plan *plan, const char *attribute, uint32_t input, int64_t *numbers, uint32_t *count)
{
    const int64_t *listed = attribute_integers(plan->step->op, attribute, count);
    if (!listed)
        return plan_constant_integers(plan, input, numbers, 2 * MAX_RANK, count);
    if (*count > 2 * MAX_RANK)
        return plan_unsupported(plan, "attribute '%s' with %" PRIu32 " numbers", attribute, *count);
    memcpy(numbers, listed, *count * sizeof(*numbers));
    return NAPM_OK;
}

static void dims_text(char *text, size_t room, uint32_t rank, const int64_t *dims)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < rank && used + 24 < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%" PRId64, i ? "x" : "", dims[i]);
}

int32_t plan_expect_dims(const struct plan *plan, uint32_t rank, const int64_t *dims)
{
    const struct napm_tensor *output = step_output(plan->step, 0);
    if (output->rank == rank && (rank == 0 || memcmp(output->dims, dims, rank * sizeof(*dims)) == 0))
        return NAPM_OK;
    char is[160], should_be[160];
    dims_text(is, sizeof(is), output->rank, output->dims);
    dims_text(should_be, sizeof(should_be), rank, dims);
    return plan_invalid(plan, "output '%s' is said to be [%s] but follows as [%s]", output->name, is, should_be);
}

const struct napm_tensor *step_input(const struct step *step, uint32_t i)
{
    if (i >= step->op->input_count || step->op->inputs[i] == NAPM_NONE)
        return NULL;
    return step->model->tensors[step->op->inputs[i]];
}

const struct napm_tensor *step_output(const struct step *step, uint32_t i)
{
    if (i >= step->op->output_count || step->op->outputs[i] == NAPM_NONE)
        return NULL;
    return step->model->tensors[step->op->outputs[i]];
}

const void *frame_input(const struct step *step, const struct frame *frame, uint32_t i)
{
    return step_input(step, i) ? frame->values[step->op->inputs[i]] : NULL;
}

void *frame_output(const struct step *step, const struct frame *frame, uint32_t i)
{
    return step_output(step, i) ? frame->values[step->op->outputs[i]] : NULL;
}

int64_t tensor_span(const struct napm_tensor *tensor, uint32_t first, uint32_t last)
{
    int64_t count = 1;
    for (uint32_t i = first; i < last; i++)
        count *= tensor->dims[i];
    return count;
}

int64_t tensor_count(const struct napm_tensor *tensor)
{
    return tensor_span(tensor, 0, tensor->rank);
}

uint32_t element_bytes(uint32_t element_type)
{
    switch (element_type) {
    case NAPM_F32:
    case NAPM_I32:
        return 4;
    case NAPM_I64:
    case NAPM_F64:
        return 8;
    case NAPM_U8:
    case NAPM_I8:
    case NAPM_BOOL:
        return 1;
    default:
        return 0;
    }
}

/* Element types and ranks, which every kind needs checked. */
static int32_t check_tensor(const struct plan *plan, const struct napm_tensor *tensor, bool any_type)
{
    if (any_type ? element_bytes(tensor->element_type) == 0 : tensor->element_type != NAPM_F32)
        return plan_unsupported(plan, "element type %" PRIu32 " of tensor '%s'", tensor->element_type, tensor->name);
    if (tensor->rank > MAX_RANK)
        return plan_unsupported(plan, "tensor '%s' of rank %" PRIu32, tensor->name, tensor->rank);
    return NAPM_OK;
}

static int32_t check_tensors(const struct plan *plan)
{
    const struct step *step = plan->step;
    const struct kind *kind = step->kind;
    if (step->op->input_count < kind->least_inputs || step->op->input_count > kind->most_inputs)
        return plan_unsupported(plan, "having %" PRIu32 " inputs", step->op->input_count);
    for (uint32_t i = 0; i < step->op->input_count; i++) {
        const struct napm_tensor *tensor = step_input(step, i);
        if (!tensor && i < kind->least_inputs)
            return plan_invalid(plan, "input %" PRIu32 " is missing", i);
        bool integers = i < 32 && (kind->integer_inputs >> i & 1u);
        if (tensor && !integers) {
            int32_t status = check_tensor(plan, tensor, kind->any_type);
            if (status < 0)
                return status;
        }
    }
    if (!step_output(step, 0))
        return plan_invalid(plan, "output 0 is missing");
    for (uint32_t i = 0; i < step->op->output_count; i++) {
        const struct napm_tensor *tensor = step_output(step, i);
        if (tensor && i >= kind->most_outputs)
            return plan_unsupported(plan, "output %" PRIu32 " ('%s')", i, tensor->name);
        int32_t status = tensor ? check_tensor(plan, tensor, kind->any_type) : NAPM_OK;
        if (status < 0)
            return status;
    }
    return NAPM_OK;
}

int32_t step_plan(struct step *step, const struct napm_host *host, const struct napm_model *model, uint32_t index)
{
    const struct napm_operator *op = model->operators[index];
    memset(step, 0, sizeof(*step));
    step->model = model;
    step->op = op;
    step->packed_input = NAPM_NONE;
    struct plan plan = {host, step};
    bool standard = op->domain[0] == '\0' || strcmp(op->domain, "ai.onnx") == 0;
    step->kind = standard ? kind_find(op->type) : NULL;
    if (!step->kind)
        return plan_unsupported(&plan, "this operator");
    int32_t status = check_tensors(&plan);
    return status < 0 ? status : step->kind->plan(&plan);
}

void step_release(struct step *step)
{
    free(step->parameters);
    free(step->offsets);
    free(step->packed);
    memset(step, 0, sizeof(*step));
}
