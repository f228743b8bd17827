/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the ONNX reader, shape inference, folding, grouping and cuts. In a built tree, for a campaign:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. -I$top_srcdir -I$top_srcdir/sdk/include \
 *     $top_srcdir/tests/fuzz/fuzz_onnx.c $top_srcdir/tests/fuzz/fuzz_file.c $top_srcdir/core/model/[a-z]*.c \
 *     core/model/onnx.pb-c.c $top_srcdir/core/base/[a-z]*.c $top_srcdir/models/[a-z]*.c \
 *     -lprotobuf-c -lxxhash -lpthread -lm -o fuzz_onnx_campaign
 *   mkdir corpus && tests/fuzz/fuzz_onnx --corpus corpus && ./fuzz_onnx_campaign -max_len=8192 -rss_limit_mb=4096 corpus
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/model/describe.h"
#include "core/model/model.h"
#include "models/net.h"
#include "tests/fuzz/fuzz_target.h"

/* ---- seeds: small graphs that together use every operator's reader */

static void node(struct net *net, const char *type, const char *name, const char *a, const char *b, const char *c)
{
    const char *inputs[] = {a, b, c};
    onnx_writer_begin(net->writer, type, name);
    for (int i = 0; i < 3 && inputs[i]; i++)
        onnx_writer_node_input(net->writer, inputs[i]);
    onnx_writer_node_output(net->writer, name);
    snprintf(net->tensor, sizeof(net->tensor), "%s", name);
}

static void plain(struct net *net, const char *type, const char *name, const char *a, const char *b)
{
    node(net, type, name, a, b, NULL);
    onnx_writer_end(net->writer);
}

static struct net seed_residual(void)
{
    struct net net = net_begin("residual", 2, 6, 6), around = net;
    net_conv(&net, "c1", (struct net_conv){.outputs = 2, .kernel = 3, .pad = 1, .bias = 1});
    net_batch_norm(&net, "b1", 1);
    net_add(&net, "sum", &around);
    net_relu6(&net, "r");
    net_concat(&net, "cat", &around);
    net_max_pool(&net, "p", 2, 2, 0);
    net_flatten(&net, "f");
    net_full(&net, "fc", 3);
    net_softmax(&net, "s");
    return net;
}

static struct net seed_shapes(void)
{
    const int64_t one[] = {1}, two[] = {2}, both[] = {0, 1}, pads[] = {0, 0, 1, 1, 0, 0, 1, 1};
    struct net net = net_begin("shapes", 2, 6, 6);
    onnx_writer_integers(net.writer, "one", 1, one);
    onnx_writer_integers(net.writer, "two", 1, two);
    onnx_writer_integers(net.writer, "both", 2, both);
    onnx_writer_integers(net.writer, "pads", 8, pads);
    plain(&net, "Pad", "pad", "input", "pads");
    plain(&net, "Shape", "shape", "pad", NULL);
    plain(&net, "Gather", "batch", "shape", "both");
    node(&net, "Slice", "head", "batch", "one", "two");
    onnx_writer_end(net.writer);
    plain(&net, "Sub", "open", "one", "head");
    plain(&net, "Unsqueeze", "more", "open", "one");
    plain(&net, "Squeeze", "less", "more", "one");
    node(&net, "Concat", "target", "one", "less", NULL);
    onnx_writer_node_integer(net.writer, "axis", 0);
    onnx_writer_end(net.writer);
    plain(&net, "Reshape", "flat", "pad", "target");
    net.channels = 128;
    net.height = net.width = 0;
    return net;
}

static struct net seed_folding(void)
{
    const int64_t dims[] = {2, 3}, three[] = {1, 3, 1};
    struct net net = net_begin("folding", 2, 2, 3);
    onnx_writer_integers(net.writer, "dims", 2, dims);
    onnx_writer_integers(net.writer, "three", 3, three);
    onnx_writer_weight(net.writer, "w", 2, dims, -1, 1);
    plain(&net, "ConstantOfShape", "zeros", "dims", NULL);
    plain(&net, "Add", "sum", "zeros", "w");
    plain(&net, "Transpose", "turned", "sum", NULL);
    plain(&net, "Transpose", "back", "turned", NULL);
    plain(&net, "Expand", "wide", "back", "dims");
    plain(&net, "Equal", "same", "wide", "w");
    node(&net, "Where", "chosen", "same", "wide", "w");
    onnx_writer_end(net.writer);
    node(&net, "Cast", "cast", "three", NULL, NULL);
    onnx_writer_node_integer(net.writer, "to", 1);
    onnx_writer_end(net.writer);
    plain(&net, "Mul", "scaled", "input", "chosen");
    plain(&net, "Div", "shared", "scaled", "cast");
    return net;
}

