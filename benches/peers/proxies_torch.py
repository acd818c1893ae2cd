"""The zero-cost proxies in PyTorch, each on its own: thirteen as NASLib computes them (definitions of
NAS-Bench-Suite-Zero, in our own words), the others as the documentation of `Proxy` defines them: golden
values, and times to compare with.

    cargo run -p lanner-evaluate --example proxy_networks \\
        | python benches/peers/proxies_torch.py golden > crates/lanner-evaluate/tests/data/proxies_golden.json
    cargo run --release -p lanner-evaluate --example proxy_networks bench 50 \\
        | OMP_WAIT_POLICY=passive python benches/peers/proxies_torch.py bench [threads]
    cargo run --release -p lanner-evaluate --example proxy_networks bench 10 \\
        | python benches/peers/proxies_torch.py grasp > grasp.json
    LANNER_GRASP=$PWD/grasp.json cargo test --release -p lanner-evaluate grasp -- --ignored --nocapture

`golden` computes in f64 from weights and images that tests make the same way. `bench` computes in f32
at batch 64, and prints seconds a network and by how much the process grew at most. `grasp` is golden
values of grasp alone at batch 64, in f64 and f32.
"""

import copy
import json
import math
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from executor_torch import number

K = 1e-5
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


def backward(net, x, t):
    net.zero_grad()
    F.cross_entropy(net(x), t).backward()


def summed(net, f):
    return sum(f(m.weight, m.weight.grad).sum().item() for m in weighted(net) if m.weight.grad is not None)


def grad_norm(net, x, t):
    backward(net, x, t)
    return summed(net, lambda w, g: g.norm())


def plain(net, x, t):
    backward(net, x, t)
    return summed(net, lambda w, g: w * g)


def snip(net, x, t):
    for m in weighted(net):
        m.mask = nn.Parameter(torch.ones_like(m.weight))
        m.weight.requires_grad = False
        if isinstance(m, nn.Conv2d):
            m.forward = lambda x, m=m: m._conv_forward(x, m.weight * m.mask, m.bias)
        else:
            m.forward = lambda x, m=m: F.linear(x, m.weight * m.mask, m.bias)
    backward(net, x, t)
    return sum(m.mask.grad.abs().sum().item() for m in weighted(net) if m.mask.grad is not None)


def fisher(net, x, t):
    outputs = []

    def keep(m, _, y):
        y.retain_grad()
        outputs.append((m, y))

    for m in weighted(net):
        m.register_forward_hook(keep)
    backward(net, x, t)
    total = 0.0
    for m, y in outputs:
        if y.grad is not None:
            product = (y.detach() * y.grad).flatten(2).sum(2) if y.dim() > 2 else y.detach() * y.grad
            total += (product.pow(2).mean(0) / 2).sum().item() * m.weight[0].numel()
    return total


def grasp(net, x, t):
    weights = [m.weight for m in weighted(net)]
    g = torch.autograd.grad(F.cross_entropy(net(x), t), weights, allow_unused=True)
    again = torch.autograd.grad(F.cross_entropy(net(x), t), weights, create_graph=True, allow_unused=True)
    sum((a.detach() * b).sum() for a, b in zip(g, again) if a is not None).backward()
    return -summed(net, lambda w, hg: w * hg)


def synflow(net, x, t):
    net = net.double()
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.forward = lambda x: x
    with torch.no_grad():
        for p in net.parameters():
            p.abs_()
    net.zero_grad()
    net(torch.ones_like(x[:1]).double()).sum().backward()
    flow = summed(net, lambda w, g: (w * g).abs())
    return math.log(flow) if flow > 0 else math.nan


def l2_norm(net, x, t):
    return sum(m.weight.norm().item() for m in weighted(net))


def jacobian(net, x):
    x = x.clone().requires_grad_(True)
    y = net(x)
    y.backward(torch.ones_like(y))
    return x.grad.flatten(1).numpy(), y.shape[1]


def jacov(net, x, t):
    j, _ = jacobian(net, x)
    with np.errstate(all="ignore"):
        c = np.corrcoef(j)
    if not np.isfinite(c).all():
        return math.nan
    v = np.linalg.eigvalsh(c).clip(0)
    return -np.sum(np.log(v + K) + 1 / (v + K))


