"""Watches a forward pass of a PyTorch module: outputs of layers and blocks, states of ReLUs, operations."""

import math
import weakref
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from lanner._errors import InputError
from lanner._torch import Graph

ATEN = torch.ops.aten
RELUS = {ATEN.relu, ATEN.relu_}
BOUNDED = {ATEN.hardtanh, ATEN.hardtanh_, ATEN.clamp, ATEN.clamp_}
ACTIVATIONS = RELUS | {
    ATEN.hardtanh, ATEN.hardtanh_, ATEN.gelu, ATEN.silu, ATEN.silu_, ATEN.sigmoid, ATEN.sigmoid_, ATEN.tanh,
    ATEN.elu, ATEN.elu_, ATEN.leaky_relu, ATEN.leaky_relu_, ATEN.hardswish, ATEN.hardswish_,
    ATEN.hardsigmoid, ATEN.hardsigmoid_, ATEN.clamp, ATEN.clamp_, ATEN._softmax, ATEN._log_softmax,
}  # fmt: skip
NORMALISATIONS = {
    ATEN.native_batch_norm, ATEN._native_batch_norm_legit, ATEN._batch_norm_with_update, ATEN.native_layer_norm,
    ATEN.native_group_norm, ATEN._native_batch_norm_legit_functional, ATEN.cudnn_batch_norm,
}  # fmt: skip
POOLINGS = {ATEN.avg_pool2d, ATEN.max_pool2d_with_indices, ATEN.max_pool2d}


def first_tensor(value: Any) -> torch.Tensor | None:
    """Returns a tensor, or the first of what a module returned."""
    if isinstance(value, torch.Tensor):
        return value
    values = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return next((t for t in map(first_tensor, values) if t is not None), None)


def named_blocks(module: nn.Module, names: list[str] | None) -> list[str]:
    """Returns the names of the blocks of a module, whose outputs are compared: those that are given, else
    the cells of a network of Lanner's own, else the entries of lists and sequences of modules with parts, or of
    sequences of plain layers."""
    known: dict[str, Any] = dict(module.named_modules())
    if isinstance(module, Graph):
        if names is None:
            return list(dict.fromkeys(module._blocks.values()))
        known = {part: None for step in module._steps for part in _prefixes(step.name)}
    if names is not None:
        for name in names:
            if name not in known:
                raise InputError(f"the module has no part {name!r} (blocks=)")
        return names
    containers = (nn.Sequential, nn.ModuleList)

    def is_block(m: nn.Module) -> bool:
        has_parts = any(True for _ in m.children()) and any(True for _ in m.parameters())
        return has_parts and not isinstance(m, containers)

    found: list[str] = []
    for name, m in known.items():
        if isinstance(m, containers) and not any(name.startswith(f"{block}.") for block in found):
            parts = [f"{name}.{k}" if name else k for k, part in m.named_children() if is_block(part)]
            found.extend(parts)
    # Blocks may be sequences of plain layers, too.
    for name, m in known.items() if not found else ():
        if isinstance(m, containers):
            parts = [f"{name}.{k}" if name else k for k, part in m.named_children() if _is_plain(part)]
            found.extend(parts if len(parts) > 1 else [])
    return found


def _is_plain(module: nn.Module) -> bool:
    """Tells whether it is a sequence of layers that have no parts themselves."""
    has_parts = any(True for part in module.children() for _ in part.children())
    return isinstance(module, nn.Sequential) and not has_parts and any(True for _ in module.parameters())


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


class _EnoughError(Exception):
    """The first block has run, and no more is wanted."""


