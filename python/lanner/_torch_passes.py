"""Passes through a PyTorch module that zero-cost proxies share."""

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lanner._torch import Graph
from lanner._torch_watch import Watch, first_tensor, named_blocks

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

Inputs = tuple[tuple[Any, ...], dict[str, Any]]


class Absent(Exception):
    """A proxy is not defined for a module; the text says why."""


def weighted(net: nn.Module) -> list[Any]:
    """Returns the convolutions and linear layers, of which "weights" are the kernels and matrices."""
    kinds = (*CONVOLUTIONS, nn.Linear)
    return [m for m in net.modules() if isinstance(m, kinds) or type(m).__name__ == "Conv1D"]


def logits(output: Any) -> torch.Tensor:
    """Returns the logits of what a module returned: a tensor, or one in a tuple or an object."""
    found = getattr(output, "logits", None)
    found = first_tensor(output) if found is None else found
    if not isinstance(found, torch.Tensor):
        raise TypeError(f"the module returned {type(output).__name__}, expected a tensor of logits")
    return found


def losses(output: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Returns the cross-entropy of each image, or the mean over the places of each sequence."""
    flat = output.flatten(0, labels.ndim - 1)
    each = functional.cross_entropy(flat, labels.flatten(), reduction="none")
    return each.reshape(len(labels), -1).mean(1)


class Passes:
    """A module and a batch, and the passes that proxies share, each run when it is first asked for."""

    def __init__(
        self,
        module: nn.Module,
        inputs: Inputs,
        labels: torch.Tensor,
        blocks: list[str] | None,
        seed: int,
        wanted: set[str],
    ) -> None:
        self.module, self.inputs, self.labels, self.seed, self.wanted = module, inputs, labels, seed, wanted
        self.blocks = named_blocks(module, blocks)
        self.net = self.copied()
        self.weights = [m.weight for m in weighted(self.net)]
        self.size = len(labels)

    def copied(self) -> nn.Module:
        """Returns a copy without dropout whose batch norms use the batch's statistics."""
        net = copy.deepcopy(self.module).eval()
        if isinstance(net, Graph) and self.blocks != list(dict.fromkeys(net._blocks.values())):
            net._blocks = {name: name for name in self.blocks}
        for m in net.modules():
            if isinstance(m, NORMS):
                m.train()
            if getattr(m, "inplace", False):
                m.inplace = False
        for p in net.parameters():
            p.requires_grad_(p.is_floating_point())
        return net

    def call(self, net: nn.Module, inputs: Inputs) -> torch.Tensor:
        return logits(net(*inputs[0], **inputs[1]))

    def image(self) -> torch.Tensor:
        """Returns the input that is a tensor of numbers."""
        for value in (*self.inputs[0], *self.inputs[1].values()):
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                return value
        raise Absent("no input is a floating-point tensor")

    def with_image(self, image: torch.Tensor) -> Inputs:
        """Returns the inputs with another image, and as many rows of the others."""
        old = self.image()

        def one(value: Any) -> Any:
            if value is old:
                return image
            rows = isinstance(value, torch.Tensor) and value.ndim > 0 and len(value) == self.size
            return value[: len(image)] if rows else value

        return tuple(map(one, self.inputs[0])), {k: one(v) for k, v in self.inputs[1].items()}

    @cached_property
    def forward(self) -> tuple[torch.Tensor, Watch]:
        """Logits, and what was seen on the way."""
        inputs = self.inputs
        if self.wanted & {"jacov", "epe_nas"}:
            try:
                inputs = self.with_image(self.image().detach().clone().requires_grad_(True))
                given = (*inputs[0], *inputs[1].values())
                self.leaf = next(v for v in given if getattr(v, "requires_grad", False))
            except Absent:
                inputs = self.inputs
        watch = Watch(
            self.net,
            self.blocks,
            layers=weighted(self.net) if self.wanted & {"fisher", "vkdnw", "meco"} else [],
            states=bool(self.wanted & {"lswag", "nwot", "swap", "swap_layers"}),
            flops="flops" in self.wanted,
        )
        forward = {"nwot", "swap", "swap_layers", "flops", "meco", "expressivity", "progressivity"}
        backward = self.wanted - forward
        with torch.set_grad_enabled(bool(backward)), watch, differentiable_attention():
            output = self.call(self.net, inputs)
        return output, watch

    @cached_property
    def each_loss(self) -> torch.Tensor:
        return losses(self.forward[0], self.labels)

    def grad(self, output: torch.Tensor, of: list[torch.Tensor], **more: Any) -> list[torch.Tensor | None]:
        with differentiable_attention():
            found = torch.autograd.grad(output, of, retain_graph=True, allow_unused=True, **more)
        return list(found)

    @cached_property
    def gradient(self) -> list[torch.Tensor | None]:
        """Gradient of the loss by the weights; with a graph of its own if GraSP is wanted."""
        return self.grad(self.each_loss.mean(), self.needed(self.weights), create_graph="grasp" in self.wanted)

    @cached_property
    def halves(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Parts of the loss's gradient by each layer's weights that come from either half of the images."""
        half = self.each_loss[: self.size // 2].sum() / self.size
        first = [g for g in self.grad(half, self.needed(self.weights)) if g is not None]
        return [(a, whole - a) for (_, whole), a in zip(self.pairs(), first, strict=True)]

    def needed(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        if not tensors:
            raise Absent("no weights")
        return tensors

    def pairs(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        found = zip(self.weights, self.gradient, strict=True)
        return [(w.detach(), g.detach()) for w, g in found if g is not None]

    @cached_property
    def products(self) -> list[tuple[Any, torch.Tensor]]:
        """Layers, and images × channels: activation times gradient of the loss, summed over pixels."""
        seen = [(m, y) for m, y in self.forward[1].outputs if y.requires_grad]
        found = self.grad(self.each_loss.mean(), self.needed([y for _, y in seen]))
        made = []
        for (m, y), g in zip(seen, found, strict=True):
            if g is not None:
                product = channels_first(y.detach() * g, isinstance(m, CONVOLUTIONS))
                made.append((m, product.sum(2)))
        return made

    @cached_property
    def correlations(self) -> torch.Tensor:
        """Correlations between the gradients of the sum of outputs by each image."""
        self.image()
        output = self.forward[0]
        (g,) = self.grad(output, [self.leaf], grad_outputs=torch.ones_like(output))
        if g is None:
            raise Absent("outputs do not depend on the image")
        c = torch.corrcoef(g.flatten(1).double())
        if not c.isfinite().all():
            raise Absent("outputs do not depend on the image")
        return torch.atleast_2d(c)

    @cached_property
    def entropies(self) -> list[float]:
        made = []
        for y in self.block_outputs():
            x = channels_first(y.detach(), y.ndim == 4).transpose(0, 1).flatten(1)
            v = torch.linalg.eigvalsh(torch.atleast_2d(torch.cov(x, correction=0)).double()).clamp(0)
            if v.sum() == 0:
                raise Absent("a block's output is 0")
            p = v / v.sum()
            made.append(-(p * (p + 1e-8).log()).sum().item())
        return made

    def block_outputs(self) -> list[torch.Tensor]:
        found = self.forward[1].block_outputs()
        if not found:
            raise Absent("no blocks are known; name them by blocks=")
        return found

    def states(self) -> list[torch.Tensor]:
        """Images × units of each ReLU layer: whether they pass a number."""
        return some_relu([s for s, _ in self.forward[1].states])


def differentiable_attention() -> Any:
    """Attention that can be differentiated twice."""
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


def some_relu(found: list[Any]) -> list[Any]:
    if not found:
        raise Absent("no ReLU")
    return found


def channels_first(x: torch.Tensor, image: bool) -> torch.Tensor:
    """Returns N × channels × places; the channels of what is no image are the last."""
    if image:
        return x.flatten(2) if x.ndim > 2 else x.unsqueeze(2)
    return x.unsqueeze(2) if x.ndim == 2 else x.flatten(1, -2).transpose(1, 2)


