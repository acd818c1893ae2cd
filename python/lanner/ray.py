"""Trainings on a Ray cluster. Needs ``ray``."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any

import ray

from lanner._checked import given, whole
from lanner._errors import InputError
from lanner._number import number


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
        if resources is not None and not isinstance(resources, Mapping):
            raise InputError(f"{given('resources', resources)}, expected numbers by name, as {{'CPU': 2, 'GPU': 1}}")
        need = {"CPU": 1.0}
        for name, asked in (resources or {}).items():
            amount = number(asked)
            if amount is None or not 0 <= amount < float("inf"):
                raise InputError(f"resources: {given(str(name), asked)}, expected a number, 0 or more")
            need[str(name)] = amount
        wanted = None if n_workers is None else whole("n_workers", n_workers, 1)
        if wanted is None and not any(need.values()):
            raise InputError(f"n_workers: say how many trainings run at a time, which need nothing of {need}")
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        there = ray.cluster_resources()
        room = min((int(there.get(name, 0) / n) for name, n in need.items() if n > 0), default=wanted or 0)
        if room < 1:
            raise InputError(f"the cluster has no room for a training of {need}: it has {there}")
        self.n_workers = wanted or room
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
