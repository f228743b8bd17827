/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building blocks of image networks on top of the ONNX writer. A `net` is a place in the network under construction:
 * the tensor it ends in and that tensor's shape; copying it makes a branch.
 */
#ifndef NAPM_MODELS_NET_H
#define NAPM_MODELS_NET_H

#include <stdint.h>

#include "models/onnx_write.h"

struct net {
    struct onnx_writer *writer;
    char tensor[64];
    int64_t channels, height, width; /* of the tensor; after net_flatten: channels only */
};

struct net net_begin(const char *name, int64_t channels, int64_t height, int64_t width);
/* Declares the tensor as the model's output, writes the file and frees the writer. */
int net_save(const struct net *net, uint64_t seed, const char *path, struct error *error);

struct net_conv {
    int64_t outputs, kernel, stride, pad, groups; /* 0 for stride or groups: 1 */
    int bias;
};
void net_conv(struct net *net, const char *name, struct net_conv conv);
/* `gain` is the mean scale: 1, or less where a residual branch ends, so that sums do not grow from block to block. */
void net_batch_norm(struct net *net, const char *name, double gain);
void net_relu(struct net *net, const char *name);
void net_relu6(struct net *net, const char *name);
void net_max_pool(struct net *net, const char *name, int64_t kernel, int64_t stride, int64_t pad);
void net_global_average_pool(struct net *net, const char *name);
void net_flatten(struct net *net, const char *name);
void net_full(struct net *net, const char *name, int64_t outputs); /* fully connected */
void net_softmax(struct net *net, const char *name);
void net_add(struct net *net, const char *name, const struct net *other);
void net_concat(struct net *net, const char *name, const struct net *other); /* along the channels */

#endif
