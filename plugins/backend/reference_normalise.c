/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that look along an axis: BatchNormalization, LRN, Softmax, LogSoftmax, Reduce*, global pooling. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "reference.h"

/* ---- BatchNormalization */

struct batch_normalization {
    double epsilon;
    int64_t images, channels, pixels;
};

int32_t plan_batch_normalization(struct plan *plan)
{
    const struct step *step = plan->step;
    const struct napm_tensor *x = step_input(step, 0);
    struct batch_normalization *norm = plan_parameters(plan, sizeof(*norm));
    if (!norm)
        return plan_no_memory(plan);
    if (attribute_integer(step->op, "training_mode", 0) != 0)
        return plan_unsupported(plan, "training_mode");
    if (step->op->opset < 9 && attribute_integer(step->op, "spatial", 1) == 0)
        return plan_unsupported(plan, "spatial 0");
    norm->epsilon = attribute_real(step->op, "epsilon", (double)1e-5f);
    norm->images = x->rank ? x->dims[0] : 1;
    norm->channels = x->rank > 1 ? x->dims[1] : 1;
    norm->pixels = x->rank > 2 ? tensor_span(x, 2, x->rank) : 1;
    for (uint32_t i = 1; i <= 4; i++)
        if (tensor_count(step_input(step, i)) != norm->channels)
            return plan_invalid(plan, "input '%s' does not have one number for each channel",
                                step_input(step, i)->name);
    return plan_expect_dims(plan, x->rank, x->dims);
}

int32_t compute_batch_normalization(const struct step *step, const struct frame *frame)
{
    const struct batch_normalization *norm = step->parameters;
    const float *x = frame_input(step, frame, 0), *scale = frame_input(step, frame, 1);
    const float *bias = frame_input(step, frame, 2), *mean = frame_input(step, frame, 3);
    const float *variance = frame_input(step, frame, 4);
    float *output = frame_output(step, frame, 0);
    for (int64_t n = 0; n < norm->images; n++)
        for (int64_t c = 0; c < norm->channels; c++) {
            double factor = (double)scale[c] / sqrt((double)variance[c] + norm->epsilon);
            for (int64_t i = 0; i < norm->pixels; i++)
                *output++ = (float)(((double)*x++ - (double)mean[c]) * factor + (double)bias[c]);
        }
    return NAPM_OK;
}

/* ---- LRN */

struct lrn {
    double alpha, beta, bias;
    int64_t before, after; /* channels on each side */
    int64_t images, channels, pixels;
};

int32_t plan_lrn(struct plan *plan)
{
    const struct step *step = plan->step;
    const struct napm_tensor *x = step_input(step, 0);
    struct lrn *lrn = plan_parameters(plan, sizeof(*lrn));
    if (!lrn)
        return plan_no_memory(plan);
    int64_t size = attribute_integer(step->op, "size", 0);
    if (x->rank < 2 || size < 1)
        return plan_invalid(plan, "rank %" PRIu32 " and size %" PRId64, x->rank, size);
    lrn->alpha = attribute_real(step->op, "alpha", (double)1e-4f) / (double)size;
    lrn->beta = attribute_real(step->op, "beta", 0.75);
    lrn->bias = attribute_real(step->op, "bias", 1.0);
    lrn->before = (size - 1) / 2;
    lrn->after = size / 2;
    lrn->images = x->dims[0];
    lrn->channels = x->dims[1];
    lrn->pixels = tensor_span(x, 2, x->rank);
    return plan_expect_dims(plan, x->rank, x->dims);
}