class Watch(TorchDispatchMode):
    """Records what happens while a module runs, within ``with``."""

    def __init__(
        self,
        net: nn.Module,
        blocks: list[str],
        *,
        layers: list[nn.Module] | None = None,
        states: bool = False,
        flops: bool = False,
        pooled: bool = False,
        first_block: bool = False,
    ) -> None:
        super().__init__()
        self._net, self._blocks, self._layers = net, blocks, layers or []
        self._wants_states, self._wants_flops, self._wants_pooled = states, flops, pooled
        self._operations = states or flops or pooled
        self._only_first = first_block
        self._stem = net._stem() if isinstance(net, Graph) else None
        self.outputs: list[tuple[nn.Module, torch.Tensor]] = []
        """Layers with weights, and their outputs, in order."""
        self.states: list[tuple[torch.Tensor, bool]] = []
        """States of ReLUs, images × units, and whether no earlier one read the same."""
        self.pooled: torch.Tensor | None = None
        """Tensor that the last global pooling read."""
        self.flops = 0
        self._of_blocks: dict[str, torch.Tensor] = {}
        self._read: dict[int, weakref.ref[torch.Tensor]] = {}
        self._inside: str | None = None
        self._first: str | None = None
        self._hooks: list[Any] = []

    def distinct(self) -> list[torch.Tensor]:
        return [state for state, is_new in self.states if is_new]

    def block_outputs(self) -> list[torch.Tensor]:
        """Outputs of blocks, in order; a network's last one, which nothing reads, is none of its own."""
        return list(self._of_blocks.values())

    def begins(self, block: str | None) -> None:
        if self._only_first and self._first not in (None, block):
            raise _EnoughError
        self._inside = block

    def ends(self, block: str, output: Any) -> None:
        found = first_tensor(output)
        if found is not None:
            self._of_blocks.pop(block, None)
            self._of_blocks[block] = found
        self._inside = None
        if self._only_first and self._first == block:
            raise _EnoughError

    def __enter__(self) -> "Watch":
        for layer in self._layers:
            keep = lambda m, _, y: self.outputs.append((m, y))  # noqa: E731
            self._hooks.append(layer.register_forward_hook(keep))
        if isinstance(self._net, Graph):
            self._net._watch = self
        else:
            known = dict(self._net.named_modules())
            for name in self._blocks:
                begins = lambda *_, name=name: self.begins(name)  # noqa: E731
                ends = lambda m, _, y, name=name: self.ends(name, y)  # noqa: E731
                self._hooks.append(known[name].register_forward_pre_hook(begins))
                self._hooks.append(known[name].register_forward_hook(ends))
        if self._operations:
            super().__enter__()
        return self

    def __exit__(self, kind: Any, *error: Any) -> bool:
        if self._operations:
            super().__exit__(kind, *error)
        if isinstance(self._net, Graph):
            self._net._watch = None
        for hook in self._hooks:
            hook.remove()
        return kind is _EnoughError

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operation = func.overloadpacket
        if self._wants_states and operation in RELUS | BOUNDED:
            self._keep_states(operation, args, result)
        if self._wants_flops:
            self.flops += _flops(operation, args, result)
        if self._wants_pooled and _is_global(operation, args):
            self.pooled = args[0]
        return result

    def _keep_states(self, operation: Any, args: Any, result: torch.Tensor) -> None:
        if self._only_first:
            if self._inside in (None, self._stem):
                return
            self._first = self._inside
        on = result > 0
        if operation in BOUNDED:
            low, high = (list(args[1:]) + [None, None])[:2]
            if low != 0:
                return
            on = on & (result < high) if high is not None else on
        read = args[0]
        seen = self._read.get(id(read))
        is_new = seen is None or seen() is not read
        self._read[id(read)] = weakref.ref(read)
        self.states.append((on.flatten(1), is_new))


def _is_global(operation: Any, args: Any) -> bool:
    if operation is ATEN.mean and len(args) > 1 and args[0].ndim == 4:
        return {axis % 4 for axis in args[1]} == {2, 3}
    return operation is ATEN._adaptive_avg_pool2d and list(args[1]) == [1, 1]


def _flops(operation: Any, args: Any, result: Any) -> int:
    """Counts as ``Cost`` of lanner-network does, and products of matrices like linear layers."""
    if operation is ATEN.convolution:
        taps = args[1][0].numel() + (args[2] is not None)
        return int(taps * result.numel())
    if operation in (ATEN.mm, ATEN.bmm, ATEN.linear):
        return int(args[0].shape[-1] * result.numel())
    if operation in (ATEN.addmm, ATEN.baddbmm):
        return int(args[1].shape[-1] * result.numel())
    if operation in NORMALISATIONS:
        return int(2 * result[0].numel())
    if operation in ACTIVATIONS:
        return int(result.numel())
    if operation in POOLINGS:
        output = result[0] if isinstance(result, tuple) else result
        window = math.prod(args[1]) if len(args[1]) > 1 else args[1][0] ** 2
        is_plain = window > 1 or operation is ATEN.avg_pool2d
        return int(window * output.numel()) if is_plain else 0
    if _is_global(operation, args):
        n, c, h, w = args[0].shape
        return int(n * c * (h + 1) * (w + 1))
    return 0
