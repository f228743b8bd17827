/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends: tiny models are prepared, segmented and run. Values agree with double precision, a split run gives the
 * same bits as a whole one at every cut, and executions can be used again without growing.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/random.h"
#include "sdk/check/check.h"
#include "sdk/check/tiny_model.h"

/* A bench: an instance with one model prepared, and the values that the model should have. */
struct bench {
    struct instance *instance;
    const struct napm_backend *hook;
    void *self;
    struct tiny_model *tiny;
    const struct napm_model *model;
    void *prepared;
    double *expected[TINY_MOST];
    float *arrived[TINY_MOST]; /* by tensor: what a segment gets from outside; whole 64-byte lines */
};

/* A segment of the bench's model with one execution. */
struct part {
    struct napm_segment spec;
    uint32_t layers[TINY_MOST], inputs[TINY_MOST], outputs[TINY_MOST];
    void *segment, *execution;
};

/* ---- what a backend says of the model */

/* 1 where it computes all operators, 0 where not, -1 where its answer breaks the contract. */
static int is_supported(const struct bench *bench, struct error *why)
{
    for (uint32_t i = 0; i < bench->model->operator_count; i++) {
        said_reset(bench->instance);
        int32_t status = bench->hook->supports(bench->self, bench->model, i);
        if (status == NAPM_OK)
            continue;
        if (status == NAPM_ERR_UNSUPPORTED && strstr(said(), bench->model->operators[i]->type))
            return 0;
        error_set(
            why, ERROR_PLUGIN,
            "supports() returned %d for operator %s and said '%s': it should be NAPM_ERR_UNSUPPORTED with a text that "
            "names the operator",
            status, bench->model->operators[i]->type, said());
        return -1;
    }
    return 1;
}

/* ---- benches */

static void fill_expected(struct bench *bench)
{
    struct random random;
    random_seed(&random, 3, "input");
    for (uint32_t i = 0; i < bench->model->tensor_count; i++) {
        const struct napm_tensor *tensor = bench->model->tensors[i];
        if (tensor->data)
            continue;
        bench->expected[i] = NEW_ARRAY(double, tiny_tensor_elements(tensor));
        bench->arrived[i] = memory_try_aligned(tensor->bytes);
    }
    uint32_t input = bench->model->inputs[0];
    for (uint64_t i = 0; i < tiny_tensor_elements(bench->model->tensors[input]); i++) {
        bench->arrived[input][i] = (float)(random_unit(&random) * 2 - 1);
        bench->expected[input][i] = (double)bench->arrived[input][i];
    }
    tiny_model_compute(bench->model, bench->expected);
}

static void close_bench(struct bench *bench)
{
    if (bench->prepared)
        bench->hook->release_model(bench->self, bench->prepared);
    instance_close(bench->instance);
    for (uint32_t i = 0; i < bench->model->tensor_count; i++) {
        free(bench->expected[i]);
        free(bench->arrived[i]);
    }
    tiny_model_free(bench->tiny);
}

/* VERDICT_SKIP where the backend does not compute this model. On any verdict but a pass there is nothing to close. */
static enum verdict open_bench(const struct subject *subject, unsigned which, struct bench *bench, struct error *why)
{
    enum verdict verdict = VERDICT_PASS;
    *bench = (struct bench){.instance = subject_open(subject, 1, NULL, &verdict, why)};
    if (!bench->instance)
        return verdict;
    bench->hook = &bench->instance->hook.backend;
    bench->self = bench->instance->self;
    bench->tiny = tiny_model_new(which);
    bench->model = tiny_model_view(bench->tiny);
    fill_expected(bench);
    int supported = is_supported(bench, why);
    const struct napm_prepare how = {.size = sizeof(how), .threads = 1};
    int32_t status = NAPM_OK;
    said_reset(bench->instance);
    if (supported == 1)
        status = bench->hook->prepare(bench->self, bench->model, &how, &bench->prepared);
    if (supported < 0)
        verdict = VERDICT_FAIL;
    else if (supported == 0)
        verdict = skip(why, "it computes none of the models that this tester has");
    else if (status != NAPM_OK)
        verdict = fail(why, "prepare() of %s returned %d: %s", bench->model->name, status, said());
    if (verdict != VERDICT_PASS) {
        bench->prepared = NULL;
        close_bench(bench);
    }
    return verdict;
}

