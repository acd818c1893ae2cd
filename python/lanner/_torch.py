"""PyTorch modules of ONNX models: those that Lanner writes, and others of the same operations."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lanner._errors import InputError
from lanner._onnx import FLOAT, INT64, Model, Node, Tensor, read
from lanner._torch_recurrent import recurrent

Attributes = dict[str, Any]
Operation = Callable[..., torch.Tensor]


class Graph(nn.Module):
    """Runs the nodes of a model. Layers with weights are PyTorch's own, under the names of the nodes, so
    that the module can be trained, and ``state_dict()`` has the names of the model's tensors.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._steps: list[Node] = []
        """Nodes in the order in which they run."""
        self._inputs, self._outputs = model.inputs, model.outputs
        self._lists: dict[str, list[int]] = {}
        """Constants that are shapes, paddings and places."""
        constants = {tensor.name: tensor for tensor in model.tensors}
        weights = set(constants)
        used: set[str] = set()
        for node in _with_biases(model, constants):
            if node.op == "Constant":
                constants[node.outputs[0]] = _constant(node)
                continue
            layer = _layer(node, constants)
            if layer is not None:
                _place(self, node.name, layer)
                self._steps.append(Node(node.name, "", node.inputs[:1], node.outputs))
            elif node.op in _OPERATIONS:
                self._steps.append(node)
                used.update(node.inputs)
            else:
                raise InputError(f"operator {node.op} of {node.name} is not known as a PyTorch module")
        for name in sorted(used & set(constants)):
            tensor = constants[name]
            if tensor.kind == INT64:
                self._lists[name] = _values(tensor).flatten().tolist()
            elif name in weights and name.endswith((".weight", ".bias")):
                # Weights that no layer of PyTorch has, such as embeddings of positions.
                self.register_parameter(_flat(name), nn.Parameter(_values(tensor)))
            else:
                self.register_buffer(_flat(name), _values(tensor), persistent=False)
        self._constants = {name: _flat(name) for name in used & set(constants)}
        self._dropped = _last_uses(self._steps, self._outputs)
        self._blocks: dict[str, str] = {}
        """Name of the block of each layer, where it is known, in order."""
        self._watch: Any = None
        """Listener that is told of blocks, see :class:`lanner._torch_watch.Watch`."""

    def _block_of(self, step: Node) -> str | None:
        """Returns the block of a node: that of its layer, of which some are several nodes."""
        name = step.name
        while name not in self._blocks and "." in name:
            name = name.rpartition(".")[0]
        return self._blocks.get(name)

    def _passed_on(self) -> dict[int, str]:
        """Returns the steps whose outputs blocks pass on, with their blocks: the last one of each block that
        another block reads."""
        made = {step.outputs[0]: at for at, step in enumerate(self._steps)}
        last: dict[str, int] = {}
        for step in self._steps:
            for at in (made[name] for name in step.inputs if name in made):
                block = self._block_of(self._steps[at])
                if block is not None and block != self._block_of(step):
                    last[block] = max(last.get(block, 0), at)
        return {at: block for block, at in sorted(last.items(), key=lambda entry: entry[1])}

    def _stem(self) -> str | None:
        """Returns the block that reads the image."""
        readers = (self._block_of(step) for step in self._steps if set(self._inputs) & set(step.inputs))
        return next((block for block in readers if block is not None), None)

    def forward(self, *inputs: torch.Tensor) -> Any:
        if len(inputs) != len(self._inputs):
            raise TypeError(f"{len(inputs)} inputs, expected {len(self._inputs)}")
        values: dict[str, Any] = dict(zip(self._inputs, inputs, strict=True))
        for name, flat in self._constants.items():
            values[name] = self._lists[name] if name in self._lists else getattr(self, flat)
        values[""] = None
        passed_on = self._passed_on() if self._watch is not None else {}
        for at, (step, dropped) in enumerate(zip(self._steps, self._dropped, strict=True)):
            if self._watch is not None:
                self._watch.begins(self._block_of(step))
            given = [values[name] for name in step.inputs]
            if step.op:
                result = _OPERATIONS[step.op](step.attributes, *given)
            else:
                result = self.get_submodule(step.name)(*given)
            values.update(zip(step.outputs, result) if isinstance(result, tuple) else [(step.outputs[0], result)])
            if at in passed_on:
                self._watch.ends(passed_on[at], result)
            for name in dropped:
                values.pop(name, None)
        results = [values[name] for name in self._outputs]
        return results[0] if len(results) == 1 else tuple(results)


