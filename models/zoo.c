/* SPDX-License-Identifier: Apache-2.0 */
/* The networks of the zoo, as their papers and torchvision have them. */
#include "models/zoo.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/nearest.h"
#include "models/net.h"

static void conv_relu(struct net *net, unsigned number, struct net_conv conv)
{
    char name[32];
    conv.bias = 1;
    snprintf(name, sizeof(name), "conv%u", number);
    net_conv(net, name, conv);
    snprintf(name, sizeof(name), "relu%u", number);
    net_relu(net, name);
}

static void pool(struct net *net, unsigned number, int64_t kernel)
{
    char name[32];
    snprintf(name, sizeof(name), "pool%u", number);
    net_max_pool(net, name, kernel, 2, 0);
}

/* Flatten and three fully connected layers: the end of AlexNet and VGG. */
static void classifier(struct net *net, int64_t width, int64_t classes)
{
    net_flatten(net, "flatten");
    net_full(net, "fc1", width);
    net_relu(net, "fc1_relu");
    net_full(net, "fc2", width);
    net_relu(net, "fc2_relu");
    net_full(net, "fc3", classes);
}

/* The five convolutions and three poolings of AlexNet; the first convolution and the pooling differ by input size. */
static struct net alexnet(const char *name, int64_t size, struct net_conv first, int64_t second_kernel,
                          int64_t pool_kernel, int64_t classes)
{
    struct net net = net_begin(name, 3, size, size);
    conv_relu(&net, 1, first);
    pool(&net, 1, pool_kernel);
    conv_relu(&net, 2, (struct net_conv){.outputs = 192, .kernel = second_kernel, .pad = second_kernel / 2});
    pool(&net, 2, pool_kernel);
    conv_relu(&net, 3, (struct net_conv){.outputs = 384, .kernel = 3, .pad = 1});
    conv_relu(&net, 4, (struct net_conv){.outputs = 256, .kernel = 3, .pad = 1});
    conv_relu(&net, 5, (struct net_conv){.outputs = 256, .kernel = 3, .pad = 1});
    pool(&net, 3, pool_kernel);
    classifier(&net, 4096, classes);
    return net;
}

static struct net alexnet_cifar10(void)
{
    return alexnet("alexnet-cifar10", 32, (struct net_conv){.outputs = 64, .kernel = 3, .stride = 2, .pad = 1}, 3, 2,
                   10);
}

static struct net alexnet_224(void)
{
    return alexnet("alexnet", 224, (struct net_conv){.outputs = 64, .kernel = 11, .stride = 4, .pad = 2}, 5, 3, 1000);
}

static struct net vgg16_of(const char *name, int64_t size, int64_t width, int64_t classes)
{
    static const int64_t channels[] = {64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0};
    struct net net = net_begin(name, 3, size, size);
    unsigned convs = 0, pools = 0;
    for (size_t i = 0; i < sizeof(channels) / sizeof(*channels); i++)
        if (channels[i])
            conv_relu(&net, ++convs, (struct net_conv){.outputs = channels[i], .kernel = 3, .pad = 1});
        else
            pool(&net, ++pools, 2);
    classifier(&net, width, classes);
    return net;
}

static struct net vgg16(void)
{
    return vgg16_of("vgg16", 224, 4096, 1000);
}

static struct net vgg16_cifar(void)
{
    return vgg16_of("vgg16-cifar", 32, 512, 10);
}

/* Convolution and batch normalisation named PREFIX_conv and PREFIX_bn. */
static void conv_bn(struct net *net, const char *prefix, struct net_conv conv, double gain)
{
    char name[64];
    snprintf(name, sizeof(name), "%s_conv", prefix);
    net_conv(net, name, conv);
    snprintf(name, sizeof(name), "%s_bn", prefix);
    net_batch_norm(net, name, gain);
}

static void conv_bn_relu(struct net *net, const char *prefix, struct net_conv conv,
                         void (*activation)(struct net *, const char *))
{
    char name[64];
    conv_bn(net, prefix, conv, 1);
    snprintf(name, sizeof(name), "%s_relu", prefix);
    activation(net, name);
}

