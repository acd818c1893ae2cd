"""Later zero-cost proxies in PyTorch, each on its own, as the documentation of `Proxy` defines them: SWAP, AZ-NAS's,
MeCo, VKDNW, ZiCo and L-SWAG's. For proxies_torch.py.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from executor_torch import number
from proxies_torch_network import one_layer, weighted
from proxies_torch_thirteen import backward


def patterns(net, x, block=None):
    """States of the ReLUs for the first 16 images, a row a ReLU, for each layer with an input of its own."""
    with torch.no_grad():
        _, values = net(x, outputs=True)
    some = [l for l in net.layers if l["op"] == "relu" and block in (None, l["block"])]
    inputs = {(l["op"], l["inputs"][0]): None for l in some}
    return [(values[name][:16].flatten(1) > 0).t().numpy() for _, name in inputs]


def swap(net, x, t):
    return len(np.unique(np.concatenate(patterns(net, x)), axis=0))


def swap_cell(net, x, t):
    """For golden values: of the given weights, where the engine draws several."""
    image = net.layers[0]["name"]
    stems = [(l, p) for l, p in zip(net.layers, net.parts) if image in l["inputs"]]
    for _, part in stems:
        passed = torch.zeros_like(part.weight)
        at = part.weight.shape[2] // 2
        for output in range(len(passed)):
            passed[output, output % passed.shape[1], at, at] = 1
        part.weight.data = passed
    stem = stems[0][0]["block"]
    behind = [l["block"] for l in net.layers[[l["block"] for l in net.layers].index(stem):]]
    names = {l["block"] for l in net.layers if l["op"] == "relu"}
    cell = next(b for b in behind if b != stem and b in names)
    return len(np.unique(np.concatenate(patterns(net, x[:16], cell)), axis=0))


def swap_layers(net, x, t):
    return sum(len(np.unique(p, axis=0)) for p in patterns(net, x))


def entropies(net, x):
    with torch.no_grad():
        _, values = net(x, outputs=True)
    for name in net.block_outputs():
        v = torch.linalg.eigvalsh(torch.cov(values[name].transpose(0, 1).flatten(1), correction=0)).clamp(0)
        p = v / v.sum()
        yield -(p * (p + 1e-8).log()).sum().item()


def expressivity(net, x, t):
    return sum(entropies(net, x))


def progressivity(net, x, t):
    return np.diff(list(entropies(net, x))).min()


def signs(stream, like):
    """−1 and 1 of a stream, image by image, row by row, pixel by pixel, channel by channel."""
    n, c, h, w = like.shape
    return ((number(stream, like.numel()) > 0).to(like) * 2 - 1).view(n, h, w, c).permute(0, 3, 1, 2)


def trainability(net, x, t):
    """Each block's gradients are asked for on their own; what a block reads of earlier ones gets the
    gradients of all its readers, each behind its own signs."""
    _, values = net(x.clone().requires_grad_(True), outputs=True)
    names = net.block_outputs()
    drawn = {name: signs(40 + k, values[name]) for k, name in enumerate(names)}

    # The network again, with every block's output cut from what follows.
    leaves = {}

    def cut(name, y):
        leaves[name] = y.detach().requires_grad_(True)
        return leaves[name]

    graph, cutted = {}, {}
    for layer, part in zip(net.layers, net.parts):
        ins = [cutted.get(i, graph.get(i)) for i in layer["inputs"]]
        y = x if layer["op"] == "input" else one_layer(net, layer, part, ins)
        graph[layer["name"]] = y
        if layer["name"] in names:
            cutted[layer["name"]] = cut(layer["name"], y)
    total = sum((graph[name] * drawn[name]).sum() for name in names)
    before = torch.autograd.grad(total, [leaves[n] for n in names[:-1]], allow_unused=True)
    scores = []
    for g, above in zip(before, names[1:]):
        o = drawn[above]
        if g is None or not g.any() or (g.shape == o.shape and (g == o).all()):
            return math.nan
        stride = g.shape[2] // o.shape[2]
        g = F.pixel_unshuffle(g, stride) if stride > 1 else g
        j = torch.einsum("nihw,nohw->io", g, o) / (o.numel() / o.shape[1])
        s = torch.linalg.svdvals(j).max().item()
        scores.append(2 - s - 1 / (s + 1e-6))
    return np.mean(scores)


def meco(net, x, t):
    with torch.no_grad():
        _, values = net(x, outputs=True)
    total = 0.0
    for layer in net.layers:
        if layer["op"] == "conv":
            c = torch.nan_to_num(torch.corrcoef(values[layer["name"]][0].flatten(1)))
            total += max(torch.linalg.eigvalsh(torch.atleast_2d(c)).min().item(), 0.0)
    return total


def vkdnw(net, x, t):
    outputs = []

    def keep(m, _, y):
        y.retain_grad()
        outputs.append(y)

    for m in weighted(net):
        m.register_forward_hook(keep)
    backward(net, x, t)
    g = [(y.detach() * y.grad).flatten(2).sum(2) if y.dim() > 2 else y.detach() * y.grad
         for y in outputs if y.grad is not None]
    g = torch.cat(g, 1)
    v = torch.linalg.eigvalsh(g @ g.t()).clamp(0)
    d = torch.quantile(v, torch.arange(0.1, 0.95, 0.1, dtype=v.dtype))
    if d.sum() == 0:
        return math.nan
    p = d / d.sum()
    return len(weighted(net)) - torch.special.xlogy(p, p).sum().item()


def zico(net, x, t):
    loss = F.cross_entropy(net(x), t, reduction="none") / len(x)
    half, total = len(x) // 2, 0.0
    weights = [m.weight for m in weighted(net)]
    first = torch.autograd.grad(loss[:half].sum(), weights, retain_graph=True, allow_unused=True)
    second = torch.autograd.grad(loss[half:].sum(), weights, allow_unused=True)
    for a, b in zip(first, second):
        if a is None:
            continue
        g = torch.stack([a, b]).flatten(1)
        deviation = g.std(0, correction=0)
        ratios = (g.abs().mean(0) / deviation)[deviation > 0]
        if ratios.sum() > 0:
            total += ratios.sum().log().item()
    return total


def lswag_gradients(net, x, t):
    loss = F.cross_entropy(net(x), t, reduction="none")
    half, total = len(x) // 2, 0.0
    weights = [m.weight for m in weighted(net)]
    means = [loss[:half].mean(), loss[half:].mean()]
    both = [torch.autograd.grad(mean, weights, retain_graph=True, allow_unused=True) for mean in means]
    for a, b in zip(*both):
        if a is not None:
            deviation = torch.stack([a, b]).flatten(1).abs().std(0, correction=0)
            inverse = (1 / deviation[deviation > 0]).sum().item()
            total += math.log(inverse) if inverse > 0 else 0
    return total


def lswag(net, x, t):
    return lswag_gradients(net, x, t) * swap_layers(net, x, t)


LATER = [expressivity, lswag, lswag_gradients, meco, progressivity, swap, swap_cell, swap_layers, trainability, vkdnw, zico]