/* ---- parts */

static int uses_tensor(const struct napm_layer *layer, uint32_t tensor)
{
    for (uint32_t i = 0; i < layer->input_count; i++)
        if (layer->inputs[i] == tensor)
            return 1;
    return 0;
}

/* Is a tensor that the part computes wanted outside of it? */
static int is_wanted(const struct napm_model *model, uint32_t tensor, uint32_t first, uint32_t last)
{
    for (uint32_t i = 0; i < model->output_count; i++)
        if (model->outputs[i] == tensor)
            return 1;
    for (uint32_t i = 0; i < model->layer_count; i++)
        if ((i < first || i >= last) && uses_tensor(model->layers[i], tensor))
            return 1;
    return 0;
}

/* Layers first..last-1, with the tensors that go in and out, ascending. */
static void fill_part(const struct napm_model *model, uint32_t first, uint32_t last, struct part *part)
{
    *part = (struct part){.spec = {.size = sizeof(part->spec), .layer_count = last - first}};
    for (uint32_t i = first; i < last; i++)
        part->layers[i - first] = i;
    for (uint32_t tensor = 0; tensor < model->tensor_count; tensor++) {
        uint32_t producer = model->tensors[tensor]->producer;
        int inside = producer != NAPM_NONE && producer >= first && producer < last, used = 0;
        for (uint32_t i = first; i < last; i++)
            used |= uses_tensor(model->layers[i], tensor);
        if (!inside && used)
            part->inputs[part->spec.input_count++] = tensor;
        if (inside && is_wanted(model, tensor, first, last))
            part->outputs[part->spec.output_count++] = tensor;
    }
    part->spec.layers = part->layers;
    part->spec.inputs = part->inputs;
    part->spec.outputs = part->outputs;
}

static enum verdict open_part(const struct bench *bench, uint32_t first, uint32_t last, struct part *part,
                              struct error *why)
{
    fill_part(bench->model, first, last, part);
    said_reset(bench->instance);
    int32_t status = bench->hook->create_segment(bench->self, bench->prepared, &part->spec, &part->segment);
    if (status != NAPM_OK)
        return fail(why, "%s: create_segment() of layers %u..%u returned %d: %s", bench->model->name, first, last - 1,
                    status, said());
    struct napm_segment_memory memory = {.size = sizeof(memory)};
    status = bench->hook->segment_memory(bench->self, part->segment, &memory);
    if (status == NAPM_OK)
        status = bench->hook->create_execution(bench->self, part->segment, &part->execution);
    if (status == NAPM_OK)
        return VERDICT_PASS;
    bench->hook->release_segment(bench->self, part->segment);
    return fail(why, "%s: segment_memory() or create_execution() returned %d: %s", bench->model->name, status, said());
}

static void close_part(const struct bench *bench, struct part *part)
{
    bench->hook->release_execution(bench->self, part->execution);
    bench->hook->release_segment(bench->self, part->segment);
}