/* ResNet's bottleneck: 1x1, 3x3 (with the stride), 1x1, and the way around. */
static void bottleneck(struct net *net, const char *prefix, int64_t width, int64_t stride)
{
    char name[48];
    struct net around = *net;
    bool is_projected = stride != 1 || net->channels != 4 * width;
    snprintf(name, sizeof(name), "%s_1", prefix);
    conv_bn_relu(net, name, (struct net_conv){.outputs = width, .kernel = 1}, net_relu);
    snprintf(name, sizeof(name), "%s_2", prefix);
    conv_bn_relu(net, name, (struct net_conv){.outputs = width, .kernel = 3, .stride = stride, .pad = 1}, net_relu);
    snprintf(name, sizeof(name), "%s_3", prefix);
    conv_bn(net, name, (struct net_conv){.outputs = 4 * width, .kernel = 1}, 0.25);
    snprintf(name, sizeof(name), "%s_around", prefix);
    if (is_projected)
        conv_bn(&around, name, (struct net_conv){.outputs = 4 * width, .kernel = 1, .stride = stride}, 0.7);
    snprintf(name, sizeof(name), "%s_add", prefix);
    net_add(net, name, &around);
    snprintf(name, sizeof(name), "%s_relu", prefix);
    net_relu(net, name);
}

static struct net resnet50(void)
{
    static const unsigned blocks[] = {3, 4, 6, 3};
    struct net net = net_begin("resnet50", 3, 224, 224);
    conv_bn_relu(&net, "stem", (struct net_conv){.outputs = 64, .kernel = 7, .stride = 2, .pad = 3}, net_relu);
    net_max_pool(&net, "pool", 3, 2, 1);
    for (unsigned stage = 0; stage < 4; stage++)
        for (unsigned block = 0; block < blocks[stage]; block++) {
            char prefix[32];
            snprintf(prefix, sizeof(prefix), "stage%u_block%u", stage + 1, block + 1);
            bottleneck(&net, prefix, INT64_C(64) << stage, stage > 0 && block == 0 ? 2 : 1);
        }
    net_global_average_pool(&net, "average");
    net_flatten(&net, "flatten");
    net_full(&net, "fc", 1000);
    return net;
}

/* MobileNetV2's inverted residual: widen by 1x1, filter by depthwise 3x3, narrow by 1x1 without activation. */
static void inverted_residual(struct net *net, const char *prefix, int64_t factor, int64_t outputs, int64_t stride)
{
    char name[48];
    struct net around = *net;
    int64_t wide = net->channels * factor;
    bool is_residual = stride == 1 && net->channels == outputs;
    snprintf(name, sizeof(name), "%s_widen", prefix);
    if (factor != 1)
        conv_bn_relu(net, name, (struct net_conv){.outputs = wide, .kernel = 1}, net_relu6);
    snprintf(name, sizeof(name), "%s_depthwise", prefix);
    conv_bn_relu(net, name, (struct net_conv){.outputs = wide, .kernel = 3, .stride = stride, .pad = 1, .groups = wide},
                 net_relu6);
    snprintf(name, sizeof(name), "%s_narrow", prefix);
    conv_bn(net, name, (struct net_conv){.outputs = outputs, .kernel = 1}, is_residual ? 0.25 : 0.7);
    snprintf(name, sizeof(name), "%s_add", prefix);
    if (is_residual)
        net_add(net, name, &around);
}

