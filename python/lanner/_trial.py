"""Trials: architectures that a study asked for, and their results."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanner._checked import given, truth
from lanner._errors import ExportError, InputError
from lanner._space import Space

if TYPE_CHECKING:
    import torch

Build = Callable[[Any], "torch.nn.Module | None"]


@dataclass(frozen=True)
class Trial:
    """One architecture that a study asked for. The function that trains is given it, in any process; the
    study keeps it with its result.
    """

    number: int
    """Number of the trial, from 1, in the order of asking."""
    arch: Any
    """The architecture: its text, or in a space of parameters a dictionary of its values by name."""
    seed: int
    """Seed for the training, below 2³²: the same architecture gets the same one again."""
    state: str = "running"
    """``asked``, ``running``, ``done``, ``failed``, or ``infeasible``: over a limit, as was measured before
    the training.
    """
    value: float | None = None
    """Value of the first objective, once it is done."""
    metrics: dict[str, float] = field(default_factory=dict)
    """All metrics by name, with the newest measurements of the network."""
    predicted: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Predictions from the time of asking: median and standard deviation."""
    note: str | None = None
    """Why it failed, with the end of the traceback."""
    origin: str | None = None
    """Source of an imported trial."""
    started: float | None = None
    """Time when it was last begun, Unix seconds."""
    finished: float | None = None
    """Time when its result came, Unix seconds."""
    _storage: Path | None = field(default=None, repr=False)
    _build: Build | None = field(default=None, repr=False, compare=False)

    @property
    def seconds(self) -> float | None:
        """Duration of the training."""
        if self.started is None or self.finished is None:
            return None
        return self.finished - self.started

    @property
    def folder(self) -> Path:
        """A folder of the trial's own, for checkpoints and logs; it is made when it is asked for."""
        if self._storage is None:
            raise InputError("this trial is of no study: it has no folder")
        folder = self._storage / "trials" / str(self.number)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def module(self) -> "torch.nn.Module":
        """Builds the network by the study's ``build``, with initial weights of the trial's seed."""
        if self._build is None:
            raise InputError(
                "create_study, or load_study, was given no build=, which makes a module of an architecture; where "
                "Lanner knows the networks of the space: lanner.Network(trial.arch, space).to_torch(seed=trial.seed)"
            )
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            module = self._build(self.arch)
        if module is None:
            raise ExportError(f"build returned None for {self.arch!r}: it makes no network")
        return module

    def save(self, module: "torch.nn.Module", example_input: Any, *, open_batch: bool = False) -> Path:
        """Keeps the trained network as ONNX, for ``study.export``. It takes as many inputs at a time as the example
        has, or with ``open_batch`` any number.

        Raises ExportError if PyTorch cannot export it.
        """
        from lanner import _lanner
        from lanner._export import to_onnx

        if self._storage is None:
            raise InputError("this trial is of no study: its network cannot be kept")
        if not hasattr(module, "state_dict"):
            raise InputError(f"{given('module', module)}, expected a torch.nn.Module")
        path = self._storage / "networks" / f"{self.number}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        _lanner.write_file(str(path), to_onnx(module, example_input, truth("open_batch", open_batch)))
        return path


def trial_of(about: dict[str, Any], space: Space, objective: str, **own: Any) -> Trial:
    """Makes a trial of the fields that the library tells."""
    metrics = about["metrics"]
    return Trial(
        number=about["id"],
        arch=space._arch(about["arch"]),
        seed=about["seed"],
        state=about["state"],
        value=metrics.get(objective) if about["state"] == "done" else None,
        metrics=metrics,
        predicted={name: (p[0], p[1]) for name, p in about["predicted"].items()},
        note=about["note"],
        origin=about["origin"],
        started=about["started_at"],
        finished=about["finished_at"],
        **own,
    )


def trials_of(text: str, space: Space, objective: str, **own: Any) -> list[Trial]:
    """Makes trials of a JSON list."""
    return [trial_of(about, space, objective, **own) for about in json.loads(text)]