def to_torch(model: bytes) -> Graph:
    """Makes a module, in evaluation mode, of an ONNX model: one that a search returned, or
    :meth:`lanner.Network.to_onnx` wrote, or another of ordinary layers.

    Raises InputError if it is no model, or has an operator that is not known.
    """
    graph = Graph(read(model))
    graph.eval()
    return graph


def _with_biases(model: Model, constants: dict[str, Tensor]) -> list[Node]:
    """Returns the nodes; a product with a matrix and the sum with a vector behind it are one of three inputs."""
    readers: dict[str, list[Node]] = {}
    for node in model.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    nodes, joined = [], set()
    for node in model.nodes:
        if id(node) in joined:
            continue
        if node.op == "MatMul" and len(constants[y].shape if (y := node.inputs[1]) in constants else []) == 2:
            after = readers.get(node.outputs[0], [])
            vectors = [
                name
                for name in (after[0].inputs if len(after) == 1 and after[0].op == "Add" else [])
                if name in constants and constants[name].shape == constants[y].shape[1:]
            ]
            if len(vectors) == 1 and node.outputs[0] not in model.outputs:
                joined.add(id(after[0]))
                node = Node(node.name, node.op, [*node.inputs, *vectors], after[0].outputs)
        nodes.append(node)
    return nodes


def _last_uses(steps: list[Node], outputs: list[str]) -> list[list[str]]:
    """Returns the values that no step after each one takes."""
    made = {name for step in steps for name in step.outputs} - {*outputs, ""}
    last = {name: at for at, step in enumerate(steps) for name in step.inputs + step.outputs}
    return [[name for name in made if last[name] == at] for at in range(len(steps))]


def _place(root: nn.Module, name: str, layer: nn.Module) -> None:
    """Adds a layer to the module by its dotted name."""
    *path, leaf = name.replace("/", ".").strip(".").split(".")
    for part in path:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(leaf, layer)


def _flat(name: str) -> str:
    return "constant_" + name.replace(".", "_")


def _constant(node: Node) -> Tensor:
    value = node.attributes.get("value")
    if not isinstance(value, Tensor):
        raise InputError(f"constant {node.name} is no tensor")
    return value


def _values(tensor: Tensor) -> torch.Tensor:
    kinds = {FLOAT: torch.float32, INT64: torch.int64, 9: torch.bool, 11: torch.float64}
    if tensor.kind not in kinds:
        raise InputError(f"tensor {tensor.name} has elements of type {tensor.kind}, expected 32-bit floats")
    kind, count = kinds[tensor.kind], math.prod(tensor.shape)
    if len(tensor.data) != count * kind.itemsize:
        raise InputError(f"tensor {tensor.name} has {len(tensor.data)} bytes, not those of {tensor.shape}")
    values = torch.frombuffer(bytearray(tensor.data), dtype=kind) if count else torch.zeros(0, dtype=kind)
    return values.reshape(tensor.shape)