int32_t compute_lrn(const struct step *step, const struct frame *frame)
{
    const struct lrn *lrn = step->parameters;
    const float *image = frame_input(step, frame, 0);
    float *output = frame_output(step, frame, 0);
    for (int64_t n = 0; n < lrn->images; n++, image += lrn->channels * lrn->pixels)
        for (int64_t c = 0; c < lrn->channels; c++) {
            int64_t first = c > lrn->before ? c - lrn->before : 0;
            int64_t last = lrn->channels - 1 - c > lrn->after ? c + lrn->after : lrn->channels - 1;
            for (int64_t i = 0; i < lrn->pixels; i++) {
                double sum = 0.0;
                for (int64_t other = first; other <= last; other++) {
                    double x = (double)image[other * lrn->pixels + i];
                    sum += x * x;
                }
                double divisor = pow(lrn->bias + lrn->alpha * sum, lrn->beta);
                *output++ = (float)((double)image[c * lrn->pixels + i] / divisor);
            }
        }
    return NAPM_OK;
}

/* ---- Softmax, LogSoftmax */

struct softmax {
    int64_t outer, length, inner;
};

/* Before opset 13 everything from the axis on is one row; since then only the axis is. */
int32_t plan_softmax(struct plan *plan)
{
    const struct step *step = plan->step;
    const struct napm_tensor *x = step_input(step, 0);
    struct softmax *softmax = plan_parameters(plan, sizeof(*softmax));
    if (!softmax)
        return plan_no_memory(plan);
    bool flattens = step->op->opset < 13;
    uint32_t axis;
    int32_t status = plan_axis(plan, attribute_integer(step->op, "axis", flattens ? 1 : -1), x->rank, &axis);
    if (status < 0)
        return status;
    softmax->outer = tensor_span(x, 0, axis);
    softmax->length = flattens ? tensor_span(x, axis, x->rank) : x->dims[axis];
    softmax->inner = flattens ? 1 : tensor_span(x, axis + 1, x->rank);
    return plan_expect_dims(plan, x->rank, x->dims);
}

static int32_t softmax_rows(const struct step *step, const struct frame *frame, bool logarithm)
{
    const struct softmax *softmax = step->parameters;
    const float *input = frame_input(step, frame, 0);
    float *output = frame_output(step, frame, 0);
    int64_t stride = softmax->inner;
    for (int64_t row = 0; row < softmax->outer * softmax->inner; row++) {
        int64_t start = row / stride * softmax->length * stride + row % stride;
        const float *x = input + start;
        double greatest = -INFINITY, sum = 0.0;
        for (int64_t i = 0; i < softmax->length; i++)
            greatest = (double)x[i * stride] > greatest ? (double)x[i * stride] : greatest;
        for (int64_t i = 0; i < softmax->length; i++)
            sum += exp((double)x[i * stride] - greatest);
        double log_sum = log(sum);
        for (int64_t i = 0; i < softmax->length; i++) {
            double above = (double)x[i * stride] - greatest;
            output[start + i * stride] = (float)(logarithm ? above - log_sum : exp(above) / sum);
        }
    }
    return NAPM_OK;
}

int32_t compute_softmax(const struct step *step, const struct frame *frame)
{
    return softmax_rows(step, frame, false);
}

int32_t compute_log_softmax(const struct step *step, const struct frame *frame)
{
    return softmax_rows(step, frame, true);
}

/* ---- Reduce*, GlobalAveragePool, GlobalMaxPool */

struct reduce {
    struct view results; /* walk over the results in the order of the input: stride 0 along reduced axes */
    int64_t result_count;
    int64_t reduced_count; /* elements in each result */
};

/* Plans the reduction over the axes marked in `reduced`. */
static int32_t plan_reduced(struct plan *plan, const bool *reduced, bool keeps_dims)
{
    struct step *step = plan->step;
    const struct napm_tensor *x = step_input(step, 0);
    struct reduce *reduce = plan_parameters(plan, sizeof(*reduce));
    if (!reduce)
        return plan_no_memory(plan);
    int64_t dims[MAX_RANK];
    uint32_t rank = 0;
    reduce->result_count = reduce->reduced_count = 1;
    reduce->results.rank = x->rank;
    for (uint32_t i = x->rank; i-- > 0;) {
        reduce->results.dims[i] = x->dims[i];
        reduce->results.strides[i] = reduced[i] ? 0 : reduce->result_count;
        if (reduced[i])
            reduce->reduced_count *= x->dims[i];
        else
            reduce->result_count *= x->dims[i];
    }
    for (uint32_t i = 0; i < x->rank; i++) {
        if (!reduced[i])
            dims[rank++] = x->dims[i];
        else if (keeps_dims)
            dims[rank++] = 1;
    }
    step->scratch_bytes = (uint64_t)reduce->result_count * sizeof(double);
    return plan_expect_dims(plan, rank, dims);
}

