"""The thirteen zero-cost proxies of NAS-Bench-Suite-Zero in PyTorch, each on its own as NASLib computes them, in
our own words. For proxies_torch.py.
"""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from proxies_torch_network import weighted

K = 1e-5


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


THIRTEEN = [epe_nas, fisher, flops, grad_norm, grasp, jacov, l2_norm, nwot, params, plain, snip, synflow, zen]