def _layer(node: Node, constants: dict[str, Tensor]) -> nn.Module | None:
    """Returns PyTorch's layer of a node with weights; None for any other."""
    if node.op in ("LSTM", "GRU"):
        if unknown := [name for name in node.inputs[1:] if name and name not in constants]:
            raise InputError(f"operator {node.op} of {node.name}: {unknown[0]} is computed, expected a constant")
        given_ones = [_values(constants[name]) if name else None for name in node.inputs[1:]]
        return recurrent(node.name, node.op, node.attributes, given_ones)
    weights = [_values(constants[name]) for name in node.inputs[1:] if name in constants]
    if len(weights) != len(node.inputs) - 1 or not weights:
        return None
    if node.op == "Conv" and weights[0].ndim == 4:
        return _convolution(node, weights)
    if node.op == "ConvTranspose" and weights[0].ndim == 4:
        return _transposed_convolution(node, weights)
    if node.op == "BatchNormalization" and len(weights) == 4:
        batch = nn.BatchNorm2d(len(weights[0]), eps=node.attributes.get("epsilon", 1e-5))
        given = zip((batch.weight, batch.bias, batch.running_mean, batch.running_var), weights, strict=True)
        return _filled(batch, list(given))
    if node.op == "MatMul" and weights[0].ndim == 2:
        linear = nn.Linear(*weights[0].shape, bias=len(weights) > 1)
        return _filled(linear, list(zip((linear.weight, linear.bias), [weights[0].T, *weights[1:]], strict=False)))
    if node.op == "LayerNormalization" and weights[0].ndim == 1 and node.attributes.get("axis", -1) == -1:
        norm = nn.LayerNorm(len(weights[0]), eps=node.attributes.get("epsilon", 1e-5), bias=len(weights) > 1)
        return _filled(norm, list(zip((norm.weight, norm.bias), weights, strict=False)))
    is_plain = all(node.attributes.get(name, 1) == 1 for name in ("alpha", "beta", "transB"))
    if node.op == "Gemm" and is_plain and not node.attributes.get("transA", 0):
        matrix = weights[0] if node.attributes.get("transB", 0) else weights[0].T
        linear = nn.Linear(matrix.shape[1], matrix.shape[0], bias=len(weights) > 1)
        given = zip((linear.weight, linear.bias), [matrix, *weights[1:]], strict=False)
        return _filled(linear, list(given))
    return None


def _convolution(node: Node, weights: list[torch.Tensor]) -> nn.Module | None:
    attributes = node.attributes
    outputs, inputs, *kernel = weights[0].shape
    pads, groups = attributes.get("pads", [0] * 4), attributes.get("group", 1)
    if attributes.get("auto_pad", "NOTSET") != "NOTSET" or pads[:2] != pads[2:]:
        return None
    conv = nn.Conv2d(
        inputs * groups,
        outputs,
        (kernel[0], kernel[1]),
        stride=tuple(attributes.get("strides", [1, 1])),
        padding=tuple(pads[:2]),
        dilation=tuple(attributes.get("dilations", [1, 1])),
        groups=groups,
        bias=len(weights) > 1,
    )
    return _filled(conv, list(zip((conv.weight, conv.bias), weights, strict=False)))


def _transposed_convolution(node: Node, weights: list[torch.Tensor]) -> nn.Module | None:
    attributes = node.attributes
    inputs, outputs, *kernel = weights[0].shape
    pads, groups = attributes.get("pads", [0] * 4), attributes.get("group", 1)
    is_plain = attributes.get("auto_pad", "NOTSET") == "NOTSET" and "output_shape" not in attributes
    if not is_plain or pads[:2] != pads[2:]:
        raise InputError(f"a transposed convolution with pads {pads} has no like in PyTorch")
    conv = nn.ConvTranspose2d(
        inputs,
        outputs * groups,
        (kernel[0], kernel[1]),
        stride=tuple(attributes.get("strides", [1, 1])),
        padding=tuple(pads[:2]),
        output_padding=tuple(attributes.get("output_padding", [0, 0])),
        dilation=tuple(attributes.get("dilations", [1, 1])),
        groups=groups,
        bias=len(weights) > 1,
    )
    return _filled(conv, list(zip((conv.weight, conv.bias), weights, strict=False)))


def _filled(layer: nn.Module, given: list[tuple[Any, torch.Tensor]]) -> nn.Module:
    with torch.no_grad():
        for own, values in given:
            own.copy_(values.reshape(own.shape))
    return layer


