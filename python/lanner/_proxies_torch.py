"""Zero-cost proxies of PyTorch modules, by the definitions of the engine (``Proxy`` of lanner-evaluate)."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lanner._torch_passes import (
    CONVOLUTIONS,
    NORMS,
    Absent,
    Passes,
    channels_first,
    some_relu,
    weighted,
)
from lanner._torch_watch import Watch

SMALL = 1e-5
PATTERN_IMAGES = 16
CELL_DRAWS = 8


def grad_norm(p: Passes) -> float:
    return float(sum(g.norm().item() for _, g in p.pairs()))


def snip(p: Passes) -> float:
    return float(sum((w * g).abs().sum().item() for w, g in p.pairs()))


def plain(p: Passes) -> float:
    return float(sum((w * g).sum().item() for w, g in p.pairs()))


def grasp(p: Passes) -> float:
    gs = [(w, g) for w, g in zip(p.weights, p.gradient, strict=True) if g is not None]
    product = torch.stack([(g.detach() * g).sum() for _, g in gs]).sum()
    found = p.grad(product, [w for w, _ in gs])
    products = zip(gs, found, strict=True)
    return -float(sum((w.detach() * h).sum().item() for (w, _), h in products if h is not None))


def fisher(p: Passes) -> float:
    total = 0.0
    for m, product in p.products:
        half = float((product.double().pow(2).mean(0) / 2).sum())
        total += half * (m.weight.numel() / product.shape[1])
    return total


def vkdnw(p: Passes) -> float:
    g = torch.cat([product for _, product in p.products], 1).double()
    v = torch.linalg.eigvalsh(g @ g.t()).clamp(0)
    d = torch.quantile(v, torch.arange(1, 10, dtype=v.dtype, device=v.device) / 10)
    if d.sum() == 0:
        raise Absent("outputs do not depend on the image")
    share = d / d.sum()
    return len(p.weights) - float(torch.special.xlogy(share, share).sum())


def zico(p: Passes) -> float:
    total = 0.0
    for a, b in p.halves:
        ratio = ((a.abs() + b.abs()) / (a - b).abs())[a != b].double().sum().item()
        total += math.log(ratio) if ratio > 0 else 0.0
    return total


def lswag_gradients(p: Passes) -> float:
    total = 0.0
    for a, b in p.halves:
        deviation = (a.abs() - b.abs()).abs()
        inverse = (1 / deviation[deviation > 0].double()).sum().item()
        total += math.log(inverse) if inverse > 0 else 0.0
    return total


def lswag(p: Passes) -> float:
    return swap_layers(p) * lswag_gradients(p)


def jacov(p: Passes) -> float:
    v = torch.linalg.eigvalsh(p.correlations).clamp(0) + SMALL
    return -float((v.log() + 1 / v).sum())


def epe_nas(p: Passes) -> float:
    c = (p.correlations.abs() + SMALL).log()
    if p.labels.ndim != 1:
        raise Absent("labels are no classes of images")
    scores = []
    for label in p.labels.unique():
        of = (p.labels == label).nonzero().flatten()
        scores.append(c[of][:, of].sum().item() / (len(of) if p.forward[0].shape[1] > 100 else 1))
    if p.forward[0].shape[1] <= 100:
        return float(sum(map(abs, scores)))
    return float(sum(abs(a - b) for a in scores for b in scores)) / len(scores)


def nwot(p: Passes) -> float:
    total = torch.zeros(p.size, p.size, dtype=torch.float64)
    for state in p.states():
        on = state.float()
        total += (on @ on.t() + (1 - on) @ (1 - on).t()).double().cpu()
    sign, value = torch.linalg.slogdet(total)
    if sign <= 0:
        raise Absent("singular matrix")
    return float(value)


def patterns(states: list[torch.Tensor]) -> list[torch.Tensor]:
    """Patterns over the first images that occur, of each layer."""
    made = []
    for state in states:
        some = state[:PATTERN_IMAGES].to(torch.int64)
        power = 2 ** torch.arange(len(some), device=some.device)
        made.append(torch.bincount((some * power[:, None]).sum(0), minlength=1 << PATTERN_IMAGES) > 0)
    return made


def swap(p: Passes) -> float:
    p.states()
    return float(torch.stack(patterns(p.forward[1].distinct())).any(0).sum())


def swap_layers(p: Passes) -> float:
    p.states()
    return float(sum(int(of.sum()) for of in patterns(p.forward[1].distinct())))


def swap_cell(p: Passes) -> float:
    if not p.blocks:
        raise Absent("no blocks are known; name them by blocks=")
    image = p.image()[:PATTERN_IMAGES]
    inputs, total = p.with_image(image), 0
    net = p.copied()

    def pass_on(m: Any, given: Any) -> None:
        if given and given[0] is image:
            with torch.no_grad():
                m.weight.zero_()
                at = tuple(n // 2 for n in m.weight.shape[2:])
                for output in range(len(m.weight)):
                    m.weight[(output, output % m.weight.shape[1], *at)] = 1

    hooks = [m.register_forward_pre_hook(pass_on) for m in weighted(net) if isinstance(m, CONVOLUTIONS)]
    for draw in range(CELL_DRAWS):
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(p.seed * CELL_DRAWS + draw)
            for m in weighted(net):
                reset(m)
            watch = Watch(net, p.blocks, states=True, first_block=True)
            with watch:
                p.call(net, inputs)
        total += int(torch.stack(patterns(some_relu(watch.distinct()))).any(0).sum())
    for hook in hooks:
        hook.remove()
    return total / CELL_DRAWS


def reset(layer: Any) -> None:
    """Draws the weights anew, as PyTorch does by default."""
    if not hasattr(layer, "reset_parameters"):
        raise Absent(f"weights of {type(layer).__name__} cannot be drawn anew")
    layer.reset_parameters()


def expressivity(p: Passes) -> float:
    return sum(p.entropies)


def progressivity(p: Passes) -> float:
    if len(p.entropies) < 2:
        raise Absent("too few blocks")
    return min(b - a for a, b in zip(p.entropies, p.entropies[1:], strict=False))


def trainability(p: Passes) -> float:
    outputs = p.block_outputs()
    if len(outputs) < 2:
        raise Absent("too few blocks")
    draw = torch.Generator().manual_seed(p.seed)
    drawn = [(torch.randint(2, y.shape, generator=draw) * 2 - 1).to(y) for y in outputs]
    before: dict[int, torch.Tensor] = {}

    def at(k: int) -> Callable[[torch.Tensor], torch.Tensor]:
        def keep(g: torch.Tensor) -> torch.Tensor:
            before.setdefault(k, g.detach())
            return drawn[k]

        return keep

    hooks = [y.register_hook(at(k)) for k, y in enumerate(outputs[:-1])]
    p.grad(outputs[-1], [outputs[0]], grad_outputs=drawn[-1])
    for hook in hooks:
        hook.remove()
    scores = []
    for k, o in enumerate(drawn[1:]):
        if k not in before or not before[k].any():
            raise Absent("outputs do not depend on a block")
        if before[k].shape == o.shape and torch.equal(before[k], o):
            raise Absent("a block changes nothing")
        scores.append(preserved(before[k], o))
    return sum(scores) / len(scores)


def preserved(before: torch.Tensor, behind: torch.Tensor) -> float:
    image = before.ndim == 4
    stride = before.shape[2] // max(behind.shape[2], 1) if image and behind.ndim == 4 else 1
    before = functional.pixel_unshuffle(before, stride) if stride > 1 else before
    i, o = channels_first(before, image), channels_first(behind, behind.ndim == 4)
    if i.shape[2] != o.shape[2]:
        raise Absent("blocks with different numbers of places")
    product = torch.einsum("nip,nop->io", i, o) / (o.shape[0] * o.shape[2])
    sigma = float(torch.linalg.svdvals(product).max())
    return 2 - sigma - 1 / (sigma + 1e-6)


def meco(p: Passes) -> float:
    if not any(isinstance(m, nn.Conv2d) for m in p.net.modules()):
        raise Absent("no convolution of images")
    total = 0.0
    for m, y in p.forward[1].outputs:
        if not isinstance(m, nn.Conv2d):
            continue
        x = y[0].detach().flatten(1).double()
        if x.shape[1] > x.shape[0] and bool((x != x[:, :1]).any(1).all()):
            c = torch.atleast_2d(torch.corrcoef(x))
            total += max(float(torch.linalg.eigvalsh(c).min()), 0.0)
    return total


def l2_norm(p: Passes) -> float:
    return float(sum(w.detach().norm().item() for w in p.needed(p.weights)))


def params(p: Passes) -> float:
    return float(sum(w.numel() for w in p.net.parameters())) / 1e6


def flops(p: Passes) -> float:
    return p.forward[1].flops / p.size / 1e6


def synflow(p: Passes) -> float:
    p.needed(p.weights)
    other = next((m for m in p.net.modules() if "Norm" in type(m).__name__ and not isinstance(m, NORMS)), None)
    if other is not None:
        raise Absent(f"{type(other).__name__} is no batch norm")
    net = p.copied().double()
    for m in net.modules():
        if isinstance(m, NORMS):
            m.forward = lambda x: x
    with torch.no_grad():
        for w in net.parameters():
            w.abs_()
    ones = torch.ones_like(p.image()[:1], dtype=torch.float64)
    weights = [m.weight for m in weighted(net)]
    found = p.grad(p.call(net, p.with_image(ones)).sum(), weights)
    flow = sum((w * g).abs().sum().item() for w, g in zip(weights, found, strict=True) if g is not None)
    if flow == 0:
        raise Absent("log of 0")
    return math.log(flow)


def zen(p: Passes) -> float:
    draw = torch.Generator().manual_seed(p.seed)
    net = p.copied()
    with torch.no_grad():
        for m in weighted(net):
            m.weight.copy_(torch.randn(m.weight.shape, generator=draw))
            if m.bias is not None:
                m.bias.zero_()
        norms = [m for m in net.modules() if isinstance(m, NORMS)]
        for m in norms:
            m.reset_running_stats()
            m.reset_parameters()
        x = torch.randn(p.image().shape, generator=draw).to(p.image())
        moved = x + 0.01 * torch.randn(x.shape, generator=draw).to(x)
        features = []
        for image in (x, moved):
            watch = Watch(net, [], pooled=True)
            with watch:
                output = p.call(net, p.with_image(image))
            features.append(output if watch.pooled is None else watch.pooled)
        change = (features[0] - features[1]).abs().flatten(1).double().sum(1).mean()
        if change == 0:
            raise Absent("log of 0")
        return float(change.log() + sum(m.running_var.double().mean().sqrt().log() for m in norms))


PROXIES: dict[str, Callable[[Passes], float]] = {
    f.__name__: f
    for f in (
        epe_nas, expressivity, fisher, flops, grad_norm, grasp, jacov, l2_norm, lswag, lswag_gradients, meco, nwot,
        params, plain, progressivity, snip, swap, swap_cell, swap_layers, synflow, trainability, vkdnw, zen, zico,
    )
}  # fmt: skip
