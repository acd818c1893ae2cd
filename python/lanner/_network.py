"""Networks of architectures."""

import importlib.util
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from lanner import _lanner
from lanner._checked import given, shown, size, truth, whole
from lanner._checked import path as as_path
from lanner._errors import InputError
from lanner._space import Arch, Space, as_space


_BYTES = (bytes, bytearray, memoryview)


class Network:
    """The network of an architecture, with the sizes of its publication or others.

    >>> network = Network("302143", "nasbench201")
    >>> network.costs["params"]
    587386
    >>> network.layers[1]["name"], network.layers[1]["shape"]
    ('stem.conv', [16, 32, 32])

    ``pruned`` leaves out layers that lead nowhere, as a runtime should get it; published tables count
    them (``pruned=False``). In a notebook, a network shows its drawing.

    Networks of transformers (``hw-gpt-s``, ``autoformer-tiny`` …) have operations over tensors as their
    layers; only ``classes`` and, for images, ``resolution`` can be set.

    Raises InputError for an architecture that is not of the space, a size out of its range, or a space
    whose networks Lanner does not know.
    """

    def __init__(
        self,
        arch: Arch,
        space: Space | str = "nasbench201",
        *,
        channels: int | None = None,
        cells: int | None = None,
        resolution: int | None = None,
        classes: int | None = None,
        pruned: bool = True,
    ) -> None:
        self.space = as_space(space)
        text = self.space.text(arch)
        self.arch = self.space.check(arch)
        self._sizes = (
            size("channels", channels),
            size("cells", cells),
            size("resolution", resolution),
            size("classes", classes),
        )
        self._pruned = truth("pruned", pruned)
        self._inner = _lanner.Network(self.space._inner, text, *self._sizes, self._pruned)
        self._about: dict[str, Any] = json.loads(self._inner.json())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles what the network was made of."""
        return _again, (self.arch, self.space, self._sizes, self._pruned)

    @property
    def costs(self) -> dict[str, Any]:
        """Costs for one image: ``flops`` as published tables count them, ``macs``, ``params``,
        ``peak_bytes`` and ``activation_bytes`` of 32-bit floats, ``depth`` in layers.
        """
        return dict(self._about["cost"])

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Layers in the order in which they run: name, operation, inputs, output shape (channels,
        height, width) and costs. Those of a transformer are operators of ONNX, with the shapes of all
        that they read and yield, the batch first.
        """
        return list(self._about["layers"])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: channels, height, width; of a transformer also the number of its tokens."""
        return tuple(self._about["input"])

    def deployed(self, seed: int = 0, batch: int | None = 1) -> bytes:
        """Encodes the model that a runtime should get: with its norms in the convolutions, if it has any."""
        return self.to_onnx(seed=seed, fold=not self._inner.is_transformer, batch=batch)

    def to_onnx(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        seed: int = 0,
        fold: bool = False,
        int8: bool = False,
        batch: int | None = 1,
    ) -> bytes:
        """Encodes an ONNX model with random weights, and writes it if a path is given.

        ``fold`` merges batch norms into the convolutions before them; ``int8`` computes in 8-bit
        integers; ``batch=None`` leaves the number of images open. The input is ``input``, batch ×
        channels × height × width. Transformers take neither ``fold`` nor ``int8``; language models read
        numbers of tokens.
        """
        target = None if path is None else as_path("path", path)
        images = None if batch is None else whole("batch", batch, 1, 2**31 - 1)
        model = self._inner.onnx(whole("seed", seed), truth("fold", fold), truth("int8", int8), images)
        if target is not None:
            _lanner.write_file(target, model)
        return model

    def to_torch(self, *, seed: int = 0) -> Any:
        """Returns a ``torch.nn.Module`` with the weights of :meth:`to_onnx`, in evaluation mode: the same
        outputs, and ready to be trained. ``state_dict()`` has the names of the model's tensors.

        Raises InputError if PyTorch is not installed.
        """
        module = to_torch(self.to_onnx(seed=seed, batch=None))
        known = (layer for layer in self.layers if layer.get("block") and layer["inputs"])
        module._blocks = {layer["name"]: layer["block"] for layer in known}
        return module

    def svg(self) -> str:
        """Draws cell and network."""
        return self._inner.svg()

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        costs = self._about["cost"]
        return (
            f"Network({self.arch!r}, {self.space.name!r}, "
            f"{costs['params']:,} parameters, {costs['flops']:,} FLOPs)"
        )


def _again(arch: Arch, space: Space, sizes: Sequence[int | None], pruned: bool) -> Network:
    channels, cells, resolution, classes = sizes
    return Network(
        arch, space, channels=channels, cells=cells, resolution=resolution, classes=classes, pruned=pruned
    )


def to_torch(model: bytes | str | os.PathLike[str]) -> Any:
    """Returns a ``torch.nn.Module`` of an ONNX model, or the file of one: the network of a search
    (``best.onnx``), or another of ordinary layers. It can be trained.

    Raises InputError if it is no ONNX model, has an operator that is not known, or PyTorch is not
    installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise InputError("to_torch needs PyTorch: pip install torch")
    from lanner._torch import to_torch

    return to_torch(read(model))


def read(model: bytes | str | os.PathLike[str]) -> bytes:
    """Returns the bytes of an ONNX model, or of its file."""
    if isinstance(model, _BYTES):
        return bytes(model)
    if not isinstance(model, (str, os.PathLike)):
        raise InputError(f"{given('model', model)}, expected the bytes of an ONNX model, or the path of its file")
    try:
        with open(model, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{os.fspath(model)}: {error.strerror}") from error


def is_one(networks: Any) -> bool:
    """Tells a network from a list of them."""
    known = (str, dict, os.PathLike, Network, *_BYTES)
    return isinstance(networks, known) or hasattr(networks, "state_dict") or not isinstance(networks, Iterable)


def model_of(
    network: Any, space: Space | str = "nasbench201", example_input: Any = None, batch: int | None = 1
) -> bytes:
    """Returns the ONNX model of an architecture, a network, a model or its file, or a module. ``batch``, for the
    first two, is the number of images at a time.
    """
    if isinstance(network, _BYTES):
        return bytes(network)
    if isinstance(network, Network):
        return network.deployed(batch=batch)
    if isinstance(network, os.PathLike) or isinstance(network, str) and network.endswith(".onnx"):
        return read(network)
    if isinstance(network, (str, dict)):
        return Network(network, space).deployed(batch=batch)
    if hasattr(network, "state_dict"):
        if example_input is None:
            raise InputError("a torch.nn.Module needs example_input=, a tensor as the network takes it")
        from lanner._export import to_onnx

        return to_onnx(network, example_input)
    raise InputError(
        f"{shown(network)} is no network: expected an architecture, lanner.Network, ONNX model or torch.nn.Module"
    )
