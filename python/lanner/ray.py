"""Trainings on a Ray cluster, and Lanner as the searcher of Ray Tune. Needs ``ray``."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any

import ray
from ray.tune.search import Searcher

from lanner._errors import InputError
from lanner._study import Study


class RayExecutor(Executor):
    """Runs each training as a task of a Ray cluster, for ``study.optimize(executor=…)``.

    ``resources`` are those of one training, by Ray's names: ``{"CPU": 2, "GPU": 1}``; one CPU by default.
    ``n_workers`` is the number of trainings at a time; as many as the cluster has room for by default. A
    program that is not connected to a cluster begins one on this machine; ``ray.init(address=…)`` before
    connects to another one.

    Raises InputError if the cluster cannot run a single training.
    """

    def __init__(
        self, *, resources: Mapping[str, float] | None = None, n_workers: int | None = None
    ) -> None:
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        need = {"CPU": 1.0, **(resources or {})}
        there = ray.cluster_resources()
        room = min(int(there.get(name, 0) / n) for name, n in need.items() if n > 0)
        if room < 1:
            raise InputError(f"the cluster has no room for a training of {need}: it has {there}")
        self.n_workers = n_workers or room
        own = {name: n for name, n in need.items() if name not in ("CPU", "GPU")}
        # A task that died is the study's to try again, which counts how often.
        self._run = ray.remote(_run).options(
            num_cpus=need["CPU"], num_gpus=need.get("GPU", 0), resources=own, max_retries=0
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Runs a function as a task."""
        future: Future[Any] = self._run.remote(fn, args, kwargs).future()
        return future


def _run(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return fn(*args, **kwargs)


class LannerSearcher(Searcher):
    """Lets a study choose the configurations of Ray Tune, for those whose loop is Ray Tune's.

    The study's space is one of parameters; its first objective must be among what trials report. Trials over
    a measured limit are not given to Tune.

    ``Tuner(trainable, tune_config=TuneConfig(search_alg=LannerSearcher(study), num_samples=40))``
    """

    def __init__(self, study: Study) -> None:
        metric, direction = next(iter(study.directions.items()))
        super().__init__(metric=metric, mode="max" if direction == "maximize" else "min")
        self._study = study
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Returns the next configuration; None if nothing is left for now."""
        trials = self._study.ask()
        if not trials:
            return None
        self._numbers[trial_id] = trials[0].number
        arch = trials[0].arch
        return dict(arch) if isinstance(arch, dict) else {"arch": arch}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tells the study how a trial ended."""
        number = self._numbers.pop(trial_id, None)
        if number is None:
            return
        if error or not result or self.metric not in result:
            self._study.tell(number, failed="Ray Tune's trial ended without the objective")
            return
        wanted = {*self._study.directions, *(limit.split()[0] for limit in self._study.limits)}
        self._study.tell(number, {name: result[name] for name in wanted if name in result})

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: the study is on disk."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing: the study is on disk."""
