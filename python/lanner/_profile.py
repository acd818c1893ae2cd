"""Profiles of devices: the latency of any network, before it is measured."""

import array
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lanner import _lanner
from lanner._checked import given, several, shown, whole
from lanner._checked import path as as_path
from lanner._device import Device, Stopwatch, device
from lanner._errors import InputError, MeasureError
from lanner._measurements import Measurements, is_latency
from lanner._network import is_one, model_of
from lanner._number import number
from lanner._predictor import Forecast, _array
from lanner._progress import Progress
from lanner._space import Space

FEWEST, FEW = 20, 200
"""Numbers of small networks that a profile needs, and that make a useful one."""
MOST_REFUSED = 20
"""Number of small networks at the start that the device may refuse."""


class Profile:
    """A device's latency of any network; made by :func:`profile`, the command ``lanner profile``, or :meth:`fit`.

    >>> import lanner
    >>> flops = {n: lanner.onnx_cost(lanner.Profile.small_network(n))["flops"] for n in range(200)}
    >>> profile = lanner.Profile.fit({n: 0.01 + count / 1e9 for n, count in flops.items()})
    >>> median, lower, upper = profile.predict([lanner.Network("302143")])
    >>> bool(0.08 < median[0] < 0.2 and lower[0] < median[0] < upper[0])
    True
    """

    def __init__(self, inner: _lanner.Profile) -> None:
        if not isinstance(inner, _lanner.Profile):
            raise InputError("a Profile is made by lanner.profile, Profile.fit or Profile.load")
        self._inner = inner

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the content of the file, which is read as :meth:`load` reads it."""
        return _again, (self._inner.to_bytes(),)

    @staticmethod
    def fit(small: Mapping[int, float], own: Mapping[Any, float] | Iterable[tuple[Any, float]] = ()) -> "Profile":
        """Fits latencies in milliseconds: of small networks by their numbers (:meth:`small_network`), and of your own
        ONNX models of the kind that will be predicted.

        Some 200 small networks are needed for a useful answer, and more make it better.

        Raises InputError for fewer than 20 networks, or a latency that is not above 0.
        """
        if not isinstance(small, Mapping):
            raise InputError(f"{given('small', small)}, expected milliseconds by the number of the small network")
        probes = [(whole("number of a small network", n), _ms(f"small network {n}", ms)) for n, ms in small.items()]
        return Profile(_lanner.Profile.fit(probes, _own(own)))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Profile":
        """Reads a file that :meth:`save` or ``lanner profile`` wrote.

        Raises InputError if it is none.
        """
        return Profile(_lanner.Profile.load(as_path("path", path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file that :meth:`load` and ``lanner latency`` read."""
        self._inner.save(as_path("path", path))

    def predict(
        self,
        networks: Any,
        space: Space | str = "nasbench201",
        *,
        example_input: Any = None,
        batch: int | None = None,
        dims: Mapping[str, int] | None = None,
    ) -> Forecast:
        """Predicts the median and the 90 % interval of a network, or of each of a list, in milliseconds. A network is
        what :func:`lanner.measure` takes: an ONNX model (its bytes, or the path of its file), a ``torch.nn.Module``
        with ``example_input``, a :class:`lanner.Network`, or an architecture of the space.

        ``batch`` and ``dims`` are the sizes of dimensions that a model leaves open, the batch 1 unless told:
        ``dims={"sequence": 128}``; networks of Lanner's and architectures have any batch, modules that of their
        example. Raises InputError for what is no network, or whose shapes are not known.
        """
        sizes = None if batch is None else whole("batch", batch, 1)
        if dims is not None and not isinstance(dims, Mapping):
            raise InputError(f"dims is {dims!r}, expected a dictionary of sizes by name, such as {{'sequence': 128}}")
        given = [(str(name), whole(f"dims[{name!r}]", size, 1)) for name, size in (dims or {}).items()]
        rows = []
        one_or_more = "a network, or a list of them"
        for network in [networks] if is_one(networks) else several("networks", networks, one_or_more):
            model = model_of(network, space, example_input, 1 if sizes is None else sizes)
            try:
                *row, doubts = self._inner.predict(model, sizes, given)
                rows.append(row)
            except InputError as error:
                name = f"{os.fspath(network)}: " if isinstance(network, (str, os.PathLike)) else ""
                size = f"; batch is {sizes}: give an example_input of as many" if hasattr(network, "state_dict") else ""
                raise InputError(f"{name}{error}{size if sizes else ''}") from None
            for doubt in doubts:
                warnings.warn(f"the predicted latency is in doubt: {doubt}", stacklevel=2)
        columns = zip(*rows) if rows else ((), (), ())
        return Forecast(*(_array(bytearray(array.array("d", column))) for column in columns))

    @staticmethod
    def small_network(n: int) -> bytes:
        """Returns the ONNX model of a small network that profiles are fitted to, always the same for a number."""
        return _lanner.probe(whole("number of a small network", n))

    @property
    def measured(self) -> int:
        """Number of measured networks."""
        return self._inner.measured

    def __repr__(self) -> str:
        return f"Profile({self._inner.describe()})"


