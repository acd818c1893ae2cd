"""Beginning a study, and opening one that is there."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lanner import _lanner
from lanner._checked import given, path, several, text, texts, truth, whole
from lanner._errors import InputError, StudyError
from lanner._measure import LATENCY, Measure, Meter
from lanner._space import Arch, Space, as_space, differences
from lanner._study import Study
from lanner._trial import Build

STRATEGIES = ("default", "brp-nas", "weak-predictors", "regularized-evolution", "random")
"""Names of the strategies (docs/search.md)."""
_FOLDER = "the path of a study's folder"


def create_study(
    space: Space | str | os.PathLike[str],
    *,
    maximize: str | Sequence[str] | None = (),
    minimize: str | Sequence[str] | None = (),
    limits: str | Sequence[str] = (),
    storage: str | os.PathLike[str] | None = None,
    load_if_exists: bool = False,
    measure: Measure | None = None,
    build: Build | None = None,
    example_input: Any = None,
    device: Any = None,
    seed: int | None = None,
    strategy: str | None = None,
    first_measurements: int = 20,
    first: Sequence[Arch] = (),
) -> Study:
    """Begins a study: the search of a space for the best values of a metric, within limits.

    >>> study = create_study("nasbench201", maximize="score", limits=["params <= 1e6"], seed=3)
    >>> study.optimize(lambda trial: trial.arch.count("1x1"), n_trials=10)
    >>> study.best_trial.value >= 2
    True

    - ``maximize``, ``minimize``: the metric that trainings give, or a list of metrics whose trade-offs are
      searched.
    - ``limits``: ``"NAME <= NUMBER"``. ``params``, ``flops``, ``macs`` and ``memory_bytes`` are counted on
      the network, ``latency_ms`` and what ``measure`` returns are measured before a network is trained. Any
      other metric is one that trainings give, and is checked after them.
    - ``storage``: folder of the study (``study.db``, networks, report); a temporary one by default. With
      ``load_if_exists``, the study there goes on, if it is the same search.
    - ``measure``: your function of an architecture that returns ``{"latency_ms": …, "energy_mJ": …}``, always
      with the same names, or None for a network that cannot be measured.
    - ``build``, ``example_input``, ``device``: your own networks. ``build(arch)`` returns a
      ``torch.nn.Module``, which is exported to ONNX with the example input, counted, and measured on the
      device (default ``lanner.device("onnxruntime")``) before it is trained. It may return None for values that
      make no network, such as heads that do not divide a width: with a limit, these are never trained.
    - ``seed``: with one worker, one seed gives the same trials (default 0).
    - ``strategy``: one of ``lanner.STRATEGIES``.
    - ``first_measurements``: number of networks to measure before the search, if a latency is limited.
    - ``first``: architectures that are trained before any others, such as the network of today.

    Raises InputError if a setting is wrong, and then writes nothing; StudyError if there is a study in the
    folder and ``load_if_exists`` is not set.
    """
    space = as_space(space)
    goals = [(name, True) for name in texts("maximize", maximize, "val_accuracy")]
    goals += [(name, False) for name in texts("minimize", minimize, "val_loss")]
    if not goals:
        raise InputError("no objective: give maximize= or minimize= the name of a metric")
    limits = texts("limits", limits, "latency_ms <= 5")
    if seed is not None:
        seed = whole("seed", seed)
    if strategy is not None:
        text("strategy", strategy, f"one of {', '.join(STRATEGIES)}")
    if storage is not None:
        storage = path("storage", storage, _FOLDER)
    load_if_exists = truth("load_if_exists", load_if_exists)
    first_measurements = whole("first_measurements", first_measurements)
    listed = several("first", first, "a list of architectures")
    archs = list(dict.fromkeys(space.text(arch) for arch in listed))
    meter = Meter.of(space, measure, build, example_input, device)
    latency = metrics = None
    facts: list[tuple[str, str]] = []
    if meter is not None:
        latency = meter.latency
        limited = [_lanner.limit(text).rsplit(None, 2)[0] for text in limits]
        meter.needed = limited + [name for name, _ in goals[1:]]
        metrics = meter.metrics if measure is not None or build is not None else None
        if LATENCY in [*limited, *(name for name, _ in goals)]:
            facts = meter.facts()
    temporary = None
    if storage is None:
        import tempfile

        temporary = tempfile.TemporaryDirectory(prefix="lanner-", ignore_cleanup_errors=True)
        storage = os.path.join(temporary.name, "study")
    folder = os.path.abspath(storage)
    if os.path.isfile(folder):
        raise InputError(f"storage: {folder} is a file, expected {_FOLDER}")
    if _lanner.Search.is_there(folder):
        if not load_if_exists:
            raise StudyError(
                f"{folder}: a study is there already; go on with it by load_if_exists=True, or choose another "
                "folder"
            )
        search = _lanner.Search.open(folder, latency, metrics, facts)
        asked = {"space": space._inner.identity, "objectives": goals, "limits": limits}
        _check_same(folder, search, space, {**asked, "seed": seed, "strategy": strategy})
        known = dict(search.device())
        if meter is None and not space._inner.has_networks and known:
            raise InputError(
                f"{folder} has a study whose latencies were measured with {known['runtime']}; give measure=, or "
                "build= and device=, as before, or lanner.load_study to look at it"
            )
    else:
        search = _lanner.Search.create(
            folder,
            space._inner,
            goals,
            limits,
            archs,
            strategy or STRATEGIES[0],
            0 if seed is None else seed,
            first_measurements,
            latency,
            metrics,
            [] if meter is None else meter.names(),
            facts,
        )
    return Study(search, space, Path(folder), build=build, meter=meter, temporary=temporary)


def load_study(storage: str | os.PathLike[str], *, build: Build | None = None) -> Study:
    """Opens the study in a folder, to look at it: its trials, tables, report and networks.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = create_study("nasbench201", maximize="score", storage=f"{folder}/s")
    ...     study.optimize(lambda trial: trial.arch.count("1x1"), n_trials=3)
    ...     len(load_study(f"{folder}/s").trials)
    3

    ``build`` is for ``trial.module()``. A search goes on by :func:`create_study` with ``load_if_exists``.

    Raises StudyError if there is none.
    """
    folder = os.path.abspath(path("storage", storage, _FOLDER))
    if build is not None and not callable(build):
        raise InputError(f"{given('build', build)}, expected a function of an architecture")
    if not _lanner.Search.is_there(folder):
        raise StudyError(f"{folder}: there is no study; lanner.create_study(…, storage=…) begins one")
    search = _lanner.Search.look(folder)
    return Study(search, Space._of(search.space()), Path(folder), build=build)


def _check_same(folder: str, search: _lanner.Search, space: Space, asked: Mapping[str, Any]) -> None:
    """Refuses to go on with a study of something else."""
    job = json.loads(search.job())
    known = {
        "space": job["space_identity"],
        "objectives": [(o["metric"], o["maximise"]) for o in job["objectives"]],
        "limits": job["limits"],
        "seed": job["seed"],
        "strategy": job["strategy"],
    }
    wanted = dict(asked)
    wanted["limits"] = [_lanner.limit(text) for text in asked["limits"]]
    if wanted["space"] != known["space"]:
        raise InputError(
            f"{folder} has a study of another space: {differences(Space._of(search.space()), space)}; choose "
            "another folder, or ask for the same"
        )
    for name, value in wanted.items():
        if value is not None and value != known[name]:
            raise InputError(
                f"{folder} has a study with {name} {known[name]!r}, not {value!r}; choose another folder, or "
                "ask for the same"
            )
