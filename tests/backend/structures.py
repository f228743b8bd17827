# SPDX-License-Identifier: Apache-2.0
"""Writes small networks with the structures, and the quirks of export, of well-known CNNs as PyTorch exports them.

Usage: structures.py FOLDER. Prints NAME=FILE for each. Weights are seeded; every model passes ONNX's checker.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph under construction: each call appends a node and returns the name of its result."""

    def __init__(self, opset):
        self.opset = opset
        self.nodes, self.initializers = [], []
        self.random = np.random.RandomState(1)
        self.count = 0

    def fresh(self, what):
        self.count += 1
        return "%s_%d" % (what, self.count)

    def op(self, kind, inputs, outputs=1, **attributes):
        names = [self.fresh(kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=self.fresh("/" + kind), **attributes))
        return names[0] if outputs == 1 else names

    def weights(self, *dims, scale=None, offset=0.0):
        scale = scale if scale is not None else (2.0 / max(1, int(np.prod(dims[1:])))) ** 0.5
        values = (self.random.randn(*dims) * scale + offset).astype(np.float32)
        return self.initializer(values)

    def initializer(self, values):
        name = self.fresh("weight")
        self.initializers.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def constant(self, values):
        """A Constant node, as PyTorch writes shapes and limits."""
        name = self.fresh("constant")
        tensor = numpy_helper.from_array(np.asarray(values), name + "_value")
        self.nodes.append(helper.make_node("Constant", [], [name], name=self.fresh("/Constant"), value=tensor))
        return name

    def ints(self, *values):
        return self.constant(np.array(values, dtype=np.int64))

    def conv(self, x, channels, out, kernel=1, stride=1, pad=None, groups=1, bias=True, dilation=1):
        pad = (kernel - 1) * dilation // 2 if pad is None else pad
        inputs = [x, self.weights(out, channels // groups, kernel, kernel)]
        if bias:
            inputs.append(self.weights(out, scale=0.1))
        return self.op("Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=groups,
                       dilations=[dilation] * 2)

    def norm(self, x, channels):
        return self.op("BatchNormalization",
                       [x, self.weights(channels, scale=0.2, offset=1.0), self.weights(channels, scale=0.1),
                        self.weights(channels, scale=0.1), self.initializer(
                            (self.random.rand(channels) + 0.5).astype(np.float32))], epsilon=1e-5)

    def relu(self, x):
        return self.op("Relu", [x])

    def relu6(self, x):
        """Clip with inputs (opset 11 and later), limits from Constant nodes."""
        return self.op("Clip", [x, self.constant(np.float32(0)), self.constant(np.float32(6))])

    def head(self, x, channels, classes=10):
        x = self.op("GlobalAveragePool", [x])
        x = self.op("Flatten", [x], axis=1)
        return self.op("Gemm", [x, self.weights(classes, channels), self.weights(classes, scale=0.1)], transB=1)

    def save(self, folder, name, output, dims=(1, 3, 32, 32), classes=10, batch=None):
        shape = [batch if batch else dims[0], *dims[1:]]
        graph = helper.make_graph(
            self.nodes, name, [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [shape[0], classes])], self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)],
                                  producer_name="structures")
        model.ir_version = 7
        onnx.checker.check_model(model)
        path = os.path.join(folder, name + ".onnx")
        onnx.save(model, path)
        print("%s=%s" % (name, path))