/* Runs one task through a part, `slice` layers at a time, from bench->arrived and back into it. */
static enum verdict run_part(const struct bench *bench, const struct part *part, uint32_t slice, struct error *why)
{
    const void *in[TINY_MOST] = {NULL}, *out[TINY_MOST] = {NULL};
    int64_t layer_ns[TINY_MOST];
    memset(layer_ns, 0xff, sizeof(layer_ns)); /* -1: a time that was not given */
    for (uint32_t i = 0; i < part->spec.input_count; i++)
        in[i] = bench->arrived[part->inputs[i]];
    said_reset(bench->instance);
    int32_t status = bench->hook->start(bench->self, part->execution, in);
    for (uint32_t at = 0; at < part->spec.layer_count && status == NAPM_OK; at += slice) {
        uint32_t left = part->spec.layer_count - at;
        status = bench->hook->run(bench->self, part->execution, slice < left ? slice : left, layer_ns + at);
    }
    if (status == NAPM_OK)
        status = bench->hook->outputs(bench->self, part->execution, out);
    if (status != NAPM_OK)
        return fail(why, "%s: start(), run() or outputs() returned %d: %s", bench->model->name, status, said());
    for (uint32_t i = 0; i < part->spec.layer_count; i++)
        if (layer_ns[i] < 0)
            return fail(why, "%s: run() gave no time for layer %u", bench->model->name, part->layers[i]);
    for (uint32_t i = 0; i < part->spec.output_count; i++) {
        if (!out[i])
            return fail(why, "%s: outputs() left output %u empty", bench->model->name, i);
        memcpy(bench->arrived[part->outputs[i]], out[i], bench->model->tensors[part->outputs[i]]->bytes);
    }
    return VERDICT_PASS;
}

/* Runs layers first..last-1 in a part of their own. */
static enum verdict run_range(const struct bench *bench, uint32_t first, uint32_t last, uint32_t slice,
                              struct error *why)
{
    struct part part;
    if (first == last)
        return VERDICT_PASS;
    enum verdict verdict = open_part(bench, first, last, &part, why);
    if (verdict != VERDICT_PASS)
        return verdict;
    verdict = run_part(bench, &part, slice, why);
    close_part(bench, &part);
    return verdict;
}

/* ---- values */

#define TOLERANCE 1e-4

static enum verdict compare_with_expected(const struct bench *bench, struct error *why)
{
    uint32_t output = bench->model->outputs[0];
    double greatest = 0;
    for (uint64_t i = 0; i < tiny_tensor_elements(bench->model->tensors[output]); i++)
        greatest = fmax(greatest, fabs(bench->expected[output][i]));
    for (uint64_t i = 0; i < tiny_tensor_elements(bench->model->tensors[output]); i++) {
        double value = (double)bench->arrived[output][i], expected = bench->expected[output][i];
        if (!(fabs(value - expected) <= TOLERANCE * greatest))
            return fail(why, "%s: output element %llu is %.9g, expected %.9g (within %g of the greatest value)",
                        bench->model->name, (unsigned long long)i, value, expected, TOLERANCE);
    }
    return VERDICT_PASS;
}

static enum verdict check_values_of(const struct bench *bench, struct error *why)
{
    enum verdict verdict = run_range(bench, 0, bench->model->layer_count, bench->model->layer_count, why);
    return verdict == VERDICT_PASS ? compare_with_expected(bench, why) : verdict;
}

/* ---- splits */

/* Keeps the output of a whole run, so that split runs can be compared with it bit for bit. */
static float *keep_output(const struct bench *bench)
{
    uint32_t output = bench->model->outputs[0];
    float *copy = memory_copy(bench->arrived[output], bench->model->tensors[output]->bytes);
    memset(bench->arrived[output], 0xff, bench->model->tensors[output]->bytes);
    return copy;
}

static enum verdict compare_with_whole(const struct bench *bench, const float *whole, const char *how, uint32_t cut,
                                       struct error *why)
{
    uint32_t output = bench->model->outputs[0];
    if (memcmp(whole, bench->arrived[output], bench->model->tensors[output]->bytes) == 0)
        return VERDICT_PASS;
    return fail(why, "%s: %s %u gives other bits than the whole run", bench->model->name, how, cut);
}

