"""Latency, proxies and trainings of networks, without a search."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lanner import _lanner
from lanner._checked import several, size, text, whole
from lanner._checked import texts as as_texts
from lanner._device import Device, Stopwatch, device
from lanner._errors import InputError
from lanner._network import is_one, model_of, to_torch
from lanner._number import number
from lanner._progress import Progress
from lanner._space import Arch, Space, as_space


_DATASET = "the name of images (lanner.images)"


class Latency(NamedTuple):
    """Latency of a network and its standard error, milliseconds."""

    ms: float
    se: float


def measure(
    networks: Any,
    space: Space | str = "nasbench201",
    *,
    device: Device = device(),  # noqa: B008
    example_input: Any = None,
) -> Any:
    """Measures the latency of a network, or of each of a list, on this machine, in a process of its own.

    A network is an architecture of the space, a :class:`lanner.Network`, an ONNX model (its bytes, or the
    path of its file, ``.onnx``), or a ``torch.nn.Module``, which needs ``example_input``. Runs of a
    reference network before and after take the machine's drift out.

    >>> latency = measure("302143", device=device("rten"))
    >>> 0.05 < latency.ms < 1000, latency.se < latency.ms
    (True, True)

    Returns a :class:`Latency`, or a list of them; None stands for a network that the runtime refuses. Raises
    MeasureError if the runtime cannot be used.
    """
    if not isinstance(device, Device):
        raise InputError(f"device is {device!r}, expected lanner.device(…)")
    if is_one(networks):
        return measure([networks], space, device=device, example_input=example_input)[0]
    listed = several("networks", networks, "a network, or a list of them")
    models = [model_of(network, space, example_input) for network in listed]
    stopwatch, progress = Stopwatch(device), Progress(len(models), "measuring")
    latencies: list[Latency | None] = []
    try:
        for model in models:
            found = stopwatch.measure(model)
            latencies.append(None if found is None else Latency(*found))
            progress.step()
    finally:
        progress.close()
        stopwatch.close()
    return latencies


def proxies(
    archs: Sequence[Arch],
    space: Space | str = "nasbench201",
    *,
    names: Sequence[str] = (),
    dataset: str = "random",
    batch: int = 64,
    seed: int = 0,
    threads: int = 1,
    channels: int | None = None,
    cells: int | None = None,
) -> list[dict[str, Any]]:
    """Computes zero-cost proxies of networks, as ``lanner proxies``: scores of untrained networks.

    >>> rows = proxies(["302143", "000000"], names=["params", "synflow"], cells=1)
    >>> rows[0]["params"] > rows[1]["params"]
    True

    ``names`` are the proxies to compute, all by default; ``dataset`` is where the ``batch`` images come from:
    ``random``, or a name of :func:`lanner.images`. Returns a row a network, with ``arch`` and each proxy by its
    name; None where it does not exist.

    Raises InputError for an unknown name or a size out of its range.
    """
    space = as_space(space)
    texts = _texts(archs, space)
    computed = _lanner.Proxies(
        space._inner,
        as_texts("names", names, "synflow"),
        text("dataset", dataset, _DATASET),
        whole("batch", batch, 1, 65536),
        whole("seed", seed),
        whole("threads", threads, 1, 1024),
        size("channels", channels),
        size("cells", cells),
    )
    progress = Progress(len(texts), "computing proxies")
    rows = []
    try:
        for own in texts:
            rows.append({"arch": space._arch(own), **dict(computed.compute(own))})
            progress.step()
    finally:
        progress.close()
    return rows


@dataclass(frozen=True)
class Trained:
    """A trained network."""

    arch: Arch
    metrics: dict[str, float]
    """``val_accuracy``, by which the epoch was chosen, ``test_accuracy`` (%), losses, ``seconds``."""
    model: bytes = field(repr=False)
    """The network with its weights, as ONNX."""

    def to_torch(self) -> Any:
        """Returns the network as a ``torch.nn.Module``."""
        return to_torch(self.model)


def train(
    arch: Arch,
    space: Space | str = "nasbench201",
    *,
    dataset: str = "digits",
    seed: int = 0,
    split: int = 0,
    epochs: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    channels: int | None = None,
    cells: int | None = None,
) -> Trained:
    """Trains a network here, on one thread and without PyTorch, as ``lanner train``.

    >>> trained = train("302143", epochs=2)
    >>> trained.metrics["val_accuracy"] > 30
    True

    Networks are small by default: one cell where the publication has five. ``seed`` is that of weights and order
    of images, ``split`` of the images that are kept for validation. The same call gives the same bits.

    Raises InputError for an unknown data set or a setting out of its range, TrainError if the training
    diverges.
    """
    space = as_space(space)
    (own,) = _texts([arch], space)
    rate = number(learning_rate)
    if learning_rate is not None and rate is None:
        raise InputError(f"learning_rate is {learning_rate!r}, expected a number above 0")
    training = _lanner.Training(
        space._inner,
        text("dataset", dataset, _DATASET),
        whole("split", split),
        size("epochs", epochs),
        size("batch", batch),
        rate,
        size("channels", channels),
        size("cells", cells),
    )
    seed = whole("seed", seed)
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "network.onnx")
        metrics = training.train(own, seed, path)
        with open(path, "rb") as file:
            return Trained(space._arch(own), metrics, file.read())


def _texts(archs: Sequence[Arch], space: Space) -> list[str]:
    if isinstance(archs, (str, dict)):
        raise InputError("archs: give a list of architectures, not a single one")
    return [space.text(arch) for arch in several("archs", archs, "a list of architectures")]