def squeezenet(folder):
    """Fire modules: two convolutions joined by Concat; classifier of a convolution; Dropout left in; ceil_mode pools."""
    net = Net(13)
    x = net.relu(net.conv("input", 3, 16, 3, stride=2, pad=0))
    x = net.op("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    channels = 16
    for squeeze, expand in ((8, 16), (8, 24)):
        x = net.relu(net.conv(x, channels, squeeze))
        x = net.op("Concat", [net.relu(net.conv(x, squeeze, expand)), net.relu(net.conv(x, squeeze, expand, 3))], axis=1)
        channels = 2 * expand
    x = net.op("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    x = net.op("Dropout", [x, net.constant(np.float32(0.5)), net.constant(np.bool_(False))])
    x = net.relu(net.conv(x, channels, 10))
    x = net.op("GlobalAveragePool", [x])
    net.save(folder, "squeezenet-like", net.op("Reshape", [x, net.ints(0, -1)]))


def shuffled(net, x, channels, groups):
    """Channel shuffle with the shape computed in the graph: Shape, Gather, Unsqueeze, Concat, Reshape, Transpose."""
    def dim(index):
        part = net.op("Gather", [net.op("Shape", [x]), net.constant(np.int64(index))], axis=0)
        return net.op("Unsqueeze", [part, net.ints(0)])
    batch, height, width = dim(0), dim(2), dim(3)
    per_group = net.op("Div", [dim(1), net.ints(groups)])
    apart = net.op("Concat", [batch, net.ints(groups), per_group, height, width], axis=0)
    x = net.op("Reshape", [x, apart])
    x = net.op("Transpose", [x], perm=[0, 2, 1, 3, 4])
    together = net.op("Concat", [batch, net.ints(channels), height, width], axis=0)
    return net.op("Reshape", [x, together])


def shufflenet(folder, batch=None, name="shufflenet-like"):
    """Channel shuffle and split; depthwise convolutions."""
    net = Net(13)
    x = net.relu(net.norm(net.conv("input", 3, 16, 3, stride=2, bias=False), 16))
    x = net.op("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for _ in range(2):
        left, right = net.op("Split", [x, net.ints(8, 8)], outputs=2, axis=1)
        right = net.relu(net.norm(net.conv(right, 8, 8, bias=False), 8))
        right = net.norm(net.conv(right, 8, 8, 3, groups=8, bias=False), 8)
        right = net.relu(net.norm(net.conv(right, 8, 8, bias=False), 8))
        x = shuffled(net, net.op("Concat", [left, right], axis=1), 16, 2)
    x = net.op("ReduceMean", [x], axes=[2, 3], keepdims=0)
    net.save(folder, name, net.op("Gemm", [x, net.weights(10, 16), net.weights(10)], transB=1), batch=batch)


def shufflenet_sliced(folder):
    """The same with Slice in place of Split, and grouped pointwise convolutions."""
    net = Net(11)
    x = net.relu(net.conv("input", 3, 16, 3, stride=2))
    left = net.op("Slice", [x, net.ints(0), net.ints(8), net.ints(1)])
    right = net.op("Slice", [x, net.ints(8), net.ints(9223372036854775807), net.ints(1), net.ints(1)])
    right = net.relu(net.conv(right, 8, 8, groups=2))
    x = net.op("Concat", [left, right], axis=1)
    x = net.op("Reshape", [x, net.ints(1, 2, 8, 16, 16)])
    x = net.op("Reshape", [net.op("Transpose", [x], perm=[0, 2, 1, 3, 4]), net.ints(1, -1, 16, 16)])
    net.save(folder, "shufflenet-sliced", net.head(net.relu(net.conv(x, 16, 12, groups=4)), 12))


def squeeze_excite(net, x, channels, gate, mean):
    """Channel gates by either way to average, with the gate broadcast by Mul."""
    y = net.op("GlobalAveragePool", [x]) if mean == "pool" else net.op("ReduceMean", [x], axes=[2, 3], keepdims=1)
    y = net.conv(y, channels, channels // 4)
    y = net.op("Mul", [y, net.op("Sigmoid", [y])]) if gate == "Sigmoid" else net.relu(y)
    y = net.op(gate, [net.conv(y, channels // 4, channels)])
    return net.op("Mul", [x, y] if mean == "pool" else [y, x])


def efficientnet(folder):
    """MBConv: swish as Mul of Sigmoid, squeeze-and-excite, residual addition."""
    net = Net(13)

    def swish(x):
        return net.op("Mul", [x, net.op("Sigmoid", [x])])

    x = swish(net.norm(net.conv("input", 3, 16, 3, stride=2, bias=False), 16))
    for mean in ("pool", "reduce"):
        y = swish(net.norm(net.conv(x, 16, 64, bias=False), 64))
        y = swish(net.norm(net.conv(y, 64, 64, 5, groups=64, bias=False), 64))
        y = squeeze_excite(net, y, 64, "Sigmoid", mean)
        x = net.op("Add", [net.norm(net.conv(y, 64, 16, bias=False), 16), x])
    net.save(folder, "efficientnet-like", net.head(swish(net.conv(x, 16, 32)), 32))


def densenet(folder):
    """BN and Relu before each convolution; every result concatenated to all before it; average pools between."""
    net = Net(13)
    x = net.relu(net.norm(net.conv("input", 3, 16, 3, stride=2, bias=False), 16))
    channels = 16
    for _ in range(2):
        features = [x]
        for _ in range(3):
            y = net.op("Concat", features, axis=1) if len(features) > 1 else features[0]
            total = channels + 8 * (len(features) - 1)
            y = net.relu(net.norm(y, total))
            y = net.relu(net.norm(net.conv(y, total, 16, bias=False), 16))
            features.append(net.conv(y, 16, 8, 3, bias=False))
        x, channels = net.op("Concat", features, axis=1), channels + 24
        x = net.conv(net.relu(net.norm(x, channels)), channels, channels // 2, bias=False)
        channels //= 2
        x = net.op("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
    net.save(folder, "densenet-like", net.head(net.relu(net.norm(x, channels)), channels))


def mobilenetv3(folder):
    """HardSwish (opset 14), HardSigmoid gates, depthwise convolutions with and without stride."""
    net = Net(14)
    x = net.op("HardSwish", [net.norm(net.conv("input", 3, 16, 3, stride=2, bias=False), 16)])
    for stride in (1, 2):
        y = net.op("HardSwish", [net.norm(net.conv(x, 16, 48, bias=False), 48)])
        y = net.op("HardSwish", [net.norm(net.conv(y, 48, 48, 5, stride=stride, groups=48, bias=False), 48)])
        s = net.op("GlobalAveragePool", [y])
        s = net.conv(net.relu(net.conv(s, 48, 12)), 12, 48)
        y = net.op("Mul", [net.op("HardSigmoid", [s], alpha=1 / 6), y])
        y = net.norm(net.conv(y, 48, 16, bias=False), 16)
        x = net.op("Add", [x, y]) if stride == 1 else y
    x = net.op("Flatten", [net.op("GlobalAveragePool", [x])], axis=1)
    x = net.op("HardSwish", [net.op("Gemm", [x, net.weights(32, 16), net.weights(32)], transB=1)])
    net.save(folder, "mobilenetv3-like", net.op("Gemm", [x, net.weights(10, 32), net.weights(10)], transB=1))


def hard_swish_taken_apart(folder):
    """HardSwish and HardSigmoid as exporters before opset 14 wrote them: Add, Clip, Mul, Div."""
    net = Net(11)

    def gate(x):
        y = net.relu6(net.op("Add", [x, net.constant(np.float32(3))]))
        return net.op("Div", [y, net.constant(np.float32(6))])

    x = net.conv("input", 3, 16, 3, stride=2)
    x = net.op("Mul", [x, gate(x)])
    x = net.op("Mul", [gate(net.conv(net.op("GlobalAveragePool", [x]), 16, 16)), x])
    net.save(folder, "hardswish-taken-apart", net.head(x, 16))


def googlenet(folder):
    """LRN, pools with ceil_mode and padding, inception modules of four branches."""
    net = Net(13)
    x = net.relu(net.conv("input", 3, 16, 7, stride=2, pad=3))
    x = net.op("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    x = net.op("LRN", [x], size=5, alpha=1e-4, beta=0.75, bias=1.0)
    channels = 16
    for _ in range(2):
        branches = [net.relu(net.conv(x, channels, 8)),
                    net.relu(net.conv(net.relu(net.conv(x, channels, 6)), 6, 12, 3)),
                    net.relu(net.conv(net.relu(net.conv(x, channels, 4)), 4, 6, 5)),
                    net.relu(net.conv(net.op("MaxPool", [x], kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4,
                                             ceil_mode=1), channels, 6))]
        x, channels = net.op("Concat", branches, axis=1), 32
    x = net.op("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, ceil_mode=1)
    x = net.op("Softmax", [net.head(x, channels)], axis=1)
    net.save(folder, "googlenet-like", x)


def inception(folder):
    """Average pool with count_include_pad, kernels of 1x7 and 7x1."""
    net = Net(12)
    x = net.relu(net.conv("input", 3, 16, 3, stride=2))
    y = net.op("Conv", [x, net.weights(12, 16, 1, 7)], kernel_shape=[1, 7], pads=[0, 3, 0, 3])
    y = net.op("Conv", [net.relu(y), net.weights(12, 12, 7, 1)], kernel_shape=[7, 1], pads=[3, 0, 3, 0])
    z = net.op("AveragePool", [x], kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4, count_include_pad=1)
    z = net.op("AveragePool", [z], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    y = net.op("AveragePool", [net.relu(y)], kernel_shape=[2, 2], strides=[2, 2])
    z = net.relu(net.conv(z, 16, 8))
    net.save(folder, "inception-like", net.head(net.op("Concat", [y, z], axis=1), 20))


def mobilenetv2(folder):
    """Inverted residuals with Clip by inputs; Pad nodes with inputs before convolutions without padding."""
    net = Net(13)
    pads = net.ints(0, 0, 0, 0, 0, 0, 1, 1)
    x = net.op("Pad", ["input", pads, net.constant(np.float32(0))], mode="constant")
    x = net.relu6(net.norm(net.conv(x, 3, 16, 3, stride=2, pad=0, bias=False), 16))
    y = net.relu6(net.norm(net.conv(x, 16, 96, bias=False), 96))
    y = net.relu6(net.norm(net.conv(y, 96, 96, 3, groups=96, bias=False), 96))
    x = net.op("Add", [x, net.norm(net.conv(y, 96, 16, bias=False), 16)])
    x = net.op("Pad", [x, net.ints(0, 0, 2, 2, 0, 0, 2, 2)], mode="reflect")
    x = net.op("Pad", [x, net.ints(0, 0, 1, 0, 0, 0, 0, 1)], mode="edge")
    net.save(folder, "mobilenetv2-like", net.head(net.relu6(net.conv(x, 16, 24, 3, pad=0, stride=2)), 24))


def clip_by_attributes(folder):
    """Opset 9: Clip, Pad, Slice, Squeeze and Dropout with attributes; BatchNormalization without Conv before it."""
    net = Net(9)
    x = net.op("Pad", ["input"], pads=[0, 0, 1, 1, 0, 0, 1, 1], mode="constant", value=0.5)
    x = net.op("Clip", [net.norm(net.conv(x, 3, 12, 3, pad=0, bias=False), 12)], min=0.0, max=6.0)
    x = net.op("Slice", [x], starts=[0, 2], ends=[1000, -2], axes=[2, 3])
    x = net.norm(net.op("LeakyRelu", [net.op("Dropout", [x], ratio=0.3)], alpha=0.1), 12)
    x = net.op("GlobalMaxPool", [x])
    x = net.op("Squeeze", [x], axes=[2, 3])
    x = net.op("MatMul", [x, net.weights(12, 10)])
    net.save(folder, "old-attributes", net.op("Add", [x, net.weights(10)]))


def resnext(folder):
    """Grouped convolutions, Identity nodes as PyTorch writes them for shared weights, dilation, a stride in the skip."""
    net = Net(13)
    x = net.relu(net.conv("input", 3, 16, 3, stride=2))
    shared = net.op("Identity", [net.weights(16, scale=0.1)])
    for dilation in (1, 2):
        y = net.op("Identity", [net.relu(net.conv(x, 16, 32))])
        y = net.relu(net.conv(y, 32, 32, 3, groups=8, dilation=dilation))
        y = net.op("Conv", [y, net.weights(16, 32, 1, 1), shared], kernel_shape=[1, 1])
        x = net.relu(net.op("Add", [y, x]))
    y = net.conv(x, 16, 24, 3, stride=2)
    x = net.relu(net.op("Add", [y, net.conv(x, 16, 24, 1, stride=2)]))
    net.save(folder, "resnext-like", net.op("Identity", [net.head(x, 24)]))


def preactivation(folder):
    """The sum goes on unactivated and activated both; a layer's result is used three times; two outputs join late."""
    net = Net(13)
    x = net.conv("input", 3, 16, 3, stride=2)
    for _ in range(2):
        y = net.relu(net.norm(x, 16))
        z = net.conv(net.relu(net.norm(net.conv(y, 16, 16, 3, bias=False), 16)), 16, 16, 3)
        x = net.op("Add", [x, net.op("Add", [z, y])])
    late = net.op("MaxPool", ["input"], kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("Concat", [x, late, net.op("Tanh", [x])], axis=1)
    net.save(folder, "preactivation-like", net.head(x, 35))


def attention_pool(folder):
    """Spatial gates: ReduceMean over channels, MatMul of two activations, Softmax of opset 13 along the last axis."""
    net = Net(13)
    x = net.relu(net.conv("input", 3, 16, 3, stride=4, pad=1))
    gate = net.op("Sigmoid", [net.conv(net.op("ReduceMean", [x], axes=[1], keepdims=1), 1, 1, 3)])
    x = net.op("Mul", [x, gate])
    flat = net.op("Reshape", [x, net.ints(0, 16, -1)])
    scores = net.op("MatMul", [flat, net.op("Transpose", [flat], perm=[0, 2, 1])])
    scores = net.op("Softmax", [net.op("Mul", [scores, net.constant(np.float32(0.125))])], axis=-1)
    x = net.op("MatMul", [scores, flat])
    x = net.op("ReduceMean", [x], axes=[-1], keepdims=0)
    net.save(folder, "attention-like", net.op("Gemm", [x, net.weights(16, 10)], alpha=0.5))


def main(folder):
    for write in (squeezenet, shufflenet, shufflenet_sliced, efficientnet, densenet, mobilenetv3,
                  hard_swish_taken_apart, googlenet, inception, mobilenetv2, clip_by_attributes, resnext,
                  preactivation, attention_pool):
        write(folder)
    shufflenet(folder, batch="N", name="shufflenet-symbolic-batch")


if __name__ == "__main__":
    main(sys.argv[1])