static struct net seed_others(void)
{
    const int64_t weight[] = {3, 4};
    struct net net = net_begin("others", 2, 4, 3);
    onnx_writer_weight(net.writer, "w", 2, weight, -1, 1);
    plain(&net, "MatMul", "product", "input", "w");
    plain(&net, "Sigmoid", "gate", "product", NULL);
    plain(&net, "Mul", "gated", "product", "gate");
    node(&net, "ReduceMean", "mean", "gated", NULL, NULL);
    onnx_writer_node_integer(net.writer, "keepdims", 1);
    onnx_writer_end(net.writer);
    plain(&net, "Sub", "centred", "gated", "mean");
    node(&net, "LRN", "lrn", "centred", NULL, NULL);
    onnx_writer_node_integer(net.writer, "size", 3);
    onnx_writer_end(net.writer);
    node(&net, "Split", "half", "lrn", NULL, NULL);
    onnx_writer_node_output(net.writer, "rest");
    onnx_writer_node_integer(net.writer, "axis", 1);
    onnx_writer_end(net.writer);
    plain(&net, "GlobalAveragePool", "average", "half", NULL);
    plain(&net, "Identity", "same", "average", NULL);
    return net;
}

uint8_t *fuzz_seed(unsigned index, size_t *size)
{
    static struct net (*const seeds[])(void) = {seed_residual, seed_shapes, seed_folding, seed_others};
    char path[] = "/tmp/fuzz_onnx.XXXXXX";
    struct error error = {0};
    struct file_map map;
    if (index >= sizeof(seeds) / sizeof(*seeds))
        return NULL;
    int fd = mkstemp(path);
    struct net net = seeds[index]();
    if (fd < 0 || close(fd) != 0 || net_save(&net, 1, path, &error) || file_map(path, &map, &error)) {
        fprintf(stderr, "seed %u: %s\n", index, error.text);
        abort();
    }
    unlink(path);
    uint8_t *bytes = memory_copy(map.bytes, map.size);
    *size = map.size;
    file_unmap(&map);
    return bytes;
}

/* ---- the target */

static uint64_t touch(const struct napm_model *view)
{
    uint64_t sum = 0;
    for (uint32_t t = 0; t < view->tensor_count; t++)
        for (uint64_t i = 0; view->tensors[t]->data && i < view->tensors[t]->bytes; i++)
            sum += ((const uint8_t *)view->tensors[t]->data)[i];
    return sum;
}

/* What holds for every model that opens. */
static void check(const struct model *model)
{
    const struct napm_model *view = model_view(model);
    for (uint32_t l = 0; l < view->layer_count; l++)
        for (uint32_t i = 0; i < view->layers[l]->input_count; i++) {
            uint32_t producer = view->tensors[view->layers[l]->inputs[i]]->producer;
            if (producer != NAPM_NONE && producer >= l)
                abort();
        }
    for (uint32_t c = 0; c <= view->layer_count; c++) {
        struct model_part before, behind;
        uint64_t weights, activations;
        model_part_range(model, 0, c, &before);
        model_part_range(model, c, view->layer_count, &behind);
        model_part_memory(model, 0, c, &weights, &activations);
        if (before.leaving_count != behind.arriving_count || before.leaving_bytes != behind.arriving_bytes)
            abort();
        model_part_free(&before);
        model_part_free(&behind);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct error error = {0};
    log_set_level(LOG_ERROR_LEVEL);
    struct model *model = model_open(fuzz_file(bytes, size), &error);
    if (!model) {
        if (error.kind == ERROR_NONE || error.text[0] == '\0')
            abort(); /* a refusal must say why */
        return 0;
    }
    struct describe description;
    volatile uint64_t sum = touch(model_view(model));
    (void)sum;
    check(model);
    describe_model(model, &description);
    describe_free(&description);
    model_close(model);
    return 0;
}
