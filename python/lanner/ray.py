"""Trainings on a Ray cluster. Needs ``ray``."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any

import ray

from lanner._errors import InputError


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
