"""Costs and latency of a network, known before it is trained."""

import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from lanner import _lanner
from lanner._device import Device, Stopwatch, device
from lanner._errors import ExportError, InputError, MeasureError
from lanner._network import Network, read
from lanner._number import number
from lanner._progress import Progress
from lanner._space import Arch, Space
from lanner._trial import Build

Measure = Callable[[Any], Any]
"""Function of an architecture that returns metrics by name, or None if it cannot be measured."""

LATENCY = "latency_ms"
UNITS = {LATENCY: 1.0, "latency_us": 1e-3, "latency_ns": 1e-6, "latency_s": 1e3}
"""Names by which ``measure`` may tell the latency, in milliseconds."""
COUNTED = ("params", "flops", "macs", "memory_bytes", "weight_bytes")
"""Metrics that are counted on an ONNX model."""
MOST_REFUSED = 100
"""Number of networks that cannot be measured after which a search ends, if none could."""


class Meter:
    """Measures networks before they are trained, each as often as the study asks."""

    def __init__(
        self,
        space: Space,
        measure: Measure | None,
        exporter: Callable[[Arch, int | None], bytes | None] | None,
        stopwatch: Stopwatch | None,
    ) -> None:
        self._space = space
        self._measure = measure
        self.exporter = exporter
        """Returns the ONNX model of an architecture, with weights of a seed; without one, that to measure. None
        if the architecture makes no network.
        """
        self._stopwatch = stopwatch
        self.needed: list[str] = []
        """Metrics of limits and objectives."""
        self.progress: Progress | None = None
        self._measured = 0
        self._last: tuple[str, Any] | None = None
        """The architecture whose metrics were asked for last, and what was made of it."""
        self._counted: tuple[str, dict[str, float]] | None = None
        """The architecture whose network was built last, and its costs."""
        self._names: set[str] = set()
        """Metrics that ``measure`` gave."""
        self._refused = 0
        """Number of networks that could not be measured, as long as none could."""
        self._absent = 0
        """Number of those of which ``build`` returned None."""

    @staticmethod
    def of(
        space: Space,
        measure: Measure | None,
        build: Build | None,
        example_input: Any,
        on: Device | None,
    ) -> "Meter | None":
        """Makes the meter of a study; None if the library measures by itself."""
        for name, function in (("build", build), ("measure", measure)):
            if function is not None and not callable(function):
                raise InputError(f"{name} is {function!r}, expected a function of an architecture")
        if on is not None and not isinstance(on, Device):
            raise InputError(f"device is {on!r}, expected lanner.device(…)")
        if measure is not None and on is not None:
            raise InputError("give measure= or device=, not both: each measures the latency")
        exporter = None
        if build is not None:
            if example_input is None:
                raise InputError("build= needs example_input=, a tensor as the network takes it")
            exporter = _exporter(build, example_input)
        elif example_input is not None:
            raise InputError("example_input= is for build=, which makes a module of an architecture")
        elif on is not None:
            if not space._inner.has_networks:
                raise InputError(
                    f"device= measures networks, and those of {space.name} are made by a function: give build= "
                    "and example_input= too"
                )

            def exporter(arch: Arch, seed: int | None) -> bytes:
                return Network(arch, space).deployed(seed or 0)

        if measure is None and exporter is None:
            return None
        stopwatch = Stopwatch(on or device()) if measure is None else None
        return Meter(space, measure, exporter, stopwatch)

    def facts(self) -> list[tuple[str, str]]:
        """Returns facts about the device, by which a study knows it again."""
        if self._stopwatch is None:
            return [("runtime", "a function, measure=")]
        return self._stopwatch.device.facts()

    def names(self) -> list[str]:
        """Returns the metrics other than the latency that are given where your own function makes the networks, as a
        first one tells them; none if they are not needed, or are not known by that.
        """
        if self._space._inner.has_networks or not self.needed:
            return []
        if self._measure is None:
            return list(COUNTED)
        (arch,) = self._space.sample(seed=1)
        made = self._made(self._space.text(arch))
        if not isinstance(made, Mapping):
            return []
        self._names = set(made)
        return sorted(self._names - {LATENCY})

    def latency(self, text: str, is_final: bool) -> tuple[float, float] | None:
        """Returns latency and standard error, milliseconds; None if the network cannot be measured."""
        if is_final:
            self._last = None
        made = self._made(text)
        self._measured += 1
        if self.progress is not None:
            self.progress.tell(f"{self._measured} latencies measured")
        # A network that is measured again is measured anew.
        self._last = None
        arch = self._space._arch(text)
        if self._stopwatch is None:
            latency = self._latency_of(arch, made)
        elif made is None:
            latency = None
            self._absent += 1
        else:
            if not self._space._inner.has_networks:
                self._counted = (text, self._counts_of(arch, made))
            latency = self._stopwatch.measure(made, is_final)
        self._note(latency is not None)
        return latency

    def metrics(self, text: str) -> dict[str, float] | None:
        """Returns the metrics other than the latency; None if the network cannot be measured. They are kept
        for the latency, so that one call of ``measure``, or one export, gives both.
        """
        if self._counted is not None and self._counted[0] == text:
            return self._counted[1]
        made = self._made(text)
        arch = self._space._arch(text)
        if made is None:
            self._absent += self._stopwatch is not None
            self._note(is_measured=False)
            return None
        if self._measure is None:
            return self._counts_of(arch, made)
        if not isinstance(made, Mapping):
            raise MeasureError(f"measure returned {made!r} for {arch!r}, expected a dictionary, or None")
        self._names = self._names or set(made)
        if missing := sorted(self._names - set(made)):
            raise MeasureError(
                f"measure returned {made!r} for {arch!r}, without {', '.join(missing)}, which it gave before"
            )
        values = {}
        for name, value in made.items():
            if name == LATENCY or name not in self.needed and not isinstance(value, (int, float)):
                continue
            read = number(value)
            if read is None:
                raise MeasureError(f"measure returned {name} = {value!r} for {arch!r}, expected a number")
            values[str(name)] = read
            if name in self.needed and not math.isfinite(read):
                raise MeasureError(
                    f"measure returned {name} = {value} for {arch!r}, expected a finite number"
                )
        return values

    def _note(self, is_measured: bool) -> None:
        """Ends a search of which no network can be measured: it would go on for ever."""
        if is_measured:
            self._refused = -1
        elif self._refused >= 0:
            self._refused += 1
            if self._refused >= MOST_REFUSED:
                if self._absent == self._refused:
                    raise ExportError(
                        f"build returned None for each of the first {self._refused} networks, expected a "
                        "torch.nn.Module: does it return what it makes?"
                    )
                what = "the runtime refuses, or build returned None for,"
                if self._stopwatch is None:
                    what = "measure returned None for"
                raise MeasureError(f"{what} each of the first {self._refused} networks")

    def _made(self, text: str) -> Any:
        """Returns what ``measure`` returns for an architecture, or its ONNX model."""
        if self._last is None or self._last[0] != text:
            arch = self._space._arch(text)
            if self._measure is not None:
                self._last = (text, self._measure(arch))
            else:
                assert self.exporter is not None
                self._last = (text, self.exporter(arch, None))
        return self._last[1]

    def _counts_of(self, arch: Arch, model: bytes) -> dict[str, float]:
        costs = onnx_cost(model)
        for name in COUNTED:
            if name in self.needed and costs[name] is None:
                raise MeasureError(
                    f"{name} of {arch!r} cannot be counted: the work of {', '.join(costs['uncounted'])} "
                    "is not known; limit another metric, such as params or latency_ms"
                )
        return {name: float(costs[name]) for name in COUNTED if costs[name] is not None}

    def _latency_of(self, arch: Arch, values: Any) -> tuple[float, float] | None:
        if values is None:
            return None
        units = [unit for unit in UNITS if isinstance(values, Mapping) and unit in values]
        if not units:
            raise MeasureError(
                f"measure returned {values!r} for {arch!r}, expected a dictionary with {LATENCY!r}, or None"
            )
        given = values[units[0]]
        pair = given if isinstance(given, tuple) and len(given) == 2 else (given, 0.0)
        value, error = (number(v) for v in pair)
        if value is None or error is None:
            raise MeasureError(
                f"measure returned {units[0]} = {given!r} for {arch!r}, expected a number, or it and its "
                "standard error"
            )
        value, error = value * UNITS[units[0]], error * UNITS[units[0]]
        if not (math.isfinite(value) and value > 0 and math.isfinite(error) and error >= 0):
            raise MeasureError(
                f"measure returned {LATENCY} = {value} for {arch!r}, expected more than 0 milliseconds"
            )
        return value, error


