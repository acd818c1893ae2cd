"""Networks as PyTorch modules, as `lanner network --json` describes them, with weights and images that tests
make the same way. For proxies_torch.py and train_torch.py.
"""

import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from executor_torch import number

WEIGHTED = (nn.Conv2d, nn.Linear)


class Network(nn.Module):
    """A network as `lanner network --json` writes it, of PyTorch's modules in its default state."""

    def __init__(self, description):
        super().__init__()
        self.layers = description["layers"]
        self.input = description["input"]
        self.parts = nn.ModuleList([self.part(layer) for layer in self.layers])

    def part(self, layer):
        op, out = layer["op"], layer["shape"][0]
        channels = {l["name"]: l["shape"][0] for l in self.layers}
        inputs = channels[layer["inputs"][0]] if layer["inputs"] else 0
        if op == "conv":
            sizes = layer["kernel"], layer["stride"], layer["padding"], layer["dilation"]
            return nn.Conv2d(inputs, out, *sizes, layer["groups"], layer["bias"])
        if op == "batch_norm":
            return nn.BatchNorm2d(out, layer["epsilon"])
        if op == "relu":
            return nn.ReLU()
        if op == "linear":
            return nn.Linear(inputs, out, layer["bias"])
        if op == "avg_pool":
            p = layer["pool"]
            sizes = p["kernel"], p["stride"], p["padding"]
            return nn.AvgPool2d(*sizes, count_include_pad=layer["count_include_pad"])
        if op == "max_pool":
            p = layer["pool"] if "pool" in layer else layer
            return nn.MaxPool2d(p["kernel"], p["stride"], p["padding"])
        if op == "channel_shuffle":
            return nn.ChannelShuffle(layer["groups"])
        return nn.AdaptiveAvgPool2d(1) if op == "global_avg_pool" else nn.Identity()

    def forward(self, x, before_pooling=False, outputs=False):
        values = {}
        for layer, part in zip(self.layers, self.parts):
            ins = [values[i] for i in layer["inputs"]]
            if layer["op"] == "global_avg_pool" and before_pooling:
                return ins[0]
            y = x if layer["op"] == "input" else one_layer(self, layer, part, ins)
            values[layer["name"]] = y
        return (y, values) if outputs else y

    def block_outputs(self):
        """The names of the layers that blocks but the first and the last pass on."""
        block, order = {l["name"]: l["block"] for l in self.layers}, [l["name"] for l in self.layers]
        last = {}
        for layer in self.layers:
            for i in layer["inputs"]:
                if block[i] != layer["block"] and order.index(i) > 0:
                    last[block[i]] = max(last.get(block[i], 0), order.index(i))
        return [order[at] for at in sorted(last.values())]


def one_layer(net, layer, part, ins):
    op = layer["op"]
    if op == "add":
        return sum(ins)
    if op == "zero":
        return ins[0] * 0
    if op == "concat":
        return torch.cat(ins, 1)
    if op == "slice":
        return ins[0][:, : layer["channels"]]
    if op == "shift":
        return F.pad(ins[0][:, :, 1:, 1:], (0, 1, 0, 1))
    if op == "linear":
        return part(ins[0].flatten(1))
    if type(part) is nn.Identity and op != "identity":
        raise NotImplementedError(op)
    return part(ins[0])


def weighted(net):
    return [m for m in net.modules() if isinstance(m, WEIGHTED)]


def made(net, stream, scale):
    """Sets the weights from a stream, layer by layer, weight before bias."""
    net = copy.deepcopy(net)
    count = sum(p.numel() for p in net.parameters())
    numbers, at = number(stream, count), 0
    for m in net.modules():
        for p in m.parameters(recurse=False):
            values = numbers[at : at + p.numel()].view(p.shape)
            at += p.numel()
            if not isinstance(m, nn.BatchNorm2d):
                p.data = (values * scale(m)).float().to(p.dtype)
    return net


def made_batch(net, batch, stream):
    size = batch * math.prod(net.input)
    x, x2 = ((number(s, size) * 4).view(batch, *net.input) for s in (stream, 13))
    return x, x2, torch.tensor([(i * i + 3 * i) % 10 for i in range(batch)])


def fan_in(m):
    """Powers of two: products with numbers of the stream are exact."""
    return 2.0 ** -round(math.log2(m.weight[0].numel()) / 2)
