/* SPDX-License-Identifier: Apache-2.0 */
/* Building blocks of image networks. */
#include "models/net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct net net_begin(const char *name, int64_t channels, int64_t height, int64_t width)
{
    struct net net = {onnx_writer_new(name), "input", channels, height, width};
    const int64_t dims[] = {1, channels, height, width};
    onnx_writer_input(net.writer, "input", 4, dims);
    return net;
}

int net_save(const struct net *net, uint64_t seed, const char *path, struct error *error)
{
    const int64_t dims[] = {1, net->channels, net->height, net->width};
    onnx_writer_output(net->writer, net->tensor, net->height ? 4 : 2, dims);
    int status = onnx_writer_save(net->writer, seed, path, error);
    onnx_writer_free(net->writer);
    return status;
}

/* Begins a node that reads the net's tensor; the node's output bears the node's name. */
static void begin(struct net *net, const char *type, const char *name)
{
    onnx_writer_begin(net->writer, type, name);
    onnx_writer_node_input(net->writer, net->tensor);
    onnx_writer_node_output(net->writer, name);
    snprintf(net->tensor, sizeof(net->tensor), "%s", name);
}

static void parameter(struct net *net, const char *name, const char *part, uint32_t rank, const int64_t *dims,
                      double low, double high)
{
    char full[96];
    snprintf(full, sizeof(full), "%s.%s", name, part);
    onnx_writer_node_input(net->writer, full);
    onnx_writer_weight(net->writer, full, rank, dims, (float)low, (float)high);
}

static int64_t slide(int64_t length, int64_t kernel, int64_t stride, int64_t pad)
{
    return (length + 2 * pad - kernel) / stride + 1;
}

static void window(struct net *net, int64_t kernel, int64_t stride, int64_t pad)
{
    const int64_t kernels[] = {kernel, kernel}, strides[] = {stride, stride}, pads[] = {pad, pad, pad, pad};
    onnx_writer_node_integers(net->writer, "kernel_shape", 2, kernels);
    onnx_writer_node_integers(net->writer, "strides", 2, strides);
    onnx_writer_node_integers(net->writer, "pads", 4, pads);
    net->height = slide(net->height, kernel, stride, pad);
    net->width = slide(net->width, kernel, stride, pad);
}

void net_conv(struct net *net, const char *name, struct net_conv conv)
{
    int64_t groups = conv.groups ? conv.groups : 1, stride = conv.stride ? conv.stride : 1;
    const int64_t dims[] = {conv.outputs, net->channels / groups, conv.kernel, conv.kernel};
    /* He initialisation: the spread that keeps the size of activations from layer to layer. */
    double bound = sqrt(6.0 / (double)(dims[1] * dims[2] * dims[3]));
    begin(net, "Conv", name);
    parameter(net, name, "weight", 4, dims, -bound, bound);
    if (conv.bias)
        parameter(net, name, "bias", 1, &conv.outputs, -0.05, 0.05);
    window(net, conv.kernel, stride, conv.pad);
    onnx_writer_node_integer(net->writer, "group", groups);
    onnx_writer_end(net->writer);
    net->channels = conv.outputs;
}

void net_batch_norm(struct net *net, const char *name, double gain)
{
    begin(net, "BatchNormalization", name);
    parameter(net, name, "scale", 1, &net->channels, 0.8 * gain, 1.2 * gain);
    parameter(net, name, "bias", 1, &net->channels, -0.1, 0.1);
    parameter(net, name, "mean", 1, &net->channels, -0.1, 0.1);
    parameter(net, name, "variance", 1, &net->channels, 0.8, 1.2);
    onnx_writer_node_real(net->writer, "epsilon", 1e-5f);
    onnx_writer_end(net->writer);
}

void net_relu(struct net *net, const char *name)
{
    begin(net, "Relu", name);
    onnx_writer_end(net->writer);
}

void net_relu6(struct net *net, const char *name)
{
    begin(net, "Clip", name);
    parameter(net, name, "minimum", 0, NULL, 0, 0);
    parameter(net, name, "maximum", 0, NULL, 6, 6);
    onnx_writer_end(net->writer);
}

void net_max_pool(struct net *net, const char *name, int64_t kernel, int64_t stride, int64_t pad)
{
    begin(net, "MaxPool", name);
    window(net, kernel, stride, pad);
    onnx_writer_end(net->writer);
}

void net_global_average_pool(struct net *net, const char *name)
{
    begin(net, "GlobalAveragePool", name);
    onnx_writer_end(net->writer);
    net->height = net->width = 1;
}

void net_flatten(struct net *net, const char *name)
{
    begin(net, "Flatten", name);
    onnx_writer_node_integer(net->writer, "axis", 1);
    onnx_writer_end(net->writer);
    net->channels *= net->height * net->width;
    net->height = net->width = 0;
}

void net_full(struct net *net, const char *name, int64_t outputs)
{
    const int64_t dims[] = {outputs, net->channels};
    double bound = sqrt(6.0 / (double)net->channels);
    begin(net, "Gemm", name);
    parameter(net, name, "weight", 2, dims, -bound, bound);
    parameter(net, name, "bias", 1, dims, -0.05, 0.05);
    onnx_writer_node_integer(net->writer, "transB", 1);
    onnx_writer_end(net->writer);
    net->channels = outputs;
}

void net_softmax(struct net *net, const char *name)
{
    begin(net, "Softmax", name);
    onnx_writer_node_integer(net->writer, "axis", 1);
    onnx_writer_end(net->writer);
}

void net_add(struct net *net, const char *name, const struct net *other)
{
    begin(net, "Add", name);
    onnx_writer_node_input(net->writer, other->tensor);
    onnx_writer_end(net->writer);
}

void net_concat(struct net *net, const char *name, const struct net *other)
{
    begin(net, "Concat", name);
    onnx_writer_node_input(net->writer, other->tensor);
    onnx_writer_node_integer(net->writer, "axis", 1);
    onnx_writer_end(net->writer);
    net->channels += other->channels;
}
