/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a stream. */
#include "agent/part.h"

#include <stdlib.h>
#include <xxhash.h>

#include "core/wire/frame.h"

/* Places of the tensors in a payload: one after the other, each padded. Returns the payload's size. */
static uint64_t place_tensors(const struct napm_model *view, const uint32_t *tensors, uint32_t count, uint8_t *payload,
                              const void **places)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (places)
            places[i] = payload + at;
        at += frame_padded(view->tensors[tensors[i]]->bytes);
    }
    return at;
}

static uint64_t result_payload_bytes(const struct model *model)
{
    const struct napm_model *view = model_view(model);
    uint64_t bytes;
    uint32_t *tensors = NEW_ARRAY(uint32_t, view->tensor_count);
    uint32_t count = model_cut(model, view->layer_count, &bytes, tensors);
    uint64_t payload = place_tensors(view, tensors, count, NULL, NULL);
    free(tensors);
    return payload;
}

/* With the segment there. */
static void size_part(struct part *part, const struct model *model)
{
    const struct model_part *what = compute_segment_part(part->segment);
    part->layer_ns = NEW_ARRAY(int64_t, part->layer_count);
    part->arriving = NEW_ARRAY(const void *, what->arriving_count);
    part->leaving = NEW_ARRAY(const void *, what->leaving_count);
    part->leaving_bytes = NEW_ARRAY(uint64_t, what->leaving_count);
    part->leaving_count = what->leaving_count;
    for (uint32_t i = 0; i < what->leaving_count; i++)
        part->leaving_bytes[i] = part->model->tensors[what->leaving[i]]->bytes;
    part->arriving_payload_bytes = place_tensors(part->model, what->arriving, what->arriving_count, NULL, NULL);
    part->result_payload_bytes = result_payload_bytes(model);
}

static int pack(struct part *part, struct compute *compute, const struct model *model, const Wire__StreamPlan *plan,
                struct error *error)
{
    struct compute_model *prepared = compute_prepare(compute, model, error);
    if (!prepared)
        return -1;
    if (plan->cut > part->model->layer_count || plan->first > plan->cut)
        return error_set(error, ERROR_RUN, "layers from %u to cut %u of a model with %u layers", plan->first, plan->cut,
                         part->model->layer_count);
    if (plan->n_order && (plan->n_order != part->model->layer_count || !order_is_one(part->model, plan->order)))
        return error_set(error, ERROR_RUN, "an order of %zu numbers that is none of the model's %u layers",
                         plan->n_order, part->model->layer_count);
    part->segment = compute_segment(prepared, plan->n_order ? plan->order : NULL, plan->first, plan->cut, error);
    part->execution = part->segment ? compute_execution_take(part->segment, error) : NULL;
    return part->execution ? 0 : -1;
}

struct part *part_new(struct compute *compute, const struct model *model, const Wire__StreamPlan *plan,
                      struct error *error)
{
    struct part *part = NEW(struct part);
    part->stream = plan->stream;
    part->number = plan->part;
    part->model = model_view(model);
    part->layer_count = plan->cut - plan->first;
    part->on_the_way = plan->on_the_way;
    part->ends_here = plan->cut == part->model->layer_count;
    part->sends_result = plan->result_to_station || (plan->on_the_way && plan->result_returns);
    if (pack(part, compute, model, plan, error)) {
        part_free(part);
        return NULL;
    }
    size_part(part, model);
    return part;
}

void part_free(struct part *part)
{
    compute_execution_put(part->execution);
    if (part->segment)
        compute_segment_give_up(part->segment);
    free(part->layer_ns);
    free(part->arriving);
    free(part->leaving);
    free(part->leaving_bytes);
    free(part->incoming);
    for (size_t k = 0; k < part->free_rooms.count; k++)
        free(part->free_rooms.items[k]);
    ARRAY_FREE(&part->free_rooms);
    free(part);
}

void part_point_at(struct part *part, uint8_t *payload)
{
    const struct model_part *what = compute_segment_part(part->segment);
    place_tensors(part->model, what->arriving, what->arriving_count, payload, part->arriving);
}

int part_compute(struct part *part, struct error *error)
{
    if (compute_start(part->execution, part->arriving, error) ||
        compute_run(part->execution, part->layer_count, part->layer_ns, error) ||
        compute_outputs(part->execution, part->leaving, error))
        return -1;
    return 0;
}

uint64_t part_digest(const struct part *part)
{
    uint64_t digest = 0;
    for (uint32_t i = 0; i < part->leaving_count; i++)
        digest = XXH3_64bits_withSeed(part->leaving[i], (size_t)part->leaving_bytes[i], digest);
    return digest;
}