int32_t plan_reduce(struct plan *plan)
{
    const struct step *step = plan->step;
    const struct napm_tensor *x = step_input(step, 0);
    int64_t axes[2 * MAX_RANK];
    uint32_t count;
    int32_t status = plan_list(plan, "axes", 1, axes, &count);
    if (status < 0)
        return status;
    bool all = count == 0 && attribute_integer(step->op, "noop_with_empty_axes", 0) == 0;
    bool reduced[MAX_RANK] = {all, all, all, all, all, all, all, all};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t axis;
        status = plan_axis(plan, axes[i], x->rank, &axis);
        if (status < 0)
            return status;
        reduced[axis] = true;
    }
    return plan_reduced(plan, reduced, attribute_integer(step->op, "keepdims", 1) != 0);
}

int32_t plan_global_pool(struct plan *plan)
{
    uint32_t rank = step_input(plan->step, 0)->rank;
    if (rank < 3)
        return plan_invalid(plan, "an input of rank %" PRIu32 " has no spatial dimensions", rank);
    const bool reduced[MAX_RANK] = {false, false, true, true, true, true, true, true};
    return plan_reduced(plan, reduced, true);
}

static double *reduce(const struct step *step, const struct frame *frame, double start, binary_fn *function)
{
    const struct reduce *reduction = step->parameters;
    const struct view *view = &reduction->results;
    const float *x = frame_input(step, frame, 0);
    double *results = frame->scratch;
    int64_t index[MAX_RANK] = {0}, offset = 0;
    const int64_t *strides[1] = {view->strides};
    int64_t last = view->rank ? view->dims[view->rank - 1] : 1;
    int64_t stride = view->rank ? view->strides[view->rank - 1] : 0;
    for (int64_t i = 0; i < reduction->result_count; i++)
        results[i] = start;
    do {
        double *row = results + offset;
        for (int64_t i = 0; i < last; i++)
            row[i * stride] = function(row[i * stride], (double)*x++);
    } while (view_next_row(view->rank, view->dims, index, 1, strides, &offset));
    return results;
}

static double sum_of(double x, double y)
{
    return x + y;
}

static double greater_of(double x, double y)
{
    return y > x || isnan(y) ? y : x;
}

static double lesser_of(double x, double y)
{
    return y < x || isnan(y) ? y : x;
}

static int32_t reduce_into_output(const struct step *step, const struct frame *frame, double start, binary_fn *function,
                                  double divisor)
{
    const struct reduce *reduction = step->parameters;
    const double *results = reduce(step, frame, start, function);
    float *output = frame_output(step, frame, 0);
    for (int64_t i = 0; i < reduction->result_count; i++)
        output[i] = (float)(results[i] / divisor);
    return NAPM_OK;
}

int32_t compute_reduce_mean(const struct step *step, const struct frame *frame)
{
    const struct reduce *reduction = step->parameters;
    return reduce_into_output(step, frame, 0.0, sum_of, (double)reduction->reduced_count);
}

int32_t compute_reduce_sum(const struct step *step, const struct frame *frame)
{
    return reduce_into_output(step, frame, 0.0, sum_of, 1.0);
}

int32_t compute_reduce_max(const struct step *step, const struct frame *frame)
{
    return reduce_into_output(step, frame, -INFINITY, greater_of, 1.0);
}

int32_t compute_reduce_min(const struct step *step, const struct frame *frame)
{
    return reduce_into_output(step, frame, INFINITY, lesser_of, 1.0);
}