static struct net mobilenetv2(void)
{
    static const struct {
        int64_t factor, outputs, count, stride;
    } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                  {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    struct net net = net_begin("mobilenetv2", 3, 224, 224);
    unsigned number = 0;
    conv_bn_relu(&net, "stem", (struct net_conv){.outputs = 32, .kernel = 3, .stride = 2, .pad = 1}, net_relu6);
    for (size_t s = 0; s < sizeof(stages) / sizeof(*stages); s++)
        for (int64_t i = 0; i < stages[s].count; i++) {
            char prefix[32];
            snprintf(prefix, sizeof(prefix), "block%u", ++number);
            inverted_residual(&net, prefix, stages[s].factor, stages[s].outputs, i == 0 ? stages[s].stride : 1);
        }
    conv_bn_relu(&net, "head", (struct net_conv){.outputs = 1280, .kernel = 1}, net_relu6);
    net_global_average_pool(&net, "average");
    net_flatten(&net, "flatten");
    net_full(&net, "fc", 1000);
    return net;
}

static struct net tiny_cnn(void)
{
    struct net net = net_begin("tiny-cnn", 3, 16, 16);
    conv_relu(&net, 1, (struct net_conv){.outputs = 8, .kernel = 3, .pad = 1});
    pool(&net, 1, 2);
    conv_relu(&net, 2, (struct net_conv){.outputs = 16, .kernel = 3, .pad = 1});
    net_flatten(&net, "flatten");
    net_full(&net, "fc", 10);
    net_softmax(&net, "softmax");
    return net;
}

static struct net tiny_resnet(void)
{
    struct net net = net_begin("tiny-resnet", 3, 16, 16);
    conv_bn_relu(&net, "stem", (struct net_conv){.outputs = 8, .kernel = 3, .pad = 1}, net_relu);
    bottleneck(&net, "block1", 4, 2); /* with a projection around it */
    bottleneck(&net, "block2", 4, 1); /* with the identity around it */
    struct net branch = net;
    conv_bn_relu(&net, "left", (struct net_conv){.outputs = 8, .kernel = 3, .pad = 1}, net_relu);
    conv_bn_relu(&branch, "right", (struct net_conv){.outputs = 4, .kernel = 1}, net_relu6);
    net_concat(&net, "concat", &branch);
    net_global_average_pool(&net, "average");
    net_flatten(&net, "flatten");
    net_full(&net, "fc", 10);
    return net;
}

/* One branch of an inception block: a cheap 1x1 convolution that narrows (with the stride), and a dear one that widens. */
static void inception_branch(struct net *net, const char *prefix, int64_t kernel)
{
    char name[48];
    snprintf(name, sizeof(name), "%s_narrow", prefix);
    conv_bn_relu(net, name, (struct net_conv){.outputs = 4, .kernel = 1, .stride = 2}, net_relu);
    snprintf(name, sizeof(name), "%s_widen", prefix);
    conv_bn_relu(net, name, (struct net_conv){.outputs = 64, .kernel = kernel, .pad = kernel / 2}, net_relu);
}

/* What is worth running on a device is the stem and the narrow beginning of every branch: no beginning of the layer order. */
static struct net tiny_inception(void)
{
    struct net net = net_begin("tiny-inception", 3, 32, 32);
    conv_bn_relu(&net, "stem", (struct net_conv){.outputs = 16, .kernel = 3, .pad = 1}, net_relu);
    net_max_pool(&net, "pool", 2, 2, 0);
    struct net branch3 = net, branch5 = net, pooled = net;
    inception_branch(&branch3, "branch3", 3);
    inception_branch(&branch5, "branch5", 5);
    net_max_pool(&pooled, "pooled_pool", 2, 2, 0);
    conv_bn_relu(&pooled, "pooled", (struct net_conv){.outputs = 4, .kernel = 1}, net_relu);
    net = branch3;
    net_concat(&net, "concat3_5", &branch5);
    net_concat(&net, "concat", &pooled);
    conv_bn_relu(&net, "head", (struct net_conv){.outputs = 64, .kernel = 3, .pad = 1}, net_relu);
    net_global_average_pool(&net, "average");
    net_flatten(&net, "flatten");
    net_full(&net, "fc", 10);
    return net;
}

static const struct zoo_model models[] = {
    {"alexnet-cifar10", "AlexNet for 32x32 images, 11 layers, 0.126 GFLOP, 93 MB: the paper's model"},
    {"alexnet", "AlexNet for 224x224 images, 1.43 GFLOP, 244 MB"},
    {"vgg16", "VGG16 for 224x224 images, 30.9 GFLOP, 553 MB"},
    {"vgg16-cifar", "VGG16 for 32x32 images, 0.63 GFLOP, 61 MB"},
    {"resnet50", "ResNet-50 for 224x224 images, 8.2 GFLOP, 102 MB, with skip connections"},
    {"mobilenetv2", "MobileNetV2 for 224x224 images, 0.60 GFLOP, 14 MB, depthwise convolutions"},
    {"tiny-cnn", "a chain of 5 small layers for 16x16 images: for tests and first steps"},
    {"tiny-resnet", "small residual blocks and a concatenation for 16x16 images: for tests"},
    {"tiny-inception", "parallel branches that narrow first, for 32x32 images: splits best along a set of layers"},
};
static struct net (*const builders[])(void) = {alexnet_cifar10, alexnet_224, vgg16,       vgg16_cifar,   resnet50,
                                               mobilenetv2,     tiny_cnn,    tiny_resnet, tiny_inception};
#define MODEL_COUNT (sizeof(models) / sizeof(*models))

const struct zoo_model *zoo_models(size_t *count)
{
    *count = MODEL_COUNT;
    return models;
}

int zoo_write(const char *name, uint64_t seed, const char *path, struct error *error)
{
    const char *names[MODEL_COUNT];
    for (size_t i = 0; i < MODEL_COUNT; i++) {
        names[i] = models[i].name;
        if (strcmp(name, names[i]) == 0) {
            struct net net = builders[i]();
            return net_save(&net, seed, path, error);
        }
    }
    const char *near = nearest_name(name, names, MODEL_COUNT);
    error_set(error, ERROR_INPUT, "there is no model '%.100s' in the zoo; ", name);
    if (near)
        return error_append(error, "did you mean '%s'?", near);
    error_append(error, "known are");
    for (size_t i = 0; i < MODEL_COUNT; i++)
        error_append(error, "%s %s", i ? "," : "", names[i]);
    return -1;
}