def _window(attributes: Attributes) -> dict[str, Any]:
    """Returns the window of a pooling as PyTorch's functions take it."""
    pads = attributes.get("pads", [0] * 4)
    if attributes.get("auto_pad", "NOTSET") != "NOTSET" or pads[:2] != pads[2:]:
        raise InputError(f"a pooling with pads {pads} has no like in PyTorch")
    return {
        "kernel_size": attributes["kernel_shape"],
        "stride": attributes.get("strides", [1, 1]),
        "padding": pads[:2],
        "ceil_mode": bool(attributes.get("ceil_mode", 0)),
    }


def _max_pool(a: Attributes, x: torch.Tensor) -> torch.Tensor:
    pooled: torch.Tensor = functional.max_pool2d(x, **_window(a), dilation=a.get("dilations", [1, 1]))
    return pooled


def _avg_pool(a: Attributes, x: torch.Tensor) -> torch.Tensor:
    counts = bool(a.get("count_include_pad", 0))
    return functional.avg_pool2d(x, **_window(a), count_include_pad=counts)


def _conv(
    a: Attributes, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Convolves with weights that are computed, or with paddings that are not the same on both sides."""
    rank = x.ndim - 2
    pads = a.get("pads", [0] * 2 * rank)
    if a.get("auto_pad", "NOTSET") != "NOTSET":
        raise InputError(f"a convolution with auto_pad {a['auto_pad']} has no like in PyTorch")
    sides = [pads[axis + end * rank] for axis in reversed(range(rank)) for end in (0, 1)]
    call = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[rank]
    ones = [1] * rank
    given = {"stride": a.get("strides", ones), "dilation": a.get("dilations", ones)}
    return call(functional.pad(x, sides), weight, bias, **given, groups=a.get("group", 1))


def _gemm(
    a: Attributes, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor | None = None
) -> torch.Tensor:
    x, y = (x.T if a.get("transA", 0) else x), (y.T if a.get("transB", 0) else y)
    product = a.get("alpha", 1.0) * (x @ y)
    return product if z is None else product + a.get("beta", 1.0) * z


def _pad(a: Attributes, x: torch.Tensor, pads: list[int], value: Any = None, *_: Any) -> torch.Tensor:
    if a.get("mode", "constant") != "constant":
        raise InputError(f"padding of mode {a['mode']} is not known as a PyTorch module")
    sides = [pads[axis + end * x.ndim] for axis in reversed(range(x.ndim)) for end in (0, 1)]
    return functional.pad(x, sides, value=0.0 if value is None else float(value))


def _reshape(a: Attributes, x: torch.Tensor, shape: list[int]) -> torch.Tensor:
    keeps = not a.get("allowzero", 0)
    return x.reshape([x.shape[i] if n == 0 and keeps else n for i, n in enumerate(shape)])


def _resize(
    a: Attributes, x: torch.Tensor, roi: Any = None, scales: Any = None, *_: Any
) -> torch.Tensor:
    """Repeats pixels a whole number of times."""
    way = (a.get("coordinate_transformation_mode", "half_pixel"), a.get("nearest_mode", "round_prefer_floor"))
    is_near = a.get("mode", "nearest") == "nearest" and way in (
        ("half_pixel", "round_prefer_floor"),
        ("asymmetric", "floor"),
    )
    times = [] if scales is None else [float(scale) for scale in scales]
    if not is_near or len(times) != x.ndim or any(n < 1 or n != int(n) for n in times):
        raise InputError("only a resize that repeats pixels is known as a PyTorch module")
    for axis, n in enumerate(times):
        x = x.repeat_interleave(int(n), axis) if n > 1 else x
    return x


def _slice(
    a: Attributes,
    x: torch.Tensor,
    starts: list[int],
    ends: list[int],
    axes: list[int] | None = None,
    steps: list[int] | None = None,
) -> torch.Tensor:
    places = [slice(None)] * x.ndim
    axes = list(range(len(starts))) if axes is None else axes
    for i, axis in enumerate(axes):
        step = 1 if steps is None else steps[i]
        if step < 1:
            raise InputError(f"a slice with step {step} has no like in PyTorch")
        places[axis] = slice(starts[i], ends[i], step)
    return x[tuple(places)]


def _transpose(a: Attributes, x: torch.Tensor) -> torch.Tensor:
    return x.permute(a.get("perm", list(reversed(range(x.ndim)))))


def _clip(a: Attributes, x: torch.Tensor, low: Any = None, high: Any = None) -> torch.Tensor:
    return torch.clamp(x, low, high)


def _layer_norm(
    a: Attributes, x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    return functional.layer_norm(x, x.shape[a.get("axis", -1) :], scale, bias, a.get("epsilon", 1e-5))


def _reduce_mean(a: Attributes, x: torch.Tensor, axes: list[int] | None = None) -> torch.Tensor:
    axes = a.get("axes") if axes is None else axes
    return x.mean(dim=axes or list(range(x.ndim)), keepdim=bool(a.get("keepdims", 1)))


def _as_tensor(value: Any, like: torch.Tensor) -> torch.Tensor:
    """Returns a tensor of a constant list of integers."""
    return torch.tensor(value, device=like.device) if isinstance(value, list) else value


def _gather(a: Attributes, x: torch.Tensor, index: Any) -> torch.Tensor:
    if isinstance(index, list) and len(index) == 1:
        return x.select(a.get("axis", 0), index[0])
    index = _as_tensor(index, x)
    axis = a.get("axis", 0) % x.ndim
    picked = x.index_select(axis, index.flatten())
    return picked.reshape(x.shape[:axis] + index.shape + x.shape[axis + 1 :])


_OPERATIONS: dict[str, Operation] = {
    "Add": lambda a, x, y: x + y,
    "Sub": lambda a, x, y: x - y,
    "Mul": lambda a, x, y: x * y,
    "Div": lambda a, x, y: x / y,
    "Pow": lambda a, x, y: x**y,
    "MatMul": lambda a, x, y: x @ y,
    "Identity": lambda a, x: x,
    "Dropout": lambda a, x, *_: x,
    "Relu": lambda a, x: functional.relu(x),
    "Clip": _clip,
    "HardSwish": lambda a, x: functional.hardswish(x),
    "HardSigmoid": lambda a, x: torch.clamp(a.get("alpha", 0.2) * x + a.get("beta", 0.5), 0, 1),
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Tanh": lambda a, x: torch.tanh(x),
    "Erf": lambda a, x: torch.erf(x),
    "Exp": lambda a, x: torch.exp(x),
    "Sqrt": lambda a, x: torch.sqrt(x),
    "Neg": lambda a, x: -x,
    "Gelu": lambda a, x: functional.gelu(x, approximate=a.get("approximate", "none")),
    "Elu": lambda a, x: functional.elu(x, alpha=a.get("alpha", 1.0)),
    "LeakyRelu": lambda a, x: functional.leaky_relu(x, a.get("alpha", 0.01)),
    "Softmax": lambda a, x: torch.softmax(x, a.get("axis", -1)),
    "LayerNormalization": _layer_norm,
    "Conv": _conv,
    "Gemm": _gemm,
    "MaxPool": _max_pool,
    "AveragePool": _avg_pool,
    "GlobalAveragePool": lambda a, x: x.mean(dim=list(range(2, x.ndim)), keepdim=True),
    "ReduceMean": _reduce_mean,
    "Concat": lambda a, *xs: torch.cat(xs, a["axis"]),
    "Flatten": lambda a, x: x.flatten(a.get("axis", 1)),
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Slice": _slice,
    "Pad": _pad,
    "Resize": _resize,
    "Gather": _gather,
    "Unsqueeze": lambda a, x, axes: _unsqueezed(x, axes),
    "Squeeze": lambda a, x, axes: x.squeeze(tuple(axes)),
}


def _unsqueezed(x: torch.Tensor, axes: list[int]) -> torch.Tensor:
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x