def _exporter(build: Build, example_input: Any) -> Callable[[Arch, int | None], bytes | None]:
    def export(arch: Arch, seed: int | None) -> bytes | None:
        from lanner._export import as_trained, to_onnx

        try:
            import torch

            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed or 0)
                module = build(arch)
                if seed is None and isinstance(module, torch.nn.Module):
                    as_trained(module)
        except ImportError:
            raise
        except Exception as error:
            raise ExportError(f"build raised {type(error).__name__} for {arch!r}: {error}") from error
        if module is None:
            return None
        try:
            return to_onnx(module, example_input)
        except ExportError as error:
            raise ExportError(f"{arch!r}: {error}") from error

    return export


def onnx_cost(model: bytes | str | os.PathLike[str]) -> dict[str, Any]:
    """Counts the costs of an ONNX model, or the file of one, for the input that it was exported with: ``flops``, ``macs``,
    ``params``, ``weight_bytes``, ``memory_bytes`` (peak of activations), ``nodes``, and ``uncounted``
    operators, for which ``flops`` and ``macs`` are None.

    >>> from lanner import Network
    >>> onnx_cost(b"rubbish")
    Traceback (most recent call last):
        ...
    lanner._errors.InputError: ONNX model, file: a field of 117 bytes goes beyond the end of its message: it is damaged, truncated or no ONNX model
    """
    costs: dict[str, Any] = json.loads(_lanner.onnx_cost(read(model)))
    return costs