def _again(content: bytes) -> Profile:
    return Profile(_lanner.Profile.of_bytes(content))


def profile(
    path: str | os.PathLike[str],
    *,
    device: Device | None = None,
    measure: Callable[[bytes], float | None] | None = None,
    own: Mapping[Any, float] | Iterable[tuple[Any, float]] = (),
    networks: int = 1500,
    minutes: float = 9.0,
) -> Profile:
    """Measures small networks on a device, and writes what was learnt to ``path``.

    ``device`` is this machine unless told; for any other, ``measure`` is a function of an ONNX model that returns
    milliseconds, or None for one that the device refuses. ``own`` are latencies of your own models of the kind that
    will be predicted, by file: ten take the error for their like from 9.7 to 6.6 % (docs/benchmarks.md).

    Measuring ends after ``minutes``, and fewer than some 200 networks make a poor profile. Each measurement is kept in ``path`` + ``.csv``: the same call goes on with
    them after Ctrl-C, and with ``minutes=0`` only fits them again.

    Raises InputError if that file is of another device, MeasureError if the device cannot be used.
    """
    if device is not None and measure is not None:
        raise InputError("give measure= or device=, not both: each measures the latency")
    if measure is not None and not callable(measure):
        raise InputError(f"measure is {measure!r}, expected a function of an ONNX model")
    limit = number(minutes)
    if limit is None or not 0 <= limit < float("inf"):
        raise InputError(f"minutes is {minutes!r}, expected 0 or more")
    target, count = as_path("path", path), whole("networks", networks, FEWEST, 4000)
    known = _own(own)
    stopwatch = None if measure else Stopwatch(_checked(device))
    about = [("runtime", "a function, measure=")] if stopwatch is None else stopwatch.device.facts()
    table = Measurements(target + ".csv", about)
    bar = None
    try:
        todo = [n for n in _lanner.probes(count) if n not in table.done] if limit else []
        start, refused = time.monotonic(), 0
        bar = Progress(len(todo), "measuring small networks")
        for n in todo:
            if time.monotonic() - start > 60 * limit:
                break
            model = _lanner.probe(n)
            latency = measure(model) if measure else _latency(stopwatch, model)
            refused += latency is None
            if refused == MOST_REFUSED and not table.latencies():
                raise MeasureError(f"the device refuses the first {refused} small networks")
            table.add(n, None if latency is None else _ms(f"small network {n}", latency))
            bar.step()
    finally:
        table.close()
        if bar is not None:
            bar.close()
        if stopwatch is not None:
            stopwatch.close()
    small = len(table.latencies())
    if small < FEW and not known:
        again = "the same call goes on, minutes= gives it more time"
        if small < FEWEST:
            raise InputError(f"{small} small networks are measured after {minutes} minutes, {FEWEST} are needed; {again}")
        warnings.warn(f"a profile of {small} small networks is a poor one, {FEW} make a useful one; {again}", stacklevel=2)
    made = Profile(_lanner.Profile.fit(list(table.latencies().items()), known))
    made.save(target)
    return made


def _latency(stopwatch: Stopwatch | None, model: bytes) -> float | None:
    assert stopwatch is not None
    measured = stopwatch.measure(model)
    return None if measured is None else measured[0]


def _checked(given: Device | None) -> Device:
    if given is not None and not isinstance(given, Device):
        raise InputError(f"device is {given!r}, expected lanner.device(…)")
    return given or device()


def _own(own: Any) -> list[tuple[bytes, float]]:
    pairs = own.items() if isinstance(own, Mapping) else own
    try:
        listed = [(model, latency) for model, latency in pairs]
    except (TypeError, ValueError):
        raise InputError(f"own is {own!r}, expected milliseconds by the files of models") from None
    return [(model_of(model), _ms(f"own, {shown(model)}", latency)) for model, latency in listed]


def _ms(name: str, latency: Any) -> float:
    if not is_latency(latency):
        raise InputError(f"{name}: the latency is {shown(latency)}, expected milliseconds above 0")
    return float(latency)