def epe_nas(net, x, t):
    j, classes = jacobian(net, x)
    assert classes <= 100
    total = 0.0
    for c in t.unique().numpy():
        with np.errstate(all="ignore"):
            total += abs(np.sum(np.log(np.abs(np.corrcoef(j[t.numpy() == c])) + K)))
    return total


def nwot(net, x, t):
    total = np.zeros((len(x), len(x)))

    def count(_, inputs, __):
        nonlocal total
        on = (inputs[0].flatten(1) > 0).float()
        total += (on @ on.t() + (1 - on) @ (1 - on.t())).numpy()

    for m in net.modules():
        if isinstance(m, nn.ReLU):
            m.register_forward_hook(count)
    net(x)
    sign, value = np.linalg.slogdet(total)
    return value if sign > 0 else math.nan


def zen(net, x, t, images=None):
    if images is None:
        for m in weighted(net):
            nn.init.normal_(m.weight)
        images = torch.randn_like(x), torch.randn_like(x)
    with torch.no_grad():
        f = net(images[0], True)
        change = (f - net(images[0] + 0.01 * images[1], True)).abs().flatten(1).sum(1).mean()
        if change == 0:
            return math.nan
        norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        return (change.log() + sum(m.running_var.mean().sqrt().log() for m in norms)).item()


def flops(net, x, t):
    total = 0

    def count(m, _, y):
        nonlocal total
        total += y[0].numel() * m.weight[0].numel()

    for m in weighted(net):
        m.register_forward_hook(count)
    with torch.no_grad():
        net(x[:1])
    return total / 1e6


def params(net, x, t):
    return sum(p.numel() for p in net.parameters()) / 1e6


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


ALL = [epe_nas, fisher, flops, grad_norm, grasp, jacov, l2_norm, nwot, params, plain, snip, synflow, zen]
ALL += [expressivity, lswag, lswag_gradients, meco, progressivity, swap, swap_cell, swap_layers, trainability, vkdnw, zico]


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


def golden_grasp(description):
    """In f64, and in f32 at the same weights and images."""
    net = Network(description).double()
    x, _, t = made_batch(net, 64, 12)
    net = made(net, 11, fan_in)
    values = [grasp(copy.deepcopy(net), x, t), grasp(copy.deepcopy(net).float(), x.float(), t)]
    return {"arch": description["name"], "grasp": values}


def golden(description):
    net = Network(description).double()
    x, x2, t = made_batch(net, 12, 15)
    plain_net, zen_net = made(net, 11, fan_in), made(net, 14, lambda m: 2.0)
    values = {}
    for proxy in ALL:
        if proxy is flops:
            continue
        if proxy is zen:
            for m in weighted(zen_net):
                if m.bias is not None:
                    m.bias.data.zero_()
            value = zen(zen_net, x, t, (x, x2))
        else:
            value = proxy(copy.deepcopy(plain_net), x, t)
        values[proxy.__name__] = float(value) if math.isfinite(value) else None
    other = {"other": description["other"]} if "other" in description else {}
    return {"arch": description["name"], **other, "proxies": values}


def bench(descriptions, threads):
    import resource

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    rss = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times, start_up = [], rss()
    for description in descriptions:
        net = Network(description)
        x, t = torch.randn(64, *net.input), torch.randint(10, (64,))
        # Processor time: with one thread it is what a free processor's clock would show.
        clock = time.process_time if threads == 1 else time.perf_counter
        start = clock()
        parts = {}
        for proxy in ALL:
            begin = clock()
            proxy(copy.deepcopy(net), x, t)
            parts[proxy.__name__] = clock() - begin
        times.append(clock() - start)
        shown = " ".join(f"{k} {v:.2f}" for k, v in parts.items() if v > 0.005)
        print(f"{description['name']} {times[-1]:.3f} s: {shown}", flush=True)
    print(f"mean {np.mean(times):.3f} s, geometric {np.exp(np.mean(np.log(times))):.3f} s, "
          f"grew by {rss() - start_up:.0f} MiB over {start_up:.0f}")


if __name__ == "__main__":
    nets = [json.loads(line) for line in sys.stdin if line.startswith("{")]
    if sys.argv[1] == "golden":
        print("[\n" + ",\n".join(json.dumps(golden(net)) for net in nets) + "\n]")
    elif sys.argv[1] == "grasp":
        print("[\n" + ",\n".join(json.dumps(golden_grasp(net)) for net in nets) + "\n]")
    else:
        bench(nets, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