static enum verdict check_split_of(const struct bench *bench, struct error *why)
{
    uint32_t layers = bench->model->layer_count;
    enum verdict verdict = run_range(bench, 0, layers, layers, why);
    if (verdict != VERDICT_PASS)
        return verdict;
    float *whole = keep_output(bench);
    for (uint32_t c = 0; c <= layers && verdict == VERDICT_PASS; c++) {
        verdict = run_range(bench, 0, c, layers, why);
        if (verdict == VERDICT_PASS)
            verdict = run_range(bench, c, layers, layers, why);
        if (verdict == VERDICT_PASS)
            verdict = compare_with_whole(bench, whole, "a run split before layer", c, why);
    }
    for (uint32_t c = 0; c < layers && verdict == VERDICT_PASS; c++)
        verdict = run_range(bench, c, c + 1, 1, why);
    if (verdict == VERDICT_PASS)
        verdict = compare_with_whole(bench, whole, "a run with segments of layers", 1, why);
    if (verdict == VERDICT_PASS)
        verdict = run_range(bench, 0, layers, 1, why);
    if (verdict == VERDICT_PASS)
        verdict = compare_with_whole(bench, whole, "run() with a slice of layers", 1, why);
    free(whole);
    return verdict;
}

/* ---- using again */

#define TASKS 100

/* Many tasks through two executions of one segment, in turn: always the same bits, and no growth. */
static enum verdict run_many(const struct bench *bench, struct part *part, struct error *why)
{
    void *executions[2] = {part->execution, NULL};
    if (bench->hook->create_execution(bench->self, part->segment, &executions[1]) != NAPM_OK)
        return fail(why, "%s: a second create_execution() of a segment failed", bench->model->name);
    enum verdict verdict = run_part(bench, part, 1, why);
    float *whole = keep_output(bench);
    size_t before = 0, after = 0;
    for (int task = 0; task < TASKS && verdict == VERDICT_PASS; task++) {
        part->execution = executions[task % 2];
        verdict = run_part(bench, part, 1 + (uint32_t)task % 3, why);
        if (verdict == VERDICT_PASS)
            verdict = compare_with_whole(bench, whole, "task", (uint32_t)task, why);
        if (task == 4) /* both executions have had their first task */
            before = heap_bytes();
        after = heap_bytes();
    }
    free(whole);
    part->execution = executions[0];
    bench->hook->release_execution(bench->self, executions[1]);
    if (verdict == VERDICT_PASS && after > before)
        return fail(why, "%s: run() keeps %zu bytes more after %d tasks: it must not allocate after the first",
                    bench->model->name, after - before, TASKS);
    return verdict;
}

static enum verdict check_reuse_of(const struct bench *bench, struct error *why)
{
    struct part part;
    enum verdict verdict = open_part(bench, 0, bench->model->layer_count, &part, why);
    if (verdict != VERDICT_PASS)
        return verdict;
    verdict = run_many(bench, &part, why);
    close_part(bench, &part);
    return verdict;
}

/* ---- every tiny model that the backend computes */

static enum verdict for_each_model(const struct subject *subject,
                                   enum verdict (*check)(const struct bench *bench, struct error *why),
                                   struct error *why)
{
    unsigned checked = 0;
    for (unsigned which = 0; which < TINY_MODEL_COUNT; which++) {
        struct bench bench;
        enum verdict verdict = open_bench(subject, which, &bench, why);
        if (verdict == VERDICT_SKIP)
            continue;
        if (verdict == VERDICT_PASS) {
            verdict = check(&bench, why);
            close_bench(&bench);
        }
        if (verdict != VERDICT_PASS)
            return verdict;
        checked++;
    }
    return checked ? VERDICT_PASS : VERDICT_SKIP;
}

enum verdict check_backend_values(const struct subject *subject, struct error *why)
{
    if (!subject->computes)
        return skip(why, "--no-values");
    return for_each_model(subject, check_values_of, why);
}

enum verdict check_backend_split(const struct subject *subject, struct error *why)
{
    return for_each_model(subject, check_split_of, why);
}

enum verdict check_backend_reuse(const struct subject *subject, struct error *why)
{
    size_t before = 0;
    for (int i = 0; i < 12; i++) {
        enum verdict verdict = for_each_model(subject, check_reuse_of, why);
        if (verdict != VERDICT_PASS)
            return verdict;
        if (i == 1)
            before = heap_bytes();
    }
    size_t after = heap_bytes();
    if (after > before + 10 * 256)
        return fail(why, "it leaks: %zu bytes for each model prepared, run and released", (after - before) / 10);
    return VERDICT_PASS;
}
